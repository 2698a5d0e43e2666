//! Readers and writers at full speed.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use svc_proto::s6::Status;
use svc_testkit::{Chance, Said, Tree, amount, until};

use crate::support::{Listener, dir, has_s6, s6_ok, status, write_letters};

// 14
#[test]
fn a_status_is_never_torn() {
    let transitions = amount(3000, 100_000) as usize;
    let mut tree = Tree::new();
    tree.service("web").file("notification-fd", "3").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join("web");
    let pid = status(&dir).pid;
    let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let path = dir.join("supervise/status");
            let mut reads = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                let bytes = std::fs::read(&path).expect("there is always one");
                let status = Status::from_bytes(&bytes).unwrap_or_else(|| panic!("torn: {bytes:02x?}"));
                assert!(status.pid == pid && status.wanted_up && !status.finishing, "{status:?}");
                reads += 1;
            }
            reads
        });
        // Each is a write of the status; the last letters of each batch are waited for, so that the FIFO never fills.
        for _ in 0..transitions / 10 {
            write_letters(&dir, "pcpcpcpcp");
            crate::support::await_status(&dir, "paused", |status| status.paused);
            write_letters(&dir, "c");
            crate::support::await_status(&dir, "continued", |status| !status.paused);
            seen.fetch_add(10, Ordering::Relaxed);
        }
        stop.store(true, Ordering::Relaxed);
        let reads = reader.join().expect("no torn status");
        println!("{} transitions, {reads} reads", seen.load(Ordering::Relaxed));
        assert!(reads > transitions / 10, "the reader came to nothing");
    });
}

// 14
#[test]
fn a_status_is_never_torn_while_the_service_comes_and_goes() {
    let transitions = amount(400, 100_000);
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 0");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join("web");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let status = status(&dir);
                let down = status.pid == 0 && status.ready;
                assert!(status.is_up() || status.finishing || down || !status.ready, "{status:?}");
            }
        });
        let mut listener = Listener::new(&dir);
        for _ in 0..transitions / 2 {
            write_letters(&dir, "d");
            listener.expect("dD");
            write_letters(&dir, "u");
            listener.expect("u");
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("no torn status");
    });
}

// 15
#[test]
fn waiting_tools_miss_no_transition() {
    const WAITERS: usize = 4;
    if !has_s6() {
        return;
    }
    let rounds = amount(400, 100_000) as usize / WAITERS;
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 0");
    tree.start();
    tree.await_up("web");
    let web = dir(&tree, "web");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Up and down, as fast as s6-svc can be started, and in no order that the waiters know of.
        let steerer = scope.spawn(|| {
            let mut chance = Chance::new();
            let mut commands = 0;
            while !stop.load(Ordering::Relaxed) {
                s6_ok(&["s6-svc", if chance.below(3) == 0 { "-d" } else { "-u" }, &web]);
                commands += 1;
            }
            commands
        });
        let waiters: Vec<_> = (0..WAITERS)
            .map(|waiter| {
                let web = &web;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let what = ["-u", "-d", "-D", "-u"][(waiter + round) % 4];
                        let begin = Instant::now();
                        let code = Said::by(Command::new("s6-svwait").args([what, "-t", "120000", web])).code;
                        assert_eq!(code, 0, "{what} after {:?}", begin.elapsed());
                    }
                })
            })
            .collect();
        for waiter in waiters {
            waiter.join().expect("no transition was missed");
        }
        stop.store(true, Ordering::Relaxed);
        println!("{} waits, {} commands", rounds * WAITERS, steerer.join().expect("no command failed"));
    });
    // Nobody is left in event/. What watched for s6-svwait is a process of its own, which may end after it.
    write_letters(Path::new(&web), "u");
    let left = || std::fs::read_dir(Path::new(&web).join("event")).expect("listed").count();
    until("nobody is left in event/", || (left() == 0).then_some(()));
}
