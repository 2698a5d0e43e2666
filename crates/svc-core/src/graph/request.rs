//! What users ask for, and what becomes of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::build::Problem;
use super::definition::{Id, Node};
use super::state::Reason;

/// The number of a request, given by who asks; never the same twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start these and what they depend on. What has failed is tried again.
    Start(Vec<Id>),
    /// Stop these; of a bundle its members too. `prune`: and what only they depended on.
    Stop { nodes: Vec<Id>, dependents: Dependents, prune: bool },
    /// Stop these and whoever follows them, and start them again.
    Restart(Vec<Id>),
    /// Let this oneshot run again, without its `down` before.
    Run(Id),
    /// From now on this is the whole set.
    Apply(Vec<Node>),
    /// Stop everything, loggers last, and start nothing any more.
    Shutdown,
}

/// What a stop does about nodes that need what is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependents {
    /// Refuse, and name them.
    Refuse,
    /// Stop them first.
    Take,
    /// Stop it under their feet. Those that follow it stop afterwards, the others run on.
    Leave,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// These did not get where they should, each with its reason; what they failed by is among them.
    Failed(Vec<(Id, Reason)>),
    /// Nothing has been changed.
    Refused(Refusal),
}

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    ShuttingDown,
    /// No such node.
    Unknown(Id),
    /// These need what is to be stopped.
    NeededBy(Vec<Id>),
    /// This is not something that runs to its end.
    NotAOneshot(Id),
    /// The new set is wrong.
    Problems(Vec<Problem>),
}

impl Refusal {
    /// What it says, and the cure; `name` gives the name of a node.
    pub fn describe<'a>(&self, name: impl Fn(Id) -> &'a str) -> String {
        use alloc::format;
        match self {
            Refusal::ShuttingDown => "everything is being shut down".into(),
            Refusal::Unknown(Id(number)) => format!("there is no service with number {number}"),
            Refusal::NeededBy(nodes) => {
                let names: Vec<&str> = nodes.iter().map(|&id| name(id)).collect();
                format!("needed by {}: stop them first, or take them along (--dependents)", names.join(", "))
            }
            Refusal::NotAOneshot(_) => "does not run to an end: restart it instead".into(),
            Refusal::Problems(problems) => {
                let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}")).collect();
                lines.join("\n")
            }
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a request wants a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    Down,
}

/// A request under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// So many nodes have not settled.
    pub open: usize,
    pub failures: Vec<(Id, Reason)>,
}
