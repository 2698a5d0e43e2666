//! s6-ioconnect: small change of clients and servers in the manner of UCSPI.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{Shutdown, shutdown};
use svc_sys::{Errno, clock, exit, fd, poll, signals};

use super::readiness;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const IOCONNECT: Command = Command {
    name: "s6-ioconnect",
    about: "copy between standard input and output and a connection, both ways",
    operands: "",
    options: &[
        Opt::with('t', "MS", "end when nothing has come for this time (default: 0, never)"),
        Opt::with('r', "FD", "the side of the connection to read from (default: 6)"),
        Opt::with('w', "FD", "the side of the connection to write to (default: 7)"),
        Opt::flag('0', "ignored"),
        Opt::flag('1', "ignored"),
        Opt::flag('6', "ignored"),
        Opt::flag('7', "ignored"),
    ],
    notes: "",
    codes: &[(1, "nothing came for the time given")],
    run: ioconnect,
};

/// One direction: what was read and not yet written.
struct Way {
    from: Option<RawFd>,
    to: Option<RawFd>,
    buffer: Vec<u8>,
}

impl Way {
    const MOST: usize = 8192;

    fn interests(&self) -> [poll::Interest; 2] {
        let room = self.buffer.len() < Way::MOST;
        let from = self.from.filter(|_| room).unwrap_or(-1);
        let mut to = poll::writable(self.to.unwrap_or(-1));
        if self.buffer.is_empty() {
            // Only whether somebody is still there.
            to.events = 0;
        }
        [poll::readable(from), to]
    }

    /// Reads and writes what can be, and closes a side that is done.
    fn act(&mut self, [from, to]: [bool; 2]) {
        if let Some(number) = self.from.filter(|_| from) {
            let mut bytes = [0; Way::MOST];
            let room = Way::MOST - self.buffer.len();
            match fd::borrow(number).map(|reader| fd::read(reader, &mut bytes[..room])) {
                Some(Ok(count)) if count > 0 => self.buffer.extend_from_slice(&bytes[..count]),
                Some(Err(Errno::AGAIN | Errno::INTERRUPTED)) => {}
                _ => self.close_from(),
            }
        }
        if let Some(number) = self.to.filter(|_| to) {
            match fd::borrow(number).map(|writer| fd::write(writer, &self.buffer)) {
                Some(Ok(count)) if count > 0 => drop(self.buffer.drain(..count)),
                Some(Err(Errno::AGAIN | Errno::INTERRUPTED)) => {}
                // Nobody reads there.
                _ => {
                    self.buffer.clear();
                    self.close_from();
                }
            }
        }
        if self.from.is_none()
            && self.buffer.is_empty()
            && let Some(number) = self.to.take()
        {
            let _ = shutdown(number, Shutdown::Write);
            fd::close(number);
        }
    }

    fn close_from(&mut self) {
        if let Some(number) = self.from.take() {
            let _ = shutdown(number, Shutdown::Read);
            fd::close(number);
        }
    }
}

fn ioconnect(call: &Call) -> Outcome {
    let patience: u32 = call.number('t')?.unwrap_or(0);
    let (reading, writing): (RawFd, RawFd) = (call.number('r')?.unwrap_or(6), call.number('w')?.unwrap_or(7));
    if reading < 3 || writing < 3 {
        return Err(Failure::usage("the connection must be on descriptors from 3 on"));
    }
    for number in [0, 1, reading, writing] {
        let failed = |errno: Errno| Failure::system(format!("unable to use descriptor {number}: {errno}"));
        let borrowed = fd::borrow(number).ok_or_else(|| failed(Errno::INVALID))?;
        fd::set_nonblocking(borrowed).map_err(failed)?;
    }
    let _ = signals::ignore(Signal::SIGPIPE as i32);
    let term = SigSet::from(Signal::SIGTERM);
    let taken = term
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .and_then(|_| SignalFd::with_flags(&term, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK));
    let term = taken.map_err(|errno| Failure::system(format!("unable to take SIGTERM: {errno}")))?;

    let mut ways = [(0, writing), (reading, 1)].map(|(from, to)| Way { from: Some(from), to: Some(to), buffer: Vec::new() });
    while ways.iter().any(|way| way.to.is_some()) {
        let waiting = ways.iter().all(|way| way.buffer.is_empty());
        let deadline = readiness::deadline(if waiting { patience } else { 0 });
        let [first, second] = [ways[0].interests(), ways[1].interests()];
        let mut interests = [first[0], first[1], second[0], second[1], poll::readable(term.as_fd().as_raw_fd())];
        poll::wait(&mut interests, clock::now(), deadline);
        let ready = interests.each_ref().map(poll::is_ready);
        if !ready.contains(&true) && readiness::is_over(deadline) {
            return Ok(exit::FAILED);
        }
        if ready[4] {
            // What was read is still written.
            let _ = term.read_signal();
            ways.iter_mut().for_each(Way::close_from);
        }
        ways[0].act([ready[0], ready[1]]);
        ways[1].act([ready[2], ready[3]]);
    }
    Ok(exit::DONE)
}
