//! What each signal to svc means.

use std::fs;

use svc_testkit::{State, Tree, descendants, is_alive, kill, until, wait_gone};

/// A tree with a service that does not want to stop, and the pid of that.
fn stubborn() -> (Tree, i32) {
    let mut tree = Tree::new();
    tree.service("web").run("trap '' TERM INT; echo armed; while :; do sleep 1000; done");
    tree.set("SVC_STOP_TIMEOUT", "3600").start();
    let pid = tree.await_up("web");
    until("its trap", || tree.log().contains("armed").then_some(()));
    (tree, pid)
}

#[test]
fn a_second_signal_forces() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT"), ("RTMIN+3", "RTMIN+3")] {
        let (mut tree, pid) = stubborn();
        tree.signal(first);
        tree.await_status("web", "stopping", |status| status.state == State::Stopping);
        assert!(is_alive(pid));
        tree.signal(second);
        assert_eq!(tree.wait(), 0, "{first} {second}");
        assert!(!is_alive(pid));
        assert!(tree.log().lines().any(|line| line.contains("web") && line.contains("killed")), "{}", tree.log());
    }
}

#[test]
fn a_request_for_force_forces() {
    let (mut tree, pid) = stubborn();
    tree.post::<svc_testkit::api::Done>("/v1/shutdown", &svc_testkit::api::Shutdown { code: Some(4), force: true });
    assert_eq!(tree.wait(), 4);
    assert!(!is_alive(pid));
}

/// SIGRTMIN+3 is the STOPSIGNAL of images that were made for systemd.
#[test]
fn sigint_and_that_of_systemd_stop_as_sigterm_does() {
    for signal in ["INT", "RTMIN+3"] {
        let mut tree = Tree::new();
        tree.service("web").run("trap 'echo stopped by its own signal; exit 0' TERM; sleep 1000 & wait");
        tree.start();
        let pid = tree.await_up("web");
        until("its trap", || descendants(pid).into_iter().next());
        tree.signal(signal);
        assert_eq!(tree.wait(), 0);
        assert!(tree.log().contains("stopped by its own signal"), "{signal}: {}", tree.log());
    }
}

/// SIGTERM lets a logger read to its end, SIGQUIT ends it.
#[test]
fn sigquit_does_not_wait_for_loggers() {
    for (signal, end) in [("TERM", "end of input"), ("QUIT", "terminated")] {
        let mut tree = Tree::new();
        let out = tree.path("out");
        // Its input ends some time after the signal: who reads to the end sees that, and who is ended has ended before.
        let gate = if signal == "QUIT" { out.clone() } else { tree.root().to_owned() };
        let trap = format!("sleep 0.5; until [ -e {} ]; do sleep 0.01; done; exit 0", gate.display());
        tree.service("web").run(&format!("trap '{trap}' TERM; echo web armed >&2; sleep 1000 & wait"));
        let trap = format!("trap 'echo terminated > {}; exit 0' TERM", out.display());
        let reading = format!("while read -r line; do :; done; echo end of input > {}", out.display());
        tree.service("web/log").run(&format!("{trap}; echo log armed >&2; {reading}"));
        tree.start();
        until("their traps", || {
            let log = tree.log();
            (log.contains("web armed") && log.contains("log armed")).then_some(())
        });
        tree.signal(signal);
        assert_eq!(tree.wait(), 0);
        assert_eq!(fs::read_to_string(&out).expect("written").trim(), end, "{signal}");
    }
}

/// SIGABRT: svc ends at once; what it leaves ends by itself.
#[test]
fn sigabrt_waits_for_nobody() {
    let mut tree = Tree::new();
    let go = tree.path("go");
    let trap = format!("while ! test -e {}; do sleep 0.01; done; exit 0", go.display());
    tree.service("slow").run(&format!("trap '{trap}' TERM; echo armed; sleep 1000 & wait"));
    tree.start();
    let pid = tree.await_up("slow");
    until("its trap", || tree.log().contains("armed").then_some(()));
    let all = descendants(tree.init_pid());
    tree.signal("ABRT");
    assert_eq!(tree.wait(), 0);
    assert!(is_alive(pid), "nobody waited for it");
    fs::write(go, "").expect("ours");
    for process in all {
        wait_gone(process.pid);
    }
}

#[test]
fn sighup_and_sigalrm_look_at_the_directories_again() {
    for signal in ["HUP", "ALRM"] {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.start();
        let pid = tree.await_up("web");
        // A logger that comes late is nothing that svc acts on; looking again, it says so.
        tree.service("web/log").run("exec cat");
        tree.signal(signal);
        tree.await_status("web", "looked at again", |status| {
            status.problem.as_ref().is_some_and(|text| text.contains("log"))
        });
        assert_eq!(tree.await_up("web"), pid);
        assert_eq!(tree.stop(), 0);
    }
}

#[test]
fn signals_without_a_meaning_do_nothing() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let signals = ["USR1", "USR2", "PWR", "WINCH", "PIPE", "URG", "IO", "CONT", "CHLD", "34", "63", "64"];
    for signal in signals.into_iter().chain(["ILL", "TRAP", "FPE", "SYS", "STKFLT", "TSTP", "TTIN", "XCPU", "XFSZ", "PROF"])
    {
        tree.signal(signal);
        tree.list().expect("an answer");
    }
    assert_eq!(tree.await_up("web"), pid);
    assert_eq!(tree.stop(), 0);
}

/// A service that was paused notices that it is to end.
#[test]
fn a_paused_service_stops() {
    let mut tree = Tree::new();
    tree.service("web").run("trap 'echo it noticed; exit 0' TERM; sleep 1000 & wait");
    tree.start();
    let pid = tree.await_up("web");
    until("its trap", || descendants(pid).into_iter().next());
    tree.ctl_ok(&["pause", "web"]);
    assert_eq!(tree.stop(), 0);
    assert!(tree.log().contains("it noticed"), "{}", tree.log());
}

/// Clients who wait when svc ends are told by the end of the connection, not left alone.
#[test]
fn clients_who_wait_are_not_left_alone() {
    let mut tree = Tree::new();
    tree.service("never").file("notification-fd", "3\n").run("exec sleep 1000");
    tree.start();
    tree.await_up("never");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| tree.ctl(&["wait", "--ready", "never"]));
        until("a client", || {
            let own = std::process::id() as i32;
            descendants(own).iter().any(|process| process.command_line.contains("wait --ready never")).then_some(())
        });
        kill(tree.init_pid(), "TERM");
        let output = waiting.join().expect("it ran");
        assert!(!output.status.success());
    });
    assert_eq!(tree.wait(), 0);
}
