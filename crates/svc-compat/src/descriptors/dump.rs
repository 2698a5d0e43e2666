//! The commands that move all descriptors of a holder at once.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use svc_core::Millis;
use svc_proto::s6::Stamp;
use svc_sys::{exit, fd};

use super::client::{Connection, name};
use super::commands::{CODES, CONNECTED, TIMEOUT, refused};
use super::store::{self, Held};
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub(super) const GETDUMP: Command = Command {
    name: "s6-fdholder-getdump",
    about: "execute a program with all descriptors of a holder",
    operands: "SOCKET PROG...",
    options: &[TIMEOUT],
    notes: "The program finds in its environment how many there are (S6_FD#), and of each its number (S6_FD_0 ...), its id (S6_FDID_0 \
            ...) and until when it is to be held, if that is not for ever (S6_FDLIMIT_0 ...).",
    codes: CODES,
    run: get_dump,
};

pub(super) const GETDUMPC: Command =
    Command { name: "s6-fdholder-getdumpc", operands: "PROG...", notes: CONNECTED, ..GETDUMP };

pub(super) const SETDUMP: Command = Command {
    name: "s6-fdholder-setdump",
    about: "give a holder the descriptors that the environment tells of",
    operands: "SOCKET",
    options: &[TIMEOUT],
    notes: "The environment is that which s6-fdholder-getdump makes.",
    codes: CODES,
    run: set_dump,
};

pub(super) const SETDUMPC: Command = Command { name: "s6-fdholder-setdumpc", operands: "", notes: CONNECTED, ..SETDUMP };

pub(super) const TRANSFERDUMP: Command = Command {
    name: "s6-fdholder-transferdump",
    about: "give all descriptors of one holder to another too",
    operands: "SOCKET-FROM SOCKET-TO",
    options: &[Opt::with('t', "MS:MS", "give up when the first, and the second, has not answered for so long")],
    notes: "",
    codes: CODES,
    run: transfer_dump,
};

pub(super) const TRANSFERDUMPC: Command = Command {
    name: "s6-fdholder-transferdumpc",
    operands: "",
    notes: "The connection to the first is there already, at descriptors 0 and 1, that to the second at 6 and 7.",
    ..TRANSFERDUMP
};

fn set(name: String, value: &[u8]) {
    let mut assignment = name.into_bytes();
    assignment.push(b'=');
    assignment.extend_from_slice(value);
    svc_sys::environment::change(OsString::from_vec(assignment));
}

fn get_dump(call: &Call) -> Outcome {
    let (mut connection, program) = Connection::open(call)?;
    let dump = connection.get_dump().map_err(refused("get the descriptors"))?;
    drop(connection);
    set("S6_FD#".into(), dump.len().to_string().as_bytes());
    for (index, held) in dump.iter().enumerate() {
        fd::set_close_on_exec(held.fd.as_raw_fd(), false);
        set(format!("S6_FD_{index}"), held.fd.as_raw_fd().to_string().as_bytes());
        set(format!("S6_FDID_{index}"), &held.name);
        if store::comes(held.until) {
            set(format!("S6_FDLIMIT_{index}"), &[b"@", &held.until.hex()[..]].concat());
        } else {
            svc_sys::environment::change(format!("S6_FDLIMIT_{index}").into());
        }
    }
    chain::execute(program)
}

fn set_dump(call: &Call) -> Outcome {
    let count: usize = numeric("S6_FD#")?;
    let mut dump = Vec::new();
    for index in 0..count {
        let id = required(&format!("S6_FDID_{index}"))?;
        let until = match std::env::var_os(format!("S6_FDLIMIT_{index}")) {
            Some(text) => {
                stamp(&text).ok_or_else(|| Failure::usage(format!("S6_FDLIMIT_{index}: '{}' is no time", text.display())))?
            }
            None => store::after(None),
        };
        let descriptor: i32 = numeric(&format!("S6_FD_{index}"))?;
        let failed = |errno| Failure::system(format!("descriptor {descriptor}: {errno}"));
        let descriptor = fd::duplicate(descriptor, 8).map_err(failed)?;
        dump.push(Held { name: name(&id)?.to_vec(), fd: Rc::new(descriptor), until });
    }
    let (mut connection, _) = Connection::open(call)?;
    connection.set_dump(&dump).map_err(refused("set the descriptors"))?;
    Ok(exit::DONE)
}

fn required(variable: &str) -> Result<OsString, Failure> {
    std::env::var_os(variable).ok_or_else(|| Failure::usage(format!("{variable} is not set")))
}

fn numeric<T: std::str::FromStr>(variable: &str) -> Result<T, Failure> {
    number(&required(variable)?, variable)
}

fn stamp(text: &OsStr) -> Option<Stamp> {
    Stamp::from_hex(text.as_bytes().strip_prefix(b"@")?)
}

fn transfer_dump(call: &Call) -> Outcome {
    let [first, second] = limits(call)?;
    let connected = call.command.name.ends_with('c');
    let open = |index: usize, numbers, limit| {
        if connected {
            Connection::inherited(numbers, limit)
        } else {
            Connection::to(call.operand(index, "a socket")?, limit)
        }
    };
    call.operand(1, "the socket to give them to")
        .map(drop)
        .or_else(|failure| if connected { Ok(()) } else { Err(failure) })?;
    let dump = open(0, [0, 1], first)?.get_dump().map_err(refused("get the descriptors"))?;
    open(1, [6, 7], second)?.set_dump(&dump).map_err(refused("set the descriptors"))?;
    Ok(exit::DONE)
}

/// `FROM:TO`, either of which may be left out.
fn limits(call: &Call) -> Result<[Option<Millis>; 2], Failure> {
    let text = call.value('t').unwrap_or_default().as_bytes();
    let mut parts = text.splitn(2, |&byte| byte == b':').map(OsStr::from_bytes);
    let mut next = || match parts.next() {
        Some(part) if !part.is_empty() => {
            Ok(Some(number::<u64>(part, "the value of -t")?).filter(|limit| *limit > 0).map(Millis))
        }
        Some(_) | None => Ok(None),
    };
    Ok([next()?, next()?])
}
