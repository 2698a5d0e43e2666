//! Programs that change files: s6-mkdir, s6-mkfifo, s6-chmod, s6-chown, s6-ln, s6-rename, s6-touch, s6-rmrf, s6-sync.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::Mode;
use nix::unistd::{linkat, mkfifo};
use svc_sys::{exit, user};

use super::words::base;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::account;

/// What went wrong with a file.
fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("unable to {what} {}: {error}", path.display()))
}

/// A mode in octal.
fn mode(text: &OsStr) -> Result<u32, Failure> {
    let mode = text.to_str().and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|&mode| mode <= 0o7777);
    mode.ok_or_else(|| Failure::usage(format!("'{}' is not a mode in octal, such as 0755", text.display())))
}

pub(super) const MKDIR: Command = Command {
    name: "s6-mkdir",
    about: "make directories",
    operands: "DIR...",
    options: &[
        Opt::flag('p', "with those above, and none of them need be missing"),
        Opt::flag('v', "say what was made"),
        Opt::with('m', "MODE", "the mode in octal (default: 0777 without the umask)"),
    ],
    notes: "",
    codes: &[],
    run: mkdir,
};

fn mkdir(call: &Call) -> Outcome {
    let mut bits = 0o777;
    if let Some(text) = call.value('m') {
        bits = mode(text)?;
        user::set_umask(0);
    }
    let mut code = exit::DONE;
    for dir in &call.operands {
        let dir = Path::new(dir);
        let mut dirs = vec![dir];
        if call.has('p') {
            dirs = dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()).collect();
            dirs.reverse();
        }
        for dir in dirs {
            match fs::DirBuilder::new().mode(bits).create(dir) {
                Ok(()) if call.has('v') => eprintln!("{}: created directory {}", call.command.name, dir.display()),
                Ok(()) => {}
                Err(error) if call.has('p') && (error.kind() == ErrorKind::AlreadyExists || dir.is_dir()) => {}
                Err(error) => {
                    call.warn(format_args!("unable to make {}: {error}", dir.display()));
                    code = exit::SYSTEM;
                    break;
                }
            }
        }
    }
    Ok(code)
}

pub(super) const MKFIFO: Command = Command {
    name: "s6-mkfifo",
    about: "make fifos",
    operands: "FIFO...",
    options: &[Opt::with('m', "MODE", "the mode in octal (default: 0666)")],
    notes: "The umask does not matter.",
    codes: &[],
    run: |call| {
        let bits = call.value('m').map(mode).transpose()?.unwrap_or(0o666);
        call.operand(0, "the fifo")?;
        user::set_umask(0o111);
        for path in &call.operands {
            let made = mkfifo(Path::new(path), Mode::from_bits_truncate(bits));
            made.map_err(|errno| failed("make", Path::new(path), &errno.into()))?;
        }
        Ok(exit::DONE)
    },
};

pub(super) const CHMOD: Command = Command {
    name: "s6-chmod",
    about: "change the mode of a file",
    operands: "MODE FILE",
    options: &[Opt::NONE],
    notes: "MODE is in octal.",
    codes: &[],
    run: |call| {
        let bits = mode(call.operand(0, "the mode")?)?;
        let path = Path::new(call.operand(1, "the file")?);
        fs::set_permissions(path, Permissions::from_mode(bits))
            .map_err(|error| failed("change the mode of", path, &error))?;
        Ok(exit::DONE)
    },
};

pub(super) const CHOWN: Command = Command {
    name: "s6-chown",
    about: "change the owner of a file",
    operands: "FILE",
    options: &[
        Opt::with('u', "UID", "the user's number"),
        Opt::with('g', "GID", "the group's number"),
        Opt::flag('U', "use UID and GID of the environment"),
    ],
    notes: "",
    codes: &[],
    run: |call| {
        let number = |what: &str, text: &OsStr| {
            let number = account::number(text.as_bytes());
            number.ok_or_else(|| Failure::usage(format!("{what}: '{}' is not a number", text.display())))
        };
        let variable = |name: &str| {
            let value = std::env::var_os(name).ok_or_else(|| Failure::usage(format!("{name} is not set")))?;
            number(name, &value)
        };
        let (mut uid, mut gid) = (None, None);
        for given in &call.given {
            match given.letter {
                'u' => uid = Some(number("-u", &given.value)?),
                'g' => gid = Some(number("-g", &given.value)?),
                _ => (uid, gid) = (Some(variable("UID")?), Some(variable("GID")?)),
            }
        }
        let path = Path::new(call.operand(0, "the file")?);
        std::os::unix::fs::chown(path, uid, gid).map_err(|error| failed("change the owner of", path, &error))?;
        Ok(exit::DONE)
    },
};

