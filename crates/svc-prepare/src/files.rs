//! A file is written whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use crate::{Owner, me};

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
    Beside::make(path, make)?.put()
}

/// A complete file that is not in its place yet. It goes if nobody puts it there.
pub(crate) struct Beside {
    new: PathBuf,
    path: PathBuf,
}

impl Beside {
    pub(crate) fn make(path: &Path, make: &mut dyn FnMut(&Path) -> io::Result<()>) -> Result<Beside, String> {
        let name = path.file_name().ok_or_else(|| format!("{}: is no name of a file", path.display()))?;
        let new = path.with_file_name(format!(".{}.svc-new", name.to_string_lossy()));
        // One that was left behind may be somebody's, with a mode of its own.
        let _ = fs::remove_file(&new);
        let beside = Beside { new, path: path.to_owned() };
        make(&beside.new).map_err(|error| beside.failed(&error))?;
        Ok(beside)
    }

    pub(crate) fn put(self) -> Result<(), String> {
        fs::rename(&self.new, &self.path).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write {}: {error}{}", self.path.display(), cure(error, &self.path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.new);
    }
}

pub(crate) fn create(new: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)
}

/// Gives it the owner and mode that it is to have.
pub(crate) fn settle(file: &File, like: Like) -> io::Result<()> {
    // First: without CAP_FOWNER root may not when it is somebody else's.
    file.set_permissions(Permissions::from_mode(like.mode))?;
    let metadata = file.metadata()?;
    match like.owner {
        Some(owner) if (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid) => {
            fchown(file, Some(owner.uid), Some(owner.gid))?;
            // Another owner takes setuid and setgid away.
            let is_plain = like.mode & 0o6000 == 0;
            if is_plain { Ok(()) } else { file.set_permissions(Permissions::from_mode(like.mode)) }
        }
        Some(_) | None => Ok(()),
    }
}

fn cure(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            let dir = parent(path);
            // A tmpfs would hide what the image has there; a volume begins with it.
            let has_any = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
            let mount = if has_any { "--volume" } else { "--tmpfs" };
            format!(": give it a place that can be written (docker run {mount} {})", dir.display())
        }
        io::ErrorKind::ResourceBusy => {
            ": a file is mounted there: mount it elsewhere, or leave it alone with SVC_SKIP_RENDER".into()
        }
        io::ErrorKind::NotFound => format!(": make the directory {}", parent(path).display()),
        io::ErrorKind::PermissionDenied => format!(
            ": the user that svc runs as may not: have it made below /run or /tmp, or give {0} to its group in the image, as 0 on \
             OpenShift (chgrp 0 {0} && chmod g+w {0})",
            parent(path).display()
        ),
        _ => String::new(),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Where a path leads, also where nothing is there yet. A link of somebody else is not followed: root would do what it does wherever that
/// one wants.
pub(crate) fn end_of_links(path: &Path) -> Result<PathBuf, String> {
    // As many as the kernel follows.
    const MOST: usize = 40;
    let mut end = path.to_owned();
    for _ in 0..MOST {
        let Some(link) = fs::symlink_metadata(&end).ok().filter(fs::Metadata::is_symlink) else { return Ok(end) };
        if ![0, me().uid].contains(&link.uid()) {
            let (end, uid) = (end.display(), link.uid());
            return Err(format!("{end}: is a link of uid {uid}, which is not followed: name what it leads to"));
        }
        let leads_to = fs::read_link(&end).map_err(|error| format!("{}: {error}", end.display()))?;
        end = end.parent().unwrap_or(Path::new("/")).join(leads_to);
    }
    Err(format!("{}: its links have no end: name what it leads to", path.display()))
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

/// What a file of text says, or why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| format!("{}: is not UTF-8", path.display()))
}

/// What is in a file. Whatever else has a name there might keep the reader waiting, or never end.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("{}: {error}{}", path.display(), cure_of_reading(&error));
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "is a directory" } else { "is a pipe or a device" };
        return Err(format!("{}: {what}, and must be a file", path.display()));
    }
    fs::read(path).map_err(failed)
}

/// What helps where something cannot be read.
pub(crate) fn cure_of_reading(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ": put it there, or correct the name",
        io::ErrorKind::PermissionDenied => ": svc's user may not read it: start svc as root, or give it another mode",
        _ => "",
    }
}
