//! What an edit on disk would do, a new definition, or one that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svc_core::ServiceName;
use svc_core::graph::{self, Graph, Progress, Reason, Strength, Wish};
use svc_core::service::{State, Stop};
use svc_def::{Values, Watched};
use svc_proto::api;

use super::{Hub, Member};
use crate::directories::{Foresight, Found};
use crate::held::Runs;
use crate::matching::rests;
use crate::status::Now;
use crate::units::{Unit, Units, reads};

/// A file counts as newer than a process only if it is so by more than two clocks may differ.
const CLOCKS_DIFFER_MS: u64 = 5;

impl Hub {
    /// What a rescan would do; nothing is done.
    pub(super) fn plan(&mut self) -> api::Plan {
        let newer = self.newer_runs();
        self.plan_with(&newer)
    }

    /// The same, with what is known of classic services: whoever acts on it must not look once more, and see something else.
    pub(super) fn plan_with(&mut self, newer: &BTreeMap<u32, i32>) -> api::Plan {
        let before = self.units.clone();
        self.rehearsing = true;
        let Rehearsal { steps: found, mut exchanged } = self.rehearse();
        self.reread_units(|_| true);
        self.rehearsing = false;
        let graph = self.units.compose(&self.replaced);
        let next = std::mem::replace(&mut self.units, before);
        // What is no unit any more, and still there, is read anew when nothing of it is left.
        let turned = self.units.iter().filter(|(name, unit)| unit.of.is_none() && next.get(name.as_str()).is_none());
        exchanged.extend(turned.filter(|(_, unit)| unit.dir.exists()).map(|(name, _)| name.to_string()));
        let mut steps = self.told_steps(&next, &graph);
        for (name, unit) in next.iter().filter(|(name, unit)| unit.is_edited() || self.is_left_out(name, unit, &graph)) {
            let why = unit.problem.as_deref().unwrap_or_default().to_owned();
            let service = name.to_string();
            match steps.iter_mut().find(|step| step.service == service && step.change != api::Planned::Nothing) {
                // What others bring about is done all the same.
                Some(step) if !self.is_left_out(name, unit, &graph) => {
                    step.why = format!("{}; its own edit cannot be used: {why}", step.why);
                    step.broken = true;
                }
                Some(step) => (step.why, step.broken) = (why, true),
                None => {
                    steps.retain(|step| step.service != service);
                    steps.push(broken(service, why));
                }
            }
        }
        steps.extend(found);
        for service in exchanged {
            steps.retain(|step| step.service != service);
            steps.push(step(service, api::Planned::Restart, "something else stands in its place"));
        }
        self.leave_with(&mut steps, &graph);
        self.follow(&mut steps, &next);
        self.forget_old_news();
        for (service, &change) in &self.news {
            let why = if change == api::Planned::Stop { graph::Why::Removed } else { graph::Why::New };
            match steps.iter_mut().find(|step| step.service == *service) {
                // It stops for what is wrong with it.
                Some(step) if step.broken && change == api::Planned::Stop => step.change = change,
                Some(_) | None => take_in(&mut steps, step(service.clone(), change, &why.to_string())),
            }
        }
        for (member, pid) in newer.iter().filter_map(|(slot, pid)| Some((self.members.get(slot)?, *pid))) {
            let new = classic_step(member, pid);
            if !steps.iter().any(|step| step.service == new.service && step.broken) {
                self.restart_with(&mut steps, member.name.as_str());
            }
            take_in(&mut steps, new);
        }
        steps.sort_by(|one, other| one.service.cmp(&other.service));
        api::Plan { steps }
    }

