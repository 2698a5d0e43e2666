//! A program in a child of ours, with everything as it was here.

use std::ffi::OsString;

use nix::sys::signal::SigSet;
use svc_core::Pid;
use svc_sys::exe::Prepared;
use svc_sys::process::{self, Fork};
use svc_sys::{Errno, fd};

/// Runs a program. Says whether it could be executed: a pipe that closes on exec tells.
///
/// `called`: what to execute, if it is told another name than that. `mask`: which signals it begins with blocked.
pub(crate) fn spawn(called: Option<&str>, words: &[OsString], mask: Option<&SigSet>) -> Result<Pid, Errno> {
    let program = called.map(OsString::from).or_else(|| words.first().cloned()).unwrap_or_default();
    let prepared = Prepared::under_name(&program, words)?;
    let (reading, writing) = fd::pipe()?;
    match process::fork()? {
        Fork::Child => {
            let _ = mask.map(SigSet::thread_set_mask);
            let errno = prepared.execute();
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
