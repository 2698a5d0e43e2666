//! A disk that is full, and then is not: nothing is lost, in no mode.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use svc_testkit::{is_root, needs, program, until};

use super::{Place, all, start};

/// A logger with a small disk of its own, which nobody else sees but through /proc.
struct Logger {
    place: Place,
    child: Child,
    inside: PathBuf,
}

impl Logger {
    fn start(name: &str, options: &str, script: &str) -> Option<Logger> {
        if !is_root() || !needs("unshare", svc_testkit::has_program("unshare")) {
            return None;
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
        let child = start(Command::new("unshare").args(["-m", "sh", "-c", &shell]));
        let inside = PathBuf::from(format!("/proc/{}/root{}", child.id(), disk.display()));
        Some(Logger { place, child, inside })
    }

    /// The kernel says how much room there is: none.
    fn await_full(&self) {
        until("the disk to be full", || {
            let made = Command::new("stat").args(["-f", "-c", "%a"]).arg(&self.inside).output().expect("stat runs");
            let is_full = String::from_utf8_lossy(&made.stdout).trim() == "0";
            (self.inside.join("one/current").exists() && is_full).then_some(())
        });
    }
}

fn play(name: &str, options: &str, script: &str) {
    let Some(mut logger) = Logger::start(name, options, script) else { return };
    let mut stdin = logger.child.stdin.take().expect("piped");
    let lines: String = (0..2000).map(|number| format!("{number} {}\n", "w".repeat(60))).collect();
    let bytes = lines.clone();
    let writer = std::thread::spawn(move || {
        stdin.write_all(bytes.as_bytes()).expect("it reads all of it in the end");
        stdin
    });
    logger.await_full();
    assert!(logger.child.try_wait().expect("our child").is_none(), "it ended");
    fs::remove_file(logger.inside.join("filler")).expect("the filler is there");
    let stdin = writer.join().expect("no panic");
    let wanted: Vec<String> = lines.lines().map(str::to_owned).collect();
    let got = until("all lines", || {
        let text = String::from_utf8(all(&logger.inside.join("one"))).expect("ASCII");
        let got: Vec<String> = text.lines().map(|line| line.trim_start_matches("STAMP: ").to_owned()).collect();
        (got.len() >= wanted.len() && text.ends_with('\n')).then_some(got)
    });
    assert_eq!(got, wanted);
    drop(stdin);
    let output = logger.child.wait_with_output().expect("our child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("nothing is lost") && said.lines().count() < 10, "said once, not with each try: {said}");
    drop(logger.place);
}

/// Writes until nobody takes it any more: how much that was, in MB, and how much memory the logger has then.
fn fill(name: &str, options: &str) -> Option<(usize, u64)> {
    let mut logger = Logger::start(name, options, "")?;
    let mut stdin = logger.child.stdin.take().expect("piped");
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let writer = std::thread::spawn(move || {
        let lines = format!("{}\n", "w".repeat(94)).repeat(1000);
        while stdin.write_all(lines.as_bytes()).is_ok() {
            count.fetch_add(lines.len(), Ordering::Relaxed);
        }
    });
    logger.await_full();
    let (mut before, mut same) = (0, 0);
    let stuck = until("it to take no more", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = written.load(Ordering::Relaxed);
        same = if std::mem::replace(&mut before, now) == now { same + 1 } else { 0 };
        (same == 10).then_some(now)
    });
    let memory = svc_testkit::figure(logger.child.id() as i32, "VmRSS").expect("it lives");
    logger.child.kill().expect("our child");
    logger.child.wait().expect("our child");
    writer.join().expect("no panic");
    Some((stuck / 1_000_000, memory / 1000))
}

#[test]
fn memory_has_a_bound() {
    if let Some((written, memory)) = fill("memory", "") {
        assert!((60..=80).contains(&written) && memory < 150, "{written} MB taken, {memory} MB of memory");
    }
    if let Some((written, memory)) = fill("memory-b", "-b") {
        assert!(written < 1 && memory < 20, "{written} MB taken, {memory} MB of memory");
    }
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
