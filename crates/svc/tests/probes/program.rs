//! `svc probe` as a program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use svc_testkit::{Said, Tree, free_port, is_alive, program, until};

fn probe(words: &[&str]) -> Said {
    Said::by(Command::new(program()).arg("probe").args(words))
}

#[track_caller]
fn answers(words: &[&str], line: &str) {
    let said = probe(words);
    assert_eq!((said.code, said.out.trim_end()), (0, line), "{words:?}: {said:?}");
}

#[track_caller]
fn refuses(words: &[&str], code: i32, line: &str) {
    let said = probe(words);
    assert_eq!((said.code, said.err.lines().next().unwrap_or_default()), (code, line), "{words:?}: {said:?}");
}

/// A directory that goes with the test.
fn folder() -> (Tree, PathBuf) {
    let tree = Tree::new();
    let path = tree.root().to_owned();
    (tree, path)
}

/// Answers each request with this, from now on.
fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
                    Ok(_) | Err(_) => break,
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let _ = stream.write_all(answer.replace("REQUEST", &text.replace("\r\n", "|")).as_bytes());
        }
    });
    port
}

#[test]
fn tcp_is_whether_a_connection_can_be_made() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("still free");
    answers(&["tcp", &format!("127.0.0.1:{port}")], &format!("tcp 127.0.0.1:{port}: takes connections"));
    answers(&["tcp", &format!(":{port}")], &format!("tcp localhost:{port}: takes connections"));
    drop(listener);
    refuses(&["tcp", &format!("127.0.0.1:{port}")], 1, &format!("tcp 127.0.0.1:{port}: connection refused"));
    refuses(&["tcp", "localhost"], 100, "svc probe: localhost: must be HOST:PORT, such as localhost:8080");
    refuses(&["tcp", "localhost:0"], 100, "svc probe: localhost:0: must be HOST:PORT, such as localhost:8080");
}

#[test]
fn waiting_ends_when_somebody_listens_or_time_is_up() {
    let port = free_port();
    let place = format!("127.0.0.1:{port}");
    refuses(&["--wait", "--timeout", "2s", "tcp", &place], 99, &format!("tcp {place}: connection refused"));
    let mut waiting = Command::new(program());
    waiting.args(["probe", "--wait", "tcp", &place]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut waiting = waiting.spawn().expect("svc");
    let listener = TcpListener::bind(&place).expect("still free");
    assert!(waiting.wait().expect("ours").success());
    drop(listener);
}

#[test]
fn http_is_about_status_headers_and_body() {
    let port = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let url = format!("http://127.0.0.1:{port}/health?x=1");
    answers(&["http", &url], &format!("{url}: answers with 200 OK"));
    answers(&["--body", "^hel+o$", "http", &url], &format!("{url}: answers with 200 OK"));
    refuses(&["--body", "bye", "http", &url], 1, &format!("{url}: answers with 200 OK, and its body does not match bye"));
    refuses(&["--status", "201-299,404", "http", &url], 1, &format!("{url}: answers with 200 OK"));

    let port = server("HTTP/1.1 404 Not Found\r\n\r\n");
    let url = format!("http://127.0.0.1:{port}/");
    refuses(&["http", &url], 1, &format!("{url}: answers with 404 Not Found"));
    answers(&["--status", "404", "http", &url], &format!("{url}: answers with 404 Not Found"));

    let port = server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    answers(
        &["--body", "^hello$", "http", &format!("http://127.0.0.1:{port}/")],
        &format!("http://127.0.0.1:{port}/: answers with 200 OK"),
    );

    let port = server("HTTP/1.1 200 OK\r\n\r\nREQUEST");
    let url = format!("http://127.0.0.1:{port}/a");
    let headers = ["--header", "host: example", "--header", "X-Y:z"];
    for line in [r"GET /a HTTP/1\.1\|", r"\|host: example\|", r"\|X-Y: z\|", r"\|Connection: close\|\|"] {
        answers(&[&headers[..], &["--body", line, "http", &url]].concat(), &format!("{url}: answers with 200 OK"));
    }

    let port = server("220 mail ready\r\n\r\n");
    let url = format!("http://127.0.0.1:{port}/");
    refuses(&["http", &url], 1, &format!("{url}: answers with something that is not HTTP"));
    refuses(
        &["http", "https://x/"],
        100,
        "svc probe: https://x/: svc speaks no TLS: name a plain port, or use exec with curl",
    );
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().expect("an address").port());
    let said = probe(&["--timeout", "2s", "http", &url]);
    // 99 from the one who watches over it, where the machine lets it be late itself.
    assert!([1, 99].contains(&said.code) && said.err == format!("{url}: no answer in time\n"), "{said:?}");
}

