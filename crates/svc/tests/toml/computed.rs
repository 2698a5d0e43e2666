//! Values that a command prints at each start.

use svc_testkit::{Tree, is_root, kill, needs, until};

#[test]
fn a_variable_is_what_a_command_prints_at_each_start() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("token"), "one\n\n").expect("ours");
    let token = tree.path("token").display().to_string();
    tree.toml(
        "web",
        &format!("command = \"sh -c 'echo $TOKEN $A >seen; exec sleep 1000'\"\nenv = {{ A = 1, TOKEN = {{ command = ['cat', '{token}'] }} }}"),
    );
    tree.start();
    assert_eq!(tree.await_lines("web/seen", 1), ["one 1"]);
    std::fs::write(tree.path("token"), "two").expect("ours");
    kill(tree.await_up("web"), "KILL");
    until("the new value", || (tree.lines("web/seen") == ["two 1"]).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_command_runs_as_the_user_of_the_service() {
    if !needs("root", is_root()) {
        return;
    }
    let mut tree = Tree::new();
    tree.toml(
        "web",
        "command = ['sh', '-c', 'echo uid $ID; exec sleep 1000']\nuser = 65534\nenv.ID = { command = 'id -u' }",
    );
    tree.start();
    until("the uid", || tree.log().contains("uid 65534").then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_fails_or_takes_too_long_is_told_and_starts_nothing() {
    let mut tree = Tree::new();
    for (name, computed, told) in [
        ("fails", "{ command = 'false' }", "svc exec: fails: X: false has failed: exit status: 1"),
        ("missing", "{ command = 'no-such-program' }", "svc exec: missing: X: no-such-program cannot be started"),
        ("slow", "{ command = 'sleep 1000', timeout = '50ms' }", "svc exec: slow: X: sleep has not ended after 50 ms"),
    ] {
        tree.toml(name, &format!("command = \"sh -c 'echo up >seen; exec sleep 1000'\"\nenv.X = {computed}"));
        if !tree.is_running() {
            tree.start();
        }
        until(&format!("{told}; log:\n{}", tree.log()), || tree.log().contains(told).then_some(()));
        assert!(tree.lines(&format!("{name}/seen")).is_empty());
        let exit = tree.await_status(name, "an exit", |status| status.last_exit.is_some()).last_exit;
        assert_eq!(exit.and_then(|exit| exit.code), Some(111), "{name}");
    }
    assert_eq!(tree.stop(), 0);
}
