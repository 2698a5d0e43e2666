//! s6-instance-maker and its like, on a nested scanner of Debian.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use svc_testkit::{Said, ServiceDir, is_alive, is_root, until};

use crate::scan::{Scan, has_s6, ok, ours};

#[test]
fn instances_are_made_steered_and_removed() {
    if !has_s6() {
        return;
    }
    let mut scan = Scan::new();
    let template = scan.root.join("template");
    ServiceDir::make(template.clone()).run("exec sleep 1000").file("notes", "kept");
    let service = scan.path("many");
    fs::create_dir_all(scan.dir()).expect("made");
    ok("s6-instance-maker", &["-c", "7", &template.to_string_lossy(), &service]);
    let run = scan.dir().join("many/run");
    let script = fs::read_to_string(&run).expect("a run file");
    assert_eq!(script, "#!/bin/sh -e\nexec 2>&1\nexec s6-svscan -d3 -C7 -- instance\n");
    assert_eq!(fs::metadata(&run).expect("it is there").permissions().mode() & 0o777, 0o755);
    // Debian's scanner is of the time before -C.
    svc_testkit::executable(&run, script.replace("-C7", "-c7"));
    assert_eq!(ours("s6-instance-create", &[&service, "one"]).code, 1, "the service does not run");
    scan.start(&["many"]);
    ok("s6-svwait", &["-U", "-t", "120000", &service]);
    ok("s6-instance-create", &["-t", "120000", &service, "one"]);
    ok("s6-instance-create", &["-d", "-t", "120000", &service, "two"]);
    assert_eq!(ok("s6-instance-list", &[&service]), "one\ntwo\n");
    assert_eq!(fs::read_to_string(scan.dir().join("many/instances/one/notes")).ok().as_deref(), Some("kept"));
    assert_eq!(ours("s6-instance-create", &[&service, "one"]).code, 100);
    assert_eq!(ours("s6-instance-create", &[&service, "a b"]).code, 100);
    ok("s6-instance-control", &["-wu", "-u", "-T", "120000", &service, "one"]);
    let pid: i32 = ok("s6-instance-status", &["-p", &service, "one"]).trim().parse().expect("a pid");
    assert_eq!(ok("s6-instance-status", &["-o", "up,normallyup", &service, "two"]), "false true\n");
    ok("s6-instance-delete", &["-t", "120000", &service, "one"]);
    assert!(!is_alive(pid));
    assert_eq!(ok("s6-instance-list", &[&service]), "two\n");
    assert!(!scan.dir().join("many/instances/one").exists());
    ok("s6-instance-delete", &["-t", "120000", &service, "two"]);
}

#[test]
fn sources_for_s6_rc_name_each_other() {
    let scan = Scan::new();
    let template = scan.root.join("template");
    ServiceDir::make(template.clone()).run("exec sleep 1000");
    let dir = scan.root.join("sources");
    let place = dir.to_string_lossy().into_owned();
    let words = ["-r", "web/web-log/web-pipe", "-L", "/var/log/web", "-P", "it's", &template.to_string_lossy(), &place];
    ok("s6-instance-maker", &words);
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read("web/type") + &read("web/producer-for"), "longrun\nweb-log\n");
    assert_eq!(
        read("web-log/type") + &read("web-log/consumer-for") + &read("web-log/pipeline-name"),
        "longrun\nweb\nweb-pipe\n"
    );
    let log = "#!/bin/sh -e\nexec s6-log -bd3 -- t n10 s1000000 'pit'\\''s' '/var/log/web'\n";
    assert_eq!(read("web-log/run"), log);
    assert_eq!(ours("s6-instance-maker", &["-r", "web", "-L", "/x", &place, &place]).code, 100);
    assert_eq!(ours("s6-instance-maker", &["-L", "x", &place, &place]).code, 100);
}

#[test]
fn a_tree_of_a_user_runs_as_the_user() {
    if !has_s6() || !is_root() {
        return;
    }
    let mut scan = Scan::new();
    // The user's own folder, which it may use.
    let home = scan.root.join("own");
    ServiceDir::make(home.join("service/web")).run("echo \"$(id -un) $USER $UID $BIN $(pwd) ${LEFT-no}\"\nexec sleep 1000");
    let variables = scan.root.join("variables");
    fs::create_dir_all(&variables).expect("made");
    fs::write(variables.join("BIN"), "${USER}/bin of ${UID}").expect("written");
    let given = Said::by(Command::new("chown").args(["-R", "nobody"]).arg(&home));
    assert_eq!(given.code, 0, "{given:?}");
    let (home, variables) = (home.to_string_lossy().into_owned(), variables.to_string_lossy().into_owned());
    let (logs, scan_dir, service) = (format!("{home}/logs"), format!("{home}/service"), scan.path("tree"));
    fs::create_dir_all(scan.dir()).expect("made");
    ok(
        "s6-usertree-maker",
        &["-E", &variables, "-e", "BIN", "-d", &scan_dir, "-l", "nobody", "-t", "0", "nobody", &logs, &service],
    );
    scan.start(&["tree"]);
    ok("s6-svwait", &["-U", "-t", "120000", &service]);
    let line = until("the user's service has spoken", || {
        fs::read_to_string(format!("{logs}/current")).ok().filter(|text| text.contains("nobody nobody"))
    });
    assert!(line.contains(&format!("nobody nobody 65534 nobody/bin of 65534 {scan_dir}/web no\n")), "{line}");
    for (words, why) in [
        (&["nobody", "logs", "x"][..], "absolute"),
        (&["-d", "service", "nobody", "/logs", "x"], "absolute"),
        (&["-r", "web", "nobody", "/logs", "x"], "LOGGER"),
        (&["-e", "A=B", "nobody", "/logs", "x"], "no name"),
        (&["nobody", "/logs"], "missing"),
    ] {
        let refused = ours("s6-usertree-maker", words);
        assert!(refused.code == 100 && refused.err.contains(why), "{words:?}: {refused:?}");
    }
}
