//! Our own program, held open: replacing or removing the file on disk does not change what we are.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
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

/// Words made ready for a process that will have run out of heap when it needs them.
pub struct Words {
    words: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

// SAFETY: the pointers point into `words`, which nobody changes as long as they live.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    pub fn new(words: Vec<CString>) -> Words {
        let pointers = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
        Words { words, pointers }
    }

    pub fn iter(&self) -> impl Iterator<Item = &CString> {
        self.words.iter()
    }

    /// [`execute`] with these.
    pub fn execute(&self, exe: BorrowedFd) -> Errno {
        execute_pointers(exe, &self.pointers)
    }
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
    let program = words.first().map_or(OsStr::new(""), OsString::as_os_str);
    find_and_replace(program, std::env::var_os("PATH").as_deref(), words)
}

/// The same for a program that is told another name than its own (`words` begin with that), looked for in a PATH that is not
/// the one of our environment.
pub fn find_and_replace(program: &OsStr, path: Option<&OsStr>, words: &[OsString]) -> Errno {
    match Prepared::in_path(program, path, words) {
        Ok(prepared) => prepared.execute(),
        Err(errno) => errno,
    }
}

/// A program and its words, made ready: [`Prepared::execute`] takes no more memory, of which a limit may have left none.
pub struct Prepared {
    /// Where the program may be.
    candidates: Vec<CString>,
    /// What `pointers` point into, but for the null at their end.
    arguments: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Prepared {
    /// Looks for the program that `words` name in PATH as it was when we began.
    pub fn new(words: &[OsString]) -> Result<Prepared, Errno> {
        Prepared::under_name(words.first().map_or(OsStr::new(""), OsString::as_os_str), words)
    }

    /// The same for a program that is told another name than its own: the first of `words`.
    pub fn under_name(program: &OsStr, words: &[OsString]) -> Result<Prepared, Errno> {
        Prepared::in_path(program, crate::environment::first_path().as_deref(), words)
    }

    /// The same with a PATH that is not the one of our environment.
    fn in_path(program: &OsStr, path: Option<&OsStr>, words: &[OsString]) -> Result<Prepared, Errno> {
        let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVALID);
        let arguments: Vec<CString> = words.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_, Errno>>()?;
        let program = program.as_bytes();
        let mut candidates = Vec::new();
        if program.contains(&b'/') {
            candidates.push(c_string(program)?);
        } else {
            for dir in path.unwrap_or(OsStr::new("/usr/bin:/bin")).as_bytes().split(|&byte| byte == b':') {
                let dir = if dir.is_empty() { b"." } else { dir };
                candidates.push(c_string(&[dir, b"/", program].concat())?);
            }
        }
        let pointers = arguments.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Prepared { candidates, arguments, pointers })
    }

    /// Replaces this process. Returns only if that fails.
    pub fn execute(&self) -> Errno {
        if self.arguments.is_empty() {
            return Errno::INVALID;
        }
        let mut answer = Errno::NOT_FOUND;
        for candidate in &self.candidates {
            // SAFETY: the array ends with a null pointer, and holds pointers into `arguments`.
            unsafe { libc::execv(candidate.as_ptr(), self.pointers.as_ptr()) };
            let errno = Errno::last();
            match errno.0 {
                libc::ENOENT | libc::ENOTDIR => {}
                // Another directory may have one that we may execute; if none has, this is the better answer.
                libc::EACCES => answer = errno,
                _ => return errno,
            }
        }
        answer
    }
}

/// Replaces this process by another run of the program that it runs now. Returns only if that fails.
pub fn replace_by_own(words: &[OsString]) -> Errno {
    let c_string = |word: &OsString| CString::new(word.as_bytes()).map_err(|_| Errno::INVALID);
    let arguments: Vec<CString> = match words.iter().map(c_string).collect() {
        Ok(arguments) => arguments,
        Err(errno) => return errno,
    };
    match open() {
        Ok(exe) => {
            let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
            execute(exe.as_fd(), &arguments)
        }
        // There may be no descriptor left for it.
        Err(Errno::TOO_MANY_FILES) => execute_path(c"/proc/self/exe", &arguments),
        Err(errno) => errno,
    }
}

/// Has our own program read in while we begin: nearly all of it is needed soon. A file system in user space gives it piece by piece
/// otherwise, each when somebody waits for it, and in every container anew. Where it is in memory this is next to nothing.
pub fn read_ahead() {
    /// What the kernel reads ahead at once.
    const PIECE: usize = 128 << 10;
    let Ok(file) = std::fs::File::open("/proc/self/exe") else { return };
    let length = file.metadata().map_or(0, |data| data.len() as usize);
    for begin in (0..length).step_by(PIECE) {
        // SAFETY: takes no pointers. It is advice: whatever comes of it is right.
        unsafe {
            libc::posix_fadvise(file.as_raw_fd(), begin as libc::off_t, PIECE as libc::off_t, libc::POSIX_FADV_WILLNEED)
        };
    }
}

/// Gives back the pages of this program that nobody writes to, code above all: what runs on is mapped in again as it is needed.
/// They are the file's own, so nothing is lost.
pub fn forget_code() {
    // SAFETY: `forget` keeps nothing of what it is given, which is there while it is called.
    unsafe { libc::dl_iterate_phdr(Some(forget), std::ptr::null_mut()) };
}

/// The segments of one object; there is one, for nothing is linked dynamically.
unsafe extern "C" fn forget(object: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> libc::c_int {
    const PAGE: usize = 4096;
    // SAFETY: the caller's promise: it describes an object of this process.
    let (base, segments) = unsafe {
        let object = &*object;
        (object.dlpi_addr as usize, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    let is_constant = |kind: u32, flags: u32| kind == libc::PT_LOAD && flags & libc::PF_W == 0;
    for segment in segments.iter().filter(|segment| is_constant(segment.p_type, segment.p_flags)) {
        let begin = (base + segment.p_vaddr as usize) / PAGE * PAGE;
        let length = base + segment.p_vaddr as usize + segment.p_memsz as usize - begin;
        // SAFETY: the segment is mapped from the file and never written to, so each of its pages, which are its own to the end of the
        // last, is the same when it is read from there again.
        unsafe { libc::madvise(begin as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
    0
}
