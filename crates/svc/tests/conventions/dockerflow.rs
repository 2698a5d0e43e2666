//! The endpoints of Mozilla's Dockerflow.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use svc_testkit::{Tree, free_port, program, until};

fn get(port: u16, path: &str) -> (u16, Value) {
    let (code, body) = text(port, path);
    (code, serde_json::from_str(&body).expect("JSON"))
}

fn text(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, body.to_owned())
}

/// A tree with the service that answers, and its port.
fn tree(version: &str) -> (Tree, u16) {
    let (tree, port) = (Tree::new(), free_port());
    tree.service("flow")
        .run(&format!(
            "exec {} dockerflow --listen 127.0.0.1:{port} --version-file ./version.json --notify 3",
            program().display()
        ))
        .file("notification-fd", "3")
        .file("version.json", version);
    (tree, port)
}

#[test]
fn the_heartbeat_is_the_verdict_of_all_services() {
    let (mut tree, port) = tree(r#"{"source":"s","version":"1.2","commit":"c","build":"b"}"#);
    tree.service("web").run("exec sleep 1000");
    tree.service("idle").run("exec sleep 1000").file("down", "");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "flow"]);
    tree.ctl_ok(&["wait", "--up", "web"]);
    assert_eq!(get(port, "/__lbheartbeat__").0, 200);
    let (code, version) = get(port, "/__version__");
    assert_eq!((code, version["version"].as_str()), (200, Some("1.2")));
    let (code, beat) = get(port, "/__heartbeat__");
    assert_eq!((code, beat["status"].as_str()), (200, Some("ok")), "{beat}");
    assert_eq!((beat["checks"]["web"].as_str(), beat["checks"].get("idle")), (Some("ok"), None), "{beat}");
    assert_eq!(get(port, "/other").0, 404);

    tree.service("bad").run("exit 1").finish("exit 125");
    tree.ctl_ok(&["rescan"]);
    let has_failed = |beat: &Value| {
        beat["details"]["bad"]["messages"]["svc"].as_str().is_some_and(|text| text.starts_with("bad: failed"))
    };
    let (_, beat) =
        until("an error", || Some(get(port, "/__heartbeat__")).filter(|(code, beat)| *code == 503 && has_failed(beat)));
    assert_eq!((beat["status"].as_str(), beat["checks"]["bad"].as_str()), (Some("error"), Some("error")), "{beat}");
    assert_eq!(get(port, "/__lbheartbeat__").0, 200, "the load balancer asks for nothing behind it");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_version_is_answered_with_the_bytes_of_its_file() {
    let file = "{ \"source\": \"s\",\n  \"version\": \"1.2\", \"commit\": \"c\", \"build\": \"b\", \"n\": 1.0 }\n";
    let (mut tree, port) = tree(file);
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "flow"]);
    assert_eq!(text(port, "/__version__"), (200, file.to_owned()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_version_file_that_is_none_is_told() {
    let (mut tree, port) = tree("{\n\"version\" 1}");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "flow"]);
    let (code, answer) = get(port, "/__version__");
    assert_eq!(code, 500);
    assert!(answer["error"].as_str().is_some_and(|text| text.contains("version.json:2:")), "{answer}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn clients_that_send_nothing_or_too_much_harm_nobody() {
    let (mut tree, port) = tree("{}");
    tree.start();
    tree.ctl_ok(&["wait", "--ready", "flow"]);
    let silent: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
    let mut loud = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let _ = loud.write_all(format!("GET /{} HTTP/1.1\r\n", "x".repeat(1 << 20)).as_bytes());
    assert_eq!(get(port, "/__lbheartbeat__").0, 200);
    drop(silent);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = taken.local_addr().expect("bound").to_string();
    let output =
        std::process::Command::new(program()).args(["dockerflow", "--listen", &address]).output().expect("svc runs");
    assert_eq!(output.status.code(), Some(111));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("cannot listen on {address}: Address")), "{said}");
    let output = std::process::Command::new(program()).arg("dockerflow").env("PORT", "http").output().expect("svc runs");
    assert_eq!(output.status.code(), Some(100));
}

#[test]
fn the_check_looks_at_the_file_that_config_path_names() {
    let tree = Tree::new();
    let file = tree.path("config.env");
    let demand = |path: &std::path::Path| {
        let mut check = std::process::Command::new(program());
        check.args(["svc-ctl", "--socket", "/none", "check", "--dockerflow"]).env("CONFIG_PATH", path);
        let said = String::from_utf8(check.output().expect("svc runs").stdout).expect("text");
        let line = said.lines().find(|line| line.contains("configuration comes from the environment")).map(str::to_owned);
        line.expect("a line")
    };
    let shown = file.display();
    assert!(demand(&file).starts_with("NO ") && demand(&file).contains(&format!("CONFIG_PATH is {shown}: No such file")));
    std::fs::write(&file, "A=1").expect("written");
    assert_eq!(
        demand(&file),
        format!("yes configuration comes from the environment: CONFIG_PATH is {shown}, and can be read")
    );
    assert!(demand(std::path::Path::new("")).starts_with("?   "));
}
