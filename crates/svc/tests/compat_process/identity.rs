//! Users and groups.

use std::os::unix::process::CommandExt;
use std::process::Command;

use svc_testkit::{NOBODY, Said, is_root, program};

use super::{Scratch, assert_ours, assert_same, assert_same_with, ours};

/// All ids there are, and the variables about them.
const IDS: &str = "grep -E '^(Uid|Gid|Groups):' /proc/self/status; env | grep -E '^(UID|GID|GIDLIST|HOME)=' | sort";

#[test]
fn ids_are_those_that_s6_gives() {
    if !is_root() {
        return;
    }
    for account in ["nobody", "daemon", "root", "65534:65534", "1:2", "0:0", "12345:0", "0:12345", ""] {
        assert_same("s6-setuidgid", &[account, "sh", "-c", IDS]);
    }
    for words in [
        &["no-such-account", "true"][..],
        &["no-such-account:1", "true"],
        &["1:", "true"],
        &["nobody"],
        &[],
        &["nobody", "/no/such/program"],
        &["nobody", "/etc/passwd"],
    ] {
        assert_same("s6-setuidgid", words);
    }
}

#[test]
fn supplementary_groups_are_those_of_the_group_file() {
    let all = std::fs::read_to_string("/etc/group").expect("/etc/group");
    let member = all.lines().filter_map(|line| line.rsplit(':').next()?.split(',').find(|name| !name.is_empty())).next();
    if !is_root() || !svc_testkit::needs("somebody in /etc/group who is in a group", member.is_some()) {
        return;
    }
    let member = member.expect("looked at");
    assert_same("s6-setuidgid", &[member, "sh", "-c", IDS]);
    assert_same("s6-envuidgid", &[member, "sh", "-c", IDS]);
}

#[test]
fn ids_can_be_given_one_by_one() {
    if !is_root() {
        return;
    }
    for words in [
        &["-u", "5"][..],
        &["-g", "5"],
        &["-u", "5", "-g", "6", "-G", "7,8"],
        &["-u", "5", "-g", "6", "-G", "7,6,8"],
        &["-G", ""],
        &["-u", "0", "-g", "0"],
        &["-U"],
        &["-z", "-U"],
        &["-z"],
        &["-u", "x"],
        &["-G", "x"],
    ] {
        let words = [words, &["sh", "-c", IDS]].concat();
        assert_same_with("s6-applyuidgid", &words, |command| {
            command.envs([("UID", "11"), ("GID", "12"), ("GIDLIST", "13,14")]);
        });
    }
    assert_same("s6-applyuidgid", &["-U", "true"]);
    assert_same("s6-applyuidgid", &[]);
}

#[test]
fn ids_go_into_the_environment() {
    for words in [
        &["daemon"][..],
        &["-u", "daemon"],
        &["-g", "daemon"],
        &["-B", "daemon:mail"],
        &["-B", "daemon"],
        &["-n", "77:88"],
        &["-n", "daemon:88"],
        &["-n", "-u", "77"],
        &["no-such-account"],
        &["-g", "no-such-group"],
        &["-B", "daemon:no-such-group"],
        &["-D", "1:2:3,4", "no-such-account"],
        &["-D", "1:2:3,4", "daemon"],
        &["-D", "1:2", "no-such-account"],
        &["-D", "x", "daemon"],
    ] {
        assert_same("s6-envuidgid", &[words, &["sh", "-c", IDS]].concat());
    }
    assert_same("s6-envuidgid", &["daemon"]);
}

#[test]
fn who_may_change_nothing_may_stay_who_he_is() {
    if !is_root() {
        return;
    }
    let as_nobody = |account: &str| {
        let mut command = ours("s6-setuidgid");
        Said::by(command.args([account, "id", "-u"]).uid(NOBODY).gid(NOBODY))
    };
    assert_eq!(as_nobody("65534:65534").out, "65534\n");
    assert_eq!(as_nobody("nobody").out, "65534\n");
    for other in ["root", "daemon", "0:0", "1:1", "65534:0"] {
        let said = as_nobody(other);
        assert_eq!((said.out.as_str(), said.code), ("", 111), "{other}: {said:?}");
        assert!(said.err.starts_with("s6-setuidgid: fatal: unable to "), "{other}: {said:?}");
    }
}

#[test]
fn privileges_that_would_stay_are_noticed() {
    if !is_root() {
        return;
    }
    // The gate: somebody who is root only by effective id loses all three.
    let said = Said::by(ours("s6-setuidgid").args(["1:1", "grep", "-E", "^(Uid|Gid):", "/proc/self/status"]));
    assert_eq!(said.out, "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n");
    let said = Said::by(ours("s6-setuidgid").args(["1:1", "sh", "-c", "grep CapEff /proc/self/status"]));
    assert_eq!(said.out, "CapEff:\t0000000000000000\n");
}

#[test]
fn numbers_need_no_files_of_accounts() {
    if !is_root() {
        return;
    }
    // A root directory with nothing in it but this program.
    let root = Scratch::new("empty-root");
    std::fs::copy(program(), root.0.join("svc")).expect("room");
    let needs_libraries = Said::by(Command::new("chroot").args([root.path(), "/svc", "--version"])).code != 0;
    if needs_libraries {
        for line in Said::by(Command::new("ldd").arg(program())).out.lines() {
            let Some(library) = line.split_whitespace().find(|word| word.starts_with('/')) else { continue };
            let copy = root.0.join(&library[1..]);
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("ours");
            std::fs::copy(library, copy).expect("room");
        }
    }
    let inside = |words: &[&str]| Said::by(Command::new("chroot").arg(root.path()).arg("/svc").args(words));
    let said = inside(&["s6-setuidgid", "1000:1000", "/svc", "s6-echo", "here"]);
    assert_eq!((said.out.as_str(), said.code), ("here\n", 0), "{said:?}");
    let said = inside(&["s6-setuidgid", "abc", "/svc", "s6-echo", "here"]);
    assert_eq!((said.err.as_str(), said.code), ("s6-setuidgid: fatal: unknown user: abc\n", 1));
    let said = inside(&["chpst", "-u", ":1000:1000", "/svc", "s6-echo", "here"]);
    assert_eq!((said.out.as_str(), said.code), ("here\n", 0), "{said:?}");
}

#[test]
fn setuser_sets_what_a_login_does() {
    if !is_root() {
        return;
    }
    let script = "id -u; id -g; echo $USER $HOME $UID";
    assert_ours("setuser", &["daemon", "sh", "-c", script], "1\n1\ndaemon /usr/sbin 1\n", 0);
    assert_ours("setuser", &["no-such-account", "true"], "", 1);
    assert_ours("setuser", &["daemon"], "", 1);
    assert_ours("setuser", &["daemon", "/no/such/program"], "", 1);
}
