//! What one supervisor must know of its service. `svc-def` makes these from directories, `svc-proto` carries them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::graph::Wish;
use crate::health::Checks;
use crate::policy::{Essential, Policy, Stopping};
use crate::signal::Signal;
use crate::time::Millis;

/// A service, checked and complete: with this a supervisor needs neither `svc-scan` nor a parser to restart it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name that `run` gets as its argument: `web` or `web/log`.
    pub name: String,
    /// Where the service lives: its working directory, absolute, in bytes because paths are.
    pub dir: Vec<u8>,
    pub program: Program,
    pub output: Output,
    /// A `down` file was there: do not start before somebody asks.
    pub down: bool,
    /// Its end is the end of the container.
    pub essential: Option<Essential>,
    /// It starts and stops when svc-scan says so, who knows what it depends on, and not by itself. How much it is wished then.
    pub managed: Option<Wish>,
    pub settings: Settings,
}

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `./run` and `./finish` of the directory, with the small files beside them read again whenever they matter.
    Directory,
    /// This command line, looked up in PATH; no finish.
    Command(Vec<Vec<u8>>),
    /// The words behind `svc exec`: what it is to change, then `--` and a command line. No finish.
    Chain(Vec<Vec<u8>>),
    /// A oneshot: what brings it up, and what takes it down. None does nothing, and succeeds.
    Oneshot { up: Option<Script>, down: Option<Script> },
}

impl Program {
    /// Whether it is what `svc exec` executes, when it has made ready what that needs.
    pub fn is_chain(&self) -> bool {
        matches!(self, Program::Chain(_) | Program::Oneshot { up: Some(Script::Chain(_)), .. })
    }

    /// Options of `svc exec` that make files for a service.
    const MAKE: [&[u8]; 2] = [b"--template", b"--distribution"];

    /// Whether it is executed with another root, where no path means what it means here.
    pub fn has_other_root(&self) -> bool {
        match self {
            Program::Chain(words) => Chain::of(words).options.iter().any(|word| word == b"--chroot"),
            Program::Directory | Program::Command(_) | Program::Oneshot { .. } => false,
        }
    }

    /// What `svc exec` is told to make ready before it starts, if files are made for it.
    pub fn made_by(&self) -> Option<&[Vec<u8>]> {
        match self {
            Program::Chain(words) | Program::Oneshot { up: Some(Script::Chain(words)), .. } => {
                let Chain { options, .. } = Chain::of(words);
                options.iter().any(|word| Self::MAKE.contains(&word.as_slice())).then_some(options)
            }
            Program::Directory | Program::Command(_) | Program::Oneshot { .. } => None,
        }
    }
}

/// What stands behind `svc exec`: what it is to change, up to `--`, and the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain<'a> {
    pub options: &'a [Vec<u8>],
    pub command: &'a [Vec<u8>],
}

impl Chain<'_> {
    pub fn of(words: &[Vec<u8>]) -> Chain<'_> {
        let (options, mut command) = parted(words);
        if words.first().is_some_and(|first| first == b"--probe") {
            // In front of the command is what looks whether it is ready, and that may be a command too.
            let own = command.iter().position(|word| word == b"--words");
            let count = own.and_then(|at| core::str::from_utf8(command.get(at + 1)?).ok()?.parse::<usize>().ok());
            let probe = own.zip(count).map_or(0, |(at, count)| (at + 3).saturating_add(count).min(command.len()));
            command = parted(&command[probe..]).1;
        }
        Chain { options, command }
    }

    /// What stands behind an option, the first time.
    pub fn value(&self, option: &str) -> Option<&[u8]> {
        let at = self.options.iter().position(|word| word == option.as_bytes())?;
        self.options.get(at + 1).map(Vec::as_slice)
    }
}

/// What is in front of `--`, and behind it. Without one all of it is behind.
fn parted(words: &[Vec<u8>]) -> (&[Vec<u8>], &[Vec<u8>]) {
    match words.iter().position(|word| word == b"--") {
        Some(end) => (&words[..end], &words[end + 1..]),
        None => words.split_at(0),
    }
}

/// One half of a oneshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// A file that is run by what it is written for, whether or not it is executable. The path is absolute, in bytes because
    /// paths are.
    File { path: Vec<u8>, language: Language },
    /// The words behind `svc exec`.
    Chain(Vec<Vec<u8>>),
}

