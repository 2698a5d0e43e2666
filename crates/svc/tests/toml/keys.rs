//! A wrong value of any key, in a running system: it is told wherever somebody looks, and stops nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use svc_testkit::{Said, State, Tree, program, until};

use crate::table::TABLE;

fn name(key: &str) -> String {
    key.replace('.', "-")
}

fn file(tree: &Tree, key: &str) -> PathBuf {
    tree.services().join(format!("{}.toml", name(key)))
}

/// A service that runs: what there is besides the key, and what stands in the line of the key.
fn service(tree: &Tree, key: &str) -> (String, &'static str) {
    const PROCESS: &str = "command = 'sleep 1000'";
    const TIMER: &str = "kind = 'timer'\ncommand = 'true'";
    let with = |more: &str| format!("{PROCESS}\n{more}");
    match key {
        "command" => (String::new(), PROCESS),
        "up" => ("kind = 'oneshot'".into(), "up = 'true'"),
        "down" | "marker" => ("kind = 'oneshot'\nup = 'true'".into(), ""),
        "members" => ("kind = 'bundle'".into(), "members = ['command']"),
        "pid-file" => ("kind = 'forking'\ncommand = ['sh', '-c', 'sleep 1000 & exit 0']".into(), ""),
        "cron" => (TIMER.into(), "cron = '@yearly'"),
        "every" => (TIMER.into(), "every = '1d'"),
        "zone" => (format!("{TIMER}\ncron = '@yearly'"), ""),
        "every-from" | "jitter" | "overlap" | "missed" | "run-at-start" | "timeout.run" => {
            (format!("{TIMER}\nevery = '1d'"), "")
        }
        "idle-stop" => (with(&format!("sockets = ['{}']\nstart = 'on-demand'", tree.root().join("idle").display())), ""),
        "wait-timeout" => (with("wait-for = 'file:/'"), ""),
        "on-change" => (with("watch = '/etc/passwd'"), ""),
        "landlock.version" => (with("landlock.write = '/'\nlandlock.exec = '/'\noptional = ['landlock']"), ""),
        "ready.interval" | "ready.timeout" => (with("ready.exec = 'true'"), ""),
        "memory.interval" | "memory.action" => (with("memory.limit = '1GiB'"), ""),
        "restart.window" | "restart.at-limit" => (with("restart.limit = 5"), ""),
        "restart.max-delay" => (with("restart.factor = 2"), ""),
        "health.interval"
        | "health.timeout"
        | "health.start-period"
        | "health.failures"
        | "health.successes"
        | "health.action" => (with("health.exec = 'true'"), ""),
        _ => (PROCESS.into(), ""),
    }
}

/// Every service with its state and its process, if all have come to where they stay.
fn settled(tree: &Tree) -> Option<BTreeMap<String, (State, Option<i32>)>> {
    let services = tree.list().ok()?.services;
    let there = |state| matches!(state, State::Up | State::Done | State::Scheduled | State::Armed);
    let all = services.len() == TABLE.len() && services.iter().all(|status| there(status.state) && status.problem.is_none());
    all.then(|| services.into_iter().map(|status| (status.name, (status.state, status.pid))).collect())
}

#[test]
fn a_wrong_value_of_any_key_is_told_wherever_somebody_looks_and_stops_nothing() {
    let mut tree = Tree::new();
    let write =
        |tree: &Tree, key: &str, line: &str| tree.one_file(&name(key), &format!("{line}\n{}\n", service(tree, key).0));
    let restore = |tree: &Tree| TABLE.iter().for_each(|(key, ..)| write(tree, key, service(tree, key).1));
    restore(&tree);
    tree.start();
    let before = until("every service", || settled(&tree));
    for (key, line, ..) in TABLE {
        write(&tree, key, line);
    }
    let check = Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(tree.services()));
    let (plan, applied) = (tree.say(&["plan"]), tree.say(&["apply"]));
    let (status, why) = (tree.say(&["status"]), tree.say(&["why", "*"]));
    assert_eq!((check.code, plan.code, applied.code), (1, 0, 1), "{plan:?} {applied:?}");
    let kept = "; until then it stays as it was before the edit";
    for (key, line, told, _) in TABLE {
        let (name, place) = (name(key), format!("{}:{told}", file(&tree, key).display()));
        let says = |said: &Said, front: &str, end: &str| {
            let begins = format!("{front}{place}");
            said.out.lines().any(|line| line.starts_with(&begins) && line.ends_with(end))
        };
        assert!(says(&check, "error: ", ""), "check: {line}: {place} is not in\n{}", check.out);
        for (what, said) in [("plan", &plan), ("apply", &applied)] {
            assert!(says(said, &format!("{name}: nothing: "), kept), "{what}: {line}: {place} is not in\n{}", said.out);
        }
        assert!(says(&status, &format!("{name}: "), kept), "status: {line}: {place} is not in\n{}", status.out);
        assert!(says(&why, "  problem: ", kept), "why: {line}: {place} is not in\n{}", why.out);
    }
    let now = |tree: &Tree| -> BTreeMap<String, (State, Option<i32>)> {
        let services = tree.list().expect("an answer").services;
        services.into_iter().map(|status| (status.name, (status.state, status.pid))).collect()
    };
    assert_eq!(now(&tree), before);
    restore(&tree);
    assert_eq!(tree.ctl_ok(&["apply"]).trim(), "nothing has changed");
    assert_eq!(until("no problem", || settled(&tree)), before);
    assert!(tree.list().expect("an answer").services.iter().all(|status| !status.changed));
    assert_eq!(tree.stop(), 0);
}
