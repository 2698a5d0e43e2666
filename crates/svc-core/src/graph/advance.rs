//! What one node does, seen from its wish and its neighbours.

use super::build::{Back, Edge, Strength};
use super::definition::{Admission, Condition, Id, Kind};
use super::engine::{Action, Engine};
use super::state::{Level, Progress, Reason};
use crate::time::Millis;

/// How an edge stands for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Met,
    Wait,
    /// What it waits for does not come, and the dependent is not to start without.
    Hopeless,
}

/// Whether a node may start.
enum Gate {
    Open,
    Wait,
    Hopeless(Id),
}

impl Engine {
    /// Brings the node one step nearer to what is wished of it.
    pub(super) fn advance(&mut self, id: Id) {
        let run = &self.runs[id.at()];
        let wished = run.is_wished();
        match run.progress {
            Progress::Down if !wished => {}
            Progress::Waiting | Progress::Failed(_) if !wished => self.set(id, Progress::Down),
            Progress::Awaiting if !wished => {
                self.out.push(Action::Forget(id));
                self.set(id, Progress::Down);
            }
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(Reason::Dependency(_)) => {
                self.begin(id)
            }
            Progress::Starting | Progress::Up(_) | Progress::Completed => {
                if self.is_leaving(id) {
                    self.list_to_move(id);
                } else if !wished {
                    // A process that had ended by itself.
                    self.set(id, Progress::Down);
                } else if run.gate.is_none() && self.is_active(id) {
                    self.catch_up(id);
                }
            }
            // It is let in now.
            Progress::Failed(Reason::Condition) if self.graph.node(id).admission != Admission::Refused => self.begin(id),
            Progress::Failed(_) | Progress::Stopping { .. } => {}
        }
    }

    /// Looks whether anything holds the node. If not it starts later, when every neighbour has looked too: one that seems to have
    /// failed may be about to come back.
    fn begin(&mut self, id: Id) {
        let gate = match self.graph.node(id).admission {
            Admission::Refused => return self.hold_back(id, Progress::Failed(Reason::Condition)),
            // What it needs is started when it may start itself.
            Admission::Pending => return self.hold_back(id, Progress::Waiting),
            Admission::Open => self.gate(id),
        };
        let next = match gate {
            Gate::Open => {
                let run = &self.runs[id.at()];
                let awaiting = run.progress == Progress::Awaiting;
                if !awaiting || run.reached {
                    self.list_to_move(id);
                }
                if awaiting {
                    return;
                }
                Progress::Waiting
            }
            Gate::Wait => Progress::Waiting,
            Gate::Hopeless(on) => Progress::Failed(Reason::Dependency(on)),
        };
        // A reason that holds is not exchanged for another one.
        if let (Progress::Failed(Reason::Dependency(on)), Progress::Failed(Reason::Dependency(_))) =
            (self.runs[id.at()].progress, next)
        {
            let mut edges = self.graph.edges(id).iter().filter(|edge| edge.to == on);
            if edges.any(|edge| self.stand(*edge) == Stand::Hopeless) {
                return;
            }
        }
        self.hold_back(id, next);
    }

    /// It is not started now.
    fn hold_back(&mut self, id: Id, progress: Progress) {
        if self.runs[id.at()].progress == Progress::Awaiting {
            self.out.push(Action::Forget(id));
        }
        self.set(id, progress);
    }

    /// Starts or stops the node, if still nothing holds it.
    pub(super) fn go(&mut self, id: Id) {
        let run = self.run(id);
        match run.progress {
            Progress::Waiting | Progress::Awaiting if run.is_wished() => run.gate = None,
            Progress::Starting | Progress::Up(_) | Progress::Completed => {
                if self.is_leaving(id) {
                    self.leave(id);
                }
                return;
            }
            Progress::Down | Progress::Waiting | Progress::Awaiting => return,
            Progress::Failed(_) | Progress::Stopping { .. } => return,
        }
        let open = matches!(self.gate(id), Gate::Open) && self.graph.node(id).admission == Admission::Open;
        let run = &self.runs[id.at()];
        let reached = run.reached || self.graph.node(id).external.is_empty();
        match (open, reached, run.progress) {
            (false, ..) => self.begin(id),
            (true, true, _) => self.start(id),
            (true, false, Progress::Awaiting) => {}
            (true, false, _) => {
                self.out.push(Action::Await(id));
                self.run(id).answered = 0;
                self.set(id, Progress::Awaiting);
            }
        }
    }

