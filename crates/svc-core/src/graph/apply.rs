//! A new set of definitions takes the place of the old one.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::build::Graph;
use super::definition::{Admission, Id, Node};
use super::engine::{Action, Engine};
use super::plan::{Change, Step, Why, plan};
use super::request::{Goal, Refusal, RequestId};
use super::state::{Progress, Run, Wish};

impl Engine {
    /// Does what [`plan`] says. A set that is wrong changes nothing.
    pub(super) fn ask_apply(&mut self, request: RequestId, nodes: Vec<Node>) -> Result<Vec<(Id, Goal)>, Refusal> {
        let graph = self.graph.succeed(nodes, |id| self.is_busy(id)).map_err(Refusal::Problems)?;
        let steps = plan(&self.graph, &graph);
        let mut watched = Vec::new();
        for id in self.graph.living() {
            if graph.id(self.graph.name(id)).is_none() {
                self.wish_down(id, request);
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
            match step.change {
                Change::Start => {
                    let wish = if self.graph.node(id).up { Wish::Explicit } else { Wish::Dependency };
                    self.wish_up(id, wish, request);
                    self.renew(id, None);
                    self.pull(id, true, request);
                    watched.push((id, Goal::Up));
                }
                Change::Restart if self.leader(&steps, step).is_some_and(|leader| examined.contains(&leader)) => {
                    // Who follows it is restarted with it.
                    if examined.contains(&id) {
                        self.out.push(Action::Examine(id));
                    }
                }
                Change::Restart if wished => _ = restarted.insert(id),
                Change::Reload if self.has_risen(id) => self.out.push(Action::Reload(id)),
                Change::Restart | Change::Reload | Change::Stop | Change::Nothing => {}
            }
            // What a running node now depends on is started for it.
            let before = old.id(&step.name).map(|before| &old.node(before).dependencies);
            if wished && before != Some(&self.graph.node(id).dependencies) {
                self.pull(id, false, request);
            }
        }
        watched.extend(self.restart(restarted, request));
        Ok(watched)
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
    }
}
