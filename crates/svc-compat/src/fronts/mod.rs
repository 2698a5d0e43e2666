//! Thin fronts with the manners of runit and daemontools.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
