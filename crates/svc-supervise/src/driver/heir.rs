//! What a supervisor does that comes in the place of a killed one: it takes over the process that runs.

use svc_core::service::{Actions, Daemon, Event, Note, Role, State};
use svc_core::{Exit, Pid, Signal};
use svc_sys::process::{self, PidFd};

use super::Driver;
use crate::credentials;

/// The main process, if it is not our child.
pub(super) struct Adopted {
    pub(super) pid: Pid,
    /// It has a parent that is neither svc-init nor we, and only its handle tells when it ends.
    pub(super) apart: bool,
    pub(super) handle: Option<PidFd>,
    /// The session it is in: its own, or that of somebody who has ended.
    pub(super) session: i32,
}

impl Driver {
    /// Goes on where a predecessor was killed.
    pub(super) fn inherit(&mut self) {
        let mut actions = Actions::default();
        if self.machine.is_at_rest() {
            // It may have been killed just before.
            credentials::remove(&self.definition, self.run_dir.as_deref());
        }
        if let State::Starting { role } = self.machine.state() {
            // It was killed while it made a process. If that process got as far as being written down, it runs.
            match self.row.spawned_for(self.machine.start_mark(role)) {
                Some(pid) => self.feed(Event::Spawned(pid)),
                None => self.spawn(role),
            }
        }
        if self.launch.is_none() {
            // Nobody tells us whether it has executed its program.
            self.feed(Event::Executed);
        }
        if self.machine.daemon() == Daemon::Found
            && let State::Up { pid, .. } = self.machine.state()
            && self.row.spawned() != Some(pid)
        {
            // Killed between the two that say so.
            self.row.set_spawned(pid, self.machine.start_mark(Role::Run));
        }
        if let Some(pid) = self.machine.pid().filter(|_| self.adopted.is_none())
            && self.row.spawned() == Some(pid)
            && !self.is_own_child(pid)
        {
            self.adopt(pid);
            self.remains.remember_descendants(pid);
        }
        // What has ended meanwhile gets no signal any more.
        self.look();
        self.machine.resume(&mut actions, &self.settings);
        self.perform_all(&mut actions, self.machine.pid());
        self.inherit_errand();
        self.report(Some(Note::Changed));
        self.follow();
        self.report_health();
    }

    /// The main process is svc-init's child.
    pub(super) fn adopt(&mut self, pid: Pid) {
        let session = svc_sys::procfs::session(pid).unwrap_or(pid.raw());
        // The handle is opened first and looked at after: if it was svc-init's child then, it is ours to signal.
        let handle = PidFd::open(pid).ok().filter(|_| self.is_ours(pid));
        self.adopted = Some(Adopted { pid, apart: !self.is_with_init(pid), handle, session });
    }

    /// Whether a process that a predecessor started lives, or waits for svc-init to reap it: its number is its own until then.
    pub(super) fn is_with_init(&self, pid: Pid) -> bool {
        svc_sys::procfs::parent(pid) == Some(self.init_pid)
    }

    pub(super) fn is_own_child(&self, pid: Pid) -> bool {
        svc_sys::procfs::parent(pid) == Some(process::id())
    }

    /// What [`Driver::look`] does when svc-init is gone, and with it every exit that it would have relayed.
    pub(super) fn look_alone(&mut self) {
        let Some(pid) = self.adopted.as_ref().map(|adopted| adopted.pid) else { return };
        if svc_sys::procfs::start_time(pid).is_none() || svc_sys::procfs::is_zombie(pid) {
            self.adopted = None;
            self.ended(pid, Exit::Signal(Signal::KILL), || {});
        }
    }

    /// Looks whether svc-init has reaped what a predecessor of ours had started.
    pub(super) fn look(&mut self) {
        let Some((pid, session)) = self.adopted.as_ref().map(|adopted| (adopted.pid, adopted.session)) else { return };
        let exit = match self.row.relayed(pid) {
            // Who is left behind is about to be told.
            Some(_) if self.row.relayed_left() && !self.knows_orphans => return,
            Some(exit) => exit,
            // Not svc-init's child and not reaped by it: it ended before it came there, and nobody knows how.
            None if !self.is_ours(pid) && std::path::Path::new("/proc/self").exists() => {
                self.row.relayed(pid).unwrap_or(Exit::Signal(Signal::KILL))
            }
            None => return,
        };
        self.remains.remember_session(pid, session, self.init_pid);
        self.adopted = None;
        self.ended(pid, exit, || {});
    }
}
