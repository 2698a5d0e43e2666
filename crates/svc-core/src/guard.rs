//! The memory guard: the part of [`crate::health`] that weighs a running service now and then, and says when it has become too heavy.
//!
//! Only a service that has a limit is weighed; nobody else has a deadline here.

use crate::health::{Action, Actions, Remedy};
use crate::time::Millis;

/// How heavy a service may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Resident memory of all its processes together.
    pub bytes: u64,
    /// From one weighing to the next.
    pub interval: Millis,
    pub remedy: Remedy,
}

/// It was heavier than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    pub at: Millis,
    pub bytes: u64,
    /// What it might be then.
    pub limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guard {
    next: Option<Millis>,
    /// It was too heavy when it was last weighed: nothing more is done before it has been lighter.
    above: bool,
    /// The last time that it became so; of an earlier run too, because that may be why there is another one.
    last: Option<Excess>,
}

/// Words of a snapshot.
pub(crate) const WORDS: usize = 5;
/// "No such time".
const NEVER: u64 = u64::MAX;

impl Guard {
    pub fn last(&self) -> Option<Excess> {
        self.last
    }

    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.next
    }

    /// Whether the service is up. `is_new`: for the first time since its last start.
    pub(crate) fn live(&mut self, now: Millis, up: bool, is_new: bool, limit: Option<&MemoryLimit>) {
        self.above &= !is_new;
        self.next = match limit.filter(|_| up) {
            Some(limit) if is_new => Some(now + limit.interval),
            // The interval may be another one since.
            Some(limit) => Some(self.next.unwrap_or(now + limit.interval).min(now + limit.interval)),
            None => None,
        };
    }

    pub(crate) fn time(&mut self, now: Millis, limit: Option<&MemoryLimit>, out: &mut Actions) {
        if self.next.is_some_and(|at| at <= now) {
            self.next = limit.map(|limit| now + limit.interval);
            if limit.is_some() {
                out.push(Action::Weigh);
            }
        }
    }

    pub(crate) fn weighed(&mut self, now: Millis, bytes: u64, limit: Option<&MemoryLimit>, out: &mut Actions) {
        let Some(limit) = limit else { return };
        let was_above = core::mem::replace(&mut self.above, bytes > limit.bytes);
        if self.above && !was_above {
            self.last = Some(Excess { at: now, bytes, limit: limit.bytes });
            out.push(Action::Publish);
            out.push(Action::Relieve(limit.remedy));
        }
    }

    pub(crate) fn to_words(self) -> [u64; WORDS] {
        let Excess { at, bytes, limit } = self.last.unwrap_or(Excess { at: Millis(NEVER), bytes: 0, limit: 0 });
        [self.next.map_or(NEVER, |at| at.0), u64::from(self.above), at.0, bytes, limit]
    }

    pub(crate) fn from_words([next, above, at, bytes, limit]: [u64; WORDS]) -> Guard {
        let is_time = |at: u64| at != NEVER;
        Guard {
            next: is_time(next).then_some(Millis(next)),
            above: above != 0,
            last: is_time(at).then_some(Excess { at: Millis(at), bytes, limit }),
        }
    }
}
