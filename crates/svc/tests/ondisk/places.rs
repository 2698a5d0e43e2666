//! Where the files are: links, directories that were there before, copies, other names, and nowhere at all.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_proto::s6::Status;
use svc_testkit::{Said, State, Tree, is_root, needs, spawn, until};

use crate::support::{Listener, await_status, await_supervisor, has_s6, s6, s6_ok, status, write_letters};

/// The directory of a service's files in the run directory.
fn own(tree: &Tree, name: &str) -> PathBuf {
    let data = tree.services().join(name).metadata().expect("a service directory");
    tree.run_dir().join("servicedirs").join(format!("{:x}-{:x}", data.dev(), data.ino()))
}

/// What a command of ours prints, beside a svc that runs in a directory of its own.
fn ours(tree: &Tree, words: &[&str]) -> String {
    let said = Said::by(Command::new(svc_testkit::program()).args(words).env("SVC_RUN_DIR", tree.run_dir()));
    assert_eq!(said.code, 0, "{words:?}: {}", said.err);
    said.out.trim().to_owned()
}

fn link(path: &Path) -> PathBuf {
    path.read_link().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn they_are_in_the_run_directory_and_links_lead_there() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat");
    tree.start();
    for name in ["web", "web/log"] {
        tree.await_up(name);
        for part in ["supervise", "event"] {
            assert_eq!(link(&tree.services().join(name).join(part)), own(&tree, name).join(part));
        }
    }
}

#[test]
fn a_renamed_directory_keeps_its_files_and_one_of_its_old_name_has_others() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    fs::rename(tree.services().join("web"), tree.services().join("shop")).expect("renamed");
    until("the new name", || tree.status("shop"));
    tree.draft("web").run("exec sleep 1000");
    tree.place("web");
    let other = tree.await_up("web");
    let pid_in = |name: &str| status(&tree.services().join(name)).pid as i32;
    assert_eq!((pid_in("shop"), pid_in("web")), (pid, other));
    assert_ne!(own(&tree, "shop"), own(&tree, "web"));
    // An heir has the same files.
    let supervisor = tree.status("shop").and_then(|status| status.supervisor_pid).expect("there is one");
    svc_testkit::kill(supervisor, "KILL");
    tree.await_status("shop", "an heir", |status| status.supervisor_pid.is_some_and(|pid| pid != supervisor));
    assert_eq!(pid_in("shop"), pid);
}

#[test]
fn a_copy_with_the_links_of_another_gets_its_own() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let pid = tree.await_up("web");
    let copy = tree.draft("copy");
    copy.run("exec sleep 1000");
    for part in ["supervise", "event"] {
        symlink(own(&tree, "web").join(part), copy.path().join(part)).expect("as cp -a copies it");
    }
    tree.place("copy");
    let other = tree.await_up("copy");
    assert_eq!(link(&tree.services().join("copy/supervise")), own(&tree, "copy").join("supervise"));
    assert_eq!(link(&tree.services().join("copy/event")), own(&tree, "copy").join("event"));
    assert_eq!(status(&tree.services().join("copy")).pid as i32, other);
    assert_eq!(status(&tree.services().join("web")).pid as i32, pid);
}

#[test]
fn directories_of_an_earlier_s6_are_used_as_they_are() {
    let mut tree = Tree::new();
    let web = tree.service("web");
    web.run("exec sleep 1000");
    for (part, mode) in [("supervise", 0o711), ("event", 0o1733)] {
        fs::create_dir(web.path().join(part)).expect("made");
        fs::set_permissions(web.path().join(part), fs::Permissions::from_mode(mode)).expect("ours");
    }
    fs::write(web.path().join("supervise/status"), "stale").expect("written");
    fs::write(web.path().join("supervise/death_tally"), [0; 28]).expect("written");
    tree.start();
    let pid = tree.await_up("web");
    let dir = tree.services().join("web");
    assert_eq!(await_status(&dir, "up", Status::is_up).pid as i32, pid);
    for (part, mode) in [("supervise", 0o711), ("event", 0o1733)] {
        let data = dir.join(part).symlink_metadata().expect("there");
        assert!(data.is_dir(), "{part}");
        assert_eq!(data.permissions().mode() & 0o7777, mode, "{part}");
    }
    assert_eq!(fs::read(dir.join("supervise/death_tally")).expect("there"), b"");
    let mut listener = Listener::new(&dir);
    write_letters(&dir, "d");
    listener.expect("dD");
}

#[test]
fn a_link_that_somebody_else_made_is_followed_and_its_target_made() {
    let mut tree = Tree::new();
    let web = tree.service("web");
    web.run("exec sleep 1000");
    let target = tree.path("elsewhere");
    symlink(&target, web.path().join("supervise")).expect("made");
    tree.start();
    tree.await_up("web");
    assert_eq!(target.metadata().expect("made").permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::read(target.join("status")).expect("there").len(), 35);
    assert!(status(&tree.services().join("web")).is_up());
}

