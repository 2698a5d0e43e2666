//! Promises 1, 4 and 7: no descriptors, no processes left, and a service that bombs: svc-init lives, and all comes back.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use svc_testkit::{
    Chance, Said, State, Tree, amount, api, descendants, has_program, is_alive, kill, needs, processes, processor_time,
    program, until, wait_idle,
};

use crate::common::{answer_time, status};

/// A user whom nobody else uses, be it in another run of these tests: the limit on processes counts all of one user's.
fn user() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    20_000 + std::process::id() % 10_000 * 4 + NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// A tree that runs as this user, who is not exempt from limits as root is.
fn unprivileged(user: u32, limits: &[&str]) -> Option<Tree> {
    if !needs(
        "root, setpriv and prlimit",
        svc_testkit::figure(std::process::id() as i32, "Uid") == Some(0) && has_program("setpriv"),
    ) {
        return None;
    }
    let mut tree = Tree::new();
    for dir in [tree.root().to_owned(), tree.run_dir(), tree.services()] {
        chown(dir, Some(user), Some(user)).expect("root may");
    }
    let user = user.to_string();
    let mut words = vec!["prlimit"];
    words.extend(limits);
    words.extend(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    tree.wrapper(&words);
    Some(tree)
}

/// As the process's own user: a root without CAP_SYS_RESOURCE may not do it to others.
fn limit(pid: i32, what: &str) {
    let user = svc_testkit::figure(pid, "Uid").expect("it lives") as u32;
    let said = Said::by(Command::new("prlimit").args(["--pid", &pid.to_string(), what]).uid(user).gid(user));
    assert_eq!(said.code, 0, "{said:?}");
}

fn descriptor_limit(pid: i32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a line of them");
    line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

/// Crashes and kills, for as long as there is a limit.
fn churn(tree: &Tree, chance: &mut Chance, time: Duration) {
    let init = tree.svc_init();
    let begin = Instant::now();
    while begin.elapsed() < time {
        if let Some(victim) = tree.daemons().get(chance.below(12) as usize) {
            kill(victim.pid, "KILL");
        }
        std::thread::sleep(Duration::from_millis(30));
        assert!(is_alive(init), "svc-init died; log:\n{}", tree.log());
    }
}

/// Everything is as it was.
fn assert_back(tree: &Tree, pids: &[(String, i32)]) {
    answer_time(tree);
    for (name, pid) in pids {
        let status = tree.await_status(name, "up with a supervisor", |status| {
            status.state == State::Up && status.supervisor_pid.is_some()
        });
        assert_eq!((status.pid, status.restarts), (Some(*pid), 0), "{name}");
    }
    let before = status(tree, "crashing").restarts;
    tree.await_status("crashing", "it to go on", |status| status.restarts > before + 1);
    tree.service("new").run("exec sleep 1000");
    tree.await_up("new");
    tree.ctl_ok(&["restart", "s1"]);
}

/// Whoever was forked under a limit of svc-init has it still: others take their places.
fn renew_daemons(tree: &Tree) {
    for daemon in tree.daemons() {
        kill(daemon.pid, "KILL");
    }
}

fn populate(tree: &mut Tree) -> Vec<(String, i32)> {
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    for name in &names {
        tree.service(name).run("echo hello; exec sleep 1000");
    }
    tree.service("crashing").run("exit 1");
    tree.start();
    names.iter().map(|name| (name.clone(), tree.await_up(name))).collect()
}

#[test]
fn promise_1_no_descriptors_left() {
    if !needs("prlimit", has_program("prlimit")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    let pids = populate(&mut tree);
    let init = tree.svc_init();
    let (open, before) = (svc_testkit::descriptors(init), descriptor_limit(init));
    for most in [3, open / 2, open + 1, open + 5] {
        limit(init, &format!("--nofile={most}:"));
        churn(&tree, &mut chance, Duration::from_secs(amount(2, 40)));
    }
    limit(init, &format!("--nofile={before}:"));
    renew_daemons(&tree);
    assert_back(&tree, &pids);
    assert_eq!(tree.stop(), 0);
}

/// As many services as there are descriptors for, and no more than leave enough for those who come back.
#[test]
fn who_was_killed_comes_back_where_descriptors_are_few() {
    if !needs("prlimit", has_program("prlimit")) {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--nofile=64:64"]);
    for number in 0..30 {
        tree.service(&format!("s{number}")).run("exec sleep 1000");
    }
    tree.start();
    until("one too many", || tree.log().contains("cannot start its supervisor: ").then_some(()));
    let up = |but: &[i32]| {
        let all = tree.list().ok()?.services;
        let up = all.into_iter().filter(|status| {
            status.state == State::Up && status.supervisor_pid.is_some_and(|supervisor| !but.contains(&supervisor))
        });
        Some(up.filter_map(|status| status.pid).collect::<Vec<i32>>())
    };
    let pids = until("as many as there may be", || up(&[]).filter(|pids| pids.len() >= 8));
    for victim in ["svc-scan", "svc-log", "svc-supervise", "svc-"] {
        let victims = tree.daemons().into_iter().filter(|daemon| daemon.title().starts_with(victim));
        let victims: Vec<i32> = victims.map(|daemon| daemon.pid).collect();
        assert!(!victims.is_empty(), "{victim}");
        victims.iter().for_each(|&pid| kill(pid, "KILL"));
        until(&format!("all to be back after {victim}; log:\n{}", tree.log()), || {
            ["svc-scan", "svc-log"]
                .iter()
                .all(|name| tree.find_process(name).is_some_and(|pid| !victims.contains(&pid)))
                .then_some(())?;
            let now = up(&victims)?;
            pids.iter().all(|pid| now.contains(pid)).then_some(())
        });
    }
    assert_eq!(tree.stop(), 0);
}

/// Neither svc-scan nor svc-log can be started: there is nobody to wait for, and nothing to read.
#[test]
fn an_end_waits_for_nobody_who_could_never_be_started() {
    if !needs("prlimit", has_program("prlimit")) {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--nofile=16:16"]).set("SVC_STOP_TIMEOUT", "3600").launch();
    until("both to be tried", || {
        let log = tree.log();
        ["svc-scan", "svc-log"].iter().all(|name| log.contains(&format!("cannot start {name}: "))).then_some(())
    });
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_limit_on_the_size_of_files_is_told_with_its_cure() {
    if !needs("prlimit", has_program("prlimit")) {
        return;
    }
    let mut tree = Tree::new();
    tree.wrapper(&["prlimit", "--fsize=51200:51200"]).launch();
    assert_eq!(tree.wait(), 111);
    assert!(tree.log().contains("ulimit -f unlimited"), "{}", tree.log());
}

#[test]
fn promise_1_no_processes_left() {
    let mut chance = Chance::new();
    let Some(mut tree) = unprivileged(user(), &[]) else { return };
    let pids = populate(&mut tree);
    let init = tree.svc_init();
    for most in [1, 10] {
        limit(init, &format!("--nproc={most}:"));
        churn(&tree, &mut chance, Duration::from_secs(amount(2, 60)));
    }
    limit(init, "--nproc=4000:");
    renew_daemons(&tree);
    assert_back(&tree, &pids);
    assert_eq!(tree.stop(), 0);
}

/// The limit on memory of svc-init holds for whoever it forks: svc-scan and svc-log die of it, and come back.
#[test]
fn promise_1_no_memory_left() {
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    let pids = populate(&mut tree);
    let init = tree.svc_init();
    let used = svc_testkit::figure(init, "VmSize").expect("it lives") * 1024;
    for room in [0, 64 * 1024, 16 * 1024 * 1024] {
        limit(init, &format!("--as={}:", used + room));
        churn(&tree, &mut chance, Duration::from_secs(amount(2, 60)));
    }
    limit(init, "--as=unlimited:");
    renew_daemons(&tree);
    assert_back(&tree, &pids);
    assert_eq!(tree.stop(), 0);
}

/// Every other call of one kind fails in svc-init, as where the kernel is short of something or a filter forbids it.
#[test]
fn promise_1_system_calls_that_fail() {
    if !needs("strace", has_program("strace")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    let pids = populate(&mut tree);
    let init = tree.svc_init().to_string();
    let faults = [
        "fork,clone,clone3:error=EAGAIN",
        "fork,clone,clone3:error=ENOMEM",
        "socketpair,pipe2,pipe:error=ENFILE",
        "openat,open:error=EMFILE",
        "sendmsg,sendto:error=ENOBUFS",
        "mmap,brk,mremap:error=ENOMEM",
        "fcntl,dup,dup2,dup3:error=EMFILE",
        "read,readv,recvmsg:error=EINTR",
        "poll,ppoll,epoll_wait,epoll_pwait:error=EINTR",
    ];
    // svc-init has no heap: whether it asks for memory all the same is up to libc.
    let asks_for_memory = Said::by(Command::new(program()).arg("--version")).out.contains("musl");
    let trace = tree.path("trace");
    for fault in faults {
        let calls = fault.split(':').next().expect("a list");
        let mut tracer = Command::new("strace");
        tracer.args(["-qq", "-o", trace.to_str().expect("text"), "-p", &init, "-e", &format!("trace={calls}")]);
        tracer.args(["-e", &format!("inject={fault}:when=1+2")]);
        let mut tracer = svc_testkit::spawn(&mut tracer).expect("strace runs");
        churn(&tree, &mut chance, Duration::from_secs(amount(2, 45)));
        let seen = || std::fs::read_to_string(&trace).unwrap_or_default().matches("(INJECTED)").count();
        // A kind that did not fail shows nothing.
        if calls != "mmap,brk,mremap" || asks_for_memory {
            until(&format!("three of {fault}"), || {
                churn(&tree, &mut chance, Duration::from_millis(100));
                (seen() >= 3).then_some(())
            });
        }
        println!("{fault}: {} times", seen());
        kill(tracer.id() as i32, "TERM");
        tracer.wait().expect("it ends");
    }
    assert_back(&tree, &pids);
    assert_eq!(tree.stop(), 0);
}

/// Sorted, so that the median is in the middle and the worst at the end.
fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times
}

/// With a full table of processes nobody can be made, and everybody who is there goes on and can be stopped.
#[test]
fn promise_7_a_fork_bomb_does_not_stop_control() {
    const TIMES: usize = 30;
    let user = user();
    let tree = unprivileged(user, &["--nproc=200:200"]).filter(|_| needs("perl", has_program("perl")));
    let Some(mut tree) = tree else { return };
    let heard = tree.run_dir().join("heard");
    let hears = format!(
        "#!/usr/bin/perl\nopen(my $heard, '>>', '{}');\n$SIG{{USR1}} = sub {{ syswrite($heard, \"x\") }};\n\
         syswrite($heard, \"x\");\nsleep(1) while 1;\n",
        heard.display()
    );
    tree.service("hears").executable("run", &hears);
    let calm = |number: usize| format!("calm{number}");
    for number in 0..=TIMES {
        tree.service(&calm(number)).run("exec sleep 1000");
    }
    // Whoever is made goes on making more.
    let bomb = "#!/usr/bin/perl\n$SIG{TERM} = 'IGNORE';\n\
                while (1) {\n  my $pid = fork();\n  if (!defined $pid) { select(undef, undef, undef, 0.05); }\n}\n";
    tree.service("bomb").file("timeout-kill", "1000\n").file("down", "").executable("run", bomb);
    tree.start();
    let pids: Vec<i32> = (0..=TIMES).map(|number| tree.await_up(&calm(number))).collect();
    let so_often = |count: u64| until("it to hear", || (std::fs::metadata(&heard).ok()?.len() >= count).then_some(()));
    so_often(1);
    tree.await_status("bomb", "known", |status| status.supervisor_pid.is_some());
    tree.order(api::Verb::Once, &["bomb"]);
    let mine =
        || processes().into_iter().filter(|process| svc_testkit::figure(process.pid, "Uid") == Some(user.into())).count();
    until("a full table", || (mine() >= 198).then_some(()));

    let measured = |act: &dyn Fn()| {
        let begin = Instant::now();
        act();
        begin.elapsed()
    };
    // What this machine needs at this time for the least that a program can do.
    let plain =
        sorted((0..TIMES).map(|_| measured(&|| assert!(Command::new("true").status().is_ok_and(|end| end.success())))));
    let questions = sorted((0..TIMES).map(|_| answer_time(&tree)));
    let signals = sorted((0..TIMES).map(|number| {
        let kill = api::Control { signal: Some("USR1".into()), ..api::Control::new(api::Verb::Kill, vec!["hears".into()]) };
        measured(&|| {
            tree.post::<api::Outcomes>("/v1/control", &kill);
            while std::fs::metadata(&heard).expect("there").len() < number as u64 + 2 {
                std::thread::yield_now();
            }
        })
    }));
    let stops = sorted((0..TIMES).map(|number| {
        let stop = api::Control::new(api::Verb::Stop, vec![calm(number)]);
        measured(&|| assert_eq!(tree.post::<api::Outcomes>("/v1/control", &stop).outcomes[0].result, api::Verdict::Done))
    }));
    for (what, times) in [("status", questions), ("kill", signals), ("stop", stops)] {
        let (median, worst) = (times[TIMES / 2], times[TIMES - 1]);
        println!("{what}: {median:?}, at worst {worst:?}; true {:?}", plain[TIMES / 2]);
    }

    tree.order(api::Verb::Pause, &[&calm(TIMES)]);
    tree.await_status(&calm(TIMES), "paused", |status| status.paused);
    tree.order(api::Verb::Continue, &[&calm(TIMES)]);
    tree.order(api::Verb::Stop, &["bomb"]);
    tree.await_status("bomb", "down", |status| status.state == State::Down);
    assert_eq!(descendants(tree.process("svc-supervise bomb")).len(), 0, "nothing of it is left");
    assert_eq!(status(&tree, &calm(TIMES)).pid, Some(pids[TIMES]));
    assert_eq!(tree.stop(), 0);
    assert_eq!(mine(), 0);
}

/// Promise 4: everybody who has lost a parent is reaped.
#[test]
fn promise_4_ten_thousand_orphans_leave_no_zombie() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut tree = Tree::new();
    let done = tree.path("done");
    let program = format!(
        "#!/usr/bin/perl\nopen(my $done, '>>', '{}');\nfor (1 .. 10000) {{\n  my $pid = fork();\n  \
         if (!$pid) {{ fork() or exit 0; exit 0; }}\n  waitpid($pid, 0);\n  syswrite($done, \"x\") if $_ % 1000 == 0;\n}}\n\
         sleep(1) while 1;\n",
        done.display()
    );
    tree.service("web").executable("run", &program);
    // Orphans that svc-init gets, because their supervisor is killed, are the same to it.
    tree.start();
    let pid = tree.await_up("web");
    tree.kill_supervisor("web");
    let init = tree.svc_init();
    let (begin, before) = (Instant::now(), processor_time(init));
    for thousand in 1..=10 {
        until("a thousand more", || std::fs::metadata(&done).is_ok_and(|data| data.len() >= thousand).then_some(()));
    }
    let last = Instant::now();
    let zombies = || descendants(init).iter().filter(|process| process.is_zombie()).count();
    until("no zombie", || (zombies() == 0).then_some(()));
    let took = last.elapsed();
    let (all, cost) = (begin.elapsed(), processor_time(init) - before);
    println!("reaping cost {cost:?} of {all:?}, the last zombie was gone after {took:?}");
    wait_idle(init, Duration::from_millis(500));
    assert_eq!(status(&tree, "web").pid, Some(pid));
    assert_eq!(tree.stop(), 0);
}
