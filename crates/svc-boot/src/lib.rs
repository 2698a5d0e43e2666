//! How a container that was made for something else becomes what svc-scan runs: a *layout* looks at what an image has, and lays it
//! out as scan directories, sources and the words to start svc-scan with. One module a convention.
//!
//! A layout runs before svc-init exists and is gone when it does, so it may parse and allocate as it likes. It starts no service:
//! what has to happen in some order becomes oneshots in the graph, which have timeouts, logs and a place in `svc-ctl status` like
//! all others. The programs of these oneshots are the *steps* of the layout.
#![forbid(unsafe_code)]

pub mod my_init;
pub mod s6_overlay;

mod children;
mod files;
mod guard;
mod mistakes;
mod scripts;

use std::path::Path;

use svc_sys::say;

/// Something that did not work, with its path: one line, and the layout goes on.
fn complain(path: &Path, error: impl std::fmt::Display, cure: &str) {
    let cure = if cure.is_empty() { String::new() } else { format!(": {cure}") };
    say!("svc: {}: {error}{cure}", path.display());
}
