//! What finished files go through.

use std::fs;
use std::io::Write;

use svc_testkit::{Said, kill, needs, program, until};

use super::{Place, feed, logs, ours, start};

fn lines(count: usize) -> Vec<u8> {
    (0..count).map(|number| format!("{number:010} {}\n", "p".repeat(83))).collect::<String>().into_bytes()
}

/// Numbers of `count` lines in what the processor made, and in `current`.
fn check(place: &Place, count: usize) {
    let text: String =
        logs(&place.join("one")).into_iter().map(|log| String::from_utf8(log.bytes).expect("ASCII")).collect();
    let numbers: Vec<usize> = text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    assert_eq!(numbers, (0..count).collect::<Vec<usize>>());
}

#[test]
fn each_finished_file_goes_through_with_the_state_of_the_last() {
    let place = Place::new("processor");
    let processor = "?read n <&4 || n=0; n=$((n + 1)); echo $n >&5; echo \"processed $n\"; cat";
    let made = feed(ours("s6-log", &["n1000", "s4096", "l100", processor, "./one"]).current_dir(place.path()), &lines(430));
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    check(&place, 430);
    let logs = logs(&place.join("one"));
    for (number, log) in logs[..logs.len() - 1].iter().enumerate() {
        assert!(log.bytes.starts_with(format!("processed {}\n", number + 1).as_bytes()), "{}", log.name);
        assert!(log.name.ends_with(".s") && log.mode == 0o744);
    }
    assert_eq!(fs::read_to_string(place.join("one/state")).expect("a state"), format!("{}\n", logs.len() - 1));
    for name in ["previous", "processed", "newstate"] {
        assert!(!place.join("one").join(name).exists(), "{name} is left");
    }
}

#[test]
fn one_that_fails_is_started_again() {
    let place = Place::new("failing");
    let processor = format!("?if test -e {0}; then cat; else touch {0}; exit 1; fi", place.join("mark").display());
    let mut child = start(ours("s6-log", &["r20", "s4096", "l100", &processor, "./one"]).current_dir(place.path()));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&lines(60)).expect("it reads");
    until("the processed file", || (logs(&place.join("one")).len() == 2).then_some(()));
    drop(stdin);
    let output = child.wait_with_output().expect("our child");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("unable to process a finished file of ./one"));
    check(&place, 60);
}

#[test]
fn lines_are_written_while_it_works_and_it_is_waited_for() {
    let place = Place::new("working");
    let gate = place.join("gate");
    svc_testkit::fifo(&gate);
    let processor = format!("?read go <{}; cat", gate.display());
    let mut child = start(ours("s6-log", &["-b", "s4096", "l100", &processor, "./one"]).current_dir(place.path()));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&lines(60)).expect("it reads");
    let has_written = || fs::metadata(place.join("one/current")).is_ok_and(|data| data.len() == 17 * 95).then_some(());
    until("the lines behind the finished file", has_written);
    assert!(place.join("one/previous").exists());
    drop(stdin);
    assert!(child.try_wait().expect("our child").is_none(), "it did not wait for its processor");
    fs::write(&gate, "go\n").expect("the processor reads");
    assert!(child.wait().expect("our child").success());
    check(&place, 60);
    assert!(logs(&place.join("one")).iter().all(|log| log.mode == 0o744));
}

#[test]
fn what_was_not_processed_when_it_was_killed_is_kept_as_it_was() {
    let place = Place::new("killed");
    let mut child =
        start(ours("s6-log", &["s4096", "l100", "?sleep 1000 & echo $! >&5; wait", "./one"]).current_dir(place.path()));
    child.stdin.as_mut().expect("piped").write_all(&lines(60)).expect("it reads");
    let sleeper = until("the processor", || fs::read_to_string(place.join("one/newstate")).ok()?.trim().parse::<i32>().ok());
    child.kill().expect("our child");
    child.wait().expect("our child");
    kill(sleeper, "KILL");
    assert_eq!(feed(ours("s6-log", &["./one"]).current_dir(place.path()), b"").code, Some(0));
    check(&place, 60);
    let names: Vec<String> = logs(&place.join("one")).into_iter().map(|log| log.name).collect();
    assert!(names.len() == 3 && names[0].ends_with(".u") && names[1].ends_with(".u"), "{names:?}");
}

#[test]
fn execline_processors_run_in_our_own_execlineb() {
    let said = Said::by(std::process::Command::new(program()).args(["execlineb", "-Pc", "true"]));
    if !needs("an execlineb in svc", said.code == 0) {
        return;
    }
    let place = Place::new("execline");
    let script = ["n1000", "s4096", "l100", "!sed s/^/0/", "./one"];
    let made = feed(ours("s6-log", &script).env("PATH", "/usr/bin:/bin").current_dir(place.path()), &lines(430));
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    check(&place, 430);
    assert!(logs(&place.join("one"))[0].bytes.starts_with(b"00000000000 "));
}
