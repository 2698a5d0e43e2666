//! Blocks of words, as execlineb hands them over: each word with a space in front, and an empty word at the end. What people
//! type by hand has no spaces.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::command::Failure;

/// The words of the block at the beginning, and what follows it.
pub(crate) fn split(words: &[OsString]) -> Result<(Vec<OsString>, &[OsString]), Failure> {
    let end = words.iter().position(|word| word.is_empty());
    let end = end.ok_or_else(|| Failure::usage("the block before the program has no end: an empty word is missing"))?;
    let bare = |word: &OsString| match word.as_bytes() {
        [b' ', rest @ ..] => OsString::from_vec(rest.to_vec()),
        _ => word.clone(),
    };
    Ok((words[..end].iter().map(bare).collect(), &words[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_at_an_empty_word() {
        let words: Vec<OsString> = [" a", "b", " ", "  c", "", "prog", ""].map(OsString::from).to_vec();
        let (block, rest) = split(&words).expect("it has an end");
        assert_eq!(block, ["a", "b", "", " c"]);
        assert_eq!(rest, ["prog", ""]);
        assert!(split(&words[..4]).is_err());
    }
}
