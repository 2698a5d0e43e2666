//! The loggers that scripts call: s6-log and what is like it, against Debian's, against SIGKILL, against full disks.
#![forbid(unsafe_code)]

mod bounds;
mod crash;
mod differential;
mod full_disk;
mod others;
mod processors;
mod signals;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use svc_testkit::program;

/// A directory of a test's own, gone with it.
pub struct Place(PathBuf);

impl Place {
    pub fn new(name: &str) -> Place {
        // Several tests may use one name.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("svc-compat-log-{}-{name}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Place(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One of our programs.
pub fn ours(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg(name).args(words);
    command
}

/// One of Debian's.
pub fn theirs(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(words);
    command
}

/// What a program made of its input.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs it to its end.
pub fn feed(command: &mut Command, input: &[u8]) -> Made {
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // One that ends early is seen by its exit code.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it can be waited for");
    writer.join().expect("no panic");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Made { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    svc_testkit::spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A finished file, or `current`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub name: String,
    pub mode: u32,
    pub bytes: Vec<u8>,
}

/// The finished files of a log directory, oldest first, and `current`. None if there is no such directory (yet).
pub fn logs(dir: &Path) -> Vec<Log> {
    loop {
        // A file may change its name between the two.
        if let Some(logs) = look(dir) {
            return logs;
        }
    }
}

/// The same, if all that is listed is still there when it is read.
fn look(dir: &Path) -> Option<Vec<Log>> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> = entries.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    // An at sign sorts before a letter.
    names.retain(|name| name.starts_with('@') || name == "current");
    names.sort();
    let read = |name: String| {
        let path = dir.join(&name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            opened => opened.expect("it can be read"),
        };
        let mode = file.metadata().expect("a file").permissions().mode() & 0o777;
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).expect("it can be read");
        Some(Log { name, mode, bytes })
    };
    names.into_iter().map(read).collect()
}

/// All that is in a log directory, in the order in which it was written.
pub fn all(dir: &Path) -> Vec<u8> {
    logs(dir).into_iter().flat_map(|log| log.bytes).collect()
}

/// A pipe with a name that the test keeps open, as a supervisor does.
pub fn fifo(place: &Place) -> (PathBuf, File) {
    let path = place.join("fifo");
    svc_testkit::fifo(&path);
    let keeper = File::options().read(true).write(true).open(&path).expect("a pipe");
    (path, keeper)
}
