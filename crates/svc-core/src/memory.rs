//! Where our files are in memory that every user can write to, where there is no other place for them.

use alloc::format;
use alloc::string::String;

/// An engine leaves it writable where the root is not. Containers may share it, with each other and with the host.
pub const MEMORY: &str = "/dev/shm";
/// What stands in for /run in the directory that is ours.
pub const RUN: &str = "run";

/// The one directory of all that a user makes there. A container has a mount namespace of its own, and so a number of its own.
pub fn directory(uid: u32, mount_namespace: u64) -> String {
    format!("{MEMORY}/svc-{uid}-{mount_namespace}")
}
