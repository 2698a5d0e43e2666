//! Descriptors: made with close-on-exec, owned by `OwnedFd`, lent as `BorrowedFd`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use svc_core::Millis;

use crate::errno::{Errno, check};
use crate::poll;

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller has just got `fd` from the kernel, and hands it to nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Takes ownership of a descriptor that a predecessor left open in this process under this number.
///
/// Returns `None` if there is none, so a wrong number in a message cannot take over somebody else's.
pub fn adopt(fd: RawFd) -> Option<OwnedFd> {
    is_open(fd).then(|| own(fd))
}

/// A pipe: its reading and its writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0; 2];
    // SAFETY: `ends` is a valid place for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((own(ends[0]), own(ends[1])))
}

/// A pipe for what a service writes. Whoever runs with it as standard output may open `/dev/stdout`, also after it has given up
/// being root; nobody else is let into `/proc/PID/fd`.
pub fn output_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = pipe()?;
    crate::at::set_mode(write.as_fd(), 0o622)?;
    Ok((read, write))
}

/// Two connected sockets that keep packets apart.
pub fn packet_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` is a valid place for two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    Ok((own(ends[0]), own(ends[1])))
}

/// A counter that wakes whoever polls it.
pub fn event() -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(own)
}

/// Rings the bell of [`event`].
pub fn ring(bell: BorrowedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `one` has eight readable bytes. A full counter has been rung already, so the result says nothing new.
    unsafe { libc::write(bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Reads up to `buffer.len()` bytes; 0 at the end.
pub fn read(fd: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: `buffer` is writable for its length.
    crate::errno::check_size(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Writes some of `bytes`, and says how many.
pub fn write(fd: BorrowedFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: `bytes` is readable for its length.
    crate::errno::check_size(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

/// How many bytes can be read from a pipe at once.
pub fn available(fd: RawFd) -> Result<usize, Errno> {
    let mut count: libc::c_int = 0;
    // SAFETY: `count` is a valid place for an int.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Gives a pipe as much room as anybody may give one, whoever made it. What is in it stays; one that is larger stays as it is.
pub fn widen_pipe(fd: RawFd) -> Result<(), Errno> {
    const LIMIT: &str = "/proc/sys/fs/pipe-max-size";
    const USUAL: i32 = 1 << 20;
    let limit = std::fs::read_to_string(LIMIT).ok().and_then(|text| text.trim_end().parse().ok()).unwrap_or(USUAL);
    // SAFETY: takes no pointers.
    let before = check(unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) })?;
    if before >= limit {
        return Ok(());
    }
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETPIPE_SZ, limit) }).map(drop)
}

/// Whether `fd` is a pipe, or a socket, that nobody reads any more.
pub fn has_no_reader(fd: RawFd) -> bool {
    let mut interest = [crate::poll::writable(fd)];
    crate::poll::wait(&mut interest, svc_core::Millis::ZERO, Some(svc_core::Millis::ZERO));
    crate::poll::is_failed(&interest[0])
}

/// Whether a descriptor of this number is open.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Lets a descriptor survive an exec of this process, or not.
pub fn set_close_on_exec(fd: RawFd, close: bool) {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: takes no pointers; a closed descriptor is an error that changes nothing.
    unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
}

/// Which of the first three descriptors were closed when this process began: Rust's start-up opens /dev/null in their place.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Runs before Rust's start-up does, as everything does that stands in this section.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDIO: extern "C" fn() = {
    extern "C" fn look() {
        let closed = (0..3).filter(|&fd| !is_open(fd)).fold(0, |bits, fd| bits | 1 << fd);
        CLOSED.store(closed, Ordering::Relaxed);
    }
    look
};

/// Closes those of the first three descriptors that were closed when this process began: what a program does that is only a
/// link in somebody's chain. What is read from or written to them then fails, as it must.
pub fn restore_closed() {
    let closed = CLOSED.swap(0, Ordering::Relaxed);
    for fd in (0..3).filter(|fd| closed & 1 << fd != 0) {
        close(fd);
    }
}

/// Puts /dev/null in the place of standard input and output: their pipes, if they are pipes, are given up.
pub fn take_nothing() {
    // Where there is no /dev/null they stay what they are.
    let Ok(nothing) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    for number in [0, 1] {
        let _ = place(nothing.as_raw_fd(), number);
    }
}

/// Makes reading and writing return at once. Only for descriptors whose open file is ours alone.
pub fn set_nonblocking(fd: BorrowedFd) -> Result<(), Errno> {
    set_blocking(fd.as_raw_fd(), false)
}

/// Makes reading and writing wait, or return at once, for everybody who has this open file.
pub fn set_blocking(fd: RawFd, block: bool) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let flags = if block { flags & !libc::O_NONBLOCK } else { flags | libc::O_NONBLOCK };
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// Lets what comes send SIGIO to this process, or no more: a write into a pipe, a connection or datagram to a socket that we hold,
/// whoever takes it. A write that finds the pipe full before it is done wakes no edge-triggered reader up if there was something in
/// the pipe already; this signal it does send.
pub fn signal_arrivals(at: BorrowedFd, on: bool) -> Result<(), Errno> {
    let fd = at.as_raw_fd();
    if on {
        // SAFETY: takes no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_SETOWN, libc::getpid()) })?;
    }
    // SAFETY: takes no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let flags = if on { flags | libc::O_ASYNC } else { flags & !libc::O_ASYNC };
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// A second descriptor for the same open file, closed on exec, at `least` or above.
pub fn duplicate(fd: RawFd, least: RawFd) -> Result<OwnedFd, Errno> {
    // The bare system call: musl's fcntl makes another one behind it, for kernels that know no F_DUPFD_CLOEXEC.
    // SAFETY: takes no pointers.
    check(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, least) } as i32).map(own)
}

/// Has the table of descriptors made as large as it will be, while nobody shares it. When it grows after that, in the middle of
/// everything, the kernel waits until no processor looks at the old one any more: that takes 10 to 20 ms. `of` is any open one.
pub fn make_room(of: BorrowedFd, numbers: u64) {
    let most = limit_of_descriptors().map_or(numbers, |limit| limit.soft.min(numbers));
    // With fewer it only takes longer.
    let _ = duplicate(of.as_raw_fd(), most.saturating_sub(1) as RawFd);
}

/// Puts `fd` under exactly this number, open across exec.
pub fn place(fd: RawFd, number: RawFd) -> Result<(), Errno> {
    if fd == number {
        set_close_on_exec(fd, false);
        return Ok(());
    }
    // SAFETY: takes no pointers.
    check(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// Opens the file behind `fd` once more for writing, without blocking. Ours alone, so that the blocking mode of everybody
/// who inherited `fd` stays as it is. A file in a directory makes nobody wait, and who has a place in it of his own writes over what others
/// have written (`2>log` of a shell does not append): that one is shared.
pub fn reopen_for_writing(fd: RawFd) -> Result<OwnedFd, Errno> {
    if is_plain_file(fd) {
        return duplicate(fd, 3);
    }
    let path = format!("/proc/self/fd/{fd}\0");
    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_APPEND;
    // SAFETY: `path` ends with a NUL byte.
    check(unsafe { libc::open(path.as_ptr().cast(), flags) }).map(own)
}

fn is_plain_file(fd: RawFd) -> bool {
    borrow(fd).is_some_and(|fd| crate::at::data_of(fd).is_ok_and(|data| data.is_file))
}

/// Has what is written to a plain file go to its end, whoever writes: several that have it open each would write over each other.
pub fn append_to_file(fd: RawFd) {
    if is_plain_file(fd) {
        // SAFETY: takes no pointers.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        // SAFETY: takes no pointers. Where it is refused nothing is worse than before.
        unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_APPEND) };
    }
}

/// Closes every descriptor from `first` on but those in `keep` (any order).
pub fn close_all_but(first: RawFd, keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut from = first as u32;
    for &fd in keep.iter().filter(|&&fd| fd >= first) {
        if fd as u32 > from {
            close_range(from, fd as u32 - 1);
        }
        from = from.max(fd as u32 + 1);
    }
    close_range(from, u32::MAX);
}

/// Ends the sharing of a table of descriptors: from here on this process has its own, with what the other one had up to `most`.
pub fn take_apart(most: RawFd) -> Result<(), Errno> {
    // SAFETY: takes no pointers; as for `close_range` below.
    if unsafe { libc::syscall(libc::SYS_close_range, most as u32 + 1, u32::MAX, libc::CLOSE_RANGE_UNSHARE) } == 0 {
        return Ok(());
    }
    // A kernel before 5.9: with all of them.
    // SAFETY: takes no pointers.
    check(unsafe { libc::unshare(libc::CLONE_FILES) }).map(drop)
}

fn close_range(from: u32, to: u32) {
    // SAFETY: takes no pointers. Closing descriptors that Rust values own would be unsound for those values; the callers are
    // children just forked, which never touch the values of their parent again.
    let result = unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    if result == 0 {
        return;
    }
    // A kernel before 5.9: one by one, up to the limit.
    let most = limit_of_descriptors().map_or(1024, |limit| limit.soft.min(1 << 20) as u32);
    for fd in from..=to.min(most) {
        // SAFETY: as above.
        unsafe { libc::close(fd as RawFd) };
    }
}

/// Takes the exclusive lock of an open file (flock), if nobody else has it.
pub fn try_lock(fd: RawFd) -> Result<bool, Errno> {
    // SAFETY: takes no pointers.
    match check(unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits for the exclusive lock of an open file.
pub fn lock(fd: RawFd) -> Result<(), Errno> {
    loop {
        // SAFETY: takes no pointers.
        match check(unsafe { libc::flock(fd, libc::LOCK_EX) }) {
            Err(Errno::INTERRUPTED) => {}
            result => return result.map(drop),
        }
    }
}

/// Moves a descriptor to a low number, `least` or above, if it has a high one: the kernel copies the table of descriptors up to
/// the highest for each new process. Stays where it is if that fails.
pub fn lower(fd: RawFd, least: RawFd) -> RawFd {
    /// What the kernel has room for in the smallest table.
    const LOW: RawFd = 64;
    if fd < LOW {
        return fd;
    }
    match duplicate(fd, least) {
        Ok(low) => {
            drop(own(fd));
            release(low)
        }
        Err(_) => fd,
    }
}

/// Moves a descriptor to `least` or above, so that low numbers stay free. Stays where it is if that fails.
pub fn raise(fd: OwnedFd, least: RawFd) -> OwnedFd {
    if fd.as_raw_fd() >= least { fd } else { duplicate(fd.as_raw_fd(), least).unwrap_or(fd) }
}

/// Opens the pipe behind its reading end once more, for writing: for when nobody has kept the writing end. Returns at once,
/// because somebody reads.
pub fn writing_end(reading_end: RawFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{reading_end}\0");
    // SAFETY: `path` ends with a NUL byte.
    check(unsafe { libc::open(path.as_ptr().cast(), libc::O_WRONLY | libc::O_CLOEXEC) }).map(own)
}

/// Gives up ownership: the descriptor stays open, and somebody else (the ledger) remembers it.
pub fn release(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

/// Borrows a descriptor that is known by number only.
///
/// The borrow is good for as long as whoever keeps the number keeps it open; a closed one gives EBADF, never a crash.
pub fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: not -1, which is all that memory safety asks for.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Closes a descriptor that is known by number only.
pub fn close(fd: RawFd) {
    drop(adopt(fd));
}

/// A limit on resources: what holds, and what it may be raised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

pub fn limit_of_descriptors() -> Result<Limit, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for an rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Whether none of the last `N` numbers below the limit is taken: then so many can be opened. If not, there may be others.
pub fn are_last_free<const N: usize>() -> bool {
    let limit = limit_of_descriptors().ok().and_then(|limit| RawFd::try_from(limit.soft).ok());
    let Some(first) = limit.map(|limit| limit - N as RawFd).filter(|&first| first >= 0) else { return false };
    let mut numbers: [poll::Interest; N] = std::array::from_fn(|index| poll::ended(first + index as RawFd));
    poll::wait(&mut numbers, Millis::ZERO, Some(Millis::ZERO));
    numbers.iter().all(poll::is_free)
}

/// The limit before it was raised.
static FOUND: OnceLock<Limit> = OnceLock::new();

/// The limit as it was before [`raise_limit_of_descriptors`].
pub(crate) fn found_limit_of_descriptors() -> Option<Limit> {
    FOUND.get().copied()
}

/// Undoes [`raise_limit_of_descriptors`]; what is open stays open.
pub fn restore_limit_of_descriptors() {
    if let Some(limit) = FOUND.get() {
        let limit = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `limit` is a valid rlimit.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}

/// Raises the soft limit on descriptors to the hard one; returns the limit as it was, for children to have.
pub fn raise_limit_of_descriptors() -> Result<Limit, Errno> {
    let limit = limit_of_descriptors()?;
    FOUND.get_or_init(|| limit);
    let raised = libc::rlimit { rlim_cur: limit.hard, rlim_max: limit.hard };
    // SAFETY: `raised` is a valid rlimit.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) })?;
    Ok(limit)
}
