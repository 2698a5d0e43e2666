//! When a service is started again, when it is not, and what ends with it.

use svc_testkit::{EventKind, State, Tree, kill, until};

/// Writes down when the kernel made it, and ends as it is told.
fn ends(how: &str) -> String {
    format!("command = ['sh', '-c', 'cut -d\" \" -f22 /proc/$$/stat >>seen; {how}']\n")
}

/// What the kernel counts in: a time may be so many milliseconds later than it says.
const TICK: u64 = 10;

fn is_down_for_good(tree: &Tree, name: &str, state: State) -> svc_testkit::Status {
    // Before its first start it is down, too.
    let is_over = |status: &svc_testkit::Status| status.next_start_ms.is_none() && status.last_exit.is_some();
    tree.await_status(name, "down for good", |status| status.state == state && is_over(status))
}

/// The milliseconds between starts at most. A delay is counted from when a process has been made, and these are from then to the next
/// one's making: a busy machine makes them longer, and never shorter.
fn gaps(tree: &Tree, count: usize) -> Vec<u64> {
    let times = tree.await_lines("web/seen", count);
    let times: Vec<u64> = times.iter().map(|line| line.parse().expect("a number")).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0] + 1) * TICK).collect()
}

#[test]
fn what_is_to_run_once_is_not_started_again() {
    let mut tree = Tree::new();
    tree.toml("db", "command = 'sleep 1000'\nstart = false");
    tree.toml(
        "web",
        "command = ['sh', '-c', 'echo up >>seen; test -e stay && exec sleep 1000; exit 3']\nneeds = ['db']\nstart = false",
    );
    tree.toml("beside", "command = 'sleep 1000'\nstart = false");
    tree.start();
    let is_down = |status: &svc_testkit::Status| status.supervisor_pid.is_some() && status.state == State::Down;
    let ended = |tree: &Tree, name: &str| {
        tree.await_status(name, "its end", |status| is_down(status) && !status.wanted_up && status.last_exit.is_some())
    };
    for name in ["db", "web", "beside"] {
        tree.await_status(name, "down", is_down);
    }
    tree.say(&["once", "web", "beside"]);
    let web = ended(&tree, "web");
    assert_eq!((tree.lines("web/seen").len(), web.restarts), (1, 0));
    assert_eq!(web.last_exit.and_then(|exit| exit.code), Some(3));
    kill(tree.await_up("beside"), "KILL");
    ended(&tree, "beside");
    // One that is up already goes on, and this is its last run.
    tree.service("web").file("stay", "");
    tree.ctl_ok(&["start", "web"]);
    let pid = tree.await_up("web");
    assert_eq!(tree.ctl_ok(&["once", "web"]), format!("web: up (pid {pid})\n"));
    kill(pid, "KILL");
    assert_eq!(ended(&tree, "web").restarts, 1);
    // Who has changed his mind, and what was once is not for ever.
    tree.ctl_ok(&["start", "web"]);
    tree.ctl_ok(&["once", "web"]);
    tree.ctl_ok(&["start", "web"]);
    let pid = tree.await_up("web");
    kill(pid, "KILL");
    tree.await_status("web", "another run", |status| status.pid.is_some_and(|now| now != pid));
    tree.ctl_ok(&["stop", "web"]);
    tree.ctl_ok(&["start", "web"]);
    let pid = tree.await_up("web");
    kill(pid, "KILL");
    tree.await_status("web", "another run", |status| status.pid.is_some_and(|now| now != pid));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn horust_restart_never_and_on_failure() {
    let mut tree = Tree::new();
    tree.toml("never", &(ends("exit 1") + "restart.when = 'never'"));
    tree.toml("good", &(ends("exit 0") + "restart.when = 'on-failure'"));
    tree.toml("bad", &(ends("test $(wc -l <seen) -gt 1 || exit 3") + "restart = { when = 'on-failure', delay = '1ms' }"));
    tree.start();
    let never = is_down_for_good(&tree, "never", State::Failed);
    assert_eq!(never.verdict.as_deref(), Some("exit 1, after which it is not started again"));
    is_down_for_good(&tree, "good", State::Down);
    is_down_for_good(&tree, "bad", State::Down);
    assert_eq!(["never", "good", "bad"].map(|name| tree.lines(&format!("{name}/seen")).len()), [1, 1, 2]);
    let why = tree.ctl_ok(&["why", "never"]);
    assert!(why.contains("exit 1, after which it is not started again, so only svc-ctl start starts it again"), "{why}");
    // Neither svc-scan's successor nor a rescan starts them.
    tree.kill_scan();
    tree.ctl_ok(&["rescan"]);
    tree.kill_supervisor("never");
    tree.await_status("never", "a new supervisor", |status| status.supervisor_pid != never.supervisor_pid);
    is_down_for_good(&tree, "good", State::Down);
    assert_eq!(["never", "good", "bad"].map(|name| tree.lines(&format!("{name}/seen")).len()), [1, 1, 2]);
    // Somebody may ask.
    tree.say(&["start", "never"]);
    tree.await_lines("never/seen", 2);
    is_down_for_good(&tree, "never", State::Failed);
    assert_eq!(tree.stop(), 0);
}

/// Its end is what somebody waits for, and not that somebody has stopped it.
#[test]
fn one_that_has_ended_well_is_completed() {
    let mut tree = Tree::new();
    let waits = "command = 'sleep 1000'\nneeds = [{ on = 'job', until = 'completed', bond = 'start' }]";
    tree.toml("web", waits);
    tree.toml("job", &(ends("while [ ! -e go ]; do sleep 0.05; done") + "restart.when = 'on-failure'"));
    tree.start();
    tree.await_up("job");
    assert_ne!(tree.status("web").map(|status| status.state), Some(State::Up), "it waits for the end");
    std::fs::write(tree.services().join("job/go"), "").expect("ours");
    let web = tree.await_up("web");
    let job = is_down_for_good(&tree, "job", State::Down);
    assert_eq!((job.wanted_up, tree.say(&["health"]).code), (false, 0), "{job:?}");
    // Whoever waits for it to be up is told at once that it will not be.
    for until in ["--up", "--ready"] {
        let said = tree.say(&["wait", until, "job"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("has ended (exit 0), after which it is not started again"), "{said:?}");
    }
    // The next svc-scan knows that too, and starts nobody.
    tree.kill_scan();
    tree.ctl_ok(&["rescan"]);
    tree.toml("late", waits);
    tree.await_up("late");
    assert_eq!((tree.lines("job/seen").len(), tree.await_up("web")), (1, web));
    // It runs again when somebody asks.
    tree.say(&["start", "job"]);
    tree.await_lines("job/seen", 2);
    is_down_for_good(&tree, "job", State::Down);
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.stop(), 0);
}

/// Others may have to wait for somebody else until long after its end, or it may be over before anybody has looked.
#[test]
fn one_that_has_ended_well_counts_as_started_and_as_ready_if_it_was() {
    let mut tree = Tree::new();
    tree.toml(
        "late",
        "command = ['sh', '-c', 'while [ ! -e go ]; do sleep 0.05; done; echo >&3; exec sleep 1000']\nready.fd = 3",
    );
    let once = "restart.when = 'on-failure'";
    tree.toml("job", &(ends("exit 0") + once));
    tree.toml("said", &(ends("echo >&3; exit 0") + "ready.fd = 3\n" + once));
    tree.toml("mute", &(ends("exit 0") + "ready.fd = 3\n" + once));
    let needs = |on: &str, until: &str| {
        format!("command = 'sleep 1000'\nneeds = [{{ on = '{on}', until = '{until}', bond = 'follow' }}, 'late']\n")
    };
    let edges = [("job", "started"), ("job", "ready"), ("said", "ready"), ("mute", "started")];
    for (on, until) in edges {
        tree.toml(&format!("{on}-{until}"), &needs(on, until));
    }
    tree.toml("mute-ready", &needs("mute", "ready"));
    tree.start();
    for name in ["job", "said", "mute"] {
        tree.await_status(name, "its end", |status| status.state == State::Down && status.last_exit.is_some());
    }
    std::fs::write(tree.services().join("late/go"), "").expect("ours");
    for (on, until) in edges {
        tree.await_up(&format!("{on}-{until}"));
    }
    tree.await_problem("mute-ready", &["blocked by mute: it has ended, and is not ready"]);
    // Each start of one that needs it is a start of it, too, and reports of that may come as one.
    for (on, until) in edges {
        for _ in 0..5 {
            tree.ctl_ok(&["restart", &format!("{on}-{until}")]);
        }
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_on_failure_goes_by_exit_codes_and_signals() {
    let mut tree = Tree::new();
    tree.toml("listed", &(ends("exit 7") + "restart.never-on = [7, 'HUP']"));
    tree.toml("signal", &(ends("kill -HUP $$") + "restart.never-on = [7, 'HUP']"));
    let always = "restart = { when = 'never', always-on = [9], delay = '1ms' }\nsuccess-exits = [0, 4]";
    tree.toml("always", &(ends("test $(wc -l <seen) -gt 2 || exit 9; exit 4") + always));
    tree.start();
    is_down_for_good(&tree, "listed", State::Failed);
    is_down_for_good(&tree, "signal", State::Failed);
    is_down_for_good(&tree, "always", State::Down);
    assert_eq!(tree.lines("always/seen").len(), 3);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn pebble_back_off_grows_to_its_cap_and_is_told() {
    let mut tree = Tree::new();
    let policy = "restart = { delay = '100ms', factor = 3, max-delay = '600ms', jitter = 0.1 }";
    tree.toml("web", &(ends("exit 1") + policy));
    tree.start();
    let status = tree.await_status("web", "a back-off", |status| {
        status.verdict.as_ref().is_some_and(|verdict| verdict.contains("failure, back-off"))
            && status.next_start_ms.is_some()
    });
    assert_eq!(status.state, State::Waiting);
    // 100, 300, 600, 600: each 10 % less at most. Only the shortest time is a promise on a busy machine.
    let least = [90, 270, 540, 540];
    assert!(gaps(&tree, 5).iter().zip(least).all(|(gap, least)| *gap >= least), "{:?}", gaps(&tree, 5));
    let said = until("a sentence", || {
        Some(tree.ctl_ok(&["why", "web"])).filter(|said| said.contains("next start") && said.contains("failure, back-off)"))
    });
    assert!(said.contains("waiting to be started again"), "{said}");
    // A killed supervisor's heir goes on counting.
    let before = tree.lines("web/seen").len();
    tree.kill_supervisor("web");
    tree.await_lines("web/seen", before + 3);
    let gaps = gaps(&tree, before + 3);
    assert!(gaps[before..].iter().all(|gap| *gap >= 500), "{gaps:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_a_used_up_restart_limit_fails_and_a_manual_start_works() {
    let mut tree = Tree::new();
    tree.toml("web", &(ends("exit 1") + "restart = { delay = '1ms', limit = 3, window = '1h' }"));
    tree.toml("edge", "command = 'sleep 1000'\nneeds = [{ on = 'web', bond = 'follow' }]");
    tree.start();
    let status = is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(status.verdict.as_deref(), Some("3 ends within 60 min"));
    assert_eq!(tree.lines("web/seen").len(), 3);
    assert!(tree.ctl_ok(&["why", "web"]).contains("failed for good"));
    // Killed in this state, it stays in it.
    tree.kill_supervisor("web");
    tree.await_status("web", "a new supervisor", |new| {
        new.supervisor_pid.is_some() && new.supervisor_pid != status.supervisor_pid
    });
    assert_eq!(is_down_for_good(&tree, "web", State::Failed).verdict, status.verdict);
    tree.say(&["start", "web"]);
    tree.await_lines("web/seen", 6);
    is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(tree.lines("web/seen").len(), 6);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn good_ends_that_come_too_often_are_told_as_ends() {
    let mut tree = Tree::new();
    tree.toml("web", &(ends("exit 0") + "restart = { delay = '1ms', limit = 3, window = '1h' }"));
    tree.start();
    let status = is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(status.verdict.as_deref(), Some("3 ends within 60 min"));
    let why = tree.ctl_ok(&["why", "web"]);
    assert!(why.contains("3 ends within 60 min") && !why.contains("who wait"), "{why}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn at_the_limit_a_command_runs_in_the_environment_of_the_service() {
    let mut tree = Tree::new();
    let policy =
        "restart = { delay = '1ms', limit = 2, at-limit = { run = ['sh', '-c', 'echo $WHO >told'] } }\nenv.WHO = 'web'";
    tree.toml("web", &(ends("exit 1") + policy));
    tree.start();
    assert_eq!(tree.await_lines("web/told", 1), ["web"]);
    is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(tree.lines("web/seen").len(), 2);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn at_the_limit_the_container_may_end() {
    for (at_limit, code) in [("'stop-container'", 6), ("{ stop-container = 33 }", 33)] {
        let mut tree = Tree::new();
        tree.toml("web", &(ends("exit 6") + &format!("restart = {{ delay = '1ms', limit = 2, at-limit = {at_limit} }}")));
        tree.toml("other", "command = 'sleep 1000'");
        tree.launch();
        assert_eq!(tree.wait(), code);
        assert_eq!(tree.lines("web/seen").len(), 2);
    }
}

#[test]
fn an_essential_service_ends_the_container() {
    let cases = [
        ("exit 5", "essential = true", 5),
        ("exit 0", "essential = 'own-code'", 0),
        ("kill -KILL $$", "essential = true", 137),
        ("exit 5", "essential = { code = 44 }", 44),
        // Its policy comes first.
        ("test $(wc -l <seen) -lt 3", "essential = true\nrestart = { delay = '1ms', when = 'on-failure' }", 0),
        ("exit 8", "essential = true\nrestart = { delay = '1ms', limit = 3 }", 8),
    ];
    for (how, policy, code) in cases {
        let mut tree = Tree::new();
        let how = if how.starts_with("test") { "test $(wc -l <seen) -gt 2" } else { how };
        tree.toml("web", &(ends(how) + policy));
        tree.launch();
        assert_eq!(tree.wait(), code, "{how}: {policy}");
        let starts = if policy.contains("restart") { 3 } else { 1 };
        assert_eq!(tree.lines("web/seen").len(), starts, "{how}: {policy}");
    }
}

#[test]
fn an_essential_service_that_is_not_ready_in_time_ends_the_container() {
    let sleeps = "command = 'sleep 1000'\nready.fd = 3\n";
    let well = "command = ['sh', '-c', 'trap \"exit 0\" TERM; while :; do sleep 0.01; done']\nready.fd = 3\n";
    let cases = [
        (sleeps, "essential = true", 143),
        (sleeps, "essential = { code = 9 }", 9),
        (sleeps, "essential = { on = 'failure' }\nrestart.when = 'never'", 143),
        (well, "essential = true\nrestart.when = 'always'", 1),
        ("command = 'sleep 1000'\nkind = 'forking'\n", "essential = true", 143),
    ];
    for (how, policy, code) in cases {
        let mut tree = Tree::new();
        tree.toml("web", &format!("{how}timeout.start = '2s'\n{policy}"));
        tree.launch();
        assert_eq!(tree.wait(), code, "{how}: {policy}");
    }
}

#[test]
fn an_essential_service_may_end_well_or_be_stopped() {
    let mut tree = Tree::new();
    tree.toml("job", &(ends("exit 0") + "essential = { on = 'failure' }"));
    tree.toml("web", "command = 'sleep 1000'\nessential = true");
    tree.toml("other", "command = 'sleep 1000'");
    tree.start();
    tree.await_up("web");
    tree.await_up("other");
    is_down_for_good(&tree, "job", State::Down);
    tree.ctl_ok(&["stop", "web"]);
    tree.ctl_ok(&["restart", "web"]);
    let web = tree.await_up("web");
    assert!(tree.is_running());
    kill(web, "TERM");
    assert_eq!(tree.wait(), 143);
    assert_eq!(tree.log().matches("web is over (killed by SIGTERM): stopping everything").count(), 1, "{}", tree.log());
}

#[test]
fn an_essential_classic_service_needs_no_finish() {
    for (content, code) in [("", 5), ("17\n", 17), ("failure 18", 18)] {
        let mut tree = Tree::new();
        tree.draft("web").run("exit 5").file("essential", content);
        tree.place("web");
        tree.launch();
        assert_eq!(tree.wait(), code, "{content:?}");
    }
    let mut tree = Tree::new();
    tree.draft("web").run("exit 0").file("essential", "failure");
    tree.place("web");
    tree.start();
    is_down_for_good(&tree, "web", State::Down);
    // With a finish, that decides.
    tree.draft("old").run("echo x >>seen; exit 5").finish("test $(wc -l <seen) -lt 2 || exit 125").file("essential", "9");
    tree.place("old");
    assert_eq!(tree.wait(), 9);
    assert_eq!(tree.lines("old/seen").len(), 2);
}

#[test]
fn pebble_a_stop_during_back_off_holds() {
    let mut tree = Tree::new();
    tree.toml("web", &(ends("exit 1") + "restart.delay = '1h'"));
    tree.start();
    tree.await_status("web", "waiting", |status| status.state == State::Waiting);
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(is_down_for_good(&tree, "web", State::Down).verdict, None);
    assert_eq!(tree.lines("web/seen").len(), 1);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_end_of_a_policy_is_an_event() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'false'\nstart = false\nrestart.when = 'never'");
    tree.start();
    tree.events();
    tree.say(&["start", "web"]);
    let kinds = [EventKind::Starting, EventKind::Up, EventKind::Exited, EventKind::Failed, EventKind::Down];
    tree.expect("web", &kinds);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn wrong_values_are_told_with_their_place() {
    let tree = Tree::new();
    let wrong = "command = 'true'\nrestart.when = 'onfailure'\nrestart.never-on = [256, 'NOSIG']\nrestart.factor = 0.5\n\
                 restart.jitter = 2\nrestart.limit = 17\nrestart.window = '0s'\nessential = { cod = 3 }\nrestart.delay = 5\n\
                 success-exits = 'x'\n";
    tree.toml("web", wrong);
    tree.toml("b", "command = 'true'\nrestart.max-delay = '5s'\nrestart.at-limit = { runs = 'x' }\n");
    tree.toml("c", "command = 'true'\nrestart.limit = 2\nrestart.at-limit = 'alert'\n");
    let said = svc_testkit::Said::by(
        std::process::Command::new(svc_testkit::program()).args(["ctl", "check"]).arg(tree.services()),
    );
    for expected in [
        "service.toml:2:16: restart.when must be one of always, on-failure, never, and is \"onfailure\": did you mean on-failure?",
        "service.toml:3:21: restart.never-on is 256, and must be an exit code from 0 to 255, or a signal that kill -l knows",
        "service.toml:3:26: restart.never-on is \"NOSIG\", and must be",
        "service.toml:4:18: restart.factor is 0.5, and must be a number from 1 to 100, such as 2",
        "service.toml:5:18: restart.jitter is 2, and must be a number from 0 to 1, such as 0.2",
        "service.toml:6:17: restart.limit is 17, and must be a number from 1 to 16",
        "service.toml:7:18: restart.window is \"0s\", and must be a time with its unit (ms, s, m, h or d), and more than 0",
        "service.toml:8:15: essential has \"cod\", which is unknown: did you mean code?",
        "service.toml:9:17: restart.delay is 5, and must be a time with its unit",
        "service.toml:10:17: success-exits is \"x\", and must be a list",
        "service.toml:2:9: restart.max-delay means nothing without restart.factor: write that too, or remove it",
        "service.toml:3:22: restart.at-limit has \"runs\", which is unknown: did you mean run?",
        "service.toml:3:20: restart.at-limit is \"alert\", and must be fail, stop-container, or a table with stop-container or run",
    ] {
        assert!(said.out.contains(expected) || said.err.contains(expected), "{expected}\n{said:?}");
    }
    assert_eq!(said.code, 1);
}

#[test]
fn a_long_run_begins_a_new_series_of_delays() {
    let mut tree = Tree::new();
    let keys = "restart = { delay = '20ms', factor = 20, max-delay = '20s', reset-after = '2s' }";
    // What a busy machine makes of a short run is not that long.
    tree.toml("web", &(ends("test $(wc -l <seen) -ne 3 || sleep 2.2; exit 1") + keys));
    tree.start();
    let gaps = gaps(&tree, 4);
    // 20 ms, 400 ms, and then 8 s, had the third run not been long enough.
    assert!(gaps[1] >= 400 && gaps[2] >= 2200 && gaps[2] < 7900, "{gaps:?}");
    assert_eq!(tree.stop(), 0);
}
