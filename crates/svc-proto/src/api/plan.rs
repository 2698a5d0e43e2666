//! What is on disk and not yet running: what a rescan would do, and the request to do it.

use serde::{Deserialize, Serialize};

use super::yes;

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

/// Two values, as they are written; none where there is none, and in both of a file of an s6-rc source.
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
    /// Of the plan that was shown, those that were to start or to stop: they are waited for and told of, whoever began with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}
