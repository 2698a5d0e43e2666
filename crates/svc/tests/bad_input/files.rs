//! The small files of a service directory, and files that may not be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use svc_testkit::{NOBODY, Tree, is_root};

use super::{Neighbour, assert_told};

#[test]
fn carriage_returns_in_data_files_do_no_harm() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    tree.draft("web")
        .run("trap 'echo INT >>got; exit' INT; echo >&4; while :; do sleep 1000 & wait $!; kill $!; done")
        .file("notification-fd", "4\r\n")
        .file("down-signal", " SIGINT \r\n")
        .file("timeout-kill", "3000\r\n");
    tree.place("web");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.status("web").and_then(|status| status.problem), None);
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.await_lines("web/got", 1), ["INT"]);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_value_that_makes_no_sense_is_told_and_left_out() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let long = "9".repeat(100_000);
    let files: [(&str, &str, &str, &[&str]); 7] = [
        (
            "a",
            "timeout-kill",
            "5s\n",
            &["timeout-kill: the first line must be a plain decimal number, and is \"5s\"", "5000"],
        ),
        ("b", "timeout-finish", "-1\n", &["timeout-finish: ", "\"-1\"", "write milliseconds"]),
        ("c", "notification-fd", "\n", &["notification-fd: ", "and is empty", "write a plain number"]),
        ("d", "down-signal", "SIGNOPE\n", &["down-signal: ", "\"SIGNOPE\"", "such as TERM"]),
        ("e", "max-death-tally", &long, &["max-death-tally: ", "\"9999"]),
        ("f", "lock-fd", "\u{1b}[2J\n", &["lock-fd: ", "\\u{1b}[2J"]),
        ("g", "notification-fd", "99999999\n", &["notification-fd: ", "99999999", "up to 1048575"]),
    ];
    for (name, file, content, _) in &files {
        tree.draft(name).run("exec sleep 1000").file(file, content);
        tree.place(name);
    }
    for (name, _, _, words) in &files {
        tree.await_up(name);
        assert_told(&tree, name, words);
    }
    assert!(!tree.ctl_ok(&["status"]).contains('\x1b') && !tree.log().contains('\x1b'));
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_directory_or_a_loop_in_the_place_of_a_data_file() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let web = tree.draft("web");
    fs::create_dir(web.run("exec sleep 1000").path().join("timeout-kill")).expect("ours");
    web.file("timeout-finish", "long");
    let db = tree.draft("db");
    symlink("down", db.run("exec sleep 1000").path().join("down")).expect("ours");
    let same = tree.draft("same");
    same.run("exec sleep 1000").file("lock-fd", "3").file("notification-fd", "3");
    let log = tree.draft("log-file");
    log.run("exec sleep 1000").file("log", "");
    for name in ["web", "db", "same", "log-file"] {
        tree.place(name);
    }
    assert_told(&tree, "web", &["timeout-kill: is a directory, and must be a file", "using 0 (never)"]);
    assert_told(&tree, "db", &["down: ", "loop of links", "taken as absent"]);
    assert_told(&tree, "same", &["lock-fd: asks for descriptor 3, and so does", "write another number"]);
    // All of it at once.
    assert_told(&tree, "web", &["; ", "timeout-finish: the first line must be"]);
    assert_told(&tree, "log-file", &["log: is a file, and a logger is a directory", "the output goes to svc-log"]);
    for name in ["web", "db", "log-file"] {
        tree.await_up(name);
    }
    tree.service("same").file("lock-fd", "4");
    tree.await_up("same");
    neighbour.assert_undisturbed(&tree);
}

/// What is wrong is the link: who does as he is told must do no harm to what it leads to.
#[test]
fn a_link_to_what_is_not_meant_is_named_and_not_its_target() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let small = tree.draft("small");
    small.run("exec sleep 1000");
    symlink("/etc", small.path().join("down-signal")).expect("ours");
    symlink("/etc/passwd", small.path().join("timeout-kill")).expect("ours");
    symlink("/etc/passwd", tree.draft("program").path().join("run")).expect("ours");
    for name in ["small", "program"] {
        tree.place(name);
    }
    assert_told(&tree, "small", &["small/down-signal -> /etc: is a directory"]);
    assert_told(&tree, "small", &["small/timeout-kill -> /etc/passwd: the first line must be"]);
    let words = ["program/run -> /etc/passwd: is not executable", "let the link lead to"];
    let problem = assert_told(&tree, "program", &words).problem.unwrap_or_default();
    assert!(!problem.contains("chmod +x /"), "{problem}");
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn what_another_user_may_not_read_is_told_with_the_mode_to_set() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(NOBODY);
    let neighbour = Neighbour::start(&mut tree);
    for name in ["closed", "unreadable", "not-ours", "value"] {
        tree.draft(name).run("exec sleep 1000").file("timeout-kill", "100");
    }
    let mode = |path: &str, mode| {
        fs::set_permissions(tree.path("drafts").join(path), fs::Permissions::from_mode(mode)).expect("ours");
    };
    mode("closed", 0o600);
    mode("unreadable/run", 0o711);
    mode("not-ours/run", 0o744);
    mode("value/timeout-kill", 0o600);
    for name in ["closed", "unreadable", "not-ours", "value"] {
        tree.place(name);
    }
    assert_told(&tree, "closed", &["closed: cannot be read, because uid 65534", "chmod a+x"]);
    assert_told(&tree, "unreadable", &["unreadable/run: cannot be read by uid 65534", "chmod a+r"]);
    assert_told(&tree, "not-ours", &["not-ours/run: is not executable by uid 65534", "chmod a+x"]);
    assert_told(&tree, "value", &["value/timeout-kill: cannot be read by uid 65534", "chmod a+r"]);
    tree.await_up("value");
    for path in ["closed", "unreadable/run", "not-ours/run"] {
        fs::set_permissions(tree.services().join(path), fs::Permissions::from_mode(0o755)).expect("ours");
    }
    for name in ["closed", "unreadable", "not-ours"] {
        tree.await_up(name);
    }
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_descriptor_above_the_limit_is_told_with_the_limit() {
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--nofile=256:512"]);
    let neighbour = Neighbour::start(&mut tree);
    tree.draft("web").run("echo >&3; exec sleep 1000").file("notification-fd", "1048575\n");
    tree.place("web");
    assert_told(&tree, "web", &["web: notification-fd or lock-fd is too near the limit of descriptors (512)", "such as 3"]);
    tree.service("web").file("notification-fd", "3\n");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    neighbour.assert_undisturbed(&tree);
}
