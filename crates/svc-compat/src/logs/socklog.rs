//! s6-socklog: what is sent to the system log, a line a message, on standard output.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use svc_core::Millis;
use svc_sys::{clock, fd, poll};

use crate::command::{Call, Command, Failure, Opt, Outcome, number};

use super::ucspilogd::write_in_words;

pub(super) const COMMAND: Command = Command {
    name: "s6-socklog",
    about: "print what programs send to the system log, a line a message",
    operands: "",
    options: &[
        Opt::flag('r', "leave the number in front of a message as it is"),
        Opt::flag('U', "become the user of the variables UID, GID and GIDLIST"),
        Opt::with('d', "FD", "write a newline to this descriptor when listening"),
        Opt::with('u', "UID", "become this user, once the socket is there"),
        Opt::with('g', "GID", "and this group"),
        Opt::with('G', "GIDLIST", "and these supplementary groups (numbers with commas)"),
        Opt::with('l', "BYTES", "cut off longer messages (default 1024, 76 to 1048576)"),
        Opt::with('t', "MS", "after SIGTERM, wait so long for what reads us; 0: for ever (default)"),
        Opt::with('x', "PATH", "listen on this socket (default /dev/log)"),
        Opt::with('i', "ADDRESS_PORT", "listen on this UDP address instead, port 514 if none is given"),
    ],
    notes: "",
    codes: &[(99, "what reads us did not take all messages in the time of -t")],
    run,
};

const LENGTHS: (usize, usize) = (76, 1_048_576);

enum Socket {
    Local(UnixDatagram),
    Remote(UdpSocket),
}

impl Socket {
    fn raw(&self) -> i32 {
        match self {
            Socket::Local(socket) => socket.as_raw_fd(),
            Socket::Remote(socket) => socket.as_raw_fd(),
        }
    }

    /// A message, and who sent it if that is somebody on the net.
    fn receive(&self, place: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        match self {
            Socket::Local(socket) => socket.recv(place).map(|count| (count, None)),
            Socket::Remote(socket) => socket.recv_from(place).map(|(count, from)| (count, Some(from))),
        }
    }
}

fn run(call: &Call) -> Outcome {
    let most = call.number::<usize>('l')?.unwrap_or(1024).clamp(LENGTHS.0, LENGTHS.1);
    let patience = call.number::<u64>('t')?.filter(|milliseconds| *milliseconds > 0).map(Millis);
    let notify = call.number::<i32>('d')?;
    if notify.is_some_and(|fd| fd < 3 || !svc_sys::fd::is_open(fd)) {
        return Err(Failure::usage("the notification descriptor must be 3 or more, and open"));
    }
    let account = Account::of(call)?;
    let system = |what: &str, error: io::Error| Failure::system(format!("unable to {what}: {error}"));
    let socket = match call.value('i') {
        Some(address) => Socket::Remote(listen_far(address)?),
        None => {
            let path = call.value('x').unwrap_or("/dev/log".as_ref());
            let socket = listen_here(path).map_err(|error| system(&format!("listen on {}", path.display()), error))?;
            Socket::Local(socket)
        }
    };
    account.become_it().map_err(|error| system("become the other user", error))?;
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    let taken = set.thread_block().and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK));
    let signals = taken.map_err(|errno| system("take signals", errno.into()))?;
    if let Some(ready) = notify.and_then(fd::adopt) {
        // Nobody who waits for it is no reason not to log.
        let _ = fd::write(ready.as_fd(), b"\n");
    }
    serve(&socket, &signals, most, patience, call.has('r')).map_err(|error| system("pass messages on", error))
}

