//! The sockets to svc-init and to the supervisors.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use svc_sys::poll::{Epoll, Trigger};
use svc_sys::{Errno, fd, message};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Where svc-init puts what it starts us with.
const INIT: RawFd = 3;
const TAIL: RawFd = 4;
const BELL: RawFd = 5;

/// The socket to svc-init. What it has no room for waits here.
pub(crate) struct InitLink {
    pub(crate) socket: AsyncFd<OwnedFd>,
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

impl InitLink {
    pub(crate) fn open() -> Result<InitLink, Errno> {
        let socket = inherited(INIT)?;
        let socket = watch(socket, Interest::READABLE | Interest::WRITABLE)?;
        Ok(InitLink { socket, queue: VecDeque::new() })
    }

    pub(crate) fn send(&mut self, packet: Vec<u8>, descriptor: Option<OwnedFd>) {
        self.send_all(packet, descriptor.into_iter().collect());
    }

    pub(crate) fn send_all(&mut self, packet: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.queue.push_back((packet, descriptors));
        self.flush();
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn flush(&mut self) {
        while let Some((packet, descriptors)) = self.queue.front() {
            let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
            match message::try_send(self.socket.get_ref().as_fd(), packet, &descriptors) {
                Err(errno) if errno.is_shortage() => return,
                // Sent, or svc-init is gone, which reading will tell.
                Ok(()) | Err(_) => self.queue.pop_front(),
            };
        }
    }

    /// The next packet; `Err` when svc-init is gone.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Option<(usize, Vec<OwnedFd>)>, Errno> {
        match message::try_receive(self.socket.get_ref().as_fd(), buffer)? {
            Some((0, _)) => Err(Errno::BROKEN_PIPE),
            packet => Ok(packet),
        }
    }
}

/// The sockets to all supervisors, behind one descriptor.
pub(crate) struct Supervisors {
    pub(crate) ready: AsyncFd<Epoll>,
    tokens: Vec<u64>,
}

impl Supervisors {
    pub(crate) fn new() -> Result<Supervisors, Errno> {
        let ready = watch(Epoll::new()?, Interest::READABLE)?;
        Ok(Supervisors { ready, tokens: Vec::new() })
    }

    pub(crate) fn add(&self, slot: u32, link: &OwnedFd) -> Result<(), Errno> {
        self.ready.get_ref().add(link.as_fd(), u64::from(slot), Trigger::Level)
    }

    /// Has this one among the ready also when there is room to write to it, or no more.
    pub(crate) fn await_room(&self, slot: u32, link: &OwnedFd, room: bool) {
        let trigger = if room { Trigger::LevelBoth } else { Trigger::Level };
        self.ready.get_ref().change(link.as_fd(), u64::from(slot), trigger);
    }

    pub(crate) fn remove(&self, link: &OwnedFd) {
        self.ready.get_ref().remove(link.as_fd());
    }

    /// Some of the slots whose supervisors have said something; none when nobody has.
    pub(crate) fn ready(&mut self) -> Vec<u32> {
        let now = svc_core::Millis::ZERO;
        self.ready.get_ref().wait(now, Some(now), &mut self.tokens);
        self.tokens.iter().map(|&token| token as u32).collect()
    }
}

/// The memory of the last lines.
pub(crate) fn tail() -> Result<OwnedFd, Errno> {
    inherited(TAIL)
}

/// Rung by svc-log when there are new lines and somebody reads them.
pub(crate) fn bell() -> Result<AsyncFd<OwnedFd>, Errno> {
    watch(inherited(BELL)?, Interest::READABLE)
}

fn inherited(number: RawFd) -> Result<OwnedFd, Errno> {
    let descriptor = fd::adopt(number).ok_or(Errno::INVALID)?;
    fd::set_close_on_exec(number, true);
    Ok(descriptor)
}

/// Puts a descriptor into the reactor.
#[expect(deprecated, reason = "its successor is unsafe for types that may lie about their descriptor; ours own theirs")]
pub(crate) fn watch<T: AsRawFd>(descriptor: T, interest: Interest) -> Result<AsyncFd<T>, Errno> {
    Ok(AsyncFd::with_interest(descriptor, interest)?)
}
