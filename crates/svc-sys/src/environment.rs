//! The environment of this process.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// `NAME=VALUE` sets a variable, `NAME` removes it. For programs with one thread that are about to exec.
pub fn change(assignment: OsString) {
    let bytes = assignment.as_bytes();
    let end = bytes.iter().position(|&byte| byte == b'=');
    let name = OsString::from_vec(bytes[..end.unwrap_or(bytes.len())].to_vec());
    // SAFETY: chain-loaders have one thread, so nobody reads the environment at the same time.
    unsafe {
        match end {
            Some(end) => std::env::set_var(name, OsString::from_vec(bytes[end + 1..].to_vec())),
            None => std::env::remove_var(name),
        }
    }
}

/// Removes every variable. For programs with one thread that are about to exec.
pub fn clear() {
    // SAFETY: chain-loaders have one thread, so nobody reads the environment at the same time.
    unsafe { libc::clearenv() };
}
