//! Directories of variables: a file each, its name the variable's and its contents the value.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use svc_sys::environment;

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// How the contents of a file become a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// The whole file, and not its first line.
    pub verbatim: bool,
    /// What is cut from the end: of a whole file the last newline, of a line blanks.
    pub chomp: bool,
    /// The blanks that are cut from the end of a line.
    pub blanks: &'static [u8],
    /// How many bytes of a file count.
    pub most: Option<u64>,
    /// What stands for a NUL byte, which no variable can have. None: the value ends there.
    pub nul: Option<u8>,
    /// Whether an empty file removes a variable, and does not make it empty.
    pub empty_removes: bool,
    /// Whether something that is no file is passed over, and not an error.
    pub skip_directories: bool,
}

impl Manners {
    pub(crate) const S6: Manners = Manners { blanks: b" \t\r", most: Some(4095), ..Manners::DAEMONTOOLS };
    pub(crate) const DAEMONTOOLS: Manners = Manners {
        verbatim: false,
        chomp: true,
        blanks: b" \t",
        most: None,
        nul: Some(b'\n'),
        empty_removes: true,
        skip_directories: false,
    };
    pub(crate) const RUNIT: Manners = Manners { skip_directories: true, ..Manners::DAEMONTOOLS };
    const JUSTC: Manners = Manners { verbatim: true, chomp: false, nul: None, empty_removes: false, ..Manners::DAEMONTOOLS };

    /// The value that a file stands for; none if its variable is to be removed.
    fn value(self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        if bytes.is_empty() && self.empty_removes {
            return None;
        }
        if self.verbatim {
            if self.chomp && bytes.ends_with(b"\n") {
                bytes.pop();
            }
        } else {
            bytes.truncate(bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len()));
            while self.chomp && bytes.last().is_some_and(|last| self.blanks.contains(last)) {
                bytes.pop();
            }
        }
        match self.nul {
            Some(stand_in) => bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = stand_in),
            None => bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())),
        }
        Some(bytes)
    }
}

/// Changes the environment as the directory says. Nothing is changed if something in it cannot be read.
pub(crate) fn apply(dir: &Path, manners: Manners) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let mut changes = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        if name.as_bytes().starts_with(b".") || name.as_bytes().contains(&b'=') {
            continue;
        }
        let path = dir.join(&name);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(manners.most.unwrap_or(u64::MAX)).read_to_end(&mut bytes));
        match read {
            Err(error) if manners.skip_directories && error.kind() == ErrorKind::IsADirectory => continue,
            result => result.map_err(at(&path))?,
        };
        changes.push(match manners.value(bytes) {
            Some(value) => [name.into_vec(), b"=".to_vec(), value].concat(),
            None => name.into_vec(),
        });
    }
    changes.into_iter().map(OsString::from_vec).for_each(environment::change);
    Ok(())
}

/// What there is to say of a directory that could not be read.
pub(crate) fn unreadable((path, error): (PathBuf, io::Error)) -> Failure {
    Failure::system(format!("unable to read {}: {error}", path.display()))
}

pub(super) const ENVDIR: Command = Command {
    name: "s6-envdir",
    about: "set variables as the files of a directory say",
    operands: "DIR PROG...",
    options: &[
        Opt::flag('I', "go on if DIR does not exist"),
        Opt::flag('i', "fail if DIR does not exist (this is the default)"),
        Opt::flag('n', "leave blanks at the end of a line, or with -f the last newline"),
        Opt::flag('f', "take the whole file and not its first line"),
        Opt::flag('L', "take more than 4095 bytes of a file"),
        Opt::with('c', "CHAR", "what stands for NUL bytes (default: a newline)"),
    ],
    notes: "For each file in DIR a variable of this name is set to its first line, or removed if the file is empty. Names that begin \
            with a dot or have '=' in them are passed over.",
    codes: &[],
    run: |call| run(call, manners(call, Manners::S6)?),
};

fn run(call: &Call, manners: Manners) -> Outcome {
    let dir = Path::new(call.operand(0, "the directory")?);
    let program = call.program(1)?;
    let insist = call.last(&['I', 'i']) != Some('I');
    match apply(dir, manners) {
        Err((path, error)) if !insist && path == dir && error.kind() == ErrorKind::NotFound => {}
        result => result.map_err(unreadable)?,
    }
    chain::execute(program)
}

/// What -n, -f, -L and -c make of them.
fn manners(call: &Call, mut manners: Manners) -> Result<Manners, Failure> {
    manners.verbatim |= call.has('f');
    manners.chomp &= !call.has('n');
    if call.has('L') {
        manners.most = None;
    }
    if let Some(text) = call.value('c') {
        let first = text.as_bytes().first();
        manners.nul = Some(*first.ok_or_else(|| Failure::usage("-c: the character is missing"))?);
    }
    Ok(manners)
}

pub(super) const JUSTC_ENVDIR: Command = Command {
    name: "justc-envdir",
    about: "set variables to the contents of the files of a directory",
    operands: "DIR PROG...",
    options: &[
        Opt::flag('I', "go on if DIR does not exist"),
        Opt::flag('i', "fail if DIR does not exist (this is the default)"),
    ],
    notes: "For each file in DIR a variable of this name is set to all there is in it, the last newline included, up to a NUL byte. \
            Names that begin with a dot or have '=' in them are passed over. s6-overlay had this until 3.1; s6-envdir does more.",
    codes: &[],
    run: |call| run(call, Manners::JUSTC),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_value(manners: Manners, contents: &str, value: Option<&str>) {
        assert_eq!(manners.value(contents.into()), value.map(|value| value.as_bytes().to_vec()), "{contents:?}");
    }

    #[test]
    fn a_file_becomes_a_value() {
        assert_value(Manners::S6, "", None);
        assert_value(Manners::S6, "\n", Some(""));
        assert_value(Manners::S6, "a b \t\r\nsecond", Some("a b"));
        assert_value(Manners::DAEMONTOOLS, "a\r\n", Some("a\r"));
        assert_value(Manners::S6, "a\0b", Some("a\nb"));
        let whole = Manners { verbatim: true, ..Manners::S6 };
        assert_value(whole, "a \nb\n\n", Some("a \nb\n"));
        assert_value(Manners { chomp: false, ..whole }, "a\n", Some("a\n"));
        assert_value(Manners { chomp: false, ..Manners::S6 }, "a \nb", Some("a "));
        assert_value(Manners::JUSTC, "a \nb\n\0c", Some("a \nb\n"));
        assert_value(Manners::JUSTC, "", Some(""));
    }
}
