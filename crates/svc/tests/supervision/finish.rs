//! `finish`: between every two runs, and what its exit code means.

use svc_testkit::{EventKind, State, Tree, kill, until};

use crate::support::{kinds_to, skip_to, tree_with};

// 3
#[test]
fn run_never_starts_before_finish_has_ended() {
    let mut tree = tree_with("web", |service| {
        service.run("echo run >> seen; exec sleep 1000");
        service.finish("echo finish >> seen; sleep 0.1; echo finished >> seen");
    });
    let mut pid = tree.await_up("web");
    // A run that is stopped before it could write would leave no trace.
    for round in 0..8 {
        tree.await_lines("web/seen", 1 + 3 * round);
        match round % 4 {
            0 => drop(tree.ctl_ok(&["restart", "web"])),
            1 => kill(pid, "KILL"),
            2 => {
                kill(pid, "TERM");
                // In the middle of finish somebody asks for a start, and somebody kills the supervisor.
                tree.await_lines("web/seen", 2 + 3 * round);
                tree.ctl_ok(&["start", "--no-wait", "web"]);
                tree.kill_supervisor("web");
            }
            _ => {
                tree.ctl_ok(&["stop", "--no-wait", "web"]);
                tree.ctl_ok(&["start", "web"]);
            }
        }
        let status = tree.await_status("web", "another run", |status| {
            status.state == State::Up && status.pid.is_some_and(|new| new != pid)
        });
        pid = status.pid.expect("it is up");
    }
    tree.await_lines("web/seen", 25);
    tree.ctl_ok(&["stop", "web"]);
    let seen = tree.lines("web/seen");
    for (index, line) in seen.iter().enumerate() {
        assert_eq!(line, ["run", "finish", "finished"][index % 3], "line {index} of {seen:?}");
    }
    assert_eq!(seen.len(), 27);
    assert_eq!(tree.stop(), 0);
}

// 3
#[test]
fn the_end_of_svc_waits_for_finish() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("sleep 0.5; echo \"$1 $2\" >> seen");
    tree.service("gone").file("down", "").run("exit 0").finish("sleep 1; echo \"$1\" >> seen");
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["once", "gone"]);
    skip_to(&mut tree, "gone", EventKind::Finishing);
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.lines("web/seen"), ["256 15"]);
    assert_eq!(tree.lines("gone/seen"), ["0"], "a finish that ran already when the end came");
}

// 3
#[test]
fn the_finish_hook_replaces_svc_init() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("echo web >> ../order");
    let hooks = svc_testkit::ServiceDir::make(tree.services().join(".s6-svscan"));
    let order = tree.path("services/order");
    hooks.script("finish", &format!("echo \"hook $# $$\" >> {}; exit 9", order.display()));
    tree.start();
    tree.await_up("web");
    let init = tree.init_pid();
    assert_eq!(tree.stop(), 9);
    assert_eq!(tree.lines("order"), ["web".to_owned(), format!("hook 0 {init}")]);
}

// 24
#[test]
fn one_that_was_stopped_is_down_whatever_its_finish_says() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 125");
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.status("web").map(|status| (status.state, status.wanted_up)), Some((State::Down, false)));
    tree.ctl_ok(&["health"]);
    // One that is wanted stays down by it, whoever ended it.
    tree.ctl_ok(&["start", "web"]);
    assert_eq!(tree.say(&["restart", "web"]).code, 1);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Failed));
    assert_eq!(tree.say(&["health"]).code, 1);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_finish_that_says_125_ends_the_restarts() {
    let mut tree = Tree::new();
    let draft = tree.draft("web");
    draft.run("echo run >> seen; exit 1").finish("[ -e mended ] || exit 125");
    tree.draft("witness").run("exit 0");
    tree.start();
    tree.place("web");
    tree.expect("web", &[EventKind::Added, EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Finishing]);
    tree.expect("web", &[EventKind::Failed, EventKind::Down]);
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.wanted_up, status.next_start_ms), (State::Failed, false, None));
    let told = "web: failed for good: its finish script said 125: svc-ctl start web starts it again";
    assert_eq!(tree.log().matches(told).count(), 1, "{}", tree.log());
    assert!(tree.ctl_ok(&["status"]).contains(told));
    // Somebody else crashes and comes back meanwhile, twice: more than a second.
    tree.place("witness");
    for _ in 0..3 {
        skip_to(&mut tree, "witness", EventKind::Up);
    }
    assert_eq!(tree.lines("web/seen").len(), 1);

    // A start is a start; it fails again.
    tree.ctl_ok(&["start", "web"]);
    assert_eq!(kinds_to(&mut tree, "web", EventKind::Down).last(), Some(&EventKind::Down));
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Failed));
    // And when it is mended the restarts are back.
    tree.service("web").file("mended", "");
    tree.ctl_ok(&["start", "web"]);
    tree.await_lines("web/seen", 4);
    assert!(tree.status("web").is_some_and(|status| status.wanted_up));
}

#[test]
fn other_codes_of_finish_mean_nothing() {
    let mut tree = Tree::new();
    for (name, end) in [("one", "exit 1"), ("most", "exit 255"), ("near", "exit 124"), ("killed", "kill -KILL $$")] {
        tree.service(name).run("echo run >> seen; exit 0").finish(end);
    }
    tree.start();
    for name in ["one", "most", "near", "killed"] {
        tree.await_lines(&format!("{name}/seen"), 2);
    }
}

#[test]
fn without_a_finish_nothing_is_said() {
    let mut tree = tree_with("web", |service| {
        service.file("down", "").run("exit 0");
    });
    tree.ctl_ok(&["once", "web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Down]);
    assert!(!tree.log().contains("finish"), "{}", tree.log());
}

#[test]
fn a_finish_that_cannot_be_executed_is_told_and_counts_as_done() {
    let mut tree = tree_with("web", |service| {
        service.file("down", "").run("exit 0");
    });
    tree.service("web").file("finish", "#!/bin/sh\nexit 0\n");
    tree.ctl_ok(&["once", "web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Down]);
    until("a message", || tree.log().contains("web: cannot run finish: ").then_some(()));
    tree.ctl_ok(&["once", "web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Down]);
    assert_eq!(tree.log().matches("web: cannot run finish: ").count(), 1, "{}", tree.log());
}

/// A restart whose finish says 125 comes to an end: `svc-ctl` says that it failed, and does not wait for ever.
#[test]
fn a_restart_that_finish_forbids_has_failed() {
    let tree = tree_with("web", |service| {
        service.run("exec sleep 1000").finish("exit 125");
    });
    tree.await_up("web");
    let output = tree.ctl(&["restart", "--timeout", "120", "web"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("125"), "{said}");
}
