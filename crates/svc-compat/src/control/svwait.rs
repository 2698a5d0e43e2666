//! s6-svwait: until services are up, ready or down.

use crate::command::{Call, Command, Opt, Outcome};
use crate::servicedir::deadline;
use crate::servicedir::watch::{Quorum, Watch};
use crate::servicedir::wish::Wish;

/// The options that say what is waited for, here and in s6-svlisten.
pub(super) const OPTIONS: &[Opt] = &[
    Opt::flag('u', "until it is up (the default)"),
    Opt::flag('U', "until it is up and ready"),
    Opt::flag('d', "until it is down"),
    Opt::flag('D', "until it is down and its finish is done"),
    Opt::flag('r', "until it has been down, and is up"),
    Opt::flag('R', "until it has been down, and is up and ready"),
    Opt::flag('a', "all of them (the default)"),
    Opt::flag('o', "one of them"),
    Opt::with('t', "MS", "give up after so many milliseconds"),
];

pub(super) const CODES: &[(u8, &str)] = &[
    (1, "a service has failed for good: its finish said that it shall not be started again (more: so many services)"),
    (99, "the time is over"),
    (102, "a supervisor has gone"),
];

pub(super) const COMMAND: Command = Command {
    name: "s6-svwait",
    about: "wait until services are up, ready or down",
    operands: "SERVICEDIR...",
    options: OPTIONS,
    notes: "\
With -r and -R each service may restart at its own time. A supervisor that is killed, and so says nothing, ends the waiting \
as well (in s6 it goes on until the time is over).

A service that has no file notification-fd never says that it is ready.",
    codes: CODES,
    run,
};

/// What is waited for: the last option of its kind counts.
pub(super) fn wish(call: &Call) -> Wish {
    call.given.iter().rev().find_map(|given| Wish::from_letter(given.letter)).unwrap_or(Wish::Up)
}

pub(super) fn quorum(call: &Call) -> Quorum {
    if call.last(&['a', 'o']) == Some('o') { Quorum::Any } else { Quorum::All }
}

fn run(call: &Call) -> Outcome {
    if call.operands.is_empty() {
        return Ok(svc_sys::exit::DONE);
    }
    let (wish, deadline) = (wish(call), deadline(call, 't')?);
    Watch::begin(&call.operands, |_| wish)?.wait(quorum(call), deadline)
}
