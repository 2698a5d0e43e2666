//! The end: the main program, what comes before the services stop, the services, what comes after them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use svc_core::Millis;
use svc_sys::{exit, say};

use super::{POST_SHUTDOWN, PRE_SHUTDOWN, SERVICES, executables, seconds};
use crate::files::entries;
use crate::scripts::{self, own};

/// How long one stop may take, of a startup file, the main program, or all services together, where nobody says so.
const PATIENCE: Millis = Millis::from_secs(2);

pub(super) fn patience() -> Millis {
    seconds("KILL_PROCESS_TIMEOUT").unwrap_or(PATIENCE)
}

/// How long may take what is left when the scripts at the end have run.
pub(super) fn rest() -> Millis {
    seconds("KILL_ALL_PROCESSES_TIMEOUT").unwrap_or(PATIENCE)
}

/// How long the end may take in all, if phusion's variables say so: the main program, the services, and whatever is left. The
/// orderly part of svc's end gets three quarters.
pub(super) fn budget() -> Option<Millis> {
    let is_told = seconds("KILL_PROCESS_TIMEOUT").or(seconds("KILL_ALL_PROCESSES_TIMEOUT")).is_some();
    is_told.then(|| Millis((2 * patience().0 + rest().0) / 3 * 4))
}

/// `my_init --end`, with `--quiet` behind it if it is to say only what is wrong.
pub(super) fn end(quiet: bool) -> u8 {
    let patience = patience();
    let ctl = |words: &[&str]| own(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    // It may be gone, or never have been.
    let stopped = ctl(&["svc-ctl", "stop", &format!("--timeout={}ms", patience.0), "CMD"]);
    if stopped.is_ok_and(|status| status.code() == Some(exit::TIMED_OUT.into())) {
        say!("my_init: the main command did not stop within {} ms: killing it", patience.0);
        let _ = ctl(&["svc-ctl", "kill", "KILL", "CMD"]);
    }
    run_all(PRE_SHUTDOWN, quiet);
    let services: Vec<PathBuf> =
        entries(Path::new(SERVICES)).into_iter().map(|name| Path::new(SERVICES).join(name)).collect();
    for stubborn in scripts::stop(services, patience) {
        scripts::tell(&stubborn, b"k", &["kill", "KILL"]);
    }
    run_all(POST_SHUTDOWN, quiet);
    exit::DONE
}

/// The end goes on whatever comes of them.
fn run_all(dir: &str, quiet: bool) {
    for script in executables(Path::new(dir)) {
        scripts::run("my_init", &script, Command::new(&script).stdin(Stdio::null()), None, !quiet);
    }
}
