//! Fifodirs: s6-ftrig and what makes and cleans them.

mod fifodirs;
mod ftrig;

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] =
    &[ftrig::WAIT, ftrig::LISTEN1, ftrig::LISTEN, fifodirs::NOTIFY, fifodirs::MAKE, fifodirs::CLEAN];
