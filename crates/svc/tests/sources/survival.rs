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

/// It took what stood on disk for what runs, and what it could not use out of the order.
#[test]
fn an_edit_of_a_source_that_nobody_has_applied_is_one_for_the_next_svc_scan_too() {
    let mut tree = Tree::new();
    let names = ["base", "free", "tied", "ring", "lost", "torn", "typed", "timed", "top"];
    names[..8].iter().for_each(|name| _ = tree.longrun(name, &[], ""));
    tree.longrun("top", &["ring", "lost", "torn", "typed", "mile", "group"], "");
    tree.oneshot("once", &[], "true", "true");
    tree.source("mile", "oneshot", &[]).file("up", "");
    tree.place("mile");
    tree.bundle("group", &["base"]);
    tree.bundle("user", &names);
    tree.service("user").file("contents.d/once", "");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "user"]);
    let pids = names.map(|name| tree.await_up(name));
    let (trace, before) = (tree.trace(), edit(&tree, true));
    let plan = tree.say(&["plan"]).out;
    for said in [
        "tied: nothing: what has changed holds from then on, without a restart\n    dependencies.d has changed",
        "ring: nothing: ring -> top -> ring wait for each other",
        "lost/dependencies.d/nobody: lost names nobody, which does not exist",
        "torn/type: is \"rubbish\"",
        "typed: restart: its definition has changed\n    type has changed",
        "timed: nothing: what has changed holds from then on, without a restart\n    timeout-up has changed",
        "once: nothing: what has changed holds from then on, without a restart\n    up has changed",
        "mile: nothing: what has changed holds from then on, without a restart\n    dependencies.d has changed",
        "group: nothing: what has changed holds from then on, without a restart\n    contents.d has changed",
    ] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    for is_refused in [false, false, true] {
        if is_refused {
            // What is wrong is told, and changes nothing; the rest is taken back.
            before.iter().for_each(|(file, text)| put_back(&tree, file, text.as_deref()));
            tree.service("ring").file("dependencies.d/top", "");
            tree.service("torn").file("type", "rubbish");
            let said = tree.say(&["apply"]);
            assert!(said.err.contains("wait for each other") || said.out.contains("wait for each other"), "{said:?}");
        }
        tree.kill_scan();
        tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "user"]);
        assert_eq!(names.map(|name| tree.await_up(name)), pids, "{}", tree.log());
        assert_eq!(tree.trace(), trace, "nothing was started or stopped");
        let edited: &[&str] =
            if is_refused { &["ring", "torn"] } else { &["tied", "ring", "lost", "torn", "typed", "timed"] };
        for name in names {
            assert_eq!(tree.status(name).expect(name).changed, edited.contains(&name), "{name}; log:\n{}", tree.log());
        }
        if !is_refused {
            assert_eq!(tree.say(&["plan"]).out, plan, "{}", tree.log());
        }
        // They are in the order as they were.
        for needed in ["ring", "torn"] {
            let said = tree.say(&["stop", needed]);
            assert!(said.code == 1 && said.err.contains("needed by top"), "{said:?}");
        }
    }
    before.iter().for_each(|(file, text)| put_back(&tree, file, text.as_deref()));
    assert_eq!(tree.ctl_ok(&["apply"]).trim(), "nothing has changed");
    // And can be applied, once.
    edit(&tree, false);
    tree.kill_scan();
    tree.ctl_ok(&["apply"]);
    assert_eq!(names[..6].iter().map(|name| tree.await_up(name)).collect::<Vec<i32>>(), pids[..6]);
    assert!(tree.trace().contains(&"+typed again".to_owned()), "{:?}", tree.trace());
    let said = tree.say(&["stop", "free"]);
    assert!(said.code == 1 && said.err.contains("needed by") && said.err.contains("tied"), "{said:?}");
    tree.kill_scan();
    assert_eq!(tree.ctl_ok(&["plan"]).trim(), "nothing has changed");
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-tied", "-free");
}

/// Edits one file of each source, also in ways that cannot be used, and says what was there before.
fn edit(tree: &Tree, also_wrong: bool) -> Vec<(String, Option<String>)> {
    let again = format!("#!/bin/sh\necho '+typed again' >>{}\n", tree.path("trace").display());
    let good = [
        ("tied/dependencies.d/free", ""),
        ("timed/timeout-up", "70000"),
        ("typed/up", &*again),
        ("typed/type", "oneshot"),
        ("once/up", &again),
        ("mile/dependencies.d/free", ""),
        ("group/contents.d/free", ""),
    ];
    let wrong = [("ring/dependencies.d/top", ""), ("lost/dependencies.d/nobody", ""), ("torn/type", "rubbish")];
    let wrong = if also_wrong { &wrong[..] } else { &[] };
    let put = |(file, text): &(&str, &str)| {
        let path = tree.services().join(file);
        let before = std::fs::read_to_string(&path).ok();
        std::fs::write(path, text).expect("ours");
        ((*file).to_owned(), before)
    };
    good.iter().chain(wrong).map(put).collect()
}

fn put_back(tree: &Tree, file: &str, text: Option<&str>) {
    let path = tree.services().join(file);
    match text {
        Some(text) => std::fs::write(path, text).expect("ours"),
        None => std::fs::remove_file(path).unwrap_or_default(),
    }
}