    /// Takes what has come and gone on disk into the units, and says what becomes of the others.
    fn rehearse(&mut self) -> Rehearsal {
        let Foresight { removed, renamed, found } = self.directories.foresee();
        let (mut steps, mut exchanged) = (Vec::new(), BTreeSet::new());
        let mut leaving: BTreeSet<ServiceName> = BTreeSet::new();
        for identity in removed {
            if let Some(name) = self.units.with_identity(identity) {
                self.remove_unit(&name);
                leaving.insert(name);
                continue;
            }
            for (_, name) in self.made_of(identity) {
                steps.push(step(name.to_string(), api::Planned::Stop, &graph::Why::Removed.to_string()));
                leaving.insert(name);
            }
        }
        // A classic service that has become a unit.
        let is_unit = |member: &Member| {
            let dir = &member.dir;
            let has_form = || dir.join("type").exists() || svc_def::is_one_file(dir);
            !member.definition.is_managed() && member.name.producer().is_none() && member.kind == 0 && has_form()
        };
        let turned = self
            .members
            .values()
            .filter(|member| is_unit(member))
            .filter_map(|member| self.directories.read_again(member.identity));
        let turned: Vec<Found> = turned.filter(|found| found.source.is_some()).collect();
        leaving.extend(turned.iter().map(|found| found.name.clone()));
        // A classic service goes on under its new name.
        let is_unit = |hub: &Hub, identity| hub.units.with_identity(identity);
        let renamed: Vec<(ServiceName, Result<Found, _>)> =
            renamed.into_iter().filter_map(|(identity, found)| Some((is_unit(self, identity)?, found))).collect();
        renamed.iter().for_each(|(name, _)| self.turn_unit(name));
        let mut unusable = BTreeSet::new();
        let mut classic: BTreeSet<ServiceName> =
            self.members.values().filter(|it| !it.definition.is_managed()).map(|it| it.name.clone()).collect();
        for found in renamed.into_iter().map(|(_, found)| found).chain(found).chain(turned.into_iter().map(Ok)) {
            let found = match found {
                Ok(found) => found,
                Err((name, problem)) => {
                    steps.push(broken(name.to_string(), problem));
                    unusable.insert(name);
                    continue;
                }
            };
            let name = found.name.clone();
            // It has been seen to go, and the graph is still to be told so.
            let is_leaving = self.units.get(name.as_str()).is_none() && self.engine.graph().id(name.as_str()).is_some();
            let is_exchanged = leaving.contains(&name) || is_leaving;
            if let Some(problem) = self.another_kind(&found).filter(|_| !is_exchanged) {
                steps.push(broken(name.to_string(), problem));
                unusable.insert(name);
                continue;
            }
            if let Some((problem, _)) = self.obstacle(&found, &found.path).filter(|(_, passes)| !passes && !is_exchanged) {
                steps.push(broken(name.to_string(), problem));
                continue;
            }
            if is_exchanged {
                exchanged.insert(name.to_string());
            }
            match found.definition.as_ref().filter(|_| found.source.is_none()) {
                _ if found.source.is_some() => self.add_unit(found),
                Some(definition) if !is_exchanged => {
                    let (change, why) = match definition.is_down() {
                        true => (api::Planned::Nothing, graph::Why::NewAndDown),
                        false => (api::Planned::Start, graph::Why::New),
                    };
                    steps.push(step(name.to_string(), change, &why.to_string()));
                    classic.insert(name);
                }
                Some(_) | None => {}
            }
        }
        self.units.set_unusable(unusable, classic);
        Rehearsal { steps, exchanged }
    }

    /// Whether something is wrong with it that keeps it from being a service at all.
    fn is_left_out(&self, name: &ServiceName, unit: &Unit, graph: &Graph) -> bool {
        unit.problem.is_some() && graph.id(name.as_str()).is_none() && !self.replaced.contains(name)
    }

