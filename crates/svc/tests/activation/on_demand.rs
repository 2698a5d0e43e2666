//! `start = "on-demand"` and `idle-stop`: who comes starts it, and nobody keeps it.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use svc_testkit::{State, Tree, free_port as port, has_program, is_alive, needs, until, wait_idle};

use crate::{assert_wrong, has_ipv6};

/// Answers one connection after the other: what comes is sent back with its pid in front. `end` is what it ends for; a datagram is
/// written down.
const SERVER: &str = r#"
import os, socket, select, sys
sockets = [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]
held = []
while True:
    for ready in select.select(sockets + held, [], [])[0]:
        if ready.type == socket.SOCK_DGRAM:
            word = ready.recv(100).decode()
            with open("datagrams", "a") as file:
                file.write(word + "\n")
        elif ready in sockets:
            held.append(ready.accept()[0])
            continue
        else:
            word = ready.recv(100).decode()
            if word:
                ready.sendall((str(os.getpid()) + " " + word).encode())
            else:
                held.remove(ready)
                ready.close()
        if word.startswith("end"):
            os._exit(int(word[3:]))
"#;

/// What `idle-stop` says where it is given.
const SPAN: Duration = Duration::from_millis(500);

/// A service that is started on demand on these sockets; none where there is no python3.
fn server(tree: &Tree, sockets: &str, keys: &str) -> bool {
    if !needs("python3", has_program("python3")) {
        return false;
    }
    let text = format!("command = 'python3 server.py'\nstart = 'on-demand'\nsockets = {sockets}\n{keys}\n");
    tree.draft("web").file("server.py", SERVER).file("service.toml", &text);
    tree.place("web");
    true
}

fn await_armed(tree: &Tree) {
    tree.await_status("web", "armed", |status| status.state == State::Armed);
}

/// A connection on which it has answered, and its pid.
fn visit(port: u16) -> (TcpStream, i32) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    connection.set_read_timeout(Some(svc_testkit::PATIENCE)).expect("not zero");
    let pid = ask(&mut connection, "hello");
    (connection, pid)
}

