//! Patterns of a shell, as the C library has them, and file names that match one.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::errno::Errno;

fn c_string(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::INVALID)
}

/// How a shell pattern is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shell {
    /// A backslash takes the meaning from what follows.
    pub escapes: bool,
    /// A dot at the beginning must be matched by a dot.
    pub dots: bool,
    /// Stars and question marks match no slash.
    pub paths: bool,
}

/// Whether `text` matches a shell pattern.
pub fn shell(pattern: &OsStr, how: Shell, text: &OsStr) -> Result<bool, Errno> {
    let (pattern, text) = (c_string(pattern)?, c_string(text)?);
    let flags = if how.escapes { 0 } else { libc::FNM_NOESCAPE }
        | if how.dots { libc::FNM_PERIOD } else { 0 }
        | if how.paths { libc::FNM_PATHNAME } else { 0 };
    // SAFETY: both are C strings.
    match unsafe { libc::fnmatch(pattern.as_ptr(), text.as_ptr(), flags) } {
        0 => Ok(true),
        libc::FNM_NOMATCH => Ok(false),
        _ => Err(Errno::INVALID),
    }
}

/// How file names are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glob {
    pub sorted: bool,
    /// A slash behind each directory.
    pub mark: bool,
    /// A backslash takes the meaning from what follows.
    pub escapes: bool,
    /// A directory that cannot be read is an error.
    pub strict: bool,
    /// A directory that cannot be read is named on standard error, by a program of this name.
    pub warns: Option<&'static str>,
}

thread_local! {
    /// Who warns: the C library calls back without a place of ours.
    static WARNS: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

extern "C" fn warn(path: *const libc::c_char, errno: libc::c_int) -> libc::c_int {
    if let Some(name) = WARNS.get() {
        // SAFETY: glob hands over the C string that it could not read.
        let path = unsafe { CStr::from_ptr(path) };
        eprintln!("{name}: warning: unable to read {} while looking for files: {}", path.to_string_lossy(), Errno(errno));
    }
    0
}

/// The names of files that match a shell pattern; none: one of its directories cannot be read.
pub fn files(pattern: &OsStr, how: Glob) -> Result<Vec<OsString>, Errno> {
    let pattern = c_string(pattern)?;
    let flags = if how.sorted { 0 } else { libc::GLOB_NOSORT }
        | if how.mark { libc::GLOB_MARK } else { 0 }
        | if how.escapes { 0 } else { libc::GLOB_NOESCAPE }
        | if how.strict { libc::GLOB_ERR } else { 0 };
    WARNS.set(how.warns);
    // SAFETY: all zero is a valid glob_t.
    let mut found: libc::glob_t = unsafe { std::mem::zeroed() };
    // SAFETY: `pattern` is a C string, `found` a place for the result.
    let code =
        unsafe { libc::glob(pattern.as_ptr(), flags, how.warns.map(|_| warn as extern "C" fn(_, _) -> _), &mut found) };
    let errno = Errno::last();
    let count = if code == 0 { found.gl_pathc as usize } else { 0 };
    let names = (0..count).map(|index| {
        // SAFETY: glob filled `gl_pathc` pointers to C strings, which live until globfree.
        let name = unsafe { CStr::from_ptr(*found.gl_pathv.add(index)) };
        OsString::from_vec(name.to_bytes().to_vec())
    });
    let names: Vec<OsString> = names.collect();
    // SAFETY: filled by glob, or all zero.
    unsafe { libc::globfree(&mut found) };
    match code {
        0 | libc::GLOB_NOMATCH => Ok(names),
        libc::GLOB_NOSPACE => Err(Errno::NO_MEMORY),
        _ => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_patterns() {
        let how = Shell { escapes: true, dots: false, paths: false };
        let matches = |pattern: &str, how: Shell, text: &str| shell(OsStr::new(pattern), how, OsStr::new(text));
        assert_eq!(matches("*.[ch]", how, ".a/b.c"), Ok(true));
        assert_eq!(matches("*.[ch]", Shell { dots: true, ..how }, ".a/b.c"), Ok(false));
        assert_eq!(matches("*.c", Shell { paths: true, ..how }, "a/b.c"), Ok(false));
        assert_eq!(matches(r"\*", how, "*"), Ok(true));
        assert_eq!(matches(r"\*", Shell { escapes: false, ..how }, r"\x"), Ok(true));
    }

    #[test]
    fn names_of_files() {
        let how = Glob { sorted: true, mark: true, escapes: true, strict: false, warns: None };
        assert_eq!(files(OsStr::new("/et[c]"), how), Ok(vec!["/etc/".into()]));
        assert_eq!(files(OsStr::new("/no such thing*"), how), Ok(vec![]));
    }
}
