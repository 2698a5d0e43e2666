//! s6-svscanctl: what a scanner shall do.

use std::path::Path;

use svc_ctl::ask;
use svc_proto::api::Version;
use svc_sys::exit;
use svc_sys::signals::told_by_an_error;

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::supervise::{self, Refusal, SCANNER};

pub(super) const COMMAND: Command = Command {
    name: "s6-svscanctl",
    about: "send commands to the scanner of a directory",
    operands: "SCANDIR",
    options: &[
        Opt::flag('a', "look at the directory again"),
        Opt::flag('n', "end the supervisors of services that are no more there; loggers read to their end"),
        Opt::flag('N', "the same, and do not wait for loggers"),
        Opt::flag('h', "like -an, in one"),
        Opt::flag('t', "stop all services, and exit; loggers read to their end"),
        Opt::flag('i', "the same"),
        Opt::flag('q', "the same, and do not wait for loggers"),
        Opt::flag('b', "exit at once, and leave everything as it is"),
        Opt::flag('z', "reap children that have ended"),
        Opt::flag('s', REMOVED),
        Opt::flag('p', REMOVED),
        Opt::flag('r', REMOVED),
        Opt::flag('I', REMOVED),
        Opt::flag('0', REMOVED),
        Opt::flag('6', REMOVED),
        Opt::flag('7', REMOVED),
        Opt::flag('8', REMOVED),
    ],
    notes: "Letters may stand together, and are sent in their order: -an, -qz.",
    codes: &[(100, "called wrongly, or nobody listens")],
    run,
};

/// Those that stop all services.
const ENDING: [u8; 3] = [b't', b'i', b'q'];

const REMOVED: &str = "not since s6 2.10";

/// What to type instead of a letter that s6 had once; none for those that it has.
fn instead(letter: char) -> Option<&'static str> {
    match letter {
        's' | '0' => Some("halt: -t stops all services and ends the scanner; what comes then is up to who started it"),
        'p' | '7' => Some("poweroff: -t stops all services and ends the scanner; the machine is powered off by its init"),
        'r' | '6' => Some("reboot: -t stops all services and ends the scanner; the machine is rebooted by its init"),
        'I' | '8' => Some("another kind of end: -t stops all services and ends the scanner"),
        _ => None,
    }
}

fn run(call: &Call) -> Outcome {
    for given in &call.given {
        if let Some(what) = instead(given.letter) {
            return Err(Failure::usage(format!("-{} is no more there since s6 2.10. It meant {what}", given.letter)));
        }
    }
    let letters: Vec<u8> = call.given.iter().map(|given| given.letter as u8).collect();
    let dir = Path::new(call.operand(0, "the scan directory")?);
    supervise::send(dir, SCANNER, &letters).map_err(|refusal| {
        let code = match refusal {
            Refusal::NotListening | Refusal::Odd(_) => exit::USAGE,
            Refusal::System(_) => exit::SYSTEM,
        };
        let text = match refusal {
            Refusal::NotListening => "no scanner listens".to_owned(),
            other => other.to_string(),
        };
        Failure::with_code(code, format!("unable to control {}: {text}", dir.display()))
    })?;
    if letters.iter().any(|letter| ENDING.contains(letter)) {
        // A finish script that ends with this would be followed by the next start before svc has read the letter: what svc answers
        // comes behind it. Another scanner answers nothing.
        let _ = told_by_an_error(|| ask::get::<Version>("/v1/version"));
    }
    Ok(exit::DONE)
}
