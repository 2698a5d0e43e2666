//! Where /run is on a file system in user space, each file that is made there takes several turns to another process, and a boot
//! makes a hundred. An engine gives a container memory at /dev/shm: what is ours is made there, and linked.

use std::path::{Path, PathBuf};

use svc_sys::user;

use crate::files::{entries, mount_namespace};

const MEMORY: &str = "/dev/shm";
/// What directories of ours are called there, whoever made them and for what.
const OURS: &str = "s6-run-";

/// A directory in memory for what belongs into `run`, if making it there would be slow. It is not made.
pub(super) fn in_place_of(run: &Path) -> Option<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let name = format!("{OURS}{}-{:x}", user::effective_uid(), mount_namespace());
    is_better(&table, run, &entries(Path::new(MEMORY))).then(|| Path::new(MEMORY).join(name))
}

/// Nobody clears up behind a container, so the memory must go with it: it is the mount that engines call `shm`. Where a directory
/// of ours is there already, containers share it, as those of a pod do.
fn is_better(table: &str, run: &Path, there: &[String]) -> bool {
    let slow = run.ancestors().find_map(|point| mounted(table, point)).is_some_and(|(kind, _)| kind.starts_with("fuse"));
    let own = mounted(table, Path::new(MEMORY)) == Some(("tmpfs", "shm"));
    slow && own && !there.iter().any(|name| name.starts_with(OURS))
}

/// Type and source of what is mounted at a place, as proc_pid_mountinfo(5) has them. A later line covers an earlier one.
fn mounted<'t>(table: &'t str, point: &Path) -> Option<(&'t str, &'t str)> {
    let at_point = |line: &&str| line.split(' ').nth(4).is_some_and(|field| Path::new(field) == point);
    let (_, behind) = table.lines().rev().find(at_point)?.split_once(" - ")?;
    let mut fields = behind.split(' ');
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: &str = "279 231 0:39 / / rw,noatime master:2 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0\n\
        281 279 0:43 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k\n\
        295 281 0:46 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k\n";

    #[test]
    fn memory_is_taken_where_run_is_slow_and_the_memory_goes_with_the_container() {
        let is_better = |table: &str, there: &[&str]| {
            let there: Vec<String> = there.iter().map(|&name| name.to_owned()).collect();
            is_better(table, Path::new("/run"), &there)
        };
        assert!(is_better(SLOW, &[]) && is_better(SLOW, &["PostgreSQL.1"]));
        assert!(!is_better(SLOW, &["s6-run-0-f0000001"]), "it is shared");
        assert!(!is_better(&format!("{SLOW}300 279 0:50 / /run rw - tmpfs tmpfs rw\n"), &[]), "/run is memory");
        assert!(!is_better(&SLOW.replace("fuse.fuse-overlayfs fuse-overlayfs", "overlay overlay"), &[]), "/run is not slow");
        assert!(!is_better(&SLOW.replace("- tmpfs shm", "- tmpfs tmpfs"), &[]), "it is the host's");
        assert!(!is_better(SLOW.split_once("295 ").map_or("", |(before, _)| before), &[]), "there is none");
        assert!(!is_better("torn line\n", &[]));
    }
}
