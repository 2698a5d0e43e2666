//! What the peers of svc test about dependencies, as scenarios of our graph; docs/peers-scenarios.md has the table.

use crate::bench::{self, Bench, follows, hard, milestone, oneshot, process, soft};
use svc_core::graph::{
    Bond, Change, Condition, Dependents, Node, Outcome, Problem, Progress, Reason, Refusal, Relation, Request, Wish,
};

const READY: Condition = Condition::Ready;
const AFTER: Relation = Relation::After;
const BEFORE: Relation = Relation::Before;

fn chain() -> Bench {
    Bench::new([process("db"), process("web").with("db", hard(), READY), process("proxy").with("web", hard(), READY)])
}

// --- dinit

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
    assert_eq!(bench.outcome(restart), Some(Outcome::Superseded(stop)));
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
    // With a dependent, which stops first.
    let mut bench = Bench::new([process("db"), process("web").with("db", follows(), READY)]);
    bench.bring_up();
    let restart = bench.ask(Request::Restart(bench.ids(&["db"])));
    let stop = bench.stop(&["db"], Dependents::Take, false);
    bench.stopped("web");
    bench.stopped("db");
    assert_eq!(bench.take(), ["stop web", "stop db"]);
    assert_eq!(bench.outcome(restart), Some(Outcome::Superseded(stop)));
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

// --- nitro

#[test]
fn nitro_a_down_file_is_respected_and_survives_a_rescan() {
    let mut quiet = process("quiet");
    quiet.up = false;
    let set = [process("web"), quiet];
    let mut bench = Bench::new(set.clone());
    assert_eq!(bench.take(), ["start web"]);
    bench.start(&["quiet"]);
    bench.apply(set);
    assert_eq!(bench.take(), ["start quiet"]);
}

#[test]
fn nitro_a_down_file_added_later_has_no_effect_on_a_running_one() {
    let mut bench = Bench::new([process("web")]);
    bench.bring_up();
    let mut down = process("web");
    down.up = false;
    bench.apply([down]);
    assert_eq!(bench.take(), Vec::<String>::new());
}

#[test]
fn nitro_a_new_directory_is_started_and_a_removed_one_stopped() {
    let mut bench = Bench::new([process("old")]);
    bench.bring_up();
    let request = bench.apply([process("new")]);
    assert_eq!(bench.take(), ["stop old", "start new"]);
    bench.stopped("old");
    bench.ready("new");
    assert_eq!(bench.outcome(request), Some(Outcome::Done));
}

#[test]
fn nitro_a_logger_starts_before_its_producers_and_outlives_them() {
    let mut logger = process("log");
    logger.logger = true;
    let started = Condition::Started;
    let mut bench =
        Bench::new([process("a").with("log", hard(), started), process("b").with("log", hard(), started), logger]);
    assert_eq!(bench.take(), ["start log"]);
    bench.report_started("log");
    assert_eq!(bench.take(), ["start a", "start b"]);
    bench.report_started("a");
    bench.report_started("b");
    let end = bench.ask(Request::Shutdown);
    assert_eq!(bench.take(), ["stop a", "stop b"]);
    bench.stopped("a");
    assert_eq!(bench.take(), Vec::<String>::new());
    bench.stopped("b");
    assert_eq!(bench.take(), ["stop log"]);
    bench.stopped("log");
    assert_eq!(bench.outcome(end), Some(Outcome::Done));
}

#[test]
fn nitro_three_start_in_one_command() {
    let mut bench = Bench::down([process("a"), process("b"), process("c")]);
    bench.start(&["a", "b", "c"]);
    assert_eq!(bench.take(), ["start a", "start b", "start c"]);
}

// --- Horust

#[test]
fn horust_start_after_and_stop_in_reverse() {
    let mut bench = chain();
    bench.bring_up();
    bench.ask(Request::Shutdown);
    for name in ["proxy", "web", "db"] {
        assert_eq!(bench.take(), [format!("stop {name}")]);
        bench.stopped(name);
    }
}

