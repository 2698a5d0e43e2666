//! What the policy of the moment makes of an end, worked out by other means than the machine's.

use svc_core::definition::Settings;
use svc_core::policy::Policy;
use svc_core::restart::When;
use svc_core::service::{Event, NOTHING_TO_DO, RESTART_GAP, Role, Service, State, Stop, Want};
use svc_core::{Exit, Millis};

use super::{Promises, Step};

impl Promises {
    pub(super) fn is_by_itself(&self, before: &Service) -> bool {
        let not_told = matches!(before.state(), State::Up { stop: Stop::No, .. });
        before.want() == Want::Up && (not_told || self.unfit) && !self.called
    }

    /// An end that nobody asked for: what the policy of this moment makes of it, by other means than the machine's.
    pub(super) fn count(&mut self, step: &Step, exit: Exit) {
        self.own_ends.push(step.now);
        let Some(policy) = &step.settings.policy else { return };
        let restart = &policy.restart;
        let ran = step.now - step.before.started().unwrap_or(step.now);
        self.streak = if ran < restart.reset_after { self.streak.saturating_add(1) } else { 1 };
        let by_rule = match restart.when {
            When::Unsaid | When::Always => true,
            When::OnFailure => !self.done,
            When::Never => false,
        };
        let again = !restart.never_on.contains(&exit) && (by_rule || restart.always_on.contains(&exit));
        let in_window = self.own_ends.iter().filter(|&&end| end + restart.window > step.now).count();
        self.over = !again || restart.limit > 0 && in_window >= usize::from(restart.limit);
    }

    /// Whether its last end is to stay its last one; the end of an essential service without `finish` is.
    pub(super) fn is_over(&self, step: &Step) -> bool {
        let Step { event, before, settings, .. } = *step;
        let no_finish = matches!(event, Event::SpawnFailed { trouble, .. } if trouble.errno == NOTHING_TO_DO)
            && before.state() == State::Starting { role: Role::Finish }
            && !before.undoing();
        let says_nothing = |policy: &Policy| policy.restart.when == When::Unsaid && policy.restart.limit == 0;
        let says_nothing = settings.policy.as_deref().is_none_or(says_nothing);
        let own = self.past.front().is_some_and(|past| past.counts);
        self.over || no_finish && settings.essential && says_nothing && own && !self.unfit
    }

    /// The shortest and the longest time from start to start that the policy of this moment allows.
    pub(super) fn delays(&self, settings: &Settings) -> (Millis, Millis) {
        let Some(policy) = &settings.policy else { return (RESTART_GAP, RESTART_GAP) };
        let restart = &policy.restart;
        let mut delay = restart.delay.0 as f64;
        for _ in 1..self.streak {
            delay *= f64::from(restart.factor) / 1000.0;
        }
        let delay = delay.min(restart.max_delay.0.max(restart.delay.0) as f64);
        let jitter = delay * f64::from(restart.jitter) / 1000.0;
        // The machine rounds down, once for each step.
        let rounding = f64::from(self.streak.min(64)) * f64::from(restart.factor) / 1000.0;
        let least = (delay - jitter - rounding).max(0.0);
        (Millis(least as u64), Millis((delay + jitter).ceil() as u64))
    }
}

pub(super) fn is_success(settings: &Settings, exit: Exit) -> bool {
    let list = settings.policy.as_ref().and_then(|policy| policy.success.as_ref());
    list.map_or(exit == Exit::Code(0), |list| list.contains(&exit))
}
