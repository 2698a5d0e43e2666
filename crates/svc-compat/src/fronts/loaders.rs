//! The chain-loaders of daemontools: setuidgid, envuidgid, envdir, softlimit, setlock, fghack, pgrphack.
//!
//! They do what their namesakes of s6 do, with fewer options and other exit codes: 111 where a program cannot be executed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use svc_core::Exit;
use svc_sys::exe::Prepared;
use svc_sys::{environment, exit, fd};

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::account::{self, Account};
use crate::process::envdir::{self, Manners};
use crate::process::fghack::{self, End};
use crate::process::identity::Identity;
use crate::process::limits::{self, Amount, Which};

/// Executes a program. Whatever keeps it from that, the exit code is 111.
pub(super) fn execute(program: &[OsString]) -> Outcome {
    chain::execute(program).map_err(|failure| match failure {
        Failure::Fatal { message, .. } => Failure::system(message),
        Failure::Usage(message) => Failure::Usage(message),
    })
}

/// Makes ready what is executed once there may be no memory left for it.
pub(super) fn prepare(called: &OsStr, program: &[OsString]) -> Result<Prepared, Failure> {
    Prepared::under_name(called, program)
        .map_err(|errno| Failure::system(format!("unable to exec {}: {errno}", called.display())))
}

fn known(name: &OsStr) -> Result<Account, Failure> {
    account::account(name)?.ok_or_else(|| Failure::system(format!("unknown account {}", name.display())))
}

pub(super) const SETUIDGID: Command = Command {
    name: "setuidgid",
    about: "execute a program as another user",
    operands: "ACCOUNT PROG...",
    options: &[Opt::NONE],
    notes: "Takes the uid and the gid of ACCOUNT from /etc/passwd, and no other groups.",
    codes: &[],
    run: |call| {
        let name = call.operand(0, "the account")?;
        let program = call.program(1)?;
        let account = known(name)?;
        Identity { uid: Some(account.uid), gid: Some(account.gid), groups: Some(Vec::new()) }.assume()?;
        execute(program)
    },
};

pub(super) const ENVUIDGID: Command = Command {
    name: "envuidgid",
    about: "put the uid and the gid of an account into the environment",
    operands: "ACCOUNT PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |call| {
        let name = call.operand(0, "the account")?;
        let program = call.program(1)?;
        let account = known(name)?;
        set_ids(account.uid, account.gid);
        execute(program)
    },
};

pub(super) fn set_ids(uid: u32, gid: u32) {
    environment::change(format!("GID={gid}").into());
    environment::change(format!("UID={uid}").into());
}

pub(super) const ENVDIR: Command = Command {
    name: "envdir",
    about: "set variables as the files of a directory say",
    operands: "DIR PROG...",
    options: &[Opt::NONE],
    notes: "For each file in DIR a variable of this name is set to its first line, or removed if the file is empty.",
    codes: &[],
    run: |call| {
        // daemontools has no exit code of its own for this.
        let (Ok(dir), Ok(program)) = (call.operand(0, "the directory"), call.program(1)) else {
            return Err(Failure::system(format!("usage: {}", call.command.synopsis())));
        };
        envdir::apply(Path::new(dir), Manners::DAEMONTOOLS).map_err(envdir::unreadable)?;
        execute(program)
    },
};

const SOFTLIMIT_OPTIONS: [Opt; 11] = {
    let [a, c, d, f, l, m, o, p, r, s, t, _] = limits::OPTIONS;
    [a, c, d, f, l, m, o, p, r, s, t]
};

pub(super) const SOFTLIMIT: Command = Command {
    name: "softlimit",
    about: "execute a program with other limits",
    operands: "PROG...",
    options: &SOFTLIMIT_OPTIONS,
    notes: "Sets soft limits, but never above the hard ones, for which '=' stands.",
    codes: &[],
    run: |call| {
        let program = call.program(0)?;
        // Before the limits, which may leave no memory for it.
        let prepared = prepare(&program[0], program)?;
        for given in &call.given {
            let amount = Amount::parse(&given.value, given.letter)?;
            limits::resources(given.letter).iter().try_for_each(|&resource| limits::set(resource, Which::Soft, amount))?;
        }
        prepared.execute();
        execute(program)
    },
};

/// Opens or makes a file, and takes its lock. None: somebody else has it, and `wait` was not asked for.
pub(super) fn lock(path: &OsStr, wait: bool) -> Result<Option<File>, Failure> {
    let mut options = File::options();
    let options = options.append(true).create(true).mode(0o600).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| Failure::system(format!("unable to open {}: {error}", path.display())))?;
    let number = file.as_raw_fd();
    let locked = if wait { fd::lock(number).map(|()| true) } else { fd::try_lock(number) };
    let locked = locked.map_err(|errno| Failure::system(format!("unable to lock {}: {errno}", path.display())))?;
    fd::set_close_on_exec(number, false);
    Ok(locked.then_some(file))
}

/// What there is to say of a lock that somebody else has.
pub(super) fn taken(path: &OsStr) -> Failure {
    Failure::system(format!("unable to lock {}: somebody else holds it", path.display()))
}

pub(super) const SETLOCK: Command = Command {
    name: "setlock",
    about: "execute a program while holding a lock on a file",
    operands: "FILE PROG...",
    options: &[
        Opt::flag('n', "do not wait for the lock"),
        Opt::flag('N', "wait for the lock (this is the default)"),
        Opt::flag('x', "end with code 0, and say nothing, if the lock cannot be had"),
        Opt::flag('X', "end with code 111 if the lock cannot be had (this is the default)"),
    ],
    notes: "The lock is one of flock(2): whoever inherits it from PROG holds it as well.",
    codes: &[],
    run: setlock,
};

fn setlock(call: &Call) -> Outcome {
    let path = call.operand(0, "the lock file")?;
    let program = call.program(1)?;
    match lock(path, call.last(&['n', 'N']) != Some('n')).and_then(|file| file.ok_or_else(|| taken(path))) {
        Err(_) if call.last(&['x', 'X']) == Some('x') => Ok(exit::DONE),
        Err(failure) => Err(failure),
        Ok(held) => {
            let outcome = execute(program);
            drop(held);
            outcome
        }
    }
}

pub(super) const FGHACK: Command = Command {
    name: "fghack",
    about: "wait for a program that puts itself into the background",
    operands: "PROG...",
    options: &[Opt::NONE],
    notes: "Gives PROG many descriptors of a pipe, and waits until all processes that have them have ended.",
    codes: &[(102, "PROG wrote to one of the descriptors")],
    run: |call| match fghack::watch(call.program(0)?)? {
        End::Of(Exit::Code(code)) => Ok(code),
        End::Of(Exit::Signal(_)) => Err(Failure::system("child crashed")),
        End::Wrote => Err(Failure::with_code(102, "the program wrote to a descriptor that it was given to leave alone")),
    },
};

pub(super) const PGRPHACK: Command = Command {
    name: "pgrphack",
    about: "execute a program in its own session and process group",
    operands: "PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |call| {
        let program = call.program(0)?;
        svc_sys::process::new_session();
        execute(program)
    },
};
