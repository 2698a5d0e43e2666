//! "Stopped" means gone: what a service leaves behind ends with it (promise 4).

use std::time::{Duration, Instant};

use svc_testkit::{EventKind, State, Tree, descendants, is_alive, kill, needs, until, wait_idle};

use crate::support::{kinds_to, skip_to, tree_with};

/// Leaves a daemon behind that nobody would find by process group or session: forked twice, in a session of its own.
fn leaving(what: &str) -> String {
    format!("(setsid {what} & echo $! >> left) & wait; echo up >> seen; exec sleep 1000")
}

#[track_caller]
fn left(tree: &Tree, service: &str) -> Vec<i32> {
    let lines = tree.lines(&format!("{service}/left"));
    lines.iter().map(|line| line.parse().expect("a pid")).collect()
}

#[test]
fn a_daemon_that_forked_twice_ends_with_its_service() {
    let mut tree = tree_with("web", |service| {
        service.run(&leaving("sleep 1000"));
    });
    tree.await_lines("web/seen", 1);
    let daemon = left(&tree, "web")[0];
    let supervisor = tree.status("web").and_then(|status| status.supervisor_pid).expect("it has one");
    assert!(descendants(supervisor).iter().any(|process| process.pid == daemon), "it is followed");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!is_alive(daemon), "gone when the stop is done, not some time after");
    skip_to(&mut tree, "web", EventKind::Down);
    assert!(descendants(supervisor).is_empty());
}

#[test]
fn after_a_crash_the_next_run_starts_when_nothing_of_the_last_is_left() {
    let mut tree = tree_with("web", |service| {
        service.run(
            "for pid in $(cat left 2>/dev/null); do kill -0 $pid && echo alive >> overlap; done\n\
                     setsid sleep 1000 & echo $! >> left; echo up >> seen; exec sleep 1000",
        );
    });
    for round in 1..=5 {
        tree.await_lines("web/seen", round);
        kill(tree.await_up("web"), "KILL");
        skip_to(&mut tree, "web", EventKind::Down);
        let alive: Vec<i32> = left(&tree, "web")[..round].iter().copied().filter(|&pid| is_alive(pid)).collect();
        assert!(alive.is_empty(), "{alive:?}");
    }
    tree.await_lines("web/seen", 6);
    assert_eq!(tree.lines("web/overlap"), [""; 0]);
}

/// The dead are not handed over before their tracer has heard of it, and this one never asks.
#[test]
fn one_that_is_traced_by_its_own_stops_all_the_same() {
    if !needs("root and python3", svc_testkit::is_root() && svc_testkit::has_program("python3")) {
        return;
    }
    let tracer = "import ctypes, os, signal, time
main = os.getpid()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    seized = ctypes.CDLL(None).ptrace(0x4206, main, None, None)
    open('seen', 'w').write('seized\\n' if seized == 0 else 'refused\\n')
    while True: time.sleep(1000)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True: time.sleep(1000)
";
    let mut tree = tree_with("web", |service| {
        service.file("tracer", tracer).file("timeout-kill", "100").run("exec python3 tracer");
    });
    assert_eq!(tree.await_lines("web/seen", 1), ["seized"]);
    let pid = tree.await_up("web");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!is_alive(pid));
    assert!(tree.log().contains("web: its main process is dead, and who traces it"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_does_not_stop_is_shown_until_it_ends() {
    let mut tree = tree_with("web", |service| {
        // Longer than anybody waits.
        service.run(&leaving("env --ignore-signal=TERM sleep 1000")).file("timeout-kill", "3600000");
    });
    tree.await_lines("web/seen", 1);
    let daemon = left(&tree, "web")[0];
    await_name(daemon, "sleep");
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.expect("web", &[EventKind::Stopping, EventKind::Exited, EventKind::Draining]);
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.pid), (State::Draining, None));
    kill(daemon, "KILL");
    tree.expect("web", &[EventKind::Down]);
}

#[test]
fn what_does_not_stop_is_killed_after_timeout_kill() {
    let mut tree = tree_with("web", |service| {
        service.run(&leaving("env --ignore-signal=TERM sleep 1000")).file("timeout-kill", "500");
    });
    tree.await_lines("web/seen", 1);
    let daemon = left(&tree, "web")[0];
    await_name(daemon, "sleep");
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    let begin = Instant::now();
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.expect("web", &[EventKind::Stopping, EventKind::Exited, EventKind::Draining, EventKind::Down]);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(!is_alive(daemon));
    assert!(tree.log().contains("web: what it left behind did not stop in time: killed"), "{}", tree.log());
}

#[track_caller]
fn await_name(pid: i32, name: &str) {
    until(&format!("{pid} to be {name}"), || {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (comm.trim_end() == name).then_some(())
    });
}

#[test]
fn what_is_left_has_five_seconds_unless_told() {
    let mut tree = tree_with("web", |service| {
        service.run(&leaving("env --ignore-signal=TERM sleep 1000"));
    });
    tree.await_lines("web/seen", 1);
    await_name(left(&tree, "web")[0], "sleep");
    let begin = Instant::now();
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}");
    skip_to(&mut tree, "web", EventKind::Down);
}

