//! Files named from an open directory: what must not depend on what a path means by now. Everything is closed on exec.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::errno::{Errno, check, check_size};

/// Where a name is looked up.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// In the working directory; absolute names anywhere.
    Here,
    Dir(BorrowedFd<'a>),
}

impl At<'_> {
    fn number(self) -> RawFd {
        match self {
            At::Here => libc::AT_FDCWD,
            At::Dir(dir) => dir.as_raw_fd(),
        }
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A directory, to list it or to look up names in it.
    Directory,
    Read,
    /// To write it from the begin; made if need be, with this mode.
    Replace(u32),
    /// A new file; EXISTS if there is one.
    New(u32),
    /// To write at its end; made if need be.
    Append(u32),
    /// A file to hold a record lock of.
    Lock(u32),
    /// Both ends of a FIFO, so that it never comes to its end.
    FifoBoth,
    /// The writing end of a FIFO that somebody reads; NO_READER if nobody does.
    FifoWrite,
}

pub fn open(at: At, name: &CStr, what: Open) -> Result<OwnedFd, Errno> {
    let (flags, mode) = match what {
        Open::Directory => (libc::O_RDONLY | libc::O_DIRECTORY, 0),
        Open::Read => (libc::O_RDONLY | libc::O_NONBLOCK, 0),
        Open::Replace(mode) => (libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NONBLOCK, mode),
        Open::New(mode) => (libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL, mode),
        Open::Append(mode) => (libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NONBLOCK, mode),
        Open::Lock(mode) => (libc::O_WRONLY | libc::O_CREAT | libc::O_NONBLOCK, mode),
        Open::FifoBoth => (libc::O_RDWR | libc::O_NONBLOCK, 0),
        Open::FifoWrite => (libc::O_WRONLY | libc::O_NONBLOCK, 0),
    };
    let flags = flags | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: a C string; the kernel makes the descriptor, and nobody else has it.
    unsafe {
        let fd = check(libc::openat(at.number(), name.as_ptr(), flags, mode as libc::c_uint))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub fn make_directory(at: At, name: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: a C string.
    check(unsafe { libc::mkdirat(at.number(), name.as_ptr(), mode as libc::mode_t) }).map(drop)
}

pub fn make_fifo(at: At, name: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: a C string.
    check(unsafe { libc::mkfifoat(at.number(), name.as_ptr(), mode as libc::mode_t) }).map(drop)
}

/// Makes `name` a symbolic link with this content.
pub fn make_link(at: At, name: &CStr, content: &CStr) -> Result<(), Errno> {
    // SAFETY: C strings.
    check(unsafe { libc::symlinkat(content.as_ptr(), at.number(), name.as_ptr()) }).map(drop)
}

/// The content of a symbolic link; INVALID if it is none.
pub fn read_link<'b>(at: At, name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    // SAFETY: a C string, and a buffer that is writable for its length.
    let length = unsafe { libc::readlinkat(at.number(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let length = check_size(length)?;
    Ok(&buffer[..length])
}

/// Renames within one directory.
pub fn rename(at: At, old: &CStr, new: &CStr) -> Result<(), Errno> {
    // SAFETY: C strings.
    check(unsafe { libc::renameat(at.number(), old.as_ptr(), at.number(), new.as_ptr()) }).map(drop)
}

/// Lets two files of one directory change their names, in one step.
pub fn exchange(at: At, one: &CStr, other: &CStr) -> Result<(), Errno> {
    let dir = at.number();
    // SAFETY: C strings. By number, because not every libc has the function.
    let result =
        unsafe { libc::syscall(libc::SYS_renameat2, dir, one.as_ptr(), dir, other.as_ptr(), libc::RENAME_EXCHANGE) };
    check(result as libc::c_int).map(drop)
}

pub fn remove(at: At, name: &CStr) -> Result<(), Errno> {
    // SAFETY: a C string.
    check(unsafe { libc::unlinkat(at.number(), name.as_ptr(), 0) }).map(drop)
}

pub fn remove_directory(at: At, name: &CStr) -> Result<(), Errno> {
    // SAFETY: a C string.
    check(unsafe { libc::unlinkat(at.number(), name.as_ptr(), libc::AT_REMOVEDIR) }).map(drop)
}

pub fn set_mode(fd: BorrowedFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::fchmod(fd.as_raw_fd(), mode as libc::mode_t) }).map(drop)
}

pub fn set_group(fd: BorrowedFd, group: u32) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::fchown(fd.as_raw_fd(), libc::uid_t::MAX, group) }).map(drop)
}

