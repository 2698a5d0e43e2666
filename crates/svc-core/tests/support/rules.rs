//! The promises of the graph, asked from outside: what is there is kept here a second time, from reports and actions alone.

use std::collections::{BTreeMap, BTreeSet};

use svc_core::Millis;
use svc_core::graph::{
    Action, Admission, Bond, Condition, Dependents, Edge, Engine, Event, Id, Kind, Node, Progress, Reason, Relation,
    Request, Strength, Wish,
};

/// What has been reported of a node since it was last started.
#[derive(Debug, Clone, Default)]
struct Known {
    active: bool,
    stopping: bool,
    started: bool,
    ready: bool,
    healthy: bool,
    completed: bool,
}

#[derive(Debug, Default)]
pub struct Rules {
    known: Vec<Known>,
    names: Vec<String>,
    is_process: Vec<bool>,
    /// After how many requests it was started.
    started: BTreeMap<Id, u64>,
    requests: u64,
    /// Stopped under the feet of those who need them.
    forced: BTreeSet<Id>,
    /// Their `down` failed: the stop of others goes on all the same.
    not_undone: BTreeSet<Id>,
    /// Running when their conditions, or those of one that they need, ceased to hold: they must stop, and in order.
    turned_away: BTreeSet<Id>,
}

impl Rules {
    fn of(&mut self, id: Id) -> &mut Known {
        &mut self.known[id.0 as usize]
    }

    pub fn asked(&mut self, engine: &Engine, request: &Request) {
        self.requests += 1;
        if let Request::Run(id) = request {
            self.forget_completed(engine, *id);
        }
        if let Request::Restart(nodes) = request {
            // A point in time that may pass again does so in one step.
            let is_point = |id: &&Id| !engine.graph().node(**id).kind.has_process();
            nodes.iter().filter(is_point).for_each(|id| _ = self.turned_away.remove(id));
        }
        if let Request::Stop { nodes, dependents: Dependents::Leave, .. } = request {
            let mut walk = nodes.clone();
            while let Some(id) = walk.pop() {
                self.forced.insert(id);
                if engine.graph().node(id).kind == Kind::Bundle {
                    walk.extend(engine.graph().edges(id).iter().map(|edge| edge.to));
                }
            }
        }
    }

    /// A set is about to be applied: whoever needs one whose conditions no longer hold goes with it, and whoever needs those.
    pub fn turn_away(&mut self, engine: &Engine, nodes: &[Node]) {
        let was_let_in = |node: &Node| {
            let id = engine.graph().id(&node.name);
            id.is_some_and(|id| engine.graph().node(id).admission != Admission::Refused)
        };
        let ceased = nodes.iter().filter(|node| node.admission == Admission::Refused && was_let_in(node));
        let mut walk: Vec<&str> = ceased.map(|node| &*node.name).collect();
        let mut found: BTreeSet<&str> = walk.iter().copied().collect();
        while let Some(name) = walk.pop() {
            let goes_with = |node: &&Node| {
                let is_old = engine.graph().id(&node.name).is_some();
                is_old && node.dependencies.iter().any(|needed| &*needed.on == name && ties(needed.relation))
            };
            let above = nodes.iter().filter(goes_with).map(|node| &*node.name);
            walk.extend(above.filter(|name| found.insert(name)).collect::<Vec<&str>>());
        }
        let running = found.into_iter().filter_map(|name| engine.graph().id(name)).filter(|id| self.is_active(engine, *id));
        let running: Vec<Id> = running.collect();
        self.turned_away.extend(running);
    }

    /// Who runs again begins anew, without having been stopped.
    fn forget_completed(&mut self, engine: &Engine, id: Id) {
        let oneshot = engine.graph().node(id).kind == Kind::Oneshot;
        let stays = !self.is_leaving(engine, id) && engine.failing(id).is_none() && !engine.is_ending();
        if oneshot && stays && engine.progress(id) == Progress::Completed {
            *self.of(id) = Known::default();
        }
    }

