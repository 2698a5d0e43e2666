//! Invariant 10: a fault in svc-init re-executes it with its state; where it is not process 1 and is killed, all ends.

use std::os::unix::fs::PermissionsExt;
use svc_testkit::{
    Process, Said, State, Tree, descendants, has_program, is_alive, kill, needs, processes, remove_dir, until, wait_gone,
};

use crate::chaos::{appending, numbering};
use crate::common::{alone, assert_alone, assert_gapless, collect, lines, starts, status};

/// SIGRTMAX, which provokes the fault that SVC_DEBUG_FAULT names.
const FAULT: &str = "64";

/// The line that says that it has happened, and how often.
fn recoveries(tree: &Tree) -> usize {
    tree.log().matches("re-executed after a fault").count()
}

/// Provokes a fault, and waits for svc-init to be there again.
#[track_caller]
fn fault(tree: &Tree, init: i32) {
    let before = recoveries(tree);
    kill(init, FAULT);
    until("svc-init to go on", || (recoveries(tree) > before).then_some(()));
    assert!(is_alive(init), "it is the same process");
}

/// Who there is besides svc-init, by title.
fn everybody(tree: &Tree) -> Vec<(i32, String)> {
    let mut all: Vec<(i32, String)> = tree.daemons().iter().map(|Process { pid, .. }| (*pid, tree_title(*pid))).collect();
    all.sort();
    all
}

fn tree_title(pid: i32) -> String {
    processes().into_iter().find(|process| process.pid == pid).map_or_else(String::new, |process| process.title().to_owned())
}

fn services_survive(kind: &str, wrapper: &[&str]) {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let go = tree.path("go");
    svc_testkit::fifo(&go);
    tree.service("lines").executable("run", &(alone(&tree, "lines") + &numbering("lines")));
    tree.service("pair").executable("run", &(alone(&tree, "pair") + &numbering("pair")));
    tree.service("pair/log").executable("run", &(alone(&tree, "pair-log") + &appending(&tree, "out")));
    tree.service("late")
        .file("notification-fd", "3\n")
        .run(&format!("read x < {}; echo >&3; exec sleep 1000", go.display()));
    tree.service("fds").run("ulimit -n; ulimit -Hn; exec sleep 1000");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let reader = collect(reader);
    tree.set("SVC_DEBUG_FAULT", kind).wrapper(wrapper).stdout(writer).start();
    for name in ["lines", "pair", "pair/log", "late", "fds"] {
        tree.await_up(name);
    }
    until("everybody", || (tree.daemons().len() == 7).then_some(()));
    let init = tree.svc_init();
    let before: Vec<_> = tree.list().expect("an answer").services;
    let daemons = everybody(&tree);
    for _ in 0..3 {
        fault(&tree, init);
        assert_eq!(everybody(&tree), daemons, "everybody is who they were");
        let now: Vec<_> = tree.list().expect("an answer").services;
        let pids = |all: &[svc_testkit::Status]| -> Vec<_> {
            all.iter().map(|status| (status.name.clone(), status.pid, status.supervisor_pid, status.restarts)).collect()
        };
        assert_eq!(pids(&now), pids(&before));
        let count = lines(&tree.path("out")).len();
        until("lines to flow", || (lines(&tree.path("out")).len() > count + 50).then_some(()));
    }
    // Everything works as before: control, a supervisor's death, svc-scan's death, the pipe of readiness, new services.
    tree.kill_supervisor("fds");
    tree.ctl_ok(&["restart", "fds"]);
    tree.kill_supervisor("late");
    svc_testkit::release(&go);
    tree.await_status("late", "ready", |status| status.ready == Some(true));
    kill(tree.process("svc-scan"), "KILL");
    kill(tree.process("svc-log"), "KILL");
    tree.service("new").run("exec sleep 1000");
    tree.await_up("new");
    for name in ["lines", "pair", "pair/log", "late"] {
        assert_eq!(status(&tree, name).restarts, 0, "{name}");
    }
    kill(init, "TERM");
    assert_eq!(tree.wait(), 0);
    assert_alone(&tree);
    for name in ["lines", "pair", "pair-log"] {
        assert_eq!(starts(&tree, name).len(), 1, "{name}");
    }
    let told = reader.join().expect("read");
    assert!(assert_gapless(&told, "lines") > 0);
    assert!(assert_gapless(&lines(&tree.path("out")), "pair") > 0);
    let limits: Vec<&String> = told.iter().filter(|line| line.parse::<u64>().is_ok() || *line == "unlimited").collect();
    assert_eq!(limits.len(), 4, "{limits:?}");
    assert_eq!(limits[..2], limits[2..], "a service gets the limits that svc was started with");
}

