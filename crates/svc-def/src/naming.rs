//! Which file it is that names another service: said of names that nobody has, and of circles.

use std::path::{Path, PathBuf};

use svc_core::graph::Problem;

use crate::problem::{shown, source};
use crate::servicefile::{is_one_file, place_of};

/// Files of an s6-rc source that name others: a folder with a file for each, or a list.
const FOLDERS: [&str; 2] = ["dependencies.d", "contents.d"];
const LISTS: [&str; 4] = ["dependencies", "contents", "producer-for", "consumer-for"];
/// And the keys of service.toml.
const KEYS: [&str; 5] = ["needs", "wants", "after", "before", "members"];

/// Where a service is: nowhere, if it has no file of its own, and maybe in several layers.
pub type Find<'a> = &'a dyn Fn(&str) -> Vec<PathBuf>;

/// What is wrong with services together, with the files that it stands in.
pub fn told(problem: &Problem, find: Find<'_>) -> String {
    match problem {
        Problem::Unknown { node, name, .. } | Problem::NoHealth { node, on: name } => match named(node, name, find) {
            Some(place) => format!("{place}: {problem}"),
            None => problem.to_string(),
        },
        Problem::Cycle(path) => {
            let edges = path.iter().zip(path.iter().cycle().skip(1));
            // One may be before another, which says nothing of it.
            let places = edges.filter_map(|(one, other)| named(one, other, find).or_else(|| named(other, one, find)));
            let places: Vec<String> = places.collect();
            if places.is_empty() { problem.to_string() } else { format!("{problem}: see {}", places.join(", ")) }
        }
        Problem::Twice(_) => problem.to_string(),
    }
}

/// `FILE` or `FILE:LINE:COLUMN`.
pub fn named(name: &str, other: &str, find: Find<'_>) -> Option<String> {
    find(name).iter().find_map(|path| named_in(path, name, other))
}

fn named_in(path: &Path, name: &str, other: &str) -> Option<String> {
    if is_one_file(path) {
        return place_of(path, name, &KEYS, other);
    }
    let folders = FOLDERS.iter().map(|folder| path.join(folder).join(other)).filter(|file| file.exists());
    let in_list =
        |file: &PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line.trim() == other));
    let lists = LISTS.iter().map(|list| path.join(list)).filter(in_list);
    folders.chain(lists).map(|file| shown(&source(file))).next()
}
