//! Debian's s6 tools on services that svc supervises, and what they say of the same service under s6-supervise.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use svc_testkit::{ServiceDir, Tree, kill, spawn, until};

use crate::support::{await_status, dir, has_s6, s6, s6_ok, status, write_letters};

/// The same service under svc and under s6-supervise.
struct Twins {
    tree: Tree,
    ours: PathBuf,
    theirs: PathBuf,
    supervise: Child,
}

impl Twins {
    fn new(build: impl Fn(&ServiceDir)) -> Twins {
        let mut tree = Tree::new();
        build(&tree.service("web"));
        build(&tree.draft("web"));
        let theirs = tree.path("drafts/web");
        let log = std::fs::File::create(tree.path("s6.log")).expect("made");
        let supervise =
            spawn(Command::new("s6-supervise").arg(&theirs).stdin(Stdio::null()).stderr(log)).expect("s6 starts");
        tree.start();
        let ours = tree.services().join("web");
        for dir in [&ours, &theirs] {
            await_status(dir, "a supervisor", |_| true);
        }
        Twins { tree, ours, theirs, supervise }
    }

    fn both(&self) -> [&Path; 2] {
        [&self.ours, &self.theirs]
    }

    fn letters(&self, letters: &str) {
        for dir in self.both() {
            write_letters(dir, letters);
        }
    }

    fn await_both(&self, what: &str, wanted: impl Fn(&svc_proto::s6::Status) -> bool + Copy) {
        for dir in self.both() {
            await_status(dir, what, wanted);
        }
    }

    /// What both say with these options is the same, apart from numbers of processes and times.
    #[track_caller]
    fn agree(&self, situation: &str, options: &[&str]) {
        let [ours, theirs] = self.both().map(|dir| {
            let words: Vec<&str> = [&["s6-svstat"], options, &[dir.to_str().expect("text")]].concat();
            let said = s6(&words);
            assert_eq!(said.code, 0, "{situation}: {}", said.err);
            without_numbers(&said.out)
        });
        assert_eq!(ours, theirs, "{situation}, {options:?}");
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        write_letters(&self.theirs, "dx");
        let _ = self.supervise.wait();
        let _ = &self.tree;
    }
}

/// Pids, seconds and stamps say nothing about the situation; exit codes and signals do.
fn without_numbers(text: &str) -> String {
    let mut after_pid = false;
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([')', ',', '\n']);
        // Where numbers have begun anew a pid is as short as an exit code.
        let is_pid = std::mem::replace(&mut after_pid, word == "(pid");
        let long = bare.len() > 3 && bare.bytes().all(|byte| byte.is_ascii_digit());
        if long || is_pid || bare.starts_with('@') { "N".to_owned() + &word[bare.len()..] } else { word.to_owned() }
    });
    let text = words.collect::<Vec<String>>().join(" ");
    // How many seconds it is depends on when it was asked.
    (0..60).fold(text, |text, seconds| text.replace(&format!(" {seconds} seconds"), " N seconds"))
}

const FIELDS: &str = "up,wantedup,normallyup,ready,exitcode,signal,signum,updownsince,readysince";

#[test]
fn s6_svstat_says_the_same_of_both() {
    if !has_s6() {
        return;
    }
    let twins = Twins::new(|web| {
        web.file("notification-fd", "3").file("down", "").run("read how < how; echo >&3; exec $how");
    });
    let agree = |situation: &str| {
        for options in [&[][..], &["-o", FIELDS], &["-u"], &["-w"], &["-r"], &["-e"], &["-s"], &["-N"]] {
            twins.agree(situation, options);
        }
    };
    let how = |how: &str| {
        for dir in twins.both() {
            std::fs::write(dir.join("how"), format!("{how}\n")).expect("written");
        }
    };
    agree("never started");
    how("sleep 1000");
    twins.letters("u");
    twins.await_both("ready", |status| status.is_up() && status.ready);
    agree("up and ready");
    twins.agree("up and ready", &["-o", "paused"]);
    twins.letters("p");
    twins.await_both("paused", |status| status.paused);
    agree("paused");
    twins.agree("paused", &["-o", "paused"]);
    twins.letters("cO");
    twins.await_both("wanted down", |status| !status.paused && !status.wanted_up);
    agree("up, and wanted down");
    twins.letters("k");
    twins.await_both("down", |status| !status.is_up() && status.ready);
    agree("killed");
    how("false");
    twins.letters("o");
    twins.await_both("down by itself", |status| !status.is_up() && status.ready && status.wait_status == 0x100);
    agree("ended with 1");
    how("sleep 1000");
    twins.letters("U");
    twins.await_both("up without a down file", |status| status.wanted_up);
    twins.await_both("ready", |status| status.is_up() && status.ready);
    agree("up and normally up");
}

