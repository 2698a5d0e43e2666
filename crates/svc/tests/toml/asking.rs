//! What an order says of each service that it concerns.

use svc_testkit::{State, Tree};

const SLEEP: &str = "command = 'sleep 1000'";

#[test]
fn whoever_is_up_in_time_is_not_told_to_be_late_for_the_sake_of_another() {
    let mut tree = Tree::new();
    tree.toml("fast", &format!("{SLEEP}\nstart = false"));
    tree.toml("slow", "kind = 'oneshot'\nup = 'sleep 1000'\nstart = false");
    tree.start();
    let said = tree.say(&["start", "fast", "slow", "--timeout", "10"]);
    assert_eq!(said.code, 99, "{said:?}");
    assert!(said.out.starts_with("fast: up (pid "), "{said:?}");
    assert!(said.err.contains("slow: still starting after ") && !said.err.contains("fast"), "{said:?}");
    assert_eq!(tree.status("slow").map(|status| status.state), Some(State::Starting), "its up is under way");
    assert!(tree.ctl_ok(&["status"]).lines().any(|line| line.starts_with("slow  starting ")));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_stop_names_everybody_whom_it_takes_along() {
    let mut tree = Tree::new();
    tree.toml("other", SLEEP);
    tree.toml("web", &format!("{SLEEP}\nneeds = ['other']"));
    tree.toml("edge", &format!("{SLEEP}\nneeds = ['web']"));
    tree.toml("apart", SLEEP);
    tree.start();
    ["other", "web", "edge", "apart"].iter().for_each(|name| _ = tree.await_up(name));
    let said = tree.ctl_ok(&["stop", "--dependents", "other"]);
    let names: Vec<&str> = said.lines().filter_map(|line| line.split_once(": down")).map(|(name, _)| name).collect();
    assert_eq!(names, ["other", "edge", "web"], "{said}");
    tree.ctl_ok(&["start", "edge"]);
    let said = tree.ctl_ok(&["stop", "--dependents", "--json", "other"]);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let outcomes = json["outcomes"].as_array().expect("outcomes");
    let names: Vec<&str> = outcomes.iter().filter_map(|outcome| outcome["service"].as_str()).collect();
    assert_eq!(names, ["other", "edge", "web"], "{said}");
    tree.await_up("apart");
    assert_eq!(tree.ctl_ok(&["stop", "apart"]).lines().count(), 1);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_stop_of_all_does_not_fail_for_one_that_cannot_run_anyway() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.toml("typo", "comand = 'x'");
    tree.toml("lost", &format!("{SLEEP}\nneeds = ['nobody']"));
    tree.start();
    tree.await_up("web");
    tree.await_problem("typo", &["comand"]);
    tree.await_problem("lost", &["nobody"]);
    let said = tree.ctl_ok(&["stop", "*"]);
    assert!(said.starts_with("web: down") && said.lines().count() == 1, "{said}");
    assert_eq!(tree.ctl_ok(&["stop", "*"]).lines().count(), 1, "once more is fine");
    for name in ["typo", "lost"] {
        let said = tree.say(&["stop", name]);
        assert!(said.code == 1 && said.err.contains(name), "{said:?}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_command_of_a_limit_that_takes_too_long_is_called_by_its_name() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'false'\nrestart = { delay = '1ms', limit = 2, at-limit = { run = 'sleep 1000' } }");
    tree.start();
    tree.await_status("web", "failed", |status| status.state == State::Failed);
    let told = "web: the command of restart.at-limit took longer than 5 s: killed (SIGKILL): have it end sooner";
    assert!(tree.log().contains(told), "{}", tree.log());
    assert!(!tree.log().contains("timeout-finish"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}
