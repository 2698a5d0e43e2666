//! Programs that depend on how another one ended.

use std::ffi::OsString;

use svc_core::Exit;
use svc_sys::exit;

use super::block::Blocks;
use super::program::{Changes, approximation, become_program, refused, run};
use super::sequence::in_sequence;
use crate::command::{Call, Command, Failure, Opt, Outcome};

const NEGATE: Opt = Opt::flag('n', "negate the test");
const CRASH_IS_FALSE: Opt = Opt::flag('X', "a test that a signal killed is false, instead of the end");
const CRASHED: (u8, &str) = (129, "and above: the test was killed by the signal of this number less 128");

pub const IF: Command = Command {
    name: "if",
    about: "execute a program if another one says so",
    operands: "{ TEST... } PROG...",
    options: &[
        NEGATE,
        CRASH_IS_FALSE,
        Opt::flag('t', "exit 0 if the test is false"),
        Opt::with('x', "CODE", "exit with CODE if the test is false"),
    ],
    notes: "",
    codes: &[(1, "the test was true, with -n; or it exited so"), (128, "the test exited with 128 or more"), CRASHED],
    run: execute_if,
};

pub const IFELSE: Command = Command {
    name: "ifelse",
    about: "execute one of two programs, as another one says",
    operands: "{ TEST... } { THEN... } ELSE...",
    options: &[NEGATE, CRASH_IS_FALSE],
    notes: "",
    codes: &[CRASHED],
    run: ifelse,
};

pub const IFTE: Command = Command {
    name: "ifte",
    about: "execute one of two programs, as another one says: the test comes last",
    operands: "{ THEN... } { ELSE... } TEST...",
    options: &[NEGATE, CRASH_IS_FALSE],
    notes: "",
    codes: &[CRASHED],
    run: ifte,
};

pub const IFTHENELSE: Command = Command {
    name: "ifthenelse",
    about: "run one of two programs to its end, as another one says, then execute a fourth one",
    operands: "{ TEST... } { THEN... } { ELSE... } PROG...",
    options: &[CRASH_IS_FALSE, Opt::flag('s', "execute the chosen program with PROG... as its last words")],
    notes: "PROG finds in the variable ? how the chosen program ended.",
    codes: &[CRASHED],
    run: ifthenelse,
};

/// How a test ended: its approximated exit code, 0 for true. With -X a crash is false like any other.
fn test(call: &Call, words: &[OsString]) -> Result<u8, Failure> {
    let end = run(words)?;
    match end {
        Exit::Signal(signal) if !call.has('X') => {
            let message = format!("{} was killed by {signal}", words.first().cloned().unwrap_or_default().display());
            Err(Failure::with_code(approximation(end), message))
        }
        Exit::Signal(_) | Exit::Code(_) => Ok(approximation(end)),
    }
}

/// Whether the test is true, or with -n false.
fn holds(call: &Call, words: &[OsString]) -> Result<bool, Failure> {
    Ok((test(call, words)? == 0) != call.has('n'))
}

fn execute_if(call: &Call) -> Outcome {
    let mut fixed = if call.has('n') { Some(exit::FAILED) } else { None };
    for given in call.given.iter().filter(|given| matches!(given.letter, 't' | 'x')) {
        fixed =
            Some(if given.letter == 't' { exit::DONE } else { crate::command::number(&given.value, "the value of -x")? });
    }
    let mut blocks = Blocks::of(call, 0);
    let code = test(call, &blocks.block("the block of the test")?)?;
    if (code == 0) == call.has('n') {
        return Ok(fixed.unwrap_or(code));
    }
    become_program(blocks.rest(), Changes::default())
}

fn ifelse(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let condition = blocks.block("the first block, the test,")?;
    let then = blocks.block("the second block, for true,")?;
    let otherwise = blocks.rest();
    become_program(if holds(call, &condition)? { &then } else { otherwise }, Changes::default())
}

fn ifte(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let then = blocks.block("the first block, for true,")?;
    let otherwise = blocks.block("the second block, for false,")?;
    if blocks.rest().is_empty() {
        return Err(refused("the test behind the blocks is missing"));
    }
    become_program(if holds(call, blocks.rest())? { &then } else { &otherwise }, Changes::default())
}

fn ifthenelse(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let condition = blocks.block("the first block, the test,")?;
    let then = blocks.block("the second block, for true,")?;
    let otherwise = blocks.block("the third block, for false,")?;
    let mut chosen = if test(call, &condition)? == 0 { then } else { otherwise };
    if call.has('s') {
        chosen.extend_from_slice(blocks.rest());
        return become_program(&chosen, Changes::default());
    }
    in_sequence(call, &chosen, blocks.rest())
}
