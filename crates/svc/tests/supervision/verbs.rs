//! The commands, seen from the service: once, pause, continue, reload, kill, start, stop.

use svc_testkit::{EventKind, State, Tree, fifo, kill, release, until};

use crate::support::{kinds_to, skip_to, status_field, tree_with};

#[test]
fn once_is_once() {
    let mut tree = Tree::new();
    tree.draft("web").file("down", "").run("echo run >> seen; exec sleep 1000");
    tree.draft("witness").run("exit 0");
    tree.start();
    tree.place("web");
    tree.expect("web", &[EventKind::Added]);
    tree.ctl_ok(&["once", "web"]);
    assert!(tree.status("web").is_some_and(|status| status.wanted_up));
    tree.await_lines("web/seen", 1);
    kill(tree.await_up("web"), "KILL");
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Down]);
    tree.place("witness");
    for _ in 0..3 {
        skip_to(&mut tree, "witness", EventKind::Up);
    }
    assert_eq!(tree.status("web").map(|status| (status.state, status.wanted_up)), Some((State::Down, false)));
    assert_eq!(tree.lines("web/seen").len(), 1);
}

/// `once` for what is up already: it is not started again when it ends, and is not touched now.
#[test]
fn once_while_up_is_the_last_time() {
    let mut tree = tree_with("web", |service| {
        service.run("exec sleep 1000");
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    let pid = tree.await_up("web");
    tree.ctl_ok(&["once", "web"]);
    assert_eq!(tree.await_up("web"), pid);
    kill(pid, "TERM");
    tree.expect("web", &[EventKind::Exited, EventKind::Down]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
}

#[test]
fn pause_and_continue_stop_and_wake_it() {
    let mut tree = tree_with("web", |service| {
        service.run("exec sleep 1000");
    });
    let pid = tree.await_up("web");
    for _ in 0..3 {
        tree.ctl_ok(&["pause", "web"]);
        until("it to be stopped", || status_field(pid, "State").starts_with('T').then_some(()));
        let status = tree.await_status("web", "paused", |status| status.paused);
        assert_eq!((status.state, status.pid), (State::Up, Some(pid)));
        tree.ctl_ok(&["continue", "web"]);
        tree.await_status("web", "awake", |status| !status.paused);
        until("it to go on", || (!status_field(pid, "State").starts_with('T')).then_some(()));
    }
    // A new supervisor knows of the pause.
    tree.ctl_ok(&["pause", "web"]);
    tree.await_status("web", "paused", |status| status.paused);
    tree.kill_supervisor("web");
    assert_eq!(tree.status("web").map(|status| (status.paused, status.pid)), Some((true, Some(pid))));
    assert!(status_field(pid, "State").starts_with('T'));
    // And a stop does not care.
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    skip_to(&mut tree, "web", EventKind::Down);
    assert_eq!(tree.status("web").map(|status| status.paused), Some(false));
}

#[test]
fn any_signal_can_be_sent_and_none_to_what_is_down() {
    let body = "for s in HUP INT QUIT ABRT USR1 USR2 ALRM WINCH PWR TERM; do trap \"echo $s >> seen\" $s; done\n\
                echo up >> seen; while :; do sleep 1000 & wait $!; kill $!; done";
    let tree = tree_with("web", |service| {
        service.run(body);
    });
    tree.await_up("web");
    tree.await_lines("web/seen", 1);
    let names = ["HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "ALRM", "WINCH", "PWR", "TERM"];
    for (index, signal) in names.into_iter().enumerate() {
        let form = if index % 2 == 0 { signal.to_owned() } else { format!("sig{}", signal.to_lowercase()) };
        tree.ctl_ok(&["kill", &form, "web"]);
        assert_eq!(tree.await_lines("web/seen", index + 2)[index + 1], signal);
    }
    assert_eq!(tree.status("web").map(|status| status.restarts), Some(0));
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.ctl_ok(&["kill", "KILL", "web"]);
    tree.await_status("web", "down", |status| status.state == State::Down);
    for words in [&["kill", "TERM", "web"][..], &["reload", "web"], &["pause", "web"], &["continue", "web"]] {
        let output = tree.ctl(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not running"), "{output:?}");
    }
}

/// A start after a stop that is still going on: the stop goes on, and then it is started again.
#[test]
fn a_start_during_a_stop_is_a_restart() {
    let mut tree = tree_with("web", |service| {
        service.run("trap 'sleep 0.3; exit 0' TERM; echo up >> seen; while :; do sleep 1000 & wait $!; kill $!; done");
    });
    tree.await_lines("web/seen", 1);
    let pid = tree.await_up("web");
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.ctl_ok(&["start", "--timeout", "120", "web"]);
    assert_ne!(tree.await_up("web"), pid);
    let kinds = kinds_to(&mut tree, "web", EventKind::Down);
    assert!(kinds.contains(&EventKind::Stopping), "{kinds:?}");
    tree.await_lines("web/seen", 2);
}

#[test]
fn a_stop_during_finish_stays_down() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.run("echo run >> seen; exec sleep 1000").finish("read _ < go").file("timeout-finish", "0");
    });
    tree.await_lines("web/seen", 1);
    kill(tree.await_up("web"), "KILL");
    skip_to(&mut tree, "web", EventKind::Finishing);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Finishing));
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    release(tree.services().join("web/go"));
    tree.ctl_ok(&["wait", "--finished", "web"]);
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.next_start_ms), (State::Down, None));
    assert_eq!(tree.lines("web/seen").len(), 1);
}

#[test]
fn start_of_what_is_up_and_stop_of_what_is_down_are_done_at_once() {
    let tree = tree_with("web", |service| {
        service.run("exec sleep 1000");
    });
    let pid = tree.await_up("web");
    tree.ctl_ok(&["start", "--timeout", "120", "web"]);
    assert_eq!(tree.await_up("web"), pid);
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(tree.ctl(&["start", "--timeout", "120", "nobody"]).status.code(), Some(102));
}
