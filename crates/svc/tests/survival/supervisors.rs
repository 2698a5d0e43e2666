//! SIGKILL to supervisors with others at the same time.

use std::process::Command;
use std::time::{Duration, Instant};

use svc_testkit::{Said, State, Tree, born, has_program, is_alive, kill, needs, program, since_boot, until, wait_gone};

use crate::common::{alone, assert_alone, starts, status};

#[test]
fn a_supervisor_and_its_service_killed_at_once() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").executable("run", &(alone(&tree, "web") + "sleep(1) while 1;\n"));
    tree.start();
    for round in 0..6 {
        let pid = tree.await_status("web", "up", |status| status.state == State::Up && status.restarts == round).pid;
        let pid = pid.expect("it is up");
        until("its program", || (starts(&tree, "web").len() as u64 > round).then_some(()));
        let supervisor = until("its supervisor", || tree.supervisor("web"));
        let both = if round % 2 == 0 { [supervisor, pid] } else { [pid, supervisor] };
        for pid in both {
            kill(pid, "KILL");
        }
        let again = tree.await_status("web", "up again", |status| status.state == State::Up && status.pid != Some(pid));
        let death = again.last_exit.expect("it died");
        assert_eq!(death.signal.as_deref(), Some("KILL"), "round {round}");
    }
    assert_alone(&tree);
    assert_eq!(tree.stop(), 0);
}

/// Told to leave when its service has ended, and then at once: what it leaves alone is found by the next one, which goes on with the
/// stop. It is no service of which nothing is left.
#[test]
fn a_supervisor_that_leaves_at_once_while_it_was_leaving() {
    let mut tree = Tree::new();
    tree.service("web").run("trap '' TERM; echo up >>seen; while :; do sleep 1000; done").file("timeout-kill", "0\n");
    tree.start();
    for (round, first) in ["HUP", "TERM", "x"].into_iter().enumerate() {
        let pid = tree.await_up("web");
        tree.await_lines("web/seen", round + 1);
        let supervisor = tree.process("svc-supervise web");
        match first {
            "x" => {
                let said = Said::by(Command::new(program()).args(["s6-svc", "-x"]).arg(tree.services().join("web")));
                assert_eq!(said.code, 0, "{said:?}");
            }
            signal => kill(supervisor, signal),
        }
        if first != "HUP" {
            tree.await_status("web", "that it is told to stop", |status| !status.wanted_up);
        }
        kill(supervisor, "QUIT");
        let status = tree.await_status("web", "another supervisor", |status| {
            status.supervisor_pid.is_some_and(|pid| pid != supervisor) && status.pid.is_some()
        });
        assert_eq!((status.pid, status.restarts), (Some(pid), 0), "{first}\n{}", tree.log());
        assert_eq!(tree.lines("web/seen").len(), round + 1, "{first}");
        kill(pid, "KILL");
        tree.await_status("web", "the next one", |status| status.pid.is_some_and(|next| next != pid));
    }
    // Only then there is no other one, which would be as deaf.
    tree.await_lines("web/seen", 4);
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    kill(tree.await_running("web"), "KILL");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn all_supervisors_killed_at_once() {
    let mut tree = Tree::new();
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for name in &names {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    let pids: Vec<i32> = names.iter().map(|name| tree.await_up(name)).collect();
    let daemons = tree.daemons();
    for daemon in daemons.iter().filter(|daemon| daemon.name == "svc-supervise") {
        kill(daemon.pid, "KILL");
    }
    for (name, &pid) in names.iter().zip(&pids) {
        let old = daemons.iter().find(|daemon| daemon.title().ends_with(&format!(" {name}"))).map(|daemon| daemon.pid);
        let status = tree.await_status(name, "a new supervisor", |status| {
            status.supervisor_pid.is_some() && status.supervisor_pid != old && status.pid.is_some()
        });
        assert_eq!((status.pid, status.state, status.restarts), (Some(pid), State::Up, 0), "{name}");
    }
    tree.ctl_ok(&["restart", "s1", "s2"]);
    assert!(!is_alive(pids[1]) && is_alive(pids[0]));
    assert_eq!(tree.stop(), 0);
    assert!(pids.iter().all(|&pid| !is_alive(pid)));
}

#[test]
fn svc_scan_and_a_supervisor_killed_at_once() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    for round in 0..6 {
        let (scan, supervisor) = (tree.process("svc-scan"), tree.process("svc-supervise web"));
        let both = if round % 2 == 0 { [supervisor, scan] } else { [scan, supervisor] };
        for pid in both {
            kill(pid, "KILL");
        }
        let status = tree.await_status("web", "a new supervisor", |status| {
            status.pid.is_some() && status.supervisor_pid.is_some_and(|pid| pid != supervisor)
        });
        assert_eq!((status.pid, status.restarts), (Some(pid), 0), "round {round}");
    }
    // A stop that nobody could be told meanwhile would be the same.
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn everybody_but_svc_init_killed_at_once() {
    let mut tree = Tree::new();
    for name in ["a", "b", "b/log", "c"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    let pids = ["a", "b", "b/log", "c"].map(|name| (name, tree.await_up(name)));
    for _ in 0..3 {
        tree.daemons().iter().for_each(|daemon| kill(daemon.pid, "KILL"));
        until("everybody again", || (tree.daemons().len() == 6).then_some(()));
        for (name, pid) in pids {
            let status = tree.await_status(name, "up", |status| status.pid.is_some() && status.supervisor_pid.is_some());
            assert_eq!((status.pid, status.restarts), (Some(pid), 0), "{name}");
        }
    }
    assert_eq!(tree.stop(), 0);
}

/// Promise 8: back within a second, at most once a second, and never a second copy of the service.
#[test]
fn promise_8_a_supervisor_killed_in_a_loop_comes_back_once_a_second() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let begin = Instant::now();
    let (mut killed, mut slowest) = (0, Duration::ZERO);
    let mut supervisor = until("a supervisor", || tree.supervisor("web"));
    while begin.elapsed() < Duration::from_secs(5) {
        let seen = since_boot();
        kill(supervisor, "KILL");
        wait_gone(supervisor);
        let next = until("the next supervisor", || tree.supervisor("web").filter(|&pid| pid != supervisor));
        slowest = slowest.max(born(next).unwrap_or_default().saturating_sub(seen));
        supervisor = next;
        killed += 1;
    }
    let time = begin.elapsed();
    println!("{killed} supervisors in {time:?}, the slowest was back after {slowest:?}");
    assert!(killed <= time.as_secs() + 2, "{killed} supervisors in {time:?}");
    let status = tree.await_status("web", "a supervisor", |status| status.supervisor_pid.is_some());
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
    assert_eq!(tree.stop(), 0);
}

/// What a service left behind while its supervisor was dead is the next one's to stop: stopped means gone.
#[test]
fn a_daemon_of_an_adopted_service_is_stopped_with_it() {
    let mut tree = Tree::new();
    let left = tree.path("left");
    let daemon = format!("setsid sh -c 'echo $$ > {}; exec sleep 1000' &", left.display());
    tree.service("web").run(&format!("{daemon} exec sleep 1000"));
    tree.start();
    let pid = tree.await_up("web");
    let daemon: i32 = until("the daemon", || std::fs::read_to_string(&left).ok()?.trim().parse().ok());
    tree.kill_supervisor("web");
    assert_eq!(status(&tree, "web").pid, Some(pid));
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(pid) && !is_alive(daemon), "stopped means gone");
    assert_eq!(tree.stop(), 0);
}

/// The same for one that had come to the supervisor before it was killed.
#[test]
fn a_daemon_that_was_its_supervisors_is_stopped_by_the_next_one() {
    let mut tree = Tree::new();
    let left = tree.path("left");
    tree.service("web").run(&format!("setsid sh -c 'sleep 1000 & echo $! > {}'; exec sleep 1000", left.display()));
    tree.start();
    let pid = tree.await_up("web");
    let daemon: i32 = until("the daemon", || std::fs::read_to_string(&left).ok()?.trim().parse().ok());
    for _ in 0..2 {
        tree.kill_supervisor("web");
    }
    assert!(is_alive(daemon), "nobody was told to stop it");
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(pid) && !is_alive(daemon), "stopped means gone");
    assert_eq!(tree.stop(), 0);
}

