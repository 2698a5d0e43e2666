//! Who waits misses nothing, and is told nothing that is not so (promises 15, 16, 17).

use std::sync::atomic::{AtomicBool, Ordering};

use svc_testkit::api::{Control, Outcome, Outcomes, Until, Verb, Verdict, Wait};
use svc_testkit::{Chance, EventKind, State, Tree, amount, fifo, needs, release};

use crate::support::{skip_to, tree_with};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("s-{index}")).collect()
}

fn wait(tree: &Tree, services: &[String], until: Until, any: bool) -> Vec<Outcome> {
    let wait = Wait { services: services.to_vec(), until, any, timeout_ms: Some(120_000) };
    tree.post::<Outcomes>("/v1/wait", &wait).outcomes
}

fn control(tree: &Tree, verb: Verb, services: &[String]) -> Vec<Outcome> {
    let control = Control { timeout_ms: Some(120_000), ..Control::new(verb, services.to_vec()) };
    tree.post::<Outcomes>("/v1/control", &control).outcomes
}

// 16
#[test]
fn promise_16_a_start_of_what_dies_instantly_always_returns() {
    let mut tree = Tree::new();
    for (name, end) in [("zero", "exit 0"), ("three", "exit 3"), ("killed", "kill -KILL $$")] {
        tree.service(name).file("down", "").run(end);
    }
    tree.start();
    for _ in 0..15 {
        for name in ["zero", "three", "killed"] {
            tree.ctl_ok(&["start", "--timeout", "120", name]);
            tree.ctl_ok(&["restart", "--timeout", "120", name]);
        }
        // Some may have ended when the others are up, which is told of those that did so badly.
        assert!(tree.say(&["once", "--timeout", "120", "zero", "three", "killed"]).code <= 1);
        tree.ctl_ok(&["wait", "--down", "--timeout", "120", "zero", "three", "killed"]);
        tree.ctl_ok(&["stop", "--timeout", "120", "zero", "three", "killed"]);
    }
}

// 16
#[test]
fn a_wait_for_a_moment_does_not_miss_it() {
    let tree = tree_with("web", |service| {
        service.run("exit 0");
    });
    for _ in 0..3 {
        // Up for a millisecond each second.
        tree.ctl_ok(&["wait", "--up", "--timeout", "120", "web"]);
    }
}

// 15
#[test]
fn promise_15_waits_beside_a_storm_of_orders_neither_hang_nor_lie() {
    let mut tree = Tree::new();
    for name in names(4) {
        tree.service(&name).run("exec sleep 1000");
    }
    tree.start();
    let mut chance = Chance::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut waiters = Vec::new();
        for name in names(4) {
            let (tree, over) = (&tree, &over);
            waiters.push(scope.spawn(move || {
                let mut turns = 0;
                while !over.load(Ordering::Relaxed) {
                    for until in [Until::Down, Until::Up, Until::Finished, Until::Ready] {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let outcome = &wait(tree, std::slice::from_ref(&name), until, false)[0];
                        assert_eq!(outcome.result, Verdict::Done, "{outcome:?}");
                        let status = outcome.status.as_ref().expect("it is there");
                        let up = matches!(status.state, State::Up | State::Stopping);
                        assert_eq!(up, matches!(until, Until::Up | Until::Ready), "{until:?}: {status:?}");
                        turns += 1;
                    }
                }
                println!("{name}: {turns} waits");
            }));
        }
        for _ in 0..amount(300, 100_000) {
            let name = format!("s-{}", chance.below(4));
            let verb = [Verb::Start, Verb::Stop, Verb::Restart][chance.below(3) as usize];
            let outcome = &control(&tree, verb, &[name])[0];
            assert_eq!(outcome.result, Verdict::Done, "{outcome:?}");
            let status = outcome.status.as_ref().expect("it is there");
            assert_eq!(status.state == State::Down, verb == Verb::Stop, "{verb:?}: {status:?}");
        }
        over.store(true, Ordering::Relaxed);
        // Whoever waits still gets what it waits for, and who has only just asked as well.
        while !waiters.iter().all(|waiter| waiter.is_finished()) {
            for verb in [Verb::Stop, Verb::Start] {
                control(&tree, verb, &names(4));
            }
        }
    });
}

