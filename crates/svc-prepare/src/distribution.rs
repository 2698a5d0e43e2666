//! A distribution: the artefacts of a directory that somebody mounts, put where a program looks for them. All of it is looked at,
//! and copied beside its place, before anything is put; a file is put whole and only if it differs; what the distribution no
//! longer has is taken away again, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::Owner;
use crate::files::{self, Beside, Like};

/// What was put, where it was put: the version, and a name a line.
const RECORD: &str = ".svc-distribution";
/// Stands behind the version while that is being put: what is in place is neither this one nor the one before.
const UNDER_WAY: &str = " (being put in place)";
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

/// What a whole distribution would change in what is in place.
#[derive(Debug)]
pub struct Look {
    pub put: Vec<PathBuf>,
    pub removed: Vec<PathBuf>,
    /// What it is now, if it says so.
    pub version: String,
    artefacts: BTreeMap<PathBuf, Metadata>,
    /// The record, and the names in it.
    before: String,
    known: Vec<PathBuf>,
}

impl Look {
    pub fn is_nothing(&self) -> bool {
        self.put.is_empty() && self.removed.is_empty()
    }

    /// How many artefacts it has.
    pub fn seen(&self) -> usize {
        self.artefacts.len()
    }

    fn record(&self, behind_version: &str, names: &BTreeSet<&PathBuf>) -> String {
        let names: String = names.iter().map(|name| format!("{}\n", name.display())).collect();
        format!("{}{behind_version}\n{names}", self.version)
    }
}

/// All that differs, complete beside its place. It goes if it is not put.
pub struct Staged(Vec<Beside>);

impl Distribution {
    /// `FROM=TO`.
    pub fn parse(text: &str) -> Result<Distribution, String> {
        let (from, to) = text
            .split_once('=')
            .filter(|(from, to)| !from.is_empty() && !to.is_empty())
            .ok_or_else(|| format!("{text}: a distribution is FROM=TO, such as /distribution/modules=/data/modules"))?;
        Ok(Distribution { from: from.into(), to: to.into(), version: None, mode: None, owner: None, links: false })
    }

    /// Looks at all of it: an error if it is not whole.
    pub fn look(&self) -> Result<Look, String> {
        let version = self.version_now()?;
        let mut artefacts = BTreeMap::new();
        list(&self.from, Path::new(""), 0, &mut artefacts)?;
        let (before, known) = self.record();
        if artefacts.is_empty() && !known.is_empty() {
            let (from, count) = (self.from.display(), known.len());
            return Err(format!("{from}: is empty, and had {count} files before: see whether it is mounted"));
        }
        for name in artefacts.keys() {
            check(&self.from.join(name))?;
        }
        let differs = |(name, metadata): &(&PathBuf, &Metadata)| !self.is_in_place(name, metadata);
        let put = artefacts.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        let is_gone = |name: &&PathBuf| !artefacts.contains_key(*name) && fs::symlink_metadata(self.to.join(name)).is_ok();
        let removed = known.iter().filter(is_gone).cloned().collect();
        Ok(Look { put, removed, version, artefacts, before, known })
    }

    /// Makes what differs, beside its place. Nothing has changed for whoever reads there.
    pub fn stage(&self, look: &Look) -> Result<Staged, String> {
        look.put.iter().map(|name| self.stage_one(name, &look.artefacts[name])).collect::<Result<_, _>>().map(Staged)
    }

    /// Writes down that it is about to be put, so that what is in place counts as nothing if that breaks off. A service with
    /// several announces all before it puts the first.
    pub fn announce(&self, look: &Look) -> Result<(), String> {
        if look.is_nothing() {
            return Ok(());
        }
        let names = look.artefacts.keys().chain(&look.known).collect();
        self.to_record(look, look.record(UNDER_WAY, &names))
    }

