//! A file made of a template: whole or not at all, only when it differs, with the owner and mode that it had.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::files::{self, Like};
use crate::template::{self, Language};
use crate::{Owner, Variable, me};

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
    /// `exposed`: there is a secret in it, and everybody may read it, as before.
    Written {
        exposed: bool,
    },
    Unchanged,
    /// Somebody wants it left alone.
    Skipped,
    /// Its place cannot be written to, so it is here, below the directory that [`ELSEWHERE`] is to name.
    Elsewhere {
        root: PathBuf,
        file: PathBuf,
        changed: bool,
    },
}

/// What a template is filled with, and for whom.
pub struct Material<'a> {
    /// The service, by which it may be left alone.
    pub service: &'a str,
    pub variables: &'a [Variable],
    /// Those of the variables that nobody else is to see.
    pub secrets: &'a [String],
    /// Whom a new file with a secret in it belongs to; none: whoever makes it.
    pub user: Option<Owner>,
    pub run_dir: Option<&'a Path>,
}

impl Material<'_> {
    /// The same with other words in place of the secrets.
    fn without_secrets(&self) -> Vec<Variable> {
        let is_secret = |name: &String| self.secrets.contains(name);
        let hide = |(name, value): &Variable| (name.clone(), if is_secret(name) { HIDDEN.into() } else { value.clone() });
        self.variables.iter().map(hide).collect()
    }
}

/// Stands for what is not shown.
const HIDDEN: &str = "(a secret)";

/// Makes the files of these templates; none of them if one cannot be made.
pub fn put(templates: &[Template], material: &Material<'_>) -> Result<Vec<Done>, String> {
    let (mut texts, mut faults) = (Vec::new(), Vec::new());
    for template in templates {
        match template.wanted(material) {
            Ok(text) => texts.push(text),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    templates.iter().zip(texts).map(|(template, text)| template.put(text, material)).collect()
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

    fn language(&self) -> Language {
        self.language.unwrap_or_else(|| Language::of(&self.from.to_string_lossy()))
    }

    /// What the file would say. Every fault is a line that names the template and its line.
    fn text(&self, variables: &[Variable]) -> Result<Vec<u8>, String> {
        let (bytes, from) = (files::bytes(&self.from)?, self.from.display());
        if self.language().is_copy() {
            return Ok(bytes);
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("{from}: is not UTF-8: language = \"copy\" takes it as it is, with nothing put in"))?;
        template::render(&text, self.language(), variables).map(String::into_bytes).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(|fault| format!("{from}:{fault}")).collect();
            lines.join("\n")
        })
    }

    /// What the file is to say; none if it is left alone.
    fn wanted(&self, material: &Material<'_>) -> Result<Option<Vec<u8>>, String> {
        let left_alone = self.is_skipped(material) || self.has_nothing_to_do();
        if left_alone { Ok(None) } else { self.text(material.variables).map(Some) }
    }

    fn put(&self, text: Option<Vec<u8>>, material: &Material<'_>) -> Result<Done, String> {
        let Some(text) = text else {
            return Ok(if self.is_skipped(material) { Done::Skipped } else { Done::Unchanged });
        };
        // One that cannot be made without its secrets depends on them.
        let secret = !self.text(&material.without_secrets()).is_ok_and(|hidden| hidden == text);
        match self.place(material.run_dir)? {
            Place::Own(to) => {
                let there = fs::metadata(&to).ok();
                if there.as_ref().is_some_and(|there| !there.is_file()) {
                    return Err(format!("{}: is there, and is no file: name the file that is to be made", to.display()));
                }
                let like = self.like(there.as_ref(), secret, material.user)?;
                let same = fs::read(&to).is_ok_and(|old| old == text);
                if same && there.as_ref().map(Like::of) == Some(self.full(like)) {
                    return Ok(Done::Unchanged);
                }
                files::write(&to, &text, like)?;
                Ok(Done::Written { exposed: secret && self.mode.is_none() && like.mode & 0o007 != 0 })
            }
            Place::Elsewhere { root, file } => {
                let like = self.like(fs::metadata(&self.to).ok().as_ref(), secret, material.user)?;
                if let Some(parent) = file.parent() {
                    fs::create_dir_all(parent).map_err(|error| format!("cannot make {}: {error}", parent.display()))?;
                }
                let changed = !fs::read(&file).is_ok_and(|old| old == text);
                if changed {
                    files::write(&file, &text, like)?;
                }
                Ok(Done::Elsewhere { root, file, changed })
            }
        }
    }

    /// Where the file is made.
    fn place(&self, run_dir: Option<&Path>) -> Result<Place, String> {
        let to = files::end_of_links(&self.to)?;
        if !is_read_only(&to) {
            return Ok(Place::Own(to));
        }
        let root = run_dir.ok_or_else(|| {
            format!(
                "{}: its file system is read-only, and nothing else can be written to: {}",
                self.to.display(),
                crate::place::cure()
            )
        })?;
        let root = root.join("rendered");
        Ok(Place::Elsewhere { file: root.join(self.to.strip_prefix("/").unwrap_or(&self.to)), root })
    }

    /// A new file with a secret in it is for the user of the program alone, and its group.
    fn like(&self, there: Option<&fs::Metadata>, secret: bool, user: Option<Owner>) -> Result<Like, String> {
        let pattern = match there {
            Some(there) => Like::of(there),
            None => {
                let own = fs::metadata(&self.from).map_err(|error| format!("{}: {error}", self.from.display()))?;
                let (owner, bits) = if secret { (user, 0o770) } else { (None, 0o777) };
                Like { owner, mode: own.mode() & bits }
            }
        };
        Ok(Like { owner: self.owner.or(pattern.owner), mode: self.mode.unwrap_or(pattern.mode) })
    }

    /// The owner that a file has where none is said: that of whoever writes it.
    fn full(&self, like: Like) -> Like {
        Like { owner: like.owner.or(Some(me())), mode: like.mode }
    }

    fn has_nothing_to_do(&self) -> bool {
        self.language == Some(Language::CopyIfThere) && !self.from.exists()
    }

    fn is_skipped(&self, material: &Material<'_>) -> bool {
        is_skipped(material.service, &self.to, env::var(SKIP).ok().as_deref())
    }

    /// How the file would change, line by line; empty if it would not. No secret is shown.
    pub fn diff(&self, material: &Material<'_>) -> Result<String, String> {
        let Some(new) = self.wanted(material)? else { return Ok(String::new()) };
        let place = match self.place(material.run_dir) {
            Ok(Place::Elsewhere { file, .. }) => file,
            Ok(Place::Own(_)) | Err(_) => self.to.clone(),
        };
        let name = place.display();
        let old = match fs::read(&place) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("{name}: {error}{}", files::cure_of_reading(&error))),
        };
        if old == new {
            return Ok(String::new());
        }
        let hidden = self.text(&material.without_secrets()).unwrap_or_default();
        let (old, new, hidden) =
            (String::from_utf8_lossy(&old), String::from_utf8_lossy(&new), String::from_utf8_lossy(&hidden));
        let open: HashSet<&str> = hidden.lines().collect();
        let private = self.is_private(&place);
        let all = private && self.language().is_copy();
        let lines = changed_lines(&old, &new, private, &|line| all || !open.contains(line));
        Ok(format!("--- {name}\n+++ {name} (rendered)\n{lines}"))
    }

    /// Whether not everybody may read the file, or what it is made of.
    fn is_private(&self, place: &Path) -> bool {
        let is_closed = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 == 0);
        self.mode.is_some_and(|mode| mode & 0o004 == 0) || is_closed(place) || is_closed(&self.from)
    }
}

