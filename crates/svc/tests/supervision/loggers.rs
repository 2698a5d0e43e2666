//! A service and its logger: the pipe between them outlives both.

use svc_testkit::{ServiceDir, State, Tree, has_program, is_alive, kill, needs, until};

use crate::support::status_field;

/// Takes what is there and writes it down before it looks whether it is to stop: no line is in its hands when it goes.
const CAREFUL: &str = "exec perl -e '$SIG{TERM} = sub { $end = 1 }; open F, \">>lines\";\
    until ($end) { $n = sysread STDIN, $b, 65536; next unless defined $n; last unless $n; syswrite F, $b }'";

/// Numbers its lines across runs: the last number is where it goes on.
const NUMBERING: &str = "exec perl -e '$| = 1; $SIG{TERM} = sub { $end = 1 }; open F, \"+<\", \"next\" or die; $n = <F> + 0;\
    until ($end) { syswrite STDOUT, \"$n\\n\"; $n++; seek F, 0, 0; syswrite F, \"$n\\n\" if sysseek F, 0, 0; select undef, undef, undef, 0.001 }'";

fn numbering(tree: &Tree) -> ServiceDir {
    let service = tree.service("web");
    service.file("next", "0\n").run(NUMBERING);
    tree.service("web/log").run(CAREFUL);
    service
}

#[track_caller]
fn assert_complete(tree: &Tree) {
    let lines = tree.lines("web/log/lines");
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line, &index.to_string(), "line {index} of {}", lines.len());
    }
}

fn pipe_of(pid: i32, fd: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).map_or_else(|_| String::new(), |file| file.display().to_string())
}

#[test]
fn restarts_of_producer_and_logger_lose_nothing() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    numbering(&tree);
    tree.start();
    let pipe = pipe_of(tree.await_up("web"), 1);
    for round in 0..24 {
        let lines = tree.lines("web/log/lines").len();
        match round % 4 {
            0 => drop(tree.ctl_ok(&["restart", "--timeout", "120", "web/log"])),
            1 => drop(tree.ctl_ok(&["restart", "--timeout", "120", "web"])),
            2 => tree.kill_supervisor(if round % 8 == 2 { "web" } else { "web/log" }),
            _ => drop(tree.ctl_ok(&["restart", "--timeout", "120", "web", "web/log"])),
        }
        tree.await_lines("web/log/lines", lines + 20);
        assert_eq!(pipe_of(tree.await_up("web"), 1), pipe);
        assert_eq!(pipe_of(tree.await_up("web/log"), 0), pipe);
    }
    assert_eq!(tree.stop(), 0);
    let written = tree.lines("web/log/lines").len();
    assert_eq!(tree.lines("web/next"), [written.to_string()], "the last line as well, at the end");
    assert_complete(&tree);
}

#[test]
fn the_pipe_waits_while_the_logger_is_down() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    numbering(&tree);
    tree.start();
    tree.await_lines("web/log/lines", 10);
    tree.ctl_ok(&["stop", "web/log"]);
    let (pid, next) = (tree.await_up("web"), tree.lines("web/next"));
    until("more lines into the pipe", || (tree.lines("web/next") != next).then_some(()));
    assert_eq!(tree.await_up("web"), pid, "no SIGPIPE: somebody holds the other end");
    let lines = tree.lines("web/log/lines").len();
    tree.ctl_ok(&["start", "web/log"]);
    tree.await_lines("web/log/lines", lines + 50);
    assert_complete(&tree);
}

#[test]
fn a_stop_of_the_producer_is_no_end_of_file_for_the_logger() {
    let mut tree = Tree::new();
    tree.service("web").run("echo hello; exec sleep 1000");
    tree.service("web/log").run("exec tee -a lines");
    tree.start();
    tree.await_lines("web/log/lines", 1);
    let logger = tree.await_up("web/log");
    tree.ctl_ok(&["stop", "web"]);
    tree.ctl_ok(&["start", "web"]);
    tree.await_lines("web/log/lines", 2);
    assert_eq!(tree.await_up("web/log"), logger);
    assert_eq!(tree.status("web/log").map(|status| status.restarts), Some(0));
    // At the end of everything it does come to its end of file, after the last line.
    assert_eq!(tree.stop(), 0);
    assert!(!is_alive(logger));
}

#[test]
fn a_logger_that_was_killed_is_started_again_beside_its_producer() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat");
    tree.start();
    let (producer, logger) = (tree.await_up("web"), tree.await_up("web/log"));
    kill(logger, "KILL");
    tree.await_status("web/log", "another", |status| status.state == State::Up && status.pid != Some(logger));
    assert_eq!(tree.await_up("web"), producer);
    let status = tree.status("web").expect("it is there");
    assert_eq!(status.restarts, 0);
}

#[test]
fn standard_error_does_not_go_to_the_logger() {
    let mut tree = Tree::new();
    tree.service("web").run("echo to the logger; echo to the container >&2; exec sleep 1000");
    tree.service("web/log").run("exec cat >> lines");
    tree.start();
    assert_eq!(tree.await_lines("web/log/lines", 1), ["to the logger"]);
    until("the other line", || tree.log().contains("to the container").then_some(()));
    assert!(!tree.log().contains("to the logger"));
}

#[test]
fn a_logger_of_a_logger_is_none() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat");
    tree.service("web/log/log").run("echo up >> seen; exec cat");
    tree.start();
    tree.await_up("web/log");
    let names: Vec<String> = tree.list().expect("an answer").services.into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["web", "web/log"]);
    assert_eq!(tree.lines("web/log/log/seen"), [""; 0]);
}

#[test]
fn a_logger_can_be_steered_like_any_service() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let body = "trap 'echo HUP >> seen' HUP; trap 'echo USR1 >> seen' USR1; echo up >> seen; while :; do sleep 1000 & wait $!; kill $!; done";
    tree.service("web/log").run(body).file("timeout-kill", "2000");
    tree.start();
    tree.await_lines("web/log/seen", 1);
    let pid = tree.await_up("web/log");
    tree.ctl_ok(&["reload", "web/log"]);
    assert_eq!(tree.await_lines("web/log/seen", 2)[1], "HUP");
    tree.ctl_ok(&["kill", "SIGUSR1", "web/log"]);
    assert_eq!(tree.await_lines("web/log/seen", 3)[2], "USR1");
    tree.ctl_ok(&["pause", "web/log"]);
    until("it to be stopped", || status_field(pid, "State").starts_with('T').then_some(()));
    tree.await_status("web/log", "paused", |status| status.paused);
    tree.ctl_ok(&["continue", "web/log"]);
    until("it to go on", || (!status_field(pid, "State").starts_with('T')).then_some(()));
    tree.ctl_ok(&["stop", "web/*"]);
    assert_eq!(tree.status("web/log").map(|status| status.state), Some(State::Down));
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Up));
    tree.ctl_ok(&["once", "web/log"]);
    kill(tree.await_up("web/log"), "KILL");
    tree.await_status("web/log", "down for good", |status| status.state == State::Down && !status.wanted_up);
}
