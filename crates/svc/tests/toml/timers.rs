//! When timers run, what becomes of what comes in between, and what is known of it afterwards.

use svc_testkit::{State, Tree, is_alive, kill, until};

/// A timer whose runs write a line each into `seen`, and what it does then; who is stopped says so.
fn timer(tree: &Tree, name: &str, then: &str, keys: &str) {
    let shell = format!("trap \"echo stopped >>ends; exit 1\" TERM; echo $$ >>seen; {then}");
    tree.toml(name, &format!("kind = 'timer'\ncommand = ['sh', '-c', '{shell}']\n{keys}\n"));
}

fn runs(tree: &Tree, name: &str) -> usize {
    tree.lines(&format!("{name}/seen")).len()
}

#[test]
fn process_compose_a_schedule_runs_again_and_again() {
    let mut tree = Tree::new();
    timer(&tree, "beat", "exit 3", "cron = '* * * * * *'");
    timer(&tree, "pulse", "", "every = '1s'");
    tree.start();
    let scheduled = tree.await_status("beat", "scheduled", |status| status.state == State::Scheduled);
    assert!(scheduled.timer.as_ref().is_some_and(|timer| timer.next_run_ms.is_some()), "{scheduled:?}");
    tree.await_lines("beat/seen", 3);
    tree.await_lines("pulse/seen", 3);
    let ran = tree.await_status("beat", "its last run", |status| {
        status.timer.as_ref().is_some_and(|timer| timer.last_exit.as_ref().is_some_and(|exit| exit.code == Some(3)))
    });
    assert!(ran.wanted_up && ran.restarts == 0, "{ran:?}");
    let why = tree.ctl_ok(&["why", "beat"]);
    assert!(why.contains("runs: * * * * * * (UTC)") && why.contains("last run: ") && why.contains("exit 3"), "{why}");
    assert_eq!(tree.say(&["health"]).code, 0, "a run that fails is no service that is down");
    let graph = tree.ctl_ok(&["graph"]);
    assert!(graph.contains("pulse (timer, up)"), "{graph}");
    tree.ctl_ok(&["stop", "pulse"]);
    assert_eq!(tree.status("pulse").map(|status| status.state), Some(State::Down));
    let stopped = runs(&tree, "pulse");
    tree.await_lines("beat/seen", runs(&tree, "beat") + 2);
    assert_eq!(runs(&tree, "pulse"), stopped, "it is not armed");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_cron_expression_has_its_time_zone() {
    if !svc_testkit::needs("time zones (tzdata)", std::path::Path::new("/usr/share/zoneinfo/Asia/Kolkata").exists()) {
        return;
    }
    let mut tree = Tree::new();
    timer(&tree, "utc", "", "cron = '0 0 1 1 *'");
    timer(&tree, "kolkata", "", "cron = '0 0 1 1 *'\nzone = 'Asia/Kolkata'");
    tree.start();
    let next = |name: &str| {
        let status = tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        status.timer.and_then(|timer| timer.next_run_ms).expect("a time")
    };
    // The new year comes five hours and a half earlier there, unless it is between the two just now.
    let (utc, kolkata) = (next("utc"), next("kolkata"));
    assert!(kolkata > utc || utc - kolkata == 19_800_000, "{utc} {kolkata}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_run_is_made_when_somebody_asks() {
    let mut tree = Tree::new();
    timer(&tree, "good", "", "every = '1d'");
    timer(&tree, "bad", "exit 7", "every = '1d'");
    timer(&tree, "asleep", "", "every = '1d'\nstart = false");
    tree.toml("missing", "kind = 'timer'\nevery = '1d'\ncommand = '/no/such/program'");
    tree.toml("once", "kind = 'oneshot'\nup = \"sh -c 'echo up >>seen'\"");
    tree.toml("web", "command = 'sleep 1000'");
    tree.service("classic").run("exec sleep 1000");
    tree.start();
    for name in ["good", "bad", "missing"] {
        tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
    }
    assert!(tree.ctl_ok(&["run", "good"]).contains("good: ran for "), "it ran");
    assert_eq!(runs(&tree, "good"), 1);
    let said = tree.say(&["run", "bad"]);
    assert!(said.code == 1 && said.err.contains("bad: exit 7 after"), "{said:?}");
    let said = tree.say(&["run", "missing"]);
    assert!(said.code == 1 && said.err.contains("missing: could not be started: "), "{said:?}");
    assert!(said.err.contains("its program was not executed (exit code 127)"), "{said:?}");
    until("why", || tree.log().contains("/no/such/program: does not exist").then_some(()));
    let said = tree.say(&["run", "asleep"]);
    assert!(said.code == 1 && said.err.contains("is not up: start it first (svc-ctl start asleep)"), "{said:?}");
    for name in ["web", "classic"] {
        tree.await_up(name);
        let said = tree.say(&["run", name]);
        assert!(said.code == 1 && said.err.contains("does not run to an end"), "{said:?}");
    }
    tree.await_status("once", "done", |status| status.state == State::Done);
    tree.ctl_ok(&["run", "once"]);
    assert_eq!(tree.lines("once/seen"), ["up", "up"]);
    assert_eq!(tree.say(&["run", "nobody"]).code, 102);
    assert_eq!(tree.stop(), 0);
}

/// A run that goes on until there is a file `end` in its directory, or somebody stops it.
const LONG: &str = "while ! [ -e end ]; do sleep 0.02; done; echo over >>ends";

#[test]
fn what_comes_while_it_runs_is_skipped_queued_or_kills() {
    let mut tree = Tree::new();
    for policy in ["skip", "queue", "kill"] {
        timer(&tree, policy, LONG, &format!("every = '1d'\noverlap = '{policy}'"));
    }
    tree.start();
    for name in ["skip", "queue", "kill"] {
        tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        tree.ctl_ok(&["run", "--no-wait", name]);
        tree.await_lines(&format!("{name}/seen"), 1);
        tree.await_up(name);
    }
    let said = tree.say(&["run", "skip"]);
    assert!(said.code == 1 && said.err.contains("a run is under way (pid "), "{said:?}");
    tree.ctl_ok(&["run", "--no-wait", "queue"]);
    assert!(tree.status("queue").and_then(|status| status.timer).is_some_and(|timer| timer.queued));
    assert!(tree.say(&["run", "queue"]).err.contains("a run is under way"), "one at most waits");
    assert_eq!(runs(&tree, "queue"), 1);
    tree.service("queue").file("end", "");
    tree.await_lines("queue/ends", 2);
    assert_eq!(tree.lines("queue/ends"), ["over", "over"]);
    tree.ctl_ok(&["run", "--no-wait", "kill"]);
    tree.await_lines("kill/seen", 2);
    assert_eq!(tree.lines("kill/ends"), ["stopped"]);
    tree.await_up("kill");
    let why = tree.ctl_ok(&["why", "kill"]);
    assert!(why.contains(", not over; the one before: "), "{why}");
    assert_eq!(runs(&tree, "skip"), 1);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_interval_is_counted_from_start_or_from_end() {
    let mut tree = Tree::new();
    timer(&tree, "end", LONG, "every = '1s'\nevery-from = 'end'\nrun-at-start = true");
    timer(&tree, "start", "", "every = '1s'\nevery-from = 'start'\nrun-at-start = true");
    timer(&tree, "goes-on", LONG, "every = '1s'\nevery-from = 'start'\nrun-at-start = true");
    tree.start();
    tree.await_lines("end/seen", 1);
    tree.await_lines("start/seen", 3);
    assert_eq!(runs(&tree, "end"), 1, "the first has not ended");
    let status = tree.status("end").and_then(|status| status.timer).expect("a timer");
    assert_eq!(status.next_run_ms, None);
    tree.await_lines("goes-on/seen", 1);
    let status = tree.status("goes-on").and_then(|status| status.timer).expect("a timer");
    assert!(status.next_run_ms.is_some(), "counted on while it runs: {status:?}");
    tree.service("goes-on").file("end", "");
    tree.service("end").file("end", "");
    tree.await_lines("end/seen", 3);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_run_may_come_with_the_start() {
    let mut tree = Tree::new();
    timer(&tree, "now", "", "every = '1d'\nrun-at-start = true");
    timer(&tree, "later", "", "every = '1d'");
    tree.start();
    tree.await_lines("now/seen", 1);
    tree.await_status("later", "scheduled", |status| status.state == State::Scheduled);
    assert_eq!(runs(&tree, "later"), 0);
    tree.await_status("now", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["stop", "now"]);
    tree.ctl_ok(&["start", "now"]);
    tree.await_lines("now/seen", 2);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_restart_is_a_stop_and_a_start_whether_it_runs_or_waits() {
    let mut tree = Tree::new();
    timer(&tree, "now", "", "every = '1d'\nrun-at-start = true");
    timer(&tree, "busy", LONG, "every = '1d'\nrun-at-start = true");
    timer(&tree, "later", "", "every = '1d'");
    tree.start();
    let waits = |tree: &Tree, name: &str| {
        let status = tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        status.timer.and_then(|timer| timer.next_run_ms).expect("a time")
    };
    tree.await_lines("now/seen", 1);
    tree.await_lines("busy/seen", 1);
    let first = waits(&tree, "now");
    assert!(tree.ctl_ok(&["restart", "now"]).starts_with("now: "));
    tree.await_lines("now/seen", 2);
    assert!(waits(&tree, "now") > first, "its interval is counted from the restart on");
    let before = waits(&tree, "later");
    let said = tree.ctl_ok(&["restart", "later"]);
    assert!(
        said == "later: scheduled, next run in 24 h 0 min\n" || said == "later: scheduled, next run in 23 h 59 min\n",
        "{said}"
    );
    assert!(waits(&tree, "later") > before);
    // The run under way is stopped, and another one follows.
    let pid = tree.await_up("busy");
    tree.ctl_ok(&["restart", "busy"]);
    tree.await_lines("busy/seen", 2);
    tree.await_status("busy", "another run", |status| status.pid.is_some_and(|now| now != pid));
    assert_eq!((tree.lines("busy/ends"), is_alive(pid)), (vec!["stopped".into()], false));
    assert_eq!(runs(&tree, "later"), 0);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_run_has_its_time() {
    let mut tree = Tree::new();
    timer(&tree, "slow", LONG, "every = '1d'\ntimeout.run = '3s'");
    timer(
        &tree,
        "deaf",
        "trap \"\" TERM; while :; do sleep 0.05; done",
        "every = '1d'\ntimeout.run = '3s'\ntimeout.kill = '200ms'",
    );
    tree.start();
    for name in ["slow", "deaf"] {
        tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        assert_eq!(tree.say(&["run", name]).code, 1);
    }
    assert_eq!(tree.lines("slow/ends"), ["stopped"]);
    assert!(tree.log().contains("deaf: its run takes longer than timeout.run: stopping it"), "{}", tree.log());
    let death = tree.status("deaf").and_then(|status| status.last_exit);
    assert_eq!(death.and_then(|death| death.signal).as_deref(), Some("KILL"));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn jitter_comes_on_top() {
    let mut tree = Tree::new();
    timer(&tree, "exact", "", "cron = '0 0 1 1 *'");
    timer(&tree, "vague", "", "cron = '0 0 1 1 *'\njitter = '1h'");
    tree.start();
    let next = |tree: &Tree, name: &str| {
        let status = tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        status.timer.and_then(|timer| timer.next_run_ms).expect("a time")
    };
    let later = next(&tree, "vague") - next(&tree, "exact");
    assert!(later > 0 && later <= 3_600_000, "{later}");
    // Another svc-scan comes to the same.
    let before = next(&tree, "vague");
    kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    assert_eq!(next(&tree, "vague"), before);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killing_svc_scan_and_supervisors_loses_no_run_and_repeats_none() {
    let mut tree = Tree::new();
    timer(&tree, "long", LONG, "every = '1d'\noverlap = 'queue'");
    timer(&tree, "beat", "", "every = '1s'");
    tree.start();
    tree.await_status("long", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["run", "--no-wait", "long"]);
    tree.await_lines("long/seen", 1);
    let pid = tree.await_up("long");
    tree.ctl_ok(&["run", "--no-wait", "long"]);
    for _ in 0..3 {
        tree.kill_scan();
        tree.kill_supervisor("long");
        assert_eq!(tree.await_up("long"), pid);
        let count = runs(&tree, "beat");
        tree.await_lines("beat/seen", count + 1);
    }
    assert!(tree.status("long").and_then(|status| status.timer).is_some_and(|timer| timer.queued), "it is remembered");
    assert_eq!(runs(&tree, "long"), 1);
    tree.service("long").file("end", "");
    tree.await_lines("long/ends", 2);
    tree.await_status("long", "scheduled", |status| status.state == State::Scheduled);
    assert_eq!(runs(&tree, "long"), 2);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_was_missed_runs_once_or_not_at_all() {
    let mut tree = Tree::new();
    for missed in ["run", "skip"] {
        timer(&tree, missed, "", &format!("cron = '0 0 * * *'\nmissed = '{missed}'"));
        timer(&tree, &format!("{missed}-every"), "", &format!("every = '1d'\nmissed = '{missed}'"));
    }
    tree.set("SVC_STATE_DIR", &tree.path("state").display().to_string());
    tree.start();
    tree.await_status("run", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["run", "skip"]);
    let last = tree.status("skip").and_then(|status| status.timer?.last_run_ms).expect("it ran");
    assert_eq!(tree.stop(), 0);
    // Three days go by.
    for name in ["run", "skip", "run-every", "skip-every"] {
        let path = tree.path("state").join(format!("timers/{name}.json"));
        let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).expect("it is kept")).expect("JSON");
        let point = kept["point_ms"].as_u64().expect("a point");
        kept["point_ms"] = (point - 3 * 86_400_000).into();
        std::fs::write(&path, kept.to_string()).expect("ours");
    }
    tree.start();
    tree.await_lines("run/seen", 1);
    tree.await_lines("run-every/seen", 1);
    tree.await_status("run", "scheduled", |status| status.state == State::Scheduled);
    assert_eq!((runs(&tree, "run"), runs(&tree, "run-every")), (1, 1));
    assert_eq!((runs(&tree, "skip"), runs(&tree, "skip-every")), (1, 0));
    let kept = tree.status("skip").and_then(|status| status.timer).expect("a timer");
    assert_eq!(
        (kept.last_run_ms, kept.last_exit.and_then(|exit| exit.code)),
        (Some(last), Some(0)),
        "also of an earlier svc"
    );
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_change_of_its_times_breaks_off_no_run() {
    let mut tree = Tree::new();
    timer(&tree, "job", LONG, "every = '1d'");
    tree.start();
    tree.await_status("job", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["run", "--no-wait", "job"]);
    tree.await_lines("job/seen", 1);
    let pid = tree.await_up("job");
    tree.edit("job", "kind = 'timer'\ncommand = \"sh -c 'echo new >>seen'\"\ncron = '0 0 1 1 *'");
    assert!(is_alive(pid));
    let why = tree.ctl_ok(&["why", "job"]);
    assert!(why.contains("runs: 0 0 1 1 * (UTC)"), "{why}");
    tree.service("job").file("end", "");
    tree.await_status("job", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["run", "job"]);
    assert_eq!(tree.lines("job/seen")[1..], ["new"]);
    assert_eq!(tree.lines("job/ends"), ["over"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_stop_ends_the_run_and_waits_for_it() {
    let mut tree = Tree::new();
    timer(&tree, "job", LONG, "every = '1d'");
    tree.toml("db", "command = 'sleep 1000'");
    timer(&tree, "dump", LONG, "every = '1d'\nneeds = ['db']");
    tree.start();
    for name in ["job", "dump"] {
        tree.await_status(name, "scheduled", |status| status.state == State::Scheduled);
        tree.ctl_ok(&["run", "--no-wait", name]);
        tree.await_lines(&format!("{name}/seen"), 1);
    }
    assert!(tree.ctl_ok(&["stop", "job"]).starts_with("job: down"));
    assert_eq!(tree.lines("job/ends"), ["stopped"]);
    // One may also stop itself.
    let program = svc_testkit::program().display().to_string();
    tree.toml(
        "last",
        &format!("kind = 'timer'\nevery = '1d'\ncommand = ['{program}', 'svc-ctl', 'stop', '--no-wait', 'last']"),
    );
    tree.await_status("last", "scheduled", |status| status.state == State::Scheduled);
    tree.ctl_ok(&["run", "--no-wait", "last"]);
    tree.await_status("last", "down", |status| status.state == State::Down && !status.wanted_up);
    assert!(tree.say(&["stop", "db"]).err.contains("needed by dump"));
    assert_eq!(tree.stop(), 0);
    assert_eq!(tree.lines("dump/ends"), ["stopped"]);
}

#[test]
fn what_is_wrong_with_its_times_is_said() {
    let mut tree = Tree::new();
    tree.start();
    for (text, words) in [
        (
            "cron = '61 * * * *'",
            "service.toml:3:8: cron is \"61 * * * *\", which is no cron expression (number out of bounds)",
        ),
        ("cron = '* * * * *'\nzone = 'Mars/Base'", "service.toml:4:8: zone is \"Mars/Base\", and "),
        ("cron = '* * * * *'\nevery = '1m'", "service.toml:4:1: cron and every both say when it runs: keep one of them"),
        ("", "has neither cron nor every"),
        ("every = '5'", "every is \"5\", and must be a time with its unit"),
        ("every = '10ms'", "service.toml:3:1: every is less than a second: write every = \"1s\" or more"),
        ("every = '1m'\nzone = 'UTC'", "service.toml:4:1: zone means nothing without cron: remove it, or write cron"),
        ("every = '1m'\nevery-from = 'middle'", "every-from must be one of start, end, and is \"middle\""),
        ("every = '1m'\noverlap = 'both'", "overlap must be one of skip, queue, kill, and is \"both\""),
        ("every = '1m'\nmissed = 'no'", "missed must be one of skip, run, and is \"no\""),
        ("every = '1m'\njitter = 'some'", "jitter is \"some\", and must be a time"),
        ("every = '1m'\nrun-at-start = 1", "run-at-start is 1, and must be true or false"),
        ("every = '1m'\ntimeout.run = 'long'", "timeout.run is \"long\", and must be a time"),
    ] {
        tree.toml("job", &format!("kind = 'timer'\ncommand = 'true'\n{text}"));
        tree.await_problem("job", &[words]);
        std::fs::remove_dir_all(tree.services().join("job")).expect("ours");
        until("it is gone", || tree.status("job").is_none().then_some(()));
    }
    assert_eq!(tree.stop(), 0);
}
