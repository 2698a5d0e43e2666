//! What the run directory has of a service.

use alloc::format;
use alloc::string::String;

/// Copies of secrets that only the service's user can read.
pub const CREDENTIALS: &str = "credentials";

/// What is in a line of `svc exec`, if it is one: without who says it, and for whom.
pub fn said_by_exec<'a>(line: &'a str, service: &str) -> Option<&'a str> {
    let said = line.strip_prefix("svc exec: ")?;
    Some(said.strip_prefix(service).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(said))
}

/// A place for files of one kind, which the service shares with no other.
pub fn of_service(kind: &str, service: &str) -> String {
    format!("{kind}/{}", service.replace('/', "@@"))
}
