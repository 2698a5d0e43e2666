//! When a service is started again: the restart delay is counted from start to start.

use svc_testkit::{EventKind, State, Tree, until};

use crate::support::{kinds_to, skip_to, starts, tree_with, wall_ms};

const GAP: u64 = 1000;

#[test]
fn who_ran_longer_than_the_delay_is_started_at_once() {
    let mut tree = tree_with("web", |service| {
        service.run("exec sleep 1.1");
    });
    // Typically it rests for 1 or 2 ms, and a busy machine may make it more; s6 waits a second each time.
    until("a start before a delay could be over", || {
        skip_to(&mut tree, "web", EventKind::Exited);
        let deaths = tree.detail("web").expect("it is there").deaths;
        let starts = starts(&deaths);
        deaths.iter().zip(starts.iter().skip(1)).any(|(death, start)| start.saturating_sub(death.at_ms) < GAP).then_some(())
    });
}

#[test]
fn the_delay_counts_from_start_to_start() {
    let mut tree = tree_with("web", |service| {
        service.run("exec sleep 0.6");
    });
    // From the death on it would be 1600.
    until("a start before that", || {
        skip_to(&mut tree, "web", EventKind::Exited);
        let starts = starts(&tree.detail("web").expect("it is there").deaths);
        let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap >= GAP), "{gaps:?}");
        gaps.iter().any(|&gap| gap < GAP + 600).then_some(())
    });
}

#[test]
fn a_start_does_not_wait_for_the_delay() {
    let mut tree = tree_with("web", |service| {
        service.run("exit 1").file("restart-delay", "3600000");
    });
    skip_to(&mut tree, "web", EventKind::Down);
    for _ in 0..5 {
        tree.ctl_ok(&["start", "web"]);
        let kinds = kinds_to(&mut tree, "web", EventKind::Down);
        assert!(kinds.contains(&EventKind::Starting), "{kinds:?}");
    }
    let status = tree.await_status("web", "waiting again", |status| status.state == State::Waiting);
    assert!(status.next_start_ms.is_some());
}

#[test]
fn a_restart_of_what_waits_starts_it_at_once() {
    let mut tree = tree_with("web", |service| {
        service.run("[ -e mended ] || exit 1; exec sleep 1000").file("restart-delay", "3600000");
    });
    skip_to(&mut tree, "web", EventKind::Down);
    tree.service("web").file("mended", "");
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(tree.detail("web").map(|detail| detail.death_count), Some(1));
    tree.await_up("web");
}

#[test]
fn a_stop_while_it_waits_keeps_it_down() {
    let mut tree = tree_with("web", |service| {
        service.run("echo run >> seen; exit 1");
    });
    tree.draft("witness").run("exit 0");
    skip_to(&mut tree, "web", EventKind::Down);
    tree.ctl_ok(&["stop", "web"]);
    let runs = tree.lines("web/seen").len();
    let status = tree.status("web").expect("it is there");
    assert_eq!((status.state, status.next_start_ms), (State::Down, None));
    tree.place("witness");
    for _ in 0..3 {
        skip_to(&mut tree, "witness", EventKind::Up);
    }
    assert_eq!(tree.lines("web/seen").len(), runs);
}

/// A service that runs, and cannot be started again since its interpreter is gone.
fn without_interpreter() -> Tree {
    let mut tree = Tree::new();
    let interpreter = tree.path("interpreter");
    std::os::unix::fs::symlink("/bin/sh", &interpreter).expect("a link");
    let script = format!("#!{}\nexec sleep 1000\n", interpreter.display());
    tree.draft("web").executable("run", &script);
    tree.start();
    tree.place("web");
    skip_to(&mut tree, "web", EventKind::Up);
    std::fs::remove_file(&interpreter).expect("removed");
    tree.ctl_ok(&["kill", "KILL", "web"]);
    let message = skip_to(&mut tree, "web", EventKind::Problem).message.expect("a problem has words");
    assert!(message.contains("interpreter") && message.contains("web/run"), "{message}");
    let status = tree.await_status("web", "waiting", |status| status.state == State::Waiting);
    assert_eq!(status.problem, Some(message));
    tree
}

/// Where nothing of the cure can be seen, as Debian's s6 does it.
#[test]
fn what_cannot_be_executed_is_tried_again_after_ten_seconds() {
    let before = wall_ms();
    let mut tree = without_interpreter();
    // Its directory has been looked through for a cure by then.
    assert_eq!(tree.ctl(&["wait", "--up", "--timeout", "1", "web"]).status.code(), Some(99));
    let next = tree.status("web").and_then(|status| status.next_start_ms).expect("it will be tried again");
    assert!(next >= before + 10_000 && next < wall_ms() + 10_000, "{next}, killed at {before}");
    std::os::unix::fs::symlink("/bin/sh", tree.path("interpreter")).expect("a link");
    let up = skip_to(&mut tree, "web", EventKind::Up).at_ms;
    assert!(up + 2 >= next, "{up}, and not {next}");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
}

/// A start tries at once whatever the last try said, and says what came of this one.
#[test]
fn a_start_of_what_could_not_be_executed_tries_at_once() {
    let tree = without_interpreter();
    let output = tree.ctl(&["start", "--timeout", "120", "web"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interpreter"), "{output:?}");
    let output = tree.ctl(&["restart", "--timeout", "120", "web"]);
    assert_eq!(output.status.code(), Some(1));
    std::os::unix::fs::symlink("/bin/sh", tree.path("interpreter")).expect("a link");
    let answer = tree.ctl_ok(&["start", "--timeout", "120", "web"]);
    assert!(answer.contains("up (pid"), "{answer}");
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
}

#[test]
fn a_run_that_is_no_program_any_more_is_told() {
    let mut tree = Tree::new();
    for name in ["mode", "text", "folder", "missing"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    for name in ["mode", "text", "folder", "missing"] {
        let pid = tree.await_up(name);
        // Not before the shell has read its script: it would end by itself.
        until("sleep", || {
            svc_testkit::processes().iter().find(|process| process.pid == pid)?.title().starts_with("sleep").then_some(())
        });
        let service = tree.service(name);
        match name {
            "mode" => {
                service.remove("run").file("run", "#!/bin/sh\n");
            }
            "text" => {
                service.executable("run", "exec sleep 1000\n");
            }
            "folder" => std::fs::create_dir(service.remove("run").path().join("run")).expect("made"),
            _ => {
                service.remove("run");
            }
        }
        tree.ctl_ok(&["kill", "KILL", name]);
        let message = skip_to(&mut tree, name, EventKind::Problem).message.expect("a problem has words");
        assert!(message.contains(&format!("{name}/run")) && message.contains(": "), "{message}");
    }
    assert_eq!(tree.stop(), 0);
}
