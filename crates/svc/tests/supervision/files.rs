//! The files of a service directory that steer what is started and with what.

use svc_testkit::{EventKind, State, Tree};

use crate::support::tree_with;

#[test]
fn run_gets_its_name() {
    let mut tree = Tree::new();
    tree.service("web").run("echo \"$0|$#|$1\" >> seen; exec sleep 1000");
    tree.service("web/log").run("echo \"$0|$#|$1\" >> seen; exec cat");
    tree.start();
    assert_eq!(tree.await_lines("web/seen", 1), ["./run|1|web"]);
    assert_eq!(tree.await_lines("web/log/seen", 1), ["./run|1|web/log"]);
}

#[test]
fn finish_gets_how_run_ended_its_name_and_its_group() {
    let mut tree = Tree::new();
    for name in ["code", "signal"] {
        let service = tree.service(name);
        service.file("down", "").finish("echo \"$0|$#|$1 $2 $3 $4\" >> seen");
        service.run(if name == "code" { "exit 3" } else { "exec sleep 1000" });
    }
    tree.service("signal/log").finish("echo \"$#|$1 $2 $3 $4\" >> seen").run("exec cat");
    tree.start();
    // One may have ended when the other is up, which is told.
    assert!(tree.say(&["once", "code", "signal"]).code <= 1);

    tree.expect("code", &[EventKind::Starting]);
    let group = tree.expect("code", &[EventKind::Up])[0].pid.expect("it was up");
    assert_eq!(tree.await_lines("code/seen", 1), [format!("./finish|4|3 0 code {group}")]);

    let group = tree.await_up("signal");
    tree.ctl_ok(&["kill", "KILL", "signal"]);
    assert_eq!(tree.await_lines("signal/seen", 1), [format!("./finish|4|256 9 signal {group}")]);

    let group = tree.await_up("signal/log");
    tree.ctl_ok(&["stop", "signal/log"]);
    assert_eq!(tree.lines("signal/log/seen"), [format!("4|256 15 signal/log {group}")]);
}

#[test]
fn down_means_not_started_until_somebody_asks() {
    let mut tree = Tree::new();
    let service = tree.service("web");
    service.file("down", "").run("echo up >> seen; exec sleep 1000");
    // Looked at after web: once it is up, web would have been started too.
    tree.service("x-witness").run("exec sleep 1000");
    tree.start();
    tree.await_up("x-witness");
    // Its supervisor is known a moment before it has said what it does.
    let is_heard = |status: &svc_testkit::Status| status.supervisor_pid.is_some() && status.state != State::Starting;
    let status = tree.await_status("web", "heard of", is_heard);
    assert_eq!((status.state, status.pid, status.wanted_up), (State::Down, None, false));
    tree.ctl_ok(&["start", "web"]);
    tree.await_up("web");
    tree.await_lines("web/seen", 1);
    // The file is no order: what runs goes on running, and is started again when it dies.
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(tree.await_lines("web/seen", 2).len(), 2);
    assert_eq!(tree.stop(), 0);
    tree.start();
    tree.await_up("x-witness");
    tree.await_status("web", "down again", |status| status.supervisor_pid.is_some() && status.state == State::Down);
    assert_eq!(tree.lines("web/seen").len(), 2);
}

#[test]
fn run_may_be_a_script_of_any_interpreter_or_a_program() {
    let mut tree = Tree::new();
    tree.service("perl").executable("run", "#!/usr/bin/perl\nsleep 1000;\n");
    tree.service("argument").executable("run", "#!/bin/sh -e\nfalse; exec sleep 1000\n").file("down", "");
    let program = tree.service("1000");
    std::os::unix::fs::symlink("/bin/sleep", program.path().join("run")).expect("a link");
    tree.start();
    assert!(tree.ctl(&["wait", "--up", "--timeout", "120", "perl", "1000"]).status.success());
    let words = std::fs::read(format!("/proc/{}/cmdline", tree.await_up("1000"))).expect("a living process");
    assert_eq!(words, b"run\x001000\x00", "argv of a program");
    tree.ctl_ok(&["once", "argument"]);
    let status = tree.await_status("argument", "ended", |status| status.last_exit.is_some());
    assert_eq!(status.last_exit.and_then(|exit| exit.code), Some(1), "the interpreter got its -e");
}

