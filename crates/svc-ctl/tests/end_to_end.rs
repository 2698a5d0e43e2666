//! svc-ctl as a program, against a server that answers what a test wants.

mod common;

use std::process::Stdio;

use common::{FakeSvc, Ran, Reply, program};
use serde_json::{Value, json};
use svc_proto::api::{
    Control, Death, Detail, Done, ErrorBody, Outcome, Outcomes, Problem, Services, Shutdown, State, Status, Until, Verb,
    Verdict, Version, Wait,
};

fn status(name: &str) -> Status {
    Status {
        name: name.into(),
        state: State::Up,
        pid: Some(12),
        since_ms: 1,
        since_seconds: 125.0,
        ready: Some(true),
        ready_since_ms: Some(1),
        health: None,
        wanted_up: true,
        paused: false,
        restarts: 1,
        last_exit: Some(Death { at_ms: 1, code: Some(1), signal: None, ran_ms: 200, out_of_memory: false, watchdog: false }),
        next_start_ms: None,
        verdict: None,
        problem: None,
        changed: false,
        supervisor_pid: Some(11),
        dir: format!("/etc/s6/{name}"),
        timer: None,
        reason: None,
    }
}

fn four() -> Services {
    Services {
        services: ["web", "web/log", "worker-1", "worker-2"].map(status).into(),
        problems: vec![Problem { path: "/etc/s6/half".into(), message: "no run: write one".into() }],
    }
}

fn text(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value).expect("plain data")
}

fn ok(value: impl serde::Serialize) -> Reply {
    Reply::Json(200, text(value))
}

fn error(status: u16, message: &str) -> Reply {
    Reply::Json(status, text(ErrorBody { error: message.into() }))
}

fn outcome(service: &str, result: Verdict, message: &str) -> Outcome {
    Outcome { service: service.into(), result, message: message.into(), status: None }
}

/// Knows four services, and does to them whatever is asked.
fn obedient() -> FakeSvc {
    FakeSvc::start(|request, body| {
        let services: Vec<String> = match request {
            "GET /v1/services" => return ok(four()),
            "POST /v1/control" => serde_json::from_str::<Control>(body).expect("svc-ctl sends a Control").services,
            "POST /v1/wait" => serde_json::from_str::<Wait>(body).expect("svc-ctl sends a Wait").services,
            _ => return error(404, "no such thing"),
        };
        let known = four();
        let answer = |name: &String| match known.services.iter().any(|status| status.name == *name) {
            true => outcome(name, Verdict::Done, "up (pid 12), ready after 0.3 s"),
            false => outcome(name, Verdict::NoSuchService, "no such service"),
        };
        ok(Outcomes { outcomes: services.iter().map(answer).collect() })
    })
}

fn body(request: &str) -> Value {
    let begin = request.find('{').expect("a body");
    serde_json::from_str(&request[begin..]).expect("JSON")
}

#[test]
fn a_bare_svc_ctl_lists_everything_with_one_question() {
    let svc = obedient();
    let ran = svc.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut lines = ran.out.lines();
    assert_eq!(lines.next(), Some("NAME      STATE  PID  SINCE  READY  RESTARTS  LAST EXIT"));
    assert_eq!(lines.next(), Some("web       up      12  2m 5s  yes           1  exit 1"));
    assert!(ran.out.ends_with("\n\n/etc/s6/half: no run: write one\n"), "{}", ran.out);
    assert_eq!(svc.requests(), ["GET /v1/services"]);
}

