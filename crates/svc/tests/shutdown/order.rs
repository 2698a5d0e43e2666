//! Promises 10 and 11, finish scripts, and what is told of those who had to be killed.

use std::fs;

use svc_testkit::{Tree, descendants, has_program, is_alive, needs, until};

fn lines(path: &std::path::Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A producer writes as it stops, and its logger reads slowly: everything is there before svc ends.
#[test]
fn promise_10_loggers_come_last_and_read_to_the_end() {
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    for name in ["a", "b"] {
        let last = format!("trap 'for i in 1 2 3 4 5; do echo last {name} $i; sleep 0.05; done; exit 0' TERM");
        tree.service(name).run(&format!("{last}; echo first {name}; sleep 1000 & wait"));
        let logger = format!(
            "while read -r line; do sleep 0.02; echo \"$line\" >> {root}/{name}.out; done; echo end >> {root}/{name}.out"
        );
        tree.service(&format!("{name}/log")).run(&logger);
        // What finish says is output too.
        tree.service(name).finish(&format!("echo finish {name}"));
    }
    tree.start();
    for name in ["a", "b"] {
        let pid = tree.await_up(name);
        until("its sleep", || descendants(pid).iter().any(|process| process.title() == "sleep 1000").then_some(()));
        until("its first line", || (!lines(&tree.path(&format!("{name}.out"))).is_empty()).then_some(()));
    }
    assert_eq!(tree.stop(), 0);
    for name in ["a", "b"] {
        let mut expected = vec![format!("first {name}")];
        expected.extend((1..=5).map(|number| format!("last {name} {number}")));
        expected.extend([format!("finish {name}"), "end".into()]);
        assert_eq!(lines(&tree.path(&format!("{name}.out"))), expected);
    }
    assert!(!tree.log().contains("killed"), "{}", tree.log());
}

/// The same where svc-log is the logger: megabytes written by a handler of SIGTERM.
#[test]
fn promise_10_svc_log_reads_to_the_end() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let ready = tree.path("ready");
    let program = format!(
        "#!/usr/bin/perl\n$SIG{{TERM}} = sub {{ for (1 .. 50000) {{ syswrite(STDOUT, \"last line number $_\\n\"); }} exit 0; }};\n\
         open(my $f, '>', '{}'); close($f);\nsleep(1) while 1;\n",
        ready.display()
    );
    tree.service("web").executable("run", &program);
    tree.start();
    until("its handler", || ready.exists().then_some(()));
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    let last: Vec<&str> = log.lines().filter(|line| line.starts_with("last line number")).collect();
    assert_eq!(last.len(), 50_000);
    assert!(last.iter().enumerate().all(|(index, line)| **line == format!("last line number {}", index + 1)));
}

/// One that ignores the end of its input is asked before it is killed; but not one that has something to read.
#[test]
fn a_logger_that_goes_on_behind_the_end_of_its_input_is_told_to_end_before_it_is_killed() {
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    for (name, reads) in [("done", "cat >&2"), ("behind", "")] {
        tree.service(name).run("echo line; exec sleep 1000");
        let trap = format!("trap 'echo told >> {root}/{name}.out; exit 0' TERM");
        let logger = format!("{trap}\n{reads}\necho end >> {root}/{name}.out; while :; do sleep 0.02; done");
        tree.service(&format!("{name}/log")).run(&logger);
    }
    tree.set("SVC_STOP_TIMEOUT", "16s").start();
    until("a line", || tree.log().contains("line").then_some(()));
    until("the other logger", || (!lines(&tree.path("behind.out")).is_empty()).then_some(()));
    assert_eq!(tree.stop(), 0);
    assert_eq!(lines(&tree.path("done.out")), ["end", "told"], "{}", tree.log());
    assert_eq!(lines(&tree.path("behind.out")), ["end"], "{}", tree.log());
}

/// Promise 11: a logger that was stopped is let go on at the end, and what waits in the pipe is written.
#[test]
fn promise_11_what_waits_for_a_paused_logger_is_not_lost() {
    let mut tree = Tree::new();
    let out = tree.path("out");
    tree.service("web").run("i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; done; echo done >&2; exec sleep 1000");
    tree.service("web/log").run(&format!("exec cat >> {}", out.display())).file("down", "");
    tree.start();
    until("all lines to wait", || tree.log().contains("done").then_some(()));
    tree.ctl_ok(&["start", "web/log"]);
    tree.ctl_ok(&["pause", "web/log"]);
    tree.await_status("web/log", "paused", |status| status.paused);
    assert_eq!(tree.stop(), 0);
    assert!(!tree.log().contains("killed"), "{}", tree.log());
    let expected: Vec<String> = (1..=1000).map(|number| format!("line {number}")).collect();
    assert_eq!(lines(&out), expected);
}

