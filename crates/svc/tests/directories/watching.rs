//! When directories are watched: beside a main program a moment after the start, and not any more at the end.

use std::fs;

use svc_testkit::{Tree, fifo, until, wait_gone};

use super::assert_silent;

/// Whether the process has the kernel watch something.
fn watches(pid: i32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target.ends_with("anon_inode:inotify"))
}

#[test]
fn what_a_main_program_changes_in_the_first_moment_counts() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    fifo(&gate);
    tree.draft("new").run("exec sleep 1000");
    tree.service("stays").run("exec sleep 1000");
    tree.service("old").run(&format!("echo started >{gate}; exec sleep 1000"));
    let [draft, services] = [tree.path("drafts/new"), tree.services()].map(|path| path.display().to_string());
    // One that is gone before it was started would be told as such.
    let script = format!("read word <{gate}; mv {draft} {services}/new; rm -r {services}/old; exec sleep 1000");
    tree.command(&["sh", "-c", &script]);
    tree.start();
    tree.await_up("new");
    until("what went to be forgotten", || tree.status("old").is_none().then_some(()));
    let stays = tree.await_up("stays");
    // And from then on what comes is seen at once.
    until("it watches", || watches(tree.process("svc-scan")).then_some(()));
    fs::remove_dir_all(tree.services().join("stays")).expect("ours");
    wait_gone(stays);
    assert_silent(&tree);
}

#[test]
fn what_a_main_program_removes_from_the_run_directory_at_once_is_made_again() {
    let mut tree = Tree::new();
    let script = format!("rm -r {}/*; exec sleep 1000", tree.run_dir().display());
    tree.command(&["sh", "-c", &script]);
    tree.launch();
    until("the socket to be made again", || tree.log().contains("was gone: made again").then_some(()));
    tree.await_up("CMD");
}

#[test]
fn nothing_is_watched_once_the_end_has_begun() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    tree.service("slow")
        .run("exec sleep 1000")
        .finish(&format!("mkfifo {gate}; read word <{gate}"))
        .file("timeout-finish", "0");
    tree.start();
    tree.await_up("slow");
    let scan = tree.process("svc-scan");
    assert!(watches(scan));
    tree.signal("TERM");
    until("the watches to be given back", || (!watches(scan)).then_some(()));
    until("the finish to wait", || tree.path("gate").exists().then_some(()));
    fs::write(&gate, "go\n").expect("ours");
    assert_eq!(tree.wait(), 0);
    assert_silent(&tree);
}
