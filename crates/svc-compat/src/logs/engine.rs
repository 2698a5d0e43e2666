//! The loop that all loggers have: one thread, one place that waits.
//!
//! Lines are taken out of the pipe when they have been written. Where a disk is full or slow, a logger that must not hold up
//! its service keeps on taking them, up to a bound; one that may (`-b`) takes none until all is written.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use svc_core::Millis;
use svc_sys::poll::{Epoll, Trigger};
use svc_sys::process::{self, Reap};
use svc_sys::{clock, fd};

use super::input::{Found, Input};
use super::logdir::Logdir;
use super::script::{Changes, Script, next_line, whole_lines};
use super::sinks::{Sinks, Stdout};
use super::stamp::Stamps;

/// What waits in memory at most, before a logger holds up its service all the same: it is better than to be killed for it.
const MOST_PENDING: usize = 64 << 20;

const SIGNALS: u64 = 0;
const INPUT: u64 = 1;
const STDOUT: u64 = 2;

/// A logger's orders.
pub(super) struct Plan {
    pub(super) program: &'static str,
    pub(super) quiet: bool,
    pub(super) script: Script,
    pub(super) changes: Changes,
    pub(super) stamps: Stamps,
    /// The longest line; what is longer becomes several.
    pub(super) line_limit: usize,
    /// A NUL byte ends a line too.
    pub(super) nul_ends: bool,
    /// Take nothing while something waits.
    pub(super) blocking: bool,
    /// SIGTERM is not for us.
    pub(super) protected: bool,
    /// What SIGHUP means.
    pub(super) on_hangup: OnHangup,
    /// How long the end of a line is waited for that has begun when we are told to end; for ever without.
    pub(super) patience: Option<Millis>,
    pub(super) notify: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnHangup {
    /// As SIGTERM, protected or not.
    End,
    /// Read the configuration again.
    Reload,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Finished,
    /// The orders are to be read again; what was read is written.
    Reload,
}

/// How far we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// Up to the end of the line that has begun.
    LastLine {
        until: Option<Millis>,
    },
    Flushing(Ended),
}

pub(super) struct Engine {
    plan: Plan,
    sinks: Sinks,
    input: Input,
    signals: SignalFd,
    epoll: Epoll,
    phase: Phase,
    /// So many bytes are written, or will be, but are still in the pipe.
    owed: usize,
}

impl Engine {
    /// Everything is there: tells who wants to know, and waits for lines.
    pub(super) fn new(mut plan: Plan, mut sinks: Sinks, input: Input, signals: SignalFd) -> io::Result<Engine> {
        let epoll = Epoll::new()?;
        epoll.add(signals.as_fd(), SIGNALS, Trigger::Level)?;
        // A file is always ready, and refused here.
        let _ = epoll.add(input.as_fd(), INPUT, Trigger::Edge);
        if plan.script.wants_stdout() {
            let stdout = Stdout::open()?;
            let _ = epoll.add(stdout.file().as_fd(), STDOUT, Trigger::WriteEdge);
            sinks.stdout = Some(stdout);
        }
        if let Some(notify) = plan.notify.take().and_then(fd::adopt) {
            // Nobody who waits for it is no reason not to log.
            let _ = fd::write(notify.as_fd(), b"\n");
        }
        Ok(Engine { plan, sinks, input, signals, epoll, phase: Phase::Reading, owed: 0 })
    }

    /// Until the input ends, or somebody says so.
    pub(super) fn run(mut self) -> (Ended, Input, SignalFd) {
        let ended = loop {
            let now = clock::now();
            self.push(now);
            self.settle(now);
            if let Phase::Flushing(ended) = self.phase
                && self.pending() == 0
            {
                break ended;
            }
            self.wait(now);
            if self.input.ready && self.may_read() {
                self.read();
            }
        };
        self.close();
        (ended, self.input, self.signals)
    }

    /// Writes what waits.
    fn push(&mut self, now: Millis) {
        for dir in &mut self.sinks.dirs {
            dir.push(now);
        }
        if let Some(Err(error)) = self.sinks.stdout.as_mut().map(Stdout::push) {
            eprintln!(
                "{}: warning: unable to write to standard output, which gets nothing any more: {error}",
                self.plan.program
            );
            self.sinks.stdout = None;
            self.plan.script.without_stdout();
        }
        if !self.sinks.alerts.is_empty() {
            let _ = io::stderr().write_all(&self.sinks.alerts);
            self.sinks.alerts.clear();
        }
        for status in &mut self.sinks.statuses {
            if let Err(error) = status.write()
                && !self.plan.quiet
            {
                eprintln!("{}: warning: unable to write {}: {error}", self.plan.program, status.path.display());
            }
        }
    }

