//! Standard input and output, as these programs use them.

use std::io::{self, BufRead, Write};

use crate::command::Failure;

/// Writes to standard output.
pub(super) fn put(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| unwritable(&error))
}

pub(super) fn unwritable(error: &io::Error) -> Failure {
    Failure::system(format!("unable to write to standard output: {error}"))
}

pub(super) fn unreadable(error: &io::Error) -> Failure {
    Failure::system(format!("unable to read from standard input: {error}"))
}

/// Calls `act` with each line of standard input, without its end, and whether it has one: the last may have none. What was written
/// is on its way before the next line is waited for.
pub(super) fn each_line(end: u8, mut act: impl FnMut(&[u8], bool) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(end, &mut line).map_err(|error| unreadable(&error))? == 0 {
            return Ok(());
        }
        let ended = line.last() == Some(&end);
        act(&line[..line.len() - usize::from(ended)], ended)?;
    }
}
