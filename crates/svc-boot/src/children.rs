//! Children of a layout: what must have run before svc-init is there, so that signals and orphans are looked after here.

use std::io::Error;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use svc_core::{Exit, Millis, Pid, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::signals::Signals;
use svc_sys::{clock, poll};

use crate::guard::Guard;
use crate::scripts::own;

/// Whoever stops the container sends one of these.
const STOPPING: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// To be made first of all. What comes and is read by nobody here waits for svc-init.
pub(crate) struct Children {
    signals: Signals,
    stopped: bool,
}

pub(crate) enum Ended {
    By(Exit),
    /// Somebody stopped the container meanwhile.
    Stopped,
}

impl Children {
    pub(crate) fn new() -> Result<Children, String> {
        let signals = Signals::take_all().map_err(|errno| format!("cannot take signals: {errno}"))?;
        // What they leave behind is svc-init's, also where this is not process 1. Where that cannot be, svc-init says so.
        let _ = process::become_subreaper();
        Ok(Children { signals, stopped: false })
    }

    /// Runs a program to its end, and reaps whoever else ends. A signal that stops the container stops it, and is the end of all.
    pub(crate) fn run(&mut self, command: &Command, grace: Millis) -> Result<Ended, Error> {
        // We hold all signals back, and a child would inherit that: svc exec lets go.
        let mut open = own(&["exec", "--"]);
        open.arg(command.get_program()).args(command.get_args());
        let guard = Guard::new();
        let group = guard.as_ref().map_or(0, Guard::group);
        let child = open.process_group(group).spawn();
        let ended = child.map(|child| {
            let child = child.id() as i32;
            self.await_end(child, Pid::new(if group == 0 { child } else { group }), grace)
        });
        if let Some(guard) = guard {
            guard.release();
        }
        ended
    }

    fn await_end(&mut self, child: i32, group: Option<Pid>, grace: Millis) -> Ended {
        let mut deadline = None;
        loop {
            while let Reap::One(reaped) = process::reap() {
                if reaped.pid.raw() == child {
                    return if self.stopped { Ended::Stopped } else { Ended::By(reaped.exit) };
                }
            }
            poll::wait(&mut [poll::readable(self.signals.as_raw_fd())], clock::now(), deadline);
            while let Some(signal) = self.signals.next() {
                if STOPPING.contains(&signal) {
                    self.stopped = true;
                    deadline = deadline.or(Some(clock::now() + grace));
                    let _ = group.map(|group| process::signal_group(group, Signal::TERM));
                }
            }
            if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                let _ = group.map(|group| process::signal_group(group, Signal::KILL));
                deadline = None;
            }
        }
    }
}
