//! From a list of declarations to a checked graph, with both directions of every edge at hand.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::definition::{Bond, Condition, Id, Kind, Node, Relation};
use super::order;

/// At most this many names are offered for one that is unknown.
const CANDIDATES: usize = 3;

/// How strong an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strength {
    Hard(Bond),
    Soft,
    Order,
}

/// An edge, from a dependent to what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub to: Id,
    pub strength: Strength,
    pub until: Condition,
}

/// An edge seen from the other end: the dependent, and the edge's place among its edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Back {
    pub from: Id,
    pub edge: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub node: Node,
    pub edges: Vec<Edge>,
    pub dependents: Vec<Back>,
    /// No longer in the set. It is kept while it is not down, and until its number is needed.
    pub retired: bool,
}

/// A checked set of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    pub(super) entries: Vec<Entry>,
    names: BTreeMap<Arc<str>, Id>,
}

/// What is wrong with a set of definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Twice(String),
    Unknown {
        node: String,
        name: String,
        /// Names that look like it, best first.
        nearest: Vec<String>,
    },
    /// Everybody in it waits for the next, the last for the first.
    Cycle(Vec<String>),
    /// `node` waits for the health of `on`, which nobody checks.
    NoHealth {
        node: String,
        on: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Twice(name) => write!(f, "{name} is defined twice: remove or rename one of the two"),
            Problem::Unknown { node, name, nearest } => {
                write!(f, "{node} names {name}, which does not exist")?;
                if nearest.is_empty() {
                    return write!(f, ": define it, or remove the dependency");
                }
                write!(f, ": did you mean {}?", nearest.join(" or "))
            }
            Problem::Cycle(path) => match path.as_slice() {
                [name] => write!(f, "{name} waits for itself: remove that dependency"),
                [first, ..] => {
                    write!(f, "{} -> {first} wait for each other: remove one of these dependencies", path.join(" -> "))
                }
                [] => Ok(()),
            },
            Problem::NoHealth { node, on } => {
                write!(
                    f,
                    "{node} waits for {on} to be healthy, but {on} has no health check: give it one, or wait for ready"
                )
            }
        }
    }
}

impl Graph {
    /// Checks the nodes and ties them together; tells everything that is wrong.
    pub fn new(nodes: Vec<Node>) -> Result<Graph, Vec<Problem>> {
        Graph::default().succeed(nodes, |_| false)
    }

