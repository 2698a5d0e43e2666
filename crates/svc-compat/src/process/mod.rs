//! What a process has: user, limits, environment, session, locks.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
