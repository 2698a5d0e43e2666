//! Programs that change each line on its way from standard input to standard output.

use std::io::{self, ErrorKind, Read, Write};

use svc_sys::bytes;

use crate::command::{Failure, Outcome};

const BLOCK: usize = 64 * 1024;

/// A line on its way.
pub(super) struct Line<'a> {
    /// Without its end.
    pub(super) text: &'a [u8],
    /// Whether it has one; the last line may not.
    pub(super) is_whole: bool,
}

/// Gives each line to `change`, which appends what becomes of it. What has come is passed on before more is waited for.
pub(super) fn run(ends: &[u8], mut change: impl FnMut(Line, &mut Vec<u8>)) -> Outcome {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let (mut buffer, mut held, mut out) = (vec![0; BLOCK], 0, Vec::new());
    loop {
        if held == buffer.len() {
            buffer.resize(2 * held, 0);
        }
        let count = match input.read(&mut buffer[held..]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::system(format!("unable to read standard input: {error}"))),
        };
        let end = held + count;
        let (mut begin, mut from) = (0, held);
        while let Some(at) = next_end(&buffer[from..end], ends) {
            change(Line { text: &buffer[begin..from + at], is_whole: true }, &mut out);
            begin = from + at + 1;
            from = begin;
        }
        if count == 0 && begin < end {
            change(Line { text: &buffer[begin..end], is_whole: false }, &mut out);
        }
        let written = output.write_all(&out).and_then(|()| output.flush());
        written.map_err(|error| Failure::system(format!("unable to write standard output: {error}")))?;
        if count == 0 {
            return Ok(0);
        }
        out.clear();
        buffer.copy_within(begin..end, 0);
        held = end - begin;
    }
}

fn next_end(bytes: &[u8], ends: &[u8]) -> Option<usize> {
    ends.iter().filter_map(|&end| bytes::find(end, bytes)).min()
}
