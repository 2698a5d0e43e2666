//! Definitions that have just come or gone: a plan says so, apply and rescan return when that is done.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use svc_testkit::{State, Tree, is_alive, program, spawn, wait_idle};

const SLEEP: &str = "command = 'sleep 1000'";
/// Stops when it may, which is when there is a file `go`, and writes down when it has.
fn slow(tree: &Tree) -> String {
    let [begun, seen, go] = ["begun", "seen", "go"].map(|name| tree.path(name).display().to_string());
    let end = format!("until test -e {go}; do sleep 0.01; done; echo end >>{seen}; exit 0");
    format!("trap '{end}' TERM; echo up >>{begun}; while :; do sleep 0.05; done")
}

fn slow_to_stop(tree: &Tree) -> String {
    format!("command = ['sh', '-c', \"{}\"]", slow(tree))
}

/// Is ready when it may be.
fn slow_to_start(flag: &str) -> String {
    let wait = format!("until [ -e {flag}.go ]; do sleep 0.05; done");
    format!("command = ['sh', '-c', '{wait}; touch {flag}; exec sleep 1000']\nready.file = '{flag}'")
}

/// What `apply` says that has something to wait for, until this file lets that go on.
#[track_caller]
fn apply_until(tree: &Tree, go: &Path) -> String {
    let mut ctl = Command::new(program());
    ctl.args(["svc-ctl", "apply", "--timeout", "120"]).env("SVC_RUN_DIR", tree.run_dir()).stdout(Stdio::piped());
    let apply = spawn(&mut ctl).expect("svc-ctl runs");
    wait_idle(apply.id() as i32, Duration::from_millis(200));
    fs::write(go, "").expect("ours");
    let said = apply.wait_with_output().expect("ours");
    let out = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{out}\n{}", tree.log());
    out
}

