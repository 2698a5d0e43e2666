//! A program in a new process.
//!
//! The child is held back until its pid has been written down (`record`): if we are killed before, it ends without having run
//! anything. So whoever comes after us knows every program that runs. Between fork and exec there are system calls only.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use svc_core::Pid;
use svc_core::service::{Stage, Trouble};

use crate::errno::{Errno, check};
use crate::fd::{self, Limit};
use crate::process::{self, Fork};

/// So many further descriptors there may be: sockets, one for readiness, one for a lock.
pub const MAX_EXTRA: usize = crate::message::MAX_FDS + 2;

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

/// Runs it. `record` is called with the new pid before the program can do anything.
///
/// `recorded` is asked by the child, where we were killed before we could let it go: whether its pid stands where who comes after
/// us finds it, who then takes it for running. It may do no more than look at memory.
pub fn spawn(spawn: &Spawn<'_>, record: impl FnOnce(Pid), recorded: &dyn Fn() -> bool) -> Result<Pid, Trouble> {
    let trouble = |stage| move |errno: Errno| Trouble { stage, errno: errno.0 };
    let (ours, theirs) = fd::packet_pair().map_err(trouble(Stage::Pipe))?;
    let namespace =
        if spawn.new_pid_namespace { Some(Namespace::enter_new().map_err(trouble(Stage::Namespace))?) } else { None };
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
    let pid = match process::fork() {
        Ok(Fork::Child) => {
            // That we are dead is told by its end.
            fd::close(ours.as_raw_fd());
            run_child(spawn, arguments, theirs.as_raw_fd(), recorded)
        }
        Ok(Fork::Parent(pid)) => pid,
        Err(errno) => return Err(Trouble { stage: Stage::Fork, errno: errno.0 }),
    };
    drop(namespace);
    drop(theirs);
    record(pid);
    let answer = let_go(&ours);
    match answer {
        None => Ok(pid),
        Some(errno) => {
            process::wait_for(pid);
            Err(Trouble { stage: Stage::Exec, errno })
        }
    }
}

/// Lets the child go on, and waits for its exec: `None` if that worked, its errno otherwise.
fn let_go(ours: &OwnedFd) -> Option<i32> {
    let go = [1_u8];
    // SAFETY: `go` is readable for its length.
    unsafe { libc::send(ours.as_raw_fd(), go.as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
    let mut answer = [0; 4];
    match fd::read(ours.as_fd(), &mut answer) {
        Ok(4) => Some(i32::from_ne_bytes(answer)),
        // Its end was closed by the exec (or by its death before it, which the next wait will tell).
        Ok(_) | Err(_) => None,
    }
}

/// The child, from fork to exec: system calls and nothing else.
fn run_child(spawn: &Spawn<'_>, arguments: &[*const libc::c_char], gate: RawFd, recorded: &dyn Fn() -> bool) -> ! {
    let (gate, errno) = match prepare_child(spawn, gate) {
        Ok((gate, program)) => {
            // Last of all, when it has most likely been let go already.
            let mut go = [0_u8];
            // SAFETY: `go` is writable for its length.
            let got = unsafe { libc::recv(gate, go.as_mut_ptr().cast(), 1, 0) };
            if got != 1 && !recorded() {
                process::exit_now(crate::exit::SYSTEM);
            }
            crate::signals::reset();
            let errno = match program {
                Program::Path(path) => execute(path, arguments),
                Program::Open(exe) => crate::exe::execute_pointers(exe, arguments),
            };
            (gate, errno)
        }
        Err(errno) => (gate, errno),
    };
    let answer = errno.0.to_ne_bytes();
    // SAFETY: `answer` is readable for its length.
    unsafe { libc::send(gate, answer.as_ptr().cast(), answer.len(), libc::MSG_NOSIGNAL) };
    process::exit_now(crate::exit::NOT_FOUND);
}

fn execute(path: &CStr, arguments: &[*const libc::c_char]) -> Errno {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: both arrays end with a null pointer and hold C strings.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environ) };
    Errno::last()
}

/// Session, descriptors and limits. Returns where the gate and the program are now.
fn prepare_child<'a>(spawn: &Spawn<'a>, gate: RawFd) -> Result<(RawFd, Program<'a>), Errno> {
    process::restore_huge_pages();
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
    let gate = out_of_the_way(gate)?;
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
    Ok((gate, program))
}

/// For the time of one fork, children are made in a new PID namespace.
struct Namespace(OwnedFd);

impl Namespace {
    fn enter_new() -> Result<Namespace, Errno> {
        let own = std::fs::File::open("/proc/self/ns/pid")?;
        // SAFETY: takes no pointers.
        check(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
        Ok(Namespace(own.into()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // SAFETY: takes no pointers. What allowed us to leave allows us to come back.
        unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWPID) };
    }
}

/// Whether children could be made in a new PID namespace.
pub fn try_pid_namespace() -> Result<(), Errno> {
    Namespace::enter_new().map(drop)
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
        |_| {},
        &|| false,
    )
}
