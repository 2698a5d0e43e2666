//! What an edit would do, having it done, edits that count by themselves, and files that a service watches.

use std::os::unix::fs::symlink;
use std::path::Path;

use svc_testkit::{State, Tree, until};

const SLEEP: &str = "command = 'sleep 1000'";

/// A service that writes down when it is reloaded.
const RELOADS: &str =
    "command = ['sh', '-c', 'trap \"echo hup >>seen\" HUP; echo up >>seen; while :; do sleep 1000 & wait $!; done']";

/// Writes service.toml anew, whole, and tells nobody.
fn write(tree: &Tree, name: &str, text: &str) {
    put(&tree.services().join(name).join("service.toml"), text);
}

/// Another file in the place of one: nobody sees it empty.
fn put(file: &Path, text: &str) {
    let new = file.with_file_name(".new");
    std::fs::write(&new, text).expect("ours");
    std::fs::rename(new, file).expect("ours");
}

#[test]
fn a_plan_says_what_would_be_done_and_why_and_does_nothing() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nnice = 1\ntimeout.kill = '1s'");
    tree.toml("edge", "command = 'sleep 1000'\nneeds = [{ on = 'web', bond = 'follow' }]");
    tree.toml("db", SLEEP);
    tree.toml("idle", "command = 'sleep 1000'\nstart = false");
    tree.toml("bad", SLEEP);
    tree.start();
    let names = ["web", "edge", "db", "bad"];
    let before = names.map(|name| tree.await_up(name));
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    write(&tree, "web", "command = 'sleep 2000'\nnice = 1\ntimeout.stop = '5s'");
    write(&tree, "db", "command = 'sleep 1000'\nneeds = ['idle']\nstop.signal = 'INT'");
    write(&tree, "bad", "comand = 'x'");
    let plan = tree.ctl_ok(&["plan"]);
    for line in [
        "web: restart: its definition has changed\n    command: \"sleep 1000\" -> \"sleep 2000\"\n    timeout.kill: \"1s\" is gone\n    timeout.stop: \"5s\" is new\n",
        "edge: restart: it follows web\n",
        "db: nothing: what has changed holds from then on, without a restart\n    needs: [\"idle\"] is new\n    stop.signal: \"INT\" is new\n",
        "idle: start: db depends on it now\n",
        "bad: nothing: ",
        "\"comand\" is no key of a service: did you mean command?",
    ] {
        assert!(plan.contains(line), "{line}\n---\n{plan}");
    }
    let json: serde_json::Value = serde_json::from_str(&tree.ctl_ok(&["plan", "--json"])).expect("JSON");
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(5), "{json}");
    assert_eq!(names.map(|name| tree.await_up(name)), before, "nothing was done");
    for (name, changed) in [("web", true), ("edge", false), ("db", true), ("bad", true)] {
        assert_eq!(tree.status(name).map(|status| status.changed), Some(changed), "{name}");
    }
    assert!(tree.ctl_ok(&["status"]).contains("web: its files have changed since"));
    let said = tree.say(&["apply"]);
    assert_eq!(said.code, 1, "an edit that cannot be used is not applied: {said:?}");
    assert!(said.out.contains("web: restart") && said.out.contains("edge: restart"), "{said:?}");
    let after = names.map(|name| tree.await_up(name));
    assert!(after[0] != before[0] && after[1] != before[1], "{before:?} {after:?}");
    assert_eq!(after[2..], before[2..]);
    tree.await_up("idle");
    assert_eq!(tree.status("web").map(|status| status.changed), Some(false));
    // Once more changes nothing, and what is wrong is told as long as it is: also a service that never was one.
    tree.toml("new", "comand = 'x'");
    tree.await_status("new", "broken", |status| status.problem.is_some());
    let said = tree.say(&["apply"]);
    assert!(said.code == 1 && said.out.contains("bad: nothing: ") && said.out.contains("new: nothing: "), "{said:?}");
    write(&tree, "bad", SLEEP);
    std::fs::remove_dir_all(tree.services().join("new")).expect("ours");
    until("it to be gone", || tree.status("new").is_none().then_some(()));
    tree.ctl_ok(&["apply"]);
    assert_eq!(names.map(|name| tree.await_up(name)), after);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_plan_says_that_a_broken_edit_does_not_keep_it_from_following() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.toml("edge", "command = 'sleep 1000'\nneeds = [{ on = 'web', bond = 'follow' }]");
    tree.start();
    let edge = tree.await_up("edge");
    write(&tree, "web", "command = 'sleep 2000'");
    write(&tree, "edge", "comand = 'x'");
    let plan = tree.ctl_ok(&["plan"]);
    assert!(
        plan.contains("edge: restart: it follows web; its own edit cannot be used: ") && plan.contains("comand"),
        "{plan}"
    );
    assert_eq!(tree.say(&["apply"]).code, 1);
    assert_ne!(tree.await_up("edge"), edge);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_classic_directory_is_planned_and_applied_too() {
    let mut tree = Tree::new();
    tree.draft("old").run("exec sleep 1000");
    tree.place("old");
    tree.start();
    let old = tree.await_up("old");
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n");
    // A file's time is that of the kernel's clock, which ticks: the edit is made when that has gone on.
    let planned = format!("old: restart: run is newer than its process (pid {old})");
    until("an edit that is newer", || {
        tree.service("old").run("exec sleep 2000");
        tree.ctl_ok(&["plan"]).contains(&planned).then_some(())
    });
    until("the same in its status", || tree.status("old").filter(|status| status.changed));
    assert_eq!(tree.await_up("old"), old);
    tree.ctl_ok(&["apply"]);
    let new = tree.await_up("old");
    assert_ne!(new, old);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_watched_file_reloads_or_restarts() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("a.conf"), "1").expect("ours");
    let pattern = tree.path("*.conf").display().to_string();
    tree.toml("web", &format!("{RELOADS}\nwatch = ['{pattern}']"));
    tree.toml("app", &format!("command = 'sleep 1000'\nwatch = '{pattern}'\non-change = 'restart'"));
    tree.start();
    tree.await_lines("web/seen", 1);
    let (web, app) = (tree.await_up("web"), tree.await_up("app"));
    tree.ctl_ok(&["apply"]);
    std::fs::write(tree.path("a.conf"), "1").expect("ours");
    assert_eq!(tree.ctl_ok(&["plan"]), "nothing has changed\n", "the same content");
    std::fs::write(tree.path("b.conf"), "2").expect("ours");
    let plan = tree.ctl_ok(&["plan"]);
    let changed = tree.path("b.conf").display().to_string();
    assert!(plan.contains(&format!("web: reload: {changed} has changed")), "{plan}");
    assert!(plan.contains(&format!("app: restart: {changed} has changed")), "{plan}");
    let is_changed = |name| tree.status(name).map(|status| status.changed);
    assert_eq!((is_changed("web"), is_changed("app")), (Some(true), Some(true)), "and so it is marked");
    tree.ctl_ok(&["apply"]);
    assert_eq!((is_changed("web"), is_changed("app")), (Some(false), Some(false)));
    assert_eq!(tree.await_lines("web/seen", 2), ["up", "hup"]);
    assert_eq!(tree.await_up("web"), web);
    assert_ne!(tree.await_up("app"), app);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn edits_count_by_themselves_where_that_is_asked_for() {
    let mut tree = Tree::new();
    std::fs::write(tree.path("a.conf"), "1").expect("ours");
    let conf = tree.path("a.conf").display().to_string();
    let with = |command: &str| format!("{command}\napply = 'auto'\nwatch = '{conf}'");
    tree.toml("web", &with(SLEEP));
    tree.toml("hup", &with(RELOADS));
    tree.toml("still", SLEEP);
    tree.one_file("file", "command = 'sleep 1000'\napply = 'auto'");
    tree.start();
    tree.await_lines("hup/seen", 1);
    let (web, still, file) = (tree.await_up("web"), tree.await_up("still"), tree.await_up("file"));
    write(&tree, "still", "command = 'sleep 2000'");
    write(&tree, "web", "comand = 'sleep 2000'");
    tree.await_problem("web", &["\"comand\" is no key", "it stays as it was"]);
    assert_eq!(tree.await_up("web"), web);
    write(&tree, "web", &with("command = 'sleep 2000'"));
    tree.await_status("web", "restarted", |status| status.pid.is_some_and(|pid| pid != web));
    tree.one_file("file", "command = 'sleep 2000'\napply = 'auto'");
    tree.await_status("file", "restarted", |status| status.pid.is_some_and(|pid| pid != file));
    put(Path::new(&conf), "2");
    assert_eq!(tree.await_lines("hup/seen", 2), ["up", "hup"]);
    // It is the same for the next svc-scan.
    tree.kill_scan();
    put(Path::new(&conf), "3");
    assert_eq!(tree.await_lines("hup/seen", 3), ["up", "hup", "hup"]);
    assert_eq!(tree.await_up("still"), still);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_broken_edit_is_told_until_it_is_taken_back_or_mended() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.toml("edge", "command = 'sleep 1000'\nneeds = ['web']");
    tree.start();
    let pids = ["web", "edge"].map(|name| tree.await_up(name));
    write(&tree, "web", "comand = 'sleep 2000'");
    write(&tree, "edge", "command = 'sleep 1000'\nneeds = ['wbe']");
    tree.ctl_ok(&["rescan"]);
    tree.await_problem("web", &["\"comand\" is no key", "it stays as it was"]);
    tree.await_problem("edge", &["edge names wbe", "it stays as it was"]);
    write(&tree, "web", SLEEP);
    write(&tree, "edge", "command = 'sleep 1000'\nneeds = ['web']");
    for name in ["web", "edge"] {
        tree.await_status(name, "nothing wrong", |status| status.problem.is_none() && !status.changed);
    }
    // Another edit is no problem either, and is not taken in before somebody asks.
    write(&tree, "web", "comand = 'sleep 2000'");
    tree.ctl_ok(&["rescan"]);
    tree.await_problem("web", &["\"comand\" is no key"]);
    write(&tree, "web", "kommando = 'sleep 2000'");
    tree.await_problem("web", &["\"kommando\" is no key"]);
    write(&tree, "web", "command = 'sleep 2000'");
    tree.await_status("web", "changed", |status| status.problem.is_none() && status.changed);
    assert_eq!(["web", "edge"].map(|name| tree.await_up(name)), pids);
    assert_eq!(tree.stop(), 0);
}

