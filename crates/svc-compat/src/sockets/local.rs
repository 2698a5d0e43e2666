//! Unix sockets by their paths.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getpeername, getsockname, getsockopt,
    listen, socket, sockopt,
};
use svc_core::Millis;
use svc_sys::{Errno, clock, fd, poll};

/// What a socket is to be like that a server listens on.
pub struct Listener {
    pub datagrams: bool,
    /// Whether reading it waits.
    pub blocking: bool,
    /// Whether what is at its path is removed first.
    pub replace: bool,
    /// Who may connect, as the permissions of a file say it.
    pub permissions: u32,
    /// How many connections wait to be accepted; 0 for a socket that does not listen.
    pub backlog: Option<u32>,
}

/// Makes a stream or datagram socket, closed on exec.
fn make(datagrams: bool, flags: SockFlag) -> Result<OwnedFd, Errno> {
    let kind = if datagrams { SockType::Datagram } else { SockType::Stream };
    socket(AddressFamily::Unix, kind, flags | SockFlag::SOCK_CLOEXEC, None).map_err(plain)
}

impl Listener {
    pub fn open(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        let flags = if self.blocking { SockFlag::empty() } else { SockFlag::SOCK_NONBLOCK };
        let socket = make(self.datagrams, flags)?;
        let address = UnixAddr::new(Path::new(path)).map_err(plain)?;
        if self.replace {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let mask = svc_sys::user::set_umask(!self.permissions & 0o777);
        let bound = bind(socket.as_raw_fd(), &address).map_err(plain);
        svc_sys::user::set_umask(mask);
        bound?;
        if self.backlog != Some(0) && !self.datagrams {
            let most = self.backlog.and_then(|backlog| i32::try_from(backlog).ok());
            listen(&socket, most.and_then(|most| Backlog::new(most).ok()).unwrap_or(Backlog::MAXCONN)).map_err(plain)?;
        }
        Ok(socket)
    }
}

/// Connects to the server at `path`, from a socket that is bound to a path of its own if one is given.
pub fn connect_to(path: &OsStr, from: Option<&OsStr>, deadline: Option<Millis>) -> Result<OwnedFd, Errno> {
    let socket = make(false, SockFlag::SOCK_NONBLOCK)?;
    if let Some(from) = from {
        bind(socket.as_raw_fd(), &UnixAddr::new(Path::new(from)).map_err(plain)?).map_err(plain)?;
    }
    let address = UnixAddr::new(Path::new(path)).map_err(plain)?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(socket),
            Err(nix::Error::EINTR) => {}
            // As many wait to be accepted as may. The kernel tells nobody when that changes, but it does let a blocking
            // connect wait.
            Err(nix::Error::EAGAIN) => return connect_when_there_is_room(socket, &address, deadline),
            Err(errno) => return Err(plain(errno)),
        }
    }
}

/// Waits in the kernel for a place in the server's queue, for as long as there is time.
fn connect_when_there_is_room(socket: OwnedFd, address: &UnixAddr, deadline: Option<Millis>) -> Result<OwnedFd, Errno> {
    set_blocking(&socket, true)?;
    if let Some(deadline) = deadline {
        let left = deadline - clock::now();
        let limit = nix::sys::time::TimeVal::new((left.0 / 1000) as _, ((left.0 % 1000) * 1000).max(1) as _);
        nix::sys::socket::setsockopt(&socket, sockopt::SendTimeout, &limit).map_err(plain)?;
    }
    let connected = connect(socket.as_raw_fd(), address).map_err(plain);
    set_blocking(&socket, false)?;
    connected.map(|()| socket)
}

/// Whether reading and writing wait.
pub fn set_blocking(socket: &OwnedFd, blocking: bool) -> Result<(), Errno> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let mut flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL).map_err(plain)?);
    flags.set(OFlag::O_NONBLOCK, !blocking);
    fcntl(socket, FcntlArg::F_SETFL(flags)).map(drop).map_err(plain)
}

/// Takes the next connection; none if there was none after all.
pub fn accept(listener: RawFd) -> Result<Option<OwnedFd>, Errno> {
    match accept4(listener, SockFlag::SOCK_CLOEXEC) {
        Ok(number) => Ok(fd::adopt(number)),
        Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ECONNABORTED) => Ok(None),
        Err(errno) => Err(plain(errno)),
    }
}

/// Whether this is a socket at all.
pub fn is_socket(socket: BorrowedFd) -> bool {
    getsockopt(&socket, sockopt::SockType).is_ok()
}

/// The path of the other side; empty where it has none.
pub fn remote_path(socket: RawFd) -> OsString {
    path(getpeername(socket))
}

/// Our own path; empty where there is none.
pub fn local_path(socket: RawFd) -> OsString {
    path(getsockname(socket))
}

fn path(address: nix::Result<UnixAddr>) -> OsString {
    let path = address.ok().and_then(|address| address.path().map(|path| path.as_os_str().to_owned()));
    path.filter(|path| !path.as_bytes().is_empty()).unwrap_or_default()
}

/// Waits until a descriptor is ready for what is asked, or says that the time is over.
pub fn await_ready(interest: poll::Interest, deadline: Option<Millis>) -> Result<(), Errno> {
    let mut interests = [interest];
    loop {
        let now = clock::now();
        poll::wait(&mut interests, now, deadline);
        if poll::is_ready(&interests[0]) {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return Err(TIMED_OUT);
        }
    }
}

/// What the kernel says when something took too long.
pub const TIMED_OUT: Errno = Errno(nix::Error::ETIMEDOUT as i32);

/// What peers get to hear that do not keep to the protocol.
pub const PROTOCOL: Errno = Errno(nix::Error::EPROTO as i32);

/// The same number in our own type.
pub fn plain(errno: nix::Error) -> Errno {
    Errno(errno as i32)
}
