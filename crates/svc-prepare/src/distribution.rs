//! A distribution: the artefacts of a directory that somebody mounts, put where a program looks for them. All of it is looked at
//! before anything is put; a file is put whole and only if it differs; what the distribution no longer has is taken away again,
//! and nothing else is.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::Owner;
use crate::files::{self, Like};

/// What was put, where it was put: the version, and a name a line.
const RECORD: &str = ".svc-distribution";
/// Directories below each other; more is a link that leads back.
const DEEPEST: usize = 32;
/// Archives of the kinds that servers load. The last thing in one is where its contents are listed.
const ARCHIVES: [&str; 5] = ["zip", "jar", "war", "omod", "owa"];
const LISTED: &[u8] = b"PK\x05\x06";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    pub from: PathBuf,
    pub to: PathBuf,
    /// The file that is written last, and says which one it is; relative to `from`.
    pub version: Option<PathBuf>,
    /// None: that of each artefact.
    pub mode: Option<u32>,
    pub owner: Option<Owner>,
    /// Links to the artefacts, in place of copies.
    pub links: bool,
}

/// What has been done, or would be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub seen: usize,
    pub put: Vec<PathBuf>,
    pub removed: Vec<PathBuf>,
    /// What it is now, if it says so.
    pub version: String,
}

impl Done {
    pub fn is_nothing(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }
}

impl Distribution {
    /// `FROM=TO`.
    pub fn parse(text: &str) -> Result<Distribution, String> {
        let (from, to) = text
            .split_once('=')
            .filter(|(from, to)| !from.is_empty() && !to.is_empty())
            .ok_or_else(|| format!("{text}: a distribution is FROM=TO, such as /distribution/modules=/data/modules"))?;
        Ok(Distribution { from: from.into(), to: to.into(), version: None, mode: None, owner: None, links: false })
    }

    /// Brings what is in place to what the distribution has; `dry_run`: finds out what that would be.
    pub fn put(&self, dry_run: bool) -> Result<Done, String> {
        let version = self.version_now()?;
        let mut artefacts = BTreeMap::new();
        list(&self.from, Path::new(""), 0, &mut artefacts)?;
        let record = self.to.join(RECORD);
        let before = fs::read_to_string(&record).unwrap_or_default();
        let known: Vec<&str> = before.lines().skip(1).collect();
        if artefacts.is_empty() && !known.is_empty() {
            let (from, count) = (self.from.display(), known.len());
            return Err(format!("{from}: is empty, and had {count} files before: see whether it is mounted"));
        }
        for name in artefacts.keys() {
            check(&self.from.join(name))?;
        }
        let mut done = Done { seen: artefacts.len(), version, ..Done::default() };
        for (name, metadata) in artefacts.iter().filter(|(name, metadata)| !self.is_in_place(name, metadata)) {
            if !dry_run {
                self.put_one(name, metadata)?;
            }
            done.put.push(name.clone());
        }
        let gone = known.into_iter().map(PathBuf::from).filter(|name| !artefacts.contains_key(name) && is_inside(name));
        for name in gone.filter(|name| fs::symlink_metadata(self.to.join(name)).is_ok()) {
            if !dry_run {
                let path = self.to.join(&name);
                fs::remove_file(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
            }
            done.removed.push(name);
        }
        let names = artefacts.keys().map(|name| format!("{}\n", name.display()));
        let now = format!("{}\n{}", done.version, names.collect::<String>());
        if now != before && !dry_run && self.to.is_dir() {
            files::write(&record, now.as_bytes(), Like { owner: self.owner, mode: 0o644 })?;
        }
        Ok(done)
    }

    fn version_now(&self) -> Result<String, String> {
        let Some(file) = self.version.as_ref().map(|file| self.from.join(file)) else { return Ok(String::new()) };
        let text = files::read(&file).map_err(|what| {
            format!("{what}: the distribution is not mounted, or half-written: this file must be put there last")
        })?;
        match text.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => Ok(line.to_owned()),
            None => Err(format!("{}: is empty, so the distribution is half-written", file.display())),
        }
    }

