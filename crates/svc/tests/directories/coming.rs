//! Directories that come and go.

use std::fs;
use std::time::{Duration, Instant};

use svc_testkit::{EventKind, State, Tree, kill, wait_gone};

use super::{COUNTING, assert_silent, assert_soon};

/// 100 ms on a machine of its own; here others compile beside us.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn a_new_directory_is_started_within_100_ms() {
    let mut tree = Tree::new();
    tree.start();
    for number in 0..5 {
        let name = format!("web{number}");
        let begin = Instant::now();
        tree.service(&name).run("exec sleep 1000");
        tree.expect(&name, &[EventKind::Added, EventKind::Starting, EventKind::Up]);
        assert_soon("a new directory is up after", begin, SOON);
    }
    assert_silent(&tree);
}

#[test]
fn a_directory_that_is_moved_in_is_started_at_once() {
    let mut tree = Tree::new();
    tree.start();
    for name in ["web", "db"] {
        tree.draft(name).run("exec sleep 1000");
        let begin = Instant::now();
        tree.place(name);
        tree.expect(name, &[EventKind::Added, EventKind::Starting, EventKind::Up]);
        assert_soon("a directory moved in is up after", begin, SOON);
    }
    // The dot hides a directory until it is complete.
    tree.service(".mail").run("exec sleep 1000");
    let begin = Instant::now();
    fs::rename(tree.services().join(".mail"), tree.services().join("mail")).expect("ours");
    tree.expect("mail", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    assert_soon("a directory without its dot is up after", begin, SOON);
    assert_silent(&tree);
}

#[test]
fn a_removed_directory_is_stopped() {
    let mut tree = Tree::new();
    for name in ["web", "db", "mail"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    let pids = ["web", "db", "mail"].map(|name| tree.await_up(name));
    let begin = Instant::now();
    fs::remove_dir_all(tree.services().join("web")).expect("ours");
    while tree.events().next_of("web").event != EventKind::Stopping {}
    assert_soon("a removed service is told to stop after", begin, SOON);
    wait_gone(pids[0]);
    let begin = Instant::now();
    fs::rename(tree.services().join("db"), tree.path("db")).expect("ours");
    wait_gone(pids[1]);
    assert_soon("a service moved away has stopped after", begin, SOON);
    fs::rename(tree.services().join("mail"), tree.services().join(".mail")).expect("ours");
    wait_gone(pids[2]);
    svc_testkit::until("all to be forgotten", || tree.list().ok()?.services.is_empty().then_some(()));
    assert_eq!(tree.say(&["status", "web"]).code, 102);
    assert_silent(&tree);
}

#[test]
fn a_removed_service_runs_its_finish_and_is_waited_for() {
    let mut tree = Tree::new();
    let seen = tree.path("seen").display().to_string();
    tree.service("web").run("exec sleep 1000").finish(&format!("sleep 0.3; echo $1 $2 >>{seen}"));
    tree.start();
    tree.await_up("web");
    fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
    let said = tree.say(&["wait", "--finished", "web"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fs::read_to_string(&seen).unwrap_or_default(), "256 15\n");
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
