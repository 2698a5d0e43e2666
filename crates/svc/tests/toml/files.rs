//! A file NAME.toml directly in a scan directory.

use std::time::{Duration, Instant};

use svc_testkit::{Tree, until};

const SLEEP: &str = "command = 'sleep 1000'";

#[test]
fn a_file_in_the_scan_directory_is_a_service() {
    let mut tree = Tree::new();
    tree.one_file("web", "command = \"sh -c 'pwd >seen; exec sleep 1000'\"\nneeds = ['db']");
    tree.toml("db", SLEEP);
    tree.start();
    let web = tree.await_up("web");
    let here = tree.services().canonicalize().expect("there").display().to_string();
    assert_eq!(tree.await_lines("seen", 1), [here], "it runs where its file is");
    let status = tree.status("web").expect("a status");
    assert!(status.dir.ends_with("/services/web.toml"), "{}", status.dir);
    let shown = tree.ctl_ok(&["show", "web"]);
    assert!(shown.contains("needs = [\"db\"]") && shown.contains("services/web.toml:2"), "{shown}");
    // A later one starts, a missing one stops, and what is put in its place is the same service.
    tree.one_file("late", SLEEP);
    let late = tree.await_up("late");
    tree.one_file("late", "command = 'sleep 2000'");
    tree.ctl_ok(&["rescan"]);
    let again = tree.await_status("late", "restarted", |status| status.pid.is_some_and(|pid| pid != late));
    assert_eq!(again.supervisor_pid, tree.status("late").and_then(|status| status.supervisor_pid));
    std::fs::remove_file(tree.services().join("late.toml")).expect("there");
    until("late to be gone", || tree.status("late").is_none().then_some(()));
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn drop_ins_beside_the_file_are_merged_over_it() {
    let mut tree = Tree::new();
    let folder = tree.services().join("web.toml.d");
    std::fs::create_dir(&folder).expect("ours");
    std::fs::write(folder.join("10.toml"), "env.A = 2").expect("ours");
    tree.one_file("web", "command = \"sh -c 'echo $A $B >seen; exec sleep 1000'\"\nenv = { A = 1, B = 1 }");
    tree.start();
    assert_eq!(tree.await_lines("seen", 1), ["2 1"]);
    std::fs::write(folder.join("20.toml"), "env.B = 3").expect("ours");
    tree.ctl_ok(&["rescan"]);
    until("a restart", || (tree.lines("seen") == ["2 3"]).then_some(()));
    assert_eq!(tree.list().expect("services").services.len(), 1, "the directory of drop-ins is no service");
    // Without its file it is an oversight.
    std::fs::create_dir(tree.services().join("other.toml.d")).expect("ours");
    tree.ctl_ok(&["rescan"]);
    let problems = tree.list().expect("services").problems;
    assert!(
        problems.iter().any(|problem| problem.message.contains("is merged over other.toml, which does not exist")),
        "{problems:?}"
    );
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_broken_file_changes_nothing_whoever_is_killed() {
    let mut tree = Tree::new();
    tree.one_file("web", SLEEP);
    tree.start();
    let web = tree.await_up("web");
    tree.one_file("web", "comand = 'x'");
    tree.ctl_ok(&["rescan"]);
    tree.await_problem("web", &["web.toml:1:1: \"comand\" is no key", "it stays as it was"]);
    tree.kill_supervisor("web");
    tree.kill_scan();
    assert_eq!(tree.await_up("web"), web);
    tree.one_file("web", SLEEP);
    tree.ctl_ok(&["rescan"]);
    until("no problem", || tree.status("web").filter(|status| status.problem.is_none()));
    assert_eq!(tree.await_up("web"), web);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_editor_that_takes_the_file_away_for_a_moment_stops_nothing() {
    /// So long svc-scan waits for it.
    const MOMENT: Duration = Duration::from_millis(500);
    let mut tree = Tree::new();
    tree.one_file("web", SLEEP);
    tree.start();
    let file = tree.services().join("web.toml");
    // On a machine that has no time for us it may have been more than a moment: that time does not count.
    for round in 0.. {
        let (web, began) = (tree.await_up("web"), Instant::now());
        std::fs::rename(&file, tree.services().join("web.toml~")).expect("ours");
        // Whatever happens beside it makes svc-scan look.
        let [other, third] = ["other", "third"].map(|name| format!("{name}{round}"));
        tree.toml(&other, SLEEP);
        tree.await_status(&other, "seen", |_| true);
        std::fs::rename(tree.services().join("web.toml~"), &file).expect("ours");
        let took = began.elapsed();
        tree.toml(&third, SLEEP);
        tree.await_up(&third);
        if took < MOMENT {
            assert_eq!(tree.await_up("web"), web);
            break;
        }
        // It has been stopped by then, or will be.
        tree.ctl_ok(&["apply", "--timeout", "120"]);
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_directory_and_a_file_of_one_name_are_an_error_that_names_both() {
    let mut tree = Tree::new();
    tree.one_file("web", SLEEP);
    tree.toml("web", SLEEP);
    tree.one_file("db", SLEEP);
    tree.start();
    let db = tree.await_up("db");
    let told = until("both", || {
        let problems = tree.list().ok()?.problems;
        (problems.len() == 2).then_some(problems)
    });
    for (problem, path, other) in
        [(&told[0], "/services/web", "/services/web.toml"), (&told[1], "/services/web.toml", "/services/web")]
    {
        assert!(
            problem.path.ends_with(path) && problem.message.contains(&format!("{other} are one service twice")),
            "{problem:?}"
        );
    }
    assert!(tree.status("web").is_none(), "nobody knows which is meant");
    // What runs is not stopped by it.
    tree.toml("db", SLEEP);
    until("a problem", || tree.list().ok().filter(|list| list.problems.len() == 4));
    assert_eq!(tree.await_up("db"), db);
    std::fs::remove_dir_all(tree.services().join("web")).expect("there");
    tree.await_up("web");
    assert_eq!(tree.stop(), 0);
}
