//! Services that depend on others, as they stand on disk, and the nodes of the graph that they make.
//!
//! Each directory was checked by itself when it was read. What concerns several of them is checked here: names that nobody has,
//! circles, halves of pipelines. What is wrong with one keeps out that one and what needs it, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use svc_core::graph::{Admission, Bond, Condition, Dependency, Graph, Kind, Node, Problem, Relation};
use svc_core::{Definition, ServiceName};
use svc_def::{CommandCondition, Identity, Instances, Otherwise, Source, Start};

use crate::judging;

/// Bundles of which s6-overlay and others start what is in them; where there is none of these everything is started.
const STARTED: [&str; 4] = ["default", "user", "user2", "top"];

/// One directory of the s6-rc form, or with a service.toml.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) identity: Identity,
    pub(crate) scan_dir: u32,
    pub(crate) dir: PathBuf,
    /// What its supervisor is to know; none for a name without a process.
    pub(crate) definition: Option<Definition>,
    pub(crate) source: Source,
    /// Of a template: which services it makes; its own node stands for all of them.
    pub(crate) instances: Option<Instances>,
    /// The template that made it.
    pub(crate) of: Option<ServiceName>,
    /// What keeps it out of the graph, or parts of it.
    pub(crate) problem: Option<String>,
    /// What it was before an edit that has not been in the graph yet.
    before: Option<(Option<Definition>, Source)>,
    /// An edit that cannot be used: it is as it was before.
    edit: Option<String>,
    /// Whether its conditions hold, if it has any; none while that is not known.
    verdict: Option<Result<(), String>>,
}

