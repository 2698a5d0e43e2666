//! Patterns of the C library: regular expressions, shell patterns, and file names that match one.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::errno::Errno;

fn c_string(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::INVALID)
}

/// How a regular expression is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub extended: bool,
    pub ignore_case: bool,
}

/// Matches `text` against a POSIX regular expression: what the whole of it and each of its bracketed parts matched, or none if
/// it does not match. A part that took no part in it is empty. The error is the C library's sentence on what is wrong.
pub fn regular(expression: &OsStr, dialect: Dialect, text: &OsStr) -> Result<Option<Vec<Range<usize>>>, String> {
    let no_nul = |_| "it has a NUL byte".to_owned();
    let (expression, text) = (c_string(expression).map_err(no_nul)?, c_string(text).map_err(no_nul)?);
    let compiled = Regex::compile(&expression, dialect)?;
    // As many as there are opening brackets at most, and the whole.
    let places = 1 + expression.as_bytes().iter().filter(|&&byte| byte == b'(').count();
    let mut matches = vec![libc::regmatch_t { rm_so: -1, rm_eo: -1 }; places];
    // SAFETY: `compiled` was compiled, `text` is a C string, `matches` has as many places as it is said to have.
    let result = unsafe { libc::regexec(&compiled.0, text.as_ptr(), matches.len(), matches.as_mut_ptr(), 0) };
    match result {
        0 => {}
        libc::REG_NOMATCH => return Ok(None),
        code => return Err(message(code, &compiled.0)),
    }
    let offset = |number: libc::regoff_t| usize::try_from(number).unwrap_or(0);
    let found = matches.iter().take(1 + compiled.parts()).map(|found| offset(found.rm_so)..offset(found.rm_eo));
    Ok(Some(found.collect()))
}

struct Regex(libc::regex_t);

impl Regex {
    fn compile(expression: &CStr, dialect: Dialect) -> Result<Regex, String> {
        let extended = if dialect.extended { libc::REG_EXTENDED } else { 0 };
        let flags = extended | if dialect.ignore_case { libc::REG_ICASE } else { 0 };
        let mut place = MaybeUninit::<libc::regex_t>::zeroed();
        // SAFETY: `place` is a place for a regex_t, `expression` a C string.
        let code = unsafe { libc::regcomp(place.as_mut_ptr(), expression.as_ptr(), flags) };
        // SAFETY: all zero is a valid regex_t, and regcomp made it a meaningful one where it succeeded.
        let regex = unsafe { place.assume_init() };
        if code == 0 { Ok(Regex(regex)) } else { Err(message(code, &regex)) }
    }

    /// How many bracketed parts it has.
    fn parts(&self) -> usize {
        // The field has a name of its own in each C library, and is hidden by the crate libc in all of them.
        #[cfg(target_env = "musl")]
        const OFFSET: usize = 0;
        #[cfg(not(target_env = "musl"))]
        const OFFSET: usize = 6 * std::mem::size_of::<usize>();
        let place = (&raw const self.0).cast::<u8>().wrapping_add(OFFSET).cast::<libc::size_t>();
        // SAFETY: `re_nsub` is a size_t, first in musl's regex_t (regex.h) and behind six words in that of glibc (a pointer, two
        // sizes, one unsigned long, two pointers).
        unsafe { place.read() }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: it was compiled, and nobody uses it any more.
        unsafe { libc::regfree(&mut self.0) };
    }
}

fn message(code: libc::c_int, regex: &libc::regex_t) -> String {
    let mut text = [0_u8; 256];
    // SAFETY: `text` is writable for its length; regerror ends it with a NUL byte.
    unsafe { libc::regerror(code, regex, text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy().into_owned()
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

    fn parts(expression: &str, extended: bool, text: &str) -> Option<Vec<String>> {
        let dialect = Dialect { extended, ignore_case: false };
        let found = regular(OsStr::new(expression), dialect, OsStr::new(text)).expect("a good expression");
        found.map(|ranges| ranges.into_iter().map(|range| text[range].to_owned()).collect())
    }

    #[test]
    fn parts_are_counted_as_the_library_counts_them() {
        assert_eq!(
            parts("^([fo]+)bar(baz)$", true, "foobarbaz"),
            Some(["foobarbaz", "foo", "baz"].map(str::to_owned).into())
        );
        assert_eq!(parts("^a[(]$", true, "a("), Some(vec!["a(".to_owned()]));
        assert_eq!(parts(r"^\(a\)(b)$", false, "a(b)"), Some(["a(b)", "a"].map(str::to_owned).into()));
        assert_eq!(parts("^(a)|(b)$", true, "b"), Some(["b", "", "b"].map(str::to_owned).into()));
        assert_eq!(parts("^x$", true, "y"), None);
    }

    #[test]
    fn a_bad_expression_is_explained() {
        let dialect = Dialect { extended: true, ignore_case: false };
        let said = regular(OsStr::new("(a"), dialect, OsStr::new("a")).expect_err("a bracket is open");
        assert!(!said.is_empty());
        let dialect = Dialect { extended: true, ignore_case: true };
        assert!(regular(OsStr::new("^A$"), dialect, OsStr::new("a")).is_ok_and(|found| found.is_some()));
    }

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
