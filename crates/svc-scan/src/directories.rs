//! The scan directories: what stands in them, what came, what went, and what is not complete yet.

mod seeing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use notify::EventKind;
use notify::event::{AccessKind, ModifyKind, RemoveKind, RenameMode};
use svc_core::{Millis, ServiceName};
use svc_def::{Identity, Instances, Problem, Source};
use svc_sys::{clock, say};

use crate::candidates::{Candidate, Candidates, QUIET};
use crate::held::Held;
use crate::listener::Door;
use crate::listing::{Place, Seen};
use crate::pair::Pair;
use crate::repairs::Repairs;
use crate::taken::Taken;
use crate::watches::Watches;

/// So many directories are read in one go; clients are answered before the next.
const AT_A_TIME: usize = 64;

/// An edit that counts by itself does so when nothing more has happened for this long: editors write in several steps.
const EDITING: Millis = Millis(200);

/// A service that is not seen is looked for so often: what is renamed while its directory is being read may be listed
/// under neither name.
const LOOKS: usize = 3;

/// Beside a main program watching begins this much later. One that ends at once would wait for it: closing an inotify descriptor
/// takes a grace period of the kernel, 8 to 16 ms, and a container has ended when its last process has. With what [`QUIET`] adds a
/// new directory runs within 100 ms all the same.
const MOMENT: Millis = Millis(50);

/// A file that runs may be missing for this long before its service is stopped.
const GRACE: Millis = Millis(500);

/// A directory that can run, with its logger.
pub(crate) struct Found {
    pub(crate) name: ServiceName,
    pub(crate) identity: Identity,
    pub(crate) scan_dir: u32,
    pub(crate) path: Rc<Path>,
    /// None for a name without a process.
    pub(crate) definition: Option<Held>,
    pub(crate) logger: Option<(Held, Identity)>,
    /// What it says of others.
    pub(crate) source: Option<Source>,
    pub(crate) warnings: Vec<Problem>,
    /// Of a template.
    pub(crate) instances: Option<Instances>,
    /// What is wrong with an edit, which is not used.
    pub(crate) edit: Option<String>,
    /// What was said of it before.
    said: Option<String>,
}

/// What a look at the directories brought.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) removed: Vec<Identity>,
    pub(crate) renamed: Vec<(Identity, ServiceName, Rc<Path>)>,
    pub(crate) found: Vec<Found>,
    /// Slots of services that could not be started, in whose directories something has happened.
    pub(crate) touched: Vec<u32>,
    /// Files that count without anybody asking have been edited.
    pub(crate) edited: bool,
    /// Somebody was at what is ours in the run directory.
    pub(crate) run_dir: bool,
    /// Nothing was watched until now.
    pub(crate) unwatched: bool,
}

/// What stands there now, beside what we know.
pub(crate) struct Foresight {
    pub(crate) removed: Vec<Identity>,
    /// With what stands there under the new name.
    pub(crate) renamed: Vec<(Identity, Result<Found, Unreadable>)>,
    pub(crate) found: Vec<Result<Found, Unreadable>>,
}

/// A name, and what is wrong with its directory.
pub(crate) type Unreadable = (ServiceName, String);

/// The directory above a root.
#[derive(Clone, Default)]
struct Above {
    /// The root has had its folder for s6's tools.
    had_folder: bool,
    watched: Option<PathBuf>,
}

/// One that does not run, for clients.
pub(crate) struct Unready<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a Path,
    pub(crate) problem: &'a str,
    pub(crate) found_ms: u64,
}

