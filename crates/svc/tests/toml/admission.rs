//! What holds a service back: conditions, and endpoints outside.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use svc_testkit::{State, Tree, free_port, is_alive, kill, until};

const STAY: &str = "command = 'sleep 1000'\n";

#[track_caller]
fn await_skipped(tree: &Tree, name: &str, why: &str) {
    let has = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains(why));
    tree.await_status(name, why, |status| status.state == State::Skipped && has(&status.reason) && status.pid.is_none());
}

#[test]
fn each_condition_holds_or_says_why_not() {
    let mut tree = Tree::new();
    tree.set("MODE", "production").set("SVC_PROFILES", "web, worker");
    tree.set("MY_SQL_NAME", "/web/my-sql").set("REDIS_PORT_6379_TCP_ADDR", "172.17.0.2").set("MONGO_HOST", "mongo.example");
    std::fs::create_dir(tree.path("folder")).expect("ours");
    std::fs::write(tree.path("empty"), "").expect("ours");
    std::fs::write(tree.path("full"), "x").expect("ours");
    let root = tree.root().display().to_string();
    let good = [
        ("env-set", "condition.env = 'MODE'".to_owned()),
        ("env-equals", "condition.env = ['MODE=production', '!NOBODY']".into()),
        ("env-matches", "condition.env = 'MODE=~^prod'".into()),
        ("file", format!("condition.file = ['{root}/full', 'not-empty:{root}/full', '!{root}/none']")),
        ("directory", format!("condition.file = ['directory:{root}/folder', 'executable:/bin/sh', 'service.toml']")),
        ("profile", "condition.profile = ['web', 'db', '!debug']".into()),
        ("link", "condition.link = ['my-sql', 'redis', 'mongo', '!postgres']".into()),
        ("arch", format!("condition.arch = ['{}', 's390x']", std::env::consts::ARCH)),
        ("command", "env.A = 'b'\ncondition.command = \"sh -c 'test $A = b && test -e service.toml'\"".into()),
        (
            "command-elsewhere",
            format!(
                "directory = '{root}/folder'\ncondition.command = \"sh -c 'test $(pwd -P) = $(realpath {root}/folder)'\""
            ),
        ),
        ("no-command", "condition.command = ['!', 'false']".into()),
    ];
    let bad = [
        ("not-set", "condition.env = 'NOBODY'".to_owned(), "NOBODY is not set".to_owned()),
        ("not-equal", "condition.env = 'MODE=test'".into(), "MODE is \"production\", and not \"test\"".into()),
        ("denied", "condition.env = '!MODE'".into(), "MODE is set".into()),
        ("no-match", "condition.env = 'MODE=~^test$'".into(), "which does not match ^test$".into()),
        ("missing", format!("condition.file = '{root}/none'"), format!("{root}/none does not exist")),
        ("empty", format!("condition.file = 'not-empty:{root}/empty'"), format!("{root}/empty is empty")),
        ("no-directory", format!("condition.file = 'directory:{root}/full'"), "full is not a directory".into()),
        ("no-program", format!("condition.file = 'executable:{root}/full'"), "full is not executable".into()),
        ("other-profile", "condition.profile = 'db'".into(), "SVC_PROFILES must be db: it is web, worker".into()),
        ("no-profile", "condition.profile = '!web'".into(), "SVC_PROFILES must not be web".into()),
        ("no-link", "condition.link = 'postgres'".into(), "postgres is not linked, and POSTGRES_HOST is not set".into()),
        ("linked", "condition.link = '!mongo'".into(), "mongo is there: MONGO_HOST is \"mongo.example\"".into()),
        ("other-arch", "condition.arch = 's390x'".into(), "the architecture must be s390x: it is ".into()),
        ("bad-command", "condition.command = 'false'".into(), "`false` ends with 1".into()),
        ("no-place", format!("directory = '{root}/none'\ncondition.command = 'true'"), "`true` ends with 111".into()),
        ("good-command", "condition.command = '! true'".into(), "`! true` ends with 0".into()),
    ];
    good.iter().for_each(|(name, keys)| _ = tree.toml(name, &format!("{STAY}{keys}")));
    bad.iter().for_each(|(name, keys, _)| _ = tree.toml(name, &format!("{STAY}{keys}")));
    // One of a single file is in the directory that this stands in.
    tree.one_file("one-file", &format!("{STAY}condition.command = 'test -e one-file.toml'"));
    tree.start();
    for name in good.iter().map(|(name, _)| *name).chain(["one-file"]) {
        tree.await_up(name);
    }
    for (name, _, why) in &bad {
        await_skipped(&tree, name, why);
    }
    assert_eq!(tree.say(&["health"]).code, 0, "what is skipped is not wanted here");
    let why = tree.ctl_ok(&["why", "not-set"]);
    assert!(why.contains("not-set: skipped") && why.contains("skipped: NOBODY is not set"), "{why}");
    assert!(tree.ctl_ok(&["graph"]).contains("not-set (process, skipped: NOBODY is not set)"));
    assert!(tree.ctl_ok(&["status"]).contains("not-set: skipped: NOBODY is not set"));
    assert!(tree.log().contains("svc-scan: not-set: skipped: NOBODY is not set"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_depends_on_a_skipped_one_starts_or_is_blocked() {
    let mut tree = Tree::new();
    tree.toml("left-out", &format!("{STAY}condition.env = 'NOBODY'\nneeds = ['deep']"));
    tree.toml("deep", &format!("{STAY}start = false"));
    tree.toml("goes-on", &format!("{STAY}needs = ['left-out']"));
    tree.toml("refused", &format!("{STAY}condition.env = 'NOBODY'\ncondition.otherwise = 'fail'"));
    tree.toml("blocked", &format!("{STAY}needs = ['refused']"));
    tree.toml("soft", &format!("{STAY}wants = ['refused']"));
    tree.start();
    tree.await_up("goes-on");
    tree.await_up("soft");
    await_skipped(&tree, "left-out", "NOBODY");
    tree.await_problem("refused", &["is not started: NOBODY is not set (condition.otherwise = \"fail\")"]);
    tree.await_problem("blocked", &["blocked by refused: its conditions do not hold"]);
    assert_eq!(tree.status("deep").map(|status| status.state), Some(State::Down), "nobody needs it here");
    let said = tree.say(&["start", "refused"]);
    assert!(said.code == 1 && said.err.contains("its conditions do not hold"), "{said:?}");
    tree.ctl_ok(&["start", "left-out"]);
    assert_eq!(tree.stop(), 0);
}

/// It was started while the command was run, and stayed.
#[test]
fn what_only_a_skipped_one_needs_is_not_started_for_a_condition_that_takes_a_command_either() {
    let mut tree = Tree::new();
    for (condition, name) in [("false", "no"), ("true", "yes")] {
        let needs = format!("needs = ['for-{name}']\ncondition.command = '{condition}'\n");
        tree.toml(name, &format!("{STAY}{needs}"));
        tree.toml(&format!("failing-{name}"), &format!("{STAY}{needs}condition.otherwise = 'fail'"));
        tree.toml(&format!("for-{name}"), "command = \"sh -c 'touch ran; exec sleep 1000'\"\nstart = false");
    }
    tree.start();
    await_skipped(&tree, "no", "false");
    tree.await_status("failing-no", "refused", |status| status.state == State::Failed);
    tree.await_up("yes");
    tree.await_up("failing-yes");
    tree.await_up("for-yes");
    assert!(!tree.services().join("for-no/ran").exists(), "{}", tree.log());
    assert_eq!(tree.status("for-no").map(|status| status.state), Some(State::Down));
    // Who is asked for by name has what it needs started, as soon as it may start.
    tree.ctl_ok(&["stop", "--dependents", "for-yes"]);
    tree.ctl_ok(&["start", "yes"]);
    tree.await_up("for-yes");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn conditions_are_looked_at_again_when_somebody_asks() {
    let mut tree = Tree::new();
    let flag = tree.path("flag").display().to_string();
    tree.toml("web", &format!("{STAY}condition.file = '{flag}'"));
    tree.toml(
        "job",
        &format!("kind = 'oneshot'\nup = 'true'\ndown = \"sh -c 'echo down >>seen'\"\ncondition.file = '{flag}'"),
    );
    tree.toml("asked", &format!("{STAY}condition.command = 'test -e {flag}'\ncondition.otherwise = 'fail'"));
    tree.toml("edge", &format!("{STAY}needs = ['web']"));
    tree.start();
    let edge = tree.await_up("edge");
    await_skipped(&tree, "web", "flag does not exist");
    await_skipped(&tree, "job", "flag does not exist");
    tree.await_problem("asked", &["test -e"]);
    std::fs::write(&flag, "").expect("ours");
    tree.ctl_ok(&["rescan"]);
    let web = tree.await_up("web");
    let asked = tree.await_up("asked");
    tree.await_status("job", "done", |status| status.state == State::Done);
    // Another svc-scan takes nothing down, whatever it finds.
    std::fs::remove_file(&flag).expect("ours");
    tree.kill_scan();
    assert_eq!((tree.await_up("web"), tree.await_up("asked"), tree.await_up("edge")), (web, asked, edge));
    tree.ctl_ok(&["rescan"]);
    await_skipped(&tree, "web", "flag does not exist");
    await_skipped(&tree, "job", "flag does not exist");
    assert_eq!(tree.await_lines("job/seen", 1), ["down"]);
    tree.await_problem("asked", &["test -e"]);
    until("it is gone", || (!is_alive(asked) && !is_alive(web)).then_some(()));
    assert_eq!(tree.await_up("edge"), edge);
    assert_eq!(tree.stop(), 0);
}

/// Its conditions were looked at as if it had never run, and it was stopped.
#[test]
fn another_svc_scan_takes_nothing_down_whose_supervisor_is_slow_to_answer() {
    let mut tree = Tree::new();
    let flag = tree.path("flag").display().to_string();
    std::fs::write(&flag, "").expect("ours");
    let [file, command] = [format!("condition.file = '{flag}'"), format!("condition.command = 'test -e {flag}'")];
    let running = ["file", "command"];
    // Those that do not run by then are left out as by the svc-scan before.
    let out = ["file-out", "command-out"];
    for (names, keys) in [(["file", "file-out"], &file), (["command", "command-out"], &command)] {
        names.iter().for_each(|name| _ = tree.toml(name, &format!("{STAY}{keys}")));
    }
    tree.start();
    let pids = running.map(|name| tree.await_up(name));
    out.iter().for_each(|name| _ = tree.await_up(name));
    // Who is killed is looked at again when it is to start.
    tree.ctl_ok(&["stop", out[0], out[1]]);
    std::fs::remove_file(&flag).expect("ours");
    let all = [running, out].concat();
    let supervisors: Vec<i32> = all.iter().map(|name| tree.supervisor(name).expect("it has one")).collect();
    supervisors.iter().for_each(|&pid| kill(pid, "STOP"));
    tree.kill_scan();
    // It goes on without those who do not answer.
    tree.ctl_ok(&["status"]);
    supervisors.iter().for_each(|&pid| kill(pid, "CONT"));
    out.iter().for_each(|name| await_skipped(&tree, name, &flag));
    assert_eq!(running.map(|name| tree.await_up(name)), pids, "{}", tree.log());
    tree.ctl_ok(&["apply", "--timeout", "120"]);
    running.iter().for_each(|name| await_skipped(&tree, name, &flag));
    std::fs::write(&flag, "").expect("ours");
    tree.ctl_ok(&["apply", "--timeout", "120"]);
    running.iter().for_each(|name| _ = tree.await_up(name));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_plan_says_what_conditions_change_and_apply_ends_when_that_is_done() {
    let mut tree = Tree::new();
    let flag = tree.path("flag").display().to_string();
    tree.toml("web", &format!("{STAY}condition.file = '{flag}'"));
    tree.toml("asked", &format!("{STAY}condition.command = 'test -e {flag}'"));
    tree.toml("strict", &format!("{STAY}condition.file = '{flag}'\ncondition.otherwise = 'fail'"));
    tree.toml("other", STAY);
    tree.start();
    tree.await_up("other");
    await_skipped(&tree, "web", "flag does not exist");
    await_skipped(&tree, "asked", "test -e");
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    std::fs::write(&flag, "").expect("ours");
    let plan = tree.ctl_ok(&["plan"]);
    assert_eq!(plan, "strict: start: its conditions hold now\nweb: start: its conditions hold now\n");
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    for line in ["web: up (pid ", "strict: up (pid ", "asked: up (pid "] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let told = tree.ctl_ok(&["apply", "--timeout", "120"]);
    assert_eq!(told, "nothing has changed\n", "a command that says the same as before is no news");
    std::fs::remove_file(&flag).expect("ours");
    let plan = tree.ctl_ok(&["plan"]);
    for name in ["web", "strict"] {
        assert!(plan.contains(&format!("{name}: stop: its conditions no longer hold: {flag} does not exist")), "{plan}");
    }
    let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
    assert!(said.contains("asked: its conditions no longer hold: `test -e"), "{said}");
    await_skipped(&tree, "web", "flag does not exist");
    await_skipped(&tree, "asked", "test -e");
    // One that is to be restarted and may not: somebody who waits is told so.
    let edit = "command = 'sleep 2000'\nneeds = ['strict']";
    std::fs::write(tree.services().join("other/service.toml"), edit).expect("ours");
    let said = tree.say(&["apply", "--timeout", "120"]);
    assert!(said.code == 1 && said.err.contains("other: blocked by strict: its conditions do not hold"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn whom_a_condition_restarts_or_starts_along_is_told_of_whether_or_not_a_plan_can_know_it() {
    let mut tree = Tree::new();
    let flag = tree.path("flag").display().to_string();
    for (name, condition) in [("web", format!("file = '{flag}'")), ("asked", format!("command = 'test -e {flag}'"))] {
        tree.toml(name, &format!("{STAY}condition.{condition}\nneeds = ['{name}-db']"));
        tree.toml(&format!("{name}-db"), &format!("{STAY}start = false"));
        tree.toml(&format!("{name}-edge"), &format!("{STAY}needs = [{{ on = '{name}', bond = 'follow' }}]"));
        tree.toml(&format!("{name}-rim"), &format!("{STAY}needs = [{{ on = '{name}-edge', bond = 'follow' }}]"));
        tree.toml(&format!("{name}-stays"), &format!("{STAY}needs = ['{name}']"));
    }
    tree.start();
    await_skipped(&tree, "web", "flag does not exist");
    await_skipped(&tree, "asked", "test -e");
    ["web-rim", "asked-rim", "web-stays", "asked-stays"].iter().for_each(|name| _ = tree.await_up(name));
    let known = "web-db: start: web depends on it now\nweb-edge: restart: it follows web\n\
                 web-rim: restart: it follows web-edge\n";
    let pids = |names: [&str; 3]| names.map(|name| tree.await_up(name));
    for is_there in [true, false] {
        let before = [pids(["web-edge", "web-rim", "web-stays"]), pids(["asked-edge", "asked-rim", "asked-stays"])];
        if is_there { std::fs::write(&flag, "") } else { std::fs::remove_file(&flag) }.expect("ours");
        let plan = tree.ctl_ok(&["plan"]);
        assert!(!is_there || plan == format!("web: start: its conditions hold now\n{known}"), "{plan}");
        assert!(plan.contains("web-edge: restart: it follows web\nweb-rim: restart: it follows web-edge\n"), "{plan}");
        let said = tree.ctl_ok(&["apply", "--timeout", "120"]);
        for name in ["web", "asked"] {
            for line in ["edge: up (pid ", "rim: up (pid "] {
                assert!(said.contains(&format!("\n{name}-{line}")), "{name}-{line}: {said}");
            }
            assert_eq!(said.contains(&format!("\n{name}-db: up (pid ")), is_there, "{said}");
            assert!(!said.contains("stays"), "{said}");
        }
        let after = [pids(["web-edge", "web-rim", "web-stays"]), pids(["asked-edge", "asked-rim", "asked-stays"])];
        for (before, after) in before.iter().zip(after) {
            assert!(before[0] != after[0] && before[1] != after[1] && before[2] == after[2], "{said}");
        }
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_endpoint_outside_is_waited_for_in_a_state_of_its_own() {
    let mut tree = Tree::new();
    let port = free_port();
    let (socket, file) = (tree.path("x.sock"), tree.path("ready"));
    let list = format!(
        "wait-for = ['tcp://127.0.0.1:{port}', 'unix:{}', 'file:{}', 'dns:localhost']",
        socket.display(),
        file.display()
    );
    tree.toml("web", &format!("{STAY}{list}"));
    tree.toml("edge", &format!("{STAY}needs = ['web']"));
    tree.toml("nowhere", &format!("{STAY}wait-for = 'dns:nobody.invalid'"));
    tree.start();
    let waits = |words: &str| {
        let has = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains(words));
        tree.await_status("web", words, |status| status.state == State::Waiting && has(&status.reason));
    };
    waits(&format!("waiting for 127.0.0.1:{port} (connection refused), unix:"));
    let status = tree.status("web").expect("a service");
    assert!(status.problem.is_none() && status.wanted_up, "{status:?}");
    assert!(tree.ctl_ok(&["status"]).contains("web: waiting for 127.0.0.1"));
    assert!(tree.ctl_ok(&["why", "web"]).contains("web: waiting"));
    let said = tree.say(&["start", "--timeout", "100ms", "web"]);
    assert!(said.code == 99 && said.err.contains("web: still waiting after "), "{said:?}");
    assert!(said.err.contains(" s: waiting for 127.0.0.1"), "{said:?}");
    assert!(tree.say(&["health", "web"]).out.starts_with("web: waiting for 127.0.0.1"));
    assert!(tree.ctl_ok(&["graph"]).contains("web (process, waiting for 127.0.0.1"));
    tree.await_problem("edge", &["blocked by web: not ready after", "waiting for 127.0.0.1:"]);
    let _tcp = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    waits("waiting for unix:");
    let _unix = UnixListener::bind(&socket).expect("ours");
    waits("waiting for file:");
    std::fs::write(&file, "").expect("ours");
    tree.await_up("web");
    tree.await_up("edge");
    assert_eq!(tree.status("web").and_then(|status| status.reason), None);
    let nowhere = tree.await_status("nowhere", "waiting for a name", |status| {
        status.state == State::Waiting && status.reason.as_ref().is_some_and(|reason| reason.contains("nobody.invalid"))
    });
    assert_eq!(nowhere.pid, None);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_page_must_have_the_right_status() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mut tree = Tree::new();
    tree.toml("web", &format!("{STAY}wait-for = 'http://127.0.0.1:{port}/health'"));
    tree.start();
    let (asked, requests) = mpsc::channel();
    let is_good = Arc::new(AtomicBool::new(false));
    let good = is_good.clone();
    // It answers everybody: who has waited for too long hangs up, and asks again.
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 512];
            let length = client.read(&mut request).unwrap_or_default();
            let status = if good.load(Ordering::Relaxed) { "204 Good" } else { "503 Later" };
            let _ = client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
            let _ = asked.send(String::from_utf8_lossy(&request[..length]).into_owned());
        }
    });
    let request = requests.recv_timeout(svc_testkit::PATIENCE).expect("it asks");
    assert!(request.starts_with("GET /health HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    let has = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains("(status 503)"));
    tree.await_status("web", "waiting", |status| has(&status.reason));
    is_good.store(true, Ordering::Relaxed);
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_wait_ends_at_once_with_a_stop_and_fails_after_its_time() {
    let mut tree = Tree::new();
    tree.toml("patient", &format!("{STAY}wait-for = 'file:/no/such/file'"));
    let two = format!("{STAY}wait-for = ['file:/', 'file:/no/such/file']\nwait-timeout = '2s'");
    tree.toml("hasty", &two);
    tree.toml("edge", &format!("{STAY}needs = ['hasty']"));
    tree.start();
    let late = "file:/no/such/file did not answer within 2 s, which is its wait-timeout";
    assert!(tree.await_problem("hasty", &[late]).starts_with(late), "{}", tree.log());
    tree.await_problem("edge", &[&format!("blocked by hasty: {late}")]);
    tree.await_status("patient", "waiting", |status| status.state == State::Waiting && status.reason.is_some());
    // Whoever takes over waits as well.
    tree.kill_scan();
    tree.await_status("patient", "waiting", |status| status.state == State::Waiting && status.reason.is_some());
    tree.ctl_ok(&["stop", "--timeout", "120", "patient"]);
    let status = tree.status("patient").expect("a service");
    assert_eq!((status.state, status.reason), (State::Down, None));
    tree.ctl_ok(&["start", "--no-wait", "patient"]);
    tree.await_status("patient", "waiting", |status| status.reason.is_some());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_wrong_with_a_condition_or_endpoint_is_said() {
    let mut tree = Tree::new();
    tree.start();
    for (text, words) in [
        ("condition.env = 'A B'", "service.toml:2:17: condition.env has \"A B\", and must have NAME, NAME=VALUE"),
        ("condition.env = 'A=~('", "is no regular expression"),
        (
            "condition.file = 'big:/etc'",
            "condition.file has \"big\", which is unknown: write PATH, or one of exists, not-empty",
        ),
        ("condition.file = 1", "condition.file is 1"),
        ("condition.command = []", "condition.command names no program"),
        ("condition.profile = 'a,b'", "condition.profile has \"a,b\", and must have the name of a profile"),
        ("condition.link = 'a b'", "condition.link has \"a b\", and must have the name that a container is linked by"),
        ("condition.arch = 'z80'", "condition.arch has \"z80\", which is unknown: there are x86_64, amd64"),
        ("condition.otherwise = 'stop'", "condition.otherwise must be one of skip, fail, and is \"stop\""),
        ("wait-for = 'db:5432'", "wait-for has \"db:5432\", which is no endpoint: write tcp://HOST:PORT"),
        ("wait-for = 'tcp://db'", "wait-for has \"tcp://db\": must be HOST:PORT"),
        ("wait-for = 'https://x/'", "svc speaks no TLS"),
        ("wait-for = 'file:x'", "whose path must begin with /"),
        ("wait-for = 'file:/x'\nwait-timeout = '5'", "wait-timeout is \"5\", and must be a time with its unit"),
    ] {
        tree.toml("job", &format!("{STAY}{text}"));
        tree.await_problem("job", &[words]);
        std::fs::remove_dir_all(tree.services().join("job")).expect("ours");
        until("it is gone", || tree.status("job").is_none().then_some(()));
    }
    assert_eq!(tree.stop(), 0);
}

/// A service whose condition takes a command that does not end, and that leaves its parent and its session behind. The pids of those who
/// run then are in `pids`.
fn hanging(tree: &Tree) {
    let script =
        "#!/bin/sh\nsetsid sleep 1000 &\necho $! >>pids\n(sleep 1000 & echo $! >>pids)\necho $$ >>pids\nexec sleep 1000\n";
    tree.toml("web", &format!("{STAY}condition.command = './hangs'"));
    tree.service("web").executable("hangs", script);
}

/// Those who run by now, where the command was begun so often.
fn begun(tree: &Tree, times: usize) -> Vec<i32> {
    let lines = tree.await_lines("web/pids", 3 * times);
    lines.iter().skip(3 * (times - 1)).map(|line| line.parse().expect("a pid")).collect()
}

#[test]
fn a_command_of_a_condition_ends_with_all_that_it_has_started_when_its_time_is_over() {
    let mut tree = Tree::new();
    hanging(&tree);
    tree.start();
    let all = begun(&tree, 1);
    await_skipped(&tree, "web", "takes longer than 10 s");
    all.into_iter().for_each(svc_testkit::wait_gone);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_of_a_condition_does_not_outlive_svc_or_the_svc_scan_that_has_asked() {
    for (signal, code) in [("TERM", 0), ("ABRT", 0), ("KILL", 128 + 9)] {
        let mut tree = Tree::new();
        hanging(&tree);
        tree.start();
        let first = begun(&tree, 1);
        tree.kill_scan();
        first.into_iter().for_each(svc_testkit::wait_gone);
        // The next one asks anew.
        let second = begun(&tree, 2);
        assert!(second.iter().all(|&pid| is_alive(pid)));
        tree.signal(signal);
        assert_eq!(tree.wait(), code);
        second.into_iter().for_each(svc_testkit::wait_gone);
    }
}

#[test]
fn files_of_a_condition_are_looked_for_where_the_file_of_the_service_is() {
    let mut tree = Tree::new();
    std::fs::write(tree.services().join("here"), "").expect("ours");
    tree.one_file("there", &format!("{STAY}condition.file = 'here'"));
    tree.one_file("none", &format!("{STAY}condition.file = '!here'"));
    tree.one_file("yes@", &format!("{STAY}instances = ['1']\ncondition.file = 'here'"));
    tree.one_file("no@", &format!("{STAY}instances = ['1']\ncondition.file = '!here'"));
    tree.start();
    tree.await_up("there");
    tree.await_up("yes@1");
    await_skipped(&tree, "none", "here is there");
    await_skipped(&tree, "no@1", "here is there");
    assert_eq!(tree.stop(), 0);
}

/// The plan said nothing of it where an edit made them hold, and what ran was stopped.
#[test]
fn conditions_that_come_to_hold_and_make_a_circle_are_told_and_stop_nothing() {
    let mut tree = Tree::new();
    let go = tree.path("go").display().to_string();
    let upper = |condition: &str| format!("{STAY}needs = ['web']\n{condition}");
    tree.toml("web", &format!("{STAY}needs = ['db']"));
    tree.toml("db", &format!("{STAY}needs = ['file', 'command']"));
    tree.toml("file", &upper(&format!("condition.file = '{go}'")));
    tree.toml("command", &upper(&format!("condition.command = 'test -e {go}'")));
    tree.start();
    let pids = ["web", "db"].map(|name| tree.await_up(name));
    await_skipped(&tree, "file", "does not exist");
    tree.await_status("command", "skipped", |status| status.state == State::Skipped);
    let told = |words: &[&str]| {
        let said = tree.say(words);
        assert!(said.out.contains("file: nothing: ") && said.out.contains("wait for each other"), "{said:?}");
        assert!(!said.out.contains("stop") && !said.out.contains("restart"), "{said:?}");
        assert_eq!(["web", "db"].map(|name| tree.await_up(name)), pids, "{}", tree.log());
    };
    std::fs::write(&go, "").expect("ours");
    told(&["plan"]);
    told(&["apply"]);
    for name in ["file", "command"] {
        tree.await_problem(name, &["wait for each other", "until then it is left out as if its conditions did not hold"]);
    }
    assert_eq!(["web", "db"].map(|name| tree.await_up(name)), pids, "{}", tree.log());
    std::fs::remove_file(&go).expect("ours");
    tree.ctl_ok(&["apply"]);
    for name in ["file", "command"] {
        tree.await_status(name, "no problem", |status| status.problem.is_none() && status.state == State::Skipped);
    }
    tree.service("file").file("service.toml", &upper("condition.file = '/bin/sh'"));
    told(&["plan"]);
    told(&["apply"]);
    tree.await_problem("file", &["wait for each other", "until then it stays as it was before the edit"]);
    assert_eq!(["web", "db"].map(|name| tree.await_up(name)), pids, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_a_condition_names_moves_no_cursor() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\ncondition.file = \"/a\\u001b[2J\\nb\"");
    tree.toml("run", "command = 'sleep 1000'\ncondition.command = [\"false\", \"\\u001b[2J\\u202eb\"]");
    tree.toml("late", "command = 'sleep 1000'\nwait-for = \"file:/a\\u001b[2J\\nb\"");
    tree.start();
    for (name, state, told) in [
        ("web", State::Skipped, "skipped: /a\\u{1b}[2J\\nb does not exist"),
        ("run", State::Skipped, "skipped: `false \\u{1b}[2J\\u{202e}b` ends with 1"),
        ("late", State::Waiting, "waiting for file:/a\\u{1b}[2J\\nb"),
    ] {
        let status = tree.await_status(name, "its state", |status| status.state == state && status.reason.is_some());
        assert!(status.reason.as_deref().is_some_and(|reason| reason.starts_with(told)), "{status:?}");
    }
    assert!(!tree.log().contains(['\u{1b}', '\u{202e}']), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}