    /// Whoever needs one whose supervisor must be another one stops with it, and both start again.
    fn leave_with(&self, steps: &mut Vec<api::Step>, next: &Graph) {
        let is_replaced = |step: &&api::Step| {
            let slot = self.slot_named(&step.service).and_then(|slot| self.members.get(&slot));
            let node = next.id(&step.service).map(|id| next.node(id));
            let made = slot.filter(|member| !member.definition.is_chain()).and_then(|member| member.substance);
            step.change == api::Planned::Restart && made.zip(node).is_some_and(|(made, node)| made != node.substance)
        };
        let replaced: Vec<&str> = steps.iter().filter(is_replaced).map(|step| &*step.service).collect();
        let mut walk: Vec<graph::Id> = replaced.iter().filter_map(|name| next.id(name)).collect();
        let mut found = BTreeMap::new();
        while let Some(id) = walk.pop() {
            for (from, edge) in next.dependents(id) {
                let name = next.name(from);
                let is_new = matches!(edge.strength, Strength::Hard(_)) && !replaced.contains(&name);
                if is_new && self.has_begun(name) && found.insert(name, next.name(id)).is_none() {
                    walk.push(from);
                }
            }
        }
        for (name, on) in found {
            steps.retain(|step| step.service != name || step.change != api::Planned::Nothing);
            take_in(steps, step(name.to_owned(), api::Planned::Restart, &format!("{on}, which it needs, is replaced")));
        }
    }

    /// Whether it is wanted, and up or on the way.
    fn has_begun(&self, name: &str) -> bool {
        let wished = self.engine.graph().id(name).filter(|&id| self.engine.wish(id) != Wish::Down);
        wished.is_some_and(|id| !matches!(self.engine.progress(id), Progress::Down | Progress::Failed(_)))
    }

    /// Whether it is wanted, and has failed or ended by itself: only a start, or an edit that would restart it, starts it. One that is
    /// started on demand is armed by that.
    pub(super) fn has_ended(&self, name: &str) -> bool {
        let is_on_demand = |slot| self.members.get(&slot).is_some_and(|member| member.definition.is_on_demand());
        let wished = self.engine.graph().id(name).filter(|&id| self.engine.wish(id) != Wish::Down);
        let wished = wished.filter(|_| !self.slot_named(name).is_some_and(is_on_demand));
        wished.is_some_and(|id| match self.engine.progress(id) {
            Progress::Failed(reason) => !matches!(reason, Reason::Dependency(_) | Reason::Condition),
            Progress::Completed => self.machine_of(id).is_some_and(rests),
            _ => false,
        })
    }

    /// Who could not be started for want of one that is to start now, or is left out now, starts too.
    fn follow(&self, steps: &mut Vec<api::Step>, next: &Units) {
        let skips = |units: &Units, name: &str| units.get(name).is_some_and(|unit| unit.skipped().is_some());
        let opens = |name: &&str| {
            let starts = |step: &api::Step| step.change == api::Planned::Start && step.service == **name;
            skips(next, name) && !skips(&self.units, name) || steps.iter().any(starts)
        };
        let graph = self.engine.graph();
        let is_held = |id: &graph::Id| matches!(self.engine.progress(*id), Progress::Failed(Reason::Dependency(_)));
        let waiting = graph.living().into_iter().filter(is_held).filter_map(|id| {
            let chain = self.engine.blocked_by(id);
            let name = chain.iter().map(|blocker| graph.name(blocker.node)).find(opens)?;
            let comes = if skips(next, name) { "is left out" } else { "starts" };
            Some(step(graph.name(id).to_owned(), api::Planned::Start, &format!("{name}, which it needs, {comes}")))
        });
        waiting.collect::<Vec<_>>().into_iter().for_each(|new| take_in(steps, new));
    }

    /// Who follows a source that is restarted for its `run`, and so on.
    fn restart_with(&self, steps: &mut Vec<api::Step>, name: &str) {
        let graph = self.engine.graph();
        let mut walk: Vec<graph::Id> = graph.id(name).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = walk.pop() {
            let follows = |edge: graph::Edge| edge.strength == Strength::Hard(graph::Bond::Follow);
            let above = graph.dependents(id).filter(|(_, edge)| follows(*edge)).map(|(from, _)| from);
            for from in above.filter(|from| self.has_begun(graph.name(*from)) && seen.insert(*from)) {
                let why = graph::Why::Follows(graph.name(id).to_owned()).to_string();
                take_in(steps, step(graph.name(from).to_owned(), api::Planned::Restart, &why));
                walk.push(from);
            }
        }
    }