#[test]
fn json_is_the_answer_itself() {
    let ran = obedient().run(&["status", "--json"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(serde_json::from_str::<Services>(&ran.out).ok(), Some(four()));
    let ran = obedient().run(&["--json", "status", "worker*"]);
    let names: Vec<String> =
        serde_json::from_str::<Services>(&ran.out).expect("JSON").services.into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["worker-1", "worker-2"]);
}

#[test]
fn status_is_in_the_order_asked() {
    let ran = obedient().run(&["status", "worker*", "*/log", "worker-1"]);
    let names: Vec<_> = ran.out.lines().skip(1).filter_map(|line| line.split(' ').next()).take(3).collect();
    assert_eq!(names, ["worker-1", "worker-2", "web/log"], "{}", ran.out);
}

#[test]
fn status_of_a_wrong_name_is_102_and_suggests() {
    let ran = obedient().run(&["status", "wbe", "worker-1"]);
    assert_eq!(ran.code, Some(102));
    assert!(ran.err.contains("svc-ctl: wbe: no such service; did you mean web?"), "{}", ran.err);
    assert!(ran.out.contains("worker-1"));
    let ran = obedient().run(&["status", "half"]);
    assert!(ran.err.contains("half: not a service: /etc/s6/half: no run: write one"), "{}", ran.err);
}

#[test]
fn start_waits_and_says_what_happened() {
    let svc = obedient();
    let ran = svc.run(&["start", "--timeout", "1.5s", "web", "web"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "web: up (pid 12), ready after 0.3 s\n"));
    let [request] = &svc.requests()[..] else { panic!("one request: {:?}", svc.requests()) };
    assert!(request.starts_with("POST /v1/control {"), "{request}");
    assert_eq!(body(request), json!({"verb": "start", "services": ["web"], "wait": true, "timeout_ms": 1500}));
}

#[test]
fn each_verb_is_sent_as_itself() {
    let verbs = [
        (vec!["stop", "--no-wait", "web"], json!({"verb": "stop", "services": ["web"], "wait": false})),
        (vec!["restart", "web"], json!({"verb": "restart", "services": ["web"], "wait": true})),
        (vec!["once", "web"], json!({"verb": "once", "services": ["web"], "wait": true})),
        (vec!["reload", "web"], json!({"verb": "reload", "services": ["web"], "wait": true})),
        (vec!["pause", "web"], json!({"verb": "pause", "services": ["web"], "wait": true})),
        (vec!["continue", "web"], json!({"verb": "continue", "services": ["web"], "wait": true})),
        (vec!["kill", "usr1", "web"], json!({"verb": "kill", "services": ["web"], "signal": "usr1", "wait": true})),
    ];
    for (arguments, expected) in verbs {
        let svc = obedient();
        assert_eq!(svc.run(&arguments).code, Some(0), "{arguments:?}");
        assert_eq!(body(&svc.requests()[0]), expected, "{arguments:?}");
    }
}

#[test]
fn globs_are_expanded_and_the_unmatched_are_told() {
    let svc = obedient();
    let ran = svc.run(&["restart", "w*", "zz*", "web"]);
    assert_eq!(ran.code, Some(102));
    assert!(ran.err.contains("svc-ctl: zz*: no service matches this glob"), "{}", ran.err);
    // For what is missing svc is asked by name: it may not have read it yet.
    let requests = svc.requests();
    assert_eq!(requests[..2], ["GET /v1/services", "GET /v1/services/zz%2A"]);
    let order = requests.iter().find(|request| request.starts_with("POST ")).expect("an order");
    assert_eq!(body(order)["services"], json!(["web", "worker-1", "worker-2"]));

    let svc = obedient();
    assert_eq!(svc.run(&["stop", "zz*"]).code, Some(102));
    assert!(svc.requests().iter().all(|request| request.starts_with("GET ")), "nothing is stopped when nothing matches");
}

#[test]
fn the_worst_of_several_outcomes_is_the_exit_code() {
    let svc = FakeSvc::start(|request, _| match request {
        "POST /v1/control" => ok(Outcomes {
            outcomes: vec![
                outcome("web", Verdict::Done, "up (pid 12)"),
                outcome("db", Verdict::Failed, "run: permission denied: chmod +x /etc/s6/db/run"),
                outcome("mq", Verdict::TimedOut, "not ready after 1 s"),
            ],
        }),
        _ => ok(four()),
    });
    let ran = svc.run(&["start", "web", "db", "mq"]);
    assert_eq!(ran.code, Some(99));
    assert_eq!(ran.out, "web: up (pid 12)\n");
    assert_eq!(ran.err, "svc-ctl: db: run: permission denied: chmod +x /etc/s6/db/run\nsvc-ctl: mq: not ready after 1 s\n");
    let ran = svc.run(&["start", "web", "db", "mq", "--json"]);
    assert_eq!(ran.code, Some(99));
    assert_eq!(serde_json::from_str::<Outcomes>(&ran.out).map(|answer| answer.outcomes.len()).ok(), Some(3));
}

#[test]
fn an_unknown_name_does_not_hide_the_rest() {
    let ran = obedient().run(&["start", "web", "worker-3"]);
    assert_eq!(ran.code, Some(102));
    assert!(ran.out.contains("web: up"));
    assert!(ran.err.contains("worker-3: no such service; did you mean worker-"), "{}", ran.err);
}

#[test]
fn wait_sends_what_it_waits_for() {
    let svc = obedient();
    assert_eq!(svc.run(&["wait", "--ready", "--any", "--timeout", "2m", "web"]).code, Some(0));
    let wait: Wait = serde_json::from_value(body(&svc.requests()[0])).expect("a Wait");
    assert_eq!(wait, Wait { services: vec!["web".into()], until: Until::Ready, any: true, timeout_ms: Some(120_000) });
}

#[test]
fn refusals_keep_their_words_and_get_their_codes() {
    for (status, code) in [(400, 100), (403, 111), (404, 102), (500, 111), (503, 111)] {
        let svc = FakeSvc::start(move |_, _| error(status, "because of this: do that"));
        let ran = svc.run(&["start", "web"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(code), "svc-ctl: because of this: do that\n"), "{status}");
    }
}

#[test]
fn a_lost_connection_is_a_system_error() {
    let svc = FakeSvc::start(|_, _| Reply::Hangup);
    let ran = svc.run(&["restart", "web"]);
    assert_eq!(ran.code, Some(111));
    assert!(ran.err.starts_with("svc-ctl: connection to svc lost"), "{}", ran.err);
    let svc = FakeSvc::start(|_, _| Reply::Json(200, "{\"surprise\":1}".into()));
    let ran = svc.run(&["status"]);
    assert_eq!(ran.code, Some(111));
    assert!(ran.err.contains("cannot understand svc's answer to /v1/services"), "{}", ran.err);
}

const LINES: [&str; 2] = [
    "{\"service\":\"web\",\"at_ms\":1,\"stream\":\"stdout\",\"line\":\"hello\"}\n{\"service\":\"db\",\"at_ms\":2,\"str",
    "eam\":\"stderr\",\"line\":\"\"}\n",
];

#[test]
fn logs_are_printed_with_names_where_they_are_needed() {
    let svc = FakeSvc::start(|request, _| match request {
        "GET /v1/services" => ok(four()),
        _ => Reply::Stream(LINES.into()),
    });
    let ran = svc.run(&["logs", "-f", "-n", "5"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "web: hello\ndb: \n"));
    assert_eq!(svc.run(&["logs", "web"]).out, "hello\n\n");
    assert_eq!(svc.run(&["logs", "web", "--json"]).out, LINES.concat());
    let asked = ["GET /v1/logs?lines=5&follow=1", "GET /v1/services", "GET /v1/logs?service=web"];
    assert_eq!(svc.requests()[..3], asked);
    let svc = FakeSvc::start(|_, _| Reply::Torn(LINES[0]));
    let ran = svc.run(&["logs"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(111), "web: hello\n"));
}

#[test]
fn events_are_filtered_here() {
    let svc = FakeSvc::start(|_, _| {
        Reply::Stream(vec![
            "{\"at_ms\":0,\"service\":\"\",\"event\":\"subscribed\",\"pid\":null}\n",
            "{\"at_ms\":0,\"service\":\"web\",\"event\":\"up\",\"pid\":7}\n{\"at_ms\":0,\"service\":\"db\",\"event\":\"up\",\"pid\":8}\n",
        ])
    });
    assert_eq!(svc.run(&["events", "w*"]).out, "1970-01-01T00:00:00.000Z web up pid 7\n");
    let json = svc.run(&["events", "db", "--json"]).out;
    assert_eq!(json.lines().count(), 2, "{json}");
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn why_explains_and_encodes_names() {
    let svc = FakeSvc::start(|request, _| match request {
        "GET /v1/services/web%2Flog" => ok(Detail {
            status: status("web/log"),
            deaths: Vec::new(),
            death_count: 0,
            memory_kills: 0,
            last_lines: Vec::new(),
        }),
        "GET /v1/services" => ok(four()),
        "GET /v1/graph" => Reply::Json(200, "{\"nodes\":[]}".into()),
        _ => error(404, "wbe: no such service"),
    });
    let ran = svc.run(&["why", "web/log", "wbe"]);
    assert_eq!(ran.code, Some(102), "{}", ran.err);
    assert!(ran.out.starts_with("web/log: up (pid 12) for 2m 5s, ready, restarted once\n"), "{}", ran.out);
    assert!(ran.err.contains("did you mean web?"), "{}", ran.err);
}

#[test]
fn health_names_the_sick() {
    assert_eq!(obedient().run(&["health"]).out, "4 services are up as wanted\n");
    let svc = FakeSvc::start(|_, _| {
        let mut answer = four();
        answer.services[0].ready = Some(false);
        answer.services[1].state = State::Waiting;
        answer.services[2].state = State::Down;
        answer.services[2].wanted_up = false;
        ok(answer)
    });
    let ran = svc.run(&["health"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 2), "{}", ran.out);
    assert!(ran.out.starts_with("web: up (pid 12) for 2m 5s, not ready yet"), "{}", ran.out);
    let ran = svc.run(&["health", "-q"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(1), "", ""));
    assert_eq!(svc.run(&["health", "worker*"]).code, Some(0));
}

#[test]
fn rescan_says_what_was_found() {
    let svc = FakeSvc::start(|_, _| ok(Done { message: "2 added, 1 removed".into() }));
    let ran = svc.run(&["rescan"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "2 added, 1 removed\n"));
}

#[test]
fn shutdown_sees_the_end_come() {
    let done = || text(Done { message: "stopping 4 services".into() });
    let version = || Version { version: "1".into(), api: 1, init_pid: 1, scan_pid: 2, scan_dirs: Vec::new() };
    let is_question = |request: &str| request.starts_with("GET");
    let svc = FakeSvc::start(move |request, _| match is_question(request) {
        true => ok(version()),
        false => Reply::JsonAndEnd(done()),
    });
    let ran = svc.run(&["shutdown", "--code", "3"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "stopping 4 services\n"));
    assert_eq!(
        serde_json::from_value::<Shutdown>(body(&svc.requests()[1])).ok(),
        Some(Shutdown { code: Some(3), force: false })
    );

    let svc = FakeSvc::start(|_, _| Reply::Hangup);
    assert_eq!(svc.run(&["shutdown", "--force"]).code, Some(0), "gone before it could answer");

    // One that stays is waited for, unless told not to.
    let svc = FakeSvc::start(move |_, _| Reply::Json(200, done()));
    assert_eq!(svc.run(&["shutdown", "--no-wait"]).code, Some(0));
    assert_eq!(svc.run(&["shutdown", "--timeout", "200ms"]).code, Some(99));

    let svc = FakeSvc::start(move |request, _| if is_question(request) { ok(version()) } else { Reply::Hangup });
    assert_eq!(svc.run(&["shutdown"]).code, Some(111), "it still answers");
}

#[test]
fn without_svc_the_message_says_where_it_was_looked_for() {
    let svc = obedient();
    let nowhere = svc.directory().join("nowhere");
    let ran = svc.run(&["status", "--socket", nowhere.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(111));
    assert!(
        ran.err.contains("no svc is running here: looked for") && ran.err.contains("nowhere (not there)"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 1);
    // The directory does as well as the socket.
    let directory = svc.directory().to_str().expect("UTF-8");
    assert_eq!(
        svc.command(&["--socket", directory]).env_remove("SVC_RUN_DIR").output().expect("built").status.code(),
        Some(0)
    );
}

#[test]
fn wrong_usage_is_100_and_suggests() {
    let svc = obedient();
    for arguments in [
        vec!["statsu"],
        vec!["start"],
        vec!["start", ""],
        vec!["start", "--timeout", "soon", "web"],
        vec!["start", "--no-wait", "--timeout", "1", "web"],
        vec!["kill", "NOPE", "web"],
        vec!["wait", "--up", "--down", "web"],
        vec!["stop", "[web"],
        vec!["shutdown", "--code", "256"],
        vec!["completions", "powershell"],
    ] {
        let ran = svc.run(&arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(100), ""), "{arguments:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    assert!(svc.run(&["statsu"]).err.contains("'status'"));
    assert!(svc.requests().is_empty());
    assert_eq!(svc.run(&["--help"]).code, Some(0));
    assert_eq!(svc.run(&["--version"]).code, Some(0));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let svc = obedient();
    for arguments in [vec!["status"], vec!["status", "--json"], vec!["completions", "bash"], vec!["man"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = svc.command(&arguments).stdout(writer).stderr(Stdio::piped()).output().expect("built");
        assert_eq!(Ran::new(output).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn bash_completes_commands_and_live_names() {
    let svc = FakeSvc::start(|_, _| {
        let mut answer = four();
        answer.services.push(status("queue@one"));
        answer.services.push(status("two words"));
        ok(answer)
    });
    let complete = |words: &[&str]| {
        let line = words.join(" ");
        let script = format!(
            "source <(svc-ctl completions bash); COMP_WORDS=({words}); COMP_CWORD={last}; COMP_LINE='{line}'; \
             COMP_POINT=${{#COMP_LINE}}; _svc_ctl_live svc-ctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             complete -p svc-ctl >/dev/null || echo unregistered; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            last = words.len() - 1,
        );
        let path = format!("{}:/usr/bin:/bin", program().parent().expect("a directory").display());
        let mut bash = std::process::Command::new("bash");
        bash.args(["--norc", "-c", &script]).env("PATH", path).env("SVC_RUN_DIR", svc.directory());
        let ran = Ran::new(bash.output().expect("bash is there"));
        assert_eq!(ran.err, "", "{line}");
        ran.out.split_terminator('\n').map(str::to_string).collect::<Vec<String>>()
    };
    assert_eq!(complete(&["svc-ctl", "sta"]), ["status", "start"]);
    assert_eq!(complete(&["svc-ctl", "start", "wo"]), ["worker-1", "worker-2"]);
    assert_eq!(complete(&["svc-ctl", "logs", "-n", "5", "web"]), ["web", "web/log"]);
    assert_eq!(complete(&["svc-ctl", "start", "web", ""]).len(), 6);
    assert_eq!(complete(&["svc-ctl", "start", "two"]), ["two\\ words"]);
    assert_eq!(complete(&["svc-ctl", "kill", "us"]), ["USR1", "USR2"]);
    assert_eq!(complete(&["svc-ctl", "kill", "USR1", "wo"]), ["worker-1", "worker-2"]);
    assert_eq!(complete(&["svc-ctl", "wait", "--re"]), ["--ready"]);
    assert_eq!(complete(&["svc-ctl", "rescan", "w"]), [""]);
    // A wrong socket completes nothing, and says nothing.
    assert_eq!(complete(&["svc-ctl", "--socket", "/nowhere", "start", "w"]), [""]);
    assert!(!complete(&["svc-ctl", ""]).iter().any(|word| word == "complete-names" || word == "man"));
}

#[test]
fn the_verbs_of_the_api_are_all_commands() {
    let svc = obedient();
    for verb in [Verb::Start, Verb::Stop, Verb::Restart, Verb::Reload, Verb::Once, Verb::Pause, Verb::Continue] {
        let word = text(verb);
        assert_eq!(svc.run(&[word.trim_matches('"'), "web"]).code, Some(0), "{word}");
    }
}
