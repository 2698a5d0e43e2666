//! s6-log: lines through a pipe into a log directory, ours and s6's in turn.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::competitor::Competitor;
use super::report::{Bar, Row};
use super::{Programs, Result};

/// A line, with its end: what many loggers have been measured with.
const LINE: usize = 95;
const CHUNK: usize = 1 << 20;

/// A way to keep lines.
struct Case {
    name: &'static str,
    directives: &'static [&'static str],
    /// How many times as fast as s6's ours must be.
    bar: f64,
}

const CASES: [Case; 4] = [
    Case { name: "s6-log as they come", directives: &["s16777215"], bar: 2.0 },
    Case { name: "s6-log with stamps (t)", directives: &["s16777215", "t"], bar: 1.5 },
    Case { name: "s6-log as they come, files of 100 kB", directives: &[], bar: 2.0 },
    Case { name: "s6-log with stamps (t), files of 100 kB", directives: &["t"], bar: 1.5 },
];

/// A row a case; `bytes` go through each time.
pub(crate) fn run(runs: usize, bytes: usize, competitors: &[Competitor], programs: &Programs) -> Result<Vec<Row>> {
    let place = Place::new().map_err(|error| format!("cannot make a place for logs: {error}"))?;
    let ours = place.root.join("s6-log");
    symlink(&programs.svc, &ours).map_err(|error| format!("{}: {error}", ours.display()))?;
    let mut rows = Vec::new();
    for case in CASES {
        let mut row = Row::new(case.name.into(), "MB/s", Bar::AtLeastTimesS6(case.bar));
        for round in 1..=runs {
            for &competitor in competitors {
                let program = match competitor {
                    Competitor::Ours => ours.as_path(),
                    Competitor::S6 => Path::new("s6-log"),
                    Competitor::Runit | Competitor::Supervisor => continue,
                };
                eprintln!("{}, round {round} of {runs}: {}", case.name, competitor.name());
                let rate = measure(program, &place.root.join("log"), case.directives, bytes)
                    .map_err(|error| format!("{} of {}: {error}", case.name, competitor.name()))?;
                row.add(competitor, Some(rate));
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Megabytes a second, until the logger has ended.
fn measure(program: &Path, dir: &Path, directives: &[&str], bytes: usize) -> std::io::Result<f64> {
    let _ = fs::remove_dir_all(dir);
    let lines = chunk();
    let began = Instant::now();
    let mut command = Command::new(program);
    let mut child = command.args(["-b", "n10"]).args(directives).arg(dir).stdin(Stdio::piped()).spawn()?;
    let mut stdin =
        child.stdin.take().map(std::os::fd::OwnedFd::from).map(File::from).ok_or(std::io::ErrorKind::BrokenPipe)?;
    let mut written = 0;
    while written < bytes {
        stdin.write_all(&lines)?;
        written += lines.len();
    }
    drop(stdin);
    let status = child.wait()?;
    let took = began.elapsed();
    if !status.success() {
        return Err(std::io::Error::other(format!("it ended with {status}")));
    }
    Ok(written as f64 / 1e6 / took.as_secs_f64())
}

/// Whole lines, about a megabyte.
fn chunk() -> Vec<u8> {
    let mut lines = Vec::with_capacity(CHUNK);
    for number in 0..CHUNK / LINE {
        let begin = lines.len();
        lines.extend_from_slice(format!("{number:010} ").as_bytes());
        lines.resize(begin + LINE - 1, b'x');
        lines.push(b'\n');
    }
    lines
}

/// Where the logs go, in memory if there is such a place: a disk would be what is measured.
struct Place {
    root: PathBuf,
}

impl Place {
    fn new() -> std::io::Result<Place> {
        let memory = Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let root = above.join(format!("svc-bench-log-{}", std::process::id()));
        fs::create_dir(&root)?;
        Ok(Place { root })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
