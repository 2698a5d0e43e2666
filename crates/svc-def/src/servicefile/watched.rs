//! Files that a service reads, and that it did not come with: whether they are what they were.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::fingerprint;
use super::layout::{Layout, layout};
use crate::problem::quoted;
use crate::rc::Watched;

/// Of larger files it is looked at when they were changed, and not at what is in them.
const MOST_READ: u64 = 1 << 20;

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Whether it may stand for files.
pub(super) fn pattern(text: &str) -> Result<(), String> {
    let shown = || quoted(text.as_bytes());
    match text.rsplit_once('/') {
        _ if text.is_empty() => Err(format!("has {}, which stands for no file: write a path", shown())),
        Some((folder, _)) if folder.contains(['*', '?']) => {
            Err(format!("has {}: only the name behind the last / may have * and ? in it", shown()))
        }
        Some(_) | None => Ok(()),
    }
}

/// What there is of a pattern, which is absolute: the directory, and what names in it must look like.
pub fn look_at(pattern: PathBuf) -> Watched {
    let mark = |file: PathBuf| {
        let content = content(&file);
        (file, content)
    };
    Watched { files: files(&pattern).into_iter().map(mark).collect(), pattern }
}

fn content(file: &Path) -> u64 {
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MOST_READ => {
            std::fs::read(file).map_or(1, |bytes| fingerprint(&bytes))
        }
        Ok(_) => stamp(file),
        Err(_) => 0,
    }
}

/// A number that is another one when a file has been written to, or another one is in its place.
fn stamp(file: &Path) -> u64 {
    match std::fs::metadata(file) {
        Ok(data) => {
            let text = format!("{} {} {} {} {}", data.ino(), data.size(), data.ctime(), data.ctime_nsec(), file.display());
            fingerprint(text.as_bytes())
        }
        Err(_) => 0,
    }
}

/// The files that a pattern stands for, in order.
fn files(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?']) {
        return vec![pattern.to_owned()];
    }
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| is_like(&entry.file_name().to_string_lossy(), &name)).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Whether a name matches a pattern with `*` and `?`. Names that begin with a dot must be meant.
pub fn is_like(name: &str, pattern: &str) -> bool {
    fn matches(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skipped| matches(&name[skipped..], rest)),
            Some(('?', rest)) => !name.is_empty() && matches(&name[1..], rest),
            Some((letter, rest)) => name.first() == Some(letter) && matches(&name[1..], rest),
        }
    }
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    name.starts_with('.') == pattern.starts_with('.') && matches(&letters(name), &letters(pattern))
}

/// A number that is another one when the files of a service may have been edited.
pub(super) fn stamp_of(layout: &Layout) -> u64 {
    let drop_ins = std::fs::read_dir(&layout.drop_ins).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut stamps: Vec<u64> =
        drop_ins.filter(|path| path.extension().is_some_and(|end| end == "toml")).map(|path| stamp(&path)).collect();
    stamps.sort_unstable();
    stamps.push(stamp(&layout.main));
    fingerprint(format!("{stamps:?}").as_bytes())
}

/// The same for the service at a path; none if it has another form.
pub fn edit_stamp(path: &Path) -> Option<u64> {
    layout(path).map(|layout| stamp_of(&layout))
}

/// The directories in which an edit of the service at a path happens, and what names are like there.
pub fn edited_in(path: &Path, watched: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let Some(layout) = layout(path) else { return Vec::new() };
    let mut patterns = vec![layout.main, layout.drop_ins.clone(), layout.drop_ins.join("*.toml")];
    patterns.extend_from_slice(watched);
    // What a pattern stands for may be reached by links, and so may the directory that it is about.
    let reached = patterns.iter().flat_map(|pattern| files(pattern).into_iter().chain(pattern.parent().map(PathBuf::from)));
    let mut places: Vec<PathBuf> = reached.flat_map(|path| links(&path)).collect();
    places.extend(patterns);
    places.sort();
    places.dedup();
    let split = |path: &PathBuf| Some((path.parent()?.to_owned(), path.file_name()?.to_string_lossy().into_owned()));
    places.iter().filter_map(split).collect()
}

/// The links on the way to a path, and what is behind them: what is there becomes another file where any of them is another one.
/// Kubernetes edits a ConfigMap so: `a.conf` is a link to `..data/a.conf`, and `..data` one to a directory, which is renamed over.
fn links(path: &Path) -> Vec<PathBuf> {
    let mut links = Vec::new();
    let mut place = PathBuf::new();
    let mut rest: Vec<OsString> = parts(path);
    while let Some(part) = rest.pop() {
        if part == ".." {
            place.pop();
            continue;
        }
        let next = place.join(part);
        match std::fs::read_link(&next) {
            Ok(target) if links.len() < MOST_LINKS => {
                if target.is_absolute() {
                    place = PathBuf::new();
                }
                rest.extend(parts(&target));
                links.push(next);
            }
            Ok(_) | Err(_) => place = next,
        }
    }
    if !links.is_empty() {
        links.push(place);
    }
    links
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_patterns() {
        for (name, pattern) in [("a.conf", "*.conf"), ("a.conf", "a.????"), ("x", "*"), ("abc", "a*c"), (".a", ".*")] {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("a.conf", "*.con"), (".a", "*"), ("ab", "a"), ("", "?")] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }

    #[test]
    fn links_on_the_way_are_found_with_what_is_behind_them() {
        use std::os::unix::fs::symlink;
        let dir = std::env::temp_dir().join(format!("svc-links-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("..1")).expect("ours");
        std::fs::write(dir.join("..1/a.conf"), "").expect("ours");
        symlink("..1", dir.join("..data")).expect("ours");
        symlink("..data/a.conf", dir.join("a.conf")).expect("ours");
        symlink(&dir, dir.join("loop")).expect("ours");
        symlink("self", dir.join("self")).expect("ours");
        let found = |name: &str| links(&dir.join(name));
        let all = ["a.conf", "..data", "..1/a.conf"].map(|name| dir.join(name));
        assert_eq!(found("a.conf"), all);
        assert_eq!(found("loop/../b.conf"), [dir.join("loop"), dir.parent().expect("not the root").join("b.conf")]);
        assert_eq!(found("..1/a.conf"), Vec::<PathBuf>::new());
        assert_eq!(found("none/b.conf"), Vec::<PathBuf>::new());
        assert_eq!(found("self").len(), MOST_LINKS + 1);
        std::fs::remove_dir_all(dir).expect("ours");
    }
}
