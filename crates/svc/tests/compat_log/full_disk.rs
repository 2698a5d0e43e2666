//! A disk that is full, and then is not: nothing is lost, in no mode.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use svc_testkit::{is_root, needs, program, until};

use super::{Place, all, start};

/// A logger with a small disk of its own, which nobody else sees but through /proc.
fn play(name: &str, options: &str, script: &str) {
    if !is_root() || !needs("unshare", svc_testkit::has_program("unshare")) {
        return;
    }
    let place = Place::new(&format!("full-{name}"));
    let disk = place.join("disk");
    fs::create_dir(&disk).expect("a directory");
    let shell = format!(
        "mount -t tmpfs -o size=256k tmpfs {disk} && head -c 200k /dev/zero >{disk}/filler && \
         exec {program} s6-log {options} -- r50 n1000 s16384 {script} {disk}/one",
        disk = disk.display(),
        program = program().display(),
    );
    let mut command = std::process::Command::new("unshare");
    let mut child = start(command.args(["-m", "sh", "-c", &shell]));
    let mut stdin = child.stdin.take().expect("piped");
    let lines: String = (0..2000).map(|number| format!("{number} {}\n", "w".repeat(60))).collect();
    let bytes = lines.clone();
    let writer = std::thread::spawn(move || {
        stdin.write_all(bytes.as_bytes()).expect("it reads all of it in the end");
        stdin
    });
    let inside = PathBuf::from(format!("/proc/{}/root{}", child.id(), disk.display()));
    // The kernel says how much room there is: none.
    until("the disk to be full", || {
        let made = std::process::Command::new("stat").args(["-f", "-c", "%a"]).arg(&inside).output().expect("stat runs");
        (inside.join("one/current").exists() && String::from_utf8_lossy(&made.stdout).trim() == "0").then_some(())
    });
    assert!(child.try_wait().expect("our child").is_none(), "it ended");
    fs::remove_file(inside.join("filler")).expect("the filler is there");
    let stdin = writer.join().expect("no panic");
    let wanted: Vec<String> = lines.lines().map(str::to_owned).collect();
    let got = until("all lines", || {
        let text = String::from_utf8(all(&inside.join("one"))).expect("ASCII");
        let got: Vec<String> = text.lines().map(|line| line.trim_start_matches("STAMP: ").to_owned()).collect();
        (got.len() >= wanted.len() && text.ends_with('\n')).then_some(got)
    });
    assert_eq!(got, wanted);
    drop(stdin);
    let output = child.wait_with_output().expect("our child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("nothing is lost") && said.lines().count() < 10, "said once, not with each try: {said}");
}

#[test]
fn as_they_come() {
    play("plain", "", "");
}

#[test]
fn as_they_come_blocking() {
    play("plain-b", "-b", "");
}

#[test]
fn changed() {
    play("prefix", "", "pSTAMP:");
}

#[test]
fn changed_blocking() {
    play("prefix-b", "-b", "pSTAMP:");
}