#[test]
fn a_panic_re_executes_it() {
    services_survive("panic", &["prlimit", "--nofile=1024:4096"]);
}

#[test]
fn a_failed_allocation_re_executes_it() {
    services_survive("memory", &["prlimit", "--nofile=1024:4096"]);
}

#[test]
fn a_panic_of_process_1_re_executes_it() {
    let namespaces = std::process::Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if needs("the right to make PID namespaces", namespaces.is_ok_and(|status| status.success())) {
        in_a_namespace();
    }
}

fn in_a_namespace() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.wrapper(&["unshare", "--pid", "--fork", "--mount-proc"]).set("SVC_DEBUG_FAULT", "panic").start();
    tree.await_up("web");
    let init = tree.svc_init();
    for _ in 0..3 {
        fault(&tree, init);
        let status = status(&tree, "web");
        assert_eq!((status.state, status.restarts), (State::Up, 0));
    }
    tree.ctl_ok(&["restart", "web"]);
    // A fault more than it forgives: process 1 ends, and with it everybody.
    let all = descendants(init);
    kill(init, FAULT);
    assert_eq!(tree.wait(), 111, "{}", tree.log());
    for process in all {
        wait_gone(process.pid);
    }
}

#[test]
fn deaths_in_the_moment_of_a_fault_are_seen() {
    let mut tree = Tree::new();
    let names: Vec<String> = (0..8).map(|n| format!("s{n}")).collect();
    for name in &names {
        tree.service(name).run("exec sleep 1000");
    }
    tree.set("SVC_DEBUG_FAULT", "panic").start();
    let pids: Vec<i32> = names.iter().map(|name| tree.await_up(name)).collect();
    until("everybody", || (tree.daemons().len() == names.len() + 2).then_some(()));
    let init = tree.svc_init();
    for round in 0..3 {
        let before = recoveries(&tree);
        let daemons = tree.daemons();
        // Stopped, so that all signals come at once: those of the dead and that of the fault.
        kill(init, "STOP");
        for daemon in daemons.iter().filter(|daemon| round > 0 || daemon.name == "svc-supervise") {
            kill(daemon.pid, "KILL");
            wait_gone(daemon.pid);
        }
        kill(init, FAULT);
        kill(init, "CONT");
        until("svc-init to go on", || (recoveries(&tree) > before).then_some(()));
        for (name, &pid) in names.iter().zip(&pids) {
            let old: Vec<i32> = daemons.iter().map(|daemon| daemon.pid).collect();
            let status = tree.await_status(name, "a new supervisor", |status| {
                status.pid.is_some() && status.supervisor_pid.is_some_and(|pid| !old.contains(&pid))
            });
            assert_eq!((status.pid, status.restarts), (Some(pid), 0), "{name}");
        }
    }
    assert_eq!(tree.stop(), 0);
}

/// What was right at the start is no question any more: process 1 does not end because its directory is gone.
#[test]
fn a_fault_without_a_run_directory_is_survived() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.set("SVC_DEBUG_FAULT", "panic").start();
    let pid = tree.await_up("web");
    std::fs::rename(tree.run_dir(), tree.path("elsewhere")).expect("renamed");
    std::fs::write(tree.run_dir(), "in its place").expect("written");
    fault(&tree, tree.svc_init());
    std::fs::remove_file(tree.run_dir()).expect("removed");
    std::fs::rename(tree.path("elsewhere"), tree.run_dir()).expect("renamed");
    assert_eq!(status(&tree, "web").pid, Some(pid));
    assert_eq!(tree.stop(), 0);
}

