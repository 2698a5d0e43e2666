//! svc as process 1 of a PID namespace, as in a container.

use std::process::Command;

use svc_testkit::{Tree, descendants, has_program, kill, needs, until, wait_gone};

const NAMESPACE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

fn possible() -> bool {
    let tried = Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).arg("true").status();
    needs("the right to make PID namespaces", tried.is_ok_and(|status| status.success()))
}

#[test]
fn it_boots_and_stops() {
    if !possible() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("echo pid $PPID; exec sleep 1000").finish("echo finish was here");
    tree.service("pair").run("exec sleep 1000");
    tree.service("pair/log").run("exec cat");
    tree.wrapper(&NAMESPACE).start();
    tree.await_up("web");
    tree.await_up("pair/log");
    let version: svc_testkit::api::Version = svc_testkit::get(&tree.socket(), "/v1/version").expect("an answer");
    assert_eq!(version.init_pid, 1);
    let all = descendants(tree.init_pid());
    kill(tree.svc_init(), "TERM");
    assert_eq!(tree.wait(), 0);
    for process in all {
        wait_gone(process.pid);
    }
    assert!(tree.log().contains("finish was here"), "{}", tree.log());
    assert!(!tree.log().contains("killed"), "{}", tree.log());
}

#[test]
fn its_code_is_the_main_programs() {
    if !possible() {
        return;
    }
    for (body, code) in [("exit 42", 42), ("kill -USR1 $$; sleep 1000", 128 + 10)] {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.wrapper(&NAMESPACE).command(&["sh", "-c", body]).launch();
        assert_eq!(tree.wait(), code, "{}", tree.log());
    }
}

#[test]
fn it_reaps_whoever_has_lost_a_parent() {
    if !possible() || !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.wrapper(&NAMESPACE).start();
    tree.await_up("web");
    // From outside any service, as `docker exec` does: orphans come to process 1 itself.
    let init = tree.svc_init().to_string();
    let program = "for (1 .. 500) { my $pid = fork(); if (!$pid) { fork() or do { select(undef, undef, undef, 0.01); exit 0; }; exit 0; } waitpid($pid, 0); }";
    let status =
        Command::new("nsenter").args(["-t", &init, "-p", "-m", "perl", "-e", program]).status().expect("nsenter runs");
    assert!(status.success());
    let zombies = || descendants(tree.svc_init()).iter().filter(|process| process.is_zombie()).count();
    until("no zombie", || (zombies() == 0).then_some(()));
    kill(tree.svc_init(), "TERM");
    assert_eq!(tree.wait(), 0);
}

/// A daemon that somebody started from outside with `docker exec` is no reason to stay.
#[test]
fn it_stops_orphans_that_are_nobodys() {
    if !possible() || !needs("nsenter", has_program("nsenter")) {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&NAMESPACE).set("SVC_STOP_TIMEOUT", "2").start();
    let init = tree.svc_init().to_string();
    let daemons = "setsid sleep 1000 & setsid sh -c 'trap \"\" TERM; while :; do sleep 1000; done' &";
    let status =
        Command::new("nsenter").args(["-t", &init, "-p", "-m", "sh", "-c", daemons]).status().expect("nsenter runs");
    assert!(status.success());
    // The second one's is there when TERM is ignored.
    let orphans = until("the orphans", || {
        let all = descendants(tree.svc_init());
        (all.iter().filter(|process| process.title() == "sleep 1000").count() == 2).then_some(all)
    });
    kill(tree.svc_init(), "TERM");
    assert_eq!(tree.wait(), 0);
    for orphan in orphans {
        wait_gone(orphan.pid);
    }
    assert!(tree.log().contains("killed"), "{}", tree.log());
}

/// Without a handler the kernel keeps signals from process 1; svc has one for all, and none of them ends it.
#[test]
fn no_stray_signal_ends_it() {
    if !possible() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.wrapper(&NAMESPACE).start();
    let pid = tree.await_up("web");
    // Those that end it on purpose, 37 (SIGRTMIN+3) among them, and what no handler gets.
    for number in (1..=64).filter(|number| ![2, 3, 6, 9, 15, 19, 37].contains(number)) {
        kill(tree.svc_init(), &number.to_string());
    }
    tree.list().expect("an answer");
    assert_eq!(tree.await_up("web"), pid);
    kill(tree.svc_init(), "TERM");
    assert_eq!(tree.wait(), 0);
}
