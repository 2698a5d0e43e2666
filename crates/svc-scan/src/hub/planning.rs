//! What an edit on disk would do, and having it done.

use std::collections::btree_map::Entry;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svc_core::graph::{self, Graph, Progress, Wish};
use svc_core::service::{State, Stop};
use svc_core::{Command, Program, ServiceName};
use svc_proto::api;
use svc_sys::say;
use tokio::sync::oneshot;

use super::{Hub, Member};
use crate::matching::rests;
use crate::outside;
use crate::status::Now;
use crate::units::{Unit, Units};
use crate::waits::{Answer, Goal, Item};

/// Edits of all services count without anybody asking.
const APPLY: &str = "SVC_APPLY";
const AUTO: &str = "auto";

/// Options of `svc exec` that make files for a service.
const MAKES: [&[u8]; 2] = [b"--template", b"--distribution"];

/// A file counts as newer than a process only if it is so by more than two clocks may differ.
const CLOCKS_DIFFER_MS: u64 = 5;

impl Hub {
    /// What a rescan would do; nothing is done.
    pub(super) fn plan(&mut self) -> api::Plan {
        let before = self.units.clone();
        self.rehearsing = true;
        self.reread_units(|_| true);
        self.rehearsing = false;
        let nodes = self.units.compose(&self.replaced);
        let next = std::mem::replace(&mut self.units, before);
        let steps = Graph::new(nodes).map_or_else(|_| Vec::new(), |graph| graph::plan(self.engine.graph(), &graph));
        let mut steps: Vec<api::Step> = steps.into_iter().filter_map(|step| self.told_step(step, &next)).collect();
        for (name, unit) in next.iter().filter(|(_, unit)| unit.is_edited()) {
            let why = unit.problem.clone().unwrap_or_default();
            let service = name.to_string();
            steps.retain(|step| step.service != service);
            steps.push(api::Step { service, change: api::Planned::Nothing, why, differences: Vec::new() });
        }
        steps.extend(self.members.values().filter_map(|member| self.classic_step(member)));
        steps.sort_by(|one, other| one.service.cmp(&other.service));
        api::Plan { steps }
    }

    /// A step in words; none if nothing at all has changed.
    fn told_step(&self, step: graph::Step, next: &Units) -> Option<api::Step> {
        let graph::Step { name, change, why } = step;
        let (was, will) = (self.units.get(&name), next.get(&name));
        let differences = differences(was, will);
        let rests = self.slot_named(&name).and_then(|slot| self.members.get(&slot)?.machine.as_ref()).is_some_and(rests);
        let runs = self.engine.graph().id(&name).filter(|_| !rests).is_some_and(|id| {
            self.engine.wish(id) != Wish::Down && !matches!(self.engine.progress(id), Progress::Down | Progress::Failed(_))
        });
        let touched = other_file(was, will).filter(|_| differences.is_empty());
        let is_other = |file: PathBuf| format!("{} has changed", svc_def::shown(&file));
        let (change, why) = match change {
            graph::Change::Restart | graph::Change::Reload if !runs => {
                (api::Planned::Nothing, "it is not up: what has changed counts from its next start on".to_owned())
            }
            graph::Change::Start => (api::Planned::Start, why.to_string()),
            graph::Change::Stop => (api::Planned::Stop, why.to_string()),
            graph::Change::Restart => (api::Planned::Restart, touched.map_or_else(|| why.to_string(), is_other)),
            graph::Change::Reload => (api::Planned::Reload, touched.map_or_else(|| why.to_string(), is_other)),
            graph::Change::Nothing if !differences.is_empty() => {
                (api::Planned::Nothing, "what has changed holds from then on, without a restart".into())
            }
            graph::Change::Nothing if why == graph::Why::Same => return None,
            graph::Change::Nothing => (api::Planned::Nothing, why.to_string()),
        };
        Some(api::Step { service: name, change, why, differences })
    }

    /// A classic directory reads its small files by itself; a new `run` takes a restart.
    fn classic_step(&self, member: &Member) -> Option<api::Step> {
        let pid = self.newer_run(member)?;
        let why = format!("run is newer than its process (pid {pid})");
        let service = member.name.to_string();
        Some(api::Step { service, change: api::Planned::Restart, why, differences: Vec::new() })
    }

