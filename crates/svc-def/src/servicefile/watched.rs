//! Files that a service reads, and that it did not come with: whether they are what they were.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::fingerprint;
use super::layout::{Layout, layout};

/// Of larger files it is looked at when they were changed, and not at what is in them.
const MOST_READ: u64 = 1 << 20;

/// A pattern, absolute: the directory, and what names in it must look like.
pub(super) fn absolute(base: &Path, pattern: &str) -> PathBuf {
    base.join(pattern)
}

/// The files, each with a number that is another one when its content is.
pub(super) fn marks(patterns: &[PathBuf]) -> Vec<(PathBuf, u64)> {
    let files = patterns.iter().flat_map(|pattern| files(pattern));
    files.map(|file| (file.clone(), content(&file))).collect()
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
    let split = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (path.parent().unwrap_or(Path::new("/")).to_owned(), name)
    };
    let mut places = vec![split(&layout.main), split(&layout.drop_ins), (layout.drop_ins.clone(), "*.toml".into())];
    places.extend(watched.iter().map(|pattern| split(pattern)));
    places
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn names_are_like_patterns() {
        for (name, pattern) in [("a.conf", "*.conf"), ("a.conf", "a.????"), ("x", "*"), ("abc", "a*c"), (".a", ".*")] {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("a.conf", "*.con"), (".a", "*"), ("ab", "a"), ("", "?")] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }
}
