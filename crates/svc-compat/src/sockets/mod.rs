//! Sockets with a program behind them, and programs run for others: s6-ipcserver, s6-sudo.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
