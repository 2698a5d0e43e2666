//! Several scan directories, missing ones, and looking again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use svc_testkit::{NOBODY, Said, ServiceDir, State, Tree, is_alive, is_root, program, until, wait_gone, wait_idle};

use super::{assert_silent, assert_stays};

/// A tree that also watches `more`.
fn with_more() -> Tree {
    let mut tree = Tree::new();
    let more = tree.path("more").display().to_string();
    tree.argument(&more);
    tree
}

fn in_more(tree: &Tree, name: &str) -> ServiceDir {
    ServiceDir::make(tree.path("more").join(name))
}

#[test]
fn several_scan_directories_are_one_set_of_services() {
    let mut tree = with_more();
    tree.service("web").run("exec sleep 1000");
    in_more(&tree, "db").run("exec sleep 1000");
    tree.start();
    let [web, db] = ["web", "db"].map(|name| tree.await_up(name));
    // Moved from one to the other it goes on.
    fs::rename(tree.services().join("web"), tree.path("more/web")).expect("ours");
    let there = tree.path("more/web").display().to_string();
    tree.await_status("web", "its new place", |status| status.dir == there);
    assert_stays(&tree, "web", web);
    assert_stays(&tree, "db", db);
    assert_silent(&tree);
}

#[test]
fn the_same_name_in_two_scan_directories_is_one_service_and_that_is_said() {
    let mut tree = with_more();
    tree.service("web").run("exec sleep 1000");
    in_more(&tree, "web").run("exec sleep 1001");
    tree.start();
    // The scan directory that was named first on the command line: `more`.
    let status = tree.await_status("web", "up", |status| status.state == State::Up);
    assert_eq!(status.dir, tree.path("more/web").display().to_string());
    let pid = status.pid.expect("up");
    let problems = until("the problem", || Some(tree.list().ok()?.problems).filter(|problems| !problems.is_empty()));
    assert_eq!(problems[0].path, tree.services().join("web").display().to_string());
    assert!(problems[0].message.contains("there is another service of this name"), "{problems:?}");
    assert!(tree.ctl_ok(&["status"]).contains("another service of this name"));
    until("the complaint", || tree.log().contains("another service of this name").then_some(()));
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(tree.log().matches("another service of this name").count(), 1, "said once: {}", tree.log());
    // And not looked at all the time.
    wait_idle(tree.process("svc-scan"), Duration::from_millis(500));
    assert_stays(&tree, "web", pid);
    // With the first one gone it is the other's turn.
    fs::remove_dir_all(tree.path("more/web")).expect("ours");
    wait_gone(pid);
    let here = tree.services().join("web").display().to_string();
    tree.await_status("web", "the other", |status| status.dir == here && status.state == State::Up);
    assert!(tree.list().expect("an answer").problems.is_empty());
}

#[test]
fn a_scan_directory_that_is_missing_is_told_and_found_when_it_is_made() {
    let mut tree = Tree::new();
    let deep = tree.path("a/b/c");
    tree.argument(&deep.display().to_string());
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    assert!(tree.log().contains("a/b/c: no such directory: make it"), "{}", tree.log());
    let table = tree.ctl_ok(&["status"]);
    assert!(table.contains("no such directory: make it"), "{table}");
    for path in ["a", "a/b", "a/b/c"] {
        super::pause();
        fs::create_dir(tree.path(path)).expect("ours");
    }
    super::pause();
    ServiceDir::make(deep.join("db")).run("exec sleep 1000");
    tree.await_up("db");
    assert!(tree.list().expect("an answer").problems.is_empty());
    assert_eq!(tree.log().matches("no such directory").count(), 1, "{}", tree.log());
    assert_stays(&tree, "web", pid);
}

#[test]
fn a_scan_directory_that_goes_and_comes_back_is_the_same_again() {
    let mut tree = with_more();
    tree.service("web").run("exec sleep 1000");
    in_more(&tree, "db").run("exec sleep 1000");
    tree.start();
    let [web, db] = ["web", "db"].map(|name| tree.await_up(name));
    fs::remove_dir_all(tree.path("more")).expect("ours");
    wait_gone(db);
    until("the problem", || (tree.list().ok()?.problems.len() == 1).then_some(()));
    in_more(&tree, "db").run("exec sleep 1001");
    let db = tree.await_up("db");
    // And once more by moving it away and back.
    fs::rename(tree.path("more"), tree.path("aside")).expect("ours");
    wait_gone(db);
    fs::rename(tree.path("aside"), tree.path("more")).expect("ours");
    tree.await_up("db");
    ServiceDir::make(tree.path("more/mail")).run("exec sleep 1000");
    tree.await_up("mail");
    assert_stays(&tree, "web", web);
}

