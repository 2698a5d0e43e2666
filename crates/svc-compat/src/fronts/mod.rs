//! Thin fronts with the manners of runit and daemontools.

mod chpst;
mod loaders;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    loaders::SETUIDGID,
    loaders::ENVUIDGID,
    loaders::ENVDIR,
    loaders::SOFTLIMIT,
    loaders::SETLOCK,
    loaders::FGHACK,
    loaders::PGRPHACK,
    chpst::CHPST,
];