/// Cuts a file off.
pub fn truncate(fd: BorrowedFd, length: u64) -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), length as libc::off_t) }).map(drop)
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    pub device: u64,
    pub inode: u64,
    pub group: u32,
    /// Under how many names it can be found; a directory that was removed has none.
    pub links: u64,
    pub size: u64,
    pub is_fifo: bool,
    pub is_file: bool,
}

pub fn data(at: At, name: &CStr) -> Result<Data, Errno> {
    look(at.number(), name, 0)
}

pub fn data_of(fd: BorrowedFd) -> Result<Data, Errno> {
    look(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

fn look(dir: RawFd, name: &CStr, flags: libc::c_int) -> Result<Data, Errno> {
    // SAFETY: all zero is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a C string, and a valid place for a stat.
    check(unsafe { libc::fstatat(dir, name.as_ptr(), &mut stat, flags) })?;
    Ok(Data {
        device: stat.st_dev,
        inode: stat.st_ino,
        group: stat.st_gid,
        links: u64::from(stat.st_nlink as u32),
        size: stat.st_size as u64,
        is_fifo: stat.st_mode & libc::S_IFMT == libc::S_IFIFO,
        is_file: stat.st_mode & libc::S_IFMT == libc::S_IFREG,
    })
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: all zero is a valid flock: from the begin to the end.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Takes the record lock (fcntl) of a whole file, if no other process has it. It belongs to this process, not to the open
/// file, and ends when any descriptor of the file is closed here.
pub fn lock_record(fd: BorrowedFd) -> Result<bool, Errno> {
    let lock = whole_file(libc::F_WRLCK);
    // SAFETY: `lock` is a valid flock.
    match check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETLK, &lock) }) {
        Ok(_) => Ok(true),
        Err(Errno(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Who holds a record lock of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody, or this process.
    Nobody,
    /// The process of this number.
    Process(i32),
    /// A process that cannot be seen from here: in another container, with which the file is shared.
    Elsewhere,
}

pub fn record_holder(fd: BorrowedFd) -> Result<Holder, Errno> {
    let mut lock = whole_file(libc::F_WRLCK);
    // SAFETY: `lock` is a valid flock.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETLK, &mut lock) })?;
    Ok(match lock.l_pid {
        _ if lock.l_type == libc::F_UNLCK as libc::c_short => Holder::Nobody,
        pid @ 1.. => Holder::Process(pid),
        _ => Holder::Elsewhere,
    })
}

/// Room for a part of a directory's list.
#[repr(align(8))]
struct Names([u8; 512]);

/// Calls `each` with every name in a directory but `.` and `..`, from its begin.
pub fn list(dir: BorrowedFd, mut each: impl FnMut(&CStr)) -> Result<(), Errno> {
    /// Where the length of an entry stands, and where its name begins.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    let mut buffer = Names([0; 512]);
    // SAFETY: takes no pointers.
    unsafe { libc::lseek(dir.as_raw_fd(), 0, libc::SEEK_SET) };
    loop {
        // SAFETY: `buffer` is writable for its length, and aligned as the kernel wants it.
        let length =
            unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.0.as_mut_ptr(), buffer.0.len()) as isize };
        let mut rest = &buffer.0[..check_size(length)?];
        if rest.is_empty() {
            return Ok(());
        }
        while rest.len() > NAME {
            let length = usize::from(u16::from_ne_bytes([rest[LENGTH], rest[LENGTH + 1]]));
            let Some((entry, after)) = rest.split_at_checked(length) else { break };
            if let Some(Ok(name)) = entry.get(NAME..).map(CStr::from_bytes_until_nul)
                && name != c"."
                && name != c".."
            {
                each(name);
            }
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;

    fn scratch(name: &str) -> CString {
        let path = std::env::temp_dir().join(format!("svc-sys-at-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        CString::new(path.as_os_str().as_bytes()).expect("no NUL")
    }

    #[test]
    fn a_long_list_is_complete_each_time() {
        let path = scratch("list");
        let dir = open(At::Here, &path, Open::Directory).expect("just made");
        let at = At::Dir(dir.as_fd());
        for number in 0..200 {
            let name = CString::new(format!("a-file-with-a-long-name-{number}")).expect("no NUL");
            drop(open(at, &name, Open::Replace(0o600)).expect("made"));
        }
        for _ in 0..2 {
            let mut names = Vec::new();
            list(dir.as_fd(), |name| names.push(name.to_owned())).expect("listed");
            assert_eq!(names.len(), 200);
            assert!(names.iter().all(|name| name.to_bytes().starts_with(b"a-file")));
        }
        let _ = std::fs::remove_dir_all(path.to_str().expect("text"));
    }

    #[test]
    fn what_is_made_is_found() {
        let path = scratch("made");
        let dir = open(At::Here, &path, Open::Directory).expect("just made");
        let at = At::Dir(dir.as_fd());
        assert_eq!(open(at, c"nothing", Open::Read).map(drop), Err(Errno::NOT_FOUND));
        make_fifo(at, c"fifo", 0o600).expect("made");
        assert_eq!(make_fifo(at, c"fifo", 0o600), Err(Errno::EXISTS));
        assert_eq!(open(at, c"fifo", Open::FifoWrite).map(drop), Err(Errno::NO_READER));
        let both = open(at, c"fifo", Open::FifoBoth).expect("opened");
        assert!(data_of(both.as_fd()).expect("looked").is_fifo);
        assert!(open(at, c"fifo", Open::FifoWrite).is_ok());
        make_link(at, c"link", c"fifo").expect("made");
        let mut buffer = [0; 64];
        assert_eq!(read_link(at, c"link", &mut buffer), Ok(&b"fifo"[..]));
        assert_eq!(read_link(at, c"fifo", &mut buffer).map(<[u8]>::len), Err(Errno::INVALID));
        assert!(data(at, c"link").expect("looked").is_fifo);
        let lock = open(at, c"lock", Open::Lock(0o644)).expect("made");
        assert_eq!(lock_record(lock.as_fd()), Ok(true));
        assert_eq!(record_holder(lock.as_fd()), Ok(Holder::Nobody), "our own is none");
        make_directory(at, c"below", 0o700).expect("made");
        let below = open(at, c"below", Open::Directory).expect("opened");
        assert!(data_of(below.as_fd()).expect("looked").links > 0);
        remove_directory(at, c"below").expect("removed");
        assert_eq!(data_of(below.as_fd()).expect("looked").links, 0);
        assert_eq!(open(at, c"lock", Open::New(0o600)).map(drop), Err(Errno::EXISTS));
        let inode = |name| data(at, name).expect("looked").inode;
        let before = (inode(c"lock"), inode(c"fifo"));
        exchange(at, c"lock", c"fifo").expect("exchanged");
        assert_eq!((inode(c"fifo"), inode(c"lock")), before);
        assert_eq!(exchange(at, c"lock", c"nothing"), Err(Errno::NOT_FOUND));
        rename(at, c"lock", c"other").expect("renamed");
        remove(at, c"other").expect("removed");
        let _ = std::fs::remove_dir_all(path.to_str().expect("text"));
    }
}
