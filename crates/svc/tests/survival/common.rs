//! What several of these tests need: numbered lines, one instance at a time, and chance with a seed.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use svc_testkit::{Tree, api, until};

/// A number generator that repeats itself when told to.
pub struct Chance(u64);

impl Chance {
    /// From SVC_TEST_SEED, or a new one, which is printed.
    pub fn new() -> Chance {
        let fresh =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        let seed = std::env::var("SVC_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(fresh);
        println!("SVC_TEST_SEED={seed}");
        Chance(seed | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The head of a perl program that tells when there are two of it: `violations` and `starts.NAME` in the test's folder.
pub fn alone(tree: &Tree, name: &str) -> String {
    let root = tree.root().display();
    format!(
        r#"#!/usr/bin/perl
use Fcntl qw(:flock);
use Time::HiRes qw(sleep);
sub note {{ open(my $f, '>>', "{root}/$_[0]"); syswrite($f, $_[1] . "\n"); }}
open(my $lock, '>>', "{root}/lock.{name}");
if (!flock($lock, LOCK_EX | LOCK_NB)) {{ note("violations", "{name} $0 $$"); exit 1; }}
open(my $stat, '<', "/proc/$$/stat");
note("starts.{name}", (split ' ', <$stat> =~ s/.*\) //r)[19] / 100) if $0 =~ /run$/;
"#
    )
}

/// The lines of a file that may not be there.
pub fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Nobody ran twice.
#[track_caller]
pub fn assert_alone(tree: &Tree) {
    assert_eq!(lines(&tree.path("violations")), Vec::<String>::new(), "two instances at once");
}

/// When a service that starts with [`alone`] was started, in seconds; by the kernel, so a busy machine makes nobody late.
pub fn starts(tree: &Tree, name: &str) -> Vec<f64> {
    lines(&tree.path(&format!("starts.{name}"))).iter().filter_map(|line| line.parse().ok()).collect()
}

/// Reads lines until the end, in a thread of its own.
pub fn collect(reader: PipeReader) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).expect("a pipe can be read") > 0 {
            lines.push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
            line.clear();
        }
        lines
    })
}

/// The lines `WORD 1`, `WORD 2` ... come in order, each once.
#[track_caller]
pub fn assert_gapless(lines: &[String], word: &str) -> u64 {
    let mut last = 0;
    for line in lines {
        let Some(number) = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) else { continue };
        let number: u64 = number.parse().unwrap_or_else(|_| panic!("a broken line behind {word} {last}: {line:?}"));
        assert_eq!(number, last + 1, "{word}: {number} follows {last}");
        last = number;
    }
    last
}

/// How long it takes until control answers.
#[track_caller]
pub fn answer_time(tree: &Tree) -> Duration {
    let begin = Instant::now();
    until("control", || tree.list().ok());
    begin.elapsed()
}

/// Makes a FIFO, for a service that waits to be told.
pub fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

/// Lets a service go on that reads a line from a FIFO. Waits for it to be there.
pub fn release(path: &Path) {
    fs::File::options().write(true).open(path).and_then(|mut file| file.write_all(b"go\n")).expect("somebody reads");
}

/// The status, which must be there.
#[track_caller]
pub fn status(tree: &Tree, name: &str) -> api::Status {
    until(name, || tree.status(name))
}

/// The lateness of this machine: how much longer than asked for a short sleep took at worst. What is measured while others
/// need the processors is allowed to be late by as much.
pub struct Canary {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Canary {
    pub fn start() -> Canary {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut worst = Duration::ZERO;
            while !told.load(std::sync::atomic::Ordering::Relaxed) {
                let begin = Instant::now();
                std::thread::sleep(Duration::from_millis(5));
                worst = worst.max(begin.elapsed() - Duration::from_millis(5));
            }
            worst
        });
        Canary { stop, thread }
    }

    pub fn worst(self) -> Duration {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().expect("it only sleeps")
    }
}
