//! What the kernel says when it refuses.

/// An error number of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const AGAIN: Errno = Errno(libc::EAGAIN);
    pub const INTERRUPTED: Errno = Errno(libc::EINTR);
    pub const IO: Errno = Errno(libc::EIO);
    pub const NOT_FOUND: Errno = Errno(libc::ENOENT);
    pub const NOT_A_DIRECTORY: Errno = Errno(libc::ENOTDIR);
    pub const NOT_ALLOWED: Errno = Errno(libc::EACCES);
    pub const NO_READER: Errno = Errno(libc::ENXIO);
    pub const NO_MEMORY: Errno = Errno(libc::ENOMEM);
    /// The kernel has no memory for a packet.
    pub const NO_BUFFERS: Errno = Errno(libc::ENOBUFS);
    /// More descriptors are on their way than somebody may have open.
    pub const TOO_MANY_ON_THEIR_WAY: Errno = Errno(libc::ETOOMANYREFS);
    pub const TOO_MANY_FILES: Errno = Errno(libc::EMFILE);
    pub const TOO_MANY_FILES_IN_SYSTEM: Errno = Errno(libc::ENFILE);
    pub const TEXT_BUSY: Errno = Errno(libc::ETXTBSY);
    pub const NO_SUCH_PROCESS: Errno = Errno(libc::ESRCH);
    pub const BROKEN_PIPE: Errno = Errno(libc::EPIPE);
    pub const CONNECTION_RESET: Errno = Errno(libc::ECONNRESET);
    pub const IN_USE: Errno = Errno(libc::EADDRINUSE);
    pub const CANCELED: Errno = Errno(libc::ECANCELED);
    pub const INVALID: Errno = Errno(libc::EINVAL);
    pub const EXISTS: Errno = Errno(libc::EEXIST);
    pub const NOT_PERMITTED: Errno = Errno(libc::EPERM);
    pub const BUSY: Errno = Errno(libc::EBUSY);
    pub const RANGE: Errno = Errno(libc::ERANGE);
    pub const READ_ONLY: Errno = Errno(libc::EROFS);
    pub const NOT_SUPPORTED: Errno = Errno(libc::EOPNOTSUPP);
    /// A Unix socket of another type.
    pub const WRONG_TYPE: Errno = Errno(libc::EPROTOTYPE);
    pub const FILE_TOO_LARGE: Errno = Errno(libc::EFBIG);
    pub const NO_SPACE: Errno = Errno(libc::ENOSPC);
    /// The writing end of a FIFO was asked for, and nobody reads it.
    pub const NOT_EXECUTABLE: Errno = Errno(libc::ENOEXEC);
    pub const NOT_IMPLEMENTED: Errno = Errno(libc::ENOSYS);

    /// What the last system call of this thread left.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// Whether trying again soon may help: something is short that may not be short for long.
    pub fn is_shortage(self) -> bool {
        [
            Errno::AGAIN,
            Errno::NO_MEMORY,
            Errno::NO_BUFFERS,
            Errno::TOO_MANY_FILES,
            Errno::TOO_MANY_FILES_IN_SYSTEM,
            Errno::TOO_MANY_ON_THEIR_WAY,
            Errno::TEXT_BUSY,
        ]
        .contains(&self)
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // std adds " (os error N)", which people who read logs do look up.
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<&std::io::Error> for Errno {
    fn from(error: &std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// The result of a system call that says -1 for "see errno".
pub(crate) fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

/// The same for calls that return a size.
pub(crate) fn check_size(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}
