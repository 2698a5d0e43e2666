//! The control API, version 1: JSON bodies of HTTP/1.1 requests on `control.sock`. docs/openapi.yaml describes the same for
//! those who read no Rust; a test compares the two.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/version` | | [`Version`] |
//! | `GET /v1/services` | | [`Services`] |
//! | `GET /v1/services/NAME` (`/` in a name as `%2F`) | | [`Detail`] |
//! | `GET /v1/graph` | | [`Graph`] |
//! | `GET /v1/boot` | | [`Boot`] |
//! | `POST /v1/control` | [`Control`] | [`Outcomes`], once everything asked for has happened, or not |
//! | `POST /v1/wait` | [`Wait`] | [`Outcomes`] |
//! | `GET /v1/events` | | a stream of [`Change`], a line of JSON each |
//! | `GET /v1/logs?service=NAME&lines=N&follow=1` (`service` may stand several times; none: all) | | a stream of [`LogLine`], a line of JSON each |
//! | `POST /v1/rescan` | | [`Done`] |
//! | `GET /v1/plan` | | [`Plan`] |
//! | `POST /v1/apply` | [`Apply`] | [`Outcomes`] of what was started, once that has happened, or not |
//! | `POST /v1/scale` | [`Scale`] | [`Scaled`] at once |
//! | `POST /v1/shutdown` | [`Shutdown`] | [`Done`] at once; the end of the connection is the end of svc |
//!
//! Errors are a status of 400 and above and an [`ErrorBody`]. Times are milliseconds since 1970 (`*_ms`), spans seconds or
//! milliseconds as their names say.

use serde::{Deserialize, Serialize};

/// The version in the paths, `/v1/`. It changes when a client of the old one would misunderstand.
pub const VERSION: u32 = 1;

/// What is running here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    pub version: String,
    pub api: u32,
    /// Process id of svc-init, as svc-scan sees it.
    pub init_pid: i32,
    pub scan_pid: i32,
    pub scan_dirs: Vec<String>,
}

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

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Start,
    Stop,
    Restart,
    /// Send the reload signal.
    Reload,
    /// Start, and do not start again when it ends.
    Once,
    /// Send `signal`.
    Kill,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Continue,
    /// Run a timer, or a oneshot once more, to its end.
    Run,
}

/// The body of `POST /v1/control`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub verb: Verb,
    pub services: Vec<String>,
    /// For `kill`: `TERM`, `SIGTERM` or `15`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// For `stop` of what others need: refuse (default), or stop those first.
    #[serde(default, skip_serializing_if = "is_no")]
    pub dependents: bool,
    /// For `stop`: also what only these depended on. For `start`: also stop everything that these do not depend on.
    #[serde(default, skip_serializing_if = "is_no")]
    pub prune: bool,
    /// Answer when it has happened (default) or at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// How long to wait; none: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Control {
    /// This for these, until it has happened.
    pub fn new(verb: Verb, services: Vec<String>) -> Control {
        Control { verb, services, signal: None, dependents: false, prune: false, wait: true, timeout_ms: None }
    }
}

fn yes() -> bool {
    true
}

fn is_no(flag: &bool) -> bool {
    !flag
}

/// Everything that stands in the graph: services with dependencies, and names for several of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// By name.
    pub nodes: Vec<Node>,
    /// Those that do not fit in with the others.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// A service that does not fit in with the others, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub name: String,
    pub problem: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub kind: NodeKind,
    /// It is where a dependent would want it: ready, or done.
    pub up: bool,
    pub state: State,
    /// Somebody asked for it by name, or its definition did; not only for something that needs it.
    pub wanted: bool,
    /// Stopping it must be insisted on.
    pub essential: bool,
    /// What it depends on, or the members of a bundle.
    pub needs: Vec<String>,
    /// Those of them that it waits for, and goes on without: `wants`, `after`, and who has it in `before`.
    #[serde(default)]
    pub soft: Vec<String>,
    /// How long its start may take, and its stop; 0 for ever.
    pub start_timeout_ms: u64,
    pub stop_timeout_ms: u64,
    /// Why it is not where it should be.
    pub problem: Option<String>,
    /// Why it is as it is though nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub dir: Option<String>,
}

