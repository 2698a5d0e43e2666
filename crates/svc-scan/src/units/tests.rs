use super::*;
use crate::pair::{self, Pair};
use svc_core::Millis;
use svc_core::graph::{Change, Engine, Event, Node, Request, RequestId};
use svc_def::Rare;

/// What another set changes while all of the first one is wanted.
fn plan(from: &Graph, to: &Graph) -> Vec<svc_core::graph::Step> {
    let mut engine = Engine::new(Millis::ZERO, Graph::default());
    let first = Request::Apply(from.clone().into_nodes());
    engine.step(Millis::ZERO, Event::Request(RequestId(1), first), &mut Vec::new());
    engine.plan(to, &BTreeMap::new())
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).expect("a good name")
}

fn names(text: &str) -> Vec<ServiceName> {
    text.split_ascii_whitespace().map(name).collect()
}

fn unit(kind: svc_def::Kind, rare: Rare) -> Unit {
    let identity = Identity { device: 0, inode: 0 };
    Unit::new(identity, 0, Path::new("/x").into(), None, Source::new(kind, svc_def::Start::ByBundles, rare))
}

fn longrun(needs: &str) -> Unit {
    unit(svc_def::Kind::Longrun, Rare { dependencies: names(needs), ..Rare::NONE })
}

fn producer(of: &str) -> Unit {
    unit(svc_def::Kind::Longrun, Rare { producer_for: Some(name(of)), ..Rare::NONE })
}

fn consumer(of: &str, pipeline: &str) -> Unit {
    let pipeline_name = ServiceName::parse(pipeline).ok();
    unit(svc_def::Kind::Longrun, Rare { consumer_for: names(of), pipeline_name, ..Rare::NONE })
}

fn bundle(contents: &str) -> Unit {
    unit(svc_def::Kind::Bundle { contents: names(contents) }, Rare::NONE)
}

fn composed(list: Vec<(&str, Unit)>) -> (Units, Vec<Node>) {
    let mut units = Units::default();
    for (text, unit) in list {
        units.insert(name(text), unit);
    }
    let nodes = units.compose(&BTreeSet::new()).into_nodes();
    (units, nodes)
}

fn listed(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| &*node.name).collect()
}

fn problem<'a>(units: &'a Units, name: &str) -> &'a str {
    units.get(name).and_then(|unit| unit.problem.as_deref()).unwrap_or("")
}

#[test]
fn a_service_that_waits_for_its_own_bundle_keeps_out_itself_only() {
    let (units, nodes) = composed(vec![
        ("user", bundle("cu late web")),
        ("cu", longrun("user")),
        ("late", longrun("legacy")),
        ("legacy", longrun("user")),
        ("web", longrun("")),
    ]);
    assert_eq!(listed(&nodes), ["legacy", "user", "web"]);
    assert!(problem(&units, "cu").contains("wait for each other"), "{}", problem(&units, "cu"));
    assert!(problem(&units, "late").contains("wait for each other"), "{}", problem(&units, "late"));
    assert_eq!(problem(&units, "user"), "goes on without cu, late, which cannot be used: see there");
}

#[test]
fn what_is_wrong_with_one_keeps_out_what_needs_it_and_nothing_else() {
    let (units, nodes) = composed(vec![
        ("web", longrun("db cache")),
        ("db", longrun("nett")),
        ("net", longrun("")),
        ("cache", longrun("")),
        ("user", bundle("web cache")),
    ]);
    assert_eq!(listed(&nodes), ["cache", "net", "user"]);
    assert_eq!(problem(&units, "db"), "db names nett, which does not exist: did you mean net?");
    assert_eq!(problem(&units, "web"), "needs db, which cannot be used: see there");
    assert_eq!(problem(&units, "user"), "goes on without web, which cannot be used: see there");
    assert_eq!(problem(&units, "cache"), "");
}

#[test]
fn a_circle_is_named() {
    let (units, nodes) = composed(vec![("a", longrun("b")), ("b", longrun("a")), ("c", longrun(""))]);
    assert_eq!(listed(&nodes), ["c"]);
    assert_eq!(problem(&units, "a"), "a -> b -> a wait for each other: remove one of these dependencies");
}

#[test]
fn bundles_with_certain_names_are_what_is_started() {
    let started = |nodes: &[Node]| nodes.iter().filter(|node| node.up).map(|node| node.name.to_string()).collect::<Vec<_>>();
    let (_, nodes) = composed(vec![("web", longrun("")), ("db", longrun("")), ("mine", bundle("db"))]);
    assert_eq!(started(&nodes), ["db", "web"]);
    let (_, nodes) = composed(vec![("web", longrun("")), ("db", longrun("")), ("default", bundle("db"))]);
    assert_eq!(started(&nodes), ["default"]);
}

