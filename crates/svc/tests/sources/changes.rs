//! What is asked for, and what changes on disk, while everything runs.

use svc_testkit::{State, Tree, is_alive, until};

use crate::Sources;
use crate::order::await_all;

#[test]
fn what_others_need_is_stopped_only_with_them() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.longrun("edge", &["web"], "");
    tree.longrun("cache", &[], "");
    tree.longrun("reader", &["cache"], "");
    tree.longrun("alone", &[], "");
    tree.bundle("caches", &["cache"]);
    tree.start();
    await_all(&tree, &["edge", "reader", "alone"]);
    // Each is told who needs it, and not who needs the others.
    let said = tree.say(&["stop", "web", "cache", "caches", "alone"]);
    assert_eq!(said.code, 1);
    for line in ["web: needed by edge: ", "cache: needed by reader: ", "caches: needed by reader: ", "alone: not stopped, "]
    {
        assert!(said.err.contains(line), "{line}: {said:?}");
    }
    let said = tree.say(&["stop", "db"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("db: needed by") && said.err.contains("web") && said.err.contains("edge"), "{said:?}");
    assert_eq!(tree.status("db").map(|status| status.state), Some(State::Up));
    tree.ctl_ok(&["stop", "--dependents", "db"]);
    for name in ["db", "web", "edge"] {
        assert_eq!(tree.status(name).map(|status| status.state), Some(State::Down), "{name}");
    }
    tree.assert_order("-edge", "-web");
    tree.assert_order("-web", "-db");
    // Named together they are not in each other's way.
    tree.ctl_ok(&["start", "web"]);
    assert_eq!(tree.status("edge").map(|status| status.state), Some(State::Down));
    tree.ctl_ok(&["stop", "db", "web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_crash_is_the_supervisors_business() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.start();
    await_all(&tree, &["web"]);
    let web = tree.await_up("web");
    svc_testkit::kill(tree.await_up("db"), "KILL");
    tree.await_status("db", "back", |status| status.restarts == 1 && status.ready == Some(true));
    assert!(is_alive(web), "who depends on it runs on, as with s6-rc");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_oneshot_runs_again_when_it_is_asked_to() {
    let mut tree = Tree::new();
    tree.oneshot("job", &[], "true", "true");
    tree.start();
    await_all(&tree, &["job"]);
    let said = tree.ctl_ok(&["start", "job"]);
    assert!(said.contains("job: done"), "{said}");
    assert_eq!(tree.trace(), ["+job"], "it is done already");
    tree.ctl_ok(&["once", "job"]);
    assert_eq!(tree.trace(), ["+job", "+job"]);
    tree.ctl_ok(&["restart", "job"]);
    assert_eq!(tree.trace(), ["+job", "+job", "-job", "+job"]);
    tree.ctl_ok(&["stop", "job"]);
    assert_eq!(tree.trace().last().map(String::as_str), Some("-job"));
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.trace().len(), 5, "what is down is not taken down again");
}

#[test]
fn a_down_that_fails_is_told() {
    let mut tree = Tree::new();
    tree.oneshot("job", &[], "true", "exit 1");
    tree.start();
    await_all(&tree, &["job"]);
    tree.ctl(&["stop", "job"]);
    until("told", || tree.log().contains("job: its down failed").then_some(()));
    assert_eq!(tree.stop(), 0);
}

/// Whether a stop comes before its `up` has ended, or just then: what was done is taken down.
#[test]
fn a_stop_at_any_moment_of_a_start_leaves_nothing_done() {
    let mut tree = Tree::new();
    tree.source("job", "oneshot", &[])
        .file("up", "#!/bin/sh\ntrap '' TERM\nsleep 0.1\n: >done\n")
        .file("down", "#!/bin/sh\nrm done\n");
    tree.place("job");
    tree.bundle("default", &[]);
    tree.start();
    until("the graph", || tree.status("default").map(|_| ()));
    let done = tree.services().join("job/done");
    for round in 0..20 {
        tree.order(svc_testkit::api::Verb::Start, &["job"]);
        std::thread::sleep(std::time::Duration::from_millis(10 * round));
        tree.ctl_ok(&["stop", "job"]);
        assert!(!done.exists(), "round {round}; log:\n{}", tree.log());
    }
    assert!(!tree.log().contains("its down failed"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

/// A `down` that cannot be executed is tried once, and told.
#[test]
fn a_down_that_cannot_run_ends_all_the_same() {
    let mut tree = Tree::new();
    let job = tree.oneshot("job", &[], "true", "true");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "job"]);
    std::fs::remove_file(job.path().join("down")).expect("ours");
    tree.ctl(&["stop", "--timeout", "120", "job"]);
    until("told", || tree.log().contains("its down failed").then_some(()));
    assert!(tree.log().matches("its down failed").count() == 1, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn directories_come_and_go() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.start();
    await_all(&tree, &["db"]);
    let db = tree.await_up("db");
    tree.longrun("web", &["db"], "");
    await_all(&tree, &["web"]);
    std::fs::remove_dir_all(tree.services().join("web")).expect("ours");
    until("web to be gone", || tree.status("web").is_none().then_some(()));
    assert!(is_alive(db));
    // What others need does not pull away what they stand on.
    tree.longrun("web", &["db"], "");
    await_all(&tree, &["web"]);
    assert_eq!(tree.status("db").and_then(|status| status.pid), Some(db));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn classic_directories_stand_beside_sources() {
    let mut tree = Tree::new();
    tree.service("classic").run("exec sleep 1000");
    tree.longrun("web", &[], "");
    tree.start();
    tree.await_up("classic");
    await_all(&tree, &["web"]);
    tree.ctl_ok(&["restart", "classic", "web"]);
    assert_eq!(tree.stop(), 0);
}