/// The locks go along: with a run directory whose lock somebody else has by now, too.
#[test]
fn after_a_fault_no_second_svc_starts_on_the_same_directories() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.set("SVC_DEBUG_FAULT", "panic").start();
    tree.await_up("web");
    let refused = || {
        let mut second = tree.starter();
        second.env("SVC_RUN_DIR", tree.path("other"));
        let said = Said::by(&mut second);
        assert!(said.code == 100 && said.err.contains("another svc runs on"), "{said:?}");
    };
    refused();
    for run_dir_is_lost in [false, true] {
        if run_dir_is_lost {
            remove_dir(tree.run_dir());
            until("it to be made again", || tree.log().contains("made again; services went on").then_some(()));
        }
        fault(&tree, tree.svc_init());
        refused();
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_fault_forgets_none_of_many_directories() {
    let mut tree = Tree::new();
    for number in 0..100 {
        tree.argument(&tree.path(&format!("dir-{number}")).display().to_string());
    }
    let last = tree.path("dir-99/last");
    std::fs::create_dir_all(&last).expect("ours");
    std::fs::write(last.join("run"), "#!/bin/sh\nexec sleep 1000\n").expect("ours");
    std::fs::set_permissions(last.join("run"), std::fs::Permissions::from_mode(0o755)).expect("ours");
    tree.set("SVC_DEBUG_FAULT", "panic").start();
    let pid = tree.await_up("last");
    fault(&tree, tree.svc_init());
    tree.kill_scan();
    tree.ctl_ok(&["rescan"]);
    assert_eq!(tree.await_up("last"), pid);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_fault_in_the_middle_of_the_end_does_not_stop_it() {
    let mut tree = Tree::new();
    // It is in the middle until somebody says so.
    tree.service("slow").run("trap 'until [ -e go ]; do sleep 0.01; done; exit 0' TERM; sleep 1000 & wait");
    tree.service("slow").finish("sleep 0.5; echo finish was here");
    tree.set("SVC_DEBUG_FAULT", "panic").command(&["sh", "-c", "trap 'exit 42' TERM; sleep 1000 & wait"]).start();
    let pid = tree.await_up("slow");
    let command = tree.await_up("CMD");
    for pid in [pid, command] {
        until("its child", || descendants(pid).into_iter().next());
    }
    let init = tree.svc_init();
    kill(init, "TERM");
    tree.await_status("slow", "stopping", |status| status.state == State::Stopping);
    fault(&tree, init);
    tree.service("slow").file("go", "");
    assert_eq!(tree.wait(), 42, "{}", tree.log());
    assert!(tree.log().contains("finish was here"));
}

/// Promise 2: a fault that comes again and again ends in the crash hook, in the place of svc-init.
#[test]
fn promise_2_too_many_faults_end_in_the_crash_hook() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service(".s6-svscan").script("crash", &format!("echo crashed $$ > {}; exit 77", tree.path("crashed").display()));
    // A path in front of that of the directory with the hook.
    let code = tree.path("code").display().to_string();
    tree.argument("--exit-code-file").argument(&code);
    tree.set("SVC_DEBUG_FAULT", "memory").start();
    let pid = tree.await_up("web");
    let init = tree.svc_init();
    for _ in 0..3 {
        fault(&tree, init);
    }
    kill(init, FAULT);
    assert_eq!(tree.wait(), 77, "{}", tree.log());
    assert_eq!(lines(&tree.path("crashed")), [format!("crashed {init}")], "in the same process");
    assert!(tree.log().contains("giving up"), "{}", tree.log());
    // Nobody could steer what is left, so its supervisor has stopped it.
    wait_gone(pid);
}

/// The signal is nothing without the variable.
#[test]
fn without_being_asked_for_there_is_no_fault() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let init = tree.svc_init();
    kill(init, FAULT);
    kill(init, "HUP");
    tree.ctl_ok(&["status"]);
    assert_eq!(recoveries(&tree), 0);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn killed_where_it_is_not_process_1_everything_ends() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000").finish("echo finish ran");
    tree.service("pair").run("exec sleep 1000");
    tree.service("pair/log").run("exec cat");
    tree.service("stubborn").file("timeout-kill", "500\n").run("trap '' TERM; while :; do sleep 1000; done");
    tree.service("daemon").run("setsid sh -c 'sleep 1000 &'; exec sleep 1000");
    tree.start();
    for name in ["web", "pair", "pair/log", "stubborn", "daemon"] {
        tree.await_up(name);
    }
    until("the daemon", || (descendants(tree.supervisor("daemon")?).len() == 2).then_some(()));
    let all = descendants(tree.init_pid());
    tree.signal("KILL");
    assert_eq!(tree.wait(), 128 + 9);
    for process in &all {
        wait_gone(process.pid);
    }
    assert!(tree.log().contains("finish ran") || all.iter().any(|process| process.name == "svc-log"));
}

