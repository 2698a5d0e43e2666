//! `s6-sudod`: runs a program for a client, on the client's descriptors.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command as Process, Stdio};

use svc_core::{Millis, Pid, Signal};
use svc_sys::process::PidFd;
use svc_sys::{Errno, clock, exit, fd, poll};

use super::wire::{Incoming, Message};
use super::{local, sudo, wire};
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// The most arguments, and the most variables, that a client may send.
const MOST_WORDS: usize = 131_072;

pub(super) const SUDOD: Command = Command {
    name: "s6-sudod",
    about: "run a program for the client at standard input, with its arguments and on its descriptors",
    operands: "[PROG...]",
    options: &[
        Opt::flag('0', "give the program /dev/null as standard input"),
        Opt::flag('1', "give the program /dev/null as standard output"),
        Opt::flag('2', "give the program our own standard error"),
        Opt::flag('d', "all three, and let the program go on when the client is gone"),
        Opt::with('t', "MS", "give up when the client has not said what it wants for so long"),
    ],
    notes: "To be run by s6-ipcserver, behind s6-ipcserver-access. The program gets our environment; a variable that is set there and \
            empty takes the client's value. When the client goes away, the program gets SIGTERM and SIGCONT.",
    codes: &[(exit::FAILED, "The client went away.")],
    run: sudod,
};

/// What a client wants to be done.
struct Request {
    arguments: Vec<OsString>,
    variables: Vec<OsString>,
    fds: [OwnedFd; 3],
}

fn sudod(call: &Call) -> Outcome {
    let limit: Option<u64> = call.number('t')?;
    let deadline = limit.filter(|limit| *limit > 0).map(|limit| clock::now() + Millis(limit));
    tell(sudo::SERVER, deadline).map_err(|errno| Failure::system(format!("unable to greet the client: {errno}")))?;
    let mut incoming = Incoming::default();
    let message = wire::receive(0, &mut incoming, deadline);
    let message = message.map_err(|errno| Failure::system(format!("unable to hear what the client wants: {errno}")))?;
    let request =
        Request::parse(message).map_err(|what| Failure::usage(format!("the client does not make sense: {what}")))?;
    let child = match start(call, request) {
        Ok(child) => child,
        Err(errno) => {
            // The client knows what could not be done, so it gets the number as well.
            let _ = tell(&[errno.0 as u8], deadline);
            return Err(Failure::system(format!("unable to start the program: {errno}")));
        }
    };
    tell(&[0], deadline).map_err(|errno| Failure::system(format!("unable to answer the client: {errno}")))?;
    attend(child, call.has('d'))
}

/// Writes bytes that are no message.
fn tell(bytes: &[u8], deadline: Option<Millis>) -> Result<(), Errno> {
    let output = fd::borrow(1).ok_or(Errno::INVALID)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        local::await_ready(poll::writable(1), deadline)?;
        match fd::write(output, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

impl Request {
    fn parse(message: Message) -> Result<Request, &'static str> {
        let fds = message.fds.try_into().map_err(|_| "it must send 3 descriptors")?;
        let rest = message.text.strip_prefix(sudo::CLIENT).ok_or("it does not begin as s6-sudoc does")?;
        let (numbers, rest) = rest.split_first_chunk::<16>().ok_or("its message is too short")?;
        let number = |index: usize| {
            let bytes = [0, 1, 2, 3].map(|byte| numbers[4 * index + byte]);
            u32::from_be_bytes(bytes) as usize
        };
        let lengths = number(2).checked_add(number(3));
        if lengths != Some(rest.len()) || number(0).max(number(1)) > MOST_WORDS {
            return Err("its numbers are wrong");
        }
        let (arguments, variables) = rest.split_at(number(2));
        let arguments = words(arguments, number(0)).ok_or("its arguments are not as many as it says")?;
        let variables = words(variables, number(1)).ok_or("its variables are not as many as it says")?;
        if !variables.iter().all(|variable| variable.as_bytes().contains(&b'=')) {
            return Err("a variable has no value");
        }
        Ok(Request { arguments, variables, fds })
    }
}

/// So many words, a NUL byte behind each.
fn words(text: &[u8], count: usize) -> Option<Vec<OsString>> {
    let words: Vec<OsString> = text
        .split_inclusive(|&byte| byte == 0)
        .map(|word| word.strip_suffix(&[0]).map(|word| OsStr::from_bytes(word).to_owned()))
        .collect::<Option<_>>()?;
    (words.len() == count).then_some(words)
}

fn start(call: &Call, request: Request) -> Result<Child, Errno> {
    let words: Vec<&OsString> = call.operands.iter().chain(&request.arguments).collect();
    let (program, arguments) = words.split_first().ok_or(Errno::INVALID)?;
    let mut process = Process::new(program);
    process.args(arguments);
    for variable in &request.variables {
        let Some(end) = variable.as_bytes().iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = variable.as_bytes().split_at(end);
        let (name, value) = (OsStr::from_bytes(name), OsStr::from_bytes(&value[1..]));
        if !name.is_empty() && std::env::var_os(name).is_some_and(|ours| ours.is_empty()) {
            process.env(name, value);
        }
    }
    let [input, output, errors] = request.fds;
    let own = |letter| call.has(letter) || call.has('d');
    process.stdin(if own('0') { Stdio::from(File::open("/dev/null")?) } else { input.into() });
    process.stdout(if own('1') { Stdio::null() } else { output.into() });
    process.stderr(if own('2') { Stdio::inherit() } else { errors.into() });
    Ok(process.spawn()?)
}

/// Waits for the program's end, or for the client's.
fn attend(mut child: Child, detached: bool) -> Outcome {
    let failed = |errno: Errno| Failure::system(format!("unable to wait for the program: {errno}"));
    let pid = i32::try_from(child.id()).ok().and_then(Pid::new).ok_or(failed(Errno::NO_SUCH_PROCESS))?;
    let handle = PidFd::open(pid).map_err(failed)?;
    let mut client_is_gone = false;
    loop {
        // No event is asked for: that the client is gone is told in any case.
        let mut client = poll::readable(0);
        client.events = 0;
        let mut interests = [poll::readable(handle.as_raw_fd()), client];
        let count = if client_is_gone { 1 } else { 2 };
        poll::wait(&mut interests[..count], clock::now(), None);
        if poll::is_ready(&interests[0]) {
            break;
        }
        if count == 2 && poll::is_ready(&interests[1]) {
            client_is_gone = true;
            if !detached {
                let signalled = handle.signal(Signal::TERM).and_then(|()| handle.signal(Signal::CONT));
                return signalled.map(|()| exit::FAILED).map_err(failed);
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.into()))?;
    if !client_is_gone {
        let status = status.into_raw() as u32;
        tell(&status.to_be_bytes(), None).map_err(|errno| Failure::system(format!("unable to tell the client: {errno}")))?;
    }
    Ok(exit::DONE)
}
