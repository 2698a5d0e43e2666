//! What changes on disk while everything runs.

use svc_testkit::{State, Tree, is_alive, kill, until};

#[test]
fn a_changed_command_restarts_that_service_and_no_other() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['web']");
    tree.start();
    let (web, edge) = (tree.await_up("web"), tree.await_up("edge"));
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.await_up("web"), web, "nothing has changed");
    tree.edit("web", "command = \"sh -c 'echo $A >seen; exec sleep 1000'\"\nenv.A = 'new'");
    assert_eq!(tree.await_lines("web/seen", 1), ["new"]);
    let new = tree.await_status("web", "another", |status| status.pid.is_some_and(|pid| pid != web));
    assert_eq!(new.supervisor_pid, tree.status("web").and_then(|status| status.supervisor_pid));
    assert_eq!(tree.await_up("edge"), edge);
    // It is the same for a supervisor that comes later.
    tree.kill_supervisor("web");
    kill(tree.await_up("web"), "KILL");
    tree.await_status("web", "back", |status| status.pid.is_some_and(|pid| Some(pid) != new.pid));
    assert_eq!(tree.await_lines("web/seen", 1), ["new"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_takes_no_restart_holds_at_once() {
    let mut tree = Tree::new();
    let command = "command = ['sh', '-c', 'trap \"echo int >>seen; exit 0\" INT; trap \"\" TERM; echo up >>seen; sleep 1000 & wait $!']";
    tree.toml("web", command);
    tree.start();
    tree.await_lines("web/seen", 1);
    let web = tree.await_up("web");
    tree.edit("web", &format!("{command}\nstop.signal = 'INT'\ntimeout.stop = '1m'\nwants = ['other']"));
    tree.toml("other", "command = 'sleep 1000'");
    tree.await_up("other");
    assert_eq!(tree.await_up("web"), web);
    tree.ctl_ok(&["stop", "web"]);
    assert_eq!(tree.lines("web/seen"), ["up", "int"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_broken_edit_changes_nothing() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'");
    tree.start();
    let web = tree.await_up("web");
    tree.edit("web", "command = 'sleep 2000'\ncomand = 'x'\nnice = 'x'\n");
    let there = |words: &str| tree.log().contains(words);
    until("a message", || there("until then it stays as it was before the edit").then_some(()));
    assert!(there("service.toml:2:1: \"comand\" is no key of a service: did you mean command?"), "{}", tree.log());
    assert!(there("service.toml:3:8: nice is \"x\""), "{}", tree.log());
    tree.await_problem("web", &["service.toml:2:1"]);
    assert_eq!(tree.await_up("web"), web);
    // The last good one is what is started again.
    kill(web, "KILL");
    let again = tree.await_status("web", "back", |status| status.pid.is_some_and(|pid| pid != web)).pid.expect("a pid");
    let command = || std::fs::read(format!("/proc/{again}/cmdline")).ok().filter(|line| line.starts_with(b"sleep"));
    assert_eq!(until("sleep", command), b"sleep\x001000\0");
    tree.edit("web", "command = 'sleep 1000'");
    until("no problem", || tree.status("web").filter(|status| status.problem.is_none()));
    assert_eq!(tree.await_up("web"), again);
    tree.edit("web", "kind = 'milestone'");
    until("a message", || tree.log().contains("it is of another kind now").then_some(()));
    assert!(is_alive(again));
    // A forking daemon is of another kind than a process, though both run.
    let forking = "kind = 'forking'\ncommand = 'sh -c \"sleep 1000 &\"'";
    for text in ["command = 'sleep 1000'", forking] {
        tree.edit("web", text);
    }
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.contains("it is of another kind now") && !plan.contains("restart"), "{plan}");
    assert!(is_alive(again), "and apply has done what plan says");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_edit_that_names_what_is_not_here_does_not_stop_what_runs() {
    let mut tree = Tree::new();
    let good = "command = 'sleep 1000'\n";
    tree.toml("web", good);
    tree.toml("down", "command = 'sleep 1000'\nstart = false");
    tree.toml("many@", "command = 'sleep 1000'\ninstances = ['1']");
    tree.start();
    let pids = [tree.await_up("web"), tree.await_up("many@1")];
    for (edit, why) in [
        ("user = 'nosuchuser'", "user: there is no account nosuchuser in /etc/passwd"),
        ("groups = ['nogrp']", "groups: there is no group nogrp in /etc/group"),
        ("limits = { nofile = { soft = 10, hard = 5 } }", "limits.nofile has 10 as soft, which is above its hard 5"),
        ("command = '/nonexistent/program'", "/nonexistent/program: does not exist"),
    ] {
        for name in ["web", "down", "many@"] {
            let text = if edit.starts_with("command") { edit.to_owned() } else { format!("{good}{edit}") };
            let own = match name {
                "many@" => "instances = ['1']",
                "down" => "start = false",
                _ => "",
            };
            tree.service(name).file("service.toml", &format!("{text}\n{own}"));
        }
        let plan = tree.say(&["plan"]);
        assert!(plan.out.matches(why).count() >= 2 && !plan.out.contains("restart"), "{edit}: {plan:?}");
        let applied = tree.say(&["apply"]);
        assert!(applied.out.contains(why) || applied.err.contains(why), "{edit}: {applied:?}");
        tree.await_problem("web", &[why, "until then it stays as it was before the edit"]);
        assert_eq!([tree.await_up("web"), tree.await_up("many@1")], pids, "{edit}");
    }
    tree.edit("web", good);
    until("no problem", || tree.status("web").filter(|status| status.problem.is_none()));
    assert_eq!(tree.await_up("web"), pids[0]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_edit_that_names_what_is_not_here_takes_nothing_from_who_is_done_or_waits() {
    let mut tree = Tree::new();
    let door = format!("sockets = ['{}']\nstart = 'on-demand'\ncommand = 'WHAT'", tree.root().join("door").display());
    let services = [
        ("job", State::Done, "kind = 'oneshot'\nup = 'WHAT'\ndown = ['sh', '-c', 'echo >>undone']"),
        ("clock", State::Scheduled, "kind = 'timer'\nevery = '1d'\ncommand = 'WHAT'"),
        ("door", State::Armed, &door),
    ];
    for (name, _, text) in services {
        tree.toml(name, &text.replace("WHAT", "true"));
    }
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['job']");
    tree.start();
    let web = tree.await_up("web");
    for (name, state, text) in services {
        tree.await_status(name, "as it should be", |status| status.state == state);
        tree.service(name).file("service.toml", &text.replace("WHAT", "/nonexistent/program"));
    }
    let (plan, applied) = (tree.say(&["plan"]), tree.say(&["apply"]));
    assert_eq!((plan.code, applied.code), (0, 1), "{applied:?}");
    for (name, state, _) in services {
        assert!(
            plan.out.contains(&format!("{name}: nothing: ")) && applied.out.contains(&format!("{name}: nothing: ")),
            "{plan:?}"
        );
        tree.await_problem(name, &["/nonexistent/program: does not exist", "until then it stays as it was before the edit"]);
        assert_eq!(tree.status(name).map(|status| status.state), Some(state), "{name}");
    }
    tree.ctl_ok(&["run", "clock"]);
    for (name, _, text) in services {
        tree.service(name).file("service.toml", &text.replace("WHAT", "true"));
    }
    assert_eq!(tree.ctl_ok(&["apply"]).trim(), "nothing has changed");
    assert!(tree.lines("job/undone").is_empty() && tree.await_up("web") == web, "{}", tree.log());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_drop_in_is_merged_over_it() {
    let mut tree = Tree::new();
    tree.draft("web").file(
        "service.toml",
        "command = [\"sh\", \"-c\", \"echo $A $B $C >seen; exec sleep 1000\"]\nenv = { A = 1, B = 1 }",
    );
    std::fs::create_dir(tree.draft("web").path().join("service.toml.d")).expect("ours");
    tree.draft("web").file("service.toml.d/20-b.toml", "env.B = 3").file("service.toml.d/10-b.toml", "[env]\nB = 2\nC = 2");
    tree.place("web");
    tree.start();
    assert_eq!(tree.await_lines("web/seen", 1), ["1 3 2"]);
    tree.service("web").file("service.toml.d/30.toml", "env.A = 4");
    tree.ctl_ok(&["rescan"]);
    until("a restart", || (tree.lines("web/seen") == ["4 3 2"]).then_some(()));
    tree.service("web").file("service.toml.d/40.toml", "\n nicer = 4");
    tree.ctl_ok(&["rescan"]);
    tree.await_problem("web", &["service.toml.d/40.toml:2:2: \"nicer\" is no key"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_oneshot_is_taken_down_as_it_was_brought_up() {
    let mut tree = Tree::new();
    let file = |word: &str| {
        format!("kind = 'oneshot'\nup = \"sh -c 'echo +{word} >>seen'\"\ndown = \"sh -c 'echo -{word} >>seen'\"")
    };
    tree.toml("job", &file("old"));
    tree.start();
    tree.await_status("job", "done", |status| status.state == State::Done);
    tree.edit("job", &file("new"));
    assert_eq!(tree.await_lines("job/seen", 3), ["+old", "-old", "+new"]);
    // It has written that down a moment before it ends.
    tree.await_status("job", "done again", |status| status.state == State::Done && status.restarts == 1);
    tree.ctl_ok(&["stop", "job"]);
    assert_eq!(tree.await_lines("job/seen", 4)[3], "-new");
    assert_eq!(tree.status("job").map(|status| status.restarts), Some(1), "its downs are no starts");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killing_svc_scan_restarts_nothing_and_forgets_nothing() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']");
    tree.toml("db", "command = 'sleep 1000'");
    tree.start();
    let (web, db) = (tree.await_up("web"), tree.await_up("db"));
    tree.kill_scan();
    assert_eq!((tree.await_up("web"), tree.await_up("db")), (web, db));
    let said = tree.say(&["stop", "db"]);
    assert!(said.err.contains("needed by web"), "{said:?}");
    tree.edit("web", "command = 'sleep 2000'\nneeds = ['db']");
    tree.await_status("web", "restarted", |status| status.pid.is_some_and(|pid| pid != web));
    assert_eq!(tree.await_up("db"), db);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_oneshot_that_was_taken_out_and_cannot_be_undone_becomes_nothing_else() {
    let mut tree = Tree::new();
    let down = "sh -c 'until [ -e go ]; do sleep 0.01; done; exit 4'";
    tree.one_file("once", &format!("kind = 'oneshot'\nup = \"sh -c 'echo up >>ran'\"\ndown = \"{down}\""));
    tree.start();
    tree.await_status("once", "done", |status| status.state == State::Done);
    std::fs::remove_file(tree.services().join("once.toml")).expect("ours");
    tree.await_status("once", "finishing", |status| status.state == State::Finishing);
    for verb in ["start", "restart", "once"] {
        let said = tree.say(&[verb, "once"]);
        assert!(said.code == 1 && said.err.contains("once: its definition is gone: put it back"), "{said:?}");
    }
    std::fs::write(tree.services().join("go"), "").expect("ours");
    until("nothing of it", || tree.status("once").is_none().then_some(()));
    assert!(tree.log().contains("its down failed"), "{}", tree.log());
    assert_eq!(tree.lines("ran"), ["up"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_down_that_takes_too_long_is_told_with_the_key_that_gives_it_longer() {
    let mut tree = Tree::new();
    tree.toml("once", "kind = 'oneshot'\nup = 'true'\ndown = 'sleep 1000'\ntimeout.stop = '200ms'");
    tree.toml("hang", "kind = 'oneshot'\nup = 'sleep 1000'");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['hang']");
    tree.start();
    tree.await_status("once", "done", |status| status.state == State::Done);
    tree.await_status("hang", "its up", |status| status.pid.is_some());
    // Who is in the way of others is told as well as they are.
    let said = tree.say(&["health"]);
    assert!(said.code == 1 && said.out.contains("\nweb: ") && said.out.starts_with("hang: "), "{said:?}");
    tree.say(&["stop", "once"]);
    until("it is told", || {
        tree.log().contains("once: its down took too long: killed (SIGKILL): timeout.stop").then_some(())
    });
    let log = tree.log();
    assert!(!log.contains("timeout-finish"), "{log}");
    assert_eq!(tree.stop(), 0);
}
