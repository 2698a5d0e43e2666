//! Definitions that come, change and go on disk, as the graph is to know them.

use std::path::Path;
use std::rc::Rc;

use svc_core::ServiceName;
use svc_def::Source;
use svc_sys::say;

use super::Hub;
use crate::directories::Found;
use crate::held::Held;
use crate::pair::{self, Pair};
use crate::units::Unit;

impl Hub {
    pub(super) fn add_unit(&mut self, found: Found) {
        let Found { name, identity, scan_dir, path, definition, source, warnings, instances, .. } = found;
        let Some(source) = source else { return };
        for warning in &warnings {
            say!("svc-scan: {name}: {warning}");
        }
        self.replaced.remove(&name);
        let is_template = instances.is_some();
        let mut unit = Unit::new(identity, scan_dir, path, definition, source);
        unit.instances = instances.map(Box::new);
        self.units.insert(name.clone(), unit);
        if is_template {
            self.make_instances(&name);
        }
    }

    /// A directory of a unit is gone: what runs of it is stopped in order.
    pub(super) fn remove_unit(&mut self, name: &ServiceName) {
        for made in self.units.made_by(name) {
            self.units.remove(&made);
        }
        self.units.remove(name);
        // Its name may be another one's now.
        self.directories.unblock();
    }

    /// A directory is no longer this unit, but something else: it is read anew when nothing of the unit is left.
    pub(super) fn turn_unit(&mut self, name: &ServiceName) {
        let made = self.units.made_by(name);
        let lives = made.iter().chain([name]).any(|name| self.names.contains_key(name));
        for made in made {
            self.units.remove(&made);
        }
        let Some(unit) = self.units.remove(name) else { return };
        if !lives && !self.rehearsing {
            self.directories.forget(unit.identity);
        }
    }

    /// Reads units again. What is wrong with one leaves it as it was.
    pub(super) fn reread_units(&mut self, which: impl Fn(&Unit) -> bool) {
        self.reread(&which, &which);
    }

    /// The same; of those that are not to be taken in, only whether what was wrong with them still is.
    pub(super) fn reread(&mut self, which: &dyn Fn(&Unit) -> bool, takes: &dyn Fn(&Unit) -> bool) {
        // What a template has made is read with it.
        let all: Vec<(ServiceName, Rc<Path>)> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.of.is_none() && which(unit))
            .map(|(name, unit)| (name.clone(), unit.dir.clone()))
            .collect();
        for (name, dir) in all {
            // Gone: that is told by the directories.
            if !dir.exists() {
                continue;
            }
            let Some(unit) = self.units.get(name.as_str()) else { continue };
            match pair::read(&name, &dir) {
                Ok(Pair { source: Some(source), definition, .. })
                    if unit.is_one_file()
                        && !(is_same_kind(&unit.source, &source) && forks(&unit.definition) == forks(&definition)) =>
                {
                    let shown = svc_def::shown(&dir);
                    let problem = format!(
                        "{shown}: it is of another kind now: take it out and put it back (mv it aside, and again here)"
                    );
                    self.units.keep(&name, &problem);
                }
                Ok(Pair { source: Some(_), .. }) if !takes(unit) => self.units.forgive(&name),
                Ok(Pair { source: Some(source), instances: Some(instances), .. }) => {
                    self.units.read_again(&name, None, source);
                    if let Some(unit) = self.units.get_mut(&name) {
                        unit.instances = Some(Box::new(instances));
                    }
                    self.make_instances(&name);
                }
                Ok(Pair { source: Some(source), definition, .. }) => self.units.read_again(&name, definition, source),
                Ok(Pair { source: None, .. }) => self.turn_unit(&name),
                Err(problem) => self.units.keep(&name, &problem),
            }
        }
        let skipped = self.units.iter().map(|(name, unit)| (name.clone(), unit.skipped().map(str::to_owned))).collect();
        self.judge(&takes);
        self.say_skipped(&skipped);
    }

    /// Services with a service.toml are what it says now.
    pub(super) fn redefine(&mut self) {
        let changed: Vec<(u32, Held)> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.is_one_file())
            .filter_map(|(name, unit)| {
                let (slot, definition) = (self.names.get(name).copied()?, unit.definition.clone()?);
                (self.members.get(&slot)?.definition != definition).then_some((slot, definition))
            })
            .collect();
        // What they listen on comes with it, and may be all that has changed.
        let with_sockets: Vec<u32> = self.members.keys().copied().collect();
        for slot in with_sockets {
            self.open_sockets(slot);
        }
        for (slot, definition) in changed {
            if let Some(member) = self.members.get_mut(&slot) {
                member.definition = definition;
            }
            self.define(slot);
        }
    }
}

/// Whether the same supervisor can go on with it.
pub(super) fn is_same_kind(before: &Source, now: &Source) -> bool {
    let number = |source: &Source| match &source.kind {
        svc_def::Kind::Longrun if source.timer.is_some() => 4,
        svc_def::Kind::Longrun => 0,
        svc_def::Kind::Oneshot { up: None, down: None } => 1,
        svc_def::Kind::Oneshot { .. } => 2,
        svc_def::Kind::Bundle { .. } => 3,
    };
    now.facts.is_some() && number(before) == number(now)
}

/// Whether it is a forking daemon, which is of a kind of its own.
pub(super) fn forks(definition: &Option<Held>) -> bool {
    definition.as_ref().is_some_and(|definition| definition.forks())
}