pub(crate) struct Directories {
    /// What was taken in of those that depend on others.
    pub(crate) taken: Taken,
    roots: Vec<PathBuf>,
    watches: Watches,
    /// When watching begins, where it does not with the first look, nor something needs it before.
    watch_at: Option<Millis>,
    candidates: Candidates,
    /// Services that run.
    running: HashMap<Identity, Place>,
    repairs: Repairs,
    odd: BTreeMap<PathBuf, String>,
    /// Entries that were renamed into place, and so are complete.
    whole: HashSet<PathBuf>,
    /// Entries that were removed: what has the same name and inode now is another directory all the same.
    deleted: HashSet<PathBuf>,
    /// Files that are not there at the moment, and when that is believed.
    missing: HashMap<Identity, Millis>,
    /// Where an edit counts without anybody asking: directories, and what names are like there.
    edited_in: BTreeMap<PathBuf, Vec<String>>,
    /// When an edit counts: nothing more has happened until then.
    edited_at: Option<Millis>,
    /// The run directory, and when it is looked whether it is as we left it: nothing more has happened until then.
    run_dir: Option<PathBuf>,
    run_dir_at: Option<Millis>,
    /// What is watched for each root: itself, or the nearest directory above one that is not there.
    root_watches: Vec<Option<PathBuf>>,
    /// What is watched above roots that have lost what s6's tools look for in them; see [`Directories::watch_above`].
    above: Vec<Above>,
    /// The entries must be looked at again.
    stale: bool,
    /// Not before this time: listing thousands of entries takes its time, and clients wait meanwhile.
    list_at: Millis,
    /// The next look takes new directories as they are: it is the first, or somebody says that they are complete.
    at_once: bool,
    /// Somebody says that what is not there now is gone.
    gone_at_once: bool,
}

impl Directories {
    pub(crate) fn new(roots: Vec<PathBuf>) -> Directories {
        Directories {
            taken: Taken::default(),
            root_watches: vec![None; roots.len()],
            above: vec![Above::default(); roots.len()],
            roots,
            watches: Watches::new(),
            watch_at: None,
            candidates: Candidates::default(),
            running: HashMap::new(),
            repairs: Repairs::default(),
            odd: BTreeMap::new(),
            whole: HashSet::new(),
            deleted: HashSet::new(),
            missing: HashMap::new(),
            edited_in: BTreeMap::new(),
            edited_at: None,
            run_dir: None,
            run_dir_at: None,
            stale: true,
            list_at: Millis::ZERO,
            at_once: true,
            gone_at_once: false,
        }
    }

    /// The directories need not be watched from the first moment on: what comes in that time is found when it is over.
    pub(crate) fn watch_later(&mut self) {
        self.watch_at = Some(clock::now() + MOMENT);
    }

    /// Nobody will look again.
    pub(crate) fn end(&mut self) {
        self.watches.end();
    }

    /// A service that an earlier svc-scan started.
    pub(crate) fn knows(&mut self, identity: Identity, name: ServiceName, scan_dir: u32, path: Rc<Path>) {
        self.running.insert(identity, Place { name, scan_dir, path });
    }

    /// A service is over: if its directory is still (or again) there, it is a new one. Whoever it was in the way of may start.
    pub(crate) fn forget(&mut self, identity: Identity) {
        self.running.remove(&identity);
        self.stale = true;
        self.unblock();
    }

    /// The template that has made this service, whose own identity is another one.
    pub(crate) fn template_of(&self, made: Identity, name: &ServiceName) -> Option<Identity> {
        self.running.keys().copied().find(|template| template.instance(name) == made)
    }

    /// Something that may have been in the way of others is gone.
    pub(crate) fn unblock(&mut self) {
        self.candidates.look_again(|candidate| candidate.blocked);
    }

    /// It cannot be launched: `blocked`, now, because something is in its way; or as it is, and somebody may mend it.
    pub(crate) fn refuse(&mut self, found: Found, path: Rc<Path>, problem: String, blocked: bool) {
        self.running.remove(&found.identity);
        let mut candidate = Candidate::new(found.name, path, found.scan_dir, None);
        candidate.blocked = blocked;
        candidate.said = found.said;
        candidate.has_problem(clock::now(), problem);
        if !blocked {
            candidate.watch(&mut self.watches);
        }
        self.candidates.insert(found.identity, candidate);
    }

    /// Everything is looked at again. `asked`: somebody says that it stands there as it is meant to.
    pub(crate) fn rescan(&mut self, asked: bool) {
        self.take_in_all();
        self.at_once = true;
        self.gone_at_once |= asked;
        self.look_at_all();
    }

    fn look_at_all(&mut self) {
        self.watches.revive();
        self.stale = true;
        self.list_at = Millis::ZERO;
        self.candidates.look_again(|_| true);
    }

