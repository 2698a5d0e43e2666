//! How services are.

use serde::{Deserialize, Serialize};

use super::LogLine;

/// A service's state, in the words that `svc-ctl status` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing of it lives, and nothing will start by itself.
    Down,
    /// `run` died and the restart delay has not passed, or starting failed and will be tried again.
    Waiting,
    /// Nothing of it lives; the first connection or datagram at its sockets starts it.
    Armed,
    /// The process is being made.
    Starting,
    Up,
    /// Told to stop, and not gone yet.
    Stopping,
    /// `finish` runs.
    Finishing,
    /// The main process is gone, and what it left behind is being stopped.
    Draining,
    /// `finish` said 125: it will not start again before somebody asks.
    Failed,
    /// A oneshot ran to its end, and what it did stands.
    Done,
    /// The directory cannot be run as it is; `problem` says why.
    Broken,
    /// A timer that waits for its time.
    Scheduled,
    /// Its conditions do not hold here; `reason` says which.
    Skipped,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub name: String,
    pub state: State,
    /// Main process, or `finish` while it runs.
    pub pid: Option<i32>,
    /// When the state last changed between up and down.
    pub since_ms: u64,
    /// Seconds since then, on the server's clock.
    pub since_seconds: f64,
    /// Whether it is ready; `null` for a service that does not say.
    pub ready: Option<bool>,
    pub ready_since_ms: Option<u64>,
    /// How it is, where that is looked at or it says so itself; `null` for others.
    pub health: Option<Health>,
    /// Whether somebody, or the absence of a `down` file, wants it up.
    pub wanted_up: bool,
    pub paused: bool,
    /// Starts after the first one.
    pub restarts: u64,
    pub last_exit: Option<Death>,
    /// When it will be started again, if it is waiting for that.
    pub next_start_ms: Option<u64>,
    /// Why it is started then, or not any more: what its restart policy has made of its last end.
    pub verdict: Option<String>,
    /// What is wrong with it: what, where and the cure, in one line.
    pub problem: Option<String>,
    /// What is on disk is not what it runs by: `GET /v1/plan` says what that would do.
    #[serde(default)]
    pub changed: bool,
    /// Its supervisor.
    pub supervisor_pid: Option<i32>,
    pub dir: String,
    /// Why it is as it is though nothing is wrong: skipped by a condition, or what it waits for outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it runs, if it is a timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Box<Timer>>,
}

/// When a timer runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// `30 3 * * * (Europe/Berlin)`, or `every 300 s`.
    pub schedule: String,
    /// Its jitter included; none while it is down, or while the next time depends on the end of a run.
    pub next_run_ms: Option<u64>,
    /// When its last run began, and how that or the one before ended; also before the last start of svc.
    pub last_run_ms: Option<u64>,
    pub last_exit: Option<Death>,
    /// A run follows the one that is under way.
    pub queued: bool,
}

/// How a running service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// What its health check found; `null` where there is none.
    pub verdict: Option<HealthVerdict>,
    /// When that last changed.
    pub since_ms: Option<u64>,
    /// What the last check said.
    pub probe: Option<String>,
    /// What the service says of itself (STATUS of sd_notify).
    pub says: Option<String>,
    /// What it says it is doing, other than to run.
    pub phase: Option<Phase>,
    /// When it last began to use more memory than `memory.limit`, in this run or an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excess: Option<Excess>,
}

/// A service used more memory than it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excess {
    pub at_ms: u64,
    pub used_bytes: u64,
    pub limit_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    /// Not enough checks have ended yet.
    Unknown,
    Healthy,
    Unhealthy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Reloading,
    Stopping,
}

/// One end of a main process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Death {
    pub at_ms: u64,
    /// Its exit code, if it ended by itself.
    pub code: Option<u8>,
    /// The name of the signal that killed it, without `SIG` (a number for real-time signals).
    pub signal: Option<String>,
    /// How long it had run.
    pub ran_ms: u64,
    /// The kernel had killed processes of it because memory was out; known of a service with a cgroup of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_memory: bool,
    /// It had not fed its watchdog.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watchdog: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Services {
    pub services: Vec<Status>,
    /// Directory entries that are no service, with the reason: a bad name, no `run`, a loop of links ...
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

/// Everything known of one service: the answer for `svc-ctl why`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    pub status: Status,
    /// Oldest first, at most the service's `max-death-tally`.
    pub deaths: Vec<Death>,
    /// All deaths since svc started, including those no longer listed.
    pub death_count: u64,
    /// Processes in its cgroup that the kernel has killed since that was made, because memory was out.
    #[serde(default)]
    pub memory_kills: u64,
    /// Its last lines on standard error (standard output for a service with none there), oldest first.
    pub last_lines: Vec<LogLine>,
}
