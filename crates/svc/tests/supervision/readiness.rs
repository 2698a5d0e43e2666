//! Readiness: a newline on the notification descriptor, and nothing else (promise 32).

use svc_testkit::{EventKind, State, Tree, fifo, kill, release, until};

use crate::support::{skip_to, tree_with, wall_ms};

#[test]
fn any_descriptor_may_be_asked_for() {
    let mut tree = Tree::new();
    // 1 is standard output, 3 the first free one, 200 and 1000 far above what is open.
    for fd in [1, 3, 9, 200, 1000] {
        let service = tree.service(&format!("fd-{fd}"));
        service.file("notification-fd", &format!("{fd}\n")).run(&format!("echo > /proc/self/fd/{fd}; exec sleep 1000"));
    }
    tree.start();
    for fd in [1, 3, 9, 200, 1000] {
        let status = tree.await_status(&format!("fd-{fd}"), "ready", |status| status.ready == Some(true));
        assert!(status.ready_since_ms >= Some(status.since_ms));
    }
}

// 32
#[test]
fn promise_32_only_a_newline_makes_ready() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.file("notification-fd", "3");
        service.run(
            "exec 8<>go; printf 'READY=1' >&3; read _ <&8; printf x >&3; read _ <&8; printf 'y\\nz' >&3; exec sleep 1000",
        );
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    release(tree.services().join("web/go"));
    assert_eq!(tree.status("web").and_then(|status| status.ready), Some(false));
    let now = wall_ms();
    release(tree.services().join("web/go"));
    let ready = tree.expect("web", &[EventKind::Ready]);
    assert!(ready[0].at_ms >= now, "not before the newline was written");
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.ready), (State::Up, Some(true)));
}

// 32
#[test]
fn closing_the_descriptor_does_not_make_ready() {
    let tree = tree_with("web", |service| {
        service.file("notification-fd", "3").run("printf x >&3; exec 3>&-; echo closed >> seen; exec sleep 1000");
    });
    tree.await_lines("web/seen", 1);
    let output = tree.ctl(&["wait", "--ready", "--timeout", "1", "web"]);
    assert_eq!(output.status.code(), Some(99));
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.ready, status.ready_since_ms), (State::Up, Some(false), None));
    // Up without being ready is up all the same.
    tree.ctl_ok(&["wait", "--up", "--timeout", "120", "web"]);
}

// 32
#[test]
fn a_child_may_say_it_and_then_nobody_reads_any_more() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.file("notification-fd", "3");
        // Who goes on writing soon meets a closed pipe, which must hurt nobody but the writer.
        let child = "echo >&3; read _ < go; trap '' PIPE; while echo again >&3; do sleep 0.05; done; echo closed >> seen";
        service.run(&format!("( {child} ) & exec 3>&-; wait; exec sleep 1000"));
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Ready]);
    let pid = tree.await_up("web");
    release(tree.services().join("web/go"));
    assert_eq!(tree.await_lines("web/seen", 1)[0], "closed");
    assert_eq!(tree.await_up("web"), pid);
    let supervisor = tree.status("web").and_then(|status| status.supervisor_pid).expect("it has one");
    // An end of file that is polled for over and over would show here.
    svc_testkit::wait_idle(supervisor, std::time::Duration::from_millis(300));
}

// 32
#[test]
fn a_grandchild_of_an_earlier_run_does_not_make_the_next_one_ready() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.file("notification-fd", "3").file("keep-descendants", "");
        let child = "trap '' PIPE; echo $$ >> left; read _ < go; echo >&3; echo wrote >> seen";
        service.executable("grandchild", &format!("#!/bin/sh\n{child}\n"));
        service.run("[ -e left ] || ./grandchild & exec sleep 1000");
    });
    let old: i32 = tree.await_lines("web/left", 1)[0].parse().expect("a pid");
    let pid = tree.await_up("web");
    kill(pid, "KILL");
    skip_to(&mut tree, "web", EventKind::Down);
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    release(tree.services().join("web/go"));
    until("the grandchild to end", || (!svc_testkit::is_alive(old)).then_some(()));
    assert_eq!(tree.ctl(&["wait", "--ready", "--timeout", "0.5", "web"]).status.code(), Some(99));
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.ready), (State::Up, Some(false)));
}

#[test]
fn start_waits_for_readiness_and_says_when_it_never_came() {
    let mut tree = Tree::new();
    let slow = tree.service("slow");
    slow.file("down", "").file("notification-fd", "3").run("sleep 0.5; echo >&3; exec sleep 1000");
    let dies = tree.service("dies");
    dies.file("down", "").file("notification-fd", "3").run("sleep 0.2; exit 6");
    let mute = tree.service("mute");
    mute.file("down", "").file("notification-fd", "3").run("exec sleep 1000");
    tree.start();
    let answer = tree.ctl_ok(&["start", "--timeout", "120", "slow"]);
    assert!(answer.contains("ready after "), "{answer}");
    assert_eq!(tree.status("slow").and_then(|status| status.ready), Some(true));
    let output = tree.ctl(&["start", "--timeout", "120", "dies"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("ended before it was ready"), "{output:?}");
    let output = tree.ctl(&["start", "--timeout", "0.5", "mute"]);
    assert_eq!(output.status.code(), Some(99), "{output:?}");
    let mute = tree.await_status("mute", "up", |status| status.state == State::Up);
    assert_eq!(mute.ready, Some(false));
}

#[test]
fn readiness_outlives_the_supervisor() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.file("notification-fd", "3").run("read _ < go; echo >&3; exec sleep 1000");
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    let pid = tree.await_up("web");
    tree.kill_supervisor("web");
    assert_eq!(tree.status("web").map(|status| (status.pid, status.ready)), Some((Some(pid), Some(false))));
    release(tree.services().join("web/go"));
    tree.await_status("web", "ready", |status| status.ready == Some(true) && status.pid == Some(pid));
    tree.kill_supervisor("web");
    assert_eq!(tree.status("web").map(|status| (status.pid, status.ready)), Some((Some(pid), Some(true))));
}
