//! `svc exec --lock`: the lock of an open file, which belongs to everybody who inherits that.

use std::path::{Path, PathBuf};

use svc_sys::{Errno, fd};

use super::Failure;
use crate::said::say;

/// So many of those who have it are named; a line has an end.
const MOST_NAMED: usize = 4;

/// Waits for it, and says so where it must.
pub(super) fn take(number: i32) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure::System(format!("cannot lock descriptor {number}: {errno}"));
    if fd::try_lock(number).map_err(failed)? {
        return Ok(());
    }
    let file = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_else(|_| "its file".into());
    let holders = holders(&file, number);
    let who = if holders.is_empty() { "somebody who cannot be seen from here".to_owned() } else { holders.join(", ") };
    say(format_args!(
        "another instance holds the lock of {} (lock-fd {number}): waiting until it has ended: {who}",
        svc_def::shown(&file)
    ));
    fd::lock(number).map_err(failed)
}

/// Who has the file open under this number: `pid 71 (sleep)`.
fn holders(file: &Path, number: i32) -> Vec<String> {
    let own = std::fs::read_link("/proc/self").unwrap_or_default();
    let is_pid = |name: &PathBuf| *name != own && name.as_os_str().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| PathBuf::from(entry.file_name()));
    let has_it = |pid: &PathBuf| {
        let open = Path::new("/proc").join(pid).join("fd").join(number.to_string());
        std::fs::read_link(open).is_ok_and(|open| open == file)
    };
    let named = |pid: PathBuf| {
        let name = std::fs::read_to_string(Path::new("/proc").join(&pid).join("comm")).unwrap_or_default();
        format!("pid {} ({})", pid.display(), svc_def::shown(Path::new(name.trim_end())))
    };
    all.filter(is_pid).filter(has_it).take(MOST_NAMED).map(named).collect()
}
