//! Substitution: `$KEY` and `${KEY}` in words, replaced by values.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What stands for a key: one word, several (a split value), or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: Vec<u8>,
    pub values: Vec<Vec<u8>>,
}

impl Key {
    pub fn new(name: &[u8], values: Vec<Vec<u8>>) -> Key {
        Key { name: name.to_vec(), values }
    }

    pub fn one(name: &[u8], value: &[u8]) -> Key {
        Key::new(name, vec![value.to_vec()])
    }
}

/// The words with all keys replaced at once. A word with a key of several values becomes several words, the first key of it
/// changing slowest; one with a key that has no value disappears.
pub fn substitute(words: &[OsString], keys: &[Key]) -> Vec<OsString> {
    words.iter().flat_map(|word| expand(&parse(word.as_bytes(), keys))).map(OsString::from_vec).collect()
}

/// A piece of a word.
enum Piece<'a> {
    Text(Vec<u8>),
    Values(&'a [Vec<u8>]),
}

fn expand(pieces: &[Piece]) -> Vec<Vec<u8>> {
    let mut words = vec![Vec::new()];
    for piece in pieces {
        match piece {
            Piece::Text(text) => words.iter_mut().for_each(|word| word.extend(text)),
            Piece::Values(values) => {
                words = words.iter().flat_map(|word| values.iter().map(move |value| [&word[..], value].concat())).collect();
            }
        }
    }
    words
}

/// Where a name ends, and where the next look begins: none of these may be part of it.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'$' | b'{' | b'}')
}

fn parse<'a>(word: &[u8], keys: &'a [Key]) -> Vec<Piece<'a>> {
    let (mut pieces, mut text) = (Vec::new(), Vec::new());
    let mut rest = word;
    while let Some(&byte) = rest.first() {
        let found = reference(rest).and_then(|(name, length)| {
            let key = keys.iter().find(|key| key.name == name)?;
            Some((key, length))
        });
        let Some((key, length)) = found else {
            text.push(byte);
            rest = &rest[1..];
            continue;
        };
        // Backslashes before it quote: of two one is left, and an odd one says that this is no reference.
        let backslashes = text.iter().rev().take_while(|&&byte| byte == b'\\').count();
        text.truncate(text.len() - backslashes.div_ceil(2));
        let (reference, behind) = rest.split_at(length);
        if backslashes % 2 == 1 {
            text.extend(reference);
        } else {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Values(&key.values));
        }
        rest = behind;
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// The name that `text` begins with a reference to, and how long the reference is.
fn reference(text: &[u8]) -> Option<(&[u8], usize)> {
    let behind = text.strip_prefix(b"$")?;
    let in_braces = behind.strip_prefix(b"{");
    let begin = in_braces.unwrap_or(behind);
    let length = begin.iter().position(|&byte| is_special(byte)).unwrap_or(begin.len());
    let name = &begin[..length];
    match in_braces {
        _ if name.is_empty() => None,
        None => Some((name, 1 + length)),
        Some(_) if begin.get(length) == Some(&b'}') => Some((name, length + 3)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(keys: &[(&str, &[&str])], word: &str) -> Vec<String> {
        let key = |(name, values): &(&str, &[&str])| {
            Key::new(name.as_bytes(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
        };
        let keys: Vec<Key> = keys.iter().map(key).collect();
        let words = substitute(&[OsString::from(word)], &keys);
        words.into_iter().map(|word| word.into_string().expect("text")).collect()
    }

    #[test]
    fn a_key_is_replaced_where_it_stands() {
        let keys: &[(&str, &[&str])] = &[("A", &["val"]), ("B C", &["bc"])];
        assert_eq!(with(keys, "x${A}y$A"), ["xvalyval"]);
        assert_eq!(with(keys, "$Ab ${Ab} ${A $ ${} $"), ["$Ab ${Ab} ${A $ ${} $"]);
        assert_eq!(with(keys, "$A$A}${A}{"), ["valval}val{"]);
        assert_eq!(with(keys, "${${A}}$$A"), ["${val}$val"]);
        assert_eq!(with(keys, "$B C"), ["bc"]);
    }

    #[test]
    fn backslashes_quote_only_what_would_be_replaced() {
        let keys: &[(&str, &[&str])] = &[("A", &["val"])];
        for (word, becomes) in [
            (r"$A", "val"),
            (r"\$A", "$A"),
            (r"\\$A", r"\val"),
            (r"\\\$A", r"\$A"),
            (r"\\\\${A}\${A}", r"\\val${A}"),
            (r"\$B\\$B", r"\$B\\$B"),
            (r"$A\$A\\", r"val$A\\"),
        ] {
            assert_eq!(with(keys, word), [becomes], "{word}");
        }
    }

    #[test]
    fn several_values_make_several_words() {
        let keys: &[(&str, &[&str])] = &[("A", &["a", "b"]), ("B", &["1", "2"]), ("N", &[]), ("E", &[""])];
        assert_eq!(with(keys, "${A}x${B}"), ["ax1", "ax2", "bx1", "bx2"]);
        assert_eq!(with(keys, " $A"), [" a", " b"]);
        assert_eq!(with(keys, "x${N}y${A}"), [""; 0]);
        assert_eq!(with(keys, "$E"), [""]);
    }

    #[test]
    fn values_are_not_looked_at_again() {
        assert_eq!(with(&[("A", &["$B\\"]), ("B", &["b"])], "$A$B"), ["$B\\b"]);
    }
}