    /// Edits of these files count without anybody asking.
    pub(crate) fn expect_edits(&mut self, places: Vec<(PathBuf, String)>) {
        let mut expected: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for (folder, like) in places {
            let names = expected.entry(folder).or_default();
            if !names.contains(&like) {
                names.push(like);
            }
        }
        for folder in expected.keys() {
            if self.edited_in.contains_key(folder) {
                // It may be there by now, or another one.
                self.watches.renew(folder);
            } else {
                self.watches.add(folder);
            }
        }
        for folder in self.edited_in.keys().filter(|folder| !expected.contains_key(*folder)) {
            self.watches.remove(folder);
        }
        self.edited_in = expected;
    }

    /// Such an edit was made while nobody looked.
    pub(crate) fn expect_edited(&mut self) {
        self.edited_at = Some(clock::now());
    }

    /// Tells when somebody takes away what is ours in the run directory; also if that is another directory by now.
    pub(crate) fn guard(&mut self, run_dir: &Path) {
        if self.run_dir.is_some() {
            self.watches.renew(run_dir);
        } else {
            self.watches.add_in_time(run_dir);
            self.run_dir = Some(run_dir.to_owned());
        }
    }

    /// Look at some directories again that do not run.
    pub(crate) fn look_again_at(&mut self, names: &[String]) {
        self.candidates.look_again(|candidate| names.iter().any(|name| candidate.name.as_str() == name));
    }

    /// A service cannot be started: what happens in its directory may cure that.
    pub(crate) fn expect_repair(&mut self, slot: u32, path: &Path) {
        self.repairs.expect(clock::now(), slot, path, &mut self.watches);
    }

    pub(crate) fn expect_no_repair(&mut self, slot: u32) {
        self.repairs.forget(slot, &mut self.watches);
    }

    /// The next thing that happened on disk.
    pub(crate) async fn next(&mut self) -> Option<notify::Result<notify::Event>> {
        self.watches.next().await
    }

    /// Takes it in, with all that has happened since.
    pub(crate) fn take_in(&mut self, first: notify::Result<notify::Event>) {
        self.note(first);
        self.take_in_all();
    }

    fn take_in_all(&mut self) {
        while let Some(event) = self.watches.try_next() {
            self.note(event);
        }
    }

    /// What stands now in the place of one that runs.
    pub(crate) fn read_again(&self, identity: Identity) -> Option<Found> {
        self.read(identity, self.running.get(&identity)?.clone()).ok()
    }

    /// What a rescan that is asked for would bring; nothing is taken in.
    pub(crate) fn foresee(&mut self) -> Foresight {
        self.take_in_all();
        let seen = self.see();
        let removed = self.running.iter().filter(|(identity, place)| self.is_gone(&seen, identity, &place.path));
        let removed = removed.map(|(&identity, _)| identity).chain(self.lost(&seen)).collect();
        let (mut renamed, mut found) = (Vec::new(), Vec::new());
        for (identity, place) in seen.places {
            match self.running.get(&identity) {
                Some(known) if known.path == place.path => {}
                Some(_) => renamed.push((identity, self.read(identity, place))),
                None => found.push(self.read(identity, place)),
            }
        }
        Foresight { removed, renamed, found }
    }

