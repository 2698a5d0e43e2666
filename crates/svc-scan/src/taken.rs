//! What each service.toml, and each s6-rc source, said when it was taken in, in the run directory for the svc-scan that comes after one that was killed. What
//! stands on disk by then may be an edit that nobody has applied.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use svc_core::ServiceName;
use svc_def::{Identity, Outcome, Reading};
use svc_sys::say;

use crate::pair::{self, Pair};
use crate::units::{Units, kind, of_another_kind};
use crate::whole;

const FILE: &str = "definitions";

#[derive(Default)]
pub(crate) struct Taken {
    file: Option<PathBuf>,
    /// What the svc-scan before us had taken in; known until we have taken in the same.
    before: BTreeMap<ServiceName, (Identity, Box<str>)>,
    /// A number for what is in the file.
    written: u64,
}

impl Taken {
    /// What is left of an earlier svc is forgotten.
    pub(crate) fn open(run_dir: Option<&Path>, recovered: bool) -> Taken {
        let mut taken = Taken { file: run_dir.map(|dir| dir.join(FILE)), ..Taken::default() };
        let Some(file) = &taken.file else { return taken };
        if recovered {
            taken.before = std::fs::read_to_string(file).map(|text| parse(&text)).unwrap_or_default();
        } else {
            let _ = std::fs::remove_file(file);
        }
        taken
    }

    pub(crate) fn forget(&mut self) {
        self.before.clear();
    }

    /// What was taken in of a service.
    pub(crate) fn read(&self, name: &ServiceName, identity: Identity, path: &Path) -> Option<Reading> {
        let reading = svc_def::read_kept(path, name, self.values(name, identity)?);
        (!matches!(reading.outcome, Outcome::Broken)).then_some(reading)
    }

    fn values(&self, name: &ServiceName, identity: Identity) -> Option<&str> {
        self.before.get(name).filter(|(other, _)| *other == identity).map(|(_, values)| &**values)
    }

    /// Reads a service: what was taken in of it, as long as that is known, and what is wrong with an edit since then.
    pub(crate) fn pair(
        &self,
        name: &ServiceName,
        identity: Identity,
        path: &Path,
    ) -> Result<(Pair, Option<String>), String> {
        let now = pair::read(name, path);
        let says = |pair: &Pair| pair.source.as_ref().map(|source| source.written().into_owned());
        let known = self.values(&svc_def::bundle_of(name), identity);
        let edited = known.filter(|known| now.as_ref().ok().and_then(says).as_deref() != Some(*known));
        let before = edited.and_then(|values| pair::of(svc_def::read_kept(path, name, values), name, path).ok());
        let Some(before) = before else { return Ok((now?, None)) };
        let kind = |pair: &Pair| pair.source.as_ref().map(|source| kind(source, &pair.definition));
        let problem = match now {
            // A source may become anything.
            Ok(now) => (kind(&before) != Some(0) && kind(&now) != kind(&before)).then(|| of_another_kind(path)),
            Err(problem) => Some(problem),
        };
        Ok((before, problem))
    }

    /// All of it has been taken in, and told to those whom it concerns.
    pub(crate) fn write(&mut self, units: &Units) {
        let Some(file) = &self.file else { return };
        let mut text = String::new();
        for (name, unit) in units.iter() {
            let Identity { device, inode } = unit.identity;
            // No key begins with a tab.
            text += &format!("\t{device} {inode} {name}\n");
            text += &unit.source.written();
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let number = hasher.finish();
        if number == self.written {
            return;
        }
        self.written = number;
        if let Err(error) = whole::write(file, text.as_bytes()) {
            say!("svc-scan: {}: {error}: the next svc-scan takes what stands on disk for what runs", svc_def::shown(file));
            // What is no longer so would be taken for what runs.
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => say!("svc-scan: {}: {error}", svc_def::shown(file)),
                Ok(()) | Err(_) => {}
            }
        }
    }
}

fn parse(text: &str) -> BTreeMap<ServiceName, (Identity, Box<str>)> {
    let entry = |part: &str| {
        let (head, values) = part.split_once('\n')?;
        let mut words = head.splitn(3, ' ');
        let identity = Identity { device: words.next()?.parse().ok()?, inode: words.next()?.parse().ok()? };
        Some((ServiceName::parse(words.next()?).ok()?, (identity, format!("{}\n", values.trim_end_matches('\n')).into())))
    };
    text.strip_prefix('\t').unwrap_or_default().split("\n\t").filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text =
            "\t1 2 o ne\ncommand\t\"a\"\nenv\t{ X = \"\\t\" }\n\t3 18446744073709551615 many@1\nkind\t\"milestone\"\n";
        let read = parse(text);
        let of = |name: &str| read.get(&ServiceName::parse(name).expect("a name")).expect("it is there");
        assert_eq!(*of("o ne"), (Identity { device: 1, inode: 2 }, "command\t\"a\"\nenv\t{ X = \"\\t\" }\n".into()));
        assert_eq!(*of("many@1"), (Identity { device: 3, inode: u64::MAX }, "kind\t\"milestone\"\n".into()));
        assert!(parse("").is_empty() && parse("rubbish\n").is_empty());
    }
}
