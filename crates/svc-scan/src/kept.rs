//! What is kept of timers where it outlives svc-scan, and svc itself if the folder does: a small file each, written whole or not
//! at all. It is written before what it says is done, so that a successor does it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use svc_core::Millis;
use svc_core::timer::Memory;
use svc_proto::api::Death;
use svc_sys::say;

use crate::whole;

/// Where timers are kept instead of in the run directory, such as on a volume.
pub(crate) const STATE_DIR: &str = "SVC_STATE_DIR";
const FOLDER: &str = "timers";

/// The file of one timer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The last point that was acted on: on the monotonic clock, and since 1970.
    #[serde(default)]
    point_monotonic_ms: u64,
    #[serde(default)]
    point_ms: Option<u64>,
    /// A run that was decided on, and how many starts there had been.
    #[serde(default)]
    asked: Option<u64>,
    #[serde(default)]
    queued: bool,
    /// The last run: when it began, and how it ended.
    #[serde(default)]
    pub(crate) last_run_ms: Option<u64>,
    #[serde(default)]
    pub(crate) last_exit: Option<Death>,
}

impl Kept {
    pub(crate) fn remember(&mut self, memory: Memory) {
        self.point_monotonic_ms = memory.point.map_or(0, |(mono, _)| mono.0);
        self.point_ms = memory.point.map(|(_, wall)| wall);
        (self.asked, self.queued) = (memory.asked, memory.queued);
    }

    pub(crate) fn memory(&self) -> Memory {
        let point = self.point_ms.map(|wall| (Millis(self.point_monotonic_ms), wall));
        Memory { point, asked: self.asked, queued: self.queued }
    }
}

pub(crate) struct Keeper {
    folder: Option<PathBuf>,
    /// That it cannot be written has been said.
    complained: bool,
}

impl Keeper {
    /// Below SVC_STATE_DIR, or the run directory.
    pub(crate) fn new(run_dir: Option<&Path>) -> Keeper {
        let named = std::env::var_os(STATE_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let folder = named.or_else(|| run_dir.map(Path::to_owned)).map(|dir| dir.join(FOLDER));
        Keeper { folder, complained: false }
    }

    pub(crate) fn read(&self, name: &str) -> Kept {
        let Some(path) = self.path(name) else { return Kept::default() };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                say!("svc-scan: {}: cannot be read ({error}): {name} begins anew", path.display());
                Kept::default()
            }),
            // It never ran.
            Err(_) => Kept::default(),
        }
    }

    pub(crate) fn write(&mut self, name: &str, kept: &Kept) {
        let Some(path) = self.path(name) else { return };
        match whole::write(&path, &serde_json::to_vec(kept).unwrap_or_default()) {
            Ok(()) => self.complained = false,
            Err(error) if !self.complained => {
                self.complained = true;
                say!(
                    "svc-scan: {}: cannot be written: {error}: a restart of svc does not know when timers ran last: name a \
                     folder in {STATE_DIR}",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{name}.json")))
    }
}
