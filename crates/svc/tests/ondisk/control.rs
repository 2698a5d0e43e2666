//! The letters that are written into `supervise/control`.

use svc_proto::s6::Status;
use svc_testkit::{State, Tree, is_alive, until};

use crate::support::{Listener, await_status, await_supervisor, status, write_letters};

/// A service that writes down every signal that it gets, and stays.
const WITNESS: &str = "for s in ALRM ABRT QUIT HUP TERM INT USR1 USR2 WINCH; do trap \"echo $s >> seen\" $s; done
echo ready >> seen
while :; do sleep 1000 & wait $!; done";

fn witness(settings: impl FnOnce(&svc_testkit::ServiceDir)) -> (Tree, std::path::PathBuf) {
    let mut tree = Tree::new();
    settings(tree.service("web").run(WITNESS));
    tree.start();
    let dir = tree.services().join("web");
    tree.await_lines("web/seen", 1);
    await_status(&dir, "up", Status::is_up);
    (tree, dir)
}

#[test]
fn every_signal_has_its_letter() {
    let (tree, dir) = witness(|_| {});
    let signals = [
        ("a", "ALRM"),
        ("b", "ABRT"),
        ("q", "QUIT"),
        ("h", "HUP"),
        ("t", "TERM"),
        ("i", "INT"),
        ("1", "USR1"),
        ("2", "USR2"),
        ("y", "WINCH"),
    ];
    for (count, (letter, name)) in signals.into_iter().enumerate() {
        write_letters(&dir, letter);
        let seen = tree.await_lines("web/seen", count + 2);
        assert_eq!(seen.last().map(String::as_str), Some(name), "{letter}");
    }
    let before = status(&dir);
    // Letters that nobody knows are no error, and several come at once.
    write_letters(&dir, "?Z\nzt");
    tree.await_lines("web/seen", signals.len() + 2);
    assert_eq!(status(&dir), before);
    write_letters(&dir, "k");
    await_status(&dir, "another run", |status| status.is_up() && status.pid != before.pid);
    assert_eq!(tree.status("web").and_then(|status| status.last_exit?.signal).as_deref(), Some("KILL"));
}

#[test]
fn pause_and_continue_for_the_process_and_its_group() {
    let mut tree = Tree::new();
    tree.service("web").run("sleep 1000 & echo $! > child; wait");
    tree.start();
    let dir = tree.services().join("web");
    let child: i32 = until("the child", || tree.lines("web/child").first()?.parse().ok());
    let main = await_status(&dir, "up", Status::is_up).pid as i32;
    let is_stopped = |pid: i32| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    for (letters, main_stops, child_stops) in
        [("p", true, false), ("c", false, false), ("P", true, true), ("C", false, false)]
    {
        write_letters(&dir, letters);
        until(letters, || (is_stopped(main) == main_stops && is_stopped(child) == child_stops).then_some(()));
        await_status(&dir, letters, |status| status.paused == main_stops);
    }
    write_letters(&dir, "K");
    await_status(&dir, "another run", |status| status.is_up() && status.pid != main as u64);
    assert!(!is_alive(child));
}

#[test]
fn the_down_signal_alone_restarts_and_reload_does_not() {
    let (tree, dir) = witness(|web| {
        web.file("down-signal", "USR1").file("reload-signal", "USR2").file("timeout-kill", "1");
    });
    let pid = status(&dir).pid;
    write_letters(&dir, "l");
    assert_eq!(tree.await_lines("web/seen", 2)[1], "USR2");
    write_letters(&dir, "r");
    assert_eq!(tree.await_lines("web/seen", 3)[2], "USR1");
    // It is no stop: nobody is killed after a millisecond.
    let seen = status(&dir);
    assert!(seen.pid == pid && seen.wanted_up, "{seen:?}");
    write_letters(&dir, "d");
    await_status(&dir, "down, by SIGKILL", |status| status.ready && status.wait_status == 9);
}

