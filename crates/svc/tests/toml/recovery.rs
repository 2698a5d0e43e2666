//! Order, where svc-scan is killed: what has been begun goes on, and what comes next waits until it is known what there is.

use std::io::{Read, Write};
use std::time::Duration;

use svc_testkit::{State, Tree, api, has_program, kill, needs, raw, until, wait_gone, wait_idle};

/// Says when it starts, when it is told to stop, and when it has stopped; which it does as soon as there is a file `go`.
fn slow(tree: &Tree, name: &str, needs: &str) {
    let (trace, go) = (tree.path("trace").display().to_string(), tree.path("go").display().to_string());
    let shell = format!(
        "trap 'echo {name} told >>{trace}; until test -e {go}; do sleep 0.01; done; echo {name} ended >>{trace}; exit 0' TERM
echo {name} began >>{trace}; echo >&3; while :; do sleep 1000 & wait $!; done"
    );
    tree.toml(name, &format!("command = ['sh', '-c', \"\"\"{shell}\"\"\"]\nready.fd = 3\n{needs}"));
}

/// Directories take a while to be read, and orders came in between.
#[test]
fn an_order_to_a_svc_scan_that_has_not_read_everything_starts_what_it_needs() {
    let mut tree = Tree::new();
    slow(&tree, "base", "");
    slow(&tree, "top", "needs = [{ on = 'base', until = 'ready' }]");
    // It is not known at once what will become of this one.
    tree.draft("later");
    tree.place("later");
    std::fs::write(tree.path("go"), "").expect("ours");
    tree.start();
    tree.await_status("top", "ready", |status| status.ready == Some(true));
    tree.ctl_ok(&["stop", "base", "top"]);
    for _ in 0..2 {
        std::fs::write(tree.path("trace"), "").expect("ours");
        let scan = tree.process("svc-scan");
        kill(scan, "STOP");
        // It is in the socket before there is anybody who could read it.
        let control = api::Control::new(api::Verb::Start, vec!["top".into()]);
        let body = serde_json::to_string(&control).expect("ours");
        let mut client = raw::connect(&tree.socket()).expect("svc listens");
        client.write_all(raw::request("POST", "/v1/control", &body).as_bytes()).expect("there is room");
        kill(scan, "KILL");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        let answer = raw::Answer::read(&answer);
        assert!(answer.body.contains("up (pid "), "{answer:?}\n{}", tree.log());
        assert_eq!(tree.lines("../trace"), ["base began", "top began"], "{}", tree.log());
        tree.ctl_ok(&["stop", "base", "top"]);
    }
    assert_eq!(tree.stop(), 0);
}

/// The supervisor was killed too, and its heir told of a wish that was no longer so: a stop started it, and never ended, and a start
/// was taken back.
#[test]
fn an_order_counts_that_comes_before_the_heir_of_a_supervisor() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'");
    tree.start();
    tree.await_status("web", "up", |status| status.state == State::Up);
    for round in 0..10 {
        for (verb, state) in [(api::Verb::Stop, State::Down), (api::Verb::Start, State::Up)] {
            let (scan, supervisor) = (tree.process("svc-scan"), tree.process("svc-supervise web"));
            kill(scan, "STOP");
            let body = serde_json::to_string(&api::Control::new(verb, vec!["web".into()])).expect("ours");
            let mut client = raw::connect(&tree.socket()).expect("svc listens");
            client.write_all(raw::request("POST", "/v1/control", &body).as_bytes()).expect("there is room");
            kill(supervisor, "KILL");
            kill(scan, "KILL");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("an answer");
            let answer = raw::Answer::read(&answer);
            assert!(answer.body.contains("\"done\""), "{round}, {verb:?}: {answer:?}\n{}", tree.log());
            assert_eq!(tree.status("web").map(|status| status.state), Some(state), "{round}, {verb:?}: {}", tree.log());
        }
    }
    assert_eq!(tree.stop(), 0);
}

