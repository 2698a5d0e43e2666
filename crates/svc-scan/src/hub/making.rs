//! Files that are made for running services: what is told to those when that has been done, or could not be.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use svc_core::graph::{self, Bond, Strength, Wish};
use svc_core::{Command, ServiceName};
use svc_proto::api;
use svc_sys::say;

use super::Hub;
use crate::outside;
use crate::waits::Goal;

/// The files of a running service are made, or looked at.
pub(super) struct Making {
    /// What they are made from may have changed meanwhile.
    again: bool,
    pub(super) then: Then,
}

/// What comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
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

impl Hub {
    /// Who is told with this one: those that follow it are restarted with it.
    pub(super) fn told_with(&self, name: &str, then: Then) -> BTreeSet<String> {
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
}
