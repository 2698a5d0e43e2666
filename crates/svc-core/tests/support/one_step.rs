//! What can be seen of a step from the step alone, and from what came before it.

use svc_core::Exit;
use svc_core::service::{Action, Command, Event, Note, Role, Service, State, Stop, Want};

use super::{Promises, Step};
use crate::course;
use crate::world::{Turn, broken};

/// `Actions` has room for six. One that stays free proves that none was dropped.
const ROOM: usize = 6;

impl Promises {
    /// What can be seen from the step alone.
    pub fn check(&self, step: &Step) -> Turn {
        let Step { now, event, before, after, actions, .. } = *step;
        if actions.len() >= ROOM {
            return broken("more actions than fit");
        }
        if Service::from_words(&after.to_words()).as_ref() != Some(after) {
            return broken("what was written down is not what was");
        }
        if before.state() == State::Gone {
            return if actions.is_empty() && before == after { Ok(()) } else { broken("something happens after the end") };
        }
        if (after.state() == State::Gone) != (actions.last() == Some(&Action::Quit)) {
            return broken("the end and `Quit` do not go together");
        }
        let abandons =
            matches!(event, Event::Command(Command::Abandon | Command::Interrupt)) && after.state() == State::Gone;
        if before.leaving() && !after.leaving() && !abandons {
            return broken("somebody who leaves has changed his mind");
        }
        let is_left = matches!(before.state(), State::Up { .. } | State::Finish { .. } | State::Sweep { .. });
        if abandons && is_left && after.leaving() {
            return broken("gone, and what is left of its service is nobody's");
        }
        if after.leaving() && matches!(after.state(), State::Down { .. }) {
            return broken("down, leaving, and still there");
        }
        if after.state() == State::Armed && after.want() != Want::Up {
            return broken("armed, and nobody wants it");
        }
        if (before.state(), event) == (State::Armed, Event::Knock) && after.state() != (State::Starting { role: Role::Run })
        {
            return broken("somebody knocks, and it is not started");
        }
        self.check_wish(step)?;
        check_signals(step)?;
        self.check_spawns(step)?;
        check_published(step)?;
        if event == Event::Deadline
            && same_kind(before.state(), after.state())
            && after.deadline().is_some_and(|at| at <= now)
        {
            return broken("the deadline does not move forward");
        }
        self.check_waits(step)
    }

    fn check_spawns(&self, step: &Step) -> Turn {
        let Step { before, after, actions, event, settings, .. } = *step;
        let spawns: Vec<Role> =
            actions.iter().filter_map(|action| if let Action::Spawn(role) = action { Some(*role) } else { None }).collect();
        let expected = match after.state() {
            State::Starting { role } if before.state() != after.state() => Some(role),
            _ => None,
        };
        if spawns != expected.as_slice() {
            return broken(format!("spawns {spawns:?} on the way to {:?}", after.state()));
        }
        if let (State::Up { .. }, Event::Exited(_)) = (before.state(), event)
            && expected != Some(Role::Finish)
        {
            return broken("run ended and finish does not follow");
        }
        if expected == Some(Role::Run) {
            if !matches!(before.state(), State::Down { .. } | State::Armed) {
                return broken("run is started while something of it may live");
            }
            if after.want() == Want::Down {
                return broken("nobody wants a start");
            }
            if self.over && !asks_for_start(event) {
                return broken("started again against its policy");
            }
            let waits = settings.on_demand.is_some() && (self.done || self.called) && !self.hurried;
            if waits && event == Event::Deadline {
                return broken("started though nobody has knocked");
            }
            if self.permanent && !asks_for_start(event) {
                return broken("started again after 125");
            }
            if actions.first() != Some(&Action::Publish(Note::Starting)) {
                return broken("a start that is not announced");
            }
        }
        Ok(())
    }

