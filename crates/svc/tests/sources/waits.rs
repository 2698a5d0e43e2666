//! Waiting for services of the graph, and asking how they are.

use svc_testkit::{State, Tree, until};

use crate::Sources;
use crate::order::await_all;

#[test]
fn a_oneshot_that_is_done_is_up_and_ready() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "true", "true");
    tree.longrun("db", &["net"], "");
    tree.source("mile", "oneshot", &["db"]).file("up", "");
    tree.place("mile");
    tree.bundle("all", &["net", "db"]);
    tree.start();
    for name in ["net", "db", "mile", "all"] {
        for goal in ["--up", "--ready"] {
            tree.ctl_ok(&["wait", goal, "--timeout", "120", name]);
        }
        assert_eq!(tree.say(&["wait", "--down", "--timeout", "50ms", name]).code, 99, "{name}: {}", tree.log());
    }
    let health = tree.say(&["health"]);
    assert_eq!((health.code, health.err.as_str()), (0, ""), "{health:?}");
    tree.ctl_ok(&["stop", "--dependents", "net"]);
    for name in ["net", "db", "mile", "all"] {
        tree.ctl_ok(&["wait", "--down", "--timeout", "120", name]);
        assert_eq!(tree.say(&["wait", "--up", "--timeout", "50ms", name]).code, 99, "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

/// Nobody asks for a bundle where everything is started; what it stands for is there.
#[test]
fn a_bundle_of_which_all_is_up_is_up() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "");
    tree.longrun("web", &[], "");
    tree.bundle("all", &["db", "web"]);
    tree.start();
    assert_eq!(tree.ctl_ok(&["wait", "--up", "--timeout", "120", "all"]), "all: up\n");
    tree.await_status("all", "up", |status| status.state == State::Up);
    tree.ctl_ok(&["stop", "web"]);
    tree.await_status("all", "down", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn waits_that_were_there_before_are_answered() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "while [ ! -e go ]; do sleep 0.02; done", "true");
    tree.source("mile", "oneshot", &["net"]).file("up", "");
    tree.place("mile");
    tree.bundle("all", &["net", "mile"]);
    tree.start();
    tree.await_running("net");
    std::thread::scope(|scope| {
        let waits: Vec<_> = ["net", "mile", "all"]
            .map(|name| (name, scope.spawn(|| tree.say(&["wait", "--ready", "--timeout", "120", name]))))
            .into_iter()
            .collect();
        tree.service("net").file("go", "");
        for (name, wait) in waits {
            assert_eq!(wait.join().expect("no panic").code, 0, "{name}");
        }
    });
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_has_failed_is_not_waited_for_and_not_healthy() {
    let mut tree = Tree::new();
    tree.oneshot("bad", &[], "echo no disk >&2; exit 3", "true");
    tree.longrun("web", &["bad"], "");
    tree.source("mile", "oneshot", &["web"]).file("up", "");
    tree.place("mile");
    tree.bundle("all", &["web", "good"]);
    tree.oneshot("good", &[], "true", "true");
    tree.start();
    await_all(&tree, &["good"]);
    for name in ["bad", "web", "mile", "all"] {
        let said = tree.say(&["wait", "--up", "--timeout", "120", name]);
        assert_eq!(said.code, 1, "{name}: {said:?}");
        assert!(said.err.contains("exit 3"), "{name}: {said:?}");
    }
    let health = tree.say(&["health"]);
    assert_eq!(health.code, 1, "{health:?}");
    for name in ["bad: ", "web: ", "mile: "] {
        assert!(health.out.contains(name), "{health:?}");
    }
    assert!(!health.out.contains("good: "), "{health:?}");
    let json = tree.ctl(&["--json", "health"]);
    assert!(String::from_utf8_lossy(&json.stdout).contains("\"bad\""));
    until("its line", || tree.ctl_ok(&["logs", "bad"]).contains("no disk").then_some(()));
    assert!(tree.ctl_ok(&["why", "bad"]).contains("no disk"));
    for name in ["web", "mile"] {
        assert!(tree.ctl_ok(&["why", name]).contains("bad"), "{name}");
    }
    assert_eq!(tree.say(&["wait", "--up", "nobody"]).code, 102);
    assert_eq!(tree.stop(), 0);
}
