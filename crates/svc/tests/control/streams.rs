//! Streams of events and of lines, and readers who are slow.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::Value;
use svc_testkit::raw::connect;
use svc_testkit::{Tree, until};

use super::{assert_well, with_web};

/// A stream that has been asked for, and not been read.
fn open(tree: &Tree, path: &str) -> BufReader<std::os::unix::net::UnixStream> {
    let mut stream = connect(&tree.socket()).expect("svc listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: svc\r\n\r\n").expect("sent");
    BufReader::with_capacity(1 << 16, stream)
}

/// The JSON lines of a stream, up to and with the first that is wanted.
#[track_caller]
fn read_until(stream: &mut impl BufRead, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut values = Vec::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).expect("a line") > 0, "the stream ended");
        if !line.starts_with('{') {
            continue;
        }
        let value: Value = serde_json::from_str(&line).expect("JSON");
        let found = wanted(&value);
        values.push(value);
        if found {
            return values;
        }
    }
}

#[test]
fn events_tell_the_life_of_a_service() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("exit 0").file("down", "");
    tree.start();
    let mut events = open(&tree, "/v1/events");
    tree.await_status("web", "there", |_| true);
    read_until(&mut events, |event| event["event"] == "subscribed");
    tree.ctl_ok(&["start", "web"]);
    tree.ctl_ok(&["stop", "web"]);
    let told = read_until(&mut events, |event| event["event"] == "down");
    let kinds: Vec<&str> = told.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, ["starting", "up", "stopping", "exited", "finishing", "down"]);
    let exited = &told[3];
    assert_eq!((&exited["service"], &exited["exit"]["signal"]), (&Value::from("web"), &Value::from("TERM")));
}

#[test]
fn a_slow_reader_of_events_is_told_how_much_it_missed() {
    let mut tree = Tree::new();
    for number in 0..40 {
        tree.service(&format!("web{number}")).run("exec sleep 1000");
    }
    tree.start();
    let scan = tree.process("svc-scan");
    for number in 0..40 {
        tree.await_up(&format!("web{number}"));
    }
    let mut lazy = open(&tree, "/v1/events");
    read_until(&mut lazy, |event| event["event"] == "subscribed");
    // Not read meanwhile: socket and queue hold some thousand lines. SIGUSR1 would end them; pausing costs nothing.
    for _ in 0..60 {
        tree.ctl_ok(&["restart", "web*"]);
    }
    assert_well(&tree, scan);
    let reader = std::thread::spawn(move || {
        let told = read_until(&mut lazy, |event| event["event"] == "lagged");
        (told, lazy)
    });
    until("the reader to catch up", || {
        tree.ctl_ok(&["restart", "web0"]);
        reader.is_finished().then_some(())
    });
    let (told, mut lazy) = reader.join().expect("no panic");
    let last = told.last().expect("lagged");
    let message = last["message"].as_str().unwrap_or_default();
    println!("after {} events: {message}", told.len());
    assert!(message.contains("changes were left out: the reader is too slow"), "{message}");
    // And then it goes on.
    tree.ctl_ok(&["restart", "web1"]);
    read_until(&mut lazy, |event| event["service"] == "web1" && event["event"] == "up");
    assert_well(&tree, scan);
}

#[test]
fn logs_are_followed_from_the_last_lines_on() {
    let mut tree = Tree::new();
    tree.service("web").run("seq 1 20; echo oops >&2; while read -r line <go; do echo $line; done; exec sleep 1000");
    svc_testkit::fifo(tree.services().join("web/go"));
    tree.start();
    until("its lines", || tree.ctl_ok(&["logs", "web"]).contains("oops").then_some(()));
    let mut lines = open(&tree, "/v1/logs?service=web&lines=3&follow=1");
    let first = read_until(&mut lines, |line| line["line"] == "oops" || line["line"] == "20");
    assert!(first.len() <= 3, "{first:?}");
    std::fs::write(tree.services().join("web/go"), "more\n").expect("somebody reads");
    let more = read_until(&mut lines, |line| line["line"] == "more");
    let more = more.last().expect("just read");
    assert_eq!((&more["service"], &more["stream"]), (&Value::from("web"), &Value::from("stdout")));
}

#[test]
fn a_slow_follower_of_logs_is_told_and_nobody_waits_for_it() {
    let mut tree = Tree::new();
    let done = tree.path("done").display().to_string();
    let go = tree.path("go");
    svc_testkit::fifo(&go);
    let lines = format!("read _ <{}; seq -f '%.0f {}' 1 60000", go.display(), "x".repeat(60));
    tree.service("web").run(&format!("{lines}; touch {done}; exec sleep 1000"));
    tree.start();
    let scan = tree.process("svc-scan");
    let mut lazy = open(&tree, "/v1/logs?follow=1");
    // The answer has begun: from now on it follows.
    let mut head = String::new();
    lazy.read_line(&mut head).expect("a line");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    svc_testkit::release(&go);
    until("the service to be done", || std::fs::exists(&done).ok()?.then_some(()));
    assert_well(&tree, scan);
    let told = read_until(&mut lazy, |line| line["line"].as_str().is_some_and(|line| line.starts_with("svc-ctl: ")));
    println!("after {} lines: {}", told.len(), told.last().expect("just read")["line"]);
    let missed = told.last().and_then(|line| line["line"].as_str()).unwrap_or_default();
    assert!(missed.contains("lines were left out"), "{missed}");
    // What is told comes in its order, each line once.
    let numbers: Vec<u64> = told.iter().filter_map(|line| line["line"].as_str()?.split(' ').next()?.parse().ok()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_well(&tree, scan);
}

#[test]
fn a_stream_ends_with_svc_in_an_orderly_way() {
    let (mut tree, _) = with_web();
    let mut events = open(&tree, "/v1/events");
    read_until(&mut events, |event| event["event"] == "subscribed");
    events.get_ref().set_read_timeout(Some(svc_testkit::PATIENCE)).expect("ours");
    assert_eq!(tree.stop(), 0);
    let mut rest = String::new();
    let _ = events.read_to_string(&mut rest);
    assert!(rest.contains("\"exited\""), "{rest}");
}
