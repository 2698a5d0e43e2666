//! A directory of log files: `current`, and the finished ones.
//!
//! Lines are never split between files, and no file is larger than its limit unless a single line is.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use svc_core::{Millis, Pid};
use svc_sys::{Errno, bytes, splice};

use super::archives::{Archives, Most};
use super::processor::Processor;
use super::recovery::{self, Ready};
use super::rotation::Step;
use super::stamp::Scale;

pub(super) const CURRENT: &str = "current";

/// Whose directory it is: what files are called while a processor runs, and what stamps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    S6,
    Multilog,
    Svlogd,
}

impl Family {
    pub(super) const fn scale(self) -> Scale {
        match self {
            Family::S6 => Scale::S6,
            Family::Multilog | Family::Svlogd => Scale::Daemontools,
        }
    }
}

/// How one directory is kept.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) path: PathBuf,
    pub(super) family: Family,
    /// The most that a file may have.
    pub(super) size: u64,
    /// So near to it a file is finished.
    pub(super) tolerance: u64,
    pub(super) most: Most,
    /// On a full disk finished files are removed, down to so many.
    pub(super) least: Option<usize>,
    /// After so long `current` is finished, whatever its size.
    pub(super) period: Option<Millis>,
    /// So long we wait before we try again what failed.
    pub(super) retry: Millis,
    pub(super) processor: Option<Processor>,
    /// Whose messages these are, and whether to say anything that is no error of the caller's.
    pub(super) program: &'static str,
    pub(super) quiet: bool,
}

pub(super) struct Logdir {
    pub(super) settings: Settings,
    _lock: File,
    pub(super) current: File,
    /// That of `current`.
    pub(super) size: u64,
    pub(super) archives: Archives,
    /// Whole lines that are to be written; those before `from` have been.
    out: Vec<u8>,
    from: usize,
    /// So many of the next bytes go to this `current`: a chunk of lines that is partly written.
    due: usize,
    pub(super) step: Step,
    /// What the file that is being finished will be called, up to the dot.
    pub(super) name: String,
    /// What failed last, so that it is said once.
    trouble: Option<&'static str>,
    write_again: Option<Millis>,
    pub(super) step_again: Option<Millis>,
    pub(super) rotate_at: Option<Millis>,
    /// Asked for in the middle of a line or of another rotation.
    pub(super) wanted: bool,
    /// Whether this file system takes bytes from pipes.
    pub(super) takes_splice: bool,
    /// No processor is started any more.
    pub(super) ending: bool,
}

impl Logdir {
    /// Takes the directory, makes it if it is not there, and puts in order what a predecessor that was killed has left.
    pub(super) fn open(settings: Settings, now: Millis) -> Result<Logdir, String> {
        let Ready { lock, current, size, archives } = recovery::take(&settings)?;
        let rotate_at = settings.period.map(|period| now + period);
        let mut logdir = Logdir {
            settings,
            _lock: lock,
            current,
            size,
            archives,
            out: Vec::new(),
            from: 0,
            due: 0,
            step: Step::Writing,
            name: String::new(),
            trouble: None,
            write_again: None,
            step_again: None,
            rotate_at,
            wanted: false,
            takes_splice: true,
            ending: false,
        };
        logdir.process_left_over(now);
        Ok(logdir)
    }

