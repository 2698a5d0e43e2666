//! `with-retries` and `s6-overlay-suexec`: programs that run programs.

use std::fs;
use std::time::{Duration, Instant};

use svc_testkit::{Said, is_alive, until};

use super::{Container, command, said};

/// A script that fails until it was started so often.
fn stubborn(container: &Container, times: usize) -> (String, std::path::PathBuf) {
    let tries = container.path("tries");
    (format!("echo try >> {0}; [ $(wc -l < {0}) -ge {times} ]", tries.display()), tries)
}

fn tries(file: &std::path::Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[test]
fn with_retries_stops_at_the_first_success() {
    for (needed, words, code, tried) in [
        (1, &["-t", "0"][..], 0, 1),
        (3, &["-t", "0"], 0, 3),
        (4, &["-t", "0"], 1, 3),
        (2, &["-n", "1", "-t", "0"], 1, 1),
        (5, &["-n", "5", "-t", "0"], 0, 5),
        (1, &["-n", "0"], 1, 0),
    ] {
        let container = Container::new();
        let (script, file) = stubborn(&container, needed);
        let said = Said::by(command("with-retries").args(words).args(["sh", "-c", &script]));
        assert_eq!((said.code, tries(&file)), (code, tried), "{needed} {words:?}: {said:?}");
    }
    assert!(said("with-retries", &["-n", "2", "-t", "0", "sh", "-c", "exit 9"]).err.contains("failed 2 times: exit code 9"));
    assert!(said("with-retries", &["-n", "1", "-t", "0", "sh", "-c", "kill -9 $$"]).err.contains("killed by signal 9"));
    assert_eq!(said("with-retries", &["-n", "1", "/nowhere/at/all"]).code, 1);
    assert_eq!(said("with-retries", &[]).code, 100);
}

#[test]
fn a_try_that_takes_too_long_is_ended_before_the_next() {
    let container = Container::new();
    let file = container.path("pids");
    let script = format!("echo $$ >> {}; trap '' TERM; exec sleep 1000", file.display());
    let begin = Instant::now();
    let said = Said::by(command("with-retries").args(["-n", "2", "-t", "2000", "sh", "-c", &script]));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("it took too long") && begin.elapsed() >= Duration::from_secs(8), "{said:?}");
    let pids = fs::read_to_string(&file).expect("both wrote");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        let pid = pid.parse().expect("a number");
        until("it to be gone", || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn suexec_runs_one_program_and_becomes_the_other() {
    let words = [
        " sh",
        " -c",
        " echo first $UID ${GIDLIST-none}",
        "",
        "sh",
        "-c",
        "echo then $$ $PPID $GID ${USER+user} ${GROUP+group}",
    ];
    let mut command = command("s6-overlay-suexec");
    let said = Said::by(command.args(words).env("GIDLIST", "7"));
    let lines: Vec<Vec<&str>> = said.out.lines().map(|line| line.split(' ').collect()).collect();
    let [first, then] = lines.as_slice() else { panic!("{said:?}") };
    let data = fs::metadata("/proc/self").expect("ours");
    let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&data), std::os::unix::fs::MetadataExt::gid(&data));
    assert_eq!(first[1..], [&uid.to_string(), "none"], "{said:?}");
    // It was executed by us, and is no child of ours.
    assert_eq!(
        (then[2], &then[3..]),
        (&*std::process::id().to_string(), &[&*gid.to_string(), "user", "group"][..]),
        "{said:?}"
    );
}

#[test]
fn suexec_ends_when_its_first_program_fails() {
    let run = |block: &str| said("s6-overlay-suexec", &[" sh", " -c", block, "", "echo", "not here"]);
    let failed = run(" exit 7");
    assert_eq!((failed.code, failed.out.as_str()), (7, ""));
    assert!(failed.err.contains("exit code 7"), "{failed:?}");
    assert_eq!(run(" kill -15 $$").code, 128 + 15);
    assert_eq!(said("s6-overlay-suexec", &[" /nowhere/at/all", "", "true"]).code, 127);
    for words in [&[][..], &["", "true"], &[" true"], &[" true", ""], &["true", "", "true"]] {
        let wrong = said("s6-overlay-suexec", words);
        assert!(wrong.code == 100 && wrong.err.contains("usage"), "{words:?}: {wrong:?}");
    }
}
