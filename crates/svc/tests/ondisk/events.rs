//! The letters that come into the FIFO of whoever listens.

use svc_proto::s6::Status;
use svc_testkit::{Tree, kill, until};

use crate::support::{Listener, await_status, await_supervisor, status, write_letters};

#[test]
fn start_ready_death_restart_and_stop() {
    let mut tree = Tree::new();
    tree.service("web").file("notification-fd", "3").file("down", "").run("echo >&3; exec sleep 1000").finish("exit 0");
    let dir = tree.services().join("web");
    std::fs::create_dir(dir.join("event")).expect("as s6-svlink makes it");
    let mut listener = Listener::new(&dir);
    tree.start();
    listener.expect("s");
    write_letters(&dir, "u");
    listener.expect("uU");
    kill(status(&dir).pid as i32, "KILL");
    listener.expect("dDuU");
    write_letters(&dir, "d");
    listener.expect("dD");
    listener.expect_no_more();
    write_letters(&dir, "u");
    listener.expect("uU");
    tree.stop();
    listener.expect("dDx");
    listener.expect_no_more();
}

#[test]
fn without_finish_two_letters_come_in_one_write() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let dir = tree.services().join("web");
    tree.start();
    tree.await_up("web");
    let mut listener = Listener::new(&dir);
    write_letters(&dir, "d");
    until("the first letter", || (!listener.heard().is_empty()).then_some(()));
    assert_eq!(listener.heard(), "dD");
}

#[test]
fn a_finish_that_says_125_is_told_of() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 125");
    let dir = tree.services().join("web");
    tree.start();
    let pid = tree.await_up("web");
    let mut listener = Listener::new(&dir);
    kill(pid, "KILL");
    listener.expect("dOD");
    let down = await_status(&dir, "down", |status| status.ready);
    assert!(!down.wanted_up && !down.is_up());
    listener.expect_no_more();
    write_letters(&dir, "u");
    listener.expect("u");
}

#[test]
fn state_comes_before_event() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exec sleep 0.01");
    let dir = tree.services().join("web");
    tree.start();
    tree.await_up("web");
    let mut listener = Listener::new(&dir);
    for _ in 0..30 {
        write_letters(&dir, "d");
        listener.expect("d");
        let seen = status(&dir);
        assert!(!seen.is_up() && !seen.wanted_up, "{seen:?}");
        listener.expect("D");
        let seen = status(&dir);
        assert!(seen.ready && seen.pid == 0, "{seen:?}");
        write_letters(&dir, "u");
        listener.expect("u");
        assert!(status(&dir).is_up());
    }
}

#[test]
fn a_killed_supervisor_says_nothing_and_its_heir_what_was_missed() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 0");
    let dir = tree.services().join("web");
    tree.start();
    let pid = tree.await_up("web");
    let mut listener = Listener::new(&dir);
    tree.kill_supervisor("web");
    listener.expect_no_more();
    await_supervisor(&dir);
    write_letters(&dir, "d");
    listener.expect("dD");
    assert!(!svc_testkit::is_alive(pid));

    // The service ends while it has no supervisor.
    write_letters(&dir, "u");
    listener.expect("u");
    let pid = await_status(&dir, "up", Status::is_up).pid as i32;
    let supervisor = tree.supervisor("web").expect("there is one");
    kill(supervisor, "STOP");
    kill(pid, "KILL");
    kill(supervisor, "KILL");
    listener.expect("dDu");
    assert!(await_status(&dir, "up", Status::is_up).pid as i32 != pid);
    listener.expect_no_more();
}

#[test]
fn somebody_who_is_gone_is_forgotten_and_other_files_are_left() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let dir = tree.services().join("web");
    tree.start();
    tree.await_up("web");
    let mut listener = Listener::new(&dir);
    let gone = {
        let gone = Listener::new(&dir);
        let path = gone.path().to_owned();
        let kept = path.with_file_name("kept");
        std::fs::rename(&path, &kept).expect("kept from its end");
        drop(gone);
        std::fs::rename(kept, &path).expect("back");
        path
    };
    std::fs::write(dir.join("event/other"), "x").expect("written");
    write_letters(&dir, "d");
    listener.expect("dD");
    assert!(!gone.exists());
    assert_eq!(std::fs::read(dir.join("event/other")).expect("left alone"), b"x");
}

// 26
#[test]
fn promise_26_a_thousand_listeners_that_do_not_read_harm_nobody() {
    const LISTENERS: usize = 1000;
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let dir = tree.services().join("web");
    let _ = svc_sys::fd::raise_limit_of_descriptors();
    tree.start();
    tree.await_up("web");
    let stuck: Vec<Listener> = (0..LISTENERS).map(|_| Listener::new(&dir)).collect();
    for listener in &stuck[..10] {
        // No room at all.
        let mut fifo = crate::support::open_for_writing(listener.path()).expect("a reader");
        let full = std::io::Write::write_all(&mut fifo, &vec![b'.'; 1 << 20]);
        assert_eq!(full.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    }
    let mut listener = Listener::new(&dir);
    for _ in 0..20 {
        write_letters(&dir, "d");
        listener.expect("dD");
        write_letters(&dir, "u");
        listener.expect("u");
    }
    // They are left where they are: they may read some time.
    assert_eq!(std::fs::read_dir(dir.join("event")).expect("listed").count(), LISTENERS + 1);
    drop(stuck);
}
