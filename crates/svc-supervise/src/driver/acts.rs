//! What the machine asks for, done: programs are started, signalled and swept away.

use svc_core::definition::Settings;
use svc_core::restart::AtLimit;
use svc_core::service::{
    Action, Actions, Daemon, Event, NOTHING_TO_DO, Note, Rest, Role, Service, Stage, State, Target, Trouble,
};
use svc_core::{Exit, Millis, Pid, Signal};
use svc_sys::{Errno, process, procfs, say};

use super::Driver;
use super::heir::Adopted;
use crate::leaf;
use crate::program::Run;

/// Trying again soon may help when something is short.
const RETRY_SHORTAGE: Millis = Millis::from_secs(1);
/// A program that cannot be executed will hardly change by itself; s6 waits 10 s here too. A `start` does not wait.
const RETRY_EXEC: Millis = Millis::from_secs(10);
/// Who has the directory is waited for.
const RETRY_WATCHED: Millis = Millis::from_secs(3600);

impl Driver {
    pub(super) fn perform_all(&mut self, actions: &mut Actions, main: Option<Pid>) {
        // Before it is done: svc-init may kill us right after it, and then nobody would have said it.
        if actions.iter().any(|action| *action == Action::Publish(Note::Killed)) {
            self.say_killed();
        }
        for action in actions.drain() {
            match action {
                Action::Spawn(role) => self.spawn(role),
                Action::Signal { target, signal } => self.signal(main, target, signal),
                Action::Sweep(signal) => self.sweep(signal),
                Action::Errand => self.run_errand(),
                Action::Publish(note) => self.report(Some(note)),
                // Said already where the last of the service went in the same step.
                Action::Quit if self.told_gone => {}
                Action::Quit => self.report(None),
            }
        }
    }

    pub(super) fn spawn(&mut self, role: Role) {
        if role == Role::Finish
            && last_words(&self.machine, &self.settings).is_none()
            && (self.small_files.lacks_finish() || !self.programs.has_finish(&self.definition, self.machine.undoing()))
        {
            let trouble = Trouble { stage: Stage::Exec, errno: NOTHING_TO_DO };
            self.feed(Event::SpawnFailed { retry: Millis::ZERO, trouble });
            return;
        }
        if role == Role::Run && self.files.is_taken() {
            self.open_files(false);
            if self.files.is_taken() {
                let trouble = Trouble { stage: Stage::Supervised, errno: Errno::AGAIN.0 };
                let retry = if self.files.control() < 0 { RETRY_EXEC } else { RETRY_WATCHED };
                self.feed(Event::SpawnFailed { retry, trouble });
                return;
            }
        }
        if !std::mem::take(&mut self.fresh) {
            self.reread();
        }
        let note = self.row.begin_spawn(self.machine.start_mark(role));
        let made = match role {
            Role::Run => {
                if let Some(program) = self.coming.take() {
                    self.definition.program = program;
                }
                self.readiness = None;
                self.launch = None;
                self.adopted = None;
                // Its leaf may be an old one, in which somebody is left.
                self.starved_before = leaf::starved(&self.definition, self.init_pid);
                let surroundings = self.surroundings();
                self.programs.run(&self.definition, &self.settings, surroundings, &self.sockets, self.row, note)
            }
            Role::Finish => {
                let last = self.machine.last().map_or(Exit::Code(0), |past| past.exit);
                // The settings may have been read again since.
                let last_words = last_words(&self.machine, &self.settings);
                let made = self.programs.finish(&self.definition, last_words, last, self.last_group, note);
                made.map(|pid| Run { pid, readiness: None, launch: None })
            }
        };
        match made {
            Ok(Run { pid, readiness, launch }) => {
                if role == Role::Run {
                    self.readiness = readiness;
                    self.launch = launch;
                } else {
                    self.told_finish = None;
                }
                self.feed(if self.launch.is_some() { Event::Prepares(pid) } else { Event::Spawned(pid) });
            }
            Err(trouble) => {
                let shortage = Errno(trouble.errno).is_shortage();
                let retry = if shortage { RETRY_SHORTAGE } else { RETRY_EXEC };
                if role == Role::Finish {
                    let errno = Errno(trouble.errno);
                    if self.told_finish.replace(errno) != Some(errno) {
                        say!("svc-supervise: {}: cannot run finish: {errno}: going on without it", self.definition.name);
                    }
                }
                self.feed(Event::SpawnFailed { retry, trouble });
            }
        }
    }

