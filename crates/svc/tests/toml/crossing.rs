//! What an order says that a later one contradicts before it is over, where definitions change or several are concerned.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use svc_testkit::{State, Tree, wait_idle};

const SLEEP: &str = "command = 'sleep 1000'\n";
const CONTRADICTED: &str = "somebody asked for something else meanwhile";

/// A service that stops when it may, and is ready when it can be told to.
fn slow(tree: &Tree) -> String {
    let go = tree.path("go").display().to_string();
    let trap = format!("trap 'until test -e {go}; do sleep 0.01; done; exit 0' TERM");
    format!("command = ['sh', '-c', \"{trap}; echo >&3; while :; do sleep 0.05; done\"]\nready.fd = 3\n")
}

fn await_ready(tree: &Tree, name: &str) {
    tree.await_status(name, "ready", |status| status.ready == Some(true));
}

fn let_stop(tree: &Tree) {
    std::fs::write(tree.path("go"), "").expect("ours");
}

/// An order that is under way.
fn ask(tree: &Tree, words: &[&str]) -> Child {
    let mut ctl = Command::new(svc_testkit::program());
    ctl.arg("svc-ctl").args(words).args(["--timeout", "120"]).env("SVC_RUN_DIR", tree.run_dir());
    svc_testkit::spawn(ctl.stdout(Stdio::piped()).stderr(Stdio::piped())).expect("svc-ctl runs")
}

/// The same, when svc has heard it and it waits.
fn ask_and_wait(tree: &Tree, words: &[&str]) -> Child {
    let order = ask(tree, words);
    wait_idle(order.id() as i32, Duration::from_millis(200));
    order
}

