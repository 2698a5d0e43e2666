//! Having done what stands on disk, and edits that count without anybody asking.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use svc_core::graph::{self, Graph, Node, Progress, Wish};
use svc_core::service::Want;
use svc_core::{Command, State};
use svc_proto::api;
use tokio::sync::oneshot;

use super::Hub;
use crate::units::Unit;
use crate::waits::{self, Answer, Goal, Item, Standing};

/// Edits of all services count without anybody asking.
const APPLY: &str = "SVC_APPLY";
const AUTO: &str = "auto";

impl Hub {
    /// Does what the plan says, and answers when it has been done.
    pub(super) fn apply(&mut self, apply: &api::Apply, answer: oneshot::Sender<Result<api::Outcomes, String>>) {
        let newer = self.newer_runs();
        let plan = self.plan_with(&newer);
        let anew: BTreeMap<String, Goal> = self.moving(&plan.steps).into_iter().collect();
        let name = |slot: u32| Some((slot, self.members.get(&slot)?.name.to_string()));
        let classic = newer.into_keys().filter_map(name).filter(|(_, name)| {
            // One with an edit that cannot be used is left alone.
            plan.steps.iter().any(|step| step.service == *name && step.change == api::Planned::Restart)
        });
        let classic: Vec<(u32, String)> = classic.collect();
        self.rescan(true);
        while !self.to_refresh.is_empty() {
            self.refresh_some();
        }
        for (slot, name) in classic {
            match self.engine.graph().id(&name) {
                Some(id) => _ = self.ask(graph::Request::Restart(vec![id])),
                None => self.tell(slot, Command::Restart),
            }
        }
        let goals = plan.steps.iter().filter_map(|step| {
            let goal = match step.change {
                // Another one of its name comes, and there is nothing yet to count the starts of.
                api::Planned::Restart if self.is_giving_way(&step.service) => Goal::Comes,
                api::Planned::Restart | api::Planned::Start => anew.get(&step.service).copied().unwrap_or(Goal::Comes),
                api::Planned::Stop => self.ended(&step.service),
                api::Planned::Reload | api::Planned::Nothing => return None,
            };
            Some((step.service.clone(), goal))
        });
        let mut goals: Vec<(String, Goal)> = goals.collect();
        let others = apply.services.iter().filter(|name| plan.steps.iter().all(|step| step.service != **name));
        goals.extend(others.map(|name| (name.clone(), self.end_of(name))).collect::<Vec<_>>());
        // A reload is a signal and over, but for those whose files are made first; as those of some that are restarted.
        let held: BTreeSet<String> =
            self.making.iter().flat_map(|(name, making)| self.told_with(name, making.then)).collect();
        let is_told = |step: &&api::Step| matches!(step.change, api::Planned::Reload | api::Planned::Restart);
        let made = plan.steps.iter().filter(is_told).filter(|step| held.contains(&step.service));
        let made: Vec<(String, Goal)> = made.map(|step| (step.service.clone(), Goal::Made)).collect();
        let goals = goals.into_iter().filter(|(service, _)| !held.contains(service));
        let mut goals: Vec<(String, Goal)> = goals.chain(made).collect();
        // A plan runs no commands, so it does not know what those of conditions say.
        let judged: Vec<String> = self.being_judged().map(ToString::to_string).collect();
        let judged = judged.into_iter().filter(|name| goals.iter().all(|(service, _)| service != name));
        goals.extend(judged.map(|name| (name, Goal::Judged)).collect::<Vec<_>>());
        let mut items: Vec<Item> = Vec::new();
        if apply.wait {
            self.news.clear();
            items = goals.into_iter().map(|(service, goal)| self.awaited(service, goal)).collect();
            items.push(Item::read());
        }
        self.wait_for(items, false, apply.timeout_ms, Answer::Control(answer));
    }

    /// What those of a plan are waited for that start, stop or restart; to be asked before they do.
    pub(super) fn moving(&self, steps: &[api::Step]) -> Vec<(String, Goal)> {
        let goal = |step: &api::Step| match step.change {
            api::Planned::Restart => Some(self.started_anew(&step.service).unwrap_or(Goal::Comes)),
            // What it had come to is not what it comes to now.
            api::Planned::Start if self.has_ended(&step.service) && !self.news.contains_key(&step.service) => {
                Some(self.started_anew(&step.service).unwrap_or(Goal::Comes))
            }
            api::Planned::Start => Some(Goal::Comes),
            api::Planned::Stop => Some(self.ended(&step.service)),
            api::Planned::Reload | api::Planned::Nothing => None,
        };
        steps.iter().filter_map(|step| Some((step.service.clone(), goal(step)?))).collect()
    }

