//! s6-svc and s6-svscanctl.

use std::fs;

use svc_testkit::{is_alive, until};

use crate::scan::{Scan, has_s6, ok, ours, theirs};

/// A service that writes the name of each signal that it gets.
const LISTENER: &str = "for name in ALRM ABRT QUIT HUP TERM INT USR1 USR2 WINCH; do trap \"echo $name >>got\" $name; done\n\
                        : >got\nwhile [ ! -e end ]; do sleep 1000 & wait $!; kill $!; done";

#[test]
fn signals_arrive_by_letter_and_by_name() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web").run(LISTENER);
    scan.start(&["web"]);
    let (web, got) = (scan.path("web"), scan.dir().join("web/got"));
    until("its traps", || got.exists().then_some(()));
    let cases = [
        ("-a", "ALRM"),
        ("-b", "ABRT"),
        ("-q", "QUIT"),
        ("-h", "HUP"),
        ("-t", "TERM"),
        ("-i", "INT"),
        ("-1", "USR1"),
        ("-2", "USR2"),
        ("-y", "WINCH"),
        ("-sUSR1", "USR1"),
        ("-ssigint", "INT"),
        ("-s15", "TERM"),
    ];
    let mut expected = String::new();
    for (letter, name) in cases {
        ok("s6-svc", &[letter, &web]);
        expected += &format!("{name}\n");
        until(name, || (fs::read_to_string(&got).ok()? == expected).then_some(()));
    }
    fs::write(scan.dir().join("web/end"), "").expect("written");
    ok("s6-svc", &["-wD", "-Ot", &web]);
    assert_eq!(ours("s6-svc", &["-s", "SEGV", &web]).code, 100);
}

#[test]
fn the_down_file_comes_and_goes() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.start(&["web"]);
    let (web, down) = (scan.path("web"), scan.dir().join("web/down"));
    scan.pid("web");
    ok("s6-svc", &["-wD", "-D", &web]);
    assert!(down.exists());
    ok("s6-svc", &["-wu", "-U", &web]);
    assert!(!down.exists());
    let pid = scan.pid("web");
    ok("s6-svc", &["-Q", &web]);
    until("the file", || down.exists().then_some(()));
    assert!(is_alive(pid), "-Q does not end it");
}

#[test]
fn exit_codes_say_what_is_wrong() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    let path = |name: &str| scan.root.join(name).to_string_lossy().into_owned();
    for name in ["none", "gone", "odd"] {
        fs::create_dir_all(scan.root.join(name)).expect("made");
    }
    fs::create_dir_all(scan.root.join("odd/supervise")).expect("made");
    fs::create_dir_all(scan.root.join("gone/supervise")).expect("made");
    theirs("s6-mkfifodir", &[&path("unused")]);
    svc_testkit::fifo(path("gone/supervise/control"));
    assert_eq!(ours("s6-svc", &["-u", &path("missing")]).code, 111);
    assert_eq!(ours("s6-svc", &["-u", &path("none")]).code, 102);
    assert_eq!(ours("s6-svc", &["-u", &path("gone")]).code, 102);
    assert_eq!(ours("s6-svc", &["-u", &path("odd")]).code, 1);
    assert_eq!(ours("s6-svc", &["-u"]).code, 100);
    assert_eq!(ours("s6-svc", &["-u", ""]).code, 100);
    assert_eq!(ours("s6-svc", &["-wx", "-u", &web]).code, 100);
    // The others get it nevertheless.
    let pid = scan.pid("web");
    assert_eq!(ours("s6-svc", &["-Od", &path("none"), &web]).code, 102);
    until("its end", || (!is_alive(pid)).then_some(()));
}

#[test]
fn a_wait_that_cannot_end_is_not_begun() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    ok("s6-svc", &["-wD", "-d", &web]);
    let supervisor = scan.supervisor("web");
    ok("s6-svc", &["-x", &web]);
    // Until it has read the `x`, a `u` behind it may reach the one that leaves, and start the service.
    until("its end", || (!is_alive(supervisor)).then_some(()));
    until("another supervisor", || {
        let said = ours("s6-svc", &["-wu", "-u", "-T", "120000", &web]);
        // Between the two there may be none, and that is said at once.
        assert!([0, 102].contains(&said.code), "{said:?}");
        (said.code == 0).then_some(())
    });
    assert_ne!(scan.supervisor("web"), supervisor);
}

#[test]
fn the_scanner_obeys() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.start(&["web"]);
    let dir = scan.dir().to_string_lossy().into_owned();
    scan.service("late");
    ok("s6-svscanctl", &["-a", &dir]);
    let pid = scan.pid("late");
    fs::remove_dir_all(scan.dir().join("late")).expect("removed");
    ok("s6-svscanctl", &["-an", &dir]);
    until("the end of late", || (!is_alive(pid)).then_some(()));
    let pid = scan.pid("web");
    ok("s6-svscanctl", &["-qz", &dir]);
    until("the end", || (!is_alive(pid)).then_some(()));
    until("nobody listens", || (ours("s6-svscanctl", &["-z", &dir]).code == 100).then_some(()));
    let said = ours("s6-svscanctl", &["-s", &dir]);
    assert_eq!(said.code, 100);
    assert!(said.err.contains("-t stops all services"), "{said:?}");
    assert_eq!(
        ours("s6-svscanctl", &["-z", &scan.path("nothing")]).code,
        theirs("s6-svscanctl", &["-z", &scan.path("nothing")]).code
    );
}
