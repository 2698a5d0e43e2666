//! `s6-sudo`: a client of s6-sudod in one line; and what its two ends say to each other.

use std::ffi::OsString;

use super::server::pass_on;
use crate::chain;
use crate::command::{Call, Command, Opt, Outcome};

/// What the server says first.
pub(super) const SERVER: &[u8] = b"s6-sudo b v1.0\n";

/// What the client's message begins with. Then come four numbers (4 bytes each, big end first): how many arguments, how many
/// variables, how many bytes of each; and these, a NUL byte behind each one.
pub(super) const CLIENT: &[u8] = b"s6-sudo a v1.0\n";

pub(super) const SUDO: Command = Command {
    name: "s6-sudo",
    about: "run a program in the place and with the rights of a server",
    operands: "PATH [ARG...]",
    options: &[
        Opt::flag('q', "report nothing"),
        Opt::flag('Q', "report what goes wrong (default)"),
        Opt::flag('v', "report the connection"),
        Opt::with('p', "BINDPATH", "give our own socket this path first"),
        Opt::with('l', "NAME", "what IPCLOCALPATH is to be"),
        Opt::flag('e', "send no variables"),
        Opt::with('t', "MS", "give up when the program has not been started for so long"),
        Opt::with('T', "MS", "give up when the program has not ended for so long"),
    ],
    notes: "The same as s6-ipcclient and s6-sudoc behind each other. PATH is the socket of an s6-ipcserver that runs s6-sudod.",
    codes: &[],
    run: sudo,
};

fn sudo(call: &Call) -> Outcome {
    let path = call.operand(0, "the path of the socket")?;
    let mut words: Vec<OsString> = Vec::new();
    if call.has('v') {
        words.push("-v".into());
    }
    for letter in ['p', 'l'] {
        if let Some(value) = call.value(letter) {
            words.extend([format!("-{letter}").into(), value.to_owned()]);
        }
    }
    words.extend(["--".into(), path.to_owned()]);
    words.extend(chain::own_words("s6-sudoc"));
    if call.has('e') {
        words.push("-e".into());
    }
    pass_on(call, &['t', 'T'], &mut words)?;
    words.push("--".into());
    words.extend_from_slice(&call.operands[1..]);
    chain::execute_own("s6-ipcclient", words)
}