#[test]
fn a_stopped_leftover_is_woken_to_die() {
    let tree = tree_with("web", |service| {
        service.run("setsid sh -c 'kill -STOP $$; exit' & echo $! >> left; exec sleep 1000");
    });
    tree.await_lines("web/left", 1);
    let daemon = left(&tree, "web")[0];
    until("it to be stopped", || crate::support::status_field(daemon, "State").starts_with('T').then_some(()));
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!is_alive(daemon));
}

#[test]
fn leftovers_of_finish_end_too() {
    let mut tree = tree_with("web", |service| {
        service.run("exec sleep 1000").finish("setsid sleep 1000 & echo $! >> left");
    });
    tree.await_up("web");
    tree.ctl_ok(&["stop", "web"]);
    let kinds = kinds_to(&mut tree, "web", EventKind::Down);
    assert!(kinds.contains(&EventKind::Finishing), "{kinds:?}");
    assert!(!is_alive(left(&tree, "web")[0]));
}

/// Three chains of processes of which each makes the next and ends: no list of them is ever true. TERM does not stop them, and
/// after a minute they end by themselves, so that a test that is killed leaves no storm on the machine.
fn storm() -> String {
    let chain = "$SIG{TERM} = \"IGNORE\"; $SIG{CHLD} = \"IGNORE\"; while (time < $^T + 60) { fork and exit }";
    format!("for n in 1 2 3; do setsid perl -e '{chain}' & done; echo up >> seen; exec sleep 1000")
}

fn chains(below: i32) -> usize {
    descendants(below).iter().filter(|process| process.name == "perl").count()
}

#[test]
fn a_storm_of_forks_ends_as_well() {
    if !needs("perl", svc_testkit::has_program("perl")) {
        return;
    }
    let mut tree = tree_with("web", |service| {
        service.run(&storm()).file("timeout-kill", "300");
    });
    tree.await_lines("web/seen", 1);
    let supervisor = tree.status("web").and_then(|status| status.supervisor_pid).expect("it has one");
    until("three chains", || (chains(supervisor) >= 3).then_some(()));
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert_eq!(chains(supervisor), 0);
    skip_to(&mut tree, "web", EventKind::Down);
}

#[test]
fn a_storm_of_forks_ends_with_svc() {
    if !needs("perl", svc_testkit::has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let marker = format!("svc-storm-{}", std::process::id());
    let body = storm().replace("while", &format!("$0 = \"{marker}\"; while"));
    tree.service("web").run(&body).file("keep-descendants", "");
    tree.set("SVC_STOP_TIMEOUT", "3").start();
    tree.await_lines("web/seen", 1);
    let marked = || {
        let all = svc_testkit::processes();
        all.into_iter().filter(|process| process.title().starts_with(&marker)).count()
    };
    until("three chains", || (marked() >= 3).then_some(()));
    assert_eq!(tree.stop(), 0);
    assert_eq!(marked(), 0, "none of them is left to whoever started svc");
}

#[test]
fn keep_descendants_leaves_them_alone() {
    let mut tree = tree_with("web", |service| {
        service.run(&leaving("sleep 1000")).file("keep-descendants", "");
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    tree.await_lines("web/seen", 1);
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    tree.expect("web", &[EventKind::Stopping, EventKind::Exited, EventKind::Down]);
    tree.ctl_ok(&["start", "web"]);
    tree.await_lines("web/seen", 2);
    let daemons = left(&tree, "web");
    assert!(daemons.iter().all(|&pid| is_alive(pid)), "{daemons:?}");
    // The file counts as it is when the service ends: now both go.
    tree.service("web").remove("keep-descendants");
    tree.ctl_ok(&["stop", "--timeout", "120", "web"]);
    assert!(!daemons.iter().any(|&pid| is_alive(pid)), "{daemons:?}");
}

#[test]
fn the_end_of_svc_spares_no_descendant() {
    let mut tree = tree_with("web", |service| {
        service.run(&leaving("sleep 1000")).file("keep-descendants", "");
    });
    tree.await_lines("web/seen", 1);
    let daemon = left(&tree, "web")[0];
    assert_eq!(tree.stop(), 0);
    assert!(!is_alive(daemon), "svc is the container: nobody would be left to reap it");
}

// 4
#[test]
fn ten_thousand_orphans_leave_no_zombie() {
    if !needs("perl", svc_testkit::has_program("perl")) {
        return;
    }
    let tree = tree_with("web", |service| {
        // The child is waited for, the grandchild is an orphan by then, and the supervisor's to reap.
        let breed = "for (1..1000) { my $c = fork // die; if (!$c) { fork // die; exit } waitpid $c, 0 }";
        service.run(&format!("for n in 0 1 2 3 4 5 6 7 8 9; do perl -e '{breed}'; echo $? >> seen; done; exec sleep 1000"));
    });
    let supervisor = tree.await_status("web", "supervised", |status| status.supervisor_pid.is_some()).supervisor_pid;
    let supervisor = supervisor.expect("it has one");
    for thousand in 1..=10 {
        assert_eq!(tree.await_lines("web/seen", thousand)[thousand - 1], "0");
    }
    let init = tree.init_pid();
    let zombies = || descendants(init).iter().filter(|process| process.is_zombie()).count();
    until("the last zombie to go", || (zombies() == 0).then_some(()));
    wait_idle(supervisor, Duration::from_millis(500));
    // An orphan that the machine had no time for lives still.
    until("the last orphan to go", || (descendants(supervisor).len() == 1).then_some(()));
}
