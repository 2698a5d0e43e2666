//! What somebody asked for is done, though whoever was to do it was killed before having heard of it.

use std::time::Duration;

use svc_testkit::{Chance, State, Tree, api, is_alive, kill, processes, until, wait_gone};

use crate::common::lines;

/// Stops its supervisor, so that it hears nothing, and kills it once `ask` has been sent.
fn deaf(tree: &Tree, ask: impl FnOnce() -> String + Send) -> String {
    let supervisor = until("its supervisor", || tree.supervisor("web"));
    kill(supervisor, "STOP");
    until("it to hold", || {
        processes().iter().any(|process| process.pid == supervisor && process.state == 'T').then_some(())
    });
    std::thread::scope(|scope| {
        let asked = scope.spawn(ask);
        // The client has been taken note of when it waits; that it has done nothing else for a while is all that can be seen.
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished(), "nobody can have done it");
        kill(supervisor, "KILL");
        asked.join().expect("it was done")
    })
}

#[test]
fn a_command_to_a_supervisor_that_is_killed_is_not_forgotten() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    let said = deaf(&tree, || tree.ctl_ok(&["stop", "--timeout", "120", "web"]));
    assert!(said.contains("down") && !is_alive(first), "{said}");
    let said = deaf(&tree, || tree.ctl_ok(&["start", "--timeout", "120", "web"]));
    let second = tree.await_up("web");
    assert!(said.contains(&second.to_string()), "{said}");
    deaf(&tree, || tree.ctl_ok(&["restart", "--timeout", "120", "web"]));
    let third = tree.await_up("web");
    assert!(third != second && !is_alive(second));
    deaf(&tree, || tree.ctl_ok(&["stop", "--timeout", "120", "web"]));
    deaf(&tree, || tree.ctl_ok(&["once", "--timeout", "120", "web"]));
    let once = tree.await_up("web");
    kill(once, "TERM");
    tree.await_status("web", "down for good", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

/// A socket takes a few hundred commands that nobody reads; what comes after them is not lost either, and comes after them.
#[test]
fn what_a_supervisor_has_no_room_for_waits_for_it() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    let supervisor = until("its supervisor", || tree.supervisor("web"));
    kill(supervisor, "STOP");
    for _ in 0..400 {
        tree.order(api::Verb::Pause, &["web"]);
        tree.order(api::Verb::Continue, &["web"]);
    }
    tree.order(api::Verb::Restart, &["web"]);
    kill(supervisor, "CONT");
    let second = tree.await_status("web", "another run", |status| status.pid.is_some_and(|pid| pid != first));
    assert_eq!(tree.supervisor("web"), Some(supervisor));
    assert!(!second.paused && !is_alive(first));
    // And nothing is left that would be told later.
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!tree.log().contains("svc-scan: web:"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_end_reaches_a_supervisor_that_is_killed() {
    let mut tree = Tree::new();
    tree.service("web").run("trap 'echo by its own signal; exit 0' TERM; sleep 1000 & wait");
    tree.start();
    let pid = tree.await_up("web");
    until("its trap", || svc_testkit::descendants(pid).into_iter().next());
    let supervisor = until("its supervisor", || tree.supervisor("web"));
    kill(supervisor, "KILL");
    tree.signal("TERM");
    assert_eq!(tree.wait(), 0);
    assert!(tree.log().contains("by its own signal"), "{}", tree.log());
}

#[test]
fn a_removed_service_goes_though_its_supervisor_is_killed() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let supervisor = until("its supervisor", || tree.supervisor("web"));
    kill(supervisor, "STOP");
    std::fs::remove_dir_all(tree.services().join("web")).expect("removed");
    std::thread::sleep(Duration::from_millis(200));
    kill(supervisor, "KILL");
    wait_gone(pid);
    until("it to be forgotten", || tree.status("web").is_none().then_some(()));
    assert_eq!(tree.stop(), 0);
}

/// The main program is started by a word of svc-scan's, which may be killed before it says it.
#[test]
fn the_main_program_starts_once_whoever_is_killed_at_the_start() {
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let started = tree.path("started");
    let body = format!("echo started >> {}; exec sleep 1000", started.display());
    tree.command(&["sh", "-c", &body]);
    for round in 1..=25 {
        tree.launch();
        let init = tree.svc_init();
        let victims = if round % 2 == 0 { "svc-scan" } else { "svc-s" };
        until("somebody to kill", || tree.daemons().into_iter().any(|daemon| daemon.name == "svc-scan").then_some(()));
        std::thread::sleep(Duration::from_micros(chance.below(30_000)));
        for daemon in tree.daemons().iter().filter(|daemon| daemon.name.starts_with(victims)) {
            kill(daemon.pid, "KILL");
        }
        tree.await_control();
        let pid = tree.await_up("CMD");
        until("its first words", || (lines(&started).len() >= round).then_some(()));
        assert!(is_alive(pid) && is_alive(init));
        assert_eq!(tree.stop(), 128 + 15, "{}", tree.log());
        assert_eq!(lines(&started).len(), round, "started once");
    }
}

/// Its end is the end, though nobody was there to be told of it.
#[test]
fn the_main_program_ends_while_svc_scan_is_dead() {
    for missing in [false, true] {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.command(&["sh", "-c", "trap 'exit 9' USR1; sleep 1000 & wait"]).start();
        let pid = tree.await_up("CMD");
        until("its trap", || svc_testkit::descendants(pid).into_iter().next());
        // Killed again and again, the next one comes a little later.
        for _ in 0..3 {
            let scan = tree.process("svc-scan");
            kill(scan, "KILL");
            wait_gone(scan);
        }
        if missing {
            // Nor its supervisor.
            kill(until("its supervisor", || tree.supervisor("CMD")), "KILL");
        }
        kill(pid, "USR1");
        assert_eq!(tree.wait(), 9, "{}", tree.log());
    }
}
