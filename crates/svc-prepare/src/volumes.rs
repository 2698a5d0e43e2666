//! Owners and modes of what is mounted: changed only where they are wrong, because a volume may be large and of a slow kind.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::fchownat;

use crate::{Owner, files};

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
        let path = files::end_of_links(path)?;
        let device = fs::symlink_metadata(&path).map_err(|error| failed(&path, &error))?.dev();
        let mut walk = Walk { volume: self, device, counted: Counted::default(), say };
        walk.visit(AT_FDCWD, path.as_os_str(), &path)?;
        Ok(walk.counted)
    }
}

/// A walk through a volume while others may use it: each name is looked up in the open directory that it was found in, so nobody
/// who puts a link in the place of a directory leads it elsewhere.
struct Walk<'a> {
    volume: &'a Volume,
    device: u64,
    counted: Counted,
    say: &'a mut dyn FnMut(&str),
}

impl Walk<'_> {
    fn visit(&mut self, at: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<(), String> {
        let stat = match fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody removed it meanwhile.
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(failed(path, &errno.into())),
        };
        if stat.st_dev != self.device {
            return Ok(());
        }
        self.counted.seen += 1;
        self.one(at, name, path, &stat)?;
        if !is(&stat, SFlag::S_IFDIR) {
            return Ok(());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut dir = match Dir::openat(at, name, flags, Mode::empty()) {
            Ok(dir) => dir,
            // It is no directory any more.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(()),
            Err(errno) => return Err(failed(path, &errno.into())),
        };
        let names: Result<Vec<OsString>, Errno> =
            dir.iter().map(|entry| Ok(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned())).collect();
        let names = names.map_err(|errno| failed(path, &errno.into()))?;
        let inside = names.iter().filter(|name| *name != "." && *name != "..");
        inside.into_iter().try_for_each(|name| self.visit(dir.as_fd(), name, &path.join(name)))
    }

    fn one(&mut self, at: BorrowedFd<'_>, name: &OsStr, path: &Path, stat: &FileStat) -> Result<(), String> {
        let is_wrong = |owner: &Owner| (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid);
        if let Some(Owner { uid, gid }) = self.volume.owner.filter(is_wrong) {
            self.counted.owners += 1;
            if self.volume.dry_run {
                (self.say)(&format!("{}: {}:{} -> {uid}:{gid}", path.display(), stat.st_uid, stat.st_gid));
            } else {
                fchownat(at, name, Some(uid.into()), Some(gid.into()), AtFlags::AT_SYMLINK_NOFOLLOW)
                    .map_err(|errno| failed(path, &errno.into()))?;
            }
        }
        let Some(mode) = self.volume.mode.filter(|_| !is(stat, SFlag::S_IFLNK)) else { return Ok(()) };
        let mode = if is(stat, SFlag::S_IFDIR) { mode | (mode & 0o444) >> 2 } else { mode };
        let before = stat.st_mode & 0o7777;
        if before != mode {
            self.counted.modes += 1;
            if self.volume.dry_run {
                (self.say)(&format!("{}: {before:04o} -> {mode:04o}", path.display()));
            } else {
                fchmodat(at, name, Mode::from_bits_truncate(mode), FchmodatFlags::NoFollowSymlink)
                    .map_err(|errno| failed(path, &errno.into()))?;
            }
        }
        Ok(())
    }
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_directory_leads_nowhere() {
        let root = std::env::temp_dir().join(format!("svc-volume-{}", std::process::id()));
        let (data, dir) = (root.join("data"), root.join("data/dir"));
        fs::create_dir_all(&dir).expect("ours");
        fs::create_dir(root.join("outside")).expect("ours");
        fs::write(root.join("outside/victim"), "").expect("ours");
        let volume = Volume { owner: Some(Owner { uid: 4711, gid: 4711 }), mode: None, dry_run: true };
        let mut said = Vec::new();
        // Somebody changes it when it has been looked at, and before it is opened.
        let mut say = |line: &str| {
            said.push(line.to_owned());
            if line.starts_with(&format!("{}: ", dir.display())) {
                fs::rename(&dir, data.join("gone")).expect("ours");
                std::os::unix::fs::symlink("../outside", &dir).expect("ours");
            }
        };
        let counted = volume.settle(&data, &mut say);
        fs::remove_dir_all(&root).expect("ours");
        assert_eq!(counted, Ok(Counted { seen: 2, owners: 2, modes: 0 }));
        assert!(!said.iter().any(|line| line.contains("victim")), "{said:?}");
    }
}
