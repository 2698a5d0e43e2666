//! How nodes leave: dependents first, and at the end of everything loggers last.

use alloc::vec;
use alloc::vec::Vec;

use super::advance::Stand;
use super::build::{Edge, Strength};
use super::definition::{Bond, Id};
use super::engine::{Action, Engine};
use super::state::{Progress, Reason};

/// The end of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// Loggers, and what they depend on: these stop when nobody else is left.
    late: Vec<bool>,
    /// Which of the others are there, and which of those do not stop in time.
    there: Vec<bool>,
    jammed: Vec<bool>,
    busy: usize,
    jam: usize,
}

impl Engine {
    /// Stops a node that is to leave, if nobody above it is still there.
    pub(super) fn leave(&mut self, id: Id) {
        if let Some(stuck) = self.held(id) {
            if stuck && !self.runs[id.at()].stuck {
                self.run(id).stuck = true;
                self.count(id);
                self.touch(id);
            }
            return;
        }
        self.run(id).lasts = false;
        if self.runs[id.at()].process {
            self.out.push(Action::Stop(id));
            self.set(id, Progress::Stopping { overdue: false });
        } else {
            self.gone(id);
        }
    }

    /// Whether somebody must be gone before it; and if so, whether that one does not stop in time.
    fn held(&mut self, id: Id) -> Option<bool> {
        if let Some(ending) = self.ending.as_ref().filter(|ending| ending.late[id.at()] && ending.busy > 0) {
            return Some(ending.busy == ending.jam);
        }
        let backs = self.graph.backs(id);
        let first = (self.runs[id.at()].hold as usize).min(backs.len());
        let holder = (first..backs.len()).chain(0..first).find(|&index| self.is_leaving(backs[index].from));
        let index = holder?;
        let above = &self.runs[backs[index].from.at()];
        let stuck = above.stuck || above.progress == Progress::Stopping { overdue: true };
        self.run(id).hold = index as u32;
        Some(stuck)
    }

    /// Nothing of the node is left.
    pub(super) fn gone(&mut self, id: Id) {
        let run = self.run(id);
        run.again = false;
        run.stuck = false;
        run.process = false;
        run.reached = false;
        let next = match run.doom.take() {
            Some(reason) if run.is_wished() => Progress::Failed(reason),
            Some(_) | None => Progress::Down,
        };
        self.set(id, next);
    }

    /// The node was there, and no longer is as it was: whoever follows it does the same.
    pub(super) fn lost(&mut self, id: Id, before: Progress) {
        match before {
            Progress::Starting | Progress::Up(_) | Progress::Completed => {}
            // By a new edge one may already follow what never came up.
            _ if matches!(self.runs[id.at()].progress, Progress::Failed(_)) => {}
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Failed(_) | Progress::Stopping { .. } => {
                return;
            }
        }
        let run = &self.runs[id.at()];
        match run.progress {
            // It left nothing undone.
            Progress::Completed if self.is_active(id) => {}
            Progress::Completed | Progress::Failed(_) => self.drag(id, false),
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => self.drag(id, run.is_wished()),
            Progress::Up(_) | Progress::Stopping { .. } => self.drag(id, run.is_wished() && run.doom.is_none()),
        }
    }

    /// Those that follow the node, and those that follow them, are to stop; and to start again if the node `returns`.
    pub(super) fn drag(&mut self, id: Id, returns: bool) {
        let mut walk = Vec::from([id]);
        while let Some(id) = walk.pop() {
            let ended = self.runs[id.at()].progress == Progress::Completed && !self.is_active(id);
            for index in 0..self.graph.backs(id).len() {
                let back = self.graph.backs(id)[index];
                let edge = self.graph.edges(back.from)[back.edge as usize];
                let follows = edge.strength == Strength::Hard(Bond::Follow);
                // Who waited for what a process that has ended well was, or for its end, has nothing to lose by that.
                let lost = follows && !(ended && self.holds(id, edge.until));
                if !lost || !self.is_active(back.from) || self.is_leaving(back.from) {
                    continue;
                }
                self.mark(back.from, id, returns);
                walk.push(back.from);
            }
        }
    }

    /// A node that stays after all, or has new edges: if one that it follows has gone meanwhile or is about to go, so does it.
    pub(super) fn catch_up(&mut self, id: Id) {
        self.run(id).gate = Some(0);
        let follows = |edge: &&Edge| edge.strength == Strength::Hard(Bond::Follow);
        let gone =
            |edge: &&Edge| self.is_leaving(edge.to) || matches!(self.runs[edge.to.at()].progress, Progress::Failed(_));
        let Some(edge) = self.graph.edges(id).iter().filter(follows).find(gone) else { return };
        let (to, returns) = (edge.to, self.stand(*edge) == Stand::Wait);
        self.mark(id, to, returns);
        self.drag(id, returns);
    }

    /// The node is to stop because of that one.
    fn mark(&mut self, id: Id, because: Id, returns: bool) {
        let run = self.run(id);
        if returns {
            run.again = true;
        } else {
            run.doom = Some(Reason::Dependency(because));
        }
        self.touch(id);
    }

    /// Begins the end: who is a logger, or is needed by one, is late.
    pub(super) fn begin_ending(&mut self) {
        let nodes = self.runs.len();
        let mut late = vec![false; nodes];
        // One that was taken out keeps its number and its edges for a while; it is needed by nobody when it has gone.
        let is_there = |id: Id| !self.graph.is_retired(id) || self.is_active(id);
        let mut walk: Vec<Id> = self.graph.ids().filter(|&id| self.graph.node(id).logger && is_there(id)).collect();
        while let Some(id) = walk.pop() {
            if !core::mem::replace(&mut late[id.at()], true) {
                walk.extend(self.graph.edges(id).iter().map(|edge| edge.to));
            }
        }
        self.ending = Some(Ending { late, there: vec![false; nodes], jammed: vec![false; nodes], busy: 0, jam: 0 });
        for id in self.graph.ids() {
            self.count(id);
        }
    }

    /// Keeps the numbers of who is left at the end.
    pub(super) fn count(&mut self, id: Id) {
        let active = self.is_active(id);
        let run = &self.runs[id.at()];
        let jammed = active && (run.stuck || run.progress == Progress::Stopping { overdue: true });
        let Some(ending) = self.ending.as_mut().filter(|ending| !ending.late[id.at()]) else { return };
        let was = (ending.busy, ending.jam);
        change(&mut ending.there[id.at()], active, &mut ending.busy);
        change(&mut ending.jammed[id.at()], jammed, &mut ending.jam);
        if was != (ending.busy, ending.jam) && ending.busy == ending.jam {
            let late: Vec<bool> = ending.late.clone();
            for id in self.graph.ids().filter(|id| late[id.at()]) {
                self.enqueue(id);
            }
        }
    }
}

/// Changes one of the flags, and with it the number of those that are set.
fn change(flag: &mut bool, to: bool, number: &mut usize) {
    match (core::mem::replace(flag, to), to) {
        (false, true) => *number += 1,
        (true, false) => *number -= 1,
        (false, false) | (true, true) => {}
    }
}
