//! What an end means: what is remembered and counted of it, whether and when the next start comes, and what becomes of what it left
//! behind. `run` ends, `finish` may say more, the rest is swept, and then it is down.

use super::{
    Action, Actions, HISTORY, KILL_AGAIN, NOTHING_TO_DO, Note, Past, Rest, Role, SWEEP_GRACE, Service, Stage, State, Stop,
    Trouble, Want,
};
use crate::definition::Settings;
use crate::signal::{Exit, Signal};
use crate::time::Millis;

impl Service {
    pub(super) fn run_ended(&mut self, now: Millis, exit: Exit, stop: Stop, settings: &Settings, out: &mut Actions) {
        let never_ran = core::mem::take(&mut self.preparing);
        self.done = settings.is_success(exit) && !self.unfit && !never_ran;
        let by_itself = self.want == Want::Up && (stop == Stop::No || self.unfit) && !self.called;
        // Who is started on demand and ends well has done what was to be done.
        let is_over = settings.on_demand.is_some() && self.done;
        if is_over {
            self.streak = 0;
            // But nobody has come of it as often as that.
            if by_itself && self.vain >= settings.knocks_in_vain() {
                self.rest = Rest::Limit;
            }
        }
        let by_itself = by_itself && !is_over;
        self.remember(now, exit, by_itself);
        if by_itself {
            self.count(settings);
        }
        if self.want == Want::Once {
            self.want = Want::Down;
        }
        self.state = State::Starting { role: Role::Finish };
        out.push(Action::Publish(Note::Exited));
        if never_ran && stop == Stop::No {
            self.trouble = Some(Trouble { stage: Stage::Prepare, errno: i32::from(exit.shell_code()) });
            out.push(Action::Publish(Note::Trouble));
        }
        out.push(Action::Spawn(Role::Finish));
    }

    pub(super) fn remember(&mut self, now: Millis, exit: Exit, counts: bool) {
        let ran = now - self.started.unwrap_or(now);
        self.past.truncate(HISTORY - 1);
        let (starved, unfed) = (core::mem::take(&mut self.starved), core::mem::take(&mut self.unfed));
        let ready = matches!(self.state, State::Up { ready: Some(_), .. });
        let stopped = matches!(self.state, State::Up { stop, .. } if stop != Stop::No);
        self.past.insert(0, Past { exit, ended: now, ran, counts, starved, unfed, ready, stopped });
        self.deaths += 1;
        self.since = now;
    }

    /// It ended by itself: how long the series is by now, and whether this was its last end.
    fn count(&mut self, settings: &Settings) {
        let (Some(last), Some(restart)) = (self.last(), settings.restart()) else { return };
        self.streak = if last.ran >= restart.reset_after { 1 } else { self.streak.saturating_add(1) };
        self.draw();
        let recent = |past: &Past| past.counts && last.ended - past.ended < restart.window;
        self.rest = if !restart.again(last.exit, self.done) {
            Rest::Ended
        } else if restart.limit > 0 && self.past().filter(recent).count() >= usize::from(restart.limit) {
            Rest::Limit
        } else {
            Rest::No
        };
    }

    /// There is no `finish` to say what the end of an essential service means.
    pub(super) fn ends_once(&mut self, trouble: Trouble, settings: &Settings) {
        // Who is ended to be restarted is.
        let by_itself = self.last().is_some_and(|past| past.counts) && !self.unfit;
        if trouble.errno == NOTHING_TO_DO && by_itself && settings.ends_once() && self.rest == Rest::No {
            self.rest = Rest::Ended;
        }
    }

    /// `finish` is over: here what its last end means becomes so, unless somebody asked for something else meanwhile.
    pub(super) fn judge(&mut self, out: &mut Actions) {
        if self.rest == Rest::No || self.want != Want::Up {
            return;
        }
        self.want = Want::Down;
        self.hasten = false;
        self.failed = self.rest == Rest::Limit || !self.done;
        out.push(Action::Publish(if self.failed { Note::Failed } else { Note::Changed }));
    }

    /// When to try again what could not be started: a policy may want it later than its driver does.
    pub(super) fn retry_at(&mut self, now: Millis, retry: Millis, settings: &Settings) -> Millis {
        if settings.restart().is_none() || self.want == Want::Down {
            return now + retry;
        }
        self.streak = self.streak.saturating_add(1);
        self.draw();
        let by_policy = self.started.unwrap_or(now) + settings.restart_delay(self.streak, self.chance);
        by_policy.max(now + retry)
    }

    /// The next number of the series (that of Numerical Recipes; its high bits are good enough to spread restarts).
    fn draw(&mut self) {
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }

    /// Somebody asks for a start: what was counted before is forgotten.
    pub(super) fn forgive(&mut self) {
        self.failed = false;
        self.rest = Rest::No;
        self.streak = 0;
        self.unfit = false;
        self.vain = 0;
        self.past.iter_mut().for_each(|past| past.counts = false);
    }

    /// The attempt to undo what was done is over.
    pub(super) fn undone(&mut self, well: bool) {
        self.undoing = false;
        self.done = !well;
    }

    /// `finish` is done: what is left of the service comes next.
    pub(super) fn sweep(&mut self, now: Millis, settings: &Settings, out: &mut Actions) {
        if settings.keep_descendants {
            self.settle(now, settings, out);
            return;
        }
        let grace = if settings.timeout_kill == Millis::ZERO { SWEEP_GRACE } else { settings.timeout_kill };
        let (signal, grace) = if self.forced { (Signal::KILL, KILL_AGAIN) } else { (Signal::TERM, grace) };
        self.state = State::Sweep { kill_at: now + grace, announced: false };
        out.push(Action::Sweep(signal));
    }

    /// Nothing of the service is left.
    pub(super) fn settle(&mut self, now: Millis, settings: &Settings, out: &mut Actions) {
        let delay = settings.restart_delay(self.streak, self.chance);
        let gap_over = self.started.map_or(now, |started| started + delay);
        let not_before = if self.hasten { now } else { gap_over.max(now) };
        self.state = State::Down { not_before };
        out.push(Action::Publish(Note::Down));
        self.leave_if_told(out);
    }
}
