//! The socket is taken away while svc runs: with the run directory, alone, by a mount, by another svc. Services go on, and svc-ctl finds
//! svc again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use svc_proto::s6::Status;
use svc_testkit::{Said, State, Tree, is_root, kill, needs, program, remove_dir, until, wait_gone};

/// It answers, and its service is what it was.
#[track_caller]
fn assert_goes_on(tree: &Tree, pid: i32) {
    // A new svc-scan answers before it has heard of a supervisor that the machine has no time for.
    let heard = || tree.status("web").filter(|status| status.pid.is_some());
    let status = until(&format!("an answer; log:\n{}", tree.log()), heard);
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
}

fn start(tree: &mut Tree) -> i32 {
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web")
}

#[test]
fn a_run_directory_that_was_removed_is_made_again_with_all_that_was_in_it() {
    let mut tree = Tree::new();
    let pid = start(&mut tree);
    let supervise = tree.services().join("web/supervise");
    for _ in 0..3 {
        until("the files of s6's tools", || supervise.join("status").exists().then_some(()));
        // Its supervisor may be at it still.
        remove_dir(tree.run_dir());
        assert_goes_on(&tree, pid);
    }
    assert!(tree.log().contains("control.sock was gone: made again; services went on"), "{}", tree.log());
    // The next svc-scan gets the new one, and finds in it what the service was made of.
    until("definitions", || tree.run_dir().join("definitions").exists().then_some(()));
    tree.service("web").file("notification-fd", "3\n");
    let scan = tree.process("svc-scan");
    kill(scan, "KILL");
    wait_gone(scan);
    assert_goes_on(&tree, pid);
    assert_eq!(tree.status("web").expect("known").ready, None);
    // s6's tools find the service again, and steer it.
    let told = until("a status", || Status::from_bytes(&fs::read(supervise.join("status")).ok()?).filter(Status::is_up));
    assert_eq!(told.pid as i32, pid);
    let mut control = OpenOptions::new().write(true).open(supervise.join("control")).expect("a FIFO that somebody reads");
    control.write_all(b"d").expect("written");
    tree.await_status("web", "down", |status| status.state == State::Down);
    // And nobody else may have the directory.
    let mut second = Tree::new();
    second.set("SVC_RUN_DIR", &tree.run_dir().display().to_string()).launch();
    assert_eq!(second.wait(), 100);
    assert!(second.log().contains("another svc runs with"), "{}", second.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_socket_or_a_file_of_s6s_tools_that_was_removed_alone_is_made_again() {
    let mut tree = Tree::new();
    let pid = start(&mut tree);
    for _ in 0..3 {
        fs::remove_file(tree.socket()).expect("ours");
        assert_goes_on(&tree, pid);
    }
    let control = tree.services().join("web/supervise/control");
    until("the FIFO", || control.exists().then_some(()));
    fs::remove_file(&control).expect("ours");
    // Nobody watches each of them.
    tree.signal("HUP");
    until("another FIFO", || control.exists().then_some(()));
    assert_goes_on(&tree, pid);
    assert_eq!(tree.stop(), 0);
}

/// A volume that comes over the run directory, and goes.
#[test]
fn a_mount_over_the_run_directory_does_not_hide_svc() {
    if !is_root()
        || !needs("unshare and nsenter", svc_testkit::has_program("unshare") && svc_testkit::has_program("nsenter"))
    {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&["unshare", "--mount"]);
    let pid = start(&mut tree);
    let init = tree.svc_init().to_string();
    let inside = |words: &[&str]| {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &init]).args(words).env("SVC_RUN_DIR", tree.run_dir());
        Said::by(&mut command)
    };
    let run_dir = tree.run_dir();
    let run_dir = run_dir.to_str().expect("text");
    let svc = program();
    let found = || {
        let said = inside(&[svc.to_str().expect("text"), "svc-ctl", "status", "web"]);
        (said.code == 0 && said.out.contains(&pid.to_string())).then_some(())
    };
    for words in [&["mount", "-t", "tmpfs", "none", run_dir][..], &["umount", "--lazy", run_dir]] {
        let said = inside(words);
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        until(&format!("svc to be found after {words:?}; log:\n{}", tree.log()), found);
    }
    assert_eq!(tree.stop(), 0);
}

/// Two that would take it from each other for ever: the first one leaves it to the second, and says so, until that is gone.
#[test]
fn a_run_directory_that_another_svc_has_taken_is_left_to_it() {
    let mut tree = Tree::new();
    let pid = start(&mut tree);
    let scan = tree.process("svc-scan");
    kill(scan, "STOP");
    remove_dir(tree.run_dir());
    let mut other = Tree::new();
    other.service("other").run("exec sleep 1000");
    let place = tree.run_dir().display().to_string();
    other.set("SVC_RUN_DIR", &place).launch();
    let is_the_others = || tree.status("other").is_some();
    until("the other one", || is_the_others().then_some(()));
    kill(scan, "CONT");
    until("the first one to see it", || tree.log().contains("answers there: stop one of the two").then_some(()));
    assert!(is_the_others(), "{}", tree.log());
    assert_eq!(other.stop(), 0);
    tree.signal("HUP");
    assert_goes_on(&tree, pid);
    assert_eq!(tree.stop(), 0);
}
