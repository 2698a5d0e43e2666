//! What the programs have in common that tell a supervisor about readiness: the descriptor, children that go on, deadlines.

use std::os::fd::RawFd;

use svc_core::Millis;
use svc_sys::fd;
use svc_sys::process::{self, Fork};

use crate::command::{Call, Failure, number};

/// The descriptor to write a newline to: the one that is given, or the one in ./notification-fd.
pub(super) fn descriptor(call: &Call, letter: char) -> Result<RawFd, Failure> {
    let number = match call.number(letter)? {
        Some(number) => number,
        None => {
            let text = std::fs::read_to_string("notification-fd");
            let text = text.map_err(|error| Failure::system(format!("unable to read ./notification-fd: {error}")))?;
            number(text.lines().next().unwrap_or("").as_ref(), "./notification-fd")?
        }
    };
    if fd::is_open(number) {
        Ok(number)
    } else {
        Err(Failure::system(format!("descriptor {number} is not open: is notification-fd the same number?")))
    }
}

/// A copy of this process that goes on beside it. `orphan`: no child of ours, so that nobody has to wait for it.
pub(super) fn fork(orphan: bool) -> Result<Fork, Failure> {
    let failed = |errno: svc_sys::Errno| Failure::system(format!("unable to fork: {errno}"));
    match process::fork().map_err(failed)? {
        Fork::Child if orphan => match process::fork() {
            Ok(Fork::Child) => Ok(Fork::Child),
            Ok(Fork::Parent(_)) => process::exit_now(0),
            Err(_) => process::exit_now(svc_sys::exit::SYSTEM),
        },
        Fork::Parent(pid) if orphan => match process::wait_for(pid) {
            process::Reap::One(child) if child.exit.shell_code() != 0 => {
                Err(Failure::system("unable to fork a second time"))
            }
            _ => Ok(Fork::Parent(pid)),
        },
        Fork::Child => Ok(Fork::Child),
        Fork::Parent(pid) => Ok(Fork::Parent(pid)),
    }
}

/// In so many milliseconds; never if that is 0.
pub(super) fn deadline(ms: u32) -> Option<Millis> {
    Some(ms).filter(|&ms| ms > 0).map(|ms| svc_sys::clock::now() + Millis(u64::from(ms)))
}

/// Whether the time has come.
pub(super) fn is_over(deadline: Option<Millis>) -> bool {
    deadline.is_some_and(|deadline| svc_sys::clock::now() >= deadline)
}