/// What they leave comes to svc-init at the same time, and is each one's own still.
#[test]
fn two_supervisors_killed_in_one_moment_leave_each_heir_its_own() {
    let mut tree = Tree::new();
    for name in ["one", "two"] {
        tree.service(name).run("(sleep 1000 & echo $! >left)\nexec sleep 1000");
    }
    tree.start();
    let left = ["one", "two"].map(|name| {
        tree.await_up(name);
        tree.await_lines(&format!("{name}/left"), 1)[0].parse::<i32>().expect("a pid")
    });
    let before = ["one", "two"].map(|name| tree.supervisor(name).expect("it has one"));
    // It finds both of them dead when it looks.
    let init = tree.svc_init();
    kill(init, "STOP");
    before.iter().for_each(|&supervisor| kill(supervisor, "KILL"));
    until("both to have ended", || before.iter().all(|&supervisor| !is_alive(supervisor)).then_some(()));
    kill(init, "CONT");
    for (name, supervisor) in ["one", "two"].into_iter().zip(before) {
        tree.await_status(name, "an heir", |status| status.supervisor_pid.is_some_and(|pid| pid != supervisor));
    }
    assert_eq!(left.map(is_alive), [true, true]);
    tree.ctl_ok(&["stop", "one"]);
    assert_eq!(left.map(is_alive), [false, true], "each stop is about its own");
    tree.ctl_ok(&["stop", "two"]);
    assert_eq!(left.map(is_alive), [false, false]);
    assert_eq!(tree.stop(), 0);
}

/// The next supervisor finds that it is to be up, and that its time has come: what was asked meanwhile counts before that.
#[test]
fn one_that_is_stopped_while_it_has_no_supervisor_is_not_started_for_that() {
    let mut tree = Tree::new();
    tree.service("web").run("echo >>started\nexec sleep 1000").file("restart-delay", "1");
    tree.start();
    let pid = tree.await_up("web");
    tree.await_lines("web/started", 1);
    let supervisor = tree.supervisor("web").expect("it has one");
    let init = tree.svc_init();
    kill(init, "STOP");
    for pid in [supervisor, pid] {
        kill(pid, "KILL");
        until("its end", || (!is_alive(pid)).then_some(()));
    }
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    kill(init, "CONT");
    let status = tree.await_status("web", "down with an heir", |status| {
        status.supervisor_pid.is_some_and(|pid| pid != supervisor) && status.state == State::Down
    });
    assert_eq!((status.restarts, status.last_exit.and_then(|exit| exit.signal).as_deref()), (0, Some("KILL")));
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.lines("web/started").len(), 1, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}
