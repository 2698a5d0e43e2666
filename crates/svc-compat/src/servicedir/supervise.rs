//! `supervise/`: who holds its lock, what its status says, and its control fifo.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use svc_core::Pid;
use svc_proto::place::FILES;
use svc_proto::s6::{Death, Status};

/// The folder of a supervisor, below a service directory.
pub(crate) const SUPERVISE: &str = "supervise";
/// That of a scanner, below a scan directory.
pub(crate) const SCANNER: &str = ".s6-svscan";

/// Who holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Nobody,
    Process(Pid),
    /// Somebody whom we cannot name: the process is in another PID namespace.
    Unknown,
}

/// Where the supervisor of `dir` has `supervise/` and `event/`. Not in the service directory where that can take no links, such as
/// one of an image whose root is read-only: then svc has them in its run directory, by device and inode.
pub(crate) fn place(dir: &Path) -> Cow<'_, Path> {
    place_of(dir, SUPERVISE)
}

/// The same for the folder of a supervisor or a scanner.
fn place_of<'a>(dir: &'a Path, folder: &str) -> Cow<'a, Path> {
    let is_held = |dir: &Path| holder_in(&dir.join(folder)).is_ok_and(|holder| holder != Holder::Nobody);
    if is_held(dir) {
        return dir.into();
    }
    let Ok(data) = fs::metadata(dir) else { return dir.into() };
    let id = format!("{:x}-{:x}", data.dev(), data.ino());
    let elsewhere =
        svc_ctl::run_directories().into_iter().map(|run_dir| run_dir.join(FILES).join(&id)).find(|dir| is_held(dir));
    // One that has begun since the first look had its links before its lock. Its `event/` may be one that was in the service
    // directory already: who listens in the run directory hears nothing then.
    elsewhere.filter(|_| !is_held(dir)).map_or(dir.into(), Cow::from)
}

/// Who holds the lock of a supervisor (or scanner) of `dir`. A lock that was never made is held by nobody.
pub(crate) fn holder(dir: &Path, folder: &str) -> io::Result<Holder> {
    holder_in(&place_of(dir, folder).join(folder))
}

fn holder_in(folder: &Path) -> io::Result<Holder> {
    let file = match File::open(folder.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    let kind = |kind: libc::c_int| kind as libc::c_short;
    let mut lock =
        libc::flock { l_type: kind(libc::F_RDLCK), l_whence: kind(libc::SEEK_SET), l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    if lock.l_type == kind(libc::F_UNLCK) {
        return Ok(Holder::Nobody);
    }
    Ok(Pid::new(lock.l_pid).map_or(Holder::Unknown, Holder::Process))
}

/// Whether a supervisor runs on this service directory.
pub(crate) fn is_supervised(dir: &Path) -> io::Result<bool> {
    Ok(holder(dir, SUPERVISE)? != Holder::Nobody)
}

/// What its status file says.
pub(crate) fn status(dir: &Path) -> io::Result<Status> {
    let path = place(dir).join(SUPERVISE).join("status");
    let bytes = fs::read(&path)?;
    let size = bytes.len();
    Status::from_bytes(&bytes).ok_or_else(|| {
        io::Error::other(format!(
            "{} has {size} bytes instead of {}: it is not a status of s6",
            path.display(),
            Status::BYTES
        ))
    })
}

/// Why bytes did not reach a supervisor.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nobody reads at the other end.
    NotListening,
    /// The folder is there, and there is something wrong with the control fifo in it.
    Odd(io::Error),
    System(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotListening => f.write_str("supervisor not listening"),
            Refusal::Odd(error) => write!(f, "its control fifo is not in order: {error}"),
            Refusal::System(error) => error.fmt(f),
        }
    }
}

/// Writes to the control fifo of the supervisor (or scanner) of `dir`.
pub(crate) fn send(dir: &Path, folder: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let dir = &*place_of(dir, folder);
    let path = dir.join(folder).join("control");
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let mut fifo = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => Refusal::NotListening,
        Some(libc::ENOENT | libc::ENOTDIR | libc::EISDIR) => look_closer(dir, folder, error),
        Some(_) | None => Refusal::System(error),
    })?;
    if !fifo.metadata().is_ok_and(|data| data.file_type().is_fifo()) {
        return Err(Refusal::Odd(io::Error::other("it is not a fifo")));
    }
    // A full fifo is a supervisor that does not read: what was to be said is not lost in silence.
    svc_sys::signals::told_by_an_error(|| fifo.write_all(bytes)).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Refusal::NotListening,
        _ => Refusal::System(error),
    })
}

/// What is missing: the directory, a supervisor that ever was there, or only its fifo.
fn look_closer(dir: &Path, folder: &str, error: io::Error) -> Refusal {
    match (fs::read_dir(dir), fs::metadata(dir.join(folder))) {
        (Err(error), _) => Refusal::System(error),
        (Ok(_), Err(error)) if error.kind() == ErrorKind::NotFound => Refusal::NotListening,
        (Ok(_), Err(error)) => Refusal::Odd(error),
        (Ok(_), Ok(_)) => Refusal::Odd(error),
    }
}

/// The deaths that the supervisor of `dir` remembers, the oldest first. None yet is no error.
pub(crate) fn deaths(dir: &Path) -> io::Result<Vec<Death>> {
    let path = place(dir).join(SUPERVISE).join("death_tally");
    match fs::read(&path) {
        Ok(bytes) => Death::all_from_bytes(&bytes)
            .ok_or_else(|| io::Error::other(format!("{} is not a row of whole entries", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes it forget them: an empty tally takes the place of the old one.
pub(crate) fn forget_deaths(dir: &Path) -> io::Result<()> {
    let folder = place(dir).join(SUPERVISE);
    let new = folder.join("death_tally.new");
    File::create(&new)?;
    fs::rename(new, folder.join("death_tally"))
}
