//! Where the cgroups (version 2) of svc and its services are.
//!
//! Services that ask for one have a leaf each, below the cgroup that svc was started in:
//!
//! ```text
//! BASE                      where svc was started
//! ├─ svc-PID                processes of svc itself, where BASE must have none so that it can share out controllers
//! └─ svc-PID.services       PID is svc-init's
//!    └─ NAME.service
//! ```

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use svc_core::Millis;

use crate::errno::Errno;
use crate::{clock, poll};

/// Writes into a file of a cgroup, which must be there.
pub fn write(file: &Path, text: &str) -> Result<(), Errno> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).open(file)?;
    file.write_all(text.as_bytes()).map_err(Errno::from)
}

/// Where the cgroups of one svc are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    base: PathBuf,
    init: i32,
}

impl Tree {
    /// That of the svc whose svc-init is `init`, which this process belongs to. None where no cgroup of version 2 is mounted,
    /// or ours is not below what is.
    pub fn of(init: i32) -> Option<Tree> {
        Some(Tree { base: base(&own()?, init), init })
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    /// For svc itself.
    pub fn own(&self) -> PathBuf {
        self.base.join(format!("svc-{}", self.init))
    }

    /// Above all leaves.
    pub fn services(&self) -> PathBuf {
        self.base.join(format!("svc-{}.services", self.init))
    }

    /// Of a service. The kernel's own files have no name that ends like this.
    pub fn leaf(&self, service: &str) -> PathBuf {
        self.services().join(format!("{service}.service"))
    }

    /// Kills everybody in the leaf of a service, at once. Only where the kernel (5.14) can.
    pub fn kill(&self, service: &str) -> Result<(), Errno> {
        write(&self.leaf(service).join("cgroup.kill"), "1")
    }

    /// Waits until nobody lives in the leaf of a service, but not longer than this.
    pub fn await_empty(&self, service: &str, longest: Millis) {
        let events = self.leaf(service).join("cgroup.events");
        let deadline = clock::now() + longest;
        // What is read from one description is what the kernel compares with: it tells of every change after that.
        let Ok(mut file) = std::fs::File::open(events) else { return };
        loop {
            let mut text = String::new();
            let read = std::io::Seek::rewind(&mut file).and_then(|()| std::io::Read::read_to_string(&mut file, &mut text));
            let now = clock::now();
            if read.is_err() || !text.contains("populated 1") || now >= deadline {
                return;
            }
            poll::wait(&mut [poll::changed(file.as_raw_fd())], now, Some(deadline));
        }
    }

    /// So many processes of a service the kernel has killed because memory was out, since its leaf was made; 0 where nobody counts.
    pub fn starved(&self, service: &str) -> u64 {
        let events = std::fs::read_to_string(self.leaf(service).join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.unwrap_or(0)
    }

    /// How much memory a service may have, as the kernel says it.
    pub fn memory_max(&self, service: &str) -> String {
        std::fs::read_to_string(self.leaf(service).join("memory.max")).unwrap_or_default().trim().to_owned()
    }

    /// Removes the leaf of a service, if nobody is in it, and with the last one what is above.
    pub fn remove(&self, service: &str) -> Result<(), Errno> {
        remove_empty(&self.leaf(service))?;
        // Not while there is another.
        let _ = std::fs::remove_dir(self.services());
        Ok(())
    }
}

/// Removes a cgroup that nobody is in, with what the service has made below it and left.
fn remove_empty(dir: &Path) -> Result<(), Errno> {
    let removed = std::fs::remove_dir(dir).map_err(Errno::from);
    let populated = || std::fs::read_to_string(dir.join("cgroup.events")).map_or(true, |text| text.contains("populated 1"));
    if removed != Err(Errno::BUSY) || populated() {
        return removed;
    }
    for below in std::fs::read_dir(dir)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty(&below.path())?;
    }
    std::fs::remove_dir(dir).map_err(Errno::from)
}

/// The directory of the cgroup that this process is in.
pub fn own() -> Option<PathBuf> {
    let path = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    place(&path, &mounts).filter(|dir| dir.is_dir())
}

/// Where the cgroup of /proc/self/cgroup is, by /proc/self/mountinfo.
fn place(path: &str, mounts: &str) -> Option<PathBuf> {
    let path = Path::new(path.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let below = path.strip_prefix(root).ok().filter(|_| system.starts_with("cgroup2 "))?;
        Some(Path::new(at).join(below))
    })
}

/// The cgroup that svc was started in: above those of [`Tree`], if this one is among them.
fn base(own: &Path, init: i32) -> PathBuf {
    let ours = [format!("svc-{init}"), format!("svc-{init}.services")];
    let above = own.iter().take_while(|part| !ours.iter().any(|name| **part == **name));
    above.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_found_where_it_is_mounted() {
        let hybrid = "30 23 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      39 23 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let bound = "39 23 0:35 /docker/1234 /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(place("4:memory:/a\n0::/b\n", hybrid), Some("/sys/fs/cgroup/unified/b".into()));
        assert_eq!(place("0::/docker/1234/x\n", bound), Some("/sys/fs/cgroup/x".into()));
        assert_eq!(place("0::/elsewhere\n", bound), None);
        assert_eq!(place("4:memory:/a\n", hybrid), None);
        assert_eq!(place("0::/\n", ""), None);
    }

    #[test]
    fn what_is_below_ours_has_the_same_base() {
        for own in ["/cg/a", "/cg/a/svc-7", "/cg/a/svc-7.services/web.service", "/cg/a/svc-7.services/x.service/svc-7"] {
            assert_eq!(base(Path::new(own), 7), Path::new("/cg/a"), "{own}");
        }
        assert_eq!(base(Path::new("/cg/svc-8"), 7), Path::new("/cg/svc-8"));
        let tree = Tree { base: "/cg".into(), init: 7 };
        assert_eq!(tree.leaf("web"), Path::new("/cg/svc-7.services/web.service"));
        assert_eq!(tree.own(), Path::new("/cg/svc-7"));
    }
}
