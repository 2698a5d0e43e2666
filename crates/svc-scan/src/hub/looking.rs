//! What a look at the directories brings: services that come, change their name, are repaired, or go.

use super::{COMMAND, Hub};
use crate::directories::{Changes, Found};
use crate::held::{Held, Runs};
use crate::{matching, pair};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use svc_core::roster::Happened;
use svc_core::service::Stage;
use svc_core::{Command, Definition, Service, ServiceName};
use svc_def::Identity;
use svc_proto::api;
use svc_proto::ledger::MAX_SLOTS;
use svc_sys::{clock, say};

/// Directories that are being read keep others from starting for no longer than this.
const MOST_READING: svc_core::Millis = svc_core::Millis::from_secs(1);
/// So many services are looked at again before others have their turn: some 40 ms.
const REFRESHED_AT_ONCE: usize = 128;

impl Hub {
    /// Looks at all directories, and at what has changed in those of running services. `asked`: somebody says that all stands there as
    /// it is meant to.
    pub(super) fn rescan(&mut self, asked: bool) {
        self.directories.rescan(asked);
        self.look_at_door(true);
        if !self.is_ending() {
            self.reread_units(|_| true);
        }
        self.look_at_directories();
        self.to_refresh = self.members.keys().copied().collect();
        self.refresh_some();
    }

    /// Looks again at the next of those that a rescan is for; others have their turn before the rest of thousands.
    pub(super) fn refresh_some(&mut self) {
        for slot in self.to_refresh.drain(..self.to_refresh.len().min(REFRESHED_AT_ONCE)).collect::<Vec<u32>>() {
            self.turn_into_unit(slot);
            self.refresh(slot);
            self.check_logger(slot);
        }
        if self.to_refresh.is_empty() {
            self.check_nodes();
        }
    }

    /// A service whose directory has got a `type` is replaced by what that says.
    fn turn_into_unit(&mut self, slot: u32) {
        let Some(member) = self.members.get(&slot) else { return };
        let is_classic = !member.definition.is_managed() && member.name.producer().is_none() && member.kind == 0;
        if !is_classic || member.name.as_str() == COMMAND || self.is_ending() || !self.roster.is_to_stay(slot) {
            return;
        }
        if let Ok(pair::Pair { source: Some(_), .. }) = pair::read(&member.name, &member.dir) {
            say!("svc-scan: {}: has become an s6-rc source: it stops, and starts again as that", member.name);
            self.happened(Happened::Removed { id: slot });
        }
    }

    /// More will be known of the directories in a moment. Somebody who writes into one all the time holds nobody up.
    pub(super) fn is_reading(&mut self) -> bool {
        let now = clock::now();
        if !self.directories.is_reading() {
            self.reading_since = None;
            return false;
        }
        now - *self.reading_since.get_or_insert(now) < MOST_READING
    }

    pub(super) fn look_at_directories(&mut self) {
        if self.is_ending() {
            return;
        }
        let Changes { removed, renamed, found, touched, edited, run_dir, unwatched, readable } =
            self.directories.look(clock::now());
        self.controls.open();
        for identity in removed {
            if let Some(name) = self.units.with_identity(identity) {
                self.remove_unit(&name);
                continue;
            }
            for (slot, name) in self.made_of(identity) {
                self.begun(name.as_str(), api::Planned::Stop);
                self.happened(Happened::Removed { id: slot });
            }
        }
        let mut services = Vec::new();
        for renamed in renamed {
            match self.units.with_identity(renamed.0) {
                // Others name it: the old one goes, and with it what needs it, and the new one comes.
                Some(name) => self.turn_unit(&name),
                None => services.push(renamed),
            }
        }
        self.rename(services);
        for found in found {
            self.start_service(found);
        }
        for slot in touched {
            self.maybe_repaired(slot);
        }
        if edited {
            self.apply_edits();
        }
        if run_dir || unwatched {
            self.look_at_door(run_dir);
        }
        self.compose();
        if !self.is_reading() {
            self.launch_delayed();
        }
        self.has_read |= !self.directories.is_new() && !self.units.is_stale();
        // Whoever waits for a name that nobody has by now need not wait any longer.
        self.check_nodes();
        self.end_early();
        self.start_command();
        if readable {
            // Nobody has asked for edits: only what is said of those who are here is looked at again.
            self.reread(&|_| true, &|_| false);
            for slot in self.members.keys().copied().collect::<Vec<u32>>() {
                self.refresh(slot);
            }
        }
    }

    /// Nothing of what stands on disk is still to be taken in.
    pub(super) fn has_taken_in(&self) -> bool {
        self.is_ending() || !(self.units.is_stale() || self.is_still_reading() || !self.to_refresh.is_empty())
    }

    pub(super) fn is_still_reading(&self) -> bool {
        self.directories.is_reading() && self.reading_since.is_none_or(|since| clock::now() - since < MOST_READING)
    }

    /// Whether a name that nobody has may be that of a directory that has not been read yet.
    pub(super) fn may_come(&self) -> bool {
        !self.is_ending() && (!self.has_read || self.is_still_reading())
    }

    /// Something happened in the directory of a service that could not be started: maybe it can be now.
    fn maybe_repaired(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        match pair::fault(&member.name, &member.dir) {
            Some(problem) => member.set_trouble(Some(problem)),
            None => {
                let waits =
                    member.machine.as_ref().is_some_and(|machine| matching::is_delayed(machine) && !machine.leaving());
                if waits && !self.replace_outside(slot) {
                    self.tell(slot, Command::Start);
                }
            }
        }
    }

