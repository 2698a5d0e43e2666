//! status, why, logs and events, as a user sees them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use svc_testkit::{State, Tree, program, spawn, until, wait_idle};

use super::assert_said;

#[test]
fn why_tells_the_last_ends_and_the_last_complaints() {
    let mut tree = Tree::new();
    tree.service("web").run("echo chatter; echo \"cannot bind: address in use\" >&2; exit 3");
    tree.service("mail").run("echo only output; kill -9 $$");
    tree.start();
    tree.await_status("web", "two ends", |status| status.restarts >= 2);
    tree.await_status("mail", "two ends", |status| status.restarts >= 2);
    let why = tree.ctl_ok(&["why", "web"]);
    println!("{why}");
    assert!(why.contains("exit 3 after") && why.contains("last lines on standard error:"), "{why}");
    assert!(why.contains("cannot bind: address in use") && !why.contains("chatter"), "{why}");
    assert!(why.contains("next start in") || why.contains("up (pid") || why.contains("finish"), "{why}");
    let why = tree.ctl_ok(&["why", "mail"]);
    assert!(why.contains("SIGKILL after") && why.contains("last lines on standard output:"), "{why}");
    let table = tree.ctl_ok(&["status"]);
    assert!(table.contains("exit 3") && table.contains("SIGKILL"), "{table}");
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    tree.ctl_ok(&["stop", "web", "mail"]);
    assert_said(&tree.say(&["why", "nobody"]), 102, &["nobody: no such service"]);
}

#[test]
fn logs_of_one_several_and_all() {
    let mut tree = Tree::new();
    tree.service("web").run("seq -f 'web %.0f' 1 10; echo 'web error' >&2; exec sleep 1000");
    tree.service("db").run("echo db 1; exec sleep 1000");
    tree.start();
    until("all lines", || {
        let all = tree.ctl_ok(&["logs"]);
        ["web 10", "web error", "db 1"].iter().all(|line| all.contains(line)).then_some(())
    });
    let web = tree.ctl_ok(&["logs", "web"]);
    assert_eq!(web.lines().count(), 11, "{web}");
    assert!(web.contains("web 1\n") && !web.contains("web: web"), "{web}");
    assert_eq!(tree.ctl_ok(&["logs", "-n", "2", "db"]), "db 1\n");
    assert_eq!(tree.ctl_ok(&["logs", "-n", "3", "web"]).lines().count(), 3);
    assert_eq!(tree.ctl_ok(&["logs", "-n", "0", "web"]), "");
    for words in [&["logs"][..], &["logs", "web", "db"], &["logs", "{web,db}"]] {
        let both = tree.ctl_ok(words);
        assert!(both.contains("web: web 10\n") && both.contains("db: db 1\n"), "{both}");
    }
    assert_said(&tree.say(&["logs", "nobody"]), 102, &["nobody: no such service"]);
    let json = tree.ctl_ok(&["logs", "--json", "-n", "1", "db"]);
    let line: serde_json::Value = serde_json::from_str(&json).expect("one line of JSON");
    assert_eq!((line["service"].as_str(), line["line"].as_str()), (Some("db"), Some("db 1")));
}

#[test]
fn logs_say_where_the_lines_of_one_with_a_logger_are() {
    let mut tree = Tree::new();
    tree.service("shop/log").run("exec cat >>../sold");
    tree.service("shop").run("echo sold; echo 'shop error' >&2; exec sleep 1000");
    tree.start();
    tree.await_up("shop");
    assert_eq!(tree.await_lines("shop/sold", 1), ["sold"]);
    until("its standard error", || (tree.say(&["logs", "shop"]).out == "shop error\n").then_some(()));
    let said = tree.say(&["logs", "shop"]);
    assert_said(&said, 0, &["shop: its standard output goes to its logger, shop/log, and not here"]);
    assert_eq!(tree.say(&["logs"]).err, "");
}

/// A svc-ctl whose lines come as they are printed.
fn stream(tree: &Tree, words: &[&str]) -> (std::process::Child, std::io::Lines<BufReader<std::process::ChildStdout>>) {
    let mut command = Command::new(program());
    command.arg("svc-ctl").args(words).env("SVC_RUN_DIR", tree.run_dir()).stdout(Stdio::piped());
    let mut child = spawn(&mut command).expect("svc-ctl runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines)
}

#[test]
fn logs_f_follows_through_a_restart_of_the_service_and_of_svc_scan() {
    let mut tree = Tree::new();
    tree.service("web").run("echo start $$; exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    until("its line", || tree.ctl_ok(&["logs", "web"]).contains("start").then_some(()));
    let (mut child, mut lines) = stream(&tree, &["logs", "-f", "web"]);
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), format!("start {first}"));
    tree.ctl_ok(&["restart", "web"]);
    let second = tree.await_up("web");
    assert_eq!(next(), format!("start {second}"));
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn events_are_lines_for_people() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").file("down", "");
    tree.service("db").run("exec sleep 1000").file("down", "");
    tree.start();
    tree.await_status("web", "there", |status| status.state == State::Down);
    tree.await_status("db", "there", |status| status.state == State::Down);
    let (mut child, mut lines) = stream(&tree, &["events", "--json", "w*"]);
    let subscribed = lines.next().expect("a line").expect("text");
    assert!(subscribed.contains("subscribed"), "{subscribed}");
    let (mut people, mut sentences) = stream(&tree, &["events", "web"]);
    // The second one says nothing of it, but it has asked, and svc-scan has heard it, when both do nothing.
    for pid in [people.id() as i32, tree.process("svc-scan")] {
        wait_idle(pid, Duration::from_millis(200));
    }
    tree.ctl_ok(&["start", "db", "web"]);
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "up") {
        let event: serde_json::Value = serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
        assert_eq!(event["service"], "web");
        kinds.push(event["event"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(kinds, ["starting", "up"]);
    tree.ctl_ok(&["stop", "web"]);
    let sentence =
        sentences.find(|line| line.as_ref().is_ok_and(|line| line.contains("exited"))).expect("a line").expect("text");
    assert!(sentence.contains(" web exited") && sentence.contains("SIGTERM after"), "{sentence}");
    for child in [&mut child, &mut people] {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[test]
fn a_classic_service_depends_on_nothing_and_is_no_template() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    assert_said(&tree.say(&["deps", "web"]), 0, &["web", "needs: nothing", "needed by: nothing"]);
    assert_said(&tree.say(&["deps", "wbe"]), 102, &["wbe: no such service; did you mean web?"]);
    assert_said(&tree.say(&["scale", "web=3"]), 100, &["web: is no template: only what is made by a NAME@.toml"]);
    assert_said(&tree.say(&["scale", "wbe=3"]), 102, &["wbe: no such service"]);
}
