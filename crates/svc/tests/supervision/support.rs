//! What several of these tests need.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use svc_testkit::api::{Change, Death};
use svc_testkit::{EventKind, ServiceDir, Tree};

/// How much later than it should something may happen on a busy machine before a test fails.
pub const SLACK: Duration = Duration::from_secs(3);

/// A program that lets TERM pass and needs SIGKILL.
pub const DEAF: &str = "exec env --ignore-signal=TERM sleep 1000";

/// A running tree with one service in it, put there whole after the subscription: `expect` sees its first event.
pub fn tree_with(name: &str, build: impl FnOnce(&ServiceDir)) -> Tree {
    let mut tree = Tree::new();
    build(&tree.draft(name));
    tree.start();
    tree.place(name);
    tree.expect(name, &[EventKind::Added]);
    tree
}

pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// When the runs of these deaths began: by the supervisor's own clock, so differences are exact.
pub fn starts(deaths: &[Death]) -> Vec<u64> {
    deaths.iter().map(|death| death.at_ms - death.ran_ms).collect()
}

/// Takes events of a service up to and with the first of this kind.
#[track_caller]
pub fn skip_to(tree: &mut Tree, service: &str, kind: EventKind) -> Change {
    loop {
        let change = tree.events().next_of(service);
        if change.event == kind {
            return change;
        }
    }
}

/// Takes events of a service up to and with the first of this kind; which there were.
#[track_caller]
pub fn kinds_to(tree: &mut Tree, service: &str, kind: EventKind) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while kinds.last() != Some(&kind) {
        kinds.push(tree.events().next_of(service).event);
    }
    kinds
}

/// A field of /proc/PID/status, blanks trimmed.
#[track_caller]
pub fn status_field(pid: i32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).trim().to_owned()
}

/// A named pipe on which a test lets a script go on. A script that waits more than once keeps it open (`exec 8<>go`), or a
/// second line would be lost with the reader of the first.
pub fn gate(service: &ServiceDir) {
    let made = std::process::Command::new("mkfifo").arg(service.path().join("go")).status().expect("mkfifo runs");
    assert!(made.success());
}

pub fn go(tree: &Tree, service: &str) {
    let mut gate =
        std::fs::File::options().write(true).open(tree.services().join(service).join("go")).expect("a named pipe");
    writeln!(gate, "go").expect("somebody reads");
}

/// Random numbers for a test; the seed is printed, and SVC_TEST_SEED repeats it.
pub struct Rng(u64);

impl Rng {
    pub fn new() -> Rng {
        let seed = std::env::var("SVC_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| wall_ms() ^ u64::from(std::process::id()) << 32);
        println!("SVC_TEST_SEED={seed}");
        Rng(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // xorshift64*: tests need no better.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}
