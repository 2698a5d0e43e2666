//! Lines: s6-log, what is like it, and their stamps.

mod archives;
mod engine;
mod filter;
mod input;
mod logdir;
mod multilog;
mod pattern;
mod processor;
mod recovery;
mod rotation;
mod s6_log;
mod script;
mod sinks;
mod socklog;
mod stamp;
mod svlogd;
mod tai64n;
mod ucspilogd;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    s6_log::COMMAND,
    multilog::COMMAND,
    svlogd::COMMAND,
    tai64n::S6_TAI64N,
    tai64n::S6_TAI64NLOCAL,
    tai64n::TAI64N,
    tai64n::TAI64NLOCAL,
    socklog::COMMAND,
    ucspilogd::COMMAND,
];
