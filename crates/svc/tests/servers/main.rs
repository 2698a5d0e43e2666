//! Servers as Debian has them, ready in every way and restarted with each other; and forking daemons, real ones and small ones made for
//! the purpose, with everybody around them killed.
#![forbid(unsafe_code)]

mod app;
mod killed;
mod readiness;
mod scripts;
mod servers;

use svc_testkit::{Tree, is_alive, processes, until};

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
