//! Promises 34 and 35: whenever the end is asked for, it comes in time; and whatever was left, the next start works.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use svc_testkit::{Chance, PATIENCE, Tree, amount, kill, until, wait_gone};

/// What may lie around, and who puts it there.
type Garbage = (&'static str, fn(&Tree));

/// Everybody who has the run directory of this tree in the environment: whatever svc has started, and itself.
fn of_this_tree(tree: &Tree) -> Vec<(i32, String)> {
    let mark = tree.run_dir().display().to_string();
    let all = svc_testkit::processes().into_iter().filter(|process| !process.is_zombie());
    all.filter(|process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    })
    .map(|process| (process.pid, process.title().to_owned()))
    .collect()
}

/// Some twenty services, of which half do not want to start, or to end.
fn populate(tree: &Tree) {
    for number in 0..8 {
        tree.service(&format!("plain{number}")).run("exec sleep 1000");
    }
    for number in 0..3 {
        tree.service(&format!("never-ready{number}")).file("notification-fd", "3\n").run("exec sleep 1000");
        let stubborn = "trap '' TERM INT HUP; while :; do sleep 1000; done";
        tree.service(&format!("stubborn{number}")).run(stubborn);
        tree.service(&format!("hanging{number}")).file("timeout-finish", "0\n").run("exec sleep 1000").finish(stubborn);
    }
    // Two that never come to their end, of which one does not want to be ended either, and one that waits for them.
    for (name, text) in [
        ("oneshot", "kind = \"oneshot\"\nup = \"sleep 1000\"\n"),
        (
            "deaf-oneshot",
            "kind = \"oneshot\"\nup = [\"sh\", \"-c\", \"trap '' TERM INT HUP; while :; do sleep 1000; done\"]\n",
        ),
        ("waiting", "needs = [\"oneshot\", \"deaf-oneshot\"]\ncommand = \"sleep 1000\"\n"),
    ] {
        tree.service(name).file("service.toml", text);
    }
    tree.service("crashing").run("exit 1").finish("sleep 0.05");
    tree.service("broken").executable("run", "#!/no/such/interpreter\n");
    tree.service("pair").run("while echo hello; do sleep 0.01; done");
    tree.service("pair/log").run("exec cat > /dev/null");
}

#[test]
fn promise_34_the_end_comes_in_time_whenever_it_is_asked_for() {
    const THREADS: u64 = 8;
    // 200 instants; while an end is waited for, nobody is busy.
    let rounds = amount(25, 125);
    let workers: Vec<_> = (0..THREADS)
        .map(|worker| {
            std::thread::spawn(move || {
                let mut tree = Tree::new();
                populate(&tree);
                tree.set("SVC_STOP_TIMEOUT", "2");
                let mut worst = Duration::ZERO;
                let mut chance = Chance::of(worker);
                for round in 0..rounds {
                    tree.launch();
                    // Not before svc could know of signals: then it is the kernel that answers.
                    until("svc-init", || (!svc_testkit::descendants(tree.init_pid()).is_empty()).then_some(()));
                    let delay = Duration::from_micros(chance.below(if round % 3 == 0 { 20_000 } else { 300_000 }));
                    std::thread::sleep(delay);
                    let begin = Instant::now();
                    let code = tree.stop();
                    let took = begin.elapsed();
                    assert_eq!(code, 0, "stopped {delay:?} after the start; log:\n{}", tree.log());
                    let left = of_this_tree(&tree);
                    assert_eq!(left, [], "stopped {delay:?} after the start; log:\n{}", tree.log());
                    worst = worst.max(took);
                }
                worst
            })
        })
        .collect();
    let worst = workers.into_iter().map(|worker| worker.join().expect("no promise broken")).max();
    println!("{} ends, the slowest took {worst:?}", THREADS * rounds);
}

/// The same when nobody is left to lead: svc-scan and supervisors are killed in the middle of the end.
#[test]
fn promise_34_the_end_comes_though_everybody_is_killed_on_the_way() {
    let mut tree = Tree::new();
    populate(&tree);
    tree.set("SVC_STOP_TIMEOUT", "2");
    for pace in [100, 150, 200, 250].map(Duration::from_millis) {
        tree.start();
        for number in 0..3 {
            tree.await_up(&format!("stubborn{number}"));
        }
        for name in ["oneshot", "deaf-oneshot"] {
            tree.await_running(name);
        }
        let begin = Instant::now();
        tree.signal("TERM");
        while tree.wait_within(pace).is_none() {
            assert!(begin.elapsed() < PATIENCE, "{:?}; log:\n{}", begin.elapsed(), tree.log());
            for daemon in tree.daemons() {
                kill(daemon.pid, "KILL");
            }
        }
        assert_eq!(of_this_tree(&tree), []);
    }
}

