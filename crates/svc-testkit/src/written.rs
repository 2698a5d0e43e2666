//! Programs that a test writes, and others that it starts meanwhile.
//!
//! The kernel executes no file that somebody has open for writing (ETXTBSY), and a child has copies of all that its parent has open
//! until it is executed itself. So one that another thread starts while a program is being written may keep that from being executed
//! long after it was closed. Whoever writes and whoever starts wait for each other here.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock};

/// Held to write by whoever has a program open.
static WRITTEN: RwLock<()> = RwLock::new(());

/// An executable file with exactly this content, put there whole.
#[track_caller]
pub fn executable(path: &Path, content: impl AsRef<[u8]>) {
    let name = path.file_name().expect("a file").display();
    let new = path.with_file_name(format!(".{name}.new"));
    let _alone = WRITTEN.write().unwrap_or_else(PoisonError::into_inner);
    fs::write(&new, content).unwrap_or_else(|error| panic!("{}: {error}", new.display()));
    fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("ours");
    fs::rename(&new, path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Starts a program; it has been executed when this returns.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _nobody_writes = WRITTEN.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}
