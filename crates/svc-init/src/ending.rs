//! What the end takes: who is told, who is killed, and what is said of that.

use svc_core::init::Daemon;
use svc_core::{Pid, Signal};
use svc_sys::{process, procfs, say};

use crate::{Tree, daemons};

/// So many times everybody who is left is looked for and killed before something else has its turn.
const KILL_PASSES: usize = 64;
/// So many of the killed are named; a line has an end.
const MOST_NAMED: usize = 16;

impl Tree {
    pub(crate) fn stop_orphans(&mut self) {
        let own = process::id();
        for pid in self.others() {
            for pid in std::iter::once(pid).chain(procfs::descendants(pid.raw())) {
                let _ = procfs::signal_descendant(pid, own, Signal::TERM);
                let _ = procfs::signal_descendant(pid, own, Signal::CONT);
            }
        }
    }

    pub(crate) fn kill_everybody(&mut self) {
        let late = self.kill_living();
        if !late.is_empty() {
            say!("svc-init: time is up: killed {}", late.join(", "));
        }
    }

    /// Returns who they were, but for supervisors.
    pub(crate) fn kill_living(&mut self) -> Vec<String> {
        let mut late: Vec<(Pid, String)> = Vec::new();
        // Processes that make others all the time are not all in any one list; a few more looks find them.
        for _ in 0..KILL_PASSES {
            let living = self.living();
            if living.is_empty() {
                break;
            }
            // Before any of them is killed: whose they are is told by their supervisors.
            for &pid in living.iter().filter(|&&pid| !self.table.is_supervisor(pid)) {
                // The dying are still there at the next look.
                if late.len() < MOST_NAMED && late.iter().all(|&(before, _)| before != pid) {
                    late.push((pid, self.describe(pid)));
                }
            }
            for pid in living {
                let _ = procfs::signal_descendant(pid, process::id(), Signal::KILL);
            }
            self.reap();
        }
        late.into_iter().map(|(_, described)| described).collect()
    }

    /// A process, and whose it is as far as that is known.
    fn describe(&self, pid: Pid) -> String {
        let name = procfs::name(pid);
        match self.table.service_of(pid) {
            Some(service) => format!("{name} (pid {pid}) of {service}"),
            None => format!("{name} (pid {pid})"),
        }
    }

    /// Everybody below us who has not ended, but the daemons.
    fn living(&self) -> Vec<Pid> {
        let mut living = procfs::descendants(process::id());
        living.retain(|&pid| !self.daemons.is_one(pid) && !procfs::is_zombie(pid));
        living
    }

    /// svc-log had to be killed: nobody will read what it has not passed on.
    pub(crate) fn tell_lost(&self, killed: Daemon) {
        let mut unread = match killed {
            Daemon::Log => self.table.unread(),
            Daemon::Scan => return,
        };
        let others = unread.len().saturating_sub(MOST_NAMED);
        unread.truncate(MOST_NAMED);
        let mut named: Vec<String> = unread.iter().map(|(name, bytes)| format!("{name} ({bytes} bytes)")).collect();
        if others > 0 {
            named.push(format!("and {others} others"));
        }
        if !named.is_empty() {
            let (why, cure) = if daemons::fails_to_store() {
                ("standard output or error could not be written", "its disk is full, or fails")
            } else {
                let cure = "whoever reads them must go on reading, or needs a longer SVC_STOP_TIMEOUT";
                ("nobody has read standard output or error to their end", cure)
            };
            say!("svc-init: time is up: {why}: lost are the last lines of {}: {cure}", named.join(", "));
        }
    }
}
