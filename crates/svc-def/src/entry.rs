//! What one entry of a scan directory is: a service, something to pass over, or a mistake to be told. Looks at the entry itself
//! and at nothing inside it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use svc_core::ServiceName;

use crate::errno;
use crate::look::{Look, look};
use crate::problem::Problem;

/// What an entry is.
#[derive(Debug)]
pub enum Entry {
    /// Begins with a dot, or is no directory: nobody meant it as a service.
    Skip,
    Service {
        name: ServiceName,
        identity: Identity,
    },
    Problem(Problem),
}

/// The directory itself, however it is called and through whatever links: a rename does not change it.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

/// The identity of a directory; `None` if there is none.
pub fn identity(path: &Path) -> Option<Identity> {
    let metadata = path.metadata().ok().filter(Metadata::is_dir)?;
    Some(Identity { device: metadata.dev(), inode: metadata.ino() })
}

/// Looks at one entry of a scan directory; `None` if it vanished meanwhile.
pub fn entry(scan_dir: &Path, file_name: &OsStr) -> Option<Entry> {
    if file_name.as_bytes().starts_with(b".") {
        return Some(Entry::Skip);
    }
    let path = scan_dir.join(file_name);
    match look(&path) {
        Look::Absent => None,
        Look::Here(metadata) if metadata.is_dir() => Some(directory(&path, file_name, &metadata)),
        Look::Here(_) => Some(Entry::Skip),
        Look::Trouble(trouble) => {
            let message = match ServiceName::new(file_name.as_bytes()) {
                // No file system has such a name, but somebody asked for it.
                Err(error) if trouble.errno == errno::ENAMETOOLONG => error.to_string(),
                Ok(_) | Err(_) => trouble.message(),
            };
            let fatal = trouble.errno != errno::ENOENT;
            Some(Entry::Problem(Problem { path, place: None, fatal, message }))
        }
    }
}

fn directory(path: &Path, file_name: &OsStr, metadata: &Metadata) -> Entry {
    match ServiceName::new(file_name.as_bytes()) {
        Ok(name) => Entry::Service { name, identity: Identity { device: metadata.dev(), inode: metadata.ino() } },
        Err(error) => Entry::Problem(Problem::fatal(path, error.to_string())),
    }
}
