//! Landlock: from here on only these paths, for this process and all that come from it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::errno::{Errno, check};

/// Rights as the kernel counts them, in the order of its versions.
const EXECUTE_FILE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// The first version has all up to this one.
const FIRST: u64 = (1 << 13) - 1;
/// Moving between directories: version 2.
const REFER: u64 = 1 << 13;
/// Version 3.
const TRUNCATE: u64 = 1 << 14;
/// Version 5.
const IOCTL_DEV: u64 = 1 << 15;

/// What makes sense for a path that is no directory; the kernel refuses the rest.
const OF_FILES: u64 = EXECUTE_FILE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// What may be done below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Reading, and executing what is there.
    Execute,
    /// Reading, and every change.
    Write,
}

impl Access {
    fn rights(self) -> u64 {
        match self {
            Access::Read => READ_FILE | READ_DIR,
            Access::Execute => READ_FILE | READ_DIR | EXECUTE_FILE,
            Access::Write => (FIRST | REFER | TRUNCATE | IOCTL_DEV) & !EXECUTE_FILE,
        }
    }
}

/// The version that the kernel has. ENOSYS: it is older than Landlock, or a sandbox hides it; EOPNOTSUPP: switched off at boot.
pub fn version() -> Result<u32, Errno> {
    const ASK_VERSION: u32 = 1;
    let nothing = std::ptr::null::<u64>();
    // SAFETY: with this flag the kernel takes a null pointer and no size.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, ASK_VERSION) };
    check(version as libc::c_int).map(|version| version as u32)
}

/// Paths that stay open, until [`Ruleset::enforce`] closes all others.
pub struct Ruleset {
    fd: OwnedFd,
    handled: u64,
}

/// `landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: libc::c_int,
}

impl Ruleset {
    /// Handles every right that this version of the kernel knows.
    pub fn new(version: u32) -> Result<Ruleset, Errno> {
        let later = [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)];
        let handled = later.into_iter().filter(|(since, _)| version >= *since).fold(FIRST, |all, (_, right)| all | right);
        let size = std::mem::size_of_val(&handled);
        // SAFETY: the first field of the kernel's structure is this number, and the size says that there is no other.
        let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size, 0) };
        // SAFETY: just made, and nobody else's.
        check(fd as libc::c_int).map(|fd| Ruleset { fd: unsafe { OwnedFd::from_raw_fd(fd) }, handled })
    }

    /// Leaves what is below a path open.
    pub fn allow(&self, path: &Path, access: Access) -> Result<(), Errno> {
        const BENEATH: libc::c_int = 1;
        let place = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
        let possible = if place.metadata()?.is_dir() { u64::MAX } else { OF_FILES };
        let rule = Beneath { allowed: access.rights() & possible & self.handled, parent: place.as_raw_fd() };
        // SAFETY: `rule` is what the kernel expects for this kind of rule, and lives until the call returns.
        let result = unsafe { libc::syscall(libc::SYS_landlock_add_rule, self.fd.as_raw_fd(), BENEATH, &raw const rule, 0) };
        check(result as libc::c_int).map(drop)
    }

    /// Closes everything else, for ever. Needs CAP_SYS_ADMIN, or the promise of no new privileges.
    pub fn enforce(self) -> Result<(), Errno> {
        // SAFETY: takes no pointers.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.fd.as_raw_fd(), 0) } as libc::c_int).map(drop)
    }
}
