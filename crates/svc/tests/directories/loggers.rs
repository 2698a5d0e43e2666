//! `foo` and `foo/log`: they come and go together.

use std::fs;

use svc_testkit::{EventKind, Tree, descendants, is_alive, until, wait_gone};

use super::{assert_silent, assert_stays};

#[test]
fn a_pair_comes_and_goes_together_and_no_line_is_lost() {
    let mut tree = Tree::new();
    let lines = tree.path("lines").display().to_string();
    tree.start();
    tree.draft("web").run("trap 'echo last; exit 0' TERM; echo first; while :; do sleep 1000 & wait $!; kill $!; done");
    tree.draft("web/log").run(&format!("exec cat >>{lines}"));
    tree.place("web");
    tree.expect("web", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    tree.expect("web/log", &[EventKind::Added, EventKind::Starting, EventKind::Up]);
    until("the first line", || fs::read_to_string(&lines).ok()?.contains("first").then_some(()));
    let (web, log) = (tree.await_up("web"), tree.await_up("web/log"));
    // Made and not yet executed, it has the shell's handler of TERM: svc's would be lost, and it had to be killed, which is told.
    until("its sleep", || descendants(web).iter().any(|process| process.title() == "sleep 1000").then_some(()));
    fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
    wait_gone(log);
    assert_eq!(fs::read_to_string(&lines).unwrap_or_default(), "first\nlast\n");
    until("both to be forgotten", || tree.list().ok()?.services.is_empty().then_some(()));
    assert_silent(&tree);
}

#[test]
fn a_logger_that_comes_later_is_told_and_counts_when_the_service_is_added_again() {
    let mut tree = Tree::new();
    tree.service("web").run("echo hello; exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    tree.service("web/log").run("exec cat >>lines");
    assert_stays(&tree, "web", pid);
    let problem = tree.status("web").and_then(|status| status.problem).expect("a warning");
    assert!(problem.contains("web/log: came later than the service") && problem.contains("mv "), "{problem}");
    assert!(tree.log().contains("came later"), "{}", tree.log());
    assert!(tree.status("web/log").is_none());
    // The cure that the message names.
    fs::rename(tree.services().join("web"), tree.services().join(".web")).expect("ours");
    wait_gone(pid);
    fs::rename(tree.services().join(".web"), tree.services().join("web")).expect("ours");
    tree.await_up("web/log");
    tree.await_lines("web/log/lines", 1);
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
}

#[test]
fn why_finds_a_logger_that_came_later_without_a_rescan() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    tree.service("web/log").run("exec cat >/dev/null");
    let why = tree.ctl_ok(&["why", "web"]);
    assert!(why.contains("came later than the service"), "{why}");
}

#[test]
fn a_logger_whose_directory_is_gone_goes_on_reading() {
    let mut tree = Tree::new();
    tree.service("web").run("while :; do echo line; sleep 0.05; done");
    tree.service("web/log").run("exec cat >/dev/null");
    tree.start();
    let [web, log] = ["web", "web/log"].map(|name| tree.await_up(name));
    fs::remove_dir_all(tree.services().join("web/log")).expect("ours");
    assert_stays(&tree, "web", web);
    assert!(is_alive(log));
    let problem = tree.status("web").and_then(|status| status.problem).expect("a warning");
    assert!(problem.contains("web/log: is gone, and the logger that was started from it goes on"), "{problem}");
    fs::remove_dir_all(tree.services().join("web")).expect("ours");
    wait_gone(web);
    wait_gone(log);
}

#[test]
fn a_broken_logger_keeps_its_service_waiting_with_a_reason() {
    let mut tree = Tree::new();
    tree.draft("web").run("exec sleep 1000");
    tree.draft("web/log").file("run", "#!/bin/sh\nexec cat >/dev/null\n");
    tree.start();
    let web = tree.place("web");
    let status = tree.await_status("web", "a problem", |status| status.problem.is_some());
    let problem = status.problem.expect("a reason");
    assert!(problem.contains("web/log/run: is not executable"), "{problem}");
    std::os::unix::fs::chown(web.path(), None, None).expect("ours");
    fs::set_permissions(web.path().join("log/run"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    tree.await_up("web");
    tree.await_up("web/log");
}
