//! What svc-ctl does to services, what it says, and with which code it ends.

use std::time::{Duration, Instant};

use svc_testkit::{State, Tree, kill, until};

use super::{assert_said, with_web};

#[test]
fn start_stop_and_restart_wait_and_say_what_happened() {
    let (tree, pid) = with_web();
    assert_said(&tree.say(&["start", "web"]), 0, &[&format!("web: up (pid {pid})")]);
    assert_said(&tree.say(&["stop", "web"]), 0, &["web: down (killed by SIGTERM)"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    assert_said(&tree.say(&["stop", "web"]), 0, &["web: down"]);
    assert_said(&tree.say(&["start", "web"]), 0, &["web: up (pid "]);
    let pid = tree.await_up("web");
    assert_said(&tree.say(&["restart", "web"]), 0, &["web: up (pid "]);
    assert_ne!(tree.await_up("web"), pid);
}

#[test]
fn readiness_is_waited_for() {
    let mut tree = Tree::new();
    tree.service("web").run("sleep 0.4; echo >&3; exec sleep 1000").file("notification-fd", "3\n").file("down", "");
    tree.start();
    tree.await_status("web", "down", |status| status.state == State::Down);
    let begin = Instant::now();
    assert_said(&tree.say(&["start", "web"]), 0, &["web: up (pid ", "), ready after "]);
    assert!(begin.elapsed() >= Duration::from_millis(400));
    assert_said(&tree.say(&["restart", "--timeout", "100ms", "web"]), 99, &["web: still up and not ready after "]);
    assert_said(&tree.say(&["wait", "--ready", "web"]), 0, &["ready"]);
    assert_eq!(tree.status("web").and_then(|status| status.ready), Some(true));
}

#[test]
fn what_fails_is_said_and_has_a_code() {
    let mut tree = Tree::new();
    tree.service("dies").run("exit 3").finish("exit 125").file("down", "");
    tree.service("dies-unready").run("exit 4").file("notification-fd", "3").file("down", "");
    tree.service("stubborn")
        .run("trap '' TERM; echo >&3; while :; do sleep 1000 & wait $!; kill $!; done")
        .file("notification-fd", "3");
    tree.start();
    tree.await_status("stubborn", "ready", |status| status.ready == Some(true));
    assert_said(&tree.say(&["start", "dies-unready"]), 1, &["dies-unready: ended before it was ready (exit 4)"]);
    tree.ctl_ok(&["stop", "dies-unready"]);
    let said = tree.say(&["stop", "--timeout", "300ms", "stubborn"]);
    assert_said(&said, 99, &["stubborn: still stopping after 0.3 s"]);
    assert_said(&tree.say(&["start", "nobody"]), 102, &["nobody: no such service"]);
    assert_said(&tree.say(&["stop", "stubbor"]), 102, &["did you mean stubborn?"]);
    assert_said(&tree.say(&["start"]), 100, &["NAME"]);
    assert_said(&tree.say(&["explode", "web"]), 100, &["explode"]);
    assert_said(&tree.say(&["stop", "--timeout", "soon", "stubborn"]), 100, &["soon"]);
    assert_said(&tree.say(&["kill", "NOPE", "stubborn"]), 100, &["such as TERM"]);
    assert_said(&tree.say(&["stop", "[stub"]), 100, &["cannot read this glob"]);
    assert_said(&tree.say(&["--socket", "/nowhere/at/all", "status"]), 111, &["no svc is running here", "/nowhere/at/all"]);
    // The worst of several counts.
    assert_said(&tree.say(&["kill", "USR2", "dies", "nobody"]), 102, &["dies: is not running"]);
    tree.ctl_ok(&["start", "--no-wait", "dies"]);
    tree.await_status("dies", "failed", |status| status.state == State::Failed);
    assert_said(&tree.say(&["wait", "dies"]), 1, &["has failed for good (its finish said 125)"]);
    assert_said(&tree.say(&["why", "dies"]), 0, &["failed for good", "exit 3"]);
    kill(tree.await_status("stubborn", "its pid", |status| status.pid.is_some()).pid.expect("up"), "KILL");
    assert_said(&tree.say(&["wait", "--finished", "stubborn"]), 0, &["stubborn: down (killed by SIGKILL)"]);
}

#[test]
fn no_wait_returns_at_once() {
    let mut tree = Tree::new();
    tree.service("web")
        .run("trap 'while ! test -e go; do sleep 0.01; done; exit 0' TERM; echo >&3; while :; do sleep 1000 & wait $!; kill $!; done")
        .file("notification-fd", "3");
    tree.start();
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_said(&tree.say(&["stop", "--no-wait", "web"]), 0, &["web: told"]);
    // The word is on its way; it is not over before somebody says so.
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    tree.service("web").file("go", "");
    assert_said(&tree.say(&["wait", "--down", "web"]), 0, &["web: down"]);
}

#[test]
fn once_is_not_started_again() {
    let mut tree = Tree::new();
    tree.service("job").run("echo ran >>starts; exec sleep 0.2").file("down", "");
    tree.start();
    tree.await_status("job", "down", |status| status.state == State::Down);
    assert_said(&tree.say(&["once", "job"]), 0, &["job: up (pid "]);
    assert_said(&tree.say(&["wait", "--finished", "job"]), 0, &["job: down (exit 0)"]);
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(tree.lines("job/starts").len(), 1);
    let status = tree.status("job").expect("there");
    assert!(status.state == State::Down && !status.wanted_up, "{status:?}");
}

#[test]
fn signals_pause_and_continue() {
    let mut tree = Tree::new();
    let traps = "for s in USR1 HUP QUIT; do trap \"echo $s >>got\" $s; done; echo >&3; while :; do sleep 1000 & wait $!; kill $!; done";
    tree.service("web").run(traps).file("notification-fd", "3").file("reload-signal", "QUIT\n");
    tree.start();
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    let pid = tree.await_up("web");
    assert_said(&tree.say(&["kill", "SIGUSR1", "web"]), 0, &[&format!("web: sent SIGUSR1 to pid {pid}")]);
    tree.await_lines("web/got", 1);
    assert_said(&tree.say(&["kill", "1", "web"]), 0, &["web: sent SIGHUP"]);
    tree.await_lines("web/got", 2);
    assert_said(&tree.say(&["reload", "web"]), 0, &["web: sent SIGQUIT"]);
    assert_eq!(tree.await_lines("web/got", 3), ["USR1", "HUP", "QUIT"]);
    assert_said(&tree.say(&["pause", "web"]), 0, &["web: sent SIGSTOP"]);
    tree.await_status("web", "paused", |status| status.paused);
    assert!(tree.ctl_ok(&["status"]).contains("paused"));
    assert_said(&tree.say(&["continue", "web"]), 0, &["web: sent SIGCONT"]);
    tree.await_status("web", "going on", |status| !status.paused);
    // A paused service stops all the same.
    tree.ctl_ok(&["pause", "web"]);
    assert_said(&tree.say(&["stop", "web"]), 0, &["web: down (killed by SIGTERM)"]);
    assert_said(&tree.say(&["reload", "web"]), 1, &["web: is not running"]);
}

#[test]
fn several_names_and_globs() {
    let mut tree = Tree::new();
    for name in ["web-1", "web-2", "db"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.service("db/log").run("exec cat >/dev/null");
    tree.start();
    for name in ["web-1", "web-2", "db", "db/log"] {
        tree.await_up(name);
    }
    let state = |name: &str| tree.status(name).map(|status| status.state);
    assert_said(&tree.say(&["stop", "web-*"]), 0, &["web-1: down", "web-2: down"]);
    assert_eq!((state("web-1"), state("web-2"), state("db")), (Some(State::Down), Some(State::Down), Some(State::Up)));
    assert_said(&tree.say(&["start", "web-1", "web-2"]), 0, &["web-1: up", "web-2: up"]);
    assert_said(&tree.say(&["restart", "{web-1,db*}"]), 0, &["web-1: up", "db: up"]);
    assert_said(&tree.say(&["restart", "*/log"]), 0, &["db/log: up"]);
    assert_said(&tree.say(&["stop", "zz*", "db"]), 102, &["zz*: no service matches", "db: down"]);
    assert_said(&tree.say(&["wait", "--down", "--any", "web-1", "db"]), 0, &["db: down"]);
    let said = tree.say(&["wait", "--down", "--timeout", "100ms", "web-1", "db"]);
    assert_said(&said, 99, &["web-1: still up after 0.1 s", "db: down"]);
}

#[test]
fn json_everywhere() {
    let (tree, pid) = with_web();
    let json = |words: &[&str]| -> serde_json::Value {
        let text = tree.ctl_ok(words);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
    };
    assert_eq!(json(&["--json"])["services"][0]["pid"], pid);
    assert_eq!(json(&["status", "--json", "web"])["services"][0]["state"], "up");
    assert_eq!(json(&["why", "web", "--json"])["status"]["name"], "web");
    assert_eq!(json(&["--json", "restart", "web"])["outcomes"][0]["result"], "done");
    assert_eq!(json(&["--json", "kill", "CONT", "web"])["outcomes"][0]["result"], "done");
    assert_eq!(json(&["--json", "wait", "web"])["outcomes"][0]["result"], "done");
    assert!(json(&["--json", "rescan"])["message"].is_string());
    assert_eq!(json(&["--json", "health"])["services"], serde_json::json!([]));
}

#[test]
fn a_wait_ends_when_the_directory_goes() {
    let (tree, _) = with_web();
    let socket = tree.run_dir();
    let waiting = std::thread::spawn(move || {
        let mut command = std::process::Command::new(svc_testkit::program());
        svc_testkit::Said::by(command.args(["svc-ctl", "wait", "--finished", "web"]).env("SVC_RUN_DIR", socket))
    });
    std::thread::sleep(Duration::from_millis(200));
    std::fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
    until("it to end", || waiting.is_finished().then_some(()));
    let said = waiting.join().expect("no panic");
    assert_said(&said, 0, &["web: "]);
}
