//! What dinit tests about dependencies, as scenarios of our graph; docs/peers-scenarios.md has the table.

use crate::bench::{self, Bench, follows, hard, process, soft};
use crate::peers::{AFTER, BEFORE, READY, chain};
use svc_core::graph::{Bond, Dependents, Node, Outcome, Problem, Progress, Reason, Refusal, Relation, Request, Wish};

#[test]
fn dinit_start_pulls_dependencies_and_stop_with_prune_releases_them() {
    let mut bench = Bench::down([process("db"), process("web").with("db", hard(), READY)]);
    bench.start(&["web"]);
    assert_eq!(bench.take(), ["start db"]);
    bench.ready("db");
    assert_eq!(bench.take(), ["start web"]);
    assert_eq!(bench.wish("db"), Wish::Dependency);
    bench.ready("web");
    let stop = Request::Stop { nodes: bench.ids(&["web"]), dependents: Dependents::Refuse, prune: true };
    let request = bench.ask(stop);
    assert_eq!(bench.take(), ["stop web"], "its dependency waits for it");
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop db"]);
    bench.stopped("db");
    assert_eq!(bench.outcome(request), Some(Outcome::Done));
}

#[test]
fn dinit_several_dependents_hold_one_dependency() {
    let mut bench =
        Bench::down([process("db"), process("web").with("db", soft(), READY), process("api").with("db", soft(), READY)]);
    bench.start(&["web"]);
    bench.bring_up();
    bench.start(&["api"]);
    assert_eq!(bench.take(), ["start api"], "db is up already");
    bench.ready("api");
    bench.stop(&["web"], Dependents::Refuse, true);
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop web"], "api still wants db");
    bench.stop(&["api"], Dependents::Refuse, true);
    bench.stopped("api");
    assert_eq!(bench.take(), ["stop api", "stop db"]);
}

#[test]
fn dinit_plain_stop_of_a_needed_one_is_refused_with_the_list_and_force_takes_them() {
    let mut bench = chain();
    bench.bring_up();
    let refused = bench.stop(&["db"], Dependents::Refuse, false);
    let needers = bench.ids(&["web", "proxy"]);
    assert_eq!(bench.outcome(refused), Some(Outcome::Refused(Refusal::NeededBy(needers))));
    assert_eq!(bench.take(), Vec::<String>::new());
    bench.stop(&["db"], Dependents::Take, false);
    assert_eq!(bench.take(), ["stop proxy"]);
    bench.stopped("proxy");
    assert_eq!(bench.take(), ["stop web"]);
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop db"]);
}

#[test]
fn dinit_a_failed_dependency_stops_those_that_follow_it() {
    let mut bench =
        Bench::new([process("db"), process("web").with("db", follows(), READY), process("api").with("db", soft(), READY)]);
    bench.bring_up();
    bench.failed("db");
    assert_eq!(bench.take(), ["stop web"], "soft dependents are untouched");
    bench.stopped("web");
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::Dependency(bench.id("db"))));
    assert!(matches!(bench.progress("api"), Progress::Up(_)));
}

#[test]
fn dinit_a_soft_dependency_may_stop_and_come_back() {
    let mut bench = Bench::new([process("db"), process("api").with("db", soft(), READY)]);
    bench.bring_up();
    for _ in 0..2 {
        let stop = bench.stop(&["db"], Dependents::Refuse, false);
        bench.stopped("db");
        assert_eq!(bench.outcome(stop), Some(Outcome::Done));
        bench.start(&["db"]);
        bench.ready("db");
        assert_eq!(bench.take(), ["stop db", "start db"], "who wants it is left alone");
        assert!(matches!(bench.progress("api"), Progress::Up(_)));
    }
    // Nor does it matter whether its own policy starts it again.
    bench.failed("db");
    assert_eq!(bench.take(), [""; 0]);
    assert!(matches!(bench.progress("api"), Progress::Up(_)));
}

#[test]
fn dinit_dependents_restart_and_pull_their_dependency_back() {
    let mut bench =
        Bench::new([process("db"), process("web").with("db", follows(), READY), process("api").with("db", soft(), READY)]);
    bench.bring_up();
    let request = bench.ask(Request::Restart(bench.ids(&["db"])));
    assert_eq!(bench.take(), ["stop web"], "and not api, which only wants it");
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop db"]);
    bench.stopped("db");
    assert_eq!(bench.take(), ["start db"], "exactly once");
    bench.ready("db");
    assert_eq!(bench.take(), ["start web"]);
    bench.ready("web");
    assert_eq!(bench.outcome(request), Some(Outcome::Done));
    bench.stop(&["db"], Dependents::Take, false);
    bench.stopped("web");
    bench.stopped("db");
    assert_eq!(bench.take(), ["stop web", "stop db"], "a later stop is none that starts again");
}

