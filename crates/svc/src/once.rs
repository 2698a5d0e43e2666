//! `svc exec --once MARKER`: a program that is to succeed once, and then never to run again. The marker is made when it has.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::Path;

use svc_core::{Exit, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::signals::Signals;
use svc_sys::{clock, exit, poll};

use crate::said::say;

/// Runs it and hands on what signals come meanwhile. Its exit code, and 111 where the marker cannot be made.
pub(crate) fn run(marker: &Path, command: &[OsString]) -> u8 {
    let failed = |what: String| {
        say(format_args!("{what}"));
        exit::SYSTEM
    };
    // Found out before, not after: it is to be done once.
    if let Some(parent) = marker.parent().filter(|parent| !parent.is_dir()) {
        return failed(format!(
            "{}: is no directory, so {} cannot be made: mount it, or make it",
            parent.display(),
            marker.display()
        ));
    }
    let signals = match Signals::take_all() {
        Ok(signals) => signals,
        Err(errno) => return failed(format!("cannot take signals: {errno}")),
    };
    let words =
        [OsString::from("svc"), "exec".into(), "--".into()].into_iter().chain(command.iter().cloned()).collect::<Vec<_>>();
    crate::launch::is_done();
    let pid = match process::spawn(|| svc_sys::exe::replace_by_own(&words)) {
        Ok(pid) => pid,
        Err(errno) => return failed(format!("cannot make a process: {errno}")),
    };
    let ended = loop {
        if let Reap::One(child) = process::reap_one(pid) {
            break child.exit;
        }
        poll::wait(&mut [poll::readable(signals.as_raw_fd())], clock::now(), None);
        while let Some(signal) = signals.next() {
            if signal != Signal::CHLD {
                let _ = process::signal_child(pid, signal);
            }
        }
    };
    match ended {
        Exit::Code(0) => match std::fs::write(marker, "done\n") {
            Ok(()) => exit::DONE,
            Err(error) => failed(format!(
                "{}: {error}: what was to be done once is done, and will be done again without this file",
                marker.display()
            )),
        },
        Exit::Code(_) | Exit::Signal(_) => ended.shell_code(),
    }
}