    /// Takes out of the pipe what is written, or what we answer for.
    fn settle(&mut self, now: Millis) {
        if self.owed > 0 && (!self.plan.blocking || self.pending() == 0) {
            self.input.done(std::mem::take(&mut self.owed), now);
        }
    }

    fn pending(&self) -> usize {
        let dirs: usize = self.sinks.dirs.iter().map(Logdir::pending).sum();
        dirs + self.sinks.stdout.as_ref().map_or(0, Stdout::pending)
    }

    fn may_read(&self) -> bool {
        match self.phase {
            Phase::Flushing(_) => false,
            Phase::Reading | Phase::LastLine { .. } if self.plan.blocking => {
                self.pending() == 0 && !self.sinks.dirs.iter().any(Logdir::is_stuck)
            }
            Phase::Reading | Phase::LastLine { .. } => self.pending() < MOST_PENDING,
        }
    }

    /// Waits for whatever comes first, and takes signals.
    fn wait(&mut self, now: Millis) {
        let reads = self.may_read();
        let mut deadline = self.sinks.dirs.iter().filter_map(Logdir::deadline).min();
        let mut sooner = |other: Option<Millis>| deadline = deadline.into_iter().chain(other).min();
        if reads {
            sooner(self.input.look_at());
            if self.input.ready {
                sooner(Some(now));
            }
        }
        if let Phase::LastLine { until } = self.phase {
            sooner(until);
        }
        let mut tokens = Vec::new();
        self.epoll.wait(now, deadline, &mut tokens);
        for token in tokens {
            match token {
                SIGNALS => self.take_signals(),
                INPUT => self.input.ready = true,
                _ => {
                    if let Some(stdout) = &mut self.sinks.stdout {
                        stdout.ready = true;
                    }
                }
            }
        }
        let now = clock::now();
        if self.input.look_at().is_some_and(|at| now >= at) {
            self.input.ready = true;
        }
        if let Phase::LastLine { until: Some(until) } = self.phase
            && now >= until
        {
            self.read();
            if matches!(self.phase, Phase::LastLine { .. }) {
                self.end_last_line(Ended::Finished);
            }
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGTERM) if !self.plan.protected => self.stop(),
                Ok(Signal::SIGHUP) => match self.plan.on_hangup {
                    OnHangup::End => self.stop(),
                    OnHangup::Reload if self.phase == Phase::Reading => {
                        // Whoever comes after us reads what we have not.
                        self.phase = Phase::Flushing(Ended::Reload);
                    }
                    OnHangup::Reload => {}
                },
                Ok(Signal::SIGALRM) => {
                    let now = clock::now();
                    for dir in &mut self.sinks.dirs {
                        dir.wanted = true;
                        dir.push(now);
                    }
                }
                Ok(Signal::SIGCHLD) => self.reap(),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn reap(&mut self) {
        for dir in &mut self.sinks.dirs {
            if let Some(pid) = dir.processor()
                && let Reap::One(reaped) = process::reap_one(pid)
            {
                dir.processor_ended(reaped.exit, clock::now());
            }
        }
    }

    /// Ends when the line that has begun has ended, at once if there is none. What has not been begun stays in the pipe.
    fn stop(&mut self) {
        if self.phase != Phase::Reading {
            return;
        }
        // Twice: the second look tells whether the last line of the first has an end.
        for _ in 0..2 {
            if self.phase == Phase::Reading && self.owed == 0 && self.may_read() {
                self.read();
                self.push(clock::now());
                self.settle(clock::now());
            }
        }
        if self.phase != Phase::Reading {
            return;
        }
        if self.input.has_part() {
            self.phase = Phase::LastLine { until: self.plan.patience.map(|patience| clock::now() + patience) };
            self.input.ready = true;
        } else {
            self.phase = Phase::Flushing(Ended::Finished);
        }
    }

    fn read(&mut self) {
        if self.owed > 0 {
            return;
        }
        match self.input.look() {
            Ok(Found::Bytes) => self.distribute(),
            Ok(Found::Nothing) => {}
            Ok(Found::End) => self.end_last_line(Ended::Finished),
            Err(error) => {
                if !self.plan.quiet {
                    eprintln!("{}: warning: unable to read standard input: {error}", self.plan.program);
                }
                self.end_last_line(Ended::Finished);
            }
        }
    }

    /// What has come goes where it belongs.
    fn distribute(&mut self) {
        let now = clock::now();
        let limit = self.plan.line_limit;
        let is_last = matches!(self.phase, Phase::LastLine { .. });
        let mut untouched = self.input.is_untouched() && self.plan.changes.replace.is_none();
        let (stdin, bytes) = self.input.parts();
        if self.plan.nul_ends && svc_sys::bytes::find(0, bytes).is_some() {
            bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'\n');
            untouched = false;
        }
        self.plan.changes.apply(bytes);
        if !is_last
            && self.plan.script.is_plain()
            && let Some(end) = whole_lines(bytes, limit).filter(|end| *end > 0)
        {
            let dir = &mut self.sinks.dirs[0];
            let moved = if untouched && dir.takes_splice { dir.splice(stdin, &bytes[..end], now) } else { 0 };
            let stays = untouched && dir.takes_splice && self.plan.blocking;
            if moved < end && !stays {
                dir.out().extend_from_slice(&bytes[moved..end]);
                self.owed = end - moved;
            }
            if moved > 0 || self.owed == 0 {
                self.input.moved(moved);
            }
            return;
        }
        let humans = self.plan.script.wants_humans();
        self.plan.stamps.begin(humans);
        let mut at = 0;
        while let Some((length, step)) = next_line(&bytes[at..], limit) {
            self.plan.script.run(&bytes[at..at + length], &self.plan.stamps, &mut self.sinks);
            self.plan.stamps.next(humans);
            at += step;
            if is_last {
                break;
            }
        }
        if at == 0 {
            self.input.done(0, now);
            return;
        }
        self.owed = at;
        if is_last {
            self.phase = Phase::Flushing(Ended::Finished);
        }
    }

