//! Questions: who waits for whom and why, and the edges for a picture.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::advance::Stand;
use super::build::Strength;
use super::definition::{Admission, Condition, Id, Kind};
use super::engine::Engine;
use super::state::{Progress, Reason, Wish, place_of};
use crate::service::{Stage, Trouble};
use crate::time::Millis;

/// One reason why a node does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocker {
    /// Who is in the way; the node itself for endpoints outside.
    pub node: Id,
    pub hindrance: Hindrance,
    pub since: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// It does not fulfil this condition yet.
    NotYet(Condition),
    /// It has failed.
    Failed(Reason),
    /// It is not to be up.
    Down,
    /// It has ended, and this condition will not come.
    Ended(Condition),
    /// Its endpoints outside do not answer.
    External,
    /// It must be down before.
    StillUp,
    /// Its conditions are being looked at.
    Condition,
}

/// An edge for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub strength: Strength,
    pub until: Condition,
}

impl Engine {
    pub fn progress(&self, id: Id) -> Progress {
        self.runs[id.at()].progress
    }

    /// Whether others count it as up, although its process has ended: see [`Node::lasting`](super::Node).
    pub fn lasts(&self, id: Id) -> bool {
        self.runs[id.at()].lasts
    }

    /// Those that are no longer in the set, and not gone yet.
    pub fn outgoing(&self) -> impl Iterator<Item = Id> {
        self.graph.ids().filter(|&id| self.graph.is_retired(id) && self.is_busy(id))
    }

    /// Whether somebody has asked for it, or for its end, since there has been this engine.
    pub fn is_asked(&self, id: Id) -> bool {
        self.runs[id.at()].asked
    }

    pub fn wish(&self, id: Id) -> Wish {
        self.runs[id.at()].wish
    }

    /// Whether somebody wants it up, or all that is in it.
    pub fn is_wanted(&self, id: Id) -> bool {
        let members = || self.graph.edges(id).iter().all(|edge| self.is_wanted(edge.to));
        self.runs[id.at()].is_wished() || self.graph.node(id).kind == Kind::Bundle && members()
    }

    /// What it fails by, while it is still being stopped.
    pub fn failing(&self, id: Id) -> Option<Reason> {
        self.runs[id.at()].doom
    }

    /// Whether it is there, and nobody wants it to go.
    pub fn is_to_stay(&self, id: Id) -> bool {
        self.is_active(id) && !self.is_leaving(id)
    }

    /// Whether it cannot stop, because one above it does not stop in time.
    pub fn is_stuck(&self, id: Id) -> bool {
        self.runs[id.at()].stuck
    }

    /// When it entered its progress.
    pub fn since(&self, id: Id) -> Millis {
        self.runs[id.at()].since
    }

    /// Whether somebody asked for the shutdown.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Who is in the way of this node, all of them.
    pub fn blockers(&self, id: Id) -> Vec<Blocker> {
        let run = &self.runs[id.at()];
        match run.progress {
            Progress::Awaiting => Vec::from([Blocker { node: id, hindrance: Hindrance::External, since: run.since }]),
            Progress::Waiting if self.graph.node(id).admission == Admission::Pending => {
                Vec::from([Blocker { node: id, hindrance: Hindrance::Condition, since: run.since }])
            }
            Progress::Waiting | Progress::Failed(Reason::Dependency(_)) => {
                let edges = self.graph.edges(id).iter();
                edges
                    .filter(|edge| self.stand(**edge) != Stand::Met)
                    .map(|edge| self.hindrance(edge.to, edge.until))
                    .collect()
            }
            Progress::Starting | Progress::Up(_) | Progress::Completed if self.is_leaving(id) => {
                let above = self.graph.backs(id).iter().map(|back| back.from).filter(|&from| self.is_leaving(from));
                let blocker = |node: Id| Blocker { node, hindrance: Hindrance::StillUp, since: self.runs[node.at()].since };
                above.map(blocker).collect()
            }
            Progress::Down | Progress::Starting | Progress::Up(_) | Progress::Completed => Vec::new(),
            Progress::Failed(_) | Progress::Stopping { .. } => Vec::new(),
        }
    }

    fn hindrance(&self, node: Id, until: Condition) -> Blocker {
        let run = &self.runs[node.at()];
        let hindrance = match run.progress {
            Progress::Failed(reason) => Hindrance::Failed(reason),
            Progress::Stopping { overdue: true } => Hindrance::Failed(Reason::StopTimeout),
            _ if run.doom.is_some() => Hindrance::Failed(run.doom.unwrap_or(Reason::StartTimeout)),
            _ if !run.is_wished() => Hindrance::Down,
            Progress::Completed => Hindrance::Ended(until),
            Progress::Down | Progress::Waiting | Progress::Awaiting | Progress::Starting => Hindrance::NotYet(until),
            Progress::Up(_) | Progress::Stopping { overdue: false } => Hindrance::NotYet(until),
        };
        Blocker { node, hindrance, since: run.since }
    }

