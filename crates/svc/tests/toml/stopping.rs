//! Signals, and how long what may take.

use svc_testkit::{State, Tree, is_alive, until, wait_gone};

const PATIENT: &str = "command = ['sh', '-c', 'trap \"\" TERM; echo $$ >seen; while :; do sleep 1000 & wait $!; done']\n";

#[test]
fn signals_are_as_they_are_written() {
    let mut tree = Tree::new();
    let traps = "trap \"echo quit >>seen; exit 0\" QUIT; trap \"echo usr1 >>seen\" USR1; echo up >>seen";
    let command = format!("command = ['sh', '-c', '{traps}; while :; do sleep 1000 & wait $!; done']\n");
    tree.toml("web", &format!("{command}stop.signal = 'QUIT'\nreload.signal = 'SIGUSR1'"));
    tree.start();
    tree.await_lines("web/seen", 1);
    tree.ctl_ok(&["reload", "web"]);
    assert_eq!(tree.await_lines("web/seen", 2), ["up", "usr1"]);
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.lines("web/seen"), ["up", "usr1", "quit"]);
    assert_eq!(tree.stop(), 0);
}

/// Writes down the numbers of signals that it gets, of three in real time; the second ends it.
const COUNTED: &str = r#"#!/usr/bin/env python3
import signal
waited = [34, 37, 64]
signal.pthread_sigmask(signal.SIG_BLOCK, waited)
got = "up"
while got != 37:
    print(got, file=open("seen", "a"))
    got = int(signal.sigwait(waited))
print(got, file=open("seen", "a"))
"#;

/// As images that were made for systemd have them.
#[test]
fn signals_in_real_time_are_counted_from_the_first_or_from_the_last() {
    if !svc_testkit::has_program("python3") {
        return;
    }
    let mut tree = Tree::new();
    let keys = "command = './program'\nstop.signal = 'SIGRTMIN+3'\nreload.signal = 'RTMAX'";
    tree.draft("web").executable("program", COUNTED).file("service.toml", keys);
    tree.place("web");
    tree.draft("old").executable("run", COUNTED).file("down-signal", "RTMIN+3\n");
    tree.place("old");
    tree.start();
    tree.await_lines("web/seen", 1);
    tree.await_lines("old/seen", 1);
    tree.ctl_ok(&["reload", "web"]);
    tree.await_lines("web/seen", 2);
    tree.ctl_ok(&["kill", "RTMIN", "web"]);
    assert_eq!(tree.await_lines("web/seen", 3), ["up", "64", "34"]);
    tree.ctl_ok(&["stop", "web", "old"]);
    assert_eq!(tree.lines("web/seen"), ["up", "64", "34", "37"]);
    assert_eq!(tree.lines("old/seen"), ["up", "37"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_stop_is_over_after_its_time_and_a_kill_ends_it() {
    let mut tree = Tree::new();
    tree.toml("slow", &format!("{PATIENT}timeout.stop = '300ms'"));
    tree.toml("killed", &format!("{PATIENT}timeout.kill = '300ms'"));
    tree.start();
    tree.await_lines("slow/seen", 1);
    tree.await_lines("killed/seen", 1);
    tree.ctl_ok(&["stop", "killed"]);
    let death = tree.status("killed").and_then(|status| status.last_exit);
    assert_eq!(death.and_then(|death| death.signal).as_deref(), Some("KILL"));
    let said = tree.say(&["stop", "slow"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_ne!(tree.status("slow").map(|status| status.state), Some(State::Down));
    tree.ctl(&["kill", "KILL", "slow"]);
    tree.await_status("slow", "down", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

/// A service that leaves a child in its process group, which does not care for SIGTERM; the child's pid.
fn leaves_a_child(tree: &Tree, name: &str, keys: &str) -> i32 {
    let shell = "trap \"\" TERM; sleep 1000 & echo $! >child.new; mv child.new child; while :; do wait; done";
    tree.toml(name, &format!("command = ['sh', '-c', '{shell}']\ntimeout.kill = '200ms'\n{keys}"));
    let child = until("a child", || tree.lines(&format!("{name}/child")).first()?.parse().ok());
    assert!(is_alive(child));
    child
}

#[test]
fn what_is_left_behind_goes_unless_it_is_kept() {
    let mut tree = Tree::new();
    tree.start();
    let swept = leaves_a_child(&tree, "swept", "");
    let kept = leaves_a_child(&tree, "kept", "keep-descendants = true");
    let group = leaves_a_child(&tree, "group", "keep-descendants = true\nkill-group = true");
    tree.ctl_ok(&["stop", "group", "kept"]);
    wait_gone(group);
    assert!(is_alive(kept), "nobody was told to end it");
    svc_testkit::kill(kept, "KILL");
    svc_testkit::kill(swept, "KILL");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn of_several_that_are_stopped_each_is_told_how_long_it_took() {
    let mut tree = Tree::new();
    tree.toml("fast", "command = 'sleep 1000'");
    tree.toml("slow", "command = ['sh', '-c', 'trap \"sleep 3; exit\" TERM; echo >&3; sleep 1000 & wait $!']\nready.fd = 3");
    tree.start();
    tree.await_up("fast");
    tree.await_status("slow", "ready", |status| status.ready == Some(true));
    let told = tree.ctl_ok(&["stop", "fast", "slow"]);
    let took = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("{name}: down"))).unwrap_or_else(|| panic!("{told}"));
        line.rsplit_once(" after ").map_or(0.0, |(_, took)| took.trim_end_matches(" s").parse::<f64>().expect("seconds"))
    };
    assert!(took("slow") >= 3.0 && took("fast") < took("slow"), "{told}");
    assert_eq!(tree.stop(), 0);
}
