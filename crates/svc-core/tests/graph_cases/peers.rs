//! What the other peers of svc test about dependencies, as scenarios of our graph; docs/peers-scenarios.md has the table.

use crate::bench::{self, Bench, follows, hard, milestone, oneshot, process, soft};
use svc_core::graph::{
    Bond, Change, Condition, Dependents, Level, Node, Outcome, Problem, Progress, Reason, Refusal, Relation, Request,
};

pub(crate) const READY: Condition = Condition::Ready;
pub(crate) const AFTER: Relation = Relation::After;
pub(crate) const BEFORE: Relation = Relation::Before;

pub(crate) fn chain() -> Bench {
    Bench::new([process("db"), process("web").with("db", hard(), READY), process("proxy").with("web", hard(), READY)])
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
    let reading = |content| Node { reads: vec![(1, content)], ..process("db") };
    let web = || process("web").with("db", hard(), READY);
    let mut bench = Bench::new([reading(6), web(), process("proxy").with("web", hard(), READY)]);
    bench.bring_up();
    bench.take();
    let mut proxy = process("proxy").with("web", hard(), READY);
    proxy.substance = 7;
    let db = reading(7);
    let set = [db, web(), proxy];
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
    assert_eq!(bench.outcome(restart), Some(bench.superseded(&["proxy"])));
    assert_eq!(bench.outcome(stop), Some(Outcome::Done));
}

#[test]
fn a_contradiction_is_about_those_that_are_named_in_it() {
    let mut bench = Bench::new([process("a"), process("b"), process("c")]);
    bench.bring_up();
    let stop = bench.stop(&["a", "b", "c"], Dependents::Refuse, false);
    bench.stopped("a");
    bench.start(&["b"]);
    assert_eq!(bench.outcome(stop), None, "c is on the way down");
    bench.stopped("c");
    assert_eq!(bench.outcome(stop), Some(bench.superseded(&["b"])));
    assert_eq!(bench.take(), ["stop a", "stop b", "stop c"]);
    bench.stopped("b");
    assert_eq!(bench.take(), ["start b"]);
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

/// Reports come as they come, and others are there sooner or later.
#[test]
fn a_process_that_has_ended_well_counts_as_what_it_was_whenever_that_is_heard() {
    let says = |name: &str| Node { readiness: true, ..process(name) };
    let needs_all = |name: &str, relation: fn() -> Relation, until: Condition| {
        let other = Condition::Ready;
        process(name).with("job", relation(), until).with("late", soft(), other)
    };
    for seen in [false, true] {
        for late_first in [false, true] {
            for (readiness, was_ready) in [(false, false), (true, false), (true, true)] {
                let job = if readiness { says("job") } else { process("job") };
                let mut set = vec![job, says("late")];
                let conditions = [Condition::Started, Condition::Ready, Condition::Completed];
                for (relation, tie) in [(hard as fn() -> Relation, "stay"), (follows, "follow")] {
                    set.extend(conditions.iter().map(|&until| needs_all(&format!("{tie}-{until}"), relation, until)));
                }
                let mut bench = Bench::new(set);
                if late_first {
                    bench.ready("late");
                }
                if seen {
                    bench.report_started("job");
                }
                if was_ready {
                    bench.ready("job");
                }
                bench.completed("job");
                bench.ready("late");
                bench.take().into_iter().filter_map(|action| action.strip_prefix("start ").map(String::from)).for_each(
                    |name| {
                        if name != "job" && name != "late" {
                            bench.ready(&name);
                        }
                    },
                );
                assert_eq!(bench.take(), Vec::<String>::new(), "nobody is stopped, or started twice");
                for until in conditions {
                    for tie in ["stay", "follow"] {
                        let comes = until != Condition::Ready || !readiness || was_ready;
                        let expected = if comes {
                            Progress::Up(Level::Ready)
                        } else {
                            Progress::Failed(Reason::Dependency(bench.id("job")))
                        };
                        let case = format!("{tie} {until}; {seen} {late_first} {readiness} {was_ready}");
                        assert_eq!(bench.progress(&format!("{tie}-{until}")), expected, "{case}");
                    }
                }
            }
        }
    }
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