    /// The small files count at the moment they matter. What cannot be read leaves the setting as it was.
    pub(super) fn reread(&mut self) {
        if self.definition.program == svc_core::Program::Directory && self.programs.has_entered() {
            self.small_files.reread(&mut self.settings, &self.definition.name);
        }
    }

    pub(super) fn signal(&mut self, main: Option<Pid>, target: Target, signal: Signal) {
        let Some(pid) = main else { return };
        if self.adopted.is_some() {
            // Its children go to svc-init when it ends, where nobody knows whose they were.
            self.remains.remember_descendants(pid);
        }
        let sent = match (target, &self.adopted) {
            (Target::Main, Some(Adopted { handle: Some(handle), .. })) => handle.signal(signal),
            // Reaped by svc-init: the number may be somebody else's.
            (Target::Main | Target::Group, Some(_)) if !self.is_ours(pid) => Err(Errno::NO_SUCH_PROCESS),
            (Target::Main, _) => process::signal_child(pid, signal),
            (Target::Group, _) if self.machine.daemon() == Daemon::Found => process::signal_group_of(pid, signal),
            (Target::Group, _) => process::signal_group(pid, signal),
        };
        if let Err(errno) = sent
            && errno != Errno::NO_SUCH_PROCESS
        {
            say!("svc-supervise: {}: cannot send {signal} to {pid}: {errno}", self.definition.name);
        }
        if signal == Signal::KILL && !self.settings.keep_descendants && procfs::is_held_by_tracer(pid) {
            let name = &self.definition.name;
            say!(
                "svc-supervise: {name}: its main process is dead, and who traces it does not take notice: killing what is left of it"
            );
            self.sweep(Signal::KILL);
        }
    }

    pub(super) fn sweep(&mut self, signal: Signal) {
        let main = self.machine.pid();
        self.killing = signal == Signal::KILL;
        if let Some(adopted) = &self.adopted {
            // Its children never come to us; find them while they can be found.
            self.remains.remember_descendants(adopted.pid);
            self.remains.remember_session(adopted.pid, adopted.session, self.init_pid);
        }
        if self.killing && main.is_none() {
            leaf::kill(&self.definition, self.init_pid);
        }
        // A command that has stopped the service may have more to do; what is killed is killed with everything.
        let spared = self.stop_command().filter(|_| !self.killing);
        self.remains.signal(signal, main, spared, self.init_pid);
        self.count_remains();
    }

    pub(super) fn count_remains(&mut self) {
        if let State::Sweep { .. } = self.machine.state() {
            self.reap();
            let left = self.remains.left();
            if left == 0 {
                leaf::clear(&self.definition, self.init_pid);
            }
            self.feed(Event::Swept { left });
        }
    }

    pub(super) fn say_killed(&self) {
        let name = &self.definition.name;
        match self.machine.state() {
            State::Up { .. } => say!("svc-supervise: {name}: did not stop in time: killed (SIGKILL)"),
            State::Finish { .. } if self.machine.forced() => {
                let what = if self.machine.undoing() { "its down" } else { "finish" };
                say!(
                    "svc-supervise: {name}: {what} had not ended when time was up for the whole stop, or a second signal came: killed \
                     (SIGKILL): SVC_STOP_TIMEOUT gives it longer"
                );
            }
            // Its time cannot be set.
            State::Finish { .. } if last_words(&self.machine, &self.settings).is_some() => {
                let seconds = self.settings.timeout_finish.0 / 1000;
                say!(
                    "svc-supervise: {name}: the command of restart.at-limit took longer than {seconds} s: killed (SIGKILL): have it end sooner"
                );
            }
            State::Finish { .. } if self.machine.undoing() => {
                say!(
                    "svc-supervise: {name}: its down took too long: killed (SIGKILL): timeout.stop (s6-rc: timeout-down) gives it longer"
                );
            }
            State::Finish { .. } => say!(
                "svc-supervise: {name}: finish took too long: killed (SIGKILL): timeout-finish gives it longer (5000 ms by default)"
            ),
            State::Sweep { .. } => say!("svc-supervise: {name}: what it left behind did not stop in time: killed (SIGKILL)"),
            State::Down { .. } | State::Armed | State::Starting { .. } | State::Gone => {}
        }
    }
}

/// What is run in the place of a `finish` when a service has ended too often.
fn last_words<'a>(machine: &Service, settings: &'a Settings) -> Option<&'a [Vec<u8>]> {
    match settings.restart().map(|restart| &restart.at_limit) {
        Some(AtLimit::Run(words)) if machine.rest() == Rest::Limit => Some(words),
        Some(AtLimit::Run(_) | AtLimit::Fail | AtLimit::StopContainer { .. }) | None => None,
    }
}
