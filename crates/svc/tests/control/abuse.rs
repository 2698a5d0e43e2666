//! Clients that are malformed, huge, slow, many, or gone: each harms nobody else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use svc_testkit::raw::{self, Answer, connect, request};
use svc_testkit::{NOBODY, Tree, figure, is_root, until};

use super::{assert_well, with_web};

/// What svc-scan has in memory of its own, in KiB. Its code comes and goes: it is given back when nothing happens for a second.
fn memory(scan: i32) -> u64 {
    figure(scan, "RssAnon").expect("it lives")
}

const VERSION: &[u8] = b"GET /v1/version HTTP/1.1\r\nHost: svc\r\n\r\n";

#[test]
fn malformed_requests() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let requests: [&[u8]; 14] = [
        b"",
        b"\n",
        b"\r\n\r\n\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/version\r\n\r\n",
        b"GET /v1/version HTTP/9.9\r\n\r\n",
        b"GET /v1/ver\0sion HTTP/1.1\r\nHost: svc\r\n\r\n",
        b"GET /v1/version HTTP/1.1\r\nHost svc\r\n\r\n",
        b"POST /v1/control HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/control HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/control HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in requests {
        let mut stream = connect(&tree.socket()).expect("svc listens");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = Answer::read(&answer);
        assert!(matches!(answer.status, 0 | 400), "{:?}: {answer:?}", String::from_utf8_lossy(bytes));
        assert_well(&tree, scan);
    }
    assert_eq!(tree.await_up("web"), pid);
}

#[test]
fn a_body_that_is_malformed_or_breaks_off_is_not_called_too_large() {
    let (tree, _) = with_web();
    for rest in ["Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Content-Length: 100\r\n\r\n{"] {
        let mut stream = connect(&tree.socket()).expect("svc listens");
        stream.write_all(format!("POST /v1/control HTTP/1.1\r\nHost: svc\r\n{rest}").as_bytes()).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("no more");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = Answer::read(&answer);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains("send all that its head announces"), "{answer:?}");
    }
}

#[test]
fn ten_megabytes_of_head() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let before = memory(scan);
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let many_lines = format!("GET /v1/version HTTP/1.1\r\n{}", line.repeat(10_000));
    let long_line = format!("GET /v1/version HTTP/1.1\r\nX: {}", "x".repeat(10 << 20));
    let long_path = format!("GET /v1/{} HTTP/1.1\r\n\r\n", "x".repeat(10 << 20));
    for (what, bytes) in [("many lines", many_lines), ("a long line", long_line), ("a long path", long_path)] {
        let answer = raw::send(&tree.socket(), bytes.as_bytes());
        assert!(matches!(answer.status, 0 | 400 | 414 | 431), "{what}: {answer:?}");
        assert_well(&tree, scan);
    }
    let grown = memory(scan).saturating_sub(before);
    assert!(grown < 4096, "svc-scan has grown by {grown} KiB");
}

/// An answer is as long as what is asked for, which a short name that stands there often would make a hundred times the question.
#[test]
fn many_names_make_no_long_answer() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let ask = |path: &str, names: &str| {
        let body = format!(
            "{{{}\"services\":[{names}]}}",
            if path == "wait" { "\"until\":\"up\"," } else { "\"verb\":\"kill\",\"signal\":\"CONT\"," }
        );
        raw::ask(&tree.socket(), "POST", &format!("/v1/{path}"), &body)
    };
    let often = vec!["\"web\""; 100_000].join(",");
    let others: Vec<String> = (0..50_000).map(|number| format!("\"{number}\"")).collect();
    for path in ["wait", "control"] {
        let answer = ask(path, &often);
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert_eq!(answer.json()["outcomes"].as_array().map(Vec::len), Some(1), "{path}");
        let refused = ask(path, &others.join(","));
        assert_eq!(
            (refused.status, refused.error()),
            (400, "50000 names of services: at most 32768 at once".into()),
            "{path}"
        );
    }
    let often = format!("/v1/logs?service=web{}", "&service=web".repeat(1000));
    assert_eq!(raw::ask(&tree.socket(), "GET", &often, "").status, 200);
    assert_well(&tree, scan);
}

