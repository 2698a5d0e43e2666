//! daemontools and runit.

use std::os::unix::process::CommandExt;

use svc_testkit::is_root;

use super::{Scratch, assert_same, assert_same_with, ours};

const IDS: [&str; 3] =
    ["sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status; env | grep -E '^(UID|GID|GIDLIST)=' | sort"];
const LIMITS: [&str; 2] = ["cat", "/proc/self/limits"];

#[test]
fn daemontools_ids() {
    if !is_root() {
        return;
    }
    for name in ["setuidgid", "envuidgid"] {
        for account in ["nobody", "daemon", "no-such-account", ""] {
            assert_same(name, &[&[account][..], &IDS].concat());
        }
        assert_same(name, &["nobody"]);
        assert_same(name, &[]);
        assert_same(name, &["nobody", "/no/such/program"]);
    }
}

#[test]
fn daemontools_state() {
    let dir = Scratch::new("daemontools-envdir");
    for (name, contents) in
        [("A", &b"one two \t\nthree"[..]), ("HOME", b""), ("B", b"x\0y\r\n"), (".C", b"c"), ("EMPTY", b"\n")]
    {
        dir.file(name, contents);
    }
    assert_same("envdir", &[dir.path(), "sh", "-c", "env | sort | grep -v ^PWD="]);
    assert_same("envdir", &["/no/such/dir", "true"]);
    assert_same("envdir", &[dir.path()]);
    assert_same("envdir", &[]);
    for options in [
        &["-o", "20"][..],
        &["-o", "="],
        &["-m", "200000000"],
        &["-a", "200000000", "-c", "0"],
        &["-r", "5", "-s", "8000000", "-t", "70", "-l", "65536"],
    ] {
        assert_same("softlimit", &[options, &LIMITS].concat());
    }
    for words in [&["-o", "x", "true"][..], &["-o"], &["-x", "true"], &[], &["/no/such/program"]] {
        assert_same("softlimit", words);
    }
    let leads =
        "read pid comm state parent group session rest </proc/self/stat; [ $session = $$ ] && echo session; echo end";
    assert_same("pgrphack", &["sh", "-c", leads]);
    assert_same("pgrphack", &[]);
    for words in [
        &["sh", "-c", "exit 4"][..],
        &["sh", "-c", "kill -9 $$"],
        &["/no/such/program"],
        &[],
        &["sh", "-c", "(sleep 0.1) & exit 6"],
    ] {
        assert_same("fghack", words);
    }
}

#[test]
fn chpst_ids() {
    if !is_root() {
        return;
    }
    for user in [
        "nobody",
        "daemon",
        "nobody:daemon",
        "nobody:daemon:mail",
        ":1:2",
        ":1:2:3",
        ":1",
        ":",
        "",
        "nobody:",
        "no-such",
        "nobody:no-such",
        ":x:1",
    ] {
        assert_same("chpst", &[&["-u", user][..], &IDS].concat());
        assert_same("chpst", &[&["-U", user][..], &IDS].concat());
    }
    assert_same("chpst", &[&["-u", "nobody", "-U", "daemon"][..], &IDS].concat());
}

#[test]
fn chpst_state() {
    let dir = Scratch::new("chpst");
    dir.file("A", "one \t\nthree");
    dir.file("HOME", "");
    std::fs::create_dir(dir.0.join("sub")).expect("ours");
    assert_same("chpst", &["-e", dir.path(), "sh", "-c", "env | sort | grep -v ^PWD="]);
    assert_same("chpst", &["-e", "/no/such/dir", "true"]);
    assert_same("chpst", &["-b", "name", "sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline"]);
    for n in ["5", "+5", "x"] {
        assert_same("chpst", &["-n", n, "nice"]);
    }
    for options in [
        &["-o", "20"][..],
        &["-m", "200000000"],
        &["-d", "100000000", "-c", "0", "-f", "1000000", "-p", "9999", "-t", "70", "-r", "77"],
        &["-o", "="],
        &["-o", "x"],
    ] {
        assert_same("chpst", &[options, &LIMITS].concat());
    }
    assert_same(
        "chpst",
        &["-P", "sh", "-c", "read pid comm state parent group session rest </proc/self/stat; [ $session = $$ ] && echo yes"],
    );
    // No pipe in it: that would take the free numbers.
    let open = "for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && s=$s$n; done; exit $s";
    for words in [&["-0", "-2"][..], &["-1"], &["-0", "-1", "-2"], &[]] {
        assert_same("chpst", &[words, &["sh", "-c", open]].concat());
    }
    for words in
        [&["-x", "true"][..], &[], &["-V", "true"], &["-v", "true"], &["/no/such/program"], &["-l", "a", "-L", "b", "true"]]
    {
        assert_same("chpst", words);
    }
    if is_root() {
        assert_same("chpst", &["-n", "-5", "nice"]);
        assert_same("chpst", &["-/", "/no/such/dir", "true"]);
        assert_same("chpst", &["-/", dir.path(), "/bin/true"]);
        let said = svc_testkit::Said::by(ours("chpst").args(["-C", "/tmp", "pwd"]));
        assert_eq!(said.out, "/tmp\n", "runit has this from 2.2 on");
    }
}

#[test]
fn nobody_is_refused_what_only_root_may() {
    if !is_root() {
        return;
    }
    for (name, words) in
        [("chpst", &["-u", "daemon", "true"][..]), ("setuidgid", &["daemon", "true"]), ("chpst", &["-n", "-5", "nice"])]
    {
        assert_same_with(name, words, |command| {
            command.uid(65534).gid(65534);
        });
    }
}
