//! Sockets that somebody else will accept from: made, bound, listening.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::errno::{Errno, check};
use crate::process::{self, Peer};

/// So long after an accept that failed it is tried again: it was for a lack of descriptors, and those who are served give theirs back.
pub const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Says why nobody was accepted.
pub fn not_accepted(error: &std::io::Error) -> String {
    format!("cannot take a client: {error} (retry in {} s)", ACCEPT_PAUSE.as_secs())
}

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Internet(SocketAddr),
    Path(PathBuf),
    /// A name of Linux that is in no file system.
    Abstract(Vec<u8>),
}

/// What comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    Stream,
    Datagrams,
    /// Connections that keep packets apart; not on the internet.
    Packets,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// So many connections wait to be accepted; the kernel has a limit of its own (net.core.somaxconn).
    pub backlog: i32,
    /// Others may bind the same address.
    pub reuse_port: bool,
    /// An IPv6 socket for every address takes IPv4 too.
    pub dual_stack: bool,
}

/// Room for any of the addresses.
#[repr(C)]
union Place {
    internet: libc::sockaddr_in,
    internet6: libc::sockaddr_in6,
    unix: libc::sockaddr_un,
}

/// Opens it. The program that gets it finds it blocking, as programs expect.
pub fn open(address: &Address, flow: Flow, options: Options) -> Result<OwnedFd, Errno> {
    let family = match address {
        Address::Internet(SocketAddr::V4(_)) => libc::AF_INET,
        Address::Internet(SocketAddr::V6(_)) => libc::AF_INET6,
        Address::Path(_) | Address::Abstract(_) => libc::AF_UNIX,
    };
    let kind = match flow {
        Flow::Stream => libc::SOCK_STREAM,
        Flow::Datagrams => libc::SOCK_DGRAM,
        Flow::Packets => libc::SOCK_SEQPACKET,
    };
    // SAFETY: takes no pointers.
    let number = check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: just made, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    if let Address::Internet(address) = address {
        // A connection of before that is not forgotten yet does not keep the address.
        set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, flow != Flow::Datagrams)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, options.reuse_port)?;
        if address.is_ipv6() {
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, !options.dual_stack)?;
        }
    }
    let (place, length) = fill(address)?;
    // SAFETY: `place` is an address of which the first `length` bytes are set.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const place).cast(), length) })?;
    if flow != Flow::Datagrams {
        // SAFETY: takes no pointers.
        check(unsafe { libc::listen(socket.as_raw_fd(), options.backlog) })?;
    }
    Ok(socket)
}

fn set(socket: &OwnedFd, level: i32, name: i32, on: bool) -> Result<(), Errno> {
    let value = libc::c_int::from(on);
    let size = std::mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is readable for `size` bytes.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) }).map(drop)
}

fn fill(address: &Address) -> Result<(Place, libc::socklen_t), Errno> {
    // SAFETY: all zero is valid for each of the three.
    let mut place: Place = unsafe { std::mem::zeroed() };
    let length = match address {
        Address::Internet(SocketAddr::V4(v4)) => {
            place.internet = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            std::mem::size_of::<libc::sockaddr_in>()
        }
        Address::Internet(SocketAddr::V6(v6)) => {
            place.internet6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            std::mem::size_of::<libc::sockaddr_in6>()
        }
        Address::Path(path) => named(&mut place, path.as_os_str().as_bytes(), 0)?,
        Address::Abstract(name) => named(&mut place, name, 1)?,
    };
    Ok((place, length as libc::socklen_t))
}

