//! What a process has: user, limits, environment, session, locks; and what it tells a supervisor.

pub(crate) mod account;
mod background;
mod bridges;
pub(crate) mod envdir;
pub(crate) mod fghack;
pub(crate) mod identity;
mod ioconnect;
pub(crate) mod limits;
pub(crate) mod lock;
mod notify;
mod readiness;
mod session;
pub mod settle;
pub(crate) mod spawn;
mod user;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    user::SETUIDGID,
    user::APPLYUIDGID,
    user::ENVUIDGID,
    user::SETUSER,
    envdir::ENVDIR,
    envdir::JUSTC_ENVDIR,
    limits::SOFTLIMIT,
    lock::SETLOCK,
    session::SETSID,
    fghack::FGHACK,
    background::BACKGROUND_WATCH,
    notify::NOTIFYONCHECK,
    bridges::FROM_SOCKET,
    bridges::FROM_FD,
    ioconnect::IOCONNECT,
];
