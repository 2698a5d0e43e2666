//! The end of the start: whether everything that is to be up came up, and what is done if not.

use svc_core::Millis;
use svc_core::graph::{Kind, Progress, Reason};
use svc_proto::link::ToInit;
use svc_sys::{clock, say};

use super::Hub;
use crate::StartFailure;

/// In the run directory: the process that was svc-init when the start was judged. A svc-scan that comes after one that was
/// killed does not judge it again.
const JUDGED: &str = "started";

/// So many of those that failed are named; a line has an end.
const MOST_NAMED: usize = 8;

impl Hub {
    /// Whether the start has had all the time it may take.
    pub(super) fn is_start_overdue(&self) -> bool {
        self.start_by.is_some_and(|by| clock::now() >= by) && !self.judged
    }

    pub(super) fn start_deadline(&self) -> Option<Millis> {
        self.start_by.filter(|_| !self.judged && !self.is_ending())
    }

    /// Looks once at what has become of the start. Returns whether to go on.
    pub(super) fn judge_start(&mut self) -> bool {
        if !self.judged && !self.is_heir {
            self.settled = Some(clock::now());
        }
        if std::mem::replace(&mut self.judged, true) || self.was_judged() {
            return true;
        }
        let failures = if self.config.start.failure == StartFailure::Continue && self.start_by.is_none() {
            Vec::new()
        } else {
            self.failures()
        };
        self.remember_judgement();
        if failures.is_empty() {
            return true;
        }
        let more = failures.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = failures[..failures.len().min(MOST_NAMED)].join("; ");
        match self.config.start.failure {
            StartFailure::Continue | StartFailure::Warn => {
                say!("svc-scan: not everything has started: {named}{more}");
                true
            }
            StartFailure::Stop => {
                say!("svc-scan: not everything has started, so everything stops: {named}{more}");
                self.init.send(ToInit::Shutdown { code: svc_sys::exit::FAILED, force: false }.encode(), None);
                false
            }
        }
    }

    /// What should be up and is not, with the reasons; who only waits for somebody else is not at fault.
    fn failures(&self) -> Vec<String> {
        let graph = self.engine.graph();
        let broken = self.units.iter().filter_map(|(name, unit)| unit.problem.as_ref().map(|why| format!("{name}: {why}")));
        let failed = graph.living().into_iter().filter_map(|id| match self.engine.progress(id) {
            Progress::Failed(Reason::Dependency(_)) => None,
            Progress::Failed(reason) => Some(format!("{}: {}", graph.name(id), self.engine.reason(reason))),
            Progress::Starting if self.is_late() => Some(format!("{}: is still starting", graph.name(id))),
            Progress::Up(_) if self.is_late() && graph.node(id).kind == Kind::Process && !self.is_settled(id) => {
                Some(format!("{}: is not ready", graph.name(id)))
            }
            Progress::Starting
            | Progress::Up(_)
            | Progress::Down
            | Progress::Waiting
            | Progress::Awaiting
            | Progress::Completed
            | Progress::Stopping { .. } => None,
        });
        let unready = self.directories.unready().map(|unready| format!("{}: {}", unready.name, unready.problem));
        broken.chain(unready).chain(failed).collect()
    }

    fn is_late(&self) -> bool {
        self.start_by.is_some_and(|by| clock::now() >= by)
    }

    fn was_judged(&self) -> bool {
        let Some(dir) = self.config.run_dir.as_ref().filter(|_| self.is_heir) else { return false };
        std::fs::read_to_string(dir.join(JUDGED)).is_ok_and(|text| text.trim() == self.init_pid.to_string())
    }

    /// Where nothing can be written, a successor judges again what it finds.
    fn remember_judgement(&self) {
        if let Some(dir) = self.config.run_dir.as_ref().filter(|_| self.config.start.failure == StartFailure::Stop) {
            let _ = std::fs::write(dir.join(JUDGED), self.init_pid.to_string());
        }
    }
}
