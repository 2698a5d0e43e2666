//! Who is killed, and what goes on.

use svc_testkit::{Tree, kill};

use crate::Sources;
use crate::order::await_all;

#[test]
fn a_killed_svc_scan_starts_and_stops_nothing() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "true", "true");
    tree.longrun("db", &["net"], "");
    tree.longrun("web", &["db"], "");
    tree.longrun("spare", &[], "");
    tree.start();
    await_all(&tree, &["net", "db", "web", "spare"]);
    tree.ctl_ok(&["stop", "spare"]);
    let pids = ["db", "web"].map(|name| tree.await_up(name));
    let before = tree.trace();
    for _ in 0..3 {
        kill(tree.process("svc-scan"), "KILL");
        tree.await_control();
        await_all(&tree, &["net", "db", "web"]);
    }
    assert_eq!(["db", "web"].map(|name| tree.await_up(name)), pids);
    assert_eq!(tree.trace(), before, "nothing was started, and what was stopped stays so");
    // It knows the order still.
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-db");
    tree.assert_order("-db", "-net");
}

#[test]
fn a_start_goes_on_where_svc_scan_was_killed() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "while [ ! -e go ]; do sleep 0.02; done", "true");
    tree.longrun("db", &["net"], "");
    tree.longrun("web", &["db"], "");
    tree.start();
    tree.await_running("net");
    kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    tree.await_running("net");
    tree.service("net").file("go", "");
    await_all(&tree, &["net", "db", "web"]);
    assert_eq!(tree.trace(), ["+net", "+db", "+web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_killed_supervisor_of_a_oneshot_does_it_once() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "while [ ! -e go ]; do sleep 0.02; done", "true");
    tree.longrun("web", &["net"], "");
    tree.start();
    tree.await_running("net");
    tree.kill_supervisor("net");
    tree.service("net").file("go", "");
    await_all(&tree, &["net", "web"]);
    assert_eq!(tree.trace(), ["+net", "+web"]);
    tree.kill_supervisor("net");
    tree.await_status("net", "adopted", |status| status.supervisor_pid.is_some());
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.trace(), ["+net", "+web", "-web", "-net"]);
}

/// A milestone has no supervisor that would remember what was wished of it.
#[test]
fn a_milestone_on_the_way_survives_svc_scan() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "while [ ! -e go ]; do sleep 0.02; done", "true");
    tree.source("mile", "oneshot", &["net"]).file("up", "");
    tree.place("mile");
    tree.longrun("web", &["mile"], "");
    tree.bundle("user", &["web"]);
    tree.start();
    tree.await_running("net");
    kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    tree.await_running("net");
    tree.service("net").file("go", "");
    tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "web"]);
    tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "user"]);
    assert_eq!(tree.trace(), ["+net", "+web"]);
    assert_eq!(tree.stop(), 0);
}

/// With svc-scan one supervisor is gone too: what is done stays so.
#[test]
fn nothing_is_done_twice_when_svc_scan_and_a_supervisor_are_killed() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "true", "true");
    tree.oneshot("bad", &[], "echo tried >>$PWD/../../trace; exit 1", "true");
    tree.oneshot("disk", &["net"], "true", "true");
    tree.longrun("web", &["disk"], "");
    tree.start();
    await_all(&tree, &["web"]);
    tree.ctl(&["wait", "--up", "bad"]);
    let before = tree.trace();
    for victim in ["net", "disk", "bad", "web"] {
        let supervisor = tree.process(&format!("svc-supervise {victim}"));
        let scan = tree.process("svc-scan");
        kill(scan, "STOP");
        kill(supervisor, "KILL");
        kill(scan, "KILL");
        tree.await_control();
        for name in ["net", "disk", "web"] {
            tree.ctl_ok(&["wait", "--ready", "--timeout", "120", name]);
        }
        tree.await_status(victim, "a supervisor", |status| status.supervisor_pid.is_some_and(|pid| pid != supervisor));
        assert_eq!(tree.trace(), before, "{victim}; log:\n{}", tree.log());
        assert_eq!(tree.say(&["wait", "--up", "--timeout", "120", "bad"]).code, 1, "{victim}");
    }
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-disk");
    tree.assert_order("-disk", "-net");
}
