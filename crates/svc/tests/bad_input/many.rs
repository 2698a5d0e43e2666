//! Ten thousand directories.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use svc_sys::clock;
use svc_sys::poll::{Epoll, Trigger};
use svc_testkit::{State, Tree, raw, until};

use super::Neighbour;

const MANY: usize = 10_000;

/// It answers while it reads.
#[track_caller]
fn assert_responsive(tree: &Tree) {
    let answer = raw::ask(&tree.socket(), "GET", "/v1/version", "");
    assert_eq!(answer.status, 200);
}

/// Asks all at once; returns the order of the answers.
fn answered(tree: &Tree, requests: &[(&str, &str)]) -> Vec<u64> {
    let (scan, answers) = (tree.process("svc-scan"), Epoll::new().expect("a descriptor"));
    svc_testkit::kill(scan, "STOP");
    let ask = |(token, (method, path)): (usize, &(&str, &str))| {
        let mut stream = raw::connect(&tree.socket()).expect("svc listens");
        stream.write_all(raw::request(method, path, "").as_bytes()).expect("it has room");
        answers.add(stream.as_fd(), token as u64, Trigger::Level).expect("a descriptor");
        stream
    };
    let streams: Vec<UnixStream> = requests.iter().enumerate().map(ask).collect();
    svc_testkit::kill(scan, "CONT");
    for mut stream in streams.iter() {
        stream.read_to_end(&mut Vec::new()).expect("an answer");
    }
    // The kernel lists them as they came, whenever somebody looks.
    let mut order = Vec::new();
    answers.wait(clock::now(), Some(clock::now()), &mut order);
    order
}

#[test]
fn ten_thousand_broken_directories() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let begin = Instant::now();
    for number in 0..MANY {
        fs::create_dir(tree.services().join(format!("broken-{number:05}"))).expect("ours");
        if number % 500 == 0 {
            assert_responsive(&tree);
        }
    }
    println!("made after {:?}", begin.elapsed());
    until("all to be told", || {
        assert_responsive(&tree);
        (tree.list().ok()?.services.len() == MANY + 1).then_some(())
    });
    println!("all told after {:?}", begin.elapsed());
    neighbour.assert_undisturbed(&tree);
    until("a summary", || tree.log().contains("more directories cannot be run as they are: svc-ctl status").then_some(()));
    assert!(tree.log().lines().count() < 1000, "as many lines as directories");
    // One of them is cured, and one comes.
    let begin = Instant::now();
    tree.service("broken-05000").run("exec sleep 1000");
    tree.await_up("broken-05000");
    tree.service("new").run("exec sleep 1000");
    tree.await_up("new");
    println!("a cure and a new one among them: {:?}", begin.elapsed());
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_service_among_thousands_of_directories_that_are_being_read() {
    let mut tree = Tree::new();
    for number in 0..MANY {
        fs::create_dir(tree.services().join(format!("broken-{number:05}"))).expect("ours");
    }
    tree.service("web").run("echo here; exec sleep 1000");
    tree.launch();
    // It answers, and has not read them all.
    until("an answer", || tree.list().ok().filter(|answer| answer.services.len() < MANY));
    let scan = tree.process("svc-scan");
    let orders: [&[&str]; 8] = [
        &["status", "web"],
        &["status", "w*b"],
        &["health", "web"],
        &["why", "web"],
        &["logs", "web"],
        &["reload", "web"],
        &["start", "web"],
        &["wait", "--up", "web"],
    ];
    std::thread::scope(|scope| {
        let tree = &tree;
        // For a second nobody was told anything even before; there is no event for that.
        svc_testkit::kill(scan, "STOP");
        std::thread::sleep(Duration::from_millis(1100));
        let asked: Vec<_> = orders.iter().map(|words| scope.spawn(move || (words, tree.say(words)))).collect();
        svc_testkit::kill(scan, "CONT");
        assert_responsive(tree);
        for asked in asked {
            let (words, said) = asked.join().expect("no panic");
            // On a busy machine a question may take too long.
            assert!(said.code != 102 && !said.err.contains("no such service"), "{words:?}: {said:?}");
        }
    });
    tree.await_up("web");
    // Of one that is not there it is said when everything has been read.
    assert_eq!(tree.say(&["start", "nobody"]).code, 102);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn thousands_of_services_that_are_down() {
    // Each takes five descriptors of svc-init.
    let limit = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limit.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().nth(1)?.parse().ok());
    let many = MANY.min(limit.unwrap_or(1024_usize) / 8).min(1500);
    let mut tree = Tree::new();
    let template = tree.draft("template");
    template.run("exec sleep 1000").file("down", "");
    for number in 0..many {
        let service = tree.services().join(format!("idle-{number:05}"));
        fs::create_dir(&service).expect("ours");
        for file in ["run", "down"] {
            symlink(template.path().join(file), service.join(file)).expect("ours");
        }
    }
    let begin = Instant::now();
    let neighbour = Neighbour::start(&mut tree);
    until("all to be there", || {
        assert_responsive(&tree);
        let services = tree.list().ok()?.services;
        let down = services.iter().filter(|status| status.state == State::Down && status.supervisor_pid.is_some());
        (down.count() == many).then_some(())
    });
    println!("{many} services are there after {:?}", begin.elapsed());
    tree.ctl_ok(&["start", &format!("idle-{:05}", many - 1)]);
    assert_eq!(tree.ctl_ok(&["status"]).lines().filter(|line| line.contains("idle-")).count(), many);
    if many > 500 {
        assert_eq!(answered(&tree, &[("POST", "/v1/rescan"), ("GET", "/v1/version")]), [1, 0]);
    }
    neighbour.assert_undisturbed(&tree);
    let begin = Instant::now();
    assert_eq!(tree.stop(), 0);
    println!("and have stopped after {:?}", begin.elapsed());
}
