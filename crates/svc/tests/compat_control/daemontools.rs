//! svc, svstat and svok of daemontools, and runsvdir.

use std::process::Command;

use svc_testkit::{Said, is_alive, kill, program, spawn, until};

use crate::scan::{Scan, has_s6, ok, ours};

#[test]
fn services_are_steered_and_seen() {
    if !has_s6() {
        return;
    }
    let (scan, web) = Scan::with_web();
    let pid = scan.pid("web");
    let line = ok("svstat", &[&web, "nothing"]);
    assert!(line.starts_with(&format!("{web}: up (pid {pid}) ")), "{line}");
    assert!(line.ends_with("\nnothing: unable to chdir: file does not exist\n"), "{line}");
    assert_eq!([ours("svok", &[&web]).code, ours("svok", &["nothing"]).code], [0, 100]);
    let said = Said::by(Command::new(program()).args(["-dk", &web, "nothing"]));
    assert_eq!((said.code, &*said.err), (0, "svc: warning: unable to chdir to nothing: file does not exist\n"));
    until("its end", || (!is_alive(pid)).then_some(()));
    until("it is down", || ok("svstat", &[&web]).starts_with(&format!("{web}: down ")).then_some(()));
    Said::by(Command::new(program()).args(["-u", &web]));
    scan.pid("web");
    assert!(Said::by(Command::new(program()).arg("-h")).out.contains("Usage: svc"), "alone it asks for help");
}

#[test]
fn runsvdir_is_our_scanner() {
    let scan = Scan::new();
    scan.service("web").run("echo $$ >pid; exec sleep 1000");
    let mut command = Command::new(program());
    command.args(["runsvdir", "-P"]).arg(scan.dir()).arg("log: ...........").env("SVC_RUN_DIR", scan.root.join("run"));
    let mut runsvdir = spawn(&mut command).expect("it runs");
    let file = scan.dir().join("web/pid");
    let pid: i32 = until("its pid", || std::fs::read_to_string(&file).ok()?.trim().parse().ok());
    kill(runsvdir.id() as i32, "TERM");
    assert!(runsvdir.wait().expect("our child").success());
    assert!(!is_alive(pid), "TERM stops the services");
}
