//! Thin fronts with the manners of runit and daemontools.

mod chpst;
mod daemontools;
mod line;
mod loaders;
mod runsvdir;
mod sv;
mod sv_verbs;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    sv::COMMAND,
    runsvdir::COMMAND,
    daemontools::SVC,
    daemontools::SVSTAT,
    daemontools::SVOK,
    loaders::SETUIDGID,
    loaders::ENVUIDGID,
    loaders::ENVDIR,
    loaders::SOFTLIMIT,
    loaders::SETLOCK,
    loaders::FGHACK,
    loaders::PGRPHACK,
    chpst::CHPST,
    // The names under which s6 has them.
    Command { name: "s6-alias-sv", ..sv::COMMAND },
    Command { name: "s6-alias-chpst", ..chpst::CHPST },
];
