//! Directories that come and go.

use std::fs;

use svc_testkit::{EventKind, State, Tree, fifo, kill, wait_gone};

use super::{COUNTING, assert_silent};

/// Asserts that a service that runs stops when `take` has taken it away.
#[track_caller]
fn assert_gone(tree: &Tree, name: &str, take: impl Fn(&Tree, &str)) {
    tree.draft(name).run("exec sleep 1000");
    tree.place(name);
    let pid = tree.await_up(name);
    take(tree, name);
    wait_gone(pid);
}

#[test]
fn a_new_directory_is_started() {
    let mut tree = Tree::new();
    tree.start();
    tree.service("web").run("exec sleep 1000");
    tree.expect("web", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    assert_silent(&tree);
}

#[test]
fn a_directory_that_is_moved_in_is_started_at_once() {
    let mut tree = Tree::new();
    tree.start();
    tree.draft("web").run("exec sleep 1000");
    tree.place("web");
    tree.expect("web", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    // The dot hides a directory until it is complete.
    tree.service(".mail").run("exec sleep 1000");
    fs::rename(tree.services().join(".mail"), tree.services().join("mail")).expect("ours");
    tree.expect("mail", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    assert_silent(&tree);
}

#[test]
fn a_removed_directory_is_stopped() {
    let mut tree = Tree::new();
    tree.start();
    let path = |tree: &Tree, name: &str| tree.services().join(name);
    assert_gone(&tree, "web", |tree, name| fs::remove_dir_all(path(tree, name)).expect("ours"));
    assert_gone(&tree, "db", |tree, name| fs::rename(path(tree, name), tree.path(name)).expect("ours"));
    let hide = |tree: &Tree, name: &str| fs::rename(path(tree, name), path(tree, &format!(".{name}"))).expect("ours");
    assert_gone(&tree, "mail", hide);
    svc_testkit::until("all to be forgotten", || tree.list().ok()?.services.is_empty().then_some(()));
    assert_eq!(tree.say(&["status", "web"]).code, 102);
    assert_silent(&tree);
}

/// What its files said is gone with them, and counts all the same.
#[test]
fn a_removed_directory_is_stopped_as_it_had_it() {
    let mut tree = Tree::new();
    let seen = tree.path("seen").display().to_string();
    let run =
        format!("for s in USR1 TERM; do trap \"echo $s >{seen}; exit\" $s; done; echo >&3; while :; do sleep 0.01; done");
    tree.service("web").run(&run).file("notification-fd", "3").file("down-signal", "USR1");
    tree.start();
    let pid = tree.await_up("web");
    tree.ctl_ok(&["wait", "--ready", "web"]);
    fs::remove_dir_all(tree.services().join("web")).expect("ours");
    wait_gone(pid);
    assert_eq!(fs::read_to_string(&seen).unwrap_or_default(), "USR1\n");
}

#[test]
fn a_removed_service_runs_its_finish_and_is_waited_for() {
    let mut tree = Tree::new();
    let [seen, gate] = ["seen", "gate"].map(|name| tree.path(name).display().to_string());
    tree.service("web").run("exec sleep 1000").finish(&format!("read word <{gate}; echo $1 $2 $word >>{seen}"));
    tree.service("web").file("timeout-finish", "0");
    fifo(&gate);
    tree.start();
    tree.await_up("web");
    fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
    tree.await_status("web", "its finish", |status| status.state == State::Finishing);
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Finishing), "it is waited for");
    fs::write(&gate, "go\n").expect("ours");
    svc_testkit::until("it to be forgotten", || tree.list().ok()?.services.is_empty().then_some(()));
    assert_eq!(fs::read_to_string(&seen).unwrap_or_default(), "256 15 go\n");
}

#[test]
fn what_was_removed_and_comes_back_runs_again() {
    let mut tree = Tree::new();
    tree.service("web").run(COUNTING);
    tree.start();
    let pid = tree.await_up("web");
    for round in 0..3 {
        fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
        if round == 1 {
            wait_gone(pid);
        }
        fs::rename(tree.path("web"), tree.services().join("web")).expect("ours");
    }
    tree.ctl_ok(&["rescan"]);
    tree.await_up("web");
    assert_eq!(tree.list().expect("an answer").services.len(), 1);
}

#[test]
fn changes_while_svc_scan_is_dead_are_found_later() {
    let mut tree = Tree::new();
    for name in ["stays", "goes", "old"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    let [stays, goes, old] = ["stays", "goes", "old"].map(|name| tree.await_up(name));
    let scan = tree.process("svc-scan");
    kill(scan, "STOP");
    fs::remove_dir_all(tree.services().join("goes")).expect("ours");
    fs::rename(tree.services().join("old"), tree.services().join("new")).expect("ours");
    tree.service("comes").run("exec sleep 1000");
    kill(scan, "KILL");
    wait_gone(goes);
    tree.await_up("comes");
    assert_eq!(tree.await_up("stays"), stays);
    assert_eq!(tree.await_up("new"), old, "a rename does not restart");
    svc_testkit::until("the removed one to be forgotten", || tree.status("goes").is_none().then_some(()));
    assert!(tree.status("old").is_none());
}

#[test]
fn a_service_with_a_down_file_waits_for_start() {
    let mut tree = Tree::new();
    tree.start();
    tree.draft("web").run("exec sleep 1000").file("down", "");
    tree.place("web");
    tree.expect("web", &[EventKind::Added]);
    tree.await_status("web", "down", |status| status.state == State::Down && !status.wanted_up);
    tree.ctl_ok(&["start", "web"]);
    tree.await_up("web");
}