/// A name at `from`, with a NUL byte behind it or in front.
fn named(place: &mut Place, name: &[u8], from: usize) -> Result<usize, Errno> {
    // SAFETY: all zero is a valid sockaddr_un.
    let mut unix: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    unix.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if name.len() + 1 > unix.sun_path.len() {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    for (place, &byte) in unix.sun_path[from..].iter_mut().zip(name) {
        *place = byte as libc::c_char;
    }
    place.unix = unix;
    Ok(std::mem::size_of::<libc::sa_family_t>() + 1 + name.len())
}

/// Whether a socket in the file system is nobody's: whoever made it has ended.
pub fn is_left_over(path: &Path, flow: Flow) -> bool {
    use std::io::ErrorKind::ConnectionRefused;
    let refused = match flow {
        Flow::Datagrams => std::os::unix::net::UnixDatagram::unbound().and_then(|socket| socket.connect(path)),
        Flow::Stream | Flow::Packets => std::os::unix::net::UnixStream::connect(path).map(drop),
    };
    refused.is_err_and(|error| error.kind() == ConnectionRefused)
}

/// Where a socket listens, as the tables of the kernel have it.
enum Name {
    Port(u16),
    /// A path, or an abstract name behind an @.
    Unix(Vec<u8>),
}

fn name_of(socket: &OwnedFd) -> Option<Name> {
    // SAFETY: all zero is valid for each of the three.
    let mut place: Place = unsafe { std::mem::zeroed() };
    let mut length = std::mem::size_of_val(&place) as libc::socklen_t;
    // SAFETY: `place` is writable for `length` bytes; a longer address is cut.
    check(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut place).cast(), &mut length) }).ok()?;
    // SAFETY: all three begin with the family, and every bit pattern of any of them is valid.
    let (family, internet, unix) = unsafe { (i32::from(place.unix.sun_family), place.internet, place.unix) };
    match family {
        // The port stands at the same place in both.
        libc::AF_INET | libc::AF_INET6 => Some(Name::Port(u16::from_be(internet.sin_port))),
        libc::AF_UNIX => {
            let filled = (length as usize).checked_sub(std::mem::size_of::<libc::sa_family_t>())?;
            let bytes = unix.sun_path.iter().take(filled).map(|&byte| byte as u8);
            let is_abstract = bytes.clone().next()? == 0;
            let bytes = bytes.enumerate().map(|(at, byte)| if at == 0 && is_abstract { b'@' } else { byte });
            Some(Name::Unix(bytes.take_while(|&byte| byte != 0).collect()))
        }
        _ => None,
    }
}

/// Takes a name of Linux that is in no file system, as a lock that ends with us; [`who_listens`] tells who has it. `IN_USE` if somebody has.
pub fn hold(name: &Address) -> Result<OwnedFd, Errno> {
    // Who asks stays in the queue: nobody is accepted.
    let options = Options { backlog: i32::MAX, reuse_port: false, dual_stack: false };
    open(name, Flow::Stream, options)
}

/// Who listens at a Unix socket: the process that said so first. Nobody is waited for: `AGAIN` where somebody listens whose queue is full.
pub fn who_listens(address: &Address) -> Result<Peer, Errno> {
    // SAFETY: takes no pointers.
    let socket =
        check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })?;
    // SAFETY: just made, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let (place, length) = fill(address)?;
    // SAFETY: `place` is an address of which the first `length` bytes are set.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const place).cast(), length) })?;
    process::peer(socket.as_fd())
}

/// Whether somebody is connected to a socket that listens, or to one like it that somebody else has. Where that cannot be known,
/// somebody may be.
pub fn has_connections(socket: &OwnedFd) -> bool {
    /// What /proc/net says of a socket that is connected, and of one that waits for connections.
    const CONNECTED: &str = "03";
    const LISTENS: &str = "0A";
    let is_one = |line: &str, name: &Name| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match (name, fields.as_slice()) {
            // Number, local and remote address, state, ..., and last the inode; what nobody holds any more has none.
            (Name::Port(port), [_, local, _, state, _, _, _, _, _, inode, ..]) => {
                local.ends_with(&format!(":{port:04X}")) && *state != LISTENS && *inode != "0"
            }
            (Name::Unix(name), _) => state_of(line, name) == Some(CONNECTED),
            (Name::Port(_), _) => false,
        }
    };
    if is_for_datagrams(socket) {
        return false;
    }
    let Some(name) = name_of(socket) else { return true };
    let tables: &[&str] = match name {
        Name::Port(_) => &["/proc/net/tcp", "/proc/net/tcp6"],
        Name::Unix(_) => &["/proc/net/unix"],
    };
    let found = tables.iter().filter_map(|table| {
        let table = std::io::BufReader::new(std::fs::File::open(table).ok()?);
        Some(std::io::BufRead::lines(table).map_while(Result::ok).any(|line| is_one(&line, &name)))
    });
    // No table at all says nothing.
    found.reduce(|one, other| one || other).unwrap_or(true)
}

/// How much waits at a socket: connections that nobody has accepted, or datagrams by their bytes (of a Unix socket the first one's).
pub fn waiting(socket: &OwnedFd) -> u64 {
    /// What /proc/net/unix says of a connection that nobody has accepted.
    const NOT_ACCEPTED: &str = "02";
    /// Where the queue of connections stands in `struct tcp_info` of a socket that listens (tcpi_unacked).
    const UNACKED: usize = 6;
    let number = socket.as_raw_fd();
    if is_for_datagrams(socket) {
        let mut first: libc::c_int = 0;
        // SAFETY: `first` is writable, and an int is what this writes.
        let inside = unsafe { libc::ioctl(number, libc::FIONREAD, &raw mut first) } == 0;
        return queued(socket).unwrap_or(if inside { first.max(0) as u64 } else { 0 });
    }
    match name_of(socket) {
        Some(Name::Port(_)) => {
            numbers_of(socket, libc::IPPROTO_TCP, libc::TCP_INFO).map_or(0, |numbers| u64::from(numbers[UNACKED]))
        }
        Some(Name::Unix(name)) => {
            let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
            table.lines().filter(|line| state_of(line, &name) == Some(NOT_ACCEPTED)).count() as u64
        }
        None => 0,
    }
}

