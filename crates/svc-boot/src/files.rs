//! The small things that layouts do with files; each failure has its path.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use svc_sys::user;

pub(crate) type Failed = (PathBuf, Error);

/// The first place that can be written to.
pub(crate) fn writable() -> Result<PathBuf, String> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let own = format!("/tmp/s6-run-{}", user::effective_uid());
    let candidates = [Some(PathBuf::from("/run")), runtime.map(PathBuf::from), Some(PathBuf::from(&own))];
    let found = candidates.into_iter().flatten().find(|dir| {
        let probe = dir.join(".svc-init-probe");
        make_dir(dir).is_ok() && fs::write(&probe, b"").is_ok() && fs::remove_file(&probe).is_ok()
    });
    found.ok_or_else(|| format!("neither /run nor {own} can be written to: mount a tmpfs at /run (docker run --tmpfs /run)"))
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