#[test]
fn down_and_reload_signals_are_those_of_their_files() {
    let body = "for s in HUP INT QUIT USR1 USR2 TERM; do trap \"echo $s >> seen\" $s; done\n\
                trap 'echo end >> seen; exit 0' WINCH\n\
                echo up >> seen; while :; do sleep 1000 & wait $!; kill $!; done";
    let mut tree = tree_with("web", |service| {
        service.run(body).file("down-signal", "SIGWINCH\n").file("reload-signal", "usr1");
    });
    tree.await_lines("web/seen", 1);
    tree.ctl_ok(&["reload", "web"]);
    assert_eq!(tree.await_lines("web/seen", 2)[1], "USR1");
    // Numbers are signals too, and a changed file counts without a word to anybody.
    tree.service("web").file("reload-signal", "12\n");
    tree.ctl_ok(&["reload", "web"]);
    assert_eq!(tree.await_lines("web/seen", 3)[2], "USR2");
    tree.service("web").remove("reload-signal");
    tree.ctl_ok(&["reload", "web"]);
    assert_eq!(tree.await_lines("web/seen", 4)[3], "HUP");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(tree.lines("web/seen").last().map(String::as_str), Some("end"));
    let exit = tree.status("web").and_then(|status| status.last_exit).expect("it ended");
    assert_eq!((exit.code, exit.signal), (Some(0), None));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_down_signal_that_changes_while_it_runs_is_the_one_that_stops() {
    let tree = tree_with("web", |service| {
        service.run("trap 'exit 7' USR2; trap '' TERM; echo up >> seen; while :; do sleep 1000 & wait $!; kill $!; done");
    });
    tree.await_lines("web/seen", 1);
    tree.service("web").file("down-signal", "USR2");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(tree.status("web").and_then(|status| status.last_exit).and_then(|exit| exit.code), Some(7));
}

#[test]
fn what_cannot_be_read_is_told_and_keeps_its_value() {
    let tree = tree_with("web", |service| {
        service.run("exec sleep 1000").file("timeout-kill", "300\n");
    });
    let pid = tree.await_up("web");
    tree.service("web").file("timeout-kill", "soon\n");
    tree.ctl_ok(&["kill", "CONT", "web"]);
    tree.ctl_ok(&["restart", "web"]);
    assert_ne!(tree.await_up("web"), pid);
    tree.ctl_ok(&["restart", "web"]);
    let said =
        |what: &str| tree.log().lines().filter(|line| line.contains("svc-supervise: web: ") && line.contains(what)).count();
    assert_eq!(said("timeout-kill: the first line must be a plain decimal number"), 1, "{}", tree.log());
    // What is wrong anew is told anew.
    tree.service("web").file("timeout-kill", "later\n");
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(said("timeout-kill: "), 2, "{}", tree.log());
}

#[test]
fn a_notification_fd_that_comes_later_counts_from_the_next_start() {
    let tree = tree_with("web", |service| {
        service.run("echo up >> seen; [ -e notification-fd ] && echo >&3; exec sleep 1000");
    });
    tree.await_up("web");
    assert_eq!(tree.status("web").map(|status| status.ready), Some(None), "it does not say when it is ready");
    tree.service("web").file("notification-fd", "3");
    tree.ctl_ok(&["restart", "web"]);
    let status = tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert!(status.ready_since_ms.is_some());
    tree.service("web").remove("notification-fd");
    tree.ctl_ok(&["restart", "web"]);
    tree.await_status("web", "silent", |status| status.state == State::Up && status.ready.is_none());
}

#[test]
fn the_length_of_the_tally_may_change_at_any_time() {
    let tree = tree_with("web", |service| {
        service.run("exec sleep 1000").file("max-death-tally", "5");
    });
    let deaths = |tree: &Tree, restarts: usize| {
        for _ in 0..restarts {
            tree.await_up("web");
            let answer = tree.ctl_ok(&["restart", "web"]);
            assert!(answer.contains("up"), "{answer}");
        }
        let detail = tree.detail("web").expect("it is there");
        (detail.deaths.len(), detail.death_count)
    };
    tree.await_up("web");
    assert_eq!(deaths(&tree, 8), (5, 8));
    tree.service("web").file("max-death-tally", "2");
    assert_eq!(deaths(&tree, 1), (2, 9));
    tree.service("web").file("max-death-tally", "0");
    assert_eq!(deaths(&tree, 1), (0, 10), "0: none is remembered, all are counted");
    tree.service("web").remove("max-death-tally");
    // It counts from the next start on at the latest.
    let (listed, all) = deaths(&tree, 4);
    assert!((3..=4).contains(&listed) && all == 14, "{listed} of {all}");
}