/// What svc has open in a directory that was removed keeps the kernel from telling of it.
#[test]
fn a_scan_directory_that_is_removed_piece_by_piece_is_missed() {
    let mut tree = with_more();
    tree.service("web").run("exec sleep 1000");
    in_more(&tree, "db").run("exec sleep 1000");
    tree.start();
    let db = tree.await_up("db");
    for name in [".s6-svscan", "db"] {
        fs::remove_dir_all(tree.path("more").join(name)).expect("ours");
        tree.ctl_ok(&["rescan"]);
    }
    wait_gone(db);
    until("db to be forgotten", || (tree.list().ok()?.services.len() == 1).then_some(()));
    tree.ctl_ok(&["rescan"]);
    wait_idle(tree.process("svc-scan"), Duration::from_millis(200));
    fs::remove_dir(tree.path("more")).expect("ours");
    until("the problem", || (tree.list().ok()?.problems.len() == 1).then_some(()));
    in_more(&tree, "db").run("exec sleep 1001");
    tree.await_up("db");
    ServiceDir::make(tree.path("more/mail")).run("exec sleep 1000");
    tree.await_up("mail");
}

#[test]
fn a_scan_directory_that_cannot_be_read_stops_nobody() {
    if !is_root() {
        return;
    }
    let mut tree = with_more();
    tree.run_as(NOBODY);
    in_more(&tree, "db").run("exec sleep 1000");
    tree.start();
    let db = tree.await_up("db");
    for mode in [0o300, 0o600, 0o000] {
        fs::set_permissions(tree.path("more"), fs::Permissions::from_mode(mode)).expect("ours");
        tree.ctl_ok(&["rescan"]);
        assert!(is_alive(db) && tree.status("db").is_some(), "mode {mode:o}; log:\n{}", tree.log());
        let problems = tree.list().expect("an answer").problems;
        println!("{mode:o}: {problems:?}");
        assert!(problems.iter().any(|problem| problem.message.contains("chmod a+")), "mode {mode:o}: {problems:?}");
    }
    fs::set_permissions(tree.path("more"), fs::Permissions::from_mode(0o755)).expect("ours");
    assert_stays(&tree, "db", db);
    assert!(tree.list().expect("an answer").problems.is_empty());
}

#[test]
fn rescan_by_ctl_and_by_signals() {
    let mut tree = Tree::new();
    tree.draft("web").run("exec sleep 1000");
    tree.start();
    let said = tree.ctl_ok(&["rescan"]);
    assert!(said.contains("looked at all directories"), "{said}");
    let target = tree.path("drafts/later");
    for (round, signal) in ["HUP", "ALRM"].into_iter().enumerate() {
        // A link to something that is made where nobody watches.
        let name = format!("later{round}");
        let target = target.with_file_name(&name);
        std::os::unix::fs::symlink(&target, tree.services().join(&name)).expect("a link");
        until("the problem", || {
            tree.list().ok()?.problems.iter().any(|problem| problem.path.ends_with(&name)).then_some(())
        });
        ServiceDir::make(target).run("exec sleep 1000");
        tree.signal(signal);
        tree.await_up(&name);
    }
}

#[test]
fn without_arguments_etc_s6_is_watched_also_when_it_is_not_there() {
    if !is_root() {
        return;
    }
    let run_dir = Tree::new();
    let svc = program().display().to_string();
    let script = format!(
        "mount -t tmpfs none /etc && export SVC_RUN_DIR={0} && {svc} svc-scan & pid=$!
         until {svc} svc-ctl --socket {0} status 2>&1 | tee {1} | grep -q 'etc/s6: no such directory'; do sleep 0.05; done
         mkdir -p /etc/s6/web && printf '#!/bin/sh\\nexec sleep 1000\\n' >/etc/s6/web/run && chmod +x /etc/s6/web/run
         until {svc} svc-ctl --socket {0} wait --timeout 10 web; do sleep 0.05; done
         {svc} svc-ctl --socket {0} shutdown; wait $pid; echo code $?",
        run_dir.run_dir().display(),
        run_dir.path("status").display(),
    );
    let said = Said::by(Command::new("timeout").args(["120", "unshare", "-m", "sh", "-c", &script]));
    assert!(said.out.contains("web: up (pid ") && said.out.contains("code 0"), "{said:?}");
    assert!(said.err.contains("/etc/s6: no such directory: make it"), "{said:?}");
}
