//! Directories that are not (yet) running services: still being written, or with something wrong in them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use svc_core::{Millis, ServiceName};
use svc_def::Identity;
use svc_sys::{clock, say};

use crate::watches::Watches;

/// A directory that is being written counts as complete when nothing has happened in it for this long.
pub(crate) const QUIET: Millis = Millis(40);
/// A file that somebody has open for writing is waited for, but not for longer than this without a sign of life: a file can
/// also be changed without being opened (truncate).
const WRITING: Millis = Millis(2000);
/// What is wrong with a directory is said when nothing has happened in it for this long: it may be in the middle of a slow
/// copy ...
const PATIENCE: Millis = Millis(1000);
/// ... but in the end it is said even though something always happens there.
const LONGEST_PATIENCE: Millis = Millis(10_000);

/// So many directories are complained of in this time: more would push everything else out of the log.
const MOST_COMPLAINTS: usize = 50;
const COMPLAINTS_SPAN: Millis = Millis(10_000);

pub(crate) struct Candidate {
    pub(crate) name: ServiceName,
    pub(crate) path: Rc<Path>,
    pub(crate) scan_dir: u32,
    pub(crate) found_ms: u64,
    /// When it is looked at next.
    pub(crate) look_at: Option<Millis>,
    /// It could run, but for another service that is in its way: when one goes, it is looked at again.
    pub(crate) blocked: bool,
    /// What is wrong with it, and what was said of that already.
    pub(crate) problem: Option<String>,
    pub(crate) said: Option<String>,
    complain_at: Option<Millis>,
    complain_by: Millis,
    watched: Vec<PathBuf>,
    /// Files in it that somebody writes at the moment.
    written: HashSet<PathBuf>,
}

impl Candidate {
    pub(crate) fn new(name: ServiceName, path: Rc<Path>, scan_dir: u32, look_at: Option<Millis>) -> Candidate {
        Candidate {
            name,
            path,
            scan_dir,
            found_ms: clock::wall_ms(),
            look_at,
            blocked: false,
            problem: None,
            said: None,
            complain_at: None,
            complain_by: clock::now() + LONGEST_PATIENCE,
            watched: Vec::new(),
            written: HashSet::new(),
        }
    }

    pub(crate) fn has_problem(&mut self, now: Millis, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            self.complain_at = (self.said.as_ref() != Some(&problem)).then_some(now + PATIENCE);
            self.complain_by = now + LONGEST_PATIENCE;
            self.problem = Some(problem);
        }
    }

    /// Something happened in it.
    fn touched(&mut self, now: Millis, event: &EventKind, path: &Path) {
        match event {
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.written.insert(path.to_owned());
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                self.written.remove(path);
            }
            _ => {}
        }
        self.look_at = Some(now + if self.written.is_empty() { QUIET } else { WRITING });
        if self.complain_at.is_some() {
            self.complain_at = Some((now + PATIENCE).min(self.complain_by));
        }
    }

    /// Watches it, and what will be its logger. Whether that is new: what happened before is found by looking once more.
    pub(crate) fn watch(&mut self, watches: &mut Watches) -> bool {
        let mut new = false;
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(".d");
        for path in [self.path.to_path_buf(), self.path.join("log"), beside.into()] {
            if !self.watched.contains(&path) && path.is_dir() {
                watches.add(&path);
                self.watched.push(path);
                new = true;
            }
        }
        new
    }

    fn unwatch(&mut self, watches: &mut Watches) {
        for path in self.watched.drain(..) {
            watches.remove(&path);
        }
    }
}

#[derive(Default)]
pub(crate) struct Candidates {
    all: HashMap<Identity, Candidate>,
    paths: HashMap<Rc<Path>, Identity>,
    /// Complaints since the present span of [`COMPLAINTS_SPAN`] began, and those that were too many.
    complaints: usize,
    unsaid: usize,
    span_ends: Millis,
}

impl Candidates {
    pub(crate) fn insert(&mut self, identity: Identity, candidate: Candidate) {
        self.paths.insert(candidate.path.clone(), identity);
        self.all.insert(identity, candidate);
    }

    pub(crate) fn get_mut(&mut self, identity: Identity) -> Option<&mut Candidate> {
        self.all.get_mut(&identity)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Identity, &Candidate)> {
        self.all.iter().map(|(&identity, candidate)| (identity, candidate))
    }

