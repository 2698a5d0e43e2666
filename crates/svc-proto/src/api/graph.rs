//! What depends on what, and how the start of it all went.

use serde::{Deserialize, Serialize};

use super::State;

/// Everything that stands in the graph: services with dependencies, and names for several of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// By name.
    pub nodes: Vec<Node>,
    /// Those that do not fit in with the others.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// A service that does not fit in with the others, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub name: String,
    pub problem: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub kind: NodeKind,
    /// It is where a dependent would want it: ready, or done.
    pub up: bool,
    pub state: State,
    /// Somebody asked for it by name, or its definition did; not only for something that needs it.
    pub wanted: bool,
    /// Stopping it must be insisted on.
    pub essential: bool,
    /// What it depends on, or the members of a bundle.
    pub needs: Vec<String>,
    /// Those of them that it waits for, and goes on without: `wants`, `after`, and who has it in `before`.
    #[serde(default)]
    pub soft: Vec<String>,
    /// How long its start may take, and its stop; 0 for ever.
    pub start_timeout_ms: u64,
    pub stop_timeout_ms: u64,
    /// Why it is not where it should be.
    pub problem: Option<String>,
    /// Why it is as it is though nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub dir: Option<String>,
}

impl Node {
    /// What it waits for, and whether it goes on without.
    pub fn edges(&self) -> impl Iterator<Item = (&str, bool)> {
        self.needs.iter().map(|on| (on.as_str(), self.soft.contains(on)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Of an s6-rc source, or a classic directory.
    Longrun,
    Process,
    Forking,
    Oneshot,
    Bundle,
    Milestone,
    Timer,
}

impl NodeKind {
    /// What s6-rc takes for a longrun.
    pub fn is_longrun(self) -> bool {
        matches!(self, NodeKind::Longrun | NodeKind::Process | NodeKind::Forking | NodeKind::Timer)
    }

    /// And for a oneshot.
    pub fn is_oneshot(self) -> bool {
        matches!(self, NodeKind::Oneshot | NodeKind::Milestone)
    }
}

/// How the start of everything went. Spans are from `began_ms` on; `null` is what has not happened, or is not known any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    pub began_ms: u64,
    /// When everything that was to be up was, or had failed to be.
    pub settled_after_ms: Option<u64>,
    /// svc-scan has been started again since: of what happened before, only what supervisors remember is known.
    pub incomplete: bool,
    /// The service that was up last of all that belong to the start, and behind each what it waited for last.
    pub chain: Vec<String>,
    /// By name.
    pub services: Vec<FirstStart>,
}

/// How the first start of a service went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstStart {
    pub name: String,
    pub kind: NodeKind,
    /// Somebody wanted it up: its definition, one that needs it, or a user.
    pub wanted_after_ms: Option<u64>,
    /// Its program was executed.
    pub began_after_ms: Option<u64>,
    /// It was up, and ready if it says when it is; a oneshot was done.
    pub there_after_ms: Option<u64>,
    /// Its health check said that it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_after_ms: Option<u64>,
    /// Of all that it waited for, what came last.
    pub waited_for: Option<String>,
    /// It was wanted only after the start was over.
    pub later: bool,
    /// It had begun before svc-scan was started again: `null` is what is not known.
    pub recovered: bool,
}
