//! runit's sv on a service of s6, beside runit's own sv on one of runit.

use std::process::{Child, Command, Stdio};

use svc_testkit::{Said, ServiceDir, is_alive, needs, program, spawn, until};

use crate::scan::{Scan, has_s6, ok, ours};

/// runit's supervisor of a directory.
struct Runsv(Child);

impl Drop for Runsv {
    fn drop(&mut self) {
        svc_testkit::kill(self.0.id() as i32, "TERM");
        let _ = self.0.wait();
    }
}

/// A line without its numbers, which differ.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for letter in text.chars() {
        let letter = if letter.is_ascii_digit() { '0' } else { letter };
        if letter != '0' || !shape.ends_with('0') {
            shape.push(letter);
        }
    }
    shape
}

#[test]
fn it_says_what_runits_own_says() {
    if !has_s6() || !needs("the package runit", std::path::Path::new("/usr/bin/sv").exists()) {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.start(&["web"]);
    scan.pid("web");
    let runit = scan.root.join("runit");
    ServiceDir::make(runit.join("web")).run("exec sleep 1000");
    let mut command = Command::new("/usr/bin/runsv");
    command.arg(runit.join("web")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _runsv = Runsv(spawn(&mut command).expect("runsv runs"));
    let theirs = |words: &[&str]| Said::by(Command::new("/usr/bin/sv").env("SVDIR", &runit).args(words));
    let ours = |words: &[&str]| Said::by(Command::new(program()).arg("sv").env("SVDIR", scan.dir()).args(words));
    until("runsv", || theirs(&["status", "web"]).out.starts_with("run: ").then_some(()));
    let commands: [&[&str]; 12] = [
        &["status", "web"],
        &["s", "web", "missing"],
        &["start", "web"],
        &["stop", "web"],
        &["status", "web"],
        &["-v", "up", "web"],
        &["restart", "web"],
        &["-w", "5", "check", "web"],
        &["stop", "web"],
        &["force-stop", "missing"],
        &["sideways", "web"],
        &["status"],
    ];
    for words in commands {
        let (ours, theirs) = (ours(words), theirs(words));
        assert_eq!(ours.code, theirs.code, "{words:?} {ours:?} {theirs:?}");
        if ours.code < 100 && words[0] != "-w" {
            assert_eq!(shape(&ours.out), shape(&theirs.out), "{words:?}");
        }
    }
}

#[test]
fn a_check_must_agree_and_a_logger_is_shown() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    let service = scan.service("web");
    ServiceDir::make(scan.dir().join("web/log")).run("exec cat >/dev/null");
    scan.start(&["web", "web/log"]);
    let web = scan.path("web");
    let (pid, log) = (scan.pid("web"), scan.pid("web/log"));
    let line = ok("sv", &["status", &web]);
    assert_eq!(shape(&line), shape(&format!("run: {web}: (pid {pid}) 0s; run: log: (pid {log}) 0s\n")));
    service.script("check", "test -e agreed");
    let said = ours("sv", &["-w", "1", "start", &web]);
    assert_eq!(said.code, 1);
    assert!(said.out.starts_with("timeout: run: "), "{said:?}");
    service.file("agreed", "");
    assert!(ok("sv", &["start", &web]).starts_with("ok: run: "));
    service.remove("check");
    ok("sv", &["-v", "pause", &web]);
    until("a pause", || ok("sv", &["status", &web]).contains(", paused; ").then_some(()));
    ok("sv", &["-v", "cont", &web]);
    let said = ok("sv", &["restart", &web]);
    assert!(said.starts_with("ok: run: ") && !is_alive(pid), "{said}");
}

#[test]
fn force_kills_what_does_not_listen() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("deaf").run("trap '' TERM\n: >deaf\nexec sleep 1000");
    scan.start(&["deaf"]);
    let (deaf, pid) = (scan.path("deaf"), scan.pid("deaf"));
    until("a deaf service", || scan.dir().join("deaf/deaf").exists().then_some(()));
    let said = ours("sv", &["-w", "1", "stop", &deaf]);
    assert!(said.code == 1 && said.out.starts_with("timeout: run: ") && is_alive(pid), "{said:?}");
    let said = ours("sv", &["-w", "1", "force-stop", &deaf]);
    assert!(said.code == 1 && said.out.starts_with("kill: run: "), "{said:?}");
    until("its end", || (!is_alive(pid)).then_some(()));
}

#[test]
fn shutdown_waits_for_the_end_of_the_supervisor() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.service("web");
    scan.start(&["web"]);
    let (web, pid, supervisor) = (scan.path("web"), scan.pid("web"), scan.supervisor("web"));
    // The scanner starts another one at once.
    assert_eq!(ok("sv", &["shutdown", &web]), format!("ok: {web}: runsv not running\n"));
    assert!(!is_alive(pid));
    until("its end", || (!is_alive(supervisor)).then_some(()));
    let missing = scan.dir().to_string_lossy().into_owned();
    assert_eq!(ok("sv", &["shutdown", &missing]), format!("ok: {missing}: runsv not running\n"));
}