    /// It has another name, and is looked at anew.
    pub(crate) fn rename(
        &mut self,
        identity: Identity,
        name: ServiceName,
        scan_dir: u32,
        path: Rc<Path>,
        watches: &mut Watches,
    ) {
        let Some(candidate) = self.all.get_mut(&identity) else { return };
        candidate.unwatch(watches);
        candidate.written.clear();
        self.paths.remove(&candidate.path);
        self.paths.insert(path.clone(), identity);
        (candidate.name, candidate.scan_dir, candidate.path) = (name, scan_dir, path);
        candidate.look_at = Some(Millis::ZERO);
    }

    pub(crate) fn remove(&mut self, identity: Identity, watches: &mut Watches) -> Option<Candidate> {
        let mut candidate = self.all.remove(&identity)?;
        self.paths.remove(&candidate.path);
        candidate.unwatch(watches);
        // At the start each directory is one; the room for all of them is not needed again.
        let few = self.all.len();
        if self.all.capacity() > 64 + 8 * few {
            self.all.shrink_to(2 * few);
            self.paths.shrink_to(2 * few);
        }
        Some(candidate)
    }

    /// Something happened at a path, which may be inside one of them.
    pub(crate) fn touched(&mut self, now: Millis, event: &EventKind, path: &Path) {
        // A candidate is watched no deeper than its log/ and what is in there. Beside a NAME.toml there is NAME.toml.d.
        let file = |path: &Path| path.extension().filter(|end| *end == "d").map(|_| path.with_extension(""));
        let known = |path: &Path| self.paths.get(path).or_else(|| self.paths.get(file(path)?.as_path()));
        let identity = path.ancestors().take(3).find_map(known);
        if let Some(candidate) = identity.and_then(|identity| self.all.get_mut(identity)) {
            candidate.touched(now, event, path);
        }
    }

    /// Those that are to be looked at now, at most `most`, in the order of their names: first of those of which nothing is known.
    pub(crate) fn due<'a>(&'a self, now: Millis, most: usize) -> Vec<Identity> {
        let due = self.all.iter().filter(|(_, candidate)| candidate.look_at.is_some_and(|at| now >= at));
        let mut due: Vec<(bool, &'a ServiceName, u32, Identity)> = due
            .map(|(&identity, candidate)| (candidate.problem.is_some(), &candidate.name, candidate.scan_dir, identity))
            .collect();
        let key = |&(known, name, scan_dir, _): &(bool, &'a ServiceName, u32, Identity)| (known, name, scan_dir);
        if due.len() > most {
            due.select_nth_unstable_by_key(most, key);
            due.truncate(most);
        }
        due.sort_by_key(key);
        due.into_iter().map(|(.., identity)| identity).collect()
    }

    pub(crate) fn look_again(&mut self, which: impl Fn(&Candidate) -> bool) {
        for candidate in self.all.values_mut().filter(|candidate| which(candidate)) {
            candidate.look_at = Some(Millis::ZERO);
        }
    }

    pub(crate) fn complain(&mut self, now: Millis) {
        let due = self.all.values_mut().filter(|candidate| candidate.complain_at.is_some_and(|at| now >= at));
        let mut due: Vec<&mut Candidate> = due.collect();
        due.sort_by(|a, b| a.name.cmp(&b.name));
        if now >= self.span_ends {
            if self.unsaid > 0 {
                say!("svc-scan: {} more directories cannot be run as they are: svc-ctl status lists them", self.unsaid);
            }
            (self.complaints, self.unsaid) = (0, 0);
        }
        for candidate in due {
            candidate.complain_at = None;
            let Some(problem) = &candidate.problem else { continue };
            candidate.said = Some(problem.clone());
            if self.complaints == 0 {
                self.span_ends = now + COMPLAINTS_SPAN;
            }
            if self.complaints < MOST_COMPLAINTS {
                self.complaints += 1;
                say!("svc-scan: {}: {problem}", candidate.name);
            } else {
                self.unsaid += 1;
            }
        }
    }

    /// The end comes: what would be said later is said now, or never.
    pub(crate) fn complain_now(&mut self) {
        for candidate in self.all.values_mut().filter(|candidate| candidate.complain_at.is_some()) {
            candidate.complain_at = Some(Millis::ZERO);
        }
        self.complain(clock::now());
    }

    pub(crate) fn deadline(&self) -> Option<Millis> {
        // At the start, where there are most of them, nearly all are to be looked at now: the first that is found will do.
        let at_once = self.all.values().map(|candidate| candidate.look_at).find(|&at| at == Some(Millis::ZERO));
        if let Some(at_once) = at_once {
            return at_once;
        }
        let summary = (self.unsaid > 0).then_some(self.span_ends);
        self.all.values().flat_map(|candidate| [candidate.look_at, candidate.complain_at]).flatten().chain(summary).min()
    }
}
