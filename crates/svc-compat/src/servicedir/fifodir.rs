//! Fifodirs: whoever listens makes a fifo in one, whoever notifies writes to all that are there.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkfifo};

use super::stamp_now;

/// A fifodir that everybody may listen in.
const PUBLIC: u32 = 0o1733;
/// One for a group.
const PRIVATE: u32 = 0o3730;
/// A listener's fifo: everybody may write.
const FIFO: u32 = 0o622;
/// What its name begins with, and how long it is.
const PREFIX: &[u8] = b"ftrig1:@";
const NAME_BYTES: usize = 39;

/// Makes a fifodir: for the members of a group, or for everybody. One that is there, and ours, is left as it is, unless `force`.
/// A link that leads nowhere gives way: svc leaves one behind when /run is emptied by a reboot.
pub(crate) fn make(path: &Path, group: Option<Gid>, force: bool) -> io::Result<()> {
    let dangles = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink())
        && fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if dangles {
        fs::remove_file(path)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let data = fs::metadata(path)?;
            if !data.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
            if data.uid() != Uid::current().as_raw() {
                return Err(ErrorKind::PermissionDenied.into());
            }
            if !force {
                return Ok(());
            }
        }
        Err(error) => return Err(error),
    }
    if group.is_some() {
        chown(path, None, group)?;
    }
    fs::set_permissions(path, Permissions::from_mode(if group.is_some() { PRIVATE } else { PUBLIC }))
}

/// The fifos of all listeners in a fifodir.
fn fifos(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if is_listener(&entry.file_name()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_listener(name: &OsStr) -> bool {
    name.len() == NAME_BYTES && name.as_bytes().starts_with(PREFIX)
}

/// Opens a listener's fifo for writing, without waiting. A fifo that nobody reads any more is removed.
fn open_for_writing(path: &Path) -> Option<File> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path);
    match opened {
        // Whoever may listen may also put a file of that name there: nothing is written to what is no fifo.
        Ok(file) => file.metadata().is_ok_and(|data| data.file_type().is_fifo()).then_some(file),
        Err(error) => {
            if error.raw_os_error() == Some(libc::ENXIO) {
                let _ = fs::remove_file(path);
            }
            None
        }
    }
}

/// Tells all listeners, and returns how many heard it.
pub(crate) fn notify(path: &Path, bytes: &[u8]) -> io::Result<usize> {
    let mut heard = 0;
    for fifo in fifos(path)? {
        let Some(mut file) = open_for_writing(&fifo) else { continue };
        match svc_sys::signals::told_by_an_error(|| file.write(bytes)) {
            Ok(written) if written == bytes.len() => heard += 1,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                let _ = fs::remove_file(&fifo);
            }
            // Full: a reader that does not read must not hold up the writer.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(heard)
}

/// Removes the fifos that nobody reads any more.
pub(crate) fn clean(path: &Path) -> io::Result<()> {
    fifos(path)?.iter().for_each(|fifo| drop(open_for_writing(fifo)));
    Ok(())
}

/// Somebody who listens. The fifo goes with it.
pub(crate) struct Listener {
    fifo: File,
    path: PathBuf,
    /// Keeps the fifo from being at its end between two writers.
    _writer: File,
}

impl Listener {
    /// Begins to listen: whatever happens from now on will be read.
    pub(crate) fn new(fifodir: &Path) -> io::Result<Listener> {
        let (hidden, path) = loop {
            let name = name();
            let hidden = fifodir.join(format!(".{name}"));
            match mkfifo(&hidden, Mode::from_bits_truncate(FIFO)) {
                Err(nix::Error::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
                Ok(()) => break (hidden, fifodir.join(name)),
            }
        };
        // It is seen by notifiers only once it is read: they remove those that nobody reads.
        let opened = Listener::open(&hidden).and_then(|ends| {
            fs::rename(&hidden, &path)?;
            Ok(ends)
        });
        match opened {
            Ok((fifo, writer)) => Ok(Listener { fifo, path, _writer: writer }),
            Err(error) => {
                let _ = fs::remove_file(&hidden);
                Err(error)
            }
        }
    }

    fn open(path: &Path) -> io::Result<(File, File)> {
        fs::set_permissions(path, Permissions::from_mode(FIFO))?;
        let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        Ok((reader, writer))
    }

    /// What came since the last time; nothing if nothing did.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let (mut all, mut buffer) = (Vec::new(), [0; 512]);
        loop {
            match self.fifo.read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fifo.as_raw_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A new name for a listener's fifo: `ftrig1:@`, the stamp, a colon, six letters by chance.
fn name() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut chance = RandomState::new().hash_one(std::process::id());
    let mut letter = || {
        chance >>= 5;
        char::from(LETTERS[(chance & 31) as usize])
    };
    let stamp = stamp_now().hex();
    let random: String = (0..6).map(|_| letter()).collect();
    format!("ftrig1:@{}:{random}", String::from_utf8_lossy(&stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_notifiers_look_for() {
        let name = name();
        assert!(is_listener(OsStr::new(&name)), "{name}");
        assert_eq!(name.as_bytes()[32], b':');
        assert!(name != super::name());
        for other in ["ftrig1:@40000000", ".ftrig1:@400000003b9aca25075bcd15:abcdef", "data"] {
            assert!(!is_listener(OsStr::new(other)), "{other}");
        }
    }
}
