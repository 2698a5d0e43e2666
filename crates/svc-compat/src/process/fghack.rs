//! s6-fghack: a program that puts itself into the background, kept in sight by the descriptors that it forgets to close.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use svc_core::Exit;
use svc_sys::process::{self, Reap};
use svc_sys::{Errno, fd};

use super::spawn::spawn;
use crate::command::{Command, Failure, Opt};

/// How a program and all that it left behind ended.
pub(crate) enum End {
    Of(Exit),
    /// Somebody wrote where nobody should.
    Wrote,
}

/// Runs a program, and waits until nobody has any of the descriptors that it was given for this.
pub(crate) fn watch(program: &[OsString]) -> Result<End, Failure> {
    /// How many of them a careless program would have to close.
    const MANY: usize = 30;
    let failed = |errno: Errno| Failure::system(format!("unable to make a pipe: {errno}"));
    let (reading, writing) = fd::pipe().map_err(failed)?;
    let mut copies: Vec<OwnedFd> = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let copy = nix::unistd::dup(&writing).map_err(|errno| failed(Errno(errno as i32)))?;
        copies.push(copy);
    }
    let pid = spawn(program, None);
    let pid = pid.map_err(|errno| Failure::system(format!("unable to run {}: {errno}", program[0].display())))?;
    drop((writing, copies));
    let wrote = loop {
        match nix::unistd::read(&reading, &mut [0]) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Failure::system(format!("unable to read from the pipe: {errno}"))),
            Ok(count) => break count > 0,
        }
    };
    if wrote {
        return Ok(End::Wrote);
    }
    match process::wait_for(pid) {
        Reap::One(child) => Ok(End::Of(child.exit)),
        Reap::AllLive | Reap::NoChildren => Err(Failure::system("unable to wait for the program: somebody else has")),
    }
}

pub(super) const FGHACK: Command = Command {
    name: "s6-fghack",
    about: "wait for a program that puts itself into the background",
    operands: "PROG...",
    options: &[Opt::NONE],
    notes: "Gives PROG many descriptors of a pipe, and waits until all processes that have them have ended. A program that closes \
            what it does not know cannot be kept so: s6-background-watch can keep it.",
    codes: &[(102, "PROG wrote to one of the descriptors")],
    run: |call| {
        let program = call.program(0)?;
        match watch(program)? {
            End::Of(exit) => Ok(exit.shell_code()),
            End::Wrote => {
                let message =
                    format!("{} wrote to a descriptor that was given to it to be left alone", program[0].display());
                Err(Failure::with_code(102, message))
            }
        }
    },
};
