//! Where /run is on a file system in user space, each file that is made there takes several turns to another process, and a boot
//! makes a hundred. An engine gives a container memory at /dev/shm: what is ours is made there, and linked.

use std::path::{Path, PathBuf};

use svc_core::memory::MEMORY;
use svc_sys::memory::{is_own, make, mounted};

use crate::files::entries;

/// What directories of ours are called there, whoever made them and for what.
const OURS: &str = "svc-";

/// A directory in memory for what belongs into `run`, if making it there would be slow.
pub(super) fn in_place_of(run: &Path) -> Option<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let is_better = is_slow(&table, run) && is_own() && !is_shared(&entries(Path::new(MEMORY)));
    is_better.then(make)?.ok()
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
        assert_eq!(mounted(SLOW, Path::new(MEMORY)), Some(("tmpfs", "shm")));
        let is_shared = |name: &str| is_shared(&[name.to_owned()]);
        assert!(is_shared("svc-0-4026532446") && !is_shared("PostgreSQL.1"));
    }
}
