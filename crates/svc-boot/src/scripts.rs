//! Scripts between svc-init and the services, and the services that a script at the end stops.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use svc_core::{Millis, Pid, Signal};
use svc_sys::process::PidFd;
use svc_sys::{clock, poll, say};

use crate::mistakes;

/// Another command of this program.
pub(crate) fn own(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(words);
    command
}

/// Runs a script, and says what came of it; false if it failed. `told`: also where nothing is wrong.
pub(crate) fn run(who: &str, script: &Path, command: &mut Command, limit: Option<Millis>, told: bool) -> bool {
    let shown = script.display();
    if told {
        say!("{who}: running {shown}");
    }
    let began = clock::now();
    let outcome = wait(script, command, limit);
    let took = (clock::now() - began).0 as f64 / 1000.0;
    match &outcome {
        Ok(()) if told => say!("{who}: {shown} has ended after {took:.1} s"),
        Ok(()) => {}
        Err(why) => say!("{who}: {shown} failed after {took:.1} s: {why}"),
    }
    outcome.is_ok()
}

fn wait(script: &Path, command: &mut Command, limit: Option<Millis>) -> Result<(), String> {
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
        (Some(126 | 127), _) if mistakes::is_refused(script) => {
            Err("it cannot be executed: see its first line, or the message above".into())
        }
        (Some(127), _) => Err("exit 127: a command in it was not found: see the message above".into()),
        (Some(126), _) => Err("exit 126: it, or a command in it, cannot be executed: see the message above".into()),
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

/// Stops services, and waits so long for all of them; those of them that were running if not all have stopped by then.
pub(crate) fn stop(dirs: Vec<PathBuf>, grace: Millis) -> Vec<PathBuf> {
    let running: Vec<PathBuf> = dirs.into_iter().filter(|dir| tell(dir, b"d", &["stop", "--no-wait"])).collect();
    if running.is_empty() {
        return running;
    }
    // Asked of svc-scan, and not of the files for s6's tools: they tell of nothing that came after the disk was full.
    let names = running.iter().filter_map(|dir| dir.file_name());
    let mut wait = own(&["svc-ctl", "wait", "--finished", &format!("--timeout={}ms", grace.0)]);
    let waited =
        grace != Millis::ZERO && wait.args(names).stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if waited { Vec::new() } else { running }
}

/// Tells a supervisor something, through svc where the directory can have no files for s6's tools; false if there is none.
pub(crate) fn tell(dir: &Path, letters: &[u8], words: &[&str]) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    /// O_NONBLOCK: no supervisor, no reader, no waiting for one.
    const NONBLOCK: i32 = 0o4000;
    let control = std::fs::OpenOptions::new().write(true).custom_flags(NONBLOCK).open(dir.join("supervise/control"));
    let told = control.and_then(|mut control| control.write_all(letters)).is_ok();
    told || dir.file_name().is_some_and(|name| {
        let mut command = own(&["svc-ctl"]);
        command.args(words).arg(name).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
