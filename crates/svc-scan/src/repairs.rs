//! Services that were launched and cannot be started any more: their directories are watched, so that a repair counts at once
//! and not when the next try is due.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use svc_core::Millis;

use crate::candidates::QUIET;
use crate::watches::Watches;

/// Tries are at least this far apart, however much happens in the directory.
const GAP: Millis = Millis(1000);

struct Repair {
    path: PathBuf,
    look_at: Option<Millis>,
    not_before: Millis,
}

/// By slot.
#[derive(Default)]
pub(crate) struct Repairs(HashMap<u32, Repair>);

impl Repairs {
    pub(crate) fn expect(&mut self, now: Millis, slot: u32, path: &Path, watches: &mut Watches) {
        if self.0.get(&slot).is_some_and(|repair| repair.path == path) {
            return;
        }
        self.forget(slot, watches);
        watches.add(path);
        // What happened before the watch was there is found by looking once.
        let repair = Repair { path: path.to_owned(), look_at: Some(now + QUIET), not_before: Millis::ZERO };
        self.0.insert(slot, repair);
    }

    pub(crate) fn forget(&mut self, slot: u32, watches: &mut Watches) {
        if let Some(repair) = self.0.remove(&slot) {
            watches.remove(&repair.path);
        }
    }

    pub(crate) fn touched(&mut self, now: Millis, path: &Path) {
        for repair in self.0.values_mut().filter(|repair| path.starts_with(&repair.path)) {
            repair.look_at = Some((now + QUIET).max(repair.not_before));
        }
    }

    pub(crate) fn due(&mut self, now: Millis) -> Vec<u32> {
        let mut due = Vec::new();
        for (&slot, repair) in self.0.iter_mut().filter(|(_, repair)| repair.look_at.is_some_and(|at| now >= at)) {
            repair.look_at = None;
            repair.not_before = now + GAP;
            due.push(slot);
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.0.values().filter_map(|repair| repair.look_at).min()
    }
}