    /// From this node's first blocker to the root of it all.
    pub fn blocked_by(&self, id: Id) -> Vec<Blocker> {
        let mut chain: Vec<Blocker> = Vec::new();
        let mut at = id;
        loop {
            let blockers = self.blockers(at);
            // The one that has been named as the reason, or the next step would be about another.
            let reason =
                if let Progress::Failed(Reason::Dependency(on)) = self.runs[at.at()].progress { Some(on) } else { None };
            let named = reason.and_then(|on| blockers.iter().find(|blocker| blocker.node == on));
            let first = named.or_else(|| blockers.iter().min_by_key(|blocker| blocker.rank()));
            let Some(&blocker) = first else { break };
            chain.push(blocker);
            // What holds up the end of one that fails is not why it does.
            let is_ending = matches!(blocker.hindrance, Hindrance::Failed(_)) && self.is_leaving(blocker.node);
            if blocker.node == at || is_ending {
                break;
            }
            at = blocker.node;
        }
        chain
    }

    /// The chain as a sentence: `blocked by db: not ready after 30 s`.
    pub fn explain(&self, id: Id, now: Millis) -> Option<String> {
        let chain = self.blocked_by(id);
        let parts: Vec<String> = chain.iter().map(|blocker| self.describe(blocker, now)).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn describe(&self, blocker: &Blocker, now: Millis) -> String {
        let name = self.graph.name(blocker.node);
        let seconds = (now - blocker.since).0 / 1000;
        match blocker.hindrance {
            Hindrance::NotYet(until) => {
                let is_oneshot = self.graph.node(blocker.node).kind == Kind::Oneshot && until != Condition::Started;
                let goal = if is_oneshot { "done".into() } else { format!("{until}") };
                format!("blocked by {name}: not {goal} after {seconds} s")
            }
            Hindrance::Failed(reason) => format!("blocked by {name}: {}", self.reason(blocker.node, reason)),
            Hindrance::Down => format!("blocked by {name}: it is down, and nobody wants it up"),
            Hindrance::Ended(until) => format!("blocked by {name}: it has ended, and is not {until}"),
            Hindrance::External => {
                format!("waiting for {}, {seconds} s", self.unanswered(blocker.node))
            }
            Hindrance::Condition => format!("waiting for the condition of {name}, {seconds} s"),
            Hindrance::StillUp => format!("blocked by {name}: not down after {seconds} s"),
        }
    }

    /// Its endpoints outside that have not answered.
    fn unanswered(&self, id: Id) -> String {
        let answered = |index: usize| self.runs[id.at()].answered & place_of(index) != 0;
        let external = self.graph.node(id).external.iter().enumerate();
        let missing: Vec<&str> = external.filter(|&(at, _)| !answered(at)).map(|(_, name)| name.as_str()).collect();
        missing.join(", ")
    }

    /// Why a node failed, in words.
    pub fn reason(&self, id: Id, reason: Reason) -> String {
        let node = self.graph.node(id);
        let span = |timeout: Millis| match timeout.0 {
            ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
            ms => format!("{ms} ms"),
        };
        match reason {
            Reason::Exit(exit) => format!("it ended ({exit}), and is not started again"),
            Reason::Unready(exit) => format!("ended before it was ready ({exit})"),
            Reason::Trouble(Trouble { stage: Stage::Prepare, errno: code }) => {
                format!("its program was not executed (exit code {code})")
            }
            Reason::Trouble(trouble) => format!("it could not be started ({:?}: error {})", trouble.stage, trouble.errno),
            Reason::Dependency(on) => format!("it needs {}", self.graph.name(on)),
            Reason::StartTimeout => {
                let goal = if node.kind == Kind::Oneshot { "done" } else { "ready" };
                format!("not {goal} after {}, which is its time to start", span(node.start_timeout))
            }
            Reason::ExternalTimeout => {
                let endpoints = self.unanswered(id);
                format!("{endpoints} did not answer within {}, which is its wait-timeout", span(node.wait_timeout))
            }
            Reason::StopTimeout => format!("not down after {}, which is its time to stop", span(node.stop_timeout)),
            Reason::Held => "somebody who needs it was not down in time".into(),
            Reason::StoppedOutside => "somebody stopped it".into(),
            Reason::Superseded => Reason::SUPERSEDED.into(),
            Reason::Condition => "its conditions do not hold".into(),
        }
    }

    /// Who waits for this one, directly or through others.
    pub fn reverse_dependencies(&self, id: Id) -> Vec<Id> {
        let mut seen = alloc::collections::BTreeSet::new();
        let mut walk = Vec::from([id]);
        while let Some(id) = walk.pop() {
            let above = self.graph.dependents(id).map(|(from, _)| from).filter(|&from| !self.graph.is_retired(from));
            walk.extend(above.filter(|from| seen.insert(*from)));
        }
        seen.into_iter().collect()
    }

    /// Every edge by name, for text, dot or mermaid.
    pub fn links(&self) -> impl Iterator<Item = Link<'_>> {
        self.graph.living().into_iter().flat_map(move |id| {
            let from = self.graph.name(id);
            let edges = self.graph.edges(id).iter();
            edges.map(move |edge| Link { from, to: self.graph.name(edge.to), strength: edge.strength, until: edge.until })
        })
    }
}

impl Blocker {
    /// What to tell first.
    fn rank(&self) -> u8 {
        match self.hindrance {
            Hindrance::Failed(_) => 0,
            Hindrance::Down | Hindrance::Ended(_) => 1,
            Hindrance::NotYet(_) | Hindrance::External | Hindrance::StillUp | Hindrance::Condition => 2,
        }
    }
}
