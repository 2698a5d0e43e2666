//! Commands for the working directory, the mask for new files, and home directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use svc_sys::{exit, user};

use super::program::{Changes, become_program};
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::account;

pub const CD: Command = Command { name: "cd", ..EXECLINE_CD };

pub const EXECLINE_CD: Command = Command {
    name: "execline-cd",
    about: "change the working directory, then execute a program",
    operands: "DIR PROG...",
    options: &[Opt::NONE],
    notes: "",
    codes: &[],
    run: cd,
};

pub const UMASK: Command = Command { name: "umask", ..EXECLINE_UMASK };

pub const EXECLINE_UMASK: Command = Command {
    name: "execline-umask",
    about: "set the mask for new files, then execute a program",
    operands: "MASK PROG...",
    options: &[Opt::NONE],
    notes: "MASK is octal, such as 022.",
    codes: &[],
    run: umask,
};

pub const HOMEOF: Command = Command {
    name: "homeof",
    about: "print the home directory of a user",
    operands: "USER",
    options: &[Opt::NONE],
    notes: "",
    codes: &[(111, "there is no such user")],
    run: homeof,
};

fn cd(call: &Call) -> Outcome {
    let (dir, words) = (call.operand(0, "DIR")?, call.program(1)?);
    std::env::set_current_dir(dir)
        .map_err(|error| Failure::system(format!("unable to change to {}: {error}", dir.display())))?;
    become_program(words, Changes::default())
}

/// An octal number.
pub fn octal(text: &OsStr) -> Option<u32> {
    let text = text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    u32::from_str_radix(text, 8).ok()
}

fn umask(call: &Call) -> Outcome {
    let (text, words) = (call.operand(0, "MASK")?, call.program(1)?);
    let mask = octal(text).ok_or_else(|| Failure::usage(format!("MASK is octal, such as 022, not '{}'", text.display())))?;
    user::set_umask(mask & 0o777);
    become_program(words, Changes::default())
}

fn homeof(call: &Call) -> Outcome {
    let name = call.operand(0, "USER")?;
    let known = account::account(name)?;
    let account = known.ok_or_else(|| Failure::system(format!("there is no user {}", name.display())))?;
    println!("{}", OsStr::from_bytes(&account.home).display());
    Ok(exit::DONE)
}
