//! The small things that layouts do with files; each failure has its path.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use svc_core::memory;
use svc_sys::user;

pub(crate) type Failed = (PathBuf, Error);

/// What is said of it.
pub(crate) fn told((path, error): Failed) -> String {
    let cure = match error.kind() {
        ErrorKind::StorageFull => {
            ": give it 1 MiB (docker run --tmpfs /run:size=1m, or --shm-size 1m where /dev/shm stands in)"
        }
        _ => "",
    };
    format!("{}: {error}{cure}", path.display())
}

/// The first place that can be written to, which `write` tries, and what is wrong with /run if it is another, or with all of them.
/// Each is called `run`, for who looks at paths. Nothing is ever executed from it.
pub(crate) fn writable(write: fn(&Path) -> std::io::Result<()>) -> Result<(PathBuf, Option<String>), String> {
    let uid = user::effective_uid();
    let tried = |place: std::io::Result<PathBuf>| place.and_then(|run| write(&run).map(|()| run));
    let Err(error) = tried(plain("/run".into())) else { return Ok(("/run".into(), None)) };
    let error = Error::from(error.kind());
    let why = format!("/run cannot be written to by {uid} ({error})");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let runtime = runtime.and_then(|dir| tried(below(dir.into())).ok());
    if let Some(run) = runtime.or_else(|| tried(below(format!("/tmp/s6-run-{uid}").into())).ok()) {
        return Ok((run, Some(why)));
    }
    match tried(svc_sys::memory::make()) {
        Ok(run) if svc_sys::memory::is_own() => Ok((run, Some(why))),
        Ok(run) => Ok((run, Some(format!("{why}, and {} is shared, so that only {uid} may look there", memory::MEMORY)))),
        Err(_) => Err(format!("nothing can be written by {uid}, neither in /run ({error}) nor in /tmp nor in /dev/shm")),
    }
}

/// What was made for a start that did not come about is taken away where nobody else would.
pub(crate) fn give_up() {
    svc_sys::memory::remove();
}

fn plain(run: PathBuf) -> std::io::Result<PathBuf> {
    make_dir(&run).map(|()| run).map_err(|(_, error)| error)
}

/// Somebody else's directory in a place where everybody may write is not ours to trust.
fn below(dir: PathBuf) -> std::io::Result<PathBuf> {
    plain(dir.clone())?;
    user::may_trust(&dir)?;
    plain(dir.join(memory::RUN))
}

/// Tries to write, and leaves nothing behind.
pub(crate) fn probe(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(".svc-init-probe");
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
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
