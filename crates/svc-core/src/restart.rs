//! Whether a service that ended is started again, when, and how often. Arithmetic only: the machine in `service.rs` keeps the
//! counts, and what chance there is comes in as a number.

use alloc::vec::Vec;

use crate::signal::Exit;
use crate::time::Millis;

/// Factors and fractions are written in thousandths: 1.5 is 1500.
pub const ONE: u32 = 1000;
/// A back-off without a cap of its own stops growing here.
pub const MAX_DELAY: Millis = Millis::from_secs(60);
/// What has run for so long begins a new series of ends.
pub const RESET_AFTER: Millis = Millis::from_secs(60);
/// The window that a limit counts in where none is given.
pub const WINDOW: Millis = Millis::from_secs(10);
/// Growth after so many ends in a row is beyond every cap.
const MOST_STEPS: u16 = 64;

/// Which ends are followed by a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// Nothing was said: always, but an essential service without a `finish` and without a limit ends with its first end.
    #[default]
    Unsaid,
    Always,
    OnFailure,
    Never,
}

/// What happens at the limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AtLimit {
    /// It stays down, as failed.
    #[default]
    Fail,
    /// That, and everything ends: with its own code, or this one.
    StopContainer { code: Option<u8> },
    /// That, and this is run first: the words behind `svc exec`.
    Run(Vec<Vec<u8>>),
}

/// When a service is started again. `Default` is what holds where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    pub when: When,
    /// Ends after which it is not started, whatever `when` says, and those after which it is.
    pub never_on: Vec<Exit>,
    pub always_on: Vec<Exit>,
    /// From start to start.
    pub delay: Millis,
    /// Each end in a row makes the delay so much longer, in thousandths.
    pub factor: u32,
    pub max_delay: Millis,
    /// The delay is up to this share longer or shorter, in thousandths.
    pub jitter: u32,
    pub reset_after: Millis,
    /// So many ends within the window are the last; zero for no limit.
    pub limit: u8,
    pub window: Millis,
    pub at_limit: AtLimit,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            when: When::Unsaid,
            never_on: Vec::new(),
            always_on: Vec::new(),
            delay: crate::service::RESTART_GAP,
            factor: ONE,
            max_delay: MAX_DELAY,
            jitter: 0,
            reset_after: RESET_AFTER,
            limit: 0,
            window: WINDOW,
            at_limit: AtLimit::Fail,
        }
    }
}

impl Restart {
    /// Whether an end like this is followed by a start.
    pub fn again(&self, exit: Exit, is_success: bool) -> bool {
        if self.never_on.contains(&exit) {
            return false;
        }
        self.always_on.contains(&exit)
            || match self.when {
                When::Unsaid | When::Always => true,
                When::OnFailure => !is_success,
                When::Never => false,
            }
    }

    /// How far apart two starts are after `streak` ends in a row, before chance has its say.
    pub fn base_delay(&self, streak: u16) -> Millis {
        let most = self.max_delay.max(self.delay);
        let mut delay = self.delay;
        for _ in 1..streak.min(MOST_STEPS) {
            if self.factor <= ONE || delay >= most {
                break;
            }
            delay = Millis(delay.0.saturating_mul(u64::from(self.factor)) / u64::from(ONE)).min(most);
        }
        delay
    }

    /// The same with jitter: `chance` is any number.
    pub fn delay(&self, streak: u16, chance: u32) -> Millis {
        let base = self.base_delay(streak);
        let spread = self.spread(base);
        let pick = (u128::from(chance) * u128::from(2 * spread.0 + 1)) >> 32;
        base - spread + Millis(pick as u64)
    }

    /// How far jitter may take a delay, to either side.
    pub fn spread(&self, base: Millis) -> Millis {
        Millis((base.0.saturating_mul(u64::from(self.jitter.min(ONE))) / u64::from(ONE)).min(u64::MAX / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;
    use alloc::vec;

    #[test]
    fn lists_come_before_the_rule_and_never_before_always() {
        let one = Exit::Code(1);
        let mut restart = Restart { when: When::OnFailure, ..Restart::default() };
        assert!(restart.again(one, false) && !restart.again(Exit::Code(0), true));
        restart.never_on = vec![one, Exit::Signal(Signal::TERM)];
        restart.always_on = vec![one, Exit::Code(0)];
        assert!(!restart.again(one, false), "both lists name it");
        assert!(restart.again(Exit::Code(0), true) && !restart.again(Exit::Signal(Signal::TERM), false));
        let never = Restart { when: When::Never, always_on: vec![one], ..Restart::default() };
        assert!(never.again(one, false) && !never.again(Exit::Code(2), false));
    }

    #[test]
    fn the_delay_grows_to_its_cap_and_jitter_stays_in_its_share() {
        let restart =
            Restart { delay: Millis(500), factor: 2000, max_delay: Millis(3000), jitter: 100, ..Restart::default() };
        let delays: Vec<u64> = (0..6).map(|streak| restart.base_delay(streak).0).collect();
        assert_eq!(delays, [500, 500, 1000, 2000, 3000, 3000]);
        assert_eq!((restart.delay(2, 0), restart.delay(2, u32::MAX)), (Millis(900), Millis(1100)));
        assert_eq!(restart.base_delay(u16::MAX), Millis(3000));
    }

    #[test]
    fn no_number_overflows() {
        let most = Millis(u64::MAX);
        let restart = Restart { delay: most, factor: u32::MAX, max_delay: most, jitter: u32::MAX, ..Restart::default() };
        assert!(restart.delay(u16::MAX, u32::MAX) >= restart.base_delay(1) - Millis(1));
        // A cap below the first delay means nothing.
        let restart = Restart { delay: Millis(50), factor: 2000, max_delay: Millis(10), ..Restart::default() };
        assert_eq!(restart.base_delay(9), Millis(50));
    }
}
