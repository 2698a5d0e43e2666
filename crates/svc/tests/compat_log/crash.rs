//! SIGKILL at any moment, at full speed, with a rotation every few lines.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use svc_testkit::until;

use super::{Place, fifo, logs, ours};

/// Rounds, and how long a logger lives in each: longer and longer, so that it is hit anywhere. One more is hit at work.
fn rounds() -> impl Iterator<Item = Duration> {
    (0..60).map(|round| Duration::from_micros(3000 + 370 * round))
}

/// So many lines come in any case, however slow the machine is.
const LEAST: usize = 10_000;

fn logger(place: &Place, fifo: &Path, script: &[&str]) -> Child {
    let mut command = ours("s6-log", script);
    command.current_dir(place.path()).stdin(Stdio::from(File::open(fifo).expect("a pipe")));
    command.spawn().expect("it starts")
}

/// Lets one logger after another be killed while numbered lines come as fast as they go; the last one ends in peace. Returns how
/// many lines there were.
fn play(place: &Place, script: &[&str]) -> usize {
    let (path, mut keeper) = fifo(place);
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut number = 0_usize;
        while number < LEAST || told.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let block: String =
                (number..number + 500).map(|number| format!("{number} {}\n", "z".repeat(number % 90))).collect();
            keeper.write_all(block.as_bytes()).expect("somebody will read");
            number += 500;
        }
        number
    });
    let finished = || std::fs::read_dir(place.join("one")).map_or(0, Iterator::count);
    for life in rounds().map(Some).chain([None]) {
        let (begin, before) = (Instant::now(), finished());
        let mut child = logger(place, &path, script);
        match life {
            // Not a wait for something: the moment of the kill is what varies.
            Some(life) => std::thread::sleep(life.saturating_sub(begin.elapsed())),
            // The last one is at work, however slow the machine is: it has finished files.
            None => until("a logger at work", || (finished() > before + 2).then_some(())),
        }
        child.kill().expect("our child");
        child.wait().expect("our child");
    }
    let mut last = logger(place, &path, script);
    drop(tell);
    let count = writer.join().expect("no panic");
    // The writer's end was the last one that stood open.
    assert!(last.wait().expect("our child").success());
    count
}

#[test]
fn without_stamps_each_line_is_there_once() {
    let place = Place::new("crash-plain");
    let count = play(&place, &["n1000000", "s4096", "l100", "./one"]);
    let logs = logs(&place.join("one"));
    assert!(logs.iter().any(|log| log.name.ends_with(".u")), "no logger was killed at work");
    assert!(logs.iter().all(|log| log.bytes.len() <= 4096));
    let text: Vec<u8> = logs.into_iter().flat_map(|log| log.bytes).collect();
    let text = String::from_utf8(text).expect("ASCII");
    for (number, line) in text.lines().enumerate() {
        assert_eq!(line, format!("{number} {}", "z".repeat(number % 90)), "line {number} of {count}");
    }
    assert_eq!(text.lines().count(), count);
}

#[test]
fn with_stamps_no_line_is_missing() {
    let place = Place::new("crash-stamps");
    let count = play(&place, &["t", "n1000000", "s32768", "l100", "./one"]);
    let (mut seen, mut expected, mut again) = (0, 0, 0);
    for log in logs(&place.join("one")) {
        let text = String::from_utf8(log.bytes).expect("ASCII");
        for line in text.split_inclusive('\n') {
            // The last line of a killed logger may be half a line: it comes again as a whole.
            let Some(line) = line.strip_suffix('\n') else {
                assert!(log.name.ends_with(".u"), "half a line in {}", log.name);
                continue;
            };
            let (stamp, rest) = line.split_once(' ').expect("a stamp");
            assert_eq!(stamp.len(), 25);
            let number: usize = rest.split(' ').next().expect("a number").parse().expect("a number");
            assert_eq!(rest, format!("{number} {}", "z".repeat(number % 90)));
            assert!(number <= expected, "lines {expected} to {number} are missing");
            // Only a new logger begins again, at most one look behind.
            again += usize::from(number < expected);
            expected = expected.max(number + 1);
            seen += 1;
        }
    }
    assert_eq!(expected, count);
    assert_eq!(seen, count + again);
    assert!(again <= 61 * 65_536 / 2, "{again} lines came again");
}

#[test]
fn what_others_left_half_done_is_put_in_order() {
    let place = Place::new("half");
    let dir = place.join("one");
    let write = |name: &str, text: &str, mode: u32| {
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join(name), text).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(dir.join(name), mode).expect("ours");
    };
    let run = || {
        let made = super::feed(ours("s6-log", &["./one"]).current_dir(place.path()), b"new\n");
        assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
        let texts = logs(&dir).into_iter().map(|log| (log.name[log.name.len() - 2..].to_owned(), log.bytes));
        let texts: Vec<(String, String)> =
            texts.map(|(end, bytes)| (end, String::from_utf8(bytes).expect("ASCII"))).collect();
        let left: Vec<bool> = ["previous", "processed", "newstate"].map(|name| dir.join(name).exists()).into();
        let state = std::fs::read_to_string(dir.join("state")).expect("a state");
        std::fs::remove_dir_all(&dir).expect("ours");
        assert_eq!(left, [false; 3]);
        (texts.iter().map(|(end, text)| format!("{end}:{text}")).collect::<String>(), state)
    };
    // Renamed, and nothing else.
    write("previous", "old\n", 0o644);
    assert_eq!(run(), (".u:old\nnt:new\n".into(), "".into()));
    // A processor was at work.
    write("previous", "old\n", 0o744);
    write("processed", "ha", 0o644);
    write("newstate", "ha", 0o644);
    write("state", "before", 0o644);
    write("current", "killed\n", 0o644);
    assert_eq!(run(), (".u:old\n.u:killed\nnt:new\n".into(), "".into()));
    // It had ended.
    write("previous", "old\n", 0o744);
    write("processed", "done\n", 0o744);
    write("newstate", "after", 0o644);
    write("state", "before", 0o644);
    write("current", "clean\n", 0o744);
    assert_eq!(run(), (".s:done\nnt:clean\nnew\n".into(), "after".into()));
    // The old name beside the new one.
    write("previous", "old\n", 0o744);
    std::fs::hard_link(dir.join("previous"), dir.join("@400000006b00514a385fa6ca.s")).expect("a link");
    assert_eq!(run(), (".s:old\nnt:new\n".into(), "".into()));
}
