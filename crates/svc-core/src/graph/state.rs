//! What the engine knows of a node.

use alloc::vec::Vec;

use super::definition::{Condition, Id};
use super::request::{Goal, RequestId};
use crate::service::Trouble;
use crate::signal::Exit;
use crate::time::{Millis, Noted};

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
    /// Its conditions do not hold here.
    Condition,
}

/// When what happened to a node, in its present life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// It entered its progress.
    pub since: Millis,
    /// Its supervisor was told to start it.
    pub began: Noted,
    pub started: Noted,
    pub ready: Noted,
    pub healthy: Noted,
    pub completed: Noted,
}

impl Times {
    /// When it first fulfilled this condition, or one that implies it.
    pub fn reached(&self, until: Condition) -> Option<Millis> {
        let (ready, completed) = (self.ready.get(), self.completed.get());
        match until {
            Condition::Started => self.started.get().or(ready).or(completed),
            Condition::Ready => ready.or(completed).or(self.started.get()),
            Condition::Healthy => self.healthy.get().or(completed),
            Condition::Completed => completed,
        }
    }
}

/// A node at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub wish: Wish,
    pub progress: Progress,
    pub times: Times,
    /// It is to stop, and then to start again.
    pub again: bool,
    /// It is to stop, and has failed then.
    pub doom: Option<Reason>,
    /// It was told to start, and has not been told to be gone: a stop must be asked for.
    pub process: bool,
    /// Its external endpoints have answered.
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
            progress: Progress::Down,
            times: Times { since: now, ..Times::default() },
            again: false,
            doom: None,
            process: false,
            reached: false,
            stuck: false,
            until: None,
            gate: None,
            hold: 0,
            lasts: false,
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