#[test]
fn dinit_no_restart_after_a_manual_stop() {
    let mut bench = Bench::new([process("db"), process("web").with("db", follows(), READY)]);
    bench.bring_up();
    bench.stop(&["web"], Dependents::Refuse, false);
    bench.stopped("web");
    bench.take();
    bench.ask(Request::Restart(bench.ids(&["db"])));
    bench.stopped("db");
    bench.ready("db");
    assert_eq!(bench.take(), ["stop db", "start db"]);
    // Nor where the stop was one of its dependency, and took it along.
    bench.start(&["web"]);
    bench.ready("web");
    bench.stop(&["db"], Dependents::Take, false);
    bench.stopped("web");
    bench.stopped("db");
    assert_eq!(bench.take(), ["start web", "stop web", "stop db"]);
    assert_eq!((bench.wish("web"), bench.wish("db")), (Wish::Down, Wish::Down));
}

#[test]
fn dinit_stop_during_restart_cancels_it() {
    let mut bench = chain();
    bench.bring_up();
    let restart = bench.ask(Request::Restart(bench.ids(&["proxy"])));
    let stop = bench.stop(&["proxy"], Dependents::Refuse, false);
    bench.stopped("proxy");
    assert_eq!(bench.take(), ["stop proxy"]);
    assert_eq!(bench.outcome(restart), Some(bench.superseded(&["proxy"])));
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
    // With a dependent, which stops first.
    let mut bench = Bench::new([process("db"), process("web").with("db", follows(), READY)]);
    bench.bring_up();
    let restart = bench.ask(Request::Restart(bench.ids(&["db"])));
    let stop = bench.stop(&["db"], Dependents::Take, false);
    bench.stopped("web");
    bench.stopped("db");
    assert_eq!(bench.take(), ["stop web", "stop db"]);
    assert_eq!(bench.outcome(restart), Some(bench.superseded(&["db", "web"])));
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
}

#[test]
fn dinit_a_restart_goes_on_without_a_dependent_that_is_stopped() {
    let mut bench = Bench::new([process("db"), process("web").with("db", follows(), READY)]);
    bench.bring_up();
    bench.ask(Request::Restart(bench.ids(&["db"])));
    bench.stop(&["web"], Dependents::Refuse, false);
    bench.stopped("web");
    bench.stopped("db");
    bench.ready("db");
    assert_eq!(bench.take(), ["stop web", "stop db", "start db"]);
    assert_eq!(bench.progress("web"), Progress::Down);
}

#[test]
fn dinit_a_milestone_fails_only_before_the_start() {
    let needs = Relation::Needs(Bond::Start);
    let set = || [process("setup"), process("web").with("setup", needs, READY)];
    let mut bench = Bench::new(set());
    bench.bring_up();
    let stop = bench.stop(&["setup"], Dependents::Refuse, false);
    bench.stopped("setup");
    assert_eq!(bench.take(), ["stop setup"]);
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
    assert!(matches!(bench.progress("web"), Progress::Up(_)));

    let mut bench = Bench::new(set());
    bench.failed("setup");
    assert_eq!(bench.take(), ["start setup"]);
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::Dependency(bench.id("setup"))));

    // Its start is called off.
    let mut bench = Bench::new(set());
    bench.stop(&["setup"], Dependents::Take, false);
    bench.stopped("setup");
    assert_eq!(bench.take(), ["start setup", "stop setup"], "web is not started");
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::Dependency(bench.id("setup"))));
}

#[test]
fn dinit_start_timeout_of_hard_and_soft_dependencies() {
    let mut slow = process("slow");
    slow.readiness = true;
    slow.start_timeout = svc_core::Millis(5000);
    let mut bench =
        Bench::new([slow, process("web").with("slow", hard(), READY), process("api").with("slow", soft(), READY)]);
    bench.take();
    bench.report_started("slow");
    bench.deadline();
    assert_eq!(bench.take(), ["stop slow", "start api"]);
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::Dependency(bench.id("slow"))));
    bench.stopped("slow");
    assert_eq!(bench.progress("slow"), Progress::Failed(Reason::StartTimeout));
}

#[test]
fn dinit_a_soft_want_for_one_that_is_stopping_starts_it_again() {
    let mut bench = Bench::down([process("db"), process("web").with("db", soft(), READY)]);
    bench.start(&["db"]);
    bench.ready("db");
    bench.stop(&["db"], Dependents::Refuse, false);
    bench.start(&["web"]);
    assert_eq!(bench.take(), ["start db", "stop db"]);
    bench.stopped("db");
    bench.ready("db");
    assert_eq!(bench.take(), ["start db", "start web"]);
}

#[test]
fn dinit_cycles_are_named_with_their_path() {
    let cycle =
        |nodes: Vec<Node>| bench::problems(nodes).into_iter().map(|problem| problem.to_string()).next().unwrap_or_default();
    let text = cycle(vec![
        process("a").with("b", hard(), READY),
        process("b").with("c", AFTER, READY),
        process("c").with("a", hard(), READY),
    ]);
    assert!(text.starts_with("a -> b -> c -> a wait for each other"), "{text}");
    let text = cycle(vec![process("a").with("b", AFTER, READY).with("b", BEFORE, READY), process("b")]);
    assert!(text.starts_with("a -> b -> a"), "{text}");
    assert!(cycle(vec![process("a").with("a", AFTER, READY)]).starts_with("a waits for itself"));
    assert!(cycle(vec![process("a").with("a", BEFORE, READY)]).starts_with("a waits for itself"));
}

