//! Signals hit whom they are meant for, and nobody else (promises 18 and 20).

use svc_testkit::api::{Control, Outcomes, Verb};
use svc_testkit::{State, Tree, amount, has_program, needs, until};

use crate::support::tree_with;

// 20
#[test]
fn promise_20_a_service_that_kills_its_group_hurts_nobody_else() {
    let mut tree = Tree::new();
    tree.service("neighbour").run("exec sleep 1000");
    tree.service("group").file("down", "").run("kill -TERM 0; exec sleep 1000");
    // Into a group of its own, into those of others (which fails), and then at everybody in what it got.
    let games = "setpgrp(0, 0); setpgrp(0, getppid()); setpgrp(0, 1); kill \"TERM\", 0; sleep 1000";
    let perl = has_program("perl");
    if needs("perl", perl) {
        tree.service("games").file("down", "").run(&format!("exec perl -e '{games}'"));
    }
    tree.start();
    let neighbour = tree.await_up("neighbour");
    // Forked is not yet named as what it is.
    for name in ["group", "games"].into_iter().filter(|name| *name == "group" || perl) {
        tree.process(&format!("svc-supervise {name}"));
    }
    let mut daemons = tree.daemons();
    daemons.sort_by_key(|process| process.pid);
    for name in ["group", "games"].into_iter().filter(|name| *name == "group" || perl) {
        tree.ctl_ok(&["once", name]);
        let status = tree.await_status(name, "ended", |status| status.state == State::Down && status.last_exit.is_some());
        assert_eq!(status.last_exit.and_then(|exit| exit.signal).as_deref(), Some("TERM"));
    }
    let mut after = tree.daemons();
    after.sort_by_key(|process| process.pid);
    let pids = |processes: &[svc_testkit::Process]| processes.iter().map(|process| process.pid).collect::<Vec<_>>();
    assert_eq!(pids(&after), pids(&daemons));
    assert_eq!(tree.await_up("neighbour"), neighbour);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_signal_goes_to_the_main_process_alone() {
    let tree = tree_with("web", |service| {
        let child = "trap 'echo child >> seen' USR1; while :; do sleep 1000 & wait $!; kill $!; done";
        service.script("child", child);
        service.run("trap 'echo main >> seen' USR1; ./child & echo up >> seen; while :; do wait; done");
    });
    tree.await_lines("web/seen", 1);
    for count in 2..5 {
        tree.ctl_ok(&["kill", "USR1", "web"]);
        assert_eq!(tree.await_lines("web/seen", count).last().map(String::as_str), Some("main"));
    }
    assert!(!tree.lines("web/seen").contains(&"child".to_owned()));
}

/// Whether a PID namespace can be made, and its numbers kept few without changing those of the machine.
fn few_pids() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    // Since 6.14 kernel.pid_max is the namespace's own.
    let own = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 14);
    let script = "echo 400 > /proc/sys/kernel/pid_max";
    own && std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "sh", "-c", script])
        .output()
        .is_ok_and(|output| output.status.success())
}

// 18
#[test]
fn promise_18_a_storm_of_signals_hits_no_process_that_got_an_old_number() {
    if !needs("root, unshare, Linux 6.14 and perl", few_pids() && has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let script = "echo 400 > /proc/sys/kernel/pid_max; exec \"$@\"";
    tree.wrapper(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"]);
    // Every number is given again and again; a child that dies of a signal was hit by mistake.
    let churn = "$n = 0; while (1) { $c = fork // next; if (!$c) { select undef, undef, undef, 0.001 * int rand 4; exit }\
                 waitpid $c, 0; $n++; print \"$n\\n\" if $n % 500 == 0;\
                 if ($? & 127) { open F, \">>foreign\"; print F \"$c: $?\\n\"; close F } }";
    for name in ["churn-1", "churn-2", "churn-3"] {
        tree.service(name).run(&format!("exec perl -e '$| = 1; {churn}' >> count"));
    }
    for name in ["target-1", "target-2"] {
        tree.service(name).file("down", "").run("exec sleep 0.00$(($$ % 8))");
    }
    tree.start();
    let mut storms = 0;
    let turns = amount(1, 10) as usize;
    let turned = |tree: &Tree| {
        ["churn-1", "churn-2", "churn-3"].iter().all(|name| tree.lines(&format!("{name}/count")).len() >= turns)
    };
    until("the numbers to go round many times", || {
        let services: Vec<String> = ["target-1", "target-2"].map(str::to_owned).into();
        let order = |verb, signal: Option<&str>| -> Outcomes {
            let signal = signal.map(str::to_owned);
            tree.post("/v1/control", &Control { signal, wait: false, ..Control::new(verb, services.clone()) })
        };
        order(Verb::Start, None);
        for signal in ["USR1", "INT", "USR2", "TERM"] {
            order(Verb::Kill, Some(signal));
        }
        storms += 1;
        let deaths = tree.detail("target-1").map_or(0, |detail| detail.death_count);
        (turned(&tree) && deaths > 10).then_some(())
    });
    for name in ["churn-1", "churn-2", "churn-3"] {
        assert_eq!(tree.lines(&format!("{name}/foreign")), [""; 0], "after {storms} storms");
    }
    // What is called up is a child of its supervisor, under whatever number.
    let status = tree.await_status("churn-1", "up", |status| status.state == State::Up);
    assert_eq!(status.restarts, 0, "nobody hit it");
    tree.ctl_ok(&["stop", "--timeout", "120", "**"]);
}
