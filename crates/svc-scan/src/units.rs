//! Services that depend on others, as they stand on disk, and the nodes of the graph that they make.
//!
//! Each directory was checked by itself when it was read. What concerns several of them is checked here: names that nobody has,
//! circles, halves of pipelines. What is wrong with one keeps out that one and what needs it, and nothing else.

mod nodes;
mod sorting;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use svc_core::ServiceName;
use svc_core::graph::{Admission, Dependency, Graph, Relation};
use svc_def::{CommandCondition, Identity, Instances, Otherwise, Source, Watched};

use crate::held::Held;
use crate::judging;
pub(crate) use nodes::reads;

/// One directory of the s6-rc form, or with a service.toml.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) identity: Identity,
    pub(crate) scan_dir: u32,
    pub(crate) dir: Rc<Path>,
    /// What its supervisor is to know; none for a name without a process.
    pub(crate) definition: Option<Held>,
    pub(crate) source: Source,
    /// Of a template: which services it makes; its own node stands for all of them.
    pub(crate) instances: Option<Box<Instances>>,
    /// The template that made it.
    pub(crate) of: Option<ServiceName>,
    /// What keeps it out of the graph, or parts of it.
    pub(crate) problem: Option<Box<str>>,
    /// What it was before an edit, or before its conditions said something else, which has not been in the graph yet.
    before: Option<Box<Before>>,
    /// An edit that cannot be used: it is as it was before.
    #[expect(clippy::box_collection, reason = "as a rule there is none, and then it is a pointer")]
    edit: Option<Box<String>>,
    /// Whether its conditions hold, if it has any; none while that is not known.
    verdict: Option<Result<(), Box<str>>>,
}

#[derive(Clone)]
struct Before {
    definition: Option<Held>,
    source: Source,
    verdict: Option<Result<(), Box<str>>>,
}

impl Unit {
    pub(crate) fn new(identity: Identity, scan_dir: u32, dir: Rc<Path>, definition: Option<Held>, source: Source) -> Unit {
        let (instances, of) = (None, None);
        let (problem, before, edit, verdict) = (None, None, None, None);
        Unit { identity, scan_dir, dir, definition, source, instances, of, problem, before, edit, verdict }
    }
}

/// A copy shares what is not changed in it.
#[derive(Clone, Default)]
pub(crate) struct Units {
    all: BTreeMap<ServiceName, Rc<Unit>>,
    /// Names of directories that cannot be read as services.
    unusable: BTreeSet<ServiceName>,
    /// Classic directories, on which nobody can depend.
    classic: BTreeSet<ServiceName>,
    /// Something has come or gone since the graph was made.
    stale: bool,
}

impl Units {
    pub(crate) fn insert(&mut self, name: ServiceName, unit: Unit) {
        self.all.insert(name, Rc::new(unit));
        self.stale = true;
    }