    /// Nothing more comes: a line that has begun ends here.
    fn end_last_line(&mut self, ended: Ended) {
        self.phase = Phase::Flushing(ended);
        if self.owed > 0 {
            return;
        }
        self.input.look_again();
        let (_, bytes) = self.input.parts();
        if !bytes.is_empty() {
            let (length, step) = next_line(bytes, self.plan.line_limit).unwrap_or((bytes.len(), bytes.len()));
            let humans = self.plan.script.wants_humans();
            self.plan.stamps.begin(humans);
            self.plan.script.run(&bytes[..length], &self.plan.stamps, &mut self.sinks);
            self.owed = step;
        }
    }

    /// Leaves the directories as complete, whatever that takes.
    fn close(&mut self) {
        let mut open: Vec<&mut Logdir> = self.sinks.dirs.iter_mut().collect();
        loop {
            let now = clock::now();
            open.retain_mut(|dir| !dir.close(now));
            let deadline = open.iter().filter_map(|dir| dir.deadline()).min();
            if open.is_empty() {
                return;
            }
            let mut interest = [svc_sys::poll::readable(self.signals.as_raw_fd())];
            svc_sys::poll::wait(&mut interest, now, deadline);
            while let Ok(Some(_)) = self.signals.read_signal() {}
            for dir in &mut open {
                if let Some(pid) = dir.processor()
                    && let Reap::One(reaped) = process::reap_one(pid)
                {
                    dir.processor_ended(reaped.exit, clock::now());
                }
            }
        }
    }
}

/// Puts /dev/null where standard input, output or error are closed: nothing that we open is to be taken for them.
fn fill_standard_descriptors() -> io::Result<()> {
    loop {
        let file = File::options().read(true).write(true).open("/dev/null")?;
        if file.as_raw_fd() > 2 {
            return Ok(());
        }
        fd::release(file.into());
    }
}

/// The signals that loggers read. SIGPIPE waits with them, unread: a write says what is wrong.
///
/// To be called before anything is opened.
pub(super) fn take_signals() -> io::Result<SignalFd> {
    fill_standard_descriptors()?;
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGALRM, Signal::SIGCHLD] {
        set.add(signal);
    }
    set.thread_block()?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    pipe.thread_block()?;
    Ok(signals)
}
