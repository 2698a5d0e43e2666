//! Standard output and standard error. `println!` is not used anywhere: it panics when the reader is gone.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};

use serde::Serialize;

use crate::exit::Failure;

/// Standard output, written in few system calls. What is pending is written by [`Output::flush`] only.
pub struct Output {
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub fn new() -> Output {
        Output { stdout: BufWriter::with_capacity(64 * 1024, io::stdout()) }
    }

    pub fn is_terminal(&self) -> bool {
        self.stdout.get_ref().is_terminal()
    }

    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(line)?;
        self.text("\n")
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(|error| refused(&error))
    }

    /// Prints one answer of the API for `--json`.
    pub fn json(&mut self, answer: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(answer)
            .map_err(|error| Failure::system(format!("cannot write the answer as JSON: {error}")))?;
        self.line(&text)
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().and_then(|()| self.stdout.get_mut().flush()).map_err(|error| refused(&error))
    }
}

fn refused(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::system(format!("cannot write to standard output: {error}")),
    }
}

/// Tells the user on standard error what went wrong.
pub fn complain(message: &str) {
    // One write, so that the lines of several runs do not mix; if it fails there is nobody to tell.
    let _ = io::stderr().write_all(format!("svc-ctl: {message}\n").as_bytes());
}
