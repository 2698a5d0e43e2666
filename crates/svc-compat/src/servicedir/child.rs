//! A program beside this one: for commands that listen first, and then have something done.

use std::ffi::OsString;
use std::os::fd::AsFd;

use svc_core::Pid;
use svc_sys::process::Fork;
use svc_sys::{Errno, exit, fd, process};

use crate::command::Failure;

/// Starts a program, which has signals and descriptors as this one has. Fails if it cannot be executed.
pub(crate) fn start(words: &[OsString]) -> Result<Pid, Failure> {
    let Some(program) = words.first() else {
        return Err(Failure::usage("the program to execute is missing"));
    };
    let failed = |errno: Errno| Failure::system(format!("unable to start {}: {errno}", program.display()));
    let (ours, theirs) = fd::pipe().map_err(failed)?;
    match process::fork().map_err(failed)? {
        Fork::Child => {
            let errno = svc_sys::exe::replace(words);
            // If this does not arrive, the code does.
            let _ = fd::write(theirs.as_fd(), &errno.0.to_ne_bytes());
            process::exit_now(exit::NOT_FOUND)
        }
        Fork::Parent(pid) => {
            drop(theirs);
            let mut answer = [0; 4];
            match fd::read(ours.as_fd(), &mut answer) {
                Ok(4) => Err(failed(Errno(i32::from_ne_bytes(answer)))),
                Ok(_) | Err(_) => Ok(pid),
            }
        }
    }
}
