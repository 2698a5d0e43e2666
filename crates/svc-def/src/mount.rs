//! Which mount a path is on, and whether programs may be executed from it. Read only to explain a failure: the table can be
//! long, and there may be a thousand services.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount that keeps `path` from being executed, if that is the reason.
pub(crate) fn noexec(path: &Path) -> Option<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    noexec_in(&table, &std::fs::canonicalize(path).ok()?)
}

/// Looks `path`, which has no links left, up in a table as proc_pid_mountinfo(5) describes it.
fn noexec_in(table: &[u8], path: &Path) -> Option<PathBuf> {
    let mut nearest: Option<(PathBuf, bool)> = None;
    for line in table.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let point = PathBuf::from(OsString::from_vec(unescape(point)));
        // At equal depth the later mount covers the earlier one.
        let deepest = nearest.as_ref().is_none_or(|(known, _)| point.components().count() >= known.components().count());
        if deepest && path.starts_with(&point) {
            nearest = Some((point, options.split(|&byte| byte == b',').any(|option| option == b"noexec")));
        }
    }
    nearest.and_then(|(point, noexec)| noexec.then_some(point))
}

/// Undoes the kernel's `\040` for a blank.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"1 0 0:1 / / rw,relatime - overlay overlay rw\n\
        2 1 0:2 / /run rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw\n\
        3 2 0:3 / /run/with\\040blank rw,relatime - tmpfs tmpfs rw\n\
        4 1 0:4 / /srv rw,noexec - tmpfs tmpfs rw\n\
        5 1 0:5 / /srv rw - tmpfs tmpfs rw\n\
        torn line\n";

    #[test]
    fn the_nearest_mount_decides() {
        let noexec = |path: &str| noexec_in(TABLE, Path::new(path));
        assert_eq!(noexec("/run/web/run"), Some(PathBuf::from("/run")));
        assert_eq!(noexec("/run/with blank/run"), None);
        assert_eq!(noexec("/runner/run"), None, "a prefix of a name is no mount point above it");
        assert_eq!(noexec("/etc/s6/web/run"), None);
        assert_eq!(noexec("/srv/run"), None, "the later mount covers the earlier");
    }

    #[test]
    fn the_real_table_can_be_read() {
        // The directory of the program that is running now is on no such mount.
        assert_eq!(noexec(&std::env::current_exe().expect("a running test")), None);
    }
}
