//! Standard input, block by block.
//!
//! What stands in a pipe is looked at through a second one (tee), and taken out only when it has been passed on: killed at any
//! moment, we lose no line that was in the pipe. A line whose end has not come stays there too, for a while.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{SFlag, fstat};
use svc_core::Millis;
use svc_sys::{Errno, fd, poll, splice};

/// So much is looked at at once, where there is no pipe that says what it can hold.
const BLOCK: usize = 128 * 1024;
/// A line without an end is looked at again so often, each time after twice as many milliseconds, before it is taken out of
/// the pipe. No event says that a writer has filled the pipe behind it and waits for us: the kernel speaks up only for a pipe
/// that was empty, and at the end of a write.
const LOOKS: u32 = 7;
/// Before that we look again and again: a writer whom we have just made room for fills it in no time.
const SPIN: Duration = Duration::from_micros(200);

/// A pipe that was found more than half full so many times, and never empty in between, has a writer that waits for us, and gets more room: so
/// that it writes while we do. A writer on another processor that is woken for each 64 KiB sleeps most of the time.
const BUSY: u32 = 8;
/// That much. What all pipes of a user may have together is 64 MiB, of which a quiet logger takes no more than before.
const ROOM: i32 = 256 * 1024;

pub(super) struct Input {
    stdin: OwnedFd,
    glass: Option<Glass>,
    /// Begins with a new line; `held` bytes that are out of the source, then `seen` bytes that are still in it.
    buffer: Vec<u8>,
    held: usize,
    seen: usize,
    /// There may be something.
    pub(super) ready: bool,
    /// The beginning of a line, which is all that is in the pipe, and stays there for now.
    part: Option<Part>,
}

/// A line that has begun.
struct Part {
    since: Instant,
    looks: u32,
    again: Option<Millis>,
}

/// The second pipe, and the place where bytes go that have been passed on.
struct Glass {
    out: OwnedFd,
    into: OwnedFd,
    nowhere: File,
    /// So much is looked at at once.
    capacity: usize,
    /// How many looks have found a pipe that is more than half full since it was empty; none once it has more room.
    busy: Option<u32>,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Bytes,
    Nothing,
    End,
}