    pub(crate) fn remove(&mut self, name: &ServiceName) -> Option<Rc<Unit>> {
        self.stale |= self.all.contains_key(name);
        self.all.remove(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Unit> {
        self.all.get(name).map(Rc::as_ref)
    }

    pub(crate) fn with_identity(&self, identity: Identity) -> Option<ServiceName> {
        self.all.iter().find(|(_, unit)| unit.identity == identity).map(|(name, _)| name.clone())
    }

    pub(crate) fn get_mut(&mut self, name: &ServiceName) -> Option<&mut Unit> {
        self.all.get_mut(name).map(Rc::make_mut)
    }

    /// Whom a template stands for.
    pub(crate) fn set_contents(&mut self, template: &ServiceName, contents: Vec<ServiceName>) {
        let Some(unit) = self.all.get_mut(template) else { return };
        let kind = svc_def::Kind::Bundle { contents };
        if unit.source.kind != kind {
            self.stale = true;
            Rc::make_mut(unit).source.kind = kind;
        }
    }

    /// What a template has made.
    pub(crate) fn made_by(&self, template: &ServiceName) -> Vec<ServiceName> {
        self.all.iter().filter(|(_, unit)| unit.of.as_ref() == Some(template)).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ServiceName, &Unit)> {
        self.all.iter().map(|(name, unit)| (name, unit.as_ref()))
    }

    /// It was read again. What it was before holds on if the new one does not fit in.
    pub(crate) fn read_again(&mut self, name: &ServiceName, definition: Option<Held>, source: Source) {
        let Some(unit) = self.all.get_mut(name) else { return };
        let same = unit.source == source && unit.definition == definition;
        if same && unit.edit.is_none() {
            return;
        }
        self.stale = true;
        let unit = Rc::make_mut(unit);
        unit.edit = None;
        if !same {
            unit.remember();
            (unit.definition, unit.source) = (definition, source);
        }
    }

    /// It was read again, and makes no sense: it stays as it was.
    pub(crate) fn keep(&mut self, name: &ServiceName, problem: &str) {
        let Some(unit) = self.all.get_mut(name) else { return };
        let edit = Some(Box::new(unused(problem)));
        if unit.edit != edit {
            self.stale = true;
            Rc::make_mut(unit).edit = edit;
        }
    }

    /// An edit that made no sense makes some now, or was taken back.
    pub(crate) fn forgive(&mut self, name: &ServiceName) {
        let Some(unit) = self.all.get_mut(name) else { return };
        if unit.edit.is_some() {
            self.stale = true;
            Rc::make_mut(unit).edit = None;
        }
    }

    /// Looks at the conditions of those that have not been looked at, or of all. Returns the commands that are to be run for it.
    pub(crate) fn judge(&mut self, again: &dyn Fn(&Unit) -> bool) -> Vec<(ServiceName, PathBuf, CommandCondition)> {
        let mut commands = Vec::new();
        for (name, unit) in &mut self.all {
            let again = again(unit);
            let verdict = match &unit.source.conditions {
                Some(conditions) if again || unit.verdict.is_none() => {
                    match judging::judge(conditions, svc_def::base(&unit.dir)) {
                        Ok(()) => match &conditions.command {
                            // What held before holds until that has ended.
                            Some(command) => {
                                commands.push((name.clone(), unit.dir.to_path_buf(), command.clone()));
                                continue;
                            }
                            None => Ok(()),
                        },
                        Err(why) => Err(why.into()),
                    }
                }
                Some(_) => continue,
                None => Ok(()),
            };
            if unit.verdict.as_ref() != Some(&verdict) {
                self.stale |= again;
                Rc::make_mut(unit).decide(Some(verdict));
            }
        }
        commands
    }

    pub(crate) fn set_verdict(&mut self, name: &ServiceName, verdict: Result<(), String>) {
        let Some(unit) = self.all.get_mut(name) else { return };
        let verdict = Some(verdict.map_err(Into::into));
        if unit.verdict != verdict {
            self.stale = true;
            Rc::make_mut(unit).decide(verdict);
        }
    }

    /// It runs: nobody asks whether it may.
    pub(crate) fn let_in(&mut self, name: &ServiceName) {
        if let Some(unit) = self.all.get_mut(name).filter(|unit| unit.verdict.is_none()) {
            Rc::make_mut(unit).verdict = Some(Ok(()));
        }
    }

    /// It was let in, and does not run after all.
    pub(crate) fn judge_anew(&mut self, name: &ServiceName) {
        if let Some(unit) = self.all.get_mut(name).filter(|unit| unit.source.conditions.is_some()) {
            Rc::make_mut(unit).verdict = None;
            self.stale = true;
        }
    }

    /// Whom nobody can have, but who is not missing either.
    pub(crate) fn set_unusable(&mut self, names: BTreeSet<ServiceName>, classic: BTreeSet<ServiceName>) {
        (self.unusable, self.classic) = (names, classic);
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The graph of all that fit together. What does not is told in its `problem`. `replaced`: those that are to be gone first.
    pub(crate) fn compose(&mut self, replaced: &BTreeSet<ServiceName>) -> Graph {
        self.stale = false;
        self.share_names();
        loop {
            let (graph, out) = self.sort(replaced);
            if !self.take_back(&out) {
                self.note(&out);
                return graph;
            }
        }
    }
}

impl Units {
    /// What a dependency is called is the same text as the name of that one, and not another one like it.
    fn share_names(&mut self) {
        let names: BTreeMap<ServiceName, Arc<str>> = self.all.keys().map(|name| (name.clone(), name.into())).collect();
        let other = |relation: &Dependency| names.get(&*relation.on).filter(|name| !Arc::ptr_eq(name, &relation.on));
        for unit in self.all.values_mut().filter(|unit| unit.source.relations.iter().any(|on| other(on).is_some())) {
            for relation in &mut Rc::make_mut(unit).source.relations {
                if let Some(name) = other(relation) {
                    relation.on = name.clone();
                }
            }
        }
    }
}

impl Unit {
    /// Why it is left out, if it is, and what depends on it starts all the same.
    pub(crate) fn skipped(&self) -> Option<&str> {
        self.turned_away(Otherwise::Skip)
    }

    /// Why it may not start, if that blocks what depends on it.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.turned_away(Otherwise::Fail)
    }

    /// Why nothing of it runs, whatever that means to what depends on it.
    pub(crate) fn kept_out(&self) -> Option<&str> {
        self.skipped().or_else(|| self.refused())
    }

    fn turned_away(&self, otherwise: Otherwise) -> Option<&str> {
        self.source.conditions.as_ref().filter(|conditions| conditions.otherwise == otherwise)?;
        self.verdict.as_ref()?.as_ref().err().map(|why| &**why)
    }

    /// What does not fit in gives way to this.
    fn remember(&mut self) {
        if self.before.is_none() {
            let (definition, source, verdict) = (self.definition.clone(), self.source.clone(), self.verdict.clone());
            self.before = Some(Box::new(Before { definition, source, verdict }));
        }
    }

    /// Its conditions say this now. What they say first is no change.
    fn decide(&mut self, verdict: Option<Result<(), Box<str>>>) {
        if self.verdict.is_some() {
            self.remember();
        }
        self.verdict = verdict;
    }

    fn admission(&self) -> Admission {
        match (&self.source.conditions, &self.verdict) {
            (None, _) | (Some(_), Some(Ok(()))) => Admission::Open,
            (Some(_), None) => Admission::Pending,
            (Some(_), Some(Err(_))) => Admission::Refused,
        }
    }

    /// It has read its files as they are now.
    pub(crate) fn has_read(&mut self, files: Vec<Watched>) {
        if let Some(outside) = self.source.facts.as_mut().and_then(|facts| facts.outside.as_mut()) {
            outside.watch = files;
        }
    }

    /// There is an edit that cannot be used.
    pub(crate) fn is_edited(&self) -> bool {
        self.edit.is_some()
    }

    /// It is another one than in the graph.
    pub(crate) fn is_changed(&self) -> bool {
        self.before.is_some()
    }

    /// Whether it is a service.toml, and not an s6-rc source.
    pub(crate) fn is_one_file(&self) -> bool {
        self.source.facts.is_some()
    }

    /// What holds of it is what an earlier svc-scan had read, and not what stands in its files.
    pub(crate) fn is_as_kept(&self) -> bool {
        self.source.facts.as_ref().is_some_and(|facts| facts.stamp == svc_def::NO_STAMP)
    }

    pub(crate) fn kind(&self) -> u8 {
        kind(&self.source, &self.definition)
    }
}

/// Which kind of service a service.toml makes: a supervisor is made for one, and can be no other. svc-init keeps the number for the
/// next svc-scan; 0: there is no such file.
pub(crate) fn kind(source: &Source, definition: &Option<Held>) -> u8 {
    match &source.kind {
        _ if source.facts.is_none() => 0,
        svc_def::Kind::Longrun if source.timer.is_some() => 5,
        svc_def::Kind::Longrun if definition.as_ref().is_some_and(Held::forks) => 6,
        svc_def::Kind::Longrun => 1,
        svc_def::Kind::Oneshot { up: None, down: None } => 2,
        svc_def::Kind::Oneshot { .. } => 3,
        svc_def::Kind::Bundle { .. } => 4,
    }
}

fn is_hard(dependency: &Dependency) -> bool {
    matches!(dependency.relation, Relation::Needs(_))
}

/// What is said of a file whose supervisor cannot go on with what it says now.
pub(crate) fn of_another_kind(dir: &Path) -> String {
    let shown = svc_def::shown(dir);
    format!("{shown}: it is of another kind now: take it out and put it back (mv it aside, and again here)")
}

/// What to say of an edit that is not used.
pub(crate) fn unused(problem: &str) -> String {
    format!("{problem}; until then it stays as it was before the edit")
}

#[cfg(test)]
mod tests;