    fn note(&mut self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else {
            self.stale = true;
            return;
        };
        if matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read)) {
            return;
        }
        // The queue of the kernel may have run over: then anything may have happened.
        if event.need_rescan() {
            self.look_at_all();
        }
        let renamed = matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)));
        let now = clock::now();
        for path in &event.paths {
            if self.roots.iter().any(|root| path.parent() == Some(root)) {
                self.stale = true;
                if renamed {
                    self.whole.insert(path.clone());
                } else if event.kind == EventKind::Remove(RemoveKind::Folder) {
                    self.deleted.insert(path.clone());
                }
            }
            let watched = |watch: &Option<PathBuf>| watch.as_deref() == Some(path) || watch.as_deref() == path.parent();
            self.stale |= self.roots.iter().zip(&self.root_watches).any(|(root, watch)| {
                // The root itself, or the directory above that it is missing from.
                path == root || watch.as_ref() != Some(root) && watched(watch)
            });
            self.candidates.touched(now, &event.kind, path);
            self.repairs.touched(now, path);
            if self.run_dir.as_ref().is_some_and(|run_dir| Door::is_of_it(run_dir, path)) {
                self.run_dir_at = Some(now + EDITING);
            }
            let names = path.parent().and_then(|folder| self.edited_in.get(folder));
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if names.is_some_and(|names| names.iter().any(|like| svc_def::is_like(&name, like))) {
                self.edited_at = Some(now + EDITING);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Millis> {
        let missing = self.missing.values().copied().min();
        let list = self.stale.then_some(self.list_at).into_iter().chain(missing).min();
        let edited = [self.edited_at, self.run_dir_at, self.watch_at].into_iter().flatten().min();
        [list, self.candidates.deadline(), self.repairs.deadline(), edited].into_iter().flatten().min()
    }

    /// Looks at what must be looked at, and says what is wrong for too long.
    pub(crate) fn look(&mut self, now: Millis) -> Changes {
        let unwatched = self.watch_at.take_if(|at| now >= *at).is_some();
        let mut changes = Changes { unwatched, ..Changes::default() };
        if unwatched {
            self.stale = true;
            self.list_at = Millis::ZERO;
        }
        if self.watch_at.is_none() {
            self.watches.begin();
        }
        self.stale |= self.missing.values().any(|&at| now >= at);
        if self.stale && now >= self.list_at {
            self.stale = false;
            self.list(now, &mut changes);
            let end = clock::now();
            self.list_at = end + (end - now) + (end - now);
        }
        let due = self.candidates.due(now, AT_A_TIME);
        changes.found = due.into_iter().filter_map(|identity| self.examine(identity, now)).collect();
        changes.touched = self.repairs.due(now);
        if self.edited_at.is_some_and(|at| now >= at) {
            self.edited_at = None;
            changes.edited = true;
        }
        changes.run_dir = self.run_dir_at.take_if(|at| now >= *at).is_some();
        self.candidates.complain(now);
        changes
    }

    /// Says what is wrong with directories that nobody will look at again.
    pub(crate) fn complain_now(&mut self) {
        self.candidates.complain_now();
    }

    /// Compares the entries of all scan directories with what we know.
    fn list(&mut self, now: Millis, changes: &mut Changes) {
        let at_once = std::mem::take(&mut self.at_once);
        let settle = if at_once { now } else { now + QUIET };
        let mut seen = self.see();
        if std::mem::take(&mut self.gone_at_once) {
            self.missing.clear();
        } else {
            self.spare(now, &mut seen);
        }
        // Those that went come first: their paths may be those of others by now.
        let gone = self.running.iter().filter(|(identity, place)| self.is_gone(&seen, identity, &place.path));
        changes.removed = gone.map(|(&identity, _)| identity).chain(self.lost(&seen)).collect();
        self.deleted.clear();
        for &identity in &changes.removed {
            self.candidates.remove(identity, &mut self.watches);
            self.missing.remove(&identity);
            self.running.remove(&identity);
        }
        let whole = std::mem::take(&mut self.whole);
        for (identity, place) in seen.places {
            let look_at = if whole.contains(&*place.path) { Millis::ZERO } else { settle };
            self.entry(identity, place, look_at, at_once, changes);
        }
        for (path, message) in seen.odd.iter().filter(|(path, message)| self.odd.get(*path) != Some(message)) {
            say!("svc-scan: {}: {message}", svc_def::shown(path));
        }
        self.odd = seen.odd;
    }

    /// Those that are gone and were not running as they stood there; but maybe as they had stood there for an earlier svc-scan.
    fn lost(&self, seen: &Seen) -> impl Iterator<Item = Identity> {
        let all = self.candidates.iter();
        all.filter(|(identity, candidate)| self.is_gone(seen, identity, &candidate.path)).map(|(identity, _)| identity)
    }

    fn is_gone(&self, seen: &Seen, identity: &Identity, place: &Path) -> bool {
        seen.misses(identity, place) || self.deleted.contains(place) && !seen.is_unclear(identity, place)
    }

    fn entry(&mut self, identity: Identity, place: Place, look_at: Millis, at_once: bool, changes: &mut Changes) {
        if let Some(known) = self.running.get_mut(&identity) {
            // A template that was refused before is known by the name of what it makes.
            if known.path != place.path {
                changes.renamed.push((identity, place.name.clone(), place.path.clone()));
                *known = place;
            }
            return;
        }
        if let Some(candidate) = self.candidates.get_mut(identity) {
            if candidate.path != place.path {
                // Renamed while it was incomplete.
                self.candidates.rename(identity, place.name, place.scan_dir, place.path, &mut self.watches);
            }
            return;
        }
        let mut candidate = Candidate::new(place.name, place.path, place.scan_dir, Some(look_at));
        if !at_once {
            candidate.watch(&mut self.watches);
        }
        self.candidates.insert(identity, candidate);
    }

    /// Reads a candidate: it runs now, or something is wrong with it and it is watched.
    fn examine(&mut self, identity: Identity, now: Millis) -> Option<Found> {
        let candidate = self.candidates.get_mut(identity)?;
        candidate.look_at = None;
        let (name, path, scan_dir) = (candidate.name.clone(), candidate.path.clone(), candidate.scan_dir);
        let read = self.read(identity, Place { name, scan_dir, path });
        let candidate = self.candidates.get_mut(identity)?;
        match read {
            Ok(found) => {
                let Candidate { name, path, scan_dir, said, .. } = self.candidates.remove(identity, &mut self.watches)?;
                self.running.insert(identity, Place { name, scan_dir, path });
                Some(Found { said, ..found })
            }
            Err((_, problem)) => {
                candidate.blocked = false;
                candidate.has_problem(now, problem);
                if candidate.watch(&mut self.watches) {
                    candidate.look_at = Some(now + QUIET);
                }
                None
            }
        }
    }

    /// What one that stands there would be.
    fn read(&self, identity: Identity, Place { name, scan_dir, path }: Place) -> Result<Found, Unreadable> {
        match self.taken.pair(&name, identity, &path) {
            Ok((Pair { definition, logger, source, warnings, instances }, edit)) => {
                let name = if instances.is_some() { svc_def::bundle_of(&name) } else { name };
                let said = None;
                Ok(Found { name, identity, scan_dir, path, definition, logger, source, warnings, instances, edit, said })
            }
            Err(problem) => Err((name, problem)),
        }
    }

    /// Some directories are about to be read: more will be known in a moment.
    pub(crate) fn is_reading(&self) -> bool {
        self.stale || self.candidates.iter().any(|(_, candidate)| candidate.look_at.is_some())
    }

    /// Some have never been read. One that is to be read again, because something is wrong with it, is none of them.
    pub(crate) fn is_new(&self) -> bool {
        let is_unread = |candidate: &Candidate| candidate.look_at.is_some() && candidate.problem.is_none();
        self.stale || self.candidates.iter().any(|(_, candidate)| is_unread(candidate))
    }

    /// Nothing that is or may become a service, and nothing that is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.candidates.iter().next().is_none() && self.odd.is_empty()
    }

    /// Directories that should be services and do not run.
    pub(crate) fn unready(&self) -> impl Iterator<Item = Unready<'_>> {
        self.candidates.iter().filter_map(|(_, candidate)| {
            let problem = candidate.problem.as_deref()?;
            Some(Unready { name: candidate.name.as_str(), path: &candidate.path, problem, found_ms: candidate.found_ms })
        })
    }

    /// Whether one of this name comes as soon as nothing is in its way.
    pub(crate) fn is_blocked(&self, name: &str) -> bool {
        self.candidates.iter().any(|(_, candidate)| candidate.blocked && candidate.name.as_str() == name)
    }

    /// Names of directories that are there and are no services yet, whatever is wrong with them.
    pub(crate) fn unusable(&self) -> impl Iterator<Item = &ServiceName> {
        self.candidates.iter().map(|(_, candidate)| &candidate.name)
    }

    /// Entries that cannot be services, and scan directories that are not there.
    pub(crate) fn odd(&self) -> impl Iterator<Item = (String, String)> {
        self.odd.iter().map(|(path, message)| (svc_def::shown(path), message.clone()))
    }
}
