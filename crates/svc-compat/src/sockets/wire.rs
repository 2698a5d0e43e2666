//! Messages that carry descriptors, as s6's programs send them over a stream socket: the length of the text (4 bytes, big end
//! first), the number of descriptors (2 bytes), the text. The descriptors come with the first byte.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use svc_core::Millis;
use svc_sys::{Errno, fd, poll};

use super::local::{self, PROTOCOL};

/// The most descriptors in one message.
pub const MOST_FDS: usize = 255;

/// The longest text.
const MOST_BYTES: usize = 1 << 28;

const HEADER: usize = 6;

/// One message that came.
#[derive(Debug)]
pub struct Message {
    pub text: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

/// What came and is not taken yet.
#[derive(Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Incoming {
    /// Reads what is there, without waiting. False: the other side will send no more.
    pub fn fill(&mut self, socket: RawFd) -> Result<bool, Errno> {
        let mut buffer = [0_u8; 16384];
        let mut room = nix::cmsg_space!([RawFd; MOST_FDS]);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let got = recvmsg::<()>(socket, &mut parts, Some(&mut room), flags).map_err(local::plain)?;
        for control in got.cmsgs().map_err(local::plain)? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                self.fds.extend(numbers.into_iter().filter_map(fd::adopt));
            }
        }
        let length = got.bytes;
        self.bytes.extend_from_slice(&buffer[..length]);
        Ok(length > 0)
    }

    /// Whether nothing is here that is not taken yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next whole message.
    pub fn take(&mut self) -> Result<Option<Message>, Errno> {
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [a, b, c, d, e, f] = *header;
        let (length, count) = (u32::from_be_bytes([a, b, c, d]) as usize, usize::from(u16::from_be_bytes([e, f])));
        if length > MOST_BYTES || count > MOST_FDS {
            return Err(PROTOCOL);
        }
        if rest.len() < length {
            return Ok(None);
        }
        // They came with the first byte, so nothing more can bring them.
        if self.fds.len() < count {
            return Err(PROTOCOL);
        }
        let text = rest[..length].to_vec();
        self.bytes.drain(..HEADER + length);
        Ok(Some(Message { text, fds: self.fds.drain(..count).collect() }))
    }
}

/// A message that is to go out.
struct Parcel {
    bytes: Vec<u8>,
    fds: Vec<Rc<OwnedFd>>,
    sent: usize,
}

/// What is to go out and has not yet.
#[derive(Default)]
pub struct Outgoing {
    parcels: VecDeque<Parcel>,
}

impl Outgoing {
    pub fn put(&mut self, text: &[u8], fds: Vec<Rc<OwnedFd>>) -> Result<(), Errno> {
        let count = u16::try_from(fds.len()).ok().filter(|count| usize::from(*count) <= MOST_FDS).ok_or(PROTOCOL)?;
        let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MOST_BYTES).ok_or(PROTOCOL)?;
        let bytes = [&length.to_be_bytes(), &count.to_be_bytes()[..], text].concat();
        self.parcels.push_back(Parcel { bytes, fds, sent: 0 });
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Sends what can go without waiting.
    pub fn flush(&mut self, socket: RawFd) -> Result<(), Errno> {
        while let Some(parcel) = self.parcels.front_mut() {
            let numbers: Vec<RawFd> = parcel.fds.iter().map(|fd| fd.as_raw_fd()).collect();
            let rights = [ControlMessage::ScmRights(&numbers)];
            let controls = if numbers.is_empty() { &[][..] } else { &rights };
            let parts = [IoSlice::new(&parcel.bytes[parcel.sent..])];
            match sendmsg::<()>(socket, &parts, controls, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL, None) {
                Ok(count) => {
                    parcel.sent += count;
                    parcel.fds.clear();
                }
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(errno) => return Err(local::plain(errno)),
            }
            if parcel.sent == parcel.bytes.len() {
                self.parcels.pop_front();
            }
        }
        Ok(())
    }
}

/// Sends one message, and waits until all of it has gone.
pub fn send(socket: RawFd, text: &[u8], fds: Vec<Rc<OwnedFd>>, deadline: Option<Millis>) -> Result<(), Errno> {
    let mut outgoing = Outgoing::default();
    outgoing.put(text, fds)?;
    loop {
        outgoing.flush(socket)?;
        if outgoing.is_empty() {
            return Ok(());
        }
        local::await_ready(poll::writable(socket), deadline)?;
    }
}

/// Waits for one message.
pub fn receive(socket: RawFd, incoming: &mut Incoming, deadline: Option<Millis>) -> Result<Message, Errno> {
    loop {
        if let Some(message) = incoming.take()? {
            return Ok(message);
        }
        local::await_ready(poll::readable(socket), deadline)?;
        match incoming.fill(socket) {
            Ok(true) | Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
            Ok(false) => return Err(Errno::BROKEN_PIPE),
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_message_comes_out_as_it_went_in_byte_by_byte() {
        let (mut there, here) = UnixStream::pair().expect("a pair");
        let mut incoming = Incoming::default();
        for byte in [0, 0, 0, 3, 0, 0, b'a', b'b'] {
            there.write_all(&[byte]).expect("room");
            assert!(incoming.fill(here.as_raw_fd()).expect("open"));
            assert!(incoming.take().expect("no error").is_none());
        }
        there.write_all(b"c\0\0\0\0\0\0").expect("room");
        assert!(incoming.fill(here.as_raw_fd()).expect("open"));
        assert_eq!(incoming.take().expect("no error").expect("a message").text, b"abc");
        assert_eq!(incoming.take().expect("no error").expect("an empty one").text, b"");
        assert!(incoming.take().expect("no error").is_none());
    }

    #[test]
    fn descriptors_stay_with_their_messages() {
        let (there, here) = UnixStream::pair().expect("a pair");
        let mut outgoing = Outgoing::default();
        let (pipe, other) = fd::pipe().expect("a pipe");
        let (pipe, other) = (Rc::new(pipe), Rc::new(other));
        outgoing.put(b"one", vec![Rc::clone(&pipe)]).expect("small");
        outgoing.put(b"none", vec![]).expect("small");
        outgoing.put(b"two", vec![pipe, other]).expect("small");
        outgoing.flush(there.as_raw_fd()).expect("room");
        let mut incoming = Incoming::default();
        let counts = ["one", "none", "two"].map(|text| {
            let message = receive(here.as_raw_fd(), &mut incoming, None).expect("a message");
            assert_eq!(message.text, text.as_bytes());
            message.fds.len()
        });
        assert_eq!(counts, [1, 0, 2]);
        drop(there);
        let gone = receive(here.as_raw_fd(), &mut incoming, None).expect_err("nothing comes any more");
        assert_eq!(gone, Errno::BROKEN_PIPE);
    }

    #[test]
    fn a_message_that_lies_is_refused() {
        for header in [[0x7f, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]] {
            let (mut there, here) = UnixStream::pair().expect("a pair");
            there.write_all(&header).expect("room");
            let mut incoming = Incoming::default();
            assert!(incoming.fill(here.as_raw_fd()).expect("open"));
            assert_eq!(incoming.take().err(), Some(PROTOCOL), "{header:?}");
        }
    }
}
