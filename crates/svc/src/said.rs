//! What `svc exec` says: a line, with the name of the service that it is for where it is told of one.

use std::fmt::Arguments;
use std::sync::OnceLock;

static SERVICE: OnceLock<String> = OnceLock::new();

pub(crate) fn is_for(service: &str) {
    let _ = SERVICE.set(format!("{service}: "));
}

pub(crate) fn line(what: Arguments<'_>) -> String {
    format!("svc exec: {}{what}\n", SERVICE.get().map_or("", String::as_str))
}

pub(crate) fn say(what: Arguments<'_>) {
    eprint!("{}", line(what));
}
