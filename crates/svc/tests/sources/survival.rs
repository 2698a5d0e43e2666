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
    tree.await_up("net");
    kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    tree.await_up("net");
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
    tree.await_up("net");
    tree.kill_supervisor("net");
    tree.service("net").file("go", "");
    await_all(&tree, &["net", "web"]);
    assert_eq!(tree.trace(), ["+net", "+web"]);
    tree.kill_supervisor("net");
    tree.await_status("net", "adopted", |status| status.supervisor_pid.is_some());
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.trace(), ["+net", "+web", "-web", "-net"]);
}