/// Who svc-init leaves behind has nobody who steers it or ends it: neither what does not end by itself, nor its supervisor, is in the
/// way of the next svc for longer than a stop may take. Files of s6 that somebody removes meanwhile are not what that one goes by.
fn left_behind(signal: &str, code: i32, meanwhile: impl Fn(&Tree)) {
    let mut tree = Tree::new();
    tree.service("deaf").run("trap '' TERM; echo $$ >>starts; exec sleep 1000");
    let ends = tree.service("ends");
    ends.run("echo $$ >>starts; exec sleep 1000")
        .finish("trap '' TERM; echo >>begun; exec sleep 1000")
        .file("timeout-finish", "0");
    tree.set("SVC_STOP_TIMEOUT", "15s").start();
    let pids = ["deaf", "ends"].map(|name| {
        // Before that it is not deaf yet.
        tree.await_lines(&format!("{name}/starts"), 1);
        tree.await_up(name)
    });
    let all = descendants(tree.init_pid());
    tree.signal(signal);
    assert_eq!(tree.wait(), code);
    meanwhile(&tree);
    // It comes while the others are still there.
    tree.start();
    for name in ["deaf", "ends"] {
        let waits = tree.await_status(name, "waiting", |status| status.problem.is_some());
        assert!(waits.problem.is_some_and(|problem| problem.contains("and this one as soon as that has ended")));
        assert_eq!((waits.state, waits.next_start_ms), (State::Waiting, None), "it is not tried again and again");
        assert_eq!(tree.lines(&format!("{name}/starts")).len(), 1);
    }
    assert!(is_alive(pids[0]), "it is deaf");
    assert_eq!(tree.await_lines("ends/begun", 1).len(), 1);
    for process in &all {
        wait_gone(process.pid);
    }
    for (name, pid) in ["deaf", "ends"].into_iter().zip(pids) {
        assert_ne!(tree.await_up(name), pid);
        assert_eq!(tree.await_lines(&format!("{name}/starts"), 2).len(), 2, "{name}");
    }
    tree.ctl_ok(&["shutdown", "--force"]);
    assert_eq!(tree.wait(), 0);
}

#[test]
fn what_a_killed_svc_init_leaves_behind_ends_in_time_and_the_next_one_takes_over() {
    left_behind("KILL", 128 + 9, |_| {});
}

#[test]
fn what_a_killed_svc_init_leaves_behind_is_not_started_twice_though_the_run_directory_is_gone() {
    // Those who are left write their files there at this moment.
    left_behind("KILL", 128 + 9, |tree| remove_dir(tree.run_dir()));
}

/// A directory is a service, under whatever name.
#[test]
fn what_a_killed_svc_init_leaves_behind_is_not_started_twice_under_another_name() {
    let mut tree = Tree::new();
    tree.service("old").run("trap '' TERM; echo >>starts; exec sleep 1000");
    tree.set("SVC_STOP_TIMEOUT", "15s").start();
    tree.await_lines("old/starts", 1);
    let all = descendants(tree.init_pid());
    tree.signal("KILL");
    assert_eq!(tree.wait(), 128 + 9);
    std::fs::rename(tree.services().join("old"), tree.services().join("new")).expect("ours");
    remove_dir(tree.run_dir());
    tree.start();
    tree.await_status("new", "waiting", |status| status.problem.is_some());
    assert_eq!(tree.lines("new/starts").len(), 1);
    all.iter().for_each(|process| wait_gone(process.pid));
    assert_eq!(tree.await_lines("new/starts", 2).len(), 2);
    tree.ctl_ok(&["shutdown", "--force"]);
    assert_eq!(tree.wait(), 0);
}

#[test]
fn what_an_aborted_svc_init_leaves_behind_ends_in_time_and_the_next_one_takes_over() {
    left_behind("ABRT", 0, |_| {});
}

