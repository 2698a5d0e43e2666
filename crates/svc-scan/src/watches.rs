//! The kernel's watches on directories. Several may need the same one, and a path may come to mean another directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use svc_sys::say;
use tokio::sync::mpsc;

pub(crate) struct Watches {
    watcher: Option<RecommendedWatcher>,
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
        let watcher = match watcher(&notices) {
            Ok(watcher) => Some(watcher),
            Err(problem) => {
                say!(
                    "svc-scan: cannot watch directories: {problem}: a change is found by `svc-ctl rescan` only, which tries \
                     to watch again"
                );
                None
            }
        };
        Watches { watcher, needed: HashMap::new(), notices, noticed, exhausted: false }
    }

    /// Tries again to watch, where that was not possible.
    pub(crate) fn revive(&mut self) {
        if self.watcher.is_some() {
            return;
        }
        let Ok(watcher) = watcher(&self.notices) else { return };
        self.watcher = Some(watcher);
        say!("svc-scan: watches directories again");
        for path in self.needed.keys().cloned().collect::<Vec<PathBuf>>() {
            self.renew(&path);
        }
    }

    /// Watches a directory, also if the path is watched already: it may be another directory by now.
    pub(crate) fn add(&mut self, path: &Path) {
        *self.needed.entry(path.to_owned()).or_insert(0) += 1;
        self.renew(path);
    }

    /// Watches what is at a path now, for those who need it already.
    pub(crate) fn renew(&mut self, path: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
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
        if let Some(watcher) = &mut self.watcher {
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
    if threads().is_some_and(|now| Some(now) <= before) {
        std::mem::forget(watcher);
        return Err("no thread can be made (RLIMIT_NPROC, docker run --pids-limit): raise that".into());
    }
    Ok(watcher)
}

/// How many threads we have, as far as /proc tells.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
