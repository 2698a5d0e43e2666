//! Requests: they change wishes, and watch.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::build::{Edge, Strength};
use super::definition::{Admission, Bond, Condition, Id, Kind};
use super::engine::{Action, Engine};
use super::plan::pulled;
use super::request::{Dependents, Goal, Outcome, Pending, Refusal, Request, RequestId};
use super::state::{Progress, Reason, Wish};
use crate::time::Millis;

impl Engine {
    pub(super) fn request(&mut self, request: RequestId, what: Request) {
        let result = match (&what, self.ending.is_some()) {
            (Request::Start(_) | Request::Restart(_) | Request::Run(_) | Request::Apply(_), true) => {
                Err(Refusal::ShuttingDown)
            }
            (Request::Start(nodes) | Request::Restart(nodes) | Request::Stop { nodes, .. }, _) => self.known(nodes),
            (Request::Run(node), _) => self.known(core::slice::from_ref(node)),
            (Request::Apply(_) | Request::Shutdown, _) => Ok(()),
        };
        let result = result.and_then(|()| match what {
            Request::Start(nodes) => Ok(self.ask_start(&nodes)),
            Request::Stop { nodes, dependents, prune } => self.ask_stop(&nodes, dependents, prune),
            Request::Restart(nodes) => Ok(self.ask_restart(&nodes)),
            Request::Run(node) => self.ask_run(node),
            Request::Apply(nodes) => self.ask_apply(nodes),
            Request::Shutdown => Ok(self.ask_shutdown()),
        });
        match result {
            Err(refusal) => self.out.push(Action::Finished(request, Outcome::Refused(refusal))),
            Ok(watched) => self.watch(request, watched),
        }
    }

    fn known(&self, nodes: &[Id]) -> Result<(), Refusal> {
        match nodes.iter().find(|&&id| !self.knows(id) || self.graph.is_retired(id)) {
            Some(&id) => Err(Refusal::Unknown(id)),
            None => Ok(()),
        }
    }

    fn watch(&mut self, request: RequestId, watched: Vec<(Id, Goal)>) {
        if watched.is_empty() {
            self.out.push(Action::Finished(request, Outcome::Done));
            return;
        }
        self.requests.insert(request, Pending { open: watched.len(), failures: Vec::new() });
        for (id, goal) in watched {
            self.run(id).watchers.push((request, goal));
            self.list(id);
        }
    }

    fn ask_start(&mut self, nodes: &[Id]) -> Vec<(Id, Goal)> {
        let nodes: BTreeSet<Id> = nodes.iter().copied().collect();
        for &id in &nodes {
            self.wish_up(id, Wish::Explicit);
            self.renew(id, None);
            self.pull(id, true);
        }
        nodes.into_iter().map(|id| (id, Goal::Up)).collect()
    }

    /// Wishes the node up; a request that wants it down is over.
    pub(super) fn wish_up(&mut self, id: Id, wish: Wish) {
        let run = self.run(id);
        run.asked = true;
        if run.wish >= wish {
            return;
        }
        let turned = !run.is_wished();
        run.wish = wish;
        run.stuck &= !turned;
        run.gate = if turned { None } else { run.gate };
        self.touch(id);
        if turned {
            self.allow_time(id);
            self.supersede(id, Goal::Down);
        }
    }

    /// One that could not be stopped when its time for the start was over stays after all: it gets that time anew.
    fn allow_time(&mut self, id: Id) {
        let span = self.graph.node(id).start_timeout;
        let is_rising = matches!(self.runs[id.at()].progress, Progress::Starting | Progress::Up(_)) && !self.is_up(id);
        if is_rising && self.runs[id.at()].until.is_none() && span > Millis::ZERO {
            self.set_until(id, Some(self.now + span));
        }
    }

    pub(super) fn wish_down(&mut self, id: Id) {
        // Who wants it up again before it is gone gets it as it is then: its restart is not forgotten.
        let run = self.run(id);
        run.lasts = false;
        run.asked = true;
        if run.is_wished() {
            run.wish = Wish::Down;
            self.touch(id);
            self.supersede(id, Goal::Up);
        }
    }

