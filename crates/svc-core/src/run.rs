//! What the run directory has of a service.

use alloc::format;
use alloc::string::String;

/// Copies of secrets that only the service's user can read.
pub const CREDENTIALS: &str = "credentials";

/// A place for files of one kind, which the service shares with no other.
pub fn of_service(kind: &str, service: &str) -> String {
    format!("{kind}/{}", service.replace('/', "@@"))
}