    /// The process of a classic service that was started from a `run` that is another one by now.
    fn newer_run(&self, member: &Member) -> Option<i32> {
        let machine = member.machine.as_ref()?;
        let State::Up { pid, stop: Stop::No, .. } = machine.state() else { return None };
        let started = Now::read().wall_of(machine.since());
        let is_classic = member.definition.program == Program::Directory;
        let newer = is_classic && changed_ms(&member.dir.join("run")).is_some_and(|at| at > started + CLOCKS_DIFFER_MS);
        newer.then_some(pid.raw())
    }

    /// Whether what is on disk is not what the service runs by.
    pub(super) fn is_changed(&self, member: &Member) -> bool {
        let Some(unit) = self.units.get(member.name.as_str()) else { return self.newer_run(member).is_some() };
        let Some(facts) = &unit.source.facts else { return self.newer_run(member).is_some() };
        // Read only where something has been written to.
        if svc_def::edit_stamp(&unit.dir).is_none_or(|stamp| stamp == facts.stamp) {
            return false;
        }
        let reading = svc_def::read(&unit.dir, &member.name, None);
        reading.source.and_then(|source| source.facts).is_none_or(|now| now.values != facts.values)
    }

    /// Does what the plan says, and answers when it has been done.
    pub(super) fn apply(&mut self, apply: &api::Apply, answer: oneshot::Sender<Result<api::Outcomes, String>>) {
        let plan = self.plan();
        let started = |hub: &Hub, service: &str| {
            let member = hub.slot_named(service).and_then(|slot| hub.members.get(&slot))?;
            let machine = member.machine.as_ref()?;
            let runs = !matches!(member.definition.program, Program::Oneshot { .. });
            runs.then(|| Goal::Started { before: machine.starts(), deaths: machine.deaths() })
        };
        let goals: Vec<(String, Goal)> = plan
            .steps
            .iter()
            .filter_map(|step| {
                let until = Goal::Until(api::Until::Ready);
                let goal = match step.change {
                    api::Planned::Restart => started(self, &step.service).unwrap_or(until),
                    api::Planned::Start => until,
                    api::Planned::Stop | api::Planned::Reload | api::Planned::Nothing => return None,
                };
                Some((step.service.clone(), goal))
            })
            .collect();
        let classic: Vec<(u32, String)> = plan
            .steps
            .iter()
            .filter(|step| step.change == api::Planned::Restart)
            .filter_map(|step| Some((self.slot_named(&step.service)?, step.service.clone())))
            .filter(|(slot, _)| self.members.get(slot).is_some_and(|member| self.newer_run(member).is_some()))
            .collect();
        self.rescan();
        for (slot, name) in classic {
            match self.engine.graph().id(&name) {
                Some(id) => _ = self.ask(graph::Request::Restart(vec![id])),
                None => self.tell(slot, Command::Restart),
            }
        }
        // A reload is a signal and over, but for those whose files are made first.
        let reloads = plan.steps.iter().filter(|step| step.change == api::Planned::Reload);
        let made = reloads.filter(|step| self.making.contains_key(step.service.as_str()));
        let made: Vec<(String, Goal)> = made.map(|step| (step.service.clone(), Goal::Made)).collect();
        let items: Vec<Item> = match apply.wait {
            true => goals.into_iter().chain(made).map(|(service, goal)| self.item(service, goal)).collect(),
            false => Vec::new(),
        };
        self.wait_for(items, false, apply.timeout_ms, Answer::Control(answer));
    }

    /// Tells a service that what it reads has changed; what is made of that for it is made first.
    pub(super) fn reload(&mut self, slot: u32) {
        let Some(member) = self.members.get(&slot) else { return };
        let options: Vec<Vec<u8>> = match &member.definition.program {
            Program::Chain(words) => words.iter().take_while(|word| *word != b"--").cloned().collect(),
            Program::Directory | Program::Command(_) | Program::Oneshot { .. } => Vec::new(),
        };
        if !options.iter().any(|word| MAKES.contains(&word.as_slice())) {
            return self.tell(slot, Command::Reload);
        }
        let (name, dir) = (member.name.clone(), member.dir.clone());
        match self.making.entry(name.to_string()) {
            // What changes meanwhile may have been read already, or not.
            Entry::Occupied(mut again) => _ = again.insert(true),
            Entry::Vacant(place) => {
                place.insert(false);
                outside::make(name, dir, options, self.admissions.reporter());
            }
        }
    }

