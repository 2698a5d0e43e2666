//! The kernel's watches on directories. Several may need the same one, and a path may come to mean another directory.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use svc_sys::say;
use tokio::sync::mpsc;

/// What there is to watch with.
enum Means {
    /// Nothing yet: see [`Watches::begin`].
    NotYet,
    Watcher(RecommendedWatcher),
    /// It could not be made.
    Nothing,
    Over,
}

pub(crate) struct Watches {
    means: Means,
    /// How many need each path.
    needed: HashMap<PathBuf, usize>,
    notices: mpsc::UnboundedSender<notify::Result<Event>>,
    noticed: mpsc::UnboundedReceiver<notify::Result<Event>>,
    /// That there can be no more watches has been said.
    exhausted: bool,
}

impl Watches {
    pub(crate) fn new() -> Watches {
        let (notices, noticed) = mpsc::unbounded_channel();
        Watches { means: Means::NotYet, needed: HashMap::new(), notices, noticed, exhausted: false }
    }

    /// Begins to watch, if that has not begun.
    pub(crate) fn begin(&mut self) {
        match self.means {
            Means::NotYet => {}
            Means::Watcher(_) | Means::Nothing | Means::Over => return,
        }
        self.means = match watcher(&self.notices) {
            Ok(watcher) => Means::Watcher(watcher),
            Err(problem) => {
                say!(
                    "svc-scan: cannot watch directories: {problem}: a change is found by `svc-ctl rescan` only, which tries \
                     to watch again"
                );
                Means::Nothing
            }
        };
        self.renew_all();
    }

    pub(crate) fn has_begun(&self) -> bool {
        match self.means {
            Means::NotYet => false,
            Means::Watcher(_) | Means::Nothing | Means::Over => true,
        }
    }

    /// Tries again to watch, where that was not possible.
    pub(crate) fn revive(&mut self) {
        match self.means {
            Means::Nothing => {
                let Ok(watcher) = watcher(&self.notices) else { return };
                self.means = Means::Watcher(watcher);
                say!("svc-scan: watches directories again");
                self.renew_all();
            }
            Means::NotYet | Means::Watcher(_) | Means::Over => {}
        }
    }

    /// Nothing is watched any more.
    pub(crate) fn end(&mut self) {
        self.means = Means::Over;
    }

    /// Watches a directory, also if the path is watched already: it may be another directory by now.
    pub(crate) fn add(&mut self, path: &Path) {
        if !self.has_begun() {
            self.begin();
            // What happened before is found by looking once more.
            let _ = self.notices.send(Err(notify::Error::generic("watching has begun")));
        }
        self.add_in_time(path);
    }

    /// The same for a directory that need not be watched before watching begins.
    pub(crate) fn add_in_time(&mut self, path: &Path) {
        *self.needed.entry(path.to_owned()).or_insert(0) += 1;
        self.renew(path);
    }

    fn renew_all(&mut self) {
        for path in self.needed.keys().cloned().collect::<Vec<PathBuf>>() {
            self.renew(&path);
        }
    }

    /// Watches what is at a path now, for those who need it already.
    pub(crate) fn renew(&mut self, path: &Path) {
        let Means::Watcher(watcher) = &mut self.means else { return };
        let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) else { return };
        if !path.is_dir() {
            // It went again; whatever watches the directory above tells.
            return;
        }
        if !matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
            say!("svc-scan: cannot watch {}: {error}: use `svc-ctl rescan` after a change", svc_def::shown(path));
        } else if !std::mem::replace(&mut self.exhausted, true) {
            say!(
                "svc-scan: cannot watch {} and maybe others: no more watches (fs.inotify.max_user_watches): raise that on \
                 the host, or use `svc-ctl rescan` after a change",
                svc_def::shown(path)
            );
        }
    }

    /// Gives back what `add` took.
    pub(crate) fn remove(&mut self, path: &Path) {
        let Some(needed) = self.needed.get_mut(path) else { return };
        *needed -= 1;
        if *needed > 0 {
            return;
        }
        self.needed.remove(path);
        if let Means::Watcher(watcher) = &mut self.means {
            // Gone with its directory, or never there: either way nothing is left to undo.
            let _ = watcher.unwatch(path);
        }
    }

    /// The next thing that happened on disk.
    pub(crate) async fn next(&mut self) -> Option<notify::Result<Event>> {
        self.noticed.recv().await
    }

    /// The same, if it has happened already.
    pub(crate) fn try_next(&mut self) -> Option<notify::Result<Event>> {
        self.noticed.try_recv().ok()
    }
}

fn watcher(notices: &mpsc::UnboundedSender<notify::Result<Event>>) -> Result<RecommendedWatcher, String> {
    let before = threads();
    let notices = notices.clone();
    let made = notify::recommended_watcher(move |event| drop(notices.send(event)));
    let watcher = made.map_err(|error| format!("{error}: raise fs.inotify.max_user_instances"))?;
    // It does not say that it got no thread, but panics when it is used, and when it is dropped.
    if threads().zip(before).is_some_and(|(now, before)| now.is_subset(&before)) {
        std::mem::forget(watcher);
        return Err("no thread can be made (RLIMIT_NPROC, docker run --pids-limit): raise that".into());
    }
    Ok(watcher)
}

/// The threads we have, as far as /proc tells.
fn threads() -> Option<BTreeSet<OsString>> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.flatten().map(|entry| entry.file_name()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory in which nobody else does anything.
    fn own(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("svc-watches-{}-{name}", std::process::id()));
        std::fs::create_dir(&root).expect("nobody has it");
        root
    }

    #[test]
    fn watching_begins_when_something_needs_it_and_all_is_looked_at_once_more() {
        let mut watches = Watches::new();
        let root = own("begins");
        watches.add_in_time(&root);
        watches.renew(&root);
        watches.revive();
        assert!(!watches.has_begun() && watches.try_next().is_none());
        watches.add(&root);
        assert!(watches.has_begun());
        assert!(matches!(watches.try_next(), Some(Err(_))), "what happened before is looked for");
        // Asked for again it goes on.
        watches.begin();
        watches.revive();
        watches.end();
        watches.revive();
        watches.add(&root);
        assert!(watches.has_begun() && matches!(watches.means, Means::Over), "the end is for ever");
        std::fs::remove_dir(root).expect("ours");
    }

    #[test]
    fn what_is_watched_from_the_beginning_on_is_not_looked_at_twice() {
        let mut watches = Watches::new();
        let root = own("once");
        watches.add_in_time(&root);
        watches.begin();
        assert!(watches.try_next().is_none());
        std::fs::remove_dir(root).expect("ours");
    }
}