#[test]
fn finish_scripts_run_and_are_heard() {
    let mut tree = Tree::new();
    tree.service("web")
        .run("trap 'exit 3' TERM; sleep 1000 & wait")
        .finish("echo finish of $3: $1 $2; echo and its error >&2");
    tree.service("killed").run("exec sleep 1000").finish("echo finish of $3: $1 $2");
    // One that is down has nothing to finish.
    tree.service("off").file("down", "").run("exec sleep 1000").finish("echo finish of $3: $1 $2");
    tree.start();
    until("its trap", || descendants(tree.await_up("web")).into_iter().next());
    tree.await_up("killed");
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    for line in ["finish of web: 3 0", "and its error", "finish of killed: 256 15"] {
        assert!(log.lines().any(|told| told == line), "{line}: {log}");
    }
    assert!(!log.contains("finish of off"), "{log}");
}

#[test]
fn who_had_to_be_killed_is_told() {
    let mut tree = Tree::new();
    tree.service("good").run("exec sleep 1000");
    tree.service("stubborn").run("trap '' TERM; echo armed; while :; do sleep 1000; done");
    tree.service("finishing").run("exec sleep 1000").file("timeout-finish", "0\n").finish("trap '' TERM; sleep 1000");
    tree.set("SVC_STOP_TIMEOUT", "5").start();
    until("its trap", || tree.log().contains("armed").then_some(()));
    let pids = ["good", "stubborn", "finishing"].map(|name| tree.await_up(name));
    assert_eq!(tree.stop(), 0);
    let log = tree.log();
    for name in ["stubborn", "finishing"] {
        let told = log.lines().filter(|line| line.contains(name) && line.contains("killed")).count();
        assert!(told >= 1, "{name}: {log}");
    }
    assert!(log.contains("SVC_STOP_TIMEOUT gives it longer") && !log.contains("timeout-finish"), "{log}");
    assert!(!log.lines().any(|line| line.contains("good")), "{log}");
    assert!(pids.iter().all(|&pid| !is_alive(pid)));
}

/// Whom svc-init kills when the time is up is told with the service; and nobody takes over who does not come.
#[test]
fn whoever_is_killed_at_the_very_end_is_told_with_the_service() {
    for budget in ["1s", "0"] {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.service("web/log").run("trap '' TERM; echo armed >&2; sleep 1000; :");
        tree.set("SVC_STOP_TIMEOUT", budget).start();
        tree.await_up("web");
        let logger = tree.await_up("web/log");
        let sleep = until("its sleep", || descendants(logger).first().map(|process| process.pid));
        assert_eq!(tree.stop(), 0);
        let log = tree.log();
        // Where it has some time, its supervisor is told to kill it in the same millisecond, and may be the first.
        let by_its_own = budget != "0" && log.contains("svc-supervise: web/log: did not stop in time: killed");
        assert!(by_its_own || log.contains(&format!("(pid {sleep}) of web/log")), "{log}");
        assert!(!log.contains("takes over"), "{log}");
    }
}

/// A main program's and a service's daemons are gone when svc is.
#[test]
fn leftover_daemons_are_gone() {
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    let daemon = |name: &str| format!("setsid sh -c 'sleep 1000 & echo $! > {root}/{name}.pid'");
    tree.service("web").run(&format!("{}; exec sleep 1000", daemon("web")));
    tree.service("deaf")
        .run(&format!("setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & echo $! > {root}/deaf.pid'; exec sleep 1000"));
    tree.service("deaf").file("timeout-kill", "300\n");
    // Left alone when its service is stopped; but the end of svc is the end of everybody.
    tree.service("kept").file("keep-descendants", "").run(&format!("{}; exec sleep 1000", daemon("kept")));
    tree.service("stopped").file("keep-descendants", "").run(&format!("{}; exec sleep 1000", daemon("stopped")));
    tree.start();
    let pids: Vec<i32> = ["web", "deaf", "kept", "stopped"]
        .map(|name| until(name, || lines(&tree.path(&format!("{name}.pid"))).first()?.parse().ok()))
        .into();
    tree.ctl_ok(&["stop", "stopped"]);
    assert!(is_alive(pids[3]), "keep-descendants keeps them");
    assert_eq!(tree.stop(), 0);
    for (pid, name) in pids.iter().zip(["web", "deaf", "kept", "stopped"]) {
        assert!(!is_alive(*pid), "{name}'s daemon lives");
    }
}

/// Nobody has to be killed, and nothing waits for a time to be over.
#[test]
fn an_idle_tree_stops_at_once() {
    let mut tree = Tree::new();
    for number in 0..20 {
        tree.service(&format!("s{number}")).run("exec sleep 1000");
    }
    tree.service("pair").run("exec sleep 1000");
    tree.service("pair/log").run("exec cat");
    tree.set("SVC_STOP_TIMEOUT", "3600").start();
    for number in 0..20 {
        tree.await_up(&format!("s{number}"));
    }
    tree.await_up("pair/log");
    assert_eq!(tree.stop(), 0);
    assert!(!tree.log().contains("killed"), "{}", tree.log());
}

#[test]
fn an_empty_tree_stops_at_once() {
    let mut tree = Tree::new();
    tree.set("SVC_STOP_TIMEOUT", "3600").start();
    assert_eq!(tree.stop(), 0);
    // And without having come so far as to listen.
    tree.launch();
    until("svc-init", || (!descendants(tree.init_pid()).is_empty()).then_some(()));
    assert_eq!(tree.stop(), 0);
}
