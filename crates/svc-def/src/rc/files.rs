//! What an edit of a source is found by: a number for each of its files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::look::Folder;
use crate::servicefile::fingerprint;

/// What s6-rc-compile reads. A `run` and its small files are read by themselves at each start.
const NAMES: [&str; 13] = [
    "type",
    "up",
    "down",
    "dependencies",
    "dependencies.d",
    "contents",
    "contents.d",
    "timeout-up",
    "timeout-down",
    "producer-for",
    "consumer-for",
    "pipeline-name",
    "flag-essential",
];

/// Those that are there, by their content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files(Vec<(u8, u64)>);

impl Files {
    pub(crate) const NONE: Files = Files(Vec::new());

    /// Those that stand in a directory now.
    pub fn of(dir: &Path) -> Files {
        Files::of_folder(&Folder::list(dir))
    }

    pub(super) fn of_folder(dir: &Folder) -> Files {
        let there = NAMES.iter().zip(0..).filter(|(name, _)| dir.may_have(name));
        let mut files: Vec<(u8, u64)> =
            there.filter_map(|(name, number)| Some((number, content(&dir.join(name))?))).collect();
        files.shrink_to_fit();
        Files(files)
    }

    pub(super) fn written(&self) -> String {
        self.0.iter().map(|(number, mark)| format!("{number} {mark} ")).collect()
    }

    pub(super) fn of_written(text: &str) -> Option<Files> {
        let numbers: Vec<&str> = text.split_terminator(' ').collect();
        let file = |pair: &[&str]| Some((pair.first()?.parse().ok()?, pair.get(1)?.parse().ok()?));
        numbers.chunks(2).map(file).collect::<Option<_>>().map(Files)
    }

    /// Whether it is a source, and not something else that was read.
    pub fn is_source(&self) -> bool {
        !self.0.is_empty()
    }

    /// Those that are other ones there, have come, or are gone.
    pub fn differ<'a>(&'a self, other: &'a Files) -> impl Iterator<Item = &'static str> + 'a {
        let of = |files: &Files, number: u8| files.0.iter().find(|(known, _)| *known == number).map(|&(_, mark)| mark);
        let differs = move |number: &u8| of(self, *number) != of(other, *number);
        (0..NAMES.len() as u8).filter(differs).map(|number| NAMES[usize::from(number)])
    }
}

/// A number that is another one when a file says something else, or a directory has other names in it.
fn content(path: &Path) -> Option<u64> {
    let data = path.metadata().ok()?;
    if data.is_dir() {
        let mut names: Vec<_> = path.read_dir().ok()?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        return Some(fingerprint(format!("{names:?}").as_bytes()));
    }
    let is_small = data.is_file() && data.size() <= 64 * 1024;
    let read = is_small.then(|| std::fs::read(path).ok()).flatten();
    Some(read.map_or_else(|| fingerprint(format!("{} {}", data.ctime(), data.size()).as_bytes()), |read| fingerprint(&read)))
}
