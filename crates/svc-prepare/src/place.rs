//! Where files go that are made for one service: into the run directory, which is of memory as a rule.

use std::path::{Path, PathBuf};

use crate::me;

/// For what `kind` says, a place of the service of this name, which shares it with no other. It is not made.
pub fn of_service(run_dir: &Path, kind: &str, service: &str) -> PathBuf {
    run_dir.join(svc_core::run::of_service(kind, service))
}

/// How to give svc a place where it may write, in a container that has none.
pub fn cure() -> String {
    let uid = me().uid;
    // An engine gives a tmpfs the mode of the directory below it, and its owner only if told.
    let owner = if uid == 0 { String::new() } else { format!(":uid={uid}") };
    format!("mount a tmpfs at /run (docker run --tmpfs /run{owner})")
}
