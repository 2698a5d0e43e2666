//! Timeouts, recovery, what is stuck, and the questions that can be asked.

use std::collections::BTreeMap;

use svc_core::graph::{
    Action, Admission, Condition, Dependents, Engine, Event, Graph, Id, Node, Outcome, Problem, Progress, Reason, Refusal,
    Relation, Request, RequestId, Strength, Why, Wish,
};
use svc_core::{Exit, Millis};

use crate::bench::{self, Bench, follows, hard, milestone, oneshot, process, soft};

const READY: Condition = Condition::Ready;
const NOTHING: [&str; 0] = [];

#[test]
fn who_does_not_stop_in_time_holds_those_below_and_the_request_says_so() {
    let mut web = process("web").with("db", hard(), READY);
    web.stop_timeout = Millis(2000);
    let mut bench = Bench::new([process("db"), web]);
    bench.bring_up();
    let stop = bench.stop(&["db"], Dependents::Take, false);
    bench.deadline();
    let (db, web) = (bench.id("db"), bench.id("web"));
    let Some(Outcome::Failed(mut failed)) = bench.outcome(stop) else { panic!("the request has failed") };
    failed.sort_by_key(|(id, _)| *id);
    assert_eq!(failed, [(db, Reason::Held), (web, Reason::StopTimeout)]);
    assert_eq!(bench.explain("db").as_deref(), Some("blocked by web: not down after 0 s"));
    bench.take();
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop db"], "it goes on nevertheless");
}

