//! What chain-loaders and small programs do to a process, beside the programs whose names they have.

mod fronts;
mod identity;
mod locks;
mod path;
mod readiness;
mod small;
mod state;
mod words;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_testkit::{Said, needs, program};

/// Ours, under this name, with an environment that is the same in every test.
fn ours(name: &str) -> Command {
    let mut command = Command::new(program());
    command.arg0(name);
    clean(&mut command);
    command
}

fn clean(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/").current_dir("/");
}

/// The program of this name that Debian installs. Says so if there is none.
fn theirs(name: &str) -> Option<Command> {
    let package = match name {
        "eltest" => "execline",
        "chpst" => "runit",
        _ if name.starts_with("s6-") => "s6",
        _ => "daemontools",
    };
    let dirs = ["/usr/bin", "/bin", "/usr/sbin", "/usr/lib/execline/bin"];
    let found = dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    if !needs(&format!("{name}, of Debian's {package}"), found.is_some()) {
        return None;
    }
    let mut command = Command::new(found?);
    clean(&mut command);
    Some(command)
}

/// Asserts that both programs of this name print the same and end with the same code.
#[track_caller]
fn assert_same(name: &str, words: &[&str]) {
    assert_same_with(name, words, |_| {});
}

/// The same, with something prepared for both.
#[track_caller]
fn assert_same_with(name: &str, words: &[&str], prepare: impl Fn(&mut Command)) {
    let Some(mut theirs) = theirs(name) else { return };
    let mut ours = ours(name);
    let [ours, theirs] = [&mut ours, &mut theirs].map(|command| {
        prepare(command);
        Said::by(command.args(words))
    });
    assert_eq!((&ours.out, ours.code), (&theirs.out, theirs.code), "{name} {words:?}\nours: {ours:?}\ntheirs: {theirs:?}");
}

/// Asserts what ours prints, and its code.
#[track_caller]
fn assert_ours(name: &str, words: &[&str], out: &str, code: i32) {
    let said = Said::by(ours(name).args(words));
    assert_eq!((said.out.as_str(), said.code), (out, code), "{name} {words:?}: {said:?}");
}

/// A directory of its own for a test, which every user can enter.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = PathBuf::from(format!("/tmp/svc-process-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("room in /tmp");
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain name")
    }

    /// Writes a file in it, and returns its path.
    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, contents).expect("ours");
        path.to_str().expect("a plain name").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether a process waits in a system call of one of these numbers (of amd64, and of arm64).
fn waits_in(pid: u32, calls: &[&str]) -> Option<()> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    calls.iter().any(|number| call.starts_with(number)).then_some(())
}
