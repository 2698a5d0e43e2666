//! s6's own tools, and ours of the same names, on services of the graph, behind the engine's back.

use std::process::Command;

use svc_testkit::{Said, State, Tree, kill, until};

use crate::Sources;
use crate::order::await_all;

/// One of our s6 commands on a service.
fn tool(tree: &Tree, name: &str, words: &[&str], service: &str) -> Said {
    let mut command = Command::new(svc_testkit::program());
    Said::by(command.arg(name).args(words).arg(tree.services().join(service)).env("SVC_RUN_DIR", tree.run_dir()))
}

#[track_caller]
fn tell(tree: &Tree, name: &str, words: &[&str], service: &str) -> String {
    let said = tool(tree, name, words, service);
    assert_eq!(said.code, 0, "{name} {words:?} {service}: {said:?}; log:\n{}", tree.log());
    said.out
}

#[test]
fn letters_to_a_longrun_of_the_graph_are_taken_in() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.start();
    await_all(&tree, &["web"]);
    assert!(tell(&tree, "s6-svstat", &[], "db").starts_with("up (pid "));
    tell(&tree, "s6-svc", &["-wD", "-T120000", "-d"], "db");
    tree.await_status("db", "down", |status| status.state == State::Down && !status.wanted_up);
    assert!(tree.status("web").is_some_and(|status| status.state == State::Up), "nobody else is stopped by that");
    tell(&tree, "s6-svc", &["-wU", "-T120000", "-u"], "db");
    tree.await_status("db", "up", |status| status.ready == Some(true) && status.wanted_up);
    let pid = tree.await_up("db");
    tell(&tree, "s6-svc", &["-wR", "-T120000", "-r"], "db");
    assert_ne!(tree.await_up("db"), pid);
    tell(&tree, "s6-svc", &["-O"], "db");
    // Who ends before that letter was read is started again.
    until("it to be read", || (tell(&tree, "s6-svstat", &["-o", "wantedup"], "db") == "false\n").then_some(()));
    svc_testkit::kill(tree.await_up("db"), "TERM");
    tree.await_status("db", "down", |status| status.state == State::Down);
    assert_eq!(tree.say(&["health"]).code, 0, "it was to end");
    tree.ctl_ok(&["start", "db"]);
    // The order is what it was.
    assert_eq!(tree.say(&["stop", "db"]).code, 1);
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.trace().iter().rev().take(2).map(String::as_str).collect::<Vec<_>>(), ["-db", "-web"]);
}

#[test]
fn a_new_supervisor_for_a_service_of_the_graph() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.oneshot("job", &[], "true", "true");
    tree.longrun("web", &["db", "job"], "");
    tree.start();
    await_all(&tree, &["web"]);
    let (web, old) = (tree.await_up("web"), tree.supervisor("db"));
    tell(&tree, "s6-svc", &["-x"], "db");
    tell(&tree, "s6-svc", &["-d"], "db");
    until("another supervisor", || tree.supervisor("db").filter(|_| tree.supervisor("db") != old));
    tree.ctl_ok(&["start", "db"]);
    await_all(&tree, &["db"]);
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-job");
}

