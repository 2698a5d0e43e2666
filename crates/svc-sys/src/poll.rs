//! Waiting for descriptors. The one blocking call of svc-init, svc-supervise and svc-log.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use svc_core::Millis;

use crate::errno::{Errno, check};

/// One descriptor to wait for; a negative number is skipped.
pub type Interest = libc::pollfd;

pub fn readable(fd: RawFd) -> Interest {
    Interest { fd, events: libc::POLLIN, revents: 0 }
}

pub fn writable(fd: RawFd) -> Interest {
    Interest { fd, events: libc::POLLOUT, revents: 0 }
}

/// Woken by the end of it alone, not by what may be read.
pub fn ended(fd: RawFd) -> Interest {
    Interest { fd, events: 0, revents: 0 }
}

/// For files of the kernel that tell of a change.
pub fn changed(fd: RawFd) -> Interest {
    Interest { fd, events: libc::POLLPRI, revents: 0 }
}

/// Whether anything happened to it, hang-ups and errors included: reading will tell which.
pub fn is_ready(interest: &Interest) -> bool {
    interest.revents != 0
}

/// Whether the other side is gone for good.
pub fn is_hung_up(interest: &Interest) -> bool {
    interest.revents & libc::POLLHUP != 0
}

/// Whether nobody reads what would be written.
pub fn is_failed(interest: &Interest) -> bool {
    interest.revents & libc::POLLERR != 0
}

/// Whether no descriptor has the number.
pub fn is_free(interest: &Interest) -> bool {
    interest.revents & libc::POLLNVAL != 0
}

/// Waits until one of them is ready or `deadline` has come. A signal that nobody handles does not end it.
pub fn wait(interests: &mut [Interest], now: Millis, deadline: Option<Millis>) {
    let left = deadline.map(|deadline| deadline - now);
    // One millisecond more than the difference of two rounded clocks: waking up early would mean waking up twice.
    let timeout = left.map(|left| {
        let left = if left == Millis::ZERO { Millis::ZERO } else { left + Millis(1) };
        libc::timespec { tv_sec: (left.0 / 1000) as _, tv_nsec: (left.0 % 1000 * 1_000_000) as _ }
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `interests` is a valid array of its length, and `timeout` null or a valid timespec.
    let result = unsafe { libc::ppoll(interests.as_mut_ptr(), interests.len() as libc::nfds_t, timeout, std::ptr::null()) };
    if result < 0 {
        // Interrupted, or the kernel is short of memory: say that nothing is known to be ready. The next turn asks again.
        for interest in interests {
            interest.revents = 0;
        }
    }
}

/// Many descriptors, kept in the kernel: for svc-scan and svc-log, which have one for each service.
pub struct Epoll(OwnedFd);

/// What to wake up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// As long as there is something to read.
    Level,
    /// As long as there is something to read, or room to write.
    LevelBoth,
    /// Each time something came.
    Edge,
    /// Each time it became possible to write.
    WriteEdge,
}

impl Epoll {
    pub fn new() -> Result<Epoll, Errno> {
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just made, and nobody else's.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd`; what [`Epoll::wait`] returns for it is `token`.
    pub fn add(&self, fd: BorrowedFd, token: u64, trigger: Trigger) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, trigger)
    }

    /// Watches one that is watched for something else. One that is not watched any more stays so.
    pub fn change(&self, fd: BorrowedFd, token: u64, trigger: Trigger) {
        let _ = self.control(libc::EPOLL_CTL_MOD, fd, token, trigger);
    }

    fn control(&self, operation: i32, fd: BorrowedFd, token: u64, trigger: Trigger) -> Result<(), Errno> {
        let events = match trigger {
            Trigger::Level => libc::EPOLLIN,
            Trigger::LevelBoth => libc::EPOLLIN | libc::EPOLLOUT,
            Trigger::Edge => libc::EPOLLIN | libc::EPOLLET,
            Trigger::WriteEdge => libc::EPOLLOUT | libc::EPOLLET,
        };
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` is a valid epoll_event.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) }).map(drop)
    }

    pub fn remove(&self, fd: BorrowedFd) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: `event` is a valid epoll_event (kernels before 2.6.9 wanted one).
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), &mut event) };
    }

    /// The tokens of what is ready, at most 64 at a time. Waits until `deadline`, for ever without one.
    pub fn wait(&self, now: Millis, deadline: Option<Millis>, ready: &mut Vec<u64>) {
        ready.clear();
        let timeout = deadline.map_or(-1, |deadline| {
            let left = deadline - now;
            if left == Millis::ZERO { 0 } else { (left.0 + 1).min(i32::MAX as u64) as i32 }
        });
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        // SAFETY: `events` is a valid array of its length.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, timeout) };
        ready.extend(events.iter().take(count.max(0) as usize).map(|event| event.u64));
    }
}

impl std::os::fd::AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
