//! `.s6-svscan/`, and the names under which scripts start a scanner.

use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use svc_testkit::{EventKind, Said, ServiceDir, Tree, program, spawn, until};

use crate::support::{await_status, dir, has_s6, is_locked, open_for_writing, s6, s6_ok};

fn write_letters(tree: &Tree, letters: &str) {
    let mut control = open_for_writing(&tree.services().join(".s6-svscan/control")).expect("somebody listens");
    std::io::Write::write_all(&mut control, letters.as_bytes()).expect("written");
}

#[test]
fn the_files_of_a_scan_directory() {
    let mut tree = Tree::new();
    tree.start();
    let folder = tree.services().join(".s6-svscan");
    let control = until("the control", || folder.join("control").metadata().ok());
    assert!(control.file_type().is_fifo());
    assert_eq!(control.permissions().mode() & 0o7777, 0o600);
    assert_eq!(folder.metadata().expect("there").permissions().mode() & 0o7777, 0o700);
    let is_locked = || is_locked(&folder.join("lock"));
    assert!(is_locked());
    svc_testkit::kill(tree.process("svc-scan"), "KILL");
    tree.await_control();
    assert!(is_locked());
    tree.stop();
    assert!(!is_locked());
}

// 21
#[test]
fn a_scan_directory_has_one_scanner() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.start();
    let services = dir(&tree, "");
    assert_eq!(s6(&["s6-svscan", &services]).code, 100, "s6 stays away from ours");
    let other = Said::by(Command::new(program()).args(["s6-svscan", &services]).env("SVC_RUN_DIR", tree.path("other")));
    assert_eq!(other.code, 100, "{}", other.err);
    assert!(other.err.contains("another svc runs on"), "{}", other.err);
    tree.stop();
    let mut theirs = spawn(Command::new("s6-svscan").arg(&services)).expect("s6-svscan starts");
    let lock = tree.services().join(".s6-svscan/lock");
    until("its lock", || is_locked(&lock).then_some(()));
    let ours = Said::by(Command::new(program()).args(["svc-scan", &services]).env("SVC_RUN_DIR", tree.path("other")));
    assert_eq!(ours.code, 100, "{}", ours.err);
    assert!(ours.err.contains("s6-svscanctl -t"), "the cure: {}", ours.err);
    until("it to listen", || (s6(&["s6-svscanctl", "-t", &services]).code == 0).then_some(()));
    assert!(theirs.wait().expect("ours").success());
}

#[test]
fn whoever_writes_letters_without_end_keeps_nobody_from_being_heard() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let control = tree.services().join(".s6-svscan/control");
    // Unlike that of a tool, this writer waits for room.
    let control = std::fs::OpenOptions::new().write(true).open(control).expect("somebody listens");
    let mut flood = spawn(Command::new("yes").arg("a").stdout(control)).expect("yes is everywhere");
    for _ in 0..5 {
        let said = tree.say(&["status", "web"]);
        assert!(said.code == 0 && said.out.contains(&format!("{pid}")), "{said:?}");
    }
    let said = tree.say(&["restart", "web"]);
    assert!(said.code == 0 && said.out.contains("web: up (pid "), "{said:?}");
    assert!(flood.try_wait().expect("ours").is_none());
    flood.kill().expect("ours");
    flood.wait().expect("ours");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn letters_of_the_scanner() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    // Behind a link, where nothing tells of changes: a letter does.
    let hidden = ServiceDir::make(tree.path("hidden"));
    hidden.run("exec sleep 1000");
    symlink(hidden.path(), tree.services().join("linked")).expect("made");
    write_letters(&tree, "zahnN");
    tree.await_up("linked");
    std::fs::remove_file(tree.services().join("linked")).expect("removed");
    write_letters(&tree, "an");
    until("it to be gone", || tree.status("linked").is_none().then_some(()));
    // Old ones and those that nobody knows are told of, and do nothing.
    write_letters(&tree, "s0Z");
    until("all to be told of", || (tree.log().matches("s6-svscanctl: '").count() == 3).then_some(()));
    assert!(tree.log().contains("'Z' means nothing") && tree.log().contains("use s6-svscanctl -t"), "{}", tree.log());
    assert_eq!(tree.await_up("web"), pid);
    write_letters(&tree, "t");
    assert_eq!(tree.wait(), 0);
    assert!(!svc_testkit::is_alive(pid));
}

#[test]
fn a_stop_by_letter_is_that_of_sigterm_without_its_hook() {
    let mut tree = Tree::new();
    let hooks = ServiceDir::make(tree.services().join(".s6-svscan"));
    hooks.script("SIGTERM", "echo hook >> hooked; s6-svscanctl -t .");
    hooks.script("finish", "echo finish >> finished; exit 3");
    tree.service("web")
        .run("trap 'echo TERM >> seen; exit 0' TERM; echo up >> seen; while :; do sleep 1000 & wait $!; done");
    tree.start();
    tree.await_lines("web/seen", 1);
    write_letters(&tree, "i");
    assert_eq!(tree.wait(), 3);
    assert_eq!(tree.lines("web/seen"), ["up", "TERM"]);
    assert_eq!((tree.lines("finished").len(), tree.lines("hooked").len()), (1, 0));
    if !has_s6() {
        return;
    }
    // The hook that most people write.
    tree.start();
    tree.await_lines("web/seen", 3);
    assert_eq!(tree.stop(), 3);
    assert_eq!((tree.lines("finished").len(), tree.lines("hooked").len()), (2, 1));
}

