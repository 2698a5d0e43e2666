//! Many sources with random dependencies, while everything of ours but svc-init is killed: the order holds, and nothing is done
//! twice. `SVC_TEST_SOURCES` and `SVC_TEST_ROUNDS` make it longer, `SVC_TEST_SEED` makes it the same again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use svc_testkit::{Chance, Tree, kill, until};

use crate::Sources;

pub fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Half of them oneshots. Each writes `*` when it begins, `+` when it is up and `-` when it is taken down. What each needs.
pub fn populate(tree: &Tree, count: u64, dice: &mut Chance) -> BTreeMap<String, Vec<String>> {
    let trace = tree.path("trace").display().to_string();
    let mut all = BTreeMap::new();
    for number in 0..count {
        let name = format!("n{number}");
        let mut needs: Vec<String> = (0..dice.below(4)).map(|_| format!("n{}", dice.below(number.max(1)))).collect();
        needs.retain(|other| *other != name);
        needs.sort();
        needs.dedup();
        let needed: Vec<&str> = needs.iter().map(String::as_str).collect();
        if dice.below(2) == 0 {
            let source = tree.source(&name, "oneshot", &needed);
            // It is not broken off between its last line and its end: what it says it has done is done.
            source.file("up", &format!("#!/bin/sh\necho '*{name}' >>{trace}\ntrap '' TERM\necho '+{name}' >>{trace}\n"));
            source.file("down", &format!("#!/bin/sh\necho '-{name}' >>{trace}\n"));
        } else {
            // Nothing is forked once it can be told to stop: a shell that does may miss it.
            let body = format!(
                "echo '*{name}' >>{trace}\nsleep 1000 & child=$!\ntrap \"echo '-{name}' >>{trace}; exit 0\" TERM\n\
                 echo '+{name}' >>{trace}\necho >&3\nwait $child\n"
            );
            tree.source(&name, "longrun", &needed).file("notification-fd", "3\n").file("run", &format!("#!/bin/sh\n{body}"));
        }
        tree.place(&name);
        all.insert(name, needs);
    }
    all
}

/// What is wrong with a trace: done twice, begun before what it needs was up, or still up when what it needs was taken down.
pub fn violations(trace: &[String], all: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut state: BTreeMap<&str, char> = BTreeMap::new();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in trace {
        let (word, name) = line.split_at(1);
        let is_up = |name: &str| state.get(name) == Some(&'+');
        *counts.entry(line).or_default() += 1;
        if word == "*" {
            wrong.extend(all[name].iter().filter(|on| !is_up(on)).map(|on| format!("{name} began before {on} was up")));
        }
        if word == "-" {
            let dependents = all.iter().filter(|(_, needs)| needs.iter().any(|on| on == name));
            wrong
                .extend(dependents.filter(|(other, _)| is_up(other)).map(|(other, _)| format!("{name} left {other} alone")));
        }
        state.insert(name, word.chars().next().unwrap_or(' '));
    }
    wrong.extend(counts.iter().filter(|(_, count)| **count > 1).map(|(line, count)| format!("{line}: {count} times")));
    wrong
}

/// SIGKILL to a random process of ours; `leader`: to svc-scan, or never to it.
fn strike(tree: &Tree, dice: &mut Chance, leader: Option<bool>) {
    let mut daemons = tree.daemons();
    daemons.retain(|daemon| leader.is_none_or(|leader| daemon.title().starts_with("svc-scan") == leader));
    if !daemons.is_empty() {
        // Every third time the one that leads.
        let scan = daemons.iter().find(|process| process.title().starts_with("svc-scan")).filter(|_| dice.below(3) == 0);
        let any = &daemons[dice.below(daemons.len() as u64) as usize];
        kill(scan.unwrap_or(any).pid, "KILL");
    }
    std::thread::sleep(Duration::from_millis(dice.below(30)));
}

