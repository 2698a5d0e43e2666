//! `with-contenv` and `printcontenv`: the environment of the container, which lives in a directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use svc_sys::exit;

use crate::chain;
use crate::command::{Call, Command, Failure, Outcome};

/// Where the environment of the container lives: a file for each variable, which scripts may write to at any time.
const DIRECTORY: &str = "/run/s6/container_environment";

/// Names another directory than [`DIRECTORY`]. It stays set, so that what is executed finds the same one.
const OTHER_DIRECTORY: &str = "SVC_CONTAINER_ENVIRONMENT";

const KEEP: &str = "S6_KEEP_ENV";

pub(super) const WITH_CONTENV: Command = Command {
    name: "with-contenv",
    about: "execute a program with the environment of the container",
    operands: "PROG...",
    options: &[],
    notes: "The environment becomes what /run/s6/container_environment holds at this moment: a file for each variable, its \
            content as it is but for one newline at its end; an empty file takes the variable away. Of the environment of \
            before only PATH stays, and the directory may set that too.\n\n\
            Where S6_KEEP_ENV is set to another number than 0, and where there is no such directory, the environment stays as it \
            is. SVC_CONTAINER_ENVIRONMENT names another directory, and stays set.\n\n\
            In a shebang, everything behind the interpreter arrives as one word. If there is no program of that name, it is taken \
            apart at its blanks: `#!/command/with-contenv bash -e` works.",
    codes: &[],
    run: with_contenv,
};

pub(super) const PRINTCONTENV: Command = Command {
    name: "printcontenv",
    about: "print a variable of the environment of the container",
    operands: "NAME",
    options: &[],
    notes: "Prints its value and a newline, as with-contenv would set it. Where with-contenv leaves the environment as it is, the \
            variable is looked for there.",
    codes: &[(exit::FAILED, "There is no such variable.")],
    run: printcontenv,
};

fn with_contenv(call: &Call) -> Outcome {
    let words = call.program(0)?;
    if let Some(variables) = live().map(|dir| read(&dir)).transpose()?.flatten() {
        let stays = |name: &OsStr| name == "PATH" || name == OTHER_DIRECTORY;
        let gone: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).filter(|name| !stays(name)).collect();
        gone.into_iter().for_each(svc_sys::environment::change);
        variables.into_iter().for_each(svc_sys::environment::change);
    }
    let is_blank = |&byte: &u8| byte == b' ' || byte == b'\t';
    // What with-contenv is in s6-overlay ends with `exec`, which begins with the new PATH.
    let path = std::env::var_os("PATH");
    match (chain::execute_in(path.as_deref(), words), words) {
        (Err(Failure::Fatal { code: exit::NOT_FOUND, .. }), [first, rest @ ..]) if first.as_bytes().iter().any(is_blank) => {
            let parts = first.as_bytes().split(is_blank).filter(|part| !part.is_empty());
            let parts: Vec<OsString> =
                parts.map(|part| OsStr::from_bytes(part).to_owned()).chain(rest.iter().cloned()).collect();
            chain::execute_in(path.as_deref(), &parts)
        }
        (outcome, _) => outcome,
    }
}

fn printcontenv(call: &Call) -> Outcome {
    let name = call.operand(0, "the name of the variable")?;
    let Some(value) = variable(name)? else { return Ok(exit::FAILED) };
    let mut line = value.into_vec();
    line.push(b'\n');
    std::io::stdout().write_all(&line).map_err(|error| Failure::system(format!("unable to write: {error}")))?;
    Ok(exit::DONE)
}

/// A variable of the environment of the container; of our own where that is all there is.
pub(super) fn variable(name: &OsStr) -> Result<Option<OsString>, Failure> {
    let dir = live().filter(|dir| dir.is_dir());
    let Some(dir) = dir else { return Ok(std::env::var_os(name)) };
    if name.is_empty() || name.as_bytes().contains(&b'/') {
        return Ok(None);
    }
    match fs::read(dir.join(name)) {
        Ok(content) => Ok(value(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&dir.join(name), &error)),
    }
}

/// The directory of the variables, unless the environment is to stay as it is.
fn live() -> Option<PathBuf> {
    // As test(1) would read it with a 0 in front: what is no number at all is no reason to take an environment away.
    let kept = std::env::var_os(KEEP).is_some_and(|text| {
        let digits = text.to_str().map(|text| text.trim_matches([' ', '\t', '\n']));
        digits.is_none_or(|digits| !digits.bytes().all(|byte| byte == b'0'))
    });
    let dir = std::env::var_os(OTHER_DIRECTORY).filter(|dir| !dir.is_empty());
    (!kept).then(|| dir.unwrap_or_else(|| DIRECTORY.into()).into())
}

/// What the directory does: `NAME=VALUE` sets a variable, `NAME` takes one away. None if there is no directory.
fn read(dir: &Path) -> Result<Option<Vec<OsString>>, Failure> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    let mut variables = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        let mut name = entry.file_name();
        if name.as_bytes().starts_with(b".") || name.as_bytes().contains(&b'=') {
            continue;
        }
        match fs::read(entry.path()) {
            Ok(content) => {
                if let Some(value) = value(content) {
                    name.push("=");
                    name.push(value);
                }
                variables.push(name);
            }
            // A directory is no variable, and a file that has just gone is none any more.
            Err(error) if [ErrorKind::NotFound, ErrorKind::IsADirectory].contains(&error.kind()) => {}
            Err(error) => return Err(unreadable(&entry.path(), &error)),
        }
    }
    Ok(Some(variables))
}

/// What a file says: one newline at its end is not part of it, and a variable cannot hold a NUL byte.
fn value(mut content: Vec<u8>) -> Option<OsString> {
    if content.is_empty() {
        return None;
    }
    if content.last() == Some(&b'\n') {
        content.pop();
    }
    for byte in &mut content {
        if *byte == 0 {
            *byte = b'\n';
        }
    }
    Some(OsString::from_vec(content))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("unable to read {}: {error}", path.display()))
}
