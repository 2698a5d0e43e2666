//! A service is its directory, not its name: renames, exchanges and links.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use svc_testkit::{EventKind, Tree, until, wait_gone};

use super::{COUNTING, assert_silent, assert_stays, starts};

#[test]
fn a_rename_does_not_restart() {
    let mut tree = Tree::new();
    tree.service("web").run(COUNTING);
    tree.service("web/log").run("exec cat >/dev/null");
    tree.start();
    let [web, log] = ["web", "web/log"].map(|name| tree.await_up(name));
    fs::rename(tree.services().join("web"), tree.services().join("site")).expect("ours");
    assert_eq!(tree.await_up("site"), web);
    assert_eq!(tree.await_up("site/log"), log);
    assert_stays(&tree, "site", web);
    assert!(tree.status("web").is_none());
    let status = tree.status("site").expect("there");
    assert_eq!(status.dir, tree.services().join("site").display().to_string());
    assert!(tree.ctl_ok(&["status"]).contains("site"));
    assert_eq!(tree.say(&["stop", "web"]).code, 102);
    // All works under the new name.
    tree.ctl_ok(&["restart", "site"]);
    assert_ne!(tree.await_up("site"), web);
    tree.await_lines("site/starts", 2);
    fs::remove_dir_all(tree.services().join("site")).expect("ours");
    wait_gone(log);
    until("both to be forgotten", || tree.list().ok()?.services.is_empty().then_some(()));
}

#[test]
fn two_directories_exchange_their_names() {
    let mut tree = Tree::new();
    for name in ["a", "b"] {
        tree.service(name).run("exec sleep 1000");
    }
    tree.start();
    let [a, b] = ["a", "b"].map(|name| tree.await_up(name));
    let path = |name: &str| tree.services().join(name);
    // svc-scan is stopped meanwhile, so that it sees the result only.
    let scan = tree.process("svc-scan");
    svc_testkit::kill(scan, "STOP");
    fs::rename(path("a"), path("c")).expect("ours");
    fs::rename(path("b"), path("a")).expect("ours");
    fs::rename(path("c"), path("b")).expect("ours");
    svc_testkit::kill(scan, "CONT");
    until("the exchange", || (tree.status("a")?.pid == Some(b) && tree.status("b")?.pid == Some(a)).then_some(()));
    tree.ctl_ok(&["stop", "a"]);
    wait_gone(b);
    assert_stays(&tree, "b", a);
    assert_silent(&tree);
}

#[test]
fn another_directory_of_the_same_name_is_another_service() {
    let mut tree = Tree::new();
    tree.service("web").run("trap 'sleep 0.3; exit 0' TERM; while :; do sleep 1000 & wait $!; kill $!; done");
    tree.start();
    let old = tree.await_up("web");
    tree.draft("web").run("exec sleep 1001");
    fs::rename(tree.services().join("web"), tree.path("old")).expect("ours");
    tree.place("web");
    wait_gone(old);
    let new = tree.await_status("web", "the new one", |status| status.pid.is_some_and(|pid| pid != old));
    assert_eq!(new.restarts, 0);
    assert_silent(&tree);
}

#[test]
fn a_directory_removed_and_made_again_is_another_service() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    for _ in 0..3 {
        let old = tree.await_up("web");
        // The new one often gets the inode of the old one.
        fs::remove_dir_all(tree.services().join("web")).expect("ours");
        tree.service("web").run("exec sleep 1001");
        wait_gone(old);
        tree.await_status("web", "the new one", |status| status.pid.is_some_and(|pid| pid != old));
    }
    assert_silent(&tree);
}

#[test]
fn a_link_to_a_directory_is_a_service_under_the_name_of_the_link() {
    let mut tree = Tree::new();
    tree.draft("web-1").run("echo $1 >>starts; exec sleep 1000");
    tree.draft("web-2").run("echo $1 >>starts; exec sleep 1000");
    tree.start();
    let [one, two] = ["web-1", "web-2"].map(|name| tree.path("drafts").join(name));
    let link = tree.services().join("web");
    symlink(&one, &link).expect("a link");
    let old = tree.await_up("web");
    // Executed is not yet written.
    let started = |dir: &std::path::Path| fs::read_to_string(dir.join("starts")).ok().filter(|text| text.ends_with('\n'));
    assert_eq!(until("its first line", || started(&one)), "web\n");
    // Re-pointed as `ln -sfn` does it.
    symlink(&two, tree.path("new")).expect("a link");
    fs::rename(tree.path("new"), &link).expect("ours");
    wait_gone(old);
    let new = tree.await_status("web", "the new one", |status| status.pid.is_some_and(|pid| pid != old));
    assert_eq!(until("its first line", || started(&two)), "web\n");
    fs::remove_file(&link).expect("ours");
    wait_gone(new.pid.expect("up"));
    assert_silent(&tree);
}

