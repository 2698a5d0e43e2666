//! What a stop waits for: the program that looks whether the service is drained, and the command that stops it.

use std::os::fd::OwnedFd;

use svc_core::service::{Event, State, Stop};
use svc_core::{Exit, Pid};
use svc_sys::{Errno, procfs, say};

use super::Driver;
use super::checks::end_look;

/// One that runs.
pub(super) struct Errand {
    pid: Pid,
    /// It is our child; else a killed predecessor's, which is among what is left and tells nobody how it ends.
    own: bool,
    /// What looks says something that nobody reads, and ends when nobody can; a command has none of it.
    look: Option<OwnedFd>,
}

impl Driver {
    /// Runs what the machine is waiting for now.
    pub(super) fn run_errand(&mut self) {
        self.end_errand();
        let State::Up { pid: main, stop, .. } = self.machine.state() else { return };
        let made = match stop {
            Stop::Drain { .. } => self.settings.drain().map(|errand| {
                let look = self.programs.look(&self.definition.name, &errand.words, main);
                look.map(|(pid, look)| Errand { pid, own: true, look: Some(look) })
            }),
            Stop::Command { .. } => self.settings.stop_command().map(|errand| {
                let note = self.row.begin_errand(self.machine.starts() as u32);
                let pid = self.programs.stop_command(&self.definition.name, &errand.words, main, note);
                pid.map(|pid| Errand { pid, own: true, look: None })
            }),
            Stop::No | Stop::Signal { .. } | Stop::Kill { .. } => None,
        };
        match made {
            Some(Ok(errand)) => self.errand = Some(errand),
            Some(Err(errno)) => self.errand_failed(matches!(stop, Stop::Drain { .. }), &format!("cannot run it: {errno}")),
            None => self.errand_failed(matches!(stop, Stop::Drain { .. }), &format!("is no more: {}", Errno::NOT_FOUND)),
        }
    }

    /// The command of a stop that a killed predecessor had begun: it is run if it never was, and followed while it is at work. When it
    /// is over, the service has the rest of its time.
    pub(super) fn inherit_errand(&mut self) {
        let is_to_run = matches!(self.machine.state(), State::Up { stop: Stop::Command { .. }, .. });
        match self.row.errand_of(self.machine.starts() as u32) {
            Some(pid) if self.is_with_init(pid) && !procfs::is_zombie(pid) => {
                self.remains.remember(pid);
                self.errand = Some(Errand { pid, own: false, look: None });
                self.settle_errand();
            }
            Some(_) => {}
            None if is_to_run && self.settings.stop_command().is_some_and(|errand| !errand.words.is_empty()) => {
                self.run_errand();
            }
            None => {}
        }
    }

    fn errand_failed(&mut self, drains: bool, why: &str) {
        let name = &self.definition.name;
        if drains {
            say!("svc-supervise: {name}: stop.drain: {why}: leaving it all its time");
        } else {
            say!("svc-supervise: {name}: stop.command: {why}: going on with the signal");
        }
        self.feed(Event::Errand { well: false });
    }

    /// A child was reaped: if it is what the stop waits for, that is over.
    pub(super) fn ends_errand(&mut self, pid: Pid, exit: Exit) {
        let Some(errand) = self.errand.take_if(|errand| errand.pid == pid) else { return };
        if exit == Exit::Code(0) {
            self.feed(Event::Errand { well: true });
        } else {
            self.errand_failed(errand.look.is_some(), &format!("ended with {exit}"));
        }
    }

    /// The command that stops the service, if it runs.
    pub(super) fn stop_command(&self) -> Option<Pid> {
        let lives = |errand: &&Errand| errand.own || self.remains.others().any(|pid| pid == errand.pid);
        self.errand.as_ref().filter(|errand| errand.look.is_none()).filter(lives).map(|errand| errand.pid)
    }

    /// What runs ends when the stop has gone on; but a command that the service has ended of may do what it has left to do.
    pub(super) fn settle_errand(&mut self) {
        let goes_on = match self.machine.state() {
            State::Up { stop, .. } => stop.lingers(),
            State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } => self.stop_command().is_some(),
            State::Down { .. } | State::Armed | State::Gone => false,
        };
        if !goes_on {
            if self.stop_command().is_some() && matches!(self.machine.state(), State::Up { stop: Stop::Signal { .. }, .. }) {
                say!(
                    "svc-supervise: {}: stop.command: has not ended: killed, going on with the signal",
                    self.definition.name
                );
            }
            self.end_errand();
        }
    }

    fn end_errand(&mut self) {
        match self.errand.take() {
            Some(Errand { pid, own: true, .. }) => end_look(pid),
            Some(Errand { pid, own: false, .. }) => self.remains.kill(pid),
            None => {}
        }
    }
}