#[test]
fn a_second_stop_by_letter_is_no_impatience() {
    let mut tree = Tree::new();
    tree.service("web")
        .run("trap 'sleep 0.5; echo done >> seen; exit 0' TERM; echo up >> seen; while :; do sleep 1000 & wait $!; done");
    tree.start();
    tree.await_lines("web/seen", 1);
    write_letters(&tree, "tttt");
    assert_eq!(tree.wait(), 0);
    assert_eq!(tree.lines("web/seen"), ["up", "done"]);
}

#[test]
fn abort_waits_for_nobody() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    write_letters(&tree, "b");
    assert_eq!(tree.wait(), 0);
    // Its supervisor stops it when it sees that nobody is above it.
    svc_testkit::wait_gone(pid);
}

#[test]
fn a_scan_directory_that_comes_later_is_served_too() {
    let mut tree = Tree::new();
    std::fs::remove_dir(tree.services()).expect("empty");
    tree.start();
    std::fs::create_dir(tree.services()).expect("made");
    let folder = tree.services().join(".s6-svscan");
    until("the control", || open_for_writing(&folder.join("control")).ok());
    until("the lock", || is_locked(&folder.join("lock")).then_some(()));
}

#[test]
fn s6_svscanctl_s6_svlink_and_s6_svunlink() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.start();
    let services = dir(&tree, "");
    until("it to listen", || (s6(&["s6-svscanctl", "-an", &services]).code == 0).then_some(()));
    let available = ServiceDir::make(tree.path("available/web"));
    available.run("exec sleep 1000");
    ServiceDir::make(tree.path("available/web/log")).run("exec cat");
    let available = available.path().to_str().expect("text").to_owned();
    for name in ["web", "shop"] {
        s6_ok(&["s6-svlink", "-t", "120000", &services, &available, name]);
        for part in [name.to_owned(), format!("{name}/log")] {
            s6_ok(&["s6-svwait", "-u", "-t", "120000", &dir(&tree, &part)]);
        }
        s6_ok(&["s6-svunlink", "-t", "120000", &services, name]);
        assert_eq!(s6(&["s6-svok", &available]).code, 1, "gone when it comes back");
        until("it to be forgotten", || tree.status(name).is_none().then_some(()));
    }
    // Not started: only supervised.
    s6_ok(&["s6-svlink", "-d", "-t", "120000", &services, &available]);
    assert_eq!(s6_ok(&["s6-svstat", "-u", &dir(&tree, "web")]), "false");
    s6_ok(&["s6-svscanctl", "-t", &services]);
    assert_eq!(tree.wait(), 0);
    assert_eq!(s6(&["s6-svscanctl", "-a", &services]).code, 100, "nobody listens");
}

#[test]
fn containers_may_share_a_scan_directory() {
    if !svc_testkit::is_root() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("echo $$ >> runs; exec sleep 1000");
    // As s6 left it: here both containers would put their files.
    std::fs::create_dir(tree.services().join("web/supervise")).expect("made");
    tree.start();
    tree.await_lines("web/runs", 1);
    let mut other = Command::new("unshare");
    other.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--net"]).arg(program()).arg("svc-scan");
    other.arg(tree.services()).env("SVC_RUN_DIR", tree.path("other")).stdin(Stdio::null());
    let log = std::fs::File::create(tree.path("other.log")).expect("made");
    let _other = Scanner(spawn(other.stderr(log)).expect("starts"));
    tree.await_lines("web/runs", 2);
    // Letters go to the one that was first.
    let web = tree.services().join("web");
    crate::support::write_letters(&web, "d");
    await_status(&web, "down", |status| status.ready && !status.is_up());
    write_letters(&tree, "t");
    assert_eq!(tree.wait(), 0);
}

/// A scanner under the name of s6's, killed at the end.
struct Scanner(Child);

