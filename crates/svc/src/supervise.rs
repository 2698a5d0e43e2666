//! `s6-supervise`, `svc-supervise` and `runsv`: one service directory, without svc-scan and svc-log.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_compat::command::{Call, Command, Failure, Outcome};
use svc_core::{Definition, Output, Program, ServiceName, Settings};

const NOTES: &str = "\
Runs the service until it is told to leave; for a directory of services there is svc-scan. It is steered by s6-svc, and by signals: SIGTERM stops the service, and leaves when that is \
down; SIGHUP gives up standard input and output, and leaves when the service ends by itself; SIGQUIT leaves at once, and SIGINT \
too, with SIGINT to the process group of the service.

The service reads and writes where this program does. A supervisor that is killed is replaced, and the service runs on; when \
this program is killed, the service is stopped.";

const CODES: &[(u8, &str)] = &[(100, "called wrongly, or the directory has a supervisor already")];

const fn command(name: &'static str, about: &'static str) -> Command {
    Command { name, about, operands: "DIR", options: &[], notes: NOTES, codes: CODES, run }
}

pub(crate) const COMMANDS: &[Command] = &[
    command("s6-supervise", "supervise one service directory"),
    command("svc-supervise", "supervise one service directory"),
    command("runsv", "supervise one service directory that has no logger"),
];

fn run(call: &Call) -> Outcome {
    let typed = Path::new(call.operand(0, "the service directory")?);
    if let Some(more) = call.operands.get(1) {
        return Err(Failure::usage(format!("{}: one service directory is all it takes", more.display())));
    }
    let cannot = |error: std::io::Error| Failure::system(format!("{}: {error}", typed.display()));
    let dir = std::path::absolute(typed).map_err(cannot)?;
    if !std::fs::metadata(&dir).map_err(cannot)?.is_dir() {
        return Err(Failure::system(format!("{}: is not a directory", typed.display())));
    }
    if call.command.name == "runsv" && dir.join("log/run").exists() {
        let text = format!("{}/log: has a logger, for which it takes svc-scan on the directory above", typed.display());
        return Err(Failure::usage(text));
    }
    let name = typed.display().to_string();
    let definition = definition(call, &dir, name)?;
    Ok(svc_init::supervise_alone(&definition, svc_supervise::run))
}

/// What the directory says. What is wrong with it is said and does not keep it from being tried again and again.
fn definition(call: &Call, dir: &Path, name: String) -> Result<Definition, Failure> {
    let last = dir.file_name().unwrap_or_default();
    let entry = ServiceName::new(last.as_bytes()).or_else(|_| ServiceName::new(b"service"));
    let entry = entry.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let reading = svc_def::read(dir, &entry, None);
    if reading.source.is_some() {
        let text = "has the form of s6-rc: only svc-scan, on the directory above, knows what it depends on";
        return Err(Failure::usage(format!("{name}: {text}")));
    }
    for problem in &reading.problems {
        call.warn(problem);
    }
    let settings = match reading.outcome {
        svc_def::Outcome::Ready(definition) => definition.settings,
        svc_def::Outcome::Incomplete => {
            call.warn(svc_def::missing_run(dir));
            Settings::default()
        }
        svc_def::Outcome::Name | svc_def::Outcome::Template(_) | svc_def::Outcome::Broken => Settings::default(),
    };
    Ok(Definition {
        name,
        dir: dir.as_os_str().as_bytes().to_vec(),
        program: Program::Directory,
        output: Output::Starter,
        down: dir.join("down").exists(),
        essential: None,
        managed: None,
        settings,
    })
}
