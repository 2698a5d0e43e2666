//! Takes a log directory, and puts in order what a predecessor has left, whatever it was doing when it was killed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::archives::Archives;
use super::logdir::{CURRENT, Family, Settings};
use super::processor::{NEW_STATE, STATE};

/// A directory that is ours.
pub(super) struct Ready {
    pub(super) lock: File,
    pub(super) current: File,
    pub(super) size: u64,
    pub(super) archives: Archives,
}

/// The error says what could not be done.
pub(super) fn take(settings: &Settings) -> Result<Ready, String> {
    let path = &settings.path;
    let unable = |what: &str, error: io::Error| {
        let uid = svc_sys::user::effective_uid();
        let hint = match error.kind() {
            ErrorKind::PermissionDenied => {
                format!(" (hint: make the directory, and give it to uid {uid}, whom this logger runs as)")
            }
            _ => String::new(),
        };
        format!("unable to {what} {}: {error}{hint}", path.display())
    };
    match DirBuilder::new().mode(0o2700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("unable to mkdir {}: {error} (hint: make the directory above it first)", path.display()));
        }
        result => result.map_err(|error| unable("mkdir", error))?,
    }
    let lock = lock(&path.join("lock")).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => format!("unable to lock {}: another logger writes there", path.display()),
        _ => unable("lock", error),
    })?;
    let mut archives = Archives::find(path, settings.family.scale()).map_err(|error| unable("read", error))?;
    put_in_order(path, settings.family, &mut archives).map_err(|error| unable("put in order", error))?;
    if let Err(error) = archives.trim(path, settings.most) {
        eprintln!("{}: warning: unable to remove the oldest file of {}: {error}", settings.program, path.display());
    }
    let mut current = open_current(path).map_err(|error| unable("open the current file of", error))?;
    let size = current.seek(SeekFrom::End(0)).map_err(|error| unable("read the current file of", error))?;
    Ok(Ready { lock, current, size, archives })
}

/// `current`, for us alone to write to: its mode says that it is not complete. Not in append mode, which splice(2) refuses.
pub(super) fn open_current(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path.join(CURRENT))?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o100 != 0 {
        file.set_permissions(Permissions::from_mode(mode & 0o666))?;
    }
    Ok(file)
}

fn put_in_order(path: &Path, family: Family, archives: &mut Archives) -> io::Result<()> {
    let current = mode(&path.join(CURRENT))?;
    let clean = current.is_none_or(|mode| mode & 0o100 != 0);
    match family {
        Family::S6 | Family::Multilog => end_processing(path, archives)?,
        Family::Svlogd => {
            for entry in fs::read_dir(path)? {
                let name = entry?.file_name();
                if name.to_str().is_some_and(|name| name.len() == 27 && name.starts_with('@') && name.ends_with(".t")) {
                    fs::remove_file(path.join(name))?;
                }
            }
        }
    }
    if !clean {
        keep(path, CURRENT, 'u', archives)?;
        remove(&path.join(STATE))?;
    }
    File::options().write(true).create(true).truncate(false).open(path.join(STATE)).map(drop)
}

/// A processor was at work, or had just ended.
fn end_processing(path: &Path, archives: &mut Archives) -> io::Result<()> {
    let processed = mode(&path.join("processed"))?;
    if processed.is_some_and(|mode| mode & 0o100 != 0) {
        // Its result is whole and safe; what it was made from is not needed any more.
        remove(&path.join("previous"))?;
        match fs::rename(path.join(NEW_STATE), path.join(STATE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        return keep(path, "processed", 's', archives);
    }
    remove(&path.join("processed"))?;
    remove(&path.join(NEW_STATE))?;
    if mode(&path.join("previous"))?.is_some() {
        // The state is that of a row of files, and this one will be missing in it.
        remove(&path.join(STATE))?;
    }
    keep(path, "previous", 'u', archives)
}

/// Makes a file, if it is there, a finished one. s6-log's own may have its new name already, beside the old one.
fn keep(path: &Path, file: &str, end: char, archives: &mut Archives) -> io::Result<()> {
    let from = path.join(file);
    let data = match fs::metadata(&from) {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if data.nlink() > 1 || data.len() == 0 {
        return fs::remove_file(&from);
    }
    let name = format!("{}.{end}", archives.next_name());
    fs::rename(&from, path.join(&name))?;
    archives.add(name, data.len());
    Ok(())
}

fn mode(path: &Path) -> io::Result<Option<u32>> {
    match fs::metadata(path) {
        Ok(data) => Ok(Some(data.permissions().mode())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Both locks: s6-log looks at one kind, multilog and svlogd at the other.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let whole = libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(&file, FcntlArg::F_SETLK(&whole))?;
    if svc_sys::fd::try_lock(file.as_raw_fd())? { Ok(file) } else { Err(ErrorKind::WouldBlock.into()) }
}
