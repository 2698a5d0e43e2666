//! What few services say of how they are to be kept: all of it stands behind one pointer, so the others pay nothing for it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::definition::Settings;
use crate::restart::{Restart, When};
use crate::service::{KNOCKS_IN_VAIN, RESTART_GAP};
use crate::signal::{Exit, Signal};
use crate::time::Millis;

/// The rare settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    pub restart: Restart,
    /// Which ends are a success; none: an exit with 0.
    pub success: Option<Vec<Exit>>,
}

/// How a service is stopped, where one signal is not all of it. `Default`: it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stopping {
    /// Before everything else it counts as not ready, until what is run here has ended well.
    pub drain: Option<Errand>,
    /// Before the signals this is run, and it has time to end of that.
    pub command: Option<Errand>,
    /// What follows the down signal, and how long after the signal before. SIGKILL is the last, if it is one of them.
    pub steps: Vec<(Millis, Signal)>,
    /// The signals go to all its processes.
    pub tree: bool,
}

/// Something that a stop waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// No longer than this.
    pub most: Millis,
    /// The words behind `svc exec`; none: the time alone.
    pub words: Vec<Vec<u8>>,
}

/// The end of the service is the end of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Essential {
    /// What the container ends with; none: its own code, or 128 and the signal.
    pub code: Option<u8>,
    pub ends: Ends,
}

/// Which ends of an essential service count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    All,
    Failures,
}

impl Settings {
    /// To write into; made if there is none.
    pub fn policy_mut(&mut self) -> &mut Policy {
        self.policy.get_or_insert_with(Box::default)
    }

    /// To write into; made if there is none.
    pub fn stopping_mut(&mut self) -> &mut Stopping {
        self.stopping.get_or_insert_with(Box::default)
    }

    pub fn is_success(&self, exit: Exit) -> bool {
        match self.policy.as_ref().and_then(|policy| policy.success.as_ref()) {
            Some(list) => list.contains(&exit),
            None => exit == Exit::Code(0),
        }
    }

    pub fn restart(&self) -> Option<&Restart> {
        self.policy.as_ref().map(|policy| &policy.restart)
    }

    /// So many knocks in a row may be in vain.
    pub(crate) fn knocks_in_vain(&self) -> u8 {
        self.restart().map(|restart| restart.limit).filter(|&limit| limit > 0).unwrap_or(KNOCKS_IN_VAIN)
    }

    /// How far apart two starts are after so many ends in a row.
    pub fn restart_delay(&self, streak: u16, chance: u32) -> Millis {
        self.restart().map_or(RESTART_GAP, |restart| restart.delay(streak, chance))
    }

    /// Whether the first end is the last, where no `finish` says otherwise.
    pub(crate) fn ends_once(&self) -> bool {
        self.essential && self.restart().is_none_or(|restart| restart.when == When::Unsaid && restart.limit == 0)
    }
}
