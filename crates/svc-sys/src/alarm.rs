//! A clock that rings at a time of day, and also when somebody sets the clock.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::errno::{Errno, check};
use crate::fd;

pub struct Alarm(OwnedFd);

/// Why it rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    Time,
    /// The clock was set; the alarm no longer stands.
    ClockSet,
    /// Not at all.
    Nothing,
}

impl Alarm {
    pub fn new() -> Result<Alarm, Errno> {
        // SAFETY: takes no pointers.
        let raw = check(unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })?;
        fd::adopt(raw).map(Alarm).ok_or(Errno::BROKEN_PIPE)
    }

    /// Lets it ring at this time, in milliseconds since 1970.
    pub fn set(&self, wall_ms: u64) -> Result<(), Errno> {
        // A time of zero would take the alarm back.
        let wall_ms = wall_ms.max(1);
        let value = libc::timespec { tv_sec: (wall_ms / 1000) as _, tv_nsec: (wall_ms % 1000 * 1_000_000) as _ };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        // SAFETY: `once` is a valid itimerspec, and nothing is to be written back.
        check(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), flags, &once, std::ptr::null_mut()) }).map(drop)
    }

    pub fn ring(&self) -> Ring {
        let mut count = [0; 8];
        match fd::read(self.0.as_fd(), &mut count) {
            Ok(_) => Ring::Time,
            Err(errno) if errno == Errno::CANCELED => Ring::ClockSet,
            Err(_) => Ring::Nothing,
        }
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::poll;

    /// One after the other: the second disturbs every alarm there is.
    #[test]
    fn it_rings_at_its_time_and_when_somebody_sets_the_clock() {
        let alarm = Alarm::new().expect("timers");
        assert_eq!(alarm.ring(), Ring::Nothing);
        let at = clock::wall_ms() + 30;
        // Somebody else may set the clock meanwhile.
        loop {
            alarm.set(at).expect("a time");
            let mut interests = [poll::readable(alarm.as_raw_fd())];
            poll::wait(&mut interests, clock::now(), None);
            if alarm.ring() == Ring::Time {
                break;
            }
        }
        assert!(clock::wall_ms() >= at);
        assert_eq!(alarm.ring(), Ring::Nothing);

        alarm.set(clock::wall_ms() + 3_600_000).expect("a time");
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is a valid place for a timespec.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
        // SAFETY: `now` has just been read. The clock is set to what it says.
        if unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &now) } != 0 {
            // A container may not, and CI may be one.
            eprintln!("SKIPPED: when somebody sets the clock: needs the right to set it");
            return;
        }
        assert_eq!(alarm.ring(), Ring::ClockSet);
    }
}
