//! Where lines go: standard output or standard error of the container.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use svc_core::Millis;
use svc_sys::{Errno, clock, fd, poll, splice};

/// How long to wait before asking again for what does not say when it is possible (a full disk).
const AGAIN: Millis = Millis::from_secs(1);

pub(crate) struct Output {
    number: i32,
    /// Whether the kernel moves bytes there by itself, which makes moving them one step that cannot be interrupted.
    is_pipe: bool,
    /// Nobody will ever read it again: lines are kept in the rings alone.
    gone: bool,
    /// Whose lines are being passed on, and one more; 0 between two.
    under_way: &'static AtomicU64,
}

impl Output {
    pub(crate) fn new(number: i32, under_way: &'static AtomicU64) -> Output {
        let is_pipe = std::fs::metadata(format!("/proc/self/fd/{number}"))
            .is_ok_and(|data| std::os::unix::fs::FileTypeExt::is_fifo(&data.file_type()));
        Output { number, is_pipe, gone: !fd::is_open(number), under_way }
    }

    /// Moves the first `bytes.len()` bytes of a pipe, which are `bytes` and those of `token`. Waits as long as it takes.
    pub(crate) fn take(&mut self, pipe: BorrowedFd, token: u64, bytes: &[u8]) {
        self.under_way.store(token + 1, Ordering::Relaxed);
        self.move_out(pipe, bytes);
        self.under_way.store(0, Ordering::Relaxed);
    }

    fn move_out(&mut self, pipe: BorrowedFd, bytes: &[u8]) {
        let moved = if self.is_pipe { self.take_by_splice(pipe, bytes.len()) } else { 0 };
        let rest = &bytes[moved..];
        if rest.is_empty() {
            return;
        }
        self.write(rest);
        consume(pipe, rest.len());
    }

    fn take_by_splice(&mut self, pipe: BorrowedFd, length: usize) -> usize {
        let Some(output) = fd::borrow(self.number) else { return 0 };
        let mut moved = 0;
        while moved < length && !self.gone {
            match splice::splice(pipe, output, length - moved) {
                Ok(0) => break,
                Ok(count) => moved += count,
                Err(errno) => {
                    if errno == Errno::INVALID {
                        // Not that kind of pipe after all.
                        self.is_pipe = false;
                        break;
                    }
                    self.refused(errno);
                }
            }
        }
        moved
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(output) = fd::borrow(self.number) else { return };
        let mut rest = bytes;
        while !rest.is_empty() && !self.gone {
            match fd::write(output, rest) {
                Ok(count) => rest = &rest[count..],
                Err(errno) => self.refused(errno),
            }
        }
    }

    /// Whether it is a terminal whose other side is closed. It says the same as a broken disk does, which may come back.
    fn is_hung_up(&self) -> bool {
        let mut interest = [poll::writable(self.number)];
        poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
        poll::is_hung_up(&interest[0])
    }

    /// Waits for what stands in the way, or gives up on a reader that is gone for good.
    fn refused(&mut self, errno: Errno) {
        match errno {
            Errno::INTERRUPTED => {}
            Errno::AGAIN => poll::wait(&mut [poll::writable(self.number)], Millis::ZERO, None),
            Errno::BROKEN_PIPE | Errno(9) => self.gone = true,
            Errno::IO if self.is_hung_up() => self.gone = true,
            // A full disk: the services wait with us until there is room.
            _ => {
                let now = clock::now();
                poll::wait(&mut [], now, Some(now + AGAIN));
            }
        }
    }
}

/// Takes bytes out of a pipe that are known to be there.
fn consume(pipe: BorrowedFd, length: usize) {
    let mut buffer = [0; 4096];
    let mut left = length;
    while left > 0 {
        let room = left.min(buffer.len());
        match fd::read(pipe, &mut buffer[..room]) {
            Ok(0) | Err(Errno(_)) => return,
            Ok(count) => left -= count,
        }
    }
}

/// A pipe of our own into which a service's pipe is copied, to look at what is in it without taking it out.
pub(crate) struct Glass {
    read: std::os::fd::OwnedFd,
    write: std::os::fd::OwnedFd,
}

impl Glass {
    pub(crate) fn new() -> Result<Glass, Errno> {
        let (read, write) = fd::pipe()?;
        Ok(Glass { read, write })
    }

    /// Copies what is in the pipe into `buffer`: `Ok(0)` at its end, `AGAIN` if there is nothing.
    pub(crate) fn look(&self, pipe: BorrowedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        let seen = splice::tee(pipe, self.write.as_fd(), buffer.len())?;
        let mut got = 0;
        while got < seen {
            match fd::read(self.read.as_fd(), &mut buffer[got..seen]) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(Errno::INTERRUPTED) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(got)
    }
}