impl Input {
    pub(super) fn open() -> io::Result<Input> {
        let stdin = fd::duplicate(0, 3)?;
        let is_pipe = SFlag::from_bits_truncate(fstat(&stdin)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
        let glass = if is_pipe { Glass::new(stdin.as_fd()) } else { None };
        Ok(Input { stdin, glass, buffer: Vec::new(), held: 0, seen: 0, ready: true, part: None })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }

    /// Whether everything that [`Input::bytes`] gives is still in a pipe.
    pub(super) fn is_untouched(&self) -> bool {
        self.glass.is_some() && self.held == 0
    }

    /// Where it comes from, and what has come and has not been passed on, for whoever makes lines of it.
    pub(super) fn parts(&mut self) -> (BorrowedFd<'_>, &mut [u8]) {
        (self.stdin.as_fd(), &mut self.buffer[..self.held + self.seen])
    }

    /// Whether the beginning of a line waits for its end.
    pub(super) fn has_part(&self) -> bool {
        self.held > 0 || self.part.is_some()
    }

    /// Looks for more.
    pub(super) fn look(&mut self) -> io::Result<Found> {
        let room = self.glass.as_ref().map_or(BLOCK, |glass| glass.capacity);
        if self.buffer.len() < self.held + room {
            self.buffer.resize(self.held + room, 0);
        }
        let place = &mut self.buffer[self.held..];
        match &mut self.glass {
            Some(glass) => match glass.look(self.stdin.as_fd(), place) {
                Ok(0) => Ok(Found::End),
                Ok(count) => {
                    self.seen = count;
                    glass.count(self.stdin.as_fd(), count);
                    Ok(Found::Bytes)
                }
                Err(Errno::AGAIN) => {
                    glass.busy = glass.busy.map(|_| 0);
                    self.ready = false;
                    self.part = None;
                    Ok(Found::Nothing)
                }
                Err(Errno::INTERRUPTED) => Ok(Found::Nothing),
                Err(Errno::INVALID | Errno::NOT_IMPLEMENTED) => {
                    // A kernel that is none of Linux's: lines are read as everybody reads them.
                    self.glass = None;
                    Ok(Found::Nothing)
                }
                Err(errno) => Err(errno.into()),
            },
            None => {
                let mut interest = [poll::readable(self.stdin.as_raw_fd())];
                poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
                if !poll::is_ready(&interest[0]) {
                    self.ready = false;
                    return Ok(Found::Nothing);
                }
                match fd::read(self.stdin.as_fd(), place).map_err(io::Error::from) {
                    Ok(0) => Ok(Found::End),
                    Ok(count) => {
                        self.held += count;
                        Ok(Found::Bytes)
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                        Ok(Found::Nothing)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The first `used` bytes have been passed on, and are to be forgotten.
    pub(super) fn done(&mut self, used: usize, now: Millis) {
        if used == 0 {
            return self.keep_part(now);
        }
        self.part = None;
        self.take_out(used.saturating_sub(self.held));
        self.forget(used);
    }

    /// The first `moved` bytes are out of the pipe: they have been moved to a file. The others will be looked at again.
    pub(super) fn moved(&mut self, moved: usize) {
        self.part = None;
        self.forget(moved);
    }

    /// Looks once more at the beginning of a line that was left in the pipe.
    pub(super) fn look_again(&mut self) {
        if self.glass.is_some() && self.seen == 0 {
            // What cannot be looked at stays where it is.
            let _ = self.look();
        }
    }

    /// Takes out what has been looked at.
    fn take_all(&mut self) {
        let seen = self.seen;
        self.take_out(seen);
        self.held += seen;
        self.seen = 0;
        self.part = None;
    }

    fn forget(&mut self, used: usize) {
        let left = self.held.saturating_sub(used);
        if left > 0 {
            self.buffer.copy_within(used..used + left, 0);
        }
        self.held = left;
        self.seen = 0;
    }

    /// There is no whole line.
    fn keep_part(&mut self, now: Millis) {
        let Some(glass) = &self.glass else { return };
        let is_long = self.seen >= glass.capacity / 2;
        let part = self.part.get_or_insert_with(|| Part { since: Instant::now(), looks: 0, again: None });
        if part.looks >= LOOKS || is_long || is_hung_up(&self.stdin) {
            return self.take_all();
        }
        self.seen = 0;
        if part.since.elapsed() < SPIN {
            std::thread::yield_now();
        } else {
            part.again = Some(now + Millis(1 << part.looks));
            part.looks += 1;
            self.ready = false;
        }
    }

    /// When to look again at a line that has begun.
    pub(super) fn look_at(&self) -> Option<Millis> {
        self.part.as_ref().and_then(|part| part.again)
    }

    fn take_out(&mut self, count: usize) {
        if let Some(glass) = &self.glass {
            glass.drop_from(self.stdin.as_fd(), count);
        }
    }
}

/// Whether nobody can add to the line any more.
fn is_hung_up(stdin: &OwnedFd) -> bool {
    let mut interest = [poll::readable(stdin.as_raw_fd())];
    poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
    poll::is_hung_up(&interest[0])
}

impl Glass {
    /// None where the system will not: then lines are read as everybody reads them.
    fn new(stdin: BorrowedFd) -> Option<Glass> {
        let capacity = fcntl(stdin, FcntlArg::F_GETPIPE_SZ).ok()?;
        let (out, into) = fd::pipe().ok()?;
        let nowhere = File::options().write(true).open("/dev/null").ok()?;
        let size = fcntl(&into, FcntlArg::F_SETPIPE_SZ(capacity)).or_else(|_| fcntl(&into, FcntlArg::F_GETPIPE_SZ)).ok()?;
        Some(Glass { out, into, nowhere, capacity: usize::try_from(size).ok()?, busy: Some(0) })
    }

    /// Notes how much a look has found; a pipe that is always full gets more room.
    fn count(&mut self, stdin: BorrowedFd, found: usize) {
        let Some(busy) = &mut self.busy else { return };
        // A look between two of those, at the line that has begun, says nothing.
        *busy += u32::from(found > self.capacity / 2);
        if *busy < BUSY {
            return;
        }
        self.busy = None;
        // Who may have no more goes on with what there is.
        if fcntl(stdin, FcntlArg::F_GETPIPE_SZ).is_ok_and(|size| size < ROOM) {
            let _ = fcntl(stdin, FcntlArg::F_SETPIPE_SZ(ROOM));
        }
        // Half of it at a time: the other half is the writer's meanwhile.
        let half = fcntl(stdin, FcntlArg::F_GETPIPE_SZ).map_or(0, |size| size / 2);
        if let Ok(size) = fcntl(&self.into, FcntlArg::F_SETPIPE_SZ(half))
            && let Ok(size) = usize::try_from(size.min(half))
        {
            self.capacity = self.capacity.max(size);
        }
    }

    /// Copies what is in the pipe, and leaves it there.
    fn look(&self, stdin: BorrowedFd, place: &mut [u8]) -> Result<usize, Errno> {
        let count = splice::tee(stdin, self.into.as_fd(), place.len())?;
        let mut got = 0;
        while got < count {
            match fd::read(self.out.as_fd(), &mut place[got..count]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(Errno::INTERRUPTED) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(got)
    }

    /// Takes the first bytes out of the pipe. Nobody else reads from it, so they are there.
    fn drop_from(&self, stdin: BorrowedFd, count: usize) {
        let mut left = count;
        while left > 0 {
            match splice::splice(stdin, self.nowhere.as_fd(), left) {
                Ok(0) => return,
                Ok(taken) => left -= taken,
                Err(Errno::INTERRUPTED) => {}
                Err(_) => {
                    let mut scratch = vec![0; left];
                    match fd::read(stdin, &mut scratch) {
                        Ok(taken) if taken > 0 => left -= taken,
                        Ok(_) | Err(_) => return,
                    }
                }
            }
        }
    }
}
