//! Signals, and how long what may take.

use svc_testkit::{State, Tree, is_alive, until, wait_gone};

use crate::Files;

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
