//! Thin fronts with the manners of runit and daemontools.

mod chpst;
mod daemontools;
mod line;
mod runsvdir;
mod sv;
mod sv_verbs;
mod svstat;

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
    runsvdir::COMMAND,
    sv::COMMAND,
    svstat::SVC,
    svstat::SVSTAT,
    svstat::SVOK,
];
