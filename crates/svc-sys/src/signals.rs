//! Signals as something to read.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use svc_core::Signal;

use crate::errno::{Errno, check};

/// Never blocked: there are handlers for a fault of our own, and a blocked one kills without a trace. Of other faults the kernel
/// makes an end in any case, and who else sends their signals means nothing by that.
const FAULTS: [libc::c_int; 3] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT];

fn set_of(fill: bool) -> libc::sigset_t {
    // Not sigfillset: that of musl leaves out the three signals that it uses between threads, and an unblocked one of those
    // would end a process that has no use for it.
    let bits = if fill { 0xff } else { 0 };
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a sigset_t is a row of bits, any of which are valid.
    unsafe {
        set.as_mut_ptr().write_bytes(bits, 1);
        set.assume_init()
    }
}

/// Signals that wait here instead of interrupting.
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks every signal but the faults and SIGCONT, and opens the place where they wait. To be called before anything that
    /// could start a thread: a thread with open signals would take them from us.
    ///
    /// SIGCONT wakes who was stopped whether it is blocked or not, and asks for nothing more: waiting here it would wake
    /// everybody else as well.
    pub fn take_all() -> Result<Signals, Errno> {
        let mut set = set_of(true);
        // SIGABRT to process 1 is a request (exec finish at once); our own abort() raises it as well, unblocked by musl.
        for open in FAULTS.into_iter().filter(|&fault| fault != libc::SIGABRT).chain([libc::SIGCONT]) {
            // SAFETY: `set` is initialised, `open` a valid number.
            unsafe { libc::sigdelset(&mut set, open) };
        }
        // SAFETY: `set` is initialised.
        check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) })?;
        // SAFETY: `set` is initialised.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: just made, and nobody else's.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that came, if one did. Several of one kind may have become one.
    pub fn next(&self) -> Option<Signal> {
        // SAFETY: all zero is a valid signalfd_siginfo.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = std::mem::size_of_val(&info);
        // SAFETY: `info` is writable for its size.
        let got = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        (got == size as isize).then(|| Signal::new(info.ssi_signo as u8)).flatten()
    }
}

/// Some signals that wait here until this is dropped; the others do what they did before.
pub struct Chosen {
    signals: Signals,
    before: libc::sigset_t,
}

impl Chosen {
    pub fn take(chosen: &[Signal]) -> Result<Chosen, Errno> {
        let mut set = set_of(false);
        for signal in chosen {
            // SAFETY: `set` is initialised, and a `Signal` a valid number.
            unsafe { libc::sigaddset(&mut set, libc::c_int::from(signal.number())) };
        }
        let mut before = set_of(false);
        // SAFETY: both sets are initialised.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, &mut before) })?;
        // SAFETY: `set` is initialised.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) });
        // SAFETY: just made, and nobody else's.
        fd.map(|fd| Chosen { signals: Signals(unsafe { OwnedFd::from_raw_fd(fd) }), before })
    }

    /// As [`Signals::next`].
    pub fn next(&self) -> Option<Signal> {
        self.signals.next()
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        // SAFETY: `before` is what sigprocmask gave.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

impl AsFd for Chosen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.0.as_fd()
    }
}

impl AsRawFd for Chosen {
    fn as_raw_fd(&self) -> RawFd {
        self.signals.as_raw_fd()
    }
}

/// Unblocks everything, and leaves the dispositions as they are.
pub fn unblock_all() {
    let set = set_of(false);
    // SAFETY: `set` is initialised.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) };
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Unblocks everything, and gives SIGPIPE its default back, which Rust's start-up took: what a child should begin with.
pub fn reset() {
    let set = set_of(false);
    // SAFETY: `set` is initialised; SIG_DFL is a valid disposition.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Whether SIGPIPE was ignored when this process began: Rust's start-up ignores it in any case.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Runs before Rust's start-up does, as everything does that stands in this section.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_PIPE: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: all zero is a valid sigaction; with a null pointer the call changes nothing.
        let ignored = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        };
        PIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
    }
    look
};

/// Gives SIGPIPE back what it had when this process began: what a program does that is only a link in somebody's chain.
pub fn restore_pipe() {
    if !PIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: SIG_DFL is a valid disposition.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

/// Takes SIGPIPE away again: for programs that write into pipes whose readers may go, and want to be told by an error.
pub fn ignore_pipe() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Writes to somebody who may go meanwhile: that is an error then, not our end.
pub fn told_by_an_error<T>(write: impl FnOnce() -> T) -> T {
    ignore_pipe();
    let written = write();
    restore_pipe();
    written
}

/// Gives the signals their default back that a shell or nohup takes from what it starts in the background: no shell below can
/// trap them otherwise.
pub fn restore_defaults() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: SIG_DFL is a valid disposition.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Lets a signal of this number pass without a trace, in this process and in what it executes.
pub fn ignore(number: i32) -> Result<(), Errno> {
    // SAFETY: SIG_IGN is a valid disposition; a number that is no signal is refused.
    if unsafe { libc::signal(number, libc::SIG_IGN) } == libc::SIG_ERR { Err(Errno::last()) } else { Ok(()) }
}

/// The opposite: what a signal of this number does to a program that knows nothing of it.
pub fn restore_default(number: i32) -> Result<(), Errno> {
    // SAFETY: SIG_DFL is a valid disposition; a number that is no signal is refused.
    if unsafe { libc::signal(number, libc::SIG_DFL) } == libc::SIG_ERR { Err(Errno::last()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_only_woken_has_nothing_to_read() {
        let signals = Signals::take_all().expect("signals");
        for number in [libc::SIGCONT, libc::SIGUSR1] {
            // SAFETY: takes no pointers; to this thread, which holds back all that would end it.
            assert_eq!(unsafe { libc::raise(number) }, 0);
        }
        assert_eq!((signals.next(), signals.next()), (Some(Signal::USR1), None));
    }
}
