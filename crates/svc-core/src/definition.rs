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
