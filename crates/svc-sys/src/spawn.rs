//! A program in a new process.
//!
//! The kernel writes its pid down before it runs, so whoever comes after us knows every program that runs. Until it executes the
//! program it lives in our memory (vfork) while we wait, and makes system calls only.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::AtomicU64;

use svc_core::Pid;
use svc_core::service::{Stage, Trouble};

use crate::errno::{Errno, check};
use crate::fd::{self, Limit};
use crate::process;

/// So many further descriptors there may be: sockets, one for readiness, one for a lock, one that tells of an exec.
pub const MAX_EXTRA: usize = crate::message::MAX_FDS + 3;

// The kernel writes 32 bits of pid at the begin of a word of 64.
const _: () = assert!(cfg!(target_endian = "little"));

/// What to run, and with what.
pub struct Spawn<'a> {
    pub program: Program<'a>,
    /// With argv[0].
    pub arguments: &'a [&'a CStr],
    /// Standard input, output and error; none leaves ours.
    pub stdio: [Option<RawFd>; 3],
    /// Further descriptors: ours, and the number the program finds it under.
    pub extra: &'a [(RawFd, RawFd)],
    /// Where it begins; none: where we are.
    pub directory: Option<&'a CStr>,
    /// The limit on descriptors to give it (ours is raised).
    pub descriptors: Option<Limit>,
    /// Make it process 1 of a new PID namespace.
    pub new_pid_namespace: bool,
    /// Make standard input its controlling terminal, if it is one; the group of this process lets it have it.
    pub terminal: Option<i32>,
}

/// Where the program is.
#[derive(Clone, Copy)]
pub enum Program<'a> {
    Path(&'a CStr),
    /// Behind this descriptor.
    Open(BorrowedFd<'a>),
}

/// Runs it. The kernel writes its pid into the lower half of `note` before it runs (which was zero), whatever becomes of us.
pub fn spawn(spawn: &Spawn<'_>, note: Option<&AtomicU64>) -> Result<Pid, Trouble> {
    let failed = |stage, errno: Errno| Trouble { stage, errno: errno.0 };
    let mut pointers = [std::ptr::null(); 8];
    for (place, argument) in pointers[..7].iter_mut().zip(spawn.arguments) {
        *place = argument.as_ptr();
    }
    let many: Vec<*const libc::c_char>;
    let arguments: &[*const libc::c_char] = if spawn.arguments.len() <= 7 {
        &pointers
    } else {
        many = spawn.arguments.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
        &many
    };
    let mut child = Child { spawn, arguments, errno: 0 };
    let mut flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    if note.is_some() {
        flags |= libc::CLONE_PARENT_SETTID;
    }
    if spawn.new_pid_namespace {
        flags |= libc::CLONE_NEWPID;
    }
    let note = note.map_or(std::ptr::null_mut(), |note| note.as_ptr().cast::<libc::pid_t>());
    // Huge pages are a matter of the memory, which is the child's too until it has another.
    let refused = process::allow_huge_pages();
    let pid = clone_below(&mut child, flags, note);
    if refused {
        process::refuse_huge_pages_again();
    }
    match pid {
        Ok(pid) if child.errno != 0 => {
            let errno = child.errno;
            Pid::new(pid).map(process::wait_for);
            Err(failed(Stage::Exec, Errno(errno)))
        }
        Ok(pid) => Pid::new(pid).ok_or(failed(Stage::Fork, Errno(libc::ECHILD))),
        // A shortage has other names.
        Err(errno @ (Errno::NOT_PERMITTED | Errno::INVALID)) if spawn.new_pid_namespace => {
            Err(failed(Stage::Namespace, errno))
        }
        Err(errno) => Err(failed(Stage::Fork, errno)),
    }
}

/// Makes the child, on our own stack, below everything of ours: we wait until it needs it no more.
#[inline(never)]
fn clone_below(child: &mut Child<'_>, flags: libc::c_int, note: *mut libc::pid_t) -> Result<libc::pid_t, Errno> {
    /// What the calls below this frame need until we wait.
    const CALLS: usize = 2048;
    let here = 0_u8;
    let top = ((&raw const here).addr() - CALLS) & !63;
    // SAFETY: below the frames of ours that are in use there is nothing but the rest of our stack. `child` outlives the child's use
    // of it, because we wait (CLONE_VFORK) until it has executed a program or ended; meanwhile it makes system calls and writes to
    // `child` and its stack alone. The kernel writes 32 bits to `note`, which has 64.
    check(unsafe { libc::clone(run_child, top as *mut libc::c_void, flags, (&raw mut *child).cast(), note) })
}

/// What the child needs, in memory that it shares with us.
struct Child<'a> {
    spawn: &'a Spawn<'a>,
    arguments: &'a [*const libc::c_char],
    /// Why there was no exec.
    errno: i32,
}

