//! Processes: made, named, signalled, reaped.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use svc_core::{Exit, Pid, Signal};

use crate::errno::{Errno, check};
use crate::{fd, private};

/// Which of the two we are after [`fork`].
pub enum Fork {
    Parent(Pid),
    Child,
}

/// Makes a copy of this process, which must have one thread: the copy goes on in Rust.
pub fn fork() -> Result<Fork, Errno> {
    private::lend();
    // SAFETY: this process has a single thread (a rule of the crates that call this), so the child finds no lock held.
    let forked = check(unsafe { libc::fork() });
    if forked != Ok(0) {
        private::take_back();
    }
    match forked? {
        0 => Ok(Fork::Child),
        pid => Pid::new(pid).map(Fork::Parent).ok_or(Errno(libc::ECHILD)),
    }
}

/// Gives back what earlier and deeper calls have used of the stack: pages of it are dear where there are a thousand of us.
#[inline(never)]
pub fn forget_deeper_stack() {
    const PAGE: usize = 4096;
    /// More than any call of ours needs.
    const DEEP: usize = 8 * PAGE;
    /// What the call itself needs below our frame.
    const CALL: usize = 256;
    let here = 0_u8;
    let end = ((&raw const here) as usize - CALL) / PAGE * PAGE;
    // SAFETY: of the stack below our own frame nothing is in use but what this call needs. What is not mapped is left alone.
    unsafe { libc::madvise((end - DEEP) as *mut libc::c_void, DEEP, libc::MADV_DONTNEED) };
}

/// As [`fork`], for a copy that is nobody's to wait for: a child of a child that has ended. The parent is told its pid.
pub fn fork_orphan() -> Result<Fork, Errno> {
    let (reading, writing) = fd::pipe()?;
    let between = match fork()? {
        Fork::Parent(pid) => pid,
        Fork::Child => match fork() {
            Ok(Fork::Child) => return Ok(Fork::Child),
            Ok(Fork::Parent(pid)) => tell_and_exit(writing.as_fd(), pid.raw()),
            Err(errno) => tell_and_exit(writing.as_fd(), -errno.0),
        },
    };
    drop(writing);
    let answer = hear(reading.as_fd());
    wait_for(between);
    match answer {
        Some(errno) if errno < 0 => Err(Errno(-errno)),
        Some(pid) => Pid::new(pid).map(Fork::Parent).ok_or(Errno(libc::ECHILD)),
        None => Err(Errno(libc::ECHILD)),
    }
}

fn tell_and_exit(to: BorrowedFd, number: i32) -> ! {
    // Who does not hear it knows by the end of the pipe that something went wrong.
    let _ = fd::write(to, &number.to_ne_bytes());
    exit_now(crate::exit::SYSTEM)
}

/// The number that the other side told, if it did before it closed its end.
fn hear(from: BorrowedFd) -> Option<i32> {
    let mut answer = [0; 4];
    loop {
        match fd::read(from, &mut answer) {
            Ok(4) => return Some(i32::from_ne_bytes(answer)),
            Err(Errno::INTERRUPTED) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}

/// Makes a child that executes a program: `execute` returns only to say why it could not, and then there is no child. Like
/// [`fork`], for programs with one thread.
pub fn spawn(execute: impl FnOnce() -> Errno) -> Result<Pid, Errno> {
    let (reading, writing) = fd::pipe()?;
    // Above the three that `execute` may put something else under.
    let above = fd::duplicate(writing.as_raw_fd(), 3)?;
    drop(writing);
    match fork()? {
        Fork::Child => tell_and_exit(above.as_fd(), execute().0),
        Fork::Parent(pid) => {
            // What is left is the child's, until its exec closes it.
            drop(above);
            match hear(reading.as_fd()) {
                None => Ok(pid),
                Some(errno) => {
                    wait_for(pid);
                    Err(Errno(errno))
                }
            }
        }
    }
}

/// Ends this process without unwinding, flushing or running anything at exit: for children of [`fork`].
pub fn exit_now(code: u8) -> ! {
    // SAFETY: never returns, takes no pointers.
    unsafe { libc::_exit(i32::from(code)) }
}

pub fn id() -> i32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::getpid() }
}

pub fn parent_id() -> i32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::getppid() }
}

/// Orphans among our descendants become our children.
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1_u64, 0_u64, 0_u64, 0_u64) }).map(drop)
}