#[test]
fn who_waits_for_a_start_hears_of_the_first_that_comes_to_nothing_and_it_goes_on_nevertheless() {
    let apart = process("apart").with("slow", hard(), READY);
    let needs = |name: &str, on: &str| process(name).with(on, hard(), READY);
    let nodes = [process("slow"), process("db"), needs("app", "db"), needs("web", "app"), apart];
    let mut bench = Bench::new(nodes.map(|node| Node { up: false, ..node }));
    let (db, web) = (bench.id("db"), bench.id("web"));
    let both = bench.start(&["db", "web"]);
    let above = bench.start(&["web"]);
    let other = bench.start(&["apart"]);
    bench.missed("db");
    let root = (db, Reason::Unready(Exit::Code(1)));
    let blocked = (web, Reason::Dependency(db));
    let failed = |request| match bench.outcome(request) {
        Some(Outcome::Failed(mut failed)) => {
            failed.sort_by_key(|(id, _)| *id);
            failed
        }
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!((failed(both), failed(above)), (vec![root, blocked], vec![root, blocked]));
    assert_eq!(bench.outcome(other), None, "it waits for another one");
    assert_eq!(
        bench.explain("web").as_deref(),
        Some("blocked by app: not ready after 0 s, blocked by db: not ready after 0 s")
    );
    bench.take();
    bench.ready("db");
    assert_eq!(bench.take(), ["start app"]);
    // Who is up has not missed anything, nor has one that is being stopped.
    let again = bench.ask(Request::Restart(vec![db]));
    bench.missed("db");
    assert_eq!(bench.outcome(again), None);
}

#[test]
fn what_was_left_out_and_now_fails_by_its_conditions_starts_when_they_hold() {
    let web = || process("web").with("db", hard(), READY);
    let fol = || process("fol").with("db", follows(), READY);
    let mut bench = Bench::new([milestone("db"), web(), fol()]);
    bench.bring_up();
    let refused = Node { admission: Admission::Refused, ..process("db") };
    bench.apply([refused, web(), fol()]);
    assert_eq!(bench.progress("db"), Progress::Failed(Reason::Condition));
    assert_eq!(bench.take(), ["stop web", "stop fol"]);
    ["web", "fol"].iter().for_each(|name| bench.stopped(name));
    assert_eq!(bench.explain("web").as_deref(), Some("blocked by db: its conditions do not hold"));
    bench.apply([process("db"), web(), fol()]);
    assert_eq!(bench.take(), ["start db"]);
    bench.ready("db");
    assert_eq!(bench.take().len(), 2);
}

#[test]
fn who_is_blocked_by_one_that_is_turned_away_is_not_blocked_by_those_whose_stop_that_one_waits_for() {
    let needs = |name: &str| process(name).with("db", hard(), READY);
    let mut bench = Bench::new([process("db"), needs("web"), needs("aaa")]);
    bench.bring_up();
    bench.apply([Node { admission: Admission::Refused, ..process("db") }, needs("web"), needs("aaa")]);
    bench.stopped("aaa");
    assert_eq!(bench.explain("aaa").as_deref(), Some("blocked by db: its conditions do not hold"));
}

#[test]
fn the_chain_leads_to_the_one_that_it_has_named() {
    let names = ["bad", "worse"];
    let needs = |node: Node, names: &[&str]| names.iter().fold(node, |node, name| node.with(name, hard(), READY));
    let mut bench =
        Bench::new([process("bad"), process("worse"), needs(process("user"), &names), needs(process("last"), &["user"])]);
    bench.take();
    bench.failed("worse");
    bench.failed("bad");
    let told = bench.explain("last").unwrap_or_default();
    assert!(told.starts_with("blocked by user: it needs worse, blocked by worse: it ended"), "{told}");
}

#[test]
fn a_logger_that_needs_something_keeps_it_to_the_end() {
    let mut log = process("log").with("disk", hard(), Condition::Completed);
    log.logger = true;
    let mut bench = Bench::new([oneshot("disk"), log, process("web")]);
    bench.bring_up();
    bench.ask(Request::Shutdown);
    for name in ["web", "log", "disk"] {
        assert_eq!(bench.take(), [format!("stop {name}")]);
        bench.stopped(name);
    }
}

#[test]
fn a_forced_stop_leaves_dependents_and_takes_followers_afterwards() {
    let mut bench =
        Bench::new([process("db"), process("web").with("db", hard(), READY), process("api").with("db", follows(), READY)]);
    bench.bring_up();
    bench.stop(&["db"], Dependents::Leave, false);
    assert_eq!(bench.take(), ["stop db", "stop api"]);
    assert!(matches!(bench.progress("web"), Progress::Up(_)));
}

#[test]
fn a_crash_restarts_those_that_follow_once_it_is_back() {
    let mut bench = Bench::new([process("db"), process("web").with("db", follows(), READY)]);
    bench.bring_up();
    bench.died("db");
    assert_eq!(bench.take(), ["stop web"]);
    bench.stopped("web");
    assert_eq!(bench.take(), NOTHING);
    bench.ready("db");
    assert_eq!(bench.take(), ["start web"]);
}

#[test]
fn an_external_endpoint_is_waited_for_in_its_time() {
    let mut web = process("web");
    web.external = vec!["tcp:db:5432".into(), "file:/data".into()];
    web.wait_timeout = Millis(30_000);
    let mut bench = Bench::new([web.clone()]);
    bench.advance(10_000);
    assert_eq!(bench.explain("web").as_deref(), Some("waiting for tcp:db:5432, file:/data, 10 s"));
    bench.answered("web", 1);
    assert_eq!(bench.explain("web").as_deref(), Some("waiting for tcp:db:5432, 10 s"));
    bench.reachable("web");
    assert_eq!(bench.take(), ["await web", "start web"]);
    let mut bench = Bench::new([web, process("app").with("web", hard(), READY)]);
    bench.answered("web", 0);
    bench.deadline();
    let late = "file:/data did not answer within 30 s, which is its wait-timeout";
    let blocked = format!("blocked by web: {late}");
    assert_eq!(bench.explain("app").as_deref(), Some(blocked.as_str()));
    assert_eq!(bench.take(), ["await web", "forget web"]);
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::ExternalTimeout));
}

#[test]
fn what_runs_already_is_taken_over_with_its_wish() {
    let set = || vec![process("db"), process("web").with("db", hard(), READY), process("late").with("db", hard(), READY)];
    let mut engine = Engine::new(Millis(0), Graph::new(set()).expect("a good set"));
    let mut out = Vec::new();
    let (db, web, late) = (Id(0), Id(1), Id(2));
    let events =
        [Event::Ready(db), Event::Started(web), Event::Recovered(vec![(db, Wish::Dependency), (late, Wish::Explicit)])];
    for event in events {
        engine.step(Millis(5), event, &mut out);
    }
    out.retain(|action| !matches!(action, Action::Publish(_)));
    assert_eq!(out, [Action::Start(late)]);
    assert_eq!((engine.wish(db), engine.wish(web)), (Wish::Dependency, Wish::Explicit));
}

