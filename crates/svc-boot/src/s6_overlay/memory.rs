//! Where /run is on a file system in user space, each file that is made there takes several turns to another process, and a boot
//! makes a hundred. An engine gives a container memory at /dev/shm: what is ours is made there, and linked.

use std::path::{Path, PathBuf};

use svc_core::memory::MEMORY;
use svc_sys::memory::{is_own, make, mounted};

use crate::files::entries;

/// What directories of ours are called there, whoever made them and for what.
const OURS: &str = "svc-";

/// So much room is always enough: a hundred small files, of a page each.
const LEAST_KILOBYTES: u64 = 1024;
/// Less than this is never enough.
const TINY_KILOBYTES: u64 = 128;

/// A directory in memory for what belongs into `run`, if making it there would be slow.
pub(super) fn in_place_of(run: &Path) -> Option<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let is_better = is_slow(&table, run) && has_room(&table) && is_own() && !is_shared(&entries(Path::new(MEMORY)));
    is_better.then(make)?.ok()
}

/// Whether a memory at `run` has no room for the files of a boot, as with `docker run --tmpfs /run:size=64k`.
pub(super) fn is_tiny(run: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    kilobytes(&table, run).is_some_and(|size| size < TINY_KILOBYTES)
}

/// How to get a /run that can be used: where there is one with too little room, more of it.
pub(super) fn cure() -> String {
    let run = Path::new("/run");
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match kilobytes(&table, run).filter(|size| *size < TINY_KILOBYTES) {
        Some(size) => format!(
            "the tmpfs at /run has {size} KiB, and a boot needs {TINY_KILOBYTES} at least: give it 1 MiB \
             (docker run --tmpfs /run:size=1m)"
        ),
        None => svc_prepare::place::cure(),
    }
}

/// A `docker run --shm-size 64k` is too little for the files of a boot. Without a size it is half of the machine's memory.
fn has_room(table: &str) -> bool {
    kilobytes(table, Path::new(MEMORY)).is_none_or(|size| size >= LEAST_KILOBYTES)
}

/// The size of the memory that is mounted at a place.
fn kilobytes(table: &str, point: &Path) -> Option<u64> {
    let at_point = |line: &&str| line.split(' ').nth(4).is_some_and(|field| Path::new(field) == point);
    let line = table.lines().rev().find(at_point)?;
    line.rsplit([' ', ',']).find_map(|word| word.strip_prefix("size=")?.strip_suffix('k')?.parse().ok())
}

fn is_slow(table: &str, run: &Path) -> bool {
    run.ancestors().find_map(|point| mounted(table, point)).is_some_and(|(kind, _)| kind.starts_with("fuse"))
}

/// Where a directory of ours is there already, containers share it, as those of a pod do.
fn is_shared(there: &[String]) -> bool {
    there.iter().any(|name| name.starts_with(OURS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: &str = "279 231 0:39 / / rw,noatime master:2 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0\n\
        281 279 0:43 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k\n\
        295 281 0:46 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k\n";

    #[test]
    fn memory_is_taken_where_run_is_slow_and_nobody_shares_it() {
        let is_slow = |table: &str| is_slow(table, Path::new("/run"));
        assert!(is_slow(SLOW));
        assert!(!is_slow(&format!("{SLOW}300 279 0:50 / /run rw - tmpfs tmpfs rw\n")), "/run is memory");
        assert!(!is_slow(&SLOW.replace("fuse.fuse-overlayfs fuse-overlayfs", "overlay overlay")), "/run is not slow");
        assert!(!is_slow("torn line\n"));
        assert!(
            has_room(SLOW)
                && has_room("")
                && !has_room(&SLOW.replace("noexec,relatime - tmpfs shm rw,size=65536k", "- tmpfs shm rw,size=64k"))
        );
        assert_eq!(mounted(SLOW, Path::new(MEMORY)), Some(("tmpfs", "shm")));
        let is_shared = |name: &str| is_shared(&[name.to_owned()]);
        assert!(is_shared("svc-0-4026532446") && !is_shared("PostgreSQL.1"));
    }
}
