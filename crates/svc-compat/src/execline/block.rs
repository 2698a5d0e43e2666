//! Blocks in a command line: words with a space in front, up to an empty word.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::frame::decimal;
use super::program::refused;
use crate::command::{Call, Failure};

/// What EXECLINE_STRICT says on words of blocks that have no space in front: a script that no execlineb has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Silent,
    Warns,
    Refuses,
}

impl Strictness {
    /// As the environment has it.
    pub fn inherited() -> Strictness {
        let value = std::env::var_os("EXECLINE_STRICT");
        value.as_deref().and_then(decimal).map_or(Strictness::Silent, Strictness::of)
    }

    pub fn of(number: u32) -> Strictness {
        match number {
            0 => Strictness::Silent,
            1 => Strictness::Warns,
            2.. => Strictness::Refuses,
        }
    }

    /// Says it, in the way that it is to be said.
    pub fn complain(self, call: &Call, what: String) -> Result<(), Failure> {
        match self {
            Strictness::Silent => Ok(()),
            Strictness::Warns => {
                call.warn(what);
                Ok(())
            }
            Strictness::Refuses => Err(refused(what)),
        }
    }
}

/// One word of a block without its space; whether it had one.
pub fn unquote(word: &OsStr) -> (&OsStr, bool) {
    match word.as_bytes().strip_prefix(b" ") {
        Some(inside) => (OsStr::from_bytes(inside), true),
        None => (word, false),
    }
}

/// Takes blocks from the front of words.
pub struct Blocks<'a> {
    call: &'a Call,
    rest: &'a [OsString],
    taken: usize,
    strictness: Strictness,
}

impl<'a> Blocks<'a> {
    /// Of a command's operands, from `index` on.
    pub fn of(call: &'a Call, index: usize) -> Blocks<'a> {
        Blocks::within(call, call.operands.get(index..).unwrap_or_default())
    }

    /// Of words of a block that a command was given.
    pub fn within(call: &'a Call, words: &'a [OsString]) -> Blocks<'a> {
        Blocks { call, rest: words, taken: 0, strictness: Strictness::inherited() }
    }

    /// The next word, if it is not the last: what stands before a block.
    pub fn word(&mut self) -> Option<&'a OsStr> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(word)
    }

    /// The next block, which a message calls `what`.
    pub fn block(&mut self, what: &str) -> Result<Vec<OsString>, Failure> {
        match self.block_if_any()? {
            Some(block) => Ok(block),
            None => Err(refused(format!(
                "{what} has no end: write it as {{ ... }} in a script, and with '' behind it elsewhere"
            ))),
        }
    }

    /// The same for a block that must not be empty.
    pub fn full_block(&mut self, what: &str) -> Result<Vec<OsString>, Failure> {
        let block = self.block(what)?;
        if block.is_empty() { Err(refused(format!("{what} is empty"))) } else { Ok(block) }
    }

    /// The next block, if there is the end of one.
    pub fn block_if_any(&mut self) -> Result<Option<Vec<OsString>>, Failure> {
        self.taken += 1;
        let Some(length) = self.rest.iter().position(|word| word.is_empty()) else { return Ok(None) };
        let mut block = Vec::new();
        for (position, word) in self.rest[..length].iter().enumerate() {
            let (word, quoted) = unquote(word);
            if !quoted {
                let what = format!("word {position} of block {} has no space in front: {}", self.taken, word.display());
                self.strictness.complain(self.call, what)?;
            }
            block.push(word.to_owned());
        }
        self.rest = &self.rest[length + 1..];
        Ok(Some(block))
    }

    /// What follows the blocks.
    pub fn rest(&self) -> &'a [OsString] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn call(operands: &[&str]) -> Call {
        let command = crate::find("foreground").expect("ours");
        Call { command, given: Vec::new(), operands: words(operands) }
    }

    #[test]
    fn blocks_end_at_an_empty_word_and_lose_a_space() {
        let call = call(&[" a", "  b", " ", "", "c", "", "d", "", ""]);
        let mut blocks = Blocks::of(&call, 0);
        assert_eq!(blocks.block("it").expect("there"), words(&["a", " b", ""]));
        assert_eq!(blocks.block("it").expect("there"), words(&["c"]));
        assert_eq!(blocks.rest(), words(&["d", "", ""]));
        assert_eq!(blocks.word(), Some(OsStr::new("d")));
        assert_eq!(blocks.block("it").expect("there"), words(&[]));
        assert_eq!(blocks.rest().len(), 1);
    }

    #[test]
    fn a_block_without_end_is_refused() {
        let call = call(&[" a", " b"]);
        let mut blocks = Blocks::of(&call, 0);
        assert!(matches!(blocks.block_if_any(), Ok(None)));
        assert!(matches!(blocks.block("the block"), Err(Failure::Fatal { code: 100, .. })));
        assert_eq!(blocks.rest().len(), 2);
    }
}
