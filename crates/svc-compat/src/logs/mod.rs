//! Lines: s6-log, what is like it, and their stamps.

mod archives;
mod engine;
mod input;
mod logdir;
mod pattern;
mod processor;
mod recovery;
mod rotation;
mod s6_log;
mod script;
mod sinks;
mod stamp;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[s6_log::COMMAND];