/// What a boot before this one has left: links of this svc, of one with another run directory, of somebody else to where nothing
/// is any more, and one that cannot be followed.
#[test]
fn links_of_an_earlier_boot_are_replaced_or_followed() {
    let mut tree = Tree::new();
    for name in ["same", "other", "theirs", "near", "stuck"] {
        tree.service(name).run("exec sleep 1000");
    }
    fs::write(tree.path("file"), "").expect("written");
    let links = [
        ("same", own(&tree, "same")),
        ("other", tree.path("gone/servicedirs/1f-2e")),
        ("theirs", tree.path("gone/s6/theirs")),
        ("near", PathBuf::from("../../gone/near")),
        ("stuck", tree.path("file")),
    ];
    for (name, target) in &links {
        for part in ["supervise", "event"] {
            symlink(target.join(part), tree.services().join(name).join(part)).expect("made");
        }
    }
    tree.start();
    for name in ["same", "other"] {
        let pid = tree.await_up(name);
        let dir = tree.services().join(name);
        assert_eq!(await_status(&dir, "up", Status::is_up).pid as i32, pid, "{name}");
        for part in ["supervise", "event"] {
            assert_eq!(link(&dir.join(part)), own(&tree, name).join(part));
        }
    }
    for (name, place) in [("theirs", tree.path("gone/s6/theirs")), ("near", tree.path("gone/near"))] {
        let pid = tree.await_up(name);
        assert_eq!(await_status(&place, "up", Status::is_up).pid as i32, pid, "{name}");
        let dir = tree.services().join(name);
        assert_eq!(status(&dir).pid as i32, pid, "the link is followed, and stays");
        let modes = ["", "supervise", "event"].map(|part| place.join(part).metadata().expect("made").mode() & 0o7777);
        assert_eq!(modes, [0o755, 0o700, 0o3730], "{name}");
        drop(Listener::new(&dir));
    }
    let pid = tree.await_up("stuck");
    let stand_in = tree.run_dir().join("services/stuck");
    assert_eq!(await_status(&stand_in, "up", Status::is_up).pid as i32, pid);
    let log = tree.log();
    assert_eq!(log.matches("supervise is a link to").count(), 1, "{log}");
    assert!(log.contains("svc-supervise: stuck: supervise is a link to"), "{log}");
}

#[test]
fn the_files_of_a_directory_that_is_removed_go_with_it() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.service("web/log").run("exec cat");
    tree.start();
    tree.await_up("web");
    tree.await_up("web/log");
    let files = [own(&tree, "web"), own(&tree, "web/log")];
    assert!(files.iter().all(|files| files.is_dir()));
    let listener = Listener::new(&tree.services().join("web"));
    fs::remove_dir_all(tree.services().join("web")).expect("removed");
    until("the service to be gone", || tree.status("web").is_none().then_some(()));
    until("its files to be gone", || files.iter().all(|files| !files.exists()).then_some(()));
    drop(listener);
}

#[test]
fn the_files_of_a_directory_that_only_moved_out_stay() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    tree.await_up("web");
    let dir = tree.services().join(".web");
    fs::rename(tree.services().join("web"), &dir).expect("renamed");
    until("the service to be gone", || tree.status("web").is_none().then_some(()));
    let down = status(&dir);
    assert!(!down.is_up() && down.ready);
}

