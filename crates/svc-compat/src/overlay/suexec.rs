//! `s6-overlay-suexec`: one program as root if possible, then another as the user of the container.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgid, getuid, setgid, setresgid, setresuid, setuid};
use svc_sys::exit;

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const SUEXEC: Command = Command {
    name: "s6-overlay-suexec",
    about: "run a program as root where that is possible, then become the user of the container and execute another",
    operands: "{ ROOT-PROG... } PROG...",
    options: &[Opt::NONE],
    notes: "The braces are those of execline; in an argument list each word of the block begins with a blank, and an empty word ends \
            it. UID, GID, USER and GROUP tell who the user of the container is, EUID, EGID, EUSER and EGROUP who we act as; GIDLIST \
            is removed.\n\n\
            ROOT-PROG runs as root only if we are root, or set-uid to root. PROG is executed when ROOT-PROG has succeeded. It works \
            under any process id.",
    codes: &[(exit::FAILED, "ROOT-PROG failed: its own exit code, or 128 and the signal that killed it.")],
    run: suexec,
};

fn suexec(call: &Call) -> Outcome {
    let (block, rest) = split(&call.operands)?;
    let ([program, arguments @ ..], [_, ..]) = (block.as_slice(), rest) else {
        return Err(Failure::usage(if block.is_empty() {
            "the block is empty"
        } else {
            "the program to execute is missing"
        }));
    };
    let (uid, gid, euid, egid) = (getuid(), getgid(), geteuid(), getegid());
    if euid.is_root() {
        become_root(uid, gid)?;
    } else {
        if euid != uid {
            call.warn(format!("we are set-uid to {euid}, which is not root: staying {uid}"));
        }
        let failed = |errno| Failure::system(format!("unable to become the user {uid}: {errno}"));
        setresgid(gid, gid, gid).map_err(failed)?;
        setresuid(uid, uid, uid).map_err(failed)?;
    }
    svc_sys::environment::change("GIDLIST".into());
    for (name, value) in
        [("GID", gid.to_string()), ("EGID", egid.to_string()), ("UID", uid.to_string()), ("EUID", euid.to_string())]
    {
        set(name, &value);
    }
    for (name, uid) in [("USER", uid), ("EUSER", euid)] {
        set(name, &User::from_uid(uid).ok().flatten().map_or(String::new(), |user| user.name));
    }
    for (name, gid) in [("GROUP", gid), ("EGROUP", egid)] {
        set(name, &Group::from_gid(gid).ok().flatten().map_or(String::new(), |group| group.name));
    }
    run(program, arguments)?;
    if euid.is_root() {
        let failed = |errno| Failure::system(format!("unable to become the user {uid}: {errno}"));
        if gid.as_raw() != 0 {
            setgid(gid).map_err(failed)?;
        }
        if !uid.is_root() {
            setuid(uid).map_err(failed)?;
        }
    }
    chain::execute(rest)
}

/// The words of a block as an argument list has it, and those behind it.
fn split(words: &[OsString]) -> Result<(Vec<OsString>, &[OsString]), Failure> {
    let mut block = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match word.as_bytes() {
            [] => return Ok((block, &words[index + 1..])),
            [b' ', rest @ ..] => block.push(OsStr::from_bytes(rest).to_owned()),
            _ => {
                return Err(Failure::usage(format!(
                    "the word '{}' of the block does not begin with a blank",
                    word.display()
                )));
            }
        }
    }
    Err(Failure::usage("the block does not end: an empty word is missing"))
}

fn become_root(uid: Uid, gid: Gid) -> Result<(), Failure> {
    let failed = |errno| Failure::system(format!("unable to become root: {errno}"));
    if gid.as_raw() != 0 {
        setgid(Gid::from_raw(0)).map_err(failed)?;
    }
    if !uid.is_root() {
        setuid(Uid::from_raw(0)).map_err(failed)?;
    }
    Ok(())
}

fn set(name: &str, value: &str) {
    svc_sys::environment::change(format!("{name}={value}").into());
}

fn run(program: &OsString, arguments: &[OsString]) -> Result<(), Failure> {
    let shown = program.display();
    let status = std::process::Command::new(program).args(arguments).status().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE };
        Failure::with_code(code, format!("unable to run {shown}: {error}"))
    })?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::with_code(code as u8, format!("{shown} failed with exit code {code}"))),
        (None, signal) => {
            let number = signal.unwrap_or(0);
            Err(Failure::with_code(128 + number as u8, format!("{shown} was killed by signal {number}")))
        }
    }
}
