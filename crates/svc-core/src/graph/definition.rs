//! What the graph must know of a service: its kind, what it waits for, and how long it may take.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::time::Millis;

/// The number of a node; dense, and the same as long as its name stays in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

impl Id {
    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// What kind of thing a node is, as far as the order goes. Timers and forking daemons are processes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Runs until it is stopped.
    Process,
    /// Runs to its end; is up from then on, until it is stopped.
    Oneshot,
    /// A point in time: no process, up when everything it waits for is there. An empty oneshot.
    Milestone,
    /// A name for its members, which it needs. Stopping it stops them.
    Bundle,
}

impl Kind {
    /// Whether a supervisor has something to do for it.
    pub fn has_process(self) -> bool {
        match self {
            Kind::Process | Kind::Oneshot => true,
            Kind::Milestone | Kind::Bundle => false,
        }
    }
}

/// What an edge waits for. A oneshot or bundle that has completed fulfils all of them; a process that has ended well, and is not started
/// again, what it had been and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    Started,
    /// It said so; where it never says, that it was started.
    Ready,
    /// As long as it runs.
    Healthy,
    /// It ran to its end, with success.
    Completed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Started => "started",
            Condition::Ready => "ready",
            Condition::Healthy => "healthy",
            Condition::Completed => "completed",
        })
    }
}

/// How a running dependent is tied to what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bond {
    /// Needed for the start only: afterwards the dependency may be stopped without asking.
    Start,
    /// Stopping the dependency takes it along, also where its conditions cease to hold; if that restarts or fails, it runs on. What
    /// s6-rc does.
    Stay,
    /// As `Stay`, and it restarts when the dependency restarts, and stops when that fails.
    Follow,
}

/// How one node depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Hard: started along; no start without it.
    Needs(Bond),
    /// Soft: started along; if it fails, never mind.
    Wants,
    /// Order only.
    After,
    /// Order only: the other one is `After` this one.
    Before,
}

/// An edge as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub on: Arc<str>,
    pub relation: Relation,
    pub until: Condition,
}

/// Whether a node may start, whatever its dependencies. One that is left out so that its dependents start all the same is no
/// matter of this: it stands in the set as a milestone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    Open,
    /// That is being found out. What runs already goes on.
    Pending,
    /// It may not, and has failed by that.
    Refused,
}

/// A node as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: Arc<str>,
    pub kind: Kind,
    pub dependencies: Vec<Dependency>,
    /// Endpoints outside that must answer before it starts, as they are called in messages.
    pub external: Vec<String>,
    /// Started when its definition comes, without anybody asking: there is no `down` file.
    pub up: bool,
    /// It says when it is ready.
    pub readiness: bool,
    /// Once up, others count it as up until it is stopped or started anew, whatever has become of its process: s6-rc does so, and
    /// an optional service may end at once.
    pub lasting: bool,
    /// Its health is checked.
    pub health: bool,
    /// Stopped after everybody who is not, at shutdown.
    pub logger: bool,
    /// How long its external endpoints may take to answer; zero for ever.
    pub wait_timeout: Millis,
    /// Whether its conditions let it start.
    pub admission: Admission,
    /// From its start until it is up; zero for ever.
    pub start_timeout: Millis,
    /// After this, a stop has failed (and goes on); zero for ever.
    pub stop_timeout: Millis,
    /// A fingerprint of everything that takes a restart to change.
    pub substance: u64,
    /// What it reads beside its definition: of each, which files these are, and a fingerprint of what is in them.
    pub reads: Vec<(u64, u64)>,
    /// A change in one of those takes a restart, and not a reload.
    pub change_restarts: bool,
    /// It is made from files: whether it could start from them is found out before it is stopped for a restart.
    pub examined: bool,
}

impl Node {
    /// A node that waits for nobody and for ever.
    pub fn new(name: impl Into<Arc<str>>, kind: Kind) -> Node {
        Node {
            name: name.into(),
            kind,
            dependencies: Vec::new(),
            external: Vec::new(),
            up: true,
            readiness: false,
            lasting: false,
            health: false,
            logger: false,
            wait_timeout: Millis::ZERO,
            admission: Admission::Open,
            start_timeout: Millis::ZERO,
            stop_timeout: Millis::ZERO,
            substance: 0,
            reads: Vec::new(),
            change_restarts: false,
            examined: false,
        }
    }

    /// A bundle of these.
    pub fn bundle(name: &str, members: &[&str]) -> Node {
        let needs = Relation::Needs(Bond::Follow);
        members.iter().fold(Node::new(name, Kind::Bundle), |node, member| node.with(member, needs, Condition::Ready))
    }

    /// The same with one dependency more.
    pub fn with(mut self, on: &str, relation: Relation, until: Condition) -> Node {
        self.dependencies.push(Dependency { on: on.into(), relation, until });
        self
    }
}
