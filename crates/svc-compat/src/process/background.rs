//! s6-background-watch: a daemon that goes into the background, supervised by the pid that it writes to a file.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use svc_core::{Exit, Millis, Pid, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::{Errno, clock, fd, poll, signals};

use super::readiness;
use super::spawn::spawn;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// The parent has ended well, but there is no pid to watch.
const NO_PID: u8 = 104;

pub(super) const BACKGROUND_WATCH: Command = Command {
    name: "s6-background-watch",
    about: "wait for a daemon that goes into the background, and hand signals on to it",
    operands: "PIDFILE PROG...",
    options: &[
        Opt::with('t', "MS", "kill PROG if it has not gone into the background by then (default: 0, never)")
            .long("timeout-ready"),
        Opt::with('d', "FD", "write a newline to FD when it has").long("notification-fd"),
    ],
    notes: "Runs PROG, waits until it ends with code 0, and then watches the process whose pid is in PIDFILE: what it ends with is the \
            exit code. Signals are handed on to PROG, and then to that process.",
    codes: &[(NO_PID, "PROG has ended, but PIDFILE does not name a process")],
    run,
};

fn run(call: &Call) -> Outcome {
    let file = Path::new(call.operand(0, "the pid file")?);
    let program = call.program(1)?;
    let shown = program[0].display();
    let deadline = readiness::deadline(call.number('t')?.unwrap_or(0));
    let report: Option<RawFd> = call.number('d')?;
    if let Some(report) = report {
        if report < 3 {
            return Err(Failure::usage("-d: standard input, output and error are not for this"));
        }
        if !fd::is_open(report) {
            return Err(Failure::system(format!("descriptor {report} is not open")));
        }
        fd::set_close_on_exec(report, true);
    }
    let failed = |errno: nix::Error| Failure::system(format!("unable to take signals: {errno}"));
    let _ = signals::restore_default(nix::sys::signal::Signal::SIGCHLD as i32);
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(failed)?;
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    // When PROG has ended, its children are ours.
    process::become_subreaper().map_err(|errno| Failure::system(format!("unable to become a reaper: {errno}")))?;

    let parent = spawn(program, Some(&mask)).map_err(|errno| chain::failure(&program[0], errno))?;
    match follow(&signals, parent, deadline) {
        Exit::Code(0) => {}
        end => {
            let _ = std::fs::remove_file(file);
            let how = match end {
                Exit::Code(code) => format!("ended with code {code}"),
                Exit::Signal(signal) => format!("was killed by {signal}"),
            };
            return Err(Failure::with_code(end.shell_code(), format!("{shown} {how} before it went into the background")));
        }
    }
    let daemon = read_pid(file)
        .map_err(|why| Failure::with_code(NO_PID, format!("{shown} has ended, but {}: {why}", file.display())))?;
    let ended = match process::reap_one(daemon) {
        Reap::NoChildren => {
            let message = format!("process {daemon}, which {} names, is no descendant of {shown}", file.display());
            return Err(Failure::with_code(NO_PID, message));
        }
        Reap::AllLive => None,
        Reap::One(child) => Some(child.exit),
    };
    if let Some(report) = report {
        let _ = fd::borrow(report).map(|report| fd::write(report, b"\n"));
        fd::close(report);
    }
    Ok(ended.unwrap_or_else(|| follow(&signals, daemon, None)).shell_code())
}

fn read_pid(file: &Path) -> Result<Pid, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::new);
    pid.ok_or_else(|| String::from("there is no pid in it"))
}

/// Hands signals on to a child until it ends. At the deadline it is killed.
fn follow(signals: &SignalFd, pid: Pid, mut deadline: Option<Millis>) -> Exit {
    loop {
        // No other: one of them may be the daemon, whose pid is not known before PROG has ended.
        if let Reap::One(child) = process::reap_one(pid) {
            return child.exit;
        }
        let mut interests = [poll::readable(signals.as_fd().as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        if readiness::is_over(deadline) {
            eprintln!("s6-background-watch: warning: not in the background in time: killing it");
            let _ = process::signal_child(pid, Signal::KILL);
            deadline = None;
        }
        while let Ok(Some(came)) = signals.read_signal() {
            if let Some(signal) = Signal::new(came.ssi_signo as u8).filter(|&signal| signal != Signal::CHLD) {
                let _: Result<(), Errno> = process::signal_child(pid, signal);
            }
        }
    }
}
