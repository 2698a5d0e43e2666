//! A stop, step by step: drained, asked by a command, signalled, killed. Each is left out where the settings say nothing of it,
//! and each has its time; the end of `run` ends all of it.
//!
//! ```text
//! drain ─▶ command ─▶ signal 0 ─▶ signal 1 … ─▶ SIGKILL, again and again
//! ```

use super::commands::Running;
use super::{Action, Actions, KILL_AGAIN, Note, Service, State, Stop, Target, after, kill};
use crate::definition::Settings;
use crate::policy::Errand;
use crate::signal::Signal;
use crate::time::Millis;

/// What a stop may be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Drain,
    Command,
    Signal(u8),
    Kill,
}

impl Stop {
    /// When it goes on to what comes next.
    pub fn until(self) -> Option<Millis> {
        match self {
            Stop::No => None,
            Stop::Drain { until } | Stop::Command { until } => Some(until),
            Stop::Signal { until, .. } => until,
            Stop::Kill { again } => Some(again),
        }
    }

    /// Whether it is to stop, and was sent no signal yet.
    pub fn lingers(self) -> bool {
        match self {
            Stop::Drain { .. } | Stop::Command { .. } => true,
            Stop::No | Stop::Signal { .. } | Stop::Kill { .. } => false,
        }
    }

    /// Whether it is not ready for anybody, whatever it says.
    pub(super) fn withdraws(self, settings: &Settings) -> bool {
        match self {
            Stop::No => false,
            Stop::Drain { .. } => true,
            Stop::Command { .. } | Stop::Signal { .. } | Stop::Kill { .. } => settings.drain().is_some(),
        }
    }

    /// What comes next.
    pub(super) fn next(self, settings: &Settings) -> Step {
        match self {
            Stop::No if settings.drain().is_some() => Step::Drain,
            Stop::No | Stop::Drain { .. } if settings.stop_command().is_some() => Step::Command,
            Stop::No | Stop::Drain { .. } | Stop::Command { .. } => Step::Signal(0),
            Stop::Signal { step, .. } => match settings.stop_step(step) {
                Some((_, signal)) if signal != Signal::KILL => Step::Signal(step.saturating_add(1)),
                Some(_) | None => Step::Kill,
            },
            Stop::Kill { .. } => Step::Kill,
        }
    }
}

impl Settings {
    /// What it waits for before it is told to stop.
    pub fn drain(&self) -> Option<&Errand> {
        self.stopping.as_ref()?.drain.as_ref()
    }

    /// What is run to stop it.
    pub fn stop_command(&self) -> Option<&Errand> {
        self.stopping.as_ref()?.command.as_ref()
    }

    /// What comes after this step, and how long after it.
    pub fn stop_step(&self, step: u8) -> Option<(Millis, Signal)> {
        self.stopping.as_ref()?.steps.get(usize::from(step)).copied()
    }

    fn signal_of(&self, step: u8) -> Signal {
        step.checked_sub(1).and_then(|before| self.stop_step(before)).map_or(self.down_signal, |(_, signal)| signal)
    }

    fn stops_tree(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.tree)
    }
}

impl Service {
    /// Begins a step of a stop. `note`: what this is to whoever listens.
    pub(super) fn begin(
        &mut self,
        now: Millis,
        running: Running,
        step: Step,
        note: Note,
        settings: &Settings,
        out: &mut Actions,
    ) {
        let Running { pid, ready, paused, .. } = running;
        let mut runs = false;
        let (stop, ready, note) = match step {
            Step::Drain | Step::Command => {
                let is_drain = step == Step::Drain;
                let errand = if is_drain { settings.drain() } else { settings.stop_command() };
                let until = now + errand.map_or(Millis::ZERO, |errand| errand.most);
                if paused {
                    // What is stopped neither drains nor ends.
                    out.push(Action::Signal { target: Target::Main, signal: Signal::CONT });
                }
                runs = errand.is_some_and(|errand| !errand.words.is_empty());
                if is_drain { (Stop::Drain { until }, None, note) } else { (Stop::Command { until }, ready, note) }
            }
            Step::Signal(step) => {
                send(step, settings, out);
                let wait = settings.stop_step(step).map_or(settings.timeout_kill, |(wait, _)| wait);
                (Stop::Signal { step, until: after(now, wait) }, ready, note)
            }
            Step::Kill => {
                kill_all(settings, out);
                (Stop::Kill { again: now + KILL_AGAIN }, ready, Note::Killed)
            }
        };
        self.state = State::Up { pid, ready, paused: false, stop };
        out.push(Action::Publish(note));
        if runs {
            // Last: it may fail at once, and then the next step is said after this one.
            out.push(Action::Errand);
        }
    }

    /// Somebody asks for a stop: the first time it begins, and who asks again does not wait for what only takes time.
    pub(super) fn stop(&mut self, now: Millis, running: Running, settings: &Settings, out: &mut Actions) {
        let step = match running.stop {
            Stop::No => Stop::No.next(settings),
            Stop::Drain { .. } | Stop::Command { .. } => Step::Signal(0),
            Stop::Signal { step, .. } => Step::Signal(step),
            // No signal says more than that one.
            Stop::Kill { .. } => return out.push(Action::Publish(Note::Changed)),
        };
        self.begin(now, running, step, Note::Stopping, settings, out);
    }

    /// What a stop waited for has ended.
    pub(super) fn errand_ended(
        &mut self,
        now: Millis,
        running: Running,
        well: bool,
        settings: &Settings,
        out: &mut Actions,
    ) {
        let goes_on = match running.stop {
            // Who cannot say whether it is drained leaves it the time.
            Stop::Drain { .. } => well,
            // It has the rest of the time to end.
            Stop::Command { .. } => !well,
            Stop::No | Stop::Signal { .. } | Stop::Kill { .. } => false,
        };
        if goes_on {
            self.begin(now, running, running.stop.next(settings), Note::Changed, settings, out);
        }
    }
}

/// What a predecessor may not have done of this.
pub(super) fn resume(stop: Stop, settings: &Settings, out: &mut Actions) {
    let wake = Action::Signal { target: Target::Main, signal: Signal::CONT };
    match stop {
        Stop::Drain { .. } => {
            out.push(wake);
            if settings.drain().is_some_and(|errand| !errand.words.is_empty()) {
                out.push(Action::Errand);
            }
        }
        // What the predecessor has run runs on without it, and is not run twice.
        Stop::No | Stop::Command { .. } => out.push(wake),
        Stop::Signal { step, .. } => send(step, settings, out),
        Stop::Kill { .. } => kill_all(settings, out),
    }
}

/// SIGCONT behind it: a stopped process would not notice it otherwise.
fn send(step: u8, settings: &Settings, out: &mut Actions) {
    let signal = settings.signal_of(step);
    out.push(Action::Signal { target: Target::Main, signal });
    out.push(Action::Signal { target: Target::Main, signal: Signal::CONT });
    if settings.stops_tree() {
        out.push(Action::Sweep(signal));
    }
}

fn kill_all(settings: &Settings, out: &mut Actions) {
    kill(if settings.kill_group { Target::Group } else { Target::Main }, out);
    if settings.stops_tree() {
        out.push(Action::Sweep(Signal::KILL));
    }
}
