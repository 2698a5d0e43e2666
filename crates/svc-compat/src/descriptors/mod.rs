//! Descriptors held for others: s6-fdholder.

mod client;
mod commands;
mod daemon;
mod dump;
mod server;
mod session;
mod store;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    daemon::DAEMON,
    server::FDHOLDERD,
    commands::STORE,
    commands::STOREC,
    commands::RETRIEVE,
    commands::RETRIEVEC,
    commands::DELETE,
    commands::DELETEC,
    commands::LIST,
    commands::LISTC,
    dump::GETDUMP,
    dump::GETDUMPC,
    dump::SETDUMP,
    dump::SETDUMPC,
    dump::TRANSFERDUMP,
    dump::TRANSFERDUMPC,
];
