//! Servers and clients on Unix sockets, ours and those of Debian's s6 package, with each other.
#![forbid(unsafe_code)]

mod access;
mod holder;
mod holder_rules;
mod server;
mod sudo;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use svc_testkit::{kill, needs, program};

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Ours,
    Theirs,
}

use Maker::{Ours, Theirs};

/// Who can be tested here: theirs only where the package is.
fn makers() -> Vec<Maker> {
    if needs("Debian's s6", Path::new("/usr/bin/s6-ipcserver").exists()) { vec![Ours, Theirs] } else { vec![Ours] }
}

/// Each server with each client.
fn pairs() -> Vec<(Maker, Maker)> {
    let makers = makers();
    makers.iter().flat_map(|&server| makers.iter().map(move |&client| (server, client))).collect()
}

impl Maker {
    /// The words by which one of the commands is called.
    fn words(self, name: &str) -> Vec<String> {
        match self {
            Ours => vec![program().display().to_string(), name.to_owned()],
            Theirs => vec![format!("/usr/bin/{name}")],
        }
    }

    fn command(self, name: &str) -> Command {
        let words = self.words(name);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin");
        command
    }
}

/// A server that runs until the test ends.
struct Server {
    child: Child,
}

impl Server {
    /// Starts it, and waits for the newline by which it says that it is ready (option -1).
    fn start(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut byte = [0];
        let count = child.stdout.as_mut().expect("piped").read(&mut byte).expect("a pipe");
        assert_eq!((count, byte), (1, [b'\n']), "{command:?} is not ready");
        Server { child }
    }

    fn signal(&self, name: &str) {
        kill(self.child.id() as i32, name);
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        svc_testkit::until("the server's end", || self.child.try_wait().expect("our child"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
