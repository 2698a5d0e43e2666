//! Locks: ours and theirs must see each other's.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use svc_testkit::{Said, spawn};

use super::{Scratch, assert_same, ours, theirs, waits_in};

/// A program that holds a lock until it is dropped.
struct Holder(Child);

impl Holder {
    /// Returns when it holds it.
    fn new(mut command: Command, words: &[&str]) -> Holder {
        command.args(words).args(["sh", "-c", "echo held; exec sleep 1000"]).stdout(Stdio::piped());
        let mut holder = spawn(&mut command).expect("it runs");
        holder.stdout.as_mut().expect("piped").read_exact(&mut [0; 5]).expect("it holds the lock");
        Holder(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts that whoever holds a lock keeps the other from it: ours theirs, theirs ours, and each its like.
#[track_caller]
fn assert_exclusive(hold: (&str, &[&str]), ask: (&str, &[&str]), code: i32) {
    let dir = Scratch::new(&format!("lock-{}-{}", hold.0, ask.0));
    let path = dir.file("lock", "");
    let programs = |name: &str| [Some(ours(name)), theirs(name)];
    for holder in programs(hold.0).into_iter().flatten() {
        let shown = format!("{holder:?}");
        let holder = Holder::new(holder, &[hold.1, &[&path]].concat());
        for mut asker in programs(ask.0).into_iter().flatten() {
            let said = Said::by(asker.args(ask.1).args([&path, "echo", "got"]));
            assert_eq!(
                (said.out.as_str(), said.code),
                (if code == 0 { "got\n" } else { "" }, code),
                "{shown} {:?}: {said:?}",
                ask.1
            );
        }
        drop(holder);
        let said = Said::by(ours(ask.0).args(ask.1).args([&path, "echo", "got"]));
        assert_eq!((said.out.as_str(), said.code), ("got\n", 0), "it ends with its holder: {said:?}");
    }
}

#[test]
fn locks_of_s6() {
    assert_exclusive(("s6-setlock", &[]), ("s6-setlock", &["-n"]), 1);
    assert_exclusive(("s6-setlock", &["-r"]), ("s6-setlock", &["-nw"]), 1);
    assert_exclusive(("s6-setlock", &["-w"]), ("s6-setlock", &["-n", "-r"]), 1);
    assert_exclusive(("s6-setlock", &["-r"]), ("s6-setlock", &["-r", "-n"]), 0);
    assert_exclusive(("s6-setlock", &[]), ("s6-setlock", &["-t", "50"]), 1);
}

#[test]
fn locks_of_daemontools_and_runit() {
    assert_exclusive(("setlock", &[]), ("setlock", &["-n"]), 111);
    assert_exclusive(("setlock", &[]), ("chpst", &["-L"]), 111);
    assert_exclusive(("chpst", &["-l"]), ("setlock", &["-n", "-X"]), 111);
    // These are locks of another kind.
    assert_exclusive(("setlock", &[]), ("s6-setlock", &["-n"]), 0);
    for words in [&["/no/such/dir/lock", "true"][..], &["-x", "/no/such/dir/lock", "echo", "in"], &["/tmp"], &[]] {
        assert_same("setlock", words);
        assert_same("s6-setlock", words);
    }
}

#[test]
fn setlock_can_end_without_a_word() {
    let dir = Scratch::new("lock-silent");
    let path = dir.file("lock", "");
    let _holder = Holder::new(ours("setlock"), &[&path]);
    for mut command in [Some(ours("setlock")), theirs("setlock")].into_iter().flatten() {
        let said = Said::by(command.args(["-n", "-x", &path, "echo", "got"]));
        assert_eq!(said, Said { code: 0, out: String::new(), err: String::new() });
    }
}

#[test]
fn a_lock_may_be_held_on_any_descriptor() {
    // Theirs takes the lock first, and loses it when it moves the descriptor.
    let dir = Scratch::new("lock-descriptor");
    let path = dir.file("lock", "");
    for number in ["3", "7", "20"] {
        let _holder = Holder::new(ours("s6-setlock"), &["-d", number, &path]);
        for mut command in [Some(ours("s6-setlock")), theirs("s6-setlock")].into_iter().flatten() {
            assert_eq!(Said::by(command.args(["-n", &path, "true"])).code, 1, "descriptor {number}");
        }
        let open = Said::by(ours("s6-setlock").args([
            "-d",
            number,
            dir.file("other", "").as_str(),
            "readlink",
            &format!("/proc/self/fd/{number}"),
        ]));
        assert_eq!(open.out.trim(), dir.0.join("other").to_str().expect("plain"));
    }
}

#[test]
fn waiting_for_a_lock_ends_when_it_comes() {
    let dir = Scratch::new("lock-wait");
    let path = dir.file("lock", "");
    let holder = Holder::new(ours("s6-setlock"), &[&path]);
    let mut command = ours("s6-setlock");
    command.args(["-t", "60000", &path, "sh", "-c", "grep Sig /proc/$$/status; echo got"]).stdout(Stdio::piped());
    let mut waiter = spawn(&mut command).expect("it runs");
    // In fcntl(2).
    svc_testkit::until("it waits for the lock", || waits_in(waiter.id(), &["72 ", "25 "]));
    drop(holder);
    let mut text = String::new();
    waiter.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    assert!(waiter.wait().expect("ours").success() && text.ends_with("got\n"), "{text}");
    let caught = text.lines().find(|line| line.starts_with("SigCgt")).unwrap_or_default();
    let bits = u64::from_str_radix(caught.split_whitespace().last().unwrap_or("0"), 16).unwrap_or(0);
    assert_eq!(bits & 1 << 13, 0, "no handler of SIGALRM is left: {text}");
}
