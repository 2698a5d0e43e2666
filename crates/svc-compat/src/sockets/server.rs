//! `s6-ipcserver` and `s6-ipcserver-socketbinder`: a socket, and a program that serves it.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;

use super::local::Listener;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const SOCKETBINDER: Command = Command {
    name: "s6-ipcserver-socketbinder",
    about: "make a Unix socket as standard input, and execute a program",
    operands: "PATH PROG...",
    options: &[
        Opt::flag('d', "remove what is at PATH first (default)"),
        Opt::flag('D', "fail if there is something at PATH"),
        Opt::with('b', "N", "how many connections may wait; 0: do not listen; default: as many as the system allows"),
        Opt::flag('M', "a stream socket (default)"),
        Opt::flag('m', "a datagram socket"),
        Opt::with('a', "PERMS", "who may connect, octal as for a file; default: 0777"),
        Opt::flag('B', "a socket whose reading waits"),
    ],
    notes: "",
    codes: &[],
    run: socketbinder,
};

pub(super) const IPCSERVER: Command = Command {
    name: "s6-ipcserver",
    about: "execute a program for each connection to a Unix socket",
    operands: "PATH PROG...",
    options: &[
        Opt::flag('q', "report nothing"),
        Opt::flag('Q', "report what goes wrong (default)"),
        Opt::flag('v', "report every connection"),
        Opt::flag('d', "remove what is at PATH first (default)"),
        Opt::flag('D', "fail if there is something at PATH"),
        Opt::flag('P', "do not look who connects"),
        Opt::flag('p', "look who connects (default)"),
        Opt::flag('1', "print a newline on standard output, and close it, when ready"),
        Opt::with('c', "N", "serve so many connections at a time; default: 40"),
        Opt::with('C', "N", "serve so many of one user at a time; default: 40"),
        Opt::with('b', "N", "how many connections may wait"),
        Opt::with('a', "PERMS", "who may connect, octal as for a file; default: 0777"),
        Opt::with('G', "GIDS", "become a member of these groups, by number, commas between them"),
        Opt::with('g', "GID", "become this group"),
        Opt::with('u', "UID", "become this user"),
        Opt::flag('U', "become who UID, GID and GIDLIST in the environment say"),
    ],
    notes: "The same as s6-ipcserver-socketbinder, s6-applyuidgid and s6-ipcserverd behind each other.",
    codes: &[],
    run: ipcserver,
};

fn socketbinder(call: &Call) -> Outcome {
    let path = call.operand(0, "the path of the socket")?;
    let program = call.program(1)?;
    let listener = Listener {
        datagrams: call.last(&['m', 'M']) == Some('m'),
        blocking: call.has('B'),
        replace: call.last(&['d', 'D']) != Some('D'),
        permissions: call.value('a').map_or(Ok(0o777), octal)?,
        backlog: call.number('b')?,
    };
    let failed = |errno| Failure::system(format!("unable to make a socket at {}: {errno}", path.display()));
    let socket = listener.open(path).map_err(failed)?;
    svc_sys::fd::place(socket.as_raw_fd(), 0).map_err(failed)?;
    if socket.as_raw_fd() == 0 {
        // It is to stay, and would be closed with its owner.
        svc_sys::fd::release(socket);
    }
    chain::execute(program)
}

fn octal(text: &OsStr) -> Result<u32, Failure> {
    let parsed = text.to_str().and_then(|text| u32::from_str_radix(text, 8).ok());
    parsed.ok_or_else(|| Failure::usage(format!("the permissions must be octal, such as 0700, not '{}'", text.display())))
}

fn ipcserver(call: &Call) -> Outcome {
    let path = call.operand(0, "the path of the socket")?;
    let program = call.program(1)?;
    let mut words = binder_words(call, path, &['a'])?;
    words.extend(chain::own_words("s6-ipcserverd"));
    match call.last(&['q', 'Q', 'v']) {
        Some('q') => words.push("-v0".into()),
        Some('v') => words.push("-v2".into()),
        Some(_) | None => {}
    }
    if call.has('1') {
        words.push("-1".into());
    }
    if call.last(&['p', 'P']) == Some('P') {
        words.push("-P".into());
    }
    pass_on(call, &['c', 'C'], &mut words)?;
    words.push("--".into());
    words.extend_from_slice(program);
    chain::execute_own(SOCKETBINDER.name, words)
}

/// The words that come before the server itself: those of the socket binder, and of the one who becomes somebody else.
pub(crate) fn binder_words(call: &Call, path: &OsStr, octals: &[char]) -> Result<Vec<OsString>, Failure> {
    let mut words: Vec<OsString> = Vec::new();
    if call.last(&['d', 'D']) == Some('D') {
        words.push("-D".into());
    }
    pass_on(call, &['b'], &mut words)?;
    for &letter in octals {
        if let Some(value) = call.value(letter) {
            octal(value)?;
            words.extend([format!("-{letter}").into(), value.to_owned()]);
        }
    }
    words.extend(["--".into(), path.to_owned()]);
    if ['U', 'u', 'g', 'G'].iter().any(|&letter| call.has(letter)) {
        words.extend(chain::own_words("s6-applyuidgid"));
        if call.has('U') {
            words.push("-Uz".into());
        }
        pass_on(call, &['u', 'g'], &mut words)?;
        if let Some(groups) = call.value('G') {
            words.extend(["-G".into(), groups.to_owned()]);
        }
        words.push("--".into());
    }
    Ok(words)
}

/// Hands options with numbers on to the next program.
pub(crate) fn pass_on(call: &Call, letters: &[char], words: &mut Vec<OsString>) -> Result<(), Failure> {
    for &letter in letters {
        if let Some(number) = call.number::<u32>(letter)? {
            words.extend([format!("-{letter}").into(), number.to_string().into()]);
        }
    }
    Ok(())
}