#[test]
fn wishes_are_told_apart() {
    let mut tree = Tree::new();
    tree.service("web").file("down", "").run("exec sleep 1000");
    let dir = tree.services().join("web");
    std::fs::create_dir(dir.join("event")).expect("as s6-svlink makes it");
    let mut listener = Listener::new(&dir);
    tree.start();
    listener.expect("s");
    // Once: up, wanted down, and not again.
    write_letters(&dir, "o");
    listener.expect("u");
    let up = status(&dir);
    assert!(up.is_up() && !up.wanted_up);
    write_letters(&dir, "t");
    listener.expect("dD");
    // While it runs, once and at most once only take the wish away.
    for letter in ["o", "O"] {
        write_letters(&dir, "u");
        listener.expect("u");
        write_letters(&dir, letter);
        let up = await_status(&dir, "wanted down", |status| !status.wanted_up);
        assert!(up.is_up());
        write_letters(&dir, "t");
        listener.expect("dD");
    }
    // A start while it stops changes the wish, and the stop goes on.
    write_letters(&dir, "u");
    listener.expect("u");
    write_letters(&dir, "du");
    listener.expect("dDu");
    assert!(status(&dir).wanted_up);
    listener.expect_no_more();
}

#[test]
fn down_files_are_made_and_removed() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join("web");
    let down = dir.join("down");
    write_letters(&dir, "D");
    await_status(&dir, "down", |status| status.ready && !status.wanted_up);
    assert_eq!(std::fs::read(&down).expect("made"), b"");
    write_letters(&dir, "U");
    let up = await_status(&dir, "up", Status::is_up);
    assert!(up.wanted_up && !down.exists());
    // U where there is none, and Q, which stops nothing.
    write_letters(&dir, "UQ");
    let up_still = await_status(&dir, "wanted down", |status| !status.wanted_up);
    assert_eq!(up_still.pid, up.pid);
    assert!(down.exists());
    write_letters(&dir, "t");
    await_status(&dir, "down", |status| status.ready && !status.is_up());
    tree.stop();
    tree.start();
    assert!(await_status(&dir, "a new supervisor", Status::is_new).ready, "not started by itself");
}

#[test]
fn exit_leaves_the_service_alone_and_a_new_supervisor_comes() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let dir = tree.services().join("web");
    let old = tree.supervisor("web").expect("there is one");
    let mut listener = Listener::new(&dir);
    write_letters(&dir, "x");
    await_status(&dir, "wanted down", |status| !status.wanted_up && status.pid == pid as u64);
    assert!(is_alive(pid) && is_alive(old));
    svc_testkit::kill(pid, "TERM");
    listener.expect("dDxsu");
    assert_ne!(tree.await_up("web"), pid);
    assert_ne!(tree.supervisor("web"), Some(old));
    // Down: it leaves at once.
    write_letters(&dir, "d");
    listener.expect("dD");
    write_letters(&dir, "x");
    listener.expect("xsu");
}

#[test]
fn exit_of_a_logger_brings_another_one() {
    let mut tree = Tree::new();
    tree.service("web").run("while :; do echo line; sleep 1000 & wait $!; done");
    tree.service("web/log").run("while read line; do echo \"$line\" >> seen; done");
    tree.start();
    tree.await_lines("web/log/seen", 1);
    let dir = tree.services().join("web/log");
    let producer = tree.await_up("web");
    let old = tree.await_up("web/log");
    let mut listener = Listener::new(&dir);
    write_letters(&dir, "dx");
    listener.expect("dDxsu");
    assert_ne!(tree.await_up("web/log"), old);
    tree.service("web/log").file("seen", "");
    svc_testkit::kill(producer, "KILL");
    tree.await_lines("web/log/seen", 1);
    assert_eq!(tree.await_status("web/log", "up", |status| status.state == State::Up).restarts, 0);
}

#[test]
fn letters_reach_the_heir_of_a_killed_supervisor() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join("web");
    tree.kill_supervisor("web");
    let mut listener = Listener::new(&dir);
    await_supervisor(&dir);
    write_letters(&dir, "d");
    listener.expect("dD");
}

#[test]
fn a_control_that_is_no_fifo_is_told_of() {
    let mut tree = Tree::new();
    let web = tree.service("web");
    web.run("exec sleep 1000");
    std::fs::create_dir(web.path().join("supervise")).expect("made");
    std::fs::write(web.path().join("supervise/control"), "x").expect("written");
    tree.start();
    tree.await_up("web");
    until("a word about it", || tree.log().contains("supervise/control").then_some(()));
    // The rest is there.
    await_status(&tree.services().join("web"), "up", Status::is_up);
}
