//! What other supervisors test, as docs/peers-scenarios.md lists it, and no other test of ours has.

use std::fs;

use svc_testkit::{State, Tree, is_alive, kill, program, until};

fn restarted(tree: &Tree, name: &str, old: i32) -> i32 {
    tree.await_status(name, "another run", |status| status.pid.is_some_and(|pid| pid != old)).pid.expect("just seen")
}

#[test]
fn dinit_a_value_with_blanks_stays_one_argument() {
    let mut tree = Tree::new();
    let shell = "printf \"<%s>\" \"$@\" >seen; echo >>seen; exec sleep 1000";
    let words = "'${TEXT}', 'a${N:-1}b', '${NONE:-}', '$HOME', '$${TEXT}'";
    tree.toml("web", &format!("command = ['sh', '-c', '{shell}', 'sh', {words}]"));
    tree.set("TEXT", "one  two;$(three) 100%% %(x)s").start();
    assert_eq!(tree.await_lines("web/seen", 1), ["<one  two;$(three) 100%% %(x)s><a1b><><$HOME><${TEXT}>"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_a_restart_of_what_has_no_process_restarts_its_members_once() {
    let mut tree = Tree::new();
    let member = "command = ['sh', '-c', 'echo up >>seen; exec sleep 1000']";
    tree.toml("a", member);
    tree.toml("b", &format!("{member}\nneeds = ['a']"));
    tree.toml("both", "kind = 'bundle'\nmembers = ['a', 'b']");
    tree.toml("beside", member);
    tree.start();
    let before = ["a", "b", "beside"].map(|name| tree.await_up(name));
    for name in ["a", "b", "beside"] {
        tree.await_lines(&format!("{name}/seen"), 1);
    }
    tree.ctl_ok(&["restart", "both"]);
    let after = ["a", "b", "beside"].map(|name| tree.await_up(name));
    assert!(before[0] != after[0] && before[1] != after[1] && before[2] == after[2], "{before:?} {after:?}");
    assert!(tree.ctl_ok(&["restart", "beside"]).starts_with("beside: up (pid "));
    // It is up a moment before it has written that down.
    for (name, count) in [("a", 2), ("b", 2), ("beside", 2)] {
        assert_eq!(tree.await_lines(&format!("{name}/seen"), count).len(), count, "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_what_runs_once_leaves_its_file_and_svc_says_only_why_it_ends() {
    let mut tree = Tree::new();
    tree.toml("job", "kind = 'oneshot'\nup = \"sh -c 'echo ran >>seen'\"");
    tree.command(&["true"]).launch();
    assert_eq!(tree.wait(), 0);
    assert_eq!(tree.lines("job/seen"), ["ran"]);
    assert_eq!(tree.log(), "svc-scan: CMD is over (exit 0): stopping everything\n");
}

#[test]
fn dinit_a_chain_of_successors_goes_link_by_link() {
    let mut tree = Tree::new();
    let trace = tree.path("trace");
    for (name, before) in [("third", "second"), ("second", "first"), ("first", "")] {
        let needs = format!("needs = [{{ on = '{before}', until = 'completed', bond = 'start' }}]");
        let needs = if before.is_empty() { "" } else { &needs };
        let shell = format!("echo {name} >>{}", trace.display());
        tree.toml(name, &format!("command = ['sh', '-c', '{shell}']\nrestart.when = 'never'\n{needs}"));
    }
    tree.start();
    tree.await_status("third", "over", |status| status.last_exit.is_some());
    assert_eq!(fs::read_to_string(trace).expect("written"), "first\nsecond\nthird\n");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_a_stopped_one_comes_back_as_another_kind_with_other_dependencies() {
    let mut tree = Tree::new();
    tree.toml("job", "command = 'sleep 1000'\nstart = false");
    tree.toml("db", "command = 'sleep 1000'\nstart = false");
    tree.start();
    let is_down = |status: &svc_testkit::Status| status.state == State::Down && status.supervisor_pid.is_some();
    tree.await_status("job", "down", is_down);
    tree.edit("job", "kind = 'oneshot'\nup = \"sh -c 'echo up >>seen'\"\nneeds = ['db']\nstart = false");
    tree.await_problem("job", &["of another kind now: take it out and put it back"]);
    let [here, aside] = ["job", ".job"].map(|name| tree.services().join(name));
    fs::rename(&here, &aside).expect("ours");
    until("the end of the old one", || tree.status("job").is_none().then_some(()));
    fs::rename(&aside, &here).expect("ours");
    tree.await_status("job", "down", |status| is_down(status) && status.problem.is_none());
    tree.ctl_ok(&["start", "job"]);
    assert_eq!(tree.status("job").map(|status| status.state), Some(State::Done));
    assert_eq!((tree.lines("job/seen"), tree.status("db").map(|status| status.state)), (vec!["up".into()], Some(State::Up)));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_what_does_not_fit_in_is_refused_at_once_with_the_reason() {
    let mut tree = Tree::new();
    let sleeps = "command = 'sleep 1000'\n";
    tree.toml("lost", &format!("{sleeps}needs = ['dbb']"));
    tree.toml("behind", &format!("{sleeps}needs = ['lost']"));
    tree.toml("asleep", &format!("{sleeps}needs = ['dbb']\nstart = false"));
    tree.toml("round", "kind = 'milestone'\nneeds = ['about']");
    tree.toml("about", "kind = 'milestone'\nneeds = ['round']");
    tree.toml("db", sleeps);
    tree.toml("all", "kind = 'bundle'\nmembers = ['db']");
    tree.start();
    tree.await_up("db");
    let faults = [
        ("lost", "lost names dbb, which does not exist"),
        ("behind", "needs lost, which cannot be used"),
        ("round", "wait for each other"),
    ];
    for (name, why) in faults {
        tree.await_problem(name, &[why]);
        for verb in [&["start"][..], &["start", "--no-wait"], &["restart"], &["stop"], &["reload"], &["kill", "HUP"]] {
            let said = tree.say(&[verb, &[name]].concat());
            assert!(said.code == 1 && said.err.contains(why), "{verb:?} {name}: {said:?}");
        }
        // It may come yet.
        let said = tree.say(&["wait", "--timeout", "50ms", name]);
        assert!(said.code == 99 && said.err.contains("still broken") && said.err.contains(why), "{said:?}");
        let said = tree.say(&["health", name]);
        assert!(said.code == 1 && said.out.contains(why), "{said:?}");
        assert_eq!(tree.ctl_ok(&["logs", name]), "");
    }
    assert_eq!(tree.say(&["health", "asleep"]).code, 0, "nobody wants it up");
    let said = tree.say(&["start", "lost", "db"]);
    assert!(said.code == 1 && said.out.contains("db: up"), "{said:?}");
    let said = tree.say(&["reload", "all"]);
    assert!(said.code == 1 && said.err.contains("all: has no process: name one that has"), "{said:?}");
    tree.toml("dbb", sleeps);
    tree.await_up("behind");
    assert_eq!(tree.say(&["health", "lost", "behind"]).code, 0);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_the_argument_of_a_template_is_in_its_command_files_and_dependencies() {
    let mut tree = Tree::new();
    tree.toml("base-x", "command = 'sleep 1000'\nstart = false");
    fs::write(tree.path("x.env"), "WHO=mister x\n").expect("ours");
    let command = "command = ['sh', '-c', 'echo $WHO $0 >seen; exec sleep 1000', '${INSTANCE}']";
    let file = tree.path("${INSTANCE}.env").display().to_string();
    tree.one_file("web@", &format!("instances = ['x']\n{command}\nneeds = ['base-${{INSTANCE}}']\nenv-file = '{file}'"));
    tree.start();
    assert_eq!(tree.await_lines("seen", 1), ["mister x x"]);
    tree.await_up("base-x");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_one_that_is_not_ready_in_time_after_a_crash_has_failed() {
    let mut tree = Tree::new();
    let shell = "[ -e second ] || { : >second; echo >&3; }; exec sleep 1000";
    let keys = format!("command = ['sh', '-c', '{shell}']\nready.fd = 3\n");
    tree.toml("web", &keys);
    tree.toml("edge", "command = 'sleep 1000'\nneeds = [{ on = 'web', bond = 'follow' }]");
    tree.start();
    tree.await_up("edge");
    // From the next start on.
    tree.edit("web", &format!("{keys}timeout.start = '200ms'"));
    kill(tree.await_up("web"), "KILL");
    let web = tree.await_status("web", "given up", |status| status.state == State::Failed);
    assert_eq!((web.restarts, web.problem.as_deref()), (1, Some("not ready after 200 ms, which is its time to start")));
    tree.await_problem("edge", &["blocked by web: not ready after 200 ms"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_a_down_that_fails_runs_once_is_told_and_holds_nobody_up() {
    let mut tree = Tree::new();
    tree.toml("disk", "kind = 'oneshot'\ndown = \"sh -c 'echo x >>downs; exit 3'\"");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['disk', 'db']");
    // The failure has been heard of when the stop is over.
    let last = format!("trap \"{} svc-ctl wait disk; exit\" TERM; echo up >up; sleep 1000 & wait", program().display());
    tree.toml("db", &format!("command = ['sh', '-c', '{last}']"));
    tree.start();
    tree.await_up("web");
    tree.await_lines("db/up", 1);
    let said = tree.say(&["stop", "--dependents", "disk", "db"]);
    assert!(said.code == 1 && said.err.contains("disk: its down failed (exit 3): what its up did stays"), "{said:?}");
    assert!(said.out.contains("db: down"), "{said:?}");
    assert_eq!(["web", "db"].map(|name| tree.await_status(name, "there", |_| true).state), [State::Down; 2]);
    assert_eq!(tree.lines("disk/downs"), ["x"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn dinit_a_forking_daemon_is_stopped_by_its_command_again_and_again() {
    let mut tree = Tree::new();
    // The command has more to do when the daemon has ended.
    let stop = "kill -KILL $MAINPID; while [ -e /proc/$MAINPID/exe ]; do sleep 0.01; done; echo $MAINPID >>ends";
    let keys = format!("command = ['sh', '-c', 'sleep 1000 & exit 0']\nstop.command = ['sh', '-c', '{stop}']");
    tree.toml("web", &format!("kind = 'forking'\n{keys}"));
    tree.start();
    let mut pids = Vec::new();
    for _ in 0..2 {
        let status = tree.await_status("web", "the daemon", |status| status.ready == Some(true));
        pids.push(status.pid.expect("it runs").to_string());
        tree.ctl_ok(&["stop", "web"]);
        assert_eq!(tree.lines("web/ends"), pids);
        let exit = tree.status("web").and_then(|status| status.last_exit).expect("it has ended");
        assert_eq!(exit.signal.as_deref(), Some("KILL"));
        tree.ctl_ok(&["start", "web"]);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn nitro_a_down_file_that_comes_or_goes_touches_nothing_that_runs() {
    let mut tree = Tree::new();
    let [web, db] = ["web", "db"].map(|name| tree.service(name));
    web.file("down", "").run("exec sleep 1000");
    db.run("exec sleep 1000");
    tree.start();
    tree.await_up("db");
    let said = tree.say(&["wait", "--up", "--timeout", "0", "db", "web"]);
    assert!(said.code == 99 && said.err.contains("web: still down"), "{said:?}");
    tree.ctl_ok(&["start", "web"]);
    let before = ["web", "db"].map(|name| tree.await_up(name));
    tree.ctl_ok(&["rescan"]);
    web.remove("down");
    db.file("down", "");
    tree.ctl_ok(&["rescan"]);
    assert_eq!(["web", "db"].map(|name| tree.await_up(name)), before);
    tree.ctl_ok(&["wait", "--up", "--timeout", "0", "db", "web"]);
    // What is deleted when it is down cannot be started.
    tree.ctl_ok(&["stop", "db"]);
    fs::remove_dir_all(db.path()).expect("ours");
    until("its end", || tree.status("db").is_none().then_some(()));
    assert_eq!(tree.say(&["start", "db"]).code, 102);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn nitro_a_finish_may_take_its_service_down_and_may_fail() {
    let mut tree = Tree::new();
    let heard = "echo \"$1 $2\" >>seen";
    tree.service("last")
        .run("exit 0")
        .finish(&format!("{heard}; {} svc-ctl stop --no-wait $3; exit 1", program().display()));
    for name in ["stopped", "hung-up"] {
        tree.service(name).run("exec sleep 1000").finish(&format!("{heard}; exit 1"));
    }
    tree.start();
    for round in 1..=2 {
        assert_eq!(tree.await_lines("last/seen", round).len(), round);
        tree.await_status("last", "down", |status| status.state == State::Down && !status.wanted_up);
        assert_eq!(tree.lines("last/seen"), vec!["0 0"; round]);
        tree.ctl_ok(&["start", "last"]);
    }
    tree.await_up("stopped");
    tree.ctl_ok(&["stop", "stopped"]);
    assert_eq!(tree.lines("stopped/seen"), ["256 15"]);
    assert_eq!(tree.status("stopped").map(|status| status.state), Some(State::Down));
    tree.await_up("hung-up");
    tree.ctl_ok(&["reload", "hung-up"]);
    assert_eq!(tree.await_lines("hung-up/seen", 1), ["256 1"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn nitro_a_descriptor_of_readiness_that_is_no_number_is_told() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").file("notification-fd", "bad\n");
    tree.start();
    tree.await_up("web");
    tree.await_problem("web", &["web/notification-fd: the first line must be a plain decimal number", "using none"]);
    tree.ctl_ok(&["wait", "--ready", "web"]);
    assert_eq!(tree.status("web").and_then(|status| status.ready), None);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn nitro_neither_a_template_nor_an_instance_of_none_can_be_started() {
    let mut tree = Tree::new();
    tree.one_file("worker@", "instances = 1\ncommand = 'sleep 1000'");
    tree.start();
    tree.await_up("worker@1");
    let names = |tree: &Tree| -> Vec<String> {
        tree.list().expect("an answer").services.iter().map(|status| status.name.clone()).collect()
    };
    let before = names(&tree);
    let refused = |tree: &Tree, name: &str| {
        for verb in ["start", "stop", "why"] {
            let said = tree.say(&[verb, name]);
            assert!(said.code == 102 && said.err.contains(name), "{verb} {name}: {said:?}");
        }
    };
    for name in ["worker@", "worker@9", "worker@north"] {
        refused(&tree, name);
    }
    assert_eq!(names(&tree), before, "asking makes nothing");
    std::fs::remove_file(tree.services().join("worker@.toml")).expect("there");
    until("the end of its instance", || names(&tree).is_empty().then_some(()));
    refused(&tree, "worker@1");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn horust_always_is_after_every_signal_and_every_code() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nrestart = { when = 'always', delay = '1ms' }");
    tree.toml("code", "command = ['sh', '-c', 'exit $(echo x >>seen; wc -l <seen)']\nrestart.delay = '1ms'");
    tree.start();
    let mut pid = tree.await_up("web");
    for signal in ["TERM", "INT", "HUP", "QUIT", "KILL", "USR1", "SEGV", "PIPE"] {
        // What is made ready before a program dies of a signal too, and that is another end.
        until("its program", || fs::read_to_string(format!("/proc/{pid}/comm")).ok().filter(|name| name == "sleep\n"));
        kill(pid, signal);
        pid = restarted(&tree, "web", pid);
        let last = tree.status("web").and_then(|status| status.last_exit).expect("it has ended");
        assert_eq!(last.signal.as_deref(), Some(signal));
    }
    // The codes are 1, 2, 3 and so on.
    tree.await_lines("code/seen", 5);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn horust_every_stop_signal_is_delivered() {
    let mut tree = Tree::new();
    let signals = ["HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "ALRM", "TERM", "WINCH", "PWR", "37"];
    for signal in signals {
        let shell = format!("trap \"echo {signal} >>seen; exit 0\" {signal}; echo up >>seen");
        let command = format!("command = ['sh', '-c', '{shell}; while :; do sleep 1000 & wait $!; done']");
        tree.toml(&signal.to_lowercase(), &format!("{command}\nstop.signal = '{signal}'"));
    }
    tree.start();
    for signal in signals {
        tree.await_lines(&format!("{}/seen", signal.to_lowercase()), 1);
    }
    tree.ctl_ok(&["stop", "*"]);
    for signal in signals {
        assert_eq!(tree.lines(&format!("{}/seen", signal.to_lowercase())), ["up", signal]);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn pebble_who_ended_everything_is_not_started_at_the_next_boot() {
    let mut tree = Tree::new();
    tree.toml("web", "command = ['sh', '-c', 'exit 7']\nstart = false\nessential = true");
    tree.start();
    tree.say(&["start", "web"]);
    assert_eq!(tree.wait(), 7);
    tree.start();
    let is_down = |status: &svc_testkit::Status| status.supervisor_pid.is_some() && status.state == State::Down;
    let web = tree.await_status("web", "heard of", is_down);
    assert_eq!((web.wanted_up, web.last_exit.is_none()), (false, true));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn process_compose_a_stopped_one_is_not_started_by_what_it_watches() {
    let mut tree = Tree::new();
    let file = tree.path("a.conf");
    std::fs::write(&file, "1").expect("ours");
    let keys = format!("command = 'sleep 1000'\nwatch = '{}'\non-change = 'restart'", file.display());
    tree.toml("stopped", &keys);
    tree.toml("runs", &keys);
    tree.start();
    let pid = tree.await_up("runs");
    tree.await_up("stopped");
    tree.ctl_ok(&["stop", "stopped"]);
    std::fs::write(&file, "2").expect("ours");
    tree.ctl_ok(&["apply"]);
    restarted(&tree, "runs", pid);
    let status = tree.status("stopped").expect("it is there");
    assert_eq!((status.state, status.wanted_up, status.restarts), (State::Down, false, 0));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn process_compose_an_orphan_with_the_output_open_holds_up_no_stop() {
    let mut tree = Tree::new();
    let shell = "setsid sleep 1000 & echo $! >orphan; exec sleep 1001";
    for (name, keep) in [("left", true), ("taken", false)] {
        tree.toml(name, &format!("command = ['sh', '-c', '{shell}']\nkeep-descendants = {keep}"));
    }
    tree.start();
    let orphans = ["left", "taken"].map(|name| tree.await_lines(&format!("{name}/orphan"), 1)[0].parse().expect("a pid"));
    tree.ctl_ok(&["stop", "--timeout", "120", "left", "taken"]);
    assert_eq!(orphans.map(is_alive), [true, false], "one is to be left alone");
    // It holds the pipe still; so does the next run, and neither loses a line by it.
    tree.ctl_ok(&["start", "left"]);
    assert_eq!(tree.stop(), 0);
    assert_eq!(orphans.map(is_alive), [false, false], "the end of svc is the end of everybody");
}

#[test]
fn supervisord_names_and_output_may_be_in_any_language_or_none() {
    let mut tree = Tree::new();
    // A locale that is not there, as in most images.
    tree.set("LC_ALL", "xx_XX.UTF-8").set("LANG", "C");
    tree.toml("größe", "command = ['sh', '-c', 'echo übung; printf \"\\\\377 raw\\\\n\"; exec sleep 1000']");
    tree.start();
    let pid = tree.await_up("größe");
    let logs = until("both lines", || Some(tree.ctl_ok(&["logs", "größe"])).filter(|logs| logs.lines().count() == 2));
    assert_eq!(logs, "übung\n\u{fffd} raw\n");
    until("the line in the log", || tree.log().contains("übung").then_some(()));
    assert!(tree.ctl_ok(&["status"]).lines().any(|line| line.starts_with("größe ") && line.contains(&pid.to_string())));
    let json: serde_json::Value = serde_json::from_str(&tree.ctl_ok(&["why", "--json", "größe"])).expect("JSON");
    let lines: Vec<&str> =
        json["last_lines"].as_array().expect("lines").iter().filter_map(|line| line["line"].as_str()).collect();
    assert_eq!((json["status"]["name"].as_str(), lines), (Some("größe"), vec!["übung", "\u{fffd} raw"]));
    assert_eq!(tree.ctl_ok(&["restart", "gr*"]).split(':').next(), Some("größe"));
    assert_eq!(tree.stop(), 0);
}