    /// The wish is what was asked for last; one start is one, and 125 takes it back.
    fn check_wish(&self, step: &Step) -> Turn {
        let Step { event, before, after, .. } = *step;
        let stays = before.want();
        let used_up = if stays == Want::Once { Want::Down } else { stays };
        let expected = match (before.state(), event) {
            (_, Event::Command(Command::Start | Command::Arm | Command::Restart)) if !before.leaving() => Want::Up,
            (_, Event::Command(Command::Once)) if !before.leaving() => Want::Once,
            (
                _,
                Event::Command(
                    Command::Stop
                    | Command::AtMostOnce
                    | Command::Undo
                    | Command::Drain
                    | Command::Terminate
                    | Command::Hurry
                    | Command::Force,
                ),
            ) => Want::Down,
            (State::Up { .. }, Event::Exited(_)) | (State::Starting { role: Role::Run }, Event::SpawnFailed { .. }) => {
                used_up
            }
            (State::Finish { .. }, Event::Exited(Exit::Code(125))) if !before.undoing() => Want::Down,
            // What its policy made of its end becomes so when its finish is over.
            (State::Finish { .. }, Event::Exited(_))
            | (State::Starting { role: Role::Finish }, Event::SpawnFailed { .. })
                if stays == Want::Up && self.is_over(step) && !before.undoing() =>
            {
                Want::Down
            }
            _ => stays,
        };
        if after.want() == expected { Ok(()) } else { broken(format!("wants {:?}, not {expected:?}", after.want())) }
    }

    /// Whoever waits knows how long.
    fn check_waits(&self, step: &Step) -> Turn {
        let Step { now, event, before, after, settings, .. } = *step;
        let deadline = after.deadline();
        match after.state() {
            State::Down { .. } if after.want() != Want::Down && deadline.is_none() => broken("a start that never comes"),
            State::Down { not_before }
                if matches!(event, Event::SpawnFailed { retry, .. }
                if before.state() == (State::Starting { role: Role::Run }) && not_before < now + retry) =>
            {
                broken("tried again too soon")
            }
            State::Down { not_before }
                if !matches!(before.state(), State::Down { .. } | State::Armed | State::Starting { role: Role::Run }) =>
            {
                let soonest = after.started().map_or(now, |started| now.max(started + self.delays(settings).1));
                if not_before > soonest { broken("it could start sooner") } else { Ok(()) }
            }
            State::Sweep { .. } if deadline.is_none() => broken("a sweep without an end"),
            _ => Ok(()),
        }
    }
}

/// Signals go to the main process, and never after its end was told: its pid may be somebody else's.
fn check_signals(step: &Step) -> Turn {
    let signals = step.actions.iter().any(|action| matches!(action, Action::Signal { .. }));
    let ended = matches!(step.event, Event::Exited(_));
    if let State::Up { stop, .. } = step.before.state() {
        course::check(step, stop)?;
    }
    if let State::Up { stop: Stop::Drain { .. }, ready: Some(_), .. } = step.after.state() {
        return broken("drained, and told to be ready");
    }
    if signals && (step.before.pid().is_none() || ended) { broken("a signal to nobody") } else { Ok(()) }
}

/// What others can see does not change in silence. A sweep is announced when its first count says that somebody is left.
fn check_published(step: &Step) -> Turn {
    let Step { before, after, actions, .. } = *step;
    let published = actions.iter().any(|action| matches!(action, Action::Publish(_)));
    let silent_by_design = matches!(after.state(), State::Sweep { .. } | State::Gone);
    let ready = |service: &Service| matches!(service.state(), State::Up { ready: Some(_), .. });
    let seen = |service: &Service| (service.want(), service.failed(), service.leaving(), service.trouble(), ready(service));
    let is_other = before.pid() != after.pid() && !silent_by_design;
    let changed = is_other
        || (!same_kind(before.state(), after.state()) && !silent_by_design)
        || (seen(before) != seen(after) && after.state() != State::Gone);
    if changed && !published { broken("a change that nobody is told") } else { Ok(()) }
}

fn same_kind(one: State, other: State) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

pub(super) fn asks_for_start(event: Event) -> bool {
    matches!(event, Event::Command(Command::Start | Command::Arm | Command::Restart | Command::Once))
}
