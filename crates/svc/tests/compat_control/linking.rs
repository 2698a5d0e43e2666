//! s6-svlink and s6-svunlink.

use std::path::Path;

use svc_testkit::{ServiceDir, is_alive, until};

use crate::scan::{Scan, has_s6, ok, ours};

fn pid(dir: &Path) -> i32 {
    until("a pid", || {
        let said = ours("s6-svstat", &["-p", &dir.to_string_lossy()]);
        said.out.trim().parse().ok().filter(|&pid: &i32| pid > 0)
    })
}

#[test]
fn a_service_and_its_logger_come_and_go() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.start(&[]);
    let dir = scan.root.join("dynamic");
    ServiceDir::make(dir.clone()).run("exec sleep 1000");
    ServiceDir::make(dir.join("log")).run("exec cat >/dev/null");
    let [scan_dir, service] = [&scan.dir(), &dir].map(|path| path.to_string_lossy().into_owned());
    ok("s6-svlink", &["-t", "120000", &scan_dir, &service]);
    assert_eq!(scan.dir().join("dynamic").read_link().ok().as_deref(), Some(&*dir));
    let processes = [pid(&dir), pid(&dir.join("log"))];
    // Again: it is there already.
    ok("s6-svlink", &["-t", "120000", &scan_dir, &service]);
    ok("s6-svunlink", &["-t", "120000", &scan_dir, "dynamic"]);
    assert!(processes.iter().all(|&pid| !is_alive(pid)));
    assert_eq!(ours("s6-svok", &[&service]).code, 1);
    assert!(!scan.dir().join("dynamic").exists());
    ok("s6-svunlink", &["-t", "120000", &scan_dir, "dynamic"]);
}

#[test]
fn a_service_may_stay_down() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.start(&[]);
    let dir = scan.root.join("quiet");
    ServiceDir::make(dir.clone()).run("exec sleep 1000");
    let [scan_dir, service] = [&scan.dir(), &dir].map(|path| path.to_string_lossy().into_owned());
    ok("s6-svlink", &["-d", "-t", "120000", &scan_dir, &service, "name"]);
    assert_eq!(ok("s6-svstat", &["-o", "up,normallyup", &service]), "false true\n");
    ok("s6-svunlink", &["-t", "120000", &scan_dir, "name"]);
    ok("s6-svlink", &["-D", "-t", "120000", &scan_dir, &service, "name"]);
    assert_eq!(ok("s6-svstat", &["-o", "up,normallyup", &service]), "false false\n");
}

#[test]
fn what_cannot_be_linked_is_left_alone() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    scan.start(&[]);
    let dir = scan.root.join("odd");
    let service = ServiceDir::make(dir.clone());
    let [scan_dir, name] = [&scan.dir(), &dir].map(|path| path.to_string_lossy().into_owned());
    assert_eq!(ours("s6-svlink", &[&scan_dir, &name]).code, 111, "no run");
    service.file("run", "#!/bin/sh\n");
    let said = ours("s6-svlink", &[&scan_dir, &name]);
    assert!(said.code == 100 && said.err.contains("chmod +x"), "{said:?}");
    service.run("exec sleep 1000");
    assert_eq!(ours("s6-svlink", &[&scan_dir, &name, ".hidden"]).code, 100);
    assert_eq!(ours("s6-svlink", &[&name, &name]).code, 1, "no scanner there");
    // A name that somebody has: nothing stays behind.
    std::fs::write(scan.dir().join("odd"), "").expect("written");
    assert_eq!(ours("s6-svlink", &["-d", &scan_dir, &name]).code, 111);
    assert!(!dir.join("down").exists());
}