    /// Where one comes to in the end whose start or stop somebody else has begun.
    fn end_of(&self, name: &str) -> Goal {
        let is_up = match (self.units.get(name), self.engine.graph().id(name)) {
            (Some(_), None) => false,
            (Some(unit), Some(id)) => {
                let fails = self.engine.failing(id).is_some() || matches!(self.engine.progress(id), Progress::Failed(_));
                !fails && unit.kept_out().is_none()
            }
            (None, _) => self.slot_named(name).is_some() && !self.is_giving_way(name),
        };
        if is_up { Goal::Comes } else { self.ended(name) }
    }

    /// The end of one that is stopped, whose name may go with it.
    fn ended(&self, name: &str) -> Goal {
        if self.units.get(name).is_some() { Goal::Ends } else { Goal::Gone }
    }

    /// What is waited for in the end, which may not be there yet, or not any more.
    pub(super) fn awaited(&mut self, service: String, goal: Goal) -> Item {
        match goal {
            Goal::Gone => Item { service, goal, outcome: None },
            _ => self.item(service, goal),
        }
    }

    /// The watch has begun something that nobody has asked for, and maybe waits for: who applies then does.
    pub(super) fn begun(&mut self, service: &str, change: api::Planned) {
        if self.has_read && !self.rehearsing {
            self.news.insert(service.to_owned(), change);
        }
    }

    /// Definitions that come and go with this graph.
    pub(super) fn note_news(&mut self, next: &Graph) {
        if !self.has_read {
            return;
        }
        let now = self.engine.graph();
        let names = |of: &Graph, other: &Graph, is_one: &dyn Fn(&Node) -> bool| -> Vec<String> {
            let new = of.living().into_iter().filter(|&id| is_one(of.node(id)) && other.id(of.name(id)).is_none());
            new.map(|id| of.name(id).to_owned()).collect()
        };
        let (gone, new) = (names(now, next, &|_| true), names(next, now, &|node| node.up));
        self.news.extend(gone.into_iter().map(|name| (name, api::Planned::Stop)));
        self.news.extend(new.into_iter().map(|name| (name, api::Planned::Start)));
    }

    /// What has come of it by itself is no news.
    pub(super) fn forget_old_news(&mut self) {
        let mut news = std::mem::take(&mut self.news);
        news.retain(|name, change| match change {
            api::Planned::Stop if self.units.get(name).is_some() => self.node_of(name).is_some(),
            api::Planned::Stop => self.slot_named(name).is_some() || self.node_of(name).is_some(),
            _ => !self.has_come(name),
        });
        self.news = news;
    }

    /// Whether it is up, or nobody wants it to be, or its conditions do not.
    fn has_come(&self, name: &str) -> bool {
        if self.units.get(name).is_some_and(|unit| unit.kept_out().is_some()) {
            return true;
        }
        if let Some(id) = self.engine.graph().id(name) {
            return self.engine.wish(id) == Wish::Down || self.is_there(id);
        }
        let member = self.slot_named(name).and_then(|slot| self.members.get(&slot));
        let machine = member.and_then(|member| Some((member, member.machine.as_ref()?)));
        member.is_none()
            || machine.is_some_and(|(member, machine)| {
                let goal = Goal::Until(api::Until::Ready);
                let is_up = waits::look(goal, machine, member.definition.says_ready(), None);
                matches!(is_up, Standing::Reached) || machine.want() == Want::Down
            })
    }

    /// What a service that runs is waited for when it is restarted.
    pub(super) fn started_anew(&self, service: &str) -> Option<Goal> {
        let member = self.slot_named(service).and_then(|slot| self.members.get(&slot))?;
        let machine = member.machine.as_ref()?;
        // Of one that is armed nothing runs, and nothing of it is started for an edit.
        let runs = !member.definition.is_oneshot() && machine.state() != State::Armed;
        runs.then(|| Goal::Started { before: machine.starts(), deaths: machine.deaths() })
    }

    /// Which edits count without anybody asking; and those of what is wrong, until it is not.
    pub(super) fn watch_edits(&mut self) {
        // What is made of a template may watch other files each.
        let units = self.units.iter().filter(|(_, unit)| applies(unit) || unit.is_edited());
        let watched = |unit: &Unit| {
            let watch = unit.source.facts.as_ref().map_or(&[][..], |facts| facts.watch());
            watch.iter().map(|one| one.pattern.clone()).collect::<Vec<_>>()
        };
        let places: Vec<(PathBuf, String)> =
            units.flat_map(|(_, unit)| svc_def::edited_in(&unit.dir, &watched(unit))).collect();
        self.directories.expect_edits(places);
    }

    /// Some of them have been made.
    pub(super) fn apply_edits(&mut self) {
        if !self.is_ending() {
            self.reread(&|unit| applies(unit) || unit.is_edited(), &applies);
            self.watch_edits();
        }
    }
}

/// Whether edits of a service count without anybody asking.
pub(super) fn applies(unit: &Unit) -> bool {
    let all = std::env::var_os(APPLY).is_some_and(|value| value == AUTO);
    unit.source.facts.as_ref().is_some_and(|facts| facts.applies || all)
}
