//! The socket to a daemon, and what it has not taken yet: we never wait for a reader.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use svc_sys::poll::{self, Interest};
use svc_sys::{Errno, message};

#[derive(Default)]
pub(crate) struct Outbox {
    link: Option<OwnedFd>,
    queue: VecDeque<Letter>,
}

struct Letter {
    /// Whose descriptors go with it.
    slot: Option<u32>,
    bytes: Vec<u8>,
    fds: Vec<RawFd>,
}

impl Outbox {
    /// Talks to a new process; what the one before did not take is void.
    pub(crate) fn connect(&mut self, link: OwnedFd) {
        self.link = Some(link);
        self.queue.clear();
    }

    pub(crate) fn disconnect(&mut self) {
        self.link = None;
        self.queue.clear();
    }

    pub(crate) fn raw_link(&self) -> Option<RawFd> {
        self.link.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(crate) fn interest(&self) -> Interest {
        let mut interest = poll::readable(self.raw_link().unwrap_or(-1));
        if !self.queue.is_empty() {
            interest.events |= poll::writable(-1).events;
        }
        interest
    }

    /// Sends it now, or as soon as there is room. `fds` must stay open until then or be given up with [`Outbox::forget`].
    pub(crate) fn send(&mut self, slot: Option<u32>, bytes: Vec<u8>, fds: Vec<RawFd>) {
        if self.link.is_some() {
            self.queue.push_back(Letter { slot, bytes, fds });
            self.flush();
        }
    }

    /// A slot's descriptors are about to be closed, and their numbers may come to mean something else.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.queue.retain(|letter| letter.slot != Some(slot));
    }

    pub(crate) fn flush(&mut self) {
        let Some(link) = &self.link else { return };
        while let Some(letter) = self.queue.front() {
            match message::try_send(link.as_fd(), &letter.bytes, &letter.fds) {
                Err(errno) if errno.is_shortage() => return,
                // Sent; or the reader is gone, and its end will be told with SIGCHLD.
                Ok(()) | Err(_) => self.queue.pop_front(),
            };
        }
    }

    /// The next message, if there is one.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, Vec<OwnedFd>)> {
        let link = self.link.as_ref()?;
        match message::try_receive(link.as_fd(), buffer) {
            Ok(Some((0, _))) | Err(Errno(_)) => {
                // The other side is gone. Its SIGCHLD comes in its own time; until then there is nothing to read.
                self.disconnect();
                None
            }
            Ok(message) => message,
        }
    }
}
