//! `run` and `finish`: what they are executed with.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use svc_core::definition::{Definition, Program, Settings};
use svc_core::service::{Stage, Trouble};
use svc_core::{Exit, Output, Pid};
use svc_proto::handover::{KeepNotification, ToSupervise};
use svc_proto::ledger::Row;
use svc_sys::fd::Limit;
use svc_sys::spawn::{self, Spawn};
use svc_sys::{Errno, fd, message};

use crate::words::{Words, c_string};

/// Where a program finds the first socket that it is given (sd_listen_fds(3)).
const FIRST_SOCKET: i32 = 3;

/// The start itself needs so many descriptors above those that the service gets.
const ABOVE: u64 = 8;

/// A `run` that was made.
pub(crate) struct Run {
    pub(crate) pid: Pid,
    /// Where it says that it is ready, if it does.
    pub(crate) readiness: Option<OwnedFd>,
    /// Where `svc exec` says whether it has executed its program, if that is in front of it.
    pub(crate) launch: Option<OwnedFd>,
}

/// What stays the same from start to start.
pub(crate) struct Programs {
    stdio: [Option<i32>; 3],
    inbox: i32,
    exe: i32,
    init_pid: i32,
    descriptors: Option<Limit>,
    /// Whether the working directory is the service's; why not, if not.
    entered: Result<(), Errno>,
}

impl Programs {
    pub(crate) fn new(handover: &ToSupervise, definition: &Definition) -> Programs {
        let dir = Path::new(std::ffi::OsStr::from_bytes(&definition.dir));
        Programs {
            stdio: handover.stdio,
            inbox: handover.inbox,
            exe: handover.exe,
            init_pid: handover.init_pid,
            descriptors: handover.descriptors.map(|(soft, hard)| Limit { soft, hard }),
            entered: std::env::set_current_dir(dir).map_err(Errno::from),
        }
    }

    /// Whether something waits to be read, by a logger: nobody else has a pipe there.
    pub(crate) fn has_input(&self) -> bool {
        self.stdio[0].is_some_and(|input| fd::available(input).is_ok_and(|bytes| bytes > 0))
    }

    /// Whether the working directory is the service's.
    pub(crate) fn has_entered(&self) -> bool {
        self.entered.is_ok()
    }

    /// Whether there is something to be run when `run` has ended: that of a oneshot is run when it is taken down.
    pub(crate) fn has_finish(&self, definition: &Definition, undoing: bool) -> bool {
        match &definition.program {
            Program::Directory => self.entered.is_ok() && Path::new("finish").symlink_metadata().is_ok(),
            Program::Command(_) | Program::Chain(_) => false,
            Program::Oneshot { down, .. } => undoing && down.is_some(),
        }
    }

    /// Starts `run`.
    pub(crate) fn run(
        &self,
        definition: &Definition,
        settings: &Settings,
        surroundings: Vec<CString>,
        sockets: &[OwnedFd],
        row: Row,
        note: &AtomicU64,
    ) -> Result<Run, Trouble> {
        let failed = |stage| move |errno: Errno| Trouble { stage, errno: errno.0 };
        self.entered.map_err(failed(Stage::Directory))?;
        if let Some(limit) = self.descriptors
            && let Some(number) = settings.notification_fd.max(settings.lock_fd)
            && u64::from(number) + ABOVE >= limit.hard
        {
            return Err(failed(Stage::Pipe)(Errno::INVALID));
        }
        let mut words = Words::of_run(definition).map_err(failed(Stage::Exec))?;
        if words.path.is_none() {
            // Behind `svc exec`, before what the definition changes.
            words.arguments.splice(2..2, surroundings);
        }
        let notification = match settings.notification_fd {
            Some(number) => Some((self.notification_pipe(row).map_err(failed(Stage::Pipe))?, number as i32)),
            None => None,
        };
        let lock = match settings.lock_fd {
            Some(number) => {
                let dir = std::fs::File::open(".").map_err(|error| failed(Stage::Lock)(error.into()))?;
                Some((dir, number as i32))
            }
            None => None,
        };
        if let Some((_, number)) = &lock {
            words = words.behind_lock(*number, &definition.name);
        }
        // One that waits for its lock is not up.
        let launch = match definition.program.is_chain() || lock.is_some() {
            true => {
                let taken = [settings.notification_fd, settings.lock_fd].into_iter().flatten().map(|number| number as i32);
                let number = taken.map(|number| number + 1).max().unwrap_or(0).max(FIRST_SOCKET + sockets.len() as i32);
                words.arguments.insert(2, c_string(format!("--launch={number}").as_bytes()));
                Some((fd::pipe().map_err(failed(Stage::Pipe))?, number))
            }
            false => None,
        };
        let arguments: Vec<&CStr> = words.arguments.iter().map(CString::as_c_str).collect();
        let mut extra = [(-1, -1); spawn::MAX_EXTRA];
        let given = sockets.iter().zip(FIRST_SOCKET..).map(|(socket, number)| (socket.as_raw_fd(), number));
        let given = given.chain(notification.as_ref().map(|((_, write), number)| (write.as_raw_fd(), *number)));
        let given = given.chain(lock.as_ref().map(|(dir, number)| (dir.as_raw_fd(), *number)));
        let given = given.chain(launch.as_ref().map(|((_, write), number)| (write.as_raw_fd(), *number)));
        let count = extra.iter_mut().zip(given).map(|(place, given)| *place = given).count();
        let pid = spawn::spawn(
            &Spawn {
                program: self.program(&words)?,
                arguments: &arguments,
                stdio: self.stdio,
                extra: &extra[..count],
                directory: None,
                descriptors: self.descriptors,
                new_pid_namespace: settings.new_pid_namespace,
                terminal: (definition.output == Output::Inherit).then_some(self.init_pid),
            },
            Some(note),
        )?;
        Ok(Run { pid, readiness: notification.map(|((read, _), _)| read), launch: launch.map(|((read, _), _)| read) })
    }

