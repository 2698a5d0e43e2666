//! s6-instance-create and its like: copies of a template, each a service of a scanner inside the service.
//!
//! The service runs a scanner on its folder `instance/`; what is in `template/` is copied to `instances/NAME` and linked.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use svc_sys::exit;

use super::svlink::{cannot, check_scanner};
use super::{svc, svstat};
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::link::{self, How};

const CODES: &[(u8, &str)] = &[(1, "the instanced service does not run"), (99, "the time is over")];

pub(super) const CREATE: Command = Command {
    name: "s6-instance-create",
    about: "make an instance of a service from its template, and wait until it is supervised",
    operands: "SERVICE NAME",
    options: How::OPTIONS,
    notes: "If its supervisor does not come in time, everything is undone.",
    codes: CODES,
    run: create,
};

pub(super) const DELETE: Command = Command {
    name: "s6-instance-delete",
    about: "stop an instance of a service, and remove it",
    operands: "SERVICE NAME",
    options: &[
        Opt::flag('X', "do not wait until it is down and its supervisor has gone"),
        Opt::with('t', "MS", "wait at most so many milliseconds"),
    ],
    notes: "When the time is over the instance is out of sight, but its files stay, because it may still be running in them.",
    codes: CODES,
    run: delete,
};

pub(super) const CONTROL: Command = Command {
    name: "s6-instance-control",
    about: "send commands to the supervisor of an instance, like s6-svc",
    operands: "SERVICE NAME",
    options: svc::OPTIONS,
    notes: svc::NOTES,
    codes: svc::CODES,
    run: |call| svc::control(call, &[instance(call)?]),
};

pub(super) const STATUS: Command = Command {
    name: "s6-instance-status",
    about: "print what an instance is doing, like s6-svstat",
    operands: "SERVICE NAME",
    options: svstat::OPTIONS,
    notes: svstat::NOTES,
    codes: svstat::CODES,
    run: |call| svstat::show(call, &instance(call)?),
};

pub(super) const LIST: Command = Command {
    name: "s6-instance-list",
    about: "print the names of all instances of a service",
    operands: "SERVICE",
    options: &[],
    notes: "",
    codes: CODES,
    run: list,
};

/// The service directory of the instance that the operands name.
fn instance(call: &Call) -> Result<OsString, Failure> {
    let (service, name) = names(call)?;
    Ok(service.join("instance").join(name).into_os_string())
}

/// The service, and the name of its instance.
fn names(call: &Call) -> Result<(PathBuf, PathBuf), Failure> {
    let service = call.operand(0, "the service")?;
    let name = call.operand(1, "the name of the instance")?;
    let bytes = name.as_bytes();
    let is_bad = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\x0c' | b'\r' | b'\n' | b'/');
    if service.is_empty() {
        return Err(Failure::usage("the service is an empty word"));
    }
    if bytes.is_empty() || bytes[0] == b'.' || bytes.iter().any(is_bad) {
        return Err(Failure::usage(format!("'{}' is no name for an instance", name.display())));
    }
    Ok((service.into(), name.into()))
}

fn create(call: &Call) -> Outcome {
    let (service, name) = names(call)?;
    let how = How::from(call)?;
    for folder in ["instance", "instances"] {
        make_folder(&service.join(folder))?;
    }
    let scan_dir = service.join("instance");
    check_scanner(&scan_dir)?;
    let copy = service.join("instances").join(&name);
    if copy.symlink_metadata().is_ok() {
        return Err(Failure::with_code(exit::USAGE, format!("{} exists already", copy.display())));
    }
    let target = Path::new("../instances").join(&name);
    let made = copy_tree(&service.join("template"), &copy)
        .map_err(|error| cannot("copy the template to", &copy, &error))
        .and_then(|()| link::link(&scan_dir, &copy, &target, &name, &how));
    if let Err(failure) = made {
        let _ = fs::remove_dir_all(&copy);
        return Err(failure);
    }
    Ok(exit::DONE)
}

fn delete(call: &Call) -> Outcome {
    let (service, name) = names(call)?;
    let scan_dir = service.join("instance");
    check_scanner(&scan_dir)?;
    let deadline = crate::servicedir::deadline(call, 't')?;
    link::unlink(&scan_dir, &name, !call.has('X'), deadline)?;
    let copy = service.join("instances").join(&name);
    match fs::remove_dir_all(&copy) {
        Ok(()) => Ok(exit::DONE),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(exit::DONE),
        Err(error) => Err(cannot("remove", &copy, &error)),
    }
}

fn list(call: &Call) -> Outcome {
    let scan_dir = Path::new(call.operand(0, "the service")?).join("instance");
    check_scanner(&scan_dir)?;
    let entries = fs::read_dir(&scan_dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| cannot("read", &scan_dir, &error))?;
    let mut names: Vec<OsString> = entries.iter().map(|entry| entry.file_name()).collect();
    names.retain(|name| name.as_bytes()[0] != b'.');
    names.sort_unstable();
    for name in names {
        println!("{}", name.display());
    }
    Ok(exit::DONE)
}

/// Makes a folder that everybody may read, unless it is there.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| cannot("make", path, &error)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot("make", path, &error)),
    }
}

/// Copies a folder and what is in it: files and folders with their modes, links and fifos as such.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let data = fs::symlink_metadata(from)?;
    let kind = data.file_type();
    if kind.is_dir() {
        DirBuilder::new().mode(0o700).create(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))?;
        }
        fs::set_permissions(to, data.permissions())
    } else if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if kind.is_fifo() {
        mkfifo(to, Mode::from_bits_truncate(0o600))?;
        fs::set_permissions(to, data.permissions())
    } else if kind.is_file() {
        fs::copy(from, to).map(drop)
    } else {
        Err(io::Error::other(format!("{} is neither file, folder, link nor fifo", from.display())))
    }
}