impl Drop for Scanner {
    fn drop(&mut self) {
        for process in svc_testkit::descendants(self.0.id() as i32) {
            svc_testkit::kill(process.pid, "KILL");
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A link of this name to svc.
fn named(tree: &Tree, name: &str) -> Command {
    let link = tree.path(name);
    let _ = symlink(program(), &link);
    let mut command = Command::new(link);
    command.env("SVC_RUN_DIR", tree.run_dir()).stdin(Stdio::null());
    command
}

#[test]
fn s6_svscan_is_a_name_of_svc() {
    let tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // A shell hands it on: opened for all, what other tests start meanwhile would have it too.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 3>&1 >&2", "sh"]).arg(named(&tree, "s6-svscan").get_program());
    command.args(["-C", "50", "-L", "100", "-X2", "--timeout=0", "-d", "3"]).arg(tree.services());
    command.env("SVC_RUN_DIR", tree.run_dir()).stdin(Stdio::null()).stdout(writer);
    let mut scanner = Scanner(spawn(&mut command).expect("starts"));
    drop(command);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).expect("until nobody has it open");
    assert_eq!(said, b"\n", "a newline, and nothing more");
    // From then on letters are heard.
    let mut control = open_for_writing(&tree.services().join(".s6-svscan/control")).expect("somebody listens");
    let web = tree.services().join("web");
    await_status(&web, "up", svc_proto::s6::Status::is_up);
    let title = "s6-supervise web";
    until(title, || svc_testkit::descendants(scanner.0.id() as i32).into_iter().find(|process| process.title() == title));
    std::io::Write::write_all(&mut control, b"t").expect("written");
    assert_eq!(scanner.0.wait().expect("ours").code(), Some(0));
}

#[test]
fn what_has_no_effect_is_said() {
    let tree = Tree::new();
    let mut command = named(&tree, "s6-svscanboot");
    let log = std::fs::File::create(tree.path("log")).expect("made");
    command.args(["-D", "logs", "-o", "t s1000000"]).arg(tree.services()).stderr(log);
    let _scanner = Scanner(spawn(&mut command).expect("starts"));
    until("the control", || open_for_writing(&tree.services().join(".s6-svscan/control")).ok());
    let said = std::fs::read_to_string(tree.path("log")).expect("text");
    assert!(said.contains("-D has no effect") && said.contains("-o has no effect") && !said.contains("-X "), "{said}");
}

/// After a reboot: what svc had in /run is gone, and the links to it are not.
#[test]
fn s6_svlink_takes_a_directory_whose_links_lead_nowhere() {
    let mut tree = Tree::new();
    tree.start();
    let services = dir(&tree, "");
    until("it to listen", || open_for_writing(&tree.services().join(".s6-svscan/control")).ok());
    let web = ServiceDir::make(tree.path("available/web"));
    web.run("exec sleep 1000");
    for name in ["supervise", "event"] {
        symlink(tree.path(&format!("gone/servicedirs/1-2/{name}")), web.path().join(name)).expect("made");
    }
    let linked = Said::by(named(&tree, "s6-svlink").args(["-t", "120000", &services]).arg(web.path()));
    assert_eq!(linked.code, 0, "{}", linked.err);
    await_status(web.path(), "up", svc_proto::s6::Status::is_up);
}

#[test]
fn s6_svscan_refuses_what_makes_no_sense() {
    let tree = Tree::new();
    let services = dir(&tree, "");
    let said = |words: &[&str]| Said::by(named(&tree, "s6-svscan").args(words));
    for words in [&["-q", &services][..], &["-C", "many", &services], &["-d", "2", &services], &[&services, &services]] {
        assert_eq!(said(words).code, 100, "{words:?}");
    }
    assert_eq!(said(&[&format!("{services}/nothing")]).code, 111);
    assert!(said(&["--help"]).out.contains("s6-svscan"));
}

/// A scanner looks again by itself where it is told to.
#[test]
fn s6_svscan_looks_again_so_often() {
    let tree = Tree::new();
    let hidden = ServiceDir::make(tree.path("hidden"));
    symlink(hidden.path(), tree.services().join("web")).expect("made");
    std::fs::create_dir(tree.path("hidden/log")).expect("made");
    let mut command = named(&tree, "s6-svscan");
    let log = std::fs::File::create(tree.path("log")).expect("made");
    let _scanner = Scanner(spawn(command.args(["-t", "50"]).arg(tree.services()).stderr(log)).expect("starts"));
    until("the control", || open_for_writing(&tree.services().join(".s6-svscan/control")).ok());
    std::fs::remove_dir(tree.path("hidden/log")).expect("removed");
    hidden.run("exec sleep 1000");
    await_status(hidden.path(), "up", svc_proto::s6::Status::is_up);
}

/// Instances: a scanner inside a service of another.
#[test]
fn a_scanner_inside_a_service_has_a_run_directory_of_its_own() {
    let mut tree = Tree::new();
    let link = tree.path("s6-svscan");
    symlink(program(), &link).expect("made");
    tree.service("outer").run(&format!("mkdir -p instance; exec {} instance", link.display()));
    let inner = tree.service("outer/instances/one");
    inner.run("exec sleep 1000");
    tree.start();
    let outer = tree.await_up("outer");
    let scan_dir = tree.services().join("outer/instance");
    until("the inner scanner", || open_for_writing(&scan_dir.join(".s6-svscan/control")).ok());
    symlink("../instances/one", scan_dir.join("one")).expect("made");
    let up = await_status(Path::new(&scan_dir.join("one")), "up", svc_proto::s6::Status::is_up);
    tree.ctl_ok(&["stop", "outer"]);
    assert!(!svc_testkit::is_alive(outer) && !svc_testkit::is_alive(up.pid as i32));
    tree.ctl_ok(&["start", "outer"]);
    await_status(Path::new(&scan_dir.join("one")), "another", |status| status.is_up() && status.pid != up.pid);
    while tree.events().next_of("outer").event != EventKind::Exited {}
}
