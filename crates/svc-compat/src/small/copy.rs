//! A file, or a directory with all that is in it, once more.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};

/// Copies with modes, and with owners where that is possible. Says which file could not be copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
    let at = |error| (from.to_owned(), error);
    let data = fs::symlink_metadata(from).map_err(at)?;
    let kind = data.file_type();
    let mode = data.mode() & 0o7777;
    if kind.is_file() {
        file(from, to, mode).map_err(at)?;
    } else if kind.is_dir() {
        match fs::DirBuilder::new().mode(0o700).create(to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && to.is_dir() => {}
            result => result.map_err(at)?,
        }
        for entry in fs::read_dir(from).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else if kind.is_symlink() {
        symlink(fs::read_link(from).map_err(at)?, to).map_err(at)?;
    } else {
        let kind = match kind {
            kind if kind.is_fifo() => SFlag::S_IFIFO,
            kind if kind.is_socket() => SFlag::S_IFSOCK,
            kind if kind.is_block_device() => SFlag::S_IFBLK,
            _ => SFlag::S_IFCHR,
        };
        mknod(to, kind, Mode::from_bits_truncate(mode), data.rdev()).map_err(|errno| at(errno.into()))?;
    }
    // Refused to all but root, and no reason to stop. It takes the setuid bit away, so the mode comes after it.
    let _ = lchown(to, Some(data.uid()), Some(data.gid()));
    if !data.is_symlink() {
        fs::set_permissions(to, Permissions::from_mode(mode)).map_err(at)?;
    }
    Ok(())
}

fn file(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let mut source = File::open(from)?;
    // Not readable by others before it has its owner.
    let mut copy = File::options().write(true).create(true).truncate(true).mode(mode & 0o700).open(to)?;
    io::copy(&mut source, &mut copy).map(drop)
}