pub(super) const LN: Command = Command {
    name: "s6-ln",
    about: "make links",
    operands: "OLD... NEW",
    options: &[
        Opt::flag('s', "symbolic ones"),
        Opt::flag('f', "in place of what is there, at once"),
        Opt::flag('n', "a symbolic link to a directory is no directory"),
        Opt::flag('L', "link to what a symbolic link points to"),
        Opt::flag('P', "link to a symbolic link itself (this is the default)"),
    ],
    notes: "Where NEW is a directory, the links are made in it.",
    codes: &[(1, "a link could not be made; with several, how many could not")],
    run: ln,
};

fn ln(call: &Call) -> Outcome {
    let Some((new, olds)) = call.operands.split_last().filter(|(_, olds)| !olds.is_empty()) else {
        return Err(Failure::usage("an old and a new name are needed"));
    };
    let new = Path::new(new);
    let data = if call.has('n') { fs::symlink_metadata(new) } else { fs::metadata(new) };
    let is_dir = match data {
        Ok(data) => data.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(failed("look at", new, &error)),
    };
    let mut wrong = 0_u8;
    for old in olds {
        let inside = new.join(OsStr::from_bytes(base(old.as_bytes())));
        let to = if is_dir || olds.len() > 1 { &inside } else { new };
        if let Err(error) = link(call, Path::new(old), to) {
            call.warn(format_args!("unable to make a link from {} to {}: {error}", to.display(), old.display()));
            wrong = wrong.saturating_add(1);
        }
    }
    Ok(wrong)
}

fn link(call: &Call, old: &Path, new: &Path) -> io::Result<()> {
    let follow = call.last(&['L', 'P']) == Some('L');
    let flags = if follow { AtFlags::AT_SYMLINK_FOLLOW } else { AtFlags::empty() };
    let make = |new: &Path| {
        if call.has('s') { symlink(old, new) } else { linkat(AT_FDCWD, old, AT_FDCWD, new, flags).map_err(io::Error::from) }
    };
    match make(new) {
        Err(error) if call.has('f') && error.kind() == ErrorKind::AlreadyExists => {
            let mut beside = new.as_os_str().to_owned();
            beside.push(format!(":s6-ln:{}", std::process::id()));
            let beside = PathBuf::from(beside);
            make(&beside)?;
            let renamed = fs::rename(&beside, new);
            // If both are the same file, renaming leaves both names.
            let _ = fs::remove_file(&beside);
            renamed
        }
        result => result,
    }
}

pub(super) const RENAME: Command = Command {
    name: "s6-rename",
    about: "give a file another name, in place of what has it",
    operands: "OLD NEW",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |call| {
        let (old, new) = (Path::new(call.operand(0, "the old name")?), call.operand(1, "the new name")?);
        let renamed = fs::rename(old, new);
        renamed.map_err(|error| failed(&format!("give the name {} to", new.display()), old, &error))?;
        Ok(exit::DONE)
    },
};

pub(super) const TOUCH: Command = Command {
    name: "s6-touch",
    about: "make files, or make them look changed now",
    operands: "FILE...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: |call| {
        call.operand(0, "the file")?;
        for path in &call.operands {
            let file = File::options().write(true).create(true).truncate(false).open(path);
            let now = SystemTime::now();
            let times = fs::FileTimes::new().set_accessed(now).set_modified(now);
            let touched = file.or_else(|_| File::open(path)).and_then(|file| file.set_times(times));
            touched.map_err(|error| failed("touch", Path::new(path), &error))?;
        }
        Ok(exit::DONE)
    },
};

pub(super) const RMRF: Command = Command {
    name: "s6-rmrf",
    about: "remove files and directories with all that is in them",
    operands: "FILE...",
    options: &[Opt::NONE],
    notes: "What does not exist is no error. Symbolic links are not followed.",
    codes: &[],
    run: |call| {
        call.operand(0, "the file")?;
        for path in &call.operands {
            let path = Path::new(path);
            let removed = match fs::symlink_metadata(path) {
                Ok(data) if data.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", path, &error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(exit::DONE)
    },
};

pub(super) const SYNC: Command = Command {
    name: "s6-sync",
    about: "write to the disks what is still in memory",
    operands: "",
    options: &[Opt::NONE],
    notes: "All disks of the machine, not only those of a container.",
    codes: &[],
    run: |_| {
        nix::unistd::sync();
        Ok(exit::DONE)
    },
};

pub(super) const HIERCOPY: Command = Command {
    name: "s6-hiercopy",
    about: "copy a file, or a directory with all that is in it",
    operands: "FROM TO",
    options: &[Opt::NONE],
    notes: "Keeps modes, and owners where that is possible. A directory that is there is filled.",
    codes: &[],
    run: |call| {
        let (from, to) = (Path::new(call.operand(0, "the source")?), Path::new(call.operand(1, "the destination")?));
        user::set_umask(0);
        super::copy::copy(from, to).map_err(|(path, error)| failed("copy", &path, &error))?;
        Ok(exit::DONE)
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode(OsStr::new("0755")).ok(), Some(0o755));
        for bad in ["", "8", "u+x", "77777", "-1"] {
            assert!(mode(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
