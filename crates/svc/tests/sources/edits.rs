//! Sources that are edited, renamed, removed and made into something else while they run.

use std::fs;

use svc_testkit::{ServiceDir, State, Tree, kill, until};

use crate::Sources;
use crate::order::await_all;

fn remove(service: &ServiceDir) {
    fs::remove_dir_all(service.path()).expect("ours");
}

/// Says that it is ready at once, and nothing in the trace.
fn plain(tree: &Tree, name: &str) -> ServiceDir {
    tree.source(name, "longrun", &[]).file("run", "#!/bin/sh\nexec sleep 1000\n");
    tree.place(name)
}

#[test]
fn a_new_dependency_counts_after_a_rescan() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    let web = tree.longrun("web", &[], "");
    tree.start();
    await_all(&tree, &["db", "web"]);
    let pid = tree.await_up("web");
    web.file("dependencies.d/db", "");
    tree.longrun("late", &[], "");
    web.file("dependencies.d/late", "");
    tree.ctl_ok(&["rescan"]);
    await_all(&tree, &["late"]);
    let said = tree.say(&["stop", "late"]);
    assert!(said.code == 1 && said.err.contains("needed by") && said.err.contains("web"), "{said:?}");
    assert_eq!(tree.await_up("web"), pid, "dependencies take no restart");
    tree.signal("HUP");
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-db");
    tree.assert_order("-web", "-late");
}

#[test]
fn an_edit_that_makes_a_circle_stops_nothing_and_is_told() {
    let mut tree = Tree::new();
    let db = tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.start();
    await_all(&tree, &["web"]);
    let pids = ["db", "web"].map(|name| tree.await_up(name));
    let circle = db.path().join("dependencies.d/web");
    fs::write(&circle, "").expect("ours");
    tree.ctl_ok(&["rescan"]);
    let problem = tree.await_status("db", "a problem", |status| status.problem.is_some()).problem;
    assert!(problem.as_ref().is_some_and(|text| text.contains("wait for each other")), "{problem:?}");
    assert_eq!(tree.log().matches("wait for each other").count(), 1, "{}", tree.log());
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.log().matches("wait for each other").count(), 1, "told once: {}", tree.log());
    assert_eq!(["db", "web"].map(|name| tree.await_up(name)), pids);
    assert_eq!(tree.say(&["stop", "db"]).code, 1, "the order that was good holds");
    fs::remove_file(circle).expect("ours");
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.status("db").and_then(|status| status.problem), None);
    assert_eq!(["db", "web"].map(|name| tree.await_up(name)), pids);
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-db");
}

