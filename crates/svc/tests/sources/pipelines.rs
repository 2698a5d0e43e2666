//! Producers and consumers.

use svc_testkit::{State, Tree, kill, until};

use crate::Sources;

/// A producer of numbered lines; each life has its pid in front.
fn producer(tree: &Tree, name: &str, consumer: &str) {
    let body = "#!/bin/sh\nexec awk -v p=$$ 'BEGIN { for (i = 1; ; i++) { print p, i; fflush(); if (i % 50 == 0) system(\"sleep 0.01\") } }'\n";
    tree.source(name, "longrun", &[]).file("run", body).file("producer-for", consumer);
    tree.place(name);
}

#[test]
fn several_producers_write_to_one_consumer_and_no_line_is_lost() {
    let mut tree = Tree::new();
    producer(&tree, "one", "log");
    producer(&tree, "two", "log");
    // It writes what it has read before it obeys a SIGTERM; cat may be killed in between.
    let (svc, out) = (svc_testkit::program().display().to_string(), tree.path("out").display().to_string());
    let log = tree.source("log", "longrun", &[]);
    log.file("run", &format!("#!/bin/sh\nexec {svc} s6-log -b n20 s100000000 {out}\n"))
        .file("consumer-for", "one\ntwo\n")
        .file("pipeline-name", "pipe\n");
    tree.place("log");
    tree.start();
    let lines = || std::fs::read_to_string(tree.path("out/current")).map_or(0, |text| text.lines().count());
    for name in ["one", "two", "log"] {
        tree.await_up(name);
    }
    for round in 1..=5 {
        until("lines", || (lines() > round * 300).then_some(()));
        // Whoever reads may be killed in any way that lets it write what it has read; whoever writes, in every way.
        kill(tree.await_up("log"), "TERM");
        kill(tree.await_up(["one", "two"][round % 2]), "KILL");
        tree.kill_supervisor(["log", "one"][round % 2]);
        for name in ["one", "two", "log"] {
            tree.await_up(name);
        }
    }
    for name in ["one", "two", "log"] {
        assert!(tree.ctl_ok(&["deps", name]).contains("\n  part of: pipe\n"), "{}", tree.ctl_ok(&["deps", name]));
        assert!(tree.ctl_ok(&["why", name]).contains("\n  part of: pipe\n"), "{}", tree.ctl_ok(&["why", name]));
    }
    assert!(tree.ctl_ok(&["why", "pipe"]).contains("/services/log"), "{}", tree.ctl_ok(&["why", "pipe"]));
    // The graph hears of its parts a moment after they are up.
    tree.await_status("pipe", "up", |status| status.state == State::Up);
    assert!(tree.ctl_ok(&["status", "pipe"]).contains("up"), "{}", tree.ctl_ok(&["status", "pipe"]));
    tree.ctl_ok(&["stop", "pipe"]);
    assert_eq!(tree.status("pipe").map(|status| status.state), Some(State::Down));
    assert_eq!(["one", "two", "log"].map(|name| tree.status(name).and_then(|status| status.pid)), [None; 3]);
    tree.ctl_ok(&["start", "pipe"]);
    tree.ctl_ok(&["stop", "one", "two"]);
    assert_eq!(tree.stop(), 0);
    let text = std::fs::read_to_string(tree.path("out/current")).expect("written");
    let mut last: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for line in text.lines() {
        let (life, number) = line.split_once(' ').unwrap_or_else(|| panic!("a broken line: {line:?}"));
        let number: u64 = number.parse().unwrap_or_else(|_| panic!("a broken line: {line:?}"));
        let before = last.insert(life, number).unwrap_or(0);
        assert_eq!(number, before + 1, "of {life}");
    }
    assert!(last.len() >= 4, "{} lives", last.len());
}

#[test]
fn a_consumer_starts_first_stops_last_and_reads_to_the_end() {
    let mut tree = Tree::new();
    let trace = tree.path("trace").display().to_string();
    let run = format!(
        "#!/bin/sh\ntrap 'echo last words; exit 0' TERM\necho '+web' >>{trace}\necho hello\nsleep 1000 &\nwait $!\n"
    );
    tree.source("web", "longrun", &[]).file("run", &run).file("producer-for", "log\n");
    let run = format!("#!/bin/sh\necho '+log' >>{trace}\necho >&3\nwhile read line; do echo \"$line\" >>{trace}; done\n");
    tree.source("log", "longrun", &[]).file("run", &run).file("consumer-for", "web\n").file("notification-fd", "3\n");
    tree.place("web");
    tree.place("log");
    tree.start();
    tree.await_lines("../trace", 3);
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.trace(), ["+log", "+web", "hello", "last words"]);
}
