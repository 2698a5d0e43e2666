//! The environment of this process.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;

/// PATH as this program was started with, whatever has been changed since: in that a chain-loader looks for its program.
pub fn first_path() -> Option<OsString> {
    static FIRST: OnceLock<Option<OsString>> = OnceLock::new();
    FIRST.get_or_init(|| std::env::var_os("PATH")).clone()
}

/// `NAME=VALUE` sets a variable, `NAME` removes it. For programs with one thread that are about to exec.
pub fn change(assignment: OsString) {
    first_path();
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
    first_path();
    // SAFETY: chain-loaders have one thread, so nobody reads the environment at the same time.
    unsafe { libc::clearenv() };
}
