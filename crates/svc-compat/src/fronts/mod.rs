//! Thin fronts with the manners of runit and daemontools.

mod chpst;
mod daemontools;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    daemontools::SETUIDGID,
    daemontools::ENVUIDGID,
    daemontools::ENVDIR,
    daemontools::SOFTLIMIT,
    daemontools::SETLOCK,
    daemontools::FGHACK,
    daemontools::PGRPHACK,
    chpst::CHPST,
];