// 17
#[test]
fn promise_17_all_and_any_are_exact() {
    if !needs("perl", svc_testkit::has_program("perl")) {
        return;
    }
    const COUNT: usize = 6;
    let mut tree = Tree::new();
    for name in names(COUNT) {
        tree.service(&name).file("down", "").run("exec sleep $(cat span)").file("span", "0\n");
    }
    tree.start();
    let mut chance = Chance::new();
    for round in 0..25 {
        for name in names(COUNT) {
            let span = if chance.below(3) == 0 { 0 } else { chance.below(200) };
            tree.service(&name).file("span", &format!("0.{span:03}\n"));
        }
        let before: Vec<u64> = names(COUNT).iter().map(|name| deaths(&tree, name)).collect();
        for outcome in control(&tree, Verb::Once, &names(COUNT)) {
            assert_eq!(outcome.result, Verdict::Done, "{outcome:?}");
        }
        let any = wait(&tree, &names(COUNT), Until::Finished, true);
        assert!(!any.is_empty(), "round {round}");
        for outcome in &any {
            let index = names(COUNT).iter().position(|name| *name == outcome.service).expect("one of those");
            assert_eq!(outcome.result, Verdict::Done);
            assert_eq!(outcome.status.as_ref().map(|status| status.state), Some(State::Down), "{outcome:?}");
            assert_eq!(deaths(&tree, &outcome.service), before[index] + 1, "{outcome:?}");
        }
        let all = wait(&tree, &names(COUNT), Until::Finished, false);
        assert_eq!(all.iter().map(|outcome| outcome.service.clone()).collect::<Vec<_>>(), names(COUNT), "all, in order");
        for (outcome, before) in all.iter().zip(&before) {
            let now = tree.status(&outcome.service).expect("it is there");
            assert_eq!((outcome.result, now.state, now.pid), (Verdict::Done, State::Down, None), "{now:?}");
            assert_eq!(deaths(&tree, &outcome.service), before + 1);
        }
    }
}

fn deaths(tree: &Tree, name: &str) -> u64 {
    tree.detail(name).expect("it is there").death_count
}

// 17
#[test]
fn any_waits_while_none_is_there_and_all_while_one_is_missing() {
    let mut tree = Tree::new();
    for name in names(3) {
        tree.service(&name).run("exec sleep 1000");
    }
    tree.start();
    tree.ctl_ok(&["wait", "--up", "--timeout", "120", "s-0", "s-1", "s-2"]);
    assert_eq!(tree.ctl(&["wait", "--any", "--down", "--timeout", "0.3", "s-*"]).status.code(), Some(99));
    tree.ctl_ok(&["stop", "s-1"]);
    let answer = tree.ctl_ok(&["wait", "--any", "--down", "--timeout", "120", "s-*"]);
    assert!(answer.contains("s-1") && !answer.contains("s-0") && !answer.contains("s-2"), "{answer}");
    assert_eq!(tree.ctl(&["wait", "--down", "--timeout", "0.3", "s-*"]).status.code(), Some(99));
    tree.ctl_ok(&["stop", "s-*"]);
    tree.ctl_ok(&["wait", "--down", "--timeout", "120", "s-*"]);
    assert_eq!(tree.ctl(&["wait", "--any", "--up", "--timeout", "1", "s-0", "nobody"]).status.code(), Some(102));
}

#[test]
fn down_is_the_end_of_run_and_finished_that_of_all() {
    let mut tree = tree_with("web", |service| {
        fifo(service.path().join("go"));
        service.file("timeout-finish", "0");
        service.run("exec sleep 1000").finish("read _ < go; echo done >> seen");
    });
    tree.await_up("web");
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.ctl_ok(&["wait", "--down", "--timeout", "120", "web"]);
    assert_eq!(tree.lines("web/seen"), [""; 0], "finish still runs");
    release(tree.services().join("web/go"));
    tree.ctl_ok(&["wait", "--finished", "--timeout", "120", "web"]);
    assert_eq!(tree.lines("web/seen"), ["done"]);
    skip_to(&mut tree, "web", EventKind::Down);
}
