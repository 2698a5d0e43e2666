//! Where files go that are made for one service: into the run directory, which is of memory as a rule.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// For what `kind` says, a place of the service whose directory this process is in: it keeps it under whatever name. It is not made.
pub fn of_service(run_dir: &Path, kind: &str) -> Result<PathBuf, String> {
    let here = fs::metadata(".").map_err(|error| format!("cannot look at the working directory: {error}"))?;
    Ok(run_dir.join(kind).join(format!("{:x}-{:x}", here.dev(), here.ino())))
}