fn ask(connection: &mut (impl Read + Write), word: &str) -> i32 {
    connection.write_all(word.as_bytes()).expect("it reads");
    let mut answer = [0; 100];
    let length = connection.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    answer.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn the_first_connection_starts_it_and_others_need_not_wait_for_that() {
    let mut tree = Tree::new();
    let port = port();
    if !server(&tree, &format!("['127.0.0.1:{port}']"), "ready.fd = 9\nhealth.exec = 'true'") {
        return;
    }
    let needs = "needs = ['web', { on = 'web', until = 'started' }, { on = 'web', until = 'healthy' }]";
    tree.draft("app").file("service.toml", &format!("command = 'sleep 1000'\n{needs}\n"));
    tree.place("app");
    tree.start();
    tree.await_up("app");
    await_armed(&tree);
    let status = tree.status("web").expect("known");
    assert_eq!((status.pid, status.restarts, status.wanted_up), (None, 0, true));
    assert!(tree.ctl_ok(&["why", "web"]).contains("the first connection or datagram starts it"));
    assert!(tree.ctl_ok(&["status", "web"]).contains(" armed "));
    tree.ctl_ok(&["wait", "--ready", "web"]);
    assert!(tree.ctl_ok(&["health"]).contains("2 services are up as wanted"));
    let (_connection, pid) = visit(port);
    assert_eq!(tree.await_up("web"), pid);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_edit_is_applied_whether_it_runs_or_is_armed() {
    let mut tree = Tree::new();
    let port = port();
    let sockets = format!("['127.0.0.1:{port}']");
    if !server(&tree, &sockets, "env.A = '1'") {
        return;
    }
    tree.start();
    await_armed(&tree);
    let edit = |value: u8| {
        let text = format!("command = 'python3 server.py'\nstart = 'on-demand'\nsockets = {sockets}\nenv.A = '{value}'\n");
        tree.service("web").file("service.toml", &text);
    };
    let has = |pid: i32, variable: &str| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("it runs");
        environment.split(|&byte| byte == 0).any(|one| one == variable.as_bytes())
    };
    edit(2);
    let nothing = "web: nothing: it is not up: what has changed counts from its next start on\n";
    assert!(tree.ctl_ok(&["plan"]).starts_with(nothing), "{}", tree.ctl_ok(&["plan"]));
    assert!(tree.ctl_ok(&["apply"]).starts_with(nothing));
    await_armed(&tree);
    let (connection, pid) = visit(port);
    assert!(has(pid, "A=2"));
    drop(connection);
    edit(3);
    let restart = "web: restart: its definition has changed\n";
    assert!(tree.ctl_ok(&["plan"]).starts_with(restart), "{}", tree.ctl_ok(&["plan"]));
    let applied = tree.ctl_ok(&["apply"]);
    assert!(applied.starts_with(restart) && applied.contains("web: armed"), "{applied}");
    let (_connection, next) = visit(port);
    assert!(next != pid && has(next, "A=3"));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_end_with_0_arms_it_again_and_a_failure_starts_it_again() {
    let mut tree = Tree::new();
    let port = port();
    if !server(&tree, &format!("['127.0.0.1:{port}']"), "restart.when = 'on-failure'\nrestart.delay = '10ms'") {
        return;
    }
    tree.draft("app").file("service.toml", "command = 'sleep 1000'\nneeds = [{ on = 'web', bond = 'follow' }]\n");
    tree.place("app");
    tree.start();
    let app = tree.await_up("app");
    let mut last = 0;
    for _ in 0..3 {
        let (mut connection, pid) = visit(port);
        assert_ne!(pid, last);
        ask(&mut connection, "end0");
        await_armed(&tree);
        last = pid;
    }
    let (mut connection, pid) = visit(port);
    ask(&mut connection, "end1");
    let next = tree.await_status("web", "another one", |status| status.pid.is_some_and(|next| next != pid)).pid;
    assert_eq!(Some(visit(port).1), next);
    assert_eq!(tree.await_up("app"), app, "it comes and goes, and for others it is there");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn datagrams_and_connections_of_every_kind_start_it() {
    let mut tree = Tree::new();
    let [udp, six] = [port(), port()];
    let path = tree.path("sockets").display().to_string();
    let sockets = format!("['udp://127.0.0.1:{udp}', 'unix-datagram://{path}/d', '{path}/s', '@{path}', '[::1]:{six}']");
    if !has_ipv6() || !server(&tree, &sockets, "restart.delay = '10ms'") {
        return;
    }
    tree.start();
    let mut words = Vec::new();
    let mut ended = |word: &str| {
        words.push(word.to_owned());
        assert_eq!(tree.await_lines("web/datagrams", words.len()), words);
        await_armed(&tree);
    };
    await_armed(&tree);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.send_to(b"end0", ("127.0.0.1", udp)).expect("sent");
    ended("end0");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to(b"end00", format!("{path}/d")).expect("sent");
    ended("end00");
    let mut stream = UnixStream::connect(format!("{path}/s")).expect("it listens");
    ask(&mut stream, "end0");
    await_armed(&tree);
    let mut stream = TcpStream::connect(("::1", six)).expect("it listens");
    ask(&mut stream, "end0");
    await_armed(&tree);
    assert_eq!(tree.status("web").map(|status| status.restarts), Some(3));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_nobody_needs_is_stopped_and_nobody_is_woken_for_it() {
    let mut tree = Tree::new();
    let [port, other] = [port(), port()];
    let path = tree.path("web.sock").display().to_string();
    let sockets = format!("['127.0.0.1:{port}', '{path}', 'udp://127.0.0.1:{other}']");
    if !server(&tree, &sockets, "idle-stop = '500ms'\nrestart.when = 'never'") {
        return;
    }
    tree.start();
    // A connection holds it, whatever the kind, also where nothing goes over it.
    let (connection, pid) = visit(port);
    let mut local = UnixStream::connect(&path).expect("it listens");
    assert_eq!(ask(&mut local, "hello"), pid);
    std::thread::sleep(3 * SPAN);
    assert!(is_alive(pid));
    drop(connection);
    std::thread::sleep(3 * SPAN);
    assert!(is_alive(pid));
    drop(local);
    // Those who come and go again, and datagrams, hold it too, as long as they come often enough.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (mut last, mut pid) = (Instant::now(), pid);
    for round in 0..20 {
        std::thread::sleep(SPAN / 5);
        let came = Instant::now();
        let seen = if round % 2 == 0 {
            visit(port).1
        } else {
            socket.send_to(b"word", ("127.0.0.1", other)).expect("sent");
            until("the datagram", || (tree.lines("web/datagrams").len() > round / 2).then_some(()));
            tree.await_up("web")
        };
        // A machine that has no time for us may have kept them apart for longer.
        if last.elapsed() < SPAN {
            assert_eq!(seen, pid, "in round {round}");
        }
        (last, pid) = (came, seen);
    }
    await_armed(&tree);
    assert!(last.elapsed() >= SPAN, "stopped {:?} after the last one", last.elapsed());
    assert!(!is_alive(pid));
    let exit = tree.status("web").and_then(|status| status.last_exit).expect("it ended");
    assert_eq!(exit.signal.as_deref(), Some("TERM"));
    let supervisor = tree.supervisor("web").expect("it has one");
    wait_idle(supervisor, Duration::from_millis(1000));
    let said = tree.ctl_ok(&["stop", "web"]);
    assert!(said.starts_with("web: down") && !said.contains("killed"), "{said}");
    tree.ctl_ok(&["start", "web"]);
    let (_connection, next) = visit(port);
    assert_ne!(next, pid);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn who_waits_while_it_fails_makes_no_busy_loop() {
    let mut tree = Tree::new();
    let port = port();
    let keys = "command = ['sh', '-c', 'echo >>starts; exit 1']\nstart = 'on-demand'\nrestart.delay = '50ms'\nrestart.limit = 4\nrestart.window = '1m'";
    let text = format!("{keys}\nsockets = ['127.0.0.1:{port}']\n");
    tree.draft("web").file("service.toml", &text);
    tree.place("web");
    tree.start();
    await_armed(&tree);
    let _waits = TcpStream::connect(("127.0.0.1", port)).expect("it is held");
    tree.await_status("web", "failed", |status| status.state == State::Failed);
    let supervisor = tree.supervisor("web").expect("it has one");
    wait_idle(supervisor, Duration::from_millis(500));
    assert_eq!(tree.lines("web/starts").len(), 4);
    let _another = TcpStream::connect(("127.0.0.1", port)).expect("it is held still");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn after_an_edit_it_is_started_by_who_comes_to_the_new_address() {
    let mut tree = Tree::new();
    let [before, after] = [port(), port()];
    if !server(&tree, &format!("['127.0.0.1:{before}']"), "") {
        return;
    }
    tree.start();
    await_armed(&tree);
    tree.edit("web", &format!("command = 'python3 server.py'\nstart = 'on-demand'\nsockets = ['127.0.0.1:{after}']\n"));
    until("the new socket", || TcpStream::connect(("127.0.0.1", after)).ok());
    let (_held, pid) = visit(after);
    assert_eq!(tree.await_up("web"), pid);
    until("the end of the old socket", || TcpStream::connect(("127.0.0.1", before)).is_err().then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_ends_well_and_takes_nobody_fails_in_the_end() {
    let mut tree = Tree::new();
    let [port, other] = [port(), port()];
    let idle = "command = ['sh', '-c', 'echo >>starts']\nstart = 'on-demand'\nrestart.delay = '10ms'\nidle-stop = '1m'\n";
    tree.draft("web").file("service.toml", &format!("{idle}sockets = ['127.0.0.1:{port}']\n"));
    tree.place("web");
    tree.draft("few").file("service.toml", &format!("{idle}sockets = ['udp://127.0.0.1:{other}']\nrestart.limit = 3\n"));
    tree.place("few");
    tree.draft("app").file("service.toml", "command = 'sleep 1000'\nneeds = ['web']\n");
    tree.place("app");
    tree.start();
    await_armed(&tree);
    tree.await_status("few", "armed", |status| status.state == State::Armed);
    let _waits = TcpStream::connect(("127.0.0.1", port)).expect("it is held");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.send_to(b"word", ("127.0.0.1", other)).expect("sent");
    for (name, many) in [("web", 10), ("few", 3)] {
        tree.await_status(name, "failed", |status| status.state == State::Failed);
        assert_eq!(tree.lines(&format!("{name}/starts")).len(), many, "{name}");
        let why = tree.say(&["why", name]).out;
        assert!(why.contains(&format!("started {many} times in a row by somebody who waits")), "{why}");
    }
    // So it is for the next svc-scan, and for a new supervisor.
    tree.kill_scan();
    tree.kill_supervisor("few");
    tree.await_status("few", "another supervisor", |status| status.supervisor_pid.is_some());
    for name in ["web", "few"] {
        tree.await_status(name, "failed still", |status| status.state == State::Failed);
    }
    // Somebody may ask, and then it has the same number of tries again.
    tree.say(&["start", "few"]);
    tree.await_lines("few/starts", 4);
    tree.await_status("few", "failed", |status| status.state == State::Failed);
    assert_eq!(tree.stop(), 0);
}

/// Takes one connection, says so, and ends.
const ONE: &str = r#"
import socket, select, os
sockets = [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]
ready = select.select(sockets, [], [])[0][0]
connection, _ = ready.accept()
connection.sendall(b"taken")
"#;

#[test]
fn one_that_takes_one_at_a_time_serves_a_whole_queue() {
    let mut tree = Tree::new();
    if !needs("python3", has_program("python3")) {
        return;
    }
    let port = port();
    let path = tree.path("web.sock").display().to_string();
    let keys = format!("start = 'on-demand'\nrestart.delay = '1ms'\nsockets = ['127.0.0.1:{port}', '{path}']");
    tree.draft("web").file("one.py", ONE).file("service.toml", &format!("command = 'python3 one.py'\n{keys}\n"));
    tree.place("web");
    tree.start();
    await_armed(&tree);
    let remote: Vec<TcpStream> = (0..14).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it is held")).collect();
    let local: Vec<UnixStream> = (0..14).map(|_| UnixStream::connect(&path).expect("it is held")).collect();
    let mut all = remote.into_iter().map(|it| Box::new(it) as Box<dyn Read>).collect::<Vec<_>>();
    all.extend(local.into_iter().map(|it| Box::new(it) as Box<dyn Read>));
    for mut connection in all {
        let mut word = String::new();
        connection.read_to_string(&mut word).expect("an answer");
        assert_eq!(word, "taken");
    }
    await_armed(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn who_is_started_by_a_knock_has_no_more_time_to_become_ready_than_others() {
    let mut tree = Tree::new();
    let port = port();
    let text = format!(
        "command = ['sh', '-c', 'test ! -e good || echo >&9; exec sleep 1000']\nstart = 'on-demand'\nready.fd = 9\n\
         timeout.start = '5s'\nsockets = ['127.0.0.1:{port}']\n"
    );
    tree.draft("web").file("good", "").file("service.toml", &text);
    tree.place("web");
    tree.draft("app").file("service.toml", "command = 'sleep 1000'\nneeds = ['web']\n");
    tree.place("app");
    tree.start();
    await_armed(&tree);
    let app = tree.await_up("app");
    // In time: nothing happens when that is over.
    let _waits = TcpStream::connect(("127.0.0.1", port)).expect("it is held");
    let web = tree.await_status("web", "ready", |status| status.ready == Some(true)).pid;
    std::thread::sleep(Duration::from_millis(5500));
    assert_eq!((tree.status("web").and_then(|status| status.pid), tree.await_up("app")), (web, app));
    // Once more, and it does not come.
    std::fs::remove_file(tree.services().join("web/good")).expect("ours");
    tree.ctl_ok(&["stop", "--dependents", "web"]);
    // The connection that nobody has taken knocks as soon as web is armed: app may come up in between, or fail with it.
    tree.ctl_ok(&["start", "--no-wait", "app"]);
    let status = tree.await_status("web", "failed", |status| status.problem.is_some() && status.pid.is_none());
    assert!(status.problem.as_ref().is_some_and(|problem| problem.contains("which is its time to start")), "{status:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn it_is_armed_whoever_is_killed() {
    let mut tree = Tree::new();
    let port = port();
    if !server(&tree, &format!("['127.0.0.1:{port}']"), "restart.delay = '10ms'") {
        return;
    }
    tree.start();
    await_armed(&tree);
    tree.kill_supervisor("web");
    await_armed(&tree);
    let (mut connection, pid) = visit(port);
    tree.kill_supervisor("web");
    ask(&mut connection, "end0");
    await_armed(&tree);
    tree.kill_scan();
    await_armed(&tree);
    tree.kill_supervisor("web");
    let (_connection, next) = visit(port);
    assert_ne!(next, pid);
    assert_eq!(tree.await_up("web"), next);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn svc_ctl_starts_it_at_once_and_a_stop_disarms_it() {
    let mut tree = Tree::new();
    let port = port();
    if !server(&tree, &format!("['127.0.0.1:{port}']"), "") {
        return;
    }
    tree.start();
    await_armed(&tree);
    assert!(tree.ctl_ok(&["start", "web"]).contains("up (pid "));
    let pid = tree.status("web").and_then(|status| status.pid).expect("it runs");
    tree.ctl_ok(&["restart", "web"]);
    let next = tree.status("web").and_then(|status| status.pid).expect("it runs");
    assert_ne!(next, pid);
    tree.ctl_ok(&["stop", "web"]);
    let _waits = TcpStream::connect(("127.0.0.1", port)).expect("it is held");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    tree.ctl_ok(&["start", "web"]);
    let (mut connection, _) = visit(port);
    ask(&mut connection, "end0");
    await_armed(&tree);
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    // What needs it has it armed.
    tree.draft("app").file("service.toml", "command = 'sleep 1000'\nneeds = ['web']\nstart = false\n");
    tree.place("app");
    tree.ctl_ok(&["rescan"]);
    tree.ctl_ok(&["start", "app"]);
    await_armed(&tree);
    // Not on demand any more: it is to be up.
    let text = std::fs::read_to_string(tree.services().join("web/service.toml")).expect("ours");
    std::fs::write(tree.services().join("web/service.toml"), text.replace("'on-demand'", "true")).expect("ours");
    tree.ctl_ok(&["rescan"]);
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn wrong_values_are_told_with_their_cure() {
    let cases = [
        ("none", "command = 'true'\nstart = 'on-demand'", "needs sockets, whose first connection or datagram starts it"),
        ("kind", "kind = 'oneshot'\nup = 'true'\nstart = 'on-demand'", "means something for a process or a forking one"),
        (
            "word",
            "command = 'true'\nstart = 'lazy'",
            "start is \"lazy\", and must be true or false, without quotes, or \"on-demand\"",
        ),
        ("idle", "command = 'true'\nsockets = ['80']\nidle-stop = '5m'", "idle-stop needs start = \"on-demand\""),
        (
            "zero",
            "command = 'true'\nsockets = ['80']\nstart = 'on-demand'\nidle-stop = 0",
            "idle-stop is \"0\", and must be",
        ),
    ];
    assert_wrong(&cases.map(|(name, keys, words)| (name, keys.to_owned(), words)));
}
