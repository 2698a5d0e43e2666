//! Conditions that cease to hold under services that run, and hold again.

use std::fs;

use svc_testkit::{State, Tree};

/// Writes down when it starts and when it has stopped.
fn traced(tree: &Tree, name: &str) -> String {
    let trace = tree.path("trace").display().to_string();
    let end = format!("echo -{name} >>{trace}; exit 0");
    format!("command = ['sh', '-c', \"trap '{end}' TERM; echo +{name} >>{trace}; while :; do sleep 0.05; done\"]\n")
}

#[test]
fn what_needs_one_that_is_turned_away_is_in_the_plan_stops_before_it_and_comes_back_with_it() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    let trace = tree.path("trace").display().to_string();
    fs::write(&gate, "").expect("ours");
    let db = format!("condition.file = '{gate}'\ncondition.otherwise = 'fail'");
    tree.toml("db", &format!("{}{db}", traced(&tree, "db")));
    tree.toml("web", &format!("{}needs = ['db']", traced(&tree, "web")));
    tree.toml("edge", &format!("{}needs = ['web']", traced(&tree, "edge")));
    tree.toml("fol", &format!("{}needs = [{{ on = 'db', bond = 'follow' }}]", traced(&tree, "fol")));
    tree.toml("soft", &format!("{}wants = ['db']", traced(&tree, "soft")));
    tree.toml("once", &format!("{}needs = [{{ on = 'db', bond = 'start' }}]", traced(&tree, "once")));
    tree.start();
    let stays = ["soft", "once"].map(|name| tree.await_up(name));
    ["web", "edge", "fol"].iter().for_each(|name| _ = tree.await_up(name));
    tree.await_lines(&trace, 6);
    fs::remove_file(&gate).expect("ours");
    let plan = tree.ctl_ok(&["plan"]);
    let stop = format!("db: stop: its conditions no longer hold: {gate} does not exist\n");
    let rest = "edge: stop: it needs web\nfol: stop: it needs db\nweb: stop: it needs db\n";
    assert_eq!(plan, format!("{stop}{rest}"));
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    for name in ["db", "web", "edge", "fol"] {
        assert!(said.contains(&format!("\n{name}: down")), "{said}");
        assert_eq!(tree.status(name).map(|status| status.state), Some(State::Failed), "{name}");
    }
    let ends: Vec<String> = tree.lines(&trace).split_off(6);
    let at = |name: &str| ends.iter().position(|line| line == name);
    assert_eq!(ends.len(), 4, "{ends:?}");
    assert!(at("-edge") < at("-web") && at("-web") < at("-db") && at("-fol") < at("-db"), "{ends:?}");
    assert_eq!(["soft", "once"].map(|name| tree.await_up(name)), stays);
    // Nobody is told that only a start helps.
    let health = tree.say(&["health"]);
    let why = tree.ctl_ok(&["why", "db", "web"]);
    for text in [&health.out, &why] {
        assert!(!text.contains("for good") && !text.contains("svc-ctl start"), "{text}");
        assert!(text.contains("gate does not exist") && text.contains("svc-ctl apply starts it"), "{text}");
        assert!(text.contains("blocked by db: its conditions do not hold"), "{text}");
    }
    assert_eq!(health.code, 1);
    assert_eq!(tree.ctl_ok(&["apply"]), "nothing has changed\n");
    fs::write(&gate, "").expect("ours");
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.starts_with("db: start: its conditions hold now\n"), "{plan}");
    for name in ["edge", "fol", "web"] {
        assert!(plan.contains(&format!("{name}: start: db, which it needs, starts\n")), "{plan}");
    }
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    for name in ["db", "web", "edge", "fol"] {
        assert!(said.contains(&format!("\n{name}: up (pid ")), "{said}");
    }
    assert_eq!(["soft", "once"].map(|name| tree.await_up(name)), stays);
    assert_eq!(tree.stop(), 0);
}