    /// Where lines are appended that are to be written: whole ones.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How much of that waits.
    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.from
    }

    /// Whether nothing can be written until some time has passed or a processor has ended.
    pub(super) fn is_stuck(&self) -> bool {
        self.write_again.is_some() || !self.step.can_write() || (self.wanted && self.step != Step::Writing)
    }

    /// When something is to be tried again or done.
    pub(super) fn deadline(&self) -> Option<Millis> {
        [self.write_again, self.step_again, self.rotate_at].into_iter().flatten().min()
    }

    /// Writes what waits, and goes on with what is under way, as far as that goes.
    pub(super) fn push(&mut self, now: Millis) {
        self.advance(now);
        if self.rotate_at.is_some_and(|at| now >= at) {
            self.rotate_at = self.settings.period.map(|period| now + period);
            self.wanted = true;
        }
        if self.write_again.is_some_and(|at| now >= at) {
            self.write_again = None;
        }
        if self.wanted && self.due == 0 {
            self.rotate(now);
        }
        self.follow_truncation();
        while self.from < self.out.len() && self.may_write(now) {
            let bytes = &self.out[self.from..];
            if self.due == 0 {
                self.due = self.room(bytes);
                if self.due == 0 {
                    self.rotate(now);
                    continue;
                }
            }
            match self.current.write(&bytes[..self.due]) {
                Ok(0) => self.fail("write to", io::ErrorKind::WriteZero.into(), now),
                Ok(count) => {
                    self.from += count;
                    self.wrote(count, now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail("write to", error, now),
            }
        }
        if self.from == self.out.len() {
            self.out.clear();
            self.from = 0;
        }
    }

    /// Moves whole lines, which stand in a pipe, to files without taking them out of the kernel: wherever we are killed, each
    /// byte is in one of the two. Returns how many were moved.
    pub(super) fn splice(&mut self, pipe: BorrowedFd, lines: &[u8], now: Millis) -> usize {
        self.push(now);
        let mut from = 0;
        while from < lines.len() && self.pending() == 0 && self.may_write(now) {
            let bytes = &lines[from..];
            if self.due == 0 {
                self.due = self.room(bytes);
                if self.due == 0 {
                    self.rotate(now);
                    continue;
                }
            }
            let most = self.due.min(bytes.len());
            match splice::splice(pipe, std::os::fd::AsFd::as_fd(&self.current), most) {
                Ok(0) => break,
                Ok(count) => {
                    from += count;
                    self.wrote(count, now);
                }
                Err(Errno::INTERRUPTED) => {}
                Err(Errno::INVALID | Errno::NOT_IMPLEMENTED) => {
                    self.takes_splice = false;
                    break;
                }
                Err(errno) => self.fail("write to", errno.into(), now),
            }
        }
        from
    }

    fn may_write(&self, now: Millis) -> bool {
        self.step.can_write() && self.write_again.is_none_or(|at| now >= at) && !(self.wanted && self.due == 0)
    }

    fn wrote(&mut self, count: usize, now: Millis) {
        self.due -= count;
        self.size += count as u64;
        self.works("write to");
        if self.due == 0 && self.size.saturating_add(self.settings.tolerance) >= self.settings.size {
            self.rotate(now);
        }
    }

    /// How many of these whole lines go to `current` before it is finished; 0 if it is to be finished first.
    fn room(&self, lines: &[u8]) -> usize {
        let most = self.settings.size;
        // Reaching this, a file is finished.
        let enough = most.saturating_sub(self.settings.tolerance);
        let left = usize::try_from(enough.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if lines.len() < left {
            return lines.len();
        }
        let at = left.saturating_sub(1);
        let end = bytes::find(b'\n', &lines[at..]).map_or(lines.len(), |newline| at + newline + 1);
        if self.size + end as u64 <= most {
            return end;
        }
        // The line that reaches it is too long for this file.
        match bytes::find_last(b'\n', &lines[..end - 1]) {
            Some(newline) => newline + 1,
            None if self.size == 0 => end,
            None => 0,
        }
    }

    /// Somebody emptied the file: what we write goes to its end, not behind a hole.
    fn follow_truncation(&mut self) {
        if let Ok(data) = self.current.metadata()
            && data.len() != self.size
            && self.current.seek(SeekFrom::Start(data.len())).is_ok()
        {
            self.size = data.len();
        }
    }

    /// Says once what fails, and tries again later, for ever.
    fn fail(&mut self, what: &'static str, error: io::Error, now: Millis) {
        if error.kind() == io::ErrorKind::StorageFull
            && self.settings.least.is_some_and(|least| self.archives.count() > least)
            && self.archives.remove_oldest(&self.settings.path).is_ok()
        {
            return;
        }
        self.complain(what, &error);
        self.write_again = Some(now + self.settings.retry);
    }

    pub(super) fn complain(&mut self, what: &'static str, error: &dyn std::fmt::Display) {
        if self.trouble.replace(what) != Some(what) && !self.settings.quiet {
            let (program, path, wait) = (self.settings.program, self.settings.path.display(), self.settings.retry.0);
            eprintln!("{program}: warning: unable to {what} {path}: {error}: nothing is lost, trying again every {wait} ms");
        }
    }

    /// It works again: the next failure is news.
    pub(super) fn works(&mut self, what: &'static str) {
        if self.trouble == Some(what) {
            self.trouble = None;
        }
    }

    /// Which child is at work here.
    pub(super) fn processor(&self) -> Option<Pid> {
        match self.step {
            Step::Running(pid) => Some(pid),
            _ => None,
        }
    }
}
