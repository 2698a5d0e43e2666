//! A file is written whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use crate::Owner;

/// Who a new file belongs to, and its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Like {
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: u32,
}

impl Like {
    /// As a file is that is there already.
    pub(crate) fn of(metadata: &fs::Metadata) -> Like {
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
        Like { owner: Some(owner), mode: metadata.mode() & 0o7777 }
    }
}

/// Writes a file beside its place, and puts it there when it is complete. Nobody sees a part of it, or another owner or mode.
pub(crate) fn write(path: &Path, content: &[u8], like: Like) -> Result<(), String> {
    put(path, &mut |new| {
        let mut file = create(new)?;
        file.write_all(content)?;
        settle(&file, like)
    })
}

/// Has a file made beside its place, and puts it there when it is complete.
pub(crate) fn put(path: &Path, make: &mut dyn FnMut(&Path) -> io::Result<()>) -> Result<(), String> {
    let name = path.file_name().ok_or_else(|| format!("{}: is no name of a file", path.display()))?;
    let new: PathBuf = path.with_file_name(format!(".{}.svc-new", name.to_string_lossy()));
    // One that was left behind may be somebody's, with a mode of its own.
    let _ = fs::remove_file(&new);
    make(&new).and_then(|()| fs::rename(&new, path)).map_err(|error| {
        let _ = fs::remove_file(&new);
        format!("cannot write {}: {error}{}", path.display(), cure(&error, path))
    })
}

pub(crate) fn create(new: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)
}

/// Gives it the owner and mode that it is to have.
pub(crate) fn settle(file: &File, like: Like) -> io::Result<()> {
    if let Some(owner) = like.owner {
        let metadata = file.metadata()?;
        if (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid) {
            fchown(file, Some(owner.uid), Some(owner.gid))?;
        }
    }
    file.set_permissions(Permissions::from_mode(like.mode))
}

fn cure(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            format!(": give it a place that can be written (docker run --tmpfs {})", parent(path).display())
        }
        io::ErrorKind::ResourceBusy => {
            ": a file is mounted there: mount it elsewhere, or leave it alone with SVC_SKIP_RENDER".into()
        }
        io::ErrorKind::NotFound => format!(": make the directory {}", parent(path).display()),
        io::ErrorKind::PermissionDenied => ": this user may not: see the owner and mode of the directory".into(),
        _ => String::new(),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Makes a directory, and what is above it.
pub(crate) fn make_directory(path: &Path, owner: Option<Owner>, mode: u32) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot make {}: {error}{}", path.display(), cure(&error, path));
    fs::create_dir_all(path).map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    match owner {
        Some(owner) if (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid) => {
            chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed)
        }
        Some(_) | None => Ok(()),
    }
}

/// What a file says, or why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8", path.display()))
}
