//! The steps between `/init` and the services: programs of oneshots, each of which ends before the next node of the graph starts.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use svc_core::Millis;
use svc_sys::{exit, say};

use super::farm;
use super::places::Places;
use super::settings::{Failure, Settings};
use crate::files::{Failed, entries, remove, told};
use crate::scripts::own;
use crate::{mistakes, scripts};

/// After this, who is waited for is named, as svc-scan does.
const SLOW: Millis = Millis::from_secs(5);

/// So loud is the default: what is run is named.
const TELLS_SCRIPTS: u32 = 2;

/// `fix-attrs`: owners and permissions as the files in fix-attrs.d say. One that cannot be obeyed does not stop anything.
pub(super) fn fix_attrs(settings: &Settings) -> u8 {
    let dir = settings.etc("fix-attrs.d");
    match own(&["fix-attrs"]).arg(&dir).status() {
        Ok(status) if status.success() => exit::DONE,
        Ok(_) if settings.failure == Failure::Stop => exit::FAILED,
        Ok(_) => exit::DONE,
        Err(error) => {
            say!("fix-attrs: {error}");
            exit::SYSTEM
        }
    }
}

/// `cont-init`: the scripts one after the other, each with the environment as the one before has left it. All of them run; a
/// failure counts in the end, if failures count.
pub(super) fn cont_init(settings: &Settings) -> u8 {
    let failed = run_all(settings, "cont-init", "cont-init.d", mistakes::command_of_shell, None);
    match (failed.is_empty(), settings.failure) {
        (true, _) | (_, Failure::Continue | Failure::Warn) => exit::DONE,
        (false, Failure::Stop) => exit::FAILED,
    }
}

/// `cont-finish`: the same at the end, each for a while only. The end goes on whatever comes of them.
pub(super) fn cont_finish(settings: &Settings) -> u8 {
    run_all(settings, "cont-finish", "cont-finish.d", mistakes::command, settings.finish_limit);
    exit::DONE
}

/// Runs what is in a directory, each with the environment of the container as it is then; those that failed.
fn run_all(settings: &Settings, who: &str, dir: &str, command: fn(&Path) -> Command, limit: Option<Millis>) -> Vec<PathBuf> {
    let dir = settings.etc(dir);
    let scripts = entries(&dir).into_iter().map(|name| dir.join(name)).filter(|path| path.is_file());
    let told = settings.verbosity >= TELLS_SCRIPTS;
    let one = |script: &Path| {
        let plain = command(script);
        let mut command = own(&["with-contenv"]);
        command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
        scripts::run(who, script, &mut command, limit, told)
    };
    scripts.filter(|script| !one(script)).collect()
}

/// `services-up`: what is in services.d now becomes services.
pub(super) fn services_up(settings: &Settings, places: &Places) -> u8 {
    let from = settings.etc("services.d");
    let mut added = Vec::new();
    let mut code = exit::DONE;
    for name in entries(&from).into_iter().filter(|name| from.join(name).is_dir()) {
        match add(&from.join(&name), &name, places) {
            Ok(()) => added.push(name),
            Err(failed) => {
                say!("services.d: {}", told(failed));
                code = exit::FAILED;
            }
        }
    }
    // All at once, when the last directory is there: a service finds those that it waits for.
    added.retain(|name| {
        let shown = appear(name, places);
        shown
            .map_err(|failed| {
                say!("services.d: {}", told(failed));
                code = exit::FAILED;
            })
            .is_ok()
    });
    if added.is_empty() {
        return code;
    }
    let _ = own(&["svc-ctl", "rescan"]).stdout(Stdio::null()).status();
    // Those that are not to start are not waited for.
    let waited: Vec<&String> = added.iter().filter(|name| !from.join(name).join("down").exists()).collect();
    if settings.wait && !waited.is_empty() && !are_ready(&waited, settings.start_limit) {
        code = exit::FAILED;
    }
    code
}

/// Waits for services to be ready. Where that takes long, svc-ctl has said of each what it waits for.
fn are_ready(names: &[&String], limit: Option<Millis>) -> bool {
    let wait = |limit: Option<Millis>| {
        let mut command = own(&["svc-ctl", "wait", "--ready"]);
        command.args(limit.map(|limit| format!("--timeout={}ms", limit.0))).args(names).stdout(Stdio::null());
        command.status().ok().and_then(|status| status.code())
    };
    let first = limit.map_or(SLOW, |limit| limit.min(SLOW));
    let rest = limit.map(|limit| limit - first);
    let mut code = wait(Some(first));
    if code == Some(i32::from(exit::TIMED_OUT)) && rest != Some(Millis::ZERO) {
        code = wait(rest);
    }
    code == Some(i32::from(exit::DONE))
}

/// Makes the directory where scripts look for it, and the link that is to make it a service.
fn add(from: &Path, name: &str, places: &Places) -> Result<(), Failed> {
    let dir = places.legacy().join(name);
    let link = places.services().join(name);
    if fs::symlink_metadata(&link).is_ok() {
        let error = std::io::Error::other("there is a service of this name in s6-rc.d too: rename or remove one of them");
        return Err((from.to_owned(), error));
    }
    farm::plant_service(from, &dir)?;
    let new = hidden(name, places);
    remove(&new)?;
    symlink(&dir, &new).map_err(|error| (new, error))
}

/// Where the link is until then: beside its place, for what is ours may be on another file system.
fn hidden(name: &str, places: &Places) -> PathBuf {
    places.services().join(format!(".{name}"))
}

/// Makes it a service.
fn appear(name: &str, places: &Places) -> Result<(), Failed> {
    let link = places.services().join(name);
    fs::rename(hidden(name, places), &link).map_err(|error| (link, error))
}

/// `services-down`: stops them, and waits for as long as S6_SERVICES_GRACETIME says.
pub(super) fn services_down(settings: &Settings, places: &Places) -> u8 {
    let dirs = entries(&places.legacy()).into_iter().map(|name| places.services().join(name)).collect();
    let grace = settings.services_grace;
    if !scripts::stop(dirs, grace).is_empty() && grace != Millis::ZERO {
        say!("services.d: not all have stopped within the {} ms of S6_SERVICES_GRACETIME: going on", grace.0);
    }
    exit::DONE
}

/// A hook for a signal that is to go to the main program: named as the signal is.
pub fn forward_signal(arguments: Vec<OsString>) -> u8 {
    let name = arguments.first().map(PathBuf::from).and_then(|path| path.file_name().map(OsString::from));
    let Some(signal) = name.filter(|name| name.to_string_lossy().starts_with("SIG")) else {
        eprintln!("s6-overlay-forward: a hook of /init, called by the name of a signal");
        return exit::USAGE;
    };
    let sent = own(&["svc-ctl", "kill"]).arg(&signal).arg("CMD").stdout(Stdio::null()).status();
    if sent.is_ok_and(|status| status.success()) {
        return exit::DONE;
    }
    // There is none, or none yet: then the signal means what it means without.
    let ends = ["SIGTERM", "SIGINT", "SIGQUIT"].iter().any(|name| signal == *name);
    if ends {
        let _ = own(&["svc-ctl", "shutdown", "--no-wait"]).status();
    }
    exit::DONE
}
