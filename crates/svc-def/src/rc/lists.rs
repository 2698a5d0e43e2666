//! Lists of names: a directory whose entries are the names, or a file with one a line.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::ServiceName;

use crate::look::{self, Folder, Look, look};
use crate::problem::{Problem, quoted};

/// More than any list of names or script has; so much is read.
const MOST: usize = 1 << 20;

/// The names of `NAME.d/`, or of the file `NAME`, which is the older form: s6-rc looks at that only where there is no `NAME.d/`.
pub(super) fn names(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Vec<ServiceName> {
    let listed = format!("{name}.d");
    let folder = dir.join(&listed);
    match dir.look(&listed) {
        Look::Here(metadata) if metadata.is_dir() => {
            if dir.has(name) {
                let message = format!("is not read, for {listed} is there: move its names there, or remove it");
                problems.push(Problem::warning(dir.join(name), message));
            }
            in_folder(&folder, problems)
        }
        Look::Here(metadata) => {
            let kind = look::kind(&metadata);
            let message = format!("is {kind}, and must be a directory with an empty file for each name");
            problems.push(Problem::fatal(folder, message));
            Vec::new()
        }
        Look::Trouble(trouble) => {
            problems.push(Problem::fatal(folder, trouble.message()));
            Vec::new()
        }
        Look::Absent => file(dir, name, problems),
    }
}

fn in_folder(folder: &Path, problems: &mut Vec<Problem>) -> Vec<ServiceName> {
    let mut names = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            // What begins with a dot is there for git, or for an editor.
            let entries = entries.flatten().map(|entry| entry.file_name()).filter(|name| !name.as_bytes().starts_with(b"."));
            for entry in entries {
                names.extend(checked(entry.as_bytes(), &folder.join(&entry), problems));
            }
        }
        Err(error) => problems.push(Problem::fatal(folder, format!("cannot be listed: {error}"))),
    }
    names.sort();
    names
}

/// The names of a file, one a line; an empty line and what begins with # is nobody's name.
pub(super) fn file(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Vec<ServiceName> {
    let path = dir.join(name);
    let Some(bytes) = content(dir, name, problems) else { return Vec::new() };
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let mut names: Vec<ServiceName> = lines.filter_map(|line| checked(line, &path, problems)).collect();
    names.sort();
    names.dedup();
    names
}

/// The one name of a file.
pub(super) fn one(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Option<ServiceName> {
    let mut names = file(dir, name, problems).into_iter();
    let first = names.next();
    if names.next().is_some() {
        problems.push(Problem::fatal(dir.join(name), "has more than one name: write one".into()));
    }
    first
}

fn checked(name: &[u8], path: &Path, problems: &mut Vec<Problem>) -> Option<ServiceName> {
    let checked = ServiceName::new(name);
    checked.map_err(|error| problems.push(Problem::fatal(path, format!("{} is no name: {error}", quoted(name))))).ok()
}

/// What is in a plain file of a directory; a problem if it cannot be read.
pub(super) fn content(dir: &Folder, name: &str, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
    if dir.may_have(name) { content_of(&dir.join(name), problems) } else { None }
}

/// The same of a file by its path.
pub(crate) fn content_of(path: &Path, problems: &mut Vec<Problem>) -> Option<Vec<u8>> {
    let trouble = match look(path) {
        Look::Absent => return None,
        Look::Trouble(trouble) => trouble.message(),
        Look::Here(metadata) if !metadata.is_file() => format!("is {}, and must be a file", look::kind(&metadata)),
        Look::Here(_) => match look::head(path, MOST) {
            Ok((_, bytes)) => return Some(bytes),
            Err(trouble) => trouble.message(),
        },
    };
    problems.push(Problem::fatal(path, trouble));
    None
}
