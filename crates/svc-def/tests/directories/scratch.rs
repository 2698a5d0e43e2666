//! Directories and files for tests, and a way to be somebody whom modes bind. Waits for nothing.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use svc_core::ServiceName;
use svc_def::{Outcome, Problem, Reading};

/// A directory that goes away with its value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("svc-def-{}-{number}", std::process::id()));
        // What an earlier process of the same id left behind.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a writable temporary directory");
        chmod(&path, 0o755);
        Scratch(path)
    }

    /// A service that is all right: a `run` of one line.
    pub fn service() -> Scratch {
        let scratch = Scratch::new();
        scratch.program("run", "#!/bin/sh\nexec sleep 1000\n");
        scratch
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, content).expect("a writable scratch directory");
        path
    }

    pub fn program(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name, content);
        chmod(&path, 0o755);
        path
    }

    pub fn directory(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir(&path).expect("a writable scratch directory");
        path
    }

    pub fn link(&self, name: impl AsRef<OsStr>, target: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        symlink(target, &path).expect("a writable scratch directory");
        path
    }

    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo of coreutils");
        assert!(made.success());
        path
    }

    pub fn read(&self) -> Reading {
        svc_def::read(self.path(), &name("web"), None)
    }

    /// The one problem of a directory that can be started nevertheless.
    pub fn warning(&self) -> String {
        let reading = self.read();
        assert!(matches!(reading.outcome, Outcome::Ready(_)), "{reading:?}");
        let problem = the_only(reading.problems);
        assert!(!problem.fatal, "{problem}");
        problem.to_string()
    }

    /// The one problem of a directory that cannot be started.
    pub fn fatal(&self) -> String {
        let reading = self.read();
        assert!(matches!(reading.outcome, Outcome::Broken), "{reading:?}");
        let problem = the_only(reading.problems);
        assert!(problem.fatal, "{problem}");
        problem.to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have closed directories to itself; what cannot be removed is only litter.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).expect("a name that the test chose well")
}

pub fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
}

fn the_only(mut problems: Vec<Problem>) -> Problem {
    let problem = problems.pop().expect("a problem");
    assert_eq!(problems, [], "one mistake is one problem");
    problem
}

/// Checks that a message is one line and has all these words in it.
#[track_caller]
pub fn says(message: &str, words: &[&str]) {
    assert!(!message.chars().any(char::is_control), "one clean line: {message:?}");
    assert!(!message.ends_with('.'), "no full stop: {message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
}

/// Runs `check` as somebody whom modes bind. Root runs this very test, `test`, once more in a child with another uid.
pub fn as_ordinary_user(test: &str, check: impl FnOnce()) {
    const NOBODY: u32 = 65534;
    if std::fs::metadata("/proc/self").expect("a /proc").uid() != 0 {
        return check();
    }
    // The build's own directory may be closed to others.
    let scratch = Scratch::new();
    let program = scratch.join("test");
    std::fs::copy(std::env::current_exe().expect("a running test"), &program).expect("room for a copy of the test");
    chmod(&program, 0o755);
    let room = scratch.directory("tmp");
    chmod(&room, 0o777);
    let mut command = Command::new(&program);
    command.args(["--exact", test]).env("TMPDIR", &room).current_dir("/").uid(NOBODY).gid(NOBODY);
    let output = loop {
        match command.output() {
            // Another test forked while our copy was open for writing; its child executes in a moment.
            Err(error) if error.raw_os_error() == Some(26) => std::thread::yield_now(),
            outcome => break outcome.expect("root may become nobody"),
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "as nobody: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
