//! Promise 33: the exit code is the main program's, and there is one way out.

use svc_testkit::{Tree, descendants, is_alive, until};

/// Runs a main program to its end, and returns svc's exit code.
#[track_caller]
fn code_of(words: &[&str]) -> i32 {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.command(words).launch();
    let code = tree.wait();
    assert_eq!(tree.log().matches("stopping everything").count(), 1, "one way out: {}", tree.log());
    code
}

#[test]
fn promise_33_the_code_is_the_main_programs() {
    for code in [0, 1, 3, 42, 111, 125, 126, 127, 128, 255] {
        assert_eq!(code_of(&["sh", "-c", &format!("exit {code}")]), code);
    }
}

#[test]
fn promise_33_a_main_program_that_was_killed() {
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11), ("USR1", 10)] {
        assert_eq!(code_of(&["sh", "-c", &format!("kill -{signal} $$; sleep 1000")]), 128 + number, "{signal}");
    }
}

#[test]
fn promise_33_a_main_program_that_is_not_there_or_is_none() {
    assert_eq!(code_of(&["no-such-program-anywhere"]), 127);
    assert_eq!(code_of(&["/no/such/program"]), 127);
    assert_eq!(code_of(&["/etc/passwd"]), 126);
    assert_eq!(code_of(&["/"]), 126);
}

#[test]
fn promise_33_a_main_program_in_a_file_without_the_right_to_be_executed() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("program"), "#!/bin/sh\nexit 0\n").expect("written");
    let path = tree.path("program").display().to_string();
    tree.command(&[&path]).launch();
    assert_eq!(tree.wait(), 126);
    assert!(tree.log().contains(&path), "{}", tree.log());
}

#[test]
fn promise_33_sigterm_without_a_main_program_is_0() {
    let mut tree = Tree::new();
    tree.service("web").run("trap 'exit 9' TERM; sleep 1000 & wait");
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn promise_33_sigterm_with_a_main_program_is_its_code() {
    for (body, code) in [("trap 'exit 7' TERM; sleep 1000 & wait", 7), ("exec sleep 1000", 128 + 15)] {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.command(&["sh", "-c", body]).start();
        let pid = tree.await_up("CMD");
        if code == 7 {
            until("its trap", || descendants(pid).into_iter().next());
        } else {
            until("its exec", || std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().filter(|name| name == "sleep\n"));
        }
        assert_eq!(tree.stop(), code, "{body}: {}", tree.log());
        assert!(!is_alive(pid));
    }
}

#[test]
fn promise_33_a_main_program_that_must_be_killed() {
    let mut tree = Tree::new();
    tree.set("SVC_STOP_TIMEOUT", "5").command(&["sh", "-c", "trap '' TERM; while :; do sleep 1000; done"]).start();
    let pid = tree.await_up("CMD");
    until("its trap", || descendants(pid).into_iter().next());
    assert_eq!(tree.stop(), 128 + 9, "{}", tree.log());
}

#[test]
fn promise_33_a_code_that_was_asked_for() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["shutdown", "--code", "7"]);
    assert_eq!(tree.wait(), 7);
    // The main program's own end, which this brings about, does not take its place.
    let mut tree = Tree::new();
    tree.command(&["sleep", "1000"]).start();
    tree.await_up("CMD");
    tree.ctl_ok(&["shutdown", "--code", "5"]);
    assert_eq!(tree.wait(), 5, "{}", tree.log());
}

#[test]
fn promise_33_a_code_that_is_named_when_the_end_has_begun_without_one() {
    for force in [false, true] {
        let mut tree = Tree::new();
        let gate = tree.path("gate");
        let trap = format!("until [ -e {} ]; do sleep .02; done; exit 0", gate.display());
        tree.service("web").run(&format!("trap '{trap}' TERM; sleep 1000 & wait"));
        tree.start();
        let pid = tree.await_up("web");
        until("its trap", || descendants(pid).into_iter().next());
        tree.ctl_ok(&["shutdown", "--no-wait"]);
        tree.ctl_ok(&["shutdown", "--no-wait", "--code", "5"]);
        let last: &[&str] = &["shutdown", "--no-wait", "--code", "7", "--force"];
        tree.ctl_ok(&last[..if force { 5 } else { 4 }]);
        if !force {
            tree.ctl_ok(&["shutdown", "--no-wait"]);
            std::fs::write(&gate, "").expect("written");
        }
        assert_eq!(tree.wait(), 7, "{}", tree.log());
    }
}

#[test]
fn the_main_program_has_what_it_would_have_without_svc() {
    let mut tree = Tree::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer).set("SOME_VARIABLE", "some value");
    tree.command(&["sh", "-c", "echo out; echo err >&2; echo $SOME_VARIABLE; pwd; readlink /proc/$$/fd/1; exit 3"]).launch();
    let told: Vec<String> =
        std::io::BufRead::lines(std::io::BufReader::new(reader)).map(|line| line.expect("text")).collect();
    assert_eq!(tree.wait(), 3);
    let here = std::env::current_dir().expect("here").display().to_string();
    assert_eq!(told[..3], ["out", "some value", &here], "{told:?}");
    assert!(told[3].starts_with("pipe:"), "no process in between: {told:?}");
    assert!(tree.log().lines().any(|line| line == "err"), "{}", tree.log());
}
