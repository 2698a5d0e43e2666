//! Between s6's way to report readiness, a newline on a descriptor, and systemd's, a message to $NOTIFY_SOCKET.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, getsockname, recv, sendmsg, socket,
};
use svc_core::Millis;
use svc_sys::process::{self, Fork};
use svc_sys::{clock, environment, exit, fd, poll};

use super::readiness;
use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

const VARIABLE: &str = "NOTIFY_SOCKET";

pub(super) const FROM_SOCKET: Command = Command {
    name: "s6-notify-fd-from-socket",
    about: "execute a daemon that speaks to systemd, and report its readiness as s6 wants it",
    operands: "PROG...",
    options: &[
        Opt::flag('f', "make the helper a child of PROG").long("no-doublefork"),
        Opt::with('3', "FD", "the descriptor to report on (default: what ./notification-fd says)").long("notification-fd"),
        Opt::with('t', "MS", "give up after this time (default: 0, never)").long("timeout"),
    ],
    notes: "Sets NOTIFY_SOCKET and executes PROG. A process beside it waits for READY=1 on the socket, and writes a newline to FD. It \
            also ends when the supervisor no longer waits.",
    codes: &[],
    run: from_socket,
};

fn from_socket(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let report = readiness::descriptor(call, '3')?;
    let timeout = call.number('t')?.unwrap_or(0);
    let failed = |errno: nix::Error| Failure::system(format!("unable to make a socket: {errno}"));
    let (socket, name) = listening_socket().map_err(failed)?;
    match readiness::fork(!call.has('f'))? {
        Fork::Child => process::exit_now(await_message(&socket, report, readiness::deadline(timeout))),
        Fork::Parent(_) => {
            drop(socket);
            fd::close(report);
            let assignment = [VARIABLE.as_bytes(), b"=@", &name].concat();
            environment::change(OsStr::from_bytes(&assignment).to_owned());
            chain::execute(program)
        }
    }
}

/// A socket for messages, and the abstract name that the kernel gave it.
fn listening_socket() -> nix::Result<(OwnedFd, Vec<u8>)> {
    let socket = message_socket(SockFlag::SOCK_NONBLOCK)?;
    bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
    let address: UnixAddr = getsockname(socket.as_raw_fd())?;
    let name = address.as_abstract().ok_or(nix::Error::EADDRNOTAVAIL)?.to_vec();
    Ok((socket, name))
}

fn message_socket(flags: SockFlag) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram, flags | SockFlag::SOCK_CLOEXEC, None)
}

/// Waits until a message says that the daemon is ready, and hands that on. Returns an exit code.
fn await_message(socket: &OwnedFd, report: RawFd, deadline: Option<Millis>) -> u8 {
    let mut buffer = vec![0; 65536];
    loop {
        let reader = poll::Interest { fd: report, events: 0, revents: 0 };
        let mut interests = [poll::readable(socket.as_raw_fd()), reader];
        poll::wait(&mut interests, clock::now(), deadline);
        while let Ok(size) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            if buffer[..size].split(|&byte| byte == b'\n').any(|line| line == b"READY=1") {
                let told = fd::borrow(report).map(|report| fd::write(report, b"\n"));
                return if told == Some(Ok(1)) { exit::DONE } else { exit::SYSTEM };
            }
        }
        if poll::is_ready(&interests[1]) {
            // Nobody reads there any more: the service is down.
            return exit::FAILED;
        }
        if readiness::is_over(deadline) {
            return exit::TIMED_OUT;
        }
    }
}

pub(super) const FROM_FD: Command = Command {
    name: "s6-notify-socket-from-fd",
    about: "execute a daemon made for s6, and report its readiness as systemd wants it",
    operands: "PROG...",
    options: &[
        Opt::flag('f', "make the helper a child of PROG").long("no-doublefork"),
        Opt::flag('k', "leave NOTIFY_SOCKET in the environment of PROG").long("keep-environment"),
        Opt::with('d', "FD", "the descriptor that PROG reports on (default: 1)").long("notification-fd"),
        Opt::with('t', "MS", "give up after this time (default: 0, never)").long("timeout"),
    ],
    notes: "Where NOTIFY_SOCKET is not set, PROG is executed and nothing else is done. A process beside PROG waits for a newline on FD, \
            and sends READY=1 to the socket.",
    codes: &[],
    run: from_fd,
};

fn from_fd(call: &Call) -> Outcome {
    let program = call.program(0)?;
    let number: RawFd = call.number('d')?.unwrap_or(1);
    let timeout = call.number('t')?.unwrap_or(0);
    let Some(path) = std::env::var_os(VARIABLE) else { return chain::execute(program) };
    let failed = |errno: svc_sys::Errno| Failure::system(format!("unable to make a pipe: {errno}"));
    let (reading, writing) = fd::pipe().map_err(failed)?;
    let daemon = process::id();
    match readiness::fork(!call.has('f'))? {
        Fork::Child => {
            drop(writing);
            process::exit_now(await_newline(&reading, &path, daemon, readiness::deadline(timeout)))
        }
        Fork::Parent(_) => {
            drop(reading);
            fd::place(writing.as_raw_fd(), number).map_err(failed)?;
            if writing.as_raw_fd() == number {
                fd::release(writing);
            }
            if !call.has('k') {
                environment::change(VARIABLE.into());
            }
            chain::execute(program)
        }
    }
}

/// Waits for a newline, and tells whoever waits at the socket. Returns an exit code.
fn await_newline(reading: &OwnedFd, path: &OsStr, daemon: i32, deadline: Option<Millis>) -> u8 {
    let mut buffer = [0; 4096];
    loop {
        let mut interests = [poll::readable(reading.as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        if poll::is_ready(&interests[0]) {
            match fd::read(reading.as_fd(), &mut buffer) {
                Ok(0) => return exit::FAILED,
                Ok(count) if buffer[..count].contains(&b'\n') => break,
                Ok(_) | Err(_) => {}
            }
        }
        if readiness::is_over(deadline) {
            return exit::TIMED_OUT;
        }
    }
    match tell(path, daemon, deadline) {
        Ok(true) => exit::DONE,
        Ok(false) => exit::TIMED_OUT,
        Err(errno) => {
            eprintln!("s6-notify-socket-from-fd (child): fatal: unable to send to {}: {errno}", path.display());
            exit::SYSTEM
        }
    }
}

/// Sends READY=1, and then a descriptor that is closed when the other side has read both: only then may we end, because it looks up
/// who we are. False: that took too long.
fn tell(path: &OsStr, daemon: i32, deadline: Option<Millis>) -> nix::Result<bool> {
    let address = match path.as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name)?,
        _ => UnixAddr::new(path)?,
    };
    let socket = message_socket(SockFlag::empty())?;
    let send = |text: &str, passed: &[ControlMessage]| {
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(text.as_bytes())], passed, MsgFlags::MSG_NOSIGNAL, Some(&address))
    };
    send(&format!("READY=1\nMAINPID={daemon}\n"), &[])?;
    let (reading, writing) = fd::pipe().map_err(|errno| nix::Error::from_raw(errno.0))?;
    send("BARRIER=1\n", &[ControlMessage::ScmRights(&[writing.as_raw_fd()])])?;
    drop(writing);
    loop {
        let mut interests = [poll::readable(reading.as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        if poll::is_ready(&interests[0]) {
            return Ok(true);
        }
        if readiness::is_over(deadline) {
            return Ok(false);
        }
    }
}