    fn start(&mut self, id: Id) {
        let now = self.now;
        let node = self.graph.node(id);
        let has_process = node.kind.has_process();
        let run = self.run(id);
        run.reached = false;
        run.lasts = false;
        run.since = now;
        run.process = has_process;
        if has_process {
            self.out.push(Action::Start(id));
            self.set(id, Progress::Starting);
        } else {
            self.set(id, Progress::Completed);
        }
    }

    /// Looks for an edge that holds the node. As long as it waits, every edge that becomes hopeless clears `gate` (see `warn`), so it
    /// is enough to look at the one it waits for, and on from there.
    fn gate(&mut self, id: Id) -> Gate {
        let run = &self.runs[id.at()];
        let edges = self.graph.edges(id);
        let known = run.gate.filter(|&edge| (edge as usize) < edges.len());
        // A bundle has failed when all its members have settled; everybody else at once.
        let patient = self.graph.node(id).kind == Kind::Bundle;
        let everywhere = match (run.progress, known) {
            (Progress::Awaiting, Some(_)) if !run.reached => return Gate::Open,
            (Progress::Waiting, Some(_)) => false,
            (Progress::Failed(_), Some(edge)) if !patient => {
                let edge = edges[edge as usize];
                if self.stand(edge) == Stand::Hopeless {
                    return Gate::Hopeless(edge.to);
                }
                true
            }
            _ => true,
        };
        let first = if everywhere { 0 } else { known.unwrap_or(0) as usize };
        let (mut waits, mut hopeless) = (None, None);
        for index in (first..edges.len()).chain(0..first) {
            match self.stand(edges[index]) {
                Stand::Met => {}
                Stand::Wait => {
                    waits = waits.or(Some(index));
                    if patient || !everywhere {
                        break;
                    }
                }
                Stand::Hopeless => {
                    hopeless = hopeless.or(Some(index));
                    if !patient {
                        break;
                    }
                }
            }
        }
        let found = if patient { waits.or(hopeless) } else { hopeless.or(waits) };
        let gate = match (found, hopeless) {
            (None, _) => Gate::Open,
            (Some(index), Some(worst)) if index == worst => Gate::Hopeless(edges[index].to),
            (Some(_), _) => Gate::Wait,
        };
        self.run(id).gate = Some(found.unwrap_or(0) as u32);
        gate
    }

    /// The dependency of this edge has changed: its dependent must look everywhere if the edge now keeps it from what it is up to.
    pub(super) fn warn(&mut self, back: Back) {
        let edge = self.graph.edges(back.from)[back.edge as usize];
        let stand = self.stand(edge);
        let run = self.run(back.from);
        match (run.progress, stand) {
            (Progress::Waiting, Stand::Hopeless) | (Progress::Awaiting, Stand::Wait | Stand::Hopeless) => run.gate = None,
            _ => {}
        }
    }

    pub(super) fn stand(&self, edge: Edge) -> Stand {
        let lasts = self.runs[edge.to.at()].lasts && edge.until <= Condition::Ready;
        if lasts || self.holds(edge.to, edge.until) {
            return Stand::Met;
        }
        match (self.may_come(edge.to, edge.until), edge.strength) {
            (true, _) => Stand::Wait,
            (false, Strength::Hard(_)) => Stand::Hopeless,
            (false, Strength::Soft | Strength::Order) => Stand::Met,
        }
    }

