//! `fix-attrs`: owners and permissions of files, as lines of a file say.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{Gid, Uid, fchownat};
use svc_sys::exit;

use super::{contenv, glob};
use crate::command::{Call, Command, Failure, Outcome};
use crate::process::account;

pub(super) const FIX_ATTRS: Command = Command {
    name: "fix-attrs",
    about: "give files the owners and permissions that a list says",
    operands: "[FILE|DIR...]",
    options: &[],
    notes: "Each line of a FILE says: PATH RECURSE OWNER FILE-MODE DIRECTORY-MODE. PATH may have wildcards. RECURSE is true or false. OWNER is \
            a user, or user:group, by name or number, and may be followed by a comma and UID:GID for where there is no such user. \
            The modes are octal. An empty line and one that begins with # say nothing.\n\n\
            For a DIR, all files in it are read, in order; without FILE and DIR, standard input. A link below PATH is given an \
            owner and is not followed. Hidden files below PATH are left alone unless S6_FIX_ATTRS_HIDDEN is 1 in the environment of \
            the container. A line that cannot be obeyed is reported, and the next ones are read.",
    codes: &[(exit::FAILED, "Something could not be changed.")],
    run: fix_attrs,
};

fn fix_attrs(call: &Call) -> Outcome {
    let hidden = contenv::variable(OsStr::new("S6_FIX_ATTRS_HIDDEN"))?;
    let hidden = hidden.is_some_and(|text| text.to_str().is_some_and(|text| text.trim().parse() != Ok(0_u32)));
    let mut trouble = Vec::new();
    let mut obey = |name: &str, content: &[u8]| {
        for (number, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let mut found = Vec::new();
            match Rule::parse(line) {
                Ok(Some(rule)) => rule.apply(hidden, &mut found),
                Ok(None) => {}
                Err(error) => found.push(error),
            }
            trouble.extend(found.into_iter().map(|error| format!("{name}, line {}: {error}", number + 1)));
        }
    };
    if call.operands.is_empty() {
        let mut content = Vec::new();
        std::io::stdin().read_to_end(&mut content).map_err(|error| Failure::system(format!("standard input: {error}")))?;
        obey("standard input", &content);
    }
    for file in files(call)? {
        let content = fs::read(&file).map_err(|error| Failure::system(format!("{}: {error}", file.display())))?;
        obey(&file.display().to_string(), &content);
    }
    trouble.iter().for_each(|line| call.warn(line));
    Ok(if trouble.is_empty() { exit::DONE } else { exit::FAILED })
}

/// The files that were named, and those of the directories that were named.
fn files(call: &Call) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for operand in call.operands.iter().map(PathBuf::from) {
        if !operand.is_dir() {
            files.push(operand);
            continue;
        }
        let entries = fs::read_dir(&operand).map_err(|error| Failure::system(format!("{}: {error}", operand.display())))?;
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| !is_hidden(path)).collect();
        inside.sort_unstable();
        files.append(&mut inside);
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."))
}

/// What a line says.
struct Rule {
    pattern: PathBuf,
    recurse: bool,
    owner: (Uid, Gid),
    file_mode: u32,
    dir_mode: u32,
}

impl Rule {
    /// None for a line that says nothing.
    fn parse(line: &[u8]) -> Result<Option<Rule>, String> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let pattern = match words.next() {
            Some(word) if !word.starts_with(b"#") => PathBuf::from(OsStr::from_bytes(word)),
            Some(_) | None => return Ok(None),
        };
        let mut text = |what: &str| {
            let word = words.next().ok_or_else(|| format!("{what} is missing: a line has five words"))?;
            std::str::from_utf8(word).map_err(|_| format!("{what} cannot be read"))
        };
        let recurse = match text("true or false")? {
            "true" => true,
            "false" => false,
            word => return Err(format!("'{word}' must be true or false")),
        };
        let owner = owner(text("the owner")?)?;
        let mut mode = |what| {
            let word = text(what)?;
            u32::from_str_radix(word, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| format!("'{word}' is no octal mode"))
        };
        Ok(Some(Rule {
            pattern,
            recurse,
            owner,
            file_mode: mode("the mode of files")?,
            dir_mode: mode("the mode of directories")?,
        }))
    }

    fn apply(&self, hidden: bool, trouble: &mut Vec<String>) {
        for path in glob::expand(&self.pattern) {
            // The path that is named may be a link to what is meant.
            match fs::canonicalize(&path) {
                Ok(path) => self.fix(&path, hidden, trouble),
                Err(error) => trouble.push(format!("{}: {error}", path.display())),
            }
        }
    }

    fn fix(&self, path: &Path, hidden: bool, trouble: &mut Vec<String>) {
        let (uid, gid) = self.owner;
        let data = match fs::symlink_metadata(path) {
            Ok(data) => data,
            Err(error) => return trouble.push(format!("{}: {error}", path.display())),
        };
        let kind = data.file_type();
        // Only what is wrong: who may not change anything is not told of what is right already.
        let owned = (data.uid(), data.gid()) == (uid.as_raw(), gid.as_raw());
        if !owned && let Err(errno) = fchownat(AT_FDCWD, path, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW) {
            trouble.push(format!("unable to change the owner of {}: {}", path.display(), errno.desc()));
        }
        if kind.is_symlink() {
            return;
        }
        let mode = if kind.is_dir() { self.dir_mode } else { self.file_mode };
        // A new owner takes bits away.
        if (!owned || data.mode() & 0o7777 != mode)
            && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode))
        {
            trouble.push(format!("unable to change the permissions of {}: {error}", path.display()));
        }
        if !kind.is_dir() || !self.recurse {
            return;
        }
        match fs::read_dir(path) {
            Ok(entries) => {
                let inside = entries.flatten().map(|entry| entry.path());
                inside.filter(|path| hidden || !is_hidden(path)).for_each(|path| self.fix(&path, hidden, trouble));
            }
            Err(error) => trouble.push(format!("{}: {error}", path.display())),
        }
    }
}

/// `account`, `user:group`, or one of them with `,uid:gid` behind it.
fn owner(text: &str) -> Result<(Uid, Gid), String> {
    let (account, instead) = match text.split_once(',') {
        Some((account, instead)) => (account, Some(instead)),
        None => (text, None),
    };
    let known = match account.split_once(':') {
        Some((user, group)) => uid(user)?.zip(gid(group)?),
        None => account::account(OsStr::new(account))
            .map_err(Failure::message)?
            .map(|account| (Uid::from_raw(account.uid), Gid::from_raw(account.gid))),
    };
    let numbers = |text: &str| {
        let (uid, gid) = text.split_once(':')?;
        Some((Uid::from_raw(uid.parse().ok()?), Gid::from_raw(gid.parse().ok()?)))
    };
    match (known, instead) {
        (Some(owner), _) => Ok(owner),
        (None, Some(instead)) => numbers(instead).ok_or_else(|| format!("'{instead}' must be UID:GID")),
        (None, None) => Err(format!("there is no '{account}', and no UID:GID behind a comma to use instead")),
    }
}

fn uid(text: &str) -> Result<Option<Uid>, String> {
    Ok(match text.parse() {
        Ok(number) => Some(Uid::from_raw(number)),
        Err(_) => account::account(OsStr::new(text)).map_err(Failure::message)?.map(|account| Uid::from_raw(account.uid)),
    })
}

fn gid(text: &str) -> Result<Option<Gid>, String> {
    Ok(match text.parse() {
        Ok(number) => Some(Gid::from_raw(number)),
        Err(_) => account::group(OsStr::new(text)).map_err(Failure::message)?.map(Gid::from_raw),
    })
}
