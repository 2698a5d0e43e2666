//! runit's chpst: a program with another process state.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_sys::{fd, process};

use super::loaders::{execute, lock, prepare, set_ids, taken};
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::account;
use crate::process::envdir::{self, Manners};
use crate::process::identity::Identity;
use crate::process::limits::{self, Amount, Which};

pub(super) const CHPST: Command = Command {
    name: "chpst",
    about: "execute a program with another user, environment, root, limits and so on",
    operands: "PROG...",
    options: &[
        Opt::with('u', "USER[:GROUP...]", "the user, and the groups; `:UID:GID...` for numbers"),
        Opt::with('U', "USER[:GROUP...]", "the same, but only set UID and GID in the environment"),
        Opt::with('b', "NAME", "what PROG is told that it is called"),
        Opt::with('e', "DIR", "set variables as the files of DIR say"),
        Opt::with('/', "ROOT", "change the root directory"),
        Opt::with('C', "DIR", "change the working directory, after the root"),
        Opt::with('n', "N", "add N to the nice value"),
        Opt::with('l', "FILE", "hold a lock on FILE; wait for it"),
        Opt::with('L', "FILE", "hold a lock on FILE; fail if somebody else does"),
        Opt::with('m', "BYTES", "limit the data segment, the stack, locked memory, and all memory"),
        Opt::with('d', "BYTES", "limit the data segment"),
        Opt::with('o', "N", "limit open files"),
        Opt::with('p', "N", "limit processes of the user"),
        Opt::with('f', "BYTES", "limit a file that is written"),
        Opt::with('c', "BYTES", "limit a core file"),
        Opt::with('r', "BYTES", "limit memory that is not swapped out"),
        Opt::with('t', "SECONDS", "limit time of the processor"),
        Opt::flag('v', "say what was passed over"),
        Opt::flag('V', "print the version on standard error, and end with code 100"),
        Opt::flag('P', "a new session and process group"),
        Opt::flag('0', "close standard input"),
        Opt::flag('1', "close standard output"),
        Opt::flag('2', "close standard error"),
    ],
    notes: "All supplementary groups but those given with -u are left.",
    codes: &[],
    run,
};

fn run(call: &Call) -> Outcome {
    if call.has('V') {
        return Err(Failure::usage(concat!("version ", env!("CARGO_PKG_VERSION"))));
    }
    if call.count('l') + call.count('L') > 1 {
        return Err(Failure::usage("-l and -L: only one lock can be held"));
    }
    let program = call.program(0)?;
    let (limits, nice) = (limits(call)?, call.value('n').map(nice).transpose()?);

    if call.has('P') {
        process::new_session();
    }
    if let Some(dir) = call.value('e') {
        envdir::apply(Path::new(dir), Manners::RUNIT).map_err(envdir::unreadable)?;
    }
    if let Some(root) = call.value('/') {
        enter(root)?;
        nix::unistd::chroot(".").map_err(|errno| Failure::system(format!("unable to change root: {errno}")))?;
    }
    if let Some(dir) = call.value('C') {
        enter(dir)?;
    }
    if let Some(increment) = nice {
        process::renice(increment).map_err(|errno| Failure::system(format!("unable to set nice level: {errno}")))?;
    }
    if let Some(text) = call.value('U') {
        let (uid, groups) = user(text)?;
        set_ids(uid, groups[0]);
    }
    if let Some(text) = call.value('u') {
        let (uid, groups) = user(text)?;
        Identity { uid: Some(uid), gid: Some(groups[0]), groups: Some(groups[1..].to_vec()) }.assume()?;
    }
    let held = match call.given.iter().find(|given| "lL".contains(given.letter)) {
        None => None,
        Some(given) => Some(lock(&given.value, given.letter == 'l')?.ok_or_else(|| taken(&given.value))?),
    };
    for (number, letter) in ['0', '1', '2'].into_iter().enumerate() {
        if call.has(letter) {
            fd::close(number as i32);
        }
    }
    let words = match call.value('b') {
        Some(name) => [&[name.to_owned()], &program[1..]].concat(),
        None => program.to_vec(),
    };
    // Before the limits, which may leave no memory for it.
    let prepared = prepare(&program[0], &words)?;
    for (letter, amount) in limits {
        limits::resources(letter).iter().try_for_each(|&resource| limits::set(resource, Which::Soft, amount))?;
    }
    prepared.execute();
    let outcome = execute(program);
    drop(held);
    outcome
}

fn enter(dir: &OsStr) -> Result<(), Failure> {
    let entered = std::env::set_current_dir(dir);
    entered.map_err(|error| Failure::system(format!("unable to change to {}: {error}", dir.display())))
}

/// The limits as given. There is no `=` here.
fn limits(call: &Call) -> Result<Vec<(char, Amount)>, Failure> {
    let given = call.given.iter().filter(|given| "mdopfcrt".contains(given.letter));
    let parse = |given: &crate::command::Given| match Amount::parse(&given.value, given.letter)? {
        Amount::Most => Err(Failure::usage(format!("the limit after -{} must be a number", given.letter))),
        number => Ok((given.letter, number)),
    };
    given.map(parse).collect()
}

/// A number that may have a sign.
fn nice(text: &OsStr) -> Result<i32, Failure> {
    let bytes = text.as_bytes();
    let digits = bytes.strip_prefix(b"+").or_else(|| bytes.strip_prefix(b"-")).unwrap_or(bytes);
    let number = account::number(digits).and_then(|number| i32::try_from(number).ok());
    let number = number.ok_or_else(|| Failure::usage(format!("-n: '{}' is not a number", text.display())))?;
    Ok(if bytes.starts_with(b"-") { -number } else { number })
}

/// The uid, and at least one gid.
fn user(text: &OsStr) -> Result<(u32, Vec<u32>), Failure> {
    if let Some(numbers) = text.as_bytes().strip_prefix(b":") {
        let numbers: Option<Vec<u32>> = numbers.split(|&byte| byte == b':').map(account::number).collect();
        return match numbers.as_deref() {
            Some([uid, groups @ ..]) if !groups.is_empty() => Ok((*uid, groups.to_vec())),
            _ => Err(Failure::system(format!("invalid uid and gids: '{}' is not :UID:GID", text.display()))),
        };
    }
    let mut names = text.as_bytes().split(|&byte| byte == b':').map(OsStr::from_bytes);
    let unknown = || Failure::system(format!("unknown user or group: {}", text.display()));
    let account = account::account(names.next().unwrap_or_default())?.ok_or_else(unknown)?;
    let groups = names.map(|name| account::group(name)?.ok_or_else(unknown)).collect::<Result<Vec<u32>, Failure>>()?;
    Ok((account.uid, if groups.is_empty() { vec![account.gid] } else { groups }))
}
