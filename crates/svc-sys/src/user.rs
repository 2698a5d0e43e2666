//! Who we are.

/// The user that we act as.
pub fn effective_uid() -> u32 {
    // SAFETY: takes no pointers, cannot fail.
    unsafe { libc::geteuid() }
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
