//! The end of everything.

use svc_testkit::{Tree, descendants, processes, until};

use crate::Sources;
use crate::order::await_all;

/// s6-overlay hangs here: the stop waits for a lock that the start holds.
#[test]
fn an_end_during_a_start_that_never_ends_comes_at_once() {
    let mut tree = Tree::new();
    tree.longrun("first", &[], "");
    tree.longrun("never", &["first"], "sleep 1000 & wait $!; false");
    tree.oneshot("hangs", &[], "sleep 1000", "true");
    tree.longrun("after", &["never", "hangs"], "");
    tree.start();
    await_all(&tree, &["first"]);
    for name in ["never", "hangs"] {
        let pid = tree.await_running(name);
        until("its sleep", || descendants(pid).iter().any(|process| process.title() == "sleep 1000").then_some(()));
    }
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-never", "-first");
}

#[test]
fn who_does_not_stop_does_not_hold_up_the_end() {
    let mut tree = Tree::new();
    tree.set("SVC_STOP_TIMEOUT", "2");
    tree.longrun("base", &[], "");
    tree.longrun("deaf", &["base"], "trap '' TERM");
    tree.oneshot("slow", &["base"], "true", "sleep 1000");
    tree.start();
    await_all(&tree, &["deaf", "slow"]);
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    let told = log.lines().find(|line| line.contains("not everything stopped in order in time (")).unwrap_or_default();
    assert!(told.contains("deaf") && told.contains("slow") && !told.contains("base"), "{log}");
    let root = tree.root().display().to_string();
    until("nothing left", || (!processes().iter().any(|process| process.title().contains(&root))).then_some(()));
}

/// It was done again and again until everybody else had ended.
#[test]
fn a_down_that_fails_at_the_end_is_done_once() {
    let mut tree = Tree::new();
    let tried = tree.path("tried").display().to_string();
    tree.oneshot("base", &[], "true", &format!("until [ -e {tried} ]; do sleep 0.01; done; sleep 1"));
    tree.oneshot("bad", &["base"], "true", &format!("echo >>{tried}; exit 4"));
    tree.start();
    await_all(&tree, &["bad"]);
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.lines("../tried").len(), 1, "{}", tree.log());
    assert_eq!(tree.trace(), ["+base", "+bad", "-base"]);
    assert_eq!(tree.log().matches("bad: its down failed").count(), 1, "{}", tree.log());
}

#[test]
fn an_end_with_nothing_up_is_an_end() {
    let mut tree = Tree::new();
    tree.longrun("spare", &[], "");
    tree.bundle("user", &[]);
    tree.start();
    until("the graph", || tree.status("user").is_some().then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_main_program_starts_when_what_is_wanted_is_up_or_has_failed() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "sleep 0.3", "true");
    tree.oneshot("bad", &[], "exit 1", "true");
    tree.longrun("web", &["net"], "");
    tree.longrun("edge", &["bad"], "");
    let trace = tree.path("trace").display().to_string();
    tree.command(&["sh", "-c", &format!("echo +CMD >>{trace}; exit 7")]);
    tree.launch();
    assert_eq!(tree.wait(), 7);
    assert_eq!(tree.trace()[..3], ["+net", "+web", "+CMD"]);
    tree.assert_order("-web", "-net");
}

#[test]
fn the_main_program_starts_when_svc_scan_was_killed_before() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "while [ ! -e go ]; do sleep 0.02; done", "true");
    let trace = tree.path("trace").display().to_string();
    tree.command(&["sh", "-c", &format!("echo +CMD >>{trace}; exit 7")]);
    tree.start();
    tree.await_running("net");
    svc_testkit::kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    tree.await_running("net");
    assert_eq!(tree.trace(), [] as [String; 0]);
    // Until then it is told of, with what it waits for.
    let waiting = "CMD: waiting for others: net: is still running";
    let table = tree.say(&["status"]);
    assert!(table.out.contains("CMD   waiting") && table.out.contains(waiting), "{table:?}");
    for (words, code) in [(["stop", "CMD"], 1), (["health", "CMD"], 1), (["why", "CMD"], 0)] {
        let said = tree.say(&words);
        assert!(said.code == code && (said.out.clone() + &said.err).contains("waiting for others: net"), "{said:?}");
    }
    tree.service("net").file("go", "");
    assert_eq!(tree.wait(), 7);
    assert_eq!(tree.trace(), ["+net", "+CMD", "-net"]);
}

/// Somebody who writes all the time into a directory that is no service yet.
#[test]
fn a_directory_that_is_never_complete_holds_nobody_up() {
    let mut tree = Tree::new();
    tree.longrun("web", &[], "");
    let busy = tree.service("busy");
    tree.start();
    until("web, though somebody writes", || {
        busy.file("data", "more");
        tree.status("web").is_some_and(|status| status.ready == Some(true)).then_some(())
    });
    tree.longrun("late", &["web"], "");
    until("late, though somebody writes", || {
        busy.file("data", "more");
        tree.status("late").is_some_and(|status| status.ready == Some(true)).then_some(())
    });
    assert_eq!(tree.stop(), 0);
}
