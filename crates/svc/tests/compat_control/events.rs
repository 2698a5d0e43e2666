//! s6-ftrig and its fifodirs, with Debian's on the other side.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use svc_testkit::{program, spawn, until};

use crate::scan::{Scan, has_s6, names, ok, ours, theirs};

fn fifodir(scan: &Scan) -> String {
    let dir = scan.root.join("fifos").to_string_lossy().into_owned();
    ok("s6-mkfifodir", &[&dir]);
    dir
}

#[test]
fn fifodirs_have_the_modes_of_s6() {
    let scan = Scan::new();
    let dir = fifodir(&scan);
    let mode = |dir: &str| fs::metadata(dir).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o1733);
    let group = nix_group();
    ok("s6-mkfifodir", &["-g", &group, &dir]);
    assert_eq!(mode(&dir), 0o1733, "one that is there stays as it is");
    ok("s6-mkfifodir", &["-f", "-g", &group, &dir]);
    assert_eq!(mode(&dir), 0o3730);
    assert_eq!(ours("s6-mkfifodir", &[&format!("{dir}/no/where")]).code, 111);
    assert_eq!(ours("s6-mkfifodir", &["-g", "x", &dir]).code, 100);
}

/// A group that we are in.
fn nix_group() -> String {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("proc").gid().to_string()
}

#[test]
fn our_listeners_hear_their_notifiers_and_theirs_ours() {
    if !has_s6() {
        return;
    }
    let scan = Scan::new();
    let dir = fifodir(&scan);
    assert_eq!(ok("s6-ftrig-listen1", &["-t", "120000", &dir, "ab+c$", "s6-ftrig-notify", &dir, "xabbc"]), "xabbc\n");
    let program = program().to_string_lossy().into_owned();
    let said = theirs("s6-ftrig-listen1", &["-t", "120000", &dir, "c", &program, "s6-ftrig-notify", &dir, "c"]);
    assert_eq!((said.code, &*said.out), (0, "c\n"));
    ok("s6-ftrig-listen", &["-t", "120000", &dir, "x", &dir, "y", "", "s6-ftrig-notify", &dir, "xy"]);
    ok("s6-ftrig-listen", &["-o", "-t", "120000", &dir, "x", &dir, "never", "", "s6-ftrig-notify", &dir, "x"]);
    assert_eq!(ours("s6-ftrig-listen", &["-t", "50", &dir, "x", &dir, "never", "", "s6-ftrig-notify", &dir, "x"]).code, 1);
    assert_eq!(names((dir).as_ref()), Vec::<String>::new());
}

#[test]
fn events_are_waited_for_one_after_another() {
    let scan = Scan::new();
    let dir = fifodir(&scan);
    let mut waiting = Command::new(program());
    waiting.args(["s6-ftrig-wait", "-t", "120000", &dir, "^a.*z$"]).stdout(Stdio::piped());
    let waiting = spawn(&mut waiting).expect("it runs");
    let name = until("a listener", || names((dir).as_ref()).into_iter().find(|name| name.starts_with("ftrig1:@")));
    assert_eq!((name.len(), name.as_bytes()[32]), (39, b':'), "{name}");
    let mode = fs::metadata(format!("{dir}/{name}")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o622);
    for message in ["ab", "z"] {
        ok("s6-ftrig-notify", &[&dir, message]);
    }
    let output = waiting.wait_with_output().expect("our child");
    assert!(output.status.success());
    assert_eq!(output.stdout, b"abz\n");
    assert_eq!(ours("s6-ftrig-wait", &["-t", "50", &dir, "a"]).code, 99);
    assert_eq!(ours("s6-ftrig-wait", &["-t", "50", &dir, "a("]).code, 100);
    assert_eq!(ours("s6-ftrig-wait", &["-t", "50", "/no/where", "a"]).code, 111);
}

#[test]
fn what_a_killed_listener_left_is_removed() {
    let scan = Scan::new();
    let dir = fifodir(&scan);
    let stale = format!("{dir}/ftrig1:@400000003b9aca25075bcd15:abcdef");
    let make = || svc_testkit::fifo(&stale);
    make();
    fs::write(format!("{dir}/other"), "").expect("written");
    ok("s6-cleanfifodir", &[&dir]);
    assert_eq!(names((dir).as_ref()), ["other"]);
    make();
    ok("s6-ftrig-notify", &[&dir, "x"]);
    assert_eq!(names((dir).as_ref()), ["other"]);
    // A file of that name is no fifo: nothing is written to it.
    fs::write(&stale, "").expect("written");
    ok("s6-ftrig-notify", &[&dir, "x"]);
    assert_eq!(fs::read(&stale).expect("it is there"), b"");
}