impl Node {
    /// What it waits for, and whether it goes on without.
    pub fn edges(&self) -> impl Iterator<Item = (&str, bool)> {
        self.needs.iter().map(|on| (on.as_str(), self.soft.contains(on)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    Longrun,
    Oneshot,
    Bundle,
    Timer,
}

/// How the start of everything went. Spans are from `began_ms` on; `null` is what has not happened, or is not known any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    pub began_ms: u64,
    /// When everything that was to be up was, or had failed to be.
    pub settled_after_ms: Option<u64>,
    /// svc-scan has been started again since: of what happened before, only what supervisors remember is known.
    pub incomplete: bool,
    /// The service that was up last of all that belong to the start, and behind each what it waited for last.
    pub chain: Vec<String>,
    /// By name.
    pub services: Vec<FirstStart>,
}

/// How the first start of a service went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstStart {
    pub name: String,
    pub kind: NodeKind,
    /// Somebody wanted it up: its definition, one that needs it, or a user.
    pub wanted_after_ms: Option<u64>,
    /// Its program was executed.
    pub began_after_ms: Option<u64>,
    /// It was up, and ready if it says when it is; a oneshot was done.
    pub there_after_ms: Option<u64>,
    /// Of all that it waited for, what came last.
    pub waited_for: Option<String>,
    /// It was wanted only after the start was over.
    pub later: bool,
    /// It had begun before svc-scan was started again: `null` is what is not known.
    pub recovered: bool,
}

/// What `POST /v1/wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// `run` was executed.
    Up,
    /// Up, and ready if it says when it is.
    Ready,
    /// Ready, and its health check says that it is well.
    Healthy,
    /// The main process is gone.
    Down,
    /// Gone, `finish` done, and nothing left of it.
    Finished,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    pub services: Vec<String>,
    pub until: Until,
    /// Return when one of them is there, not all.
    #[serde(default)]
    pub any: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// One answer for each service asked for, in the order asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    pub outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub service: String,
    pub result: Verdict,
    /// What happened, for people: `up (pid 12), ready after 0.3 s`.
    pub message: String,
    /// The service's status at that moment; none where there is no such service.
    pub status: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Done,
    Failed,
    TimedOut,
    NoSuchService,
}

/// One line of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub at_ms: u64,
    pub service: String,
    pub event: EventKind,
    pub pid: Option<i32>,
    /// For `exited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Death>,
    /// For `problem`, `lagged`, `healthy` and `unhealthy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The stream begins: everything after this line is new.
    Subscribed,
    /// A directory became a service.
    Added,
    /// A service's directory is gone, and so is the service.
    Removed,
    Starting,
    Up,
    Ready,
    /// Its health check says so; `message` is what it said.
    Healthy,
    Unhealthy,
    Stopping,
    Exited,
    Finishing,
    Draining,
    /// Nothing of it is left.
    Down,
    /// The first connection or datagram at its sockets starts it.
    Armed,
    /// `finish` said 125.
    Failed,
    Problem,
    /// The reader was too slow, and changes were left out; `message` says how many.
    Lagged,
}

/// One line of `GET /v1/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub service: String,
    pub at_ms: u64,
    pub stream: Stream,
    /// Without its newline; bytes that are no UTF-8 are replaced by U+FFFD.
    pub line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What a rescan would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// By name; those that nothing has changed of are not listed.
    pub steps: Vec<Step>,
}

/// What would become of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub service: String,
    pub change: Planned,
    pub why: String,
    /// The keys of its service.toml that have other values.
    pub differences: Vec<Difference>,
    /// What stands there cannot be used, and `why` says why.
    #[serde(default)]
    pub broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Planned {
    Start,
    Stop,
    Restart,
    Reload,
    Nothing,
}

/// Two values, as they are written; none where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The body of `POST /v1/apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Answer when it has happened (default) or at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// How long to wait; none: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The most instances of one template.
pub const MOST_INSTANCES: u32 = 4096;

/// The body of `POST /v1/scale`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// `worker` for the template worker@.
    pub template: String,
    /// How many instances there are to be; none: as many as the definition says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaled {
    pub message: String,
    /// Those that were not there before.
    pub new: Vec<String>,
}

/// The body of `POST /v1/shutdown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// The exit code of svc, and so of the container.
    #[serde(default)]
    pub code: u8,
    /// Kill at once instead of stopping in order.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub message: String,
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What, where and the cure, in one line.
    pub error: String,
}

/// What s6's tools look for in a scan directory.
pub mod s6_svscan {
    pub const FOLDER: &str = ".s6-svscan";
    pub const LOCK: &str = "lock";
    pub const CONTROL: &str = "control";
}

/// Where a client looks for the control socket, and where svc-scan puts it.
pub mod place {
    /// Overrides everything below.
    pub const ENV: &str = "SVC_RUN_DIR";
    pub const DEFAULT: &str = "/run/svc";
    pub const SOCKET: &str = "control.sock";
    /// In the run directory: a directory for each service directory, named after its device and inode, with the files of s6's
    /// tools (`supervise/` and `event/`).
    pub const FILES: &str = "servicedirs";
    /// In the run directory: links by name to those whose service directory could not get any.
    pub const STAND_INS: &str = "services";
    /// In the run directory: those of scanners that found it taken.
    pub const TREES: &str = "trees";

    /// The name in the abstract namespace (behind its NUL byte) where no directory at all can be written. That namespace is the
    /// network's, which containers with `--network host` share; the mount namespace, whose number this ends in, they do not.
    pub fn abstract_name() -> String {
        let link = std::fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
        let number: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        if number.is_empty() { "svc/control".into() } else { format!("svc/control/{number}") }
    }
}