#[test]
fn a_oneshot_has_no_supervise_directory_and_tools_say_so() {
    let mut tree = Tree::new();
    tree.oneshot("job", &[], "true", "true");
    tree.start();
    await_all(&tree, &["job"]);
    for (name, words) in [("s6-svstat", &[][..]), ("s6-svc", &["-d"]), ("s6-svok", &[])] {
        let said = tool(&tree, name, words, "job");
        assert!(said.code != 0 && said.code != 101, "{name}: {said:?}");
    }
    assert_eq!(tree.status("job").map(|status| status.state), Some(State::Done));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn svscanctl_takes_in_sources_and_ends_them_in_order() {
    let mut tree = Tree::new();
    let db = tree.longrun("db", &[], "");
    tree.longrun("web", &["db"], "");
    tree.start();
    await_all(&tree, &["web"]);
    tree.longrun("late", &["web"], "");
    tell(&tree, "s6-svscanctl", &["-an"], "");
    await_all(&tree, &["late"]);
    db.file("dependencies.d/nobody", "");
    tell(&tree, "s6-svscanctl", &["-a"], "");
    tree.await_status("db", "a problem", |status| status.problem.is_some());
    tell(&tree, "s6-svscanctl", &["-t"], "");
    assert_eq!(tree.wait(), 0);
    tree.assert_order("-late", "-web");
    tree.assert_order("-web", "-db");
}

/// `svc install` and nothing else: services that call s6's commands by their names, and are killed with everybody around them.
#[test]
fn our_own_commands_inside_services() {
    let mut tree = Tree::new();
    let bin = tree.path("bin");
    let installed = Said::by(Command::new(svc_testkit::program()).arg("install").arg(&bin));
    assert_eq!(installed.code, 0, "{installed:?}");
    tree.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    let root = tree.root().display().to_string();
    let count = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $$ $i; done; exec sleep 1000";
    let web = tree.service("web");
    web.executable("run", &format!("#!/bin/sh\nexec s6-notifyoncheck -d -n 50 -w 50 sh -c '{count}'\n"));
    web.file("notification-fd", "3\n");
    tree.service("web/data").executable("check", "#!/bin/sh\nexit 0\n");
    tree.service("web/log").executable("run", &format!("#!/bin/sh\nexec s6-log -b n20 s1000000 {root}/logs\n"));
    tree.service("once").run(&format!("echo once >>{root}/once")).finish("s6-svc -O .");
    tree.service("last").run("exec sleep 1000").finish("[ -e stop ] && exec s6-svscanctl -t ..");
    tree.start();
    for round in 0..4 {
        let pid = tree.await_status("web", "ready", |status| status.ready == Some(true)).pid;
        let lines = || std::fs::read_to_string(tree.path("logs/current")).unwrap_or_default();
        until("its lines", || lines().contains(&format!("{} 300\n", pid.unwrap_or(0))).then_some(()));
        tree.kill_supervisor(["web", "web/log"][round % 2]);
        for title in ["svc-log", "svc-scan"] {
            svc_testkit::kill(tree.process(title), "KILL");
        }
        tree.await_control();
        svc_testkit::kill(tree.await_up("web"), "KILL");
        tree.await_status("web", "another one", |status| status.pid.is_some_and(|now| Some(now) != pid));
    }
    assert_eq!(tree.lines("../once"), ["once"]);
    tree.await_status("once", "down", |status| status.state == State::Down && !status.wanted_up);
    tree.service("last").file("stop", "");
    tell(&tree, "s6-svc", &["-k"], "last");
    assert_eq!(tree.wait(), 0);
    let text = std::fs::read_to_string(tree.path("logs/current")).expect("written");
    let mut last: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for line in text.lines() {
        let (life, number) = line.split_once(' ').unwrap_or_else(|| panic!("a broken line: {line:?}"));
        let before = last.insert(life, number.parse().expect("a number")).unwrap_or(0);
        assert_eq!(last[life], before + 1, "of {life}");
    }
    assert!(last.len() >= 4, "{} lives", last.len());
}

#[test]
fn a_service_whose_supervisor_is_about_to_begin_is_waited_for() {
    let mut tree = Tree::new();
    tree.start();
    // Nothing is launched until it goes on.
    kill(tree.svc_init(), "STOP");
    tree.draft("late").run("exec sleep 1000");
    tree.place("late");
    until("it is known", || tree.status("late"));
    let late = tree.services().join("late");
    let mut command = Command::new(svc_testkit::program());
    command.args(["s6-svwait", "-u", "-t", "120000"]).arg(&late).env("SVC_RUN_DIR", tree.run_dir());
    let mut waiting = svc_testkit::spawn(&mut command).expect("ours");
    until("somebody listens", || std::fs::read_dir(late.join("event")).ok()?.flatten().next());
    kill(tree.svc_init(), "CONT");
    assert!(waiting.wait().expect("our child").success(), "log:\n{}", tree.log());
    // One that nobody runs stays an error.
    tree.draft("other").run("exec sleep 1000");
    let other = Said::by(
        Command::new(svc_testkit::program())
            .args(["s6-svwait", "-t", "120000"])
            .arg(tree.draft("other").path())
            .env("SVC_RUN_DIR", tree.run_dir()),
    );
    assert!(other.code == 111 && other.err.contains("unable to read the status"), "{other:?}");
    assert_eq!(tree.stop(), 0);
}
