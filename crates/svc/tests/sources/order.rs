//! What starts when.

use svc_testkit::{State, Tree, until};

use crate::Sources;

fn is_up(tree: &Tree, name: &str) -> bool {
    tree.status(name).is_some_and(|status| match status.state {
        State::Done => true,
        // Longruns here say when they are ready, and names have no process: what else is up is a oneshot that is not done yet.
        State::Up => status.ready == Some(true) || status.pid.is_none(),
        _ => false,
    })
}

#[track_caller]
pub fn await_all(tree: &Tree, names: &[&str]) {
    until(&format!("{names:?}; log:\n{}", tree.log()), || names.iter().all(|name| is_up(tree, name)).then_some(()));
}

#[test]
fn dependencies_come_first_and_dependents_stop_first() {
    let mut tree = Tree::new();
    let trace = tree.path("trace").display().to_string();
    // Who does not depend on it does not wait for it.
    tree.oneshot("net", &[], &format!("until grep -qx +alone {trace}; do sleep 0.01; done"), "true");
    tree.longrun("db", &["net"], "sleep 0.2");
    tree.longrun("web", &["db"], "");
    tree.longrun("alone", &[], "");
    tree.start();
    await_all(&tree, &["net", "db", "web", "alone"]);
    tree.assert_order("+net", "+db");
    tree.assert_order("+db", "+web");
    tree.assert_order("+alone", "+net");
    assert_eq!(tree.stop(), 0);
    tree.assert_order("-web", "-db");
    tree.assert_order("-db", "-net");
}

