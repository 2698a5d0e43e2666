//! Invariants 1 and 2, promises 8 and 9: random kills beside every kind of service.

use std::collections::BTreeMap;
use std::time::Instant;

use svc_testkit::{Chance, Tree, has_program, is_alive, kill, needs, until};

use crate::common::{alone, answer_time, assert_alone, assert_gapless, collect, lines, starts};

const ROUNDS: usize = 1000;
/// A supervisor comes back at most once a second, so many rounds in a short time need many supervisors.
const FILLERS: usize = 24;

/// Writes `WORD 1`, `WORD 2` ..., each line in one write, about a thousand a second.
pub fn numbering(word: &str) -> String {
    format!("my $n = 0;\nwhile (1) {{ $n++; syswrite(STDOUT, \"{word} $n\\n\"); sleep(0.001); }}\n")
}

/// A logger that appends each line in one write, and ends with its input.
pub fn appending(tree: &Tree, file: &str) -> String {
    let path = tree.path(file);
    format!("open(my $out, '>>', '{}');\nwhile (<STDIN>) {{ syswrite($out, $_); }}\n", path.display())
}

#[test]
fn a_thousand_kills_restart_nothing_and_lose_no_line() {
    if !needs("perl", has_program("perl")) {
        return;
    }
    let mut chance = Chance::new();
    let mut tree = Tree::new();
    tree.service("a").executable("run", &(alone(&tree, "a") + &numbering("a")));
    tree.service("b").executable("run", &(alone(&tree, "b") + &numbering("b")));
    tree.service("b/log").executable("run", &(alone(&tree, "b-log") + &appending(&tree, "b.lines")));
    let ready = "open(my $ready, '>&=', 3); syswrite($ready, \"\\n\"); close($ready);\nsleep(1) while 1;\n";
    tree.service("c").executable("run", &(alone(&tree, "c") + ready)).file("notification-fd", "3\n");
    tree.service("d").executable("run", &(alone(&tree, "d") + "sleep(0.3); exit 1;\n"));
    tree.service("d").executable("finish", &(alone(&tree, "d") + "sleep(0.05);\n"));
    let steady: Vec<String> =
        ["a", "b", "b/log", "c"].map(str::to_owned).into_iter().chain((0..FILLERS).map(|n| format!("filler{n}"))).collect();
    for filler in steady.iter().filter(|name| name.starts_with("filler")) {
        tree.service(filler).run("exec sleep 100000");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let reader = collect(reader);
    tree.stdout(writer).start();
    let pids: BTreeMap<&str, i32> = steady.iter().map(|name| (name.as_str(), tree.await_up(name))).collect();
    tree.await_status("c", "ready", |status| status.ready == Some(true));
    until("a supervisor for everybody", || (tree.daemons().len() == steady.len() + 3).then_some(()));

    let (begin, mut answers, mut killed) = (Instant::now(), Vec::new(), BTreeMap::new());
    while answers.len() < ROUNDS {
        let alive = until("somebody to kill", || Some(tree.daemons()).filter(|alive| !alive.is_empty()));
        let victim = &alive[chance.below(alive.len() as u64) as usize];
        *killed.entry(victim.name.clone()).or_insert(0) += 1;
        kill(victim.pid, "KILL");
        answers.push(answer_time(&tree));
        for (name, &pid) in &pids {
            assert!(is_alive(pid), "round {}: {name} (pid {pid}) died with {victim:?}", answers.len());
        }
    }
    until("everybody to be back", || (tree.daemons().len() == steady.len() + 3).then_some(()));

    answers.sort();
    let (median, worst) = (answers[ROUNDS / 2], answers[ROUNDS - 1]);
    println!("{killed:?} in {:?}; control: median {median:?}, worst {worst:?}", begin.elapsed());
    assert!(killed.len() == 3, "somebody was never killed: {killed:?}");
    for (name, &pid) in &pids {
        let status = tree.await_status(name, "up", |status| status.pid.is_some());
        assert_eq!((status.pid, status.restarts, &status.last_exit), (Some(pid), 0, &None), "{name}");
    }
    assert_eq!(tree.status("c").map(|status| status.ready), Some(Some(true)));
    let crashes = starts(&tree, "d");
    assert!(crashes.len() > 5, "{crashes:?}");
    for pair in crashes.windows(2) {
        assert!(pair[1] - pair[0] > 0.8, "started too soon: {pair:?}");
    }
    assert_eq!(tree.stop(), 0);
    assert_alone(&tree);
    for name in ["a", "b", "b-log", "c"] {
        assert_eq!(starts(&tree, name).len(), 1, "{name}");
    }
    let told = reader.join().expect("read");
    assert!(assert_gapless(&told, "a") > 1000, "{} lines", told.len());
    assert!(assert_gapless(&lines(&tree.path("b.lines")), "b") > 1000);
}
