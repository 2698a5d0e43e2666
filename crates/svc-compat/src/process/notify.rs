//! s6-notifyoncheck: readiness for daemons that do not speak of it, by asking them.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use svc_core::{Millis, Pid};
use svc_sys::process::{self, Fork, Reap};
use svc_sys::{Errno, clock, exit, fd, poll, signals};

use super::readiness;
use super::spawn::{spawn, spawn_own};
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::{fifodir::Listener, supervise};

pub(super) const NOTIFYONCHECK: Command = Command {
    name: "s6-notifyoncheck",
    about: "execute a daemon, and report it ready once a check succeeds",
    operands: "PROG...",
    options: &[
        Opt::flag('d', "no child of PROG's: fork twice").long("doublefork"),
        Opt::with('3', "FD", "the descriptor to report on (default: what ./notification-fd says)").long("notification-fd"),
        Opt::with('s', "MS", "wait so long before the first check (default: 10)").long("initial-sleep"),
        Opt::with('T', "MS", "give up after this time (default: 0, never)").long("global-timeout"),
        Opt::with('t', "MS", "end a check that takes longer (default: 0, never)").long("local-timeout"),
        Opt::with('w', "MS", "wait so long between two checks (default: 1000)").long("waiting-time"),
        Opt::with('n', "TRIES", "give up after so many checks (default: 7; 0: never)").long("tries"),
        Opt::with('c', "COMMAND", "the check: a line in execline's language (default: ./data/check)").long("check-program"),
    ],
    notes: "For run scripts: it must begin in a service directory that has a supervisor. PROG takes the place of this process. A \
            child runs the check until it succeeds, and then writes a newline to FD. It ends when PROG does.",
    codes: &[],
    run,
};

/// What the child does.
struct Plan {
    /// Where readiness is reported.
    report: RawFd,
    check: Vec<OsString>,
    first: u32,
    between: u32,
    global: u32,
    local: u32,
    /// None: no end of them.
    tries: Option<u32>,
}

fn run(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let plan = plan(call)?;
    let failed = |errno: Errno| Failure::system(format!("unable to make a pipe: {errno}"));
    let (reading, writing) = fd::pipe().map_err(failed)?;
    match readiness::fork(call.has('d'))? {
        Fork::Parent(_) => {
            drop(writing);
            fd::close(plan.report);
            // From here on the child hears when we end, however soon that is.
            match fd::read(reading.as_fd(), &mut [0]) {
                Ok(1) => chain::execute(program),
                Ok(_) | Err(_) => Err(Failure::system("the child that runs the check did not begin")),
            }
        }
        Fork::Child => {
            drop(reading);
            let code = match Listener::new(Path::new("event")) {
                Ok(listener) => {
                    let told = fd::write(writing.as_fd(), b"\n");
                    drop(writing);
                    if told.is_ok() { plan.carry_out(listener) } else { exit::SYSTEM }
                }
                Err(error) => {
                    warn(&format!("unable to listen in ./event: {error}"));
                    exit::SYSTEM
                }
            };
            process::exit_now(code)
        }
    }
}

fn plan(call: &Call) -> Result<Plan, Failure> {
    let check = match call.value('c') {
        Some(line) => vec!["execlineb".into(), "-Pc".into(), line.into()],
        None => vec!["./data/check".into()],
    };
    let mut plan = Plan {
        report: -1,
        check,
        first: call.number('s')?.unwrap_or(10),
        between: call.number('w')?.unwrap_or(1000),
        global: call.number('T')?.unwrap_or(0),
        local: call.number('t')?.unwrap_or(0),
        tries: Some(call.number('n')?.unwrap_or(7)).filter(|&tries| tries > 0),
    };
    // A number that is none comes before what is missing around us.
    call.number::<u32>('3')?;
    match supervise::is_supervised(Path::new(".")) {
        Ok(true) => {}
        Ok(false) => return Err(Failure::with_code(exit::USAGE, "no supervisor runs on the directory that this began in")),
        Err(error) => return Err(Failure::system(format!("unable to look for the supervisor: {error}"))),
    }
    plan.report = readiness::descriptor(call, '3')?;
    Ok(plan)
}

/// A message of the child, whose end nobody waits for.
fn warn(message: &str) {
    eprintln!("s6-notifyoncheck (child): warning: {message}");
}

