//! Definitions that come, change and go on disk, as the graph is to know them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use svc_core::ServiceName;
use svc_def::Identity;
use svc_sys::say;

use super::{Hub, Member};
use crate::directories::Found;
use crate::held::Held;
use crate::pair::{self, Pair};
use crate::units::{Unit, kind, of_another_kind, unused};

impl Hub {
    pub(super) fn add_unit(&mut self, found: Found) {
        let Found { name, identity, scan_dir, path, definition, source, warnings, instances, .. } = found;
        let Some(source) = source else { return };
        if !self.rehearsing {
            warnings.iter().for_each(|warning| say!("svc-scan: {name}: {warning}"));
            if let Some(warning) = pair::told(warnings.iter()) {
                // One that runs was taken over from an svc-scan before us.
                match self.names.get(&name).and_then(|slot| self.members.get_mut(slot)) {
                    Some(member) => member.set_warning(Some(warning)),
                    None => drop(self.odd.insert(name.clone(), warning)),
                }
            }
            self.replaced.remove(&name);
        }
        let is_template = instances.is_some();
        let mut unit = Unit::new(identity, scan_dir, path, definition, source);
        unit.instances = instances.map(Box::new);
        self.units.insert(name.clone(), unit);
        if is_template {
            self.make_instances(&name);
        }
    }

    /// What is said of one whose supervisor was launched for another kind of service, maybe by a svc-scan before us, which refused
    /// the edit.
    pub(super) fn another_kind(&self, found: &Found) -> Option<String> {
        let Found { name, identity, path, definition, source, .. } = found;
        let is_other = if found.instances.is_some() {
            self.has_instance_of_another_kind(*identity, path)
        } else {
            let made = self.names.get(name).and_then(|slot| self.members.get(slot)).map_or(0, |member| member.kind);
            made != 0 && source.as_ref().is_some_and(|source| kind(source, definition) != made)
        };
        is_other.then(|| unused(&of_another_kind(path)))
    }

    /// Whether a template makes services of another kind than those that are there.
    fn has_instance_of_another_kind(&self, template: Identity, path: &Path) -> bool {
        let is_made = |member: &&Member| member.kind != 0 && member.identity == template.instance(&member.name);
        self.members.values().map(Box::as_ref).find(is_made).is_some_and(|member| {
            match self.directories.taken.pair(&member.name, member.identity, path) {
                Ok((Pair { source: Some(source), definition, .. }, _)) => kind(&source, &definition) != member.kind,
                Ok((Pair { source: None, .. }, _)) | Err(_) => false,
            }
        })
    }

    /// A directory of a unit is gone: what runs of it is stopped in order.
    pub(super) fn remove_unit(&mut self, name: &ServiceName) {
        for made in self.units.made_by(name) {
            self.units.remove(&made);
        }
        self.units.remove(name);
        if !self.rehearsing {
            self.odd.remove(name);
            // Its name may be another one's now.
            self.directories.unblock();
        }
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
            let read = pair::read(&name, &dir).and_then(|pair| match self.lacks(&name, &pair) {
                Some(problem) => Err(problem),
                None => Ok(pair),
            });
            match read {
                Ok(Pair { source: Some(source), definition, .. })
                    if unit.is_one_file() && kind(&source, &definition) != unit.kind() =>
                {
                    self.units.keep(&name, &of_another_kind(&dir));
                }
                Ok(Pair { instances: Some(_), .. }) if self.has_instance_of_another_kind(unit.identity, &dir) => {
                    self.units.keep(&name, &of_another_kind(&dir));
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
        let changed: BTreeMap<u32, Held> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.is_one_file())
            .filter_map(|(name, unit)| {
                let (slot, definition) = (self.names.get(name).copied()?, unit.definition.clone()?);
                (self.members.get(&slot)?.definition != definition).then_some((slot, definition))
            })
            .collect();
        // What they listen on comes with it, and may be all that has changed.
        for slot in self.members.keys().copied().collect::<Vec<u32>>() {
            let listens_elsewhere = self.open_sockets(slot);
            let definition = changed.get(&slot);
            if let (Some(member), Some(definition)) = (self.members.get_mut(&slot), definition) {
                member.definition = definition.clone();
            }
            if listens_elsewhere || definition.is_some() {
                self.define(slot);
            }
        }
    }
}
