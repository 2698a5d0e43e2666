//! Answers about services are never torn: each is true as a whole, in the middle of any number of transitions (promise 14),
//! and a pid in them is that of a process of the service (promise 18).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use svc_testkit::api::{Control, Outcomes, Verb};
use svc_testkit::{Chance, State, Status, Tree, amount, figure};

const COUNT: usize = 6;

/// What must hold in each single answer.
#[track_caller]
fn assert_whole(status: &Status) {
    let up = matches!(status.state, State::Up | State::Stopping);
    match status.state {
        State::Up | State::Stopping | State::Finishing => {}
        State::Down
        | State::Armed
        | State::Waiting
        | State::Starting
        | State::Draining
        | State::Failed
        | State::Done
        | State::Broken
        | State::Scheduled
        | State::Skipped => {
            assert_eq!(status.pid, None, "{status:?}");
        }
    }
    assert!(!up || status.pid.is_some(), "{status:?}");
    assert!(up || status.ready != Some(true), "{status:?}");
    assert_eq!(status.ready == Some(true), status.ready_since_ms.is_some(), "{status:?}");
    assert!(up || !status.paused, "{status:?}");
    assert_eq!(status.state == State::Waiting, status.next_start_ms.is_some(), "{status:?}");
    assert!(status.state != State::Down || !status.wanted_up, "{status:?}");
    assert!(status.restarts == 0 || status.last_exit.is_some(), "{status:?}");
    if let Some(exit) = &status.last_exit {
        assert!(exit.code.is_some() != exit.signal.is_some(), "{status:?}");
    }
}

// 14, 18
#[test]
fn promise_14_no_answer_is_torn_in_a_storm_of_transitions() {
    let mut tree = Tree::new();
    for index in 0..COUNT {
        let service = tree.service(&format!("s-{index}"));
        let body = ["exec sleep 1000", "exec sleep 0.05", "exit 1"][index % 3];
        service.file("notification-fd", "3").run(&format!("echo >&3; {body}"));
        if index % 2 == 1 {
            service.finish("exit 0");
        }
    }
    tree.start();
    let mut chance = Chance::new();
    let (over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (tree, over, answers) = (&tree, &over, &answers);
        scope.spawn(move || {
            let mut restarts: HashMap<String, u64> = HashMap::new();
            while !over.load(Ordering::Relaxed) {
                let services = tree.list().expect("an answer, and a whole one").services;
                assert_eq!(services.len(), COUNT);
                assert!(services.is_sorted_by(|a, b| a.name < b.name));
                for status in services {
                    assert_whole(&status);
                    let before = restarts.insert(status.name.clone(), status.restarts).unwrap_or(0);
                    assert!(status.restarts >= before, "{status:?}");
                    assert_is_of_the_service(tree, &status);
                }
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
        let verbs = [Verb::Start, Verb::Stop, Verb::Restart, Verb::Once, Verb::Pause, Verb::Continue, Verb::Reload];
        let mut turns = 0;
        while turns < amount(600, 100_000) || answers.load(Ordering::Relaxed) < 100 {
            turns += 1;
            let services = vec![format!("s-{}", chance.below(COUNT as u64))];
            let verb = verbs[chance.below(verbs.len() as u64) as usize];
            let wait = chance.below(4) == 0 && verb == Verb::Stop;
            let control = Control { wait, timeout_ms: Some(120_000), ..Control::new(verb, services) };
            let _: Outcomes = tree.post("/v1/control", &control);
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("{} answers", answers.load(Ordering::Relaxed));
    // And what is said at the end is so.
    for index in 0..COUNT {
        let name = format!("s-{index}");
        tree.ctl_ok(&["stop", "--timeout", "120", &name]);
        let status = tree.status(&name).expect("it is there");
        assert_eq!((status.state, status.pid, status.wanted_up), (State::Down, None, false));
    }
}

/// A pid that was told belongs to a child of the supervisor that was told beside it, or to nobody any more.
fn assert_is_of_the_service(tree: &Tree, status: &Status) {
    let (Some(pid), Some(supervisor)) = (status.pid, status.supervisor_pid) else { return };
    // A process that is just being reaped has no parent any more.
    let Some(parent) = figure(pid, "PPid").filter(|&parent| parent != 0) else { return };
    assert_eq!(parent, supervisor as u64, "{status:?}\n{}", tree.log());
}
