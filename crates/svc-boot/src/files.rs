//! The small things that layouts do with files; each failure has its path.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use svc_sys::user;

pub(crate) type Failed = (PathBuf, Error);

/// The first place that can be written to, and what is wrong with /run if it is another. Nothing is ever executed from it.
pub(crate) fn writable() -> Result<(PathBuf, Option<String>), String> {
    let uid = user::effective_uid();
    let Err(error) = try_to_write(Path::new("/run")) else { return Ok(("/run".into(), None)) };
    let error = Error::from(error.kind());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    // Where the root is read-only an engine leaves this one writable. Containers may share it (--ipc host): each has its own there.
    let shared = || {
        let namespace = fs::metadata("/proc/self/ns/mnt").map(|data| data.ino()).unwrap_or_default();
        PathBuf::from(format!("/dev/shm/s6-run-{uid}-{namespace:x}"))
    };
    let mut candidates =
        [runtime.map(PathBuf::from), Some(format!("/tmp/s6-run-{uid}").into()), Some(shared())].into_iter().flatten();
    match candidates.find(|dir| try_to_write(dir).is_ok()) {
        Some(dir) => Ok((dir, Some(format!("/run cannot be written to by {uid} ({error})")))),
        None => Err(format!(
            "nothing can be written by {uid}, neither in /run ({error}) nor in /tmp nor in /dev/shm: {}",
            cure()
        )),
    }
}

pub(crate) fn cure() -> String {
    let uid = user::effective_uid();
    // An engine gives a tmpfs the mode of the directory below it, and its owner only if told.
    let owner = if uid == 0 { String::new() } else { format!(":uid={uid}") };
    format!("mount a tmpfs at /run (docker run --tmpfs /run{owner})")
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    make_dir(dir).map_err(|(_, error)| error)?;
    let data = fs::symlink_metadata(dir)?;
    // Somebody else's directory in a place where everybody may write is not ours to trust.
    if is_open_to_all(dir) && !(data.is_dir() && data.uid() == user::effective_uid()) {
        return Err(ErrorKind::PermissionDenied.into());
    }
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
