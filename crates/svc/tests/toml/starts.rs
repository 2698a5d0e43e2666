//! What is seen of a start that does not succeed: in the log of the container, in the table, and who is said to be at fault.

use svc_testkit::{State, Tree, until};

#[track_caller]
fn await_log(tree: &Tree, text: &str) {
    until(text, || tree.log().contains(text).then_some(()));
}

#[test]
fn a_start_that_takes_too_long_is_told_with_what_was_waited_for() {
    let mut tree = Tree::new();
    // Nobody listens there.
    tree.toml("db", "command = 'sleep 1000'\nready.unix = '/nonexistent.sock'\ntimeout.start = '5s'");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.start();
    let waiting = tree.await_status("web", "waiting", |status| status.state == State::Waiting);
    assert!(waiting.problem.is_some_and(|why| why.starts_with("blocked by db: not ready after")));
    let status = tree.await_status("db", "failed", |status| status.state == State::Failed);
    let why = "not ready after 5 s, which is its time to start";
    assert_eq!(status.problem.as_deref(), Some(why));
    let blocked = tree.await_status("web", "failed", |status| status.state == State::Failed);
    assert_eq!(blocked.problem.as_deref(), Some(&*format!("blocked by db: {why}")));
    await_log(&tree, &format!("svc-scan: db: {why}"));
    await_log(&tree, &format!("svc-scan: web: blocked by db: {why}"));
    await_log(&tree, "svc probe: not ready yet: unix /nonexistent.sock");
    // Once more, and it is told once more.
    assert!(!tree.ctl(&["start", "db"]).status.success());
    until("the second time", || (tree.log().matches(&format!("svc-scan: db: {why}")).count() == 2).then_some(()));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_ends_again_and_again_is_told_as_that_by_those_who_wait_for_it() {
    let mut tree = Tree::new();
    tree.toml("db", "command = ['sh', '-c', 'exit 3']\nready.unix = '/nonexistent.sock'\nrestart.delay = '50ms'");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.start();
    tree.await_problem(
        "web",
        &["blocked by db: not ready after", "keeps ending (", " times so far, the last with exit 3 after "],
    );
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_that_waits_for_one_that_keeps_ending_is_told_so() {
    let mut tree = Tree::new();
    tree.toml("db", "command = ['sh', '-c', 'exit 3']\nready.unix = '/nonexistent.sock'\nrestart.delay = '50ms'");
    tree.command(&["true"]).launch();
    await_log(&tree, "svc-scan: CMD has waited 5 s for others: db: keeps ending (");
    // Its check was there a moment longer each time, and is not what was to be executed.
    assert!(!tree.log().contains("its program was not executed"), "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_that_waits_while_all_that_runs_is_up_is_told_for_what() {
    let mut tree = Tree::new();
    tree.toml("db", "command = 'sleep 1000'\nhealth = { exec = 'false', interval = '100ms' }");
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'db', until = 'healthy' }]");
    tree.command(&["true"]).launch();
    await_log(&tree, "svc-scan: CMD has waited 5 s for others: web: blocked by db: not healthy after ");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_start_without_a_command_tells_who_is_late_that_others_wait_for() {
    let mut tree = Tree::new();
    let late = "command = 'sleep 1000'\nready.unix = '/nonexistent.sock'\n";
    tree.toml("db", late);
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.toml("own", late);
    tree.launch();
    await_log(&tree, "svc-scan: the start has waited 5 s for others: db: is not ready\n");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_ends_while_a_start_waits_for_others_was_not_started_for_good() {
    let mut tree = Tree::new();
    tree.toml("db", "command = ['sh', '-c', 'echo $$ >pid; exec sleep 1000']\nrestart.delay = '1h'\nstart = false");
    let ctl = format!("{} svc-ctl", svc_testkit::program().display());
    let kills = format!(
        "until [ -s ../db/pid ]; do sleep 0.01; done; {ctl} wait db; kill -KILL $(cat ../db/pid); {ctl} wait --down db"
    );
    tree.toml("job", &format!("kind = 'oneshot'\nup = ['sh', '-c', '{kills}']\nstart = false"));
    tree.start();
    let is_down = |status: &svc_testkit::Status| status.supervisor_pid.is_some() && status.state == State::Down;
    for name in ["db", "job"] {
        tree.await_status(name, "down", is_down);
    }
    let said = tree.say(&["start", "db", "job"]);
    assert!(said.code == 1 && said.err.contains("db: was up, and has ended since (killed by SIGKILL)"), "{said:?}");
    assert!(said.out.contains("job: done"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn who_is_not_started_again_is_told_with_the_limit_that_it_has_reached() {
    let mut tree = Tree::new();
    let policy = "restart.limit = 2\nrestart.window = '1m'\nrestart.delay = '50ms'";
    tree.toml("loop", &format!("command = ['sh', '-c', 'exit 3']\n{policy}"));
    tree.toml("once", "command = ['sh', '-c', 'exit 4']\nrestart.when = 'never'");
    tree.toml("app", "command = 'sleep 1000'\nneeds = ['once']");
    tree.start();
    await_log(&tree, "svc-scan: loop: 2 ends within 1 min, and is not started again: exit 3");
    await_log(&tree, "svc-scan: once: it ended (exit 4), and is not started again");
    // Once, and not twice.
    for name in ["loop", "once"] {
        assert!(!tree.ctl_ok(&["why", name]).contains("problem: "), "{}", tree.ctl_ok(&["why", name]));
        assert_eq!(tree.say(&["health", name]).out.matches("is not started again").count(), usize::from(name == "once"));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_bundle_is_as_old_as_what_became_of_it() {
    let mut tree = Tree::new();
    tree.toml("one", "command = 'sleep 1000'");
    tree.toml("all", "kind = 'bundle'\nmembers = ['one']");
    tree.start();
    let first = tree.await_status("all", "up", |status| status.state == State::Up);
    let later = tree.await_status("all", "older", |status| status.since_seconds > first.since_seconds + 0.05);
    assert_eq!(later.since_ms.abs_diff(first.since_ms) / 20, 0, "{first:?} {later:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_bundle_that_fails_says_by_whom_and_says_it_once() {
    let mut tree = Tree::new();
    tree.toml("bad", "kind = 'oneshot'\nup = 'false'");
    tree.toml("web", "command = 'sleep 1000'");
    tree.toml("all", "kind = 'bundle'\nmembers = ['bad', 'web']");
    tree.start();
    tree.await_status("all", "failed", |status| status.state == State::Failed);
    let said = tree.say(&["wait", "all"]);
    let why = "it ended (exit 1), and is not started again";
    assert!(said.code == 1 && said.err.contains(&format!("all: bad: {why}")), "{said:?}");
    // Another member comes and goes.
    for _ in 0..3 {
        tree.ctl_ok(&["restart", "web"]);
        tree.await_status("all", "failed", |status| status.state == State::Failed);
    }
    assert_eq!(tree.log().matches(&format!("svc-scan: all: blocked by bad: {why}")).count(), 1, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn words_of_other_managers_are_known() {
    let tree = Tree::new();
    tree.toml("web", "ExecStart = 'x'\ndepends_on = ['db']\ncommand = 'x'");
    tree.toml("once", "kind = 'oneshot'\ncommand = 'x'");
    let said = tree.say(&["check", &tree.services().display().to_string()]);
    for told in [
        "\"ExecStart\" is no key of a service: did you mean command?",
        "\"depends_on\" is no key of a service: did you mean needs?",
        "command means nothing for a oneshot, only for a process or a forking or a timer: what a oneshot runs is called up",
    ] {
        assert!(said.err.contains(told) || said.out.contains(told), "{told} in {}{}", said.out, said.err);
    }
}

/// What fails in front of the program is a start that failed: nobody who waits for it starts, and everybody is told.
#[test]
fn one_whose_program_is_not_executed_has_not_started() {
    let mut tree = {
        let mut tree = Tree::new();
        let needs = |on: &str| format!("command = 'sleep 1000'\nneeds = [{{ on = '{on}', until = 'started' }}]");
        tree.toml("user", "command = 'sleep 1000'\nuser = 'nobody-at-all'");
        tree.toml("missing", "command = '/nonexistent/program'");
        tree.toml("probed", "command = '/nonexistent/program'\nready.file = '/nonexistent/file'");
        tree.toml("never", "command = '/nonexistent/program'\nrestart.when = 'never'");
        for name in ["user", "missing", "probed", "never"] {
            tree.toml(&format!("{name}-app"), &needs(name));
        }
        tree.start();
        tree
    };
    for name in ["user", "missing", "probed"] {
        tree.await_status(name, "two failed starts", |status| status.restarts >= 2);
        await_log(&tree, &format!("svc-scan: {name}: cannot be started: "));
        let app = tree.await_status(&format!("{name}-app"), "why", |status| status.problem.is_some());
        assert_eq!((app.state, app.restarts, app.pid), (State::Waiting, 0, None), "{name}");
        let told = app.problem.unwrap_or_default();
        assert!(told.starts_with(&format!("blocked by {name}: not started after ")), "{told}");
        assert!(told.contains("its program was not executed (exit code 1"), "{told}");
        let log = tree.log();
        assert_eq!(
            log.matches(&format!("svc-scan: {name}: cannot be started: ")).count(),
            1,
            "once, not for each try: {log}"
        );
    }
    let blocked = tree.await_status("never-app", "failed", |status| status.state == State::Failed);
    assert!(blocked.problem.is_some_and(|why| why.starts_with("blocked by never: ")));
    // It comes by itself when the cause is mended.
    let start = tree.ctl(&["start", "missing", "--timeout", "120"]);
    assert!(!start.status.success(), "{}", String::from_utf8_lossy(&start.stdout));
    tree.edit("missing", "command = 'sleep 1000'");
    tree.await_status("missing-app", "up", |status| status.state == State::Up);
    assert_eq!(tree.status("missing").and_then(|status| status.problem), None);
    assert_eq!(tree.stop(), 0);
}

/// While something is made ready it is starting, and may be stopped; its end is waited for.
#[test]
fn one_that_is_made_ready_is_starting_and_can_be_stopped() {
    let mut tree = Tree::new();
    let go = tree.path("go");
    let wait = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let slow = format!("command = 'sleep 1000'\nenv.WORD = {{ command = ['sh', '-c', '{wait}'], timeout = '1m' }}");
    tree.toml("slow", &slow);
    tree.toml("app", "command = 'sleep 1000'\nneeds = [{ on = 'slow', until = 'started' }]");
    tree.start();
    tree.await_status("slow", "starting", |status| status.state == State::Starting && status.pid.is_some());
    assert_eq!(tree.status("app").map(|status| status.state), Some(State::Waiting));
    tree.ctl_ok(&["stop", "--dependents", "slow"]);
    let stopped = tree.await_status("slow", "down", |status| status.state == State::Down);
    assert_eq!(stopped.problem, None);
    tree.ctl_ok(&["start", "--no-wait", "app"]);
    tree.await_status("slow", "starting", |status| status.state == State::Starting && status.pid.is_some());
    std::fs::write(&go, "").expect("ours");
    tree.await_status("app", "up", |status| status.state == State::Up);
    assert_eq!(tree.stop(), 0);
}

/// It is tried again and again, and who asked for it does not wait for that.
#[test]
fn a_start_of_what_cannot_be_executed_says_so_at_once() {
    let mut tree = Tree::new();
    tree.one_file("web", "command = '/nonexistent'");
    tree.start();
    tree.await_problem("web", &["its program was not executed (exit code 127)"]);
    for verb in ["start", "restart"] {
        let said = tree.say(&[verb, "web"]);
        assert_eq!(said.code, 1, "{said:?}");
        let words = "web: could not be started: ";
        assert!(said.err.contains(words) && said.err.contains("was not executed (exit code 127)"), "{said:?}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_order_to_start_returns_though_the_service_ends_before_it_is_ready() {
    let mut tree = Tree::new();
    let ends = "command = ['sh', '-c', 'exit 1']\nstart = false\n";
    for (name, ready) in [
        ("fd", "ready.fd = 3"),
        ("notify", "ready.notify = true"),
        ("tcp", "ready.tcp = ':1'"),
        ("forks", "kind = 'forking'"),
        ("never", "ready.fd = 3\nrestart.when = 'never'"),
    ] {
        tree.toml(name, &format!("{ends}{ready}"));
    }
    tree.service("source").file("type", "longrun").file("notification-fd", "3").executable("run", "#!/bin/sh\nexit 1\n");
    tree.toml("missing", "command = '/nonexistent/program'\nstart = false\nready.fd = 3");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['app']\nstart = false");
    tree.toml("app", "command = 'sleep 1000'\nneeds = ['fd']\nstart = false");
    tree.toml("lost", "command = 'sleep 1000'\nneeds = ['missing']\nstart = false");
    tree.toml("all", "kind = 'bundle'\nmembers = ['fd']\nstart = false");
    tree.toml("well", "command = 'sleep 1000'\nstart = false");
    tree.start();
    let fails = |words: &[&str], told: &[&str]| {
        let said = tree.say(&[words, &["--timeout", "120"]].concat());
        assert_eq!(said.code, 1, "{words:?}: {said:?}");
        for text in told {
            assert!(said.out.contains(text) || said.err.contains(text), "{words:?}: {text:?} is not in {said:?}");
        }
    };
    let unready = "ended before it was ready (exit 1)";
    let blocked = format!("blocked by fd: {unready}");
    for name in ["fd", "notify", "tcp", "forks", "source"] {
        fails(&["start", name], &[&format!("{name}: {unready}")]);
        fails(&["restart", name], &[&format!("{name}: {unready}")]);
    }
    fails(&["start", "never"], &["never: it ended (exit 1), and is not started again"]);
    fails(&["start", "missing"], &["missing: could not be started: "]);
    fails(&["start", "web"], &[&format!("web: {blocked}")]);
    fails(&["restart", "web"], &[&format!("web: {blocked}")]);
    fails(&["start", "lost"], &["lost: blocked by missing: ", "/nonexistent/program: does not exist"]);
    fails(&["start", "all"], &[&format!("all: {blocked}")]);
    fails(&["start", "fd", "well"], &[&format!("fd: {unready}"), "well: up (pid "]);
    assert_eq!(tree.stop(), 0);
}

/// The delay is for a start that nobody asks for.
#[test]
fn an_order_to_start_ends_the_wait_for_the_next_start() {
    let mut tree = Tree::new();
    let ends = "command = ['sh', '-c', 'test -e go && exec sleep 1000; exit 1']\nrestart.delay = '1h'\n";
    tree.toml("web", ends);
    tree.toml("fd", &format!("{ends}ready.fd = 3"));
    tree.toml("one", ends);
    tree.toml("knock", &format!("{ends}start = 'on-demand'\nsockets = ['{}']", tree.path("knock.sock").display()));
    tree.start();
    tree.await_status("knock", "armed", |status| status.state == State::Armed);
    tree.say(&["start", "knock"]);
    for name in ["web", "fd", "one", "knock"] {
        tree.await_status(name, "waiting", |status| status.state == State::Waiting);
    }
    let said = tree.say(&["start", "fd", "--timeout", "120"]);
    assert!(said.code == 1 && said.err.contains("fd: ended before it was ready (exit 1)"), "{said:?}");
    for (verb, name) in [("start", "web"), ("once", "one"), ("start", "knock")] {
        std::fs::write(tree.services().join(name).join("go"), "").expect("ours");
        let said = tree.say(&[verb, name, "--timeout", "120"]);
        assert!(said.code == 0 && said.out.contains(&format!("{name}: up (pid ")), "{said:?}");
    }
    tree.ctl_ok(&["kill", "KILL", "one"]);
    tree.await_status("one", "down for good", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}
