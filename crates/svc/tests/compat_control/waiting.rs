//! s6-svwait, s6-svlisten1, s6-svlisten, and s6-svc -w.

use std::time::{Duration, Instant};

use svc_testkit::{is_alive, kill};

use crate::scan::{Scan, has_s6, names, ok, ours};

#[test]
fn states_that_are_there_need_no_waiting() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.service("down").file("down", "");
    scan.start(&["web", "down"]);
    let (web, down) = (scan.path("web"), scan.path("down"));
    scan.pid("web");
    ok("s6-svwait", &["-u", &web]);
    ok("s6-svwait", &["-d", &down]);
    ok("s6-svwait", &["-D", &down]);
    ok("s6-svwait", &["-o", "-u", &down, &web]);
    ok("s6-svwait", &[]);
    assert_eq!(names(&scan.dir().join("web/event")), Vec::<String>::new(), "listeners clean up");
}

#[test]
fn the_time_is_over_with_99() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    scan.pid("web");
    let begin = Instant::now();
    assert_eq!(ours("s6-svwait", &["-d", "-t", "300", &web]).code, 99);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(ours("s6-svwait", &["-a", "-d", "-t", "100", &web]).code, 99);
    assert_eq!(ours("s6-svwait", &["-r", "-t", "100", &web]).code, 99, "it was never down");
    assert_eq!(ours("s6-svwait", &["-U", "-t", "100", &web]).code, 99, "it says nothing of being ready");
    assert_eq!(ours("s6-svc", &["-wd", "-u", "-T", "100", &web]).code, 99);
    assert_eq!(ours("s6-svlisten1", &["-d", "-t", "100", &web, "true"]).code, 99);
    assert_eq!(names(&scan.dir().join("web/event")), Vec::<String>::new());
}

#[test]
fn what_was_never_supervised_is_111() {
    if !has_s6() {
        return;
    }
    let scan = Scan::new();
    scan.service("web");
    let said = ours("s6-svwait", &["-u", "-t", "1000", &scan.path("web")]);
    assert_eq!(said.code, 111);
    assert!(said.err.contains("unable to read the status of"), "{said:?}");
}

#[test]
fn s6_svc_waits_for_each_kind_of_state() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    let run = "while [ ! -e go ]; do sleep 0.01; done; echo >&3; exec sleep 1000";
    let web = scan.service("web");
    web.file("notification-fd", "3\n").file("go", "").run(run).finish("sleep 0.2");
    scan.service("plain");
    scan.start(&["web", "plain"]);
    let (web, plain) = (scan.path("web"), scan.path("plain"));
    let fields = |dir: &str| ok("s6-svstat", &["-o", "up,ready", dir]);
    ok("s6-svc", &["-wU", "-u", &web]);
    assert_eq!(fields(&web), "true true\n");
    ok("s6-svc", &["-wd", "-d", &web]);
    assert_eq!(fields(&web), "false false\n");
    ok("s6-svc", &["-wD", "-d", &web]);
    assert!(ok("s6-svstat", &[&web]).contains(", ready "), "its finish is done");
    let go = scan.dir().join("web/go");
    std::fs::remove_file(&go).expect("ours");
    ok("s6-svc", &["-wu", "-u", &web]);
    assert_eq!(fields(&web), "true false\n");
    std::fs::write(&go, "").expect("ours");
    let before = [scan.pid("web"), scan.pid("plain")];
    let said = ours("s6-svc", &["-wR", "-r", &web, &plain]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("plain without readiness") || said.err.contains("waited for without readiness"), "{said:?}");
    assert_eq!(fields(&web), "true true\n");
    assert!(before.iter().all(|&pid| !is_alive(pid)));
    ok("s6-svc", &["-wD", "-d", "-T", "120000", &plain]);
    assert_eq!(fields(&plain), "false false\n");
}

#[test]
fn a_permanent_failure_ends_the_waiting() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    for name in ["bad", "worse"] {
        scan.service(name).file("down", "").file("notification-fd", "3\n").run("exit 1").finish("exit 125");
    }
    scan.service("good").file("down", "");
    scan.start(&["bad", "worse", "good"]);
    let [bad, worse, good] = ["bad", "worse", "good"].map(|name| scan.path(name));
    let said = ours("s6-svc", &["-wU", "-u", "-T", "120000", &bad]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("has failed for good"), "{said:?}");
    let said = ours("s6-svlisten", &["-U", "-t", "120000", &bad, &worse, "", "s6-nothing"]);
    assert_eq!(said.code, 111, "a program that is not there is said at once: {said:?}");
    assert_eq!(ours("s6-svc", &["-wU", "-u", "-T", "120000", &bad, &worse]).code, 2);
    assert_eq!(ours("s6-svc", &["-wu", "-u", "-T", "120000", &good]).code, 0);
}

#[test]
fn a_supervisor_that_goes_ends_the_waiting() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.service("other");
    scan.start(&["web", "other"]);
    let (web, other) = (scan.path("web"), scan.path("other"));
    let service = scan.pid("web");
    scan.pid("other");
    let supervisor = scan.supervisor("web");
    // Killed: it says nothing any more, and its service lives on.
    let said = ours("s6-svlisten1", &["-D", "-t", "120000", &web, "kill", "-9", &supervisor.to_string()]);
    assert_eq!(said.code, 102, "{said:?}");
    assert!(said.err.contains("has lost its supervisor"), "{said:?}");
    kill(service, "KILL");
    // In order, with the service up.
    let supervisor = scan.supervisor("other");
    let pid = scan.pid("other");
    let said = ours("s6-svlisten1", &["-D", "-t", "120000", &other, "kill", "-QUIT", &supervisor.to_string()]);
    assert_eq!(said.code, 102, "{said:?}");
    kill(pid, "KILL");
}

#[test]
fn listening_begins_before_the_program() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.service("two");
    scan.start(&["web", "two"]);
    let (web, two) = (scan.path("web"), scan.path("two"));
    let program = svc_testkit::program().to_string_lossy().into_owned();
    let before = scan.pid("web");
    ok("s6-svlisten1", &["-r", "-t", "120000", &web, &program, "s6-svc", "-r", &web]);
    assert_ne!(scan.pid("web"), before);
    scan.pid("two");
    // As execlineb writes a block, and as people do.
    let quoted = format!(" {two}");
    ok("s6-svlisten", &["-d", "-t", "120000", &web, &quoted, "", &program, "s6-svc", "-d", &web, &two]);
    ok("s6-svlisten", &["-u", "-o", "-t", "120000", &web, &two, "", &program, "s6-svc", "-u", &two]);
    assert_eq!(ok("s6-svlisten", &["", "echo", "nothing to wait for"]), "nothing to wait for\n");
    assert_eq!(ours("s6-svlisten", &[&web, "echo"]).code, 100);
    assert_eq!(ours("s6-svlisten1", &[&web]).code, 100);
}

#[test]
fn no_change_is_missed_however_fast_it_comes() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    scan.pid("web");
    for round in 0..25 {
        for (wait, letter) in [("-wD", "-d"), ("-wu", "-u"), ("-wd", "-dk"), ("-wu", "-u")] {
            let said = ours("s6-svc", &[wait, letter, "-T", "120000", &web]);
            assert_eq!(said.code, 0, "{round} {wait} {said:?}");
        }
    }
    assert_eq!(ok("s6-svdt", &[&web]).lines().count(), 50, "each of them was one life");
}
