//! Which lines are meant.

use svc_sys::bytes;
use svc_sys::regex::Regex;

/// A pattern, compiled. The simple ones, which are most, need no regular expression.
pub(super) enum Pattern {
    Everything,
    Contains(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
    Regex(Regex),
    /// multilog's: a star matches what does not have the next byte, and, at the end, everything.
    Stars(Vec<u8>),
    /// svlogd's: the same, and a plus matches the next byte once or more.
    StarsAndPluses(Vec<u8>),
}

impl Pattern {
    /// A POSIX extended regular expression. The error says what is wrong with it.
    pub(super) fn expression(text: &[u8]) -> Result<Pattern, String> {
        let is_plain = |text: &[u8]| !text.iter().any(|byte| b"\\^$.[]()|*+?{}".contains(byte));
        if matches!(text, b"" | b".*" | b"^" | b"$" | b"^.*" | b".*$" | b"^.*$") {
            return Ok(Pattern::Everything);
        }
        if is_plain(text) {
            return Ok(Pattern::Contains(text.to_vec()));
        }
        match text {
            [b'^', rest @ ..] if is_plain(rest) => Ok(Pattern::Begins(rest.to_vec())),
            [rest @ .., b'$'] if is_plain(rest) => Ok(Pattern::Ends(rest.to_vec())),
            _ => Regex::new(text).map(Pattern::Regex),
        }
    }

    pub(super) fn is_match(&self, line: &[u8]) -> bool {
        match self {
            Pattern::Everything => true,
            Pattern::Contains(text) => contains(line, text),
            Pattern::Begins(text) => line.starts_with(text),
            Pattern::Ends(text) => line.ends_with(text),
            Pattern::Regex(regex) => regex.is_match(line),
            Pattern::Stars(pattern) => stars(pattern, line, false),
            Pattern::StarsAndPluses(pattern) => stars(pattern, line, true),
        }
    }
}

/// Whether `text`, which is not empty, is somewhere in `line`.
fn contains(line: &[u8], text: &[u8]) -> bool {
    let mut rest = line;
    while let Some(at) = bytes::find(text[0], rest) {
        rest = &rest[at..];
        if rest.starts_with(text) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

fn stars(pattern: &[u8], line: &[u8], pluses: bool) -> bool {
    let (mut pattern, mut line) = (pattern, line);
    loop {
        match pattern {
            [] => return line.is_empty(),
            [b'*'] => return true,
            [b'*', rest @ ..] => {
                let Some(at) = bytes::find(rest[0], line) else { return false };
                (pattern, line) = (rest, &line[at..]);
            }
            [b'+', rest @ ..] if pluses => {
                let [wanted, rest @ ..] = rest else { return false };
                let count = line.iter().take_while(|byte| *byte == wanted).count();
                if count == 0 {
                    return false;
                }
                if count == line.len() {
                    return true;
                }
                (pattern, line) = (rest, &line[count..]);
            }
            [wanted, rest @ ..] => match line {
                [byte, more @ ..] if byte == wanted => (pattern, line) = (rest, more),
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cuts_say_what_the_expression_says() {
        let lines: [&[u8]; 7] = [b"", b"a", b"ab", b"xab", b"abx", b"aab", b"b"];
        for text in ["", ".*", "^", "a", "ab", "^ab", "ab$", "b$", "^a"] {
            let (short, long) = (Pattern::expression(text.as_bytes()), Regex::new(text.as_bytes()));
            let (Ok(short), Ok(long)) = (short, long) else { panic!("{text} is good") };
            assert!(!matches!(short, Pattern::Regex(_)), "{text} has a short cut");
            for line in lines {
                assert_eq!(short.is_match(line), long.is_match(line), "{text} on {}", line.escape_ascii());
            }
        }
        assert!(Pattern::expression(b"(a|b)+").is_ok_and(|pattern| pattern.is_match(b"b")));
        assert!(Pattern::expression(b"(a").is_err());
    }

    #[test]
    fn stars_stop_at_the_next_byte() {
        let is = |pattern: &str, line: &str| Pattern::Stars(pattern.into()).is_match(line.as_bytes());
        assert!(is("hello", "hello") && !is("hello", "hello world") && is("*", "") && is("", ""));
        assert!(is("named[*]: Cleaned cache *", "named[135]: Cleaned cache of 3121 RRs"));
        assert!(!is("*pid*", "12 tcpsvd: info: pid 1977") && is("*: *: pid *", "12 tcpsvd: info: pid 1977"));
        assert!(is("a+", "a+") && !is("+a", "aa"));
        let is = |pattern: &str, line: &str| Pattern::StarsAndPluses(pattern.into()).is_match(line.as_bytes());
        assert!(is("+ab", "aaab") && !is("+ab", "b") && !is("+a", "ba") && is("+a", "aaa"));
    }
}
