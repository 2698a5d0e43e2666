//! One output of one service.

use std::os::fd::{AsFd, OwnedFd};

use svc_core::Millis;
use svc_proto::tail::Ring;
use svc_sys::{Errno, clock};

use crate::output::{Glass, Output};

/// What a pipe holds; a line of this length does not get any longer by waiting.
pub(crate) const PIPE: usize = 64 * 1024;
/// A line without an end is passed on after this long: it may be a prompt. Until then another service's line does not come
/// into the middle of it.
const HOLD: Millis = Millis::from_secs(1);

pub(crate) struct Source {
    pub(crate) pipe: OwnedFd,
    pub(crate) stderr: bool,
    slot: u32,
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

impl Source {
    pub(crate) fn new(pipe: OwnedFd, stderr: bool, slot: u32) -> Source {
        Source { pipe, stderr, slot, ring: None, hold_until: None }
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
                self.hold_until = None;
                return Found::Nothing;
            }
            Err(_) => return Found::Nothing,
        };
        let bytes = &buffer[..seen];
        let now = clock::now();
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map(|end| end + 1);
        let length = match complete {
            Some(length) => length,
            None if seen >= buffer.len() || self.hold_until.is_some_and(|until| now >= until) || self.has_ended() => seen,
            None => {
                self.hold_until.get_or_insert(now + HOLD);
                return Found::Nothing;
            }
        };
        self.hold_until = None;
        if self.ring.is_none() {
            self.ring = ring(self.slot);
        }
        self.remember(&bytes[..length]);
        output.take(self.pipe.as_fd(), &bytes[..length]);
        Found::Lines
    }

    /// Whether it has ever put a line into its ring.
    pub(crate) fn has_lines(&self) -> bool {
        self.ring.is_some()
    }

    /// Whether nobody can add to the line any more.
    fn has_ended(&self) -> bool {
        let mut interest = [svc_sys::poll::readable(std::os::fd::AsRawFd::as_raw_fd(&self.pipe))];
        svc_sys::poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        svc_sys::poll::is_hung_up(&interest[0])
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
