//! What each command makes of a service that is down, and of one that is up.

use super::stop::Step;
use super::{Action, Actions, Command, KILL_AGAIN, Note, Role, Service, State, Stop, Target, Want, kill};
use crate::Pid;
use crate::definition::Settings;
use crate::signal::Signal;
use crate::time::Millis;

/// The fields of [`State::Up`], to hand them on together.
#[derive(Clone, Copy)]
pub(super) struct Running {
    pub(super) pid: Pid,
    pub(super) ready: Option<Millis>,
    pub(super) paused: bool,
    pub(super) stop: Stop,
}

impl Service {
    pub(super) fn command_when_down(&mut self, now: Millis, command: Command, out: &mut Actions) {
        self.wish(command);
        match command {
            Command::Start | Command::Once | Command::Restart => self.spawn_run(now, out),
            Command::Arm | Command::Stop | Command::AtMostOnce => out.push(Action::Publish(Note::Changed)),
            Command::Undo if self.done => {
                self.undoing = true;
                self.started = Some(now);
                self.state = State::Starting { role: Role::Finish };
                out.push(Action::Publish(Note::Stopping));
                out.push(Action::Spawn(Role::Finish));
            }
            // Nothing has been done.
            Command::Undo => out.push(Action::Publish(Note::Changed)),
            Command::Drain
            | Command::Terminate
            | Command::Hurry
            | Command::Force
            | Command::Abandon
            | Command::Interrupt => self.quit(out),
            // Nobody is there to get it; svc-scan says so to the one who asked.
            Command::Wish(_)
            | Command::Recall(_)
            | Command::Reload
            | Command::DownSignal
            | Command::Kill(_)
            | Command::KillGroup(_)
            | Command::Pause
            | Command::Continue => {}
        }
    }

    pub(super) fn command_when_up(
        &mut self,
        now: Millis,
        running: Running,
        command: Command,
        settings: &Settings,
        out: &mut Actions,
    ) {
        self.wish(command);
        let Running { pid, ready, paused, stop } = running;
        match command {
            // It is to read to the end of its input, and a stopped one never does.
            Command::Drain if paused => {
                out.push(Action::Signal { target: Target::Main, signal: Signal::CONT });
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Changed));
            }
            Command::Start | Command::Arm | Command::Once | Command::AtMostOnce | Command::Drain => {
                out.push(Action::Publish(Note::Changed));
            }
            // One that is being stopped is so already, and comes back when it is.
            Command::Restart if stop != Stop::No && !matches!(stop, Stop::Signal { .. }) => {
                out.push(Action::Publish(Note::Changed));
            }
            // What is still being done is broken off.
            Command::Stop | Command::Undo | Command::Terminate | Command::Restart => self.stop(now, running, settings, out),
            // Who was sent a signal has been told.
            Command::Hurry if matches!(stop, Stop::Signal { .. } | Stop::Kill { .. }) => {
                out.push(Action::Publish(Note::Changed));
            }
            Command::Hurry => self.begin(now, running, Step::Signal(0), Note::Stopping, settings, out),
            Command::Wish(_) | Command::Recall(_) => {}
            Command::Reload => out.push(Action::Signal { target: Target::Main, signal: settings.reload_signal }),
            Command::DownSignal => {
                self.called = true;
                self.send(running, Target::Main, settings.down_signal, out);
            }
            Command::Kill(signal) => self.send(running, Target::Main, signal, out),
            Command::KillGroup(signal) => self.send(running, Target::Group, signal, out),
            Command::Pause => self.send(running, Target::Main, Signal::STOP, out),
            Command::Continue => self.send(running, Target::Main, Signal::CONT, out),
            Command::Force => {
                kill(Target::Group, out);
                out.push(Action::Sweep(Signal::KILL));
                let stop = Stop::Kill { again: now + KILL_AGAIN };
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Killed));
            }
            Command::Abandon => self.abandon(out),
            Command::Interrupt => {
                out.push(Action::Signal { target: Target::Group, signal: Signal::INT });
                self.abandon(out);
            }
        }
    }

    /// Sends a signal that changes nothing, unless it is one that stops or continues.
    fn send(&mut self, running: Running, target: Target, signal: Signal, out: &mut Actions) {
        let Running { pid, ready, paused, stop } = running;
        out.push(Action::Signal { target, signal });
        let paused = (paused || signal == Signal::STOP) && signal != Signal::CONT;
        self.state = State::Up { pid, ready, paused, stop };
        out.push(Action::Publish(Note::Changed));
    }

    /// The part of a command that is a wish.
    pub(super) fn wish(&mut self, command: Command) {
        match command {
            // Somebody who leaves takes no wish back: the end of everything is decided above us.
            Command::Start | Command::Restart if !self.leaving => {
                self.want = Want::Up;
                // A start of one that is up already asks for nothing, and so not for less delay after its death either.
                self.hasten |= command == Command::Restart || !matches!(self.state, State::Up { stop: Stop::No, .. });
                self.forgive();
            }
            Command::Arm if !self.leaving => {
                self.want = Want::Up;
                // What is over, or was told to end, ends for that.
                self.called |= !matches!(self.state, State::Up { stop: Stop::No, .. } | State::Starting { role: Role::Run });
                self.forgive();
            }
            Command::Once if !self.leaving => {
                self.want = Want::Once;
                self.forgive();
            }
            Command::Stop | Command::AtMostOnce | Command::Undo => self.want = Want::Down,
            Command::Wish(wish) => self.wished = wish,
            Command::Recall(recall) => self.recall = recall,
            Command::Drain | Command::Terminate | Command::Hurry | Command::Force => {
                self.want = Want::Down;
                self.leaving = true;
                self.forced |= command == Command::Force;
            }
            Command::Start
            | Command::Arm
            | Command::Restart
            | Command::Once
            | Command::Reload
            | Command::DownSignal
            | Command::Kill(_)
            | Command::KillGroup(_)
            | Command::Pause
            | Command::Continue
            | Command::Abandon
            | Command::Interrupt => {}
        }
    }
}