/// What a script is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// execline without arguments.
    Execline,
    /// What its first line names.
    FirstLine,
}

/// Where standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To `svc-log`, standard error too.
    Keeper,
    /// Into the pipe of its own logger; standard error to `svc-log`.
    Logger,
    /// Straight to what svc was started with: the terminal of a main program.
    Inherit,
    /// Where that of the supervisor goes: it was started for this one service, as s6-supervise is.
    Starter,
}

/// What the small files of a service directory set. `Default` is what holds where there is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The descriptor on which the service writes a newline when it is ready.
    pub notification_fd: Option<u32>,
    /// The descriptor on which the service holds a lock that outlives its supervisor.
    pub lock_fd: Option<u32>,
    /// SIGKILL for `finish` after this long; zero for never.
    pub timeout_finish: Millis,
    /// SIGKILL for a stopping service after this long; zero for never.
    pub timeout_kill: Millis,
    /// That SIGKILL goes to the whole process group.
    pub kill_group: bool,
    /// How many deaths are remembered.
    pub max_death_tally: u16,
    pub down_signal: Signal,
    pub reload_signal: Signal,
    /// Run as process 1 of a PID namespace of its own.
    pub new_pid_namespace: bool,
    /// Leave processes alone that the service leaves behind.
    pub keep_descendants: bool,
    /// Its end is the end of the container: the first one, where neither a `finish` nor a policy is there to say more.
    pub essential: bool,
    /// What few services say: when to start again.
    pub policy: Option<Box<Policy>>,
    /// What few services say of how they are stopped.
    pub stopping: Option<Box<Stopping>>,
    /// The command ends when it has put a daemon into the background, and that is the service.
    pub forking: Option<Forking>,
    /// It is started when somebody comes to its sockets.
    pub on_demand: Option<OnDemand>,
    /// What is looked at while it runs; small files say nothing of that.
    pub checks: Option<Box<Checks>>,
}

/// How the daemon is found among what the command has left behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forking {
    /// Where the daemon may have written its pid, in bytes because paths are; relative to the service directory.
    pub pid_file: Option<Vec<u8>>,
}

/// How long it is kept for those who come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnDemand {
    /// It is stopped when nobody has come for so long; zero for never.
    pub idle_stop: Millis,
}

impl Settings {
    /// Whether it can be told when the service is ready.
    pub fn says_ready(&self) -> bool {
        let by_socket = self.checks.as_ref().is_some_and(|checks| checks.says_ready);
        self.notification_fd.is_some() || self.forking.is_some() || by_socket
    }

    /// Whether its health is looked at.
    pub fn has_health(&self) -> bool {
        self.checks.as_ref().is_some_and(|checks| checks.health.is_some())
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            notification_fd: None,
            lock_fd: None,
            timeout_finish: Millis::from_secs(5),
            timeout_kill: Millis::ZERO,
            kill_group: false,
            max_death_tally: 100,
            down_signal: Signal::TERM,
            reload_signal: Signal::HUP,
            new_pid_namespace: false,
            keep_descendants: false,
            essential: false,
            policy: None,
            stopping: None,
            forking: None,
            on_demand: None,
            checks: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_command_of_a_chain_is_found_behind_its_options_and_its_probe() {
        let parts = |text: &str| {
            let words = words(text);
            let Chain { options, command } = Chain::of(&words);
            (options.join(&b' '), command.join(&b' '))
        };
        let are = |options: &str, command: &str| (options.as_bytes().to_vec(), command.as_bytes().to_vec());
        assert_eq!(parts("nginx -g x"), are("", "nginx -g x"));
        assert_eq!(parts("--user web -- nginx -- x"), are("--user web", "nginx -- x"));
        assert_eq!(parts("--probe --user web -- --notify 3 tcp :80 -- nginx"), are("--probe --user web", "nginx"));
        let exec = "--probe -- --notify 3 --words 3 exec sh -- x -- nginx -g x";
        assert_eq!(parts(exec), are("--probe", "nginx -g x"));
        // Whatever it says, nothing beyond its end is looked at.
        assert_eq!(parts("--probe -- --words 18446744073709551615 exec x -- nginx"), are("--probe", ""));
        assert_eq!(Chain::of(&words("--user web -- nginx")).value("--user"), Some(&b"web"[..]));
        assert_eq!(Chain::of(&words("--home -- nginx --user x")).value("--user"), None);
    }
}
