//! Servers and clients on Unix sockets, and who may talk to whom.

mod access;
mod cdb;
mod client;
mod convert;
mod daemon;
pub(crate) mod local;
pub(crate) mod rules;
mod server;
mod sudo;
mod sudoc;
mod sudod;
pub(crate) mod wire;

pub(crate) use daemon::announce;
pub(crate) use server::{binder_words, pass_on};

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    server::SOCKETBINDER,
    server::IPCSERVER,
    daemon::IPCSERVERD,
    access::IPCSERVER_ACCESS,
    access::CONNLIMIT,
    client::IPCCLIENT,
    convert::CDB_FROM_FS,
    convert::FS_FROM_CDB,
    sudo::SUDO,
    sudoc::SUDOC,
    sudod::SUDOD,
];
