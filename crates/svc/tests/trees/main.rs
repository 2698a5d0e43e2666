//! Trees as images for s6-overlay and other base images have them, in `tests/trees/`, booted as they are by `/init`, or what the
//! convention has in its place, as process 1.
//!
//! Each has a `rootfs/`, which is laid over this machine's own root, and a file `expect`. Stub programs (`tests/trees/stubs`)
//! stand in for applications. What they write with `trace` is in the order in which it happened: pipes of several services have
//! no order among themselves.
#![forbid(unsafe_code)]

mod boot;
mod figures;
mod outside;
mod story;

use std::path::Path;

use boot::{Container, is_possible};
use story::Story;

/// Boots a tree and compares.
#[track_caller]
fn plays(folder: &Path) {
    if !is_possible() {
        return;
    }
    let story = Story::read(folder);
    let mut container = Container::boot(folder, &story);
    container.signal_when(&story);
    let code = container.wait();
    story.compare(code, &container.trace(), &container.output());
    assert!(container.has_left_nothing(), "{}: something is left in the host's memory", folder.display());
}

/// A test for each directory, so that a tree that fails is named; and no directory is forgotten.
macro_rules! trees {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { plays(&story::trees().join(stringify!($name))); })*
    };
}

include!("list.rs");

#[test]
fn every_tree_is_played() {
    let entries = std::fs::read_dir(story::trees()).expect("tests/trees");
    let mut there: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    there.retain(|name| name != "stubs" && !name.contains('.'));
    there.sort_unstable();
    let mut known = NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(there, known, "tests/trees and the list in crates/svc/tests/trees/list.rs differ");
}

#[test]
fn the_page_of_trees_has_each_and_no_other() {
    let page = std::fs::read_to_string(story::trees().join("../../docs/s6-overlay-trees.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | "));
    let words = rows.flat_map(|(_, trees)| trees.split(", ")).filter(|word| *word != "tree");
    let told: std::collections::BTreeSet<&str> = words.collect();
    let known = NAMES.iter().copied().collect();
    assert_eq!(told, known, "docs/s6-overlay-trees.md and the list in crates/svc/tests/trees/list.rs differ");
}
