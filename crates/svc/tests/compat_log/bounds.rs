//! Much input through small limits: no file above its limit, no more files than allowed, nothing lost that may stay.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use svc_testkit::until;

use super::{Place, all, feed, fifo, logs, ours, start};

/// Numbered lines of 95 bytes, as many as make so many bytes.
fn numbered(from: usize, bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes);
    for number in from..from + bytes / 95 {
        let _ = writeln!(text, "{number:010} {}", "x".repeat(83));
    }
    text
}

/// How much goes through, in MB: `SVC_LOG_TEST_MB`.
fn amount() -> usize {
    std::env::var("SVC_LOG_TEST_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(512)
}

/// The sizes of finished files; those that vanish meanwhile were there.
fn finished(dir: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('@'));
    names.filter_map(|entry| entry.metadata().ok()).map(|data| data.size()).collect()
}

#[test]
fn limits_hold_at_every_moment() {
    for stamps in [&[][..], &["t"]] {
        let place = Place::new(&format!("bounds-{}", stamps.len()));
        let script = [stamps, &["n8", "s262144", "S1600000", "./one"]].concat();
        let mut child = start(ours("s6-log", &script).current_dir(place.path()));
        let mut stdin = child.stdin.take().expect("piped");
        let block = 1_000_000;
        for number in 0..amount() / 2 {
            stdin.write_all(&numbered(number * (block / 95), block)).expect("it reads");
            let sizes = finished(&place.join("one"));
            // A listing is no snapshot: between the new file and the removal of an old one there may be one more.
            assert!(sizes.len() <= 8 + 1, "{sizes:?}");
            assert!(sizes.iter().all(|size| *size <= 262_144), "{sizes:?}");
            assert!(sizes.iter().sum::<u64>() <= 1_600_000 + 262_144, "{sizes:?}");
        }
        drop(stdin);
        assert!(child.wait().expect("our child").success());
        let logs = logs(&place.join("one"));
        let finished = &logs[..logs.len() - 1];
        assert!(!finished.is_empty() && finished.len() <= 8);
        assert!(finished.iter().map(|log| log.bytes.len()).sum::<usize>() <= 1_600_000);
        let last = amount() / 2 * (block / 95) - 1;
        let text = all(&place.join("one"));
        let numbers: Vec<usize> = String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.split(' ').rev().nth(1).expect("a number").parse().expect("a number"))
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap in what was kept");
        assert_eq!(numbers.last(), Some(&last));
    }
}

#[test]
fn each_file_has_as_many_whole_lines_as_fit() {
    let place = Place::new("fit");
    let input = numbered(0, 95_000);
    let made = feed(ours("s6-log", &["n100", "s4096", "l0", "./one"]).current_dir(place.path()), &input);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let logs = logs(&place.join("one"));
    assert!(logs[..logs.len() - 1].iter().all(|log| log.bytes.len() == 4096 / 95 * 95 && log.mode == 0o744), "{logs:?}");
    assert_eq!(all(&place.join("one")), input);
}

#[test]
fn a_line_above_the_limit_has_a_file_of_its_own() {
    let place = Place::new("long");
    let long = "y".repeat(7000);
    let input = format!("a\n{long}\nb\n");
    feed(ours("s6-log", &["s4096", "l10", "./one"]).current_dir(place.path()), input.as_bytes());
    let texts: Vec<usize> = logs(&place.join("one")).iter().map(|log| log.bytes.len()).collect();
    assert_eq!(texts, [2, 7001, 2]);
}

#[test]
fn what_somebody_emptied_is_written_from_its_beginning() {
    let place = Place::new("emptied");
    let mut child = start(ours("s6-log", &["./one"]).current_dir(place.path()));
    let mut stdin = child.stdin.take().expect("piped");
    let current = place.join("one/current");
    let has = |text: &str| std::fs::read_to_string(&current).is_ok_and(|now| now == text).then_some(());
    stdin.write_all(b"before\n").expect("it reads");
    svc_testkit::until("the first line", || has("before\n"));
    std::fs::write(&current, "").expect("a file");
    stdin.write_all(b"after\n").expect("it reads");
    svc_testkit::until("the second line alone", || has("after\n"));
    drop(stdin);
    assert!(child.wait().expect("our child").success());
}

/// What the kernel gives a pipe, and what a busy one gets.
const ROOMS: [i32; 2] = [64 * 1024, 256 * 1024];

#[test]
fn the_pipe_of_a_busy_service_gets_more_room_and_a_quiet_one_none() {
    for is_busy in [false, true] {
        let place = Place::new(if is_busy { "busy" } else { "quiet" });
        let (path, mut keeper) = fifo(&place);
        let room = |pipe: &File| nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_GETPIPE_SZ).expect("a pipe");
        if room(&keeper) != ROOMS[0] {
            println!("SKIPPED: pipes have another size here");
            return;
        }
        let mut command = ours("s6-log", &["n1000000", "s1000000", "./one"]);
        command.current_dir(place.path()).stdin(Stdio::from(File::open(&path).expect("a pipe")));
        let mut child = command.spawn().expect("it starts");
        let mut number = 0;
        let begin = Instant::now();
        while if is_busy { room(&keeper) == ROOMS[0] } else { number < 50 } {
            assert!(begin.elapsed() < svc_testkit::PATIENCE, "{number} lines, and no more room");
            let lines = if is_busy { 20_000 } else { 1 };
            let block: String = (number..number + lines).map(|number| format!("line {number}\n")).collect();
            number += lines;
            keeper.write_all(block.as_bytes()).expect("somebody reads");
            let last = format!("line {}\n", number - 1);
            until("a quiet moment", || (is_busy || all(&place.join("one")).ends_with(last.as_bytes())).then_some(()));
        }
        assert_eq!(room(&keeper), ROOMS[usize::from(is_busy)]);
        drop(keeper);
        assert!(child.wait().expect("our child").success());
        let expected: String = (0..number).map(|number| format!("line {number}\n")).collect();
        assert!(all(&place.join("one")) == expected.as_bytes(), "{number} lines, in their order");
    }
}
