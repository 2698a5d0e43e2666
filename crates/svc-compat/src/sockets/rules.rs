//! Access rules: what a user or a group may do, in a directory or in a file of the cdb format.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getegid, geteuid};

use super::cdb::Cdb;

/// The most bytes of variables, and of a line to execute, in one rule.
pub const MOST: usize = 4096;

/// Where the rules are.
pub enum Rules {
    Directory(PathBuf),
    File(Cdb),
}

/// What they say of somebody.
pub enum Verdict {
    Allow {
        /// `NAME=VALUE` to set a variable, `NAME` to remove one.
        variables: Vec<OsString>,
        /// A line of execline to execute.
        exec: Option<Vec<u8>>,
    },
    Deny,
    Silence,
}

impl Verdict {
    /// Nothing speaks against it, and there is nothing to add.
    pub fn everything() -> Verdict {
        Verdict::Allow { variables: Vec::new(), exec: None }
    }

    /// Reads what a cdb file has for a key: `A`, the length of the variables (2 bytes, big end first), the variables with a NUL
    /// byte behind each, the length of the line, the line; or `D`.
    fn unpack(data: &[u8]) -> Option<Verdict> {
        match data {
            [b'D', ..] => Some(Verdict::Deny),
            [b'A', rest @ ..] => {
                let (variables, rest) = counted(rest)?;
                let (exec, []) = counted(rest)? else { return None };
                let variables = variables.split(|&byte| byte == 0).filter(|text| !text.is_empty());
                Some(Verdict::Allow {
                    variables: variables.map(|text| OsStr::from_bytes(text).to_owned()).collect(),
                    exec: (!exec.is_empty()).then(|| exec.to_vec()),
                })
            }
            [] => None,
            [..] => Some(Verdict::Silence),
        }
    }

    /// The same the other way round; none if there is nothing to say, or too much.
    pub fn pack(&self) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Verdict::Silence => Ok(None),
            Verdict::Deny => Ok(Some(b"D".to_vec())),
            Verdict::Allow { variables, exec } => {
                let mut data = b"A".to_vec();
                let variables: Vec<u8> = variables.iter().flat_map(|text| [text.as_bytes(), &[0]].concat()).collect();
                for part in [variables.as_slice(), exec.as_deref().unwrap_or_default()] {
                    let length = u16::try_from(part.len()).ok().filter(|_| part.len() <= MOST);
                    let length = length.ok_or_else(|| Error::other(format!("longer than {MOST} bytes")))?;
                    data.extend_from_slice(&length.to_be_bytes());
                    data.extend_from_slice(part);
                }
                Ok(Some(data))
            }
        }
    }
}

/// Some bytes with their number in front, and what stands behind them.
fn counted(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).filter(|(part, _)| part.len() <= MOST)
}

impl Rules {
    /// Reads a file of rules.
    pub fn open(path: &Path) -> Result<Rules, Error> {
        Cdb::open(path).map(Rules::File)
    }

    /// What they say of this user and group.
    pub fn of(&self, uid: u32, gid: u32) -> Result<Verdict, Error> {
        let mut keys = Vec::new();
        if uid == geteuid().as_raw() {
            keys.push("uid/self".to_owned());
        }
        keys.push(format!("uid/{uid}"));
        if gid == getegid().as_raw() {
            keys.push("gid/self".to_owned());
        }
        keys.push(format!("gid/{gid}"));
        keys.push("uid/default".to_owned());
        for key in keys {
            match self.at(&key)? {
                Verdict::Silence => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Silence)
    }

    fn at(&self, key: &str) -> Result<Verdict, Error> {
        match self {
            Rules::Directory(dir) => read_rule(&dir.join(key)),
            Rules::File(cdb) => match cdb.find(key.as_bytes())? {
                Some(data) => Verdict::unpack(data).ok_or_else(|| damaged(key.as_bytes())),
                None => Ok(Verdict::Silence),
            },
        }
    }
}

/// What the directory of a rule says.
pub fn read_rule(dir: &Path) -> Result<Verdict, Error> {
    if !is_readable(&dir.join("allow"))? {
        return Ok(if is_readable(&dir.join("deny"))? { Verdict::Deny } else { Verdict::Silence });
    }
    let exec = match fs::read(dir.join("exec")) {
        Ok(line) => Some(line).filter(|line| !line.is_empty()),
        Err(error) if is_absence(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Verdict::Allow { variables: read_variables(&dir.join("env"))?, exec })
}

/// Writes a rule, as [`read_rule`] reads it.
pub fn write_rule(dir: &Path, data: &[u8], key: &[u8]) -> Result<(), Error> {
    fs::create_dir_all(dir)?;
    match Verdict::unpack(data).ok_or_else(|| damaged(key))? {
        Verdict::Silence => {}
        Verdict::Deny => fs::write(dir.join("deny"), "")?,
        Verdict::Allow { variables, exec } => {
            fs::write(dir.join("allow"), "")?;
            if !variables.is_empty() {
                fs::create_dir(dir.join("env"))?;
            }
            for assignment in variables {
                let bytes = assignment.as_bytes();
                let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
                    Some(end) => (&bytes[..end], [&bytes[end + 1..], b"\n"].concat()),
                    None => (bytes, Vec::new()),
                };
                if name.is_empty() || name.starts_with(b".") || name.contains(&b'/') {
                    return Err(damaged(key));
                }
                fs::write(dir.join("env").join(OsStr::from_bytes(name)), value)?;
            }
            if let Some(line) = exec {
                fs::write(dir.join("exec"), line)?;
            }
        }
    }
    Ok(())
}

fn damaged(key: &[u8]) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the rule '{}' is damaged", String::from_utf8_lossy(key)))
}

fn is_readable(path: &Path) -> Result<bool, Error> {
    match access(path, AccessFlags::R_OK).map_err(Error::from) {
        Ok(()) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A rule that we may not read is none.
fn is_absence(error: &Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::NotADirectory].contains(&error.kind())
}

/// The first line of each file, without blanks at its end; an empty file removes its variable.
fn read_variables(dir: &Path) -> Result<Vec<OsString>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut variables = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_bytes().starts_with(b".") || name.as_bytes().contains(&b'=') {
            continue;
        }
        let content = fs::read(entry.path())?;
        let mut assignment = name.into_vec();
        if !content.is_empty() {
            let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let end = line.iter().rposition(|byte| !b" \t\r".contains(byte)).map_or(0, |last| last + 1);
            assignment.push(b'=');
            assignment.extend(line[..end].iter().map(|&byte| if byte == 0 { b'\n' } else { byte }));
        }
        variables.push(OsString::from_vec(assignment));
    }
    variables.sort_unstable();
    Ok(variables)
}
