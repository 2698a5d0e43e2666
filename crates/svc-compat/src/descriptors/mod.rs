//! Descriptors that outlive their processes: s6-fdholder.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
