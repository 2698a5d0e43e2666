//! Servers as Debian has them, ready in every way and restarted with each other; and forking daemons, real ones and small ones made for
//! the purpose, with everybody around them killed.
#![forbid(unsafe_code)]

mod app;
mod killed;
mod readiness;
mod scripts;
mod servers;

use svc_testkit::{Tree, is_alive, processes, until};

/// A service with this service.toml, put there whole.
fn toml(tree: &Tree, name: &str, text: &str) {
    tree.draft(name).file("service.toml", text);
    tree.place(name);
}

/// A FIFO in the service directory, for what is to wait until the test says so.
fn gate(tree: &Tree, file: &str) {
    let made = std::process::Command::new("mkfifo").arg(tree.services().join(file)).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo {file}");
}

/// Lets whoever reads from the FIFO go on, as soon as somebody does.
#[track_caller]
fn open(tree: &Tree, file: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut gate = until(&format!("a reader of {file}; log:\n{}", tree.log()), || {
        // O_NONBLOCK: without a reader there is an error, and no end of waiting.
        std::fs::OpenOptions::new().write(true).custom_flags(0o4000).open(tree.services().join(file)).ok()
    });
    gate.write_all(b"\n").expect("a reader");
}

/// The parent of a process, as /proc has it.
fn parent(pid: i32) -> Option<i32> {
    processes().into_iter().find(|process| process.pid == pid).map(|process| process.parent)
}

/// The number on the first line of a file below the scan directory, as soon as it is there.
#[track_caller]
fn number(tree: &Tree, file: &str) -> i32 {
    until(&format!("a number in {file}; log:\n{}", tree.log()), || {
        let text = std::fs::read_to_string(tree.services().join(file)).ok()?;
        text.strip_suffix('\n')?.lines().next()?.trim().parse().ok()
    })
}

#[track_caller]
fn await_gone(pids: &[i32]) {
    until(&format!("{pids:?} to be gone"), || pids.iter().all(|&pid| !is_alive(pid)).then_some(()));
}
