//! The small programs. Debian has no s6-portable-utils: what is expected here is what those of 2.3.1.2 print.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use svc_testkit::{Said, is_root, spawn, until};

use super::{Scratch, assert_ours, ours, waits_in};

/// What a program makes of standard input.
#[track_caller]
fn assert_filter(name: &str, words: &[&str], input: &str, out: &str, code: i32) {
    let mut command = ours(name);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command).expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    // One that ends before it has read everything is no failure of this test.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("ours");
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout).as_ref(), output.status.code()),
        (out, Some(code)),
        "{name} {words:?}: {output:?}"
    );
}

#[test]
fn words_are_printed() {
    assert_ours("s6-echo", &["a", "b  c"], "a b  c\n", 0);
    assert_ours("s6-echo", &["-n", "a"], "a", 0);
    assert_ours("s6-echo", &["-s,", "a", "b"], "a,b\n", 0);
    assert_ours("s6-echo", &["--", "-n"], "-n\n", 0);
    assert_ours("s6-echo", &[], "\n", 0);
    assert_ours("s6-echo", &["-x"], "", 100);
    for (path, base, dir) in [("/a/b", "b", "/a"), ("a", "a", "."), ("/", "/", "/"), ("/a", "a", "/"), ("", ".", ".")] {
        assert_ours("s6-basename", &[path], &format!("{base}\n"), 0);
        assert_ours("s6-dirname", &["-n", path], dir, 0);
    }
    assert_ours("s6-basename", &["/a/b.c", ".c"], "b\n", 0);
    assert_ours("s6-basename", &["b", "b"], "b\n", 0);
    assert_ours("s6-seq", &["-s,", "-w", "8", "10"], "08,09,10,", 0);
    assert_ours("s6-seq", &["1", "3", "8"], "1\n4\n7\n", 0);
    assert_ours("s6-seq", &["0", "0", "1"], "", 100);
    assert_ours("s6-true", &["--"], "", 0);
    assert_ours("s6-false", &[], "", 1);
    let said = Said::by(&mut ours("s6-clock"));
    assert!(said.out.len() == 26 && said.out.starts_with("@40000000"), "{said:?}");
}

#[test]
fn lines_are_sorted() {
    assert_filter("s6-sort", &[], "b\nA\na\n  c\nb", "  c\nA\na\nb\nb\n", 0);
    assert_filter("s6-sort", &["-f", "-u"], "b\nA\na\nb\n", "a\nb\n", 0);
    assert_filter("s6-sort", &["-br"], "b\n  c\na\n", "  c\nb\na\n", 0);
    assert_filter("s6-sort", &["-0"], "x\0a\0", "a\0x\0", 0);
    assert_filter("s6-sort", &["-c"], "a\na\nb\n", "", 0);
    assert_filter("s6-sort", &["-cu"], "a\na\nb\n", "", 1);
    assert_filter("s6-cat", &[], "a\0\nb", "a\0\nb", 0);
}

#[test]
fn lines_are_written_in_another_form() {
    assert_filter("s6-format-filter", &["[%1] %s%%", "zm"], "one\ntwo", "[zm] one%\n[zm] two%", 0);
    assert_filter("s6-format-filter", &["%0"], "one\n", "s6-format-filter\n", 0);
    for wrong in ["%x", "%2", "%"] {
        assert_filter("s6-format-filter", &[wrong, "a"], "one\n", "", 111);
    }
    assert_filter("s6-format-filter", &[], "one\n", "", 100);
}

#[test]
fn a_filter_does_not_keep_a_line_for_itself() {
    let mut command = ours("s6-format-filter");
    let mut child = spawn(command.arg("<%s>").stdin(Stdio::piped()).stdout(Stdio::piped())).expect("it runs");
    child.stdin.as_mut().expect("piped").write_all(b"one\n").expect("it reads");
    let mut line = [0; 6];
    // Comes while standard input is still open.
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut line).expect("a line");
    assert_eq!(&line, b"<one>\n");
    drop(child.stdin.take());
    assert!(child.wait().expect("ours").success());
}

