//! Small daemons of the kinds there are: found by what they leave behind, or by their pid file.

use svc_testkit::{State, Tree, fifo, has_program, is_alive, needs, release, until};

use crate::{await_gone, number, parent};

/// Forks twice, as books tell it: the first child leads a session and ends, the second is the daemon. No pid file.
const TWICE: &str = r#"
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open("pid.new", "w") as file:
    file.write(f"{os.getpid()}\n")
os.rename("pid.new", "pid")
while True:
    time.sleep(1000)
"#;

#[test]
fn a_daemon_that_forks_twice_is_found_without_a_pid_file() {
    if !needs("python3", has_program("python3")) {
        return;
    }
    let mut tree = Tree::new();
    tree.draft("web").file("daemon.py", TWICE).file("service.toml", "kind = 'forking'\ncommand = 'python3 daemon.py'");
    tree.place("web");
    tree.start();
    let daemon = number(&tree, "web/pid");
    tree.await_status("web", "the daemon", |status| status.pid == Some(daemon) && status.ready == Some(true));
    assert_eq!(parent(daemon), tree.supervisor("web"), "its supervisor is its parent");
    std::fs::remove_file(tree.services().join("web/pid")).expect("there");
    svc_testkit::kill(daemon, "KILL");
    let next = number(&tree, "web/pid");
    let status = tree.await_status("web", "the next one", |status| status.pid == Some(next));
    assert_eq!(status.last_exit.and_then(|exit| exit.signal).as_deref(), Some("KILL"), "its own end is told");
    tree.ctl_ok(&["stop", "web"]);
    await_gone(&[daemon, next]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn it_is_ready_when_its_command_has_ended_and_not_before() {
    let mut tree = Tree::new();
    tree.toml("web", "kind = 'forking'\ncommand = ['sh', '-c', 'read line <go; sleep 1000 & exit 0']");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['web']");
    fifo(tree.services().join("web/go"));
    tree.start();
    let command = tree.await_status("web", "up", |status| status.state == State::Up && status.ready == Some(false)).pid;
    assert_eq!(tree.status("edge").map(|status| status.state), Some(State::Waiting), "{}", tree.log());
    release(tree.services().join("web/go"));
    let daemon = tree.await_status("web", "ready", |status| status.ready == Some(true)).pid;
    assert_ne!(command, daemon);
    tree.await_up("edge");
    assert_eq!(tree.stop(), 0);
    await_gone(&[command, daemon].map(Option::unwrap_or_default));
}

#[test]
fn readiness_of_its_own_counts_more_than_the_end_of_the_command() {
    let mut tree = Tree::new();
    let shell = "(read line <go; echo >&4; exec sleep 1000) & exit 0";
    tree.toml("web", &format!("kind = 'forking'\nready.fd = 4\ncommand = ['sh', '-c', '{shell}']"));
    fifo(tree.services().join("web/go"));
    tree.start();
    // The command has ended when the daemon is the main process: a child of the supervisor that is no longer a shell's child.
    let up = tree.await_status("web", "up", |status| {
        status.pid.is_some_and(|pid| parent(pid) == status.supervisor_pid && tree.log().is_empty())
    });
    assert_eq!(up.ready, Some(false));
    release(tree.services().join("web/go"));
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_pid_file_chooses_among_what_is_left_behind() {
    let mut tree = Tree::new();
    let shell = "sleep 1000 & sleep 1000 & echo $! >pid; exit 0";
    tree.toml("web", &format!("kind = 'forking'\npid-file = 'pid'\ncommand = ['sh', '-c', '{shell}']"));
    tree.start();
    let named = number(&tree, "web/pid");
    tree.await_status("web", "the one that is named", |status| status.pid == Some(named));
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(named));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_pid_file_that_names_a_stranger_is_not_believed() {
    let mut stranger = svc_testkit::spawn(std::process::Command::new("sleep").arg("1000")).expect("sleep");
    let mut tree = Tree::new();
    for (name, content) in [("other", stranger.id().to_string()), ("init", "1".into()), ("text", "a b".into())] {
        let text = "kind = 'forking'\npid-file = 'pid'\ncommand = ['sh', '-c', 'sleep 1000 & exit 0']";
        tree.draft(name).file("pid", &format!("{content}\n")).file("service.toml", text);
        tree.place(name);
    }
    tree.start();
    for name in ["other", "init", "text"] {
        let status = tree.await_status(name, "ready", |status| status.ready == Some(true));
        let pid = status.pid.expect("it runs");
        assert_eq!(parent(pid), tree.supervisor(name), "{name}");
        tree.ctl_ok(&["stop", name]);
        assert!(!is_alive(pid), "{name}");
    }
    assert!(is_alive(stranger.id() as i32), "nobody else is signalled");
    assert_eq!(tree.stop(), 0);
    stranger.kill().and_then(|()| stranger.wait()).expect("ours");
}

#[test]
fn a_pid_file_may_name_a_successor_when_the_daemon_ends() {
    let mut tree = Tree::new();
    // As nginx does when its program is exchanged: the old one hands over and ends with 0.
    let old = "#!/bin/sh\nread line <go\nsleep 1000 &\necho $! >pid\n";
    tree.draft("web")
        .executable("old", old)
        .file("service.toml", "kind = 'forking'\npid-file = 'pid'\ncommand = ['sh', '-c', './old & echo $! >pid; exit 0']");
    tree.place("web");
    fifo(tree.services().join("web/go"));
    tree.start();
    let first = number(&tree, "web/pid");
    tree.await_status("web", "the first", |status| status.pid == Some(first) && status.ready == Some(true));
    release(tree.services().join("web/go"));
    let status = tree.await_status("web", "the second", |status| status.pid.is_some_and(|pid| pid != first));
    assert_eq!((status.pid, status.restarts), (Some(number(&tree, "web/pid")), 0), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_that_fails_or_leaves_nothing_is_a_start_that_failed() {
    let mut tree = Tree::new();
    tree.toml("fails", "kind = 'forking'\ncommand = ['sh', '-c', 'sleep 1000 & echo $! >pid; exit 3']");
    tree.toml("empty", "kind = 'forking'\ncommand = 'true'");
    tree.start();
    let left = number(&tree, "fails/pid");
    let status = tree.await_status("fails", "an end", |status| status.last_exit.is_some());
    assert_eq!(status.last_exit.and_then(|exit| exit.code), Some(3));
    await_gone(&[left]);
    tree.await_status("empty", "an end", |status| status.last_exit.is_some());
    until("a word about it", || tree.log().contains("left no process behind").then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_pid_file_that_names_the_command_itself_is_told_as_the_cause() {
    let mut tree = Tree::new();
    let command = "sleep 1000 & echo $! >left; echo $$ >pid";
    tree.toml("web", &format!("kind = 'forking'\npid-file = 'pid'\ncommand = ['sh', '-c', '{command}']"));
    tree.start();
    tree.await_status("web", "an end", |status| status.last_exit.is_some());
    let why = until("its reason", || {
        let said = tree.say(&["why", "web"]);
        said.out.contains("does its pid-file name the command itself?").then_some(said.out)
    });
    assert!(
        tree.log().contains("its pid-file names the command itself") && !tree.log().contains("no process behind"),
        "{why}"
    );
    // Once, and not at each start; who asks for one hears it again.
    let told = |tree: &Tree| tree.log().matches("forking, and its command ended with 0").count();
    tree.await_status("web", "another end", |status| status.restarts > 1);
    assert_eq!(told(&tree), 1, "{}", tree.log());
    tree.ctl_ok(&["restart", "--no-wait", "web"]);
    until("a word about it", || (told(&tree) == 2).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_stop_while_the_command_runs_leaves_no_daemon() {
    let mut tree = Tree::new();
    let shell = "trap \"\" TERM; sleep 1000 & echo $! >pid; read line <go; exit 0";
    tree.toml("web", &format!("kind = 'forking'\ntimeout.kill = '5s'\ncommand = ['sh', '-c', '{shell}']"));
    fifo(tree.services().join("web/go"));
    tree.start();
    let daemon = number(&tree, "web/pid");
    tree.await_up("web");
    tree.order(svc_testkit::api::Verb::Stop, &["web"]);
    tree.await_status("web", "stopping", |status| status.state == State::Stopping);
    release(tree.services().join("web/go"));
    tree.await_status("web", "down", |status| status.state == State::Down);
    assert!(!is_alive(daemon));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_kill_reaches_the_group_of_a_daemon_that_is_not_its_leader() {
    if !needs("python3", has_program("python3")) {
        return;
    }
    let mut tree = Tree::new();
    let deaf =
        TWICE.replace("import os, sys, time", "import os, sys, time, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)");
    let keys = "kind = 'forking'\ncommand = 'python3 daemon.py'\nkill-group = true\ntimeout.kill = '20ms'";
    tree.draft("web").file("daemon.py", &deaf).file("service.toml", keys);
    tree.place("web");
    tree.start();
    let daemon = number(&tree, "web/pid");
    tree.await_status("web", "the daemon", |status| status.pid == Some(daemon));
    tree.ctl_ok(&["stop", "web"]);
    assert!(!is_alive(daemon));
    let exit = tree.status("web").and_then(|status| status.last_exit).expect("it ended");
    assert_eq!(exit.signal.as_deref(), Some("KILL"));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_classic_form_has_a_small_file_for_it() {
    let mut tree = Tree::new();
    tree.service("plain").run("sleep 1000 & exit 0").file("forking", "");
    tree.service("named").run("sleep 1000 & sleep 1000 & echo $! >pid; exit 0").file("forking", "pid\n");
    tree.start();
    let named = number(&tree, "named/pid");
    tree.await_status("named", "the one that is named", |status| status.pid == Some(named) && status.ready == Some(true));
    let plain = tree.await_status("plain", "ready", |status| status.ready == Some(true)).pid.expect("it runs");
    assert_eq!(parent(plain), tree.supervisor("plain"));
    tree.ctl_ok(&["restart", "plain"]);
    assert!(!is_alive(plain));
    assert_eq!(tree.stop(), 0);
    assert!(!is_alive(named));
}

#[test]
fn what_excludes_a_forking_daemon_is_told_with_both_names() {
    let tree = Tree::new();
    tree.service("keep").run("exit 0").file("forking", "").file("keep-descendants", "");
    tree.service("space").run("exit 0").file("forking", "").file("flag-newpidns", "");
    tree.toml("toml", "kind = 'forking'\ncommand = 'true'\nkeep-descendants = true");
    tree.toml("none", "kind = 'forking'");
    tree.toml("other", "command = 'true'\npid-file = 'pid'");
    let said = tree.say(&["check", &tree.services().display().to_string()]);
    assert_eq!(said.code, 1, "{said:?}");
    for words in [
        ["keep/forking", "keep/keep-descendants"],
        ["space/forking", "space/flag-newpidns"],
        ["keep-descendants means nothing for a forking", "only for a process or a oneshot"],
        ["none/service.toml", "has no command"],
        ["pid-file means nothing for a process", "only for a forking"],
    ] {
        let line = said.out.lines().chain(said.err.lines()).find(|line| words.iter().all(|word| line.contains(word)));
        assert!(line.is_some(), "{words:?} in {said:?}");
    }
}
