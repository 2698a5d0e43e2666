//! How long until a service is started again: each key of `restart` that says so, told from what holds without it.

use std::time::{SystemTime, UNIX_EPOCH};

use svc_testkit::{State, Tree};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

/// A service that ends at once, and writes a line for each start.
fn ends(keys: &str) -> String {
    format!("command = ['sh', '-c', 'echo >>seen; exit 1']\n{keys}\n")
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// The milliseconds until it is started again.
fn wait_of(tree: &Tree, name: &str) -> u64 {
    let status = tree.await_status(name, "waiting", |status| status.next_start_ms.is_some());
    status.next_start_ms.expect("just asked for").saturating_sub(now_ms())
}

#[test]
fn a_delay_is_as_long_as_it_says_and_chance_makes_it_another_one() {
    let mut tree = Tree::new();
    tree.toml("plain", &ends("restart.delay = '1000h'"));
    tree.toml("vague", &ends("restart = { delay = '1000h', jitter = 0.5 }"));
    tree.start();
    let (plain, vague) = (wait_of(&tree, "plain"), wait_of(&tree, "vague"));
    assert!((999 * HOUR..=1000 * HOUR).contains(&plain), "{plain}");
    // By chance it could be the same to a minute once in sixty thousand times.
    assert!((499 * HOUR..=1500 * HOUR).contains(&vague) && vague.abs_diff(plain) > 60 * SECOND, "{vague}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_delay_grows_to_its_cap_and_no_further() {
    let mut tree = Tree::new();
    tree.toml("capped", &ends("restart = { delay = '10ms', factor = 100, max-delay = '50ms' }"));
    tree.toml("grows", &ends("restart = { delay = '10ms', factor = 100, max-delay = '1000h' }"));
    tree.start();
    // Without the cap the fourth start would be a minute after the third.
    tree.await_lines("capped/seen", 6);
    tree.await_lines("grows/seen", 3);
    let third = tree.await_status("grows", "its third wait", |status| {
        status.next_start_ms.is_some_and(|at| at > now_ms() + 10 * SECOND)
    });
    assert_eq!((third.state, tree.lines("grows/seen").len()), (State::Waiting, 3));
    assert!(third.next_start_ms.is_some_and(|at| at > now_ms() + 61 * SECOND), "more than the cap that holds by itself");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_limit_counts_the_ends_within_its_window() {
    let mut tree = Tree::new();
    tree.toml("short", &ends("restart = { delay = '2s', limit = 2, window = '200ms' }"));
    tree.toml("long", &ends("restart = { delay = '2s', limit = 2, window = '1h' }"));
    tree.start();
    tree.await_lines("short/seen", 4);
    let failed = tree.await_status("long", "failed", |status| status.state == State::Failed);
    assert_eq!(failed.verdict.as_deref(), Some("2 ends within 60 min"));
    assert_eq!(tree.lines("long/seen").len(), 2);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn an_essential_service_that_is_always_restarted_ends_nothing() {
    let mut tree = Tree::new();
    tree.toml("web", &ends("essential = true\nrestart = { when = 'always', delay = '1ms' }"));
    tree.start();
    tree.await_lines("web/seen", 3);
    assert!(tree.is_running());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_signal_may_be_a_success_and_a_reason_to_go_on() {
    let mut tree = Tree::new();
    let dies = |keys: &str| format!("command = ['sh', '-c', 'echo >>seen; kill -USR1 $$']\n{keys}\n");
    tree.toml("good", &dies("restart.when = 'on-failure'\nsuccess-exits = ['USR1']"));
    tree.toml("again", &dies("restart = { when = 'never', always-on = ['SIGUSR1'], delay = '1ms' }"));
    tree.start();
    tree.await_lines("again/seen", 3);
    let good =
        tree.await_status("good", "down for good", |status| status.state == State::Down && status.last_exit.is_some());
    assert_eq!((good.next_start_ms, tree.lines("good/seen").len()), (None, 1));
    assert_eq!(tree.stop(), 0);
}
