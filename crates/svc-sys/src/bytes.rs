//! Looking for a byte, as fast as the C library can.

/// Where the first one is.
pub fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: `bytes` is readable for its length.
    let place = unsafe { libc::memchr(bytes.as_ptr().cast(), i32::from(byte), bytes.len()) };
    (!place.is_null()).then(|| place as usize - bytes.as_ptr() as usize)
}

/// Where the last one is.
pub fn find_last(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: `bytes` is readable for its length.
    let place = unsafe { libc::memrchr(bytes.as_ptr().cast(), i32::from(byte), bytes.len()) };
    (!place.is_null()).then(|| place as usize - bytes.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last() {
        assert_eq!((find(b'a', b"banana"), find_last(b'a', b"banana")), (Some(1), Some(5)));
        assert_eq!((find(b'x', b"banana"), find_last(b'x', b"banana")), (None, None));
        assert_eq!((find(b'a', b""), find_last(b'a', b"")), (None, None));
    }
}
