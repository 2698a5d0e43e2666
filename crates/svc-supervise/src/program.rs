//! `run` and `finish`: what they are executed with.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::definition::{Definition, Program, Settings};
use svc_core::service::{Stage, Trouble};
use svc_core::{Exit, Output, Pid};
use svc_proto::handover::{KeepNotification, ToSupervise};
use svc_proto::ledger::Row;
use svc_sys::fd::Limit;
use svc_sys::spawn::{self, Spawn};
use svc_sys::{Errno, fd, message};

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

    /// Whether the working directory is the service's.
    pub(crate) fn has_entered(&self) -> bool {
        self.entered.is_ok()
    }

    pub(crate) fn has_finish(&self) -> bool {
        self.entered.is_ok() && Path::new("finish").symlink_metadata().is_ok()
    }

    /// Starts `run`. With it comes the end of the pipe on which it will say that it is ready, if it does.
    pub(crate) fn run(
        &self,
        definition: &Definition,
        settings: &Settings,
        row: Row,
        mark: u32,
    ) -> Result<(Pid, Option<OwnedFd>), Trouble> {
        let failed = |stage| move |errno: Errno| Trouble { stage, errno: errno.0 };
        self.entered.map_err(failed(Stage::Directory))?;
        let name = c_string(definition.name.as_bytes());
        let (path, words) = match &definition.program {
            Program::Directory => (c"./run".to_owned(), vec![c"run".to_owned(), name]),
            Program::Command(words) => {
                let path = look_up(words.first().map_or(&[], Vec::as_slice)).map_err(failed(Stage::Exec))?;
                (path, words.iter().map(|word| c_string(word)).collect())
            }
        };
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
        let lock_option;
        let mut arguments: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
        let mut program = spawn::Program::Path(&path);
        if let Some((_, number)) = &lock {
            // The lock is waited for by a program in front of `run`, so that we can go on and stop it.
            lock_option = c_string(format!("--lock={number}").as_bytes());
            let exe = fd::borrow(self.exe).ok_or(Trouble { stage: Stage::Lock, errno: Errno::INVALID.0 })?;
            program = spawn::Program::Open(exe);
            arguments.splice(0..1, [c"svc", c"exec", lock_option.as_c_str(), c"--arg0", c"run", c"--", path.as_c_str()]);
        }
        let pid = spawn::spawn(
            &Spawn {
                program,
                arguments: &arguments,
                stdio: self.stdio,
                extra: [
                    notification.as_ref().map(|((_, write), number)| (write.as_raw_fd(), *number)),
                    lock.as_ref().map(|(dir, number)| (dir.as_raw_fd(), *number)),
                ],
                directory: None,
                descriptors: self.descriptors,
                new_pid_namespace: settings.new_pid_namespace,
                terminal: (definition.output == Output::Inherit).then_some(self.init_pid),
            },
            |pid| row.set_spawned(pid, mark),
        )?;
        Ok((pid, notification.map(|((read, _), _)| read)))
    }

    /// A pipe whose reading end svc-init keeps for our successor, before anybody has the writing end.
    fn notification_pipe(&self, row: Row) -> Result<(OwnedFd, OwnedFd), Errno> {
        let (read, write) = fd::pipe()?;
        let inbox: BorrowedFd<'_> = fd::borrow(self.inbox).ok_or(Errno::INVALID)?;
        message::send(inbox, &KeepNotification { slot: row.slot() }.encode(), &[read.as_raw_fd()])?;
        Ok((read, write))
    }

    /// Lets svc-init close its copy of the reading end. If it has no room to hear this, the next start's pipe does it.
    pub(crate) fn forget_notification(&self, row: Row) {
        if let Some(inbox) = fd::borrow(self.inbox) {
            let _ = message::try_send(inbox, &KeepNotification { slot: row.slot() }.encode(), &[]);
        }
    }

    /// Starts `finish`, with how `run` ended.
    pub(crate) fn finish(
        &self,
        definition: &Definition,
        exit: Exit,
        group: Option<Pid>,
        row: Row,
        mark: u32,
    ) -> Result<Pid, Trouble> {
        let (code, signal) = match exit {
            Exit::Code(code) => (u32::from(code), 0),
            Exit::Signal(signal) => (256, signal.number()),
        };
        let words = [
            c"finish".to_owned(),
            c_string(code.to_string().as_bytes()),
            c_string(signal.to_string().as_bytes()),
            c_string(definition.name.as_bytes()),
            c_string(group.map_or_else(|| "-1".to_owned(), |group| group.to_string()).as_bytes()),
        ];
        let arguments: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
        spawn::spawn(
            &Spawn {
                program: spawn::Program::Path(c"./finish"),
                arguments: &arguments,
                stdio: self.stdio,
                extra: [None; 2],
                directory: None,
                descriptors: self.descriptors,
                new_pid_namespace: false,
                terminal: None,
            },
            |pid| row.set_spawned(pid, mark),
        )
    }
}

/// Finds a command as a shell would: in PATH unless it contains a slash. What exists and cannot be executed is a better
/// answer than that nothing exists.
fn look_up(word: &[u8]) -> Result<CString, Errno> {
    if word.contains(&b'/') {
        return Ok(c_string(word));
    }
    let path =
        std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin".into());
    let found = std::env::split_paths(&path)
        .map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir })
        .map(|dir| dir.join(std::ffi::OsStr::from_bytes(word)))
        .find(|path| is_executable(path));
    found.map(|path| c_string(path.as_os_str().as_bytes())).ok_or(Errno::NOT_FOUND)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Words come from argument lists and checked names, which contain no NUL byte.
fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_default()
}
