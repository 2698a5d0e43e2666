//! The programs in `.s6-svscan/` of the first scan directory: one for a signal, one for the end, one for disaster.

use std::path::{Path, PathBuf};

use svc_core::Signal;
use svc_proto::place::s6_svscan::FOLDER;
use svc_sys::{Errno, fd, process, say, spawn};

use crate::c_path;

/// Runs the signal's hook if there is one that runs; otherwise the signal means what it means.
pub(crate) fn stands_in(scan_dirs: &[PathBuf], signal: Signal) -> bool {
    let overridable =
        [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::PWR, Signal::WINCH];
    if !overridable.contains(&signal) {
        return false;
    }
    let Some(hook) = hook(scan_dirs, &signal.to_string()) else { return false };
    let directory = scan_dirs.first().map(|dir| c_path(dir)).unwrap_or_default();
    match spawn::detached(&c_path(&hook), &directory) {
        Ok(_) => true,
        Err(trouble) => {
            let why = cure(Errno(trouble.errno));
            say!("svc-init: cannot run {}: {why}: doing what {signal} means without it", hook.display());
            false
        }
    }
}

/// The end of this process: the finish hook in its place, or an exit, and before that what `clear` does.
pub(crate) fn leave(scan_dirs: &[PathBuf], code: u8, clear: impl FnOnce()) -> ! {
    if let Some(finish) = hook(scan_dirs, "finish") {
        execute(scan_dirs, &finish);
        crash(scan_dirs);
    }
    clear();
    process::exit_now(code)
}

/// There is no going on: the crash hook in the place of this process, or an exit that says so.
pub(crate) fn crash(scan_dirs: &[PathBuf]) -> ! {
    if let Some(crash) = hook(scan_dirs, "crash") {
        execute(scan_dirs, &crash);
    }
    process::exit_now(svc_sys::exit::SYSTEM)
}

/// Puts a hook in the place of this process, in the scan directory and with everything as it was found.
fn execute(scan_dirs: &[PathBuf], hook: &Path) {
    svc_sys::signals::reset();
    process::allow_huge_pages();
    fd::restore_limit_of_descriptors();
    if let Some(dir) = scan_dirs.first() {
        let _ = std::env::set_current_dir(dir);
    }
    let path = c_path(hook);
    let errno = svc_sys::exe::execute_path(&path, std::slice::from_ref(&path));
    say!("svc-init: cannot execute {}: {}", hook.display(), cure(errno));
}

/// Why a program that is there cannot be executed, and what helps.
fn cure(errno: Errno) -> String {
    match errno {
        Errno::NOT_ALLOWED => format!("{errno}: make it executable (chmod +x)"),
        Errno::NOT_FOUND => format!("{errno}: the interpreter that its first line names is not there"),
        Errno::NOT_EXECUTABLE => format!("{errno}: begin it with a line such as #!/bin/sh"),
        errno => errno.to_string(),
    }
}

/// A program that is there, whether it can be executed or not: to find that out is not to have none.
fn hook(scan_dirs: &[PathBuf], name: &str) -> Option<PathBuf> {
    let hook = scan_dirs.first()?.join(FOLDER).join(name);
    hook.exists().then_some(hook)
}
