//! SIGKILL to svc-scan: services do not notice, clients wait, and what changed on disk meanwhile is found.

use std::fs;
use std::os::unix::net::UnixStream;

use svc_testkit::{State, Tree, has_program, is_alive, kill, needs, until, wait_gone};

use crate::common::{alone, answer_time, assert_alone, starts, status};

/// Kills it, and does something while there is none: svc-init, which makes the next one, is stopped meanwhile.
fn without_scan(tree: &Tree, act: impl FnOnce()) {
    let (init, scan) = (tree.svc_init(), tree.process("svc-scan"));
    kill(init, "STOP");
    kill(scan, "KILL");
    wait_gone(scan);
    act();
    kill(init, "CONT");
}

#[test]
fn services_do_not_notice() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").file("notification-fd", "3\n");
    tree.service("crashing").run("exit 1");
    tree.service("off").run("exec sleep 1000").file("down", "");
    tree.service("pair").run("exec sleep 1000");
    tree.service("pair/log").run("exec cat");
    tree.start();
    let pids = ["web", "pair", "pair/log"].map(|name| (name, tree.await_up(name)));
    tree.ctl_ok(&["pause", "pair"]);
    let before = tree.await_status("crashing", "crashes", |status| status.restarts > 0).restarts;
    let supervisor = tree.process("svc-supervise web");
    for _ in 0..5 {
        let scan = tree.process("svc-scan");
        kill(scan, "KILL");
        wait_gone(scan);
        for (name, pid) in pids {
            let status = tree.await_status(name, "known", |status| status.pid.is_some());
            assert_eq!((status.pid, status.restarts), (Some(pid), 0), "{name}");
        }
    }
    assert_eq!(tree.process("svc-supervise web"), supervisor);
    assert!(status(&tree, "pair").paused);
    assert_eq!(status(&tree, "web").ready, Some(false));
    // Until it has been heard of, it may be on the way.
    tree.await_status("off", "down", |status| status.state == State::Down);
    tree.await_status("crashing", "more crashes", |status| status.restarts > before);
    assert!(tree.detail("crashing").expect("there").deaths.len() > 1, "its deaths are known");
    assert_eq!(tree.stop(), 0);
}

/// They counted from the kill on: a service became one that is not ready, and another one no more the end of all.
#[test]
fn small_files_that_were_edited_count_from_the_next_start_on() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("last").run("exec sleep 1000").file("essential", "7\n");
    tree.draft("db").file("type", "longrun\n").run("exec sleep 1000");
    tree.place("db");
    tree.toml("top", "command = 'sleep 1000'\nneeds = ['db']");
    tree.start();
    let last = ["web", "db", "top", "last"].map(|name| tree.await_up(name))[3];
    let says = ["web", "db"].map(|name| tree.service(name));
    let ready = |tree: &Tree| ["web", "db"].map(|name| tree.await_status(name, "up", |it| it.pid.is_some()).ready);
    says.iter().for_each(|service| _ = service.file("notification-fd", "3\n"));
    tree.service("last").remove("essential");
    tree.kill_scan();
    assert_eq!(ready(&tree), [None; 2], "{}", tree.log());
    tree.ctl_ok(&["restart", "--timeout", "120", "top"]);
    tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "web", "db"]);
    // And from that on they do, whatever stands there then.
    for name in ["web", "db"] {
        tree.ctl_ok(&["restart", "--no-wait", name]);
        tree.await_status(name, "not ready", |status| status.ready == Some(false));
    }
    says.iter().for_each(|service| _ = service.remove("notification-fd"));
    tree.kill_scan();
    assert_eq!(ready(&tree), [Some(false); 2], "{}", tree.log());
    kill(last, "KILL");
    assert_eq!(tree.wait(), 7, "{}", tree.log());
}

#[test]
fn a_client_that_comes_meanwhile_waits_and_is_answered() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    for _ in 0..3 {
        // Connected without anybody there: svc-init keeps the socket.
        without_scan(&tree, || drop(UnixStream::connect(tree.socket()).expect("the socket listens")));
        let table = tree.ctl_ok(&["status"]);
        assert!(table.contains("web"), "{table}");
    }
    without_scan(&tree, || {});
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_was_removed_and_added_meanwhile_is_found() {
    let mut tree = Tree::new();
    for name in ["kept", "removed", "gone"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.service("gone/log").run("exec cat");
    tree.start();
    let [kept, removed, gone, log] = ["kept", "removed", "gone", "gone/log"].map(|name| tree.await_up(name));
    without_scan(&tree, || {
        tree.service("added").run("exec sleep 1000");
        fs::remove_dir_all(tree.services().join("removed")).expect("removed");
        fs::rename(tree.services().join("gone"), tree.path("elsewhere")).expect("renamed");
    });
    for pid in [removed, gone, log] {
        wait_gone(pid);
    }
    tree.await_up("added");
    until("the removed to be forgotten", || {
        (tree.status("removed").is_none() && tree.status("gone").is_none() && tree.status("gone/log").is_none())
            .then_some(())
    });
    assert_eq!(tree.await_up("kept"), kept);
    assert_eq!(tree.find_process("svc-supervise removed"), None);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_renamed_directory_is_the_same_service_still() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    without_scan(&tree, || fs::rename(tree.services().join("web"), tree.services().join("www")).expect("renamed"));
    let status = tree.await_status("www", "known by its new name", |status| status.pid.is_some());
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
    assert!(tree.status("web").is_none());
    assert_eq!(tree.stop(), 0);
}

/// File systems give the number of a removed directory to the next one; that does not make it the same.
#[test]
fn a_new_directory_is_not_taken_for_a_removed_one() {
    let mut tree = Tree::new();
    tree.service("old").run("exec sleep 1000");
    tree.start();
    let old = tree.await_up("old");
    without_scan(&tree, || {
        fs::remove_dir_all(tree.services().join("old")).expect("removed");
        tree.service("new").run("exec sleep 1000");
    });
    wait_gone(old);
    let new = tree.await_up("new");
    // The same while svc-scan watches.
    fs::remove_dir_all(tree.services().join("new")).expect("removed");
    tree.service("newer").run("exec sleep 1000");
    wait_gone(new);
    let newer = tree.await_up("newer");
    fs::remove_dir_all(tree.services().join("newer")).expect("removed");
    tree.service("newer").run("exec sleep 1000");
    wait_gone(newer);
    tree.await_up("newer");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_in_the_middle_of_a_boot_nothing_starts_twice() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    const SERVICES: usize = 100;
    for round in 0..3 {
        let mut tree = Tree::new();
        let names: Vec<String> = (0..SERVICES).map(|n| format!("s{n}")).collect();
        for name in &names {
            tree.service(name).executable("run", &(alone(&tree, name) + "sleep(1) while 1;\n"));
        }
        tree.launch();
        // At another point each time: no supervisor yet, some, most.
        let some = [1, 20, 70][round];
        until("some supervisors", || {
            (tree.daemons().iter().filter(|daemon| daemon.name == "svc-supervise").count() >= some).then_some(())
        });
        kill(tree.process("svc-scan"), "KILL");
        tree.await_control();
        let pids: Vec<i32> = names.iter().map(|name| tree.await_up(name)).collect();
        answer_time(&tree);
        for (name, &pid) in names.iter().zip(&pids) {
            until("its program", || (!starts(&tree, name).is_empty()).then_some(()));
            assert!(is_alive(pid));
            assert_eq!((starts(&tree, name).len(), status(&tree, name).restarts), (1, 0), "{name}");
        }
        assert_alone(&tree);
        assert_eq!(tree.stop(), 0);
    }
}
