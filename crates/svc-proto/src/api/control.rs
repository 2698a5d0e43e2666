//! What services are told to do, what is waited for, and what has become of it.

use serde::{Deserialize, Serialize};

use super::{Status, is_no, yes};

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
    /// There is no service of the name any more.
    Gone,
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
    /// Also where others need an instance that goes.
    #[serde(default, skip_serializing_if = "is_no")]
    pub dependents: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaled {
    pub message: String,
    /// Those that were not there before.
    pub new: Vec<String>,
    /// Those that are there still, and leave.
    #[serde(default)]
    pub gone: Vec<String>,
}

/// The body of `POST /v1/shutdown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// The exit code of svc, and so of the container. The last one that is named counts; without any it is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// Kill at once instead of stopping in order.
    #[serde(default)]
    pub force: bool,
}