#[test]
fn horust_kill_dependents_is_a_bond() {
    for (bond, expected) in [(Bond::Follow, vec!["stop web"]), (Bond::Stay, vec![])] {
        let mut bench = Bench::new([process("db"), process("web").with("db", Relation::Needs(bond), READY)]);
        bench.bring_up();
        bench.failed("db");
        assert_eq!(bench.take(), expected);
    }
}

#[test]
fn horust_a_pending_start_does_not_delay_the_shutdown() {
    let mut far = process("far");
    far.external = vec!["tcp:db:5432".into()];
    let mut bench = Bench::new([far, process("web").with("far", hard(), READY)]);
    assert_eq!(bench.take(), ["await far"]);
    let end = bench.ask(Request::Shutdown);
    assert_eq!(bench.take(), ["forget far"]);
    assert_eq!(bench.outcome(end), Some(Outcome::Done));
}

#[test]
fn horust_many_chained_services() {
    let mut nodes = vec![process("n0")];
    nodes.extend((1..10_000).map(|number| process(&format!("n{number}")).with(&format!("n{}", number - 1), hard(), READY)));
    let mut bench = Bench::new(nodes);
    bench.bring_up();
    assert_eq!(bench.take().len(), 10_000);
    bench.ask(Request::Shutdown);
    for number in (0..10_000).rev() {
        assert_eq!(bench.take(), [format!("stop n{number}")]);
        bench.stopped(&format!("n{number}"));
    }
}

// --- pebble

#[test]
fn pebble_start_and_stop_are_idempotent() {
    let mut bench = chain();
    bench.bring_up();
    bench.take();
    let start = bench.start(&["web"]);
    assert_eq!(bench.outcome(start), Some(Outcome::Done));
    bench.stop(&["proxy"], Dependents::Refuse, false);
    bench.stopped("proxy");
    let stop = bench.stop(&["proxy"], Dependents::Refuse, false);
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
    assert_eq!(bench.take(), ["stop proxy"]);
}

#[test]
fn pebble_a_replan_restarts_only_what_has_changed() {
    let mut bench = chain();
    bench.bring_up();
    bench.take();
    let mut proxy = process("proxy").with("web", hard(), READY);
    proxy.substance = 7;
    let mut db = process("db");
    db.reloadable = 7;
    let set = [db, process("web").with("db", hard(), READY), proxy];
    let plan = bench.plan(set.clone());
    assert_eq!(
        plan,
        [("db", Change::Reload), ("proxy", Change::Restart), ("web", Change::Nothing)]
            .map(|(name, change)| (name.into(), change))
    );
    bench.apply(set.clone());
    assert_eq!(bench.take(), ["reload db", "stop proxy"]);
    bench.stopped("proxy");
    bench.ready("proxy");
    assert_eq!(bench.take(), ["start proxy"]);
    bench.apply(set);
    assert_eq!(bench.take(), Vec::<String>::new());
}

#[test]
fn pebble_a_plan_has_lanes() {
    let bench = Bench::down([process("a"), process("b"), process("c").with("a", hard(), READY).with("b", AFTER, READY)]);
    assert_eq!(bench.levels(), [vec!["a", "b"], vec!["c"]]);
}

#[test]
fn pebble_two_layers_with_one_name_are_refused() {
    assert_eq!(bench::problems(vec![process("a"), process("a")]), [Problem::Twice("a".into())]);
}

// --- process-compose

#[test]
fn process_compose_a_chain_waits_for_each_condition() {
    let mut db = process("db");
    (db.readiness, db.health) = (true, true);
    let mut bench = Bench::new([
        db,
        oneshot("migrate").with("db", hard(), Condition::Healthy),
        process("web").with("migrate", hard(), Condition::Completed),
        process("tail").with("db", hard(), Condition::Started),
    ]);
    assert_eq!(bench.take(), ["start db"]);
    bench.report_started("db");
    assert_eq!(bench.take(), ["start tail"]);
    bench.ready("db");
    assert_eq!(bench.take(), Vec::<String>::new());
    bench.healthy("db");
    assert_eq!(bench.take(), ["start migrate"]);
    bench.completed("migrate");
    assert_eq!(bench.take(), ["start web"]);
}

