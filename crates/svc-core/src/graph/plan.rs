//! What another set of definitions would change, before it does.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::build::{Edge, Graph, Strength};
use super::definition::{Admission, Bond, Condition, Id, Kind, Node};
use super::engine::Engine;
use super::state::{Progress, Reason, Wish};

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
    /// Its conditions let it in before, and do not now.
    TurnedAway,
    /// That one stops, and it goes with it.
    Needs(String),
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
            Why::TurnedAway => write!(f, "its conditions no longer hold"),
            Why::Needs(name) => write!(f, "it needs {name}"),
            Why::Changed => write!(f, "its definition has changed"),
            Why::Follows(name) => write!(f, "it follows {name}"),
            Why::Reloadable => write!(f, "what has changed takes no restart"),
            Why::Rules => write!(f, "only its dependencies or times have changed"),
            Why::Same => write!(f, "nothing has changed"),
        }
    }
}

impl Engine {
    /// What another set would change: first who is removed, then the new set, each by name. `kept`: what is wanted of those that
    /// were left out, and come again: that counts, and not that they are new.
    pub fn plan(&self, new: &Graph, kept: &BTreeMap<String, Wish>) -> Vec<Step> {
        let old = &self.graph;
        let mut steps = Vec::new();
        for id in by_name(old) {
            if new.id(old.name(id)).is_none() {
                steps.push(Step { name: old.name(id).into(), change: Change::Stop, why: Why::Removed });
            }
        }
        let (turned_away, follows) = (needers(old, new), followers(old, new));
        let comes = |node: &Node| match kept.get(&*node.name) {
            Some(Wish::Down) => false,
            Some(Wish::Explicit) => true,
            Some(Wish::Dependency) | None => node.up,
        };
        let needed = self.newly_needed(new, &follows, &comes);
        for id in by_name(new) {
            let node = new.node(id);
            let before = old.id(&node.name);
            let needed_by = needed[id.at()].map(|by| new.name(by).into());
            let is_called = before.is_some_and(|before| self.is_called(before, Condition::Ready));
            let (change, why) = match (before.map(|before| old.node(before)), needed_by) {
                (None, _) if comes(node) => (Change::Start, Why::New),
                (None, Some(by)) => (Change::Start, Why::NeededBy(by)),
                (None, None) => (Change::Nothing, Why::NewAndDown),
                (Some(before), _) if is_turned_away(before, node) => (Change::Stop, Why::TurnedAway),
                (Some(_), _) if let Some(on) = turned_away[id.at()] => (Change::Stop, Why::Needs(new.name(on).into())),
                // A bundle is no less up than what is in it.
                (Some(before), _) if before.kind == Kind::Bundle && is_other(before, node) => {
                    (Change::Restart, Why::Changed)
                }
                (Some(before), _) if node.up && !before.up && !is_called => (Change::Start, Why::NoLongerDown),
                (Some(_), Some(by)) => (Change::Start, Why::NeededBy(by)),
                (Some(before), None) if is_other(before, node) => (Change::Restart, Why::Changed),
                (Some(before), None) => match follows[id.at()] {
                    Some(leader) => (Change::Restart, Why::Follows(new.name(leader).into())),
                    None if reads_other(before, node) => (Change::Reload, Why::Reloadable),
                    None if before != node => (Change::Nothing, Why::Rules),
                    None => (Change::Nothing, Why::Same),
                },
            };
            steps.push(Step { name: (*node.name).into(), change, why });
        }
        steps
    }

    /// Somebody wants it up, and nobody need ask again: it has not failed by itself, nor ended, unless that is waited for.
    fn is_called(&self, id: Id, until: Condition) -> bool {
        let run = &self.runs[id.at()];
        run.is_wished()
            && match run.progress {
                Progress::Completed => until == Condition::Completed || self.graph.node(id).kind != Kind::Process,
                Progress::Failed(reason) => matches!(reason, Reason::Dependency(_) | Reason::Condition),
                Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => true,
                Progress::Up(_) | Progress::Stopping { .. } => true,
            }
    }

