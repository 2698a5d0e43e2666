//! Readiness keys of service.toml in a running system.

use svc_testkit::{State, Tree, free_port, is_alive, until};

/// A service that is ready by this key once `shell` has run, which waits for the file `go`. It is up and not ready first.
#[track_caller]
fn ready_by(key: &str, shell: &str) -> Tree {
    let mut tree = Tree::new();
    let dir = tree.services().join("web").display().to_string();
    let key = key.replace("DIR", &dir);
    let shell = format!("cd {dir}; until test -e go; do sleep 0.01; done; {}", shell.replace("DIR", &dir));
    tree.toml("web", &format!("command = [\"sh\", \"-c\", '''{shell}''']\n{key}\n"));
    tree.toml("app", "command = \"sleep 1000\"\nneeds = [\"web\"]\n");
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.status("web").and_then(|status| status.ready), Some(false));
    assert_eq!(tree.status("app").and_then(|status| status.pid), None, "it waits");
    std::fs::write(tree.services().join("web/go"), "").expect("ours");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    tree.await_up("app");
    tree
}

/// No program of ours is left beside the service once it is ready.
fn assert_alone(tree: &Tree) {
    until("the end of the probe", || tree.find_process("probe").is_none().then_some(()));
}

#[test]
fn a_command_that_succeeds() {
    let mut tree = ready_by("ready.exec = [\"test\", \"-e\", \"DIR/there\"]", "touch there; exec sleep 1000");
    assert_alone(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_port_that_takes_connections() {
    let port = free_port();
    let server = format!("exec python3 -m http.server --bind 127.0.0.1 {port}");
    let mut tree = ready_by(&format!("ready.tcp = \"127.0.0.1:{port}\""), &server);
    assert_alone(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_url_with_status_header_and_body() {
    let port = free_port();
    let server = format!("exec python3 -m http.server --bind 127.0.0.1 --directory DIR {port}");
    let key = format!(
        "ready.http = {{ url = \"http://127.0.0.1:{port}/\", status = [200, \"300-302\"], header = {{ Accept = \"text/html\" }}, \
         body = \"service.toml\" }}"
    );
    let mut tree = ready_by(&key, &server);
    assert_eq!(tree.stop(), 0);
}

/// Answers with 404, and says that it is able once the file `go` is there; who does not say who it is gets something else. What each
/// question says of that stands in `asked`.
const PICKY: &str = r#"
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.headers.get("X-Who"), file=open("asked", "a"), flush=True)
        known = self.headers.get("X-Who") == "svc"
        body = b"now able" if known and os.path.exists("go") else b"not yet"
        self.send_response(404 if known else 500)
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

#[test]
fn status_header_and_body_must_be_as_is_said() {
    if !svc_testkit::has_program("python3") {
        return;
    }
    for kind in ["ready", "health"] {
        let mut tree = Tree::new();
        let port = free_port();
        let page = format!(
            "{{ url = 'http://127.0.0.1:{port}/', status = 404, header = {{ X-Who = 'svc' }}, body = '^now [a-z]+$' }}"
        );
        let keys = format!("command = 'python3 picky.py {port}'\n{kind}.http = {page}\n{kind}.interval = '50ms'\n");
        tree.draft("web").file("picky.py", PICKY).file("service.toml", &keys);
        tree.place("web");
        tree.start();
        let is_good = |status: &svc_testkit::Status| match kind {
            "ready" => status.ready == Some(true),
            _ => status.health.as_ref().and_then(|health| health.verdict) == Some(svc_testkit::api::HealthVerdict::Healthy),
        };
        // The right status and the wrong body, again and again.
        assert_eq!(tree.await_lines("web/asked", 4)[..4], ["svc"; 4], "the header is sent");
        assert!(!tree.status("web").is_some_and(|status| is_good(&status)), "{kind}: {}", tree.log());
        std::fs::write(tree.services().join("web/go"), "").expect("ours");
        tree.await_status("web", "good", is_good);
        assert_eq!(tree.stop(), 0);
    }
}

#[test]
fn a_socket() {
    let server = "exec python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(\"DIR/sock\"); s.listen(); time.sleep(1000)'";
    let mut tree = ready_by("ready.unix = \"DIR/sock\"", server);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_file_of_this_start() {
    let mut tree = ready_by("ready.file = \"DIR/pid\"", "rm go; echo $$ >pid; exec sleep 1000");
    // The file is there already when it starts again, and does not count before it is written again.
    tree.ctl_ok(&["restart", "--no-wait", "web"]);
    let again = tree.await_status("web", "up again", |status| status.restarts == 1 && status.state == State::Up);
    assert_eq!(again.ready, Some(false));
    std::fs::write(tree.services().join("web/go"), "").expect("ours");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_line_of_output() {
    let mut tree =
        ready_by("ready.log = \"^now [a-z]+ to serve$\"", "rm go; echo no; echo now able to serve >&2; exec sleep 1000");
    let has = |detail: svc_testkit::api::Detail| detail.last_lines.iter().any(|line| line.line == "now able to serve");
    until("its line", || tree.detail("web").is_some_and(has).then_some(()));
    // That line is of the start before.
    tree.ctl_ok(&["restart", "--no-wait", "web"]);
    let again = tree.await_status("web", "up again", |status| status.restarts == 1 && status.state == State::Up);
    assert_eq!(again.ready, Some(false));
    std::fs::write(tree.services().join("web/go"), "").expect("ours");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_probe_goes_on_when_the_supervisor_is_killed() {
    for key in ["ready.exec = [\"test\", \"-e\", \"DIR/there\"]", "ready.log = \"^there$\"", "ready.file = \"DIR/there\""] {
        let mut tree = Tree::new();
        let dir = tree.services().join("web").display().to_string();
        let shell = format!("cd {dir}; until test -e go; do sleep 0.01; done; echo there | tee there; exec sleep 1000");
        tree.toml("web", &format!("command = [\"sh\", \"-c\", '''{shell}''']\n{}\n", key.replace("DIR", &dir)));
        tree.start();
        let pid = tree.await_up("web");
        let before = tree.supervisor("web");
        tree.kill_supervisor("web");
        tree.await_status("web", "another supervisor", |status| {
            status.supervisor_pid.is_some() && status.supervisor_pid != before
        });
        std::fs::write(tree.services().join("web/go"), "").expect("ours");
        let status = tree.await_status("web", "ready", |status| status.ready == Some(true));
        assert_eq!(status.pid, Some(pid), "{key}");
        assert_eq!(tree.stop(), 0);
    }
}

#[test]
fn a_service_that_never_is_ready_fails_and_leaves_no_probe() {
    let mut tree = Tree::new();
    let port = free_port();
    tree.toml(
        "web",
        &format!("command = \"sleep 1000\"\nready.tcp = \"127.0.0.1:{port}\"\ntimeout.start = \"300ms\"\nkeep-descendants = true\n"),
    );
    tree.start();
    tree.await_status("web", "failed", |status| !status.wanted_up || status.problem.is_some());
    let problem = tree.await_problem("web", &["not ready after 300 ms"]);
    assert!(!problem.is_empty());
    tree.ctl_ok(&["wait", "--finished", "web"]);
    assert_alone(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_probe_has_the_user_and_the_environment_of_the_service() {
    if !svc_testkit::is_root() {
        return;
    }
    let mut tree = Tree::new();
    let seen = tree.path("seen");
    std::fs::write(&seen, "").expect("ours");
    std::fs::set_permissions(&seen, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("ours");
    tree.toml(
        "web",
        &format!(
            "command = \"sleep 1000\"\nuser = \"65534\"\ndirectory = \"/usr\"\nenv.COLOUR = \"red\"\nready.exec = [\"sh\", \"-c\", \
             'echo $(id -u) $COLOUR $(pwd) >{}']\n",
            seen.display()
        ),
    );
    tree.start();
    let pid = tree.await_up("web");
    tree.await_status("web", "ready", |status| status.ready == Some(true));
    assert_eq!(std::fs::read_to_string(&seen).expect("ours"), "65534 red /usr\n");
    assert!(is_alive(pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn looks_are_as_far_apart_and_as_long_as_is_said() {
    let milliseconds = |lines: &[String]| -> Vec<u64> {
        let times: Vec<u64> = lines.iter().map(|line| line.parse::<u64>().expect("a number") / 1_000_000).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    let mut tree = Tree::new();
    let look = |name: &str, then: &str| {
        let dir = tree.services().join(name).display().to_string();
        format!("command = 'sleep 1000'\nready.exec = ['sh', '-c', 'cd {dir}; date +%s%N >>looks; {then}']\n")
    };
    let (often, hangs) = (look("often", "exit 1"), look("hangs", "test $(wc -l <looks) -gt 1 || exec sleep 1001"));
    tree.toml("often", &format!("{often}ready.interval = '20ms'"));
    tree.toml("hangs", &format!("{hangs}ready.timeout = '10s'"));
    tree.start();
    // With pauses as long as they get by themselves so many would take longer than anybody waits.
    tree.await_lines("often/looks", 130);
    tree.await_status("hangs", "ready", |status| status.ready == Some(true));
    // A look takes a moment until it writes down when it is; by itself it would have five seconds.
    let gaps = milliseconds(&tree.lines("hangs/looks"));
    assert!(gaps.len() == 1 && gaps[0] >= 6000, "the first look has more time than by itself: {gaps:?}");
    assert_eq!(tree.stop(), 0);
}
