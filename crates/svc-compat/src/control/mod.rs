//! Control and query: s6-svc and its family, on the files of supervise/ and event/.

use crate::command::Command;

pub(crate) const COMMANDS: &[Command] = &[];
