//! The nodes of the graph that units make.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use svc_core::ServiceName;
use svc_core::graph::{Bond, Condition, Dependency, Kind, Node, Relation};
use svc_def::{Start, Watched};

use super::{Unit, Units, is_hard};

/// Bundles of which s6-overlay and others start what is in them; where there is none of these everything is started.
const STARTED: [&str; 4] = ["default", "user", "user2", "top"];

impl Units {
    pub(super) fn nodes(&self, out: &BTreeMap<ServiceName, String>) -> Vec<Node> {
        let (pipelines, _) = self.pipelines(out);
        let there = |name: &&ServiceName| self.all.contains_key(*name) && !out.contains_key(*name);
        let member = |name: &&ServiceName| there(name) || pipelines.contains_key(*name);
        let chosen = self.bundles_choose();
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
            let mut node = Node::new(name, if skipped { Kind::Milestone } else { kind });
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
            node.readiness = unit.definition.as_ref().is_some_and(|definition| definition.says_ready());
            node.lasting = kind == Kind::Process && source.facts.is_none();
            node.health = unit.definition.as_ref().is_some_and(|definition| definition.has_health());
            node.logger = !source.consumer_for.is_empty();
            (node.start_timeout, node.stop_timeout) = (source.timeout_up, source.timeout_down);
            // A bundle runs nothing; that of a template has read the files of the first instance.
            if kind != Kind::Bundle {
                node.substance = self.fingerprint(unit);
                if let Some(facts) = &source.facts {
                    node.reads = reads(facts.watch());
                    node.change_restarts = facts.change_restarts;
                }
                let longrun = unit.definition.as_ref().filter(|_| kind == Kind::Process);
                node.examined = longrun.is_some_and(|definition| definition.is_made());
            }
            let needed = source.dependencies.iter().chain(&source.producer_for).chain(members);
            let mut node =
                needed.fold(node, |node, on| node.with(on.as_str(), Relation::Needs(Bond::Stay), Condition::Ready));
            // Whom it need not have, it does without; whom it must have is missed when the graph is made.
            let known =
                |other: &&Dependency| is_hard(other) || ServiceName::parse(&other.on).is_ok_and(|name| member(&&name));
            node.dependencies.extend(source.relations.iter().filter(known).cloned());
            node.dependencies.shrink_to_fit();
            nodes.push(node);
            if let Some(pipeline) = source.pipeline_name.as_ref().filter(|pipeline| pipelines.get(*pipeline) == Some(&name))
            {
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

    /// Whether what is started is in certain bundles.
    fn bundles_choose(&self) -> bool {
        STARTED.iter().any(|name| self.get(name).is_some_and(|unit| !unit.is_one_file()))
    }

    /// Whether one that is not in the graph would be started there: where bundles choose, if somebody names it.
    pub(crate) fn is_missed(&self, name: &str) -> bool {
        let names = |unit: &Rc<Unit>| {
            let contents = match &unit.source.kind {
                svc_def::Kind::Bundle { contents } => contents.as_slice(),
                svc_def::Kind::Longrun | svc_def::Kind::Oneshot { .. } => &[],
            };
            contents.iter().chain(&unit.source.dependencies).any(|other| other.as_str() == name)
        };
        self.get(name).filter(|unit| unit.problem.is_some()).is_some_and(|unit| match unit.source.start {
            Start::Always => true,
            Start::Asked => false,
            Start::ByBundles => !self.bundles_choose() || self.all.values().any(names),
        })
    }

    /// The names of whole pipelines, bundles that have no directory of their own; and what is said of those that are taken.
    pub(super) fn pipelines(
        &self,
        out: &BTreeMap<ServiceName, String>,
    ) -> (BTreeMap<&ServiceName, &ServiceName>, BTreeMap<&ServiceName, String>) {
        let units = self.all.iter().filter(|(name, _)| !out.contains_key(*name)).map(|(name, unit)| (name, &unit.source));
        svc_def::pipelines(units, &|name| self.all.contains_key(name))
    }

    /// Everybody whose output comes to this one in the end, itself included.
    pub(super) fn pipeline(&self, last: &ServiceName) -> Vec<ServiceName> {
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
    pub(super) fn fingerprint(&self, unit: &Unit) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(facts) = &unit.source.facts {
            // What else a service.toml says its supervisor is told while it runs.
            // What a timer executes holds from its next run on: a restart would break off the one that is under way.
            if unit.source.timer.is_none() {
                facts.substance.hash(&mut hasher);
            }
            unit.dir.hash(&mut hasher);
            return hasher.finish();
        }
        let program = unit
            .definition
            .as_ref()
            .map(|definition| definition.whole())
            .map(|definition| (definition.program, definition.output));
        let consumer = unit.source.producer_for.as_ref();
        let pipe = consumer.and_then(|consumer| self.all.get(consumer)?.source.consumer_for.first());
        format!("{program:?} {consumer:?} {pipe:?} {:?}", unit.source.consumer_for.first()).hash(&mut hasher);
        unit.dir.hash(&mut hasher);
        hasher.finish()
    }
}

/// What the graph knows of files that a service reads.
pub(crate) fn reads(watch: &[Watched]) -> Vec<(u64, u64)> {
    watch.iter().map(|one| (mark(&one.pattern), mark(&one.files))).collect()
}

/// A number that is another one for others.
fn mark(files: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}
