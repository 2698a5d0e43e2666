//! Environment, limits, sessions, the background.

use std::os::unix::process::CommandExt;
use std::process::Command;

use svc_testkit::{Said, is_root};

use super::{Scratch, assert_ours, assert_same, assert_same_with, ours};

/// A directory of variables with everything that a file can have.
fn variables(name: &str) -> Scratch {
    let dir = Scratch::new(name);
    for (name, contents) in [
        ("PLAIN", &b"one\n"[..]),
        ("TWO_LINES", b"first \t\nsecond\n"),
        ("NUL", b"a\0b\n"),
        ("HOME", b""),
        ("EMPTY", b"\n"),
        ("BLANKS", b"a b \r\t \n"),
        (".hidden", b"x\n"),
        ("A=B", b"x\n"),
        ("LONG", &[b'x'; 6000]),
    ] {
        dir.file(name, contents);
    }
    dir
}

const ENV: [&str; 3] = ["sh", "-c", "env | sort | grep -v ^PWD="];

#[test]
fn directories_become_variables() {
    let dir = variables("envdir");
    let with =
        |options: &[&'static str]| [options, &[dir.path()], &ENV].concat().iter().map(|s| s.to_string()).collect::<Vec<_>>();
    for options in [
        &[][..],
        &["-f"],
        &["-n"],
        &["-fn"],
        &["-Lf"],
        &["-Lfn"],
        &["-Ln"],
        &["-c", "+"],
        &["-L", "-c", "+", "-f"],
        &["-I"],
        &["-i"],
    ] {
        let words = with(options);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_same("s6-envdir", &words);
    }
    for words in [
        &["/no/such/dir", "true"][..],
        &["-I", "/no/such/dir", "echo", "on"],
        &["-Ii", "/no/such/dir", "true"],
        &["/etc/passwd", "true"],
        &["/"],
        &[],
        &["-x"],
    ] {
        assert_same("s6-envdir", words);
    }
    dir.file("sub", "");
    std::fs::remove_file(dir.0.join("sub")).expect("ours");
    std::fs::create_dir(dir.0.join("sub")).expect("ours");
    assert_same("s6-envdir", &[dir.path(), "true"]);
}

#[test]
fn a_last_line_without_newline_is_not_lost() {
    // s6-envdir -L makes the variable empty.
    let dir = Scratch::new("envdir-newline");
    dir.file("NAME", "value");
    assert_ours("s6-envdir", &["-L", dir.path(), "sh", "-c", "echo $NAME"], "value\n", 0);
}

#[test]
fn the_old_envdir_of_s6_overlay_takes_files_as_they_are() {
    let dir = Scratch::new("justc");
    dir.file("LINES", "a\nb\n");
    dir.file("HOME", "");
    dir.file("NUL", b"a\0b");
    assert_ours("justc-envdir", &[dir.path(), "sh", "-c", "echo \"$LINES.${HOME-unset}.$NUL\""], "a\nb\n..a\n", 0);
    assert_ours("justc-envdir", &["-I", "/no/such/dir", "echo", "on"], "on\n", 0);
    assert_ours("justc-envdir", &["/no/such/dir", "echo", "on"], "", 111);
}

const LIMITS: [&str; 2] = ["cat", "/proc/self/limits"];

#[test]
fn limits_are_those_that_s6_sets() {
    for options in [
        &["-o", "20"][..],
        &["-o", "="],
        &["-o", "999999999"],
        &["-h", "-o", "30"],
        &["-H", "-o", "30"],
        &["-o", "25", "-h", "-o", "50"],
        &["-c", "0", "-f", "1000000", "-t", "77"],
        &["-m", "200000000"],
        &["-a", "200000000", "-d", "100000000", "-s", "8000000", "-l", "65536"],
        &["-p", "9999", "-r", "1000"],
    ] {
        assert_same("s6-softlimit", &[options, &LIMITS].concat());
    }
    for words in [&["-o", "x", "true"][..], &["-o", "-1", "true"], &["-o", "10"], &[], &["-o", "20", "/no/such/program"]] {
        assert_same("s6-softlimit", words);
    }
    // From s6 2.12 on.
    let said = Said::by(ours("s6-softlimit").args(["-P", "0", "grep", "-c", "realtime priority *0 ", "/proc/self/limits"]));
    assert_eq!(said.out, "1\n");
    if is_root() {
        assert_same("s6-softlimit", &[&["-H", "-o", "="][..], &LIMITS].concat());
    }
}

#[test]
fn a_limit_that_leaves_no_memory_does_not_hurt_the_one_who_sets_it() {
    // Whether the program itself can begin is between it and the kernel; it is reached.
    let said = Said::by(ours("s6-softlimit").args(["-d", "1", "/no/such/program"]));
    assert_eq!(said.code, 127, "{said:?}");
}

/// Whether it leads a session, and a group.
const LEADS: &str = "read pid comm state parent group session rest </proc/self/stat; \
                     [ $group = $$ ] && echo group; [ $session = $$ ] && echo session; echo end";

#[test]
fn sessions_and_groups() {
    for words in [&[][..], &["-s"], &["-b"], &["-i"], &["-bi"], &["-q"]] {
        assert_same("s6-setsid", &[words, &["sh", "-c", LEADS]].concat());
    }
    // Already the leader of a group.
    for words in [&["-s"][..], &["-i"], &["-q"], &["-b"]] {
        assert_same_with("s6-setsid", &[words, &["sh", "-c", LEADS]].concat(), |command| {
            command.process_group(0);
        });
    }
    assert_same("s6-setsid", &["-fi", "-d", "9", "true"]);
    assert_same("s6-setsid", &[]);
}

#[test]
fn signals_of_a_chain_are_left_as_they_are() {
    let mask = "grep -E '^Sig(Blk|Ign|Cgt):' /proc/self/status";
    for chain in [&["s6-setuidgid", ""][..], &["s6-setsid"], &["s6-softlimit"], &["s6-setlock", "/tmp/svc-process-lock"]] {
        let through = |prefix: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("trap '' PIPE USR1; exec \"$@\" sh -c \"{mask}\""), "sh"]);
            if prefix.is_empty() {
                command.arg("env");
            } else {
                command.arg(svc_testkit::program()).args(chain);
            }
            Said::by(&mut command).out
        };
        assert_eq!(through("ours"), through(""), "{chain:?}");
    }
}

