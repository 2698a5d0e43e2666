//! Stops of more than one signal: steps, a command, a drain, all processes; and what becomes of them when somebody is killed.

use std::time::{Duration, Instant};

use svc_testkit::{State, Tree, is_alive, wait_gone};

/// Writes down the signals that it gets; `USR1` ends it, and nothing else does.
const DEAF: &str = "command = ['sh', '-c', '''
for signal in INT TERM QUIT; do trap \"echo $signal >>seen\" $signal; done
trap \"echo USR1 >>seen; exit 3\" USR1
echo up >>seen
while :; do sleep 1000 & wait $!; kill $!; done
''']
";

fn death(tree: &Tree, name: &str) -> (Option<u8>, Option<String>) {
    let death = tree.status(name).and_then(|status| status.last_exit).expect("it has ended");
    (death.code, death.signal)
}

fn begun(tree: &mut Tree, name: &str, keys: &str) {
    tree.toml(name, &format!("{DEAF}{keys}"));
    if !tree.is_running() {
        tree.start();
    }
    tree.await_lines(&format!("{name}/seen"), 1);
}

#[test]
fn signals_follow_each_other_until_it_ends() {
    let mut tree = Tree::new();
    begun(&mut tree, "deaf", "stop.steps = [{ signal = 'INT', wait = '2s' }, { signal = 'TERM', wait = '3s' }]");
    begun(&mut tree, "last", "stop.steps = [{ signal = 'QUIT', wait = '2s' }, 'KILL']");
    begun(&mut tree, "listens", "stop.steps = [{ signal = 'TERM', wait = '2s' }, 'USR1']\ntimeout.kill = '1h'");
    let began = Instant::now();
    tree.ctl_ok(&["stop", "deaf", "last", "listens"]);
    assert!(began.elapsed() >= Duration::from_secs(5), "each step has its time");
    assert_eq!(tree.lines("deaf/seen"), ["up", "INT", "TERM"]);
    assert_eq!(death(&tree, "deaf"), (None, Some("KILL".into())));
    assert_eq!(tree.lines("last/seen"), ["up", "QUIT"]);
    assert_eq!(death(&tree, "last"), (None, Some("KILL".into())));
    assert_eq!(tree.lines("listens/seen"), ["up", "TERM", "USR1"]);
    assert_eq!(death(&tree, "listens"), (Some(3), None));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_restart_goes_by_steps_and_says_which() {
    let mut tree = Tree::new();
    begun(&mut tree, "web", "stop.steps = [{ signal = 'INT', wait = '1h' }, 'KILL']");
    tree.ctl_ok(&["restart", "--no-wait", "web"]);
    tree.await_lines("web/seen", 2);
    // It may have heard the signal before svc-scan hears that it was sent.
    let status = tree.await_status("web", "its step", |status| status.reason.is_some());
    let reason = status.reason.unwrap_or_default();
    assert!(reason.starts_with("sent signal 1 of 2, the next one in 3"), "{reason}");
    tree.ctl_ok(&["kill", "USR1", "web"]);
    assert_eq!(tree.await_lines("web/seen", 4), ["up", "INT", "USR1", "up"]);
    assert_eq!(death(&tree, "web"), (Some(3), None));
    tree.edit("web", &format!("{DEAF}stop.steps = [{{ signal = 'INT', wait = '1s' }}, 'USR1']"));
    tree.ctl_ok(&["restart", "web"]);
    assert_eq!(tree.await_lines("web/seen", 7)[4..], ["INT", "USR1", "up"], "an edit holds at once, without a restart");
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_stops_it_and_knows_whom() {
    let mut tree = Tree::new();
    // It has more to do when the service has ended, and may.
    let more = "kill -USR1 $MAINPID; while [ -e /proc/$MAINPID/exe ]; do sleep 0.01; done; sleep 0.3; echo \"$MORE\" >>seen";
    begun(&mut tree, "web", &format!("env.MORE = 'and more'\nstop.command = ['sh', '-c', '{more}']"));
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.lines("web/seen"), ["up", "USR1", "and more"]);
    assert_eq!(death(&tree, "web"), (Some(3), None));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn after_a_command_that_fails_or_hangs_come_the_signals() {
    let mut tree = Tree::new();
    let steps = "stop.steps = [{ signal = 'TERM', wait = '2s' }, 'KILL']";
    begun(&mut tree, "fails", &format!("stop.command = {{ command = 'false', wait = '1h' }}\n{steps}"));
    begun(&mut tree, "missing", &format!("stop.command = {{ command = '/does/not/exist', wait = '1h' }}\n{steps}"));
    let hangs = "sh -c 'echo $$ >command; exec sleep 1000'";
    begun(&mut tree, "hangs", &format!("stop.command = {{ command = \"{hangs}\", wait = '3s' }}\n{steps}"));
    begun(&mut tree, "nothing", &format!("stop.command = {{ command = 'true', wait = '300ms' }}\n{steps}"));
    let names = ["fails", "missing", "hangs", "nothing"];
    tree.ctl_ok(&[&["stop"][..], &names].concat());
    for name in names {
        assert_eq!(tree.lines(&format!("{name}/seen")), ["up", "TERM"], "{name}");
        assert_eq!(death(&tree, name), (None, Some("KILL".into())), "{name}");
    }
    let command = tree.lines("hangs/command")[0].parse().expect("a pid");
    assert!(!is_alive(command), "nothing of it is left");
    let log = tree.log();
    for line in [
        "svc-supervise: fails: stop.command: ended with exit 1: going on with the signal",
        "svc-supervise: missing: stop.command: ended with exit 127: going on with the signal",
        "svc-supervise: hangs: stop.command: has not ended: killed, going on with the signal",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_command_has_the_time_that_is_said_or_ten_seconds() {
    let mut tree = Tree::new();
    begun(&mut tree, "said", "stop.command = { command = 'sleep 1000', wait = '2h' }\nstop.signal = 'USR1'");
    begun(&mut tree, "unsaid", "stop.command = 'sleep 1000'\nstop.signal = 'USR1'");
    for (name, least, most) in [("said", 3600, 7200), ("unsaid", 0, 10)] {
        tree.ctl_ok(&["stop", "--no-wait", name]);
        let status =
            tree.await_status(name, "its command", |status| status.state == State::Stopping && status.reason.is_some());
        let reason = status.reason.unwrap_or_default();
        let seconds =
            reason.strip_prefix("told to stop by its command, which has ").and_then(|rest| rest.strip_suffix(" s"));
        let seconds: u64 = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{reason}"));
        assert!((least..=most).contains(&seconds), "{reason}");
        tree.ctl_ok(&["kill", "USR1", name]);
        tree.await_status(name, "down", |status| status.state == State::Down);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_drains_is_not_ready_and_hears_nothing_until_it_is_drained() {
    let mut tree = Tree::new();
    let drained = "stop.drain = { wait = '1h', until = ['sh', '-c', 'echo $MAINPID >>looked; test -e drained'] }";
    begun(&mut tree, "web", &format!("{drained}\nstop.signal = 'USR1'"));
    let pid = tree.await_up("web");
    tree.ctl_ok(&["wait", "--ready", "web"]);
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    let status = tree.await_status("web", "draining", |status| status.state == State::Stopping);
    assert_eq!((status.ready, status.pid), (Some(false), Some(pid)));
    let reason = status.reason.unwrap_or_default();
    assert!(reason.starts_with("draining, for 3") && reason.ends_with(" s at most"), "{reason}");
    assert_eq!(tree.say(&["wait", "--ready", "--timeout", "100ms", "web"]).code, 99);
    let health = tree.say(&["health"]);
    assert!(health.code == 1 && health.out.contains("draining"), "{health:?}");
    assert_eq!(tree.await_lines("web/looked", 2)[0], pid.to_string());
    assert_eq!(tree.lines("web/seen"), ["up"], "it has heard of nothing");
    std::fs::write(tree.services().join("web/drained"), "").expect("ours");
    tree.await_status("web", "down", |status| status.state == State::Down);
    assert_eq!(tree.lines("web/seen"), ["up", "USR1"]);
    assert_eq!(tree.say(&["health"]).code, 0);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn one_that_says_it_is_ready_is_not_when_it_drains() {
    let mut tree = Tree::new();
    tree.toml("db", "command = ['sh', '-c', 'echo >&3; exec sleep 1000']\nready.fd = 3\nstop.drain = '1h'");
    tree.start();
    tree.await_status("db", "ready", |status| status.ready == Some(true));
    tree.ctl_ok(&["stop", "--no-wait", "db"]);
    tree.await_status("db", "draining", |status| status.ready == Some(false) && status.state == State::Stopping);
    tree.ctl_ok(&["stop", "db"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_drain_takes_its_time_and_who_asks_once_more_does_not_wait_for_it() {
    let mut tree = Tree::new();
    begun(&mut tree, "short", "stop.drain = '300ms'\nstop.signal = 'USR1'");
    begun(&mut tree, "long", "stop.drain = '1h'\nstop.signal = 'USR1'");
    begun(&mut tree, "never", "stop.drain = { wait = '300ms', until = 'false' }\nstop.signal = 'USR1'");
    let began = Instant::now();
    tree.ctl_ok(&["stop", "--no-wait", "long"]);
    tree.ctl_ok(&["stop", "short", "never"]);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(tree.lines("long/seen"), ["up"]);
    tree.ctl_ok(&["stop", "long"]);
    assert_eq!(tree.lines("long/seen"), ["up", "USR1"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn whoever_is_killed_meanwhile_a_stop_goes_on_where_it_was() {
    let mut tree = Tree::new();
    let drained = "stop.drain = { wait = '1h', until = 'test -e drained' }";
    let command =
        "stop.command = { command = \"sh -c 'echo $$ >pid; echo command >>seen; exec sleep 1000'\", wait = '10s' }";
    let steps = "stop.steps = [{ signal = 'INT', wait = '5s' }, { signal = 'TERM', wait = '2s' }]";
    begun(&mut tree, "web", &format!("{drained}\n{command}\n{steps}"));
    let pid = tree.await_up("web");
    tree.ctl_ok(&["stop", "--no-wait", "web"]);
    tree.await_status("web", "draining", |status| status.state == State::Stopping);
    let heir = |tree: &Tree| {
        let before = tree.status("web").and_then(|status| status.supervisor_pid);
        tree.kill_supervisor("web");
        tree.await_status("web", "an heir", |status| status.supervisor_pid.is_some() && status.supervisor_pid != before)
    };
    let status = heir(&tree);
    assert_eq!((status.state, status.ready, status.pid), (State::Stopping, Some(false), Some(pid)));
    assert_eq!(tree.lines("web/seen"), ["up"], "it drains on");
    std::fs::write(tree.services().join("web/drained"), "").expect("ours");
    assert_eq!(tree.await_lines("web/seen", 2), ["up", "command"]);
    let called = tree.lines("web/pid")[0].parse().expect("a pid");
    heir(&tree);
    assert!(is_alive(called), "it goes on");
    tree.await_lines("web/seen", 3);
    wait_gone(called); // it has had its time, whoever had called it
    heir(&tree);
    tree.await_status("web", "down", |status| status.state == State::Down);
    let mut seen = tree.lines("web/seen");
    seen.dedup();
    assert_eq!(seen, ["up", "command", "INT", "TERM"], "in this order, and the command once; a signal may be sent again");
    assert_eq!(death(&tree, "web"), (None, Some("KILL".into())));
    assert_eq!(tree.stop(), 0);
}

/// A service with a child; each writes down when it is told to stop, the service only after this.
fn family(tree: &Tree, name: &str, after: &str, keys: &str) {
    let dir = tree.draft(name);
    dir.script("child", "trap 'echo child >>seen; exit' TERM\necho up >>seen\nwhile :; do sleep 0.05; done\n");
    let parent = format!("trap '{after}; echo main >>seen; exit' TERM\n./child &\nwhile :; do sleep 0.05; done\n");
    dir.script("parent", &parent);
    dir.file("service.toml", &format!("command = './parent'\n{keys}"));
    tree.place(name);
}

#[test]
fn signals_go_to_the_main_process_or_to_all() {
    let mut tree = Tree::new();
    family(&tree, "main", "sleep 0.5", "");
    // What it would sleep for is told to end as well.
    family(&tree, "all", "until grep -q child seen; do sleep 0.05; done", "stop.tree = true");
    tree.start();
    tree.await_lines("main/seen", 1);
    tree.await_lines("all/seen", 1);
    tree.ctl_ok(&["stop", "main", "all"]);
    assert_eq!(tree.lines("main/seen"), ["up", "main", "child"], "what it left behind is told when it has ended");
    assert_eq!(tree.lines("all/seen"), ["up", "child", "main"], "all are told at once");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_end_of_everything_waits_for_no_drain() {
    let mut tree = Tree::new();
    tree.set("SVC_STOP_TIMEOUT", "12s");
    begun(&mut tree, "drains", "stop.drain = '1h'\nstop.signal = 'USR1'");
    begun(&mut tree, "commands", "stop.command = { command = 'sleep 1000', wait = '1h' }\nstop.signal = 'USR1'");
    begun(&mut tree, "steps", "stop.steps = [{ signal = 'INT', wait = '1h' }, 'KILL']");
    let began = Instant::now();
    assert_eq!(tree.stop(), 0);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(6), "{took:?}");
    // There was still time for the signal.
    assert_eq!(tree.lines("drains/seen"), ["up", "USR1"]);
    assert_eq!(tree.lines("commands/seen"), ["up", "USR1"]);
    assert_eq!(tree.lines("steps/seen")[..2], ["up", "INT"]);
}

/// `docker stop --signal=QUIT`, and what else has no time.
#[test]
fn a_quick_end_begins_no_drain_and_no_command() {
    let mut tree = Tree::new();
    begun(&mut tree, "drains", "stop.drain = '1h'\nstop.signal = 'USR1'");
    begun(&mut tree, "commands", "stop.command = { command = 'touch called', wait = '1h' }\nstop.signal = 'USR1'");
    begun(&mut tree, "draining", "stop.drain = '1h'\nstop.signal = 'USR1'");
    tree.ctl_ok(&["stop", "--no-wait", "draining"]);
    tree.await_status("draining", "draining", |status| status.state == State::Stopping);
    tree.signal("QUIT");
    assert_eq!(tree.wait(), 0);
    for name in ["drains", "commands", "draining"] {
        assert_eq!(tree.lines(&format!("{name}/seen")), ["up", "USR1"], "{name}");
    }
    assert!(!tree.services().join("commands/called").exists());
}

#[test]
fn the_command_of_a_stop_runs_once_whenever_its_supervisor_is_killed() {
    let mut tree = Tree::new();
    let command = "sh -c 'echo $$ >>called; kill -USR1 $MAINPID'";
    begun(&mut tree, "web", &format!("stop.command = {{ command = \"{command}\", wait = '20s' }}"));
    for round in 1..=12 {
        tree.await_status("web", "its supervisor", |status| status.supervisor_pid.is_some());
        tree.ctl_ok(&["stop", "--no-wait", "web"]);
        std::thread::sleep(Duration::from_micros(150 * (round - 1)));
        tree.kill_supervisor("web");
        tree.await_status("web", "down", |status| status.state == State::Down);
        assert_eq!(tree.lines("web/called").len() as u64, round);
        tree.ctl_ok(&["start", "web"]);
        tree.await_lines("web/seen", 1 + 2 * round as usize);
    }
    assert_eq!(tree.stop(), 0);
}
