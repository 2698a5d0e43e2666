//! What the engine knows of a node.

use alloc::vec::Vec;

use super::definition::Id;
use super::request::{Goal, RequestId};
use crate::service::Trouble;
use crate::signal::Exit;
use crate::time::Millis;

/// What somebody wants of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    Down,
    /// Up, because another one depends on it.
    Dependency,
    /// Up, because somebody asked for it by name.
    Explicit,
}

/// How far a running node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Started,
    Ready,
    /// Its health check failed; it is ready nevertheless.
    Unhealthy,
    Healthy,
}

/// What is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    Down,
    /// Others must come first.
    Waiting,
    /// Only endpoints outside are missing.
    Awaiting,
    /// Its supervisor was told to start it, or is starting it again.
    Starting,
    Up(Level),
    /// Ran to its end with success. A oneshot, milestone or bundle is up now; of a process nothing is left.
    Completed,
    Failed(Reason),
    /// `overdue`: for longer than it should.
    Stopping {
        overdue: bool,
    },
}

/// Why a node failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It ended like this, and is not started again.
    Exit(Exit),
    /// It ended like this before it was ready, and is started again.
    Unready(Exit),
    /// It could not be started.
    Trouble(Trouble),
    /// It needs that one.
    Dependency(Id),
    /// It was not up in time.
    StartTimeout,
    /// What it waits for outside did not answer in time.
    ExternalTimeout,
    /// It was not down in time.
    StopTimeout,
    /// It cannot stop: somebody above it is not down in time.
    Held,
    /// Somebody stopped it behind our back.
    StoppedOutside,
    /// A later request wants something else of it. The others of the request go on.
    Superseded,
    /// Its conditions do not hold here.
    Condition,
}

impl Reason {
    /// What is said of an order that a later one contradicts.
    pub const SUPERSEDED: &str = "somebody asked for something else meanwhile";
}

/// A node at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub wish: Wish,
    /// Somebody has asked for it, or for its end: what is heard later of an earlier wish comes too late.
    pub asked: bool,
    pub progress: Progress,
    /// When it entered its progress.
    pub since: Millis,
    /// It is to stop, and then to start again.
    pub again: bool,
    /// It is to stop, and has failed then.
    pub doom: Option<Reason>,
    /// It was told to start, and has not been told to be gone: a stop must be asked for.
    pub process: bool,
    /// Which of its external endpoints have answered since it last began to wait for them: a bit for each of the first ones.
    pub answered: u64,
    /// All of them have.
    pub reached: bool,
    /// It cannot stop because somebody above it does not.
    pub stuck: bool,
    /// When time is up for what it does.
    pub until: Option<Millis>,
    /// The edge that it waits for, as far as is known: the search begins there. `None`: look at every edge, also while it is up.
    pub gate: Option<u32>,
    /// The dependent whose end it waits for: the search begins there.
    pub hold: u32,
    /// It was up, and others still count on that.
    pub lasts: bool,
    /// A process that has ended well was ready then.
    pub was_ready: bool,
    /// It stands in the work list.
    pub queued: bool,
    /// It stands in the list of those to start or to stop.
    pub moving: bool,
    /// It stands in the list of those to look at when the work is done, and it is to be published then.
    pub listed: bool,
    pub changed: bool,
    /// The walk that last came here.
    pub walk: u64,
    pub watchers: Vec<(RequestId, Goal)>,
}

impl Run {
    pub fn new(now: Millis) -> Run {
        Run {
            wish: Wish::Down,
            asked: false,
            progress: Progress::Down,
            since: now,
            again: false,
            doom: None,
            process: false,
            answered: 0,
            reached: false,
            stuck: false,
            until: None,
            gate: None,
            hold: 0,
            lasts: false,
            was_ready: false,
            queued: false,
            moving: false,
            listed: false,
            changed: false,
            walk: 0,
            watchers: Vec::new(),
        }
    }

    pub fn is_wished(&self) -> bool {
        self.wish != Wish::Down
    }
}

/// The bit of an external endpoint in [`Run::answered`]; none for those behind the first 64.
pub(super) fn place_of(endpoint: usize) -> u64 {
    u32::try_from(endpoint).ok().and_then(|endpoint| 1u64.checked_shl(endpoint)).unwrap_or(0)
}