    /// Whether it starts as soon as nobody is in its way.
    fn is_held_up(&self, id: graph::Id) -> bool {
        let progress = self.engine.progress(id);
        matches!(progress, Progress::Waiting | Progress::Awaiting | Progress::Failed(Reason::Dependency(_)))
    }

    /// Whether nobody is in its way in the next graph.
    fn is_free(&self, name: &str, next: &Graph) -> bool {
        let Some(id) = next.id(name) else { return false };
        let there = |on, until| self.engine.graph().id(next.name(on)).is_some_and(|on| self.engine.holds(on, until));
        let is_open = next.node(id).external.is_empty() && next.node(id).admission == graph::Admission::Open;
        is_open && next.edges(id).iter().all(|edge| there(edge.to, edge.until))
    }

    /// What becomes of others when the condition of a service says this.
    pub(super) fn moved_by(&self, name: &ServiceName, verdict: &Result<(), String>) -> Vec<api::Step> {
        let mut next = self.units.clone();
        next.set_verdict(name, verdict.clone());
        let graph = next.compose(&self.replaced);
        let mut steps = self.told_steps(&next, &graph);
        steps.retain(|step| step.service != name.as_str());
        steps
    }

    fn told_steps(&self, next: &Units, graph: &Graph) -> Vec<api::Step> {
        let again = self.wishes.iter().filter(|(name, _)| graph.id(name).is_some());
        let planned = self.engine.plan(graph, &again.map(|(name, wish)| (name.clone(), *wish)).collect());
        planned.into_iter().filter_map(|step| self.told_step(step, next, graph)).collect()
    }

