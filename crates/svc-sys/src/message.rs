//! Packets with descriptors, over Unix sockets.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::errno::{Errno, check_size};

/// The most descriptors in one packet.
pub const MAX_FDS: usize = 16;

const SPACE: usize = 128;

/// So often a packet is tried again for which the kernel has no memory.
const TRIES: usize = 8;

/// Room for control messages, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; SPACE]);

/// Sends one packet. Blocks only if the socket does; a packet goes out whole or not at all.
pub fn send(socket: BorrowedFd, bytes: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
    send_with(socket, bytes, fds, 0)
}

/// Sends one packet, or says [`Errno::AGAIN`] when there is no room.
pub fn try_send(socket: BorrowedFd, bytes: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
    send_with(socket, bytes, fds, libc::MSG_DONTWAIT)
}

fn send_with(socket: BorrowedFd, bytes: &[u8], fds: &[RawFd], flags: libc::c_int) -> Result<(), Errno> {
    let mut control = Control([0; SPACE]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    let fds = &fds[..fds.len().min(MAX_FDS)];
    if !fds.is_empty() {
        let payload = std::mem::size_of_val(fds) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE only computes.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
        // SAFETY: the control buffer is large enough for one header and MAX_FDS descriptors (SPACE bytes), and aligned.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(payload) as _;
            std::ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(header), payload as usize);
        }
    }
    // Most of what is said is said once: who has no memory at the moment may have some when the kernel has looked for it.
    let mut tries = 0;
    loop {
        // SAFETY: `message` points to live buffers of the lengths it names.
        match check_size(unsafe { libc::sendmsg(socket.as_raw_fd(), &message, flags | libc::MSG_NOSIGNAL) }) {
            Err(Errno::INTERRUPTED) => {}
            Err(Errno::NO_BUFFERS | Errno::NO_MEMORY) if tries < TRIES => tries += 1,
            result => return result.map(drop),
        }
    }
}

/// How long the packet is that comes next; none if there is none yet.
pub fn next_length(socket: BorrowedFd) -> Option<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK | libc::MSG_TRUNC;
    // SAFETY: nothing is written through a pointer when the length is zero; MSG_TRUNC has the real length returned.
    check_size(unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), 0, flags) }).ok()
}

/// Receives one packet into `buffer`, without waiting. `Ok(None)`: nothing there. A length of zero: the other side is gone.
pub fn try_receive(socket: BorrowedFd, buffer: &mut [u8]) -> Result<Option<(usize, Vec<OwnedFd>)>, Errno> {
    let mut control = Control([0; SPACE]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = SPACE as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points to live buffers of the lengths it names.
    let mut receive = || check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) });
    let length = match receive() {
        // Who went left something unread. The kernel tells that first, and once: what they said last comes behind it.
        Err(Errno::CONNECTION_RESET) => receive(),
        result => result,
    };
    let length = match length {
        Ok(length) => length,
        Err(Errno::AGAIN | Errno::INTERRUPTED) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled the control buffer; the macros walk within msg_controllen, and each SCM_RIGHTS message
    // holds as many descriptors as its length says, which are ours from here on.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for index in 0..bytes / std::mem::size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    Ok(Some((length, fds)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_one_said_last_is_heard_though_it_left_something_unread() {
        let (ours, theirs) = crate::fd::packet_pair().expect("two ends");
        try_send(theirs.as_fd(), b"last", &[]).expect("room");
        try_send(ours.as_fd(), b"too late", &[]).expect("room");
        drop(theirs);
        let mut buffer = [0; 16];
        let mut next = || try_receive(ours.as_fd(), &mut buffer).expect("no error").expect("a packet").0;
        assert_eq!([next(), next()], [4, 0], "and then its end");
    }
}
