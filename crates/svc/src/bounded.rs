//! `svc exec --bounded`: a program, and whatever it has started, for as long as somebody holds the other end of standard input. It is
//! what svc-scan runs beside services: whoever ends svc-scan, and however, nothing of it stays.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;

use svc_core::{Millis, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::signals::Signals;
use svc_sys::{Errno, clock, exe, exit, fd, poll, procfs};

use crate::said::say;

/// Processes that make others all the time are not all in one list.
const AGAIN: Millis = Millis(100);

/// Runs `svc exec` with these arguments. Its exit code; or that it was too late, when it was ended.
pub(crate) fn run(arguments: &[OsString]) -> u8 {
    let words: Vec<OsString> = ["svc".into(), "exec".into()].into_iter().chain(arguments.iter().cloned()).collect();
    match bounded(&words) {
        Ok(code) => code.unwrap_or(exit::TIMED_OUT),
        Err(errno) => {
            say(format_args!("cannot make a process: {errno}"));
            exit::SYSTEM
        }
    }
}

fn bounded(words: &[OsString]) -> Result<Option<u8>, Errno> {
    // Where it is refused, who leaves its parent is svc-init's, and ends with everything.
    let _ = process::become_subreaper();
    let signals = Signals::take_all()?;
    let nothing = File::open("/dev/null")?;
    let main = process::spawn(|| match fd::place(nothing.as_raw_fd(), 0) {
        Ok(()) => exe::replace_by_own(words),
        Err(errno) => errno,
    })?;
    let (mut code, mut is_over) = (None, false);
    loop {
        loop {
            match process::reap() {
                Reap::One(child) if child.pid == main => (code, is_over) = (Some(child.exit.shell_code()), true),
                Reap::One(_) => {}
                Reap::AllLive => break,
                Reap::NoChildren => return Ok(code),
            }
        }
        let own = process::id();
        if is_over {
            for below in procfs::descendants(own) {
                let _ = procfs::signal_descendant(below, own, Signal::KILL);
            }
        }
        let now = clock::now();
        let mut interests = [poll::readable(signals.as_raw_fd()), poll::readable(if is_over { -1 } else { 0 })];
        poll::wait(&mut interests, now, is_over.then(|| now + AGAIN));
        while let Some(signal) = signals.next() {
            is_over |= signal != Signal::CHLD;
        }
        is_over |= poll::is_ready(&interests[1]);
    }
}
