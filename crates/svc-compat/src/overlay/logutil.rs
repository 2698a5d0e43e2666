//! `logutil-service` and `logutil-newfifo`: a logger for a service, in a line of its run script.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User, initgroups, setgid, setgroups, setuid};
use svc_sys::exit;

use super::contenv;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// What to do with the lines, if the container's environment does not say.
const SCRIPT: &str = "n20 s1000000 T";

/// Who writes the logs, if we may choose: this one, or whoever has these numbers.
const LOGGER: (&str, u32) = ("nobody", 65534);

pub(super) const LOGUTIL_SERVICE: Command = Command {
    name: "logutil-service",
    about: "write standard input into a log directory, as the user nobody",
    operands: "DIR",
    options: &[Opt::with('f', "FIFO", "read from this FIFO instead of standard input")],
    notes: "Becomes s6-log with the script that S6_LOGGING_SCRIPT holds in the environment of the container, \"n20 s1000000 T\" \
            where there is none, then DIR. Its words are set apart by blanks and newlines, so that a newline at the end of the \
            variable does no harm.\n\n\
            Root becomes nobody first (65534 where there is no such user), so DIR must belong to that user. Others stay who they \
            are. The logger itself has no environment.",
    codes: &[],
    run: logutil_service,
};

pub(super) const LOGUTIL_NEWFIFO: Command = Command {
    name: "logutil-newfifo",
    about: "make a FIFO in place of what was there",
    operands: "PATH",
    options: &[
        Opt::with('m', "MODE", "its permissions, octal; default: 0600"),
        Opt::with('o', "OWNER", "the user and group whose it is; default: root, as far as we may"),
    ],
    notes: "A directory that stands at PATH is removed with all that is in it.",
    codes: &[],
    run: logutil_newfifo,
};

fn logutil_service(call: &Call) -> Outcome {
    let dir = call.operand(0, "the log directory")?.to_owned();
    if let Some(fifo) = call.value('f') {
        read_from(Path::new(fifo))?;
    }
    let script = contenv::variable(OsStr::new("S6_LOGGING_SCRIPT"))?.unwrap_or_else(|| SCRIPT.into());
    let directives = script.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let directives = directives.map(|word| OsStr::from_bytes(word).to_owned());
    let words: Vec<OsString> = ["-b", "--"].map(OsString::from).into_iter().chain(directives).chain([dir]).collect();
    if svc_sys::user::effective_uid() == 0 {
        become_logger()?;
    }
    let names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    names.into_iter().for_each(svc_sys::environment::change);
    chain::execute_own("s6-log", words)
}

/// Makes a FIFO standard input, without waiting for somebody who writes to it; reading then waits.
fn read_from(fifo: &Path) -> Result<(), Failure> {
    let failed = |error: String| Failure::system(format!("unable to read from {}: {error}", fifo.display()));
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(fifo)
        .map_err(|error| failed(error.to_string()))?;
    let flags = fcntl(&file, FcntlArg::F_GETFL).map_err(|errno| failed(errno.to_string()))?;
    let blocking = OFlag::from_bits_retain(flags) - OFlag::O_NONBLOCK;
    fcntl(&file, FcntlArg::F_SETFL(blocking)).map_err(|errno| failed(errno.to_string()))?;
    svc_sys::fd::place(file.as_raw_fd(), 0).map_err(|errno| failed(errno.to_string()))
}

fn become_logger() -> Result<(), Failure> {
    let (name, number) = LOGGER;
    let failed = |errno: nix::Error| Failure::system(format!("unable to become {name}: {errno}"));
    match User::from_name(name).ok().flatten() {
        Some(user) => {
            let name = CString::new(user.name).map_err(|_| failed(nix::Error::EINVAL))?;
            initgroups(&name, user.gid).map_err(failed)?;
            setgid(user.gid).map_err(failed)?;
            setuid(user.uid).map_err(failed)
        }
        None => {
            setgroups(&[]).map_err(failed)?;
            setgid(Gid::from_raw(number)).map_err(failed)?;
            setuid(Uid::from_raw(number)).map_err(failed)
        }
    }
}

fn logutil_newfifo(call: &Call) -> Outcome {
    let path = Path::new(call.operand(0, "the path of the FIFO")?);
    let mode = call.value('m').unwrap_or(OsStr::new("0600"));
    let mode = mode.to_str().and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|mode| *mode <= 0o7777);
    let mode = mode.ok_or_else(|| Failure::usage("the value of -m must be octal, such as 0600"))?;
    let owner = match call.value('o') {
        Some(name) => Some(user(name)?),
        None => None,
    };
    let failed = |what: &str, error: String| Failure::system(format!("unable to {what} {}: {error}", path.display()));
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(|error| failed("remove", error.to_string()))?;
    nix::unistd::mkfifo(path, Mode::from_bits_truncate(mode)).map_err(|errno| failed("make", errno.to_string()))?;
    // What was asked for, whatever the mask for new files is.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|error| failed("change", error.to_string()))?;
    if let Some(user) = owner {
        nix::unistd::chown(path, Some(user.uid), Some(user.gid)).map_err(|errno| failed("give away", errno.to_string()))?;
    }
    Ok(exit::DONE)
}

fn user(name: &OsStr) -> Result<User, Failure> {
    let known = name.to_str().and_then(|name| User::from_name(name).ok().flatten());
    known.ok_or_else(|| Failure::with_code(exit::FAILED, format!("there is no user '{}'", name.display())))
}