    /// Who waits for that of this node waits in vain.
    fn supersede(&mut self, id: Id, goal: Goal) {
        for (request, watched) in core::mem::take(&mut self.run(id).watchers) {
            match watched == goal {
                true => self.settled(request, id, Err(Reason::Superseded)),
                false => self.run(id).watchers.push((request, watched)),
            }
        }
    }

    /// Gives a node that has failed another chance. `until`: what is waited for, if it is only a dependency: a process that has
    /// ended does not start again for somebody who waits for its end.
    pub(super) fn renew(&mut self, id: Id, until: Option<Condition>) {
        match self.runs[id.at()].progress {
            Progress::Failed(Reason::Dependency(_)) => {}
            Progress::Failed(_) => self.set(id, Progress::Down),
            Progress::Completed if !self.is_active(id) && until != Some(Condition::Completed) => {
                self.set(id, Progress::Down);
            }
            Progress::Starting | Progress::Up(_) | Progress::Completed | Progress::Stopping { .. } => {
                // It was to fail; it stops, and then starts again, if it may.
                if self.runs[id.at()].doom.is_some() {
                    let doom = self.turned_away(id);
                    let run = self.run(id);
                    (run.doom, run.again) = (doom, doom.is_none());
                    self.touch(id);
                }
            }
            Progress::Down | Progress::Waiting | Progress::Awaiting => {}
        }
    }

    /// Why a start would come to nothing: its conditions do not let it in, or not one by which it fails.
    fn turned_away(&self, id: Id) -> Option<Reason> {
        if self.graph.node(id).admission == Admission::Refused {
            return Some(Reason::Condition);
        }
        let run = &self.runs[id.at()];
        let reason = if let Progress::Failed(reason) = run.progress { Some(reason) } else { run.doom };
        let needs = |on| self.graph.edges(id).iter().any(|edge| edge.to == on);
        reason.filter(|&reason| matches!(reason, Reason::Dependency(on) if needs(on) && self.turned_away(on).is_some()))
    }

    /// Wishes up whatever this node depends on, hard or soft, if it may start. `retry`: also those who have failed.
    pub(super) fn pull(&mut self, id: Id, retry: bool) {
        self.walks += 1;
        let walk = self.walks;
        let mut stack = Vec::from([id]);
        while let Some(id) = stack.pop() {
            let edges: Vec<Edge> = pulled(&self.graph, id).copied().collect();
            for edge in edges {
                let run = &self.runs[edge.to.at()];
                let was_down = !run.is_wished();
                let fine = run.is_wished() && self.is_active(edge.to) && run.doom.is_none();
                self.wish_up(edge.to, Wish::Dependency);
                if retry || was_down {
                    self.renew(edge.to, Some(edge.until));
                }
                if !fine && core::mem::replace(&mut self.run(edge.to).walk, walk) != walk {
                    stack.push(edge.to);
                }
            }
        }
    }

    fn ask_stop(&mut self, nodes: &[Id], dependents: Dependents, prune: bool) -> Result<Vec<(Id, Goal)>, Refusal> {
        let mut set: BTreeSet<Id> = BTreeSet::new();
        let mut walk = nodes.to_vec();
        while let Some(id) = walk.pop() {
            if set.insert(id) && self.graph.node(id).kind == Kind::Bundle {
                walk.extend(self.graph.edges(id).iter().filter(|edge| is_hard(edge.strength)).map(|edge| edge.to));
            }
        }
        let needers = self.needers(&set, dependents == Dependents::Take);
        let in_the_way = |id: &Id| self.graph.node(*id).kind != Kind::Bundle;
        match dependents {
            Dependents::Refuse if needers.iter().any(in_the_way) => {
                return Err(Refusal::NeededBy(needers.into_iter().filter(in_the_way).collect()));
            }
            Dependents::Refuse | Dependents::Take => set.extend(needers),
            Dependents::Leave => {}
        }
        for &id in &set {
            self.wish_down(id);
        }
        if prune {
            self.prune(&mut set);
        }
        Ok(set.into_iter().map(|id| (id, Goal::Down)).collect())
    }