    /// The graph of the set that comes after this one. Who stays keeps its number; who goes keeps it while it is `busy`.
    pub(super) fn succeed(&self, nodes: Vec<Node>, busy: impl Fn(Id) -> bool) -> Result<Graph, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut listed: BTreeSet<Arc<str>> = BTreeSet::new();
        for node in &nodes {
            if !listed.insert(node.name.clone()) {
                problems.push(Problem::Twice((*node.name).into()));
            }
        }
        let stays = |id: Id| listed.contains(self.name(id));
        // The numbers of those who are gone for good, highest first.
        let mut free: Vec<Id> = self.ids().rev().filter(|&id| !busy(id) && (self.is_retired(id) || !stays(id))).collect();
        let mut revived: BTreeMap<&str, Id> = BTreeMap::new();
        for id in self.ids().filter(|&id| busy(id) || !self.is_retired(id)) {
            revived.insert(self.name(id), id);
        }
        let mut graph = Graph { entries: self.entries.clone(), names: BTreeMap::new() };
        let mut names = Vec::with_capacity(nodes.len());
        let mut gone = vec![false; self.entries.len()];
        for id in &free {
            gone[id.at()] = true;
        }
        for entry in &mut graph.entries {
            entry.retired = true;
            entry.dependents.clear();
            entry.edges.retain(|edge| !gone[edge.to.at()]);
        }
        graph.entries.reserve_exact(nodes.len().saturating_sub(graph.entries.len()));
        for node in nodes {
            let id = revived.get(&*node.name).copied().or_else(|| free.pop());
            let name = node.name.clone();
            let entry = Entry { node, edges: Vec::new(), dependents: Vec::new(), retired: false };
            let id = match id {
                Some(id) => {
                    graph.entries[id.at()] = entry;
                    id
                }
                None => {
                    graph.entries.push(entry);
                    Id(graph.entries.len() as u32 - 1)
                }
            };
            names.push((name, id));
        }
        // In one go, which leaves no holes.
        graph.names = names.into_iter().collect();
        // Numbers nobody needs now lead nowhere.
        for id in free {
            graph.entries[id.at()].edges.clear();
        }
        graph.connect(&mut problems);
        for path in order::cycles(&graph) {
            problems.push(Problem::Cycle(path.into_iter().map(|id| graph.name(id).into()).collect()));
        }
        if problems.is_empty() { Ok(graph) } else { Err(problems) }
    }

    /// Turns names into edges.
    fn connect(&mut self, problems: &mut Vec<Problem>) {
        for from in self.living() {
            for index in 0..self.node(from).dependencies.len() {
                let dependency = &self.node(from).dependencies[index];
                let (relation, until) = (dependency.relation, dependency.until);
                let Some(other) = self.id(&dependency.on) else {
                    let nearest = self.nearest(self.name(from), &dependency.on);
                    let (node, name) = (self.name(from).into(), (*dependency.on).into());
                    problems.push(Problem::Unknown { node, name, nearest });
                    continue;
                };
                let (from, to, strength) = match relation {
                    Relation::Needs(bond) => (from, other, Strength::Hard(bond)),
                    Relation::Wants => (from, other, Strength::Soft),
                    Relation::After => (from, other, Strength::Order),
                    Relation::Before => (other, from, Strength::Order),
                };
                let checked = self.node(to).health || self.node(to).kind != Kind::Process;
                if until == Condition::Healthy && !checked {
                    problems.push(Problem::NoHealth { node: self.name(from).into(), on: self.name(to).into() });
                }
                self.entries[from.at()].edges.push(Edge { to, strength, until });
            }
        }
        // Those who are leaving too: what they need is not to go before them.
        for from in 0..self.entries.len() {
            for edge in 0..self.entries[from].edges.len() {
                let to = self.entries[from].edges[edge].to;
                self.entries[to.at()].dependents.push(Back { from: Id(from as u32), edge: edge as u32 });
            }
        }
        for entry in &mut self.entries {
            entry.edges.shrink_to_fit();
            entry.dependents.shrink_to_fit();
        }
    }

    /// Names that look like this one; it does not name itself.
    fn nearest(&self, of: &str, name: &str) -> Vec<String> {
        let most = (name.chars().count() / 3).max(1);
        let mut found: Vec<(usize, &Arc<str>)> = self
            .names
            .keys()
            .map(|other| (distance(name, other), other))
            .filter(|&(far, other)| far <= most && **other != *of)
            .collect();
        found.sort();
        found.truncate(CANDIDATES);
        found.into_iter().map(|(_, name)| (**name).into()).collect()
    }

    /// What it was made of.
    pub fn into_nodes(self) -> Vec<Node> {
        self.entries.into_iter().filter(|entry| !entry.retired).map(|entry| entry.node).collect()
    }

    pub fn id(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    pub fn name(&self, id: Id) -> &str {
        &self.node(id).name
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.entries[id.at()].node
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.entries[id.at()].node
    }

    /// What it waits for.
    pub fn edges(&self, id: Id) -> &[Edge] {
        &self.entries[id.at()].edges
    }

    /// Who waits for it, and how.
    pub fn dependents(&self, id: Id) -> impl Iterator<Item = (Id, Edge)> {
        self.backs(id).iter().map(|back| (back.from, self.edges(back.from)[back.edge as usize]))
    }

    pub(super) fn backs(&self, id: Id) -> &[Back] {
        &self.entries[id.at()].dependents
    }

    pub(super) fn is_retired(&self, id: Id) -> bool {
        self.entries[id.at()].retired
    }

    /// Every number, those of retired nodes too.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = Id> + use<> {
        (0..self.entries.len() as u32).map(Id)
    }

    /// The nodes of the set.
    pub fn living(&self) -> Vec<Id> {
        self.ids().filter(|&id| !self.is_retired(id)).collect()
    }
}

/// How many letters to change, add, drop or swap with the next one to make one of the other (Damerau and Levenshtein).
pub fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = Vec::from([(0..=other.len()).collect()]);
    for line in 1..=one.len() {
        let mut row = Vec::from([line]);
        for column in 1..=other.len() {
            let changed = rows[line - 1][column - 1] + usize::from(one[line - 1] != other[column - 1]);
            let least = changed.min(rows[line - 1][column] + 1).min(row[column - 1] + 1);
            let is_swap = line > 1 && column > 1 && (one[line - 1], one[line - 2]) == (other[column - 2], other[column - 1]);
            row.push(if is_swap { least.min(rows[line - 2][column - 2] + 1) } else { least });
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
