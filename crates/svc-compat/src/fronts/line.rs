//! A service in a line, as runit and daemontools write it: the same remarks behind different words.

use std::path::Path;

use svc_proto::s6::{Stamp, Status};

use crate::servicedir::stamp_now;

/// The line of runit.
pub(super) fn runit(name: &str, dir: &Path, status: &Status) -> String {
    runit_at(name, status, is_normally_up(dir), stamp_now())
}

/// The line of daemontools, without the directory in front.
pub(super) fn daemontools(dir: &Path, status: &Status) -> String {
    daemontools_at(status, is_normally_up(dir), stamp_now())
}

fn is_normally_up(dir: &Path) -> bool {
    !dir.join("down").exists()
}

fn runit_at(name: &str, status: &Status, normally_up: bool, now: Stamp) -> String {
    let runs = status.pid != 0;
    let word = match (runs, status.finishing) {
        (false, _) => "down",
        (true, false) => "run",
        (true, true) => "finish",
    };
    let pid = if runs { format!("(pid {}) ", status.pid) } else { String::new() };
    format!("{word}: {name}: {pid}{}s{}", seconds(status, now), remarks(status, runs, normally_up))
}

fn daemontools_at(status: &Status, normally_up: bool, now: Stamp) -> String {
    let up = status.is_up();
    let word = if up { format!("up (pid {})", status.pid) } else { "down".into() };
    format!("{word} {} seconds{}", seconds(status, now), remarks(status, up, normally_up))
}

/// Both count whole seconds of the clock.
fn seconds(status: &Status, now: Stamp) -> i64 {
    now.unix_secs().saturating_sub(status.changed.unix_secs()).max(0)
}

fn remarks(status: &Status, runs: bool, normally_up: bool) -> String {
    let remarks = [
        (runs && !normally_up, ", normally down"),
        (!runs && normally_up, ", normally up"),
        (runs && status.paused, ", paused"),
        (!runs && status.wanted_up, ", want up"),
        (runs && !status.wanted_up, ", want down"),
    ];
    remarks.iter().filter(|(holds, _)| *holds).map(|(_, remark)| *remark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: u64, [paused, finishing, wanted_up]: [bool; 3]) -> Status {
        let changed = Stamp::from_unix_nanos(4_900_000_000);
        Status { changed, ready_changed: changed, pid, wait_status: 0, paused, finishing, wanted_up, ready: false }
    }

    const NOW: Stamp = Stamp::from_unix_nanos(9_200_000_000);

    #[test]
    fn lines_of_runit() {
        let line = |pid, flags, normally_up| runit_at("web", &status(pid, flags), normally_up, NOW);
        assert_eq!(line(123, [false, false, true], true), "run: web: (pid 123) 5s");
        assert_eq!(line(123, [true, false, false], false), "run: web: (pid 123) 5s, normally down, paused, want down");
        assert_eq!(line(0, [false, false, true], true), "down: web: 5s, normally up, want up");
        assert_eq!(line(7, [false, true, true], true), "finish: web: (pid 7) 5s");
    }

    #[test]
    fn lines_of_daemontools() {
        let line = |pid, flags, normally_up| daemontools_at(&status(pid, flags), normally_up, NOW);
        assert_eq!(line(7, [true, false, false], false), "up (pid 7) 5 seconds, normally down, paused, want down");
        assert_eq!(line(0, [false, false, true], true), "down 5 seconds, normally up, want up");
        assert_eq!(line(7, [false, true, false], false), "down 5 seconds", "its finish is not the service");
    }
}
