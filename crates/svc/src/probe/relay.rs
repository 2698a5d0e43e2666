//! Readiness by a line of output: what the program writes goes through two pipes of this start alone, so no line of an earlier
//! start is taken for one of this, and none comes before anybody looks.
//!
//! Bytes are moved by the kernel from pipe to pipe, and looked at as a copy before: what a killed relay has not moved is still
//! in the pipe. It lives until nobody can write any more, and takes no signal that is meant for the program.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use svc_core::Signal;
use svc_sys::process::{self, Fork};
use svc_sys::regex::Regex;
use svc_sys::{Errno, clock, exit, fd, poll, signals, splice};

/// So much is moved at once: what a pipe holds.
const MOST: usize = 64 * 1024;
/// A line that is longer is matched in pieces.
const LONGEST: usize = 64 * 1024;

/// Puts the pipes in the place of standard output and error.
pub(super) fn begin(told: OwnedFd, regex: &Regex) -> Result<(), Errno> {
    let outs = [fd::duplicate(1, 3)?, fd::duplicate(2, 3)?];
    let pipes = [fd::pipe()?, fd::pipe()?];
    let glass = fd::pipe()?;
    match process::fork_orphan()? {
        Fork::Parent(_) => {
            for ((_, writing), number) in pipes.iter().zip([1, 2]) {
                fd::place(writing.as_raw_fd(), number)?;
            }
            Ok(())
        }
        Fork::Child => {
            process::new_group();
            svc_sys::title::set_name(super::beside::NAME);
            for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
                let _ = signals::ignore(i32::from(signal.number()));
            }
            signals::ignore_pipe();
            let [(out, out_writing), (err, err_writing)] = pipes;
            drop((out_writing, err_writing));
            let [to_out, to_err] = outs;
            let open =
                [told.as_fd(), out.as_fd(), err.as_fd(), to_out.as_fd(), to_err.as_fd(), glass.0.as_fd(), glass.1.as_fd()];
            fd::close_all_but(3, &mut open.map(|fd| fd.as_raw_fd()));
            let mut watch = Some(Watch { told: told.as_fd(), regex, glass: &glass });
            pass_on(&mut [Stream::new(out, to_out), Stream::new(err, to_err)], &mut watch);
            process::exit_now(exit::DONE)
        }
    }
}

/// Who looks at the lines, as long as one is waited for.
struct Watch<'a> {
    told: BorrowedFd<'a>,
    regex: &'a Regex,
    glass: &'a (OwnedFd, OwnedFd),
}

struct Stream {
    from: OwnedFd,
    to: OwnedFd,
    ended: bool,
    /// Bytes that have been looked at, and are still to be moved.
    seen: usize,
    /// The line that has not ended.
    open: Vec<u8>,
}

impl Stream {
    fn new(from: OwnedFd, to: OwnedFd) -> Stream {
        Stream { from, to, ended: false, seen: 0, open: Vec::new() }
    }

    /// Looks at what has not been looked at; whether a line matches.
    fn look(&mut self, watch: &Watch<'_>) -> bool {
        if self.seen > 0 {
            return false;
        }
        let (reading, writing) = watch.glass;
        let Ok(copied) = splice::tee(self.from.as_fd(), writing.as_fd(), MOST) else { return false };
        self.seen = copied;
        let mut buffer = [0; 4096];
        let (mut left, mut found) = (copied, false);
        while left > 0 {
            let Ok(length) = fd::read(reading.as_fd(), &mut buffer[..left.min(4096)]) else { return found };
            left -= length.min(left);
            found |= self.take(&buffer[..length], watch.regex);
        }
        found
    }

    fn take(&mut self, bytes: &[u8], regex: &Regex) -> bool {
        let mut found = false;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (line, ends) = part.strip_suffix(b"\n").map_or((part, false), |line| (line, true));
            self.open.extend_from_slice(line);
            if ends || self.open.len() >= LONGEST {
                let line = self.open.strip_suffix(b"\r").unwrap_or(&self.open);
                found |= regex.is_match(line);
                self.open.clear();
            }
        }
        found
    }

    /// Moves what may be moved. Whether there was something, and room for it.
    fn pass(&mut self, looking: bool) {
        let most = if looking { self.seen } else { MOST };
        if looking && most == 0 {
            // Nothing to look at: maybe the end, which only reading finds.
            let mut nothing = [0; 1];
            if poll_hung_up(&self.from) && fd::available(self.from.as_raw_fd()) == Ok(0) {
                self.ended = matches!(fd::read(self.from.as_fd(), &mut nothing), Ok(0));
            }
            return;
        }
        match splice::splice(self.from.as_fd(), self.to.as_fd(), most) {
            Ok(0) => self.ended = true,
            Ok(moved) => self.seen = self.seen.saturating_sub(moved),
            Err(Errno::AGAIN | Errno::INTERRUPTED) => {}
            // A terminal, or a file that is appended to.
            Err(Errno::INVALID) => self.copy(most),
            // Nobody reads any more: the program is to hear of it.
            Err(_) => self.ended = true,
        }
    }

    fn copy(&mut self, most: usize) {
        let mut buffer = [0; 4096];
        let Ok(length) = fd::read(self.from.as_fd(), &mut buffer[..most.min(4096)]) else { return };
        self.ended = length == 0;
        self.seen = self.seen.saturating_sub(length);
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            match fd::write(self.to.as_fd(), rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTERRUPTED) => {}
                Err(_) => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// What is waited for: something to read, or room for what is there.
    fn interest(&self) -> poll::Interest {
        if self.ended {
            return poll::readable(-1);
        }
        let mut here = [poll::readable(self.from.as_raw_fd())];
        poll::wait(&mut here, clock::now(), Some(clock::now()));
        if poll::is_ready(&here[0]) { poll::writable(self.to.as_raw_fd()) } else { poll::readable(self.from.as_raw_fd()) }
    }
}

fn poll_hung_up(fd: &OwnedFd) -> bool {
    let mut interest = [poll::readable(fd.as_raw_fd())];
    poll::wait(&mut interest, clock::now(), Some(clock::now()));
    poll::is_hung_up(&interest[0])
}

fn pass_on(streams: &mut [Stream; 2], watch: &mut Option<Watch<'_>>) {
    while !streams.iter().all(|stream| stream.ended) {
        let mut interests = [streams[0].interest(), streams[1].interest()];
        poll::wait(&mut interests, clock::now(), None);
        for stream in streams.iter_mut().filter(|stream| !stream.ended) {
            let found = watch.as_ref().is_some_and(|watch| stream.look(watch));
            if found && let Some(watch) = watch.take() {
                let _ = fd::write(watch.told, b"\n");
            }
            stream.pass(watch.is_some());
        }
    }
}
