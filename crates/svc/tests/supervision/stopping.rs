//! Timeouts: the SIGKILL for who does not stop, for finish, for what is stopped (promise 25).

use std::time::{Duration, Instant};

use svc_testkit::{EventKind, State, Tree, api, has_program, is_alive, is_root, kill, needs, until, wait_gone};

use crate::support::{DEAF, kinds_to, status_field, tree_with};

/// Stops a service, and returns how long that took.
#[track_caller]
fn stop(tree: &Tree, name: &str) -> Duration {
    let stop = api::Control { timeout_ms: Some(120_000), ..api::Control::new(api::Verb::Stop, vec![name.to_owned()]) };
    let begin = Instant::now();
    let answer: api::Outcomes = tree.post("/v1/control", &stop);
    let took = begin.elapsed();
    assert_eq!(answer.outcomes[0].result, api::Verdict::Done, "{answer:?}");
    took
}

#[track_caller]
fn killed_by(tree: &Tree, name: &str) -> Option<String> {
    tree.status(name).and_then(|status| status.last_exit).expect("it ended").signal
}

// 25
#[test]
fn promise_25_a_deaf_service_is_killed_when_timeout_kill_is_over() {
    let mut tree = tree_with("web", |service| {
        service.run(DEAF).file("timeout-kill", "400");
    });
    tree.expect("web", &[EventKind::Starting, EventKind::Up]);
    let pid = until_deaf(&tree, "web");
    let took = stop(&tree, "web");
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert_eq!(killed_by(&tree, "web").as_deref(), Some("KILL"));
    assert!(!is_alive(pid));
    tree.expect("web", &[EventKind::Stopping, EventKind::Exited, EventKind::Down]);
    assert!(tree.log().contains("web: did not stop in time: killed"), "{}", tree.log());
}

/// Waits until the exec of [`DEAF`] has happened; returns its pid.
fn until_deaf(tree: &Tree, name: &str) -> i32 {
    let pid = tree.await_up(name);
    // SIGTERM is 15: bit 14.
    until("TERM to be ignored", || {
        let mask = u64::from_str_radix(&status_field(pid, "SigIgn"), 16).expect("a mask");
        (mask & 1 << 14 != 0 && status_field(pid, "Name") == "sleep").then_some(())
    });
    pid
}

#[test]
fn timeout_kill_counts_as_it_is_at_the_stop() {
    let tree = tree_with("web", |service| {
        // As it is at the start: longer than anybody waits.
        service.run(DEAF).file("timeout-kill", "3600000\n");
    });
    until_deaf(&tree, "web");
    tree.service("web").file("timeout-kill", "300\n");
    let took = stop(&tree, "web");
    assert!(took >= Duration::from_millis(300), "{took:?}");
}

#[test]
fn without_timeout_kill_a_deaf_service_is_left_in_peace() {
    let tree = tree_with("never", |service| {
        service.run(DEAF);
    });
    tree.service("zero").run(DEAF).file("timeout-kill", "0");
    let pids = ["never", "zero"].map(|name| until_deaf(&tree, name));
    let output = tree.ctl(&["stop", "--timeout", "1", "never", "zero"]);
    assert_eq!(output.status.code(), Some(99), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, pid) in ["never", "zero"].into_iter().zip(pids) {
        let status = tree.await_status(name, "stopping", |status| status.state == State::Stopping);
        assert_eq!(status.pid, Some(pid));
        kill(pid, "KILL");
    }
    tree.await_status("zero", "down", |status| status.state == State::Down);
}

// 25
#[test]
fn promise_25_a_stopped_service_dies_of_the_down_signal_and_of_the_kill() {
    let mut tree = Tree::new();
    tree.service("polite").run("exec sleep 1000");
    tree.service("deaf").run(DEAF).file("timeout-kill", "300");
    tree.start();
    for (name, time, signal) in [("polite", Duration::ZERO, "TERM"), ("deaf", Duration::from_millis(300), "KILL")] {
        let pid = if name == "deaf" { until_deaf(&tree, name) } else { tree.await_up(name) };
        kill(pid, "STOP");
        until("it to be stopped", || status_field(pid, "State").starts_with('T').then_some(()));
        let took = stop(&tree, name);
        assert!(took >= time, "{took:?}");
        assert_eq!(killed_by(&tree, name).as_deref(), Some(signal));
    }
}

#[test]
fn the_kill_goes_to_the_group_if_a_flag_says_so() {
    let mut tree = Tree::new();
    // keep-descendants: otherwise whoever is left is stopped all the same.
    let body = format!("env --ignore-signal=TERM sleep 1000 & echo $! >> seen\n{DEAF}");
    for name in ["group", "alone"] {
        tree.service(name).run(&body).file("timeout-kill", "300").file("keep-descendants", "");
    }
    tree.start();
    for name in ["group", "alone"] {
        until_deaf(&tree, name);
        tree.await_lines(&format!("{name}/seen"), 1);
    }
    // The flag counts at the kill, not at the start.
    tree.service("group").file("flag-timeout-killpg", "");
    let child = |name: &str| tree.lines(&format!("{name}/seen"))[0].parse::<i32>().expect("a pid");
    stop(&tree, "group");
    stop(&tree, "alone");
    wait_gone(child("group"));
    assert!(is_alive(child("alone")));
    kill(child("alone"), "KILL");
}

