//! Every path of the API: what it answers, and what it refuses.

use serde_json::{Value, json};
use svc_testkit::raw::{Answer, ask};
use svc_testkit::{Tree, raw};

use super::{assert_well, with_web};

fn get(tree: &Tree, path: &str) -> Answer {
    ask(&tree.socket(), "GET", path, "")
}

fn post(tree: &Tree, path: &str, body: &Value) -> Answer {
    ask(&tree.socket(), "POST", path, &body.to_string())
}

#[test]
fn questions() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let version = get(&tree, "/v1/version");
    assert_eq!(version.status, 200, "{version:?}");
    assert!(version.head.contains("application/json"), "{version:?}");
    let version = version.json();
    assert_eq!(version["api"], 1);
    assert_eq!(version["init_pid"], tree.svc_init());
    assert_eq!(version["scan_pid"], scan);
    assert_eq!(version["scan_dirs"], json!([tree.services().display().to_string()]));
    let services = get(&tree, "/v1/services").json();
    assert_eq!(services["services"][0]["name"], "web");
    assert_eq!(services["services"][0]["pid"], pid);
    assert_eq!(services["services"][0]["ready"], Value::Null);
    assert_eq!(services["problems"], json!([]));
    let detail = get(&tree, "/v1/services/web").json();
    assert_eq!(detail["status"]["state"], "up");
    assert_eq!(detail["death_count"], 0);
    let encoded = get(&tree, "/v1/services/%77e%62");
    assert_eq!(encoded.json()["status"]["name"], "web");
    let missing = get(&tree, "/v1/services/we");
    assert_eq!((missing.status, missing.error()), (404, "we: no such service".into()));
}

#[test]
fn loggers_are_named_with_an_escaped_slash() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat >/dev/null");
    tree.start();
    tree.await_up("web/log");
    for path in ["/v1/services/web%2Flog", "/v1/services/web%2flog", "/v1/services/web/log"] {
        let answer = get(&tree, path);
        assert_eq!((answer.status, answer.json()["status"]["name"].clone()), (200, json!("web/log")), "{path}");
    }
}

#[test]
fn orders() {
    let (tree, pid) = with_web();
    let stop = post(&tree, "/v1/control", &json!({"verb": "stop", "services": ["web", "nobody"]})).json();
    assert_eq!(stop["outcomes"][0]["result"], "done", "{stop}");
    assert_eq!(stop["outcomes"][0]["status"]["state"], "down");
    assert_eq!(stop["outcomes"][1]["result"], "no_such_service", "{stop}");
    let late = json!({"services": ["web"], "until": "up", "timeout_ms": 50});
    let late = post(&tree, "/v1/wait", &late).json();
    assert_eq!(late["outcomes"][0]["result"], "timed_out", "{late}");
    let told = post(&tree, "/v1/control", &json!({"verb": "start", "services": ["web"], "wait": false})).json();
    assert_eq!(told["outcomes"][0]["message"], "told", "{told}");
    let up = post(&tree, "/v1/wait", &json!({"services": ["web"], "until": "ready"})).json();
    assert_eq!(up["outcomes"][0]["result"], "done", "{up}");
    assert_ne!(tree.await_up("web"), pid);
    let any = json!({"services": ["nobody", "web"], "until": "up", "any": true});
    let any = post(&tree, "/v1/wait", &any).json();
    assert_eq!(any["outcomes"].as_array().map(Vec::len), Some(2), "{any}");
    let kill = post(&tree, "/v1/control", &json!({"verb": "kill", "services": ["web"], "signal": "USR1"})).json();
    assert!(kill["outcomes"][0]["message"].as_str().unwrap_or_default().starts_with("sent SIGUSR1 to pid"), "{kill}");
    let none = post(&tree, "/v1/control", &json!({"verb": "stop", "services": []})).json();
    assert_eq!(none, json!({"outcomes": []}));
    assert_eq!(post(&tree, "/v1/rescan", &json!({})).status, 200);
    assert_eq!(ask(&tree.socket(), "POST", "/v1/rescan", "").status, 200);
}

/// Whoever decides on each: what is in the graph, and what is not.
#[test]
fn outcomes_are_in_the_order_asked_and_of_each_name_once() {
    let (tree, _) = with_web();
    tree.draft("unit").file("service.toml", "command = \"sleep 1000\"\n");
    tree.place("unit");
    tree.await_up("unit");
    let asked = json!(["nobody", "web", "unit", "web", "none", "unit"]);
    for body in [json!({"verb": "stop", "services": asked}), json!({"verb": "start", "services": asked})] {
        let answer = post(&tree, "/v1/control", &body).json();
        let names: Vec<_> = answer["outcomes"].as_array().into_iter().flatten().map(|outcome| &outcome["service"]).collect();
        assert_eq!(names, ["nobody", "web", "unit", "none"], "{answer}");
    }
}