#[test]
fn beginnings_and_ends() {
    let thirty: String = (1..=30).map(|number| format!("{number}\n")).collect();
    assert_filter("s6-head", &["-3"], &thirty, "1\n2\n3\n", 0);
    assert_filter("s6-head", &["-c", "4"], &thirty, "1\n2\n", 0);
    assert_filter("s6-tail", &["-n2"], &thirty, "29\n30\n", 0);
    assert_filter("s6-tail", &["-n", "+29"], &thirty, "29\n30\n", 0);
    assert_filter("s6-tail", &["-c", "3"], &thirty, "30\n", 0);
    assert_filter("s6-tail", &["-n1"], "a\nb", "b", 0);
    assert_filter("s6-head", &["-n", "1", "-3"], "", "", 100);
    let dir = Scratch::new("head");
    let file = dir.file("file", "a\nb\n");
    assert_ours("s6-head", &["-1", &file, &file], &format!("==> {file} <==\na\n\n==> {file} <==\na\n"), 0);
    // What is not printed is left for the next.
    let svc = svc_testkit::program();
    let script = format!("printf 'a\\nb\\n' | {{ {svc} s6-head -S -1; cat; }}", svc = svc.display());
    assert_eq!(Said::by(Command::new("sh").args(["-c", &script])).out, "a\nb\n");
}

#[test]
fn files_are_made_and_changed() {
    let dir = Scratch::new("files");
    let at = |name: &str| format!("{}/{name}", dir.path());
    let mode = |name: &str| std::fs::symlink_metadata(at(name)).expect(name).mode() & 0o7777;
    assert_ours("s6-mkdir", &["-m", "0750", &at("a")], "", 0);
    assert_eq!(mode("a"), 0o750);
    assert_ours("s6-mkdir", &[&at("a")], "", 111);
    assert_ours("s6-mkdir", &["-p", &at("a"), &at("b/c/d")], "", 0);
    assert!(dir.0.join("b/c/d").is_dir());
    assert_ours("s6-mkdir", &[&at("x/y"), &at("e")], "", 111);
    assert!(dir.0.join("e").is_dir(), "the others are made");
    assert_ours("s6-mkfifo", &["-m", "622", &at("fifo")], "", 0);
    assert!(std::fs::metadata(at("fifo")).expect("there").file_type().is_fifo() && mode("fifo") == 0o622);
    assert_ours("s6-touch", &[&at("file")], "", 0);
    assert_ours("s6-chmod", &["2640", &at("file")], "", 0);
    assert_eq!(mode("file"), 0o2640);
    assert_ours("s6-ln", &["-s", "file", &at("link")], "", 0);
    assert_ours("s6-linkname", &[&at("link")], "file\n", 0);
    assert_ours("s6-linkname", &["-n", "-f", &at("link")], &at("file"), 0);
    assert_ours("s6-ln", &["-s", "other", &at("link")], "", 1);
    assert_ours("s6-ln", &["-sf", "other", &at("link")], "", 0);
    assert_ours("s6-linkname", &[&at("link")], "other\n", 0);
    assert_ours("s6-ln", &[&at("file"), &at("a")], "", 0);
    assert_eq!(std::fs::metadata(at("a/file")).expect("there").nlink(), 2);
    assert_ours("s6-rename", &[&at("a/file"), &at("moved")], "", 0);
    assert_ours("s6-rmrf", &[&at("b"), &at("link"), &at("no-such")], "", 0);
    let left = Said::by(ours("s6-ls").args(["-x", "moved", dir.path()])).out;
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["a", "e", "fifo", "file"]);
}

#[test]
fn trees_are_copied_and_removed() {
    let dir = Scratch::new("copy");
    let at = |name: &str| format!("{}/{name}", dir.path());
    assert_ours("s6-mkdir", &["-p", &at("from/sub")], "", 0);
    dir.file("from/sub/file", "contents");
    std::fs::set_permissions(at("from/sub/file"), PermissionsExt::from_mode(0o4751)).expect("ours");
    std::fs::set_permissions(at("from/sub"), PermissionsExt::from_mode(0o1711)).expect("ours");
    std::os::unix::fs::symlink("sub", at("from/link")).expect("ours");
    assert_ours("s6-mkfifo", &[&at("from/fifo")], "", 0);
    if is_root() {
        assert_ours("s6-chown", &["-u", "12", "-g", "34", &at("from/sub/file")], "", 0);
        assert_ours("s6-chmod", &["4751", &at("from/sub/file")], "", 0);
    }
    assert_ours("s6-hiercopy", &[&at("from"), &at("to")], "", 0);
    for name in ["", "sub", "sub/file", "link", "fifo"] {
        let [from, to] = ["from", "to"].map(|tree| std::fs::symlink_metadata(at(&format!("{tree}/{name}"))).expect(name));
        assert_eq!((from.mode(), from.uid(), from.gid()), (to.mode(), to.uid(), to.gid()), "{name}");
    }
    assert_eq!(std::fs::read(at("to/sub/file")).expect("there"), b"contents");
    assert_ours("s6-hiercopy", &[&at("no-such"), &at("x")], "", 111);
    assert_ours("s6-rmrf", &[&at("to/link"), &at("from")], "", 0);
    assert!(dir.0.join("to/sub/file").exists() && !dir.0.join("from").exists(), "links are not followed");
}