    /// A step in words; none if nothing at all has changed.
    fn told_step(&self, step: graph::Step, next: &Units, graph: &Graph) -> Option<api::Step> {
        let graph::Step { name, change, why } = step;
        let (was, will) = (self.units.get(&name), next.get(&name));
        let differences = differences(was, will);
        let machine = self.slot_named(&name).and_then(|slot| self.members.get(&slot)?.machine.as_ref());
        let rests = machine.is_some_and(|machine| rests(machine) || machine.state() == State::Armed);
        let wished = self.engine.graph().id(&name).filter(|&id| self.engine.wish(id) != Wish::Down);
        // A bundle is up by what is in it, and what comes in its place by itself.
        let is_up = |id| graph.id(&name).is_some_and(|next| graph.node(next).up) && self.engine.is_wanted(id);
        // Nothing runs of what was left out.
        let runs = was.and_then(Unit::skipped).is_none()
            && !rests
            && (self.has_begun(&name) || wished.is_none() && self.engine.graph().id(&name).is_some_and(is_up));
        let kept_out = |unit: Option<&Unit>| unit.and_then(Unit::kept_out).map(str::to_owned);
        let touched = other_file(was, will).filter(|_| differences.is_empty());
        let is_other = |file: PathBuf| format!("{} has changed", svc_def::shown(&file));
        let by_conditions = match (kept_out(was), kept_out(will)) {
            (None, Some(why)) if runs => Some((api::Planned::Stop, format!("its conditions no longer hold: {why}"))),
            (Some(_), None) if wished.is_some() && graph.id(&name).is_some() => {
                Some((api::Planned::Start, "its conditions hold now".to_owned()))
            }
            (None | Some(_), Some(why)) if change != graph::Change::Nothing => {
                Some((api::Planned::Nothing, format!("its conditions do not hold: {why}")))
            }
            (None | Some(_), None | Some(_)) => None,
        };
        if let Some((change, why)) = by_conditions {
            return Some(api::Step { service: name, change, why, differences, broken: false });
        }
        let is_same = differences.is_empty() && why == graph::Why::Same;
        let is_bundle = || graph.id(&name).is_some_and(|id| graph.node(id).kind == graph::Kind::Bundle);
        let waits = wished.filter(|_| change != graph::Change::Stop && change != graph::Change::Start && !is_same);
        let (change, why) = match change {
            _ if waits.is_some_and(|id| self.is_held_up(id)) => match self.is_free(&name, graph) {
                true => (api::Planned::Start, "what it waits for is gone".to_owned()),
                false => {
                    (api::Planned::Nothing, "it waits for others: what has changed counts from its start on".to_owned())
                }
            },
            graph::Change::Restart if self.has_ended(&name) => (api::Planned::Start, why.to_string()),
            graph::Change::Restart if !runs && differences.is_empty() && matches!(why, graph::Why::Follows(_)) => {
                return None;
            }
            graph::Change::Start if runs && differences.is_empty() => return None,
            graph::Change::Restart | graph::Change::Reload if !runs => {
                (api::Planned::Nothing, "it is not up: what has changed counts from its next start on".to_owned())
            }
            graph::Change::Start if !runs => (api::Planned::Start, why.to_string()),
            graph::Change::Stop if !runs && will.is_some() => return None,
            graph::Change::Stop => (api::Planned::Stop, why.to_string()),
            graph::Change::Restart => (api::Planned::Restart, touched.map_or_else(|| why.to_string(), is_other)),
            graph::Change::Reload => (api::Planned::Reload, touched.map_or_else(|| why.to_string(), is_other)),
            graph::Change::Start | graph::Change::Nothing if !differences.is_empty() => {
                (api::Planned::Nothing, "what has changed holds from then on, without a restart".into())
            }
            graph::Change::Nothing if why == graph::Why::Same => return None,
            graph::Change::Nothing if why == graph::Why::NewAndDown && is_bundle() => {
                (api::Planned::Nothing, "it is new, and up when all in it is".into())
            }
            graph::Change::Start | graph::Change::Nothing => (api::Planned::Nothing, why.to_string()),
        };
        Some(api::Step { service: name, change, why, differences, broken: false })
    }

    /// Those that are to be restarted for their `run`, by slot, with the process of each.
    pub(super) fn newer_runs(&self) -> BTreeMap<u32, i32> {
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
        let name = member.name.as_str();
        self.is_edited(name) || self.newer_run(member).is_some() || self.reads_other(name)
    }

    /// Whether a file that it watches, or is made from, is another one than what has been taken in.
    fn reads_other(&self, name: &str) -> bool {
        let facts = self.units.get(name).and_then(|unit| unit.source.facts.as_ref());
        facts.is_some_and(|facts| facts.watch().iter().any(|one| svc_def::look_at(one.pattern.clone()) != *one))
    }

    /// It starts, and so reads its files: what was written to them before counts by that.
    pub(super) fn has_read_files(&mut self, slot: u32) {
        let Some((member, machine)) = self.members.get(&slot).and_then(|it| Some((it, it.machine.as_ref()?))) else {
            return;
        };
        let started = Now::read().wall_of(machine.since());
        let watch = self.units.get(member.name.as_str()).and_then(|unit| Some(unit.source.facts.as_ref()?.watch()));
        let Some(watch) = watch.filter(|watch| !watch.is_empty()) else { return };
        let now: Vec<Watched> = watch.iter().map(|one| svc_def::look_at(one.pattern.clone())).collect();
        let is_older = |(file, _): &(PathBuf, u64)| changed_ms(file).is_none_or(|at| at + CLOCKS_DIFFER_MS < started);
        if now == watch || !now.iter().flat_map(|one| &one.files).all(is_older) {
            return;
        }
        if let Some(id) = self.engine.graph().id(member.name.as_str()) {
            self.engine.has_read(id, reads(&now));
        }
        if let Some(unit) = self.units.get_mut(&member.name) {
            unit.has_read(now);
        }
    }

