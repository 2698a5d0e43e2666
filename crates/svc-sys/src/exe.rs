//! Our own program, held open: replacing or removing the file on disk does not change what we are.

use std::ffi::{CStr, CString};
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::errno::{Errno, check};

/// Opens the program that this process runs.
pub fn open() -> Result<OwnedFd, Errno> {
    // SAFETY: a C string.
    let fd = check(unsafe { libc::open(c"/proc/self/exe".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })?;
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Replaces this process by the program behind `exe`, with our environment. Returns only if that fails.
pub fn execute(exe: BorrowedFd, arguments: &[&CStr]) -> Errno {
    let mut pointers: Vec<*const libc::c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(std::ptr::null());
    execute_pointers(exe, &pointers)
}

/// The same without a heap, for a process that has run out of it: the words up to the first `None`.
pub fn execute_fixed(exe: BorrowedFd, words: &[Option<&CString>; 64]) -> Errno {
    let mut pointers = [std::ptr::null(); 65];
    for (place, word) in pointers.iter_mut().zip(words.iter().flatten()) {
        *place = word.as_ptr();
    }
    execute_pointers(exe, &pointers)
}

/// The same without a heap: `pointers` ends with a null, as execve(2) wants it.
pub(crate) fn execute_pointers(exe: BorrowedFd, pointers: &[*const libc::c_char]) -> Errno {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: both arrays end with a null pointer and hold C strings.
    unsafe {
        libc::syscall(libc::SYS_execveat, exe.as_raw_fd(), c"".as_ptr(), pointers.as_ptr(), environ, libc::AT_EMPTY_PATH)
    };
    let errno = Errno::last();
    if errno == Errno::NOT_IMPLEMENTED {
        // qemu-user before 8.1. The other way needs /proc, and a loader that is handed the open file.
        let mut path = [0_u8; 32];
        let _ = write!(&mut path[..31], "/proc/self/fd/{}", exe.as_raw_fd());
        // SAFETY: as above; `path` ends with a NUL byte.
        unsafe { libc::execve(path.as_ptr().cast(), pointers.as_ptr(), environ) };
    }
    errno
}

/// Replaces this process by a program on disk, with our environment. Returns only if that fails.
pub fn execute_path(path: &CStr, arguments: &[CString]) -> Errno {
    let mut pointers: Vec<*const libc::c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: the array ends with a null pointer and holds C strings.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    Errno::last()
}
