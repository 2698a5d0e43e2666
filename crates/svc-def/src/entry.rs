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
use crate::problem::{Problem, shown};
use crate::servicefile::{fingerprint, layout};

/// What an entry is.
#[derive(Debug)]
pub enum Entry {
    /// Begins with a dot, or is neither a directory nor a NAME.toml: nobody meant it as a service.
    Skip,
    Service {
        name: ServiceName,
        identity: Identity,
    },
    Problem(Problem),
}

/// The directory itself, however it is called and through whatever links: a rename does not change it. A file is its path:
/// editors put a new one in its place.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

/// Stands where no device does, for services that are no directories.
const NO_DEVICE: u64 = u64::MAX;

impl Identity {
    /// Whether it is a path, and nothing that a directory has.
    pub fn is_file(self) -> bool {
        self.device == NO_DEVICE
    }

    fn of_file(path: &Path) -> Identity {
        Identity { device: NO_DEVICE, inode: fingerprint(path.as_os_str().as_bytes()) }
    }

    /// That of an instance of the template that this is.
    pub fn instance(self, name: &ServiceName) -> Identity {
        let text = format!("{:x} {:x} {name}", self.device, self.inode);
        Identity { device: NO_DEVICE, inode: fingerprint(text.as_bytes()) }
    }
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
        Look::Here(_) => Some(file(&path, file_name)),
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

fn file(path: &Path, file_name: &OsStr) -> Entry {
    let Some(stem) = file_name.to_str().and_then(layout::stem) else { return Entry::Skip };
    if stem.starts_with(layout::TEMPLATE) {
        return Entry::Problem(Problem::fatal(path, "has no name before its @: a template is called NAME@.toml".into()));
    }
    match ServiceName::new(stem.as_bytes()) {
        // The instances of a template have its name before them, and all together have the name.
        Ok(name) => Entry::Service { name: layout::bundle_of(&name), identity: Identity::of_file(path) },
        Err(error) => Entry::Problem(Problem::fatal(path, error.to_string())),
    }
}

/// What to say of a file NAME.toml beside a directory NAME, or another file for the same name.
pub fn two_forms(other: &Path) -> String {
    format!("and {} are one service twice: remove one of the two", shown(other))
}

fn directory(path: &Path, file_name: &OsStr, metadata: &Metadata) -> Entry {
    if let Some(file) = file_name.to_str().and_then(layout::merged_over) {
        if matches!(look(&path.with_file_name(file)), Look::Absent) {
            let message = format!("is merged over {file}, which does not exist: write it, or remove this directory");
            return Entry::Problem(Problem::warning(path, message));
        }
        return Entry::Skip;
    }
    match ServiceName::new(file_name.as_bytes()) {
        Ok(name) => Entry::Service { name, identity: Identity { device: metadata.dev(), inode: metadata.ino() } },
        Err(error) => Entry::Problem(Problem::fatal(path, error.to_string())),
    }
}
