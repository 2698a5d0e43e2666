//! What somebody waits for, and how far it has come: the meaning of the letters in `event/`.

use svc_proto::s6::Status;

/// A state of a service that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `-u`: it runs.
    Up,
    /// `-U`: it runs, and has said that it is ready.
    Ready,
    /// `-d`: it does not run.
    Down,
    /// `-D`: it does not run, and neither does its finish.
    Finished,
    /// `-r`: it was down, and runs.
    UpAgain,
    /// `-R`: it was down, runs, and is ready.
    ReadyAgain,
}

impl Wish {
    pub(crate) fn from_letter(letter: char) -> Option<Wish> {
        match letter {
            'u' => Some(Wish::Up),
            'U' => Some(Wish::Ready),
            'd' => Some(Wish::Down),
            'D' => Some(Wish::Finished),
            'r' => Some(Wish::UpAgain),
            'R' => Some(Wish::ReadyAgain),
            _ => None,
        }
    }

    /// The same for a service that never says that it is ready.
    pub(crate) fn without_readiness(self) -> Wish {
        match self {
            Wish::Ready => Wish::Up,
            Wish::ReadyAgain => Wish::UpAgain,
            Wish::Up | Wish::Down | Wish::Finished | Wish::UpAgain => self,
        }
    }

    /// Whether it is to run in the end.
    fn is_up(self) -> bool {
        match self {
            Wish::Up | Wish::Ready | Wish::UpAgain | Wish::ReadyAgain => true,
            Wish::Down | Wish::Finished => false,
        }
    }

    /// Whether it must have been down before.
    fn is_again(self) -> bool {
        match self {
            Wish::UpAgain | Wish::ReadyAgain => true,
            Wish::Up | Wish::Ready | Wish::Down | Wish::Finished => false,
        }
    }
}

/// Why a wish will not come true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its finish has said that it shall not be started again.
    FailedForGood,
    /// Its supervisor is gone.
    Unsupervised,
}

/// A wish, and what is known of the service.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    wish: Wish,
    up: bool,
    /// While up: it is ready. While down: its finish is done.
    ready: bool,
    was_down: bool,
    pub(crate) lost: Option<Lost>,
}

impl Progress {
    /// As the status says.
    pub(crate) fn new(wish: Wish, status: &Status) -> Progress {
        let (up, ready) = (status.is_up(), status.ready);
        Progress { wish, up, ready, was_down: !up && ready, lost: None }
    }

    /// Of a supervisor that has just begun, and written no status yet: nothing runs.
    pub(crate) fn at_begin(wish: Wish) -> Progress {
        Progress { wish, up: false, ready: true, was_down: true, lost: None }
    }

    /// An event came.
    pub(crate) fn step(&mut self, event: u8) {
        let (up, ready) = match event {
            b'd' => (false, false),
            b'D' => (false, true),
            b'u' => (true, false),
            b'U' => (true, true),
            b'O' if self.wish.is_up() => return self.lose(Lost::FailedForGood),
            b'x' => return self.lose(Lost::Unsupervised),
            _ => return,
        };
        (self.up, self.ready) = (up, ready);
        // Its first state of being up again begins behind the last moment of having been down.
        self.was_down |= !up;
    }

    /// What was not reached until now will not be.
    pub(crate) fn lose(&mut self, why: Lost) {
        if !self.is_reached() && self.lost.is_none() {
            self.lost = Some(why);
        }
    }

    /// Whether it is what was wished for, now.
    pub(crate) fn is_reached(&self) -> bool {
        if self.lost.is_some() || (self.wish.is_again() && !self.was_down) {
            return false;
        }
        match self.wish {
            Wish::Up | Wish::UpAgain => self.up,
            Wish::Ready | Wish::ReadyAgain => self.up && self.ready,
            Wish::Down => !self.up,
            Wish::Finished => !self.up && self.ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use svc_proto::s6::Stamp;

    use super::*;

    fn status(up: bool, ready: bool) -> Status {
        let stamp = Stamp::from_unix_nanos(0);
        Status {
            changed: stamp,
            ready_changed: stamp,
            pid: u64::from(up) * 7,
            wait_status: 0,
            paused: false,
            finishing: false,
            wanted_up: up,
            ready,
        }
    }

    /// After how many events of a service that was up (and ready or not) it is reached.
    fn after(wish: Wish, ready: bool, events: &str) -> Option<usize> {
        let mut progress = Progress::new(wish, &status(true, ready));
        if progress.is_reached() {
            return Some(0);
        }
        (1..=events.len()).find(|&count| {
            progress.step(events.as_bytes()[count - 1]);
            progress.is_reached()
        })
    }

    #[test]
    fn each_wish_has_its_event() {
        for (wish, expected) in [
            (Wish::Up, Some(0)),
            (Wish::Ready, Some(4)),
            (Wish::Down, Some(1)),
            (Wish::Finished, Some(2)),
            (Wish::UpAgain, Some(3)),
            (Wish::ReadyAgain, Some(4)),
        ] {
            assert_eq!(after(wish, false, "dDuU"), expected, "{wish:?}");
        }
        assert_eq!(after(Wish::Ready, true, ""), Some(0));
        assert_eq!(after(Wish::ReadyAgain, true, "dDu"), None);
        assert_eq!(after(Wish::Finished, true, "ddd"), None, "a finish that runs is not done");
    }

    #[test]
    fn a_service_that_is_down_may_come_up_again_without_an_end() {
        let mut progress = Progress::new(Wish::UpAgain, &status(false, true));
        assert!(!progress.is_reached());
        progress.step(b'u');
        assert!(progress.is_reached());
    }

    #[test]
    fn a_supervisor_without_a_status_runs_nothing_yet() {
        assert!(Progress::at_begin(Wish::Finished).is_reached() && Progress::at_begin(Wish::Down).is_reached());
        let mut progress = Progress::at_begin(Wish::Ready);
        b"su".iter().for_each(|&event| progress.step(event));
        assert!(!progress.is_reached());
        progress.step(b'U');
        assert!(progress.is_reached());
    }

    #[test]
    fn what_cannot_come_true_is_lost() {
        let lost = |wish: Wish, events: &str| {
            let mut progress = Progress::new(wish, &status(true, false));
            events.bytes().for_each(|event| progress.step(event));
            progress.lost
        };
        assert_eq!(lost(Wish::Ready, "dODx"), Some(Lost::FailedForGood), "the first reason stays");
        assert_eq!(lost(Wish::ReadyAgain, "dO"), Some(Lost::FailedForGood));
        assert_eq!(lost(Wish::Finished, "dODx"), None, "what is down may stay down");
        assert_eq!(lost(Wish::Finished, "x"), Some(Lost::Unsupervised));
        assert_eq!(lost(Wish::Ready, "s"), None, "a letter with no meaning here");
    }
}