/// Another user's directory: nothing can be made there.
#[test]
fn a_directory_that_cannot_be_written_is_found_by_name_in_the_run_directory() {
    if !is_root() || !needs("setpriv", svc_testkit::has_program("setpriv")) {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(12_345);
    for name in ["web", "web/log"] {
        tree.service(name).run(if name == "web" { "exec sleep 1000" } else { "exec cat" });
    }
    for name in ["web", "web/log"] {
        fs::set_permissions(tree.service(name).path(), fs::Permissions::from_mode(0o755)).expect("ours");
    }
    tree.start();
    let pid = tree.await_up("web");
    let logger = tree.await_up("web/log");
    assert!(!tree.services().join("web/supervise").exists());
    let stand_in = tree.run_dir().join("services/web");
    assert_eq!(await_status(&stand_in, "up", Status::is_up).pid as i32, pid);
    assert_eq!(await_status(&stand_in.join("log"), "up", Status::is_up).pid as i32, logger);
    tree.kill_supervisor("web");
    // Its heir is known before it has opened the files.
    await_supervisor(&stand_in);
    assert_eq!(status(&stand_in).pid as i32, pid);
    let log = tree.log();
    assert!(!log.contains("supervise/"), "a read-only directory is no error: {log}");
    // Our own commands need no other name than that of the service directory.
    let dir = tree.services().join("web").display().to_string();
    assert_eq!(ours(&tree, &["s6-svstat", "-o", "pid", &dir]), pid.to_string());
    assert!(ours(&tree, &["sv", "status", &dir]).contains(&format!("run: {dir}: (pid {pid})")));
    ours(&tree, &["s6-svc", "-wD", "-T", "120000", "-d", &dir]);
    assert!(!status(&stand_in).is_up());
    ours(&tree, &["sv", "-w", "20", "start", &dir]);
    ours(&tree, &["s6-svwait", "-t", "120000", "-u", &dir]);
    if has_s6() {
        let pid = await_status(&stand_in, "up", Status::is_up).pid;
        assert_eq!(s6_ok(&["s6-svstat", "-o", "pid", stand_in.to_str().expect("text")]), pid.to_string());
    }
}

/// A read-only image, or somebody else's: `finish` scripts end the tree there, too.
#[test]
fn the_scanner_of_a_directory_that_cannot_be_written_is_told_by_its_name() {
    if !is_root() || !needs("setpriv", svc_testkit::has_program("setpriv")) {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(12_345);
    tree.service("web").run("exec sleep 1000");
    std::os::unix::fs::chown(tree.services(), Some(0), Some(0)).expect("we are root");
    fs::set_permissions(tree.services(), fs::Permissions::from_mode(0o755)).expect("ours");
    tree.start();
    tree.await_up("web");
    assert!(!tree.services().join(".s6-svscan").exists());
    let dir = tree.services().display().to_string();
    ours(&tree, &["s6-svscanctl", "-a", &dir]);
    tree.kill_scan();
    ours(&tree, &["s6-svscanctl", "-t", &dir]);
    assert_eq!(tree.wait(), 0, "{}", tree.log());
}

#[test]
fn stale_directories_in_a_read_only_place_are_passed_over() {
    if !is_root() || !needs("setpriv", svc_testkit::has_program("setpriv")) {
        return;
    }
    let mut tree = Tree::new();
    tree.run_as(12_345);
    let web = tree.service("web");
    web.run("exec sleep 1000");
    for part in ["supervise", "event"] {
        fs::create_dir(web.path().join(part)).expect("made");
        fs::set_permissions(web.path().join(part), fs::Permissions::from_mode(0o755)).expect("ours");
    }
    tree.start();
    let pid = tree.await_up("web");
    let stand_in = tree.run_dir().join("services/web");
    assert_eq!(await_status(&stand_in, "up", Status::is_up).pid as i32, pid);
    drop(Listener::new(&stand_in));
}

/// Nothing can be written at all: one warning, and everything runs.
#[test]
fn without_any_place_services_run_all_the_same() {
    if !is_root() || !needs("unshare", svc_testkit::has_program("unshare")) {
        return;
    }
    let mut tree = Tree::new();
    for name in ["web", "shop"] {
        tree.service(name).run("exec sleep 1000");
    }
    // Every directory that svc would take is read-only.
    let script = "mount --bind / / && mount -o remount,bind,ro / && mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp \
                  && mount -t tmpfs -o ro none /run && mount -t tmpfs -o ro none /dev/shm && unset SVC_RUN_DIR XDG_RUNTIME_DIR \
                  && exec \"$@\"";
    tree.wrapper(&["unshare", "--mount", "--net", "sh", "-c", script, "sh"]);
    tree.launch();
    let init = tree.svc_init();
    let runs = |name: &str| {
        let title = format!("svc-supervise {name}");
        let supervisor = svc_testkit::descendants(init).into_iter().find(|process| process.title() == title)?;
        svc_testkit::descendants(supervisor.pid).first().map(|process| process.pid)
    };
    for name in ["web", "shop"] {
        until(&format!("{name} to run; log:\n{}", tree.log()), || runs(name));
    }
    until("a word about it", || tree.log().contains("no place for the files of s6's tools").then_some(()));
    let log = tree.log();
    assert_eq!(log.matches("no place for the files of s6's tools").count(), 1, "{log}");
    assert_eq!(log.matches("supervise/").count(), 0, "{log}");
    assert_eq!(tree.stop(), 0);
}

// 21
#[test]
fn a_directory_that_an_s6_supervises_is_not_started_twice() {
    if !has_s6() {
        return;
    }
    let mut tree = Tree::new();
    tree.service("web").run("echo $$ >> runs; exec sleep 1000");
    let dir = tree.services().join("web");
    let mut supervise = spawn(Command::new("s6-supervise").arg(&dir)).expect("s6-supervise starts");
    tree.await_lines("web/runs", 1);
    tree.start();
    let waits = tree.await_status("web", "a problem", |status| status.problem.is_some());
    assert!(waits.problem.as_ref().is_some_and(|problem| problem.contains("another supervisor runs it")), "{waits:?}");
    assert_eq!(waits.state, State::Waiting);
    assert_eq!(tree.lines("web/runs").len(), 1);
    // It goes, and the service is ours.
    let path = dir.to_str().expect("text").to_owned();
    s6_ok(&["s6-svc", "-dx", &path]);
    assert!(supervise.wait().expect("ours").success());
    tree.ctl_ok(&["start", "web"]);
    assert_eq!(tree.await_lines("web/runs", 2).len(), 2);
    assert_eq!(s6(&["s6-supervise", &path]).code, 100, "and now s6 stays away");
}
