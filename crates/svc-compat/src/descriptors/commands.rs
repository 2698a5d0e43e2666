//! The commands that store, retrieve, delete and list descriptors.

use std::io::Write;
use std::os::fd::AsRawFd;

use svc_sys::{Errno, exit, fd};

use super::client::{Connection, limit, name};
use super::store;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const TIMEOUT: Opt = Opt::with('t', "MS", "give up when the holder has not answered for so long");

pub(super) const CODES: &[(u8, &str)] = &[(exit::FAILED, "The holder refused, or did not answer.")];

/// What the commands say whose names end with a c.
pub(super) const CONNECTED: &str =
    "The connection to the holder is there already, at descriptors 6 and 7: s6-ipcclient makes one.";

pub(super) const STORE: Command = Command {
    name: "s6-fdholder-store",
    about: "give standard input, or another descriptor, to a holder",
    operands: "SOCKET ID",
    options: &[
        Opt::with('d', "FD", "this descriptor instead of 0"),
        TIMEOUT,
        Opt::with('T', "MS", "it is to be held for so long; default: for ever"),
    ],
    notes: "",
    codes: CODES,
    run: store,
};

pub(super) const STOREC: Command = Command { name: "s6-fdholder-storec", operands: "ID", notes: CONNECTED, ..STORE };

pub(super) const RETRIEVE: Command = Command {
    name: "s6-fdholder-retrieve",
    about: "execute a program with a descriptor from a holder as standard input",
    operands: "SOCKET ID PROG...",
    options: &[Opt::flag('D', "the holder is to forget it"), TIMEOUT],
    notes: "",
    codes: CODES,
    run: retrieve,
};

pub(super) const RETRIEVEC: Command =
    Command { name: "s6-fdholder-retrievec", operands: "ID PROG...", notes: CONNECTED, ..RETRIEVE };

pub(super) const DELETE: Command = Command {
    name: "s6-fdholder-delete",
    about: "make a holder forget a descriptor",
    operands: "SOCKET ID",
    options: &[TIMEOUT],
    notes: "",
    codes: CODES,
    run: delete,
};

pub(super) const DELETEC: Command = Command { name: "s6-fdholder-deletec", operands: "ID", notes: CONNECTED, ..DELETE };

pub(super) const LIST: Command = Command {
    name: "s6-fdholder-list",
    about: "print the ids of the descriptors that a holder has, one in a line",
    operands: "SOCKET",
    options: &[TIMEOUT],
    notes: "Bytes that cannot be printed are shown as in C.",
    codes: CODES,
    run: list,
};

pub(super) const LISTC: Command = Command { name: "s6-fdholder-listc", operands: "", notes: CONNECTED, ..LIST };

pub(super) fn refused(what: &str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::with_code(exit::FAILED, format!("unable to {what}: {errno}"))
}

fn id(words: &[std::ffi::OsString]) -> Result<&[u8], Failure> {
    name(&words[0])
}

fn store(call: &Call) -> Outcome {
    let number = call.number('d')?.unwrap_or(0);
    let until = store::after(limit(call, 'T')?);
    // A copy, made first: the number could be that of our connection otherwise.
    let failed = |errno| Failure::system(format!("descriptor {number}: {errno}"));
    let fd = fd::duplicate(number, 8).map_err(failed)?;
    let (mut connection, words) = Connection::open(call)?;
    connection.store(fd, id(words)?, until).map_err(refused("store the descriptor"))?;
    Ok(exit::DONE)
}

fn retrieve(call: &Call) -> Outcome {
    let (mut connection, words) = Connection::open(call)?;
    let name = id(words)?;
    let program = &words[1..];
    let fd = connection.retrieve(name, call.has('D')).map_err(refused("retrieve the descriptor"))?;
    drop(connection);
    fd::place(fd.as_raw_fd(), 0).map_err(|errno| Failure::system(format!("unable to make it standard input: {errno}")))?;
    if fd.as_raw_fd() == 0 {
        fd::release(fd);
    }
    chain::execute(program)
}

fn delete(call: &Call) -> Outcome {
    let (mut connection, words) = Connection::open(call)?;
    connection.delete(id(words)?).map_err(refused("delete the descriptor"))?;
    Ok(exit::DONE)
}

fn list(call: &Call) -> Outcome {
    let (mut connection, _) = Connection::open(call)?;
    let names = connection.list().map_err(refused("list the descriptors"))?;
    let text: Vec<u8> = names.iter().flat_map(|name| [shown(name).as_bytes(), b"\n"].concat()).collect();
    std::io::stdout().write_all(&text).map_err(|error| Failure::system(format!("unable to write: {error}")))?;
    Ok(exit::DONE)
}

/// A name with nothing in it that a terminal would act on.
fn shown(name: &[u8]) -> String {
    const LETTERS: [char; 7] = ['a', 'b', 't', 'n', 'v', 'f', 'r'];
    let mut text = String::new();
    for &byte in name {
        match byte {
            7..=13 => text.extend(['\\', LETTERS[usize::from(byte - 7)]]),
            b'\\' => text += "\\\\",
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text += &format!("\\0x{byte:02x}"),
        }
    }
    text
}
