//! svc, svstat and svok of daemontools.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use svc_sys::exit;

use super::line;
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::supervise::{self, Refusal, SUPERVISE};

pub(super) const SVC: Command = Command {
    name: "daemontools-svc",
    about: "send commands to the supervisors of services, in the manner of daemontools",
    operands: "SERVICE...",
    options: &[
        Opt::flag('u', "bring it up, and keep it up"),
        Opt::flag('d', "bring it down, and keep it down"),
        Opt::flag('o', "start it, and let it stay down when it ends"),
        Opt::flag('p', "send SIGSTOP"),
        Opt::flag('c', "send SIGCONT"),
        Opt::flag('h', "send SIGHUP"),
        Opt::flag('a', "send SIGALRM"),
        Opt::flag('i', "send SIGINT"),
        Opt::flag('t', "send SIGTERM"),
        Opt::flag('k', "send SIGKILL"),
        Opt::flag('x', "let the supervisor exit once the service is down"),
    ],
    notes: "The program svc is this one when its first word is such an option, and a service follows: `svc -d /service/web`.",
    codes: &[(0, "also if a service could not be controlled: as in daemontools, there is a warning")],
    run: control,
};

pub(super) const SVSTAT: Command = Command {
    name: "svstat",
    about: "print what services are doing, in the manner of daemontools",
    operands: "SERVICE...",
    options: &[],
    notes: "",
    codes: &[(0, "always")],
    run: show,
};

pub(super) const SVOK: Command = Command {
    name: "svok",
    about: "say by the exit code whether a service has a supervisor, in the manner of daemontools",
    operands: "SERVICE",
    options: &[],
    notes: "",
    codes: &[(100, "it has none")],
    run: ask,
};

fn control(call: &Call) -> Outcome {
    let letters: Vec<u8> = call.given.iter().map(|given| given.letter as u8).collect();
    for name in &call.operands {
        let dir = Path::new(name);
        let Err(refusal) = supervise::send(dir, SUPERVISE, &letters) else { continue };
        let shown = dir.display();
        let text = match (fs::read_dir(dir), refusal) {
            (Err(error), _) => format!("unable to chdir to {shown}: {}", words(&error)),
            (Ok(_), Refusal::NotListening) => format!("unable to control {shown}: supervise not running"),
            (Ok(_), Refusal::Odd(error) | Refusal::System(error)) => format!("unable to control {shown}: {}", words(&error)),
        };
        eprintln!("svc: warning: {text}");
    }
    Ok(exit::DONE)
}

fn show(call: &Call) -> Outcome {
    for name in &call.operands {
        let dir = Path::new(name);
        let text = describe(dir).unwrap_or_else(|text| text);
        println!("{}: {text}", dir.display());
    }
    Ok(exit::DONE)
}

fn describe(dir: &Path) -> Result<String, String> {
    fs::read_dir(dir).map_err(|error| format!("unable to chdir: {}", words(&error)))?;
    let supervised = supervise::is_supervised(dir);
    if !supervised.map_err(|error| format!("unable to open supervise/lock: {}", words(&error)))? {
        return Err("supervise not running".into());
    }
    let status = supervise::status(dir).map_err(|error| format!("unable to read supervise/status: {}", words(&error)))?;
    Ok(line::daemontools(dir, &status))
}

fn ask(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the service")?);
    match supervise::is_supervised(dir) {
        Ok(true) => Ok(exit::DONE),
        Ok(false) => Ok(exit::USAGE),
        Err(error) => Err(Failure::system(format!("unable to check {}: {error}", dir.display()))),
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "file does not exist".into(),
        ErrorKind::PermissionDenied => "access denied".into(),
        _ => error.to_string(),
    }
}
