//! Promises 5, 6 and 21: nothing grows, nothing wakes up, and there is only one.

use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use svc_testkit::{Tree, amount, api, descriptors, switches, until};

use crate::common::status;

/// Memory of its own in KiB, counted page by page, and descriptors of one process. What it has of files and shares does not count:
/// the kernel takes and gives it.
fn size(pid: i32) -> (u64, usize) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a line of it");
    let memory = line.trim().split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    (memory, descriptors(pid))
}

fn orders(tree: &Tree, count: u64) {
    let verbs = [api::Verb::Pause, api::Verb::Continue, api::Verb::Reload, api::Verb::Start];
    for round in 0..count {
        tree.order(verbs[(round % 4) as usize], &["web"]);
        if round % 20 == 0 {
            tree.list().expect("an answer");
            tree.detail("web").expect("an answer");
        }
    }
}

fn restarts(tree: &Tree, count: u64) {
    for _ in 0..count {
        // The first waits for all orders before it.
        let control =
            api::Control { timeout_ms: Some(120_000), ..api::Control::new(api::Verb::Restart, vec!["web".into()]) };
        let answer: api::Outcomes = tree.post("/v1/control", &control);
        assert_eq!(answer.outcomes[0].result, api::Verdict::Done, "{answer:?}");
    }
}

fn rescans(tree: &Tree, count: u64) {
    for round in 0..count {
        tree.post::<api::Done>("/v1/rescan", &());
        if round % 10 == 0 {
            tree.service("coming").run("exec sleep 1000");
            tree.await_up("coming");
            std::fs::remove_dir_all(tree.services().join("coming")).expect("removed");
            until("it to be gone", || tree.status("coming").is_none().then_some(()));
        }
    }
}

/// So many of something.
type Storm = fn(&Tree, u64);

/// Who has grown meanwhile by more than this, in KiB.
fn grown(tree: &Tree, pids: [i32; 4], room: [u64; 4], what: &str, storm: impl Fn()) -> Option<String> {
    let before = pids.map(size);
    storm();
    // A connection is closed a moment after its answer was read.
    until(&format!("descriptors to be given back; log:\n{}", tree.log()), || {
        pids.iter().zip(&before).all(|(&pid, before)| descriptors(pid) <= before.1).then_some(())
    });
    let after = pids.map(size);
    println!("{what}: before {before:?}, after {after:?}");
    let index = (0..pids.len()).find(|&index| after[index].0 > before[index].0 + room[index])?;
    Some(format!("{what}: process {index} of {pids:?} had {} KiB, and has {}", before[index].0, after[index].0))
}

#[test]
fn promise_5_nothing_grows() {
    // KiB: a page for those who do nothing here that they did not do before; svc-scan's heap is in pieces, and differs by some
    // pages from look to look. It is so little that 32 bytes an order, which nobody gives back, would be too much.
    const ROOM: [u64; 4] = [4, 4, 64, 16];
    let mut tree = Tree::new();
    tree.service("web").run("trap '' HUP; exec sleep 1000");
    tree.start();
    tree.await_up("web");
    // What is made once and kept, such as the last deaths, is made now.
    orders(&tree, 1000);
    restarts(&tree, 400);
    rescans(&tree, 100);
    let pids = [tree.init_pid(), tree.process("svc-supervise web"), tree.process("svc-scan"), tree.process("svc-log")];
    let storms: [(&str, Storm, u64); 3] = [
        ("orders", orders, amount(3000, 1_000_000)),
        ("restarts", restarts, amount(300, 100_000)),
        ("rescans", rescans, amount(200, 100_000)),
    ];
    for (what, storm, count) in storms {
        // Once it may be a page that nobody had needed before; what grows does so each time.
        let look = || grown(&tree, pids, ROOM, &format!("{count} {what}"), || storm(&tree, count));
        let each: Vec<String> = (0..3).map_while(|_| look()).collect();
        assert!(each.len() < 3, "{each:?}");
    }
    assert!(status(&tree, "web").restarts >= 700);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn promise_6_idle_means_no_wake_up() {
    let mut tree = Tree::new();
    for number in 0..20 {
        tree.service(&format!("s{number}")).run("exec sleep 1000");
    }
    tree.service("ready").file("notification-fd", "3\n").run("echo >&3; exec sleep 1000");
    tree.service("pair").run("echo hello; exec sleep 1000");
    tree.service("pair/log").run("exec cat > /dev/null");
    tree.service("off").file("down", "").run("exec sleep 1000");
    tree.start();
    for number in 0..20 {
        tree.await_up(&format!("s{number}"));
    }
    // One of them was adopted, which is another way of waiting.
    tree.kill_supervisor("s7");
    tree.await_up("s7");
    until("everybody", || (tree.daemons().len() == 24 + 2).then_some(()));
    let all: Vec<i32> = tree.daemons().iter().map(|daemon| daemon.pid).chain([tree.init_pid()]).collect();
    let count = || -> Vec<u64> { all.iter().map(|&pid| switches(pid)).collect() };
    // Whatever was started settles first: two looks are the same. svc-scan forgets its code when it has been quiet for a second.
    let mut before = count();
    until("everybody to settle", || {
        thread::sleep(Duration::from_millis(1500));
        let now = count();
        (std::mem::replace(&mut before, now.clone()) == now).then_some(())
    });
    // This is the one place where time itself is what is tested.
    thread::sleep(Duration::from_secs(amount(3, 600)));
    assert_eq!(count(), before, "somebody of {all:?} woke up");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn promise_21_of_a_hundred_one_wins() {
    let tree = Tree::new();
    tree.service("web").run("echo started >> $SVC_TEST_STARTS; exec sleep 1000");
    let starts = tree.path("starts");
    // Half of them with another run directory: then it is the scan directory that says no.
    let mut children: Vec<_> = (0..100)
        .map(|number| {
            let mut command = tree.starter();
            if number % 2 == 1 {
                let other = tree.path(&format!("run{number}"));
                std::fs::create_dir_all(&other).expect("made");
                command.env("SVC_RUN_DIR", other);
            }
            command.env("SVC_TEST_STARTS", &starts).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            svc_testkit::spawn(&mut command).expect("svc starts")
        })
        .collect();
    let winner = until("the others to give up", || {
        let mut alive = children
            .iter_mut()
            .enumerate()
            .filter_map(|(index, child)| child.try_wait().expect("our child").is_none().then_some(index));
        let first = alive.next().expect("one of them runs");
        alive.next().is_none().then_some(first)
    });
    for (index, child) in children.iter_mut().enumerate().filter(|(index, _)| *index != winner) {
        let status = child.wait().expect("it ended");
        let mut message = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut message).expect("text");
        assert_eq!(status.code(), Some(100), "number {index}: {status}: {message}");
        assert!(message.contains("another svc runs") && message.lines().count() == 1, "{message}");
    }
    until("the service", || std::fs::read_to_string(&starts).ok().filter(|text| !text.is_empty()));
    svc_testkit::kill(children[winner].id() as i32, "TERM");
    assert_eq!(children[winner].wait().expect("it ends").code(), Some(0));
    assert_eq!(std::fs::read_to_string(&starts).expect("written"), "started\n");
}

/// Nothing of the winner is in the way of the next one, however it ended.
#[test]
fn after_a_kill_the_next_one_starts() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    for _ in 0..3 {
        tree.start();
        let pid = tree.await_up("web");
        tree.signal("KILL");
        tree.wait();
        svc_testkit::wait_gone(pid);
    }
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}
