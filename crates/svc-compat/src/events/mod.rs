//! Fifodirs: s6-ftrig and what makes and cleans them.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
