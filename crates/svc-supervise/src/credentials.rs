//! Secrets that `svc exec` has copied for a service: they are there while it runs.

use std::path::Path;

use svc_core::definition::Definition;
use svc_core::run::{CREDENTIALS, of_service};

/// Takes them away; the next start copies them again.
pub(crate) fn remove(definition: &Definition, run_dir: Option<&Path>) {
    let Some(run_dir) = run_dir else { return };
    let dir = of_service(CREDENTIALS, definition.name.as_str());
    match std::fs::remove_dir_all(run_dir.join(dir)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            svc_sys::say!("svc-supervise: {}: cannot remove its credentials: {error}", definition.name);
        }
        Ok(()) | Err(_) => {}
    }
}