    /// Who starts because one that depends on it is wanted, and did not so before, or starts now, or once more; and which.
    fn newly_needed(&self, new: &Graph, follows: &[Option<Id>], is_new: &dyn Fn(&Node) -> bool) -> Vec<Option<Id>> {
        let old = &self.graph;
        let mut by = alloc::vec![None; new.entries.len()];
        let mut walk = Vec::new();
        for id in new.living() {
            let node = new.node(id);
            let before = old.id(&node.name);
            let is_wanted = before.is_some_and(|before| self.runs[before.at()].is_wished());
            let again = before.is_some_and(|before| follows[id.at()].is_some() || is_other(old.node(before), node));
            let comes = before.map_or_else(|| is_new(node), |before| node.up && !old.node(before).up);
            if is_wanted || comes {
                walk.push((id, before.filter(|_| is_wanted && !again)));
            }
        }
        while let Some((id, before)) = walk.pop() {
            let knew = |to: &str| before.is_some_and(|before| pulled(old, before).any(|edge| old.name(edge.to) == to));
            for edge in pulled(new, id).filter(|edge| !knew(new.name(edge.to))) {
                let to = edge.to;
                let known = old.id(new.name(to));
                let is_there = known.map_or_else(|| is_new(new.node(to)), |known| self.is_called(known, edge.until));
                if !is_there && by[to.at()].is_none() {
                    by[to.at()] = Some(id);
                    walk.push((to, None));
                }
            }
        }
        by
    }
}

/// Whom a node has started along: nobody, as long as it may not start itself.
pub(super) fn pulled(graph: &Graph, id: Id) -> impl Iterator<Item = &Edge> {
    let may_start = graph.node(id).admission == Admission::Open;
    graph.edges(id).iter().filter(move |edge| may_start && edge.strength != Strength::Order)
}

/// Whether what runs must be replaced.
pub(super) fn is_other(old: &Node, new: &Node) -> bool {
    old.substance != new.substance || old.kind != new.kind || new.change_restarts && reads_other(old, new)
}

/// Whether something has changed in what it reads. That it reads more, or less, is no change in those.
fn reads_other(old: &Node, new: &Node) -> bool {
    let is_other = |(what, content): &(u64, u64)| old.reads.iter().any(|(other, was)| what == other && was != content);
    new.reads.iter().any(is_other)
}

fn is_turned_away(old: &Node, new: &Node) -> bool {
    new.admission == Admission::Refused && old.admission != Admission::Refused
}

fn by_name(graph: &Graph) -> Vec<Id> {
    let mut nodes = graph.living();
    nodes.sort_by(|one, other| graph.name(*one).cmp(graph.name(*other)));
    nodes
}

/// Who restarts because one that it follows does; and which.
fn followers(old: &Graph, new: &Graph) -> Vec<Option<Id>> {
    let follows = |bond| bond == Bond::Follow;
    above(old, new, &|before, node| is_other(before, node) && !is_turned_away(before, node), &follows)
}

/// Who stops because one that it needs is turned away; and which.
fn needers(old: &Graph, new: &Graph) -> Vec<Option<Id>> {
    above(old, new, &is_turned_away, &|bond| bond != Bond::Start)
}

/// Who is tied by such bonds to one of which that is so, itself or through others; and to which.
fn above(old: &Graph, new: &Graph, is_so: &dyn Fn(&Node, &Node) -> bool, ties: &dyn Fn(Bond) -> bool) -> Vec<Option<Id>> {
    let mut found = alloc::vec![None; new.entries.len()];
    let changed = |id: &Id| old.id(new.name(*id)).is_some_and(|before| is_so(old.node(before), new.node(*id)));
    let mut walk: Vec<Id> = new.living().into_iter().filter(changed).collect();
    while let Some(id) = walk.pop() {
        for (from, edge) in new.dependents(id) {
            let is_tied = matches!(edge.strength, Strength::Hard(bond) if ties(bond)) && !new.is_retired(from);
            if is_tied && found[from.at()].is_none() {
                found[from.at()] = Some(id);
                walk.push(from);
            }
        }
    }
    found
}