#[test]
fn apply_right_after_a_removal_says_so_and_waits_until_it_is_gone() {
    let mut tree = Tree::new();
    let [begun, seen] = ["begun", "seen"].map(|name| tree.path(name).display().to_string());
    tree.toml("stays", SLEEP);
    tree.one_file("file", &slow_to_stop(&tree));
    tree.toml("dir", &slow_to_stop(&tree));
    tree.draft("old").run(&slow(&tree));
    tree.place("old");
    tree.start();
    let stays = tree.await_up("stays");
    tree.await_lines(&begun, 3);
    let file = tree.await_up("file");
    let (services, go) = (tree.services(), tree.path("go"));
    fs::remove_file(services.join("file.toml")).expect("ours");
    let said = apply_until(&tree, &go);
    assert!(said.contains("file: stop: its definition is gone\n") && said.contains("\nfile: gone"), "{said}");
    assert!(tree.status("file").is_none() && !is_alive(file));
    fs::remove_file(&go).expect("ours");
    for name in ["dir", "old"] {
        fs::remove_dir_all(services.join(name)).expect("ours");
    }
    let plan = tree.ctl_ok(&["plan"]);
    for name in ["dir", "old"] {
        assert!(plan.contains(&format!("{name}: stop: its definition is gone\n")), "{plan}");
    }
    let said = apply_until(&tree, &go);
    assert!(said.contains("dir: gone") && said.contains("old: gone"), "{said}");
    assert_eq!(tree.lines(&seen), ["end"; 3]);
    assert!(tree.status("dir").is_none() && tree.status("old").is_none());
    assert_eq!(tree.ctl_ok(&["apply"]), "nothing has changed\n");
    assert_eq!(tree.await_up("stays"), stays);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn apply_right_after_a_definition_came_says_so_and_waits_until_it_is_up() {
    let mut tree = Tree::new();
    tree.toml("first", SLEEP);
    tree.start();
    tree.await_up("first");
    for name in ["new", "one", "old"] {
        let flag = tree.path(name).display().to_string();
        match name {
            "one" => tree.one_file(name, &slow_to_start(&flag)),
            "new" => _ = tree.toml(name, &slow_to_start(&flag)),
            _ => {
                let run = format!("until [ -e {flag}.go ]; do sleep 0.05; done; echo >&3; exec sleep 1000");
                tree.draft(name).run(&run).file("notification-fd", "3");
                tree.place(name);
            }
        }
        let said = apply_until(&tree, &tree.path(&format!("{name}.go")));
        let lines = [format!("{name}: start: it is new\n"), format!("{name}: up (pid ")];
        assert!(lines.iter().all(|line| said.contains(line)), "{said}");
        assert_eq!(tree.status(name).and_then(|status| status.ready), Some(true), "{name}");
    }
    tree.toml("never", &format!("{SLEEP}\nready.file = '/no/such/file'"));
    let said = tree.say(&["apply", "--timeout", "100ms"]);
    assert!(said.code == 99 && said.out.contains("never: start: it is new"), "{said:?}");
    assert!(said.err.contains("never: still "), "{said:?}");
    // Whoever has heard of it once does not wait for it once more.
    assert_eq!(tree.ctl_ok(&["apply"]), "nothing has changed\n");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_wrong_with_a_new_definition_is_told_by_plan_and_apply() {
    let mut tree = Tree::new();
    tree.toml("first", SLEEP);
    tree.start();
    tree.await_up("first");
    tree.one_file("typo", "comand = 'x'");
    tree.one_file("lost", "command = 'sleep 1000'\nneeds = ['nobody']");
    tree.one_file("good", SLEEP);
    // Once while it is new, and then for as long as it is so.
    for _ in 0..2 {
        let plan = tree.ctl_ok(&["plan"]);
        let said = tree.say(&["apply"]);
        assert_eq!(said.code, 1, "{said:?}");
        for line in
            ["typo: nothing: ", "did you mean command?", "lost: nothing: ", "lost names nobody, which does not exist"]
        {
            assert!(plan.contains(line) && said.out.contains(line), "{line}: {plan}\n{said:?}");
        }
    }
    assert!(tree.status("good").is_some_and(|status| status.state == State::Up));
    // What needs one that goes is told with the reason.
    tree.one_file("lost", "command = 'sleep 1000'\nneeds = ['good']");
    fs::remove_file(tree.services().join("typo.toml")).expect("ours");
    assert!(tree.ctl_ok(&["apply"]).contains("lost: up (pid "));
    fs::remove_file(tree.services().join("good.toml")).expect("ours");
    let said = tree.say(&["apply"]);
    assert!(said.code == 1 && said.out.contains("good: stop: its definition is gone"), "{said:?}");
    assert!(
        ["lost: stop: ", "lost names good, which does not exist"].iter().all(|part| said.out.contains(part)),
        "{said:?}"
    );
    assert!(tree.status("lost").is_some_and(|status| status.pid.is_none()), "{:?}", tree.status("lost"));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_the_watch_has_begun_is_waited_for_by_apply() {
    let mut tree = Tree::new();
    let [begun, seen] = ["begun", "seen"].map(|name| tree.path(name).display().to_string());
    let flag = tree.path("ready").display().to_string();
    tree.toml("gone", &slow_to_stop(&tree));
    tree.toml("edited", SLEEP);
    tree.start();
    tree.await_up("edited");
    tree.await_lines(&begun, 1);
    fs::remove_dir_all(tree.services().join("gone")).expect("ours");
    tree.toml("new", &format!("command = ['sh', '-c', 'until [ -e {flag}.go ]; do sleep 0.05; done; touch {flag}; exec sleep 1000']\nready.file = '{flag}'"));
    tree.toml("bad", "command = '/no/such/program'");
    tree.await_status("new", "up", |status| status.pid.is_some());
    tree.await_status("bad", "a problem", |status| status.problem.is_some());
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.contains("new: start: it is new\n") && plan.contains("bad: start: it is new\n"), "{plan}");
    // What apply itself does lets the new one go on, and the other one end: neither comes to that before.
    let go = tree.path("go").display().to_string();
    let edit = format!("command = ['sh', '-c', 'touch {flag}.go {go}; exec sleep 1000']");
    fs::write(tree.services().join("edited/service.toml"), edit).expect("ours");
    let said = tree.say(&["apply", "--timeout", "120"]);
    assert!(said.code == 1 && said.out.contains("new: up (pid "), "{said:?}");
    assert!(said.err.contains("bad: could not be started: "), "{said:?}");
    assert_eq!(tree.lines(&seen), ["end"]);
    assert!(tree.status("gone").is_none());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_was_taken_out_and_put_back_at_once_starts_again() {
    let mut tree = Tree::new();
    let put = |tree: &Tree| {
        tree.toml("unit", SLEEP);
        tree.draft("old").run("exec sleep 1000");
        tree.place("old");
    };
    put(&tree);
    tree.start();
    let before = ["unit", "old"].map(|name| tree.await_up(name));
    // Under another name first, so that the new directory is another one.
    for name in ["unit", "old"] {
        fs::rename(tree.services().join(name), tree.path(&format!("{name}.was"))).expect("ours");
    }
    put(&tree);
    tree.ctl_ok(&["apply", "--timeout", "120"]);
    for (name, before) in ["unit", "old"].into_iter().zip(before) {
        let status = tree.status(name).expect("it is there");
        assert!(status.state == State::Up && status.pid.is_some_and(|pid| pid != before), "{before} {status:?}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_rescan_returns_when_what_it_found_is_taken_in() {
    let mut tree = Tree::new();
    tree.toml("first", SLEEP);
    tree.start();
    tree.await_up("first");
    // More than are read in one go.
    let names: Vec<String> = (0..100).map(|number| format!("new{number}")).collect();
    names.iter().for_each(|name| tree.one_file(name, "kind = 'milestone'"));
    tree.one_file("typo", "comand = 'x'");
    tree.one_file("lost", "command = 'sleep 1000'\nneeds = ['nobody']");
    fs::remove_dir_all(tree.services().join("first")).expect("ours");
    tree.ctl_ok(&["rescan"]);
    let known = tree.list().expect("it answers").services;
    let known = |name: &str| known.iter().find(|status| status.name == name);
    for name in &names {
        assert_eq!(known(name).map(|status| status.state), Some(State::Up), "{name}");
    }
    for name in ["typo", "lost"] {
        assert!(known(name).is_some_and(|status| status.problem.is_some()), "{name}");
    }
    assert_ne!(known("first").map(|status| status.state), Some(State::Up));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_file_that_becomes_a_directory_and_back_is_waited_for_by_apply() {
    let mut tree = Tree::new();
    // It does not go before somebody waits for that.
    let go = tree.path("go");
    let trap = format!("trap 'until test -e {}; do sleep 0.01; done; exit 0' TERM", go.display());
    let held = format!("command = ['sh', '-c', \"{trap}; echo >&3; while :; do sleep 0.05; done\"]\nready.fd = 3");
    tree.one_file("c", &held);
    tree.one_file("web", &format!("{SLEEP}\nneeds = ['c']"));
    tree.start();
    tree.await_up("web");
    let mut pid = tree.await_up("c");
    let file = tree.services().join("c.toml");
    for to_directory in [true, false, true, false] {
        if to_directory {
            fs::remove_file(&file).expect("ours");
            tree.toml("c", &held);
        } else {
            fs::remove_dir_all(tree.services().join("c")).expect("ours");
            tree.one_file("c", &held);
        }
        let said = apply_until(&tree, &go);
        fs::remove_file(&go).expect("ours");
        let is_told = said.contains("c: restart: ") || said.contains("c: start: ");
        assert!(is_told && said.contains("\nc: up (pid "), "{said}\n{}", tree.log());
        let status = tree.status("c").expect("it is there");
        assert!(status.state == State::Up && status.pid != Some(pid), "{pid} {status:?}");
        pid = status.pid.unwrap_or(pid);
    }
    fs::write(&go, "").expect("ours");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_stops_while_another_form_of_it_comes_is_told_to_start_by_the_plan() {
    let mut tree = Tree::new();
    let seen = tree.path("end").display().to_string();
    let begun = tree.path("begun").display().to_string();
    let held =
        format!("trap 'until [ -e {seen} ]; do sleep 0.05; done; exit 0' TERM; echo >{begun}; while :; do sleep 0.05; done");
    tree.toml("c", &format!("command = ['sh', '-c', \"{held}\"]"));
    tree.start();
    tree.await_lines(&begun, 1);
    fs::remove_dir_all(tree.services().join("c")).expect("ours");
    tree.await_status("c", "a stop", |status| status.state == State::Stopping);
    tree.one_file("c", SLEEP);
    let plan = tree.ctl_ok(&["plan"]);
    fs::write(&seen, "").expect("ours");
    assert!(plan.contains("c: start: ") && !plan.contains("another service of this name"), "{plan}");
    assert!(tree.ctl_ok(&["apply", "--timeout", "120"]).contains("c: up (pid "));
    assert_eq!(tree.stop(), 0);
}
