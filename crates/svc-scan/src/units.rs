//! Services that depend on others, as they stand on disk, and the nodes of the graph that they make.
//!
//! Each directory was checked by itself when it was read. What concerns several of them is checked here: names that nobody has,
//! circles, halves of pipelines. What is wrong with one keeps out that one and what needs it, and nothing else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use svc_core::graph::{Bond, Condition, Dependency, Graph, Kind, Node, Problem, Relation};
use svc_core::{Definition, ServiceName};
use svc_def::{Identity, Source, Start};

/// Bundles of which s6-overlay and others start what is in them; where there is none of these everything is started.
const STARTED: [&str; 4] = ["default", "user", "user2", "top"];

/// One directory of the s6-rc form, or with a service.toml.
pub(crate) struct Unit {
    pub(crate) identity: Identity,
    pub(crate) scan_dir: u32,
    pub(crate) dir: PathBuf,
    /// What its supervisor is to know; none for a name without a process.
    pub(crate) definition: Option<Definition>,
    pub(crate) source: Source,
    /// What keeps it out of the graph, or parts of it.
    pub(crate) problem: Option<String>,
}

#[derive(Default)]
pub(crate) struct Units {
    all: BTreeMap<ServiceName, Unit>,
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

    /// What a unit says now takes the place of what it said.
    pub(crate) fn replace(&mut self, name: &ServiceName, definition: Option<Definition>, source: Source) {
        if let Some(unit) = self.all.get_mut(name) {
            (unit.definition, unit.source) = (definition, source);
            self.stale = true;
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Unit> {
        self.all.get(&ServiceName::parse(name).ok()?)
    }

    pub(crate) fn with_identity(&self, identity: Identity) -> Option<ServiceName> {
        self.all.iter().find(|(_, unit)| unit.identity == identity).map(|(name, _)| name.clone())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ServiceName, &Unit)> {
        self.all.iter()
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The nodes of all that fit together. What does not is told in its `problem`.
    pub(crate) fn compose(&mut self) -> Vec<Node> {
        self.stale = false;
        let mut out: BTreeMap<ServiceName, String> = self.halves();
        loop {
            let left_out = out.len();
            for (name, unit) in &self.all {
                let needed = unit.source.dependencies.iter().chain(&unit.source.producer_for).map(ServiceName::as_str);
                let hard = unit.source.relations.iter().filter(|other| is_hard(other)).map(|other| other.on.as_str());
                let is_out = |name: &&str| ServiceName::parse(name).is_ok_and(|name| out.contains_key(&name));
                let missing = needed.chain(hard).find(is_out).map(str::to_owned);
                if let Some(missing) = missing.filter(|_| !out.contains_key(name)) {
                    out.insert(name.clone(), format!("needs {missing}, which cannot be used: see there"));
                }
            }
            let nodes = self.nodes(&out);
            match Graph::new(nodes.clone()) {
                Ok(_) => {
                    self.note(&out);
                    return nodes;
                }
                Err(problems) => {
                    for problem in problems {
                        let culprits = match &problem {
                            Problem::Twice(name) => vec![name.clone()],
                            Problem::Unknown { node, .. } | Problem::NoHealth { node, .. } => vec![node.clone()],
                            Problem::Cycle(path) => path.clone(),
                        };
                        let culprits = culprits.iter().filter_map(|name| ServiceName::parse(name).ok());
                        for name in culprits {
                            out.entry(name).or_insert_with(|| problem.to_string());
                        }
                    }
                }
            }
            if out.len() == left_out {
                // Every problem names at least one that was not left out; were it otherwise, nothing would be lost but order.
                self.note(&out);
                return Vec::new();
            }
        }
    }

    fn note(&mut self, out: &BTreeMap<ServiceName, String>) {
        let unknown = |name: &ServiceName| !self.all.contains_key(name);
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
                    let message = format!("goes on without {}: define it, or remove it from {list}", gone.join(", "));
                    missing.insert(name.clone(), message);
                }
            }
            let soft = unit.source.relations.iter().filter(|other| !is_hard(other)).map(|other| other.on.as_str());
            let gone = gone(soft.collect());
            if !gone.is_empty() {
                let message =
                    format!("goes on without {0}: define {0}, or remove the name from service.toml", gone.join(", "));
                missing.insert(name.clone(), message);
            }
        }
        for (name, unit) in &mut self.all {
            unit.problem = out.get(name).or_else(|| missing.get(name)).cloned();
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
            }
            let stranger = source.consumer_for.iter().find(|producer| {
                self.all.get(*producer).is_none_or(|other| other.source.producer_for.as_ref() != Some(name))
            });
            if let Some(stranger) = stranger {
                let message = format!(
                    "is consumer-for {stranger}, which is not producer-for {name}: write the name into its producer-for"
                );
                out.insert(name.clone(), message);
            }
        }
        out
    }

    fn nodes(&self, out: &BTreeMap<ServiceName, String>) -> Vec<Node> {
        let there = |name: &&ServiceName| self.all.contains_key(*name) && !out.contains_key(*name);
        let chosen = STARTED.iter().any(|name| self.get(name).is_some_and(|unit| !unit.is_one_file()));
        let units = self.all.iter().filter(|(name, _)| there(name));
        let mut nodes: Vec<Node> = Vec::new();
        for (name, unit) in units {
            let source = &unit.source;
            let (kind, members): (Kind, Vec<&ServiceName>) = match &source.kind {
                svc_def::Kind::Longrun => (Kind::Process, Vec::new()),
                svc_def::Kind::Oneshot { up: None, down: None } => (Kind::Milestone, Vec::new()),
                svc_def::Kind::Oneshot { .. } => (Kind::Oneshot, Vec::new()),
                svc_def::Kind::Bundle { contents } => (Kind::Bundle, contents.iter().filter(there).collect()),
            };
            let mut node = Node::new(name.as_str(), kind);
            node.up = match source.start {
                Start::ByBundles if chosen => STARTED.contains(&name.as_str()),
                Start::ByBundles => kind != Kind::Bundle,
                Start::Always => true,
                Start::Asked => false,
            };
            node.readiness =
                unit.definition.as_ref().is_some_and(|definition| definition.settings.notification_fd.is_some());
            node.logger = !source.consumer_for.is_empty();
            (node.start_timeout, node.stop_timeout) = (source.timeout_up, source.timeout_down);
            node.substance = fingerprint(unit);
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
}

impl Unit {
    /// Whether it is a service.toml, and not an s6-rc source.
    pub(crate) fn is_one_file(&self) -> bool {
        self.source.start != Start::ByBundles
    }
}

fn is_hard(dependency: &Dependency) -> bool {
    matches!(dependency.relation, Relation::Needs(_))
}

/// Everything that takes a restart to change. What else a service.toml says its supervisor is told while it runs.
fn fingerprint(unit: &Unit) -> u64 {
    let mut hasher = DefaultHasher::new();
    unit.dir.hash(&mut hasher);
    if unit.is_one_file() {
        let definition = unit.definition.as_ref();
        let program = definition.map(|definition| (&definition.program, definition.settings.notification_fd));
        format!("{program:?}").hash(&mut hasher);
        return hasher.finish();
    }
    format!("{:?} {:?}", unit.definition, unit.source.kind).hash(&mut hasher);
    hasher.finish()
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
        };
        let identity = Identity { device: 0, inode: 0 };
        Unit { identity, scan_dir: 0, dir: "/x".into(), definition: None, source, problem: None }
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
        let nodes = units.compose();
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
        assert_eq!(problem(&units, "user"), "goes on without web: define it, or remove it from contents.d");
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
}