#[test]
fn a_pipeline_needs_both_halves_and_has_a_name() {
    let (_, nodes) = composed(vec![("a", producer("log")), ("b", producer("log")), ("log", consumer("a b", "pipe"))]);
    assert_eq!(listed(&nodes), ["a", "b", "log", "pipe"]);
    let needs = |node: &Node| node.dependencies.iter().map(|dependency| dependency.on.to_string()).collect::<Vec<_>>();
    assert_eq!(needs(&nodes[0]), ["log"]);
    assert_eq!(needs(&nodes[3]), ["log", "a", "b"]);
    assert!(nodes[2].logger && !nodes[0].logger);

    let (units, nodes) = composed(vec![("a", producer("log")), ("log", consumer("b", "pipe"))]);
    assert!(nodes.is_empty());
    assert_eq!(problem(&units, "a"), "is producer-for log, which is not consumer-for a: add the name to its consumer-for");
    assert_eq!(
        problem(&units, "log"),
        "is consumer-for b, which is not producer-for log: write the name into its producer-for"
    );
}

#[test]
fn a_bundle_may_have_a_pipeline_in_it() {
    let (units, nodes) = composed(vec![("a", producer("log")), ("log", consumer("a", "pipe")), ("user", bundle("pipe"))]);
    assert_eq!(listed(&nodes), ["a", "log", "pipe", "user"]);
    assert_eq!(&*nodes[3].dependencies[0].on, "pipe");
    assert_eq!(problem(&units, "user"), "");
}

#[test]
fn a_name_that_is_taken_is_no_name_of_a_pipeline_and_keeps_nobody_out() {
    let (units, nodes) = composed(vec![
        ("a", producer("a-log")),
        ("a-log", consumer("a", "pipe")),
        ("b", producer("b-log")),
        ("b-log", consumer("b", "pipe")),
        ("c", producer("c-log")),
        ("c-log", consumer("c", "a")),
        ("user", bundle("pipe")),
    ]);
    assert_eq!(listed(&nodes), ["a", "a-log", "pipe", "b", "b-log", "c", "c-log", "user"]);
    let (cure, of) = ("write another one; until then its pipeline has no name", "its pipeline-name");
    assert_eq!(problem(&units, "a-log"), "");
    assert_eq!(problem(&units, "b-log"), format!("{of} pipe is also the pipeline-name of a-log: {cure}"));
    assert_eq!(problem(&units, "c-log"), format!("{of} a is also the name of a service: {cure}"));
    assert_eq!((problem(&units, "user"), problem(&units, "b"), problem(&units, "c")), ("", "", ""));
}

#[test]
fn an_edit_that_does_not_fit_changes_nothing() {
    let (mut units, nodes) = composed(vec![("a", longrun("b")), ("b", longrun("")), ("c", longrun("b"))]);
    units.read_again(&name("b"), None, longrun("a").source);
    assert_eq!(units.compose(&BTreeSet::new()).into_nodes(), nodes);
    assert_eq!(
        problem(&units, "b"),
        "a -> b -> a wait for each other: remove one of these dependencies; until then it stays as it was before the edit"
    );
    assert_eq!((problem(&units, "a"), problem(&units, "c")), ("", ""));
    // The same once more is no news, and a good one is taken.
    units.read_again(&name("b"), None, longrun("a").source);
    assert_eq!(units.compose(&BTreeSet::new()).into_nodes(), nodes);
    units.read_again(&name("b"), None, longrun("").source);
    assert!(units.is_stale());
    assert_eq!(units.compose(&BTreeSet::new()).into_nodes(), nodes);
    assert_eq!(problem(&units, "b"), "");
}

#[test]
fn half_a_pipeline_cut_by_an_edit_stays_whole() {
    let (mut units, nodes) = composed(vec![("a", producer("log")), ("log", consumer("a", ""))]);
    units.read_again(&name("a"), None, longrun("").source);
    assert_eq!(units.compose(&BTreeSet::new()).into_nodes(), nodes);
    assert!(problem(&units, "a").starts_with("is no longer producer-for log"), "{}", problem(&units, "a"));
    units.read_again(&name("log"), None, longrun("").source);
    assert_eq!(units.compose(&BTreeSet::new()).into_nodes(), nodes, "the other half alone is no better");
    for half in ["a", "log"] {
        units.read_again(&name(half), None, longrun("").source);
    }
    assert_ne!(units.compose(&BTreeSet::new()).into_nodes(), nodes);
    assert_eq!((problem(&units, "a"), problem(&units, "log")), ("", ""));
}