#[test]
fn s6_svc_steers_and_waits() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").file("notification-fd", "3").run("echo >&3; exec sleep 1000").finish("exec sleep 0.05");
    tree.start();
    tree.await_up("web");
    let web = dir(&tree, "web");
    let pid = || s6_ok(&["s6-svstat", "-o", "pid", &web]);
    s6_ok(&["s6-svwait", "-U", "-t", "120000", &web]);
    let first = pid();
    s6_ok(&["s6-svc", "-wd", "-T", "120000", "-d", &web]);
    assert_eq!(s6_ok(&["s6-svstat", "-u", &web]), "false");
    s6_ok(&["s6-svwait", "-D", "-t", "120000", &web]);
    let line = s6_ok(&["s6-svstat", &web]);
    assert!(line.starts_with("down (signal SIGTERM) ") && line.contains(", normally up, ready "), "{line}");
    s6_ok(&["s6-svc", "-wu", "-T", "120000", "-u", &web]);
    s6_ok(&["s6-svc", "-wU", "-T", "120000", "-u", &web]);
    let second = pid();
    assert_ne!(first, second);
    s6_ok(&["s6-svc", "-wr", "-T", "120000", "-r", &web]);
    s6_ok(&["s6-svc", "-wR", "-T", "120000", "-r", &web]);
    assert_ne!(second, pid());
    // What does not come is not waited for without end.
    assert_eq!(s6(&["s6-svc", "-wd", "-T", "1500", "-u", &web]).code, 99);
    assert_eq!(s6(&["s6-svwait", "-D", "-t", "1500", &web]).code, 99);
    s6_ok(&["s6-svc", "-p", &web]);
    await_status(Path::new(&web), "paused", |status| status.paused);
    s6_ok(&["s6-svc", "-c", &web]);
    s6_ok(&["s6-svc", "-wD", "-T", "120000", "-D", &web]);
    assert_eq!(s6_ok(&["s6-svstat", "-o", "normallyup", &web]), "false");
    s6_ok(&["s6-svc", "-wU", "-T", "120000", "-U", &web]);
    assert_eq!(s6_ok(&["s6-svstat", "-o", "normallyup", &web]), "true");
}

// 16
#[test]
fn command_and_wait_miss_nothing_of_a_service_that_dies_at_once() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").file("down", "").run("exit 0");
    tree.start();
    let web = dir(&tree, "web");
    await_status(Path::new(&web), "a supervisor", |_| true);
    for _ in 0..30 {
        s6_ok(&["s6-svc", "-wu", "-T", "120000", "-o", &web]);
        s6_ok(&["s6-svwait", "-D", "-t", "120000", &web]);
    }
    s6_ok(&["s6-svlisten1", "-r", "-t", "120000", &web, "s6-svc", "-u", &web]);
}

#[test]
fn waiting_for_several_is_all_or_any() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    for name in ["one", "two", "three"] {
        tree.service(name).file("down", "").run("exec sleep 1000");
    }
    tree.start();
    let dirs = ["one", "two", "three"].map(|name| dir(&tree, name));
    for dir in &dirs {
        await_status(Path::new(dir), "a supervisor", |_| true);
    }
    let wait = |options: &[&str]| {
        let words: Vec<&str> = ["s6-svwait"].iter().chain(options).copied().chain(dirs.iter().map(String::as_str)).collect();
        s6(&words).code
    };
    // s6's tools need some of this time for the program that listens for them.
    assert_eq!(wait(&["-u", "-o", "-t", "1500"]), 99);
    s6_ok(&["s6-svc", "-wu", "-T", "120000", "-u", &dirs[1]]);
    assert_eq!(wait(&["-u", "-o", "-t", "120000"]), 0);
    assert_eq!(wait(&["-u", "-a", "-t", "1500"]), 99);
    for dir in &dirs {
        s6_ok(&["s6-svc", "-u", dir]);
    }
    assert_eq!(wait(&["-u", "-a", "-t", "120000"]), 0);
}

