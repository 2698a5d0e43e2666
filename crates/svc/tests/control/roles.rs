//! Who may look, and who may steer.

use svc_testkit::{NOBODY, State, Tree, is_root, until};

use super::{assert_said, with_web};

/// Neither root nor the one who runs svc.
const SOMEBODY: u32 = 65533;

#[test]
fn everybody_may_look_but_not_everybody_may_steer() {
    if !is_root() {
        return;
    }
    let (tree, pid) = with_web();
    assert_said(&tree.say_as(NOBODY, &["status"]), 0, &["web", &pid.to_string()]);
    for words in [&["why", "web"][..], &["logs", "web"], &["wait", "--up", "web"], &["health"], &["status", "--json"]] {
        assert_said(&tree.say_as(NOBODY, words), 0, &[]);
    }
    let orders: [&[&str]; 11] = [
        &["start", "web"],
        &["stop", "web"],
        &["restart", "web"],
        &["once", "web"],
        &["reload", "web"],
        &["kill", "TERM", "web"],
        &["pause", "web"],
        &["continue", "web"],
        &["rescan"],
        &["shutdown"],
        &["stop", "*"],
    ];
    for words in orders {
        let said = tree.say_as(NOBODY, words);
        assert_said(&said, 111, &["uid 65534 may look, but not steer", "root"]);
    }
    assert_eq!(tree.await_up("web"), pid, "nothing was done");
}

#[test]
fn svc_of_another_user_is_steered_by_that_user_and_by_root() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(NOBODY);
    tree.service("web").run("id -u; exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    assert_said(&tree.say_as(NOBODY, &["restart", "web"]), 0, &["web: up (pid "]);
    let second = tree.await_up("web");
    assert_said(&tree.say(&["restart", "web"]), 0, &["web: up (pid "]);
    let third = tree.await_up("web");
    assert!(first != second && second != third);
    let said = tree.say_as(SOMEBODY, &["stop", "web"]);
    assert_said(&said, 111, &["uid 65533 may look, but not steer: that takes root or uid 65534, who runs svc"]);
    until("its line", || tree.say_as(SOMEBODY, &["logs", "web"]).out.contains("65534").then_some(()));
    assert_said(&tree.say_as(NOBODY, &["stop", "web"]), 0, &["web: down"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    assert_said(&tree.say_as(NOBODY, &["shutdown", "--code", "3"]), 0, &[]);
    assert_eq!(tree.wait(), 3);
}

#[test]
fn a_run_directory_that_may_not_be_entered_is_told() {
    if !is_root() {
        return;
    }
    let (tree, _) = with_web();
    std::fs::set_permissions(tree.run_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    let said = tree.say_as(NOBODY, &["status"]);
    assert_said(&said, 111, &["no permission to use", "steering needs that uid or root"]);
}
