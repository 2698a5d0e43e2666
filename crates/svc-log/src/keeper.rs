//! The loop of svc-log.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use svc_core::Signal;
use svc_proto::handover::ToKeep;
use svc_proto::link::ToLog;
use svc_proto::tail::{self, Ring};
use svc_sys::poll::{Epoll, Trigger};
use svc_sys::signals::Chosen;
use svc_sys::{Errno, clock, fd, message, say, shared};

use crate::output::{Glass, Output};
use crate::source::{Found, PIPE, Source, Sources};

/// The token of the link; sources have twice their slot, and one more for standard error.
const LINK: u64 = u64::MAX;
/// The token of the signal that a pipe with half a line has got more.
const MORE: u64 = u64::MAX - 1;
/// As many turns as empty the largest pipe that the kernel makes by default, of 1 MiB: what goes on writing into the output of a
/// service that is not there any more is not waited for.
const LAST_TURNS: usize = (1 << 20) / PIPE;

pub(crate) struct Keeper {
    link: OwnedFd,
    epoll: Epoll,
    sources: Sources,
    /// Those that may have more than was passed on in their last turn.
    unread: BTreeSet<u64>,
    /// Those with a line that has no end yet.
    held: Vec<u64>,
    /// A predecessor was killed while it passed these on: half a line may be out, and the rest of it comes before anything else.
    interrupted: Vec<u64>,
    /// SIGIO: something was written behind half a line.
    more: Chosen,
    glass: Glass,
    buffer: Vec<u8>,
    stdout: Output,
    stderr: Output,
    tail: OwnedFd,
    ring_bytes: usize,
    /// How many readers want to be woken.
    readers: &'static AtomicU64,
    bell: OwnedFd,
    finishing: bool,
}

impl Keeper {
    pub(crate) fn new(handover: ToKeep) -> Result<Keeper, Errno> {
        let adopt = |number| fd::adopt(number).ok_or(Errno::INVALID);
        let (link, tail, bell) = (adopt(handover.link)?, adopt(handover.tail)?, adopt(handover.bell)?);
        let epoll = Epoll::new()?;
        epoll.add(link.as_fd(), LINK, Trigger::Level)?;
        let more = Chosen::take(&[Signal::IO])?;
        epoll.add(more.as_fd(), MORE, Trigger::Level)?;
        let page = shared::map(tail.as_fd(), 0, tail::PAGE)?;
        let word = |number: usize| page.get(number).ok_or(Errno::INVALID);
        let [out, err] = [word(tail::UNDER_WAY[0])?, word(tail::UNDER_WAY[1])?];
        let interrupted = [out, err].iter().filter_map(|word| word.load(Ordering::Relaxed).checked_sub(1)).collect();
        Ok(Keeper {
            link,
            epoll,
            sources: Sources::default(),
            unread: BTreeSet::new(),
            held: Vec::new(),
            interrupted,
            more,
            glass: Glass::new()?,
            buffer: vec![0; PIPE],
            stdout: Output::new(1, out),
            stderr: Output::new(2, err),
            tail,
            ring_bytes: handover.ring_bytes,
            readers: word(tail::READERS)?,
            bell,
            finishing: false,
        })
    }

    pub(crate) fn watch(&mut self) -> u8 {
        let mut ready = Vec::new();
        while !(self.finishing && self.sources.is_empty()) {
            let now = clock::now();
            let held = self.held.iter().filter_map(|token| self.sources.get(*token)?.hold_until).min();
            self.epoll.wait(now, if self.unread.is_empty() { held } else { Some(now) }, &mut ready);
            let mut news = false;
            for &token in &ready {
                if token == LINK {
                    if !self.read_link() {
                        return svc_sys::exit::DONE;
                    }
                    // Before any other line is begun.
                    for token in std::mem::take(&mut self.interrupted) {
                        news |= self.take_turn(token);
                    }
                } else if token == MORE {
                    while self.more.next().is_some() {}
                    self.unread.extend(std::mem::take(&mut self.held));
                } else {
                    self.unread.insert(token);
                }
            }
            let now = clock::now();
            let due = |token: &u64| {
                let source = self.sources.get(*token);
                source.and_then(|source| source.hold_until).is_some_and(|until| now >= until)
            };
            self.unread.extend(self.held.iter().copied().filter(due));
            for token in std::mem::take(&mut self.unread) {
                news |= self.take_turn(token);
            }
            if news && self.readers.load(Ordering::Acquire) > 0 {
                fd::ring(self.bell.as_fd());
            }
        }
        svc_sys::exit::DONE
    }