/// Whether there is a process of this number; it need not be the one that is meant.
pub fn exists(pid: Pid) -> bool {
    // SAFETY: takes no pointers; signal 0 is only looked whether it could be sent.
    let result = check(unsafe { libc::kill(pid.raw(), 0) });
    result != Err(Errno::NO_SUCH_PROCESS)
}

/// SIGKILL for this process when its parent ends. A change of user takes that back, so it comes after one.
pub fn die_with_parent() {
    // SAFETY: takes no pointers; a signal number is always accepted.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0_u64, 0_u64, 0_u64) };
}

/// Whether [`refuse_huge_pages`] has changed something.
static HUGE_PAGES_REFUSED: AtomicBool = AtomicBool::new(false);

/// No huge pages: a 2 MiB page for a heap of a few kilobytes would be all our memory.
pub fn refuse_huge_pages() {
    // SAFETY: takes no pointers.
    let refused = unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0_u64, 0_u64, 0_u64, 0_u64) };
    if refused == 0 {
        set_huge_pages_refused(true);
        HUGE_PAGES_REFUSED.store(true, Ordering::Relaxed);
    }
}

/// Undoes [`refuse_huge_pages`] before another program is executed, which would inherit it. Whether there was something to undo.
pub fn allow_huge_pages() -> bool {
    let refused = HUGE_PAGES_REFUSED.load(Ordering::Relaxed);
    if refused {
        set_huge_pages_refused(false);
    }
    refused
}

/// What [`refuse_huge_pages`] changes, without a note of it.
fn set_huge_pages_refused(refused: bool) {
    // SAFETY: takes no pointers; where it is refused nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, u64::from(refused), 0_u64, 0_u64, 0_u64) };
}

/// Refuses them again, after [`allow_huge_pages`].
pub(crate) fn refuse_huge_pages_again() {
    set_huge_pages_refused(true);
}

/// Adds to what this process lets others go first by; negative: it goes first itself.
pub fn renice(increment: i32) -> Result<(), Errno> {
    // SAFETY: takes no pointers; for this process itself it cannot fail.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: takes no pointers. What is beyond the ends becomes the end.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, now.saturating_add(increment)) }).map(drop)
}

/// Leaves the session and terminal that we were started from.
pub fn new_session() {
    // SAFETY: takes no pointers. Fails for the leader of a group, which has what it asks for.
    unsafe { libc::setsid() };
}

/// Whether standard input is the terminal of the session that we are in.
fn has_terminal() -> bool {
    // SAFETY: neither takes pointers; both say -1 where there is no terminal.
    let (of_terminal, own) = unsafe { (libc::tcgetsid(0), libc::getsid(0)) };
    of_terminal >= 0 && of_terminal == own
}

/// Leaves the session that we were started from, unless it has a terminal, which can belong to one session only: then only the
/// group.
pub fn new_session_beside_terminal() {
    if has_terminal() {
        // SAFETY: takes no pointers.
        unsafe { libc::setpgid(0, 0) };
    } else {
        new_session();
    }
}

/// Makes standard input our controlling terminal, if it is one, and us the ones who get its `^C`: in our session, if it has the
/// terminal and `holder`'s group may read from it now, in a new session otherwise.
pub(crate) fn take_terminal(holder: i32) {
    if has_terminal() {
        // SAFETY: takes no pointers.
        unsafe { libc::setpgid(0, 0) };
        pass_terminal(holder, id());
    } else {
        new_session();
        // SAFETY: takes no pointers; refused where standard input is no terminal, or is somebody else's.
        unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    }
}

/// Makes the group of `to` the one that gets what is typed, if it is the group of `from` now. Where SIGTTOU is blocked anybody
/// of the session may.
pub fn pass_terminal(from: i32, to: i32) {
    // SAFETY: none takes pointers; where there is no terminal or no such group they fail.
    unsafe {
        let holder = libc::tcgetpgrp(0);
        if holder > 0 && holder == libc::getpgid(from) {
            libc::tcsetpgrp(0, libc::getpgid(to));
        }
    }
}

/// Leaves the process group that we were started in, so that what a terminal sends to it does not reach us.
pub fn new_group() {
    // SAFETY: takes no pointers. Fails for the leader of a session, which has what it asks for.
    unsafe { libc::setpgid(0, 0) };
}

/// A child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    pub pid: Pid,
    pub exit: Exit,
}

/// What [`reap`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reap {
    One(Reaped),
    /// There are children, and all of them live.
    AllLive,
    NoChildren,
}

/// Takes one child that has ended, without waiting. To be called until nothing comes: one SIGCHLD may mean several.
pub fn reap() -> Reap {
    reap_with(libc::P_ALL, 0, libc::WNOHANG | libc::WEXITED)
}

