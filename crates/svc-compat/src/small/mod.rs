//! The small programs that scripts call.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
