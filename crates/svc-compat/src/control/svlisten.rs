//! s6-svlisten1 and s6-svlisten: listen, have something done, and then wait.

use std::ffi::OsString;

use super::svwait;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::spawn;
use crate::servicedir::watch::{Quorum, Watch};
use crate::servicedir::{block, deadline};

const NOTES: &str = "\
The program is started once the services are listened to, so nothing that it makes them do is missed. How it ends does not \
matter, and it is not waited for.";

const ONE_OPTIONS: &[Opt] = &[
    Opt::flag('u', "until it is up (the default)"),
    Opt::flag('U', "until it is up and ready"),
    Opt::flag('d', "until it is down"),
    Opt::flag('D', "until it is down and its finish is done"),
    Opt::flag('r', "until it has been down, and is up"),
    Opt::flag('R', "until it has been down, and is up and ready"),
    Opt::with('t', "MS", "give up after so many milliseconds"),
];

pub(super) const ONE: Command = Command {
    name: "s6-svlisten1",
    about: "run a program, and wait until a service is up, ready or down",
    operands: "SERVICEDIR PROG...",
    options: ONE_OPTIONS,
    notes: NOTES,
    codes: svwait::CODES,
    run: run_one,
};

pub(super) const MANY: Command = Command {
    name: "s6-svlisten",
    about: "run a program, and wait until services are up, ready or down",
    operands: "SERVICEDIR... \"\" PROG...",
    options: svwait::OPTIONS,
    notes: NOTES,
    codes: svwait::CODES,
    run: run_many,
};

fn run_one(call: &Call) -> Outcome {
    call.operand(0, "the service directory")?;
    listen(call, &call.operands[..1], call.program(1)?, Quorum::All)
}

fn run_many(call: &Call) -> Outcome {
    let (dirs, program) = block::split(&call.operands)?;
    if program.is_empty() {
        return Err(Failure::usage("the program to execute is missing"));
    }
    if dirs.is_empty() {
        return crate::chain::execute(program);
    }
    listen(call, &dirs, program, svwait::quorum(call))
}

fn listen(call: &Call, dirs: &[OsString], program: &[OsString], quorum: Quorum) -> Outcome {
    let (wish, deadline) = (svwait::wish(call), deadline(call, 't')?);
    let mut watch = Watch::begin(dirs, |_| wish)?;
    spawn::start(program)?;
    watch.wait(quorum, deadline)
}