#[test]
fn process_compose_dependents_of_one_that_does_not_complete_are_skipped() {
    let mut bench =
        Bench::new([oneshot("migrate"), process("web").with("migrate", hard(), Condition::Completed), process("other")]);
    bench.failed("migrate");
    assert_eq!(bench.take(), ["start migrate", "start other"]);
    assert_eq!(bench.explain("web").as_deref(), Some("blocked by migrate: it ended (exit 125), and is not started again"));
}

#[test]
fn process_compose_a_subset_survives_a_reload() {
    let mut bench = Bench::down([process("a"), process("b")]);
    bench.start(&["a"]);
    bench.ready("a");
    bench.take();
    bench.apply_down([process("a"), process("b"), process("c")]);
    assert_eq!(bench.take(), Vec::<String>::new());
}

#[test]
fn process_compose_no_start_or_restart_during_shutdown() {
    let mut bench = chain();
    bench.bring_up();
    bench.ask(Request::Shutdown);
    let restart = bench.ask(Request::Restart(bench.ids(&["db"])));
    assert_eq!(bench.outcome(restart), Some(Outcome::Refused(Refusal::ShuttingDown)));
}

#[test]
fn process_compose_stop_and_restart_while_pending() {
    let mut bench = chain();
    bench.take();
    let restart = bench.ask(Request::Restart(bench.ids(&["proxy"])));
    assert_eq!(bench.take(), Vec::<String>::new(), "it waits as before");
    let stop = bench.stop(&["proxy"], Dependents::Refuse, false);
    assert_eq!(bench.outcome(restart), Some(Outcome::Superseded(stop)));
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
}

#[test]
fn process_compose_a_pending_one_says_why() {
    let mut bench = chain();
    bench.advance(30_000);
    assert_eq!(
        bench.explain("proxy").as_deref(),
        Some("blocked by web: not ready after 30 s, blocked by db: not ready after 30 s")
    );
}

// --- s6-rc, for completeness

#[test]
fn s6_rc_a_failed_one_blocks_only_its_dependents() {
    let mut bench = Bench::new([
        oneshot("bad"),
        milestone("init").with("bad", hard(), Condition::Completed),
        oneshot("good"),
        Node::bundle("user", &["init", "good"]),
    ]);
    bench.failed("bad");
    assert_eq!(bench.progress("user"), Progress::Waiting, "a bundle waits for all its members");
    bench.completed("good");
    assert_eq!(bench.progress("user"), Progress::Failed(Reason::Dependency(bench.id("init"))));
    assert_eq!(bench.progress("good"), Progress::Completed);
}

#[test]
fn s6_rc_stopping_a_bundle_stops_its_members() {
    let mut bench = Bench::new([process("a"), process("b"), Node::bundle("user", &["a", "b"])]);
    bench.bring_up();
    bench.take();
    bench.stop(&["user"], Dependents::Refuse, false);
    let mut stopped = bench.take();
    stopped.sort();
    assert_eq!(stopped, ["stop a", "stop b"]);
}

#[test]
fn s6_rc_a_oneshot_runs_again_on_request() {
    let mut bench = Bench::new([oneshot("setup"), process("web").with("setup", hard(), Condition::Completed)]);
    bench.bring_up();
    bench.take();
    let run = bench.ask(Request::Run(bench.id("setup")));
    assert_eq!(bench.take(), ["start setup"]);
    bench.completed("setup");
    assert_eq!(bench.outcome(run), Some(Outcome::Done));
    let refused = bench.ask(Request::Run(bench.id("web")));
    assert_eq!(bench.outcome(refused), Some(Outcome::Refused(Refusal::NotAOneshot(bench.id("web")))));
}
