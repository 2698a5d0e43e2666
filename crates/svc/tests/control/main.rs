//! The control socket and svc-ctl on a real svc.

mod abuse;
mod completion;
mod door;
mod looking;
mod places;
mod programs;
mod requests;
mod roles;
mod streams;
mod verbs;

use svc_testkit::{Said, Tree, is_alive, raw};

/// A tree with `web` that runs.
fn with_web() -> (Tree, i32) {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    (tree, pid)
}

/// Asserts that svc-scan is the same process still, and answers others.
#[track_caller]
fn assert_well(tree: &Tree, scan: i32) {
    let answer = raw::ask(&tree.socket(), "GET", "/v1/version", "");
    assert_eq!(answer.status, 200, "{answer:?}; log:\n{}", tree.log());
    assert_eq!(answer.json()["scan_pid"].as_i64(), Some(scan.into()), "svc-scan died; log:\n{}", tree.log());
    assert!(is_alive(scan));
}

/// Asserts an exit code and words of what was said.
#[track_caller]
fn assert_said(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    for word in words {
        assert!(said.out.contains(word) || said.err.contains(word), "{word:?} is not in {said:?}");
    }
}
