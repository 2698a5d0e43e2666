//! s6-setlock: a program while holding a lock.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::time::Duration;

use svc_sys::lock::{self, Kind};
use svc_sys::{Errno, exit, fd};

use crate::chain;
use crate::command::{Command, Failure, Opt};

/// Opens or makes the file of a lock, and lets what is executed next keep it open.
pub(crate) fn open(path: &Path, kind: Kind) -> Result<File, Failure> {
    let mut options = File::options();
    let options = match kind {
        // What locks for all who read must only be readable, once it is there.
        Kind::Shared if path.exists() => options.read(true),
        Kind::Shared => options.read(true).write(true).create(true),
        Kind::Exclusive => options.write(true).create(true),
    };
    let file = options.truncate(false).open(path);
    let file = file.map_err(|error| Failure::system(format!("unable to open {}: {error}", path.display())))?;
    fd::set_close_on_exec(file.as_raw_fd(), false);
    Ok(file)
}

pub(super) const SETLOCK: Command = Command {
    name: "s6-setlock",
    about: "execute a program while holding a lock on a file",
    operands: "FILE PROG...",
    options: &[
        Opt::flag('n', "do not wait for the lock"),
        Opt::flag('N', "wait for the lock (this is the default)"),
        Opt::flag('r', "a shared lock"),
        Opt::flag('w', "an exclusive lock (this is the default)"),
        Opt::with('t', "MS", "wait so long, in milliseconds (default: for ever)"),
        Opt::with('d', "FD", "hold the lock on this descriptor"),
    ],
    notes: "The lock is one of fcntl(2): it ends with PROG, and its children do not have it. setlock and `chpst -l` use flock(2), \
            whose locks are apart from these.",
    codes: &[(1, "somebody else holds the lock")],
    run: |call| {
        let path = Path::new(call.operand(0, "the lock file")?);
        let program = call.program(1)?;
        let kind = if call.last(&['r', 'w']) == Some('r') { Kind::Shared } else { Kind::Exclusive };
        let patience = call.number::<u32>('t')?.filter(|&ms| ms > 0).map(|ms| Duration::from_millis(ms.into()));
        let number = call.number::<RawFd>('d')?;

        let mut file = open(path, kind)?;
        if let Some(number) = number.filter(|&number| number != file.as_raw_fd()) {
            // Before the lock is taken: closing any descriptor of the file would give it up.
            let failed = |errno: Errno| Failure::system(format!("unable to use descriptor {number}: {errno}"));
            fd::place(file.as_raw_fd(), number).map_err(failed)?;
            file = File::from(fd::adopt(number).ok_or_else(|| failed(Errno::INVALID))?);
        }
        let locked = if call.last(&['n', 'N']) == Some('n') {
            lock::try_record(file.as_fd(), kind)
        } else {
            lock::record(file.as_fd(), kind, patience)
        };
        match locked {
            Ok(true) => {}
            Ok(false) => {
                let how = if patience.is_some() { " at the end of the time given" } else { "" };
                let message = format!("unable to lock {}: somebody else holds it{how}", path.display());
                return Err(Failure::with_code(exit::FAILED, message));
            }
            Err(errno) => {
                return Err(Failure::with_code(exit::FAILED, format!("unable to lock {}: {errno}", path.display())));
            }
        }
        let outcome = chain::execute(program);
        drop(file);
        outcome
    },
};