    fn like(&self, metadata: &Metadata) -> Like {
        Like { owner: self.owner, mode: self.mode.unwrap_or(metadata.mode() & 0o777) }
    }

    /// A copy has the size and the time of what it is a copy of.
    fn is_in_place(&self, name: &Path, metadata: &Metadata) -> bool {
        let to = self.to.join(name);
        if self.links {
            return fs::read_link(&to).is_ok_and(|leads| leads == self.from.join(name));
        }
        let like = self.like(metadata);
        fs::symlink_metadata(&to).is_ok_and(|there| {
            let is_owner = like.owner.is_none_or(|owner| (there.uid(), there.gid()) == (owner.uid, owner.gid));
            let is_same =
                there.is_file() && there.len() == metadata.len() && there.modified().ok() == metadata.modified().ok();
            is_same && is_owner && there.mode() & 0o7777 == like.mode
        })
    }

    fn put_one(&self, name: &Path, metadata: &Metadata) -> Result<(), String> {
        let (from, to) = (self.from.join(name), self.to.join(name));
        if let Some(parent) = to.parent().filter(|parent| !parent.is_dir()) {
            files::make_directory(parent, self.owner, 0o755)?;
        }
        if self.links {
            return files::put(&to, &mut |new| symlink(&from, new));
        }
        let failed = |error: io::Error| format!("{}: {error}", from.display());
        let mut source = File::open(&from).map_err(failed)?;
        files::put(&to, &mut |new| {
            let mut file = files::create(new)?;
            io::copy(&mut source, &mut file)?;
            files::settle(&file, self.like(metadata))?;
            file.set_modified(metadata.modified()?)
        })?;
        let now = source.metadata().map_err(failed)?;
        if (now.len(), now.modified().ok()) != (metadata.len(), metadata.modified().ok()) {
            return Err(format!("{}: was written to while it was copied: it is half-written", from.display()));
        }
        Ok(())
    }
}

/// All files below a directory, by their names in it; where there is a link, what it leads to. Kubernetes hides versions of its own
/// behind two dots.
fn list(root: &Path, below: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Metadata>) -> Result<(), String> {
    let dir = root.join(below);
    let failed = |path: &Path, error: io::Error| {
        let cure = match error.kind() {
            io::ErrorKind::NotFound => ": mount the distribution there; where it is a link, it leads to nothing",
            io::ErrorKind::NotADirectory => ": a distribution is a directory",
            io::ErrorKind::PermissionDenied => ": svc's user may not read it: start svc as root, or change its mode",
            _ => "",
        };
        format!("{}: {error}{cure}", path.display())
    };
    if depth > DEEPEST {
        return Err(format!("{}: is too deep: a link leads back to a directory above it", dir.display()));
    }
    for entry in fs::read_dir(&dir).map_err(|error| failed(&dir, error))? {
        let name = below.join(entry.map_err(|error| failed(&dir, error))?.file_name());
        let path = root.join(&name);
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("..") || name == RECORD) {
            continue;
        }
        let metadata = fs::metadata(&path).map_err(|error| failed(&path, error))?;
        if metadata.is_dir() {
            list(root, &name, depth + 1, found)?;
        } else {
            found.insert(name, metadata);
        }
    }
    Ok(())
}

/// Whether an artefact can be read, and is whole as far as that can be seen.
fn check(path: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}: give it to svc's user, or start svc as root", path.display());
    let mut file = File::open(path).map_err(failed)?;
    if !path.extension().is_some_and(|end| ARCHIVES.iter().any(|archive| end.eq_ignore_ascii_case(archive))) {
        return Ok(());
    }
    // A comment of at most 64 KiB may follow the 22 bytes of that list's end.
    let length = file.metadata().map_err(failed)?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(65_557))).and_then(|_| file.read_to_end(&mut end)).map_err(failed)?;
    if end.windows(LISTED.len()).any(|bytes| bytes == LISTED) {
        return Ok(());
    }
    Err(format!("{}: is no whole archive ({length} bytes): it is half-written, or a copy that broke off", path.display()))
}

