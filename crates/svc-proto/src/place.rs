//! Names that processes agree on: where a client looks for the control socket, and where svc-scan puts it.

/// Overrides everything below.
pub const ENV: &str = "SVC_RUN_DIR";
pub const DEFAULT: &str = "/run/svc";
pub const SOCKET: &str = "control.sock";
/// In the run directory: a directory for each service directory, named after its device and inode, with the files of s6's
/// tools (`supervise/` and `event/`).
pub const FILES: &str = "servicedirs";
/// In the run directory: links by name to those whose service directory could not get any.
pub const STAND_INS: &str = "services";
/// In the run directory: those of scanners that found it taken.
pub const TREES: &str = "trees";

/// The name in the abstract namespace (behind its NUL byte) where no directory at all can be written. That namespace is the
/// network's, which containers with `--network host` share; the mount namespace, whose number this ends in, they do not.
pub fn abstract_name() -> String {
    let link = std::fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let number: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    if number.is_empty() { "svc/control".into() } else { format!("svc/control/{number}") }
}

/// What s6's tools look for in a scan directory.
pub mod s6_svscan {
    pub const FOLDER: &str = ".s6-svscan";
    pub const LOCK: &str = "lock";
    pub const CONTROL: &str = "control";
}