    pub fn reported(&mut self, engine: &Engine, event: &Event) {
        match *event {
            // Perhaps somebody else has started it.
            Event::Started(id) if !self.of(id).active => {
                *self.of(id) = Known { active: true, started: true, ..Known::default() };
            }
            Event::Started(id) if !self.of(id).stopping => self.of(id).started = true,
            Event::Started(_) => {}
            Event::Ready(id) => self.alive(id, |known| known.ready = true),
            Event::Healthy(id) => self.alive(id, |known| known.healthy = true),
            Event::Unhealthy(id) => self.alive(id, |known| (known.ready, known.healthy) = (true, false)),
            Event::Completed(id) => {
                let graph = engine.graph();
                // One that is left out by now is told to stop all the same: it may have something to undo.
                let is_process = self.is_process[id.0 as usize] && graph.node(id).kind == Kind::Process;
                let stays = !engine.is_ending() && graph.id(graph.name(id)) == Some(id);
                if !is_process && stays && !self.of(id).active {
                    self.of(id).active = true;
                    self.not_undone.insert(id);
                }
                self.alive(id, |known| (known.active, known.completed) = (!is_process, true));
            }
            Event::Died(id) => self.alive(id, |known| *known = Known { active: true, ..Known::default() }),
            Event::Failed(id, _) => self.alive(id, |known| *known = Known::default()),
            Event::Stopped(id) | Event::Absent(id) if !self.of(id).active => {}
            Event::Stopped(id) | Event::Absent(id) => *self.of(id) = Known::default(),
            Event::Deadline | Event::Request(..) | Event::Reachable(_) | Event::Recovered(..) | Event::Answered(..) => {}
            Event::Missed(..) | Event::Extend(..) | Event::Begun(..) => {}
        }
    }

    fn alive(&mut self, id: Id, change: impl FnOnce(&mut Known)) {
        let known = self.of(id);
        if known.active && !known.stopping {
            change(known);
        }
    }

    /// Numbers may mean other nodes now.
    pub fn renumber(&mut self, engine: &Engine) {
        for id in engine.graph().living() {
            let index = id.0 as usize;
            if index >= self.known.len() {
                self.known.resize(index + 1, Known::default());
                self.names.resize(index + 1, String::new());
                self.is_process.resize(index + 1, false);
            }
            let name = engine.graph().name(id);
            if self.names[index] != name {
                self.names[index] = name.into();
                self.known[index] = Known::default();
            }
            // What runs remains what it was started as.
            if !self.known[index].active {
                self.is_process[index] = engine.graph().node(id).kind == Kind::Process;
            }
        }
    }

    fn forget_stopped(&mut self, engine: &Engine) {
        let gone: Vec<Id> = self.turned_away.iter().copied().filter(|id| !self.is_active(engine, *id)).collect();
        gone.iter().for_each(|id| _ = self.turned_away.remove(id));
    }

    pub fn action(&mut self, engine: &Engine, action: &Action) -> Result<(), String> {
        match *action {
            Action::Start(id) => {
                let name = engine.graph().name(id);
                if self.of(id).active {
                    return Err(format!("{name} is started twice"));
                }
                if engine.wish(id) == Wish::Down {
                    return Err(format!("{name} is started, and nobody wants it"));
                }
                for &edge in engine.graph().edges(id) {
                    let to = engine.graph().name(edge.to);
                    if !self.holds(engine, edge) && matches!(edge.strength, Strength::Hard(_)) {
                        return Err(format!("{name} is started before {to} is {}", edge.until));
                    }
                    if !self.holds(engine, edge) && self.may_come(engine, edge) {
                        return Err(format!("{name} is started without waiting for {to} to be {}", edge.until));
                    }
                }
                self.started.insert(id, self.requests);
                self.not_undone.remove(&id);
                self.is_process[id.0 as usize] = engine.graph().node(id).kind == Kind::Process;
                *self.of(id) = Known { active: true, ..Known::default() };
            }
            Action::Stop(id) => {
                let name = engine.graph().name(id);
                self.turned_away.remove(&id);
                let known = self.of(id);
                if !known.active || known.stopping {
                    return Err(format!("{name} is stopped, and is not there"));
                }
                known.stopping = true;
                if engine.is_ending() && self.is_too_early(engine, id) {
                    return Err(format!("the logger {name} is stopped while others live"));
                }
                for (from, edge) in engine.graph().dependents(id) {
                    let above = engine.graph().name(from);
                    if !self.is_active(engine, from) || self.not_undone.contains(&from) {
                        continue;
                    }
                    let (down, forced) = (engine.wish(id) == Wish::Down, self.forced.contains(&id));
                    let bad = match edge.strength {
                        _ if engine.wish(from) == Wish::Down || self.turned_away.contains(&from) => true,
                        Strength::Hard(Bond::Stay) => down && !forced,
                        Strength::Hard(Bond::Follow) => !forced,
                        Strength::Hard(Bond::Start) | Strength::Soft | Strength::Order => false,
                    };
                    if bad {
                        return Err(format!("{name} is stopped before {above}"));
                    }
                }
            }
            Action::Reload(id) | Action::Examine(id)
                if !self.of(id).started && !self.of(id).completed && !self.of(id).ready =>
            {
                return Err("reload of one that does not run".into());
            }
            Action::Reload(_)
            | Action::Examine(_)
            | Action::Await(_)
            | Action::Forget(_)
            | Action::Publish(_)
            | Action::Finished(..) => {}
        }
        Ok(())
    }