/// The child, from clone to exec: system calls and nothing else.
extern "C" fn run_child(child: *mut libc::c_void) -> libc::c_int {
    // SAFETY: what `spawn` handed over, which waits until we are done with it.
    let child = unsafe { &mut *child.cast::<Child<'_>>() };
    let errno = match prepare_child(child.spawn) {
        Ok(program) => {
            crate::signals::reset();
            match program {
                Program::Path(path) => execute(path, child.arguments),
                Program::Open(exe) => crate::exe::execute_pointers(exe, child.arguments),
            }
        }
        Err(errno) => errno,
    };
    child.errno = errno.0;
    process::exit_now(crate::exit::NOT_FOUND)
}

fn execute(path: &CStr, arguments: &[*const libc::c_char]) -> Errno {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: both arrays end with a null pointer and hold C strings.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environ) };
    Errno::last()
}

/// Session, descriptors and limits. Returns where the program is now.
fn prepare_child<'a>(spawn: &Spawn<'a>) -> Result<Program<'a>, Errno> {
    match spawn.terminal {
        Some(holder) => process::take_terminal(holder),
        None => process::new_session(),
    }
    let mut moves: [Option<(RawFd, RawFd)>; 3 + MAX_EXTRA] = [None; 3 + MAX_EXTRA];
    for (number, source) in spawn.stdio.iter().enumerate() {
        moves[number] = source.map(|source| (source, number as RawFd));
    }
    for (place, &extra) in moves[3..].iter_mut().zip(spawn.extra) {
        *place = Some(extra);
    }
    // Nothing that is still needed may stand where something is going to be put.
    let above = moves.iter().flatten().map(|&(_, target)| target + 1).max().unwrap_or(3).max(3);
    let out_of_the_way = |fd: RawFd| -> Result<RawFd, Errno> {
        if fd >= above {
            return Ok(fd);
        }
        // SAFETY: takes no pointers. Not owned by anybody: exec closes it.
        check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above) })
    };
    let program = match spawn.program {
        Program::Path(path) => Program::Path(path),
        Program::Open(exe) => Program::Open(fd::borrow(out_of_the_way(exe.as_raw_fd())?).ok_or(Errno::INVALID)?),
    };
    for (source, target) in moves.iter_mut().flatten() {
        if source != target {
            *source = out_of_the_way(*source)?;
        }
    }
    for &(source, target) in moves.iter().flatten() {
        fd::place(source, target)?;
    }
    if let Some(directory) = spawn.directory {
        // SAFETY: a C string.
        check(unsafe { libc::chdir(directory.as_ptr()) })?;
    }
    if let Some(limit) = spawn.descriptors {
        let limit = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `limit` is a valid rlimit.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
    Ok(program)
}

/// Whether children could be made in a new PID namespace.
pub fn try_pid_namespace() -> Result<(), Errno> {
    let own = std::fs::File::open("/proc/self/ns/pid")?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
    // SAFETY: takes no pointers. What allowed us to leave allows us to come back.
    check(unsafe { libc::setns(own.as_raw_fd(), libc::CLONE_NEWPID) }).map(drop)
}

/// Runs a program that nobody waits for: a hook. Standard input is /dev/null or ours, whatever it was.
pub fn detached(path: &CStr, directory: &CStr) -> Result<Pid, Trouble> {
    let arguments = [path];
    spawn(
        &Spawn {
            program: Program::Path(path),
            arguments: &arguments,
            stdio: [None; 3],
            extra: &[],
            directory: Some(directory),
            descriptors: fd::found_limit_of_descriptors(),
            new_pid_namespace: false,
            terminal: None,
        },
        None,
    )
}
