//! The one directory that is ours in memory where every user may make files (`svc_core::memory`).

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use svc_core::memory::{MEMORY, RUN, directory};

use crate::{Errno, user};

/// Where it is, made or not.
pub fn place() -> PathBuf {
    let namespace = fs::metadata("/proc/self/ns/mnt").map(|data| data.ino()).unwrap_or_default();
    directory(user::effective_uid(), namespace).into()
}

/// What stands in for /run there. Somebody else's directory of that name, or a link, is left alone: an error.
pub fn make() -> Result<PathBuf> {
    let place = place();
    // Others of the host have no business there. In a container's own memory all its users are as they are in /run.
    let mode = if is_own() { 0o755 } else { 0o700 };
    made(DirBuilder::new().mode(mode).create(&place))?;
    let run = find()?;
    made(DirBuilder::new().mode(0o755).create(&run))?;
    Ok(run)
}

/// The same where it was made.
pub fn find() -> Result<PathBuf> {
    let place = place();
    let data = fs::symlink_metadata(&place)?;
    let is_ours = data.is_dir() && data.uid() == user::effective_uid() && data.mode() & 0o022 == 0;
    if is_ours { Ok(place.join(RUN)) } else { Err(Errno::NOT_PERMITTED.into()) }
}

/// Takes everything away again: nobody clears up behind a container.
pub fn remove() {
    if find().is_ok() {
        // Whoever is left there makes it impossible, and needs it.
        let _ = fs::remove_dir_all(place());
    }
}

/// It goes with the container: an engine calls such a mount `shm`.
pub fn is_own() -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounted(&table, Path::new(MEMORY)) == Some(("tmpfs", "shm"))
}

/// Type and source of what is mounted at a place, as proc_pid_mountinfo(5) has them. A later line covers an earlier one.
pub fn mounted<'t>(table: &'t str, point: &Path) -> Option<(&'t str, &'t str)> {
    let at_point = |line: &&str| line.split(' ').nth(4).is_some_and(|field| Path::new(field) == point);
    let (_, behind) = table.lines().rev().find(at_point)?.split_once(" - ")?;
    let mut fields = behind.split(' ');
    Some((fields.next()?, fields.next()?))
}

fn made(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}