/// How a check ended, or why it is not to go on.
enum Verdict {
    Ready,
    NotYet,
    ServiceDown,
    TimeIsOver,
}

impl Plan {
    /// Asks until the answer is yes, or there is no sense in asking. Returns an exit code.
    fn carry_out(&self, mut listener: Listener) -> u8 {
        // The check is not to know of it.
        fd::set_close_on_exec(self.report, true);
        let global = readiness::deadline(self.global);
        let _ = signals::restore_default(Signal::SIGCHLD as i32);
        let children = SigSet::from(Signal::SIGCHLD);
        let prepared = children
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .and_then(|mask| Ok((mask, SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)));
        let (mask, ends) = match prepared {
            Ok(prepared) => prepared,
            Err(errno) => {
                warn(&format!("unable to wait for children: {errno}"));
                return exit::SYSTEM;
            }
        };
        let (mut wait, mut left) = (self.first, self.tries);
        while left != Some(0) {
            left = left.map(|left| left - 1);
            if let Some(code) = pause(&mut listener, wait, global) {
                return code;
            }
            wait = self.between;
            let pid = match self.begin(&mask) {
                Ok(pid) => pid,
                Err(errno) => {
                    warn(&format!("unable to run {}: {errno}", self.check[0].display()));
                    continue;
                }
            };
            let deadline = [readiness::deadline(self.local), global].into_iter().flatten().min();
            match ask(pid, &ends, &mut listener, deadline) {
                Verdict::Ready => {
                    let told = fd::borrow(self.report).map(|report| fd::write(report, b"\n"));
                    return if told == Some(Ok(1)) { exit::DONE } else { exit::SYSTEM };
                }
                Verdict::NotYet => {}
                Verdict::ServiceDown => return DOWN,
                Verdict::TimeIsOver if readiness::is_over(global) => return OVER,
                Verdict::TimeIsOver => warn(&format!("the check took longer than {} ms", self.local)),
            }
        }
        exit::FAILED
    }
}

impl Plan {
    /// Runs the check. What is written in execline is for our own: no other needs to be there.
    fn begin(&self, mask: &SigSet) -> Result<Pid, Errno> {
        if self.check.len() > 1 { spawn_own(&self.check, Some(mask)) } else { spawn(&self.check, Some(mask)) }
    }
}

/// Exit codes of the child: the service is down, all time is over.
const DOWN: u8 = 2;
const OVER: u8 = 3;

/// Waits before a check. An exit code if there will be none.
fn pause(listener: &mut Listener, ms: u32, global: Option<Millis>) -> Option<u8> {
    let end = clock::now() + Millis(u64::from(ms));
    let deadline = global.map_or(end, |global| global.min(end));
    loop {
        let mut interests = [poll::readable(listener.as_raw_fd())];
        poll::wait(&mut interests, clock::now(), Some(deadline));
        if poll::is_ready(&interests[0]) && is_down(listener) {
            return Some(DOWN);
        }
        if readiness::is_over(Some(deadline)) {
            return readiness::is_over(global).then_some(OVER);
        }
    }
}

/// Waits for a check. One that is not waited for any longer is told to end.
fn ask(pid: Pid, ends: &SignalFd, listener: &mut Listener, deadline: Option<Millis>) -> Verdict {
    loop {
        let mut interests = [poll::readable(ends.as_fd().as_raw_fd()), poll::readable(listener.as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        while ends.read_signal().is_ok_and(|signal| signal.is_some()) {}
        // Those of earlier checks that took too long are taken on the way.
        while let Reap::One(child) = process::reap() {
            if child.pid == pid {
                return if child.exit.shell_code() == 0 { Verdict::Ready } else { Verdict::NotYet };
            }
        }
        let down = poll::is_ready(&interests[1]) && is_down(listener);
        if down || readiness::is_over(deadline) {
            let _ = process::signal_child(pid, svc_core::Signal::TERM);
            return if down { Verdict::ServiceDown } else { Verdict::TimeIsOver };
        }
    }
}

/// Whether the supervisor has said that the service is down. If it cannot be heard any more there is nothing left to do either.
fn is_down(listener: &mut Listener) -> bool {
    listener.read().is_ok_and(|events| events.contains(&b'd'))
}
