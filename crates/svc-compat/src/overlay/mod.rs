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
