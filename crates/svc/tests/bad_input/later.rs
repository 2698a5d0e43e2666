//! Services that ran, and cannot be started any more: the repair counts at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use svc_testkit::{State, Tree, kill};

use super::{Neighbour, assert_told};

/// Far less than the 10 s after which a start that failed is tried again by itself.
const PROMPT: Duration = Duration::from_secs(4);

#[track_caller]
fn assert_prompt(tree: &Tree, begin: Instant) {
    tree.await_up("web");
    let took = begin.elapsed();
    println!("up {took:?} after the repair");
    assert!(took < PROMPT, "up only {took:?} after the repair");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
}

#[test]
fn a_run_that_loses_its_mode_and_gets_it_back() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let run = tree.service("web").run("exec sleep 1000").path().join("run");
    for _ in 0..2 {
        let pid = tree.await_up("web");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o644)).expect("ours");
        kill(pid, "KILL");
        assert_told(&tree, "web", &["web/run: is not executable", "chmod +x"]);
        let waits = |status: &svc_testkit::Status| status.state == State::Waiting && status.next_start_ms.is_some();
        tree.await_status("web", "waiting for the next try", waits);
        // What does not cure it does not start it.
        tree.service("web").file("notes", "hello");
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(tree.status("web").map(|status| status.state), Some(State::Waiting));
        let begin = Instant::now();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).expect("ours");
        assert_prompt(&tree, begin);
    }
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_run_that_is_deleted_and_written_again() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.service("web");
    web.run("exec sleep 1000");
    let pid = tree.await_up("web");
    web.remove("run");
    kill(pid, "KILL");
    assert_told(&tree, "web", &["web/run: does not exist"]);
    // The reason follows what is there now.
    web.file("run", "exec sleep 1000\n");
    tree.await_status("web", "another reason", |status| {
        status.problem.as_deref().is_some_and(|problem| problem.contains("is not executable"))
    });
    let begin = Instant::now();
    web.run("exec sleep 1000");
    assert_prompt(&tree, begin);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_service_that_nobody_wants_up_stays_down_when_it_is_repaired() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.service("web");
    web.run("exec sleep 1000");
    let pid = tree.await_up("web");
    web.remove("run");
    kill(pid, "KILL");
    assert_told(&tree, "web", &["web/run: does not exist"]);
    tree.ctl_ok(&["stop", "web"]);
    web.run("exec sleep 1000");
    std::thread::sleep(Duration::from_millis(300));
    let status = tree.status("web").expect("there");
    assert!(status.state == State::Down && !status.wanted_up, "{status:?}");
    tree.ctl_ok(&["start", "web"]);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_logger_is_repaired_too() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    tree.draft("web").run("exec sleep 1000");
    let run = tree.draft("web/log").run("exec cat >/dev/null").path().join("run");
    tree.place("web");
    let pid = tree.await_up("web/log");
    let run = tree.services().join(run.strip_prefix(tree.path("drafts")).expect("a draft"));
    fs::rename(&run, run.with_file_name("away")).expect("ours");
    kill(pid, "KILL");
    assert_told(&tree, "web/log", &["web/log/run: does not exist"]);
    let begin = Instant::now();
    fs::rename(run.with_file_name("away"), &run).expect("ours");
    tree.await_up("web/log");
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn start_does_not_wait_for_the_next_try() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let shell = tree.path("shell");
    std::os::unix::fs::symlink("/bin/sh", &shell).expect("ours");
    tree.service("web").executable("run", &format!("#!{}\nexec sleep 1000\n", shell.display()));
    let pid = tree.await_up("web");
    fs::remove_file(&shell).expect("ours");
    kill(pid, "KILL");
    assert_told(&tree, "web", &["needs the interpreter", "which is not in this image"]);
    let said = tree.say(&["start", "web"]);
    assert!(said.code == 1 && said.err.contains("could not be started: "), "{said:?}");
    let why = tree.ctl_ok(&["why", "web"]);
    assert!(why.contains("next start in"), "{why}");
    std::os::unix::fs::symlink("/bin/sh", &shell).expect("ours");
    assert_eq!(tree.say(&["start", "web"]).code, 0);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_broken_edit_of_a_running_service_disturbs_nobody_until_the_next_start() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.service("web");
    web.run("exec sleep 1000");
    let pid = tree.await_up("web");
    web.file("timeout-kill", "soon\n").file("down-signal", "NOPE\n");
    fs::set_permissions(web.path().join("run"), fs::Permissions::from_mode(0o644)).expect("ours");
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.await_up("web"), pid);
    let status = tree.status("web").expect("there");
    println!("{:?}", status.problem);
    assert!(status.problem.is_some(), "{status:?}");
    fs::set_permissions(web.path().join("run"), fs::Permissions::from_mode(0o755)).expect("ours");
    web.remove("timeout-kill").remove("down-signal");
    assert_eq!(tree.say(&["restart", "web"]).code, 0);
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
    neighbour.assert_undisturbed(&tree);
}
