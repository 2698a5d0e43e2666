//! What an edit on disk would do, and having it done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svc_core::graph::{self, Bond, Progress, Strength, Wish};
use svc_core::service::{State, Stop};
use svc_core::{Command, ServiceName};
use svc_def::Values;
use svc_proto::api;
use svc_sys::say;
use tokio::sync::oneshot;

use super::{Hub, Member};
use crate::held::Runs;
use crate::matching::rests;
use crate::outside;
use crate::status::Now;
use crate::units::{Unit, Units};
use crate::waits::{Answer, Goal, Item};

/// Edits of all services count without anybody asking.
const APPLY: &str = "SVC_APPLY";
const AUTO: &str = "auto";

/// The files of a running service are made, or looked at.
pub(super) struct Making {
    /// What they are made from may have changed meanwhile.
    again: bool,
    then: Then,
}

/// What comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Reload,
    Restart,
}

impl Then {
    /// How it is told that a service goes on with the files that it had.
    fn kept(self) -> &'static str {
        match self {
            Then::Reload => "not reloaded: ",
            Then::Restart => "not restarted: ",
        }
    }

    fn is_told_by(warning: &str) -> bool {
        [Then::Reload, Then::Restart].iter().any(|then| warning.starts_with(then.kept()))
    }
}

/// A file counts as newer than a process only if it is so by more than two clocks may differ.
const CLOCKS_DIFFER_MS: u64 = 5;

impl Hub {
    /// What a rescan would do; nothing is done.
    pub(super) fn plan(&mut self) -> api::Plan {
        let newer = self.newer_runs();
        self.plan_with(&newer)
    }

    /// The same, with what is known of classic services: whoever acts on it must not look once more, and see something else.
    fn plan_with(&mut self, newer: &BTreeMap<u32, i32>) -> api::Plan {
        let before = self.units.clone();
        self.rehearsing = true;
        self.reread_units(|_| true);
        self.rehearsing = false;
        let graph = self.units.compose(&self.replaced);
        let next = std::mem::replace(&mut self.units, before);
        let steps = graph::plan(self.engine.graph(), &graph);
        let mut steps: Vec<api::Step> = steps.into_iter().filter_map(|step| self.told_step(step, &next)).collect();
        for (name, unit) in next.iter().filter(|(_, unit)| unit.is_edited()) {
            let why = unit.problem.as_deref().unwrap_or_default().to_owned();
            let service = name.to_string();
            match steps.iter_mut().find(|step| step.service == service && step.change != api::Planned::Nothing) {
                // What others bring about is done all the same.
                Some(step) => {
                    step.why = format!("{}; its own edit cannot be used: {why}", step.why);
                    step.broken = true;
                }
                None => {
                    steps.retain(|step| step.service != service);
                    steps.push(broken(service, why));
                }
            }
        }
        let unready = self.directories.unready().map(|unready| broken(unready.name.to_owned(), unready.problem.to_owned()));
        steps.extend(unready);
        steps.extend(newer.iter().filter_map(|(slot, pid)| Some(classic_step(self.members.get(slot)?, *pid))));
        steps.sort_by(|one, other| one.service.cmp(&other.service));
        api::Plan { steps }
    }

    /// A step in words; none if nothing at all has changed.
    fn told_step(&self, step: graph::Step, next: &Units) -> Option<api::Step> {
        let graph::Step { name, change, why } = step;
        let (was, will) = (self.units.get(&name), next.get(&name));
        let differences = differences(was, will);
        let rests = self.slot_named(&name).and_then(|slot| self.members.get(&slot)?.machine.as_ref()).is_some_and(rests);
        let wished = self.engine.graph().id(&name).filter(|&id| self.engine.wish(id) != Wish::Down);
        let runs = wished
            .filter(|_| !rests)
            .is_some_and(|id| !matches!(self.engine.progress(id), Progress::Down | Progress::Failed(_)));
        let kept_out = |unit: Option<&Unit>| unit.and_then(Unit::kept_out).map(str::to_owned);
        let touched = other_file(was, will).filter(|_| differences.is_empty());
        let is_other = |file: PathBuf| format!("{} has changed", svc_def::shown(&file));
        let by_conditions = match (kept_out(was), kept_out(will)) {
            (None, Some(why)) if runs => Some((api::Planned::Stop, format!("its conditions no longer hold: {why}"))),
            (Some(_), None) if wished.is_some() => Some((api::Planned::Start, "its conditions hold now".to_owned())),
            (None | Some(_), Some(why)) if change != graph::Change::Nothing => {
                Some((api::Planned::Nothing, format!("its conditions do not hold: {why}")))
            }
            (None | Some(_), None | Some(_)) => None,
        };
        if let Some((change, why)) = by_conditions {
            return Some(api::Step { service: name, change, why, differences, broken: false });
        }
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
        Some(api::Step { service: name, change, why, differences, broken: false })
    }

