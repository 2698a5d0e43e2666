//! What waits for what.

use svc_testkit::{State, Tree, until};

/// A oneshot that writes its name into `trace`, and another sign when it is taken down.
fn step(tree: &Tree, name: &str, keys: &str) {
    let trace = tree.path("trace").display().to_string();
    let up = format!("up = ['sh', '-c', 'echo +{name} >>{trace}']\ndown = ['sh', '-c', 'echo -{name} >>{trace}']\n");
    tree.toml(name, &format!("kind = 'oneshot'\n{up}{keys}\n"));
}

fn trace(tree: &Tree) -> Vec<String> {
    tree.lines("../trace")
}

#[track_caller]
fn assert_order(tree: &Tree, names: &[&str]) {
    let trace = trace(tree);
    let places: Vec<Option<usize>> = names.iter().map(|name| trace.iter().position(|line| line == name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{names:?} in {trace:?}; log:\n{}", tree.log());
}

#[test]
fn oneshots_bundles_and_milestones_come_in_order() {
    let mut tree = Tree::new();
    step(&tree, "disk", "");
    step(&tree, "net", "needs = ['disk']");
    tree.toml("basics", "kind = 'bundle'\nmembers = ['disk', 'net']");
    tree.toml("booted", "kind = 'milestone'\nneeds = ['basics']");
    step(&tree, "app", "needs = [{ on = 'booted', until = 'completed' }]");
    tree.start();
    tree.await_status("app", "done", |status| status.state == State::Done);
    assert_eq!(trace(&tree), ["+disk", "+net", "+app"]);
    assert_eq!(tree.stop(), 0);
    assert_order(&tree, &["-app", "-net", "-disk"]);
}

#[test]
fn what_is_wanted_may_fail_and_what_is_needed_may_not() {
    let mut tree = Tree::new();
    tree.toml("bad", "kind = 'oneshot'\nup = 'false'\nstart = false");
    step(&tree, "soft", "wants = ['bad', 'nobody']");
    step(&tree, "hard", "needs = ['bad']");
    tree.start();
    tree.await_status("soft", "done", |status| status.state == State::Done);
    tree.await_problem("hard", &["bad"]);
    let end = tree.status("bad").and_then(|status| status.last_exit?.code);
    assert_eq!(end, Some(1), "it was started though start is false");
    assert_eq!(trace(&tree), ["+soft"]);
    assert!(tree.log().contains("soft: goes on without nobody: define nobody, or remove the name"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn order_alone_starts_nobody() {
    let mut tree = Tree::new();
    step(&tree, "asleep", "start = false");
    step(&tree, "second", "after = ['first', 'asleep']");
    // Long enough that others would be first if they did not wait.
    let trace = tree.path("trace").display().to_string();
    tree.toml("first", &format!("kind = 'oneshot'\nup = ['sh', '-c', 'sleep 0.5; echo +first >>{trace}']"));
    step(&tree, "third", "");
    step(&tree, "middle", "before = ['third']\nafter = [{ on = 'second', until = 'completed' }]");
    tree.start();
    tree.await_status("third", "done", |status| status.state == State::Done);
    assert_order(&tree, &["+first", "+second", "+middle", "+third"]);
    assert_eq!(tree.status("asleep").map(|status| status.state), Some(State::Down));
    tree.ctl_ok(&["start", "asleep"]);
    assert_order(&tree, &["+third", "+asleep"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_bond_says_what_a_stop_takes_along() {
    let mut tree = Tree::new();
    tree.toml("db", "command = 'sleep 1000'");
    tree.toml("loose", "command = 'sleep 1000'\nneeds = [{ on = 'db', bond = 'start' }]");
    tree.toml("tied", "command = 'sleep 1000'\nneeds = [{ on = 'db', bond = 'follow' }]");
    tree.start();
    let (loose, tied) = (tree.await_up("loose"), tree.await_up("tied"));
    tree.ctl_ok(&["restart", "db"]);
    tree.await_status("tied", "restarted along", |status| status.pid.is_some_and(|pid| pid != tied));
    assert_eq!(tree.status("loose").and_then(|status| status.pid), Some(loose));
    tree.ctl_ok(&["stop", "--dependents", "db"]);
    assert_eq!(tree.status("tied").map(|status| status.state), Some(State::Down));
    assert_eq!(tree.status("loose").and_then(|status| status.pid), Some(loose));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn who_waits_for_a_start_only_does_not_wait_until_it_is_ready() {
    let mut tree = Tree::new();
    let before = "before = [{ on = 'behind', until = 'started' }, 'held']";
    tree.toml("db", &format!("command = 'sleep 1000'\nready.fd = 3\n{before}"));
    for relation in ["needs", "wants", "after"] {
        tree.toml(relation, &format!("command = 'sleep 1000'\n{relation} = [{{ on = 'db', until = 'started' }}]"));
        tree.toml(&format!("{relation}-ready"), &format!("command = 'sleep 1000'\n{relation} = ['db']"));
    }
    tree.toml("behind", "command = 'sleep 1000'");
    tree.toml("held", "command = 'sleep 1000'");
    tree.start();
    for name in ["needs", "wants", "after", "behind"] {
        tree.await_up(name);
    }
    assert_eq!(tree.status("db").and_then(|status| status.ready), Some(false));
    for name in ["needs-ready", "wants-ready", "after-ready", "held"] {
        assert_eq!(tree.status(name).and_then(|status| status.pid), None, "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_start_has_its_time() {
    let mut tree = Tree::new();
    tree.toml("slow", "command = 'sleep 1000'\nready.fd = 3\ntimeout.start = '300ms'");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['slow']");
    tree.start();
    tree.await_problem("edge", &["blocked by slow"]);
    let said = tree.say(&["start", "slow"]);
    let why = "slow: not ready after 300 ms, which is its time to start";
    assert!(said.code == 1 && said.err.contains(why), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn it_stands_beside_other_forms() {
    let mut tree = Tree::new();
    tree.service("classic").run("exec sleep 1000");
    tree.draft("rc").file("run", "#!/bin/sh\nexec sleep 1000").file("type", "longrun");
    tree.place("rc");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['rc']");
    // What s6-overlay starts is no business of others.
    std::fs::create_dir_all(tree.draft("user").path().join("contents.d")).expect("ours");
    tree.draft("user").file("type", "bundle");
    tree.place("user");
    tree.start();
    for name in ["classic", "web", "rc"] {
        tree.await_up(name);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_directory_has_one_form() {
    let mut tree = Tree::new();
    tree.draft("web").file("service.toml", "command = 'sleep 1000'").run("exec sleep 1000");
    tree.place("web");
    tree.start();
    let problem = tree.await_problem("web", &["two forms"]);
    assert!(problem.contains("web/run: and ") && problem.contains("web/service.toml are two forms"), "{problem}");
    tree.service("web").remove("run");
    until("web to start", || tree.status("web").and_then(|status| status.pid));
    assert_eq!(tree.stop(), 0);
}

/// Nobody has to know which of them s6-rc would call a longrun.
#[test]
fn the_graph_calls_each_kind_as_its_definition_does() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'");
    tree.toml("daemon", "kind = 'forking'\ncommand = ['sh', '-c', 'sleep 1000 &']");
    tree.toml("mark", "kind = 'milestone'");
    tree.toml("once", "kind = 'oneshot'\nup = 'true'");
    tree.toml("every", "kind = 'timer'\ncommand = 'true'\nevery = '1h'");
    tree.toml("all", "kind = 'bundle'\nmembers = ['web']");
    tree.draft("rc").file("type", "longrun").run("exec sleep 1000");
    tree.place("rc");
    tree.start();
    tree.await_up("daemon");
    tree.await_up("rc");
    let graph = tree.ctl_ok(&["graph"]);
    let kinds: Vec<(&str, &str)> = graph.lines().filter_map(|line| line.split(',').next()?.split_once(" (")).collect();
    let expected = [
        ("all", "bundle"),
        ("daemon", "forking"),
        ("every", "timer"),
        ("mark", "milestone"),
        ("once", "oneshot"),
        ("rc", "longrun"),
        ("web", "process"),
    ];
    assert_eq!(kinds, expected, "{graph}");
    assert_eq!(tree.stop(), 0);
}
