//! What several of these tests need: numbered lines, and one instance at a time.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use svc_testkit::{Tree, api, until};

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

/// What follows the head of [`alone`]: numbered lines, and after each the number in the file `count`, where the next life goes on.
/// Killed between the two, it writes the line again.
pub fn counting(tree: &Tree, word: &str, pause: &str) -> String {
    format!(
        r#"sysopen(my $count, '{}', Fcntl::O_RDWR | Fcntl::O_CREAT);
sysread($count, my $n, 20);
my $end = 0;
$SIG{{TERM}} = sub {{ $end = 1 }};
while (!$end) {{
  syswrite(STDOUT, "{word} " . ($n + 1) . "
") or next;
  $n += 1;
  sysseek($count, 0, 0);
  syswrite($count, sprintf('%020d', $n));
  {pause}
}}
"#,
        tree.path("count").display()
    )
}

/// The number of the last line that [`counting`] is known to have written.
#[track_caller]
pub fn counted(tree: &Tree) -> u64 {
    fs::read_to_string(tree.path("count")).ok().and_then(|text| text.parse().ok()).expect("a number")
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

/// The status, which must be there.
#[track_caller]
pub fn status(tree: &Tree, name: &str) -> api::Status {
    until(name, || tree.status(name))
}
