//! Looking again until it is there: when something has happened where that can be told, else at growing intervals.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use svc_core::{Millis, Pid};
use svc_sys::inotify::Inotify;
use svc_sys::process::PidFd;
use svc_sys::{clock, poll, process};

use super::target::Target;

/// The first pause; each is twice as long as the one before, up to the interval.
const FIRST: Duration = Duration::from_millis(10);
/// Who waits in the log of a service says what for after this long, and then ever more seldom.
const SILENCE: Duration = Duration::from_secs(1);
const SELDOM: u32 = 5;

/// How long, and how often.
pub(super) struct Patience {
    pub(super) interval: Duration,
    pub(super) attempt: Duration,
    pub(super) until: Option<Instant>,
    /// The process whose readiness is waited for: without it there is nothing to wait for.
    pub(super) beside: Option<Beside>,
}

pub(super) struct Beside {
    pub(super) pid: Pid,
    /// None where the sandbox has none: then it is looked for at each turn.
    pub(super) handle: Option<PidFd>,
}

impl Beside {
    pub(super) fn is_gone(&self) -> bool {
        match &self.handle {
            Some(handle) => {
                let mut interest = [poll::readable(handle.as_raw_fd())];
                poll::wait(&mut interest, Millis::ZERO, Some(Millis::ZERO));
                poll::is_ready(&interest[0])
            }
            None => !process::exists(self.pid),
        }
    }
}

pub(super) enum Missed {
    No(String),
    TimedOut(String),
}

/// Waits until the target is there.
pub(super) fn wait(target: &Target, patience: &Patience) -> Result<String, Missed> {
    let began = Instant::now();
    let (mut pause, mut silence) = (FIRST.min(patience.interval), SILENCE);
    // What the last attempt that had its time said; one at the very end is cut off.
    let mut before = None;
    let watch = target.watched().and_then(|dir| Inotify::new().ok().map(|watch| (watch, dir)));
    loop {
        // Watched before it is looked at, so that nothing falls between the two.
        let watched = watch.as_ref().is_some_and(|(watch, dir)| {
            watch.drain();
            watch.watch(dir).is_ok()
        });
        let left = patience.until.map(|until| until.saturating_duration_since(Instant::now()));
        let why = match target.attempt(left.map_or(patience.attempt, |left| left.min(patience.attempt))) {
            Ok(said) => return Ok(said),
            Err(why) => why,
        };
        if patience.until.is_some_and(|until| Instant::now() >= until) {
            return Err(Missed::TimedOut(before.unwrap_or(why)));
        }
        if let Some(beside) = &patience.beside {
            if beside.is_gone() {
                return Err(Missed::No(why));
            }
            if began.elapsed() >= silence {
                eprintln!("svc probe: not ready yet: {why}");
                silence *= SELDOM;
            }
        }
        let still = watched && target.is_absent();
        // A silence that is about to end is a reason to wake up, too.
        let spoken = patience.beside.as_ref().map(|_| silence.saturating_sub(began.elapsed()));
        let pauses = [(!still).then_some(pause), spoken, patience.until.map(|until| until - Instant::now().min(until))];
        let rest = pauses.into_iter().flatten().min();
        let watch = watch.as_ref().map_or(-1, |(watch, _)| watch.as_raw_fd());
        let handle = patience.beside.as_ref().and_then(|beside| beside.handle.as_ref()).map_or(-1, PidFd::as_raw_fd);
        let mut interests = [poll::readable(if watched { watch } else { -1 }), poll::readable(handle)];
        let now = clock::now();
        poll::wait(&mut interests, now, rest.map(|rest| now + Millis(rest.as_millis() as u64)));
        pause = (pause * 2).min(patience.interval);
        before = Some(why);
    }
}