// 25
#[test]
fn promise_25_a_finish_that_takes_too_long_is_killed() {
    let mut tree = tree_with("web", |service| {
        service.file("down", "").run("exit 0").finish("exec sleep 1000").file("timeout-finish", "3600000");
    });
    // Counts as it is at the death.
    tree.service("web").file("timeout-finish", "300");
    let begin = Instant::now();
    tree.order(api::Verb::Once, &["web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Finishing, EventKind::Down]);
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    assert!(tree.log().contains("web: finish took too long: killed"), "{}", tree.log());
    let exit = tree.status("web").and_then(|status| status.last_exit).expect("run ended");
    assert_eq!(exit.code, Some(0), "the end of run, not that of finish");
}

#[test]
fn finish_has_five_seconds_unless_told_and_zero_is_for_ever() {
    let mut tree = Tree::new();
    let common = "down";
    tree.service("default").file(common, "").run("exit 0").finish("sleep 1000; echo late >> seen");
    let zero = tree.service("zero");
    zero.file(common, "").run("exit 0").finish("sleep 5.5; echo done >> seen").file("timeout-finish", "0");
    tree.start();
    let begin = Instant::now();
    tree.ctl_ok(&["once", "default", "zero"]);
    let kinds = kinds_to(&mut tree, "default", EventKind::Down);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}: {kinds:?}");
    kinds_to(&mut tree, "zero", EventKind::Down);
    assert_eq!(tree.lines("zero/seen"), ["done"]);
    assert_eq!(tree.lines("default/seen"), [""; 0]);
}

#[test]
fn a_stopped_finish_dies_of_its_timeout() {
    let mut tree = tree_with("web", |service| {
        service.file("down", "").run("exit 0").finish("kill -STOP $$").file("timeout-finish", "300");
    });
    tree.ctl_ok(&["once", "web"]);
    tree.expect("web", &[EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Finishing, EventKind::Down]);
}

#[test]
fn a_second_stop_signals_again() {
    let body = "trap 'echo TERM >> seen' TERM; trap 'exit 0' INT; echo up >> seen\n\
                while :; do sleep 1000 & wait $!; kill $!; done";
    let tree = tree_with("web", |service| {
        service.run(body);
    });
    tree.await_lines("web/seen", 1);
    for count in [2, 3] {
        tree.ctl_ok(&["stop", "--no-wait", "web"]);
        assert_eq!(tree.await_lines("web/seen", count).last().map(String::as_str), Some("TERM"));
    }
    tree.ctl_ok(&["kill", "INT", "web"]);
    tree.await_status("web", "down", |status| status.state == State::Down);
}

/// A file system that is frozen while this lives: whoever writes to it sleeps uninterruptibly.
struct Frozen(std::path::PathBuf);

impl Frozen {
    /// None where no file system can be mounted.
    fn new(tree: &Tree) -> Option<Frozen> {
        let (image, dir) = (tree.path("image"), tree.path("frozen"));
        std::fs::create_dir(&dir).expect("ours");
        std::fs::File::create(&image).and_then(|file| file.set_len(8 << 20)).expect("ours");
        let done = |program: &str, words: &[&std::ffi::OsStr]| {
            std::process::Command::new(program).args(words).status().is_ok_and(|status| status.success())
        };
        let (option, path) = (std::ffi::OsStr::new, dir.as_os_str());
        (done("mkfs.ext4", &[option("-q"), image.as_os_str()])
            && done("mount", &[option("-o"), option("loop"), image.as_os_str(), path])
            && done("fsfreeze", &[option("-f"), path]))
        .then_some(Frozen(dir))
    }

    fn thaw(&self) {
        let done = std::process::Command::new("fsfreeze").arg("-u").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::process::Command::new("fsfreeze").arg("-u").arg(&self.0).stderr(std::process::Stdio::null()).status();
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

// 25
#[test]
fn promise_25_who_sleeps_uninterruptibly_is_killed_as_soon_as_the_kernel_lets_go() {
    if !is_root() || !needs("fsfreeze", has_program("fsfreeze")) {
        return;
    }
    let mut tree = Tree::new();
    let frozen = Frozen::new(&tree);
    if !needs("a file system that can be mounted and frozen", frozen.is_some()) {
        return;
    }
    let frozen = frozen.expect("asked just now");
    tree.service("web").run("exec dd if=/dev/zero of=../../frozen/x bs=1 count=1 2>/dev/null").file("timeout-kill", "300");
    tree.service("other").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    // Behind the loader, which may sleep like this too: what it reads from is open, and what it writes to comes next.
    let has_read = || std::fs::read_link(format!("/proc/{pid}/fd/0")).is_ok_and(|file| file.as_os_str() == "/dev/zero");
    until("its sleep", || (has_read() && status_field(pid, "State").starts_with('D')).then_some(()));
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    until("the first SIGKILL", || tree.log().contains("web: did not stop in time: killed").then_some(()));
    // Nothing ends it now; nobody else has to wait, and nothing else of it is started.
    tree.ctl_ok(&["restart", "other"]);
    assert_eq!(tree.status("web").map(|status| (status.state, status.pid)), Some((State::Stopping, Some(pid))));
    until("the second SIGKILL", || (tree.log().matches("web: did not stop in time: killed").count() > 1).then_some(()));
    frozen.thaw();
    tree.await_status("web", "down", |status| status.state == State::Down);
    // The first signal that ends it is the one that the kernel notes.
    assert_eq!(killed_by(&tree, "web").as_deref(), Some("TERM"));
    assert_eq!(tree.stop(), 0);
}