/// What a change of each key does, as service.toml(5) says: its name, an example, the kinds, and whether it restarts.
fn keys() -> Vec<(String, String, Vec<String>, bool)> {
    let manual = svc_def::manual().replace("\\-", "-");
    let mut keys = Vec::new();
    for entry in manual.split(".TP\n.B ").skip(1).filter(|entry| entry.contains(". A change ")) {
        let between = |from: &str, to: &str| entry.split_once(from).and_then(|(_, rest)| Some(rest.split_once(to)?.0));
        let key = entry.lines().next().unwrap_or_default();
        let (Some(kinds), Some(change), Some(example)) =
            (between("; for: ", ". Default: "), between(". A change ", ". Since "), between("\nExample: ", "\n"))
        else {
            panic!("{entry}");
        };
        let kinds = kinds.split(", ").map(str::to_owned).collect();
        match change {
            "restarts it" => keys.push((key.to_owned(), example.to_owned(), kinds, true)),
            "holds from then on, without a restart" => keys.push((key.to_owned(), example.to_owned(), kinds, false)),
            refused => assert!(key == "kind" && refused.starts_with("is refused"), "{key}: {refused}"),
        }
    }
    keys
}

/// What a key is given with, before and after.
fn beside(key: &str) -> &'static str {
    match key {
        "home" | "uid" | "gid" | "volumes" => "user = 'nobody'",
        "landlock.version" => "landlock.read = ['/']",
        "wait-timeout" => "wait-for = 'tcp://db:1'",
        "on-change" => "watch = '/no/file'",
        "restart.max-delay" => "restart.factor = 2",
        "restart.window" | "restart.at-limit" => "restart.limit = 5",
        "ready.interval" | "ready.timeout" => "ready.tcp = ':1'",
        "health.interval"
        | "health.timeout"
        | "health.start-period"
        | "health.failures"
        | "health.successes"
        | "health.action" => "health.tcp = ':1'",
        "memory.interval" | "memory.action" => "memory.limit = '1GiB'",
        "idle-stop" => "sockets = ['127.0.0.1:1']\nstart = 'on-demand'",
        _ => "",
    }
}

#[test]
fn a_change_of_each_key_restarts_or_does_not_as_the_manual_says() {
    let root = std::env::temp_dir().join(format!("svc-keys-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a directory");
    let file = root.join("it.toml");
    let graph = |text: &str| {
        std::fs::write(&file, text).expect("ours");
        let Pair { definition, source, .. } = pair::read(&name("it"), &file).unwrap_or_else(|what| panic!("{what}\n{text}"));
        let mut units = Units::default();
        for other in ["db", "migrate", "cache", "metrics", "web", "worker"] {
            units.insert(name(other), unit(svc_def::Kind::Oneshot { up: None, down: None }, Rare::NONE));
        }
        let identity = Identity { device: 0, inode: 0 };
        units.insert(name("it"), Unit::new(identity, 0, file.as_path().into(), definition, source.expect("a source")));
        let graph = units.compose(&BTreeSet::new());
        assert_eq!(problem(&units, "it"), "", "{text}");
        graph
    };
    let keys = keys();
    assert!(keys.len() > 100, "{keys:?}");
    // Only a template has instances, another start is a start, and conditions that do not hold are an end.
    let fits = |key: &str| !["instances", "start"].contains(&key) && !key.starts_with("condition.");
    for (key, example, kinds, restarts) in keys.iter().filter(|(key, ..)| fits(key)) {
        for kind in kinds {
            let base = match kind.as_str() {
                "process" | "forking" => "command = 'sleep 1000'",
                "oneshot" => "up = 'true'\ndown = 'true'",
                "bundle" => "members = ['worker']",
                "timer" if key == "cron" || key == "zone" => "command = 'true'\ncron = '1 1 * * *'",
                "timer" => "command = 'true'\nevery = '1h'",
                _ => "",
            };
            let before: Vec<&str> = base.lines().chain(beside(key).lines()).collect();
            let others = before.iter().filter(|line| !line.starts_with(&format!("{key} =")));
            let after: Vec<&str> = others.copied().chain([example.as_str()]).collect();
            let text = |lines: Vec<&str>| format!("kind = '{kind}'\n{}\n", lines.join("\n"));
            let (before, after) = (graph(&text(before)), graph(&text(after)));
            for (from, to) in [(&before, &after), (&after, &before)] {
                let step = plan(from, to).into_iter().find(|step| step.name == "it").expect("a step");
                // What a timer executes holds from its next run on.
                let ends = *restarts && kind != "timer";
                let touches = matches!(step.change, Change::Restart | Change::Reload | Change::Stop);
                assert_eq!(touches, ends, "{key} of a {kind}: {:?}, {}", step.change, step.why);
            }
        }
    }
    let _ = std::fs::remove_dir_all(root);
}
