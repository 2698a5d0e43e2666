//! Between a test and what it runs: named pipes on which a service waits until its test lets it go on, so that nobody has to sleep for
//! that; and what others may be writing into is removed.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use crate::until;

/// A script that reads from it more than once keeps it open (`exec 8<>go`), or a second line would be lost with the reader of
/// the first.
#[track_caller]
pub fn fifo(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let made = crate::spawn(Command::new("mkfifo").arg(path)).and_then(|mut child| child.wait());
    assert!(made.is_ok_and(|status| status.success()), "mkfifo {}", path.display());
}

/// Removes a directory and all that is in it, also where somebody puts something there at this moment.
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) {
    let path = path.as_ref();
    until(&format!("{} to be empty", path.display()), || match std::fs::remove_dir_all(path) {
        Ok(()) => Some(()),
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => None,
        Err(error) => panic!("{}: {error}", path.display()),
    });
}

/// Writes a line for whoever reads from it, as soon as somebody does.
#[track_caller]
pub fn release(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let mut fifo = until(&format!("a reader of {}", path.display()), || {
        // O_NONBLOCK: without a reader there is an error, and no end of waiting.
        File::options().write(true).custom_flags(0o4000).open(path).ok()
    });
    fifo.write_all(b"go\n").expect("a reader");
}