    /// Those that are to be restarted for their `run`, by slot, with the process of each.
    fn newer_runs(&self) -> BTreeMap<u32, i32> {
        self.members.iter().filter_map(|(&slot, member)| Some((slot, self.newer_run(member)?))).collect()
    }

    /// The process of a classic service that was started from a `run` that is another one by now.
    fn newer_run(&self, member: &Member) -> Option<i32> {
        let machine = member.machine.as_ref()?;
        let State::Up { pid, stop: Stop::No, .. } = machine.state() else { return None };
        let started = Now::read().wall_of(machine.since());
        let is_classic = member.definition.runs() == Runs::Directory;
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
        let newer = self.newer_runs();
        let plan = self.plan_with(&newer);
        let goals: Vec<(String, Goal)> = plan
            .steps
            .iter()
            .filter_map(|step| {
                let until = Goal::Until(api::Until::Ready);
                let goal = match step.change {
                    api::Planned::Restart => self.started_anew(&step.service).unwrap_or(until),
                    api::Planned::Start => until,
                    api::Planned::Stop | api::Planned::Reload | api::Planned::Nothing => return None,
                };
                Some((step.service.clone(), goal))
            })
            .collect();
        let name = |slot: u32| Some((slot, self.members.get(&slot)?.name.to_string()));
        let classic: Vec<(u32, String)> = newer.into_keys().filter_map(name).collect();
        self.rescan();
        for (slot, name) in classic {
            match self.engine.graph().id(&name) {
                Some(id) => _ = self.ask(graph::Request::Restart(vec![id])),
                None => self.tell(slot, Command::Restart),
            }
        }
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
        let items: Vec<Item> = match apply.wait {
            true => goals.into_iter().map(|(service, goal)| self.item(service, goal)).collect(),
            false => Vec::new(),
        };
        self.wait_for(items, false, apply.timeout_ms, Answer::Control(answer));
    }

    /// What a service that runs is waited for when it is restarted.
    fn started_anew(&self, service: &str) -> Option<Goal> {
        let member = self.slot_named(service).and_then(|slot| self.members.get(&slot))?;
        let machine = member.machine.as_ref()?;
        let runs = !member.definition.is_oneshot();
        runs.then(|| Goal::Started { before: machine.starts(), deaths: machine.deaths() })
    }

    /// Who is told with this one: those that follow it are restarted with it.
    fn told_with(&self, name: &str, then: Then) -> BTreeSet<String> {
        let graph = self.engine.graph();
        let mut all = BTreeSet::from([name.to_owned()]);
        let mut walk: Vec<graph::Id> = graph.id(name).filter(|_| then == Then::Restart).into_iter().collect();
        while let Some(id) = walk.pop() {
            let follows = |edge: &graph::Edge| edge.strength == Strength::Hard(Bond::Follow);
            let followers = graph.dependents(id).filter(|(_, edge)| follows(edge)).map(|(from, _)| from);
            walk.extend(followers.filter(|from| all.insert(graph.name(*from).to_owned())));
        }
        all
    }

    /// Tells a service that what it reads has changed; what is made of that for it is made first.
    pub(super) fn reload(&mut self, slot: u32) {
        if !self.make(slot, Then::Reload) {
            self.tell(slot, Command::Reload);
        }
    }

    /// Restarts a service that could start from the files that there are now.
    pub(super) fn examine(&mut self, id: graph::Id) {
        let slot = self.slot_named(self.engine.graph().name(id));
        if slot.is_none_or(|slot| !self.make(slot, Then::Restart)) {
            self.ask(graph::Request::Restart(vec![id]));
        }
    }

    /// Has its files made for a reload; for a restart they are made between its end and its start, and only looked at now. False if
    /// it has none.
    fn make(&mut self, slot: u32, then: Then) -> bool {
        let Some(member) = self.members.get(&slot) else { return false };
        let definition = member.definition.is_made().then(|| member.definition.whole());
        let Some(options) = definition.as_ref().and_then(|definition| definition.program.made_by()) else { return false };
        let mode = match then {
            Then::Reload => "--render",
            Then::Restart => "--dry-run",
        };
        match self.making.entry(member.name.to_string()) {
            // What changes meanwhile may have been read already, or not.
            Entry::Occupied(mut making) => *making.get_mut() = Making { again: true, then },
            Entry::Vacant(place) => {
                place.insert(Making { again: false, then });
                let (name, dir) = (member.name.clone(), member.dir.to_path_buf());
                outside::make(name, dir, mode, options.to_vec(), self.admissions.reporter());
            }
        }
        true
    }

