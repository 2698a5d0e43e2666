//! Our own program, held open: replacing or removing the file on disk does not change what we are.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

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

/// Replaces this process by the program that `words` name, with our environment. A name without a slash is looked for in PATH,
/// and where there is no PATH in /usr/bin and /bin. Returns only if that fails.
pub fn replace(words: &[OsString]) -> Errno {
    let Some(program) = words.first() else { return Errno::INVALID };
    find_and_replace(program, std::env::var_os("PATH").as_deref(), words)
}

/// The same for a program that is told another name than its own (`words` begin with that), looked for in a PATH that is not
/// the one of our environment.
pub fn find_and_replace(program: &OsStr, path: Option<&OsStr>, words: &[OsString]) -> Errno {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVALID);
    let arguments: Result<Vec<CString>, Errno> = words.iter().map(|word| c_string(word.as_bytes())).collect();
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(errno) => return errno,
    };
    let program = program.as_bytes();
    if program.contains(&b'/') {
        return c_string(program).map_or_else(|errno| errno, |path| execute_path(&path, &arguments));
    }
    let mut answer = Errno::NOT_FOUND;
    for dir in path.unwrap_or(OsStr::new("/usr/bin:/bin")).as_bytes().split(|&byte| byte == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        let Ok(candidate) = c_string(&[dir, b"/", program].concat()) else { continue };
        let errno = execute_path(&candidate, &arguments);
        match errno.0 {
            libc::ENOENT | libc::ENOTDIR => {}
            // Another directory may have one that we may execute; if none has, this is the better answer.
            libc::EACCES => answer = errno,
            _ => return errno,
        }
    }
    answer
}

/// Replaces this process by another run of the program that it runs now. Returns only if that fails.
pub fn replace_by_own(words: &[OsString]) -> Errno {
    find_and_replace(OsStr::new("/proc/self/exe"), None, words)
}
