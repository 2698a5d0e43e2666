//! Where files go that are made for one service: into the run directory, which is of memory as a rule.

use std::path::{Path, PathBuf};

/// For what `kind` says, a place of the service of this name, which shares it with no other. It is not made.
pub fn of_service(run_dir: &Path, kind: &str, service: &str) -> PathBuf {
    run_dir.join(kind).join(service.replace('/', "@@"))
}