#[test]
fn one_directory_under_two_names_is_one_service_and_that_is_said() {
    let mut tree = Tree::new();
    tree.service("web").run(COUNTING);
    tree.start();
    let pid = tree.await_up("web");
    for alias in ["a-first", "z-last"] {
        symlink("web", tree.services().join(alias)).expect("a link");
    }
    let problems = until("two problems", || Some(tree.list().ok()?.problems).filter(|problems| problems.len() == 2));
    for problem in &problems {
        let expected = format!("is the same directory as {}", tree.services().join("web").display());
        assert!(problem.message.starts_with(&expected) && problem.message.contains("remove one"), "{problem:?}");
    }
    assert!(tree.ctl_ok(&["status"]).contains("is the same directory as"));
    assert_stays(&tree, "web", pid);
    let said = tree.say(&["start", "z-last"]);
    assert_eq!(said.code, 102, "{said:?}");
    // With the other names gone all is well; with its own gone it goes on under another.
    fs::remove_file(tree.services().join("a-first")).expect("ours");
    until("one problem", || (tree.list().ok()?.problems.len() == 1).then_some(()));
    assert_eq!(tree.log().matches("is the same directory").count(), 2, "said once each: {}", tree.log());
    assert_eq!(tree.await_lines("web/starts", 1).len(), 1);
}

#[test]
fn a_link_to_nothing_is_told_and_runs_when_something_is_there() {
    let mut tree = Tree::new();
    tree.start();
    let target = tree.path("drafts").join("web");
    symlink(&target, tree.services().join("web")).expect("a link");
    symlink("loop", tree.services().join("loop")).expect("a link");
    let problems = until("two problems", || Some(tree.list().ok()?.problems).filter(|problems| problems.len() == 2));
    assert!(problems[0].message.contains("loop of links"), "{problems:?}");
    assert!(problems[1].message.contains("does not exist: create that, or remove the link"), "{problems:?}");
    tree.draft("web").run("exec sleep 1000");
    // Nobody watches where the link points to.
    tree.ctl_ok(&["rescan"]);
    tree.await_up("web");
    fs::remove_file(tree.services().join("loop")).expect("ours");
    until("no problems", || tree.list().ok()?.problems.is_empty().then_some(()));
}

/// What is renamed while the directory is being read may be seen under neither name.
#[test]
fn renames_one_after_the_other_restart_nothing() {
    let mut tree = Tree::new();
    let mut names: Vec<String> = (0..5).map(|number| format!("web{number}")).collect();
    for name in &names {
        tree.service(name).run(COUNTING);
    }
    tree.start();
    let pids: Vec<i32> = names.iter().map(|name| tree.await_up(name)).collect();
    let begin = Instant::now();
    let mut round = 0;
    while begin.elapsed() < Duration::from_secs(3) {
        round += 1;
        for (number, name) in names.iter_mut().enumerate() {
            let new = format!("web{number}-{round}");
            fs::rename(tree.services().join(&*name), tree.services().join(&new)).expect("ours");
            *name = new;
        }
    }
    println!("{round} rounds");
    for (name, pid) in names.iter().zip(pids) {
        assert_eq!(tree.await_up(name), pid, "{name} was restarted");
        assert_eq!(starts(&tree, name), 1, "{name}");
    }
}

/// A supervisor is on its way into a directory that has another name by then.
#[test]
fn renamed_before_its_supervisor_has_entered_it_starts_under_its_new_name() {
    for scan_is_late in [false, true] {
        let mut tree = Tree::new();
        tree.start();
        let (init, scan) = (tree.init_pid(), tree.process("svc-scan"));
        svc_testkit::kill(init, "STOP");
        tree.draft("web").run(COUNTING);
        tree.draft("web/log").run("exec cat >/dev/null");
        tree.place("web");
        tree.expect("web", &[EventKind::Added]);
        if scan_is_late {
            svc_testkit::kill(scan, "STOP");
        }
        fs::rename(tree.services().join("web"), tree.services().join("site")).expect("ours");
        if !scan_is_late {
            until("the new name", || tree.status("site").map(drop));
        }
        svc_testkit::kill(init, "CONT");
        if scan_is_late {
            // It has tried to enter, and said that it could not.
            until("its supervisor to wait", || tree.supervisor("web").filter(|&pid| state_of(pid) == Some('S')));
            svc_testkit::kill(scan, "CONT");
        }
        tree.await_up("site");
        tree.await_up("site/log");
        assert_eq!(tree.await_lines("site/starts", 1).len(), 1);
        assert_silent(&tree);
    }
}

fn state_of(pid: i32) -> Option<char> {
    svc_testkit::processes().into_iter().find(|process| process.pid == pid).map(|process| process.state)
}
