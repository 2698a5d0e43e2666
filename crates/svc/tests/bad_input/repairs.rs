//! Services that ran, and cannot be started any more: the repair counts at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

use svc_testkit::{State, Tree, kill, until};

use super::{Neighbour, assert_told};

fn now_ms() -> u64 {
    UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as u64
}

/// Spoils a service that runs, kills it, and repairs it: it is up before the start that failed would have been tried again by itself.
/// A machine that is busy with others may be too late for that, and gets more attempts.
#[track_caller]
fn assert_prompt(tree: &Tree, name: &str, spoil: impl Fn(), repair: impl Fn()) {
    until("a start that did not wait for the next try", || {
        let pid = tree.await_up(name);
        spoil();
        kill(pid, "KILL");
        // It has been tried: the delay between two starts is a second.
        let waits = |status: &svc_testkit::Status| {
            status.state == State::Waiting && status.next_start_ms.is_some_and(|next| next > now_ms() + 2000)
        };
        let next = tree.await_status(name, "waiting for the next try", waits).next_start_ms.expect("just asked for");
        repair();
        tree.await_up(name);
        let up = now_ms();
        assert_eq!(tree.status(name).and_then(|status| status.problem), None);
        (up < next).then_some(())
    });
}

#[test]
fn a_run_that_loses_its_mode_and_gets_it_back() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let run = tree.service("web").run("exec sleep 1000").path().join("run");
    let change = |mode: u32| fs::set_permissions(&run, fs::Permissions::from_mode(mode)).expect("ours");
    for _ in 0..2 {
        assert_prompt(
            &tree,
            "web",
            || change(0o644),
            || {
                assert_told(&tree, "web", &["web/run: is not executable", "chmod +x"]);
                // What does not cure it does not start it.
                tree.service("web").file("notes", "hello");
                std::thread::sleep(Duration::from_millis(200));
                assert_eq!(tree.status("web").map(|status| status.state), Some(State::Waiting));
                change(0o755);
            },
        );
    }
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_run_that_is_deleted_and_written_again() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.service("web");
    web.run("exec sleep 1000");
    assert_prompt(
        &tree,
        "web",
        || _ = web.remove("run"),
        || {
            assert_told(&tree, "web", &["web/run: does not exist"]);
            // The reason follows what is there now.
            web.file("run", "exec sleep 1000\n");
            tree.await_problem("web", &["is not executable"]);
            web.run("exec sleep 1000");
        },
    );
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
    let run = tree.services().join(run.strip_prefix(tree.path("drafts")).expect("a draft"));
    let away = run.with_file_name("away");
    assert_prompt(
        &tree,
        "web/log",
        || fs::rename(&run, &away).expect("ours"),
        || {
            assert_told(&tree, "web/log", &["web/log/run: does not exist"]);
            fs::rename(&away, &run).expect("ours");
        },
    );
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