#[test]
fn the_order_holds_whoever_is_killed() {
    let mut dice = Chance::of(1);
    let mut tree = Tree::new();
    let all = populate(&tree, setting("SVC_TEST_SOURCES", 40), &mut dice);
    let trace = tree.path("trace");
    for round in 0..setting("SVC_TEST_ROUNDS", 3) {
        let _ = std::fs::remove_file(&trace);
        tree.launch();
        until("svc-init", || (!svc_testkit::descendants(tree.init_pid()).is_empty()).then_some(()));
        for _ in 0..dice.below(30) {
            strike(&tree, &mut dice, None);
        }
        let up = || tree.trace().iter().filter(|line| line.starts_with('+')).count();
        // In one round of three the end comes during the start.
        if round % 3 != 2 {
            let begin = Instant::now();
            while up() < all.len() && begin.elapsed() < svc_testkit::PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(
                up() >= all.len(),
                "{} of {} are up: {}\n{}",
                up(),
                all.len(),
                String::from_utf8_lossy(&tree.ctl(&["status"]).stdout),
                tree.log()
            );
            assert_eq!(violations(&tree.trace(), &all), [] as [String; 0], "{:?}; log:\n{}", tree.trace(), tree.log());
        }
        tree.signal("TERM");
        for _ in 0..dice.below(15) {
            if tree.wait_within(Duration::ZERO).is_some() {
                break;
            }
            // Somebody who knows the order, or the state, of what has to stop must be left.
            strike(&tree, &mut dice, Some(round % 2 == 0));
        }
        if tree.is_running() {
            assert_eq!(tree.wait(), 0, "log:\n{}", tree.log());
        }
        let lines = tree.trace();
        assert_eq!(violations(&lines, &all), [] as [String; 0], "round {round}; {lines:?}; log:\n{}", tree.log());
        for line in lines.iter().filter(|line| line.starts_with('+')) {
            let down = line.replacen('+', "-", 1);
            assert!(lines.contains(&down), "round {round}: {down} is missing; {lines:?}; log:\n{}", tree.log());
        }
    }
}

#[test]
fn the_end_comes_in_order_whenever_it_is_asked_for() {
    let mut dice = Chance::of(2);
    let mut tree = Tree::new();
    let all = populate(&tree, 50, &mut dice);
    for round in 0..setting("SVC_TEST_ROUNDS", 10) {
        let _ = std::fs::remove_file(tree.path("trace"));
        tree.launch();
        until("svc-init", || (!svc_testkit::descendants(tree.init_pid()).is_empty()).then_some(()));
        std::thread::sleep(Duration::from_micros(dice.below(1_000_000)));
        assert_eq!(tree.stop(), 0, "round {round}; log:\n{}", tree.log());
        let lines = tree.trace();
        assert_eq!(violations(&lines, &all), [] as [String; 0], "round {round}; {lines:?}; log:\n{}", tree.log());
        for line in lines.iter().filter(|line| line.starts_with('+')) {
            assert!(
                lines.contains(&line.replacen('+', "-", 1)),
                "round {round}: {line} was left: {lines:?}\n{}",
                tree.log()
            );
        }
    }
}

#[test]
fn a_second_sigterm_does_not_wait_for_the_order() {
    let mut tree = Tree::new();
    tree.set("SVC_STOP_TIMEOUT", "3600");
    tree.source("slow", "oneshot", &[]).file("up", "#!/bin/sh\ntrue\n").file("down", "#!/bin/sh\nsleep 1000\n");
    tree.place("slow");
    tree.source("deaf", "longrun", &["slow"])
        .file("run", &format!("#!/bin/sh\ntrap '' TERM\necho deaf >{}/trapped\nsleep 1000\n", tree.services().display()));
    tree.place("deaf");
    tree.start();
    // Before that it is not deaf yet.
    tree.await_lines("trapped", 1);
    tree.await_up("deaf");
    tree.signal("TERM");
    tree.await_status("deaf", "told to stop", |status| status.state == svc_testkit::State::Stopping);
    tree.signal("TERM");
    assert_eq!(tree.wait(), 0);
}

#[test]
fn a_thousand_changes_cost_no_memory_and_no_descriptors() {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "true", "true");
    tree.longrun("db", &["net"], "");
    tree.bundle("user", &["db"]);
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "db"]);
    let spare = tree.service("user");
    let scan = tree.process("svc-scan");
    let turn = |tree: &Tree, round: u64| {
        tree.ctl_ok(&["restart", "net"]);
        if round.is_multiple_of(2) {
            spare.file("contents.d/net", "");
        } else {
            std::fs::remove_file(spare.path().join("contents.d/net")).expect("ours");
        }
        tree.ctl_ok(&["rescan"]);
    };
    let measure = || (svc_testkit::descriptors(scan), svc_testkit::figure(scan, "RssAnon").unwrap_or(0));
    for round in 0..20 {
        turn(&tree, round);
    }
    let before = measure();
    for round in 0..setting("SVC_TEST_ROUNDS", 10) * 10 {
        turn(&tree, round);
    }
    // The connection of the last client may not be closed yet.
    until("as many descriptors as before", || (measure().0 <= before.0).then_some(()));
    let after = measure();
    assert!(after.1 < before.1 + 2048, "memory of svc-scan: {} kB, then {} kB", before.1, after.1);
    assert_eq!(tree.process("svc-scan"), scan);
    assert_eq!(tree.stop(), 0);
}