    /// Where the program is that words are for.
    fn program<'a>(&self, words: &'a Words) -> Result<spawn::Program<'a>, Trouble>
    where
        Self: 'a,
    {
        match &words.path {
            Some(path) => Ok(spawn::Program::Path(path)),
            None => {
                fd::borrow(self.exe).map(spawn::Program::Open).ok_or(Trouble { stage: Stage::Exec, errno: Errno::INVALID.0 })
            }
        }
    }

    /// A pipe whose reading end svc-init keeps for our successor, before anybody has the writing end.
    fn notification_pipe(&self, row: Row) -> Result<(OwnedFd, OwnedFd), Errno> {
        let (read, write) = fd::pipe()?;
        let inbox: BorrowedFd<'_> = fd::borrow(self.inbox).ok_or(Errno::INVALID)?;
        message::send(inbox, &KeepNotification { slot: row.slot() }.encode(), &[read.as_raw_fd()])?;
        Ok((read, write))
    }

    /// Has svc-init keep the socket on which the service says how it is.
    pub(crate) fn keep_socket(&self, row: Row, socket: &OwnedFd) -> Result<(), Errno> {
        let inbox = fd::borrow(self.inbox).ok_or(Errno::INVALID)?;
        message::send(inbox, &KeepNotification { slot: row.slot() }.encode(), &[socket.as_raw_fd()])
    }

    /// Starts a look at the service: `svc exec` with these words. What it says comes out of the pipe.
    pub(crate) fn look(&self, service: &str, words: &[Vec<u8>], main: Pid) -> Result<(Pid, OwnedFd), Errno> {
        let (read, write) = fd::pipe()?;
        fd::set_nonblocking(read.as_fd())?;
        let output = Some(write.as_raw_fd());
        // A successor of ours need not know of it.
        let pid = self.beside(service, words, main, [None, output, output], None)?;
        Ok((pid, read))
    }

    /// Starts the command that stops the service; what it says goes where the service's words go.
    pub(crate) fn stop_command(&self, service: &str, words: &[Vec<u8>], main: Pid, note: &AtomicU64) -> Result<Pid, Errno> {
        self.beside(service, words, main, self.stdio, Some(note))
    }

    /// Starts something beside the service that knows its main process.
    fn beside(
        &self,
        service: &str,
        words: &[Vec<u8>],
        main: Pid,
        stdio: [Option<i32>; 3],
        note: Option<&AtomicU64>,
    ) -> Result<Pid, Errno> {
        let front = [c"--env".to_owned(), c_string(format!("MAINPID={main}").as_bytes())];
        let mut words = Words::of_chain(service, words);
        words.arguments.splice(2..2, front);
        let arguments: Vec<&CStr> = words.arguments.iter().map(CString::as_c_str).collect();
        let spawned = spawn::spawn(
            &Spawn {
                program: self.program(&words).map_err(|trouble| Errno(trouble.errno))?,
                arguments: &arguments,
                stdio,
                extra: &[],
                directory: None,
                descriptors: self.descriptors,
                new_pid_namespace: false,
                terminal: None,
            },
            note,
        );
        spawned.map_err(|trouble| Errno(trouble.errno))
    }

    /// Lets svc-init close its copy of the reading end. If it has no room to hear this, the next start's pipe does it.
    pub(crate) fn forget_notification(&self, row: Row) {
        if let Some(inbox) = fd::borrow(self.inbox) {
            let _ = message::try_send(inbox, &KeepNotification { slot: row.slot() }.encode(), &[]);
        }
    }

    /// Starts `finish`, with how `run` ended; or `last_words`, which stand behind `svc exec`, in its place.
    pub(crate) fn finish(
        &self,
        definition: &Definition,
        last_words: Option<&[Vec<u8>]>,
        exit: Exit,
        group: Option<Pid>,
        note: &AtomicU64,
    ) -> Result<Pid, Trouble> {
        let (code, signal) = match exit {
            Exit::Code(code) => (u32::from(code), 0),
            Exit::Signal(signal) => (256, signal.number()),
        };
        let exit = vec![
            c_string(code.to_string().as_bytes()),
            c_string(signal.to_string().as_bytes()),
            c_string(definition.name.as_bytes()),
            c_string(group.map_or_else(|| "-1".to_owned(), |group| group.to_string()).as_bytes()),
        ];
        let none = Trouble { stage: Stage::Exec, errno: Errno::NOT_FOUND.0 };
        let words = match last_words {
            Some(chain) => Words::of_chain(&definition.name, chain),
            None => Words::of_finish(definition, exit).ok_or(none)?,
        };
        let arguments: Vec<&CStr> = words.arguments.iter().map(CString::as_c_str).collect();
        spawn::spawn(
            &Spawn {
                program: self.program(&words)?,
                arguments: &arguments,
                stdio: self.stdio,
                extra: &[],
                directory: None,
                descriptors: self.descriptors,
                new_pid_namespace: false,
                terminal: None,
            },
            Some(note),
        )
    }
}
