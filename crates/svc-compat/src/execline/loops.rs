//! Programs that run several times.

use std::ffi::{OsStr, OsString};

use svc_core::{Exit, Pid};
use svc_sys::exit;
use svc_sys::process::{self, Reap};

use super::block::Blocks;
use super::program::{AUTOIMPORT, Changes, NO_AUTOIMPORT, approximation, importing, run, start, variable_name, wait};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const OK_CODES: Opt = Opt::with('o', "CODES", "go on after these exit codes only (with commas between)");
pub const BREAK_CODES: Opt = Opt::with('x', "CODES", "end after one of these exit codes (with commas between)");
pub const PARALLEL: Opt = Opt::flag('p', "do not wait for one before the next begins, only at the end");
pub const BOUNDED: Opt = Opt::with('P', "N", "the same, at most N at a time");

pub const FORX: Command = Command {
    name: "forx",
    about: "run a program for each of several words",
    operands: "VARIABLE { WORD... } PROG...",
    options: &[PARALLEL, BOUNDED, OK_CODES, BREAK_CODES, AUTOIMPORT, NO_AUTOIMPORT],
    notes: "PROG finds the word in VARIABLE.",
    codes: &[(1, "with -p or -P: one of them ended with a code that -o or -x does not let pass")],
    run: forx,
};

pub const LOOPWHILEX: Command = Command {
    name: "loopwhilex",
    about: "run a program as long as it succeeds",
    operands: "PROG...",
    options: &[Opt::flag('n', "negate the test"), OK_CODES, BREAK_CODES],
    notes: "",
    codes: &[],
    run: loopwhilex,
};

/// Which exit codes let a loop go on.
pub struct Codes {
    listed: Vec<u32>,
    /// The listed ones end it, all others let it go on.
    breaks: bool,
}

impl Codes {
    pub fn of(call: &Call) -> Result<Codes, Failure> {
        let mut codes = Codes { listed: Vec::new(), breaks: true };
        for given in call.given.iter().filter(|given| matches!(given.letter, 'o' | 'x')) {
            codes = Codes { listed: list(&given.value, given.letter)?, breaks: given.letter == 'x' };
        }
        Ok(codes)
    }

    /// Whether the loop goes on after this end.
    pub fn allow(&self, end: Exit) -> bool {
        self.listed.contains(&u32::from(approximation(end))) != self.breaks
    }
}

fn list(text: &OsStr, letter: char) -> Result<Vec<u32>, Failure> {
    let wrong =
        || Failure::usage(format!("the value of -{letter} must be exit codes with commas, not '{}'", text.display()));
    let words = text.to_str().ok_or_else(wrong)?.split([',', ':', ';', ' ', '\t', '\r', '\n']);
    let codes = words.filter(|word| !word.is_empty()).map(|word| super::frame::decimal(OsStr::new(word)).ok_or_else(wrong));
    let codes: Vec<u32> = codes.collect::<Result<_, _>>()?;
    if codes.is_empty() { Err(wrong()) } else { Ok(codes) }
}

/// Runs a program for each word that a loop comes across.
pub struct Runner<'a> {
    words: Vec<OsString>,
    variable: &'a OsStr,
    codes: Codes,
    /// How many may run at a time; none: one, and the loop looks at how it ended.
    most: Option<usize>,
    running: Vec<Pid>,
    /// One that ran beside others ended with a code that is not allowed.
    failed: bool,
}

impl<'a> Runner<'a> {
    /// `words` is the program, `variable` where it finds the word.
    pub fn of(call: &Call, variable: &'a OsStr, words: &[OsString]) -> Result<Runner<'a>, Failure> {
        let most = match call.last(&['p', 'P']) {
            Some('p') => Some(usize::MAX),
            Some(_) => call.number('P')?.filter(|&most| most > 1),
            None => None,
        };
        let autoimport = call.last(&['E', 'e']) == Some('E');
        let words = importing(autoimport, variable, words);
        Ok(Runner { words, variable, codes: Codes::of(call)?, most, running: Vec::new(), failed: false })
    }

    /// Runs it once. The exit code, if that ends the loop.
    pub fn once(&mut self, value: &OsStr) -> Result<Option<u8>, Failure> {
        let pid = start(&self.words, Changes::one(self.variable, value))?;
        let Some(most) = self.most else {
            let end = wait(pid)?;
            return Ok((!self.codes.allow(end)).then(|| approximation(end)));
        };
        self.running.push(pid);
        while self.running.len() >= most {
            self.reap()?;
        }
        Ok(None)
    }

    /// Waits for all that run. Whether all of them ended well.
    pub fn finish(mut self) -> Result<bool, Failure> {
        while !self.running.is_empty() {
            self.reap()?;
        }
        Ok(!self.failed)
    }

    /// Waits for one; it may be a child that somebody else made before us.
    fn reap(&mut self) -> Result<(), Failure> {
        let Reap::One(reaped) = process::wait_any() else {
            return Err(Failure::system(
                "unable to wait for the programs that run: they are not ours (is SIGCHLD ignored?)",
            ));
        };
        let count = self.running.len();
        self.running.retain(|&pid| pid != reaped.pid);
        self.failed |= self.running.len() < count && !self.codes.allow(reaped.exit);
        Ok(())
    }
}

fn forx(call: &Call) -> Outcome {
    let variable = variable_name(call.operand(0, "VARIABLE")?)?;
    let mut blocks = Blocks::of(call, 1);
    let values = blocks.block("the block of words")?;
    let mut runner = Runner::of(call, variable, blocks.rest())?;
    if blocks.rest().is_empty() {
        return Ok(exit::DONE);
    }
    for value in &values {
        if let Some(code) = runner.once(value)? {
            return Ok(code);
        }
    }
    Ok(if runner.finish()? { exit::DONE } else { exit::FAILED })
}

fn loopwhilex(call: &Call) -> Outcome {
    let words = call.program(0)?;
    let mut codes = Codes::of(call)?;
    if codes.listed.is_empty() {
        codes = Codes { listed: vec![0], breaks: false };
    }
    loop {
        let end = run(words)?;
        if codes.allow(end) == call.has('n') {
            return Ok(approximation(end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_codes() {
        assert_eq!(list(OsStr::new("0,1, 255"), 'o').ok(), Some(vec![0, 1, 255]));
        for bad in ["", ",", "a", "1,x", "-1", "0x1"] {
            assert!(matches!(list(OsStr::new(bad), 'o'), Err(Failure::Usage(_))), "{bad}");
        }
        let codes = Codes { listed: vec![0, 3], breaks: false };
        assert!(codes.allow(Exit::Code(3)) && !codes.allow(Exit::Code(1)));
        let codes = Codes { listed: vec![128], breaks: true };
        assert!(codes.allow(Exit::Code(3)) && !codes.allow(Exit::Code(200)));
    }
}
