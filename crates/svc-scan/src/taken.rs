//! What each service was made of: what its service.toml, its s6-rc source or its small files said when they were taken in, in the
//! run directory for the svc-scan that comes after one that was killed. What stands on disk by then may be an edit that nobody has
//! applied.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::{Definition, ServiceName};
use svc_def::{Identity, Outcome, Reading, Source};
use svc_proto::definition;
use svc_sys::say;

use crate::held::Held;
use crate::pair::{self, Pair};
use crate::units::{kind, of_another_kind};
use crate::whole;

const FILE: &str = "definitions";

/// What its supervisor has read of it by itself, as bytes. It is no key of a service.toml, nor a file of a source.
const DEFINITION: &str = "definition\t";

/// What was taken in of one service.
#[derive(Debug, PartialEq)]
struct Entry {
    identity: Identity,
    /// Of those with files that supervisors read.
    definition: Option<Definition>,
    /// What a service.toml or a source says; nothing of a classic directory.
    written: Box<str>,
}

/// The same, to be written.
pub(crate) struct Known<'a> {
    pub(crate) name: &'a ServiceName,
    pub(crate) identity: Identity,
    pub(crate) definition: Option<&'a Held>,
    pub(crate) source: Option<&'a Source>,
}

#[derive(Default)]
pub(crate) struct Taken {
    file: Option<PathBuf>,
    /// What the svc-scan before us had taken in; known until we have taken in the same.
    before: BTreeMap<ServiceName, Entry>,
    /// A number for what is in the file.
    written: u64,
    /// Something is not in the file that is to be there.
    pub(crate) is_behind: bool,
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

    /// Somebody has taken away what is ours.
    pub(crate) fn may_be_lost(&mut self) {
        if self.file.as_ref().is_some_and(|file| !file.exists()) {
            (self.written, self.is_behind) = (0, true);
        }
    }

    pub(crate) fn forget(&mut self) {
        self.before.clear();
    }

    /// Nobody asks once more of those that nothing depends on.
    pub(crate) fn forget_classic(&mut self) {
        self.before.retain(|_, entry| !entry.written.is_empty());
    }

    /// What was taken in of a service.
    pub(crate) fn read(&self, name: &ServiceName, identity: Identity, path: &Path) -> Option<Reading> {
        let entry = self.entry(name, identity, path)?;
        let reading = match &entry.definition {
            Some(definition) => Reading {
                outcome: Outcome::Ready(Box::new(definition.clone())),
                source: Source::of_written(path, &entry.written),
                ..svc_def::read(path, name, Some(definition))
            },
            None => svc_def::read_kept(path, name, &entry.written),
        };
        (!matches!(reading.outcome, Outcome::Broken)).then_some(reading)
    }

    fn entry(&self, name: &ServiceName, identity: Identity, path: &Path) -> Option<&Entry> {
        let is_there = |definition: &Definition| definition.dir == path.as_os_str().as_bytes();
        let is_it = |entry: &&Entry| entry.identity == identity && entry.definition.as_ref().is_none_or(is_there);
        self.before.get(name).filter(is_it)
    }

    /// Reads a service: what was taken in of it, as long as that is known, and what is wrong with an edit since then.
    pub(crate) fn pair(
        &self,
        name: &ServiceName,
        identity: Identity,
        path: &Path,
    ) -> Result<(Pair, Option<String>), String> {
        let now = pair::read(name, path);
        let Some(entry) = self.entry(&svc_def::bundle_of(name), identity, path) else { return Ok((now?, None)) };
        if let Some(source) = Source::of_written(path, &entry.written) {
            let (warnings, problem) = match now {
                // It may become anything.
                Ok(now) => (now.warnings, None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            let definition = entry.definition.as_ref().map(Held::new);
            let before = Pair { definition, source: Some(source), logger: None, warnings, instances: None };
            return Ok((before, problem));
        }
        let says = |pair: &Pair| pair.source.as_ref().is_some_and(|source| *source.written() == *entry.written);
        let before = match now.as_ref().is_ok_and(says) {
            true => None,
            false => pair::of(svc_def::read_kept(path, name, &entry.written), name, path).ok(),
        };
        let Some(before) = before else { return Ok((now?, None)) };
        let kind = |pair: &Pair| pair.source.as_ref().map(|source| kind(source, &pair.definition));
        let problem = match now {
            Ok(now) => (kind(&now) != kind(&before)).then(|| of_another_kind(path)),
            Err(problem) => Some(problem),
        };
        Ok((before, problem))
    }

    /// All of it has been taken in, and told to those whom it concerns.
    pub(crate) fn write<'a>(&mut self, all: impl Iterator<Item = Known<'a>>) {
        self.is_behind = false;
        let Some(file) = &self.file else { return };
        let mut text = String::new();
        for Known { name, identity: Identity { device, inode }, definition, source } in all {
            // No key begins with a tab.
            text += &format!("\t{device} {inode} {name}\n");
            if let Some(definition) = definition {
                text += DEFINITION;
                let digits = definition.bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]);
                text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
                text.push('\n');
            }
            text += &source.map(Source::written).unwrap_or_default();
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

fn parse(text: &str) -> BTreeMap<ServiceName, Entry> {
    let entry = |part: &str| {
        let (head, rest) = part.split_once('\n')?;
        let mut words = head.splitn(3, ' ');
        let identity = Identity { device: words.next()?.parse().ok()?, inode: words.next()?.parse().ok()? };
        let name = ServiceName::parse(words.next()?).ok()?;
        let (definition, written) = match rest.strip_prefix(DEFINITION).and_then(|rest| rest.split_once('\n')) {
            Some((digits, written)) => (Some(definition::decode(&bytes(digits)?).ok()?), written),
            None => (None, rest),
        };
        Some((name, Entry { identity, definition, written: written.into() }))
    };
    let text = text.strip_prefix('\t').and_then(|text| text.strip_suffix('\n')).unwrap_or_default();
    text.split("\n\t").filter_map(|part| entry(&format!("{part}\n"))).collect()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
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
        let entry = |device, inode, written: &str| Entry {
            identity: Identity { device, inode },
            definition: None,
            written: written.into(),
        };
        assert_eq!(*of("o ne"), entry(1, 2, "command\t\"a\"\nenv\t{ X = \"\\t\" }\n"));
        assert_eq!(*of("many@1"), entry(3, u64::MAX, "kind\t\"milestone\"\n"));
        assert!(parse("").is_empty() && parse("rubbish\n").is_empty());
    }
}