/// A supervisor that dies twice in a second is not there for a while, and could not be told of the stop.
#[test]
fn who_was_to_go_first_goes_first_though_neither_svc_scan_nor_its_supervisor_is_left() {
    let mut tree = Tree::new();
    slow(&tree, "db", "");
    slow(&tree, "app", "needs = ['db']");
    std::fs::write(tree.path("go"), "").expect("ours");
    tree.start();
    let pids = ["app", "db"]
        .map(|name| tree.await_status(name, "ready", |status| status.ready == Some(true)).pid.expect("it is up"));
    tree.kill_supervisor("app");
    kill(tree.process("svc-supervise app"), "KILL");
    tree.ctl_ok(&["stop", "--dependents", "--no-wait", "db"]);
    tree.kill_scan();
    pids.into_iter().for_each(wait_gone);
    assert_eq!(tree.lines("../trace")[2..], ["app told", "app ended", "db told", "db ended"], "{}", tree.log());
    tree.await_status("app", "down", |status| status.state == State::Down);
    assert_eq!(tree.stop(), 0);
}

/// What was stopping was taken to have stopped.
#[test]
fn a_stop_goes_on_in_order_when_svc_scan_was_killed() {
    for at_the_end in [false, true] {
        let mut tree = Tree::new();
        slow(&tree, "a", "");
        slow(&tree, "b", "needs = ['a']");
        slow(&tree, "c", "needs = ['b']");
        tree.start();
        let all = ["c", "b", "a"];
        let pids =
            all.map(|name| tree.await_status(name, "ready", |status| status.ready == Some(true)).pid.expect("it is up"));
        match at_the_end {
            true => tree.signal("TERM"),
            false => _ = tree.ctl_ok(&["stop", "--dependents", "--no-wait", "a"]),
        }
        tree.await_lines("../trace", 4);
        tree.kill_scan();
        // Whoever was told to stop says so.
        pids[1..].iter().for_each(|&pid| wait_idle(pid, Duration::from_millis(200)));
        std::fs::write(tree.path("go"), "").expect("ours");
        pids.into_iter().for_each(wait_gone);
        let stops = all.map(|name| [format!("{name} told"), format!("{name} ended")]).concat();
        assert_eq!(tree.lines("../trace")[3..], stops, "at the end: {at_the_end}; log:\n{}", tree.log());
        assert_eq!(if at_the_end { tree.wait() } else { tree.stop() }, 0);
    }
}

/// Supervisors say once how a service is, and may have said it before the next svc-scan knew what depends on what.
#[test]
fn what_was_said_of_health_and_of_a_start_counts_for_the_next_svc_scan_too() {
    let mut tree = Tree::new();
    tree.toml("db", "command = 'sleep 1000'\nhealth.exec = 'true'\nhealth.interval = '1h'");
    tree.toml("web", "command = 'sleep 1000'\nneeds = [{ on = 'db', until = 'healthy' }]");
    tree.start();
    tree.await_up("web");
    for _ in 0..2 {
        tree.kill_scan();
        tree.ctl_ok(&["restart", "--timeout", "120", "web"]);
    }
    assert_eq!(tree.stop(), 0);

    if !needs("perl", has_program("perl")) {
        return;
    }
    let program = "use Socket;\nmy $name = $ENV{NOTIFY_SOCKET};\nsubstr($name, 0, 1) = chr(0) if $name =~ /^\\@/;\n\
                   socket(my $speaker, AF_UNIX, SOCK_DGRAM, 0) or die $!;\n\
                   sub say_it { send($speaker, $_[0], 0, pack_sockaddr_un($name)) or die $! }\n\
                   say_it(\"EXTEND_TIMEOUT_USEC=600000000\\nSTATUS=slow\");\n\
                   select(undef, undef, undef, 0.02) until -e 'go';\nsay_it('READY=1');\nsleep(1000);\n";
    let mut tree = Tree::new();
    let keys = "ready.notify = true\ntimeout.start = '5s'";
    tree.draft("slow").file("speaker", program).file("service.toml", &format!("command = 'perl speaker'\n{keys}\n"));
    tree.place("slow");
    tree.toml("never", "command = 'sleep 1000'\nready.fd = 3\ntimeout.start = '5s'\nstart = false");
    tree.start();
    tree.await_status("slow", "what it says", |status| {
        status.health.as_ref().is_some_and(|health| health.says.as_deref() == Some("slow"))
    });
    tree.kill_scan();
    // When its time is over, that of the other one has been for longer.
    assert!(tree.say(&["start", "never"]).err.contains("not ready after 5 s"), "{}", tree.log());
    std::fs::write(tree.services().join("slow/go"), "").expect("ours");
    let slow = tree.await_status("slow", "ready", |status| status.ready == Some(true));
    assert_eq!(slow.restarts, 0);
    assert_eq!(tree.stop(), 0);
}

