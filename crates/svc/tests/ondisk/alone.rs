//! `s6-supervise DIR`: one service without a scanner, steered by signals and by Debian's tools.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use svc_proto::s6::Status;
use svc_testkit::{Said, ServiceDir, Tree, is_alive, kill, program, spawn, until, wait_gone};

use crate::support::{Listener, await_status, has_s6, is_locked, s6, s6_ok, status};

/// A supervisor of our own, gone with what it runs at the end of the test.
struct Supervisor(Child);

impl Supervisor {
    fn start(dir: &Path) -> Supervisor {
        Supervisor::start_with(Command::new(program()).args(["s6-supervise"]).arg(dir).stdin(Stdio::null()))
    }

    fn start_with(command: &mut Command) -> Supervisor {
        Supervisor(spawn(command).expect("starts"))
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().expect("ours").code()
    }

    /// The process below that does the work.
    fn worker(&self) -> Option<i32> {
        let mut below = svc_testkit::descendants(self.pid()).into_iter();
        below.find(|process| process.title().starts_with("svc-supervise ")).map(|process| process.pid)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        for process in svc_testkit::descendants(self.pid()) {
            kill(process.pid, "KILL");
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn service(tree: &Tree) -> ServiceDir {
    let web = ServiceDir::make(tree.path("alone/web"));
    web.run("echo $1 >> names; exec sleep 1000");
    web.finish("echo $1 $2 >> ends");
    web
}

fn await_up(dir: &Path) -> i32 {
    await_status(dir, "up", Status::is_up).pid as i32
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn sigterm_stops_the_service_and_ends_the_supervisor() {
    let tree = Tree::new();
    let web = service(&tree);
    let mut supervisor = Supervisor::start(web.path());
    let pid = await_up(web.path());
    // Executed is not yet written.
    until("its line", || (lines(&web.path().join("names")).len() == 1).then_some(()));
    assert!(web.path().join("supervise").symlink_metadata().expect("there").is_dir(), "no link: it is where s6 has it");
    let mut listener = Listener::new(web.path());
    kill(supervisor.pid(), "TERM");
    assert_eq!(supervisor.code(), Some(0));
    assert!(!is_alive(pid));
    listener.expect("dDx");
    assert_eq!(lines(&web.path().join("ends")), ["256 15"]);
    assert_eq!(lines(&web.path().join("names")), [web.path().to_str().expect("text")]);
    assert!(!is_locked(&web.path().join("supervise/lock")));
}

#[test]
fn sighup_gives_up_the_output_and_waits_for_the_service() {
    let tree = Tree::new();
    let web = ServiceDir::make(tree.path("alone/web"));
    web.run("exec >&-; exec sleep 1000");
    let mut command = Command::new(program());
    let mut supervisor =
        Supervisor::start_with(command.arg("s6-supervise").arg(web.path()).stdin(Stdio::null()).stdout(Stdio::piped()));
    let pid = await_up(web.path());
    kill(supervisor.pid(), "HUP");
    let mut said = String::new();
    supervisor.0.stdout.take().expect("piped").read_to_string(&mut said).expect("an end");
    assert_eq!(said, "");
    assert!(is_alive(pid) && supervisor.0.try_wait().expect("ours").is_none());
    kill(pid, "TERM");
    assert_eq!(supervisor.code(), Some(0));
}

#[test]
fn sigquit_leaves_the_service_and_sigint_interrupts_it() {
    let tree = Tree::new();
    let web = service(&tree);
    let mut supervisor = Supervisor::start(web.path());
    let first = await_up(web.path());
    let mut listener = Listener::new(web.path());
    kill(supervisor.pid(), "QUIT");
    assert_eq!(supervisor.code(), Some(0));
    listener.expect("x");
    assert!(is_alive(first));
    kill(first, "KILL");
    let mut supervisor = Supervisor::start(web.path());
    let second = await_status(web.path(), "up anew", |status| status.is_up() && status.pid as i32 != first).pid as i32;
    kill(supervisor.pid(), "INT");
    assert_eq!(supervisor.code(), Some(0));
    wait_gone(second);
}

// 21
#[test]
fn a_directory_has_one_supervisor() {
    let tree = Tree::new();
    let web = service(&tree);
    let supervisor = Supervisor::start(web.path());
    let pid = await_up(web.path());
    for name in ["s6-supervise", "svc-supervise", "runsv"] {
        let second = Said::by(Command::new(program()).arg(name).arg(web.path()));
        assert_eq!(second.code, 100, "{name}: {}", second.err);
        assert!(second.err.contains("has a supervisor already"), "{}", second.err);
    }
    if has_s6() {
        assert_eq!(s6(&["s6-supervise", web.path().to_str().expect("text")]).code, 100);
    }
    assert_eq!(await_up(web.path()), pid);
    drop(supervisor);
}

// 21
#[test]
fn promise_21_of_fifty_supervisors_of_one_directory_one_wins() {
    let tree = Tree::new();
    let web = service(&tree);
    let mut all: Vec<Supervisor> = (0..50)
        .map(|_| {
            let mut command = Command::new(program());
            command.arg("s6-supervise").arg(web.path()).stdin(Stdio::null()).stderr(Stdio::piped());
            Supervisor::start_with(&mut command)
        })
        .collect();
    let winner = until("the others to give up", || {
        let mut alive = (0..all.len()).filter(|&index| all[index].0.try_wait().expect("ours").is_none());
        let first = alive.next().expect("one of them stays");
        alive.next().is_none().then_some(first)
    });
    for (index, loser) in all.iter_mut().enumerate().filter(|(index, _)| *index != winner) {
        let mut told = String::new();
        loser.0.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
        assert_eq!(loser.code(), Some(100), "number {index}: {told}");
        assert!(told.contains("has a supervisor already") && told.lines().count() == 1, "{told}");
    }
    await_up(web.path());
    until("its line", || (!lines(&web.path().join("names")).is_empty()).then_some(()));
    kill(all[winner].pid(), "TERM");
    assert_eq!(all[winner].code(), Some(0));
    assert_eq!(lines(&web.path().join("names")).len(), 1, "one of them ran it, once");
}

#[test]
fn debians_tools_steer_it() {
    if !has_s6() {
        return;
    }
    let tree = Tree::new();
    let web = service(&tree);
    web.file("notification-fd", "3").run("echo >&3; exec sleep 1000");
    let mut supervisor = Supervisor::start(web.path());
    let first = await_up(web.path());
    let dir = web.path().to_str().expect("text");
    s6_ok(&["s6-svwait", "-U", "-t", "120000", dir]);
    assert!(s6_ok(&["s6-svstat", dir]).starts_with(&format!("up (pid {first}")), "the same service");
    s6_ok(&["s6-svc", "-wR", "-T", "120000", "-r", dir]);
    assert_ne!(await_up(web.path()), first);
    s6_ok(&["s6-svc", "-wD", "-T", "120000", "-d", dir]);
    assert!(!status(web.path()).is_up());
    s6_ok(&["s6-svc", "-x", dir]);
    assert_eq!(supervisor.code(), Some(0));
    assert_eq!(s6(&["s6-svok", dir]).code, 1);
}

#[test]
fn a_killed_worker_is_replaced_and_the_service_runs_on() {
    let tree = Tree::new();
    let web = service(&tree);
    let mut supervisor = Supervisor::start(web.path());
    let pid = await_up(web.path());
    let worker = supervisor.worker().expect("one");
    kill(worker, "KILL");
    until("another", || supervisor.worker().filter(|&other| other != worker));
    until("its lock", || is_locked(&web.path().join("supervise/lock")).then_some(()));
    assert_eq!(await_up(web.path()), pid);
    kill(pid, "KILL");
    await_status(web.path(), "another", |status| status.is_up() && status.pid as i32 != pid);
    assert_eq!(lines(&web.path().join("ends")), ["256 9"]);
    kill(supervisor.pid(), "TERM");
    assert_eq!(supervisor.code(), Some(0));
}

#[test]
fn nothing_runs_on_when_the_first_process_is_killed() {
    let tree = Tree::new();
    let web = service(&tree);
    let mut supervisor = Supervisor::start(web.path());
    let pid = await_up(web.path());
    kill(supervisor.pid(), "KILL");
    supervisor.code();
    wait_gone(pid);
    until("the lock to be free", || (!is_locked(&web.path().join("supervise/lock"))).then_some(()));
}

/// svc left links behind, and the run directory that they lead into is gone.
#[test]
fn links_of_another_time_are_no_obstacle() {
    let tree = Tree::new();
    let web = service(&tree);
    for name in ["supervise", "event"] {
        std::os::unix::fs::symlink(tree.path(&format!("gone/servicedirs/1-2/{name}")), web.path().join(name)).expect("made");
    }
    let mut supervisor = Supervisor::start(web.path());
    await_up(web.path());
    kill(supervisor.pid(), "TERM");
    assert_eq!(supervisor.code(), Some(0));
}

#[test]
fn what_it_cannot_supervise_it_refuses() {
    let tree = Tree::new();
    let said = |words: &[&str]| Said::by(Command::new(program()).args(words));
    assert_eq!(said(&["s6-supervise"]).code, 100);
    assert_eq!(said(&["s6-supervise", "/nothing/here"]).code, 111);
    let web = service(&tree);
    ServiceDir::make(web.path().join("log")).run("exec cat");
    let refused = said(&["runsv", web.path().to_str().expect("text")]);
    assert_eq!(refused.code, 100, "{}", refused.err);
    assert!(refused.err.contains("svc-scan"), "{}", refused.err);
}
