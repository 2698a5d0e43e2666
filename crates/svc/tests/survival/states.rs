//! SIGKILL to a supervisor, whatever its service is doing: the next one goes on exactly there.

use std::time::{Duration, Instant};

use svc_testkit::{
    Chance, EventKind, State, Tree, api, fifo, has_program, is_alive, kill, needs, processes, release, until, wait_gone,
};

use crate::common::{alone, assert_alone, lines, starts, status};

#[test]
fn killed_while_it_starts_a_service() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    let names: Vec<String> = (0..30).map(|n| format!("s{n}")).collect();
    for name in &names {
        tree.service(name).executable("run", &(alone(&tree, name) + "sleep(1) while 1;\n")).file("down", "");
    }
    tree.start();
    until("all supervisors", || (tree.daemons().len() == names.len() + 2).then_some(()));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for round in 1..=4 {
        let mut victims: Vec<i32> = names.iter().filter_map(|name| tree.supervisor(name)).collect();
        tree.order(api::Verb::Start, &all);
        // They start one after the other, so everybody is met at another point on the way.
        while !victims.is_empty() {
            let index = chance.below(victims.len() as u64) as usize;
            kill(victims.swap_remove(index), "KILL");
            std::thread::sleep(Duration::from_micros(chance.below(600)));
        }
        for name in &names {
            // Told before it was killed, or never told: then it is down still.
            tree.await_status(name, "settled", |status| status.supervisor_pid.is_some());
            let state = status(&tree, name);
            if !state.wanted_up {
                tree.order(api::Verb::Start, &[name]);
            }
            let pid = tree.await_up(name);
            until("its program", || (starts(&tree, name).len() >= round).then_some(()));
            assert!(is_alive(pid), "{name}");
        }
        assert_alone(&tree);
        tree.ctl_ok(&[&["stop"], &all[..]].concat());
        until("supervisors again", || (tree.daemons().len() == names.len() + 2).then_some(()));
    }
    for name in &names {
        assert_eq!(starts(&tree, name).len(), 4, "{name}: started once for each start");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_before_its_service_is_ready() {
    let mut tree = Tree::new();
    let go = tree.path("go");
    fifo(&go);
    tree.service("web").file("notification-fd", "3\n").run(&format!("read x < {}; echo >&3; exec sleep 1000", go.display()));
    tree.start();
    let pid = tree.await_up("web");
    tree.kill_supervisor("web");
    tree.kill_supervisor("web");
    assert_eq!(status(&tree, "web").ready, Some(false));
    release(&go);
    let status = tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
    tree.kill_supervisor("web");
    let status = tree.await_status("web", "still ready", |status| status.ready == Some(true));
    assert_eq!(status.pid, Some(pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_while_its_service_is_paused() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let state = || processes().into_iter().find(|process| process.pid == pid).map(|process| process.state);
    tree.ctl_ok(&["pause", "web"]);
    until("a stop", || (state() == Some('T')).then_some(()));
    tree.kill_supervisor("web");
    let status = tree.await_status("web", "paused", |status| status.paused);
    assert_eq!((status.pid, state()), (Some(pid), Some('T')));
    tree.ctl_ok(&["continue", "web"]);
    until("going on", || (state() == Some('S')).then_some(()));
    tree.kill_supervisor("web");
    tree.ctl_ok(&["pause", "web"]);
    tree.kill_supervisor("web");
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_while_it_stops_a_service_that_does_not_want_to() {
    let mut tree = Tree::new();
    let service = tree.service("web");
    service.file("timeout-kill", "2000\n").run("trap '' TERM; while :; do sleep 1000; done");
    tree.start();
    let pid = tree.await_up("web");
    until("its trap", || svc_testkit::descendants(pid).into_iter().next());
    let begin = Instant::now();
    tree.order(api::Verb::Stop, &["web"]);
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    tree.kill_supervisor("web");
    // The next one may come when the time is over.
    assert!(is_alive(pid) || begin.elapsed() >= Duration::from_secs(2));
    wait_gone(pid);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2), "killed after {took:?}");
    let status = tree.await_status("web", "down", |status| status.state == State::Down);
    assert_eq!(status.last_exit.and_then(|death| death.signal).as_deref(), Some("KILL"));
    assert_eq!(tree.stop(), 0);
}

/// Waits for `finish` to run, and returns its pid.
#[track_caller]
fn running_finish(tree: &Tree) -> i32 {
    let wanted = |status: &api::Status| status.state == State::Finishing && status.pid.is_some();
    tree.await_status("web", "finishing", wanted).pid.expect("just asked for")
}

#[test]
fn killed_while_finish_runs_which_then_says_never_again() {
    let mut tree = Tree::new();
    let go = tree.path("go");
    fifo(&go);
    let service = tree.service("web");
    service.file("timeout-finish", "0\n").run("exit 3");
    service.finish(&format!(
        "echo finish $1 $2 $3 >> {}/finished; read x < {}; exit 125",
        tree.root().display(),
        go.display()
    ));
    tree.start();
    let finish = running_finish(&tree);
    tree.kill_supervisor("web");
    let now = tree.await_status("web", "still finishing", |status| status.supervisor_pid.is_some());
    assert_eq!((now.state, now.pid), (State::Finishing, Some(finish)));
    release(&go);
    let status = tree.await_status("web", "failed", |status| status.state == State::Failed);
    assert_eq!(status.last_exit.and_then(|death| death.code), Some(3));
    assert_eq!(lines(&tree.path("finished")), ["finish 3 0 web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_while_finish_hangs_which_is_killed_on_time() {
    let mut tree = Tree::new();
    let service = tree.service("web");
    service.file("timeout-finish", "2000\n").run("exec sleep 1000").finish("trap '' TERM; while :; do sleep 1000; done");
    tree.start();
    let pid = tree.await_up("web");
    let begin = Instant::now();
    tree.order(api::Verb::Stop, &["web"]);
    let finish = running_finish(&tree);
    assert_ne!(finish, pid);
    tree.kill_supervisor("web");
    wait_gone(finish);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2), "killed after {took:?}");
    tree.await_status("web", "down", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_while_its_service_waits_for_the_next_start() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").executable("run", &(alone(&tree, "web") + "exit 1;\n"));
    tree.start();
    for _ in 0..3 {
        tree.await_status("web", "waiting", |status| status.state == State::Waiting && status.supervisor_pid.is_some());
        let before = status(&tree, "web").restarts;
        tree.kill_supervisor("web");
        tree.await_status("web", "another start", |status| status.restarts > before);
    }
    tree.await_status("web", "more starts", |status| status.restarts >= 6);
    assert_alone(&tree);
    let starts = starts(&tree, "web");
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] > 0.9, "the delay between starts holds: {starts:?}");
    }
    assert!(starts.len() as u64 <= status(&tree, "web").restarts + 1, "{starts:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_while_it_waits_for_what_its_service_left_behind() {
    let mut tree = Tree::new();
    let service = tree.service("web");
    let left = tree.path("left");
    // A daemon in a session of its own, which does not want to end.
    let daemon = format!("trap \"\" TERM; echo $$ > {}; while :; do sleep 1000; done", left.display());
    service.file("timeout-kill", "2500\n").run(&format!("setsid sh -c '{daemon}' & exec sleep 1000"));
    tree.start();
    tree.await_up("web");
    let daemon: i32 = until("the daemon", || lines(&left).first()?.parse().ok());
    let begin = Instant::now();
    tree.order(api::Verb::Stop, &["web"]);
    tree.await_status("web", "draining", |status| status.state == State::Draining);
    tree.kill_supervisor("web");
    let state = status(&tree, "web").state;
    assert!(state == State::Draining || begin.elapsed() >= Duration::from_millis(2500), "{state:?}");
    wait_gone(daemon);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(2500), "killed after {took:?}");
    tree.await_status("web", "down", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

/// Kills its supervisor and the one after it, which comes back a second later; until then there is none.
fn orphan(tree: &Tree, name: &str) {
    tree.kill_supervisor(name);
    let young = until("its supervisor", || tree.supervisor(name));
    kill(young, "KILL");
    wait_gone(young);
}

#[test]
fn how_a_service_ended_is_known_though_no_supervisor_lived() {
    let mut tree = Tree::new();
    for name in ["code", "signal", "finish"] {
        tree.service(name).run("trap 'exit 7' USR2; sleep 1000 & wait");
    }
    let finished = tree.path("finished");
    tree.service("finish").finish(&format!("echo $1 $2 $3 >> {}", finished.display()));
    tree.start();
    for (name, signal, code) in [("code", "USR2", Some(7)), ("signal", "USR1", None), ("finish", "USR2", Some(7))] {
        let pid = tree.await_up(name);
        // Long enough for the shell to have its trap.
        until("its child", || svc_testkit::descendants(pid).into_iter().next());
        orphan(&tree, name);
        kill(pid, signal);
        wait_gone(pid);
        let again = tree.await_status(name, "the next start", |status| status.restarts == 1 && status.pid.is_some());
        assert_ne!(again.pid, Some(pid));
        let deaths = tree.detail(name).expect("there").deaths;
        let death = deaths.last().expect("it died");
        assert_eq!((death.code, death.signal.as_deref()), (code, code.is_none().then_some("USR1")), "{name}");
        let why = tree.ctl_ok(&["why", name]);
        assert!(why.contains(code.map_or("SIGUSR1", |_| "7")), "{why}");
    }
    assert_eq!(lines(&finished), ["7 0 finish"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn events_tell_of_an_adopted_service_as_of_any_other() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").file("down", "");
    tree.start();
    until("its supervisor", || tree.supervisor("web"));
    tree.ctl_ok(&["start", "web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    tree.kill_supervisor("web");
    let pid = tree.await_up("web");
    kill(pid, "TERM");
    let events = tree.expect("web", &[EventKind::Exited, EventKind::Down, EventKind::Starting, EventKind::Up]);
    assert_eq!(events[0].exit.as_ref().and_then(|death| death.signal.as_deref()), Some("TERM"));
    assert_eq!(tree.stop(), 0);
}
