//! The error numbers of the kernel that we explain. std keeps most of them behind unstable kinds, and this crate needs no
//! libc for a dozen numbers that are the same on every architecture we build for.

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const E2BIG: i32 = 7;
pub(crate) const ENOEXEC: i32 = 8;
pub(crate) const EAGAIN: i32 = 11;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const EISDIR: i32 = 21;
pub(crate) const ENFILE: i32 = 23;
pub(crate) const EMFILE: i32 = 24;
pub(crate) const ETXTBSY: i32 = 26;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const ENAMETOOLONG: i32 = 36;
pub(crate) const ELOOP: i32 = 40;

/// The system's words for an error, in the manner of our messages: `no such device (errno 19)`.
pub(crate) fn text(errno: i32) -> String {
    let words = std::io::Error::from_raw_os_error(errno).to_string();
    let words = words.split(" (os error").next().unwrap_or(&words);
    let mut letters = words.chars();
    // `I/O error` and `RFS specific error` keep their capitals.
    let shouts = words.chars().nth(1).is_none_or(|second| !second.is_lowercase());
    match letters.next() {
        Some(first) if !shouts => format!("{}{} (errno {errno})", first.to_lowercase(), letters.as_str()),
        Some(_) | None => format!("{words} (errno {errno})"),
    }
}

/// The number behind an I/O error. Only errors that std makes up itself have none, and we call nothing that makes them up.
pub(crate) fn of(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_become_ours() {
        assert_eq!(text(ENOENT), "no such file or directory (errno 2)");
        assert!(text(5).ends_with("(errno 5)"));
        assert!(text(9999).contains("9999"));
    }
}
