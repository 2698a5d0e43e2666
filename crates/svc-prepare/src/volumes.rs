//! Owners and modes of what is mounted: changed only where they are wrong, because a volume may be large and of a slow kind.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use crate::Owner;

/// What everything below a path is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    pub owner: Option<Owner>,
    /// Of files; directories get x wherever a file has r.
    pub mode: Option<u32>,
    /// Say what would be done, and leave everything as it is.
    pub dry_run: bool,
}

/// What has been seen, and what was (or would be) changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub seen: u64,
    pub owners: u64,
    pub modes: u64,
}

impl Volume {
    /// Goes through everything below `path` on its file system. Links are changed themselves, and not followed.
    pub fn settle(&self, path: &Path, say: &mut dyn FnMut(&str)) -> Result<Counted, String> {
        let metadata = fs::symlink_metadata(path).map_err(|error| failed(path, &error))?;
        let mut counted = Counted::default();
        let mut walk = vec![(path.to_path_buf(), metadata.dev())];
        while let Some((path, device)) = walk.pop() {
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                // Somebody removed it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, &error)),
            };
            if metadata.dev() != device {
                continue;
            }
            counted.seen += 1;
            self.one(&path, &metadata, &mut counted, say)?;
            if metadata.is_dir() {
                for entry in fs::read_dir(&path).map_err(|error| failed(&path, &error))? {
                    walk.push((entry.map_err(|error| failed(&path, &error))?.path(), device));
                }
            }
        }
        Ok(counted)
    }

    fn one(&self, path: &Path, metadata: &Metadata, counted: &mut Counted, say: &mut dyn FnMut(&str)) -> Result<(), String> {
        if let Some(owner) = self.owner.filter(|owner| (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid)) {
            counted.owners += 1;
            if self.dry_run {
                let (uid, gid) = (metadata.uid(), metadata.gid());
                say(&format!("{}: {uid}:{gid} -> {}:{}", path.display(), owner.uid, owner.gid));
            } else {
                lchown(path, Some(owner.uid), Some(owner.gid)).map_err(|error| failed(path, &error))?;
            }
        }
        let Some(mode) = self.mode.filter(|_| !metadata.is_symlink()) else { return Ok(()) };
        let mode = if metadata.is_dir() { mode | (mode & 0o444) >> 2 } else { mode };
        if metadata.mode() & 0o7777 != mode {
            counted.modes += 1;
            if self.dry_run {
                say(&format!("{}: {:04o} -> {mode:04o}", path.display(), metadata.mode() & 0o7777));
            } else {
                fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| failed(path, &error))?;
            }
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": only root with CAP_CHOWN and CAP_FOWNER may: start svc as root, or give the volume this owner outside"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ": it is mounted read-only: give it this owner outside, or mount it for writing"
        }
        io::ErrorKind::NotFound => ": there is nothing: mount the volume, or make the directory in the image",
        _ => "",
    };
    format!("{}: {error}{cure}", path.display())
}
