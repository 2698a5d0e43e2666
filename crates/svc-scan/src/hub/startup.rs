//! The end of the start: whether everything that is to be up came up, and what is done if not.

use svc_core::Millis;
use svc_core::graph::{Id, Kind, Progress, Reason};
use svc_proto::link::ToInit;
use svc_sys::{clock, say};

use super::Hub;
use crate::StartFailure;

/// In the run directory: the process that was svc-init when the start was judged. A svc-scan that comes after one that was
/// killed does not judge it again.
const JUDGED: &str = "started";

/// So many of those that failed are named; a line has an end.
const MOST_NAMED: usize = 8;

/// After this a start that is not over yet, or a main program that waits for it, is explained: s6-overlay gave up then, until it no longer did.
pub(super) const SLOW: Millis = Millis::from_secs(5);

impl Hub {
    /// Whether the start has had all the time it may take.
    pub(super) fn is_start_overdue(&self) -> bool {
        self.start_by.is_some_and(|by| clock::now() >= by) && !self.judged
    }

    pub(super) fn start_deadline(&self) -> Option<Millis> {
        let times = [self.start_by, self.slow_at].into_iter().flatten();
        times.min().filter(|_| self.composed && !self.judged && !self.is_ending())
    }

    /// Who waits for the main program learns what that waits for. Where there is none, who is late and others wait for.
    pub(super) fn explain_slow_start(&mut self) {
        if !self.composed || self.judged || self.is_ending() || self.slow_at.take_if(|at| clock::now() >= *at).is_none() {
            return;
        }
        let (who, all) = if self.config.command.is_empty() { ("the start", false) } else { ("CMD", true) };
        // What came before a svc-scan that was killed has been told.
        let laggards = if all || !self.is_heir { self.laggards(all) } else { Vec::new() };
        if !laggards.is_empty() {
            say!("svc-scan: {who} has waited {} s for others: {}", SLOW.0 / 1000, named(&laggards));
        }
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
        let named = named(&failures);
        match self.config.start.failure {
            StartFailure::Continue | StartFailure::Warn => {
                say!("svc-scan: not everything has started: {named}");
                true
            }
            StartFailure::Stop => {
                say!("svc-scan: not everything has started, so everything stops: {named}");
                self.init.send(ToInit::Shutdown { code: svc_sys::exit::FAILED, named: false, force: false }.encode(), None);
                false
            }
        }
    }

    /// What has failed, with the reasons; who only waits for somebody else is not at fault. If it is late, also who is on the way.
    fn failures(&self) -> Vec<String> {
        let graph = self.engine.graph();
        let broken = self.units.iter().filter_map(|(name, unit)| unit.problem.as_ref().map(|why| format!("{name}: {why}")));
        let unready = self.directories.unready().map(|unready| format!("{}: {}", unready.name, unready.problem));
        let failed = graph.living().into_iter().filter_map(|id| match self.engine.progress(id) {
            Progress::Failed(Reason::Dependency(_)) => None,
            Progress::Failed(_) if self.engine.lasts(id) => None,
            Progress::Failed(reason) => Some(format!("{}: {}", graph.name(id), self.reason(id, reason))),
            Progress::Starting
            | Progress::Up(_)
            | Progress::Down
            | Progress::Waiting
            | Progress::Awaiting
            | Progress::Completed
            | Progress::Stopping { .. } => None,
        });
        let late = if self.is_late() { self.laggards(true) } else { Vec::new() };
        broken.chain(unready).chain(failed).chain(late).collect()
    }

    /// Who is on the way up, and how far: `all`, or those whom others wait for. Where nobody is, who waits for what does not come of
    /// those that are up.
    pub(super) fn laggards(&self, all: bool) -> Vec<String> {
        let graph = self.engine.graph();
        let counts =
            |id: Id| all || graph.dependents(id).any(|(from, _)| matches!(self.engine.progress(from), Progress::Waiting));
        let waits = |id: Id| {
            let waits = matches!(self.engine.progress(id), Progress::Waiting);
            waits.then(|| Some(format!("{}: {}", graph.name(id), self.blocked(id)?))).flatten()
        };
        let lagging = graph.living().into_iter().filter(|&id| counts(id)).filter_map(|id| {
            let name = graph.name(id);
            let progress = self.engine.progress(id);
            if let (Progress::Starting | Progress::Up(_), Some(what)) = (progress, self.keeps_ending(id)) {
                return Some(format!("{name}: {what}"));
            }
            let what = match (progress, graph.node(id).kind) {
                (Progress::Starting, _) => self.trouble_of(name).unwrap_or_else(|| "is still starting".into()),
                (Progress::Awaiting, _) => format!("waits for {}", graph.node(id).external.join(", ")),
                (Progress::Up(_), Kind::Process) if !self.is_settled(id) => "is not ready".into(),
                (Progress::Up(_), Kind::Oneshot) => "is still running".into(),
                (Progress::Up(_) | Progress::Down | Progress::Waiting | Progress::Completed, _)
                | (Progress::Failed(_) | Progress::Stopping { .. }, _) => return None,
            };
            Some(format!("{name}: {what}"))
        });
        let lagging: Vec<String> = lagging.collect();
        if lagging.is_empty() { graph.living().into_iter().filter_map(waits).collect() } else { lagging }
    }

    /// That it is started again and again, and never gets where it is to be.
    pub(super) fn keeps_ending(&self, id: Id) -> Option<String> {
        let slot = self.slot_named(self.engine.graph().name(id)).filter(|_| !self.is_settled(id))?;
        let machine = self.members.get(&slot)?.machine.as_ref()?;
        let last = machine.last().filter(|last| last.counts && machine.deaths() > 1 && machine.trouble().is_none())?;
        Some(format!(
            "keeps ending ({} times so far, the last with {} after {} ms)",
            machine.deaths(),
            last.exit,
            last.ran.0
        ))
    }

    /// What keeps its program from being started.
    fn trouble_of(&self, name: &str) -> Option<String> {
        self.slot_named(name).and_then(|slot| self.explained(self.members.get(&slot)?))
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

pub(super) fn named(failures: &[String]) -> String {
    let more = failures.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", failures[..failures.len().min(MOST_NAMED)].join("; "))
}