#[test]
fn what_goes_into_the_background_is_waited_for() {
    let gone = Scratch::new("fghack");
    let mark = gone.0.join("mark");
    let script = format!("(sleep 0.2; echo > {}) & exit 3", mark.display());
    assert_same("s6-fghack", &["sh", "-c", &script]);
    let _ = std::fs::remove_file(&mark);
    assert_ours("s6-fghack", &["sh", "-c", &script], "", 3);
    assert!(mark.exists(), "it ended before the child of the program");
    for words in [&["sh", "-c", "echo x >&7; exit 0"][..], &["/no/such/program"], &[]] {
        assert_same("s6-fghack", words);
    }
    // As from 2.13 on; before it was 111.
    assert_ours("s6-fghack", &["sh", "-c", "kill -9 $$"], "", 137);
}

#[test]
fn a_daemon_that_writes_its_pid_is_watched() {
    let dir = Scratch::new("background");
    let file = dir.0.join("pid");
    // Its parent, which has no other use for it, must not be the one who takes it when it ends.
    let daemon = |then: &str| {
        let file = file.display();
        let inner = format!("echo $$ >{file}.new; mv {file}.new {file}; while [ -e /proc/$0 ]; do sleep 0.01; done; {then}");
        format!("sh -c '{inner}' $$ & while ! [ -e {file} ]; do sleep 0.01; done")
    };
    let watch = |script: &str, options: &[&str]| {
        let _ = std::fs::remove_file(&file);
        Said::by(ours("s6-background-watch").args(options).arg(&file).args(["sh", "-c", script]))
    };
    assert_eq!(watch(&daemon("sleep 0.1; exit 5"), &[]).code, 5);
    assert_eq!(watch(&daemon("kill -9 $$"), &[]).code, 137);
    assert_eq!(watch("exit 3", &[]).code, 3);
    assert_eq!(watch("exit 0", &[]).code, 104, "no pid file");
    assert_eq!(watch(&format!("echo 1 > {}", file.display()), &[]).code, 104, "a process that is not ours");
    assert_eq!(watch("exec sleep 1000", &["-t", "50"]).code, 137);
}

#[test]
fn connections_are_counted() {
    let with = |count: &'static str, most: Option<&'static str>| {
        move |command: &mut Command| {
            command.env("PROTO", "IPC").env("IPCCONNNUM", count);
            if let Some(most) = most {
                command.env("IPCCONNMAX", most);
            }
        }
    };
    assert_same_with("s6-connlimit", &["echo", "in"], with("3", None));
    assert_same_with("s6-connlimit", &["echo", "in"], with("3", Some("3")));
    assert_same_with("s6-connlimit", &["echo", "in"], with("4", Some("3")));
    assert_same_with("s6-connlimit", &["echo", "in"], with("x", Some("3")));
    assert_same("s6-connlimit", &["echo", "in"]);
}