    /// At the end loggers, and what they need, wait for everybody else.
    fn is_too_early(&self, engine: &Engine, id: Id) -> bool {
        let living = engine.graph().living();
        let mut late: BTreeSet<Id> = BTreeSet::new();
        let mut walk: Vec<Id> = living.iter().copied().filter(|&id| engine.graph().node(id).logger).collect();
        while let Some(id) = walk.pop() {
            if late.insert(id) {
                walk.extend(engine.graph().edges(id).iter().map(|edge| edge.to));
            }
        }
        let active = |id: &Id| self.known[id.0 as usize].active;
        late.contains(&id) && living.iter().any(|id| active(id) && !late.contains(id))
    }

    fn is_active(&self, engine: &Engine, id: Id) -> bool {
        let kind = engine.graph().node(id).kind;
        let point = !kind.has_process() && engine.progress(id) == Progress::Completed;
        self.known[id.0 as usize].active || point
    }

    fn is_leaving(&self, engine: &Engine, id: Id) -> bool {
        let known = &self.known[id.0 as usize];
        self.is_active(engine, id) && (known.stopping || engine.wish(id) == Wish::Down || !engine.blockers(id).is_empty())
    }

    fn holds(&self, engine: &Engine, edge: Edge) -> bool {
        let known = &self.known[edge.to.0 as usize];
        let node = engine.graph().node(edge.to);
        if self.is_leaving(engine, edge.to) {
            return false;
        }
        match node.kind {
            Kind::Milestone | Kind::Bundle => engine.progress(edge.to) == Progress::Completed,
            Kind::Oneshot if known.completed => true,
            Kind::Oneshot => edge.until == Condition::Started && (known.started || known.ready),
            Kind::Process => {
                // It counts for what it was, however little of that was heard before its end.
                let ended = known.completed && engine.progress(edge.to) == Progress::Completed;
                let started = ended || known.active && (known.started || known.ready || known.healthy);
                match edge.until {
                    Condition::Started => started,
                    Condition::Ready if node.readiness => (ended || known.active) && (known.ready || known.healthy),
                    Condition::Ready => started,
                    Condition::Healthy => known.active && known.healthy,
                    Condition::Completed => ended,
                }
            }
        }
    }

    /// Whether what the edge waits for may come by itself.
    fn may_come(&self, engine: &Engine, edge: Edge) -> bool {
        let ended = engine.graph().node(edge.to).kind == Kind::Process && edge.until != Condition::Completed;
        engine.wish(edge.to) != Wish::Down
            && engine.failing(edge.to).is_none()
            && !engine.is_stuck(edge.to)
            && match engine.progress(edge.to) {
                Progress::Failed(_) | Progress::Stopping { overdue: true } => false,
                Progress::Completed => !ended,
                _ => true,
            }
    }

