//! A service that names another one of its processes as its main one (MAINPID of sd_notify).

use svc_core::Exit;
use svc_core::service::{Event, Role, State, Stop, Target};
use svc_core::{Pid, Signal};
use svc_sys::process::{self, PidFd};
use svc_sys::{poll, procfs};

use super::Driver;
use super::checks::Complaint;

impl Driver {
    /// Whether a process is of the service: below us, with svc-init, or below one that a killed predecessor of ours left there.
    pub(super) fn is_ours(&self, pid: Pid) -> bool {
        let below = |of: i32| procfs::descends(pid, of);
        self.is_with_init(pid) || below(process::id()) || self.remains.others().any(|other| below(other.raw()))
    }

    /// The service says which process is its main one.
    pub(super) fn hear_main(&mut self, pid: Pid) {
        let State::Up { pid: before, paused, stop: Stop::No, .. } = self.machine.state() else { return };
        if pid == before {
            return;
        }
        let is_with_init = self.is_with_init(pid) && !self.remains.others().any(|other| other == pid);
        if !self.is_ours(pid) || is_with_init || procfs::is_zombie(pid) || self.is_probe(pid) {
            self.complain(Complaint::Main, &format!("refused MAINPID={pid}, which is no living process of it"));
            return;
        }
        if paused {
            // Nobody would remember that it is.
            self.signal(Some(before), Target::Main, Signal::CONT);
        }
        if !self.is_own_child(before) {
            self.remains.remember(before);
        }
        let (row, mark) = (self.row, self.machine.start_mark(Role::Run));
        self.feed_then(Event::Main(pid), || row.set_spawned(pid, mark));
        self.adopted = None;
        self.remains.forget(pid);
        if !self.is_own_child(pid) {
            self.adopt(pid);
        }
        // It may have ended before its handle was open.
        self.look_apart();
    }

    pub(super) fn is_apart(&self) -> bool {
        self.adopted.as_ref().is_some_and(|adopted| adopted.apart)
    }

    /// Whether a main process whose parent is another one of the service has ended: how, only that parent is told.
    pub(super) fn look_apart(&mut self) {
        let Some(adopted) = self.adopted.as_mut().filter(|adopted| adopted.apart) else { return };
        let pid = adopted.pid;
        if procfs::start_time(pid).is_some() && !procfs::is_zombie(pid) && !has_ended(adopted.handle.as_ref()) {
            return;
        }
        // Its parent has ended meanwhile: it is reaped by us, or by svc-init, who knows how it ended.
        let parent = procfs::parent(pid);
        adopted.apart = false;
        if parent == Some(process::id()) || parent == Some(self.init_pid) || self.row.relayed(pid).is_some() {
            return;
        }
        self.adopted = None;
        self.ended(pid, Exit::Signal(Signal::KILL), || {});
    }
}

fn has_ended(handle: Option<&PidFd>) -> bool {
    let Some(handle) = handle else { return false };
    let mut interest = [poll::readable(handle.as_raw_fd())];
    poll::wait(&mut interest, svc_core::Millis::ZERO, Some(svc_core::Millis::ZERO));
    poll::is_ready(&interest[0])
}
