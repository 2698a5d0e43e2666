//! What another set of definitions would change, before it does.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::build::{Graph, Strength};
use super::definition::{Admission, Bond, Id, Node};

/// What becomes of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    pub change: Change,
    pub why: Why,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    Start,
    Stop,
    /// If it is up.
    Restart,
    /// If it is up.
    Reload,
    Nothing,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    New,
    /// It is new, but waits until somebody asks.
    NewAndDown,
    /// It was down until somebody asks, and no longer is.
    NoLongerDown,
    /// That one now depends on it.
    NeededBy(String),
    Removed,
    Changed,
    /// It follows that one.
    Follows(String),
    /// What is new takes no restart.
    Reloadable,
    /// Only its dependencies or times are new: they hold from now on.
    Rules,
    Same,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::New => write!(f, "it is new"),
            Why::NewAndDown => write!(f, "it is new, and down until somebody starts it"),
            Why::NoLongerDown => write!(f, "it is no longer down by its definition"),
            Why::NeededBy(name) => write!(f, "{name} depends on it now"),
            Why::Removed => write!(f, "its definition is gone"),
            Why::Changed => write!(f, "its definition has changed"),
            Why::Follows(name) => write!(f, "it follows {name}"),
            Why::Reloadable => write!(f, "what has changed takes no restart"),
            Why::Rules => write!(f, "only its dependencies or times have changed"),
            Why::Same => write!(f, "nothing has changed"),
        }
    }
}

/// Compares two sets: first who is removed, then the new set, each by name.
pub fn plan(old: &Graph, new: &Graph) -> Vec<Step> {
    let mut steps = Vec::new();
    for id in by_name(old) {
        if new.id(old.name(id)).is_none() {
            steps.push(Step { name: old.name(id).into(), change: Change::Stop, why: Why::Removed });
        }
    }
    let (was, is) = (wanted(old), wanted(new));
    let follows = followers(old, new);
    for id in by_name(new) {
        let node = new.node(id);
        let before = old.id(&node.name);
        let needed_by = is[id.at()].map(|by| new.name(by).into());
        let newly = needed_by.filter(|_| before.is_none_or(|before| was[before.at()].is_none()));
        let (change, why) = match (before.map(|before| old.node(before)), newly) {
            (None, _) if node.up => (Change::Start, Why::New),
            (None, Some(by)) => (Change::Start, Why::NeededBy(by)),
            (None, None) => (Change::Nothing, Why::NewAndDown),
            (Some(before), _) if is_other(before, node) => (Change::Restart, Why::Changed),
            (Some(before), _) if node.up && !before.up => (Change::Start, Why::NoLongerDown),
            (Some(_), Some(by)) => (Change::Start, Why::NeededBy(by)),
            (Some(before), None) => match follows[id.at()] {
                Some(leader) => (Change::Restart, Why::Follows(new.name(leader).into())),
                None if before.reloadable != node.reloadable => (Change::Reload, Why::Reloadable),
                None if before != node => (Change::Nothing, Why::Rules),
                None => (Change::Nothing, Why::Same),
            },
        };
        steps.push(Step { name: (*node.name).into(), change, why });
    }
    steps
}

/// Whether what runs must be replaced.
fn is_other(old: &Node, new: &Node) -> bool {
    let turned_away = new.admission == Admission::Refused && old.admission != Admission::Refused;
    old.substance != new.substance || old.kind != new.kind || turned_away
}

fn by_name(graph: &Graph) -> Vec<Id> {
    let mut nodes = graph.living();
    nodes.sort_by(|one, other| graph.name(*one).cmp(graph.name(*other)));
    nodes
}

/// Who is started by itself, or along with somebody who is; and by whom (by itself, if nobody else).
fn wanted(graph: &Graph) -> Vec<Option<Id>> {
    let mut by = alloc::vec![None; graph.entries.len()];
    let mut walk = Vec::new();
    for id in graph.living().into_iter().filter(|&id| graph.node(id).up) {
        by[id.at()] = Some(id);
        walk.push(id);
    }
    while let Some(id) = walk.pop() {
        for edge in graph.edges(id).iter().filter(|edge| edge.strength != Strength::Order) {
            if by[edge.to.at()].is_none() {
                by[edge.to.at()] = Some(id);
                walk.push(edge.to);
            }
        }
    }
    by
}

/// Who restarts because one that it follows does; and which.
fn followers(old: &Graph, new: &Graph) -> Vec<Option<Id>> {
    let mut leader = alloc::vec![None; new.entries.len()];
    let changed = |id: &Id| old.id(new.name(*id)).is_some_and(|before| is_other(old.node(before), new.node(*id)));
    let mut walk: Vec<Id> = new.living().into_iter().filter(changed).collect();
    while let Some(id) = walk.pop() {
        for (from, edge) in new.dependents(id) {
            let follows = edge.strength == Strength::Hard(Bond::Follow) && !new.is_retired(from);
            if follows && leader[from.at()].is_none() {
                leader[from.at()] = Some(id);
                walk.push(from);
            }
        }
    }
    leader
}
