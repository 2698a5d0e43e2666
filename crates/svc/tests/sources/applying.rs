//! Edits of sources in a plan, in the status, and applied.

use std::fs;

use svc_testkit::{ServiceDir, State, Tree, kill};

use crate::Sources;
use crate::order::await_all;

#[test]
fn one_that_becomes_another_kind_is_waited_for_by_apply() {
    let mut tree = Tree::new();
    tree.longrun("a", &[], "");
    let d = tree.longrun("d", &[], "");
    tree.longrun("web", &["d"], "");
    tree.longrun("edge", &["web"], "");
    tree.start();
    await_all(&tree, &["a", "d", "edge"]);
    let (a, run) = (tree.await_up("a"), fs::read(d.path().join("run")).expect("ours"));
    for (from, kind, state) in [
        ("longrun", "bundle", State::Up),
        ("bundle", "longrun", State::Up),
        ("longrun", "oneshot", State::Done),
        ("oneshot", "longrun", State::Up),
        ("longrun", "oneshot", State::Done),
        ("oneshot", "bundle", State::Up),
    ] {
        match from {
            "longrun" => fs::remove_file(d.path().join("run")),
            "oneshot" => fs::remove_file(d.path().join("up")),
            _ => fs::remove_dir_all(d.path().join("contents.d")),
        }
        .expect("ours");
        match kind {
            "longrun" => {
                fs::write(d.path().join("run"), &run).expect("ours");
            }
            "oneshot" => drop(d.file("up", "#!/bin/sh\ntrue\n")),
            _ => {
                fs::create_dir_all(d.path().join("contents.d")).expect("ours");
                d.file("contents.d/a", "");
            }
        }
        fs::remove_dir_all(d.path().join("dependencies.d")).ok();
        d.file("type", &format!("{kind}\n"));
        let plan = tree.ctl_ok(&["plan"]);
        assert!(
            plan.contains("d: restart: its definition has changed\n") && plan.contains("    type has changed\n"),
            "{plan}"
        );
        assert_eq!(tree.status("d").map(|status| status.changed), Some(true), "{from} -> {kind}");
        // A bundle has no supervisor that must go first.
        let along = ["web: restart: d, which it needs, is replaced\n", "edge: restart: web, which it needs, is replaced\n"];
        assert!(along.iter().all(|line| plan.contains(line) == (from != "bundle")), "{from} -> {kind}: {plan}");
        let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
        assert!(said.contains("\nedge: up (pid ") == (from != "bundle") && said.contains("\nd: "), "{said}");
        assert!(!said.contains("gone"), "{from} -> {kind}: {said}");
        let status = tree.status("d").expect("it is there");
        assert!(status.state == state && !status.changed, "{from} -> {kind}: {status:?}");
        assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n", "{from} -> {kind}");
        assert_eq!(tree.status("web").map(|status| status.state), Some(State::Up));
    }
    assert_eq!(tree.await_up("a"), a);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn each_edit_of_a_source_is_in_the_plan_and_in_the_status() {
    let mut tree = Tree::new();
    let job = tree.oneshot("job", &[], "true", "true");
    tree.longrun("db", &[], "");
    let web = tree.longrun("web", &[], "");
    let all = tree.bundle("all", &["web"]);
    tree.start();
    await_all(&tree, &["job", "db", "web", "all"]);
    let pids = ["db", "web"].map(|name| tree.await_up(name));
    let files = [
        (&job, "job", "up", "#!/bin/sh\nexit 0\n"),
        (&job, "job", "down", "#!/bin/sh\nexit 0\n"),
        (&job, "job", "timeout-up", "7000"),
        (&job, "job", "timeout-down", "7000"),
        (&job, "job", "flag-essential", ""),
        (&web, "web", "dependencies.d/db", ""),
        (&all, "all", "contents.d/db", ""),
    ];
    for (service, name, file, content) in files {
        assert_eq!(tree.status(name).map(|status| status.changed), Some(false), "{name}/{file}");
        service.file(file, content);
        let plan = tree.ctl_ok(&["plan"]);
        let shown = file.split('/').next().unwrap_or(file);
        let lines =
            format!("{name}: nothing: what has changed holds from then on, without a restart\n    {shown} has changed\n");
        assert_eq!(plan, lines, "{name}/{file}");
        assert_eq!(tree.status(name).map(|status| status.changed), Some(true), "{name}/{file}");
        assert!(tree.ctl_ok(&["status", name]).contains("its files have changed since"), "{name}/{file}");
        tree.ctl_ok(&["apply"]);
        assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n", "{name}/{file}");
        // The same once more is no edit.
        service.file(file, content);
        assert_eq!(tree.status(name).map(|status| status.changed), Some(false), "{name}/{file}");
    }
    assert_eq!(["db", "web"].map(|name| tree.await_up(name)), pids);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_gets_another_form_is_waited_for_by_apply() {
    let mut tree = Tree::new();
    let web = tree.service("web");
    web.run("exec sleep 1000");
    tree.start();
    let mut pid = tree.await_up("web");
    for to_source in [true, false, true] {
        if to_source {
            web.file("type", "longrun\n");
        } else {
            web.remove("type");
        }
        let plan = tree.ctl_ok(&["plan"]);
        assert_eq!(plan, "web: restart: something else stands in its place\n");
        let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
        assert!(said.contains("web: up (pid "), "{said}");
        let new = tree.status("web").and_then(|status| status.pid);
        assert!(new.is_some_and(|new| new != pid), "{new:?}");
        pid = new.unwrap_or(pid);
        assert_eq!(tree.ctl_ok(&["graph"]).contains("web"), to_source);
        assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    }
    assert_eq!(tree.stop(), 0);
}

/// A source becomes another kind, by its files.
fn becomes(service: &ServiceDir, kind: &str, file: &str, content: &str) {
    for old in ["run", "up", "dependencies.d", "contents.d"] {
        let old = service.path().join(old);
        fs::remove_file(&old).or_else(|_| fs::remove_dir_all(&old)).ok();
    }
    service.file(file, content).file("type", kind);
}

const LONGRUN: &str = "#!/bin/sh\nexec sleep 1000\n";
const NOT_UP: &str = "nothing: it is not up: what has changed counts from its next start on\n";

#[test]
fn a_bundle_that_is_up_by_what_is_in_it_is_started_when_it_becomes_something_else() {
    let mut tree = Tree::new();
    tree.longrun("a", &[], "");
    let bundles = ["d", "e"].map(|name| tree.bundle(name, &["a"]));
    tree.longrun("stopped", &[], "");
    let down = tree.bundle("down", &["a", "stopped"]);
    tree.start();
    await_all(&tree, &["a", "d", "e", "down"]);
    tree.ctl_ok(&["stop", "stopped"]);
    becomes(&bundles[0], "longrun", "run", LONGRUN);
    becomes(&bundles[1], "oneshot", "up", "#!/bin/sh\nexit 0\n");
    becomes(&down, "longrun", "run", LONGRUN);
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    let lines = ["d: restart: its definition has changed\n", "e: restart: its definition", "\nd: up (pid ", "\ne: "];
    assert!(lines.iter().all(|line| said.contains(line)) && said.contains(&format!("down: {NOT_UP}")), "{said}");
    let states = ["d", "e", "down"].map(|name| tree.status(name).map(|status| status.state));
    assert_eq!(states, [Some(State::Up), Some(State::Done), Some(State::Down)]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_nobody_wants_is_down_before_its_supervisor_has_begun() {
    let mut tree = Tree::new();
    tree.longrun("web", &[], "");
    tree.bundle("default", &["web"]);
    tree.start();
    tree.await_up("web");
    // Forks no supervisor until it goes on.
    let init = tree.svc_init();
    kill(init, "STOP");
    tree.longrun("late", &[], "");
    tree.ctl_ok(&["rescan"]);
    let late = tree.status("late").map(|status| (status.state, status.wanted_up, status.supervisor_pid));
    kill(init, "CONT");
    assert_eq!(late, Some((State::Down, false, None)));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_was_down_is_down_when_its_type_changes_and_what_was_wanted_is_up() {
    let mut tree = Tree::new();
    let ran = tree.path("ran").display().to_string();
    tree.longrun("default-member", &[], "");
    let [d, base] = ["d", "base"].map(|name| tree.longrun(name, &[], ""));
    tree.longrun("above", &["base"], "");
    tree.longrun("asked", &["base"], "");
    tree.bundle("default", &["default-member", "d", "base", "above"]);
    tree.start();
    await_all(&tree, &["d", "base", "above"]);
    tree.ctl_ok(&["start", "asked"]);
    tree.ctl_ok(&["stop", "d", "above"]);
    becomes(&d, "oneshot", "up", &format!("#!/bin/sh\necho up >>{ran}\n"));
    becomes(&base, "oneshot", "up", "#!/bin/sh\nexit 0\n");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    assert!(said.contains(&format!("d: {NOT_UP}")) && said.contains("\nasked: up (pid "), "{said}");
    assert!(!said.contains("above"), "{said}");
    tree.await_status("d", "another kind", |status| !status.changed);
    let states = ["base", "d", "above", "asked"].map(|name| tree.status(name).map(|status| status.state));
    assert_eq!(states, [Some(State::Done), Some(State::Down), Some(State::Down), Some(State::Up)]);
    assert_eq!(tree.lines(&ran), Vec::<String>::new());
    tree.ctl_ok(&["start", "d"]);
    assert_eq!(tree.lines(&ran), ["up"]);
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    assert_eq!(tree.stop(), 0);
}