/// Whoever was stopped because of another one was taken to have ended by himself, and late ones too.
#[test]
fn who_is_stopped_to_be_started_again_is_started_by_the_next_svc_scan() {
    let mut tree = Tree::new();
    slow(&tree, "base", "");
    tree.toml("top", "command = 'sleep 1000'\nneeds = [{ on = 'base', bond = 'follow' }]");
    let up = "up = \"sh -c 'test -e again || { touch again; exec sleep 1000; }'\"";
    tree.toml("once", &format!("kind = 'oneshot'\n{up}\nneeds = [{{ on = 'base', bond = 'follow' }}]"));
    tree.toml("late", "command = 'sleep 1000'\nready.fd = 3\ntimeout.start = '1s'");
    tree.start();
    let top = tree.await_up("top");
    tree.await_lines("../trace", 1);
    let once = tree.await_status("once", "under way", |status| status.pid.is_some()).pid.expect("it runs");
    until("its mark", || tree.services().join("once/again").exists().then_some(()));
    let late = |tree: &Tree| tree.await_status("late", "late", |status| status.problem.is_some()).problem;
    let problem = late(&tree);
    assert_eq!(problem.as_deref(), Some("not ready after 1 s, which is its time to start"));
    tree.ctl_ok(&["restart", "--no-wait", "base"]);
    [top, once].into_iter().for_each(wait_gone);
    tree.await_lines("../trace", 2);
    tree.kill_scan();
    tree.await_status("base", "stopping", |status| status.state == State::Stopping);
    std::fs::write(tree.path("go"), "").expect("ours");
    tree.ctl_ok(&["wait", "--timeout", "120", "base", "top", "once"]);
    assert_ne!(tree.status("top").expect("known").pid, Some(top));
    assert_eq!(late(&tree), problem, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

/// The next svc-scan knew only the file, and took it for what runs.
#[test]
fn a_change_of_kind_that_was_refused_is_refused_by_the_next_svc_scan_too() {
    const SLEEP: &str = "command = 'sleep 1000'";
    const MILESTONE: &str = "kind = 'milestone'";
    const ONESHOT: &str = "kind = 'oneshot'\nup = \"sh -c 'echo up >>ran'\"\ndown = \"sh -c 'echo down >>ran'\"";
    const FORKING: &str = "kind = 'forking'\ncommand = 'sh -c \"sleep 1000 &\"'";
    const TIMER: &str = "kind = 'timer'\ncommand = 'true'\nevery = '1h'";
    let kinds = [
        ("milestone", SLEEP, MILESTONE),
        ("oneshot", SLEEP, ONESHOT),
        ("forking", SLEEP, FORKING),
        ("process", ONESHOT, SLEEP),
        ("timer", FORKING, TIMER),
        ("forked", TIMER, FORKING),
    ];
    let mut tree = Tree::new();
    for (name, before, _) in kinds {
        tree.toml(name, before);
    }
    tree.one_file("file", SLEEP);
    tree.toml("many@", &format!("{SLEEP}\ninstances = 1"));
    tree.toml("web", &format!("{SLEEP}\nneeds = ['milestone']"));
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["wait", "--timeout", "120", "oneshot", "forking", "timer", "process", "file", "many@1"]);
    // It is up before what stays of it is known.
    tree.ctl_ok(&["wait", "--ready", "--timeout", "120", "timer"]);
    tree.await_status("forked", "scheduled", |status| status.state == State::Scheduled);
    let names: Vec<&str> = kinds.iter().map(|(name, ..)| *name).chain(["file", "many@1", "web"]).collect();
    let stand = |tree: &Tree| -> Vec<(Option<i32>, State)> {
        names.iter().map(|name| tree.status(name).expect(name)).map(|status| (status.pid, status.state)).collect()
    };
    let before = stand(&tree);
    for (name, _, now) in kinds {
        tree.service(name).file("service.toml", now);
    }
    tree.one_file("file", MILESTONE);
    tree.service("many@").file("service.toml", &format!("{ONESHOT}\ninstances = 1"));
    for round in 0..3 {
        for words in [["plan"], ["apply"]] {
            let said = tree.say(&words);
            let refused = "it is of another kind now: take it out and put it back (mv it aside, and again here); until then";
            assert_eq!(said.out.matches(refused).count(), kinds.len() + 2, "round {round}: {said:?}\n{}", tree.log());
        }
        // Another svc-scan may hear a little later of some; but who has got another pid never has this one again.
        until(&format!("the same in round {round}; log:\n{}", tree.log()), || (stand(&tree) == before).then_some(()));
        assert_eq!(tree.lines("process/ran"), ["up"]);
        tree.kill_scan();
    }
    // Taken back.
    for (name, before, _) in kinds {
        tree.service(name).file("service.toml", before);
    }
    tree.one_file("file", SLEEP);
    tree.service("many@").file("service.toml", &format!("{SLEEP}\ninstances = 1"));
    tree.ctl_ok(&["apply"]);
    assert_eq!(stand(&tree), before, "{}", tree.log());
    // A template that was refused was taken for another one at the next look, and gone for ever.
    tree.toml("beside", SLEEP);
    tree.await_up("beside");
    tree.ctl_ok(&["rescan"]);
    assert_eq!(stand(&tree), before, "{}", tree.log());
    // And done as it is said to be.
    let aside = tree.path("aside");
    for (dir, name, now) in
        [("oneshot", "oneshot", ONESHOT.to_owned()), ("many@", "many@1", format!("{ONESHOT}\ninstances = 1"))]
    {
        tree.service(dir).file("service.toml", &now);
        tree.kill_scan();
        std::fs::rename(tree.services().join(dir), &aside).expect("ours");
        until("nothing of it", || tree.status(name).is_none().then_some(()));
        std::fs::rename(&aside, tree.services().join(dir)).expect("ours");
        tree.await_status(name, "done", |status| status.state == State::Done);
    }
    assert_eq!(tree.lines("oneshot/ran"), ["up"]);
    assert_eq!(tree.stop(), 0);
}

/// The next svc-scan took what stood on disk for what runs.
#[test]
fn an_edit_that_nobody_has_applied_is_one_for_the_next_svc_scan_too() {
    let mut tree = Tree::new();
    let trace = tree.path("trace").display().to_string();
    let text = |value: &str| format!("command = \"sh -c 'echo $X >>{trace}; exec sleep 1000'\"\nenv.X = '{value}'\n");
    let edit = |tree: &Tree, value: &str| _ = tree.service("web").file("service.toml", &text(value));
    tree.toml("web", &text("old"));
    tree.toml("auto", "command = 'sleep 1000'\napply = 'auto'");
    tree.toml("many@", "command = 'sleep 1000'\ninstances = 1");
    tree.start();
    let (pid, auto, one) = (tree.await_up("web"), tree.await_up("auto"), tree.await_up("many@1"));
    tree.await_lines("../trace", 1);
    edit(&tree, "new");
    tree.service("many@").file("service.toml", "command = 'sleep 1001'\ninstances = 1");
    for _ in 0..2 {
        tree.kill_scan();
        let status = tree.await_status("web", "up", |status| status.pid.is_some());
        assert!(status.changed && status.pid == Some(pid), "{status:?}");
        let status = tree.await_status("many@1", "up", |status| status.pid.is_some());
        assert!(status.changed && status.pid == Some(one), "{status:?}");
        let plan = tree.say(&["plan"]).out;
        assert!(plan.contains("web: restart") && plan.contains("many@1: restart"), "{plan}");
        assert!(plan.contains("{ X = \"old\" } -> { X = \"new\" }") && plan.contains("-> \"sleep 1001\""), "{plan}");
    }
    // Nor does it become so by an end of its own.
    kill(pid, "KILL");
    let pid = tree.await_status("web", "up again", |status| status.pid.is_some_and(|new| new != pid)).pid;
    assert_eq!(tree.await_lines("../trace", 2), ["old", "old"]);
    edit(&tree, "old");
    assert!(!tree.status("web").expect("known").changed);
    let plan = tree.say(&["plan"]).out;
    assert!(!plan.contains("web"), "{plan}");
    tree.ctl_ok(&["apply"]);
    assert_eq!(tree.status("web").expect("known").pid, pid);
    assert_ne!(tree.status("many@1").expect("known").pid, Some(one));
    // One that counts without an apply does so too where nobody saw it.
    let scan = tree.process("svc-scan");
    kill(scan, "STOP");
    edit(&tree, "new");
    tree.service("auto").file("service.toml", "command = 'sleep 1001'\napply = 'auto'");
    kill(scan, "KILL");
    tree.await_status("auto", "up anew", |status| status.pid.is_some_and(|pid| pid != auto));
    assert_eq!(Some(tree.await_up("web")), pid);
    tree.ctl_ok(&["apply"]);
    assert_eq!(tree.await_lines("../trace", 3), ["old", "old", "new"]);
    tree.kill_scan();
    assert!(!tree.await_status("web", "up", |status| status.pid.is_some()).changed);
    assert!(!tree.status("auto").expect("known").changed);
    assert_eq!(tree.stop(), 0);
}

/// The next svc-scan took them for what stood on disk, or for nothing at all.
#[test]
fn what_an_edit_cannot_change_goes_on_when_svc_scan_was_killed() {
    const SLEEP: &str = "command = 'sleep 1000'";
    let mut tree = Tree::new();
    let trace = tree.path("trace").display().to_string();
    let timer = format!("kind = 'timer'\ncommand = \"sh -c 'echo run >>{trace}'\"\nevery = '1s'");
    let others = [
        ("point", "kind = 'milestone'\nneeds = ['base']"),
        ("group", "kind = 'bundle'\nmembers = ['base']"),
        ("timer", &timer),
    ];
    let put = |tree: &Tree| {
        others.iter().for_each(|(name, text)| _ = tree.service(name).file("service.toml", text));
        tree.one_file("file", SLEEP);
    };
    others.iter().for_each(|(name, text)| _ = tree.toml(name, text));
    tree.one_file("file", SLEEP);
    tree.toml("base", SLEEP);
    tree.toml("web", &format!("{SLEEP}\nneeds = ['point', 'group', 'timer', 'file']"));
    tree.start();
    let mut pid = tree.await_up("web");
    let file = tree.await_up("file");
    others.iter().for_each(|(name, _)| _ = tree.service(name).file("service.toml", SLEEP));
    tree.one_file("file", "comand = 'sleep 1000'");
    for is_refused in [false, true] {
        if is_refused {
            tree.say(&["apply"]);
        }
        tree.kill_scan();
        tree.await_problem("file", &["comand"]);
        // It may hear a little later of some.
        let web = tree.await_status("web", "up", |status| status.pid.is_some());
        assert_eq!((web.pid, web.problem), (Some(pid), None));
        for (name, _) in others {
            let status = tree.await_status(name, "up", |status| status.state != State::Down);
            assert!(status.changed && status.problem.is_some(), "{status:?}");
        }
        assert_eq!(tree.await_up("file"), file);
        let runs = tree.lines("../trace").len();
        tree.await_lines("../trace", runs + 1);
        // It is in the order, and what it needs is there.
        tree.ctl_ok(&["restart", "--timeout", "120", "web"]);
        assert_ne!(tree.await_up("web"), pid);
        pid = tree.await_up("web");
        let refused = tree.say(&["stop", "point"]);
        assert!(refused.err.contains("needed by web"), "{refused:?}");
        let plan = tree.say(&["plan"]);
        assert_eq!(plan.out.matches("it is of another kind now").count(), others.len(), "{plan:?}");
    }
    put(&tree);
    assert_eq!(tree.ctl_ok(&["apply"]).trim(), "nothing has changed");
    tree.kill_scan();
    assert_eq!(tree.ctl_ok(&["plan"]).trim(), "nothing has changed");
    assert_eq!(tree.await_up("web"), pid);
    assert_eq!(tree.stop(), 0);
}
