//! When a service of the classic form is started again: the four small files that say so.

use svc_testkit::{State, Status, Tree};

/// What the kernel counts in: a time may be so many milliseconds later than it says.
const TICK: u64 = 10;

/// A service that writes down when the kernel made it, and ends like this.
fn ending(tree: &Tree, name: &str, how: &str, files: &[(&str, &str)]) {
    let service = tree.draft(name);
    service.run(&format!("cut -d' ' -f22 /proc/$$/stat >>seen; {how}"));
    for (file, content) in files {
        let _ = if *file == "finish" { service.finish(content) } else { service.file(file, content) };
    }
    tree.place(name);
}

#[track_caller]
fn is_down_for_good(tree: &Tree, name: &str, state: State) -> Status {
    tree.await_status(name, "down for good", |status| status.state == state && status.next_start_ms.is_none())
}

/// The milliseconds between its starts at most. A delay is counted from when a process has been made, and these are from then to the next
/// one's making: a busy machine makes them longer, and never shorter.
fn gaps(tree: &Tree, name: &str, count: usize) -> Vec<u64> {
    let times = tree.await_lines(&format!("{name}/seen"), count);
    let times: Vec<u64> = times.iter().map(|line| line.parse().expect("a number")).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0] + 1) * TICK).collect()
}

#[test]
fn the_file_restart_says_after_which_ends() {
    let mut tree = Tree::new();
    ending(&tree, "never", "exit 1", &[("restart", "never\n")]);
    ending(&tree, "good", "exit 0", &[("restart", "on-failure\r\n")]);
    ending(&tree, "bad", "test $(wc -l <seen) -gt 1 || exit 3", &[("restart", "on-failure"), ("restart-delay", "1")]);
    ending(&tree, "always", "exit 0", &[("restart", "always"), ("restart-delay", "1")]);
    tree.start();
    let never = is_down_for_good(&tree, "never", State::Failed);
    assert_eq!(never.verdict.as_deref(), Some("exit 1, after which it is not started again"));
    is_down_for_good(&tree, "good", State::Down);
    is_down_for_good(&tree, "bad", State::Down);
    tree.await_lines("always/seen", 4);
    assert_eq!(["never", "good", "bad"].map(|name| tree.lines(&format!("{name}/seen")).len()), [1, 1, 2]);
    // A supervisor that takes over does not start it, and without the file the next end is no last one.
    tree.kill_supervisor("never");
    tree.await_status("never", "a new supervisor", |status| status.supervisor_pid != never.supervisor_pid);
    assert_eq!(tree.lines("never/seen").len(), 1);
    std::fs::remove_file(tree.services().join("never/restart")).expect("ours");
    tree.say(&["start", "never"]);
    tree.await_lines("never/seen", 3);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_files_of_delays_say_how_far_apart_starts_are() {
    let mut tree = Tree::new();
    ending(&tree, "steady", "exit 1", &[("restart-delay", "150")]);
    ending(&tree, "growing", "exit 1", &[("restart-delay", "50"), ("restart-max-delay", "400")]);
    tree.start();
    let steady = gaps(&tree, "steady", 5);
    assert!(steady.iter().all(|gap| *gap >= 150) && steady.iter().any(|gap| *gap < 900), "{steady:?}");
    let growing = gaps(&tree, "growing", 10);
    for (gap, least) in growing.iter().zip([50, 100, 200, 400, 400, 400, 400, 400, 400]) {
        assert!(*gap >= least, "{growing:?}");
    }
    // The sixth would be 1600 ms, and each further one twice as long.
    assert!(growing[5..].iter().any(|gap| *gap < 1600), "it stops growing: {growing:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn the_file_restart_limit_says_how_often() {
    let mut tree = Tree::new();
    ending(&tree, "web", "exit 4", &[("restart-limit", "3 60000"), ("restart-delay", "1")]);
    ending(&tree, "spare", "exit 4", &[("restart-limit", "2"), ("restart-delay", "1"), ("essential", ""), ("down", "")]);
    tree.start();
    let status = is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(status.verdict.as_deref(), Some("3 ends within 1 min"));
    assert_eq!(tree.lines("web/seen").len(), 3);
    assert!(tree.ctl_ok(&["why", "web"]).contains("3 ends within 1 min, so only svc-ctl start starts it again"));
    // Together with `essential`, the limit is the end of everything.
    tree.say(&["start", "spare"]);
    assert_eq!(tree.wait(), 4);
    assert_eq!(tree.lines("spare/seen").len(), 2);
}

#[test]
fn finish_comes_first_and_125_is_still_the_last_word() {
    let mut tree = Tree::new();
    ending(
        &tree,
        "web",
        "exit 1",
        &[
            ("restart", "always"),
            ("restart-delay", "1"),
            ("finish", "echo \"$1\" >>finished; test $(wc -l <finished) -lt 3 || exit 125"),
        ],
    );
    ending(&tree, "never", "exit 2", &[("restart", "never"), ("finish", "echo \"$1\" >>finished")]);
    tree.start();
    is_down_for_good(&tree, "web", State::Failed);
    assert_eq!(tree.lines("web/finished"), ["1", "1", "1"]);
    is_down_for_good(&tree, "never", State::Failed);
    assert_eq!(tree.lines("never/finished"), ["2"]);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn what_is_wrong_with_such_a_file_is_told_and_changes_nothing() {
    let mut tree = Tree::new();
    ending(&tree, "a", "exec sleep 1000", &[("restart", "sometimes")]);
    ending(&tree, "b", "exec sleep 1000", &[("restart-limit", "99")]);
    ending(&tree, "c", "exec sleep 1000", &[("restart-delay", "1s")]);
    tree.start();
    for (name, words) in [
        (
            "a",
            "the first line must be one of always, on-failure, never, and is \"sometimes\": using always; write one word, such as never",
        ),
        (
            "b",
            "the first line must be a number from 1 to 16, and may have milliseconds behind it, and is \"99\": using no limit; write a number, such as 5, or 5 60000",
        ),
        ("c", "the first line must be a plain decimal number, and is \"1s\": using 1000; write milliseconds, such as 5000"),
    ] {
        tree.await_up(name);
        let problem = tree.status(name).and_then(|status| status.problem).unwrap_or_default();
        assert!(problem.contains(words), "{name}: {problem}");
    }
    assert_eq!(tree.stop(), 0);
}
