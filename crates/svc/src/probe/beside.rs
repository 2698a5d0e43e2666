//! A probe that goes beside the program it is about: it writes a newline to a descriptor when that is ready, as the program
//! itself would if it could.
//!
//! The program keeps our pid. The probe is a process of its own, in its session, which ends with it and is found among what it
//! leaves behind; a supervisor that is killed meanwhile changes nothing for either.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use svc_core::Pid;
use svc_sys::process::{self, Fork, PidFd};
use svc_sys::{Errno, exe, exit, fd, signals};

use super::relay;
use super::target::Target;
use super::waiting::{Beside, Patience, wait};
use crate::launch;

/// What `ps` shows of what goes beside a program: it is not a part of that.
pub(super) const NAME: &[u8] = b"svc-probe";

pub(super) fn run(number: i32, target: Target, patience: Patience, program: Vec<OsString>) -> u8 {
    let failed = |what: &str, errno: Errno| {
        eprintln!("svc probe: {what}: {errno}");
        exit::SYSTEM
    };
    let Some(told) = fd::adopt(number).filter(|_| number > 2) else {
        eprintln!("svc probe: --notify {number}: no such descriptor is open");
        return exit::USAGE;
    };
    fd::set_close_on_exec(number, true);
    let result = match &target {
        Target::Log(regex) => relay::begin(told, regex),
        Target::Nothing
        | Target::Tcp(_)
        | Target::Http(_)
        | Target::Unix(_)
        | Target::File(..)
        | Target::Name(_)
        | Target::Command(_) => begin(told, &target, patience),
    };
    if let Err(errno) = result {
        return failed("cannot make a process", errno);
    }
    launch::executes();
    signals::reset();
    let errno = exe::replace(&program);
    let name = program.first().cloned().unwrap_or_default();
    eprintln!("svc probe: {}", svc_def::explain_exec(Path::new(&name), errno.0));
    launch::failed();
    if errno == Errno::NOT_FOUND { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE }
}

fn begin(told: OwnedFd, target: &Target, patience: Patience) -> Result<(), Errno> {
    let Some(pid) = Pid::new(process::id()) else { return Err(Errno::INVALID) };
    let handle = PidFd::open(pid).ok();
    match process::fork_orphan()? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => {
            // A signal to the program's group is none to us; what else it holds, its lock for one, is not ours to hold.
            process::new_group();
            svc_sys::title::set_name(NAME);
            let mut keep = [told.as_raw_fd(), handle.as_ref().map_or(-1, PidFd::as_raw_fd)];
            fd::close_all_but(3, &mut keep);
            let patience = Patience { beside: Some(Beside { pid, handle }), ..patience };
            if wait(target, &patience).is_ok() {
                let _ = fd::write(told.as_fd(), b"\n");
            }
            process::exit_now(exit::DONE)
        }
    }
}
