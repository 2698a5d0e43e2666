//! The names that scripts call: s6's commands, execline, and what runit's and daemontools' scripts expect.
//!
//! Each room holds a family, and each family a table of [`Command`]s. The table is all there is to say about a command: the
//! parser, `--help` and the man page come from it.
#![forbid(unsafe_code)]

pub mod chain;
pub mod command;
mod control;
mod descriptors;
mod events;
mod execline;
mod fronts;
mod logs;
mod manual;
mod overlay;
mod own;
mod process;
mod rc;
mod servicedir;
mod small;
mod sockets;

pub use command::Command;

/// All of them, a table a family.
pub const FAMILIES: &[&[Command]] = &[
    control::COMMANDS,
    process::COMMANDS,
    rc::COMMANDS,
    logs::COMMANDS,
    execline::COMMANDS,
    events::COMMANDS,
    descriptors::COMMANDS,
    sockets::COMMANDS,
    small::COMMANDS,
    overlay::COMMANDS,
    fronts::COMMANDS,
];

/// Every command.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().copied().flatten()
}

/// The names that are to be found wherever links of ours are put: all but those that the system has too.
pub fn names_of_links() -> impl Iterator<Item = &'static str> {
    commands().map(|command| command.name).filter(|name| !overlay::NAMES_OF_THE_SYSTEM.contains(name))
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    commands().find(|command| command.name == name)
}

pub use manual::page;
pub use process::settle;