/// Where a file is made: where it belongs, or where that is read-only, below the run directory.
enum Place {
    Own(PathBuf),
    Elsewhere { root: PathBuf, file: PathBuf },
}

/// The lines that differ, each group of them with its place in the old file. What is taken away may be an older secret: it is not
/// shown where the group has one, nor if the file is `private`.
fn changed_lines(old: &str, new: &str, private: bool, is_secret: &dyn Fn(&str) -> bool) -> String {
    let (mut text, mut line) = (String::new(), 0);
    let mut group: Vec<(char, &str)> = Vec::new();
    let flush = |text: &mut String, group: &mut Vec<(char, &str)>| {
        let secret = private || group.iter().any(|(sign, line)| *sign == '+' && is_secret(line));
        for (sign, line) in group.drain(..) {
            let hides = if sign == '-' { secret } else { is_secret(line) };
            let line = if hides { HIDDEN } else { line };
            *text += &format!("{sign}{line}\n");
        }
    };
    // The end of the last line begins none.
    let (old, new) = match (old.strip_suffix('\n'), new.strip_suffix('\n')) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) if old.is_empty() => (old, new),
        _ => (old, new),
    };
    for one in diff::lines(old, new) {
        let (sign, changed) = match one {
            diff::Result::Both(..) => {
                flush(&mut text, &mut group);
                line += 1;
                continue;
            }
            diff::Result::Left(gone) => ('-', gone),
            diff::Result::Right(come) => ('+', come),
        };
        if group.is_empty() {
            text += &format!("@@ line {} @@\n", line + 1);
        }
        group.push((sign, changed));
        line += usize::from(sign == '-');
    }
    flush(&mut text, &mut group);
    text
}

/// Whether somebody wants this one left alone.
fn is_skipped(service: &str, to: &Path, list: Option<&str>) -> bool {
    let list = list.unwrap_or_default();
    let words = list.split([',', ' ']).filter(|word| !word.is_empty());
    words.into_iter().any(|word| matches!(word, "1" | "all" | "true") || word == service || Path::new(word) == to)
}

/// Whether the directory of a file is on a file system that cannot be written to. Asked without writing: before the kernel looks for
/// what is to be removed, it looks whether anything may be.
fn is_read_only(file: &Path) -> bool {
    let Some(dir) = file.parent() else { return false };
    let nothing = dir.join(format!(".svc-{}-is-not-there", std::process::id()));
    fs::remove_file(nothing).is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_shown() {
        let lines = |old, new| changed_lines(old, new, false, &|line| line.contains("s3cret"));
        assert_eq!(lines("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n"), "@@ line 2 @@\n-b\n+x\n@@ line 5 @@\n+e\n");
        assert_eq!(lines("", "a\n"), "@@ line 1 @@\n+a\n");
        assert_eq!(lines("k=old\nb\n", "k=s3cret\nb\n"), "@@ line 1 @@\n-(a secret)\n+(a secret)\n");
        let private = changed_lines("k=old\nb\n", "b\nc\n", true, &|_| false);
        assert_eq!(private, "@@ line 1 @@\n-(a secret)\n@@ line 3 @@\n+c\n", "what is taken away may be an older secret");
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