    /// Who needs one of these, itself or through others, and is up or on the way; `all`: those that have failed too.
    fn needers(&self, set: &BTreeSet<Id>, all: bool) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        // One that is down, and is to be, is nobody's ground to stand on.
        let there = |id: &Id| self.is_active(*id) || self.runs[id.at()].is_wished();
        let mut walk: Vec<Id> = set.iter().copied().filter(there).collect();
        while let Some(id) = walk.pop() {
            for (from, edge) in self.graph.dependents(id) {
                let run = &self.runs[from.at()];
                let on_the_way = matches!(run.progress, Progress::Down | Progress::Waiting | Progress::Awaiting);
                let concerned = run.is_wished() && (all || on_the_way || self.is_active(from));
                if is_hard(edge.strength) && concerned && !set.contains(&from) && found.insert(from) {
                    walk.push(from);
                }
            }
        }
        found
    }

    /// Stops what is only there for somebody who goes, and so on.
    fn prune(&mut self, set: &mut BTreeSet<Id>) {
        let mut walk: Vec<Id> = set.iter().copied().collect();
        while let Some(id) = walk.pop() {
            for index in 0..self.graph.edges(id).len() {
                let edge = self.graph.edges(id)[index];
                let wants = |(from, edge): (Id, Edge)| edge.strength != Strength::Order && self.runs[from.at()].is_wished();
                let unwanted =
                    self.runs[edge.to.at()].wish == Wish::Dependency && !self.graph.dependents(edge.to).any(wants);
                if unwanted && edge.strength != Strength::Order && set.insert(edge.to) {
                    self.wish_down(edge.to);
                    walk.push(edge.to);
                }
            }
        }
    }

    fn ask_restart(&mut self, nodes: &[Id]) -> Vec<(Id, Goal)> {
        let mut set: BTreeSet<Id> = BTreeSet::new();
        let mut walk = nodes.to_vec();
        while let Some(id) = walk.pop() {
            if set.insert(id) && self.graph.node(id).kind == Kind::Bundle {
                walk.extend(self.graph.edges(id).iter().filter(|edge| is_hard(edge.strength)).map(|edge| edge.to));
            }
        }
        for &id in &set {
            let wish = if nodes.contains(&id) { Wish::Explicit } else { Wish::Dependency };
            self.wish_up(id, wish);
        }
        self.restart(set)
    }

    /// Stops those of the nodes that are there, and who follows them, and starts all of them again.
    pub(super) fn restart(&mut self, mut set: BTreeSet<Id>) -> Vec<(Id, Goal)> {
        let mut walk: Vec<Id> = set.iter().copied().collect();
        while let Some(id) = walk.pop() {
            let backs = self.graph.dependents(id);
            let followers = backs.filter(|(from, edge)| {
                edge.strength == Strength::Hard(Bond::Follow) && self.is_active(*from) && self.runs[from.at()].is_wished()
            });
            walk.extend(followers.filter(|(from, _)| set.insert(*from)).map(|(from, _)| from));
        }
        for &id in &set {
            self.renew(id, None);
            if self.is_active(id) && !matches!(self.runs[id.at()].progress, Progress::Stopping { .. }) {
                self.run(id).again = true;
                self.touch(id);
            }
        }
        for &id in &set {
            self.pull(id, true);
        }
        set.into_iter().map(|id| (id, Goal::Up)).collect()
    }

    fn ask_run(&mut self, id: Id) -> Result<Vec<(Id, Goal)>, Refusal> {
        if self.graph.node(id).kind != Kind::Oneshot {
            return Err(Refusal::NotAOneshot(id));
        }
        if self.runs[id.at()].progress == Progress::Completed {
            if self.is_leaving(id) {
                // Too late to go on without a stop.
                self.run(id).again = true;
                self.drag(id, true);
            } else {
                self.run(id).process = false;
                self.set(id, Progress::Down);
            }
        }
        Ok(self.ask_start(&[id]))
    }

    fn ask_shutdown(&mut self) -> Vec<(Id, Goal)> {
        if self.ending.is_none() {
            self.begin_ending();
        }
        let all: Vec<Id> = self.graph.ids().collect();
        for &id in &all {
            self.wish_down(id);
        }
        all.into_iter().filter(|&id| self.is_active(id)).map(|id| (id, Goal::Down)).collect()
    }
}

fn is_hard(strength: Strength) -> bool {
    match strength {
        // Needed for the start only: nobody is asked later.
        Strength::Hard(Bond::Start) | Strength::Soft | Strength::Order => false,
        Strength::Hard(Bond::Stay | Bond::Follow) => true,
    }
}