/// A supervisor that was killed with svc-scan is heard late: somebody may have asked meanwhile.
#[test]
fn what_was_asked_meanwhile_counts_and_not_what_was_wished_before() {
    let set = vec![process("db"), process("web").with("db", hard(), READY)];
    let (db, web) = (Id(0), Id(1));
    let late = |asked: Request, event: Event, wish: Wish| {
        let mut engine = Engine::new(Millis(0), Graph::new(set.clone()).expect("a good set"));
        let guessed = if matches!(asked, Request::Stop { .. }) { Wish::Explicit } else { Wish::Down };
        let before = [Event::Ready(db), Event::Started(web), Event::Died(web), Event::Recovered(vec![(web, guessed)])];
        let mut out = Vec::new();
        for event in before.into_iter().chain([Event::Request(RequestId(1), asked), event]) {
            engine.step(Millis(5), event, &mut out);
        }
        engine.step(Millis(5), Event::Recovered(vec![(web, wish)]), &mut out);
        let failed = out.iter().any(|action| matches!(action, Action::Finished(_, Outcome::Failed(_))));
        (engine.wish(web), engine.progress(web), failed)
    };
    let stop = Request::Stop { nodes: vec![web], dependents: Dependents::Refuse, prune: false };
    let there = late(stop.clone(), Event::Started(web), Wish::Explicit);
    assert_eq!(there, (Wish::Down, Progress::Stopping { overdue: false }, false));
    assert_eq!(late(stop, Event::Absent(web), Wish::Explicit), (Wish::Down, Progress::Down, false));
    let start = late(Request::Start(vec![web]), Event::Absent(web), Wish::Down);
    assert_eq!(start, (Wish::Explicit, Progress::Starting, false));
}

/// One after the other lost its wish, and went before those that need it were to go.
#[test]
fn a_stop_that_is_taken_over_goes_on_in_order() {
    let set = vec![process("a"), process("b").with("a", hard(), READY), process("c").with("b", hard(), READY)];
    let mut engine = Engine::new(Millis(0), Graph::new(set).expect("a good set"));
    let (a, b, c) = (Id(0), Id(1), Id(2));
    let mut told = |event: Event| {
        let mut out = Vec::new();
        engine.step(Millis(5), event, &mut out);
        out.retain(|action| !matches!(action, Action::Publish(_)));
        out
    };
    for event in [Event::Ready(a), Event::Ready(b), Event::Started(c)] {
        assert_eq!(told(event), []);
    }
    assert_eq!(told(Event::Recovered([a, b, c].map(|id| (id, Wish::Down)).to_vec())), [Action::Stop(c)]);
    assert_eq!(told(Event::Stopped(c)), [Action::Stop(b)]);
    assert_eq!(told(Event::Stopped(b)), [Action::Stop(a)]);
}

#[test]
fn a_set_that_is_wrong_changes_nothing_and_says_everything() {
    let mut bench = Bench::new([process("db")]);
    bench.bring_up();
    let wrong = vec![process("db").with("bd", soft(), READY), process("web").with("db", hard(), Condition::Healthy)];
    let request = bench.apply(wrong);
    let Some(Outcome::Refused(Refusal::Problems(problems))) = bench.outcome(request) else { panic!("it is refused") };
    let unknown = Problem::Unknown { node: "db".into(), name: "bd".into(), nearest: vec![] };
    let no_health = Problem::NoHealth { node: "web".into(), on: "db".into() };
    assert_eq!(problems, [unknown, no_health]);
    assert_eq!(bench.take(), NOTHING);
    assert_eq!(bench.engine().graph().living().len(), 1);
}