#[test]
fn owners_are_told_to_shells() {
    let dir = Scratch::new("stat");
    let file = dir.file("file", "");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o4754)).expect("ours");
    if is_root() {
        assert_ours("s6-chown", &["-u", "1", "-g", "54321", &file], "", 0);
        assert_ours("s6-chmod", &["4754", &file], "", 0);
        assert_ours("s6-overlay-stat", &[&file], "uid=1\nuser=daemon\ngid=54321\ngroup=\nperms=orgxgruxuwurus\n", 0);
    }
    assert_ours("s6-overlay-stat", &["/no/such/file"], "", 111);
}

#[test]
fn names_of_a_directory() {
    let dir = Scratch::new("ls");
    dir.file(".hidden", "");
    dir.file("seen", "");
    assert_ours("s6-ls", &[dir.path()], "seen\n", 0);
    assert_ours("s6-ls", &["-0", dir.path()], "seen\0", 0);
    assert_ours("s6-ls", &["-a", "-x", "seen", dir.path()], ".hidden\n", 0);
    assert_eq!(Said::by(ours("s6-ls").args(["-A", dir.path()])).out.lines().count(), 4);
    assert_ours("s6-ls", &["/no/such/dir"], "", 111);
}

#[test]
fn the_environment_is_printed_and_kept() {
    assert_ours("s6-env", &["-i", "A=1", "B=", "/usr/bin/env"], "A=1\nB=\n", 0);
    assert_ours("s6-env", &["-i", "A=1"], "A=1\n", 0);
    let said = Said::by(ours("s6-printenv").arg("-0").env_clear().env("A", "1"));
    assert_eq!(said.out, "A=1\0");
    let said = Said::by(ours("s6-printenv").args(["-d", ""]).env_clear().env("A", "1"));
    assert_eq!(said.out, "3:A=1,");
    let dir = Scratch::new("dumpenv");
    let into = format!("{}/env", dir.path());
    let said = Said::by(ours("s6-dumpenv").args(["-m", "700", &into]).env_clear().env("A", "one\ntwo\n"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(std::fs::read(format!("{into}/A")).expect("there"), b"one\ntwo\n");
    assert_ours("s6-envdir", &["-fn", &into, "sh", "-c", "printf %s \"$A\""], "one\ntwo\n", 0);
}

#[test]
fn time_passes() {
    assert_ours("s6-sleep", &["-m", "1", "echo", "on"], "on\n", 0);
    assert_ours("s6-sleep", &["0"], "", 0);
    assert_ours("s6-sleep", &["x"], "", 100);
    assert_ours("s6-maximumtime", &["10000", "sh", "-c", "exit 7"], "", 7);
    assert_ours("s6-maximumtime", &["0", "sh", "-c", "kill $$"], "", 111);
    assert_ours("s6-maximumtime", &["-k", "50", "sleep", "1000"], "", 99);
    assert_ours("s6-maximumtime", &["50", "/no/such/program"], "", 111);
    let now: u32 = Said::by(&mut Command::new("nice")).out.trim().parse().expect("a number");
    assert_ours("s6-nice", &["-n", "4", "nice"], &format!("{}\n", (now + 4).min(19)), 0);
    assert_ours("s6-nice", &["nice"], &format!("{}\n", (now + 10).min(19)), 0);
}

/// pause(2), or ppoll(2) where there is no such call.
const PAUSES: [&str; 2] = ["34 ", "73 "];

#[test]
fn pausing_ends_by_a_signal_that_is_not_ignored() {
    let ignored = |options: &[&str]| {
        let mut child = spawn(ours("s6-pause").args(options)).expect("it runs");
        let pid = child.id();
        until("it waits", || waits_in(pid, &PAUSES));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line").trim().to_owned();
        svc_testkit::kill(pid as i32, "KILL");
        child.wait().expect("ours");
        u64::from_str_radix(&bits, 16).expect("bits")
    };
    let bit = |number: u32| 1_u64 << (number - 1);
    let before = ignored(&[]);
    assert_eq!(ignored(&["-th"]) & !before, (bit(15) | bit(1)) & !before);
    assert_eq!(ignored(&["-p", "10,12"]) & !before, (bit(10) | bit(12)) & !before);
    assert_eq!(ignored(&["-a", "-q", "-b", "-i"]) & !before, (bit(14) | bit(3) | bit(6) | bit(2)) & !before);
    assert_ours("s6-pause", &["-p", "x"], "", 100);
}