impl Unit {
    pub(crate) fn new(
        identity: Identity,
        scan_dir: u32,
        dir: PathBuf,
        definition: Option<Definition>,
        source: Source,
    ) -> Unit {
        let (instances, of) = (None, None);
        let (problem, before, edit, verdict) = (None, None, None, None);
        Unit { identity, scan_dir, dir, definition, source, instances, of, problem, before, edit, verdict }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Units {
    all: BTreeMap<ServiceName, Unit>,
    /// Names of directories that cannot be read as services.
    unusable: BTreeSet<ServiceName>,
    /// Something has come or gone since the graph was made.
    stale: bool,
}

impl Units {
    pub(crate) fn insert(&mut self, name: ServiceName, unit: Unit) {
        self.all.insert(name, unit);
        self.stale = true;
    }

    pub(crate) fn remove(&mut self, name: &ServiceName) -> Option<Unit> {
        self.stale |= self.all.contains_key(name);
        self.all.remove(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Unit> {
        self.all.get(&ServiceName::parse(name).ok()?)
    }

    pub(crate) fn with_identity(&self, identity: Identity) -> Option<ServiceName> {
        self.all.iter().find(|(_, unit)| unit.identity == identity).map(|(name, _)| name.clone())
    }

    pub(crate) fn get_mut(&mut self, name: &ServiceName) -> Option<&mut Unit> {
        self.all.get_mut(name)
    }

    /// Whom a template stands for.
    pub(crate) fn set_contents(&mut self, template: &ServiceName, contents: Vec<ServiceName>) {
        let Some(unit) = self.all.get_mut(template) else { return };
        let kind = svc_def::Kind::Bundle { contents };
        self.stale |= unit.source.kind != kind;
        unit.source.kind = kind;
    }

    /// What a template has made.
    pub(crate) fn made_by(&self, template: &ServiceName) -> Vec<ServiceName> {
        self.all.iter().filter(|(_, unit)| unit.of.as_ref() == Some(template)).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ServiceName, &Unit)> {
        self.all.iter()
    }

    /// It was read again. What it was before holds on if the new one does not fit in.
    pub(crate) fn read_again(&mut self, name: &ServiceName, definition: Option<Definition>, source: Source) {
        let Some(unit) = self.all.get_mut(name) else { return };
        let same = unit.source == source && unit.definition == definition;
        self.stale |= !same || unit.edit.is_some();
        unit.edit = None;
        if !same {
            let old = (unit.definition.clone(), unit.source.clone());
            unit.before.get_or_insert(old);
            (unit.definition, unit.source) = (definition, source);
        }
    }

    /// It was read again, and makes no sense: it stays as it was.
    pub(crate) fn keep(&mut self, name: &ServiceName, problem: &str) {
        let Some(unit) = self.all.get_mut(name) else { return };
        let edit = Some(unused(problem));
        self.stale |= unit.edit != edit;
        unit.edit = edit;
    }

    /// Looks at the conditions of those that have not been looked at, or of all. Returns the commands that are to be run for it.
    pub(crate) fn judge(&mut self, again: &dyn Fn(&Unit) -> bool) -> Vec<(ServiceName, PathBuf, CommandCondition)> {
        let mut commands = Vec::new();
        for (name, unit) in &mut self.all {
            let again = again(unit);
            let verdict = match &unit.source.conditions {
                Some(conditions) if again || unit.verdict.is_none() => match judging::judge(conditions, &unit.dir) {
                    Ok(()) => match &conditions.command {
                        // What held before holds until that has ended.
                        Some(command) => {
                            commands.push((name.clone(), unit.dir.clone(), command.clone()));
                            continue;
                        }
                        None => Ok(()),
                    },
                    Err(why) => Err(why),
                },
                Some(_) => continue,
                None => Ok(()),
            };
            self.stale |= again && unit.verdict.as_ref() != Some(&verdict);
            unit.verdict = Some(verdict);
        }
        commands
    }

    pub(crate) fn set_verdict(&mut self, name: &ServiceName, verdict: Result<(), String>) {
        let Some(unit) = self.all.get_mut(name) else { return };
        self.stale |= unit.verdict.as_ref() != Some(&verdict);
        unit.verdict = Some(verdict);
    }

    /// It runs: nobody asks whether it may.
    pub(crate) fn let_in(&mut self, name: &ServiceName) {
        if let Some(unit) = self.all.get_mut(name) {
            unit.verdict.get_or_insert(Ok(()));
        }
    }

    /// Whom nobody can have, but who is not missing either.
    pub(crate) fn set_unusable(&mut self, names: BTreeSet<ServiceName>) {
        self.unusable = names;
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The nodes of all that fit together. What does not is told in its `problem`. `replaced`: those that are to be gone first.
    pub(crate) fn compose(&mut self, replaced: &BTreeSet<ServiceName>) -> Vec<Node> {
        self.stale = false;
        loop {
            let (nodes, out) = self.sort(replaced);
            if !self.take_back(&out) {
                self.note(&out);
                return nodes;
            }
        }
    }

    /// What fits together, and what does not, with the reason.
    fn sort(&self, replaced: &BTreeSet<ServiceName>) -> (Vec<Node>, BTreeMap<ServiceName, String>) {
        let mut out: BTreeMap<ServiceName, String> = self.halves();
        let message = "has become another one (type, or pipeline): it is started again when the old one is gone";
        out.extend(replaced.iter().map(|name| (name.clone(), message.to_owned())));
        loop {
            let left_out = out.len();
            for (name, unit) in &self.all {
                let needed = unit.source.dependencies.iter().chain(&unit.source.producer_for).map(ServiceName::as_str);
                let hard = unit.source.relations.iter().filter(|other| is_hard(other)).map(|other| other.on.as_str());
                let is_out = |name: &&str| ServiceName::parse(name).is_ok_and(|name| out.contains_key(&name));
                let missing = needed.chain(hard).find(is_out).map(str::to_owned);
                if let Some(missing) = missing.filter(|_| !out.contains_key(name)) {
                    out.insert(name.clone(), cannot_be_used(&missing));
                }
            }
            let nodes = self.nodes(&out);
            let Err(problems) = Graph::new(nodes.clone()) else { return (nodes, out) };
            for problem in problems {
                let culprits = match &problem {
                    Problem::Twice(name) => vec![name.clone()],
                    Problem::Unknown { node, .. } | Problem::NoHealth { node, .. } => vec![node.clone()],
                    Problem::Cycle(path) => path.clone(),
                };
                let told = match &problem {
                    Problem::Unknown { name, .. } if self.is_unusable(name) => cannot_be_used(name),
                    Problem::Twice(_) | Problem::Unknown { .. } | Problem::NoHealth { .. } | Problem::Cycle(_) => {
                        problem.to_string()
                    }
                };
                for name in culprits.iter().filter_map(|name| ServiceName::parse(name).ok()) {
                    out.entry(name).or_insert_with(|| told.clone());
                }
            }
            if out.len() == left_out {
                // Every problem names at least one that was not left out; were it otherwise, nothing would be lost but order.
                return (Vec::new(), out);
            }
        }
    }

    /// Edits that keep out what they are made in are left alone: what runs goes on as it was. Whether there were any.
    fn take_back(&mut self, out: &BTreeMap<ServiceName, String>) -> bool {
        let mut any = false;
        for (name, problem) in out {
            let Some(unit) = self.all.get_mut(name) else { continue };
            if let Some(before) = unit.before.take() {
                (unit.definition, unit.source) = before;
                unit.edit = Some(unused(problem));
                any = true;
            }
        }
        any
    }

    fn is_unusable(&self, name: &str) -> bool {
        ServiceName::parse(name).is_ok_and(|name| self.unusable.contains(&name))
    }

    fn note(&mut self, out: &BTreeMap<ServiceName, String>) {
        let pipelines = self.pipelines(out);
        let unknown = |name: &ServiceName| !self.all.contains_key(name) && !pipelines.contains(name);
        let is_there = |name: &str| self.get(name).is_some() || self.is_unusable(name);
        let mut missing: BTreeMap<ServiceName, String> = BTreeMap::new();
        for (name, unit) in &self.all {
            let gone = |list: Vec<&str>| -> Vec<String> {
                let is_gone =
                    |name: &&str| ServiceName::parse(name).is_ok_and(|name| out.contains_key(&name) || unknown(&name));
                list.into_iter().filter(is_gone).map(str::to_owned).collect()
            };
            let by_file = unit.is_one_file();
            if let svc_def::Kind::Bundle { contents } = &unit.source.kind {
                let gone = gone(contents.iter().map(ServiceName::as_str).collect());
                let list = if by_file { "members" } else { "contents.d" };
                if !gone.is_empty() {
                    missing.insert(name.clone(), without(&gone, &is_there, &format!("remove the name from {list}")));
                }
            }
            let soft = unit.source.relations.iter().filter(|other| !is_hard(other)).map(|other| other.on.as_str());
            let gone = gone(soft.collect());
            if !gone.is_empty() {
                missing.insert(name.clone(), without(&gone, &is_there, "remove the name from service.toml"));
            }
        }
        for (name, unit) in &mut self.all {
            unit.problem = out.get(name).or(unit.edit.as_ref()).or_else(|| missing.get(name)).cloned();
            unit.before = None;
        }
    }

    /// Producers and consumers that do not name each other.
    fn halves(&self) -> BTreeMap<ServiceName, String> {
        let mut out = BTreeMap::new();
        for (name, unit) in &self.all {
            let source = &unit.source;
            if let Some(consumer) = &source.producer_for
                && let Some(other) = self.all.get(consumer)
                && !other.source.consumer_for.contains(name)
            {
                let message = format!(
                    "is producer-for {consumer}, which is not consumer-for {name}: add the name to its consumer-for"
                );
                out.insert(name.clone(), message);
                if other.before.is_some() {
                    let message = format!("is no longer consumer-for {name}, which is producer-for {consumer}: change both");
                    out.entry(consumer.clone()).or_insert(message);
                }
            }
            let stranger = source.consumer_for.iter().find(|producer| {
                self.all.get(*producer).is_none_or(|other| other.source.producer_for.as_ref() != Some(name))
            });
            if let Some(stranger) = stranger {
                let message = format!(
                    "is consumer-for {stranger}, which is not producer-for {name}: write the name into its producer-for"
                );
                out.insert(name.clone(), message);
                // If it was cut loose just now, that is what does not fit.
                if self.all.get(stranger).is_some_and(|other| other.before.is_some()) {
                    let message = format!("is no longer producer-for {name}, which is consumer-for {stranger}: change both");
                    out.entry(stranger.clone()).or_insert(message);
                }
            }
        }
        out
    }

    fn nodes(&self, out: &BTreeMap<ServiceName, String>) -> Vec<Node> {
        let pipelines = self.pipelines(out);
        let there = |name: &&ServiceName| self.all.contains_key(*name) && !out.contains_key(*name);
        let member = |name: &&ServiceName| there(name) || pipelines.contains(*name);
        let chosen = STARTED.iter().any(|name| self.get(name).is_some_and(|unit| !unit.is_one_file()));
        let units = self.all.iter().filter(|(name, _)| there(name));
        let mut nodes: Vec<Node> = Vec::new();
        for (name, unit) in units {
            let source = &unit.source;
            let (kind, members): (Kind, Vec<&ServiceName>) = match &source.kind {
                svc_def::Kind::Longrun => (Kind::Process, Vec::new()),
                svc_def::Kind::Oneshot { up: None, down: None } => (Kind::Milestone, Vec::new()),
                svc_def::Kind::Oneshot { .. } => (Kind::Oneshot, Vec::new()),
                svc_def::Kind::Bundle { contents } => (Kind::Bundle, contents.iter().filter(member).collect()),
            };
            let skipped = unit.skipped().is_some();
            // What is left out is a point in time: whatever depends on it finds it passed.
            let mut node = Node::new(name.as_str(), if skipped { Kind::Milestone } else { kind });
            node.up = match source.start {
                Start::ByBundles if chosen => STARTED.contains(&name.as_str()),
                Start::ByBundles => kind != Kind::Bundle,
                Start::Always => true,
                Start::Asked => false,
            };
            if skipped {
                nodes.push(node);
                continue;
            }
            node.admission = unit.admission();
            node.external = source.wait_for.iter().map(|(name, _)| name.clone()).collect();
            node.wait_timeout = source.wait_timeout;
            node.readiness = unit.definition.as_ref().is_some_and(|definition| definition.settings.says_ready());
            node.health = unit.definition.as_ref().is_some_and(|definition| definition.settings.has_health());
            node.logger = !source.consumer_for.is_empty();
            (node.start_timeout, node.stop_timeout) = (source.timeout_up, source.timeout_down);
            // A bundle runs nothing; that of a template has read the files of the first instance.
            if kind != Kind::Bundle {
                let reloads = source.facts.as_ref().filter(|facts| !facts.change_restarts);
                (node.substance, node.reloadable) =
                    (self.fingerprint(unit), reloads.map_or(0, |facts| mark(&facts.watched)));
            }
            let needed = source.dependencies.iter().chain(&source.producer_for).chain(members);
            let mut node =
                needed.fold(node, |node, on| node.with(on.as_str(), Relation::Needs(Bond::Stay), Condition::Ready));
            // Whom it need not have, it does without; whom it must have is missed when the graph is made.
            let known = |other: &&Dependency| {
                is_hard(other)
                    || ServiceName::parse(&other.on)
                        .is_ok_and(|name| self.all.contains_key(&name) && !out.contains_key(&name))
            };
            node.dependencies.extend(source.relations.iter().filter(known).cloned());
            nodes.push(node);
            if let Some(pipeline) = source.pipeline_name.as_ref().filter(|pipeline| !self.all.contains_key(*pipeline)) {
                let members = self.pipeline(name);
                let members = members.iter().filter(there);
                let mut node = Node::new(pipeline.as_str(), Kind::Bundle);
                node.up = false;
                nodes.push(
                    members.fold(node, |node, on| node.with(on.as_str(), Relation::Needs(Bond::Stay), Condition::Ready)),
                );
            }
        }
        nodes
    }

    /// The names of whole pipelines: bundles that have no directory of their own.
    fn pipelines(&self, out: &BTreeMap<ServiceName, String>) -> BTreeSet<ServiceName> {
        let units = self.all.iter().filter(|(name, _)| !out.contains_key(*name));
        let names = units.filter_map(|(_, unit)| unit.source.pipeline_name.clone());
        names.filter(|name| !self.all.contains_key(name)).collect()
    }

    /// Everybody whose output comes to this one in the end, itself included.
    fn pipeline(&self, last: &ServiceName) -> Vec<ServiceName> {
        let mut found = vec![last.clone()];
        let mut index = 0;
        while let Some(unit) = found.get(index).and_then(|name| self.all.get(name)) {
            let more: Vec<ServiceName> =
                unit.source.consumer_for.iter().filter(|name| !found.contains(name)).cloned().collect();
            found.extend(more);
            index += 1;
        }
        found
    }

    /// What its supervisor was made with, and only a new one changes: the kind of program, and the pipes.
    fn fingerprint(&self, unit: &Unit) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(facts) = &unit.source.facts {
            // What else a service.toml says its supervisor is told while it runs.
            // What a timer executes holds from its next run on: a restart would break off the one that is under way.
            if unit.source.timer.is_none() {
                facts.substance.hash(&mut hasher);
            }
            if facts.change_restarts {
                facts.watched.hash(&mut hasher);
            }
            unit.dir.hash(&mut hasher);
            return hasher.finish();
        }
        let program = unit.definition.as_ref().map(|definition| (&definition.program, definition.output));
        let consumer = unit.source.producer_for.as_ref();
        let pipe = consumer.and_then(|consumer| self.all.get(consumer)?.source.consumer_for.first());
        format!("{program:?} {consumer:?} {pipe:?} {:?}", unit.source.consumer_for.first()).hash(&mut hasher);
        unit.dir.hash(&mut hasher);
        hasher.finish()
    }
}

fn cannot_be_used(name: &str) -> String {
    format!("needs {name}, which cannot be used: see there")
}

/// What is said of names that nobody has, and of those that are there and cannot be used: each has another cure.
fn without(gone: &[String], is_there: &dyn Fn(&str) -> bool, cure: &str) -> String {
    let (there, missing): (Vec<&str>, Vec<&str>) = gone.iter().map(String::as_str).partition(|name| is_there(name));
    let mut parts = Vec::new();
    if !there.is_empty() {
        parts.push(format!("goes on without {}, which cannot be used: see there", there.join(", ")));
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        parts.push(format!("goes on without {names}: define {names}, or {cure}"));
    }
    parts.join("; ")
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

    fn turned_away(&self, otherwise: Otherwise) -> Option<&str> {
        self.source.conditions.as_ref().filter(|conditions| conditions.otherwise == otherwise)?;
        self.verdict.as_ref()?.as_ref().err().map(String::as_str)
    }

    fn admission(&self) -> Admission {
        match (&self.source.conditions, &self.verdict) {
            (None, _) | (Some(_), Some(Ok(()))) => Admission::Open,
            (Some(_), None) => Admission::Pending,
            (Some(_), Some(Err(_))) => Admission::Refused,
        }
    }

    /// There is an edit that cannot be used.
    pub(crate) fn is_edited(&self) -> bool {
        self.edit.is_some()
    }

    /// Whether it is a service.toml, and not an s6-rc source.
    pub(crate) fn is_one_file(&self) -> bool {
        self.source.facts.is_some()
    }
}

/// A number that is another one when one of the files is.
fn mark(files: &[(PathBuf, u64)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}

fn is_hard(dependency: &Dependency) -> bool {
    matches!(dependency.relation, Relation::Needs(_))
}

/// What to say of an edit that is not used.
fn unused(problem: &str) -> String {
    format!("{problem}; until then it stays as it was before the edit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_core::Millis;

    fn name(text: &str) -> ServiceName {
        ServiceName::parse(text).expect("a good name")
    }

    fn names(text: &str) -> Vec<ServiceName> {
        text.split_ascii_whitespace().map(name).collect()
    }

    fn unit(kind: svc_def::Kind, needs: &str) -> Unit {
        let source = Source {
            kind,
            dependencies: names(needs),
            timeout_up: Millis::ZERO,
            timeout_down: Millis::ZERO,
            essential: false,
            producer_for: None,
            consumer_for: Vec::new(),
            pipeline_name: None,
            relations: Vec::new(),
            start: Start::ByBundles,
            facts: None,
            timer: None,
            conditions: None,
            wait_for: Vec::new(),
            wait_timeout: Millis::ZERO,
        };
        let identity = Identity { device: 0, inode: 0 };
        Unit::new(identity, 0, "/x".into(), None, source)
    }

    fn longrun(needs: &str) -> Unit {
        unit(svc_def::Kind::Longrun, needs)
    }

    fn bundle(contents: &str) -> Unit {
        unit(svc_def::Kind::Bundle { contents: names(contents) }, "")
    }

    fn composed(list: Vec<(&str, Unit)>) -> (Units, Vec<Node>) {
        let mut units = Units::default();
        for (text, unit) in list {
            units.insert(name(text), unit);
        }
        let nodes = units.compose(&BTreeSet::new());
        (units, nodes)
    }

    fn listed(nodes: &[Node]) -> Vec<&str> {
        nodes.iter().map(|node| node.name.as_str()).collect()
    }

    fn problem<'a>(units: &'a Units, name: &str) -> &'a str {
        units.get(name).and_then(|unit| unit.problem.as_deref()).unwrap_or("")
    }

    #[test]
    fn what_is_wrong_with_one_keeps_out_what_needs_it_and_nothing_else() {
        let (units, nodes) = composed(vec![
            ("web", longrun("db cache")),
            ("db", longrun("nett")),
            ("net", longrun("")),
            ("cache", longrun("")),
            ("user", bundle("web cache")),
        ]);
        assert_eq!(listed(&nodes), ["cache", "net", "user"]);
        assert_eq!(problem(&units, "db"), "db names nett, which does not exist: did you mean net?");
        assert_eq!(problem(&units, "web"), "needs db, which cannot be used: see there");
        assert_eq!(problem(&units, "user"), "goes on without web, which cannot be used: see there");
        assert_eq!(problem(&units, "cache"), "");
    }

    #[test]
    fn a_circle_is_named() {
        let (units, nodes) = composed(vec![("a", longrun("b")), ("b", longrun("a")), ("c", longrun(""))]);
        assert_eq!(listed(&nodes), ["c"]);
        assert_eq!(problem(&units, "a"), "a -> b -> a wait for each other: remove one of these dependencies");
    }

    #[test]
    fn bundles_with_certain_names_are_what_is_started() {
        let started = |nodes: &[Node]| nodes.iter().filter(|node| node.up).map(|node| node.name.clone()).collect::<Vec<_>>();
        let (_, nodes) = composed(vec![("web", longrun("")), ("db", longrun("")), ("mine", bundle("db"))]);
        assert_eq!(started(&nodes), ["db", "web"]);
        let (_, nodes) = composed(vec![("web", longrun("")), ("db", longrun("")), ("default", bundle("db"))]);
        assert_eq!(started(&nodes), ["default"]);
    }

    #[test]
    fn a_pipeline_needs_both_halves_and_has_a_name() {
        let producer = || Unit { source: Source { producer_for: Some(name("log")), ..longrun("").source }, ..longrun("") };
        let consumer = |of: &str| {
            let source = Source { consumer_for: names(of), pipeline_name: Some(name("pipe")), ..longrun("").source };
            Unit { source, ..longrun("") }
        };
        let (_, nodes) = composed(vec![("a", producer()), ("b", producer()), ("log", consumer("a b"))]);
        assert_eq!(listed(&nodes), ["a", "b", "log", "pipe"]);
        let needs = |node: &Node| node.dependencies.iter().map(|dependency| dependency.on.clone()).collect::<Vec<_>>();
        assert_eq!(needs(&nodes[0]), ["log"]);
        assert_eq!(needs(&nodes[3]), ["log", "a", "b"]);
        assert!(nodes[2].logger && !nodes[0].logger);

        let (units, nodes) = composed(vec![("a", producer()), ("log", consumer("b"))]);
        assert!(nodes.is_empty());
        assert_eq!(
            problem(&units, "a"),
            "is producer-for log, which is not consumer-for a: add the name to its consumer-for"
        );
        assert_eq!(
            problem(&units, "log"),
            "is consumer-for b, which is not producer-for log: write the name into its producer-for"
        );
    }

    #[test]
    fn a_bundle_may_have_a_pipeline_in_it() {
        let producer = Unit { source: Source { producer_for: Some(name("log")), ..longrun("").source }, ..longrun("") };
        let source = Source { consumer_for: names("a"), pipeline_name: Some(name("pipe")), ..longrun("").source };
        let consumer = Unit { source, ..longrun("") };
        let (units, nodes) = composed(vec![("a", producer), ("log", consumer), ("user", bundle("pipe"))]);
        assert_eq!(listed(&nodes), ["a", "log", "pipe", "user"]);
        assert_eq!(nodes[3].dependencies[0].on, "pipe");
        assert_eq!(problem(&units, "user"), "");
    }

    #[test]
    fn an_edit_that_does_not_fit_changes_nothing() {
        let (mut units, nodes) = composed(vec![("a", longrun("b")), ("b", longrun("")), ("c", longrun("b"))]);
        units.read_again(&name("b"), None, longrun("a").source);
        assert_eq!(units.compose(&BTreeSet::new()), nodes);
        assert_eq!(
            problem(&units, "b"),
            "a -> b -> a wait for each other: remove one of these dependencies; until then it stays as it was before the edit"
        );
        assert_eq!((problem(&units, "a"), problem(&units, "c")), ("", ""));
        // The same once more is no news, and a good one is taken.
        units.read_again(&name("b"), None, longrun("a").source);
        assert_eq!(units.compose(&BTreeSet::new()), nodes);
        units.read_again(&name("b"), None, longrun("").source);
        assert!(units.is_stale());
        assert_eq!(units.compose(&BTreeSet::new()), nodes);
        assert_eq!(problem(&units, "b"), "");
    }

    #[test]
    fn half_a_pipeline_cut_by_an_edit_stays_whole() {
        let producer = || Source { producer_for: Some(name("log")), ..longrun("").source };
        let consumer = || Source { consumer_for: names("a"), ..longrun("").source };
        let with = |source| Unit { source, ..longrun("") };
        let (mut units, nodes) = composed(vec![("a", with(producer())), ("log", with(consumer()))]);
        units.read_again(&name("a"), None, longrun("").source);
        assert_eq!(units.compose(&BTreeSet::new()), nodes);
        assert!(problem(&units, "a").starts_with("is no longer producer-for log"), "{}", problem(&units, "a"));
        units.read_again(&name("log"), None, longrun("").source);
        assert_eq!(units.compose(&BTreeSet::new()), nodes, "the other half alone is no better");
        for half in ["a", "log"] {
            units.read_again(&name(half), None, longrun("").source);
        }
        assert_ne!(units.compose(&BTreeSet::new()), nodes);
        assert_eq!((problem(&units, "a"), problem(&units, "log")), ("", ""));
    }
}
