//! `check` of an image for s6-overlay: sources name what s6-overlay itself brings, and add to it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use svc_core::graph::{Bond, Condition, Kind, Node, Relation};
use svc_core::overlay::{BUNDLES, IN_PACKAGE, OWN, PACKAGE, PACKAGES, SOURCES};

/// Each unit of its own, and what it needs or has in it.
#[derive(Default)]
pub struct Overlay(BTreeMap<&'static str, BTreeSet<String>>);

impl Overlay {
    /// Reads an entry of a directory of sources if it adds to one of s6-overlay's own; whether it does.
    pub fn takes(&mut self, dir: &Path, name: &OsStr) -> bool {
        for (own, _, members) in OWN {
            self.0.entry(own).or_insert_with(|| members.iter().map(|&name| name.to_owned()).collect());
        }
        let Some((_, members)) = self.0.iter_mut().find(|(own, _)| name == **own) else { return false };
        for list in ["contents", "dependencies"] {
            members.extend(names(&dir.join(name), list));
        }
        true
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.0.iter().map(|(own, members)| {
            let node = Node::new(*own, Kind::Milestone);
            members.iter().fold(node, |node, on| node.with(on.as_str(), Relation::Needs(Bond::Stay), Condition::Ready))
        })
    }
}

/// The names of `LIST.d`, and of the older `LIST`.
fn names(dir: &Path, list: &str) -> Vec<String> {
    let folder = dir.join(format!("{list}.d"));
    if let Ok(entries) = std::fs::read_dir(folder) {
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        return names.filter(|name| !name.starts_with('.')).collect();
    }
    let text = std::fs::read_to_string(dir.join(list)).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Part of a source that lies beside sources, where /init reads nothing of it.
pub fn misplaced(dir: &Path, name: &OsStr) -> Option<String> {
    let parts = ["contents.d", "contents", "dependencies.d", "dependencies", "type"];
    parts.iter().any(|part| name == *part).then(|| {
        let (place, right) = (dir.join(name), dir.join("user").join(name));
        format!("{}: is read by nobody here, and is no service: move what is in it to {}", place.display(), right.display())
    })
}

/// Whether /init reads sources there; below any root.
pub fn is_one(dir: &Path) -> bool {
    let in_package = || {
        let package = dir.to_str().and_then(|dir| dir.strip_suffix(IN_PACKAGE)).map(Path::new);
        package.and_then(Path::file_name).is_some_and(|name| name.to_string_lossy().starts_with(PACKAGE))
    };
    dir.ends_with(relative(SOURCES)) || dir.ends_with(relative(BUNDLES)) || in_package()
}

/// What /init reads together with the sources of an image.
pub fn belonging_to(dir: &Path) -> Vec<PathBuf> {
    let dir = std::fs::canonicalize(dir).unwrap_or_default();
    let root = dir.to_str().and_then(|dir| dir.strip_suffix(SOURCES));
    let Some(root) = root.map(|root| Path::new("/").join(root)) else { return Vec::new() };
    let packages = std::fs::read_dir(root.join(relative(PACKAGES))).into_iter().flatten().flatten();
    let packages = packages.filter(|entry| entry.file_name().to_string_lossy().starts_with(PACKAGE));
    // A link of the plain name leads to one of the others.
    let packages = packages.map(|entry| entry.path()).filter(|package| !package.is_symlink());
    let mut more: Vec<PathBuf> = packages.map(|package| package.join(IN_PACKAGE)).collect();
    more.sort();
    more.push(root.join(relative(BUNDLES)));
    more.retain(|dir| dir.is_dir());
    more
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}
