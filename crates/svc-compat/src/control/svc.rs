//! s6-svc: what a service shall do.

use std::ffi::OsString;
use std::path::Path;

use svc_core::Signal;
use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::supervise::{self, Refusal, SUPERVISE};
use crate::servicedir::watch::{Quorum, Watch};
use crate::servicedir::wish::Wish;

pub(super) const OPTIONS: &[Opt] = &[
    Opt::flag('u', "bring it up, and keep it up"),
    Opt::flag('d', "bring it down, and keep it down"),
    Opt::flag('o', "start it, and let it stay down when it ends"),
    Opt::flag('O', "let it stay down when it ends; a service that is down stays as it is"),
    Opt::flag('U', "like -u, and remove the file `down`: it will be up as well after the next boot"),
    Opt::flag('D', "like -d, and make the file `down`"),
    Opt::flag('Q', "like -O, and make the file `down`"),
    Opt::flag('r', "restart it: send it its down-signal"),
    Opt::flag('l', "reload it: send it its reload-signal"),
    Opt::flag('x', "let the supervisor exit once the service is down"),
    Opt::flag('a', "send SIGALRM"),
    Opt::flag('b', "send SIGABRT"),
    Opt::flag('q', "send SIGQUIT"),
    Opt::flag('h', "send SIGHUP"),
    Opt::flag('k', "send SIGKILL"),
    Opt::flag('t', "send SIGTERM"),
    Opt::flag('i', "send SIGINT"),
    Opt::flag('1', "send SIGUSR1"),
    Opt::flag('2', "send SIGUSR2"),
    Opt::flag('p', "send SIGSTOP"),
    Opt::flag('c', "send SIGCONT"),
    Opt::flag('y', "send SIGWINCH"),
    Opt::flag('P', "send SIGSTOP to its process group"),
    Opt::flag('C', "send SIGCONT to its process group"),
    Opt::flag('K', "send SIGKILL to its process group"),
    Opt::with('s', "SIGNAL", "send a signal by name or number: one of those above"),
    Opt::with('w', "STATE", "wait until it is u: up, U: ready, d: down, D: down and cleaned up, r, R: up, ready again"),
    Opt::with('T', "MS", "with -w: give up after so many milliseconds"),
];

pub(super) const NOTES: &str = "\
Letters may stand together, and are sent in their order: -Od, -dx.

-wU and -wR wait for -wu and -wr where a service has no file notification-fd, because it will never say that it is ready.

-w listens before anything is sent, so no change is missed. If a command reaches no supervisor, it does not wait at all: \
what would it wait for? Where s6 2.15 forgets -Q, it works here.";

pub(super) const CODES: &[(u8, &str)] = &[
    (1, "something is wrong with a folder supervise; with -w: a service has failed for good (more: so many services)"),
    (99, "with -T: the time is over"),
    (102, "no supervisor listens; with -w: it has gone"),
];

pub(super) const COMMAND: Command = Command {
    name: "s6-svc",
    about: "send commands to the supervisors of services",
    operands: "SERVICEDIR...",
    options: OPTIONS,
    notes: NOTES,
    codes: CODES,
    run,
};

fn run(call: &Call) -> Outcome {
    control(call, &call.operands)
}

/// Acts on the options of `call`, on these directories.
pub(super) fn control(call: &Call, dirs: &[OsString]) -> Outcome {
    let letters = letters(call)?;
    let deadline = crate::servicedir::deadline(call, 'T')?;
    let wish = call.value('w').map(|word| wish(&word.to_string_lossy())).transpose()?;
    if dirs.is_empty() {
        return Err(Failure::usage("no service directory is given"));
    }
    if dirs.iter().any(|dir| dir.is_empty()) {
        return Err(Failure::usage("a service directory is an empty word"));
    }
    let Some(wish) = wish else { return Ok(send_all(call, dirs, &letters)) };
    let mut watch = Watch::begin(dirs, |dir| possible(call, dir, wish))?;
    match send_all(call, dirs, &letters) {
        exit::DONE => watch.wait(Quorum::All, deadline),
        code => Ok(code),
    }
}

/// The wish that can come true in this directory.
fn possible(call: &Call, dir: &Path, wish: Wish) -> Wish {
    let plain = wish.without_readiness();
    let file = dir.join("notification-fd");
    if plain == wish || file.exists() {
        return wish;
    }
    call.warn(format!("{} is not there, so {} is waited for without readiness", file.display(), dir.display()));
    plain
}

/// Sends the same to all; the code of the last that failed, if one did.
fn send_all(call: &Call, dirs: &[OsString], letters: &[u8]) -> u8 {
    let mut code = exit::DONE;
    for dir in dirs {
        if let Err(refusal) = supervise::send(Path::new(dir), SUPERVISE, letters) {
            call.warn(format!("unable to control {}: {refusal}", dir.display()));
            code = match refusal {
                Refusal::NotListening => exit::NO_SUCH_SERVICE,
                Refusal::Odd(_) => exit::FAILED,
                Refusal::System(_) => exit::SYSTEM,
            };
        }
    }
    code
}

/// The bytes to send.
fn letters(call: &Call) -> Result<Vec<u8>, Failure> {
    let given = call.given.iter().filter(|given| !matches!(given.letter, 'w' | 'T'));
    let letter = |given: &crate::command::Given| match given.letter {
        's' => signal_letter(&given.value.to_string_lossy()),
        letter => Ok(letter as u8),
    };
    given.map(letter).collect()
}

/// The letter that stands for a signal.
fn signal_letter(text: &str) -> Result<u8, Failure> {
    let signal = Signal::parse(text).ok_or_else(|| Failure::usage(format!("there is no signal {text}")))?;
    match signal {
        Signal::ALRM => Ok(b'a'),
        Signal::ABRT => Ok(b'b'),
        Signal::QUIT => Ok(b'q'),
        Signal::HUP => Ok(b'h'),
        Signal::KILL => Ok(b'k'),
        Signal::TERM => Ok(b't'),
        Signal::INT => Ok(b'i'),
        Signal::USR1 => Ok(b'1'),
        Signal::USR2 => Ok(b'2'),
        Signal::STOP => Ok(b'p'),
        Signal::CONT => Ok(b'c'),
        Signal::WINCH => Ok(b'y'),
        other => Err(Failure::usage(format!(
            "{other} cannot be sent through a supervisor: ALRM, ABRT, QUIT, HUP, KILL, TERM, INT, USR1, USR2, STOP, CONT and \
             WINCH can"
        ))),
    }
}

fn wish(word: &str) -> Result<Wish, Failure> {
    let mut letters = word.chars();
    let wish = letters.next().and_then(Wish::from_letter).filter(|_| letters.next().is_none());
    wish.ok_or_else(|| Failure::usage(format!("-w takes one of u, U, d, D, r, R, not '{word}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_letters() {
        for (text, letter) in [("TERM", b't'), ("sighup", b'h'), ("9", b'k'), ("WINCH", b'y'), ("SIGUSR1", b'1')] {
            assert_eq!(signal_letter(text).ok(), Some(letter), "{text}");
        }
        assert!(signal_letter("SEGV").is_err() && signal_letter("0").is_err() && signal_letter("TREM").is_err());
    }

    #[test]
    fn a_state_is_one_letter() {
        assert_eq!(wish("U").ok(), Some(Wish::Ready));
        assert!(wish("x").is_err() && wish("").is_err() && wish("uU").is_err());
    }
}
