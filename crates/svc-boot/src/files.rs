//! The small things that layouts do with files; each failure has its path.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use svc_sys::user;

pub(crate) type Failed = (PathBuf, Error);

/// The first place that can be written to, which `write` tries, and what is wrong with /run if it is another, or with all of them.
/// Nothing is ever executed from it.
pub(crate) fn writable(write: fn(&Path) -> std::io::Result<()>) -> Result<(PathBuf, Option<String>), String> {
    let uid = user::effective_uid();
    let try_to_write = |dir: &Path| prepare(dir).and_then(|()| write(dir));
    let Err(error) = try_to_write(Path::new("/run")) else { return Ok(("/run".into(), None)) };
    let error = Error::from(error.kind());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    // Where the root is read-only an engine leaves this one writable. Containers may share it (--ipc host): each has its own there.
    let shared = || PathBuf::from(format!("/dev/shm/s6-run-{uid}-{:x}", mount_namespace()));
    let mut candidates =
        [runtime.map(PathBuf::from), Some(format!("/tmp/s6-run-{uid}").into()), Some(shared())].into_iter().flatten();
    match candidates.find(|dir| try_to_write(dir).is_ok()) {
        Some(dir) => Ok((dir, Some(format!("/run cannot be written to by {uid} ({error})")))),
        None => Err(format!("nothing can be written by {uid}, neither in /run ({error}) nor in /tmp nor in /dev/shm")),
    }
}

/// Another number for each container.
pub(crate) fn mount_namespace() -> u64 {
    fs::metadata("/proc/self/ns/mnt").map(|data| data.ino()).unwrap_or_default()
}

fn prepare(dir: &Path) -> std::io::Result<()> {
    make_dir(dir).map_err(|(_, error)| error)?;
    let data = fs::symlink_metadata(dir)?;
    // Somebody else's directory in a place where everybody may write is not ours to trust.
    if is_open_to_all(dir) && !(data.is_dir() && data.uid() == user::effective_uid()) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Tries to write, and leaves nothing behind.
pub(crate) fn probe(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(".svc-init-probe");
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

fn is_open_to_all(dir: &Path) -> bool {
    dir.starts_with("/tmp") || dir.starts_with("/dev/shm")
}

pub(crate) fn make_dir(dir: &Path) -> Result<(), Failed> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(|error| (dir.to_owned(), error))
}

pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Failed> {
    fs::write(path, content).map_err(|error| (path.to_owned(), error))
}

pub(crate) fn link(target: &Path, path: &Path) -> Result<(), Failed> {
    symlink(target, path).map_err(|error| (path.to_owned(), error))
}

/// Makes something in place of whatever is there. What is seldom there is not looked for.
pub(crate) fn anew(path: &Path, make: impl Fn() -> std::io::Result<()>) -> Result<(), Failed> {
    match make() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            remove(path)?;
            make().map_err(|error| (path.to_owned(), error))
        }
        made => made.map_err(|error| (path.to_owned(), error)),
    }
}

/// Removes whatever is there, and nothing behind a link.
pub(crate) fn remove(path: &Path) -> Result<(), Failed> {
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err((path.to_owned(), error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is in a directory, in order; nothing that begins with a dot.
pub(crate) fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort_unstable();
    names
}
