//! Templates: one file, many services.

use svc_testkit::{State, Tree, kill, until, wait_gone, wait_idle};

/// The names of services that begin so, and run.
fn up(tree: &Tree, beginning: &str) -> Vec<String> {
    let services = tree.list().map(|list| list.services).unwrap_or_default();
    let up = services.iter().filter(|status| status.state == State::Up && status.pid.is_some());
    up.map(|status| status.name.clone()).filter(|name| name.starts_with(beginning)).collect()
}

#[track_caller]
fn await_up(tree: &Tree, beginning: &str, names: &[&str]) {
    until(&format!("{names:?}; log:\n{}", tree.log()), || (up(tree, beginning) == names).then_some(()));
}

#[test]
fn a_template_makes_a_service_for_each_instance() {
    let mut tree = Tree::new();
    let command = "command = [\"sh\", \"-c\", \"echo $PORT >seen-${INSTANCE}; exec sleep 1000\"]";
    tree.one_file("worker@", &format!("instances = 2\n{command}\nenv.PORT = '900${{INSTANCE}}'"));
    tree.toml("zone@", "instances = ['north', 'south']\ncommand = 'sleep 1000'");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['worker@1', 'zone']");
    tree.start();
    tree.await_up("edge");
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    await_up(&tree, "zone", &["zone@north", "zone@south"]);
    assert_eq!((tree.await_lines("seen-1", 1), tree.await_lines("seen-2", 1)), (vec!["9001".into()], vec!["9002".into()]));
    assert_eq!(tree.status("worker").map(|status| status.state), Some(State::Up), "a name for all of them");
    let refused = tree.say(&["stop", "worker@1"]);
    assert!(refused.err.contains("needed by edge"), "{refused:?}");
    tree.ctl_ok(&["stop", "worker@2"]);
    await_up(&tree, "worker", &["worker@1"]);
    tree.ctl_ok(&["start", "worker"]);
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    tree.ctl_ok(&["stop", "--dependents", "zone"]);
    assert!(up(&tree, "zone").is_empty() && up(&tree, "edge").is_empty());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_number_comes_from_the_environment_and_an_edit_touches_only_what_changed() {
    let mut tree = Tree::new();
    let text = |count: &str| format!("instances = {count}\ncommand = 'sleep 1000'");
    tree.one_file("worker@", &text("\"${WORKERS:-2}\""));
    tree.set("WORKERS", "3");
    tree.start();
    await_up(&tree, "worker", &["worker@1", "worker@2", "worker@3"]);
    let first = tree.await_up("worker@1");
    tree.one_file("worker@", &text("4"));
    tree.ctl_ok(&["rescan"]);
    await_up(&tree, "worker", &["worker@1", "worker@2", "worker@3", "worker@4"]);
    tree.one_file("worker@", &text("1"));
    tree.ctl_ok(&["rescan"]);
    until("one is left", || (tree.list().ok()?.services.len() == 2).then_some(()));
    assert_eq!(tree.await_up("worker@1"), first);
    tree.one_file("worker@", "instances = 9000\ncommand = 'sleep 1000'");
    tree.ctl_ok(&["rescan"]);
    tree.await_problem("worker", &["instances is 9000, and must be a number from 0 to 4096"]);
    assert_eq!(tree.await_up("worker@1"), first);
    std::fs::remove_file(tree.services().join("worker@.toml")).expect("there");
    until("nothing is left", || tree.list().ok()?.services.is_empty().then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_scale_outlives_svc_scan_and_ends_with_another_definition() {
    let mut tree = Tree::new();
    tree.one_file("worker@", "instances = 2\ncommand = 'sleep 1000'");
    tree.start();
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    let first = tree.await_up("worker@1");
    let said = tree.ctl_ok(&["scale", "worker=4"]);
    assert!(said.contains("worker: 4 instances, 2 before"), "{said}");
    assert_eq!(up(&tree, "worker").len(), 4, "the new ones are waited for");
    for asked in [4, 0] {
        tree.ctl_ok(&["scale", &format!("worker={asked}")]);
        until("as asked", || (up(&tree, "worker").len() == asked).then_some(()));
        tree.kill_scan();
        tree.ctl_ok(&["rescan"]);
        // It may hear a little later of some; and who had ended would have another pid.
        until("as asked, still", || (up(&tree, "worker").len() == asked).then_some(()));
        if asked > 0 {
            assert_eq!(tree.await_up("worker@1"), first);
        }
    }
    tree.ctl_ok(&["scale", "worker="]);
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    tree.ctl_ok(&["scale", "worker=5"]);
    tree.one_file("worker@", "instances = 3\ncommand = 'sleep 1000'");
    tree.ctl_ok(&["rescan"]);
    await_up(&tree, "worker", &["worker@1", "worker@2", "worker@3"]);
    assert_eq!(tree.stop(), 0);
    // A new start is a new svc: nothing of an earlier one is left.
    tree.start();
    await_up(&tree, "worker", &["worker@1", "worker@2", "worker@3"]);
    assert_eq!(tree.stop(), 0);
}

/// worker@, with one instance that does not leave before the file is there whose path this returns.
fn lingering(tree: &Tree) -> std::path::PathBuf {
    let go = tree.path("go");
    let shell = format!(
        "trap 'until test -e {}; do sleep 0.01; done; exit 0' TERM; echo >&3; while :; do sleep 1000 & wait $!; done",
        go.display()
    );
    tree.one_file("worker@", &format!("instances = 1\nready.fd = 3\ncommand = ['sh', '-c', \"{shell}\"]"));
    go
}

/// It was never read again.
#[test]
fn a_template_that_is_renamed_while_its_instances_run_comes_under_its_new_name() {
    let mut tree = Tree::new();
    tree.toml("worker@", "instances = 2\ncommand = 'sleep 1000'");
    tree.start();
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    std::fs::rename(tree.services().join("worker@"), tree.services().join("other@")).expect("ours");
    await_up(&tree, "other", &["other@1", "other@2"]);
    assert_eq!(up(&tree, "worker"), [""; 0]);
    tree.ctl_ok(&["scale", "other=1"]);
    await_up(&tree, "other", &["other@1"]);
    assert_eq!(tree.stop(), 0);
}

/// Who asked for it is told of the one that comes, and not that the one before it has gone.
#[test]
fn an_instance_that_is_asked_for_again_while_it_leaves_is_waited_for() {
    let mut tree = Tree::new();
    let go = lingering(&tree);
    tree.start();
    tree.await_status("worker@1", "ready", |status| status.ready == Some(true));
    tree.ctl_ok(&["scale", "--no-wait", "worker=0"]);
    tree.await_status("worker@1", "stopping", |status| status.state == State::Stopping);
    tree.kill_scan();
    let mut ctl = std::process::Command::new(svc_testkit::program());
    ctl.args(["svc-ctl", "scale", "worker=1"]).env("SVC_RUN_DIR", tree.run_dir()).stdout(std::process::Stdio::piped());
    let asking = svc_testkit::spawn(&mut ctl).expect("svc-ctl runs");
    svc_testkit::wait_idle(asking.id() as i32, std::time::Duration::from_millis(200));
    std::fs::write(&go, "").expect("ours");
    let said = asking.wait_with_output().expect("ours");
    let words = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && words.contains("worker@1: up (pid "), "{words}\n{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

/// It said that it had been done while they were there.
#[test]
fn a_smaller_number_waits_for_the_end_of_those_that_go() {
    let mut tree = Tree::new();
    let go = lingering(&tree);
    tree.start();
    tree.await_status("worker@1", "ready", |status| status.ready == Some(true));
    let said = tree.say(&["scale", "--timeout", "0.2", "worker=0"]);
    assert!(said.code == 99 && said.err.contains("worker@1: still stopping"), "{said:?}");
    let ask = || {
        let mut ctl = std::process::Command::new(svc_testkit::program());
        ctl.args(["svc-ctl", "scale", "worker=0"]).env("SVC_RUN_DIR", tree.run_dir());
        ctl.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let asking = svc_testkit::spawn(&mut ctl).expect("svc-ctl runs");
        wait_idle(asking.id() as i32, std::time::Duration::from_millis(200));
        asking
    };
    // Also where somebody has asked for it before; and one that is to stay after all does not go.
    let asking = ask();
    tree.ctl_ok(&["scale", "--no-wait", "worker=1"]);
    let said = asking.wait_with_output().expect("ours");
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(words.contains("worker@1: somebody asked for something else meanwhile"), "{words}\n{}", tree.log());
    assert_eq!(said.status.code(), Some(1), "{words}");
    let asking = ask();
    std::fs::write(&go, "").expect("ours");
    let said = asking.wait_with_output().expect("ours");
    let words = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && words.ends_with("worker@1: down\n"), "{said:?}\n{}", tree.log());
    assert_eq!(tree.status("worker@1"), None);
    assert_eq!(tree.stop(), 0);
}

/// As with every order that a later one contradicts.
#[test]
fn a_number_that_somebody_takes_back_is_over() {
    let mut tree = Tree::new();
    tree.one_file("worker@", "instances = 1\nready.fd = 3\ncommand = ['sh', '-c', 'exec sleep 1000']");
    tree.start();
    tree.await_running("worker@1");
    let mut ctl = std::process::Command::new(svc_testkit::program());
    ctl.args(["svc-ctl", "scale", "worker=3"]).env("SVC_RUN_DIR", tree.run_dir()).stderr(std::process::Stdio::piped());
    let asking = svc_testkit::spawn(&mut ctl).expect("svc-ctl runs");
    ["worker@2", "worker@3"].iter().for_each(|name| _ = tree.await_running(name));
    wait_idle(asking.id() as i32, std::time::Duration::from_millis(200));
    tree.ctl_ok(&["scale", "worker=2"]);
    tree.ctl_ok(&["scale", "worker=1"]);
    let said = asking.wait_with_output().expect("ours");
    let words = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{words}");
    for name in ["worker@2", "worker@3"] {
        assert!(words.contains(&format!("{name}: somebody asked for something else meanwhile")), "{words}");
    }
    assert_eq!(tree.stop(), 0);
}

/// The end waited for it, with nothing left that could end.
#[test]
fn an_instance_that_comes_and_goes_while_the_one_before_it_leaves_is_over() {
    let mut tree = Tree::new();
    let go = lingering(&tree);
    tree.one_file("other", "command = 'sleep 1000'");
    tree.start();
    let worker = tree.await_status("worker@1", "ready", |status| status.ready == Some(true)).pid.expect("it is up");
    tree.await_up("other");
    let (scan, supervisor) = (tree.process("svc-scan"), tree.process("svc-supervise worker@1"));
    tree.ctl_ok(&["scale", "--no-wait", "worker=0"]);
    tree.await_status("worker@1", "stopping", |status| status.state == State::Stopping);
    kill(scan, "STOP");
    std::fs::write(&go, "").expect("ours");
    wait_gone(worker);
    wait_idle(supervisor, std::time::Duration::from_millis(100));
    // It has said that it is down, and hears later that it is to leave.
    kill(supervisor, "STOP");
    kill(scan, "CONT");
    for asked in [1, 0] {
        tree.ctl_ok(&["scale", "--no-wait", &format!("worker={asked}")]);
    }
    kill(supervisor, "CONT");
    wait_gone(supervisor);
    assert_eq!(tree.stop(), 0);
    assert!(!tree.log().contains("not everything stopped"), "{}", tree.log());
}

#[test]
fn what_cannot_be_scaled_is_told() {
    let mut tree = Tree::new();
    tree.one_file("zone@", "instances = ['a']\ncommand = 'sleep 1000'");
    tree.one_file("many@", "command = 'sleep 1000'");
    tree.one_file("web", "instances = 2\ncommand = 'sleep 1000'");
    tree.one_file("plain", "command = 'sleep 1000'");
    tree.start();
    await_up(&tree, "many", &["many@1"]);
    tree.await_problem("web", &["web.toml:1:1", "call it NAME@.toml"]);
    for (words, error) in [
        ("zone=2", "its instances have names"),
        ("plain=2", "is no template"),
        ("none=2", "no such service"),
        ("many=5000", "4096 is the most"),
        ("many=x", "expected NAME=N"),
    ] {
        let said = tree.say(&["scale", words]);
        assert!(said.code != 0 && said.err.contains(error), "{words}: {said:?}");
    }
    // A directory of the name of an instance is another service.
    tree.toml("many@2", "command = 'sleep 1000'");
    tree.await_up("many@2");
    tree.ctl_ok(&["scale", "--no-wait", "many=3"]);
    tree.await_up("many@3");
    assert!(tree.log().contains("there is another service many@2"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_instance_that_is_needed_is_taken_away_only_with_those_who_need_it() {
    let mut tree = Tree::new();
    tree.one_file("worker@", "instances = 3\ncommand = 'sleep 1000'");
    tree.toml("all", "command = 'sleep 1000'\nneeds = ['worker']");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['worker@2']");
    tree.start();
    let edge = tree.await_up("edge");
    tree.await_up("all");
    let said = tree.say(&["scale", "worker=1"]);
    assert!(said.code != 0 && said.err.contains("worker: needed by edge: stop them first, or take them along"), "{said:?}");
    tree.ctl_ok(&["scale", "worker=2"]);
    await_up(&tree, "worker", &["worker@1", "worker@2"]);
    assert_eq!(tree.await_up("edge"), edge);
    tree.ctl_ok(&["scale", "--dependents", "worker=1"]);
    await_up(&tree, "worker", &["worker@1"]);
    tree.await_status("edge", "broken", |status| status.state == State::Broken);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_wrong_with_a_template_is_told_of_its_instances_too() {
    let mut tree = Tree::new();
    tree.one_file("worker@", "instances = 2\ncommand = 'sleep 1000'");
    tree.start();
    let pid = tree.await_up("worker@1");
    tree.one_file("worker@", "instances = 2\ncommand = 3");
    assert_eq!(tree.say(&["apply"]).code, 1);
    let why = tree.ctl_ok(&["why", "worker@1"]);
    assert!(
        why.contains("\n  problem of its template: ") && why.contains("worker@.toml:2:11: command is 3, and must be"),
        "{why}"
    );
    assert_eq!(tree.await_up("worker@1"), pid);
    assert_eq!(tree.stop(), 0);
}
