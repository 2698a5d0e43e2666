//! The steps between `/init` and the services: programs of oneshots, each of which ends before the next node of the graph starts.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use svc_core::{Millis, Pid, Signal};
use svc_sys::process::PidFd;
use svc_sys::{clock, exit, poll, say};

use super::places::Places;
use super::settings::{Failure, Settings};
use super::sources::entries;
use super::{farm, mistakes};

/// So loud is the default: what is run is named.
const TELLS_SCRIPTS: u32 = 2;

/// Another command of this program.
fn own(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(words);
    command
}

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
    let failed = run_all(settings, "cont-init", "cont-init.d", None);
    match (failed.is_empty(), settings.failure) {
        (true, _) | (_, Failure::Continue | Failure::Warn) => exit::DONE,
        (false, Failure::Stop) => exit::FAILED,
    }
}

/// `cont-finish`: the same at the end, each for a while only. The end goes on whatever comes of them.
pub(super) fn cont_finish(settings: &Settings) -> u8 {
    run_all(settings, "cont-finish", "cont-finish.d", settings.finish_limit);
    exit::DONE
}

/// Runs what is in a directory; the names of those that failed.
fn run_all(settings: &Settings, who: &str, dir: &str, limit: Option<Millis>) -> Vec<PathBuf> {
    let dir = settings.etc(dir);
    let scripts = entries(&dir).into_iter().map(|name| dir.join(name)).filter(|path| path.is_file());
    let mut failed = Vec::new();
    for script in scripts {
        let shown = script.display();
        if settings.verbosity >= TELLS_SCRIPTS {
            say!("{who}: running {shown}");
        }
        let began = clock::now();
        let outcome = run(&script, limit);
        let took = (clock::now() - began).0 as f64 / 1000.0;
        match outcome {
            Ok(()) if settings.verbosity >= TELLS_SCRIPTS => say!("{who}: {shown} has ended after {took:.1} s"),
            Ok(()) => {}
            Err(why) => {
                say!("{who}: {shown} failed after {took:.1} s: {why}");
                failed.push(script);
            }
        }
    }
    failed
}

/// Runs one script with the environment of the container as it is now.
fn run(script: &Path, limit: Option<Millis>) -> Result<(), String> {
    let plain = mistakes::command(script);
    let mut command = own(&["with-contenv"]);
    command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(limit) = limit
        && let Some(pid) = Pid::new(child.id() as i32)
        && let Ok(handle) = PidFd::open(pid)
        && !ends_within(&handle, limit)
    {
        let _ = handle.signal(Signal::KILL);
        let _ = child.wait();
        return Err(format!("it took longer than the {} ms of S6_KILL_FINISH_MAXTIME, and was killed", limit.0));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(126 | 127), _) => Err("it cannot be executed: see its first line, or the message above".into()),
        (Some(code), _) => Err(format!("exit {code}")),
        (None, signal) => Err(format!("killed by signal {}", signal.unwrap_or(0))),
    }
}

fn ends_within(handle: &PidFd, limit: Millis) -> bool {
    let deadline = clock::now() + limit;
    let mut interests = [poll::readable(handle.as_raw_fd())];
    loop {
        poll::wait(&mut interests, clock::now(), Some(deadline));
        if poll::is_ready(&interests[0]) {
            return true;
        }
        if clock::now() >= deadline {
            return false;
        }
    }
}

/// `services-up`: what is in services.d now becomes services.
pub(super) fn services_up(settings: &Settings, places: &Places) -> u8 {
    let from = settings.etc("services.d");
    let mut added = Vec::new();
    let mut code = exit::DONE;
    for name in entries(&from).into_iter().filter(|name| from.join(name).is_dir()) {
        match add(&from.join(&name), &name, places) {
            Ok(()) => added.push(name),
            Err((path, error)) => {
                say!("services.d: {}: {error}", path.display());
                code = exit::FAILED;
            }
        }
    }
    if added.is_empty() {
        return code;
    }
    let _ = own(&["svc-ctl", "rescan"]).stdout(Stdio::null()).status();
    // Those that are not to start are not waited for.
    let waited: Vec<&String> = added.iter().filter(|name| !from.join(name).join("down").exists()).collect();
    if settings.wait && !waited.is_empty() {
        let mut command = own(&["svc-ctl", "wait", "--ready"]);
        if let Some(limit) = settings.start_limit {
            command.arg(format!("--timeout={}ms", limit.0));
        }
        let waited = command.args(waited).stdout(Stdio::null()).status();
        if !waited.is_ok_and(|status| status.success()) {
            code = exit::FAILED;
        }
    }
    code
}

/// Makes the directory where scripts look for it, then the link that makes it a service: by a rename, so that it is whole.
fn add(from: &Path, name: &str, places: &Places) -> Result<(), (PathBuf, std::io::Error)> {
    let dir = places.legacy().join(name);
    let link = places.services().join(name);
    if fs::symlink_metadata(&link).is_ok() {
        let error = std::io::Error::other("there is a service of this name in s6-rc.d too: rename or remove one of them");
        return Err((from.to_owned(), error));
    }
    farm::plant_service(from, &dir)?;
    let new = places.legacy().join(format!(".{name}"));
    symlink(&dir, &new).map_err(|error| (new.clone(), error))?;
    fs::rename(&new, &link).map_err(|error| (link, error))
}

/// `services-down`: stops them, and waits for as long as S6_SERVICES_GRACETIME says.
pub(super) fn services_down(settings: &Settings, places: &Places) -> u8 {
    let legacy = places.legacy();
    let dirs: Vec<PathBuf> = entries(&legacy).into_iter().map(|name| places.services().join(name)).collect();
    let running: Vec<&PathBuf> = dirs.iter().filter(|dir| tell_down(dir)).collect();
    if running.is_empty() || settings.services_grace == Millis::ZERO {
        return exit::DONE;
    }
    let mut command = own(&["s6-svwait", "-D", "-t"]);
    let waited = command.arg(settings.services_grace.0.to_string()).args(running).status();
    if !waited.is_ok_and(|status| status.success()) {
        let grace = settings.services_grace.0;
        say!("services.d: not all have stopped within the {grace} ms of S6_SERVICES_GRACETIME: going on");
    }
    exit::DONE
}

/// Tells a supervisor to bring its service down; false if there is none.
fn tell_down(dir: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    /// O_NONBLOCK: no supervisor, no reader, no waiting for one.
    const NONBLOCK: i32 = 0o4000;
    let control = fs::OpenOptions::new().write(true).custom_flags(NONBLOCK).open(dir.join("supervise/control"));
    control.and_then(|mut control| control.write_all(b"d")).is_ok()
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
