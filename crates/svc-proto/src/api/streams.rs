//! What is sent line by line, for as long as somebody reads.

use serde::{Deserialize, Serialize};

use super::Death;

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
