//! Directories that are written piece by piece.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use svc_testkit::{State, Tree};

use super::{COUNTING, assert_silent, pause, starts};

/// What is written into `run` first must never be executed without the rest.
const HALF: &str = "#!/bin/sh\necho half >>starts\n";

fn chmod(path: &std::path::Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

#[test]
fn run_copied_last() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.service("web");
    for name in ["finish", "timeout-kill", "notes"] {
        pause();
        web.file(name, "100\n");
    }
    pause();
    fs::remove_file(web.path().join("finish")).expect("ours");
    web.file("run", &format!("#!/bin/sh\n{COUNTING}\n"));
    pause();
    chmod(&web.path().join("run"));
    tree.await_up("web");
    assert_eq!(tree.await_lines("web/starts", 1).len(), 1);
    assert_silent(&tree);
}

#[test]
fn run_copied_first_and_made_executable_much_later() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.service("web");
    web.file("run", &format!("#!/bin/sh\n{COUNTING}\n"));
    for number in 0..12 {
        pause();
        web.file(&format!("data{number}"), "x");
    }
    let status = tree.await_status("web", "broken", |status| status.state == State::Broken);
    let problem = status.problem.expect("a reason");
    assert!(problem.contains("run: is not executable") && problem.contains("chmod +x"), "{problem}");
    assert_silent(&tree);
    chmod(&web.path().join("run"));
    tree.await_up("web");
    assert_silent(&tree);
}

#[test]
fn a_run_that_somebody_still_writes_is_not_executed() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.service("web");
    let mut run = fs::File::options().create(true).append(true).open(web.path().join("run")).expect("ours");
    chmod(&web.path().join("run"));
    run.write_all(HALF.as_bytes()).expect("written");
    for _ in 0..5 {
        pause();
        run.write_all(b"# more\n").expect("written");
    }
    // Twenty times as long as a directory must be quiet for, and not so long that the writer counts as gone.
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(starts(&tree, "web"), 0);
    run.write_all(b"echo whole >>starts; exec sleep 1000\n").expect("written");
    drop(run);
    tree.await_up("web");
    assert_eq!(tree.await_lines("web/starts", 2), ["half", "whole"]);
    assert_silent(&tree);
}

#[test]
fn a_run_that_is_truncated_and_rewritten_runs_when_it_is_whole() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.draft("web");
    web.file("run", "");
    chmod(&web.path().join("run"));
    let web = tree.place("web");
    pause();
    for _ in 0..3 {
        web.file("run", "");
        pause();
    }
    web.file("run", &format!("#!/bin/sh\n{COUNTING}\n"));
    tree.await_up("web");
    assert_eq!(tree.await_lines("web/starts", 1).len(), 1);
    assert_silent(&tree);
}

/// Writes into the scan directory, in so short a time that svc still waits for quiet; one that took longer proves nothing, and is
/// written once more under another name. Returns the name.
fn written_in_one_go(write: impl Fn(&str)) -> String {
    let mut number = 0;
    svc_testkit::until("a moment in which nobody else needs the processor", || {
        number += 1;
        let name = format!("web{number}");
        let begin = Instant::now();
        write(&name);
        (begin.elapsed() < Duration::from_millis(38)).then_some(name)
    })
}

#[test]
fn a_down_file_that_comes_last_counts() {
    let mut tree = Tree::new();
    tree.start();
    let name = written_in_one_go(|name| {
        tree.service(name).run(COUNTING).file("down", "");
    });
    tree.await_status(&name, "down", |status| status.state == State::Down && !status.wanted_up);
    assert_eq!(starts(&tree, &name), 0);
    assert_silent(&tree);
}

#[test]
fn a_directory_without_run_is_told_after_a_while_and_starts_when_it_appears() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.service("web");
    let status = tree.await_status("web", "broken", |status| status.state == State::Broken);
    let problem = status.problem.expect("a reason");
    assert!(problem.contains("web/run: does not exist") && problem.contains("chmod +x"), "{problem}");
    let table = tree.ctl_ok(&["status"]);
    assert!(table.contains("broken") && table.contains("does not exist"), "{table}");
    let why = tree.ctl_ok(&["why", "web"]);
    assert!(why.contains("web/run: does not exist"), "{why}");
    svc_testkit::until("the complaint", || tree.log().contains("svc-scan: web: ").then_some(()));
    pause();
    assert_eq!(tree.log().matches("svc-scan: web: ").count(), 1, "said once: {}", tree.log());
    web.run("exec sleep 1000");
    tree.await_up("web");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
}

#[test]
fn a_whole_tree_copied_by_cp_runs_with_its_logger() {
    let mut tree = Tree::new();
    tree.start();
    let draft = tree.draft("web");
    draft.run("exec sleep 1000").file("timeout-kill", "500\n");
    tree.draft("web/log").run("exec cat >>lines");
    let name = written_in_one_go(|name| {
        let target = tree.services().join(name);
        let copied = svc_testkit::spawn(std::process::Command::new("cp").arg("-r").arg(draft.path()).arg(target));
        assert!(copied.and_then(|mut cp| cp.wait()).is_ok_and(|status| status.success()));
    });
    tree.await_up(&name);
    tree.await_up(&format!("{name}/log"));
    assert!(!tree.log().contains(&name), "{}", tree.log());
}

#[test]
fn a_logger_that_is_written_slowly_is_waited_for() {
    let mut tree = Tree::new();
    tree.start();
    let web = tree.service("web");
    pause();
    let log = tree.service("web/log");
    pause();
    web.run("exec sleep 1000");
    tree.await_status("web", "broken", |status| status.state == State::Broken);
    pause();
    log.run("exec cat >>lines");
    tree.await_up("web");
    tree.await_up("web/log");
}
