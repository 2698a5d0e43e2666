//! A new set of definitions takes the place of the old one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::build::Graph;
use super::definition::{Admission, Id, Node};
use super::engine::{Action, Engine};
use super::plan::{Change, Step, Why, is_other};
use super::request::{Goal, Refusal};
use super::state::{Progress, Reason, Run, Wish};

impl Engine {
    /// Does what [`Engine::plan`] says. A set that is wrong changes nothing.
    pub(super) fn ask_apply(&mut self, nodes: Vec<Node>) -> Result<Vec<(Id, Goal)>, Refusal> {
        let graph = self.graph.succeed(nodes, |id| self.is_busy(id)).map_err(Refusal::Problems)?;
        let kept = core::mem::take(&mut self.kept);
        let steps = self.plan(&graph, &kept);
        let was_wanted: BTreeSet<Id> = self.graph.living().into_iter().filter(|&id| self.is_wanted(id)).collect();
        let mut watched = Vec::new();
        for id in self.graph.living() {
            if graph.id(self.graph.name(id)).is_none() {
                self.wish_down(id);
                if graph.is_retired(id) {
                    watched.push((id, Goal::Down));
                }
            }
        }
        let old = core::mem::replace(&mut self.graph, graph);
        self.adjust(&old);
        let mut restarted = BTreeSet::new();
        let examined = self.examined(&steps, &old);
        for step in &steps {
            let Some(id) = self.graph.id(&step.name) else { continue };
            let wished = self.runs[id.at()].is_wished();
            let before = old.id(&step.name).map(|before| old.node(before));
            let comes = match step.change {
                Change::Start => true,
                // A bundle that was up only by what is in it, and no longer is one.
                Change::Restart => !wished && self.graph.node(id).up && was_wanted.contains(&id),
                Change::Stop | Change::Reload | Change::Nothing => false,
            };
            match step.change {
                _ if comes => {
                    let is_needed = matches!(step.why, Why::NeededBy(_));
                    self.wish_up(id, if is_needed { Wish::Dependency } else { Wish::Explicit });
                    // On its way out still, as what it was.
                    self.run(id).again |= self.is_active(id) && before.is_some_and(|it| is_other(it, self.graph.node(id)));
                    self.renew(id, None);
                    self.pull(id, true);
                    watched.push((id, Goal::Up));
                }
                Change::Restart if self.leader(&steps, step).is_some_and(|leader| examined.contains(&leader)) => {
                    // Who follows it is restarted with it.
                    if examined.contains(&id) {
                        self.out.push(Action::Examine(id));
                    }
                }
                Change::Restart if wished => _ = restarted.insert(id),
                // On its way out still: if somebody wants it up before, what starts is what it is now.
                Change::Restart if self.is_active(id) => self.run(id).again = true,
                Change::Reload if self.has_risen(id) => self.out.push(Action::Reload(id)),
                Change::Stop => {
                    let on = if let Why::Needs(on) = &step.why { self.graph.id(on) } else { None };
                    self.turn_away(id, on.map_or(Reason::Condition, Reason::Dependency));
                }
                Change::Start | Change::Restart | Change::Reload | Change::Nothing => {}
            }
            // One that was down by its definition may be up, or kept out, already.
            let stays = wished || step.change == Change::Stop;
            if stays && self.graph.node(id).up && before.is_some_and(|before| !before.up) {
                self.wish_up(id, Wish::Explicit);
            }
        }
        watched.extend(self.restart(restarted));
        Ok(watched)
    }

    /// What was wanted of some that left, and come again with the next set: that counts, and not that they are new.
    pub fn keep_wishes(&mut self, wishes: BTreeMap<String, Wish>) {
        self.kept = wishes;
    }

    /// It stops, and has failed then, until its conditions, or those of what it needs, let it in again. A process that had ended well
    /// counts no longer for what it was.
    fn turn_away(&mut self, id: Id, reason: Reason) {
        if self.is_active(id) {
            self.run(id).doom.get_or_insert(reason);
            self.touch(id);
        } else if self.runs[id.at()].progress == Progress::Completed {
            self.set(id, Progress::Failed(reason));
        }
    }

    /// Those that run, and go on until it is known that they can start as they are now.
    fn examined(&self, steps: &[Step], old: &Graph) -> BTreeSet<Id> {
        let changed = steps.iter().filter(|step| step.change == Change::Restart && step.why == Why::Changed);
        let ids = changed.filter_map(|step| self.graph.id(&step.name));
        let is_examined = |id: &Id| {
            let node = self.graph.node(*id);
            let before = old.id(&node.name).map(|before| old.node(before));
            let is_same_kind = before.is_some_and(|before| before.kind == node.kind);
            node.examined && is_same_kind && node.admission != Admission::Refused && self.has_risen(*id)
        };
        ids.filter(is_examined).collect()
    }

    /// The one that has changed itself, and for whose sake this one is restarted.
    fn leader(&self, steps: &[Step], step: &Step) -> Option<Id> {
        let mut step = step;
        while let Why::Follows(leader) = &step.why {
            step = steps.iter().find(|step| step.name == *leader)?;
        }
        self.graph.id(&step.name)
    }

    /// Its number cannot be given to another one.
    pub(super) fn is_busy(&self, id: Id) -> bool {
        self.is_active(id) || self.runs[id.at()].progress == Progress::Awaiting
    }

    fn has_risen(&self, id: Id) -> bool {
        let run = &self.runs[id.at()];
        matches!(run.progress, Progress::Up(_) | Progress::Completed) && run.process
    }

    /// Makes what is known of nodes fit the new graph: numbers may have been given to others, and every edge may be another one.
    fn adjust(&mut self, old: &Graph) {
        let now = self.now;
        self.runs.reserve_exact(self.graph.ids().count() - self.runs.len());
        for id in self.graph.ids() {
            if id.at() == self.runs.len() {
                self.runs.push(Run::new(now));
                continue;
            }
            let given_away = old.name(id) != self.graph.name(id);
            if given_away {
                self.set_until(id, None);
                // It may stand in the lists of this step.
                let Run { queued, moving, listed, .. } = self.runs[id.at()];
                *self.run(id) = Run { queued, moving, listed, ..Run::new(now) };
            }
            let run = self.run(id);
            run.gate = None;
            run.hold = 0;
            self.enqueue(id);
        }
        // One that was left out stood as a point, of which there is nothing to stop: it begins as what it is from now on.
        for id in old.ids().filter(|&id| !old.node(id).kind.has_process()) {
            if self.runs[id.at()].progress == Progress::Completed && !self.is_active(id) {
                self.gone(id);
            }
        }
    }
}
