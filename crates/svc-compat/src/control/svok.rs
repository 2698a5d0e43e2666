//! s6-svok: whether there is a supervisor.

use std::path::Path;

use svc_sys::exit;

use crate::command::{Call, Command, Failure, Outcome};
use crate::servicedir::supervise;

pub(super) const COMMAND: Command = Command {
    name: "s6-svok",
    about: "say by the exit code whether a service directory has a supervisor",
    operands: "SERVICEDIR",
    options: &[],
    notes: "",
    codes: &[(1, "there is no supervisor")],
    run,
};

fn run(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the service directory")?);
    match supervise::is_supervised(dir) {
        Ok(supervised) => Ok(if supervised { exit::DONE } else { exit::FAILED }),
        Err(error) => Err(Failure::system(format!("unable to check {}: {error}", dir.display()))),
    }
}
