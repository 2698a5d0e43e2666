//! s6-svstat, s6-svok, s6-svdt, s6-svperms: the same as Debian's.

use std::fs;

use svc_testkit::{is_root, program, until};

use crate::scan::{Scan, has_s6, ok, ours, theirs};

/// Ours and theirs, asked at the same moment: again if a second went by between.
#[track_caller]
fn same_line(dir: &str, pid: Option<i32>) {
    until("the same line", || {
        let (ours, theirs) = (ok("s6-svstat", &[dir]), theirs("s6-svstat", &[dir]).out);
        // 2.11 has no groups there yet.
        let without = pid.map_or(ours.clone(), |pid| ours.replace(&format!(" pgid {pid}"), ""));
        let digits = |text: &str| text.bytes().filter(|byte| !byte.is_ascii_digit()).collect::<Vec<u8>>();
        assert_eq!(digits(&without), digits(&theirs), "{ours} {theirs}");
        (without == theirs).then_some(())
    });
}

#[test]
fn lines_and_fields_are_those_of_s6() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.service("ready").file("notification-fd", "3\n").run("echo >&3; exec sleep 1000");
    scan.service("ended").file("down", "").run("exit 3");
    scan.start(&["web", "ready", "ended"]);
    ok("s6-svwait", &["-U", &scan.path("ready")]);
    ok("s6-svwait", &["-u", &scan.path("web")]);
    ok("s6-svc", &["-wD", "-o", "-wD", &scan.path("ended")]);
    until("its end", || ok("s6-svstat", &["-e", &scan.path("ended")]).starts_with('3').then_some(()));
    ok("s6-svwait", &["-D", &scan.path("ended")]);
    let fields = "up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownsince,readysince";
    let check = |name: &str, pid: Option<i32>| {
        let dir = scan.path(name);
        same_line(&dir, pid);
        let asked: [&[&str]; 5] = [
            &["-o", fields, &dir],
            &["-uwNrpes", &dir],
            &["-o", "u,wa,pi,exit,sig,sign", &dir],
            &["-p", &dir],
            &["-n", "-o", "signal", &dir],
        ];
        for arguments in asked {
            assert_eq!(ours("s6-svstat", arguments).out, theirs("s6-svstat", arguments).out, "{name} {arguments:?}");
        }
    };
    for name in ["web", "ready"] {
        check(name, Some(scan.pid(name)));
    }
    check("ended", None);
    let pid = scan.pid("web");
    assert_eq!(ok("s6-svstat", &["-o", "pgid,up", &scan.path("web")]), format!("{pid} true\n"));
    ok("s6-svc", &["-wD", "-k", "-d", &scan.path("web")]);
    check("web", None);
    assert!(ok("s6-svstat", &["-n", &scan.path("web")]).starts_with("down (signal 9) "));
    ok("s6-svc", &["-p", &scan.path("ready")]);
    until("a pause", || ok("s6-svstat", &["-o", "paused", &scan.path("ready")]).starts_with("true").then_some(()));
    check("ready", Some(scan.pid("ready")));
}

#[test]
fn what_is_not_supervised_is_said_by_the_code() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.start(&["web"]);
    let nothing = scan.root.join("nothing").to_string_lossy().into_owned();
    let web = scan.path("web");
    for arguments in [&[&*nothing][..], &[&web], &[]] {
        assert_eq!(ours("s6-svok", arguments).code, theirs("s6-svok", arguments).code, "{arguments:?}");
        assert_eq!(ours("s6-svstat", arguments).code, theirs("s6-svstat", arguments).code, "{arguments:?}");
    }
    let said = ours("s6-svstat", &["-o", "colour", &web]);
    assert_eq!(said.code, 100);
    assert!(said.err.contains("colour"), "{said:?}");
}

#[test]
fn deaths_are_listed_and_forgotten() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    assert_eq!(ok("s6-svdt", &[&web]), "");
    let first = scan.pid("web");
    ok("s6-svc", &["-wr", "-r", &web]);
    assert_ne!(scan.pid("web"), first);
    ok("s6-svc", &["-wD", "-k", "-d", &web]);
    for arguments in [&["-s", &*web][..], &["-S", &web], &["-n", "1", &web], &[&web]] {
        let (ours, theirs) = (ok("s6-svdt", arguments), theirs("s6-svdt", arguments).out);
        assert_eq!(ours, theirs);
        assert_eq!(ours.lines().count(), if arguments.len() == 3 { 1 } else { 2 });
    }
    assert!(ok("s6-svdt", &[&web]).ends_with(" signal SIGKILL\n"));
    ok("s6-svdt-clear", &[&web]);
    assert_eq!(theirs("s6-svdt", &[&web]).out, "");
}

#[test]
fn permissions_are_shown_and_changed() {
    if !has_s6() || !is_root() {
        return;
    }
    let (scan, web) = Scan::with_web();
    until("its folders", || fs::metadata(scan.dir().join("web/supervise/control")).is_ok().then_some(()));
    let changes: [&[&str]; 8] =
        [&[], &["-g", "daemon"], &["-G", ":1"], &["-o"], &["-O", "daemon"], &["-u"], &["-e"], &["-E", ":1"]];
    for change in changes {
        let arguments: Vec<&str> = change.iter().copied().chain([&*web]).collect();
        let shown = ours("s6-svperms", &arguments);
        assert_eq!(shown.code, 0, "{shown:?}");
        assert_eq!(shown.out.is_empty(), !change.is_empty(), "{shown:?}");
        assert_eq!(ok("s6-svperms", &[&web]), theirs("s6-svperms", &[&web]).out, "{change:?}");
    }
    assert!(ok("s6-svperms", &["-v", "-E", "daemon", &web]).ends_with("events: group daemon\n"));
    assert_eq!(ours("s6-svperms", &["-g", "no-such-group", &web]).code, 100);
}

#[test]
fn a_service_that_dies_too_often_fails_for_good() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    let program = program();
    let finish = format!("exec {} s6-permafailon 60 2 7,SIGTERM sh -c 'echo went on >>../went'", program.display());
    scan.service("bad").run("exit 7").finish(&finish);
    scan.start(&["bad"]);
    let bad = scan.path("bad");
    until("its failure", || ok("s6-svstat", &["-o", "wantedup", &bad]).starts_with("false").then_some(()));
    ok("s6-svwait", &["-D", &bad]);
    assert_eq!(ok("s6-svdt", &[&bad]).lines().count(), 2);
    assert_eq!(fs::read_to_string(scan.dir().join("went")).ok().as_deref(), Some("went on\n"), "once it may");
    assert_eq!(ours("s6-permafailon", &["60", "0", "1", "true"]).code, 100);
    assert_eq!(ours("s6-permafailon", &["60", "1", "300", "true"]).code, 100);
    assert_eq!(ok("s6-permafailon", &["60", "1", "1", "echo", "no tally here"]), "no tally here\n");
}