/// The bytes that wait at a UDP socket. Only this table has them as they are: SO_MEMINFO still counts those that were just taken.
fn queued(socket: &OwnedFd) -> Option<u64> {
    let inode = std::fs::File::from(socket.try_clone().ok()?).metadata().ok()?.ino().to_string();
    let tables = ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|table| std::fs::read_to_string(table).ok());
    // Number, local and remote address, state, both queues, timer, retransmissions, uid, timeout, inode.
    let bytes = |table: String| {
        let line = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<&str>>());
        let (_, bytes) = line.into_iter().find(|fields| fields.get(9) == Some(&inode.as_str()))?.get(4)?.split_once(':')?;
        u64::from_str_radix(bytes, 16).ok()
    };
    tables.into_iter().find_map(bytes)
}

/// What an option says that is a row of numbers; those that this kernel does not know are zero.
fn numbers_of(socket: &OwnedFd, level: i32, option: i32) -> Option<[u32; 8]> {
    let mut numbers = [0; 8];
    let mut size = std::mem::size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: `numbers` is writable for `size` bytes, and any bits are numbers.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut numbers).cast(), &mut size) };
    (result == 0).then_some(numbers)
}

/// The state in a line of /proc/net/unix, if it is of a socket of this name.
fn state_of<'a>(line: &'a str, name: &[u8]) -> Option<&'a str> {
    // Number, count, protocol, flags, type, state, inode, and the name.
    let mut fields = line.split_ascii_whitespace();
    let state = fields.nth(5)?;
    let path: Vec<&str> = fields.skip(1).collect();
    (path.join(" ").as_bytes() == name).then_some(state)
}

fn is_for_datagrams(socket: &OwnedFd) -> bool {
    let mut kind: libc::c_int = 0;
    let mut size = std::mem::size_of_val(&kind) as libc::socklen_t;
    let (number, place) = (socket.as_raw_fd(), (&raw mut kind).cast());
    // SAFETY: `kind` is writable for `size` bytes.
    let result = unsafe { libc::getsockopt(number, libc::SOL_SOCKET, libc::SO_TYPE, place, &mut size) };
    result == 0 && kind == libc::SOCK_DGRAM
}

/// Removes the file of a socket that nobody will listen on any more, if it has one.
pub fn remove_path(socket: &OwnedFd) {
    let Some(Name::Unix(bytes)) = name_of(socket).filter(|name| !matches!(name, Name::Unix(name) if name.starts_with(b"@")))
    else {
        return;
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(&bytes));
    let is_socket = path.symlink_metadata().is_ok_and(|data| std::os::unix::fs::FileTypeExt::is_socket(&data.file_type()));
    if is_socket {
        // Gone already, or not ours to remove: a stale file does no harm, it is replaced by the next one.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn who_waits_is_counted_until_somebody_takes_him() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = listener.local_addr().expect("bound");
        let socket: OwnedFd = listener.try_clone().expect("a copy").into();
        assert_eq!(waiting(&socket), 0);
        let mut clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(place).expect("it listens")).collect();
        assert_eq!(waiting(&socket), 3);
        clients[0].write_all(b"x").expect("connected");
        let _taken = listener.accept().expect("somebody waits");
        assert_eq!(waiting(&socket), 2);

        let path = std::env::temp_dir().join(format!("svc-waiting-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("ours");
        let socket: OwnedFd = listener.try_clone().expect("a copy").into();
        let _clients: Vec<UnixStream> = (0..2).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
        assert_eq!(waiting(&socket), 2);
        let _taken = listener.accept().expect("somebody waits");
        assert_eq!(waiting(&socket), 1);
        std::fs::remove_file(path).expect("ours");

        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let socket: OwnedFd = receiver.try_clone().expect("a copy").into();
        assert_eq!(waiting(&socket), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
        for _ in 0..2 {
            sender.send_to(b"word", receiver.local_addr().expect("bound")).expect("sent");
        }
        let two = waiting(&socket);
        receiver.recv(&mut [0; 9]).expect("one");
        assert!(waiting(&socket) > 0 && waiting(&socket) < two);
    }
}
