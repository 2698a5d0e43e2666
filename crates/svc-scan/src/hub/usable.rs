//! Edits that could be read, and name what is not here: whoever runs would be stopped for them, and not come back.

use std::collections::BTreeMap;

use svc_core::ServiceName;
use svc_core::graph::{Dependency, Progress, Relation, Wish};
use svc_core::service::State;
use svc_def::{Conditions, Problem, Source};

use super::Hub;
use crate::judging;
use crate::pair::{self, Pair};
use crate::units::Unit;

/// What edits lack whom that was asked of; nothing, as long as that is not known.
type Asked = BTreeMap<ServiceName, Option<String>>;

impl Hub {
    /// What an edit names that is not here: what runs, or is done, would be stopped for it, and not come back. Nor would a timer
    /// run again, or one whom somebody knocks for.
    pub(super) fn lacks(&self, name: &ServiceName, now: &Pair) -> Option<String> {
        self.lacks_among(name, now, &mut Asked::new())
    }

    fn lacks_among(&self, name: &ServiceName, now: &Pair, asked: &mut Asked) -> Option<String> {
        let unit = self.units.get(name.as_str()).filter(|unit| unit.is_one_file())?;
        if Some(&unit.source) == now.source.as_ref() && unit.definition == now.definition {
            return None;
        }
        if let Some(known) = asked.get(name) {
            return known.clone();
        }
        asked.insert(name.clone(), None);
        let lacks = self.lacks_of_all(name, now, asked);
        asked.insert(name.clone(), lacks.clone());
        lacks
    }

    /// The same of a service, or of each that a template makes.
    fn lacks_of_all(&self, name: &ServiceName, now: &Pair, asked: &mut Asked) -> Option<String> {
        let mut found: Vec<Problem> = Vec::new();
        for name in self.units.made_by(name).into_iter().chain([name.clone()]).filter(|name| self.serves(name)) {
            let Some(unit) = self.units.get(name.as_str()) else { continue };
            // What a template says of others, it says of each that it makes.
            let own = if unit.of.is_some() { pair::read(&name, &unit.dir).ok()?.source } else { now.source.clone() };
            let Some(own) = own.filter(|own| is_let_in(unit, own)) else { continue };
            let before = Some(&unit.source).filter(|was| !self.may_be_made(&name, was, &own, asked));
            let lacking = svc_def::lacks(&unit.dir, &name, before, self.config.run_dir.as_deref());
            found.extend(lacking.into_iter().filter(|one| !found.contains(one)).collect::<Vec<_>>());
        }
        pair::told(found.iter())
    }

    fn serves(&self, name: &ServiceName) -> bool {
        let machine = self.names.get(name).and_then(|slot| self.members.get(slot)?.machine.as_ref());
        machine.is_some_and(|machine| matches!(machine.state(), State::Up { .. } | State::Armed) || machine.done())
            || self.is_scheduled(name)
    }

    /// Whether something comes before its start that may make what it names.
    fn may_be_made(&self, name: &ServiceName, was: &Source, now: &Source, asked: &mut Asked) -> bool {
        if now.wait_for.iter().any(|outside| !was.wait_for.contains(outside)) {
            return true;
        }
        let is_before = |other: &Dependency| other.relation == Relation::Before;
        let puts_itself_before =
            |unit: &Unit| unit.source.relations.iter().any(|other| is_before(other) && *other.on == *name.as_str());
        let others = self.units.iter().filter(|(_, unit)| puts_itself_before(unit)).map(|(name, _)| name.as_str());
        let after = now.relations.iter().filter(|other| !is_before(other));
        after.clone().any(|other| self.is_coming(other, was))
            || others.chain(after.map(|other| &*other.on)).any(|other| self.changes(other, asked))
    }

    /// Whether it waits for this one, which starts.
    fn is_coming(&self, other: &Dependency, was: &Source) -> bool {
        let is_new = || !was.relations.contains(other);
        let Some(id) = self.engine.graph().id(&other.on) else { return is_new() };
        let is_started = || self.engine.wish(id) != Wish::Down || other.relation != Relation::After && is_new();
        match self.engine.progress(id) {
            Progress::Failed(_) => false,
            Progress::Down => is_started(),
            _ => !self.engine.holds(id, other.until),
        }
    }

    /// Whether another one is made of it than runs.
    fn changes(&self, name: &str, asked: &mut Asked) -> bool {
        let Some(unit) = self.units.get(name) else { return false };
        let is_usable =
            |name: &ServiceName| pair::read(name, &unit.dir).is_ok_and(|now| self.lacks_among(name, &now, asked).is_none());
        unit.is_changed() || self.is_edited(name) && ServiceName::parse(name).as_ref().is_ok_and(is_usable)
    }
}

/// Whether it starts by what its conditions are now; what a command says is known only if that was asked before.
fn is_let_in(unit: &Unit, now: &Source) -> bool {
    let written = |conditions: &Conditions| conditions.command.as_ref().map(|command| (command.not, command.words.clone()));
    let Some(conditions) = now.conditions.as_ref() else { return true };
    let known = written(conditions).is_none() || unit.source.conditions.as_ref().and_then(written) == written(conditions);
    known && judging::judge(conditions, svc_def::base(&unit.dir)).is_ok()
}
