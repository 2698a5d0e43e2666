//! A socket on which anybody may say something, with the kernel's word for who it is.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use svc_core::Pid;

use crate::errno::{Errno, check, check_size};

/// What came.
pub struct Packet {
    pub length: usize,
    /// It was longer than the buffer.
    pub cut: bool,
    /// None where the sender is in a PID namespace that we do not see into.
    pub sender: Option<Pid>,
    /// Closed when this is dropped.
    pub descriptors: Vec<OwnedFd>,
}

/// A socket at this path, or, where that cannot be, at an abstract name that nobody else has.
pub fn listen(path: Option<&Path>) -> Result<OwnedFd, Errno> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })?;
    // SAFETY: just made, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let on: libc::c_int = 1;
    let size = std::mem::size_of_val(&on) as libc::socklen_t;
    // SAFETY: `on` is readable for its size.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), size) })?;
    if let Some(path) = path
        && bind_at(socket.as_fd(), path).is_ok()
    {
        return Ok(socket);
    }
    let name = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    // SAFETY: an address of nothing but its family has the kernel choose an abstract name.
    check(unsafe { libc::bind(fd, (&raw const name).cast(), std::mem::size_of::<libc::sa_family_t>() as libc::socklen_t) })?;
    Ok(socket)
}

fn bind_at(socket: BorrowedFd, path: &Path) -> Result<(), Errno> {
    let mut name = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= name.sun_path.len() || bytes.contains(&0) {
        return Err(Errno::INVALID);
    }
    for (place, &byte) in name.sun_path.iter_mut().zip(bytes) {
        *place = byte as libc::c_char;
    }
    // One that an earlier boot has left.
    let _ = std::fs::remove_file(path);
    let size = std::mem::size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: `name` is a sockaddr_un of this size, its path ended by a NUL byte.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), size) })?;
    // Whoever the service runs as writes to it; who that is, is looked at each time.
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).map_err(Errno::from)
}

/// What NOTIFY_SOCKET says of it: its path, or its abstract name behind an `@`.
pub fn name(socket: BorrowedFd) -> Option<OsString> {
    let mut name = libc::sockaddr_un { sun_family: 0, sun_path: [0; 108] };
    let mut size = std::mem::size_of_val(&name) as libc::socklen_t;
    // SAFETY: `name` is writable for `size` bytes.
    check(unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut name).cast(), &mut size) }).ok()?;
    let length = (size as usize).checked_sub(std::mem::size_of::<libc::sa_family_t>())?;
    let mut bytes: Vec<u8> = name.sun_path.iter().take(length).map(|&byte| byte as u8).collect();
    match bytes.first()? {
        0 => bytes[0] = b'@',
        _ => bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())),
    }
    Some(OsString::from_vec(bytes))
}

/// Whether it is in the file system.
pub fn has_path(socket: BorrowedFd) -> bool {
    name(socket).is_some_and(|name| name.as_bytes().first() == Some(&b'/'))
}

/// Room for the sender and some descriptors; others are closed by the kernel.
#[repr(align(8))]
struct Control([u8; 128]);

/// The next packet, without waiting.
pub fn try_receive(socket: BorrowedFd, buffer: &mut [u8]) -> Option<Packet> {
    let mut control = Control([0; 128]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points to live buffers of the lengths it names.
    let length = check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) }).ok()?;
    let cut = message.msg_flags & libc::MSG_TRUNC != 0;
    let mut packet = Packet { length, cut, sender: None, descriptors: Vec::new() };
    // SAFETY: the kernel has filled the control buffer; the macros walk within msg_controllen. SCM_RIGHTS holds as many
    // descriptors as its length says, which are ours from here on, and SCM_CREDENTIALS a ucred.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            let bytes = ((*header).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for index in 0..bytes / std::mem::size_of::<RawFd>() {
                        let fd = data.cast::<RawFd>().add(index).read_unaligned();
                        packet.descriptors.push(OwnedFd::from_raw_fd(fd));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if bytes >= std::mem::size_of::<libc::ucred>() => {
                    packet.sender = Pid::new(data.cast::<libc::ucred>().read_unaligned().pid);
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn a_packet_comes_with_its_sender_and_its_descriptors() {
        let socket = listen(None).expect("an abstract socket");
        let name = name(socket.as_fd()).expect("a name");
        let bytes = name.as_bytes().strip_prefix(b"@").expect("an abstract name");
        let address = SocketAddr::from_abstract_name(bytes).expect("a name");
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.send_to_addr(b"READY=1", &address).expect("sent");
        sender.send_to_addr(&[b'x'; 100], &address).expect("sent");
        let mut buffer = [0; 20];
        let packet = try_receive(socket.as_fd(), &mut buffer).expect("a packet");
        assert_eq!((&buffer[..packet.length], packet.cut), (&b"READY=1"[..], false));
        assert_eq!(packet.sender.map(Pid::raw), Some(crate::process::id()));
        assert!(try_receive(socket.as_fd(), &mut buffer).is_some_and(|packet| packet.cut && packet.descriptors.is_empty()));
        assert!(try_receive(socket.as_fd(), &mut buffer).is_none());
    }

    #[test]
    fn where_there_is_a_path_it_has_one_that_everybody_may_write_to() {
        let path = std::env::temp_dir().join(format!("svc-notify-{}", crate::process::id()));
        std::fs::write(&path, "of an earlier boot").expect("ours");
        let socket = listen(Some(&path)).expect("a socket");
        assert_eq!(name(socket.as_fd()).as_deref(), Some(path.as_os_str()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("it is there").permissions());
        assert_eq!(mode & 0o777, 0o666);
        std::fs::remove_file(&path).expect("ours");
        let nowhere = path.join("not").join("there");
        let socket = listen(Some(&nowhere)).expect("an abstract one");
        assert!(name(socket.as_fd()).is_some_and(|name| name.as_bytes().starts_with(b"@")));
    }
}
