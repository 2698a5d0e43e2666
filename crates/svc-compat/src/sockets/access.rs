//! `s6-ipcserver-access` and `s6-connlimit`: whether whoever connected may go on.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use svc_sys::exit;

use super::local;
use super::rules::{Rules, Verdict};
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};

pub(super) const IPCSERVER_ACCESS: Command = Command {
    name: "s6-ipcserver-access",
    about: "execute a program if the rules let the client in",
    operands: "PROG...",
    options: &[
        Opt::with('v', "N", "how much to report: 0 nothing, 1 who is sent away (default), 2 who is let in too"),
        Opt::flag('e', "set variables that tell about the connection (default)"),
        Opt::flag('E', "remove variables that tell about the connection"),
        Opt::with('l', "NAME", "what IPCLOCALPATH is to be, instead of the path of the socket"),
        Opt::with('i', "RULESDIR", "the rules are in this directory"),
        Opt::with('x', "RULESFILE", "the rules are in this file, made by s6-accessrules-cdb-from-fs"),
    ],
    notes: "It expects PROTO, and IPCREMOTEEUID and IPCREMOTEEGID if that is IPC, as s6-ipcserverd sets them.\n\n\
            The rules are looked for in this order: uid/self if the client is who we are, uid/UID, gid/self, gid/GID, uid/default. \
            The first with a file `allow` or `deny` decides; if there is none, the client is sent away. With `allow` there \
            may be a directory `env` of variables to set, and a file `exec` with a line of execline to execute instead.",
    codes: &[(exit::FAILED, "The client may not.")],
    run: ipcserver_access,
};

pub(super) const CONNLIMIT: Command = Command {
    name: "s6-connlimit",
    about: "execute a program unless the client has too many connections",
    operands: "PROG...",
    options: &[Opt::NONE],
    notes: "With PROTO=IPC, the connection is the IPCCONNNUMth of this client, and IPCCONNMAX are too many less one.",
    codes: &[(exit::FAILED, "The client has too many connections.")],
    run: connlimit,
};

/// A variable whose name begins with the protocol's.
fn variable(proto: &OsStr, name: &str) -> OsString {
    let mut variable = proto.to_owned();
    variable.push(name);
    variable
}

fn required(name: &OsStr) -> Result<OsString, Failure> {
    std::env::var_os(name).ok_or_else(|| Failure::usage(format!("{} is not set", name.display())))
}

fn number_in(name: &OsStr) -> Result<u32, Failure> {
    number(&required(name)?, &name.display().to_string())
}

fn assign(name: &OsStr, value: &OsStr) -> OsString {
    let mut assignment = name.to_owned();
    assignment.push("=");
    assignment.push(value);
    assignment
}

fn ipcserver_access(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let proto = required(OsStr::new("PROTO"))?;
    let uid = number_in(&variable(&proto, "REMOTEEUID"))?;
    let gid = number_in(&variable(&proto, "REMOTEEGID"))?;
    let verbosity: u32 = call.number('v')?.unwrap_or(1);
    let who = format!("pid {} uid {uid} gid {gid}", std::process::id());
    let verdict = match call.last_given(&['i', 'x']) {
        Some(place) => {
            let path = Path::new(&place.value);
            let failed = |error| Failure::system(format!("unable to look into the rules in {}: {error}", path.display()));
            let rules = if place.letter == 'i' { Ok(Rules::Directory(path.to_owned())) } else { Rules::open(path) };
            rules.and_then(|rules| rules.of(uid, gid)).map_err(failed)?
        }
        None => {
            if verbosity >= 2 {
                call.warn("without rules everybody is let in");
            }
            Verdict::everything()
        }
    };
    let Verdict::Allow { variables, exec } = verdict else {
        if verbosity >= 1 {
            call.warn(format!("deny {who}"));
        }
        return Ok(exit::FAILED);
    };
    if verbosity >= 2 {
        eprintln!("{}: info: allow {who}", call.command.name);
    }
    variables.into_iter().for_each(svc_sys::environment::change);
    if call.last(&['e', 'E']) == Some('E') {
        for name in ["REMOTEEUID", "REMOTEEGID", "REMOTEPATH", "LOCALPATH", "CONNNUM"] {
            svc_sys::environment::change(variable(&proto, name));
        }
        svc_sys::environment::change("PROTO".into());
    } else {
        let path = call.value('l').map_or_else(|| local::local_path(0), |name| name.to_owned());
        svc_sys::environment::change(assign(&variable(&proto, "LOCALPATH"), &path));
    }
    match exec {
        Some(line) => chain::execute_own("execlineb", ["-Pc".into(), OsString::from_vec(line)]),
        None => chain::execute(program),
    }
}

fn connlimit(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let proto = required(OsStr::new("PROTO"))?;
    if proto.is_empty() {
        return Err(Failure::usage("PROTO is empty"));
    }
    let count = number_in(&variable(&proto, "CONNNUM"))?;
    let name = variable(&proto, "CONNMAX");
    if std::env::var_os(&name).is_some() {
        let most = number_in(&name)?;
        if count > most {
            let message = format!("this client has {count} connections, and may have {most}");
            return Err(Failure::with_code(exit::FAILED, message));
        }
    }
    chain::execute(program)
}
