//! What an entry may be called, and what happens to those that may not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use svc_testkit::{Tree, raw, until};

use super::assert_stays;

#[test]
fn odd_names_work() {
    let mut tree = Tree::new();
    let names = ["a b", "a+b", "100%", "café", "a\"b'c", "-rf", "@x:y", "*", "$HOME", "log"];
    for name in names {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    for name in names {
        let pid = tree.await_up(name);
        let mut encoded = String::new();
        name.bytes().for_each(|byte| encoded += &format!("%{byte:02x}"));
        let answer = raw::ask(&tree.socket(), "GET", &format!("/v1/services/{encoded}"), "");
        assert_eq!((answer.status, answer.json()["status"]["pid"].as_i64()), (200, Some(pid.into())), "{name}");
        let why = tree.ctl_ok(&["why", "--", name]);
        assert!(why.contains(&pid.to_string()), "{name}: {why}");
    }
    // In a path a plus is a plus.
    assert_eq!(raw::ask(&tree.socket(), "GET", "/v1/services/a+b", "").status, 200);
    // `log` as the name of a service of its own is no logger.
    tree.ctl_ok(&["restart", "log"]);
}

#[test]
fn names_that_cannot_be_are_told_and_disturb_nobody() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let long = "n".repeat(255);
    let names: [(&[u8], &str); 4] = [
        (long.as_bytes(), "the name has 255 bytes, and 251 is the most"),
        (b"\xff\xfe", "the name is not UTF-8"),
        (b"tab\there", "the name contains \\t"),
        (b"\x1b[2Jclear", "the name contains \\u{1b}"),
    ];
    for (name, _) in names {
        let path = tree.services().join(OsStr::from_bytes(name));
        svc_testkit::ServiceDir::make(path).run("echo never >>starts");
    }
    svc_testkit::ServiceDir::make(tree.services().join("m".repeat(251))).run("exec sleep 1000");
    let problems = until("problems", || Some(tree.list().ok()?.problems).filter(|problems| problems.len() == 4));
    for (_, message) in names {
        let told = problems.iter().any(|problem| problem.message.contains(message) && problem.message.contains("rename"));
        assert!(told, "{message}: {problems:?}");
        until(message, || tree.log().contains(message).then_some(()));
    }
    tree.await_up(&"m".repeat(251));
    let table = tree.ctl_ok(&["status"]);
    let log = tree.log();
    assert!(!table.contains('\x1b') && !log.contains('\x1b') && !table.contains('\t'), "{table}{log}");
    println!("{table}{log}");
    assert_stays(&tree, "web", pid);
    for (name, _) in names {
        fs::remove_dir_all(tree.services().join(OsStr::from_bytes(name))).expect("ours");
    }
    until("no problems", || tree.list().ok()?.problems.is_empty().then_some(()));
}

#[test]
fn files_and_dotted_entries_are_passed_over() {
    let mut tree = Tree::new();
    fs::write(tree.services().join("README"), "hello").expect("ours");
    tree.service(".git").run("echo never >>starts");
    tree.start();
    let services = tree.list().expect("an answer");
    assert!(services.services.is_empty() && services.problems.is_empty(), "{services:?}");
    assert_eq!(tree.ctl_ok(&["status"]).trim(), "no services", "what a first-time user sees");
}
