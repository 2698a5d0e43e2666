//! `s6-sudoc`: asks a server to run a program on our descriptors.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use svc_core::{Exit, Millis};
use svc_sys::{Errno, clock, fd, poll};

use super::{local, sudo, wire};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const SUDOC: Command = Command {
    name: "s6-sudoc",
    about: "ask the s6-sudod at descriptors 6 and 7 to run its program on our standard descriptors",
    operands: "[ARG...]",
    options: &[
        Opt::flag('e', "send no variables"),
        Opt::with('t', "MS", "give up when the program has not been started for so long"),
        Opt::with('T', "MS", "give up when the program has not ended for so long"),
    ],
    notes: "ARGs are put behind the server's own. The exit code is that of the program, or 128 and the signal that killed it.",
    codes: &[],
    run: sudoc,
};

fn sudoc(call: &Call) -> Outcome {
    let limit = |letter| {
        let limit: Option<u64> = call.number(letter)?;
        Ok(limit.filter(|limit| *limit > 0).map(Millis))
    };
    let (to_start, to_end) = (limit('t')?, limit('T')?);
    let variables: Vec<OsString> = if call.has('e') { Vec::new() } else { std::env::vars_os().map(joined).collect() };
    let connection = [6, 7].map(fd::adopt);
    let [Some(from), Some(to)] = connection else {
        return Err(Failure::usage("descriptors 6 and 7 must be a connection: s6-ipcclient makes one"));
    };
    let deadline = to_start.map(|limit| clock::now() + limit);
    let mut banner = [0; sudo::SERVER.len()];
    read(
        &from,
        &mut banner,
        deadline,
        "connect to the s6-sudod server: it says nothing, so we may not, or it is another program",
    )?;
    if banner != *sudo::SERVER {
        return Err(Failure::usage("the other side is not an s6-sudod server"));
    }
    let failed = |errno| Failure::system(format!("unable to send what is to be done: {errno}"));
    let fds: Result<Vec<Rc<OwnedFd>>, Errno> = [0, 1, 2].into_iter().map(|fd| fd::duplicate(fd, 3).map(Rc::new)).collect();
    wire::send(to.as_raw_fd(), &request(&call.operands, &variables), fds.map_err(failed)?, deadline).map_err(failed)?;
    // They are the program's now: whoever waits for their end must not wait for us.
    [0, 1].into_iter().for_each(fd::close);
    let mut answer = [0];
    read(&from, &mut answer, deadline, "hear from the server whether it has started the program")?;
    if answer != [0] {
        let errno = Errno(i32::from(answer[0]));
        return Err(Failure::system(format!("the server was unable to start the program: {errno}")));
    }
    let mut status = [0; 4];
    read(&from, &mut status, to_end.map(|limit| clock::now() + limit), "hear from the server how the program ended")?;
    Ok(Exit::from_wait_status(u32::from_be_bytes(status)).shell_code())
}

fn joined((mut name, value): (OsString, OsString)) -> OsString {
    name.push("=");
    name.push(value);
    name
}

fn request(arguments: &[OsString], variables: &[OsString]) -> Vec<u8> {
    let text = |words: &[OsString]| -> Vec<u8> { words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect() };
    let texts = [text(arguments), text(variables)];
    let numbers = [arguments.len(), variables.len(), texts[0].len(), texts[1].len()];
    // The kernel allows a command line to be much shorter than what would not fit.
    let numbers = numbers.into_iter().flat_map(|number| (number as u32).to_be_bytes());
    sudo::CLIENT.iter().copied().chain(numbers).chain(texts.concat()).collect()
}

/// Reads so many bytes that are no message.
fn read(socket: &OwnedFd, buffer: &mut [u8], deadline: Option<Millis>, what: &str) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure::system(format!("unable to {what}: {errno}"));
    let mut filled = 0;
    while filled < buffer.len() {
        local::await_ready(poll::readable(socket.as_raw_fd()), deadline).map_err(failed)?;
        match fd::read(socket.as_fd(), &mut buffer[filled..]) {
            Ok(0) => return Err(failed(Errno::BROKEN_PIPE)),
            Ok(count) => filled += count,
            Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(())
}
