//! Scan directories with a real svc on them: what comes, goes, is copied slowly, renamed, linked and exchanged.

mod coming;
mod copies;
mod identity;
mod loggers;
mod names;
mod roots;
mod watching;

use std::time::Duration;

use svc_testkit::{Tree, is_alive};

/// A service that writes a line at each start, and goes on.
const COUNTING: &str = "echo started >>starts; exec sleep 1000";

/// How often it was started.
fn starts(tree: &Tree, service: &str) -> usize {
    tree.lines(&format!("{service}/starts")).len()
}

/// A pause of somebody who copies slowly: longer than svc waits for quiet.
fn pause() {
    std::thread::sleep(Duration::from_millis(120));
}

/// Lets svc look at everything once more, and asserts that it stays as it is.
#[track_caller]
fn assert_stays(tree: &Tree, service: &str, pid: i32) {
    tree.ctl_ok(&["rescan"]);
    assert!(is_alive(pid), "{service} was stopped; log:\n{}", tree.log());
    assert_eq!(tree.await_up(service), pid, "{service} was restarted; log:\n{}", tree.log());
}

/// Asserts that svc complained of nothing.
#[track_caller]
fn assert_silent(tree: &Tree) {
    let log = tree.log();
    let complaint = log.lines().find(|line| line.starts_with("svc-") && !line.contains("no service yet"));
    assert_eq!(complaint, None, "log:\n{log}");
}