/// Looks at one child that has ended, and leaves it where it is: it stays its parent's, and that parent's heir's, to reap.
pub fn peek() -> Reap {
    reap_with(libc::P_ALL, 0, libc::WNOHANG | libc::WEXITED | libc::WNOWAIT)
}

/// A child that somebody has stopped (SIGSTOP). Each stop is told once.
pub fn stopped() -> Option<Pid> {
    match reap_with(libc::P_ALL, 0, libc::WNOHANG | libc::WSTOPPED) {
        Reap::One(stopped) => Some(stopped.pid),
        Reap::AllLive | Reap::NoChildren => None,
    }
}

/// Looks whether there is any child, without taking one.
pub fn has_children() -> bool {
    peek() != Reap::NoChildren
}

/// Makes the next turn begin with a look at the children: a SIGCHLD to ourselves, where it is read from a descriptor.
pub fn look_at_children_again() {
    // SAFETY: takes no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGCHLD) };
}

/// Takes this child if it has ended.
pub fn reap_one(pid: Pid) -> Reap {
    reap_with(libc::P_PID, pid.raw() as u32, libc::WNOHANG | libc::WEXITED)
}

/// Waits for this child.
pub fn wait_for(pid: Pid) -> Reap {
    reap_with(libc::P_PID, pid.raw() as u32, libc::WEXITED)
}

/// Waits for any child.
pub fn wait_any() -> Reap {
    reap_with(libc::P_ALL, 0, libc::WEXITED)
}

fn reap_with(kind: libc::idtype_t, id: u32, options: libc::c_int) -> Reap {
    loop {
        // SAFETY: all zero is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a valid place for a siginfo_t.
        match check(unsafe { libc::waitid(kind, id, &mut info, options) }) {
            Err(Errno::INTERRUPTED) => continue,
            Err(_) => return Reap::NoChildren,
            Ok(_) => {}
        }
        // SAFETY: waitid filled the fields of a child's end, or left zeros.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        let Some(pid) = Pid::new(pid) else { return Reap::AllLive };
        let exit = match info.si_code {
            libc::CLD_EXITED => Exit::Code(status as u8),
            _ => Signal::new(status as u8).map_or(Exit::Code(status as u8), Exit::Signal),
        };
        return Reap::One(Reaped { pid, exit });
    }
}

/// A handle to a process that no other process can take the place of.
pub struct PidFd(OwnedFd);

impl PidFd {
    pub fn open(pid: Pid) -> Result<PidFd, Errno> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) } as libc::c_int;
        // SAFETY: just made, and nobody else's.
        check(fd).map(|fd| PidFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        let number = libc::c_int::from(signal.number());
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo means "as kill(2) would".
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), number, none, 0) };
        check(result as libc::c_int).map(drop)
    }

    pub fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// Signals a child of ours that we have not reaped: until then nobody else can have its number.
pub fn signal_child(pid: Pid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: takes no pointers; `Pid` is positive, so this never means "everybody".
    check(unsafe { libc::kill(pid.raw(), libc::c_int::from(signal.number())) }).map(drop)
}

/// Signals the process group that a child of ours leads, which we have not reaped.
pub fn signal_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: takes no pointers; `Pid` is positive, so this never means "everybody" or our own group.
    check(unsafe { libc::kill(-leader.raw(), libc::c_int::from(signal.number())) }).map(drop)
}

/// Signals the process group that a child of ours is in, which we have not reaped; who made the group may be gone. Ours is none
/// that a child may be in.
pub fn signal_group_of(member: Pid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    let group = check(unsafe { libc::getpgid(member.raw()) })?;
    // SAFETY: takes no pointers, cannot fail.
    if group <= 1 || group == unsafe { libc::getpgrp() } {
        return signal_child(member, signal);
    }
    // SAFETY: takes no pointers; a group has a number above 1 here, so this never means "everybody".
    check(unsafe { libc::kill(-group, libc::c_int::from(signal.number())) }).map(drop)
}

/// The user, group and process at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
    pub pid: i32,
}

pub fn peer(socket: BorrowedFd) -> Result<Peer, Errno> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut size = std::mem::size_of_val(&credentials) as libc::socklen_t;
    let place = (&raw mut credentials).cast();
    // SAFETY: `credentials` is writable for `size` bytes.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut size) })?;
    Ok(Peer { uid: credentials.uid, gid: credentials.gid, pid: credentials.pid })
}
