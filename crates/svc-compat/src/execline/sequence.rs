//! Two programs: one after the other, one beside the other, one into the other.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;

use svc_core::Pid;
use svc_sys::process::Fork;
use svc_sys::{Errno, exit, fd, process};

use super::block::Blocks;
use super::program::{Changes, become_program, cannot_start, exact, refused, spawn, start, wait};
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

const ORPHAN: Opt = Opt::flag('d', "PROG1 is nobody's child, so that PROG2 need not wait for it");

pub const FOREGROUND: Command = Command {
    name: "foreground",
    about: "run a program to its end, then execute another one",
    operands: "{ PROG1... } PROG2...",
    options: &[Opt::NONE],
    notes: "PROG2 finds in the variable ? how PROG1 ended: its exit code, or 256 and the signal that killed it.",
    codes: &[],
    run: foreground,
};

pub const BACKGROUND: Command = Command {
    name: "background",
    about: "start a program, then execute another one beside it",
    operands: "{ PROG1... } PROG2...",
    options: &[ORPHAN],
    notes: "PROG2 finds the process id of PROG1 in the variable !.",
    codes: &[],
    run: background,
};

pub const PIPELINE: Command = Command {
    name: "pipeline",
    about: "execute a program that reads what another one writes",
    operands: "{ PROG1... } PROG2...",
    options: &[
        ORPHAN,
        Opt::flag('r', "PROG1 writes, PROG2 reads: the default"),
        Opt::flag('w', "PROG1 reads, PROG2 writes"),
    ],
    notes: "PROG2 finds the process id of PROG1 in the variable !.",
    codes: &[],
    run: pipeline,
};

fn foreground(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let first = blocks.block("the block")?;
    in_sequence(call, &first, blocks.rest())
}

/// Runs `first` to its end, and executes `second`, which finds that end in `?`.
pub fn in_sequence(call: &Call, first: &[OsString], second: &[OsString]) -> Outcome {
    let code = match spawn(first, Changes::default(), || Ok(())) {
        Ok(pid) => exact(wait(pid)?),
        Err(errno) => {
            call.warn(cannot_start(first, errno).message());
            u16::from(exit::NOT_FOUND)
        }
    };
    become_program(second, Changes::one(OsStr::new("?"), OsStr::new(&code.to_string())))
}

/// PROG2, told of PROG1's process.
fn beside(pid: Pid, words: &[OsString]) -> Outcome {
    become_program(words, Changes::one(OsStr::new("!"), OsStr::new(&pid.raw().to_string())))
}

/// Executes a program in a child that is nobody's to wait for. What goes wrong there, it says itself.
fn start_orphan(call: &Call, words: &[OsString], prepare: impl FnOnce() -> Result<(), Errno>) -> Result<Pid, Failure> {
    match process::fork_orphan().map_err(|errno| Failure::system(format!("unable to fork twice: {errno}")))? {
        Fork::Parent(pid) => Ok(pid),
        Fork::Child => {
            let result = match prepare() {
                Ok(()) => chain::execute_if_any(words),
                Err(errno) => Err(Failure::system(format!("unable to move the end of the pipe: {errno}"))),
            };
            let code = match result {
                Ok(code) => code,
                Err(Failure::Usage(_)) => exit::USAGE,
                Err(Failure::Fatal { code, message }) => {
                    eprintln!("{} (grandchild): fatal: {message}", call.command.name);
                    code
                }
            };
            process::exit_now(code)
        }
    }
}

fn background(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let first = blocks.full_block("the block")?;
    let second = blocks.rest();
    let pid = if call.has('d') && !second.is_empty() {
        start_orphan(call, &first, || Ok(()))?
    } else {
        start(&first, Changes::default())?
    };
    beside(pid, second)
}

fn pipeline(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let first = blocks.block("the block")?;
    let second = blocks.rest();
    if second.is_empty() {
        return Err(refused("the program behind the block is missing"));
    }
    let (reading, writing) = fd::pipe().map_err(|errno| Failure::system(format!("unable to make a pipe: {errno}")))?;
    // The standard descriptor of each, and what is to stand there.
    let (theirs, ours, (target_of_first, target_of_second)) = match call.last(&['r', 'w']) {
        Some('w') => (reading, writing, (0, 1)),
        Some(_) | None => (writing, reading, (1, 0)),
    };
    let prepare = || fd::place(theirs.as_raw_fd(), target_of_first);
    let pid = if call.has('d') {
        start_orphan(call, &first, prepare)?
    } else {
        spawn(&first, Changes::default(), prepare).map_err(|errno| cannot_start(&first, errno))?
    };
    let placed = fd::place(ours.as_raw_fd(), target_of_second);
    placed.map_err(|errno| Failure::system(format!("unable to move the end of the pipe: {errno}")))?;
    // Where a standard descriptor was closed, an end may have been made under its number: then it must stay. The others are
    // closed by exec.
    fd::release(ours);
    fd::release(theirs);
    beside(pid, second)
}
