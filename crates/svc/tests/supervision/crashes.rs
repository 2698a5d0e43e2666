//! Services that crash at once (promises 23, 32).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use svc_testkit::{EventKind, Tree, amount, api, born, descendants, processor_time, until};

use crate::support::starts;

/// When each service was started, in order: from lines of its name and the time that the kernel noted, in hundredths of a second.
fn starts_of_each(seen: &str) -> BTreeMap<&str, Vec<Duration>> {
    let mut starts: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for line in seen.lines() {
        let (name, ticks) = line.split_once(' ').expect("a name and a time");
        starts.entry(name).or_default().push(Duration::from_millis(10 * ticks.parse::<u64>().expect("ticks")));
    }
    starts
}

/// Processor time of each process of ours, which all live on meanwhile.
fn used(tree: &Tree) -> BTreeMap<String, Duration> {
    let mut used: BTreeMap<String, Duration> =
        tree.daemons().iter().map(|process| (process.title().to_owned(), processor_time(process.pid))).collect();
    used.insert("svc-init".to_owned(), processor_time(tree.svc_init()));
    used
}

// 23
#[test]
fn promise_23_crash_loops_start_once_a_second_each_and_cost_little() {
    const ROUNDS: u64 = 5;
    let many = amount(60, 500);
    let mut tree = Tree::new();
    let name = |index: u64| format!("crash-{index:03}");
    let seen = tree.path("seen");
    for index in 0..many {
        // By the kernel, so a busy machine makes nobody late.
        let stamp =
            format!("read -r stat </proc/$$/stat; set -- $stat; echo {} ${{22}} >> {}; exit 1", name(index), seen.display());
        tree.service(&name(index)).run(&stamp);
    }
    tree.start();
    // One line a start: svc is asked nothing while it is measured.
    let read = || std::fs::read_to_string(&seen).unwrap_or_default();
    let starts_of_all = || read().lines().count() as u64;
    let await_starts = |count: u64| until("so many starts", || (starts_of_all() >= count).then_some(()));
    await_starts(2 * many);
    let (begin, from, before) = (Instant::now(), starts_of_all(), used(&tree));
    await_starts((2 + ROUNDS) * many);
    let (took, count, after) = (begin.elapsed(), starts_of_all() - from, used(&tree));
    let costs: BTreeMap<&String, Duration> = after.iter().map(|(title, &after)| (title, after - before[title])).collect();
    let all: Duration = costs.values().sum();
    println!("{count} starts in {took:?} cost {all:?}");
    for (title, cost) in costs {
        // One that is busy all the time has more than a twentieth beside some others too; many of them have it all, see above. svc-scan hears of each start.
        let room = if title.starts_with("svc-scan") { Duration::from_millis(10) * count as u32 } else { Duration::ZERO };
        assert!(cost < took / 20 + room, "{title} was busy for {cost:?} of {took:?}, with {count} starts");
    }
    let details: Vec<api::Detail> = (0..many)
        .map(|index| {
            let many = |tree: &Tree| tree.detail(&name(index)).filter(|detail| detail.death_count >= ROUNDS);
            until("five deaths", || many(&tree))
        })
        .collect();
    let seen = read();
    let starts_seen = starts_of_each(&seen);
    assert_eq!(starts_seen.len() as u64, many, "each has started");
    for supervisor in tree.daemons() {
        let Some(name) = supervisor.title().strip_prefix("svc-supervise ") else { continue };
        // It was there before the first start: whose starts are a second apart never has more than this, whoever is late.
        let from = born(supervisor.pid).expect("it lives");
        for (before, &start) in starts_seen[name].iter().enumerate() {
            let elapsed = Duration::from_millis(10) + start.saturating_sub(from);
            assert!(elapsed >= Duration::from_secs(before as u64), "{name}: {} starts within {elapsed:?}", before + 1);
        }
    }
    // From when all have begun.
    let common = starts_seen.values().map(|starts| starts[0]).max().expect("some");
    let counts = || starts_seen.values().map(|starts| starts.iter().filter(|&&start| start >= common).count());
    let (least, most) = (counts().min().expect("some"), counts().max().expect("some"));
    println!("each started {least} to {most} times");
    for detail in &details {
        let starts = starts(&detail.deaths);
        let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap >= 1000), "{}: {gaps:?}", detail.status.name);
        assert!(detail.deaths.iter().all(|death| death.code == Some(1)), "{detail:?}");
    }
    let init = tree.init_pid();
    assert_eq!(tree.stop(), 0);
    assert!(descendants(init).is_empty());
}

// 32, and 16: every event of an instant death is told, in order.
#[test]
fn promise_32_ready_and_dead_at_once_is_told_as_ready_first() {
    let mut tree = Tree::new();
    tree.draft("flash").file("down", "").file("notification-fd", "3").run("echo >&3; exit 4");
    tree.start();
    tree.place("flash");
    tree.expect("flash", &[EventKind::Added]);
    for _ in 0..50 {
        let answer = tree.ctl_ok(&["once", "--timeout", "120", "flash"]);
        assert!(answer.contains("flash"), "{answer}");
        tree.expect("flash", &[EventKind::Starting, EventKind::Up, EventKind::Ready, EventKind::Exited, EventKind::Down]);
    }
}
