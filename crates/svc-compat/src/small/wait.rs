//! Programs about time: s6-pause, s6-sleep, s6-maximumtime, s6-nice, s6-clock.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use svc_core::{Exit, Millis};
use svc_sys::process::{self, Reap};
use svc_sys::{clock, exit, poll, signals};

use super::output::put;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};
use crate::process::account;
use crate::process::spawn::spawn;
use crate::servicedir::stamp_now;

pub(super) const PAUSE: Command = Command {
    name: "s6-pause",
    about: "wait for a signal that ends it",
    operands: "",
    options: &[
        Opt::flag('t', "ignore SIGTERM"),
        Opt::flag('h', "ignore SIGHUP"),
        Opt::flag('a', "ignore SIGALRM"),
        Opt::flag('q', "ignore SIGQUIT"),
        Opt::flag('b', "ignore SIGABRT"),
        Opt::flag('i', "ignore SIGINT"),
        Opt::with('p', "SIGNALS", "ignore signals of these numbers, commas between them"),
    ],
    notes: "",
    codes: &[],
    run: |call| {
        for given in &call.given {
            let numbers = match given.letter {
                't' => vec![libc::SIGTERM],
                'h' => vec![libc::SIGHUP],
                'a' => vec![libc::SIGALRM],
                'q' => vec![libc::SIGQUIT],
                'b' => vec![libc::SIGABRT],
                'i' => vec![libc::SIGINT],
                _ => {
                    let numbers = account::numbers(given.value.as_bytes()).filter(|numbers| !numbers.is_empty());
                    let numbers = numbers
                        .ok_or_else(|| Failure::usage(format!("-p: '{}' is no list of numbers", given.value.display())))?;
                    numbers.into_iter().map(|number| i32::try_from(number).unwrap_or(i32::MAX)).collect()
                }
            };
            for number in numbers {
                // As in s6: what cannot be ignored is not.
                let _ = signals::ignore(number);
            }
        }
        nix::unistd::pause();
        Ok(exit::DONE)
    },
};

pub(super) const SLEEP: Command = Command {
    name: "s6-sleep",
    about: "execute a program after some time",
    operands: "SECONDS [PROG...]",
    options: &[Opt::flag('m', "milliseconds instead of seconds")],
    notes: "",
    codes: &[],
    run: |call| {
        let time: u32 = number(call.operand(0, "the time")?, "the time")?;
        let unit = if call.has('m') { 1 } else { 1000 };
        std::thread::sleep(Duration::from_millis(u64::from(time) * unit));
        chain::execute_if_any(&call.operands[1..])
    },
};

pub(super) const MAXIMUMTIME: Command = Command {
    name: "s6-maximumtime",
    about: "run a program, and end it if it takes too long",
    operands: "MS PROG...",
    options: &[
        Opt::flag('0', "send no signal"),
        Opt::flag('a', "send SIGALRM"),
        Opt::flag('b', "send SIGABRT"),
        Opt::flag('i', "send SIGINT"),
        Opt::flag('k', "send SIGKILL"),
        Opt::flag('q', "send SIGQUIT"),
        Opt::flag('t', "send SIGTERM (this is the default)"),
        Opt::flag('x', "send SIGXCPU"),
        Opt::flag('1', "send SIGUSR1"),
        Opt::flag('2', "send SIGUSR2"),
    ],
    notes: "Does not wait until PROG has ended by the signal. The exit code is that of PROG. MS 0 is no limit.",
    codes: &[(99, "PROG took too long"), (111, "PROG was killed by a signal")],
    run: maximumtime,
};

fn maximumtime(call: &Call) -> Outcome {
    let limit: u32 = number(call.operand(0, "the time")?, "the time")?;
    let program = call.program(1)?;
    let signal = match call.given.last().map_or('t', |given| given.letter) {
        '0' => None,
        'a' => Some(libc::SIGALRM),
        'b' => Some(libc::SIGABRT),
        'i' => Some(libc::SIGINT),
        'k' => Some(libc::SIGKILL),
        'q' => Some(libc::SIGQUIT),
        'x' => Some(libc::SIGXCPU),
        '1' => Some(libc::SIGUSR1),
        '2' => Some(libc::SIGUSR2),
        _ => Some(libc::SIGTERM),
    };
    let failed = |errno: nix::Error| Failure::system(format!("unable to wait for children: {errno}"));
    let _ = signals::restore_default(libc::SIGCHLD);
    let children = SigSet::from(Signal::SIGCHLD);
    let mask = children.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed)?;
    let ends = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    let pid = spawn(program, Some(&mask))
        .map_err(|errno| Failure::system(format!("unable to run {}: {errno}", program[0].display())))?;
    let deadline = Some(limit).filter(|&limit| limit > 0).map(|limit| clock::now() + Millis(u64::from(limit)));
    loop {
        if let Reap::One(child) = process::reap_one(pid) {
            return match child.exit {
                Exit::Code(code) => Ok(code),
                Exit::Signal(signal) => Err(Failure::system(format!("{} was killed by {signal}", program[0].display()))),
            };
        }
        let mut interests = [poll::readable(ends.as_fd().as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        let _ = ends.read_signal();
        if !poll::is_ready(&interests[0]) && deadline.is_some_and(|deadline| clock::now() >= deadline) {
            if let Some(signal) = signal.and_then(|number| svc_core::Signal::new(number as u8)) {
                let _ = process::signal_child(pid, signal);
            }
            let message = format!("{} took longer than {limit} ms", program[0].display());
            return Err(Failure::with_code(exit::TIMED_OUT, message));
        }
    }
}

pub(super) const NICE: Command = Command {
    name: "s6-nice",
    about: "execute a program with another nice value",
    operands: "PROG...",
    options: &[
        Opt::with('n', "N", "add N (default: 10)"),
        Opt::flag('i', "fail if that is not possible"),
        Opt::flag('I', "warn if that is not possible (this is the default)"),
    ],
    notes: "",
    codes: &[],
    run: |call| {
        let program = call.program(0)?;
        let increment: i32 = match call.value('n') {
            None => 10,
            Some(text) => {
                let parsed = text.to_str().and_then(|text| text.parse().ok());
                parsed.ok_or_else(|| Failure::usage(format!("-n: '{}' is not a number", text.display())))?
            }
        };
        if let Err(errno) = process::renice(increment) {
            let message = format!("unable to change the nice value: {errno}");
            if call.last(&['i', 'I']) == Some('i') {
                return Err(Failure::system(message));
            }
            call.warn(message);
        }
        chain::execute(program)
    },
};

pub(super) const CLOCK: Command = Command {
    name: "s6-clock",
    about: "print the time as a TAI64N stamp",
    operands: "",
    options: &[Opt::NONE],
    notes: "It cannot set the clock.",
    codes: &[],
    run: |call| {
        if !call.operands.is_empty() {
            return Err(Failure::usage("this cannot set the clock: a container has none of its own"));
        }
        put(&[b"@", &stamp_now().hex()[..], b"\n"].concat())?;
        Ok(exit::DONE)
    },
};
