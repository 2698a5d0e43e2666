//! lock-fd: no second instance while anything of the first has the descriptor open (promise 22).

use svc_testkit::{State, Tree, is_alive, kill, until};

use crate::support::tree_with;

/// The main process hands its descriptors to a child that outlives it: keep-descendants lets it.
const BODY: &str = "echo start >> seen; [ -e left ] || { setsid sleep 1000 & echo $! > left; }; exec sleep 1000";

/// A service whose descriptor `fd` is a lock, and the child that will outlive it.
fn locked(fd: u32) -> (Tree, i32) {
    let tree = tree_with("web", |service| {
        service.file("lock-fd", &fd.to_string()).file("keep-descendants", "").run(BODY);
    });
    let orphan = tree.await_lines("web/left", 1)[0].parse().expect("a pid");
    // Whoever waits for it names it by what it is then.
    until("its exec", || (crate::support::status_field(orphan, "Name") == "sleep").then_some(()));
    (tree, orphan)
}

/// The next instance is there, says that it waits, and does not run; it does when the orphan has ended.
#[track_caller]
fn assert_waits_for(tree: &Tree, orphan: i32) {
    until("the message", || tree.log().contains("another instance holds the lock").then_some(()));
    assert!(is_alive(orphan));
    let line = tree.log().lines().find(|line| line.contains("another instance")).unwrap_or_default().to_owned();
    assert!(line.starts_with("svc exec: web: ") && line.contains(&format!("pid {orphan} (sleep)")), "{line}");
    assert!(line.contains(&format!("{} (lock-fd ", tree.services().join("web").display())), "{line}");
    assert_eq!(tree.lines("web/seen").len(), 1, "run has not been executed again");
    kill(orphan, "KILL");
    tree.await_lines("web/seen", 2);
}

// 22
#[test]
fn promise_22_a_second_start_waits_for_the_orphan_of_the_first() {
    // 3 is the first free one, which is the only one that works in s6.
    for fd in [3, 50] {
        let (tree, orphan) = locked(fd);
        kill(tree.await_up("web"), "KILL");
        assert_waits_for(&tree, orphan);
    }
}

// 22
#[test]
fn promise_22_a_killed_supervisor_makes_no_second_instance() {
    let (tree, orphan) = locked(3);
    let pid = tree.await_up("web");
    tree.kill_supervisor("web");
    let status = tree.await_status("web", "up", |status| status.state == State::Up);
    assert_eq!(status.pid, Some(pid), "it goes on with the one that runs");
    assert_eq!(tree.lines("web/seen").len(), 1);
    // Both at once: whoever comes next finds the lock taken.
    kill(tree.supervisor("web").expect("it has one"), "STOP");
    kill(pid, "KILL");
    kill(tree.supervisor("web").expect("it has one"), "KILL");
    assert_waits_for(&tree, orphan);
}

// 22
#[test]
fn the_lock_holds_against_another_svc_whose_predecessor_was_killed() {
    let (mut tree, orphan) = locked(3);
    let pid = tree.await_up("web");
    // Nobody is left but the service itself and its child: svc-init is stopped first, so that it makes no successors.
    let daemons = tree.daemons();
    tree.signal("STOP");
    for process in daemons {
        kill(process.pid, "KILL");
    }
    tree.signal("KILL");
    tree.wait();
    assert!(is_alive(pid) && is_alive(orphan));
    tree.start();
    until("the message", || tree.log().contains("another instance holds the lock").then_some(()));
    assert_eq!(tree.lines("web/seen").len(), 1);
    kill(pid, "KILL");
    assert_waits_for(&tree, orphan);
}

#[test]
fn an_instance_that_waits_for_the_lock_can_be_stopped() {
    let (tree, orphan) = locked(3);
    kill(tree.await_up("web"), "KILL");
    until("the message", || tree.log().contains("another instance holds the lock").then_some(()));
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    assert!(is_alive(orphan));
    kill(orphan, "KILL");
}

/// Its process is there, and that is not the service.
#[test]
fn one_that_waits_for_its_lock_is_not_up() {
    let (tree, orphan) = locked(3);
    kill(tree.await_up("web"), "KILL");
    until("the message", || tree.log().contains("another instance holds the lock").then_some(()));
    let status = tree.await_status("web", "waiting", |status| status.state == State::Starting);
    assert!(status.reason.as_ref().is_some_and(|reason| reason.contains("lock-fd")), "{status:?}");
    let said = tree.say(&["wait", "--up", "--timeout", "100ms", "web"]);
    assert_eq!((said.code, said.err.contains("still starting")), (99, true), "{said:?}");
    kill(orphan, "KILL");
    tree.await_up("web");
    tree.await_lines("web/seen", 2);
}

#[test]
fn readiness_and_lock_go_together() {
    let tree = tree_with("web", |service| {
        service.file("lock-fd", "4").file("notification-fd", "5").run("echo $1 >> seen; echo >&5; exec sleep 1000");
    });
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.lines("web/seen"), ["web"], "run has its argument");
    tree.ctl_ok(&["restart", "--timeout", "120", "web"]);
    tree.await_status("web", "ready", |status| status.ready == Some(true) && status.restarts == 1);
}

/// Whatever number svc itself has something open under, the service may have it.
#[test]
fn every_number_can_be_that_of_the_lock() {
    let mut tree = Tree::new();
    for number in 3..40 {
        let service = tree.service(&format!("lock{number}"));
        service.file("lock-fd", &number.to_string()).file("notification-fd", &(number + 1).to_string());
        service.run("exec sleep 1000");
    }
    tree.start();
    for number in 3..40 {
        let name = format!("lock{number}");
        let pid = tree.await_up(&name);
        let lock = || std::fs::read_link(format!("/proc/{pid}/fd/{number}")).ok();
        until(&name, || (lock()? == tree.services().join(&name)).then_some(()));
    }
}
