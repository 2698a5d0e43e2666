//! Timeouts, recovery, what is stuck, and the questions that can be asked.

use svc_core::Millis;
use svc_core::graph::{
    Action, Condition, Dependents, Engine, Event, Graph, Id, Node, Outcome, Problem, Progress, Reason, Refusal, Relation,
    Request, RequestId, Strength, Why, Wish, plan,
};

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
    web.external = vec!["tcp:db:5432".into()];
    web.wait_timeout = Millis(30_000);
    let mut bench = Bench::new([web.clone()]);
    bench.advance(10_000);
    assert_eq!(bench.explain("web").as_deref(), Some("waiting for tcp:db:5432, 10 s"));
    bench.reachable("web");
    assert_eq!(bench.take(), ["await web", "start web"]);
    let mut bench = Bench::new([web]);
    bench.deadline();
    assert_eq!(bench.take(), ["await web", "forget web"]);
    assert_eq!(bench.progress("web"), Progress::Failed(Reason::ExternalTimeout));
}

#[test]
fn what_runs_already_is_taken_over_with_its_wish() {
    let set = || vec![process("db"), process("web").with("db", hard(), READY), process("late").with("db", hard(), READY)];
    let mut engine = Engine::new(Millis(0), Graph::new(set()).expect("a good set"));
    let mut out = Vec::new();
    let (db, web, late) = (Id(0), Id(1), Id(2));
    let events = [
        Event::Ready(db),
        Event::Started(web),
        Event::Recovered(db, Wish::Dependency),
        Event::Recovered(late, Wish::Explicit),
    ];
    for event in events {
        engine.step(Millis(5), event, &mut out);
    }
    out.retain(|action| !matches!(action, Action::Publish(_)));
    assert_eq!(out, [Action::Start(late)]);
    assert_eq!((engine.wish(db), engine.wish(web)), (Wish::Dependency, Wish::Explicit));
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
    let old = graph(vec![
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
    let steps: Vec<(String, Why)> = plan(&old, &new).into_iter().map(|step| (step.name, step.why)).collect();
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
    assert!(plan(&new, &new).iter().all(|step| step.why == Why::Same));
    assert_eq!(Why::NeededBy("web".into()).to_string(), "web depends on it now");
}

#[test]
fn the_critical_chain_follows_what_came_last() {
    let mut bench = Bench::new([
        oneshot("quick"),
        oneshot("slow"),
        milestone("init").with("quick", hard(), Condition::Completed).with("slow", hard(), Condition::Completed),
        process("web").with("init", hard(), Condition::Completed),
    ]);
    bench.advance(10);
    bench.completed("quick");
    bench.advance(400);
    bench.completed("slow");
    bench.advance(50);
    bench.ready("web");
    let chain = bench.engine().critical_chain(bench.id("web"));
    let names: Vec<Id> = chain.iter().map(|(id, _)| *id).collect();
    assert_eq!(bench.names(&names), ["web", "init", "slow"]);
    let times: Vec<u64> = chain.iter().map(|(_, took)| took.0).collect();
    assert_eq!(times, [50, 0, 410]);
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
