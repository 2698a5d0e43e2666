//! Milliseconds of the monotonic clock. Nobody in this crate can ask what time it is: `now` is always an argument.

use core::ops::{Add, Sub};

/// A point on the monotonic clock, or a span of it, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Millis(pub u64);

impl Millis {
    pub const ZERO: Millis = Millis(0);

    pub const fn from_secs(secs: u64) -> Millis {
        Millis(secs * 1000)
    }

    /// How long until `self`, seen from `now`; zero once it has passed.
    pub fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Millis {
    type Output = Millis;
    fn add(self, other: Millis) -> Millis {
        Millis(self.0.saturating_add(other.0))
    }
}

impl Sub for Millis {
    type Output = Millis;
    fn sub(self, other: Millis) -> Millis {
        self.since(other)
    }
}

/// A time that has been noted, or not yet: an `Option<Millis>` in half the room, for what there is of each service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Noted(u64);

impl Noted {
    pub const NONE: Noted = Noted(u64::MAX);

    pub const fn at(time: Millis) -> Noted {
        Noted(time.0)
    }

    pub fn get(self) -> Option<Millis> {
        (self != Noted::NONE).then_some(Millis(self.0))
    }

    /// The first one stays.
    pub fn fill(&mut self, time: Option<Millis>) {
        if let (None, Some(time)) = (self.get(), time) {
            *self = Noted::at(time);
        }
    }
}

impl Default for Noted {
    fn default() -> Noted {
        Noted::NONE
    }
}
