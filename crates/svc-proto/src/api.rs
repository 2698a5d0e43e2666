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
//! | `POST /v1/apply` | [`Apply`] | [`Outcomes`] of what was started and stopped, once that has happened, or not |
//! | `POST /v1/scale` | [`Scale`] | [`Scaled`] at once |
//! | `POST /v1/shutdown` | [`Shutdown`] | [`Done`] at once; the end of the connection is the end of svc |
//!
//! Errors are a status of 400 and above and an [`ErrorBody`]. Times are milliseconds since 1970 (`*_ms`), spans seconds or
//! milliseconds as their names say.

mod control;
mod graph;
mod plan;
mod status;
mod streams;

use serde::{Deserialize, Serialize};

pub use control::{Control, MOST_INSTANCES, Outcome, Outcomes, Scale, Scaled, Shutdown, Until, Verb, Verdict, Wait};
pub use graph::{Boot, FirstStart, Graph, LeftOut, Node, NodeKind};
pub use plan::{Apply, Difference, Plan, Planned, Step};
pub use status::{Death, Detail, Excess, Health, HealthVerdict, Phase, Problem, Services, State, Status, Timer};
pub use streams::{Change, EventKind, LogLine, Stream};

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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub message: String,
}

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What, where and the cure, in one line.
    pub error: String,
}

fn yes() -> bool {
    true
}

fn is_no(flag: &bool) -> bool {
    !flag
}