#[test]
fn dinit_a_cycle_over_soft_edges_is_refused_too() {
    let nodes = vec![process("a").with("b", soft(), READY), process("b").with("a", soft(), READY)];
    let problems = bench::problems(nodes);
    assert!(problems[0].to_string().starts_with("a -> b -> a wait for each other"), "{problems:?}");
}

#[test]
fn dinit_before_on_an_ancestor_is_no_cycle() {
    let nodes = vec![
        process("a").with("b", hard(), READY),
        process("b").with("c", hard(), READY),
        process("c").with("a", BEFORE, READY),
    ];
    assert_eq!(bench::problems(nodes), []);
}

#[test]
fn dinit_a_missing_dependency_is_named() {
    let problems = bench::problems(vec![process("postgres"), process("web").with("postgre", hard(), READY)]);
    let unknown = Problem::Unknown { node: "web".into(), name: "postgre".into(), nearest: vec!["postgres".into()] };
    assert_eq!(problems, [unknown]);
}

#[test]
fn dinit_order_is_kept_whichever_way_it_is_said_and_does_not_pull() {
    let after = [process("slow"), process("web").with("slow", AFTER, READY)];
    let before = [process("slow").with("web", BEFORE, READY), process("web")];
    let turned = |[one, other]: [Node; 2]| [other, one];
    for nodes in [after.clone(), before.clone(), turned(after), turned(before)] {
        let mut bench = Bench::new(nodes.clone());
        // And when all of it has gone and come again.
        for _ in 0..2 {
            assert_eq!(bench.take(), ["start slow"]);
            bench.ready("slow");
            assert_eq!(bench.take(), ["start web"]);
            bench.ready("web");
            bench.apply([]);
            bench.stopped("web");
            bench.stopped("slow");
            assert_eq!(bench.take(), ["stop web", "stop slow"]);
            bench.apply(nodes.clone());
        }
        let mut alone = Bench::down(nodes);
        alone.start(&["web"]);
        assert_eq!(alone.take(), ["start web"]);
    }
}

#[test]
fn dinit_order_remains_after_the_hard_dependency_is_removed() {
    let both = process("web").with("db", hard(), READY).with("db", AFTER, READY);
    let mut bench = Bench::new([process("db"), both]);
    bench.apply([process("db"), process("web").with("db", AFTER, READY)]);
    assert_eq!(bench.take(), ["start db"]);
    bench.ready("db");
    assert_eq!(bench.take(), ["start web"]);
}

#[test]
fn dinit_a_new_hard_dependency_of_a_running_one_is_started() {
    let mut cache = process("cache");
    cache.up = false;
    let mut bench = Bench::new([process("web"), cache.clone()]);
    bench.bring_up();
    bench.apply([process("web").with("cache", hard(), READY), cache]);
    assert_eq!(bench.take(), ["start cache"], "web runs on");
}

#[test]
fn dinit_release_from_a_failed_start() {
    let web = process("web").with("db", hard(), READY).with("mail", soft(), READY);
    let mut bench = Bench::down([process("db"), process("mail"), web]);
    let start = bench.start(&["web"]);
    bench.failed("db");
    let (web, db) = (bench.id("web"), bench.id("db"));
    let exit = Reason::Exit(svc_core::Exit::Code(125));
    assert_eq!(bench.outcome(start), Some(Outcome::Failed(vec![(web, Reason::Dependency(db)), (db, exit)])));
    assert_eq!(bench.take(), ["start db", "start mail"], "what else was started for it stays");
    bench.ready("mail");
    bench.start(&["db"]);
    bench.ready("db");
    assert_eq!(bench.take(), ["start db", "start web"], "web is still wished up");
}

#[test]
fn dinit_a_cancelled_start_does_not_wait_for_readiness() {
    let mut slow = process("slow");
    slow.readiness = true;
    let mut bench = Bench::new([slow, process("web").with("slow", hard(), READY)]);
    bench.report_started("slow");
    let stop = bench.stop(&["slow"], Dependents::Take, false);
    assert_eq!(bench.take(), ["start slow", "stop slow"]);
    bench.stopped("slow");
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
    assert_eq!(bench.progress("web"), Progress::Down);
}

#[test]
fn dinit_a_start_that_is_called_off_in_the_middle_releases_what_it_had_started() {
    let set = [process("db"), process("web").with("db", hard(), READY), process("proxy").with("web", hard(), READY)];
    for prune in [false, true] {
        let mut bench = Bench::down(set.clone());
        bench.start(&["proxy"]);
        let stop = bench.stop(&["web"], Dependents::Take, prune);
        assert_eq!(bench.take(), if prune { vec!["start db", "stop db"] } else { vec!["start db"] });
        if prune {
            bench.stopped("db");
        } else {
            bench.ready("db");
        }
        assert_eq!(bench.take(), Vec::<String>::new(), "nobody waits for it any more");
        assert_eq!(bench.outcome(stop), Some(Outcome::Done));
        assert_eq!((bench.progress("web"), bench.progress("proxy")), (Progress::Down, Progress::Down));
    }
}
