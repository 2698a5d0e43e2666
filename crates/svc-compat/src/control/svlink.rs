//! s6-svlink and s6-svunlink: a service more, a service less, while the scanner runs.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use svc_sys::exit;

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::link::{self, How};
use crate::servicedir::supervise::{self, Holder, SCANNER};

pub(super) const LINK: Command = Command {
    name: "s6-svlink",
    about: "link a service directory into a scan directory, and wait until it is supervised",
    operands: "SCANDIR SERVICEDIR [NAME]",
    options: How::OPTIONS,
    notes: "If the supervisor does not come in time, everything is undone. A service with a logger has two supervisors.",
    codes: &[(1, "no scanner runs on the scan directory"), (99, "the time is over")],
    run: run_link,
};

pub(super) const UNLINK: Command = Command {
    name: "s6-svunlink",
    about: "take a service out of a scan directory, and wait until it is no more supervised",
    operands: "SCANDIR NAME",
    options: &[
        Opt::flag('X', "do not wait until it is down and its supervisor has gone"),
        Opt::with('t', "MS", "wait at most so many milliseconds"),
    ],
    notes: "When the time is over the service is still on its way down: the link is gone in any case.",
    codes: &[(99, "the time is over")],
    run: run_unlink,
};

fn run_link(call: &Call) -> Outcome {
    let scan_dir = Path::new(call.operand(0, "the scan directory")?);
    let dir = Path::new(call.operand(1, "the service directory")?);
    let how = How::from(call)?;
    let name = match call.operands.get(2) {
        Some(name) => Path::new(name),
        None => dir.file_name().map(Path::new).ok_or_else(|| Failure::usage("the service directory has no name"))?,
    };
    check_name(name)?;
    check_scanner(scan_dir)?;
    check_service(call, dir)?;
    let target = if dir.is_absolute() { Ok(dir.to_owned()) } else { fs::canonicalize(dir) };
    let target = target.map_err(|error| cannot("find", dir, &error))?;
    link::link(scan_dir, dir, &target, name, &how)?;
    Ok(exit::DONE)
}

fn run_unlink(call: &Call) -> Outcome {
    let scan_dir = Path::new(call.operand(0, "the scan directory")?);
    let name = Path::new(call.operand(1, "the name of the service")?);
    check_name(name)?;
    let deadline = crate::servicedir::deadline(call, 't')?;
    link::unlink(scan_dir, name, !call.has('X'), deadline)?;
    Ok(exit::DONE)
}

fn check_name(name: &Path) -> Result<(), Failure> {
    let bytes = name.as_os_str().as_bytes();
    if bytes.is_empty() || bytes[0] == b'.' || bytes.contains(&b'/') {
        return Err(Failure::usage(format!("'{}' is no name for a service", name.display())));
    }
    Ok(())
}

/// A scanner must be there, or nobody would take the service up.
pub(super) fn check_scanner(scan_dir: &Path) -> Result<(), Failure> {
    match supervise::holder(scan_dir, SCANNER) {
        Ok(Holder::Process(_) | Holder::Unknown) => Ok(()),
        Ok(Holder::Nobody) => {
            Err(Failure::with_code(exit::FAILED, format!("no scanner is running on {}", scan_dir.display())))
        }
        Err(error) => Err(cannot("see whether there is a scanner of", scan_dir, &error)),
    }
}

/// What cannot be started is not linked.
fn check_service(call: &Call, dir: &Path) -> Result<(), Failure> {
    check_run(&dir.join("run"))?;
    let log = dir.join("log");
    let mut places = vec![dir];
    match fs::metadata(&log) {
        Ok(_) => {
            check_run(&log.join("run"))?;
            places.push(&log);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot("look at", &log, &error)),
    }
    for place in places {
        if supervise::is_supervised(place).map_err(|error| cannot("see whether there is a supervisor of", place, &error))? {
            call.warn(format!("{} has a supervisor already", place.display()));
        }
    }
    Ok(())
}

fn check_run(run: &Path) -> Result<(), Failure> {
    let data = fs::metadata(run).map_err(|error| cannot("look at", run, &error))?;
    if data.permissions().mode() & 0o100 == 0 {
        let text = format!("{0} is not executable: chmod +x {0}", run.display());
        return Err(Failure::with_code(exit::USAGE, text));
    }
    Ok(())
}

pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("unable to {what} {}: {error}", path.display()))
}