/// Who asks for it while it waits for those above it is told the truth, whatever else is asked meanwhile, and it does not stay.
#[test]
fn one_that_is_turned_away_and_asked_for_again_and_again_before_it_has_stopped_does_not_stay() {
    let mut tree = Tree::new();
    let (gate, go) = (tree.path("gate"), tree.path("go"));
    let slow = format!(
        "command = ['sh', '-c', \"trap 'until test -e {}; do sleep 0.01; done; exit 0' TERM; echo >&3; while :; do sleep 0.05; done\"]\nready.fd = 3\n",
        go.display()
    );
    fs::write(&gate, "").expect("ours");
    let db = format!("command = 'sleep 1000'\ncondition.file = '{}'\ncondition.otherwise = 'fail'", gate.display());
    tree.one_file("db", &db);
    tree.one_file("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.one_file("edge", &format!("{slow}needs = ['web']"));
    tree.start();
    for asked in ["db", "web"] {
        ["db", "web"].iter().for_each(|name| _ = tree.await_up(name));
        tree.await_status("edge", "its trap", |status| status.ready == Some(true));
        fs::remove_file(&gate).expect("ours");
        tree.ctl_ok(&["apply", "--no-wait"]);
        tree.await_status("edge", "stopping", |status| status.state == State::Stopping);
        tree.ctl_ok(&["start", "--no-wait", asked]);
        tree.ctl_ok(&["stop", "--dependents", "--no-wait", asked]);
        tree.ctl_ok(&["start", "--no-wait", asked]);
        assert_eq!(tree.status("edge").map(|status| status.state), Some(State::Stopping));
        fs::write(&go, "").expect("ours");
        let said = tree.say(&["start", asked]);
        let why =
            if asked == "db" { "db: its conditions do not hold" } else { "web: blocked by db: its conditions do not hold" };
        assert!(said.code == 1 && said.err.contains(why), "{said:?}");
        assert_eq!(tree.status(asked).map(|status| status.state), Some(State::Failed), "{asked}");
        assert_eq!(
            tree.status("edge").map(|status| status.state),
            Some(State::Down),
            "it was asked to stop, and not to start"
        );
        fs::write(&gate, "").expect("ours");
        fs::remove_file(&go).expect("ours");
        tree.ctl_ok(&["apply", "--timeout", "120"]);
        tree.ctl_ok(&["start", "--timeout", "120", "edge"]);
    }
    fs::write(&go, "").expect("ours");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_follower_of_one_that_is_skipped_restarts_and_others_stay() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    fs::write(&gate, "").expect("ours");
    tree.toml("db", &format!("{}condition.file = '{gate}'", traced(&tree, "db")));
    tree.toml("web", &format!("{}needs = ['db']", traced(&tree, "web")));
    tree.toml("fol", &format!("{}needs = [{{ on = 'db', bond = 'follow' }}]", traced(&tree, "fol")));
    tree.start();
    let (web, fol) = (tree.await_up("web"), tree.await_up("fol"));
    fs::remove_file(&gate).expect("ours");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    assert!(said.contains("db: stop: ") && said.contains("fol: restart: it follows db"), "{said}");
    assert!(!said.contains("web: "), "{said}");
    assert_ne!(tree.await_up("fol"), fol);
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.status("db").map(|status| status.state), Some(State::Skipped));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_was_skipped_and_now_fails_by_its_conditions_starts_when_they_hold() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    let db = |otherwise: &str| format!("command = 'sleep 1000'\ncondition.file = '{gate}'\n{otherwise}");
    let fails = db("condition.otherwise = 'fail'");
    tree.one_file("db", &db(""));
    tree.one_file("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.start();
    tree.await_up("web");
    tree.one_file("db", &fails);
    tree.ctl_ok(&["apply", "--timeout", "120"]);
    for name in ["db", "web"] {
        assert_eq!(tree.status(name).map(|status| status.state), Some(State::Failed), "{name}");
    }
    let why = tree.ctl_ok(&["why", "db", "web"]);
    assert!(why.contains("blocked by db: its conditions do not hold") && why.contains("gate does not exist"), "{why}");
    assert_eq!(tree.ctl_ok(&["apply"]), "nothing has changed\n");
    fs::write(&gate, "").expect("ours");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    for name in ["db", "web"] {
        assert!(said.contains(&format!("\n{name}: up (pid ")), "{said}");
    }
    // The same without any condition in the end.
    fs::remove_file(&gate).expect("ours");
    for text in [&db(""), &fails, "command = 'sleep 1000'"] {
        tree.one_file("db", text);
        tree.ctl_ok(&["apply", "--timeout", "120"]);
    }
    ["db", "web"].iter().for_each(|name| _ = tree.await_up(name));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn apply_waits_for_what_the_command_of_a_condition_stops_and_starts() {
    let mut tree = Tree::new();
    let gate = tree.path("gate").display().to_string();
    fs::write(&gate, "").expect("ours");
    let slow = "command = ['sh', '-c', \"trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done\"]\n";
    tree.toml("db", &format!("{slow}condition.command = 'test -e {gate}'\ncondition.otherwise = 'fail'"));
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.toml("left", &format!("{slow}condition.command = 'test -e {gate}'"));
    tree.start();
    ["db", "web", "left"].iter().for_each(|name| _ = tree.await_up(name));
    fs::remove_file(&gate).expect("ours");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    assert!(said.contains("db: its conditions no longer hold: `test -e"), "{said}");
    for (name, state) in [("db", State::Failed), ("web", State::Failed), ("left", State::Skipped)] {
        assert!(said.contains(&format!("\n{name}: down")), "{said}");
        assert_eq!(tree.status(name).map(|status| status.state), Some(state), "{name}");
    }
    fs::write(&gate, "").expect("ours");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    for name in ["db", "web", "left"] {
        assert!(said.contains(&format!("\n{name}: up (pid ")), "{said}");
    }
    assert_eq!(tree.stop(), 0);
}