    /// Puts all of that in place, and removes what is gone.
    pub fn put(&self, look: &Look, staged: Staged) -> Result<(), String> {
        staged.0.into_iter().try_for_each(Beside::put)?;
        for path in look.removed.iter().map(|name| self.to.join(name)) {
            fs::remove_file(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
        self.to_record(look, look.record("", &look.artefacts.keys().collect()))
    }

    fn to_record(&self, look: &Look, text: String) -> Result<(), String> {
        if !self.to.is_dir() || text == look.before && look.is_nothing() {
            return Ok(());
        }
        files::write(&self.to.join(RECORD), text.as_bytes(), Like { owner: self.owner, mode: 0o644 })
    }

    /// Whether putting one broke off, so that a part of what is in place is of one version, and the rest of another.
    pub fn broke_off(&self) -> bool {
        self.record().0.lines().next().is_some_and(|version| version.ends_with(UNDER_WAY))
    }

    /// The version of an earlier one, if all of that is in place.
    pub fn in_place(&self) -> Option<String> {
        let (record, names) = self.record();
        let version = record.lines().next().filter(|version| !version.ends_with(UNDER_WAY))?;
        names.iter().all(|name| self.to.join(name).exists()).then(|| version.to_owned())
    }

    /// What was put; the names in it are ours, and the file may be somebody's.
    fn record(&self) -> (String, Vec<PathBuf>) {
        let text = fs::read_to_string(self.to.join(RECORD)).unwrap_or_default();
        let names = text.lines().skip(1).map(PathBuf::from);
        let is_inside = |name: &PathBuf| name.components().all(|part| matches!(part, Component::Normal(_)));
        let names = names.filter(is_inside).collect();
        (text, names)
    }

    fn version_now(&self) -> Result<String, String> {
        let Some(file) = self.version.as_ref().map(|file| self.from.join(file)) else { return Ok(String::new()) };
        let text = fs::read_to_string(&file).map_err(|error| match self.from.is_dir() {
            true => format!(
                "{}: {error}: the distribution is not mounted, or half-written: this file must be put there last",
                file.display()
            ),
            false => format!("{}: there is no such directory: mount the distribution there", self.from.display()),
        })?;
        // Properties of OpenMRS begin with a name.
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        match lines().find_map(|line| line.strip_prefix("version=")).or_else(|| lines().next()) {
            Some(version) => Ok(version.to_owned()),
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

    fn stage_one(&self, name: &Path, metadata: &Metadata) -> Result<Beside, String> {
        let (from, to) = (self.from.join(name), self.to.join(name));
        if let Some(parent) = to.parent().filter(|parent| !parent.is_dir()) {
            files::make_directory(parent, self.owner, 0o755)?;
        }
        if self.links {
            return Beside::make(&to, &mut |new| symlink(&from, new));
        }
        let failed = |error: io::Error| format!("{}: {error}", from.display());
        let mut source = File::open(&from).map_err(failed)?;
        let beside = Beside::make(&to, &mut |new| {
            let mut file = files::create(new)?;
            io::copy(&mut source, &mut file)?;
            files::settle(&file, self.like(metadata))?;
            file.set_modified(metadata.modified()?)
        })?;
        let now = source.metadata().map_err(failed)?;
        if (now.len(), now.modified().ok()) != (metadata.len(), metadata.modified().ok()) {
            return Err(format!("{}: was written to while it was copied: it is half-written", from.display()));
        }
        Ok(beside)
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

    fn put(it: &Distribution) -> Look {
        let look = it.look().expect("whole");
        let staged = it.stage(&look).expect("copied");
        it.announce(&look).expect("written");
        it.put(&look, staged).expect("put");
        look
    }

    fn refused(it: &Distribution, words: &str) -> bool {
        it.look().is_err_and(|what| what.contains(words))
    }

    #[test]
    fn what_differs_is_put_and_what_is_gone_is_removed() {
        let (root, mut it) = scratch("put", &[("a.txt", "a"), ("deep/b.txt", "b"), ("VERSION", "1\n")]);
        it.version = Some("VERSION".into());
        let look = it.look().expect("whole");
        assert_eq!((names(&look.put), it.to.exists()), (vec!["VERSION".into(), "a.txt".into(), "deep/b.txt".into()], false));
        let done = put(&it);
        assert_eq!((done.put.len(), done.seen(), done.version.as_str()), (3, 3, "1"));
        assert_eq!(fs::read_to_string(it.to.join("deep/b.txt")).expect("there"), "b");
        assert!(put(&it).is_nothing(), "once more changes nothing");
        fs::write(it.to.join("mine.txt"), "of the server").expect("ours");
        fs::write(it.from.join("a.txt"), "other").expect("ours");
        fs::remove_dir_all(it.from.join("deep")).expect("there");
        it.mode = Some(0o640);
        let done = put(&it);
        assert_eq!(
            (names(&done.put), names(&done.removed)),
            (vec!["VERSION".into(), "a.txt".into()], vec!["deep/b.txt".into()])
        );
        assert_eq!(fs::metadata(it.to.join("a.txt")).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(it.to.join("mine.txt")).expect("there"), "of the server");
        fs::remove_dir_all(&it.from).and_then(|()| fs::create_dir(&it.from)).expect("ours");
        it.version = None;
        assert!(refused(&it, "is empty, and had 2 files before"));
        drop(root);
    }

    #[test]
    fn what_is_not_whole_changes_nothing() {
        let (_root, mut it) = scratch("half", &[("a.txt", "a"), ("b.omod", "PK\x03\x04 and no end")]);
        it.version = Some("../VERSION".into());
        assert!(refused(&it, "VERSION: No such file") && refused(&it, "half-written"));
        fs::write(it.from.join("../VERSION"), "\n").expect("ours");
        assert!(refused(&it, "is empty, so the distribution is half-written"));
        fs::write(it.from.join("../VERSION"), "name=x\nversion=1.2\n").expect("ours");
        assert_eq!(it.version_now().as_deref(), Ok("1.2"));
        assert!(refused(&it, "b.omod: is no whole archive (15 bytes)"));
        assert!(!it.to.exists(), "nothing was put");
        fs::write(it.from.join("b.omod"), "PK\x05\x06 the end of an empty one").expect("ours");
        symlink("nowhere", it.from.join("c")).expect("ours");
        assert!(refused(&it, "/c: No such file") && refused(&it, "leads to nothing"));
        fs::remove_file(it.from.join("c")).expect("ours");
        it.links = true;
        assert_eq!(put(&it).put.len(), 2);
        assert_eq!(fs::read_link(it.to.join("a.txt")).expect("a link"), it.from.join("a.txt"));
        assert!(put(&it).is_nothing());
    }

    #[test]
    fn what_was_copied_and_not_put_leaves_nothing() {
        let (_root, it) = scratch("staged", &[("a.txt", "a"), ("b.txt", "b")]);
        put(&it);
        assert_eq!(it.in_place().as_deref(), Some(""));
        fs::write(it.from.join("a.txt"), "other").expect("ours");
        let look = it.look().expect("whole");
        drop(it.stage(&look).expect("copied"));
        let mut there: Vec<_> = fs::read_dir(&it.to).expect("there").map(|entry| entry.expect("one").file_name()).collect();
        there.sort();
        assert_eq!(there, [RECORD, "a.txt", "b.txt"]);
        assert_eq!(fs::read_to_string(it.to.join("a.txt")).expect("there"), "a");
    }

    #[test]
    fn one_that_broke_off_while_it_was_put_is_not_in_place() {
        let (_root, it) = scratch("broken-off", &[("a.txt", "a"), ("b.txt", "b")]);
        assert_eq!(it.in_place(), None, "nothing was ever put");
        put(&it);
        fs::remove_file(it.from.join("b.txt")).expect("there");
        fs::write(it.from.join("a.txt"), "other").expect("ours");
        let look = it.look().expect("whole");
        let staged = it.stage(&look).expect("copied");
        // A directory cannot be removed as a file.
        fs::remove_file(it.to.join("b.txt")).and_then(|()| fs::create_dir(it.to.join("b.txt"))).expect("ours");
        it.announce(&look).expect("written");
        assert!(it.put(&look, staged).is_err_and(|what| what.contains("cannot remove")));
        assert_eq!(it.in_place(), None, "{}", it.record().0);
        assert!(it.broke_off());
        fs::remove_dir(it.to.join("b.txt")).expect("ours");
        put(&it);
        assert_eq!(it.in_place().as_deref(), Some(""));
        assert!(!it.broke_off());
        fs::remove_file(it.to.join("a.txt")).expect("there");
        assert_eq!(it.in_place(), None, "one is missing");
    }
}