/// Whether a process has asked the kernel for events of files.
fn watches(pid: u32) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| entry.path().read_link().ok()).any(|link| link.to_string_lossy().contains("inotify"))
}

#[test]
fn sockets_and_files_are_waited_for_by_events() {
    let (_tree, dir) = folder();
    let (socket, file) = (dir.join("sock"), dir.join("pid"));
    let (socket, file) = (socket.to_str().expect("text"), file.to_str().expect("text"));
    refuses(&["unix", socket], 1, &format!("unix {socket}: no such file or directory"));
    refuses(&["file", file], 1, &format!("file {file}: no such file or directory"));
    // An interval that the test would not outlast: what wakes them up is that something happens.
    let waiting = [("unix", socket), ("file", file)].map(|(kind, path)| {
        let mut command = Command::new(program());
        command.args(["probe", "--wait", "--interval", "1h", kind, path]).stdout(Stdio::piped());
        command.spawn().expect("svc")
    });
    for child in &waiting {
        until("it to watch", || watches(child.id()).then_some(()));
    }
    let listener = UnixListener::bind(socket).expect("a socket");
    std::fs::write(file, "1").expect("ours");
    for mut child in waiting {
        assert!(until("its end", || child.try_wait().expect("ours")).success());
    }
    answers(&["unix", socket], &format!("unix {socket}: takes connections"));
    drop(listener);
    refuses(&["unix", socket], 1, &format!("unix {socket}: connection refused"));
    refuses(&["unix", file], 1, &format!("unix {file}: is no socket"));
    let packets = dir.join("packets");
    let _bound = UnixDatagram::bind(&packets).expect("a socket");
    answers(&["unix", &packets.display().to_string()], &format!("unix {}: is there", packets.display()));
}

#[test]
fn a_file_of_before_is_not_fresh() {
    let (_tree, dir) = folder();
    let file = dir.join("pid");
    let path = file.to_str().expect("text");
    std::fs::write(&file, "1").expect("ours");
    let old = std::time::SystemTime::now() - Duration::from_secs(5);
    let stale = || std::fs::File::open(&file).and_then(|open| open.set_modified(old)).expect("ours");
    stale();
    // Setting the time is a change, too: what counts is that nobody has touched it since.
    until("a clock that has ticked", || (probe(&["--fresh", "file", path]).code == 1).then_some(()));
    refuses(&["--fresh", "file", path], 1, &format!("file {path}: is from before the start"));
    let mut waiting = Command::new(program());
    waiting.args(["probe", "--wait", "--interval", "1h", "--fresh", "file", path]).stdout(Stdio::null());
    let mut waiting = waiting.spawn().expect("svc");
    until("that it is found", || {
        std::fs::write(&file, "2").expect("ours");
        waiting.try_wait().expect("ours")
    });
}

