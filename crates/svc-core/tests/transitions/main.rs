//! What a supervisor does, case by case: s6's table of commands and its timing rules, and where svc differs from s6 on purpose.

#[path = "../support/sequence.rs"]
#[allow(dead_code, reason = "states.rs uses what this file does not")]
mod sequence;

mod commands;
mod ends;
mod kinds;
mod time;

use svc_core::service::{Action, Note, Role};

const START: [Action; 2] = [Action::Publish(Note::Starting), Action::Spawn(Role::Run)];
const END: [Action; 2] = [Action::Publish(Note::Exited), Action::Spawn(Role::Finish)];
