//! No descriptors, no processes, no address space.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use svc_testkit::{Said, State, Tree, is_root, kill, until};

use super::Neighbour;

/// A tree of a uid of nobody's, whose processes are counted (nor that of another run of these tests), with this limit on them.
fn with_processes(limit: &str) -> Option<(Tree, u32)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    if !is_root() {
        return None;
    }
    let uid = 60_000 + std::process::id() % 1000 * 4 + NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut tree = Tree::new();
    tree.run_as(uid);
    let [user, group] = [format!("--reuid={uid}"), format!("--regid={uid}")];
    tree.wrapper(&["setpriv", &user, &group, "--clear-groups", "prlimit", &format!("--nproc={limit}")]);
    Some((tree, uid))
}

/// Gives those who run another limit.
fn limit_processes(tree: &Tree, uid: u32, limit: &str) {
    let init = tree.svc_init();
    let below = svc_testkit::descendants(init).into_iter().map(|process| process.pid);
    for pid in below.chain([init]) {
        let mut command = Command::new("prlimit");
        command.args([&format!("--nproc={limit}"), "--pid", &pid.to_string()]).uid(uid).gid(uid);
        assert_eq!(Said::by(&mut command).code, 0);
    }
}

#[test]
fn no_descriptors() {
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--nofile=64:64"]);
    let neighbour = Neighbour::start(&mut tree);
    for number in 0..30 {
        tree.service(&format!("web{number:02}")).run("exec sleep 1000");
    }
    // Some run; the others say why not.
    let problem = until("a shortage", || {
        let services = tree.list().ok()?.services;
        let problems = services.iter().filter_map(|status| status.problem.clone());
        problems.into_iter().find(|problem| problem.contains("RLIMIT_NOFILE"))
    });
    println!("{problem}\n{}", tree.log());
    assert!(problem.contains("docker run --ulimit nofile="), "{problem}");
    until("the same on standard error", || tree.log().contains("RLIMIT_NOFILE").then_some(()));
    let up = || tree.list().map_or(0, |list| list.services.iter().filter(|status| status.state == State::Up).count());
    until("those that found room to run", || (up() > 3).then_some(()));
    neighbour.assert_undisturbed(&tree);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let lines = tree.log().lines().count();
    assert!(lines < 100, "{lines} lines:\n{}", tree.log());
    // Orders for the others are answered at once, and what never ran is stopped, or removed, without a supervisor.
    let broken: Vec<String> = tree
        .list()
        .expect("an answer")
        .services
        .into_iter()
        .filter(|status| status.problem.as_ref().is_some_and(|problem| problem.contains("cannot start its supervisor")))
        .map(|status| status.name)
        .collect();
    let [stopped, started, restarted, once, removed, ..] = &broken[..] else { panic!("{broken:?}") };
    for (verb, name) in [("start", started), ("restart", restarted), ("once", once), ("reload", once)] {
        let said = tree.say(&[verb, name]);
        assert_eq!(said.code, 1, "{verb}: {said:?}");
        assert!(said.err.contains(&format!("{name}: cannot start its supervisor")), "{verb}: {said:?}");
    }
    let said = tree.say(&["stop", stopped]);
    assert_eq!((said.code, said.out.trim()), (0, format!("{stopped}: down").as_str()), "{said:?}");
    assert!(tree.status(stopped).is_some_and(|status| !status.wanted_up), "{stopped}");
    std::fs::remove_dir_all(tree.services().join(removed)).expect("ours");
    until("it to be gone", || tree.status(removed).is_none().then_some(()));
    // Those that run can be removed, which makes room for others.
    let running: Vec<String> = tree
        .list()
        .expect("an answer")
        .services
        .into_iter()
        .filter(|status| status.state == State::Up && status.name != Neighbour::NAME)
        .map(|status| status.name)
        .collect();
    let before: Vec<String> = running.clone();
    for name in &running {
        std::fs::remove_dir_all(tree.services().join(name)).expect("ours");
    }
    until(&format!("others to start; log:\n{}", tree.log()), || {
        let services = tree.list().ok()?.services;
        services
            .iter()
            .any(|status| status.state == State::Up && status.name != Neighbour::NAME && !before.contains(&status.name))
            .then_some(())
    });
    // It has a supervisor by now, and was not started by that.
    let status = tree.await_status(stopped, "a supervisor", |status| status.supervisor_pid.is_some());
    assert_eq!((status.state, status.restarts, status.last_exit.is_none()), (State::Down, 0, true), "{}", tree.log());
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn no_descriptors_to_read_with() {
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let limit = |nofile: &str| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &tree.process("svc-scan").to_string(), &format!("--nofile={nofile}:")]);
        assert_eq!(Said::by(&mut command).code, 0);
    };
    // What it has it keeps, and gets no more.
    limit("3");
    tree.service("late").run("exec sleep 1000");
    kill(tree.svc_init(), "HUP");
    let root = tree.services().display().to_string();
    let what =
        format!("svc-scan: {root}: cannot be read: too many descriptors are open in this process (RLIMIT_NOFILE): raise");
    until(&format!("what is short; log:\n{}", tree.log()), || tree.log().contains(&what).then_some(()));
    // With room again it is all looked at once more, by itself.
    limit("1024");
    tree.await_up("late");
    let list = tree.list().expect("an answer");
    let problems: Vec<&String> = list.services.iter().filter_map(|status| status.problem.as_ref()).collect();
    assert_eq!(problems, Vec::<&String>::new());
    assert_eq!(tree.log().matches("cannot be read").count(), 1, "{}", tree.log());
    assert!(!tree.log().contains("control.sock"), "nobody took it away: {}", tree.log());
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn no_processes_left() {
    let Some((mut tree, uid)) = with_processes("12:1000") else { return };
    let neighbour = Neighbour::start(&mut tree);
    let services: Vec<String> = (0..8).map(|number| format!("web{number}")).collect();
    for name in &services {
        tree.service(name).run("exec sleep 1000");
    }
    let problem = until("a shortage", || {
        let services = tree.list().ok()?.services;
        services.into_iter().filter_map(|status| status.problem).find(|problem| problem.contains("no process could be made"))
    });
    println!("{problem}\n{}", tree.log());
    assert!(problem.contains("RLIMIT_NPROC") && problem.contains("docker run --pids-limit"), "{problem}");
    neighbour.assert_undisturbed(&tree);
    // With room again all start by themselves.
    limit_processes(&tree, uid, "1000:1000");
    for name in &services {
        tree.await_up(name);
        assert_eq!(tree.status(name).and_then(|status| status.problem), None, "{name}");
    }
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_service_that_forks_without_end_is_stopped_whole() {
    let Some((mut tree, _)) = with_processes("60:60") else { return };
    let neighbour = Neighbour::start(&mut tree);
    tree.service("bomb").run("(while :; do sleep 1000 & done) 2>/dev/null; exec sleep 1000").file("timeout-kill", "500");
    tree.await_up("bomb");
    let sleeps = || {
        let all = svc_testkit::descendants(tree.svc_init());
        all.iter().filter(|process| process.title() == "sleep 1000").count()
    };
    until("its processes", || (sleeps() > 20).then_some(()));
    let said = tree.say(&["stop", "--timeout", "120", "bomb"]);
    assert_eq!(said.code, 0, "{said:?}");
    neighbour.assert_undisturbed(&tree);
    assert_eq!(sleeps(), 1, "the neighbour's only");
    kill(neighbour.0, "TERM");
    tree.await_up(Neighbour::NAME);
}

#[test]
fn no_thread_to_watch_with() {
    let Some((mut tree, uid)) = with_processes("1000:1000") else { return };
    let neighbour = Neighbour::start(&mut tree);
    // All that run now, and no more: svc-scan goes with its thread, and comes without.
    let processes = svc_testkit::descendants(tree.svc_init()).len() + 1;
    limit_processes(&tree, uid, &format!("{processes}:1000"));
    let scan = tree.process("svc-scan");
    kill(scan, "KILL");
    until("another svc-scan", || tree.find_process("svc-scan").filter(|&pid| pid != scan));
    until("what is missing", || tree.log().contains("cannot watch directories: no thread can be made").then_some(()));
    println!("{}", tree.log());
    assert!(tree.log().contains("RLIMIT_NPROC") && tree.log().contains("svc-ctl rescan"), "{}", tree.log());
    let another = tree.process("svc-scan");
    tree.service("blind").run("exec sleep 1000");
    tree.ctl_ok(&["rescan"]);
    until("it is known", || tree.status("blind"));
    assert_eq!(tree.process("svc-scan"), another, "{}", tree.log());
    // With room again it watches, and what comes is seen.
    limit_processes(&tree, uid, "1000:1000");
    tree.ctl_ok(&["rescan"]);
    until("it watches", || tree.log().contains("watches directories again").then_some(()));
    tree.service("seen").run("exec sleep 1000");
    tree.await_up("seen");
    tree.await_up("blind");
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

/// A limit that leaves room for what svc maps, and none for what it would like to map: it starts, also where it had taken the room itself.
#[test]
fn a_limit_on_address_space_is_no_reason_not_to_start() {
    for mebibytes in [96, 104, 112, 120, 128, 256] {
        let mut tree = Tree::new();
        tree.wrapper(&["prlimit", &format!("--as={}", mebibytes << 20)]);
        let neighbour = Neighbour::start(&mut tree);
        neighbour.assert_undisturbed(&tree);
        assert_eq!(tree.stop(), 0, "{mebibytes} MiB");
    }
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", &format!("--as={}", 40 << 20)]).launch();
    assert_eq!(tree.wait(), 111);
    assert!(tree.log().contains("svc needs 48 MiB of address space"), "{}", tree.log());
}