    /// After every step: nothing is idle that could go on.
    pub fn state(&mut self, engine: &Engine, now: Millis) -> Result<(), String> {
        if engine.deadline().is_some_and(|at| at < now) {
            return Err("a deadline is left behind".into());
        }
        self.forced.retain(|&id| engine.wish(id) == Wish::Down);
        self.forget_stopped(engine);
        let living = engine.graph().living();
        let anybody = living.iter().any(|&id| self.is_active(engine, id));
        for id in living {
            let (wish, progress) = (engine.wish(id), engine.progress(id));
            let node = engine.graph().node(id);
            let edges = engine.graph().edges(id);
            let held = |edge: &&Edge| !self.holds(engine, **edge);
            let waits = edges.iter().filter(held).any(|edge| self.may_come(engine, *edge));
            let mut hard = edges.iter().filter(|edge| matches!(edge.strength, Strength::Hard(_))).filter(held);
            let bad = match progress {
                Progress::Down => wish != Wish::Down,
                Progress::Waiting | Progress::Awaiting | Progress::Failed(_) if wish == Wish::Down => true,
                Progress::Waiting if node.admission == Admission::Refused => true,
                // That is found out by and by, and nobody is needed before.
                Progress::Waiting if node.admission == Admission::Pending => false,
                Progress::Failed(Reason::Condition) => node.admission != Admission::Refused,
                Progress::Waiting if node.kind == Kind::Bundle => !waits,
                Progress::Waiting => !waits || hard.any(|edge| !self.may_come(engine, *edge)),
                Progress::Awaiting => waits || hard.next().is_some() || node.admission != Admission::Open,
                Progress::Failed(Reason::Dependency(_)) if node.admission != Admission::Open => true,
                Progress::Failed(Reason::Dependency(on)) => {
                    (node.kind == Kind::Bundle && waits) || !hard.any(|edge| edge.to == on)
                }
                Progress::Starting | Progress::Up(_) | Progress::Completed if wish == Wish::Down => {
                    let above = engine.graph().dependents(id).any(|(from, _)| self.is_active(engine, from));
                    !(above || engine.is_ending() && anybody)
                }
                Progress::Starting | Progress::Up(_) => !self.is_active(engine, id),
                // A point in time passes; what runs is done when it says so.
                Progress::Completed if node.kind.has_process() => !self.known[id.0 as usize].completed,
                Progress::Failed(_) | Progress::Completed | Progress::Stopping { .. } => false,
            };
            if bad {
                let (name, blockers) = (engine.graph().name(id), engine.blockers(id));
                return Err(format!("{name} is idle: {wish:?} {progress:?}, blocked by {blockers:?}"));
            }
        }
        Ok(())
    }

    /// A request says that it is done.
    pub fn done(&mut self, engine: &Engine, number: u64, request: &Request) -> Result<(), String> {
        match request {
            // Once they were up; somebody may have turned them round since.
            Request::Start(nodes)
                if nodes.len() == 1 && engine.wish(nodes[0]) != Wish::Down && engine.failing(nodes[0]).is_none() =>
            {
                self.is_up(engine, nodes[0])
            }
            Request::Run(node) => self.is_up(engine, *node),
            Request::Stop { nodes, .. } if nodes.iter().any(|&id| self.stays(engine, id, number)) => Err("it is up".into()),
            Request::Shutdown if self.known.iter().any(|known| known.active) => Err("somebody is up".into()),
            Request::Start(_) | Request::Restart(_) | Request::Stop { .. } => Ok(()),
            Request::Shutdown | Request::Apply(_) => Ok(()),
        }
    }

    /// It is there, and has been since before the request.
    fn stays(&self, engine: &Engine, id: Id, number: u64) -> bool {
        self.is_active(engine, id)
            && engine.wish(id) == Wish::Down
            && !self.not_undone.contains(&id)
            && self.started.get(&id).is_some_and(|&started| started < number)
    }

    fn is_up(&mut self, engine: &Engine, id: Id) -> Result<(), String> {
        let node = engine.graph().node(id);
        let until = if node.kind == Kind::Process { Condition::Ready } else { Condition::Completed };
        // A bundle may have settled, and lost a member in the same moment.
        let edge = Edge { to: id, strength: Strength::Order, until };
        let completed = self.known[id.0 as usize].completed;
        if self.holds(engine, edge) || completed { Ok(()) } else { Err(format!("{} is not up", node.name)) }
    }

    /// Nothing happens any more: everybody is where he is wished, or has failed.
    pub fn rest(&self, engine: &Engine) -> Result<(), String> {
        for id in engine.graph().living() {
            let (name, progress) = (engine.graph().name(id), engine.progress(id));
            match progress {
                Progress::Waiting | Progress::Awaiting | Progress::Starting | Progress::Stopping { overdue: false } => {
                    return Err(format!("{name} stays {progress:?}: {:?}", engine.explain(id, Millis::ZERO)));
                }
                Progress::Up(_) | Progress::Completed if engine.wish(id) == Wish::Down && !engine.is_stuck(id) => {
                    return Err(format!("{name} stays up"));
                }
                Progress::Up(_) | Progress::Completed if self.turned_away.contains(&id) && !engine.is_stuck(id) => {
                    return Err(format!("{name} stays up, though its conditions, or those of one it needs, ceased to hold"));
                }
                // One that never stops, and those that it holds.
                Progress::Stopping { overdue: true } => {}
                Progress::Down | Progress::Up(_) | Progress::Completed | Progress::Failed(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether who is tied so stops with what it needs.
fn ties(relation: Relation) -> bool {
    matches!(relation, Relation::Needs(Bond::Stay | Bond::Follow))
}
