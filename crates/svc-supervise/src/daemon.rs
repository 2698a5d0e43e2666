//! Forking daemons: who is the service when the command has ended.
//!
//! What a command puts into the background falls to its supervisor, or to svc-init where that was killed: so it need not be
//! guessed at. A pid file is a hint between several of them, and names nobody else.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use svc_core::Pid;
use svc_core::definition::Forking;
use svc_sys::procfs;

/// More than the number and a line's end.
const MOST: usize = 64;
/// O_NONBLOCK: a FIFO in the place of the file must not hold us.
const NONBLOCKING: i32 = 0o4000;

/// Whom the process that `ended` with 0 has handed over to, out of `left`: the one that the pid file names, or that this one
/// descends from; otherwise the oldest. Nobody, if the pid file names the one that has ended: it was the daemon.
pub(crate) fn successor(ended: Pid, forking: &Forking, left: impl Iterator<Item = Pid>) -> Option<Pid> {
    let named = named(forking);
    if named == Some(ended) {
        return None;
    }
    let mut left: Vec<(u64, Pid)> = left
        .filter(|&pid| pid != ended && !procfs::is_zombie(pid))
        .filter_map(|pid| Some((procfs::start_time(pid)?, pid)))
        .collect();
    // Those of one tick of the clock by their numbers, which are counted up.
    left.sort_unstable();
    let is_named = |pid: Pid| named.is_some_and(|named| named == pid || procfs::descends(named, pid.raw()));
    let found = left.iter().find(|&&(_, pid)| is_named(pid)).or(left.first());
    found.map(|&(_, pid)| pid)
}

/// Whether the pid file names the process that has ended.
pub(crate) fn is_named(ended: Pid, forking: &Forking) -> bool {
    named(forking) == Some(ended)
}

fn named(forking: &Forking) -> Option<Pid> {
    forking.pid_file.as_deref().and_then(pid_in)
}

/// The number in a pid file; none if there is no file, or something else in it.
fn pid_in(path: &[u8]) -> Option<Pid> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut content = [0; MOST];
    let mut file = OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(path).ok()?;
    let length = file.read(&mut content).ok()?;
    let line = content[..length].split(|&byte| byte == b'\n').next()?.trim_ascii();
    Pid::new(std::str::from_utf8(line).ok()?.parse().ok()?)
}