#[test]
fn a_timeout_of_ages_is_as_good_as_none() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let body = json!({"services": ["web"], "until": "down", "timeout_ms": u64::MAX}).to_string();
    let request = raw::request("POST", "/v1/wait", &body);
    let mut stream = raw::connect(&tree.socket()).expect("svc listens");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
    assert_well(&tree, scan);
    tree.ctl_ok(&["stop", "web"]);
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).expect("an answer");
    assert_eq!(Answer::read(&answer).json()["outcomes"][0]["result"], "done");
}

#[test]
fn shutdown_ends_svc_with_the_code_asked_for() {
    let (mut tree, _) = with_web();
    let done = post(&tree, "/v1/shutdown", &json!({"code": 7}));
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(tree.wait(), 7);
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    for path in ["/", "/v1", "/v1/", "/v2/version", "/v1/nothing", "/v1/services/", "/V1/version", "/v1/version/"] {
        let answer = get(&tree, path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(!answer.error().is_empty());
    }
    for path in ["/v1/control", "/v1/wait", "/v1/rescan", "/v1/shutdown"] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
            let answer = ask(&tree.socket(), method, path, "");
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        }
    }
    for path in ["/v1/version", "/v1/services", "/v1/services/web", "/v1/events", "/v1/logs"] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = ask(&tree.socket(), method, path, "{}");
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert!(answer.error().contains("takes GET"), "{answer:?}");
        }
    }
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid, "nothing was done");
}

#[test]
fn bodies_that_are_not_what_a_path_takes() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let control = [
        "",
        "{",
        "[]",
        "null",
        "17",
        "\"stop\"",
        "{}",
        "\u{0}",
        "{\"verb\":\"stop\"}",
        "{\"verb\":\"explode\",\"services\":[\"web\"]}",
        "{\"verb\":\"stop\",\"services\":\"web\"}",
        "{\"verb\":\"stop\",\"services\":[17]}",
        "{\"verb\":\"stop\",\"services\":[\"web\"],\"wiat\":false}",
        "{\"verb\":\"stop\",\"services\":[\"web\"],\"timeout_ms\":-1}",
        "{\"verb\":\"stop\",\"services\":[\"web\"],\"signal\":\"TERM\"}",
        "{\"verb\":\"kill\",\"services\":[\"web\"]}",
        "{\"verb\":\"kill\",\"services\":[\"web\"],\"signal\":\"NOPE\"}",
        "{\"verb\":\"kill\",\"services\":[\"web\"],\"signal\":\"0\"}",
        "{\"verb\":\"stop\",\"services\":[\"web\"]} and more",
    ];
    let deep = "[".repeat(100_000);
    for body in control.into_iter().chain([deep.as_str()]) {
        let answer = ask(&tree.socket(), "POST", "/v1/control", body);
        let start: String = body.chars().take(60).collect();
        assert_eq!(answer.status, 400, "{start}: {answer:?}");
        println!("{start} -> {}", answer.error());
    }
    let unknown = ask(&tree.socket(), "POST", "/v1/control", control[12]);
    assert!(unknown.error().contains("unknown field `wiat`"), "{unknown:?}");
    for (path, body) in [
        ("/v1/wait", "{\"services\":[\"web\"]}"),
        ("/v1/wait", "{\"services\":[\"web\"],\"until\":\"tomorrow\"}"),
        ("/v1/wait", "{\"services\":[\"web\"],\"until\":\"up\",\"all\":true}"),
        ("/v1/shutdown", "{\"code\":256}"),
        ("/v1/shutdown", "{\"code\":\"0\"}"),
        ("/v1/shutdown", "{\"now\":true}"),
    ] {
        let answer = ask(&tree.socket(), "POST", path, body);
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
    }
    for query in ["lines=many", "lines=-1", "line=1", "follow=2", "follow", "x"] {
        let answer = get(&tree, &format!("/v1/logs?{query}"));
        let good = query == "follow";
        assert_eq!(answer.status, if good { 200 } else { 400 }, "{query}: {answer:?}");
    }
    assert_eq!(get(&tree, "/v1/logs?service=nobody").status, 404);
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid, "nothing was done");
}

#[test]
fn a_body_above_the_limit_is_refused() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let body = format!("{{\"verb\":\"stop\",\"services\":[\"{}\"]}}", "x".repeat(2 << 20));
    let answer = ask(&tree.socket(), "POST", "/v1/control", &body);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(answer.error().contains("at most 1048576 bytes"), "{answer:?}");
    // Without a length, in chunks.
    let mut chunked = b"POST /v1/control HTTP/1.1\r\nHost: svc\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        chunked.extend_from_slice(format!("{:x}\r\n{}\r\n", 65536, " ".repeat(65536)).as_bytes());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw::send(&tree.socket(), &chunked);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid);
}

#[test]
fn ten_thousand_names_in_one_request() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let mut names: Vec<String> = (0..10_000).map(|number| format!("nobody-{number}")).collect();
    names.push("web".into());
    let answer = post(&tree, "/v1/wait", &json!({"services": names, "until": "up"}));
    let outcomes = answer.json()["outcomes"].as_array().map_or(0, Vec::len);
    assert_eq!((answer.status, outcomes), (200, 10_001));
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid);
}
