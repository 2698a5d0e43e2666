//! A program in a child of ours, with everything as it was here.

use std::ffi::OsString;

use nix::sys::signal::SigSet;
use svc_core::Pid;
use svc_sys::process::{self, Fork};
use svc_sys::{Errno, environment, fd};

use crate::chain;
use crate::command::Failure;

/// Runs a program. Says whether it could be executed: a pipe that closes on exec tells.
///
/// `mask`: which signals it begins with blocked.
pub(crate) fn spawn(words: &[OsString], mask: Option<&SigSet>) -> Result<Pid, Errno> {
    let program = words.first().ok_or(Errno::INVALID)?;
    spawn_by(mask, || chain::replace(program, environment::first_path().as_deref(), words))
}

/// Starts a program beside this one: for commands that listen first, and then have something done.
pub(crate) fn start(words: &[OsString]) -> Result<Pid, Failure> {
    let program = words.first().ok_or_else(|| Failure::usage("the program to execute is missing"))?;
    spawn(words, None).map_err(|errno| Failure::system(format!("unable to start {}: {errno}", program.display())))
}

/// [`spawn`] for a command of our own, whatever else has its name in PATH.
pub(crate) fn spawn_own(words: &[OsString], mask: Option<&SigSet>) -> Result<Pid, Errno> {
    spawn_by(mask, || svc_sys::exe::replace_by_own(words))
}

fn spawn_by(mask: Option<&SigSet>, execute: impl FnOnce() -> Errno) -> Result<Pid, Errno> {
    let (reading, writing) = fd::pipe()?;
    match process::fork()? {
        Fork::Child => {
            let _ = mask.map(SigSet::thread_set_mask);
            let errno = execute();
            let _ = nix::unistd::write(&writing, &errno.0.to_ne_bytes());
            process::exit_now(svc_sys::exit::NOT_FOUND)
        }
        Fork::Parent(pid) => {
            drop(writing);
            let mut errno = [0; 4];
            match nix::unistd::read(&reading, &mut errno) {
                Ok(4) => {
                    process::wait_for(pid);
                    Err(Errno(i32::from_ne_bytes(errno)))
                }
                Ok(_) | Err(_) => Ok(pid),
            }
        }
    }
}
