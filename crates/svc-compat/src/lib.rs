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
mod process;
mod rc;
mod servicedir;
mod small;
mod sockets;

pub use command::Command;

/// Commands that belong together.
pub struct Family {
    /// What they are about, as a heading.
    pub title: &'static str,
    pub commands: &'static [Command],
}

/// All of them, a table a family.
pub const FAMILIES: &[Family] = &[
    Family { title: "Steering and asking", commands: control::COMMANDS },
    Family { title: "What a process has", commands: process::COMMANDS },
    Family { title: "Services with dependencies", commands: rc::COMMANDS },
    Family { title: "Logs", commands: logs::COMMANDS },
    Family { title: "execline", commands: execline::COMMANDS },
    Family { title: "Events", commands: events::COMMANDS },
    Family { title: "Descriptors held for others", commands: descriptors::COMMANDS },
    Family { title: "Unix sockets, and commands as another user", commands: sockets::COMMANDS },
    Family { title: "Small programs", commands: small::COMMANDS },
    Family { title: "s6-overlay and its kin", commands: overlay::COMMANDS },
    Family { title: "runit and daemontools", commands: fronts::COMMANDS },
];

/// Every command.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().flat_map(|family| family.commands)
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    commands().find(|command| command.name == name)
}

pub use manual::page;
pub use process::settle;
