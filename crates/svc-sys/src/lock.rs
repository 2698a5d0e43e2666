//! Record locks (fcntl) on whole files: they belong to a process, and end with it or when it closes the file. s6 uses these; flock,
//! which daemontools and runit use, does not see them.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::errno::{Errno, check};

/// One for all who read, or one for a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Shared,
    Exclusive,
}

fn whole_file(kind: Kind) -> libc::flock {
    let kind = match kind {
        Kind::Shared => libc::F_RDLCK,
        Kind::Exclusive => libc::F_WRLCK,
    };
    // SAFETY: all zero is a valid flock: from the beginning to the end of the file.
    libc::flock { l_type: kind as _, l_whence: libc::SEEK_SET as _, ..unsafe { std::mem::zeroed() } }
}

/// Takes the lock if nobody has one in its way.
pub fn try_record(file: BorrowedFd, kind: Kind) -> Result<bool, Errno> {
    let lock = whole_file(kind);
    // SAFETY: `lock` is a valid flock.
    match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) }) {
        Ok(_) => Ok(true),
        Err(Errno(libc::EACCES | libc::EAGAIN)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits for the lock, and says whether it came within `patience`; without one it comes or fails. A timer with a signal ends the
/// wait: this is for programs with one thread and no use for SIGALRM.
pub fn record(file: BorrowedFd, kind: Kind, patience: Option<Duration>) -> Result<bool, Errno> {
    let alarm = patience.map(Alarm::after).transpose()?;
    let lock = whole_file(kind);
    loop {
        // SAFETY: `lock` is a valid flock.
        match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLKW, &lock) }) {
            Ok(_) => return Ok(true),
            Err(Errno::INTERRUPTED) if alarm.as_ref().is_some_and(|alarm| Instant::now() >= alarm.at) => return Ok(false),
            Err(Errno::INTERRUPTED) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// SIGALRM from a point in time on, again and again: one that came just before the wait would not end it.
struct Alarm {
    at: Instant,
    action: libc::sigaction,
    mask: libc::sigset_t,
}

impl Alarm {
    /// How long after a signal that came too early the next one comes.
    const AGAIN: Duration = Duration::from_millis(20);

    fn after(patience: Duration) -> Result<Alarm, Errno> {
        extern "C" fn interrupt(_: libc::c_int) {}
        let at = Instant::now() + patience;
        // SAFETY: all zero is a valid sigaction (no flags: calls are not begun again) and a valid sigset_t.
        let (mut action, mut before, mut mask, mut alarm): (
            libc::sigaction,
            libc::sigaction,
            libc::sigset_t,
            libc::sigset_t,
        ) = unsafe { std::mem::zeroed() };
        action.sa_sigaction = interrupt as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler does nothing, and every pointer is to a valid place.
        unsafe {
            check(libc::sigaction(libc::SIGALRM, &action, &mut before))?;
            libc::sigaddset(&mut alarm, libc::SIGALRM);
            libc::sigprocmask(libc::SIG_UNBLOCK, &alarm, &mut mask);
        }
        set_timer(patience.max(Duration::from_micros(1)), Alarm::AGAIN);
        Ok(Alarm { at, action: before, mask })
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        set_timer(Duration::ZERO, Duration::ZERO);
        // SAFETY: both are what the kernel has handed out.
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &self.mask, std::ptr::null_mut());
            libc::sigaction(libc::SIGALRM, &self.action, std::ptr::null_mut());
        }
    }
}

/// Zero stops it.
fn set_timer(first: Duration, then: Duration) {
    let value =
        |duration: Duration| libc::timeval { tv_sec: duration.as_secs() as _, tv_usec: duration.subsec_micros() as _ };
    let timer = libc::itimerval { it_interval: value(then), it_value: value(first) };
    // SAFETY: `timer` is valid; with a null pointer nothing is written back.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}