#[test]
fn problems_name_the_cure() {
    let text = |nodes: Vec<Node>| bench::problems(nodes).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let unknown = vec![process("redis"), process("redis2"), process("web").with("redi", hard(), READY)];
    assert_eq!(text(unknown), "web names redi, which does not exist: did you mean redis?");
    assert_eq!(
        text(vec![process("web").with("x", hard(), READY)]),
        "web names x, which does not exist: define it, or remove the dependency"
    );
    assert_eq!(text(vec![process("a"), process("a")]), "a is defined twice: remove or rename one of the two");
    let refusal = Refusal::NeededBy(vec![Id(0), Id(1)]);
    let names = ["web", "api"];
    assert_eq!(
        refusal.describe(|id| names[id.0 as usize]),
        "needed by web, api: stop them first, or take them along (--dependents)"
    );
}

#[test]
fn a_number_is_given_to_another_node_only_when_its_own_is_down() {
    let mut bench = Bench::new([process("a"), process("b")]);
    bench.bring_up();
    let a = bench.id("a");
    bench.apply([process("b"), process("c")]);
    assert_ne!(bench.id("c"), a, "a still stops");
    bench.stopped("a");
    bench.apply([process("b"), process("c"), process("d")]);
    assert_eq!(bench.id("d"), a);
}

#[test]
fn one_that_comes_back_while_it_stops_starts_when_it_has() {
    let mut bench = Bench::new([process("a")]);
    bench.bring_up();
    bench.apply([]);
    let request = bench.apply([process("a")]);
    assert_eq!(bench.take(), ["stop a"]);
    bench.stopped("a");
    bench.ready("a");
    assert_eq!(bench.take(), ["start a"]);
    assert_eq!(bench.outcome(request), Some(Outcome::Done));
}

#[test]
fn a_plan_says_why() {
    let graph = |nodes: Vec<Node>| Graph::new(nodes).expect("a good set");
    let mut down = process("down");
    down.up = false;
    let mut bench = Bench::new([
        process("db"),
        process("web").with("db", follows(), READY),
        process("gone"),
        process("rules"),
        down.clone(),
    ]);
    let mut db = process("db");
    db.substance = 1;
    let mut quiet = process("quiet");
    quiet.up = false;
    let rules = process("rules").with("down", soft(), READY);
    let new = graph(vec![db, process("web").with("db", follows(), READY), rules, down, process("new"), quiet]);
    let steps: Vec<(String, Why)> =
        bench.engine().plan(&new, &BTreeMap::new()).into_iter().map(|step| (step.name, step.why)).collect();
    let expected = [
        ("gone", Why::Removed),
        ("db", Why::Changed),
        ("down", Why::NeededBy("rules".into())),
        ("new", Why::New),
        ("quiet", Why::NewAndDown),
        ("rules", Why::Rules),
        ("web", Why::Follows("db".into())),
    ];
    assert_eq!(steps, expected.map(|(name, why)| (String::from(name), why)));
    bench.apply(new.clone().into_nodes());
    assert!(bench.engine().plan(&new, &BTreeMap::new()).iter().all(|step| step.why == Why::Same));
    assert_eq!(Why::NeededBy("web".into()).to_string(), "web depends on it now");
}

#[test]
fn reverse_dependencies_and_links() {
    let bench = Bench::down([
        process("db"),
        process("web").with("db", hard(), READY),
        process("proxy").with("web", Relation::After, Condition::Started),
    ]);
    let above = bench.engine().reverse_dependencies(bench.id("db"));
    assert_eq!(bench.names(&above), ["web", "proxy"]);
    let links: Vec<(&str, &str, bool)> =
        bench.engine().links().map(|link| (link.from, link.to, link.strength == Strength::Order)).collect();
    assert_eq!(links, [("web", "db", false), ("proxy", "web", true)]);
}

