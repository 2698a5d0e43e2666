//! What stands in the scan directories at this moment, watched so that nothing is missed: without a word on what was there before.

use std::collections::HashMap;

use svc_core::{Millis, ServiceName};
use svc_def::{Entry, Identity};
use svc_proto::place::s6_svscan::FOLDER;

use super::{Directories, GRACE, LOOKS};
use crate::listing::{Place, Seen, entries};

impl Directories {
    /// Everything that stands there, and is what it seems to be.
    pub(super) fn see(&mut self) -> Seen {
        let mut seen = self.see_all();
        for _ in 1..LOOKS {
            if !self.running.iter().any(|(identity, place)| seen.misses(identity, &place.path)) {
                break;
            }
            let again = self.see_all();
            seen.extend(again);
        }
        self.separate(&mut seen);
        seen
    }

    fn see_all(&mut self) -> Seen {
        let mut seen = Seen::default();
        for scan_dir in 0..self.roots.len() {
            // Watched before it is listed: what comes in between is noticed.
            self.watch_root(scan_dir);
            self.list_root(scan_dir, &mut seen);
        }
        seen
    }

    /// A directory NAME and a file NAME.toml: which of them is meant nobody can know. What runs goes on.
    fn separate(&self, seen: &mut Seen) {
        let mut by_name: HashMap<(u32, &ServiceName), Vec<(Identity, &Place)>> = HashMap::new();
        if !seen.places.keys().any(|identity| identity.is_file()) {
            return;
        }
        for (&identity, place) in &seen.places {
            by_name.entry((place.scan_dir, &place.name)).or_default().push((identity, place));
        }
        let mut out = Vec::new();
        for mut twins in by_name.into_values().filter(|twins| twins.len() > 1) {
            twins.sort_by(|one, other| one.1.path.cmp(&other.1.path));
            for (identity, place) in &twins {
                let Some((_, other)) = twins.iter().find(|(other, _)| other != identity) else { continue };
                let message = svc_def::two_forms(&other.path);
                out.push((*identity, !self.running.contains_key(identity), place.path.clone(), message));
            }
        }
        for (identity, leaves, path, message) in out {
            seen.odd.insert(path.to_path_buf(), message);
            if leaves {
                seen.places.remove(&identity);
            }
        }
    }

    /// Files that are missing, and maybe not for long: editors take the old one away before they put the new one there.
    pub(super) fn spare(&mut self, now: Millis, seen: &mut Seen) {
        let missing = |(identity, place): &(&Identity, &Place)| {
            identity.is_file() && !seen.places.contains_key(identity) && !place.path.exists()
        };
        let missing: Vec<(Identity, Place)> =
            self.running.iter().filter(missing).map(|(&identity, place)| (identity, place.clone())).collect();
        self.missing.retain(|identity, _| missing.iter().any(|(known, _)| known == identity));
        for (identity, place) in missing {
            if now < *self.missing.entry(identity).or_insert(now + GRACE) {
                seen.hidden.insert(place.path.to_path_buf());
            }
        }
    }

    fn list_root(&self, scan_dir: usize, seen: &mut Seen) {
        let root = &self.roots[scan_dir];
        let names = match entries(root) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                seen.odd.insert(root.clone(), "no such directory: make it, with a directory for each service in it".into());
                return;
            }
            Err(error) => {
                let (why, cure) = match error.raw_os_error().and_then(svc_def::shortage) {
                    Some((why, cure)) => (why.to_owned(), cure),
                    None => (error.to_string(), "make it a directory that svc may read (chmod a+rx)"),
                };
                let message = format!("cannot be read: {why}: {cure}; until then its services stay as they are");
                seen.odd.insert(root.clone(), message);
                seen.hidden.insert(root.clone());
                return;
            }
        };
        for (file_name, inode) in names {
            let path = root.join(&file_name);
            match svc_def::entry(root, &file_name) {
                Some(Entry::Service { name, identity }) => {
                    let place = Place { name, scan_dir: scan_dir as u32, path: path.into() };
                    self.note_place(identity, place, seen);
                }
                Some(Entry::Problem(problem)) => {
                    if problem.fatal {
                        seen.hidden.insert(problem.path.clone());
                    }
                    seen.odd.insert(problem.path, problem.message);
                }
                Some(Entry::Skip) => {}
                None => drop(seen.moving.insert(inode)),
            }
        }
    }

    /// One directory may be there under several names. The one it has keeps it; else it is the first that is no link.
    fn note_place(&self, identity: Identity, place: Place, seen: &mut Seen) {
        let Some(other) = seen.places.get(&identity) else {
            seen.places.insert(identity, place);
            return;
        };
        let rank = |place: &Place| {
            let is_known = self.running.get(&identity) == Some(place);
            (!is_known, place.path.is_symlink(), place.scan_dir, place.name.clone())
        };
        let (first, second) = if rank(other) <= rank(&place) { (other.clone(), place) } else { (place, other.clone()) };
        let message = format!("is the same directory as {}: remove one of the links", svc_def::shown(&first.path));
        seen.odd.insert(second.path.to_path_buf(), message);
        seen.places.insert(identity, first);
    }

    /// Watches a root, or the nearest directory above one that is not there (yet, or any more).
    fn watch_root(&mut self, number: usize) {
        let root = self.roots[number].clone();
        loop {
            let Some(there) = root.ancestors().find(|path| path.is_dir()) else { return };
            let before = self.root_watches[number].replace(there.to_owned());
            if before.as_deref() == Some(there) {
                // The path may be another directory by now.
                self.watches.renew(there);
            } else {
                self.watches.add_in_time(there);
                if let Some(before) = before {
                    self.watches.remove(&before);
                }
            }
            self.watch_above(number, there == root);
            // The next one below may have been made in between.
            if root.ancestors().find(|path| path.is_dir()) == Some(there) {
                return;
            }
        }
    }

    /// Of a directory that was removed the kernel tells only when nobody has anything open any more that was in it, and we have:
    /// the lock and the FIFO for s6's tools. So where their folder was taken out, the directory above tells instead.
    fn watch_above(&mut self, number: usize, is_there: bool) {
        let root = &self.roots[number];
        let above = &mut self.above[number];
        let has_folder = root.join(FOLDER).exists();
        above.had_folder |= has_folder;
        let wanted = root.parent().filter(|_| is_there && above.had_folder && !has_folder);
        match (wanted, &above.watched) {
            (Some(wanted), Some(_)) => self.watches.renew(wanted),
            (Some(wanted), None) => {
                self.watches.add_in_time(wanted);
                above.watched = Some(wanted.to_owned());
            }
            (None, Some(before)) => {
                self.watches.remove(before);
                above.watched = None;
            }
            (None, None) => {}
        }
    }
}