#[test]
fn a_client_that_sends_a_byte_a_second_is_hung_up_on() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let mut slow = connect(&tree.socket()).expect("svc listens");
    let mut half = connect(&tree.socket()).expect("svc listens");
    half.write_all(b"POST /v1/control HTTP/1.1\r\nContent-Length: 100\r\n\r\n{").expect("sent");
    let begin = Instant::now();
    let is_hung_up_on = VERSION.iter().chain(VERSION).any(|byte| {
        assert_well(&tree, scan);
        std::thread::sleep(Duration::from_millis(500));
        slow.write_all(&[*byte]).is_err()
    });
    assert!(is_hung_up_on, "still connected");
    println!("hung up on after {:?}", begin.elapsed());
    let mut answer = Vec::new();
    let _ = half.read_to_end(&mut answer);
    let answer = Answer::read(&answer);
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.error().contains("within 10 s"), "{answer:?}");
}

#[test]
fn clients_that_hang_up_in_the_middle() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let socket = tree.socket();
    let until_down = request("POST", "/v1/wait", "{\"services\":[\"web\"],\"until\":\"down\"}");
    let requests =
        ["GET /v1/ver".to_owned(), request("GET", "/v1/services", ""), request("GET", "/v1/events", ""), until_down];
    for round in 0..400 {
        let mut stream = connect(&socket).expect("svc listens");
        stream.write_all(requests[round % requests.len()].as_bytes()).expect("sent");
    }
    assert_well(&tree, scan);
    until("all their descriptors to be closed", || (svc_testkit::descriptors(scan) < 40).then_some(()));
    // Memory of those who listened and went is given back.
    let before = memory(scan);
    for _ in 0..3000 {
        let mut stream = connect(&socket).expect("svc listens");
        stream.write_all(request("GET", "/v1/events", "").as_bytes()).expect("sent");
        let mut some = [0; 64];
        let _ = stream.read(&mut some);
    }
    let grown = memory(scan).saturating_sub(before);
    assert!(grown < 4096, "svc-scan has grown by {grown} KiB");
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (tree, _) = with_web();
    let mut stream = connect(&tree.socket()).expect("svc listens");
    let mut bytes = Vec::new();
    for _ in 0..50 {
        bytes.extend_from_slice(VERSION);
        bytes.extend_from_slice(b"GET /v1/services/nobody HTTP/1.1\r\nHost: svc\r\n\r\n");
    }
    bytes.extend_from_slice(request("GET", "/v1/version", "").as_bytes());
    stream.write_all(&bytes).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    let statuses: Vec<&str> = answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    let expected: Vec<&str> = (0..50).flat_map(|_| ["200", "404"]).chain(["200"]).collect();
    assert_eq!(statuses, expected);
}

#[test]
fn three_hundred_idle_connections_and_one_more() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let idle: Vec<UnixStream> = (0..300).map(|_| connect(&tree.socket()).expect("svc listens")).collect();
    assert_well(&tree, scan);
    tree.ctl_ok(&["status"]);
    drop(idle);
    assert_well(&tree, scan);
}

#[test]
fn above_the_limit_a_client_is_refused_in_words() {
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    let mut idle: Vec<UnixStream> = (0..512).map(|_| connect(&tree.socket()).expect("svc listens")).collect();
    let refused = raw::ask(&tree.socket(), "GET", "/v1/version", "");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.error().contains("512 clients are connected, which is the most"), "{refused:?}");
    let said = tree.say(&["status"]);
    assert!(said.code == 111 && said.err.contains("try again"), "{said:?}");
    idle.truncate(500);
    until("room again", || (raw::ask(&tree.socket(), "GET", "/v1/version", "").status == 200).then_some(()));
    drop(idle);
    until("all room", || (svc_testkit::descriptors(scan) < 40).then_some(()));
    assert_well(&tree, scan);
}

