//! What one look at the scan directories saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use svc_core::ServiceName;
use svc_def::Identity;

/// Where a directory stands.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: ServiceName,
    pub(crate) scan_dir: u32,
    pub(crate) path: Rc<Path>,
}

/// What one listing saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) places: HashMap<Identity, Place>,
    /// Entries that cannot be services, and why.
    pub(crate) odd: BTreeMap<PathBuf, String>,
    /// Paths that could not be looked at: what is known to be there is taken to be there still.
    pub(crate) hidden: HashSet<PathBuf>,
    /// Inodes whose entries were listed, and had another name when they were to be looked at: the next listing tells where
    /// they are.
    pub(crate) moving: HashSet<u64>,
}

impl Seen {
    /// Whether what was at the place is not there, nor anywhere else.
    pub(crate) fn misses(&self, identity: &Identity, place: &Path) -> bool {
        !self.places.contains_key(identity) && !self.is_unclear(identity, place)
    }

    /// Whether it could not be looked at what is there.
    pub(crate) fn is_unclear(&self, identity: &Identity, place: &Path) -> bool {
        let hidden = |path: &Path| self.hidden.contains(path);
        hidden(place) || place.parent().is_some_and(hidden) || self.moving.contains(&identity.inode)
    }

    /// Another look, a moment later. What only one of them saw is there.
    pub(crate) fn extend(&mut self, again: Seen) {
        self.places.extend(again.places);
        self.moving.extend(again.moving);
        (self.odd, self.hidden) = (again.odd, again.hidden);
    }
}

/// The names in a directory, with the inodes that have them: all of them or none.
pub(crate) fn entries(root: &Path) -> std::io::Result<Vec<(OsString, u64)>> {
    std::fs::read_dir(root)?.map(|entry| entry.map(|entry| (entry.file_name(), entry.ino()))).collect()
}