/// Files as Kubernetes mounts a ConfigMap: links, by way of a link to the directory of this generation, which is renamed over.
fn mount(dir: &Path, generation: u32, files: &[(&str, &str)]) {
    let own = format!("..{generation}");
    std::fs::create_dir_all(dir.join(&own)).expect("ours");
    for (name, text) in files {
        std::fs::write(dir.join(&own).join(name), text).expect("ours");
    }
    symlink(&own, dir.join("..data_tmp")).expect("ours");
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("ours");
    for (name, _) in files.iter().filter(|_| generation == 1) {
        symlink(format!("..data/{name}"), dir.join(name)).expect("ours");
    }
    if generation > 1 {
        std::fs::remove_dir_all(dir.join(format!("..{}", generation - 1))).expect("ours");
    }
}

#[test]
fn the_files_of_a_config_map_are_applied_when_it_is_another_one_and_once() {
    let mut tree = Tree::new();
    let services = tree.services();
    let config = tree.path("config");
    let sleeps = |count: u32| format!("command = 'sleep {count}000'\napply = 'auto'");
    let put = |generation: u32, web: &str| {
        let count = generation.to_string();
        mount(&config, generation, &[("a.conf", &count), ("b.conf", "same")]);
        mount(&services, generation, &[("file.toml", &sleeps(generation))]);
        mount(&services.join("web"), generation, &[("service.toml", web)]);
        mount(&services.join("part/service.toml.d"), generation, &[("10.toml", &format!("env.GENERATION = '{count}'"))]);
    };
    tree.toml("hup", &format!("{RELOADS}\napply = 'auto'\nwatch = '{}/a.conf'", config.display()));
    tree.toml("all", &format!("{RELOADS}\napply = 'auto'\nwatch = '{}/*.conf'", config.display()));
    tree.toml("part", &sleeps(1));
    put(1, &sleeps(1));
    tree.start();
    tree.await_lines("hup/seen", 1);
    tree.await_lines("all/seen", 1);
    let names = ["file", "web", "part"];
    names.iter().for_each(|name| _ = tree.await_up(name));
    // What comes before the one before it is applied may be applied together with that.
    let await_applied = |generation: u32, names: &[&str]| {
        tree.await_lines("hup/seen", generation as usize);
        tree.await_lines("all/seen", generation as usize);
        for name in names {
            let restarts = u64::from(generation - 1);
            let is_up = |status: &svc_testkit::Status| status.state == State::Up && status.restarts >= restarts;
            tree.await_status(name, "restarted", is_up);
        }
    };
    for generation in 2..5 {
        put(generation, &sleeps(generation));
        await_applied(generation, &names);
    }
    put(5, "comand = 'x'");
    tree.await_problem("web", &["\"comand\" is no key", "it stays as it was"]);
    await_applied(5, &["file", "part"]);
    put(6, &sleeps(6));
    tree.await_status("web", "restarted", |status| status.restarts >= 4 && status.pid.is_some());
    for name in names {
        let most = if name == "web" { 4 } else { 5 };
        let status = tree.await_status(name, "restarted", |status| status.restarts >= most && status.pid.is_some());
        assert_eq!(status.restarts, most, "{name}");
    }
    for name in ["hup", "all"] {
        assert_eq!(tree.await_lines(&format!("{name}/seen"), 6), ["up", "hup", "hup", "hup", "hup", "hup"], "{name}");
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn with_watch_every_edit_counts_by_itself() {
    let mut tree = Tree::new();
    tree.toml("web", SLEEP);
    tree.argument("--watch");
    tree.start();
    let web = tree.await_up("web");
    write(&tree, "web", "command = 'sleep 2000'");
    tree.await_status("web", "restarted", |status| status.pid.is_some_and(|pid| pid != web));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_check_says_what_would_run_as_whom() {
    let tree = Tree::new();
    tree.one_file("web", "command = ['sleep', '1 0']\nuser = 'root'\ndirectory = 'data'");
    tree.draft("old").run("exec sleep 1");
    tree.place("old");
    let said = tree.say(&["check", "--verbose", &tree.services().display().to_string()]);
    let dir = tree.services().canonicalize().expect("there").display().to_string();
    assert!(said.out.contains(&format!("web: runs sleep \"1 0\" as root in {dir}/data\n")), "{said:?}");
    assert!(said.out.contains(&format!("old: runs {dir}/old/run as the user of svc in {dir}/old\n")), "{said:?}");
}

#[test]
fn both_directions_of_dependencies_are_told() {
    let mut tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']\nwants = ['cache']");
    tree.toml("db", "command = 'sleep 1000'\nneeds = ['disk']");
    tree.toml("disk", "kind = 'milestone'");
    tree.toml("cache", "command = 'sleep 1000'\nafter = ['db']");
    tree.toml("both", "command = 'sleep 1000'\nneeds = ['db']\nafter = ['db']");
    tree.toml("lost", "command = 'sleep 1000'\nneeds = ['dbb', 'db']");
    tree.start();
    tree.await_up("web");
    tree.await_up("both");
    assert_eq!(
        tree.ctl_ok(&["deps", "web", "db"]),
        "web\n  needs: db (and through them: disk)\n  needed by: nothing\n  waits for, and goes on without: cache\n\
         db\n  needs: disk\n  needed by: both, web\n"
    );
    // Whoever needs it does not go on without, and who does not fit in has no place to tell of.
    let file = tree.services().join("lost/service.toml:2:10");
    let lost = format!("{}: lost names dbb, which does not exist: did you mean db?", file.display());
    assert_eq!(
        tree.ctl_ok(&["deps", "both", "lost"]),
        format!(
            "both\n  needs: db (and through them: disk)\n  needed by: nothing\nlost\n  has no place in the order: {lost}\n"
        )
    );
    assert!(tree.ctl_ok(&["graph"]).ends_with(&format!("lost (broken): {lost}\n")), "{}", tree.ctl_ok(&["graph"]));
    let graph = tree.ctl_ok(&["graph"]);
    assert!(graph.contains("web (process, up): db, [cache]\n") && graph.contains("cache (process, up): [db]\n"), "{graph}");
    assert_eq!(tree.say(&["deps", "wbe"]).code, 102);
    assert_eq!(tree.ctl_ok(&["graph", "--format", "dot"]), tree.ctl_ok(&["graph", "--dot"]));
    assert_eq!(tree.ctl_ok(&["graph", "--format", "text"]), tree.ctl_ok(&["graph"]));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_processes_of_a_service_are_told() {
    let mut tree = Tree::new();
    tree.toml("web", "command = ['sh', '-c', 'sleep 1234 & : \"\"; wait']");
    tree.start();
    let web = tree.await_up("web");
    let told = until("both processes", || {
        Some(tree.ctl_ok(&["tree", "web"])).filter(|told| told.contains("sleep 1234\n") && told.lines().count() == 3)
    });
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("web  ") && lines[0].contains("KiB") && lines[0].ends_with(" s"), "{told}");
    assert!(lines[1].starts_with(&format!("  {web}  ")) && lines[1].contains("sh -c sleep 1234 & : \"\"; wait"), "{told}");
    assert!(lines[2].starts_with("    ") && lines[2].ends_with("sleep 1234"), "{told}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_plan_knows_that_one_that_waits_has_nothing_to_restart_and_starts_when_nobody_is_in_its_way() {
    let mut tree = Tree::new();
    tree.toml("slow", "command = 'sleep 1000'\nready.file = 'never'");
    let text = |seconds: u32, needs: &str| format!("command = 'sleep {seconds}'\n{needs}");
    let needs = "needs = [{ on = 'slow', until = 'ready' }]";
    tree.toml("web", &text(1000, needs));
    tree.start();
    tree.await_problem("web", &["blocked by slow"]);
    write(&tree, "web", &text(2000, needs));
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.starts_with("web: nothing: it waits for others: what has changed counts from its start on\n"), "{plan}");
    let said = tree.say(&["apply"]);
    assert!(said.code == 0 && said.out == plan, "{said:?}");
    write(&tree, "web", &text(2000, ""));
    let plan = tree.ctl_ok(&["plan"]);
    assert!(plan.starts_with("web: start: what it waits for is gone\n"), "{plan}");
    let said = tree.say(&["apply"]);
    assert!(said.code == 0 && said.out.starts_with(&plan), "{said:?}");
    assert!(tree.status("web").is_some_and(|status| status.state == State::Up), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_somebody_has_stopped_is_started_by_an_edit_that_newly_depends_on_it_and_the_plan_says_so() {
    let mut tree = Tree::new();
    tree.toml("db", SLEEP);
    tree.toml("web", SLEEP);
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["stop", "db"]);
    let edit = |keys: &str| write(&tree, "web", &format!("{SLEEP}\n{keys}"));
    edit("wants = ['db']");
    let said = tree.ctl_ok(&["apply"]);
    assert!(said.starts_with("db: start: web depends on it now\nweb: nothing: ") && said.contains("db: up (pid "), "{said}");
    tree.ctl_ok(&["stop", "db"]);
    edit("wants = ['db']\nafter = ['db']");
    let said = tree.ctl_ok(&["apply"]);
    assert!(said.starts_with("web: nothing: ") && !said.contains("db: "), "it was stopped, and is no more needed: {said}");
    assert_eq!(tree.status("db").map(|status| status.state), Some(State::Down));
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_edit_starts_what_has_failed_or_ended_and_plan_says_so_and_apply_waits_for_it() {
    let mut tree = Tree::new();
    tree.toml("fails", "command = 'false'\nrestart.when = 'never'");
    tree.toml("limit", "command = 'false'\nrestart = { limit = 1 }");
    tree.toml("late", "command = 'sleep 1000'\nready.file = 'never'\ntimeout.start = '10ms'");
    tree.toml("outside", "command = 'sleep 1000'\nwait-for = 'file:/no/such'\nwait-timeout = '10ms'");
    tree.toml("over", "command = 'true'\nrestart.when = 'on-failure'");
    tree.toml("job", "kind = 'oneshot'\nup = 'false'");
    tree.toml("stopped", "command = 'false'\nrestart.when = 'never'");
    let socket = tree.path("socket");
    let knocked = format!("sockets = ['{}']\nstart = 'on-demand'\nrestart = {{ limit = 1 }}", socket.display());
    tree.toml("knocked", &format!("command = 'false'\n{knocked}"));
    tree.start();
    tree.await_status("knocked", "armed", |status| status.state == State::Armed);
    let _knock = std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
    for name in ["fails", "limit", "late", "outside", "job", "stopped", "knocked"] {
        tree.await_status(name, "failed", |status| status.state == State::Failed);
    }
    tree.await_status("over", "its end", |status| status.state == State::Down && status.last_exit.is_some());
    tree.ctl_ok(&["stop", "stopped"]);
    let names = ["fails", "late", "limit", "outside", "over"];
    for name in names {
        write(&tree, name, "command = 'sleep 2000'\nrestart.when = 'on-failure'");
    }
    write(&tree, "job", "kind = 'oneshot'\nup = 'true'");
    write(&tree, "stopped", "command = 'sleep 2000'\nrestart.when = 'never'");
    write(&tree, "knocked", &format!("command = 'sleep 2000'\n{knocked}"));
    let plan = tree.ctl_ok(&["plan"]);
    for name in names.iter().chain(&["job"]) {
        assert!(plan.contains(&format!("{name}: start: its definition has changed\n")), "{name}: {plan}");
    }
    for name in ["stopped", "knocked"] {
        let nothing = format!("{name}: nothing: it is not up: what has changed counts from its next start on\n");
        assert!(plan.contains(&nothing), "{plan}");
    }
    let said = tree.ctl_ok(&["apply"]);
    for name in names {
        assert!(said.contains(&format!("\n{name}: up (pid ")), "{name}: {said}");
    }
    assert!(said.contains("\njob: done\n"), "{said}");
    let is_up = |name: &&str| tree.status(name).is_some_and(|status| status.state == State::Up);
    assert!(names.iter().all(is_up), "{said}");
    assert!(!is_up(&"stopped"));
    // One that fails again is told of.
    let never = "command = 'sleep 1000'\nready.file = 'never'\ntimeout.start = '10ms'\n";
    write(&tree, "late", never);
    tree.say(&["apply"]);
    tree.await_status("late", "failed", |status| status.state == State::Failed);
    write(&tree, "late", &format!("{never}nice = 1"));
    let said = tree.say(&["apply"]);
    assert!(said.code == 1 && said.out.contains("late: start: its definition has changed\n"), "{said:?}");
    assert!(said.err.contains("late: not ready after 10 ms"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}
