//! Who we are.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Errno;

/// The user that we act as.
pub fn effective_uid() -> u32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether a directory may be used as ours: where everybody may write, somebody else's directory or a link is not to be trusted.
pub fn may_trust(dir: &Path) -> std::io::Result<()> {
    let data = std::fs::symlink_metadata(dir)?;
    if dir.starts_with("/tmp") && (data.uid() != effective_uid() || data.is_symlink()) {
        return Err(Errno::NOT_PERMITTED.into());
    }
    Ok(())
}

/// The group that we act as.
pub fn effective_gid() -> u32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::getegid() }
}

/// Sets the mask for files that we make, and returns the one before.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::umask(mask as libc::mode_t) as u32 }
}
