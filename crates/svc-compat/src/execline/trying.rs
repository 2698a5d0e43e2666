//! Commands that do nothing but execute, or end.

use std::ffi::{OsStr, OsString};

use svc_sys::{environment, exit};

use super::block::Blocks;
use super::frame::decimal;
use super::program::{Changes, become_program, refused};
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

const EMPTY: Opt = Opt::flag('c', "without any variables");
const LOGIN: Opt = Opt::flag('l', "it is told that its name begins with a dash");
const NAME: Opt = Opt::with('a', "NAME", "it is told that it is called NAME");

pub const EXEC: Command = Command {
    name: "exec",
    about: "execute a program",
    operands: "PROG...",
    options: &[EMPTY, LOGIN, NAME],
    notes: "",
    codes: &[],
    run: exec,
};

pub const TRYEXEC: Command = Command {
    name: "tryexec",
    about: "execute a program, and another one if that is not possible",
    operands: "{ PROG1... } PROG2...",
    options: &[Opt::flag('n', "try PROG2 first, then PROG1"), EMPTY, LOGIN, NAME],
    notes: "The other options are about the one that is tried first.",
    codes: &[],
    run: tryexec,
};

pub const EXIT: Command = Command {
    name: "exit",
    about: "exit with a code",
    operands: "[CODE]",
    options: &[Opt::NONE],
    notes: "Without a CODE it is 0. Of a CODE above 255 the lower eight bits count.",
    codes: &[],
    run: execute_exit,
};

/// Executes as the options say. Returns only to say why not; the environment is as it was then.
fn attempt(call: &Call, words: &[OsString]) -> Option<Failure> {
    let program = words.first()?;
    let mut told = call.value('a').unwrap_or(program).to_owned();
    if call.has('l') {
        told = [OsStr::new("-"), &told].into_iter().collect();
    }
    let mut all = words.to_vec();
    all[0] = told;
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    if call.has('c') {
        environment::clear();
    }
    let errno = chain::replace(program, environment::first_path().as_deref(), &all);
    if call.has('c') {
        for (name, value) in variables {
            environment::change([&name, OsStr::new("="), &value].into_iter().collect());
        }
    }
    Some(chain::failure(program, errno))
}

fn exec(call: &Call) -> Outcome {
    let words = call.program(0)?;
    attempt(call, words).map_or(Ok(exit::DONE), Err)
}

fn tryexec(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let block = blocks.full_block("the block")?;
    let rest = blocks.rest();
    if call.has('n') && rest.is_empty() {
        return Err(refused("with -n there must be a program behind the block"));
    }
    let (first, second) = if call.has('n') { (rest, &block[..]) } else { (&block[..], rest) };
    attempt(call, first);
    become_program(second, Changes::default())
}

fn execute_exit(call: &Call) -> Outcome {
    let Some(text) = call.operands.first() else { return Ok(exit::DONE) };
    let code = decimal(text).ok_or_else(|| Failure::usage(format!("CODE must be a number, not '{}'", text.display())))?;
    Ok((code & 0xff) as u8)
}
