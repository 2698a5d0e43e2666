//! Memory that several processes share, as words that are read and written atomically.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use crate::errno::{Errno, check};

/// Makes memory with a descriptor; `bytes` of zeros that take no room until they are written.
pub fn create(name: &CStr, bytes: usize) -> Result<OwnedFd, Errno> {
    // SAFETY: `name` is a C string.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    resize(std::os::fd::AsFd::as_fd(&fd), bytes)?;
    Ok(fd)
}

pub fn resize(fd: BorrowedFd, bytes: usize) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), bytes as libc::off_t) }).map(drop)
}

/// Gives the memory of a range back; it reads as zeros afterwards.
pub fn discard(fd: BorrowedFd, offset: usize, bytes: usize) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: takes no pointers. A kernel that cannot leaves the memory in use, which is only a waste.
    unsafe { libc::fallocate(fd.as_raw_fd(), mode, offset as libc::off_t, bytes as libc::off_t) };
}

/// Maps a range of it, for as long as this process lives. Children made by fork see the same memory.
pub fn map(fd: BorrowedFd, offset: usize, bytes: usize) -> Result<&'static [AtomicU64], Errno> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at a place the kernel chooses.
    let place = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset as libc::off_t)
    };
    if place == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the mapping has `bytes` bytes, is page-aligned, and is never unmapped by anybody who still holds the slice; all
    // processes access it through atomics only. Access beyond the end of a shrunk file would be SIGBUS; nobody shrinks it.
    Ok(unsafe { std::slice::from_raw_parts(place.cast(), bytes / 8) })
}