#[test]
fn a_user_who_may_only_look_cannot_keep_root_out() {
    if !is_root() {
        return;
    }
    let (tree, _) = with_web();
    let scan = tree.process("svc-scan");
    // Streams, which are never idle, as another user: a program of its own for each would be slow, so one shell holds them.
    let script = format!(
        "for i in $(seq 200); do curl -sN --unix-socket {} http://svc/v1/events & done; wait",
        tree.socket().display()
    );
    if !svc_testkit::needs("curl", svc_testkit::has_program("curl")) {
        return;
    }
    let mut command = std::process::Command::new("sh");
    std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let log = std::fs::File::create(tree.path("curls")).expect("ours");
    let mut clients = svc_testkit::spawn(command.args(["-c", &script]).stdout(log)).expect("sh");
    until("128 streams", || {
        let text = std::fs::read_to_string(tree.path("curls")).unwrap_or_default();
        (text.matches("subscribed").count() >= 128 && text.contains("65534 has 128 connections open")).then_some(())
    });
    assert_well(&tree, scan);
    let said = tree.say_as(NOBODY, &["status"]);
    assert!(said.code == 111 && said.err.contains("which is the most: close some"), "{said:?}");
    tree.ctl_ok(&["restart", "web"]);
    svc_testkit::descendants(clients.id() as i32).iter().for_each(|process| svc_testkit::kill(process.pid, "KILL"));
    let _ = clients.kill();
    let _ = clients.wait();
    until("room again", || (tree.say_as(NOBODY, &["status"]).code == 0).then_some(()));
}

#[test]
fn thousands_of_connections_one_after_the_other_and_at_once() {
    let (tree, pid) = with_web();
    let scan = tree.process("svc-scan");
    let begin = Instant::now();
    for _ in 0..3000 {
        let answer = raw::ask(&tree.socket(), "GET", "/v1/version", "");
        assert_eq!(answer.status, 200);
    }
    println!("3000 connections: {:?}", begin.elapsed());
    let socket = tree.socket();
    let workers: Vec<_> = (0..32)
        .map(|_| {
            let socket = socket.clone();
            std::thread::spawn(move || (0..50).all(|_| raw::ask(&socket, "GET", "/v1/services", "").status == 200))
        })
        .collect();
    assert!(workers.into_iter().all(|worker| worker.join().unwrap_or(false)));
    assert_well(&tree, scan);
    assert_eq!(tree.await_up("web"), pid);
}

#[test]
fn who_does_not_read_answers_keeps_nobody_waiting() {
    let (tree, _): (Tree, i32) = with_web();
    let scan = tree.process("svc-scan");
    let mut lazy: Vec<UnixStream> = (0..20).map(|_| connect(&tree.socket()).expect("svc listens")).collect();
    let many: Vec<u8> = b"GET /v1/services HTTP/1.1\r\nHost: svc\r\n\r\n".repeat(2000);
    for stream in &mut lazy {
        stream.set_nonblocking(true).expect("ours");
        let _ = stream.write(&many);
    }
    for _ in 0..20 {
        assert_well(&tree, scan);
    }
    let grown = memory(scan);
    assert!(grown < 64 * 1024, "svc-scan has {grown} KiB");
}

/// Where there are few descriptors clients do not get all of them.
#[test]
fn clients_leave_descriptors_for_the_services() {
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--nofile=64:64"]);
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let idle: Vec<UnixStream> = (0..100).map(|_| connect(&tree.socket()).expect("svc listens")).collect();
    let said = tree.say(&["status"]);
    assert_eq!(said.code, 111, "{said:?}");
    assert!(said.err.contains("nearly all of the 64 descriptors"), "{said:?}");
    assert!(said.err.contains("docker run --ulimit nofile="), "{said:?}");
    let seen = tree.path("seen").display().to_string();
    tree.draft("late").run(&format!("echo there >{seen}; exec sleep 1000"));
    tree.place("late");
    until("a new service", || std::fs::exists(&seen).unwrap_or(false).then_some(()));
    assert!(!tree.log().contains("cannot take a client"), "{}", tree.log());
    drop(idle);
    until("room again", || (tree.say(&["wait", "late"]).code == 0).then_some(()));
}
