//! Lines: s6-log, what is like it, and their stamps.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