/// Its exit code, and all that it says.
fn end(order: Child) -> (Option<i32>, String) {
    let said = order.wait_with_output().expect("ours");
    (said.status.code(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
}

#[track_caller]
fn assert_contradicted(order: Child, names: &[&str]) {
    let (code, said) = end(order);
    assert_eq!(code, Some(1), "{said}");
    for name in names {
        assert!(said.contains(&format!("svc-ctl: {name}: {CONTRADICTED}")), "{said}");
    }
}

#[test]
fn an_apply_whose_start_somebody_stops_is_over() {
    let mut tree = Tree::new();
    tree.start();
    tree.one_file("web", &format!("ready.fd = 3\n{SLEEP}"));
    tree.draft("classic").run("exec sleep 1000").file("notification-fd", "3\n");
    tree.place("classic");
    let apply = ask(&tree, &["apply"]);
    ["web", "classic"].iter().for_each(|name| _ = tree.await_running(name));
    wait_idle(apply.id() as i32, Duration::from_millis(200));
    tree.ctl_ok(&["stop", "web", "classic"]);
    assert_contradicted(apply, &["web", "classic"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_apply_whose_service_is_put_back_before_it_has_stopped_is_over() {
    let mut tree = Tree::new();
    let text = slow(&tree);
    tree.one_file("web", &text);
    tree.start();
    await_ready(&tree, "web");
    std::fs::remove_file(tree.services().join("web.toml")).expect("there");
    let apply = ask(&tree, &["apply"]);
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    tree.one_file("web", &text);
    let again = ask_and_wait(&tree, &["apply"]);
    assert_contradicted(apply, &["web"]);
    let_stop(&tree);
    let (code, said) = end(again);
    assert!(code == Some(0) && said.contains("web: up (pid "), "{said}");
    tree.ctl_ok(&["shutdown", "--force"]);
    assert_eq!(tree.wait(), 0);
}

/// Who has it let in again hears of the one that comes then, and not of the one that is still to stop.
#[test]
fn one_that_is_let_in_again_before_it_has_stopped_comes_when_it_has() {
    let mut tree = Tree::new();
    let gate = tree.path("gate");
    std::fs::write(&gate, "").expect("ours");
    tree.one_file("db", &format!("{SLEEP}condition.file = '{}'\ncondition.otherwise = 'fail'", gate.display()));
    tree.one_file("web", &format!("{}needs = ['db']", slow(&tree)));
    tree.start();
    let old = tree.await_up("db");
    await_ready(&tree, "web");
    std::fs::remove_file(&gate).expect("ours");
    let out = ask(&tree, &["apply"]);
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    std::fs::write(&gate, "").expect("ours");
    let again = ask_and_wait(&tree, &["apply"]);
    let_stop(&tree);
    let (code, said) = end(again);
    let new = tree.await_up("db");
    assert!(code == Some(0) && said.contains(&format!("db: up (pid {new})")) && new != old, "{said}");
    end(out);
    assert_eq!(tree.stop(), 0);
}

/// Of several that are stopped together one is gone, and asked for again, before the others are.
#[test]
fn one_that_is_asked_for_again_while_others_stop_is_not_told_as_stopped() {
    let mut tree = Tree::new();
    tree.one_file("db", SLEEP);
    tree.one_file("api", &format!("{}needs = ['db']", slow(&tree)));
    tree.one_file("web", &format!("{SLEEP}needs = ['db']"));
    tree.start();
    ["db", "web"].iter().for_each(|name| _ = tree.await_up(name));
    await_ready(&tree, "api");
    let stop = ask(&tree, &["stop", "--dependents", "db"]);
    tree.await_status("api", "stopping", |status| status.state == State::Stopping);
    tree.await_status("web", "down", |status| status.state == State::Down);
    tree.ctl_ok(&["start", "web"]);
    let_stop(&tree);
    let (code, said) = end(stop);
    assert!(code == Some(1) && said.contains("api: down (exit 0)") && !said.contains("up (pid"), "{said}");
    for name in ["db", "web"] {
        assert!(said.contains(&format!("{name}: {CONTRADICTED}")), "{said}");
    }
    assert_eq!(tree.stop(), 0);
}

/// A service that says that it is ready when it may.
fn late(tree: &Tree) -> String {
    let gate = tree.path("gate").display().to_string();
    format!("until test -e {gate}; do sleep 0.01; done; echo >&3; exec sleep 1000")
}

fn let_be_ready(tree: &Tree) {
    std::fs::write(tree.path("gate"), "").expect("ours");
}

/// It ends with 0, and looks as if it had done so by itself.
#[test]
fn one_that_is_stopped_while_others_of_its_order_are_waited_for_is_told_as_that() {
    let mut tree = Tree::new();
    let stops = "trap 'exit 0' TERM; echo >&3; while :; do sleep 0.05; done";
    tree.one_file("web", &format!("ready.fd = 3\ncommand = ['sh', '-c', \"{stops}\"]"));
    tree.one_file("late", &format!("ready.fd = 3\ncommand = ['sh', '-c', '{}']", late(&tree)));
    tree.service("classic").run(stops).file("notification-fd", "3\n");
    tree.service("old").run(&late(&tree)).file("notification-fd", "3\n");
    tree.start();
    for name in ["web", "classic"] {
        tree.await_status(name, "ready", |status| status.ready == Some(true));
    }
    let of_graph = ask_and_wait(&tree, &["start", "web", "late"]);
    let of_classic = ask_and_wait(&tree, &["start", "classic", "old"]);
    let said = tree.ctl_ok(&["stop", "web", "classic"]);
    assert!(said.contains("web: down (exit 0)") && said.contains("classic: down (exit 0)"), "{said}");
    let_be_ready(&tree);
    assert_contradicted(of_graph, &["web"]);
    assert_contradicted(of_classic, &["classic"]);
    assert_eq!(tree.stop(), 0);
}

/// Who asks for a start while something is left of an earlier run hears of the next one.
#[test]
fn a_start_that_is_asked_for_while_an_earlier_run_ends_is_of_the_next_run() {
    let mut tree = Tree::new();
    let (go, been) = (tree.path("go").display().to_string(), tree.path("been").display().to_string());
    let left = format!("trap '' TERM; (until test -e {go}; do sleep 0.01; done) & exit 1");
    let run = |name: &str| format!("if test -e {been}-{name}; then echo >&3; exec sleep 1000; fi; : >{been}-{name}; {left}");
    tree.one_file("web", &format!("ready.fd = 3\ntimeout.kill = '60s'\ncommand = ['sh', '-c', \"{}\"]", run("web")));
    tree.service("classic").run(&run("classic")).file("notification-fd", "3\n").file("timeout-kill", "60000\n");
    tree.start();
    for name in ["web", "classic"] {
        tree.await_status(name, "leaving something behind", |status| status.state == State::Draining);
    }
    let orders = ["web", "classic"].map(|name| ask_and_wait(&tree, &["start", name]));
    let_stop(&tree);
    for (order, name) in orders.into_iter().zip(["web", "classic"]) {
        let (code, said) = end(order);
        assert!(code == Some(0) && said.contains(&format!("{name}: up (pid ")), "{said}");
    }
    assert_eq!(tree.stop(), 0);
}

/// That it runs once was asked of the run that was under way, or of a start that somebody took back.
#[test]
fn what_is_started_for_others_after_a_single_run_comes_back() {
    let mut tree = Tree::new();
    let gate = tree.path("gate");
    tree.one_file("web", SLEEP);
    tree.one_file("db", &format!("{SLEEP}start = false\nwait-for = ['file:{}']", gate.display()));
    for name in ["web", "db"] {
        tree.one_file(&format!("needs-{name}"), &format!("{SLEEP}start = false\nneeds = ['{name}']"));
    }
    tree.start();
    let once = tree.await_up("web");
    tree.ctl_ok(&["once", "web"]);
    svc_testkit::kill(once, "KILL");
    tree.await_status("web", "down", |status| status.state == State::Down);
    let waits = ask_and_wait(&tree, &["once", "db"]);
    tree.ctl_ok(&["stop", "db"]);
    assert_contradicted(waits, &["db"]);
    let_be_ready(&tree);
    for name in ["web", "db"] {
        tree.ctl_ok(&["start", &format!("needs-{name}")]);
        let pid = tree.await_up(name);
        svc_testkit::kill(pid, "KILL");
        tree.await_status(name, "up again", |status| status.state == State::Up && status.pid != Some(pid));
    }
    assert_eq!(tree.stop(), 0);
}
