//! Disks that are full or read-only.

use std::fs;
use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, State, Tree, is_root, until};

use super::{Neighbour, assert_told};

/// A small file system, for as long as this lives.
struct Mount(std::path::PathBuf);

impl Mount {
    #[track_caller]
    fn tmpfs(path: &Path, options: &str) -> Mount {
        fs::create_dir_all(path).expect("ours");
        let said = Said::by(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(path));
        assert_eq!(said.code, 0, "{said:?}");
        Mount(path.to_owned())
    }

    fn change(&self, options: &str) {
        let said = Said::by(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0));
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Leaves no byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).expect("room for a name");
        while std::io::Write::write_all(&mut file, &[b'x'; 4096]).is_ok() {}
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Said::by(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_full_disk_below_the_run_directory() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let mount = Mount::tmpfs(&tree.run_dir(), "size=64k,mode=755");
    mount.fill();
    // A socket and a lock need no byte of room; what needs some comes with a message.
    let neighbour = Neighbour::start(&mut tree);
    tree.service("web").run("echo hello; exec sleep 1000");
    tree.await_up("web");
    until("its line", || tree.ctl_ok(&["logs", "web"]).contains("hello").then_some(()));
    tree.ctl_ok(&["restart", "web"]);
    // svc-scan comes back although the disk is full.
    svc_testkit::kill(tree.process("svc-scan"), "KILL");
    until("an answer", || tree.list().ok());
    neighbour.assert_undisturbed(&tree);
    assert_eq!(tree.stop(), 0);
}

/// What s6's tools read is as it is again when there is room, and nothing else need happen for that.
#[test]
fn what_a_full_disk_kept_from_being_written_is_written_when_there_is_room() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let mount = Mount::tmpfs(&tree.run_dir(), "size=64k,nr_inodes=80,mode=755");
    mount.fill();
    let neighbour = Neighbour::start(&mut tree);
    tree.service("web").run("exec sleep 1000");
    let pid = tree.await_up("web");
    let supervise = tree.services().join("web/supervise");
    let place = until("the place", || fs::canonicalize(&supervise).ok());
    let of_web = format!("cannot write into {}: No space left", place.display());
    assert_told(&tree, "web", &[&of_web, "df -i"]);
    let has_status = || fs::read(supervise.join("status")).is_ok_and(|status| !status.is_empty());
    assert!(!has_status());
    // Nor is there an inode for the next one.
    let names = 0..;
    let last = names.into_iter().find(|name| fs::File::create(tree.run_dir().join(format!("inode{name}"))).is_err());
    tree.service("db").run("exec sleep 1000");
    tree.await_up("db");
    let of_db = format!("no supervise/ for s6's tools, here or in {}: No space left", tree.run_dir().display());
    assert_told(&tree, "db", &[&of_db, "df -i"]);
    // Whoever is svc-scan then knows it too.
    tree.kill_scan();
    for (name, problem) in [("web", &of_web), ("db", &of_db)] {
        assert_told(&tree, name, &[problem]);
    }
    (0..last.unwrap_or(0)).for_each(|name| fs::remove_file(tree.run_dir().join(format!("inode{name}"))).expect("ours"));
    fs::remove_file(tree.run_dir().join("filler")).expect("ours");
    until("the status", || has_status().then_some(()));
    until("that of the next one", || fs::read(tree.services().join("db/supervise/status")).is_ok().then_some(()));
    for name in ["web", "db"] {
        tree.await_status(name, "nothing wrong with it", |status| status.problem.is_none());
        assert!(!tree.ctl_ok(&["why", name]).contains("problem:"));
    }
    assert!(!tree.ctl_ok(&["status"]).contains("No space left"));
    assert_eq!(tree.await_up("web"), pid);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn no_inodes_below_the_run_directory_is_refused_in_words() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let _mount = Mount::tmpfs(&tree.run_dir(), "size=64k,nr_inodes=1,mode=755");
    let said = Said::by(&mut tree.starter());
    assert_eq!(said.code, 111, "{said:?}");
    assert!(said.err.contains("cannot be written: No space left on device"), "{said:?}");
}

#[test]
fn a_full_disk_below_a_service() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let mount = Mount::tmpfs(&tree.path("more"), "size=64k,mode=755");
    let web = svc_testkit::ServiceDir::make(tree.path("more/web"));
    web.run("date >>data || exit 7; exec sleep 1000");
    mount.fill();
    std::os::unix::fs::symlink(web.path(), tree.services().join("web")).expect("ours");
    // The service itself says what is wrong with it.
    tree.await_status("web", "failing", |status| status.last_exit.as_ref().is_some_and(|exit| exit.code == Some(7)));
    until("its complaint", || tree.ctl_ok(&["why", "web"]).contains("No space left on device").then_some(()));
    fs::remove_file(tree.path("more/filler")).expect("ours");
    tree.await_status("web", "up for good", |status| status.state == State::Up && status.since_seconds > 0.5);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_read_only_service_directory() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let mount = Mount::tmpfs(&tree.path("more"), "mode=755");
    let web = svc_testkit::ServiceDir::make(tree.path("more/web"));
    web.run("echo hello; exec sleep 1000").finish("exit 0").file("lock-fd", "9").file("notification-fd", "3");
    svc_testkit::ServiceDir::make(tree.path("more/web/log")).run("exec cat >/dev/null");
    mount.change("ro");
    std::os::unix::fs::symlink(web.path(), tree.services().join("web")).expect("ours");
    for name in ["web", "web/log"] {
        tree.await_up(name);
        assert_eq!(tree.status(name).and_then(|status| status.problem), None);
    }
    let said = tree.say(&["restart", "--timeout", "120", "web/log"]);
    assert_eq!(said.code, 0, "{said:?}");
    tree.ctl_ok(&["stop", "web"]);
    neighbour.assert_undisturbed(&tree);
}

#[test]
fn a_file_system_without_exec_is_told() {
    if !is_root() {
        return;
    }
    let mut tree = Tree::new();
    let neighbour = Neighbour::start(&mut tree);
    let mount = Mount::tmpfs(&tree.path("more"), "mode=755,noexec");
    let web = svc_testkit::ServiceDir::make(tree.path("more/web"));
    web.run("exec sleep 1000");
    std::os::unix::fs::symlink(web.path(), tree.services().join("web")).expect("ours");
    assert_told(&tree, "web", &["web/run: is on ", "mounted noexec: mount it with exec"]);
    mount.change("exec");
    let said = tree.say(&["start", "web"]);
    assert_eq!(said.code, 0, "{said:?}");
    neighbour.assert_undisturbed(&tree);
}