#[test]
fn a_permanent_failure_and_a_supervisor_that_leaves_end_a_wait() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").file("down", "").run("exec sleep 1000").finish("exit 125");
    tree.start();
    let web = dir(&tree, "web");
    await_status(Path::new(&web), "a supervisor", |_| true);
    s6_ok(&["s6-svc", "-wu", "-T", "120000", "-u", &web]);
    await_listeners(Path::new(&web), 0);
    let mut wait = Command::new("s6-svwait");
    let wait = spawn(wait.args(["-U", "-t", "120000", &web]).stderr(Stdio::null())).expect("runs");
    await_listeners(Path::new(&web), 1);
    s6_ok(&["s6-svc", "-t", &web]);
    assert_eq!(wait.wait_with_output().expect("ends").status.code(), Some(1));
    await_listeners(Path::new(&web), 0);
    let mut wait = Command::new("s6-svwait");
    let wait = spawn(wait.args(["-u", "-t", "120000", &web]).stderr(Stdio::null())).expect("runs");
    await_listeners(Path::new(&web), 1);
    tree.stop();
    assert_eq!(wait.wait_with_output().expect("ends").status.code(), Some(1));
}

/// Waits until so many listen. To see that a new one does, one has to see first that nobody does: s6's tools listen through a
/// child, which ends some time after them.
fn await_listeners(dir: &Path, count: usize) {
    until("listeners", || {
        let names = std::fs::read_dir(dir.join("event")).ok()?.flatten();
        // Those that were left behind have no reader.
        let listening = names.filter(|name| crate::support::open_for_writing(&name.path()).is_ok()).count();
        (listening == count).then_some(())
    });
}

#[test]
fn a_killed_supervisor_ends_no_wait() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let web = dir(&tree, "web");
    let wait = spawn(Command::new("s6-svwait").args(["-d", "-t", "120000", &web])).expect("runs");
    await_listeners(Path::new(&web), 1);
    tree.kill_supervisor("web");
    kill(pid, "KILL");
    assert!(wait.wait_with_output().expect("ends").status.success());
}

#[test]
fn s6_svok_s6_svdt_and_the_listening_tools() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").file("down", "").run("exit 7");
    tree.start();
    let web = dir(&tree, "web");
    await_status(Path::new(&web), "a supervisor", |_| true);
    for count in 1..=3 {
        s6_ok(&["s6-svc", "-wu", "-T", "120000", "-o", &web]);
        s6_ok(&["s6-svwait", "-D", "-t", "120000", &web]);
        let tally = s6_ok(&["s6-svdt", &web]);
        assert_eq!(tally.lines().count(), count);
        assert!(tally.lines().all(|line| line.starts_with('@') && line.ends_with(" exitcode 7")), "{tally}");
    }
    s6_ok(&["s6-svdt-clear", &web]);
    assert_eq!(s6_ok(&["s6-svdt", &web]), "");
    s6_ok(&["s6-svc", "-wu", "-T", "120000", "-o", &web]);
    s6_ok(&["s6-svwait", "-D", "-t", "120000", &web]);
    assert_eq!(s6_ok(&["s6-svdt", &web]).lines().count(), 1, "after a clear it begins anew");
    let event = format!("{web}/event");
    assert_eq!(s6_ok(&["s6-ftrig-listen1", "-t", "120000", &event, "udD", "s6-svc", "-o", &web]), "D");
    s6_ok(&["s6-ftrig-listen", "-t", "120000", &event, "d", "", "s6-svc", "-o", &web]);
    // s6-svperms opens the directories to others, and svc leaves them so.
    if s6(&["s6-svperms", "-u", "-G", "root", "-O", "root", "-E", &web]).code == 0 {
        let before = s6_ok(&["s6-svperms", "-v", &web]);
        tree.kill_supervisor("web");
        assert_eq!(s6_ok(&["s6-svperms", "-v", &web]), before);
    }
    tree.stop();
    assert_eq!(s6(&["s6-svok", &web]).code, 1);
    assert_eq!(s6(&["s6-svc", "-u", &web]).code, 100, "nobody listens");
    assert_eq!(s6(&["s6-svstat", &web]).code, 1);
}

// 27
#[test]
fn others_may_neither_steer_nor_look_into() {
    if !has_s6() || !svc_testkit::is_root() || !svc_testkit::needs("setpriv", svc_testkit::has_program("setpriv")) {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let web = dir(&tree, "web");
    let before = status(Path::new(&web));
    let as_nobody = |words: &[&str]| {
        let front = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        s6(&[&front, words].concat()).code
    };
    assert_ne!(as_nobody(&["s6-svc", "-d", &web]), 0);
    assert_ne!(as_nobody(&["s6-svstat", &web]), 0);
    assert_ne!(as_nobody(&["s6-svwait", "-u", "-t", "100", &web]), 0);
    assert_ne!(as_nobody(&["sh", "-c", "echo d > \"$1/supervise/control\"", "sh", &web]), 0);
    assert_ne!(as_nobody(&["touch", &format!("{web}/event/x")]), 0);
    assert_eq!(status(Path::new(&web)), before);
}
