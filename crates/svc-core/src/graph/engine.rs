//! The engine: what happened comes in, what is to be done goes out.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::advance::Stand;
use super::build::Graph;
use super::definition::{Id, Kind};
use super::request::{Goal, Outcome, Pending, Request, RequestId};
use super::state::{Level, Progress, Reason, Run, Wish, place_of};
use super::stop::Ending;
use crate::time::Millis;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The time of [`Engine::deadline`] has come (early or spurious calls do no harm).
    Deadline,
    Request(RequestId, Request),
    /// That one of its external endpoints has answered, by its place in the list.
    Answered(Id, usize),
    /// All external endpoints of the node have answered.
    Reachable(Id),
    /// It runs.
    Started(Id),
    Ready(Id),
    Healthy(Id),
    Unhealthy(Id),
    /// Its start may take until then, it said.
    Extend(Id, Millis),
    /// One that is started on demand, and is there for others all the time, was started then and is not ready yet; none: it is, or
    /// nobody needs it any more.
    Begun(Id, Option<Millis>),
    /// It ran to its end with success, and is not started again.
    Completed(Id),
    /// It died, and its supervisor starts it again.
    Died(Id),
    /// A start of it came to nothing, and its supervisor tries again: who waits for it hears of this one.
    Missed(Id, Reason),
    /// It is not there, and its supervisor does not start it again.
    Failed(Id, Reason),
    /// Nothing of it is left: the answer to [`Action::Stop`], or somebody else stopped it.
    Stopped(Id),
    /// It was never on the way, as is heard only now.
    Absent(Id),
    /// This is what was wished of them before svc-scan was started again. Comes after the reports of those that run; what somebody
    /// has asked for since then counts.
    Recovered(Vec<(Id, Wish)>),
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start it; a oneshot that has completed may be started again without having been stopped.
    Start(Id),
    /// Stop it, and say `Stopped` when nothing is left. For a oneshot that has completed: run its `down`.
    Stop(Id),
    Reload(Id),
    /// See whether it could start as it is defined now, and ask for a restart if so.
    Examine(Id),
    /// Try its external endpoints, and say `Reachable` when all have answered.
    Await(Id),
    /// Try them no more.
    Forget(Id),
    /// Its wish or progress has changed.
    Publish(Id),
    Finished(RequestId, Outcome),
}

/// A graph and what is known of its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engine {
    pub(super) graph: Graph,
    pub(super) runs: Vec<Run>,
    pub(super) now: Millis,
    /// Nodes whose surroundings have changed.
    work: VecDeque<Id>,
    /// Nodes to start or to stop, if nothing holds them when everybody has looked.
    leavers: VecDeque<Id>,
    starters: VecDeque<Id>,
    /// Nodes that have changed in this step, or that a new request watches.
    listed: Vec<Id>,
    deadlines: BTreeSet<(Millis, Id)>,
    pub(super) requests: BTreeMap<RequestId, Pending>,
    pub(super) ending: Option<Ending>,
    /// What was wanted of those that come again.
    pub(super) kept: BTreeMap<String, Wish>,
    /// How many walks through the graph there have been.
    pub(super) walks: u64,
    pub(super) out: Vec<Action>,
}

