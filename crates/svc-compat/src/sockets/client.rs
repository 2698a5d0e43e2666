//! `s6-ipcclient`: a program that talks to a server.

use std::ffi::OsString;
use std::os::fd::AsRawFd;

use super::local;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const IPCCLIENT: Command = Command {
    name: "s6-ipcclient",
    about: "connect to a Unix socket, and execute a program that reads from descriptor 6 and writes to 7",
    operands: "PATH PROG...",
    options: &[
        Opt::flag('q', "report nothing"),
        Opt::flag('Q', "report what goes wrong (default)"),
        Opt::flag('v', "report the connection"),
        Opt::with('p', "BINDPATH", "give our own socket this path first"),
        Opt::with('l', "NAME", "what IPCLOCALPATH is to be, instead of the path of our own socket"),
    ],
    notes: "Sets PROTO to IPC, and IPCLOCALPATH.",
    codes: &[],
    run: ipcclient,
};

fn ipcclient(call: &Call) -> Outcome {
    let path = call.operand(0, "the path of the socket")?;
    let program = call.program(1)?;
    let failed = |errno| Failure::system(format!("unable to connect to {}: {errno}", path.display()));
    let socket = local::connect_to(path, call.value('p'), None).map_err(failed)?;
    local::set_blocking(&socket, true).map_err(failed)?;
    if call.has('v') {
        eprintln!("{}: info: connected to {}", call.command.name, path.display());
    }
    let name = call.value('l').map_or_else(|| local::local_path(socket.as_raw_fd()), |name| name.to_owned());
    // Away from where it is to go, whatever number it has now.
    let socket = svc_sys::fd::duplicate(socket.as_raw_fd(), 8).map_err(failed)?;
    for number in [6, 7] {
        svc_sys::fd::place(socket.as_raw_fd(), number).map_err(failed)?;
    }
    svc_sys::environment::change("PROTO=IPC".into());
    let mut assignment = OsString::from("IPCLOCALPATH=");
    assignment.push(name);
    svc_sys::environment::change(assignment);
    chain::execute(program)
}
