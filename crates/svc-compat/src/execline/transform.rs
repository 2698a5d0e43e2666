//! What may be done to a value before it is substituted: crunched, chomped, split.

use std::os::unix::ffi::OsStrExt;

use crate::command::{Call, Opt};

/// The options of commands that transform a value, but `-s`.
pub const CRUNCH: Opt = Opt::flag('C', "take delimiters that follow each other as one");
pub const NO_CRUNCH: Opt = Opt::flag('c', "undo -C");
pub const CHOMP: Opt = Opt::flag('n', "drop a delimiter at the end");
pub const NO_CHOMP: Opt = Opt::flag('N', "undo -n");
pub const SPLIT: Opt = Opt::flag('s', "split the value at each delimiter");
pub const DELIMITERS: Opt =
    Opt::with('d', "CHARS", "delimiters, by default blanks; empty: the value is a row of netstrings");

pub struct Transform {
    /// Each character of it is one.
    pub delimiters: Vec<u8>,
    pub crunch: bool,
    pub chomp: bool,
    pub split: bool,
}

/// A value that was to be split is no row of netstrings.
#[derive(Debug, PartialEq, Eq)]
pub struct NoNetstrings;

impl Transform {
    pub fn of(call: &Call) -> Transform {
        Transform {
            delimiters: call.value('d').map_or(b" \n\r\t".to_vec(), |value| value.as_bytes().to_vec()),
            crunch: call.last(&['C', 'c']) == Some('C'),
            chomp: call.last(&['N', 'n']) == Some('n'),
            split: call.has('s'),
        }
    }

    /// The words that a value is: one, unless it is split.
    pub fn apply(&self, value: &[u8]) -> Result<Vec<Vec<u8>>, NoNetstrings> {
        let is_delimiter = |byte: &u8| self.delimiters.contains(byte);
        let mut value = value.to_vec();
        if self.crunch {
            value.dedup_by(|later, earlier| is_delimiter(later) && is_delimiter(earlier));
        }
        let chomped = self.chomp && value.pop_if(|last| is_delimiter(last)).is_some();
        if !self.split {
            return Ok(vec![value]);
        }
        if self.delimiters.is_empty() {
            return netstrings(&value);
        }
        let mut words: Vec<Vec<u8>> = value.split(is_delimiter).map(<[u8]>::to_vec).collect();
        // What stands behind the last delimiter is a word if it is not empty; and none where chomping found that the value
        // does not end as it should.
        if words.last().is_some_and(|last| last.is_empty() || self.chomp && !chomped) {
            words.pop();
        }
        Ok(words)
    }
}

/// Takes `3:abc,` apart, as often as it stands there.
fn netstrings(mut text: &[u8]) -> Result<Vec<Vec<u8>>, NoNetstrings> {
    let mut words = Vec::new();
    while !text.is_empty() {
        let colon = text.iter().position(|&byte| byte == b':').ok_or(NoNetstrings)?;
        let digits = std::str::from_utf8(&text[..colon]).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or(NoNetstrings)?;
        let rest = &text[colon + 1..];
        if rest.get(length) != Some(&b',') {
            return Err(NoNetstrings);
        }
        words.push(rest[..length].to_vec());
        text = &rest[length + 1..];
    }
    Ok(words)
}

/// `3:abc,`.
pub fn netstring(word: &[u8]) -> Vec<u8> {
    [word.len().to_string().as_bytes(), b":", word, b","].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(letters: &str, delimiters: &str, value: &str) -> Result<Vec<String>, NoNetstrings> {
        let has = |letter: char| letters.contains(letter);
        let transform =
            Transform { delimiters: delimiters.as_bytes().to_vec(), crunch: has('C'), chomp: has('n'), split: has('s') };
        let words = transform.apply(value.as_bytes())?;
        Ok(words.into_iter().map(|word| String::from_utf8(word).expect("text")).collect())
    }

    fn words(letters: &str, value: &str) -> Vec<String> {
        apply(letters, " ,", value).expect("no netstrings")
    }

    #[test]
    fn without_options_nothing_changes() {
        assert_eq!(words("", "a  b, "), ["a  b, "]);
        assert_eq!(words("", ""), [""]);
    }

    #[test]
    fn crunching_keeps_the_first_of_a_row() {
        assert_eq!(words("C", " ,a, ,b ,"), [" a,b "]);
        assert_eq!(words("Cn", "a ,"), ["a"]);
        assert_eq!(words("n", "a ,"), ["a "]);
    }

    #[test]
    fn splitting() {
        assert_eq!(words("s", "a b"), ["a", "b"]);
        assert_eq!(words("s", "a b "), ["a", "b"]);
        assert_eq!(words("s", " a  b"), ["", "a", "", "b"]);
        assert_eq!(words("s", ""), [""; 0]);
        assert_eq!(words("s", " "), [""]);
        assert_eq!(words("Cs", "  a  b  "), ["", "a", "b"]);
    }

    #[test]
    fn chomping_drops_what_has_no_end() {
        assert_eq!(words("sn", "a b "), ["a", "b"]);
        assert_eq!(words("sn", "a b"), ["a"]);
        assert_eq!(words("sn", "ab"), [""; 0]);
        assert_eq!(words("sn", "a  "), ["a"]);
    }

    #[test]
    fn netstrings_need_no_delimiter() {
        assert_eq!(apply("s", "", "1:a,2:bb,0:,7:xyz 123,1: ,"), Ok(["a", "bb", "", "xyz 123", " "].map(Into::into).into()));
        assert_eq!(apply("s", "", ""), Ok(vec![]));
        for bad in ["a", "1:a", "2:a,", "1:ab,", ":,", "-1:,", "99999999999999999999:a,"] {
            assert_eq!(apply("s", "", bad), Err(NoNetstrings), "{bad}");
        }
        assert_eq!(netstring(b"ab"), b"2:ab,");
    }
}