#[test]
fn an_edit_that_makes_no_sense_stops_nothing_and_is_told() {
    let mut tree = Tree::new();
    let web = plain(&tree, "web");
    tree.bundle("all", &["web"]);
    tree.start();
    let pid = tree.await_up("web");
    web.file("type", "longrum\n");
    tree.service("all").file("contents.d/nobody", "");
    tree.ctl_ok(&["rescan"]);
    let problem = tree.await_status("web", "a problem", |status| status.problem.is_some()).problem;
    assert!(problem.as_ref().is_some_and(|text| text.contains("longrum")), "{problem:?}");
    let problem = tree.await_status("all", "a problem", |status| status.problem.is_some()).problem;
    assert!(problem.as_ref().is_some_and(|text| text.contains("goes on without nobody")), "{problem:?}");
    assert_eq!(tree.await_up("web"), pid);
    web.file("type", "longrun\n");
    tree.ctl_ok(&["rescan"]);
    tree.await_status("web", "no problem", |status| status.problem.is_none());
    assert_eq!(tree.await_up("web"), pid);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_edited_up_counts_from_the_next_time_on() {
    let mut tree = Tree::new();
    let job = tree.oneshot("job", &[], "true", "true");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "job"]);
    let trace = tree.path("trace").display().to_string();
    job.file("up", &format!("#!/bin/sh\necho new >>{trace}\n"));
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.trace(), ["+job"]);
    tree.ctl_ok(&["restart", "job"]);
    assert_eq!(tree.trace(), ["+job", "-job", "new"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_changes_its_type_starts_again_with_what_needs_it() {
    let mut tree = Tree::new();
    let db = tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.longrun("other", &[], "");
    tree.start();
    await_all(&tree, &["web", "other"]);
    let other = tree.await_up("other");
    let trace = tree.path("trace").display().to_string();
    db.file("up", &format!("#!/bin/sh\necho done >>{trace}\n")).file("type", "oneshot\n");
    tree.ctl_ok(&["rescan"]);
    tree.await_status("db", "done", |status| status.state == State::Done);
    await_all(&tree, &["web"]);
    let trace = tree.trace();
    let of_two: Vec<&str> = trace.iter().map(String::as_str).filter(|line| !line.contains("other")).collect();
    assert_eq!(of_two, ["+db", "+web", "-web", "-db", "done", "+web"]);
    assert_eq!(tree.await_up("other"), other);
    // And to nothing with a process, and back.
    for (kind, state) in [("bundle\n", State::Up), ("longrun\n", State::Up)] {
        db.file("type", kind);
        if kind == "bundle\n" {
            fs::remove_dir_all(db.path().join("dependencies.d")).expect("ours");
            fs::create_dir_all(db.path().join("contents.d")).expect("ours");
        }
        tree.ctl_ok(&["rescan"]);
        tree.await_status("db", kind, |status| status.state == state && status.pid.is_some() == (kind == "longrun\n"));
        await_all(&tree, &["web"]);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_directory_may_change_its_form() {
    let mut tree = Tree::new();
    let web = tree.service("web");
    web.run("exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    web.file("type", "longrun\n");
    tree.ctl_ok(&["rescan"]);
    let second = tree
        .await_status("web", "a source", |status| status.state == State::Up && status.pid.is_some_and(|pid| pid != first));
    assert!(tree.ctl_ok(&["graph"]).contains("web"));
    fs::remove_file(web.path().join("type")).expect("ours");
    tree.ctl_ok(&["rescan"]);
    tree.await_status("web", "a classic one", |status| {
        status.state == State::Up && status.pid.is_some_and(|pid| Some(pid) != second.pid)
    });
    assert!(!tree.ctl_ok(&["graph"]).contains("web"));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_type_that_comes_late_does_no_harm() {
    let mut tree = Tree::new();
    tree.start();
    let net = tree.service("net");
    net.file("up", "true\n");
    until("told", || tree.log().contains("write oneshot, longrun or bundle into it").then_some(()));
    net.file("type", "oneshot\n");
    tree.await_status("net", "done", |status| status.state == State::Done);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_others_need_goes_after_them_when_its_directory_is_removed() {
    let mut tree = Tree::new();
    let db = tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.longrun("edge", &["web"], "");
    tree.start();
    await_all(&tree, &["edge"]);
    for _ in 0..3 {
        let before = tree.trace().len();
        remove(&db);
        until("db to be gone", || tree.status("db").is_none().then_some(()));
        assert_eq!(tree.trace()[before..], ["-edge", "-web", "-db"], "log:\n{}", tree.log());
        let web = tree.status("web").expect("still there");
        assert_eq!(web.state, State::Broken);
        assert!(web.problem.as_ref().is_some_and(|text| text.contains("db, which does not exist")), "{web:?}");
        tree.longrun("db", &[], "");
        await_all(&tree, &["db", "web", "edge"]);
        assert_eq!(tree.trace()[before + 3..], ["+db", "+web", "+edge"]);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_renamed_source_is_another_one() {
    let mut tree = Tree::new();
    let db = tree.longrun("db", &[], "");
    tree.bundle("mine", &["db"]);
    tree.start();
    await_all(&tree, &["db"]);
    fs::rename(db.path(), tree.services().join("base")).expect("ours");
    tree.await_status("base", "up", |status| status.state == State::Up && status.ready == Some(true));
    assert_eq!(tree.status("db"), None);
    tree.ctl_ok(&["restart", "base"]);
    fs::rename(tree.services().join("mine"), tree.services().join("yours")).expect("ours");
    until("the bundle's new name", || tree.status("yours").and(tree.status("mine").is_none().then_some(())));
    // Two that take each other's name, over and over.
    plain(&tree, "one");
    plain(&tree, "two");
    for _ in 0..10 {
        exchange(&tree);
    }
    assert_eq!(tree.stop(), 0);
}

fn exchange(tree: &Tree) {
    let pids = ["one", "two"].map(|name| tree.await_up(name));
    let at = |name: &str| tree.services().join(name);
    fs::rename(at("one"), tree.path("aside")).expect("ours");
    fs::rename(at("two"), at("one")).expect("ours");
    fs::rename(tree.path("aside"), at("two")).expect("ours");
    for name in ["one", "two"] {
        tree.await_status(name, "a new one", |status| {
            status.state == State::Up && status.pid.is_some_and(|pid| !pids.contains(&pid))
        });
    }
}

#[test]
fn a_bundle_that_loses_a_member_lets_it_run() {
    let mut tree = Tree::new();
    plain(&tree, "web");
    plain(&tree, "db");
    let all = tree.bundle("default", &["web", "db"]);
    tree.start();
    let pids = ["web", "db"].map(|name| tree.await_up(name));
    fs::remove_file(all.path().join("contents.d/db")).expect("ours");
    tree.ctl_ok(&["rescan"]);
    tree.ctl_ok(&["stop", "default"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    assert_eq!(tree.await_up("db"), pids[1]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_funnel_may_lose_its_first_producer() {
    let mut tree = Tree::new();
    let out = tree.path("out");
    for name in ["a", "b"] {
        let body = format!("#!/bin/sh\ntrap 'exit 0' TERM\nexec 2>&1\necho hello of {name}\nsleep 1000 &\nwait $!\n");
        tree.source(name, "longrun", &[]).file("run", &body).file("producer-for", "log");
        tree.place(name);
    }
    let body = format!("#!/bin/sh\nexec cat >>{}\n", out.display());
    tree.source("log", "longrun", &[]).file("run", &body).file("consumer-for", "a\nb\n");
    let log = tree.place("log");
    tree.start();
    let said = |line: &str| fs::read_to_string(&out).map_or(0, |text| text.lines().filter(|known| *known == line).count());
    until("both", || (said("hello of a") == 1 && said("hello of b") == 1).then_some(()));
    log.file("consumer-for", "b\n");
    remove(&tree.service("a"));
    tree.ctl_ok(&["rescan"]);
    until("b on a pipe of its own", || (said("hello of b") == 2).then_some(()));
    kill(tree.await_up("b"), "KILL");
    until("b again", || (said("hello of b") == 3).then_some(()));
    assert_eq!(tree.status("a"), None);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn half_a_pipeline_is_told_and_heals() {
    let mut tree = Tree::new();
    tree.source("web", "longrun", &[]).file("run", "#!/bin/sh\nexec sleep 1000\n").file("producer-for", "log");
    tree.place("web");
    tree.start();
    let problem = tree.await_status("web", "a problem", |status| status.problem.is_some()).problem;
    assert!(problem.as_ref().is_some_and(|text| text.contains("log, which does not exist")), "{problem:?}");
    tree.source("log", "longrun", &[]).file("run", "#!/bin/sh\nexec cat >/dev/null\n").file("consumer-for", "web");
    tree.place("log");
    tree.await_up("web");
    tree.await_up("log");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
    assert_eq!(tree.stop(), 0);
}