#[test]
fn what_can_start_at_once_does() {
    let mut tree = Tree::new();
    let names: Vec<String> = (0..8).map(|number| format!("slow{number}")).collect();
    // Each waits for all others to have begun.
    let begun = tree.path("begun").display().to_string();
    let together = format!("echo >>{begun}; until [ $(wc -l <{begun}) = 8 ]; do sleep 0.01; done");
    for name in &names {
        tree.oneshot(name, &[], &together, "true");
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    tree.longrun("last", &all, "");
    tree.start();
    await_all(&tree, &["last"]);
}

#[test]
fn a_failure_blocks_its_dependents_and_nobody_else() {
    let mut tree = Tree::new();
    tree.oneshot("bad", &[], "echo no disk >&2; exit 3", "true");
    tree.longrun("web", &["bad"], "");
    tree.longrun("edge", &["web"], "");
    tree.longrun("other", &[], "");
    tree.start();
    await_all(&tree, &["other"]);
    let failed = tree.await_status("bad", "failed", |status| status.problem.is_some());
    assert!(failed.problem.is_some_and(|problem| problem.contains("ended (exit 3)")));
    let blocked = tree.await_status("edge", "blocked", |status| status.problem.is_some());
    let problem = blocked.problem.unwrap_or_default();
    assert!(problem.contains("blocked by web") && problem.contains("blocked by bad: it ended (exit 3)"), "{problem}");
    assert_eq!(tree.trace(), ["+other"]);
    // Once it works, one start brings up what was blocked.
    tree.service("bad").file("up", "");
    tree.service("bad").file("up", "#!/bin/sh\nexit 0\n");
    tree.ctl_ok(&["start", "edge"]);
    await_all(&tree, &["bad", "web", "edge"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_dependent_waits_until_what_it_needs_is_ready() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "while [ ! -e go ]; do sleep 0.02; done");
    tree.longrun("web", &["db"], "");
    tree.start();
    let pid = tree.await_up("db");
    let status = tree.await_status("web", "waiting", |status| status.problem.is_some());
    assert!(status.problem.as_deref().unwrap_or("").starts_with("blocked by db: not ready after"), "{status:?}");
    assert_eq!(tree.trace(), Vec::<String>::new());
    tree.service("db").file("go", "");
    await_all(&tree, &["db", "web"]);
    assert_eq!(tree.status("db").and_then(|status| status.pid), Some(pid));
    assert_eq!(tree.trace(), ["+db", "+web"]);
}

#[test]
fn what_is_not_up_in_time_has_failed() {
    let mut tree = Tree::new();
    tree.longrun("db", &[], "sleep 1000").file("timeout-up", "300\n").file("timeout-kill", "200\n");
    tree.longrun("web", &["db"], "");
    tree.oneshot("slow", &[], "sleep 1000", "true").file("timeout-up", "300\n").file("timeout-kill", "200\n");
    tree.start();
    for name in ["db", "slow"] {
        let status = tree.await_status(name, "given up", |status| status.state == State::Failed);
        assert!(
            status.problem.is_some_and(|problem| problem.contains("after 300 ms, which is its time to start")),
            "{name}"
        );
    }
    let said = tree.say(&["start", "--timeout", "120", "web"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("web: blocked by db: "), "{said:?}");
    // On a busy machine the time may be over before it sleeps, and then its shell notes the signal.
    assert!(tree.trace().iter().all(|line| line == "-db"), "{:?}", tree.trace());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn scripts_are_run_as_what_they_are() {
    let mut tree = Tree::new();
    let trace = tree.path("trace").display().to_string();
    // execline, without its last newline, as s6-rc has it; the name comes in RC_NAME.
    tree.source("plain", "oneshot", &[]).file("up", &format!("redirfd -a 1 {trace} echo plain"));
    tree.source("shell", "oneshot", &["plain"]).file("up", &format!("#!/bin/sh -e\necho \"$RC_NAME\" >>{trace}\n"));
    tree.source("comment", "oneshot", &["shell"]).file("up", "# a milestone\n");
    // Not executable, and for an interpreter that is only here as one of our names.
    let run = format!("#!/command/execlineb -P\nforeground {{ redirfd -a 1 {trace} echo run }}\nsleep 1000\n");
    tree.source("run", "longrun", &["comment"]).file("run", &run);
    for name in ["plain", "shell", "comment", "run"] {
        tree.place(name);
    }
    tree.start();
    tree.await_up("run");
    assert_eq!(tree.await_lines("../trace", 3), ["plain", "shell", "run"]);
    assert_eq!(tree.status("comment").map(|status| status.state), Some(State::Up));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_bundle_chooses_what_is_started() {
    let mut tree = Tree::new();
    tree.longrun("web", &["net"], "");
    tree.oneshot("net", &[], "true", "true");
    tree.longrun("spare", &[], "");
    tree.bundle("user", &["web"]);
    tree.start();
    await_all(&tree, &["user", "web", "net"]);
    assert_eq!(tree.status("spare").map(|status| status.state), Some(State::Down));
    tree.ctl_ok(&["stop", "user"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    tree.ctl_ok(&["start", "user", "spare"]);
    await_all(&tree, &["web", "spare"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_does_not_fit_together_is_told_and_keeps_out_only_itself() {
    let mut tree = Tree::new();
    tree.longrun("a", &["b"], "");
    tree.longrun("b", &["a"], "");
    tree.longrun("web", &["nett"], "");
    tree.oneshot("net", &[], "true", "true");
    tree.start();
    await_all(&tree, &["net"]);
    let problem =
        |name: &str| tree.await_status(name, "a problem", |status| status.problem.is_some()).problem.unwrap_or_default();
    assert!(problem("a").contains("a -> b -> a wait for each other"), "{}", problem("a"));
    assert!(problem("web").contains("web names nett, which does not exist: did you mean net?"), "{}", problem("web"));
    assert!(tree.log().contains("a -> b -> a") && tree.log().contains("did you mean net?"), "{}", tree.log());
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Broken));
    // The missing one comes.
    tree.oneshot("nett", &[], "true", "true");
    await_all(&tree, &["web"]);
    assert_eq!(tree.stop(), 0);
}