    /// Whether the node fulfils the condition, and is not about to leave.
    pub fn holds(&self, id: Id, until: Condition) -> bool {
        if self.is_leaving(id) {
            return false;
        }
        let node = self.graph.node(id);
        match self.runs[id.at()].progress {
            Progress::Up(level) => match until {
                Condition::Started => true,
                Condition::Ready => level >= Level::Ready || (node.kind == Kind::Process && !node.readiness),
                Condition::Healthy => level == Level::Healthy,
                Condition::Completed => false,
            },
            // A process that has ended well has been all that it was to be; only well is nobody who does not run.
            Progress::Completed => match (node.kind, until) {
                (Kind::Oneshot | Kind::Milestone | Kind::Bundle, _) => true,
                (Kind::Process, Condition::Started | Condition::Completed) => true,
                (Kind::Process, Condition::Ready) => !node.readiness || self.runs[id.at()].was_ready,
                (Kind::Process, Condition::Healthy) => false,
            },
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => false,
            Progress::Failed(_) | Progress::Stopping { .. } => false,
        }
    }

    /// Whether the node may come to fulfil the condition without anybody asking for it.
    fn may_come(&self, id: Id, until: Condition) -> bool {
        let run = &self.runs[id.at()];
        if !run.is_wished() || run.doom.is_some() || run.stuck {
            return false;
        }
        match run.progress {
            Progress::Failed(_) | Progress::Stopping { overdue: true } => false,
            // A process that has ended comes back only if it is to be restarted.
            Progress::Completed => self.graph.node(id).kind != Kind::Process || until == Condition::Completed,
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => true,
            Progress::Up(_) | Progress::Stopping { overdue: false } => true,
        }
    }

    /// Whether something of it is there that must be stopped.
    pub(super) fn is_active(&self, id: Id) -> bool {
        let run = &self.runs[id.at()];
        match run.progress {
            Progress::Starting | Progress::Up(_) | Progress::Stopping { .. } => true,
            Progress::Completed => run.process || !self.graph.node(id).kind.has_process(),
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(_) => false,
        }
    }

    /// Whether it is there, and is to go.
    pub fn is_leaving(&self, id: Id) -> bool {
        let run = &self.runs[id.at()];
        (!run.is_wished() || run.again || run.doom.is_some() || matches!(run.progress, Progress::Stopping { .. }))
            && self.is_active(id)
    }

    /// Whether it has got where a start brings it.
    pub(super) fn is_up(&self, id: Id) -> bool {
        let node = self.graph.node(id);
        match self.runs[id.at()].progress {
            Progress::Up(level) => match node.kind {
                Kind::Process => level >= Level::Ready || !node.readiness,
                Kind::Oneshot | Kind::Milestone | Kind::Bundle => false,
            },
            Progress::Completed => true,
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => false,
            Progress::Failed(_) | Progress::Stopping { .. } => false,
        }
    }

    /// Writes the progress: nothing else does. Sets the time that it may take, and tells the neighbours.
    pub(super) fn set(&mut self, id: Id, progress: Progress) {
        let now = self.now;
        let before = core::mem::replace(&mut self.run(id).progress, progress);
        if before == progress {
            return;
        }
        self.run(id).since = now;
        let node = self.graph.node(id);
        let (start, stop) = (limit(now, node.start_timeout), limit(now, node.stop_timeout));
        let wait = limit(now, node.wait_timeout);
        let until = match progress {
            Progress::Awaiting => wait,
            Progress::Starting => start,
            Progress::Up(_) if self.is_up(id) => None,
            // Between its start and being up the time goes on; one that its supervisor brought back gets it anew.
            Progress::Up(_) => self.runs[id.at()].until.or(start),
            Progress::Stopping { overdue: false } => stop,
            Progress::Stopping { overdue: true } | Progress::Down | Progress::Waiting => None,
            Progress::Completed | Progress::Failed(_) => None,
        };
        self.set_until(id, until);
        match progress {
            Progress::Starting | Progress::Stopping { .. } | Progress::Down => self.lost(id, before),
            Progress::Completed | Progress::Failed(_) => self.lost(id, before),
            Progress::Waiting | Progress::Awaiting | Progress::Up(_) => {}
        }
        self.count(id);
        self.touch(id);
    }
}

fn limit(now: Millis, span: Millis) -> Option<Millis> {
    (span > Millis::ZERO).then(|| now + span)
}
