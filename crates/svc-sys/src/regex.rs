//! Regular expressions as the C library has them: POSIX extended ones, on bytes.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

/// A compiled expression.
pub struct Regex {
    /// In a box: a C library may keep pointers into it, so it must not move.
    compiled: Box<libc::regex_t>,
    /// The text to look at, as the C library wants it. Kept, so that a reader of many lines does not allocate for each.
    text: RefCell<Vec<u8>>,
}

impl Regex {
    /// Compiles an extended regular expression. The error says what is wrong with it.
    pub fn new(pattern: &[u8]) -> Result<Regex, String> {
        let pattern = CString::new(pattern).map_err(|_| String::from("a NUL byte stands in it"))?;
        let mut place = Box::new(MaybeUninit::<libc::regex_t>::uninit());
        // SAFETY: `place` has room for a regex_t, and `pattern` is a C string.
        let code = unsafe { libc::regcomp(place.as_mut_ptr(), pattern.as_ptr(), libc::REG_EXTENDED | libc::REG_NOSUB) };
        if code != 0 {
            return Err(explain(code, &place));
        }
        // SAFETY: regcomp has succeeded, so it has filled the place.
        let compiled = unsafe { Box::from_raw(Box::into_raw(place).cast()) };
        Ok(Regex { compiled, text: RefCell::default() })
    }

    /// Whether it is found anywhere in the text. What stands behind a NUL byte is not looked at.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut place = self.text.borrow_mut();
        place.clear();
        place.extend_from_slice(text);
        place.push(0);
        // SAFETY: `compiled` is what regcomp made, `place` ends with a NUL byte, and no places for parts are asked for.
        unsafe { libc::regexec(&*self.compiled, place.as_ptr().cast(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: regcomp has made it, and it is freed once.
        unsafe { libc::regfree(&mut *self.compiled) };
    }
}

/// What the C library says about a pattern that it does not take.
fn explain(code: libc::c_int, place: &MaybeUninit<libc::regex_t>) -> String {
    let mut text = [0_u8; 128];
    // SAFETY: `text` is writable for its length, which leaves it ended by a NUL byte. The place is the one that regcomp has
    // been given.
    unsafe { libc::regerror(code, place.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).map_or(String::new(), |text| text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_expressions_on_bytes() {
        let regex = Regex::new(b"^(a|b)+c{2}$").expect("good");
        assert!(regex.is_match(b"abbacc"));
        assert!(!regex.is_match(b"abbac") && !regex.is_match(b"xabbacc") && !regex.is_match(b""));
        let dot = Regex::new(b"x.y").expect("good");
        assert!(dot.is_match(b"..x-y..") && dot.is_match(b"x\xffy"), "bytes need not be text");
        assert!(Regex::new(b"").expect("good").is_match(b""), "nothing is found everywhere");
    }

    #[test]
    fn text_ends_at_a_nul_byte() {
        let regex = Regex::new(b"b$").expect("good");
        assert!(regex.is_match(b"ab\0c") && !regex.is_match(b"a\0b"));
    }

    #[test]
    fn a_bad_one_is_explained() {
        let said = Regex::new(b"a(b").map(drop).expect_err("bad");
        assert!(!said.is_empty(), "no explanation");
        assert!(Regex::new(b"a\0b").is_err());
    }
}
