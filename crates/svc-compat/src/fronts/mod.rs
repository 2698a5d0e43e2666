//! Thin fronts with the manners of runit and daemontools.

mod daemontools;
mod line;
mod runsvdir;
mod sv;
mod sv_verbs;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] =
    &[sv::COMMAND, runsvdir::COMMAND, daemontools::SVC, daemontools::SVSTAT, daemontools::SVOK];