/// What has no `supervise/lock` of its own is not started a second time either: a service.toml, a NAME.toml, instances of one file, a
/// oneshot, and a service whose files have no place.
#[test]
fn what_has_no_files_of_s6_waits_too_for_what_a_killed_svc_init_leaves_behind() {
    let mut tree = Tree::new();
    let root = tree.root().display().to_string();
    let run = |name: &str| format!("trap '' TERM; echo >>{root}/starts.{name}; exec sleep 1000");
    let toml = |name: &str| format!("command = ['sh', '-c', \"{}\"]\n", run(name));
    tree.service("dir").file("service.toml", &toml("dir"));
    std::fs::write(tree.services().join("file.toml"), toml("file")).expect("ours");
    let workers = "instances = ['one', 'two']\n".to_owned() + &toml("worker@${INSTANCE}");
    std::fs::write(tree.services().join("worker@.toml"), workers).expect("ours");
    tree.service("longrun").file("type", "longrun\n").run(&run("longrun"));
    let up = format!("#!/bin/sh\n[ ! -e {root}/starts.job ] || exec touch {root}/starts.again\n{}\n", run("job"));
    tree.service("job").file("type", "oneshot\n").file("up", &up);
    tree.service("after").file("service.toml", "command = 'sleep 1000'\nneeds = ['job']\n");
    let names = ["dir", "file", "worker@one", "worker@two", "longrun", "job"];
    let starts = |tree: &Tree, name: &str| lines(&tree.path(&format!("starts.{name}")));
    tree.set("SVC_STOP_TIMEOUT", "15s").start();
    names.iter().for_each(|name| drop(until(name, || starts(&tree, name).pop())));
    let all = descendants(tree.init_pid());
    tree.signal("KILL");
    assert_eq!(tree.wait(), 128 + 9);
    tree.start();
    for name in names {
        let waits = tree.await_status(name, "waiting", |status| status.problem.is_some());
        assert!(waits.problem.as_ref().is_some_and(|problem| problem.contains("another supervisor runs it")), "{waits:?}");
        assert_eq!((waits.state, waits.next_start_ms), (State::Waiting, None), "{name}");
        assert_eq!(starts(&tree, name).len(), 1, "{name}");
    }
    all.iter().for_each(|process| wait_gone(process.pid));
    for name in &names[..5] {
        assert_eq!(until(name, || Some(starts(&tree, name)).filter(|starts| starts.len() > 1)).len(), 2, "{name}");
    }
    tree.await_up("after");
    assert!(tree.path("starts.again").exists());
    tree.ctl_ok(&["shutdown", "--force"]);
    assert_eq!(tree.wait(), 0);
}

/// Where many start at once they have no files yet, and a svc-init that is killed then leaves them behind all the same.
#[test]
fn many_that_have_no_files_yet_wait_too_for_what_a_killed_svc_init_leaves_behind() {
    let mut tree = Tree::new();
    let names: Vec<String> = (0..80).map(|number| format!("s{number}")).collect();
    for name in &names {
        tree.service(name).run("trap '' TERM; echo >>starts; exec sleep 1000");
    }
    tree.set("SVC_STOP_TIMEOUT", "20s").start();
    names.iter().for_each(|name| drop(tree.await_lines(&format!("{name}/starts"), 1)));
    let all = descendants(tree.init_pid());
    tree.signal("KILL");
    assert_eq!(tree.wait(), 128 + 9);
    tree.start();
    for name in &names {
        tree.await_status(name, "waiting", |status| status.problem.is_some());
        assert_eq!(tree.lines(&format!("{name}/starts")).len(), 1, "{name}");
    }
    all.iter().for_each(|process| wait_gone(process.pid));
    names.iter().for_each(|name| drop(tree.await_lines(&format!("{name}/starts"), 2)));
    tree.ctl_ok(&["shutdown", "--force"]);
    assert_eq!(tree.wait(), 0);
}

/// Who drains has not been told to end, and is before it is killed.
#[test]
fn who_drains_when_svc_init_is_killed_is_told_to_end_and_killed_in_time() {
    let mut tree = Tree::new();
    let run = "command = ['sh', '-c', \"trap 'echo >>told' TERM; echo >>up; sleep 1000 & wait\"]\nstop.drain = '1h'\n";
    tree.service("web").file("service.toml", run);
    // It has an eighth of this from one to the other.
    tree.set("SVC_STOP_TIMEOUT", "24s").start();
    tree.await_lines("web/up", 1);
    let all = descendants(tree.init_pid());
    tree.signal("KILL");
    assert_eq!(tree.wait(), 128 + 9);
    all.iter().for_each(|process| wait_gone(process.pid));
    assert_eq!(tree.lines("web/told").len(), 1);
}