    /// A supervisor whose directory was renamed, or closed to it, before it had entered it will never be in there: it leaves,
    /// and the directory is found again. Whether that is so, and the directory can be entered now.
    pub(super) fn replace_outside(&mut self, slot: u32) -> bool {
        let Some(member) = self.members.get(&slot) else { return false };
        let trouble = member.machine.as_ref().and_then(Service::trouble);
        let is_outside = trouble.is_some_and(|trouble| trouble.stage == Stage::Directory)
            && member.definition.runs() == Runs::Directory
            && !member.definition.is_managed();
        if !is_outside || !self.roster.is_to_stay(slot) || !member.dir.join(".").exists() {
            return false;
        }
        self.happened(Happened::Removed { id: slot });
        true
    }

    pub(super) fn start_service(&mut self, mut found: Found) {
        let dir = found.path.clone();
        // A svc-scan before us had launched it, or it went and has come back before it had stopped.
        let is_same = |slot: &u32| {
            let named = self.members.get(slot).is_some_and(|member| member.name == found.name);
            named && self.roster.is_to_stay(*slot)
        };
        let is_ours = found.source.is_some() && self.slot_of(found.identity).is_some_and(|slot| is_same(&slot));
        if let Some((problem, _)) = self.obstacle(&found, &dir).filter(|_| !is_ours) {
            self.directories.refuse(found, dir, problem, true);
            return;
        }
        if let Some(problem) = self.another_kind(&found) {
            return self.directories.refuse(found, dir, problem, false);
        }
        if found.source.is_some() {
            let (name, edit) = (found.name.clone(), found.edit.take());
            self.add_unit(found);
            if let Some(problem) = edit {
                self.units.keep(&name, &problem);
            }
            return;
        }
        if self.early_end.is_some() {
            return;
        }
        let warning = pair::told(found.warnings.iter());
        for warning in &found.warnings {
            say!("svc-scan: {}: {warning}", found.name);
        }
        let Found { name, identity, scan_dir, definition: Some(definition), logger, .. } = found else { return };
        if !definition.is_down() {
            self.begun(name.as_str(), api::Planned::Start);
        }
        let Some(producer) = self.add(name.clone(), identity, scan_dir, dir.clone(), definition, None, warning) else {
            return;
        };
        if let Some((definition, identity)) = logger {
            let dir = dir.join("log").into();
            self.add(name.logger(), identity, scan_dir, dir, definition, Some(producer), None);
        }
    }

    /// What keeps a directory that can run from being a service, and whether that goes away by itself.
    pub(super) fn obstacle(&self, found: &Found, dir: &Path) -> Option<(String, bool)> {
        let shown = svc_def::shown(dir);
        let named = [&found.name, &found.name.logger()].into_iter().find_map(|name| self.names.get(name));
        let other = named.copied().or_else(|| self.slot_of(found.identity)).and_then(|slot| self.members.get(&slot));
        if let Some(other) = other {
            let is_at_another_place = *other.dir != *dir && other.identity != found.identity && other.name == found.name;
            let leaves = !is_at_another_place || self.is_giving_way(other.name.as_str());
            let there = svc_def::shown(&other.dir);
            return Some(if leaves {
                (
                    format!(
                        "{shown}: the service that was here before has not stopped yet: this one starts when that is gone"
                    ),
                    true,
                )
            } else {
                (format!("{shown}: there is another service of this name, {there}: rename or remove one of them"), false)
            });
        }
        if let Some(unit) = self.units.get(found.name.as_str()).filter(|unit| unit.identity != found.identity) {
            let there = svc_def::shown(&unit.dir);
            let problem = format!("{shown}: there is another service of this name, {there}: rename or remove one of them");
            return Some((problem, false));
        }
        let needed = 1 + found.logger.iter().count();
        let problem =
            || format!("{shown}: there are {MAX_SLOTS} services already, which is the most svc can have: remove some");
        (self.members.len() + needed > MAX_SLOTS as usize).then(|| (problem(), false))
    }

    /// Directories have new names; the services go on. Names may be exchanged, so all old ones go before any new one comes.
    pub(super) fn rename(&mut self, renamed: Vec<(Identity, ServiceName, Rc<Path>)>) {
        if renamed.is_empty() {
            // Whoever is blocked would be read again, which opens its directory, which is an event to look again.
            return;
        }
        let mut moves = Vec::new();
        for (identity, name, path) in renamed {
            let Some(slot) = self.slot_of(identity) else { continue };
            let logger = self.members.get(&slot).and_then(|member| self.names.get(&member.name.logger()).copied());
            moves.extend(logger.map(|logger| (logger, name.logger(), path.join("log").into())));
            moves.push((slot, name, path));
        }
        for (slot, ..) in &moves {
            if let Some(member) = self.members.get(slot) {
                self.names.remove(&member.name);
            }
        }
        for (slot, name, path) in moves {
            let Some(member) = self.members.get_mut(&slot) else { continue };
            member.dir = path;
            let dir = member.dir.as_os_str().as_bytes().to_vec();
            if self.names.contains_key(&name) {
                // In another scan directory.
                let shown = svc_def::shown(&member.dir);
                say!(
                    "svc-scan: {shown}: there is another {name}: this service goes on as {}: rename one of them",
                    member.name
                );
            } else {
                member.name = name;
            }
            let name = member.name.to_string();
            member.definition = Held::new(&Definition { name, dir, ..member.definition.whole() });
            self.names.insert(member.name.clone(), slot);
            self.directories.expect_no_repair(slot);
            if member.machine.as_ref().is_some_and(|machine| machine.trouble().is_some()) {
                self.directories.expect_repair(slot, &member.dir);
            }
            self.refresh(slot);
        }
        self.directories.unblock();
    }
}