    /// The files of a service were made again, or could not be.
    pub(super) fn made(&mut self, name: &ServiceName, result: &Result<(), String>) {
        let again = self.making.remove(name.as_str()) == Some(true);
        let slot = self.slot_named(name.as_str());
        if let Some(slot) = slot.filter(|_| again) {
            return self.reload(slot);
        }
        match (result, slot) {
            (Ok(()), Some(slot)) => self.tell(slot, Command::Reload),
            (Ok(()), None) => {}
            (Err(what), _) => say!("svc-scan: {name}: not reloaded: {what}"),
        }
        let (result, message) = match result {
            Ok(()) => (api::Verdict::Done, "its files were made, and it was told".to_owned()),
            Err(what) => (api::Verdict::Failed, what.clone()),
        };
        let items = self.waiters.iter_mut().flat_map(|waiter| &mut waiter.items);
        for item in items.filter(|item| item.goal == Goal::Made && item.service == name.as_str()) {
            let (service, message) = (item.service.clone(), message.clone());
            item.outcome = Some(api::Outcome { service, result, message, status: None });
        }
        self.answer_waiters();
    }

    /// Which edits count without anybody asking.
    pub(super) fn watch_edits(&mut self) {
        // What is made of a template may watch other files each.
        let units = self.units.iter().filter(|(_, unit)| applies(unit));
        let watched = |unit: &Unit| unit.source.facts.as_ref().map_or(&[][..], |facts| &facts.watch).to_vec();
        let places: Vec<(PathBuf, String)> =
            units.flat_map(|(_, unit)| svc_def::edited_in(&unit.dir, &watched(unit))).collect();
        self.directories.expect_edits(places);
    }

    /// Some of them have been made.
    pub(super) fn apply_edits(&mut self) {
        if !self.is_ending() {
            self.reread_units(applies);
            self.watch_edits();
        }
    }
}

/// Whether edits of a service count without anybody asking.
fn applies(unit: &Unit) -> bool {
    let all = std::env::var_os(APPLY).is_some_and(|value| value == AUTO);
    unit.source.facts.as_ref().is_some_and(|facts| facts.applies || all)
}

/// When a file last changed, or came to be there, in milliseconds since 1970.
fn changed_ms(file: &Path) -> Option<u64> {
    let data = std::fs::metadata(file).ok()?;
    u64::try_from(data.ctime()).ok().map(|seconds| seconds * 1000 + data.ctime_nsec() as u64 / 1_000_000)
}

/// The first file that a service watches, or has its own made from, and that is another one now.
fn other_file(was: Option<&Unit>, will: Option<&Unit>) -> Option<PathBuf> {
    let files = |unit: Option<&Unit>| unit.and_then(|unit| unit.source.facts.as_ref()).map(|facts| facts.watched.clone());
    let (was, will) = (files(was)?, files(will)?);
    let other = will.iter().find(|file| !was.contains(file)).or_else(|| was.iter().find(|file| !will.contains(file)));
    other.map(|(path, _)| path.clone())
}

/// The keys whose values are others, as they are written.
fn differences(was: Option<&Unit>, will: Option<&Unit>) -> Vec<api::Difference> {
    let values = |unit: Option<&Unit>| {
        unit.and_then(|unit| unit.source.facts.as_ref()).map_or(Vec::new(), |facts| facts.values.clone())
    };
    if was.is_none() || will.is_none() {
        return Vec::new();
    }
    let (old, new) = (values(was), values(will));
    let find =
        |list: &[svc_def::Value], key: &str| list.iter().find(|value| value.key == key).map(|value| value.written.clone());
    let mut keys: Vec<&'static str> = old.iter().chain(&new).map(|value| value.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| api::Difference { key: key.to_owned(), before: find(&old, key), after: find(&new, key) })
        .filter(|difference| difference.before != difference.after)
        .collect()
}