/// Names in a record are ours, and the file may be somebody's.
fn is_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn scratch(name: &str, files: &[(&str, &str)]) -> (Scratch, Distribution) {
        let root = PathBuf::from(format!("/tmp/svc-distribution-{}-{name}", std::process::id()));
        for (name, text) in files {
            let path = root.join("from").join(name);
            fs::create_dir_all(path.parent().expect("one")).expect("ours");
            fs::write(path, text).expect("ours");
        }
        let distribution = Distribution::parse(&format!("{0}/from={0}/to", root.display())).expect("a pair");
        (Scratch(root), distribution)
    }

    fn names(list: &[PathBuf]) -> Vec<String> {
        list.iter().map(|name| name.display().to_string()).collect()
    }

    #[test]
    fn what_differs_is_put_and_what_is_gone_is_removed() {
        let (root, mut it) = scratch("put", &[("a.txt", "a"), ("deep/b.txt", "b"), ("VERSION", "1\n")]);
        it.version = Some("VERSION".into());
        let dry = it.put(true).expect("whole");
        assert_eq!((names(&dry.put), it.to.exists()), (vec!["VERSION".into(), "a.txt".into(), "deep/b.txt".into()], false));
        let done = it.put(false).expect("whole");
        assert_eq!((done.put.len(), done.seen, done.version.as_str()), (3, 3, "1"));
        assert_eq!(fs::read_to_string(it.to.join("deep/b.txt")).expect("there"), "b");
        assert!(it.put(false).expect("whole").is_nothing(), "once more changes nothing");
        fs::write(it.to.join("mine.txt"), "of the server").expect("ours");
        fs::write(it.from.join("a.txt"), "other").expect("ours");
        fs::remove_dir_all(it.from.join("deep")).expect("there");
        it.mode = Some(0o640);
        let done = it.put(false).expect("whole");
        assert_eq!(
            (names(&done.put), names(&done.removed)),
            (vec!["VERSION".into(), "a.txt".into()], vec!["deep/b.txt".into()])
        );
        assert_eq!(fs::metadata(it.to.join("a.txt")).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(it.to.join("mine.txt")).expect("there"), "of the server");
        fs::remove_dir_all(&it.from).and_then(|()| fs::create_dir(&it.from)).expect("ours");
        it.version = None;
        assert!(it.put(false).is_err_and(|what| what.contains("is empty, and had 2 files before")));
        drop(root);
    }

    #[test]
    fn what_is_not_whole_changes_nothing() {
        let (_root, mut it) = scratch("half", &[("a.txt", "a"), ("b.omod", "PK\x03\x04 and no end")]);
        it.version = Some("../VERSION".into());
        assert!(it.put(false).is_err_and(|what| what.contains("VERSION: No such file") && what.contains("half-written")));
        fs::write(it.from.join("../VERSION"), "\n").expect("ours");
        assert!(it.put(false).is_err_and(|what| what.contains("is empty, so the distribution is half-written")));
        fs::write(it.from.join("../VERSION"), "1").expect("ours");
        assert!(it.put(false).is_err_and(|what| what.contains("b.omod: is no whole archive (15 bytes)")));
        assert!(!it.to.exists(), "nothing was put");
        fs::write(it.from.join("b.omod"), "PK\x05\x06 the end of an empty one").expect("ours");
        symlink("nowhere", it.from.join("c")).expect("ours");
        assert!(it.put(false).is_err_and(|what| what.contains("/c: No such file") && what.contains("leads to nothing")));
        fs::remove_file(it.from.join("c")).expect("ours");
        it.links = true;
        assert_eq!(it.put(false).expect("whole").put.len(), 2);
        assert_eq!(fs::read_link(it.to.join("a.txt")).expect("a link"), it.from.join("a.txt"));
        assert!(it.put(false).expect("whole").is_nothing());
    }
}