#[test]
fn promise_35_what_an_earlier_boot_left_is_harmless() {
    let garbage: [Garbage; 6] = [
        ("a file in the place of the socket", |tree| fs::write(tree.socket(), "no socket").expect("written")),
        ("a socket without anybody", |tree| drop(UnixListener::bind(tree.socket()).expect("bound"))),
        ("a link to nowhere", |tree| std::os::unix::fs::symlink("/no/where", tree.socket()).expect("linked")),
        ("files of somebody else", |tree| {
            for name in ["lock", "control.sock", ".probe-1"] {
                let path = tree.run_dir().join(name);
                fs::write(&path, "\0\u{1}garbage\n".repeat(1000)).expect("written");
                // Only root may; the same user's files are no harm either.
                let _ = chown(&path, Some(54_321), Some(54_321));
            }
        }),
        ("other files and folders", |tree| {
            fs::create_dir_all(tree.run_dir().join("events/web")).expect("made");
            fs::write(tree.run_dir().join("state"), "old").expect("written");
            fs::write(tree.run_dir().join("svc.pid"), "1\n").expect("written");
        }),
        ("what s6 leaves in a service directory", |tree| {
            let dir = tree.services().join("web");
            fs::create_dir_all(dir.join("supervise")).expect("made");
            fs::create_dir_all(dir.join("event")).expect("made");
            fs::write(dir.join("supervise/status"), [0xff; 35]).expect("written");
            fs::write(dir.join("supervise/lock"), "").expect("written");
        }),
    ];
    for (what, leave) in garbage {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        leave(&tree);
        tree.start();
        let pid = tree.await_up("web");
        assert!(tree.ctl_ok(&["status"]).contains(&pid.to_string()), "{what}");
        assert_eq!(tree.stop(), 0, "{what}");
        // What svc itself leaves is no harm to itself.
        tree.start();
        tree.await_up("web");
        assert_eq!(tree.stop(), 0, "{what}");
    }
}

/// `docker kill -s KILL`, and start again with the same run directory: everybody was killed, nobody tidied up.
#[test]
fn promise_35_after_everybody_was_killed_it_starts_again() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    for _ in 0..3 {
        tree.start();
        tree.await_up("web");
        let all = of_this_tree(&tree);
        assert!(all.len() >= 5, "{all:?}");
        for (pid, _) in &all {
            kill(*pid, "KILL");
        }
        assert_eq!(tree.wait(), 128 + 9);
        for (pid, _) in all {
            wait_gone(pid);
        }
    }
    tree.start();
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}

/// Whom of ours somebody has stopped where it is, that is needed for the end.
#[test]
fn who_was_stopped_by_sigstop_takes_part_in_the_end() {
    for titles in [&["svc-scan"][..], &["svc-log"], &["svc-supervise web"], &["svc-scan", "svc-log", "svc-supervise web"]] {
        let mut tree = Tree::new();
        let gone = tree.path("gone").display().to_string();
        let trap = format!("trap 'echo its last words; echo orderly >{gone}; exit 0' TERM");
        tree.service("web").run(&format!("{trap}; echo armed; while :; do sleep 0.02; done"));
        // Who is held has a share of this to take part by himself.
        tree.set("SVC_STOP_TIMEOUT", "8").start();
        tree.await_up("web");
        until("its trap", || tree.log().contains("armed").then_some(()));
        for title in titles {
            let pid = tree.process(title);
            kill(pid, "STOP");
            let is_held = |process: &svc_testkit::Process| process.pid == pid && process.state == 'T';
            until("it to hold", || svc_testkit::processes().iter().any(is_held).then_some(()));
        }
        assert_eq!(tree.stop(), 0);
        assert_eq!(fs::read_to_string(&gone).unwrap_or_default(), "orderly\n", "{titles:?}");
        assert!(tree.log().contains("its last words"), "{titles:?}");
    }
}

#[test]
fn svc_ctl_shutdown_returns_when_svc_init_is_gone_too() {
    let mut tree = Tree::new();
    // Nobody reads: svc-init waits for svc-log until the time for all of it is over, and svc-scan is gone long before.
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    tree.stdout(writer).set("SVC_STOP_TIMEOUT", "2");
    tree.service("web").run("exec yes 'a line of some length'");
    tree.start();
    tree.await_up("web");
    tree.ctl_ok(&["shutdown"]);
    let again = std::os::unix::net::UnixStream::connect(tree.socket());
    assert!(again.is_err(), "somebody still has the socket, and so the locks");
    tree.wait();
}