/// Passes messages on until SIGTERM, and then what has been read already.
fn serve(socket: &Socket, signals: &SignalFd, most: usize, patience: Option<Millis>, raw: bool) -> io::Result<u8> {
    /// What a pipe that says it takes something takes without making us wait.
    const CERTAIN: usize = 4096;
    let (mut place, mut out) = (vec![0; most + 1], Vec::new());
    let mut stdout = io::stdout().lock();
    // When we give up; known once we are to end.
    let (mut ending, mut until) = (false, None);
    while !ending || !out.is_empty() {
        let listens = !ending && out.len() < 3 * most;
        let mut interests = [
            poll::readable(signals.as_raw_fd()),
            poll::writable(if out.is_empty() { -1 } else { 1 }),
            poll::readable(if listens { socket.raw() } else { -1 }),
        ];
        let now = clock::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(svc_sys::exit::TIMED_OUT);
        }
        poll::wait(&mut interests, now, until);
        if poll::is_ready(&interests[0]) && !ending && matches!(signals.read_signal(), Ok(Some(_))) {
            ending = true;
            until = patience.map(|patience| clock::now() + patience);
        }
        if poll::is_ready(&interests[1]) {
            let some = out.len().min(CERTAIN);
            let count = fd::write(stdout.as_fd(), &out[..some])?;
            out.drain(..count);
            stdout.flush()?;
        }
        if poll::is_ready(&interests[2]) {
            match socket.receive(&mut place) {
                Ok((count, from)) => write_message(&mut place[..count], from, most, raw, &mut out),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(0)
}

/// Appends a message as one line.
fn write_message(message: &mut [u8], from: Option<SocketAddr>, most: usize, raw: bool, out: &mut Vec<u8>) {
    if message.is_empty() {
        return;
    }
    let is_cut = message.len() > most;
    if let Some(from) = from {
        out.extend_from_slice(format!("{}_{}: ", from.ip(), from.port()).as_bytes());
    }
    let end = message.iter().rposition(|byte| !matches!(byte, 0 | b'\n')).map_or(0, |last| last + 1);
    let message = &mut message[..end];
    message.iter_mut().filter(|byte| matches!(byte, 0 | b'\n')).for_each(|byte| *byte = b'~');
    if raw {
        out.extend_from_slice(message);
    } else {
        write_in_words(message, out);
    }
    out.extend_from_slice(if is_cut { b"...\n" } else { b"\n" });
}

/// The socket takes the place of one that somebody left; anybody may send.
fn listen_here(path: &OsStr) -> io::Result<UnixDatagram> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixDatagram::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o777))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `127.0.0.1_514`, `127.0.0.1:514`, `::1_514`, or without a port.
fn listen_far(text: &OsStr) -> Result<UdpSocket, Failure> {
    const PORT: u16 = 514;
    let wrong = || Failure::usage(format!("-i {}: an address and a port, such as 127.0.0.1_514", text.display()));
    let text = text.to_str().ok_or_else(wrong)?;
    let (address, port) = match text.rsplit_once('_') {
        Some((address, port)) => (address, number(port.as_ref(), "the port")?),
        None => match text.rsplit_once(':').filter(|(address, _)| !address.contains(':')) {
            Some((address, port)) => (address, number(port.as_ref(), "the port")?),
            None => (text, PORT),
        },
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let unable = |error| Failure::system(format!("unable to listen on {address} port {port}: {error}"));
    let socket = UdpSocket::bind((address, port)).map_err(unable)?;
    socket.set_nonblocking(true).map_err(unable)?;
    Ok(socket)
}

/// Who to become.
#[derive(Default)]
struct Account {
    user: Option<u32>,
    group: Option<u32>,
    groups: Option<Vec<Gid>>,
}

impl Account {
    /// What was said last holds.
    fn of(call: &Call) -> Result<Account, Failure> {
        let mut account = Account::default();
        let variable =
            |name: &str| std::env::var_os(name).ok_or_else(|| Failure::usage(format!("-U: the variable {name} is not set")));
        for given in &call.given {
            match given.letter {
                'u' => account.user = Some(number(&given.value, "the value of -u")?),
                'g' => account.group = Some(number(&given.value, "the value of -g")?),
                'G' => account.groups = Some(groups(&given.value)?),
                'U' => {
                    account.user = Some(number(&variable("UID")?, "the variable UID")?);
                    account.group = Some(number(&variable("GID")?, "the variable GID")?);
                    account.groups = Some(groups(&variable("GIDLIST")?)?);
                }
                _ => {}
            }
        }
        Ok(account)
    }

    fn become_it(&self) -> io::Result<()> {
        if let Some(groups) = &self.groups {
            setgroups(groups)?;
        }
        if let Some(group) = self.group.filter(|group| *group > 0) {
            setgid(Gid::from_raw(group))?;
        }
        if let Some(user) = self.user.filter(|user| *user > 0) {
            setuid(Uid::from_raw(user))?;
        }
        Ok(())
    }
}

fn groups(text: &OsStr) -> Result<Vec<Gid>, Failure> {
    let words = text.as_bytes().split(|&byte| byte == b',').filter(|word| !word.is_empty());
    words.map(|word| number(OsStr::from_bytes(word), "a group").map(Gid::from_raw)).collect()
}
