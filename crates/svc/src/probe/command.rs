//! A command as a probe: it runs to its end, and nothing of it stays.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use svc_core::{Exit, Millis, Signal};
use svc_sys::process::{self, Reap, Reaped};
use svc_sys::signals::{self, Chosen};
use svc_sys::{Errno, clock, exe, fd, poll};

/// So much of its last line is told.
const MOST: usize = 200;

/// Runs it in a process group of its own, which is killed when it has ended or time is up. Its last line is what it says.
pub(super) fn run(words: &[OsString], span: Duration) -> Result<String, String> {
    let name = words.first().map(|word| word.display().to_string()).unwrap_or_default();
    let failed = |errno: Errno| format!("{name}: {errno}");
    let children = Chosen::take(&[Signal::CHLD]).map_err(failed)?;
    let (reading, writing) = fd::pipe().map_err(failed)?;
    fd::set_nonblocking(reading.as_fd()).map_err(failed)?;
    let output = writing.as_raw_fd();
    let pid = process::spawn(|| {
        process::new_group();
        process::die_with_parent();
        signals::reset();
        for number in [1, 2] {
            if let Err(errno) = fd::place(output, number) {
                return errno;
            }
        }
        exe::replace(words)
    })
    .map_err(|errno| match errno {
        Errno::NOT_FOUND => format!("{name}: there is no such program"),
        errno => format!("{name}: {errno}"),
    })?;
    drop(writing);
    let until = clock::now() + Millis(span.as_millis() as u64);
    let mut line = LastLine::default();
    let exit = loop {
        let mut interests = [poll::readable(children.as_raw_fd()), poll::readable(reading.as_raw_fd())];
        if line.ended {
            interests[1] = poll::readable(-1);
        }
        poll::wait(&mut interests, clock::now(), Some(until));
        while children.next().is_some() {}
        if poll::is_ready(&interests[1]) {
            line.read(&reading);
        }
        if let Reap::One(Reaped { pid: ended, exit }) = process::peek()
            && ended == pid
        {
            break Some(exit);
        }
        if clock::now() >= until {
            break None;
        }
    };
    // Not reaped yet, so the number of the group is its own.
    let _ = process::signal_group(pid, Signal::KILL);
    process::wait_for(pid);
    line.read(&reading);
    let said = line.text();
    let with = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match exit {
        Some(Exit::Code(0)) => Ok(if said.is_empty() { format!("{name}: exit 0") } else { said }),
        Some(exit) => Err(with(format!("{name}: {exit}"))),
        None => Err(with(format!("{name}: did not end in time: killed"))),
    }
}

/// The last line of an output that is not empty, cut off where it is long.
#[derive(Default)]
struct LastLine {
    done: Vec<u8>,
    open: Vec<u8>,
    ended: bool,
}

impl LastLine {
    fn read(&mut self, pipe: &std::os::fd::OwnedFd) {
        let mut buffer = [0; 4096];
        loop {
            match fd::read(pipe.as_fd(), &mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(length) => self.take(&buffer[..length]),
                Err(Errno::INTERRUPTED) => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                if !self.open.trim_ascii().is_empty() {
                    self.done = std::mem::take(&mut self.open);
                }
                self.open.clear();
            } else if self.open.len() < MOST {
                self.open.push(byte);
            }
        }
    }

    fn text(&self) -> String {
        let line = if self.open.trim_ascii().is_empty() { &self.done } else { &self.open };
        String::from_utf8_lossy(line.trim_ascii()).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_counts() {
        let last = |text: &str| {
            let mut line = LastLine::default();
            text.as_bytes().chunks(3).for_each(|part| line.take(part));
            line.text()
        };
        assert_eq!(last("a\nb c\n\n  \n"), "b c");
        assert_eq!(last("a\nno end"), "no end");
        assert_eq!(last(""), "");
        assert_eq!(last(&"x".repeat(900)).len(), MOST);
    }
}
