//! What a service leaves behind: descendants of ours, and processes that a killed predecessor of ours left to svc-init.

use svc_core::{Pid, Signal};
use svc_sys::process::{self, PidFd};
use svc_sys::procfs;

/// Processes of the service that are not our descendants.
pub(crate) struct Remains {
    others: Vec<Other>,
}

struct Other {
    pid: Pid,
    /// Without one (a sandbox that forbids it) only /proc tells when it has ended.
    handle: Option<PidFd>,
}

impl Remains {
    pub(crate) fn new(orphans: &[Pid]) -> Remains {
        let mut remains = Remains { others: Vec::new() };
        for &pid in orphans {
            remains.remember(pid);
        }
        remains
    }

    pub(crate) fn remember(&mut self, pid: Pid) {
        if self.others.iter().all(|other| other.pid != pid) && !procfs::is_zombie(pid) {
            self.others.push(Other { pid, handle: PidFd::open(pid).ok() });
        }
    }

    /// Everybody below a process that is not our child.
    pub(crate) fn remember_descendants(&mut self, of: Pid) {
        for pid in procfs::descendants(of.raw()) {
            self.remember(pid);
        }
    }

    /// Whoever came to svc-init out of the session that this main process was in.
    pub(crate) fn remember_session(&mut self, main: Pid, session: i32, init_pid: i32) {
        for pid in procfs::children(init_pid) {
            if pid != main && procfs::session(pid) == Some(session) {
                self.remember(pid);
            }
        }
    }

    /// Those who are known by their numbers: children of svc-init that live.
    pub(crate) fn others(&self) -> impl Iterator<Item = Pid> {
        self.others.iter().map(|other| other.pid)
    }

    /// It is the main process now.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.others.retain(|other| other.pid != pid);
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.others.is_empty()
    }

    pub(crate) fn handles(&self) -> impl Iterator<Item = i32> {
        self.others.iter().map(|other| other.handle.as_ref().map_or(-1, PidFd::as_raw_fd))
    }

    /// Drops those that have ended.
    pub(crate) fn forget_ended(&mut self) {
        self.others.retain(|other| procfs::parent(other.pid).is_some() && !procfs::is_zombie(other.pid));
    }

    /// Kills one of them, with what it has started.
    pub(crate) fn kill(&mut self, pid: Pid) {
        self.forget_ended();
        if let Some(Other { handle: Some(handle), .. }) = self.others.iter().find(|other| other.pid == pid) {
            for below in procfs::descendants(pid.raw()) {
                let _ = procfs::signal_descendant(below, pid.raw(), Signal::KILL);
            }
            let _ = handle.signal(Signal::KILL);
        }
    }

    /// Signals everybody but `main`, and `spared` with what is below it, and lets stopped ones notice.
    pub(crate) fn signal(&mut self, signal: Signal, main: Option<Pid>, spared: Option<Pid>, init_pid: i32) {
        let own = process::id();
        let is_spared = |pid: Pid| spared.is_some_and(|it| it == pid || procfs::descends(pid, it.raw()));
        if process::has_children() {
            for pid in procfs::descendants(own).into_iter().filter(|&pid| Some(pid) != main && !is_spared(pid)) {
                let _ = procfs::signal_descendant(pid, own, signal);
                let _ = procfs::signal_descendant(pid, own, Signal::CONT);
            }
        }
        self.forget_ended();
        let below: Vec<Pid> = self.others.iter().flat_map(|other| procfs::descendants(other.pid.raw())).collect();
        for pid in below {
            self.remember(pid);
        }
        for other in self.others.iter().filter(|other| !is_spared(other.pid)) {
            for signal in [signal, Signal::CONT] {
                let _ = match &other.handle {
                    Some(handle) => handle.signal(signal),
                    None => procfs::signal_descendant(other.pid, init_pid, signal),
                };
            }
        }
    }

    /// How many live.
    pub(crate) fn left(&self) -> usize {
        let own = if process::has_children() { procfs::children(process::id()).len().max(1) } else { 0 };
        own + self.others.len()
    }
}