    /// The files of a service were made again, or could not be.
    pub(super) fn made(&mut self, name: &ServiceName, result: &Result<(), String>) {
        let Some(making) = self.making.remove(name.as_str()) else { return };
        let slot = self.slot_named(name.as_str());
        if making.again && slot.is_some_and(|slot| self.make(slot, making.then)) {
            return;
        }
        let kept = making.then.kept();
        if let Some(member) = slot.and_then(|slot| self.members.get_mut(&slot)) {
            let was_told = member.warning().is_some_and(|warning| Then::is_told_by(warning));
            match result {
                Ok(()) if was_told => member.set_warning(None),
                Ok(()) => {}
                Err(what) => member.set_warning(Some(format!("{kept}{what}"))),
            }
        }
        let told = self.told_with(name.as_str(), making.then);
        // From now on they are waited for like those that were restarted at once.
        let mut goals: BTreeMap<String, Goal> = BTreeMap::new();
        match (result, slot, making.then) {
            (Ok(()), Some(slot), Then::Reload) => self.tell(slot, Command::Reload),
            (Ok(()), Some(_), Then::Restart) => {
                // Somebody may have stopped it meanwhile.
                let id = self.engine.graph().id(name.as_str()).filter(|id| self.engine.wish(*id) != Wish::Down);
                if let Some(id) = id.filter(|_| !self.is_ending()) {
                    goals = told.iter().filter_map(|name| Some((name.clone(), self.started_anew(name)?))).collect();
                    self.ask(graph::Request::Restart(vec![id]));
                }
            }
            (Ok(()), None, _) => {}
            (Err(what), ..) => say!("svc-scan: {name}: {kept}{what}"),
        }
        let (result, message) = match result {
            Ok(()) => (api::Verdict::Done, "its files were made, and it was told".to_owned()),
            Err(what) => (api::Verdict::Failed, what.clone()),
        };
        let items = self.waiters.iter_mut().flat_map(|waiter| &mut waiter.items);
        for item in items.filter(|item| item.goal == Goal::Made && told.contains(&item.service)) {
            let (service, message) = (item.service.clone(), message.clone());
            match goals.get(&service) {
                Some(goal) => item.goal = *goal,
                None => item.outcome = Some(api::Outcome { service, result, message, status: None }),
            }
        }
        self.answer_waiters();
    }

    /// Which edits count without anybody asking; and those of what is wrong, until it is not.
    pub(super) fn watch_edits(&mut self) {
        // What is made of a template may watch other files each.
        let units = self.units.iter().filter(|(_, unit)| applies(unit) || unit.is_edited());
        let watched = |unit: &Unit| unit.source.facts.as_ref().map_or(&[][..], |facts| facts.watch()).to_vec();
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

/// A classic directory reads its small files by itself; a new `run` takes a restart.
fn classic_step(member: &Member, pid: i32) -> api::Step {
    let why = format!("run is newer than its process (pid {pid})");
    let service = member.name.to_string();
    api::Step { service, change: api::Planned::Restart, why, differences: Vec::new(), broken: false }
}

/// One that stays as it was, or is not there, because what stands on disk is wrong.
fn broken(service: String, why: String) -> api::Step {
    api::Step { service, change: api::Planned::Nothing, why, differences: Vec::new(), broken: true }
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
    let (was, will) = (was?.source.facts.as_ref()?.watched(), will?.source.facts.as_ref()?.watched());
    let other = will.iter().find(|file| !was.contains(file)).or_else(|| was.iter().find(|file| !will.contains(file)));
    other.map(|(path, _)| path.clone())
}

/// The keys whose values are others, as they are written.
fn differences(was: Option<&Unit>, will: Option<&Unit>) -> Vec<api::Difference> {
    let values =
        |unit: Option<&Unit>| Some(unit?.source.facts.as_ref().map_or_else(Values::default, |facts| facts.values.clone()));
    let (Some(old), Some(new)) = (values(was), values(will)) else { return Vec::new() };
    if old == new {
        return Vec::new();
    }
    let mut keys: Vec<&str> = old.iter().chain(new.iter()).map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let written = |values: &Values, key: &str| values.get(key).map(str::to_owned);
    keys.into_iter()
        .map(|key| api::Difference { key: key.to_owned(), before: written(&old, key), after: written(&new, key) })
        .filter(|difference| difference.before != difference.after)
        .collect()
}
