//! `halt` and its brothers, as scripts call them in /run/s6/basedir/bin: they ask svc to end.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;

use crate::chain;
use crate::command::{Call, Command, Opt, Outcome};

/// Where a script leaves the exit code that the container is to have.
const EXIT_CODE: &str = "/run/s6-linux-init-container-results/exitcode";

/// Names another file than [`EXIT_CODE`].
const OTHER_EXIT_CODE: &str = "SVC_CONTAINER_EXIT_CODE";

const NOTES: &str = "Asks the svc that runs here, through its control socket, to stop all services and to end, and does not wait for it: \
                     a finish script may call it. The exit code of svc is the number in /run/s6-linux-init-container-results/exitcode, \
                     or in the file that SVC_CONTAINER_EXIT_CODE names; 0 where there is none.";

const OPTIONS: &[Opt] = &[
    Opt::flag('f', "kill at once instead of stopping in order"),
    Opt::flag('h', "taken, and without effect"),
    Opt::flag('p', "taken, and without effect"),
    Opt::flag('r', "taken, and without effect"),
    Opt::flag('d', "taken, and without effect"),
    Opt::flag('w', "taken, and without effect"),
    Opt::flag('n', "taken, and without effect"),
    Opt::flag('i', "taken, and without effect"),
];

pub(super) const HALT: Command = Command {
    name: "halt",
    about: "end svc, and so the container",
    operands: "",
    options: OPTIONS,
    notes: NOTES,
    codes: &[],
    run: end,
};

pub(super) const POWEROFF: Command = Command { name: "poweroff", ..HALT };

pub(super) const REBOOT: Command = Command { name: "reboot", ..HALT };

pub(super) const SHUTDOWN: Command = Command { name: "shutdown", operands: "[now]", ..HALT };

fn end(call: &Call) -> Outcome {
    match call.operands.as_slice() {
        [] => {}
        [when] if call.command.name == SHUTDOWN.name && (when == "now" || when == "+0" || when == "0") => {}
        [word, ..] => {
            let message = format!("'{}': a time other than now cannot be given", word.display());
            return Err(crate::command::Failure::usage(message));
        }
    }
    let mut words: Vec<OsString> =
        vec!["shutdown".into(), "--no-wait".into(), "--code".into(), exit_code(call).to_string().into()];
    if call.has('f') {
        words.push("--force".into());
    }
    chain::execute_own("svc-ctl", words)
}

/// The code that a script wrote down; one that cannot be understood is not a reason not to end.
fn exit_code(call: &Call) -> u8 {
    let path = std::env::var_os(OTHER_EXIT_CODE).unwrap_or_else(|| EXIT_CODE.into());
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().unwrap_or_else(|_| {
            call.warn(format!("{}: '{}' is no exit code: ending with 1", path.display(), text.trim()));
            1
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => {
            call.warn(format!("{}: {error}: ending with 1", path.display()));
            1
        }
    }
}