#[test]
fn ten_thousand_members_and_ten_thousand_dependents() {
    let names: Vec<String> = (0..10_000).map(|number| format!("n{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut nodes: Vec<Node> = names.iter().map(|name| process(name).with("base", hard(), READY)).collect();
    nodes.extend([process("base"), Node::bundle("all", &members)]);
    let mut engine = Engine::default();
    let mut out = Vec::new();
    engine.step(Millis(0), Event::Request(RequestId(1), Request::Apply(nodes)), &mut out);
    let starts = |out: &[Action]| out.iter().filter(|action| matches!(action, Action::Start(_))).count();
    assert_eq!(starts(&out), 1);
    let base = engine.graph().id("base").expect("it is there");
    out.clear();
    engine.step(Millis(1), Event::Ready(base), &mut out);
    assert_eq!(starts(&out), 10_000);
    for name in &names {
        let id = engine.graph().id(name).expect("it is there");
        engine.step(Millis(2), Event::Ready(id), &mut out);
    }
    assert_eq!(out.last(), Some(&Action::Finished(RequestId(1), Outcome::Done)));
    engine.step(Millis(3), Event::Request(RequestId(2), Request::Shutdown), &mut out);
    for name in &names {
        let id = engine.graph().id(name).expect("it is there");
        assert!(!out.contains(&Action::Stop(base)));
        out.clear();
        engine.step(Millis(4), Event::Stopped(id), &mut out);
    }
    assert!(out.contains(&Action::Stop(base)));
}

#[test]
fn one_that_is_started_on_demand_has_its_time_from_then_on_and_is_there_meanwhile() {
    let mut web = process("web");
    web.readiness = true;
    web.start_timeout = Millis(2000);
    let set = || [web.clone(), process("edge").with("web", hard(), READY)];
    let mut bench = Bench::new(set());
    bench.bring_up();
    assert_eq!(bench.engine().deadline(), None);
    bench.begun("web", true);
    assert!(matches!(bench.progress("edge"), Progress::Up(_)) && bench.engine().deadline().is_some());
    bench.begun("web", false);
    assert_eq!(bench.engine().deadline(), None, "it was ready in time");
    bench.begun("web", true);
    bench.deadline();
    assert_eq!(bench.take(), ["stop web"]);
    bench.stopped("web");
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::StartTimeout));
    assert!(matches!(bench.progress("edge"), Progress::Up(_)), "as where it dies");
}

#[test]
fn what_is_made_from_files_and_its_followers_go_on_until_those_were_examined() {
    let nodes = |substance| {
        let db = Node { substance, examined: true, ..process("db") };
        [db, process("cache").with("db", follows(), READY), process("web").with("cache", follows(), READY)]
    };
    let mut bench = Bench::new(nodes(1));
    assert_eq!(bench.take(), ["start db"]);
    bench.apply(nodes(2));
    assert_eq!(bench.take(), ["stop db"], "one that is not up has nothing to lose");
    let mut bench = Bench::new(nodes(1));
    bench.bring_up();
    bench.take();
    bench.apply(nodes(2));
    assert_eq!(bench.take(), ["examine db"]);
    bench.ask(Request::Restart(bench.ids(&["db"])));
    assert_eq!(bench.take(), ["stop web"]);
    bench.stopped("web");
    assert_eq!(bench.take(), ["stop cache"]);
}

#[test]
fn what_lasts_counts_as_up_when_its_process_has_ended_until_it_is_stopped() {
    let optional = Node { lasting: true, ..process("optional") };
    let app = process("app").with("optional", hard(), Condition::Ready).with("slow", hard(), Condition::Ready);
    let mut bench = Bench::new([optional, oneshot("slow"), app]);
    bench.report_started("optional");
    bench.failed("optional");
    assert_eq!(bench.take(), ["start optional", "start slow"]);
    assert!(bench.engine().lasts(bench.id("optional")));
    bench.completed("slow");
    assert_eq!(bench.take(), ["start app"]);
    bench.stop(&["optional"], Dependents::Take, false);
    assert!(!bench.engine().lasts(bench.id("optional")));
}

/// It ran on as what it had been: of another kind even, which is never up, or never stopped.
#[test]
fn a_restart_for_a_new_definition_is_not_forgotten_by_a_stop_that_is_taken_back() {
    let web = || process("web").with("db", follows(), READY);
    let changed = Node { substance: 1, ..process("db") };
    for (new, next) in [(changed, "start db"), (milestone("db"), "start web")] {
        let mut bench = Bench::new([process("db"), web()]);
        bench.bring_up();
        bench.take();
        bench.apply([new, web()]);
        assert_eq!(bench.take(), ["stop web"]);
        bench.stop(&["db"], Dependents::Take, false);
        bench.start(&["web"]);
        assert_eq!(bench.take(), Vec::<String>::new());
        bench.stopped("web");
        assert_eq!(bench.take(), ["stop db"]);
        bench.stopped("db");
        assert_eq!(bench.take(), [next]);
    }
}
