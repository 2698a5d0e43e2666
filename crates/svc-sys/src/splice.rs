//! Moving bytes between pipes inside the kernel: what a killed process has not moved is still where it was.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::errno::{Errno, check_size};

/// Copies up to `length` bytes from one pipe to another without taking them out of the first.
pub fn tee(from: BorrowedFd, to: BorrowedFd, length: usize) -> Result<usize, Errno> {
    // SAFETY: takes no pointers.
    check_size(unsafe { libc::tee(from.as_raw_fd(), to.as_raw_fd(), length, libc::SPLICE_F_NONBLOCK) })
}

/// Moves up to `length` bytes from a pipe to a pipe or file.
pub fn splice(from: BorrowedFd, to: BorrowedFd, length: usize) -> Result<usize, Errno> {
    let none = std::ptr::null_mut();
    // SAFETY: null offsets mean "from and to where the descriptors stand".
    check_size(unsafe { libc::splice(from.as_raw_fd(), none, to.as_raw_fd(), none, length, libc::SPLICE_F_NONBLOCK) })
}
