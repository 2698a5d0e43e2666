//! s6-setsid: sessions, process groups and the terminal.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpid, setpgid, setsid, tcsetpgrp};
use svc_sys::fd;

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// Where to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Session,
    Background,
    Foreground,
    /// The foreground, even if we are not in it and the terminal would stop us for asking.
    Grab,
}

pub(super) const SETSID: Command = Command {
    name: "s6-setsid",
    about: "execute a program in its own session or process group",
    operands: "PROG...",
    options: &[
        Opt::flag('s', "a new session (this is the default)"),
        Opt::flag('b', "a new process group, in the background"),
        Opt::flag('f', "a new process group, made the foreground one of the terminal"),
        Opt::flag('g', "the same, even from the background"),
        Opt::flag('i', "fail if that is not possible"),
        Opt::flag('I', "warn if that is not possible (this is the default)"),
        Opt::flag('q', "say nothing if that is not possible"),
        Opt::with('d', "FD", "the terminal (default: /dev/tty)"),
    ],
    notes: "",
    codes: &[],
    run,
};

fn run(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let place = match call.last(&['s', 'b', 'f', 'g']) {
        Some('b') => Place::Background,
        Some('f') => Place::Foreground,
        Some('g') => Place::Grab,
        Some(_) | None => Place::Session,
    };
    let failed = |what: &str, errno: nix::Error| match call.last(&['i', 'I', 'q']) {
        Some('i') => Err(Failure::system(format!("unable to make {what}: {errno}"))),
        Some('q') => Ok(()),
        Some(_) | None => {
            call.warn(format_args!("unable to make {what}: {errno}"));
            Ok(())
        }
    };
    match place {
        Place::Session => setsid().map(drop).or_else(|errno| failed("a session", errno))?,
        Place::Background => own_group().or_else(|errno| failed("a process group", errno))?,
        Place::Foreground | Place::Grab => {
            let terminal = terminal(call.number('d')?)?;
            own_group().or_else(|errno| failed("a process group", errno))?;
            let result = if place == Place::Grab { grab(&terminal) } else { tcsetpgrp(terminal.as_fd(), getpid()) };
            result.or_else(|errno| failed("it the foreground one", errno))?;
        }
    }
    chain::execute(program)
}

fn own_group() -> nix::Result<()> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))
}

fn terminal(number: Option<i32>) -> Result<OwnedFd, Failure> {
    match number {
        None => {
            let file = File::open("/dev/tty");
            Ok(file.map_err(|error| Failure::system(format!("unable to open /dev/tty: {error}")))?.into())
        }
        Some(number) => {
            let copy = fd::duplicate(number, 3);
            copy.map_err(|errno| Failure::system(format!("unable to use descriptor {number}: {errno}")))
        }
    }
}

/// With SIGTTOU blocked the terminal does not mind who asks.
fn grab(terminal: &OwnedFd) -> nix::Result<()> {
    let signal = SigSet::from(Signal::SIGTTOU);
    let before = signal.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let result = tcsetpgrp(terminal.as_fd(), getpid());
    before.thread_set_mask()?;
    result
}