    /// Whether its definition on disk is not what has been taken in.
    pub(super) fn is_edited(&self, name: &str) -> bool {
        let Some(unit) = self.units.get(name) else { return false };
        let Some(facts) = &unit.source.facts else { return unit.source.files != svc_def::Files::of(&unit.dir) };
        // Read only where something has been written to.
        let is_same = |stamp| stamp == facts.stamp;
        let name = ServiceName::parse(name).ok().filter(|_| !svc_def::edit_stamp(&unit.dir).is_none_or(is_same));
        name.is_some_and(|name| {
            let reading = svc_def::read(&unit.dir, &name, None);
            reading.source.and_then(|source| source.facts).is_none_or(|now| now.values != facts.values)
        })
    }
}

/// What has come and gone on disk.
struct Rehearsal {
    /// What becomes of those that are not in the graph.
    steps: Vec<api::Step>,
    /// Where one has gone, and another one of its name has come.
    exchanged: BTreeSet<String>,
}

fn step(service: String, change: api::Planned, why: &str) -> api::Step {
    api::Step { service, change, why: why.to_owned(), differences: Vec::new(), broken: false }
}

/// Takes in what others bring about. What is to be done with a service already counts; and what is wrong with it.
fn take_in(steps: &mut Vec<api::Step>, new: api::Step) {
    match steps.iter_mut().find(|step| step.service == new.service) {
        Some(known) if known.change == api::Planned::Nothing && !known.broken => {
            (known.change, known.why) = (new.change, new.why)
        }
        Some(_) => {}
        None => steps.push(new),
    }
}

/// A classic directory reads its small files by itself; a new `run` takes a restart.
fn classic_step(member: &Member, pid: i32) -> api::Step {
    let why = format!("run is newer than its process (pid {pid})");
    step(member.name.to_string(), api::Planned::Restart, &why)
}

/// One that stays as it was, or is not there, because what stands on disk is wrong.
fn broken(service: String, why: String) -> api::Step {
    api::Step { broken: true, ..step(service, api::Planned::Nothing, &why) }
}

/// When a file last changed, or came to be there, in milliseconds since 1970.
fn changed_ms(file: &Path) -> Option<u64> {
    let data = std::fs::metadata(file).ok()?;
    u64::try_from(data.ctime()).ok().map(|seconds| seconds * 1000 + data.ctime_nsec() as u64 / 1_000_000)
}

/// The first file that a service watches, or has its own made from, and that is another one now.
fn other_file(was: Option<&Unit>, will: Option<&Unit>) -> Option<PathBuf> {
    let files = |unit: Option<&Unit>| {
        let watch = unit?.source.facts.as_ref()?.watch();
        Some(watch.iter().flat_map(|one| one.files.clone()).collect::<Vec<_>>())
    };
    let (was, will) = (files(was)?, files(will)?);
    let other = will.iter().find(|file| !was.contains(file)).or_else(|| was.iter().find(|file| !will.contains(file)));
    other.map(|(path, _)| path.clone())
}

/// The keys whose values are others, as they are written.
fn differences(was: Option<&Unit>, will: Option<&Unit>) -> Vec<api::Difference> {
    let values =
        |unit: Option<&Unit>| Some(unit?.source.facts.as_ref().map_or_else(Values::default, |facts| facts.values.clone()));
    let (Some(old), Some(new)) = (values(was), values(will)) else { return Vec::new() };
    let files = was.zip(will).map(|(was, will)| (&was.source.files, &will.source.files));
    if let Some((was, will)) = files.filter(|(was, will)| was.is_source() && will.is_source()) {
        let difference = |key: &str| api::Difference { key: key.to_owned(), before: None, after: None };
        return was.differ(will).map(difference).collect();
    }
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
