//! One output of one service.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use svc_core::Millis;
use svc_proto::tail::Ring;
use svc_sys::{Errno, clock, fd};

use crate::output::{Glass, Output};

/// What a pipe holds, and is looked at at once.
pub(crate) const PIPE: usize = 64 * 1024;
/// A line without an end is passed on after this long: it may be a prompt. Until then another service's line does not come
/// into the middle of it.
const HOLD: Millis = Millis::from_secs(1);

pub(crate) struct Source {
    pub(crate) pipe: OwnedFd,
    pub(crate) stderr: bool,
    slot: u32,
    /// Its number for this svc-log and the next.
    token: u64,
    /// Mapped when the first line comes.
    ring: Option<Ring<'static>>,
    /// When a line without an end is passed on.
    pub(crate) hold_until: Option<Millis>,
}

/// What a look into a source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There may be more.
    Lines,
    /// Nothing that can be passed on yet.
    Nothing,
    /// Nobody can write any more.
    End,
}

/// All of them, by their tokens. Slots are given out from below, so a list has few holes, and takes half the room of a map.
#[derive(Default)]
pub(crate) struct Sources(Vec<Option<Source>>);

impl Sources {
    pub(crate) fn get(&self, token: u64) -> Option<&Source> {
        self.0.get(token as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, token: u64) -> Option<&mut Source> {
        self.0.get_mut(token as usize)?.as_mut()
    }

    pub(crate) fn insert(&mut self, token: u64, source: Source) {
        let place = token as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(source);
    }

    pub(crate) fn remove(&mut self, token: u64) -> Option<Source> {
        self.0.get_mut(token as usize)?.take()
    }

    pub(crate) fn tokens(&self) -> std::ops::Range<u64> {
        0..self.0.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl Source {
    pub(crate) fn new(pipe: OwnedFd, stderr: bool, slot: u32, token: u64) -> Source {
        Source { pipe, stderr, slot, token, ring: None, hold_until: None }
    }

    /// Passes on what is complete, or everything if it has waited long enough.
    pub(crate) fn pass_on(
        &mut self,
        glass: &Glass,
        buffer: &mut [u8],
        output: &mut Output,
        ring: impl FnOnce(u32) -> Option<Ring<'static>>,
    ) -> Found {
        let seen = match glass.look(self.pipe.as_fd(), buffer) {
            Ok(0) => return Found::End,
            Ok(seen) => seen,
            Err(Errno::AGAIN) => {
                self.release();
                return Found::Nothing;
            }
            Err(_) => return Found::Nothing,
        };
        let bytes = &buffer[..seen];
        let now = clock::now();
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map(|end| end + 1);
        let length = match complete {
            Some(length) => length,
            None if seen >= buffer.len() || self.hold_until.is_some_and(|until| now >= until) => seen,
            None if self.has_ended() || self.is_full() => seen,
            None if self.hold_until.is_some() => return Found::Nothing,
            None => {
                self.hold_until = Some(now + HOLD);
                return match fd::signal_arrivals(self.pipe.as_fd(), true) {
                    // What came before there was a signal for it.
                    Ok(()) => self.pass_on(glass, buffer, output, ring),
                    // Without it a large write behind half a line may wait until the line has waited long enough.
                    Err(_) => Found::Nothing,
                };
            }
        };
        self.release();
        if self.ring.is_none() {
            self.ring = ring(self.slot);
        }
        self.remember(&bytes[..length]);
        output.take(self.pipe.as_fd(), self.token, &bytes[..length]);
        Found::Lines
    }

    /// Whether it has ever put a line into its ring.
    pub(crate) fn has_lines(&self) -> bool {
        self.ring.is_some()
    }

    /// No line waits for its end any more.
    fn release(&mut self) {
        if self.hold_until.take().is_some() {
            // Where it was not possible to begin with there is nothing to end.
            let _ = fd::signal_arrivals(self.pipe.as_fd(), false);
        }
    }

    /// Whether nobody can add to the line any more.
    fn has_ended(&self) -> bool {
        let mut interest = [svc_sys::poll::readable(self.pipe.as_raw_fd())];
        svc_sys::poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        svc_sys::poll::is_hung_up(&interest[0])
    }

    /// Whether the pipe takes nothing more: the line does not get any longer by waiting. That may be so at less than
    /// [`PIPE`] bytes, where a page of it was begun and the next write did not fit in.
    fn is_full(&self) -> bool {
        let Ok(end) = fd::writing_end(self.pipe.as_raw_fd()) else { return false };
        let mut interest = [svc_sys::poll::writable(end.as_raw_fd())];
        svc_sys::poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        !svc_sys::poll::is_ready(&interest[0])
    }

    /// Puts the lines into the ring. Before they are passed on: killed in between, we show a line twice rather than never.
    fn remember(&self, bytes: &[u8]) {
        let Some(ring) = &self.ring else { return };
        let at_ms = clock::wall_ms();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => ring.push(at_ms, self.stderr, line, false),
                None => ring.push(at_ms, self.stderr, line, true),
            }
        }
    }
}
