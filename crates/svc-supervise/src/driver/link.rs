//! What svc-scan and svc-init say to a supervisor, and what it says to them.

use std::os::fd::{AsFd, OwnedFd};

use svc_core::service::{Command, Event, Note, State};
use svc_core::{Millis, Pid};
use svc_proto::link::{Report, ToSupervisor};
use svc_sys::{clock, fd, message, say};

use super::Driver;

/// From one kill to the next.
const LEAST: Millis = Millis(100);

impl Driver {
    pub(super) fn read_link(&mut self) {
        /// Commands are this long at most. Only a definition is longer, and gets room of its own for a moment.
        const COMMAND: usize = 64;
        let mut room = [0; COMMAND];
        loop {
            let Some(link) = &self.link else { return };
            let Some(length) = message::next_length(link.as_fd()) else { return };
            let mut long = if length > COMMAND { vec![0; length] } else { Vec::new() };
            let packet = if long.is_empty() { &mut room[..] } else { &mut long };
            match message::try_receive(link.as_fd(), packet) {
                Ok(Some((0, _))) | Err(_) => {
                    self.orphaned();
                    return;
                }
                Ok(None) => return,
                Ok(Some((length, descriptors))) => match ToSupervisor::decode(&packet[..length]) {
                    Ok(ToSupervisor::Command(command)) => {
                        self.heard = self.heard.wrapping_add(1);
                        // A logger that has not read everything is at work, however late it is.
                        let at_work = command == Command::Hurry && self.programs.has_input();
                        self.command(if at_work { Command::Drain } else { command });
                        // svc-scan learns from every answer what has been heard.
                        if self.reported != self.heard {
                            self.report(None);
                        }
                    }
                    Ok(ToSupervisor::Define(definition)) => self.define(&definition, descriptors),
                    Ok(ToSupervisor::Orphans(pids)) => {
                        let pids = pids.into_iter().filter_map(|pid| Pid::new(pid as i32));
                        for pid in pids.filter(|&pid| self.is_with_init(pid)).collect::<Vec<Pid>>() {
                            self.remains.remember(pid);
                        }
                        // How it ended is told next.
                        self.knows_orphans = true;
                    }
                    Ok(ToSupervisor::Query) => self.report(None),
                    Ok(ToSupervisor::Files) => self.look_after_files(),
                    Ok(ToSupervisor::Look) => {
                        self.look();
                        self.remains.forget_ended();
                        self.count_remains();
                    }
                    Err(_) => say!("svc-supervise: {}: refused a message that it does not know", self.definition.name),
                },
            }
        }
    }

    /// svc-init is gone, and with it everybody who could steer us, or kill what does not end: what runs is stopped rather than left
    /// alone, and what lives when time is nearly up is killed.
    fn orphaned(&mut self) {
        self.link = None;
        if self.budget != Millis::ZERO {
            self.kill_at = Some(clock::now() + self.budget - self.last_part());
        }
        self.command(Command::Terminate);
        self.look_alone();
    }

    /// Of the time of a stop, what is left for what comes after a kill.
    fn last_part(&self) -> Millis {
        Millis(self.budget.0 / 4)
    }

    pub(super) fn kill_in_time(&mut self) {
        let now = clock::now();
        if self.kill_at.is_none_or(|at| at > now) {
            return;
        }
        let (command, part) = match self.machine.state() {
            // It has not been told yet.
            State::Up { stop, .. } if stop.lingers() => (Command::Hurry, self.last_part().0 / 2),
            // Its finish comes next, or what did not die of it.
            _ => (Command::Force, self.last_part().0),
        };
        self.kill_at = Some(now + Millis(part).max(LEAST));
        self.command(command);
        self.look_alone();
    }

    /// `sockets`: what it listens on from its next start on.
    pub(super) fn define(&mut self, bytes: &[u8], sockets: Vec<OwnedFd>) {
        let Ok(definition) = svc_proto::definition::decode(bytes) else {
            say!("svc-supervise: {}: refused a definition that it does not understand", self.definition.name);
            return;
        };
        self.sockets = sockets;
        self.settings = definition.settings.clone();
        // What is running, and what takes it down, are as they were when it was started.
        let program = std::mem::replace(&mut self.definition, definition).program;
        self.coming = Some(std::mem::replace(&mut self.definition.program, program));
        self.follow();
    }

    pub(super) fn command(&mut self, command: Command) {
        self.reread();
        // Who asks for something wants to know what comes of it.
        self.told_missing = None;
        self.feed(Event::Command(command));
        if self.is_alone() && self.machine.leaving() {
            // Whoever reads what the service writes finds the end, and so does finish.
            fd::take_nothing();
        }
    }

    #[inline(never)]
    pub(super) fn report(&mut self, note: Option<Note>) {
        if let Some(note) = note {
            let waits = note == Note::Changed && (self.machine.starts() == 0 || self.machine.prepares());
            if !waits && !matches!(note, Note::Starting | Note::Up) && !self.machine.leaving() {
                // Whatever else happens is told as it happens; but who leaves before anybody could look needs none.
                self.make_late_files();
            }
            let listens = self.settings.notification_fd.is_some();
            self.files.publish(note, &self.machine, self.most_deaths(), listens);
        }
        if note.is_some_and(is_followed) && self.held.is_none() {
            self.held = note;
            return;
        }
        let before = self.held.take();
        self.send(before, note);
    }

    /// Nothing has followed in this turn: what was held back is told by itself.
    pub(super) fn tell_held(&mut self) {
        if let Some(note) = self.held.take() {
            self.send(None, Some(note));
        }
    }

    fn send(&mut self, before: Option<Note>, note: Option<Note>) {
        self.reported = self.heard;
        let report = Report { before, note, heard: self.heard, words: self.machine.to_words() };
        let Some(link) = &self.link else {
            self.unsent = false;
            return;
        };
        let sent = message::try_send(link.as_fd(), &report.encode(), &[]);
        self.unsent = matches!(sent, Err(errno) if errno.is_shortage());
        self.told_gone = sent.is_ok() && self.machine.state() == State::Gone;
        if note.is_none() && !self.unsent {
            // Who asks, asks for all of it.
            self.report_health();
            self.told_behind &= self.files.behind().is_none();
        }
    }
}

/// What comes of it is known at the end of the turn as a rule, and is told together with it.
fn is_followed(note: Note) -> bool {
    match note {
        Note::Starting | Note::Exited => true,
        Note::Up
        | Note::Ready
        | Note::Stopping
        | Note::Finishing
        | Note::Draining
        | Note::Down
        | Note::Armed
        | Note::Failed
        | Note::Trouble
        | Note::Changed
        | Note::Killed => false,
    }
}
