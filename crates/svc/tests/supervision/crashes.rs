//! Services that crash at once (promises 23, 32).

use std::time::{Duration, Instant};

use svc_testkit::{EventKind, Tree, api, descendants, processor_time};

use crate::support::starts;

// 23
#[test]
fn promise_23_fifty_crash_loops_start_once_a_second_each_and_cost_little() {
    const MANY: usize = 50;
    const ROUNDS: u64 = 5;
    let mut tree = Tree::new();
    let name = |index: usize| format!("crash-{index:02}");
    for index in 0..MANY {
        tree.service(&name(index)).run("exit 1");
    }
    tree.start();
    let init = tree.init_pid();
    let used = |tree: &Tree| -> Duration {
        tree.daemons().iter().map(|process| processor_time(process.pid)).sum::<Duration>() + processor_time(init)
    };
    let (begin, before) = (Instant::now(), used(&tree));
    let details: Vec<api::Detail> = (0..MANY)
        .map(|index| {
            let many = |tree: &Tree| tree.detail(&name(index)).filter(|detail| detail.death_count >= ROUNDS);
            svc_testkit::until("five deaths", || many(&tree))
        })
        .collect();
    let (took, cost) = (begin.elapsed(), used(&tree) - before);
    for detail in &details {
        let starts = starts(&detail.deaths);
        let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap >= 1000), "{}: {gaps:?}", detail.status.name);
        assert!(detail.deaths.iter().all(|death| death.code == Some(1)), "{detail:?}");
    }
    // Fair: none is starved while others have their turns.
    let counts: Vec<u64> = details.iter().map(|detail| detail.death_count).collect();
    let most = took.as_secs() + 2;
    assert!(counts.iter().all(|&count| count >= ROUNDS && count <= most), "{counts:?} in {took:?}");
    // A debug build spends some 15 ms on each start; a busy loop would take all there is.
    assert!(cost < took / 2 + Duration::from_millis(20) * (MANY as u32 * ROUNDS as u32), "{cost:?} in {took:?}");
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
        let answer = tree.ctl_ok(&["once", "--timeout", "20", "flash"]);
        assert!(answer.contains("flash"), "{answer}");
        tree.expect("flash", &[EventKind::Starting, EventKind::Up, EventKind::Ready, EventKind::Exited, EventKind::Down]);
    }
}
