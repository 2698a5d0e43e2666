//! Regular expressions as the C library has them: those of POSIX, on bytes.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ops::Range;

/// How an expression is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub extended: bool,
    pub ignore_case: bool,
}

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
        Regex::compile(pattern, libc::REG_EXTENDED | libc::REG_NOSUB)
    }

    fn compile(pattern: &[u8], flags: libc::c_int) -> Result<Regex, String> {
        let pattern = CString::new(pattern).map_err(|_| String::from("a NUL byte stands in it"))?;
        let mut place = Box::new(MaybeUninit::<libc::regex_t>::uninit());
        // SAFETY: `place` has room for a regex_t, and `pattern` is a C string.
        let code = unsafe { libc::regcomp(place.as_mut_ptr(), pattern.as_ptr(), flags) };
        if code != 0 {
            return Err(explain(code, place.as_ptr()));
        }
        // SAFETY: regcomp has succeeded, so it has filled the place.
        let compiled = unsafe { Box::from_raw(Box::into_raw(place).cast()) };
        Ok(Regex { compiled, text: RefCell::default() })
    }

    /// Whether it is found anywhere in the text. What stands behind a NUL byte is not looked at.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.run(text, &mut []) == 0
    }

    /// The C library's answer. Fills `places` with what the whole matched and its bracketed parts.
    fn run(&self, text: &[u8], places: &mut [libc::regmatch_t]) -> libc::c_int {
        let mut place = self.text.borrow_mut();
        place.clear();
        place.extend_from_slice(text);
        place.push(0);
        // SAFETY: `compiled` is what regcomp made, the text ends with a NUL byte, and there are as many places as it is told.
        unsafe { libc::regexec(&*self.compiled, place.as_ptr().cast(), places.len(), places.as_mut_ptr(), 0) }
    }

    /// How many bracketed parts it has.
    fn parts(&self) -> usize {
        // The field has a name of its own in each C library, and is hidden by the crate libc in all of them.
        #[cfg(target_env = "musl")]
        const OFFSET: usize = 0;
        #[cfg(not(target_env = "musl"))]
        const OFFSET: usize = 6 * std::mem::size_of::<usize>();
        let place = (&raw const *self.compiled).cast::<u8>().wrapping_add(OFFSET).cast::<libc::size_t>();
        // SAFETY: `re_nsub` is a size_t, first in musl's regex_t (regex.h) and behind six words in that of glibc (a pointer, two
        // sizes, one unsigned long, two pointers).
        unsafe { place.read() }
    }
}

/// Matches `text` against an expression: what the whole of it and each of its bracketed parts matched, or none if it does not
/// match. A part that took no part in it is empty. The error is the C library's sentence on what is wrong.
pub fn parts(expression: &[u8], dialect: Dialect, text: &[u8]) -> Result<Option<Vec<Range<usize>>>, String> {
    let extended = if dialect.extended { libc::REG_EXTENDED } else { 0 };
    let regex = Regex::compile(expression, extended | if dialect.ignore_case { libc::REG_ICASE } else { 0 })?;
    let mut places = vec![libc::regmatch_t { rm_so: -1, rm_eo: -1 }; 1 + regex.parts()];
    match regex.run(text, &mut places) {
        0 => {}
        libc::REG_NOMATCH => return Ok(None),
        code => return Err(explain(code, &*regex.compiled)),
    }
    let offset = |number: libc::regoff_t| usize::try_from(number).unwrap_or(0);
    Ok(Some(places.iter().map(|found| offset(found.rm_so)..offset(found.rm_eo)).collect()))
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: regcomp has made it, and it is freed once.
        unsafe { libc::regfree(&mut *self.compiled) };
    }
}

/// What the C library says about what went wrong.
fn explain(code: libc::c_int, place: *const libc::regex_t) -> String {
    let mut text = [0_u8; 128];
    // SAFETY: `text` is writable for its length, which leaves it ended by a NUL byte. The place is one that regcomp has been
    // given.
    unsafe { libc::regerror(code, place, text.as_mut_ptr().cast(), text.len()) };
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

    fn found(expression: &str, extended: bool, text: &str) -> Option<Vec<String>> {
        let dialect = Dialect { extended, ignore_case: false };
        let found = parts(expression.as_bytes(), dialect, text.as_bytes()).expect("a good expression");
        found.map(|ranges| ranges.into_iter().map(|range| text[range].to_owned()).collect())
    }

    #[test]
    fn parts_are_counted_as_the_library_counts_them() {
        assert_eq!(
            found("^([fo]+)bar(baz)$", true, "foobarbaz"),
            Some(["foobarbaz", "foo", "baz"].map(str::to_owned).into())
        );
        assert_eq!(found("^a[(]$", true, "a("), Some(vec!["a(".to_owned()]));
        assert_eq!(found(r"^\(a\)(b)$", false, "a(b)"), Some(["a(b)", "a"].map(str::to_owned).into()));
        assert_eq!(found("^(a)|(b)$", true, "b"), Some(["b", "", "b"].map(str::to_owned).into()));
        assert_eq!(found("^x$", true, "y"), None);
    }

    #[test]
    fn case_may_be_ignored() {
        let dialect = Dialect { extended: true, ignore_case: true };
        assert!(parts(b"^A$", dialect, b"a").is_ok_and(|found| found.is_some()));
        assert!(parts(b"(a", dialect, b"a").is_err_and(|said| !said.is_empty()), "a bracket is open");
    }
}
