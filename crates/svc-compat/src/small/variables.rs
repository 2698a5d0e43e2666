//! Programs about the environment: s6-env, s6-printenv, s6-dumpenv.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use svc_sys::{environment, exit};

use super::output::put;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const ENV: Command = Command {
    name: "s6-env",
    about: "execute a program with other variables",
    operands: "[NAME=VALUE...] [PROG...]",
    options: &[Opt::flag('i', "with no others than these")],
    notes: "Without PROG it prints the environment.",
    codes: &[],
    run: |call| {
        let is_assignment = |word: &&OsString| word.as_bytes().iter().skip(1).any(|&byte| byte == b'=');
        let count = call.operands.iter().take_while(is_assignment).count();
        let (assignments, program) = call.operands.split_at(count);
        if call.has('i') {
            std::env::vars_os().map(|(name, _)| name).for_each(environment::change);
        }
        assignments.iter().cloned().for_each(environment::change);
        if program.is_empty() { print(b"\n", true) } else { chain::execute(program) }
    },
};

/// Prints all variables, with `between` after each, or only between them.
fn print(between: &[u8], at_end: bool) -> Outcome {
    let lines: Vec<Vec<u8>> =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
    let mut text = lines.join(between);
    if at_end && !lines.is_empty() {
        text.extend_from_slice(between);
    }
    put(&text)?;
    Ok(exit::DONE)
}

pub(super) const PRINTENV: Command = Command {
    name: "s6-printenv",
    about: "print the environment",
    operands: "",
    options: &[
        Opt::flag('n', "nothing after the last"),
        Opt::flag('0', "a NUL byte after each variable"),
        Opt::with('d', "CHAR", "what to put after each variable (default: a newline; if empty: as netstrings)"),
    ],
    notes: "",
    codes: &[],
    run: |call| {
        let between = if call.has('0') {
            Some(0)
        } else {
            call.value('d').map_or(Some(b'\n'), |text| text.as_bytes().first().copied())
        };
        match between {
            Some(byte) => print(&[byte], !call.has('n')),
            None => {
                for (name, value) in std::env::vars_os() {
                    let length = name.len() + 1 + value.len();
                    put(&[format!("{length}:").as_bytes(), name.as_bytes(), b"=", value.as_bytes(), b","].concat())?;
                }
                Ok(exit::DONE)
            }
        }
    },
};

pub(super) const DUMPENV: Command = Command {
    name: "s6-dumpenv",
    about: "write the environment to a directory, a file for each variable",
    operands: "DIR",
    options: &[
        Opt::flag('N', "a newline after each value"),
        Opt::flag('n', "no newline after a value (this is the default)"),
        Opt::with('m', "MODE", "the mode of DIR in octal, if it is made (default: 0755)"),
    ],
    notes: "s6-envdir -fn reads it back, and s6-envdir -f with -N.",
    codes: &[],
    run: dumpenv,
};

fn dumpenv(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the directory")?);
    let mode = match call.value('m') {
        None => 0o755,
        Some(text) => {
            let mode = text.to_str().and_then(|text| u32::from_str_radix(text, 8).ok());
            mode.ok_or_else(|| Failure::usage(format!("-m: '{}' is not a mode in octal", text.display())))?
        }
    };
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        result => result.map_err(|error| Failure::system(format!("unable to make {}: {error}", dir.display())))?,
    }
    let newline = call.last(&['n', 'N']) == Some('N');
    for (name, value) in std::env::vars_os() {
        let mut new = name.clone();
        new.push("=.tmp");
        let (path, new) = (dir.join(name), dir.join(new));
        let end: &[u8] = if newline { b"\n" } else { b"" };
        // Whole or not at all, for those who read it meanwhile.
        let written = fs::write(&new, [value.as_bytes(), end].concat()).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| Failure::system(format!("unable to write {}: {error}", path.display())))?;
    }
    Ok(exit::DONE)
}
