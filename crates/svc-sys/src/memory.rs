//! The one directory that is ours in memory where every user may make files (`svc_core::memory`).

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use svc_core::memory::{MEMORY, RUN, directory};

use crate::{Errno, user};

/// The number that the kernel gives to the first IPC namespace (PROC_IPC_INIT_INO).
const FIRST_IPC: u64 = 0xEFFF_FFFF;

/// What an svc that lives has locked there.
const LOCK: &str = "run/svc/lock";

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
    if made(DirBuilder::new().mode(mode).create(&place))? {
        clear_after_the_killed(&place);
    }
    let run = find()?;
    made(DirBuilder::new().mode(0o755).create(&run))?;
    Ok(run)
}

/// What a SIGKILL has left: a directory of this user's whose svc holds its lock no more.
fn clear_after_the_killed(own: &Path) {
    let user = |place: &Path| Some(place.to_str()?.rsplit_once('-')?.0.to_owned());
    let others = fs::read_dir(MEMORY).into_iter().flatten().flatten().map(|entry| entry.path());
    for other in others.filter(|other| other != own && user(other) == user(own)) {
        let is_over = || File::open(other.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_ours(&other).unwrap_or(false) && is_over() {
            let _ = fs::remove_dir_all(other);
        }
    }
}

/// The same where it was made.
pub fn find() -> Result<PathBuf> {
    let place = place();
    if is_ours(&place)? { Ok(place.join(RUN)) } else { Err(Errno::NOT_PERMITTED.into()) }
}

fn is_ours(place: &Path) -> Result<bool> {
    let data = fs::symlink_metadata(place)?;
    Ok(data.is_dir() && data.uid() == user::effective_uid() && data.mode() & 0o022 == 0)
}

/// Takes everything away again: nobody clears up behind a container.
pub fn remove() {
    if find().is_ok() {
        // Whoever is left there makes it impossible, and needs it.
        let _ = fs::remove_dir_all(place());
    }
}

/// It goes with the container: an engine calls such a mount `shm`. Some hosts call theirs so too, but then we are in their first IPC
/// namespace (`docker run --ipc host`).
pub fn is_own() -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_first = fs::metadata("/proc/self/ns/ipc").is_ok_and(|data| data.ino() == FIRST_IPC);
    !is_first && mounted(&table, Path::new(MEMORY)) == Some(("tmpfs", "shm"))
}

/// Type and source of what is mounted at a place, as proc_pid_mountinfo(5) has them. A later line covers an earlier one.
pub fn mounted<'t>(table: &'t str, point: &Path) -> Option<(&'t str, &'t str)> {
    let at_point = |line: &&str| line.split(' ').nth(4).is_some_and(|field| Path::new(field) == point);
    let (_, behind) = table.lines().rev().find(at_point)?.split_once(" - ")?;
    let mut fields = behind.split(' ');
    Some((fields.next()?, fields.next()?))
}

/// Whether it was not there before.
fn made(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