    /// Passes on what a source has at this moment; whether that was anything. Who has had a turn waits for all others, however
    /// fast it writes. Edges come once: it stays among the unread until it is empty.
    fn take_turn(&mut self, token: u64) -> bool {
        let Some(source) = self.sources.get_mut(token) else { return false };
        let output = if source.stderr { &mut self.stderr } else { &mut self.stdout };
        let (tail, ring_bytes) = (self.tail.as_fd(), self.ring_bytes);
        let ring = |slot| shared::map(tail, tail::offset(slot, ring_bytes), ring_bytes).ok().and_then(Ring::new);
        match source.pass_on(&self.glass, &mut self.buffer, output, ring) {
            Found::Lines => {
                self.unread.insert(token);
                return true;
            }
            Found::Nothing => {
                if source.hold_until.is_some() && !self.held.contains(&token) {
                    self.held.push(token);
                }
            }
            // Between two supervisors nobody holds the writing end; the next one opens it again.
            Found::End if !self.finishing => {}
            // It is closed with all others when the last has come to its end.
            Found::End => std::mem::forget(self.sources.remove(token)),
        }
        false
    }

    /// `false` when svc-init is gone.
    fn read_link(&mut self) -> bool {
        let mut packet = [0; 1024];
        loop {
            match message::try_receive(self.link.as_fd(), &mut packet) {
                Ok(None) => return true,
                Ok(Some((0, _))) | Err(_) => return false,
                Ok(Some((length, pipes))) => match ToLog::decode(&packet[..length]) {
                    Ok(ToLog::Add { slot, name: _ }) => self.add(slot, pipes),
                    Ok(ToLog::Remove { slot }) => self.remove(slot),
                    Ok(ToLog::Finish) => self.finish(),
                    Err(_) => say!("svc-log: refused a message that it does not know"),
                },
            }
        }
    }

    /// Nobody new will come: who has ended already goes now, the others when they end.
    fn finish(&mut self) {
        self.finishing = true;
        self.unread.extend(self.sources.tokens());
    }

    /// One pipe is standard error alone, two are standard output and error.
    fn add(&mut self, slot: u32, pipes: Vec<OwnedFd>) {
        let first_is_error = pipes.len() == 1;
        for (number, pipe) in pipes.into_iter().enumerate() {
            let stderr = first_is_error || number == 1;
            let token = u64::from(slot) * 2 + u64::from(stderr);
            if let Err(errno) = self.epoll.add(pipe.as_fd(), token, Trigger::Edge) {
                say!("svc-log: cannot read the output of slot {slot}: {errno}");
                continue;
            }
            self.sources.insert(token, Source::new(pipe, stderr, slot, token));
        }
    }

    /// Reads what is left, and closes. The memory of its last lines is free for the next one in the slot.
    fn remove(&mut self, slot: u32) {
        let mut used = false;
        for token in [u64::from(slot) * 2, u64::from(slot) * 2 + 1] {
            let mut turns = 0..LAST_TURNS;
            while turns.next().is_some() && self.take_turn(token) {}
            self.unread.remove(&token);
            if let Some(source) = self.sources.remove(token) {
                self.epoll.remove(source.pipe.as_fd());
                used |= source.has_lines();
            }
        }
        if used {
            shared::discard(self.tail.as_fd(), tail::offset(slot, self.ring_bytes), self.ring_bytes);
        }
    }
}
