//! A file made of a template: whole or not at all, only when it differs, with the owner and mode that it had.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::files::{self, Like};
use crate::template::{self, Language};
use crate::{Owner, Variable};

/// Names what is not rendered: `1` or `all`, or services and files with commas between them.
pub const SKIP: &str = "SVC_SKIP_RENDER";
/// Where files are that could not be put where they belong.
pub const ELSEWHERE: &str = "SVC_RENDERED";

/// What is to be made of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub from: PathBuf,
    pub to: PathBuf,
    /// None: that of the name.
    pub language: Option<Language>,
    /// None: that of the file which is there, or else of the template.
    pub mode: Option<u32>,
    pub owner: Option<Owner>,
}

/// What has been done.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Written,
    Unchanged,
    /// Somebody wants it left alone.
    Skipped,
    /// Its place cannot be written to, so it is here, below the directory that [`ELSEWHERE`] is to name.
    Elsewhere {
        root: PathBuf,
        file: PathBuf,
    },
}

impl Template {
    /// `FROM=TO`.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (from, to) = text
            .split_once('=')
            .filter(|(from, to)| !from.is_empty() && !to.is_empty())
            .ok_or_else(|| format!("{text}: a template is FROM=TO, such as /etc/web.conf.tmpl=/etc/web.conf"))?;
        Ok(Template { from: from.into(), to: to.into(), language: None, mode: None, owner: None })
    }

    /// What the file would say. Every fault is a line that names the template and its line.
    pub fn text(&self, variables: &[Variable]) -> Result<String, String> {
        let text = files::read(&self.from)?;
        let language = self.language.unwrap_or_else(|| Language::of(&self.from.to_string_lossy()));
        template::render(&text, language, variables).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(|fault| format!("{}:{fault}", self.from.display())).collect();
            lines.join("\n")
        })
    }

    /// Makes the file, for the service of this name.
    pub fn put(&self, service: &str, variables: &[Variable], run_dir: Option<&Path>) -> Result<Done, String> {
        if is_skipped(service, &self.to, env::var(SKIP).ok().as_deref()) {
            return Ok(Done::Skipped);
        }
        if self.has_nothing_to_do() {
            return Ok(Done::Unchanged);
        }
        let text = self.text(variables)?;
        // A link leads to a place that somebody has chosen.
        let to = fs::canonicalize(&self.to).unwrap_or_else(|_| self.to.clone());
        let there = fs::metadata(&to).ok();
        let like = self.like(there.as_ref())?;
        if fs::read(&to).is_ok_and(|old| old == text.as_bytes()) && there.as_ref().map(Like::of) == Some(self.full(like)) {
            return Ok(Done::Unchanged);
        }
        if is_read_only(&to) {
            return self.put_elsewhere(&text, like, run_dir);
        }
        files::write(&to, text.as_bytes(), like)?;
        Ok(Done::Written)
    }

    fn put_elsewhere(&self, text: &str, like: Like, run_dir: Option<&Path>) -> Result<Done, String> {
        let root = run_dir.ok_or_else(|| {
            format!(
                "{}: its file system is read-only, and so is every other: give svc a place (docker run --tmpfs /run)",
                self.to.display()
            )
        })?;
        let root = root.join("rendered");
        let file = root.join(self.to.strip_prefix("/").unwrap_or(&self.to));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("cannot make {}: {error}", parent.display()))?;
        }
        if !fs::read(&file).is_ok_and(|old| old == text.as_bytes()) {
            files::write(&file, text.as_bytes(), like)?;
        }
        Ok(Done::Elsewhere { root, file })
    }

    fn like(&self, there: Option<&fs::Metadata>) -> Result<Like, String> {
        let pattern = match there {
            Some(there) => Like::of(there),
            None => {
                let own = fs::metadata(&self.from).map_err(|error| format!("{}: {error}", self.from.display()))?;
                Like { owner: None, mode: own.mode() & 0o777 }
            }
        };
        Ok(Like { owner: self.owner.or(pattern.owner), mode: self.mode.unwrap_or(pattern.mode) })
    }

    /// The owner that a file has where none is said: that of whoever writes it.
    fn full(&self, like: Like) -> Like {
        let own = fs::metadata("/proc/self").ok().map(|own| Owner { uid: own.uid(), gid: own.gid() });
        Like { owner: like.owner.or(own), mode: like.mode }
    }

    fn has_nothing_to_do(&self) -> bool {
        self.language == Some(Language::CopyIfThere) && !self.from.exists()
    }

    /// How the file would change, line by line; empty if it would not.
    pub fn diff(&self, variables: &[Variable]) -> Result<String, String> {
        if self.has_nothing_to_do() {
            return Ok(String::new());
        }
        let (new, name) = (self.text(variables)?, self.to.display().to_string());
        let old = match fs::read(&self.to) {
            Ok(old) => String::from_utf8_lossy(&old).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{name}: {error}")),
        };
        if old == new {
            return Ok(String::new());
        }
        Ok(format!("--- {name}\n+++ {name} (rendered)\n{}", changed_lines(&old, &new)))
    }
}

/// The lines that differ, each group of them with its place in the old file.
fn changed_lines(old: &str, new: &str) -> String {
    let (mut text, mut line, mut within) = (String::new(), 0, false);
    for one in diff::lines(old, new) {
        if let diff::Result::Both(..) = one {
            (line, within) = (line + 1, false);
            continue;
        }
        if !std::mem::replace(&mut within, true) {
            text += &format!("@@ line {} @@\n", line + 1);
        }
        match one {
            diff::Result::Left(gone) => {
                text += &format!("-{gone}\n");
                line += 1;
            }
            diff::Result::Right(come) => text += &format!("+{come}\n"),
            diff::Result::Both(..) => {}
        }
    }
    text
}

/// Whether somebody wants this one left alone.
fn is_skipped(service: &str, to: &Path, list: Option<&str>) -> bool {
    let list = list.unwrap_or_default();
    let words = list.split([',', ' ']).filter(|word| !word.is_empty());
    words.into_iter().any(|word| matches!(word, "1" | "all" | "true") || word == service || Path::new(word) == to)
}

/// Whether the directory of a file is on a file system that cannot be written to.
fn is_read_only(file: &Path) -> bool {
    let Some(dir) = file.parent() else { return false };
    let probe = dir.join(format!(".svc-{}", std::process::id()));
    match fs::OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {
            let _ = fs::remove_file(&probe);
            false
        }
        Err(error) => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_shown() {
        assert_eq!(changed_lines("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n"), "@@ line 2 @@\n-b\n+x\n@@ line 5 @@\n+e\n");
    }

    #[test]
    fn who_is_left_alone() {
        let to = Path::new("/etc/web.conf");
        for list in ["1", "all", "db,web", "db /etc/web.conf"] {
            assert!(is_skipped("web", to, Some(list)), "{list}");
        }
        for list in ["", "0", "webs", "/etc"] {
            assert!(!is_skipped("web", to, Some(list)), "{list}");
        }
        assert!(!is_skipped("web", to, None));
    }
}
