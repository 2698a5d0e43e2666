//! The tally of deaths is exact and bounded (promise 24).

use svc_testkit::api::Detail;
use svc_testkit::{Chance, EventKind, State, Tree, amount, kill};

use crate::support::skip_to;

fn why(tree: &Tree, name: &str) -> Detail {
    serde_json::from_str(&tree.ctl_ok(&["why", "--json", name])).expect("a detail")
}

// 24
#[test]
fn promise_24_the_tally_agrees_with_what_happened() {
    let rounds = amount(300, 5000) as usize;
    let mut tree = Tree::new();
    tree.draft("web")
        .file("down", "")
        .run("echo $$ >> runs; read code < code; [ $code = stay ] && exec sleep 1000; exit $code");
    tree.draft("few").file("max-death-tally", "7").file("down", "").run("exit 3");
    tree.draft("none").file("max-death-tally", "0").file("down", "").run("exit 3");
    tree.start();
    for name in ["web", "few", "none"] {
        tree.place(name);
        tree.expect(name, &[EventKind::Added]);
    }
    let mut chance = Chance::new();
    let mut ends: Vec<(Option<u8>, Option<String>)> = Vec::new();
    for _ in 0..rounds {
        let (code, signal) = match chance.below(4) {
            0 => (None, Some(["KILL", "TERM", "USR1", "HUP"][chance.below(4) as usize])),
            _ => (Some(chance.below(256) as u8), None),
        };
        let content = code.map_or_else(|| "stay".to_owned(), |code| code.to_string());
        tree.service("web").file("code", &format!("{content}\n"));
        tree.ctl_ok(&["once", "web"]);
        if let Some(signal) = signal {
            kill(tree.await_up("web"), signal);
        }
        skip_to(&mut tree, "web", EventKind::Down);
        ends.push((code, signal.map(str::to_owned)));
    }
    let detail = why(&tree, "web");
    assert_eq!(detail.death_count, rounds as u64);
    // One that was killed at once may not have got as far as writing.
    assert!(tree.lines("web/runs").len() <= rounds);
    assert_eq!(detail.status.restarts, rounds as u64 - 1);
    assert_eq!(detail.deaths.len(), 100, "as many as are remembered where nothing is said");
    let told: Vec<_> = detail.deaths.iter().map(|death| (death.code, death.signal.clone())).collect();
    assert_eq!(told, ends[rounds - 100..]);
    assert!(detail.deaths.is_sorted_by_key(|death| death.at_ms), "oldest first");

    for (name, most) in [("few", 7), ("none", 0)] {
        for _ in 0..10 {
            tree.ctl_ok(&["once", name]);
            skip_to(&mut tree, name, EventKind::Down);
        }
        let detail = why(&tree, name);
        assert_eq!((detail.deaths.len(), detail.death_count), (most, 10), "{name}");
    }
}

// 24
#[test]
fn the_count_survives_everybody() {
    let mut tree = Tree::new();
    tree.service("web").run("echo run >> runs; exec sleep 1000");
    tree.start();
    for round in 0..20_u64 {
        tree.await_lines("web/runs", round as usize + 1);
        kill(tree.await_up("web"), if round % 2 == 0 { "KILL" } else { "TERM" });
        tree.await_status("web", "dead", |status| status.state == State::Waiting || status.restarts > round);
        match round % 5 {
            1 => tree.kill_supervisor("web"),
            3 => {
                kill(tree.process("svc-scan"), "KILL");
                tree.await_control();
            }
            _ => {}
        }
        tree.ctl_ok(&["start", "web"]);
    }
    tree.await_lines("web/runs", 21);
    let detail = why(&tree, "web");
    assert_eq!((detail.death_count, detail.status.restarts), (20, 20));
    assert_eq!(detail.status.last_exit.and_then(|exit| exit.signal).as_deref(), Some("TERM"));
}