impl Engine {
    /// Starts nothing: see [`Request::Apply`] for that.
    pub fn new(now: Millis, graph: Graph) -> Engine {
        let runs = graph.ids().map(|_| Run::new(now)).collect();
        Engine { graph, runs, now, ..Engine::default() }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// It has been started with what it reads as this is now.
    pub fn has_read(&mut self, id: Id, reads: Vec<(u64, u64)>) {
        self.graph.node_mut(id).reads = reads;
    }

    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Takes in what happened; adds to `out` what is to be done.
    pub fn step(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        self.now = now.max(self.now);
        match event {
            Event::Deadline => self.time(),
            Event::Request(id, request) => self.request(id, request),
            Event::Answered(id, index) => self.answered(id, index),
            Event::Reachable(id) => self.reachable(id),
            Event::Started(id) => self.risen(id, Level::Started),
            Event::Ready(id) => self.risen(id, Level::Ready),
            Event::Healthy(id) => self.risen(id, Level::Healthy),
            Event::Unhealthy(id) => self.risen(id, Level::Unhealthy),
            Event::Extend(id, until) => {
                if self.knows(id)
                    && let (Progress::Starting | Progress::Up(_), Some(at)) =
                        (self.runs[id.at()].progress, self.runs[id.at()].until)
                {
                    self.set_until(id, Some(at.max(until)));
                }
            }
            Event::Begun(id, at) => {
                // Who is not up has a limit already.
                if self.knows(id) && matches!(self.runs[id.at()].progress, Progress::Up(_)) && self.is_up(id) {
                    let span = self.graph.node(id).start_timeout;
                    self.set_until(id, at.filter(|_| span > Millis::ZERO).map(|at| at + span));
                }
            }
            Event::Completed(id) => self.completed(id),
            Event::Died(id) => self.died(id),
            Event::Missed(id, reason) => self.missed(id, reason),
            Event::Failed(id, reason) => self.failed(id, reason),
            Event::Stopped(id) => self.stopped(id),
            Event::Absent(id) => {
                if self.knows(id) && self.is_active(id) {
                    self.gone(id);
                }
            }
            Event::Recovered(wishes) => {
                // Nobody looks before all are known: one that goes waits for those that go before it.
                for (id, wish) in wishes {
                    if self.knows(id) {
                        let run = self.run(id);
                        match (run.asked, run.is_wished()) {
                            (false, _) => run.wish = wish,
                            (true, true) => run.wish = run.wish.max(wish),
                            (true, false) => {}
                        }
                        self.touch(id);
                    }
                }
            }
        }
        self.settle();
        out.append(&mut self.out);
    }

    pub(super) fn knows(&self, id: Id) -> bool {
        id.at() < self.runs.len()
    }

    pub(super) fn run(&mut self, id: Id) -> &mut Run {
        &mut self.runs[id.at()]
    }

    // --- reports

    fn answered(&mut self, id: Id, index: usize) {
        if self.knows(id) && self.runs[id.at()].progress == Progress::Awaiting {
            self.run(id).answered |= place_of(index);
        }
    }

    fn reachable(&mut self, id: Id) {
        if self.knows(id) && self.runs[id.at()].progress == Progress::Awaiting {
            self.run(id).reached = true;
            self.enqueue(id);
        }
    }

    fn risen(&mut self, id: Id, level: Level) {
        if !self.knows(id) {
            return;
        }
        let run = self.run(id);
        let before = match run.progress {
            Progress::Starting => None,
            Progress::Up(before) => Some(before),
            Progress::Stopping { .. } => return,
            // Not by us; but there it is.
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Completed | Progress::Failed(_) => {
                self.adopt(id);
                None
            }
        };
        let level = match (before, level) {
            // Health says more than readiness; and only a death takes back what was said.
            (Some(before), Level::Started | Level::Ready) => before.max(level),
            (None | Some(_), level) => level,
        };
        self.set(id, Progress::Up(level));
        if self.graph.node(id).lasting && self.is_up(id) {
            self.run(id).lasts = true;
        }
    }

    /// Somebody else has started it.
    fn adopt(&mut self, id: Id) {
        if self.runs[id.at()].progress == Progress::Awaiting {
            self.out.push(Action::Forget(id));
        }
        let ending = self.ending.is_some();
        let run = self.run(id);
        run.process = true;
        if !run.is_wished() && !ending {
            run.wish = Wish::Explicit;
        }
    }

    fn completed(&mut self, id: Id) {
        if !self.knows(id) {
            return;
        }
        let oneshot = self.graph.node(id).kind != Kind::Process;
        // One whose `down` failed on its way out is not asked again.
        let adopts = oneshot && self.ending.is_none() && !self.graph.is_retired(id);
        match self.runs[id.at()].progress {
            Progress::Starting | Progress::Up(_) => {}
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(_) if adopts => self.adopt(id),
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(_) => return,
            Progress::Completed | Progress::Stopping { .. } => return,
        }
        let run = self.run(id);
        if oneshot {
            self.set(id, Progress::Completed);
        } else if run.again || run.doom.is_some() || !run.is_wished() {
            self.gone(id);
        } else {
            run.process = false;
            run.was_ready = matches!(run.progress, Progress::Up(level) if level >= Level::Ready);
            self.set(id, Progress::Completed);
        }
    }

    fn died(&mut self, id: Id) {
        if !self.knows(id) {
            return;
        }
        match self.runs[id.at()].progress {
            // The time for the first start goes on.
            Progress::Starting => {}
            Progress::Up(_) => {
                let was_up = self.is_up(id);
                let until = self.runs[id.at()].until;
                self.set(id, Progress::Starting);
                // Once it was up, its supervisor may take the time it needs to bring it back.
                self.set_until(id, if was_up { None } else { until });
            }
            Progress::Down | Progress::Waiting | Progress::Awaiting => {}
            Progress::Completed | Progress::Failed(_) | Progress::Stopping { .. } => {}
        }
    }

    fn missed(&mut self, id: Id, reason: Reason) {
        if !self.knows(id) || !self.is_active(id) || self.is_up(id) || self.is_leaving(id) {
            return;
        }
        self.give_up(id, (id, reason), reason);
        self.walks += 1;
        let walk = self.walks;
        let mut stack = Vec::from([id]);
        while let Some(on) = stack.pop() {
            let backs = self.graph.dependents(on).filter(|(_, edge)| self.stand(*edge) == Stand::Wait);
            let waiting: Vec<Id> =
                backs.map(|(from, _)| from).filter(|from| self.runs[from.at()].progress == Progress::Waiting).collect();
            for from in waiting {
                if core::mem::replace(&mut self.run(from).walk, walk) != walk {
                    self.give_up(from, (id, reason), Reason::Dependency(id));
                    stack.push(from);
                }
            }
        }
    }

    /// Requests do not wait for this one any more, because of that one.
    fn give_up(&mut self, id: Id, root: (Id, Reason), reason: Reason) {
        for (request, goal) in core::mem::take(&mut self.run(id).watchers) {
            match (goal, self.requests.get_mut(&request)) {
                (Goal::Up, Some(pending)) => {
                    if id != root.0 && !pending.failures.contains(&root) {
                        pending.failures.push(root);
                    }
                    self.settled(request, id, Err(reason));
                }
                (Goal::Up | Goal::Down, _) => self.run(id).watchers.push((request, goal)),
            }
        }
    }

    fn failed(&mut self, id: Id, reason: Reason) {
        if !self.knows(id) || !self.is_active(id) {
            return;
        }
        let run = self.run(id);
        match run.progress {
            Progress::Stopping { .. } => {}
            Progress::Starting | Progress::Up(_) | Progress::Completed => {
                if !run.again {
                    run.doom.get_or_insert(reason);
                }
                self.gone(id);
            }
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(_) => {}
        }
    }

    fn stopped(&mut self, id: Id) {
        if !self.knows(id) || !self.is_active(id) {
            return;
        }
        let run = self.run(id);
        let ours = matches!(run.progress, Progress::Stopping { .. });
        if !ours && !run.again && run.doom.is_none() {
            run.wish = Wish::Down;
        }
        self.gone(id);
    }

    // --- time

    fn time(&mut self) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > self.now {
                return;
            }
            self.set_until(id, None);
            match self.runs[id.at()].progress {
                Progress::Awaiting => {
                    self.out.push(Action::Forget(id));
                    self.set(id, Progress::Failed(Reason::ExternalTimeout));
                }
                Progress::Starting | Progress::Up(_) => {
                    self.run(id).doom.get_or_insert(Reason::StartTimeout);
                    self.touch(id);
                    self.drag(id, false);
                }
                Progress::Stopping { .. } => {
                    let run = self.run(id);
                    if run.is_wished() {
                        // Who waits for it to come back is told, and nobody starts it again unasked.
                        run.again = false;
                        run.doom.get_or_insert(Reason::StopTimeout);
                    }
                    self.set(id, Progress::Stopping { overdue: true });
                }
                Progress::Down | Progress::Waiting | Progress::Completed | Progress::Failed(_) => {}
            }
        }
    }

    pub(super) fn set_until(&mut self, id: Id, until: Option<Millis>) {
        let before = core::mem::replace(&mut self.run(id).until, until);
        if before != until {
            before.map(|at| self.deadlines.remove(&(at, id)));
            until.map(|at| self.deadlines.insert((at, id)));
        }
    }

    // --- the work list

    pub(super) fn enqueue(&mut self, id: Id) {
        if !core::mem::replace(&mut self.run(id).queued, true) {
            self.work.push_back(id);
        }
    }

    /// Something about the node has changed: it is published, and everybody around looks again.
    pub(super) fn touch(&mut self, id: Id) {
        self.run(id).changed = true;
        self.list(id);
        self.enqueue(id);
        for index in 0..self.graph.backs(id).len() {
            let back = self.graph.backs(id)[index];
            self.warn(back);
            self.enqueue(back.from);
        }
        for index in 0..self.graph.edges(id).len() {
            let edge = self.graph.edges(id)[index];
            self.enqueue(edge.to);
        }
    }

    pub(super) fn list_to_move(&mut self, id: Id) {
        if !core::mem::replace(&mut self.run(id).moving, true) {
            // Who leaves goes first: he may take others with him, who had better not be started before.
            let leaves = self.is_leaving(id);
            if leaves { self.leavers.push_back(id) } else { self.starters.push_back(id) }
        }
    }

    pub(super) fn list(&mut self, id: Id) {
        if !core::mem::replace(&mut self.run(id).listed, true) {
            self.listed.push(id);
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(id) = self.work.pop_front() {
                self.run(id).queued = false;
                self.advance(id);
            }
            let Some(id) = self.leavers.pop_front().or_else(|| self.starters.pop_front()) else { break };
            self.run(id).moving = false;
            self.go(id);
        }
        for id in core::mem::take(&mut self.listed) {
            self.run(id).listed = false;
            if core::mem::take(&mut self.run(id).changed) {
                self.out.push(Action::Publish(id));
            }
            self.look(id);
        }
    }

    /// Asks for every request that watches the node whether it has settled.
    fn look(&mut self, id: Id) {
        let watchers = core::mem::take(&mut self.run(id).watchers);
        let mut left = Vec::new();
        for (request, goal) in watchers {
            let verdict = self.verdict(id, goal);
            match verdict {
                Some(result) => self.settled(request, id, result),
                None => left.push((request, goal)),
            }
        }
        self.run(id).watchers = left;
    }

    /// One of those that a request is about has come to its end.
    pub(super) fn settled(&mut self, request: RequestId, id: Id, result: Result<(), Reason>) {
        let Some(pending) = self.requests.get_mut(&request) else { return };
        pending.open -= 1;
        pending.failures.extend(result.err().map(|reason| (id, reason)));
        if pending.open == 0 {
            self.finish(request);
        }
    }

    /// Whether the node is where the request wants it, or has failed to get there; `None` while that is open.
    fn verdict(&self, id: Id, goal: Goal) -> Option<Result<(), Reason>> {
        let run = &self.runs[id.at()];
        match (goal, run.progress) {
            (_, Progress::Stopping { overdue: true }) => Some(Err(Reason::StopTimeout)),
            (Goal::Down, _) if !self.is_active(id) && run.progress != Progress::Awaiting => Some(Ok(())),
            (Goal::Down, _) => run.stuck.then_some(Err(Reason::Held)),
            (Goal::Up, _) if !run.is_wished() => Some(Err(Reason::StoppedOutside)),
            (Goal::Up, _) if self.is_leaving(id) => run.stuck.then_some(Err(Reason::Held)),
            (Goal::Up, Progress::Failed(reason)) => Some(Err(reason)),
            (Goal::Up, _) => self.is_up(id).then_some(Ok(())),
        }
    }

    fn finish(&mut self, request: RequestId) {
        let Some(Pending { mut failures, .. }) = self.requests.remove(&request) else { return };
        // What they failed by, to the root.
        let mut index = 0;
        while let Some(&(_, reason)) = failures.get(index) {
            index += 1;
            let Reason::Dependency(on) = reason else { continue };
            let run = &self.runs[on.at()];
            let root = match run.progress {
                Progress::Failed(reason) => reason,
                Progress::Stopping { overdue: true } => Reason::StopTimeout,
                Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => continue,
                Progress::Up(_) | Progress::Completed | Progress::Stopping { overdue: false } => continue,
            };
            if !failures.iter().any(|&(id, _)| id == on) {
                failures.push((on, root));
            }
        }
        let outcome = if failures.is_empty() { Outcome::Done } else { Outcome::Failed(failures) };
        self.out.push(Action::Finished(request, outcome));
    }
}