#[test]
fn a_command_is_killed_with_all_that_it_started() {
    answers(&["exec", "sh", "-c", "echo one; echo two >&2; echo"], "two");
    answers(&["exec", "true"], "true: exit 0");
    refuses(&["exec", "sh", "-c", "echo why; exit 3"], 1, "sh: exit 3: why");
    refuses(&["exec", "svc-has-no-such-program"], 1, "svc-has-no-such-program: there is no such program");
    let (_tree, dir) = folder();
    let pid = dir.join("pid");
    let script = format!("sleep 1000 & echo $! >{0}; echo at work; wait", pid.display());
    refuses(&["--timeout", "5s", "exec", "sh", "-c", &script], 1, "sh: did not end in time: killed: at work");
    let pid: i32 = std::fs::read_to_string(&pid).expect("written").trim().parse().expect("a pid");
    until("the end of what it started", || (!is_alive(pid)).then_some(()));
}

#[test]
fn names_have_addresses() {
    answers(&["dns", "127.0.0.1"], "dns 127.0.0.1: 127.0.0.1");
    assert_eq!(probe(&["dns", "localhost"]).code, 0);
    assert_eq!(probe(&["dns", "no name at all"]).code, 1);
}

#[test]
fn what_is_asked_wrongly_is_explained() {
    refuses(&[], 100, "svc probe: what to look for is missing: svc probe tcp HOST:PORT, for example");
    refuses(&["tpc", "x:1"], 100, "svc probe: tpc: no such kind: tcp, http, unix, file, dns, exec or log");
    refuses(&["tcp"], 100, "svc probe: tcp: what to look for is missing");
    refuses(&["tcp", "x:1", "--wait"], 100, "svc probe: --wait: options stand before the kind");
    refuses(&["log", "x"], 100, "svc probe: log: needs --notify, and a program whose output it reads");
    refuses(&["--notify", "3", "tcp", "x:1"], 100, "svc probe: --notify needs a program to execute: -- PROGRAM");
    refuses(&["--notify", "77", "tcp", "x:1", "--", "true"], 100, "svc probe: --notify 77: no such descriptor is open");
    refuses(&["--status", "20", "http", "http://x/"], 100, "svc probe: 20: must be statuses, such as 200,204,300-399");
}

/// Runs a program with a probe beside it, in a shell that has descriptor 3 open on a file, TOLD. What it wrote, and what stands there.
fn beside(probe: &str, program_words: &str) -> (Said, String) {
    let (_tree, dir) = folder();
    let told = dir.join("told");
    let program_words = program_words.replace("TOLD", &told.display().to_string());
    let line = format!("{} probe --notify 3 {probe} -- {program_words} 3>{}", program().display(), told.display());
    let said = Said::by(Command::new("sh").args(["-c", &format!("exec {line}")]));
    (said, std::fs::read_to_string(told).expect("made by the shell"))
}

#[test]
fn a_line_of_output_is_readiness_and_all_lines_pass() {
    let (said, told) =
        beside("log '^listening on [0-9]+$'", "sh -c 'echo starting; echo listening on 80 >&2; seq 100000; exit 7'");
    assert_eq!((said.code, told.as_str()), (7, "\n"));
    assert_eq!(said.err, "listening on 80\n");
    let numbers: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(said.out == format!("starting\n{numbers}"), "{} bytes", said.out.len());
    let (said, told) = beside("log never", "sh -c 'printf half; test -e /proc/self/fd/3 && echo open'");
    assert_eq!((said.out.as_str(), told.as_str()), ("half", ""), "the descriptor is not the program's");
}

#[test]
fn a_probe_beside_a_program_ends_with_it() {
    let port = free_port();
    let (said, told) = beside(&format!("tcp 127.0.0.1:{port}"), "sh -c 'sleep 0.2; echo $$'");
    assert_eq!((said.code, told.as_str()), (0, ""));
    // Whoever waited for the end of the output has seen the end of the probe: it holds the same pipes.
    const UNTIL_TOLD: &str = "sh -c 'until test -s TOLD; do sleep 0.01; done; exit 3'";
    // The first `--` is a word of the command where that is said to have as many.
    for probe in ["exec true", "--words 3 exec test -n --"] {
        let (said, told) = beside(probe, UNTIL_TOLD);
        assert_eq!((said.code, told.as_str()), (3, "\n"), "{probe}");
    }
}
