//! Who descends from whom, as /proc tells it.

use svc_core::{Pid, Signal};

use crate::Errno;
use crate::process::{self, PidFd};

/// Below this depth nobody looks: a chain of processes this long is a mistake, and recursion has an end.
const MAX_DEPTH: usize = 64;

/// The children of a process, those of all its threads. Empty for one that is gone.
pub fn children(pid: i32) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    let mut told = false;
    for thread in threads.flatten() {
        if let Ok(list) = std::fs::read_to_string(thread.path().join("children")) {
            told = true;
            found.extend(list.split_ascii_whitespace().filter_map(|number| Pid::new(number.parse().ok()?)));
        }
    }
    if told { found } else { children_by_parent(pid) }
}

/// For kernels without the `children` file (CONFIG_PROC_CHILDREN): asks everybody for their parent.
fn children_by_parent(pid: i32) -> Vec<Pid> {
    everybody().filter(|&other| parent(other) == Some(pid)).collect()
}

fn everybody() -> impl Iterator<Item = Pid> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Pid::new(entry.file_name().to_str()?.parse().ok()?))
}

/// Everybody below a process, parents before their children.
pub fn descendants(pid: i32) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut level = children(pid);
    for _ in 0..MAX_DEPTH {
        if level.is_empty() {
            break;
        }
        found.extend_from_slice(&level);
        level = level.iter().flat_map(|child| children(child.raw())).collect();
    }
    found
}

/// A process, its parent, and so on.
pub fn lineage(pid: Pid) -> impl Iterator<Item = Pid> {
    std::iter::successors(Some(pid), |&at| Pid::new(parent(at)?)).take(MAX_DEPTH)
}

/// Fields of /proc/PID/stat behind the name: state first.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

pub fn parent(pid: Pid) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

pub fn session(pid: Pid) -> Option<i32> {
    stat(pid)?.get(3)?.parse().ok()
}

/// Whether it has ended and only waits to be reaped.
pub fn is_zombie(pid: Pid) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "Z" || state == "X"))
}

/// Whether it has ended, and its parent does not hear of that before its tracer has.
pub fn is_held_by_tracer(pid: Pid) -> bool {
    let tracer = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(|number| number.trim() != "0")
    };
    is_zombie(pid) && tracer().unwrap_or(false)
}

/// When it was started, in clock ticks since boot: with the pid, the name of a process that nobody else ever has.
pub fn start_time(pid: Pid) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// Bytes of its memory that are in RAM; none of one that is gone.
pub fn resident(pid: Pid) -> u64 {
    let pages = || -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    // SAFETY: takes no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages().unwrap_or(0) * u64::try_from(page).unwrap_or(4096)
}

/// The short name of a process, for a report.
pub fn name(pid: Pid) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "?".into(), |name| name.trim_end().to_owned())
}

/// The nearest ancestor of this process with this short name.
pub fn ancestor(called: &str) -> Option<Pid> {
    let mut at = Pid::new(process::id())?;
    for _ in 0..MAX_DEPTH {
        at = Pid::new(parent(at)?)?;
        if name(at) == called {
            return Some(at);
        }
    }
    None
}

/// Whether `pid` descends from `ancestor`.
pub fn descends(pid: Pid, ancestor: i32) -> bool {
    let mut at = pid;
    for _ in 0..MAX_DEPTH {
        match parent(at) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) => match Pid::new(parent) {
                Some(parent) if parent.raw() > 1 => at = parent,
                Some(_) | None => return false,
            },
            None => return false,
        }
    }
    false
}

/// Who listens on a port, or has it for datagrams, as far as /proc shows other people's descriptors.
pub fn holder_of_port(port: u16) -> Option<Pid> {
    let tables =
        ["tcp", "tcp6", "udp", "udp6"].iter().filter_map(|name| std::fs::read_to_string(format!("/proc/net/{name}")).ok());
    let end = format!(":{port:04X}");
    let inodes: Vec<String> = tables
        .flat_map(|table| {
            let lines = table.lines().skip(1).filter_map(|line| {
                let fields: Vec<&str> = line.split_ascii_whitespace().collect();
                // LISTEN, and what a socket for datagrams is when nobody is connected.
                let waits = matches!(fields.get(3), Some(&"0A" | &"07"));
                (waits && fields.get(1)?.ends_with(&end)).then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
            });
            lines.collect::<Vec<String>>()
        })
        .collect();
    everybody().find(|pid| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.any(|target| target.to_str().is_some_and(|target| inodes.iter().any(|inode| inode == target)))
    })
}

/// Signals a process if it descends from `ancestor`, and nobody who has taken its number meanwhile.
///
/// The handle is opened first and the descent looked up after: if the process was still ours then, the handle is its.
pub fn signal_descendant(pid: Pid, ancestor: i32, signal: Signal) -> Result<(), Errno> {
    match PidFd::open(pid) {
        Ok(handle) => {
            if descends(pid, ancestor) {
                handle.signal(signal)
            } else {
                Err(Errno::NO_SUCH_PROCESS)
            }
        }
        // A sandbox without pidfd: the check alone must do.
        Err(errno) if errno != Errno::NO_SUCH_PROCESS && descends(pid, ancestor) => process::signal_child(pid, signal),
        Err(errno) => Err(errno),
    }
}
