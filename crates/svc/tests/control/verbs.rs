//! What svc-ctl does to services, what it says, and with which code it ends.

use std::time::{Duration, Instant};

use svc_testkit::{Said, State, Tree, descendants, kill, until, wait_idle};

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
    assert_said(&tree.say(&["restart", "--timeout", "100ms", "web"]), 99, &["web: still "]);
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
    tree.ctl_ok(&["stop", "--no-wait", "stubborn"]);
    tree.await_status("stubborn", "stopping", |status| status.state == State::Stopping);
    let said = tree.say(&["stop", "--timeout", "300ms", "stubborn"]);
    assert_said(&said, 99, &["stubborn: still stopping after "]);
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
fn who_has_ended_while_others_were_waited_for_is_not_told_as_up() {
    let mut tree = Tree::new();
    let ctl = format!("{} svc-ctl", svc_testkit::program().display());
    for (name, exit, restart) in [("ill", 5, "never"), ("loop", 7, "always"), ("well", 0, "on-failure")] {
        let run = format!("until [ -e end ]; do sleep 0.01; done; rm end; exit {exit}");
        tree.service(name).run(&run).file("restart", restart).file("restart-delay", "1h").file("down", "");
        // Is ready when that one was up and is no more. One that has failed before is not waited for until it has been started again.
        let wait = format!("until {ctl} wait {name}; do :; done");
        let run = format!("{wait}; touch ../{name}/end; {ctl} wait --finished {name}; echo >&3; exec sleep 1000");
        tree.service(&format!("after-{name}")).run(&run).file("notification-fd", "3").file("down", "");
    }
    tree.start();
    for name in ["ill", "loop", "well", "after-ill", "after-loop", "after-well"] {
        tree.await_status(name, "down", |status| status.supervisor_pid.is_some() && status.state == State::Down);
    }
    let dead = ["ill: was up, and has ended since (exit 5)", "after-ill: up (pid "];
    assert_said(&tree.say(&["start", "ill", "after-ill"]), 1, &dead);
    assert_said(&tree.say(&["restart", "*ill"]), 1, &dead);
    assert_said(&tree.say(&["start", "*loop"]), 1, &["loop: was up, and has ended since (exit 7)"]);
    // What ends on purpose has done what was asked.
    assert_said(&tree.say(&["start", "well", "after-well"]), 0, &["well: down (exit 0)", "after-well: up (pid "]);
    tree.ctl_ok(&["stop", "after-well", "after-loop", "loop"]);
    assert_said(&tree.say(&["once", "well", "after-well"]), 0, &["well: down (exit 0)"]);
    assert_said(&tree.say(&["once", "loop", "after-loop"]), 1, &["loop: was up, and has ended since (exit 7)"]);
    assert_eq!(tree.stop(), 0);
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
    tree.service("job").run("echo ran >>starts; until [ -e end ]; do sleep 0.01; done").file("down", "");
    tree.start();
    tree.await_status("job", "down", |status| status.state == State::Down);
    assert_said(&tree.say(&["once", "job"]), 0, &["job: up (pid "]);
    tree.service("job").file("end", "");
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
    assert_said(&said, 99, &["web-1: still up after ", "db: down"]);
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
fn with_json_codes_and_standard_error_are_the_same() {
    let (tree, _) = with_web();
    tree.draft("off").file("down", "").run("exec sleep 1000");
    tree.draft("bad").file("down", "").executable("run", "#!/nowhere\n");
    ["off", "bad"].iter().for_each(|name| drop(tree.place(name)));
    tree.await_status("off", "down", |status| status.state == State::Down && status.supervisor_pid.is_some());
    tree.await_status("bad", "broken", |status| status.state == State::Broken);
    let cases: [(&[&str], i32, &str); 6] = [
        (&["kill", "TERM", "off"], 1, "off: is not running"),
        (&["reload", "off"], 1, "off: is not running"),
        (&["start", "bad"], 1, "/run: needs the interpreter /nowhere"),
        (&["run", "web"], 1, "web: does not run to an end"),
        (&["wait", "--up", "--timeout", "50ms", "off"], 99, "off: still down"),
        (&["wait", "--any", "--up", "--timeout", "50ms", "web", "off"], 0, ""),
    ];
    for (words, code, said) in cases {
        let plain = tree.say(words);
        assert_eq!((plain.code, plain.err.contains(said)), (code, true), "{words:?}: {plain:?}");
        let json = tree.say(&[&["--json"], words].concat());
        let lines = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        assert_eq!((json.code, lines(&json.err)), (plain.code, lines(&plain.err)), "{words:?}");
        serde_json::from_str::<serde_json::Value>(&json.out).expect("JSON, and nothing else");
    }
}

#[test]
fn what_cannot_be_rendered_is_named_with_the_reason() {
    let (tree, _) = with_web();
    tree.service("bad").file("service.toml", "command = 7\n");
    tree.service("empty").file("notes", "");
    until("both", || (tree.status("bad").is_some() && tree.status("empty").is_some()).then_some(()));
    let said = tree.say(&["render"]);
    assert_said(&said, 1, &["svc-ctl: bad: ", "service.toml:1", "svc-ctl: empty: ", "run: does not exist"]);
}

#[test]
fn a_wait_ends_when_the_directory_goes() {
    let (tree, _) = with_web();
    let mut command = std::process::Command::new(svc_testkit::program());
    command.args(["svc-ctl", "wait", "--finished", "web"]).env("SVC_RUN_DIR", tree.run_dir());
    let mut waiting = svc_testkit::spawn(command.stdout(std::process::Stdio::piped())).expect("svc-ctl runs");
    // It has asked, and svc-scan has heard it.
    for pid in [waiting.id() as i32, tree.process("svc-scan")] {
        wait_idle(pid, Duration::from_millis(200));
    }
    std::fs::rename(tree.services().join("web"), tree.path("web")).expect("ours");
    until("it to end", || waiting.try_wait().expect("ours"));
    let output = waiting.wait_with_output().expect("ours");
    assert!(output.status.success() && output.stdout.starts_with(b"web: "), "{output:?}");
}

/// An order that is under way.
fn ask(tree: &Tree, words: &[&str]) -> std::thread::JoinHandle<Said> {
    let (socket, words) = (tree.run_dir(), words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>());
    std::thread::spawn(move || {
        let mut command = std::process::Command::new(svc_testkit::program());
        Said::by(command.arg("svc-ctl").args(words).env("SVC_RUN_DIR", socket))
    })
}

#[test]
fn a_classic_service_that_is_asked_for_otherwise_lets_nobody_wait_for_ever() {
    let mut tree = Tree::new();
    // Ends when it is allowed to.
    let run = "trap 'until [ -e end ]; do sleep 0.01; done; exit 0' TERM; while :; do sleep 1000 & wait $!; kill $!; done";
    tree.service("slow").run(run);
    tree.service("unready").run("exec sleep 1000").file("notification-fd", "3").file("down", "");
    tree.start();
    let contradicted = |order: std::thread::JoinHandle<Said>, name: &str| {
        let said = order.join().expect("no panic");
        assert_said(&said, 1, &[&format!("{name}: somebody asked for something else meanwhile")]);
    };
    let pid = tree.await_up("slow");
    until("its trap", || descendants(pid).into_iter().next());
    let stopping = |status: &svc_testkit::Status| status.state == State::Stopping;
    let stop = ask(&tree, &["stop", "slow"]);
    tree.await_status("slow", "stopping", stopping);
    let start = ask(&tree, &["start", "slow"]);
    contradicted(stop, "slow");
    // Who comes last is obeyed, and at once: nothing has ended yet.
    let stop = ask(&tree, &["stop", "slow"]);
    contradicted(start, "slow");
    let restart = ask(&tree, &["restart", "slow"]);
    contradicted(stop, "slow");
    let stop = ask(&tree, &["stop", "slow"]);
    contradicted(restart, "slow");
    assert_eq!(tree.status("slow").map(|status| status.state), Some(State::Stopping));
    tree.service("slow").file("end", "");
    assert_said(&stop.join().expect("no panic"), 0, &["slow: down (exit 0)"]);

    let start = ask(&tree, &["start", "unready"]);
    tree.await_up("unready");
    tree.ctl_ok(&["stop", "unready"]);
    contradicted(start, "unready");

    let start = ask(&tree, &["start", "unready"]);
    tree.await_up("unready");
    assert_eq!(tree.stop(), 0);
    assert_said(&start.join().expect("no panic"), 1, &["unready: everything is being shut down"]);
}

#[test]
fn each_of_several_names_has_its_own_result() {
    let mut tree = Tree::new();
    let slow = "command = \"\"\"sh -c 'trap \"until [ -e end ]; do sleep 0.01; done; exit 0\" TERM; : >armed; while :; do sleep 0.01; done'\"\"\"\n";
    tree.service("slow").file("service.toml", slow);
    tree.service("quick").file("service.toml", "command = \"sleep 1000\"\n");
    tree.start();
    tree.await_up("slow");
    until("its trap", || tree.services().join("slow/armed").exists().then_some(()));
    tree.await_up("quick");
    let stop = ask(&tree, &["stop", "quick", "slow"]);
    tree.await_status("slow", "stopping", |status| status.state == State::Stopping);
    tree.await_status("quick", "down", |status| status.state == State::Down);
    let start = ask(&tree, &["start", "slow"]);
    let said = stop.join().expect("no panic");
    assert_said(&said, 1, &["quick: down (", "slow: somebody asked for something else meanwhile"]);
    tree.service("slow").file("end", "");
    assert_said(&start.join().expect("no panic"), 0, &["slow: up (pid "]);
}
