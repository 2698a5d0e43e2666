//! Supervisors and svc-scan killed at each step of a daemon's life: the daemon goes on, and is known.

use svc_testkit::{State, Tree, fifo, is_alive, kill, release, until};

use crate::{await_gone, number};

/// A command that waits, then a child that waits, and then the daemon with two workers; each leads a session of its own.
const STEPS: &str = r#"kind = "forking"
command = ["sh", "-c", '''
    read line <go1
    setsid sh -c 'read line <go2; setsid sh -c "sleep 1000 & sleep 1000 & echo \$\$ >daemon; read line <go3; exit 7" & exit 0' &
    exit 0
''']
"#;

fn steps() -> Tree {
    let tree = Tree::new();
    tree.toml("web", STEPS);
    for file in ["web/go1", "web/go2", "web/go3"] {
        fifo(tree.services().join(file));
    }
    tree
}

/// Goes through the life of the daemon, and calls `hit` before each step.
fn live(tree: &mut Tree, mut hit: impl FnMut(&Tree, u32)) {
    tree.start();
    let command = tree.await_up("web");
    hit(tree, 0);
    release(tree.services().join("web/go1"));
    let child = tree.await_status("web", "the child", |status| status.pid.is_some_and(|pid| pid != command)).pid;
    hit(tree, 1);
    release(tree.services().join("web/go2"));
    let daemon = number(tree, "web/daemon");
    assert_ne!(child, Some(daemon));
    let status = tree.await_status("web", "the daemon", |status| status.pid == Some(daemon));
    assert_eq!((status.restarts, status.ready), (0, Some(true)), "{}", tree.log());
    hit(tree, 2);
    let workers: Vec<i32> = svc_testkit::descendants(daemon).iter().map(|process| process.pid).collect();
    assert!(workers.len() >= 2, "{workers:?}");
    std::fs::remove_file(tree.services().join("web/daemon")).expect("there");
    release(tree.services().join("web/go3"));
    let status = tree.await_status("web", "the next start", |status| status.restarts == 1 && status.state == State::Up);
    assert_eq!(status.last_exit.and_then(|exit| exit.code), Some(7), "the daemon's own exit is told");
    assert!(workers.iter().all(|&pid| !is_alive(pid)), "the workers are gone before the next start");
    assert_eq!(tree.stop(), 0);
    await_gone(&[daemon]);
}

#[test]
fn a_daemon_and_nobody_killed() {
    live(&mut steps(), |_, _| {});
}

#[test]
fn a_supervisor_killed_while_the_command_runs() {
    live(&mut steps(), |tree, step| {
        if step == 0 {
            tree.kill_supervisor("web");
        }
    });
}

#[test]
fn a_supervisor_killed_between_the_command_and_the_daemon() {
    live(&mut steps(), |tree, step| {
        if step == 1 {
            tree.kill_supervisor("web");
        }
    });
}

#[test]
fn a_supervisor_killed_while_the_daemon_runs() {
    live(&mut steps(), |tree, step| {
        if step == 2 {
            tree.kill_supervisor("web");
        }
    });
}

#[test]
fn a_supervisor_and_svc_scan_killed_at_every_step() {
    live(&mut steps(), |tree, _| {
        let scan = tree.process("svc-scan");
        kill(scan, "KILL");
        tree.kill_supervisor("web");
        until("another svc-scan", || tree.find_process("svc-scan").filter(|&pid| pid != scan));
    });
}

#[test]
fn a_daemon_killed_while_its_supervisor_is_an_heir() {
    let mut tree = steps();
    tree.start();
    release(tree.services().join("web/go1"));
    release(tree.services().join("web/go2"));
    let daemon = number(&tree, "web/daemon");
    tree.await_status("web", "the daemon", |status| status.pid == Some(daemon));
    let workers: Vec<i32> = svc_testkit::descendants(daemon).iter().map(|process| process.pid).collect();
    tree.kill_supervisor("web");
    kill(daemon, "KILL");
    let status = tree.await_status("web", "the next start", |status| status.restarts == 1 && status.state == State::Up);
    assert_eq!(status.last_exit.and_then(|exit| exit.signal).as_deref(), Some("KILL"));
    assert!(workers.iter().all(|&pid| !is_alive(pid)), "the workers are gone before the next start");
    assert_eq!(tree.stop(), 0);
}
