//! What several of these tests need.

use std::time::{SystemTime, UNIX_EPOCH};

use svc_testkit::api::{Change, Death};
use svc_testkit::{EventKind, ServiceDir, Tree};

/// A program that lets TERM pass and needs SIGKILL.
pub const DEAF: &str = "exec env --ignore-signal=TERM sleep 1000";

/// A running tree with one service in it, put there whole after the subscription: `expect` sees its first event.
pub fn tree_with(name: &str, build: impl FnOnce(&ServiceDir)) -> Tree {
    let mut tree = Tree::new();
    build(&tree.draft(name));
    tree.start();
    tree.place(name);
    tree.expect(name, &[EventKind::Added]);
    tree
}

pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// When the runs of these deaths began: by the supervisor's own clock, so differences are exact.
pub fn starts(deaths: &[Death]) -> Vec<u64> {
    deaths.iter().map(|death| death.at_ms - death.ran_ms).collect()
}

/// Takes events of a service up to and with the first of this kind.
#[track_caller]
pub fn skip_to(tree: &mut Tree, service: &str, kind: EventKind) -> Change {
    loop {
        let change = tree.events().next_of(service);
        if change.event == kind {
            return change;
        }
    }
}

/// Takes events of a service up to and with the first of this kind; which there were.
#[track_caller]
pub fn kinds_to(tree: &mut Tree, service: &str, kind: EventKind) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while kinds.last() != Some(&kind) {
        kinds.push(tree.events().next_of(service).event);
    }
    kinds
}

/// A field of /proc/PID/status, blanks trimmed.
#[track_caller]
pub fn status_field(pid: i32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).trim().to_owned()
}
