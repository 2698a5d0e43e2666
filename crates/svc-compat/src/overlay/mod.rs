//! The helpers of s6-overlay and of phusion's base image.

mod attributes;
mod contenv;
mod glob;
mod logutil;
mod power;
mod retries;
mod service;
mod suexec;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[
    contenv::WITH_CONTENV,
    contenv::PRINTCONTENV,
    retries::WITH_RETRIES,
    logutil::LOGUTIL_SERVICE,
    logutil::LOGUTIL_NEWFIFO,
    attributes::FIX_ATTRS,
    suexec::SUEXEC,
    power::HALT,
    power::POWEROFF,
    power::REBOOT,
    power::SHUTDOWN,
    service::SERVICE,
];

/// Names that the system has too. A link of such a name belongs where scripts look for ours (/run/s6/basedir/bin), and not
/// into a directory that is in everybody's PATH.
pub(crate) const NAMES_OF_THE_SYSTEM: &[&str] =
    &[power::HALT.name, power::POWEROFF.name, power::REBOOT.name, power::SHUTDOWN.name, service::SERVICE.name];
