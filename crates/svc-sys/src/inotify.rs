//! Being told that something has changed in a directory.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::errno::{Errno, check};
use crate::fd;

/// What is told of: a name came or went, a file was written or touched, or the directory itself is no longer there.
const CHANGES: u32 = libc::IN_CREATE
    | libc::IN_DELETE
    | libc::IN_MOVED_FROM
    | libc::IN_MOVED_TO
    | libc::IN_ATTRIB
    | libc::IN_MODIFY
    | libc::IN_DELETE_SELF
    | libc::IN_MOVE_SELF
    | libc::IN_ONLYDIR;

/// Directories that are watched. Readable when something has changed in one of them.
pub struct Inotify(OwnedFd);

impl Inotify {
    pub fn new() -> Result<Inotify, Errno> {
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: just made, and nobody else's.
        Ok(Inotify(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches a directory; one that is watched already is watched once.
    pub fn watch(&self, dir: &Path) -> Result<(), Errno> {
        let dir = CString::new(dir.as_os_str().as_bytes()).map_err(|_| Errno::INVALID)?;
        // SAFETY: `dir` is a C string.
        check(unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), dir.as_ptr(), CHANGES) }).map(drop)
    }

    /// Forgets what was told so far: whoever looks afterwards sees all of it.
    pub fn drain(&self) {
        let mut buffer = [0; 4096];
        while fd::read(self.0.as_fd(), &mut buffer).is_ok_and(|length| length > 0) {}
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
