//! execline: the language, and its commands as chain-loaders.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
