//! Who comes to the sockets of a service that is started on demand: the first starts it, and when nobody has come for long
//! enough it is stopped.
//!
//! While it runs nobody wakes us for each connection. A look at who is connected begins a span; if nobody is, the kernel is asked
//! for a signal when somebody comes, once. A span without one has been idle from its beginning to its end. (It must be a signal:
//! `poll` looks again when it has been woken, and the service may have taken the connection by then.)

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use svc_core::Millis;
use svc_core::service::{Event, State, Stop};
use svc_sys::{clock, fd, listen, poll};

use super::Driver;

/// A span that may turn out to have been idle.
pub(super) struct Span {
    ends: Millis,
    /// Nobody was there when it began, and nobody has come since.
    idle: bool,
}

/// What was at the sockets when somebody had knocked. Is it the same when the service ends, and nobody else has come meanwhile, then it
/// has taken nobody, and would be started for him again and again.
pub(super) struct Knock {
    waited: Vec<u64>,
    others: bool,
}

impl Driver {
    /// Starts it if somebody waits.
    pub(super) fn look_for_visitors(&mut self) {
        if self.machine.state() == State::Armed && self.is_visited() {
            // Who comes from now on is told of, and maybe counted too.
            let told = self.signal_visitors(true);
            self.knock = told.then(|| Knock { waited: self.waiting(), others: false });
            self.feed(Event::Knock);
        }
    }

    fn waiting(&self) -> Vec<u64> {
        self.sockets.iter().map(listen::waiting).collect()
    }

    /// It is about to be told that it has ended: whether it has taken anybody.
    pub(super) fn look_who_was_served(&mut self) {
        let knock = self.knock.take();
        if knock.is_some() {
            self.signal_visitors(false);
        }
        let in_vain = knock.is_some_and(|knock| !knock.others && self.waiting() == knock.waited);
        // A killed predecessor would have known.
        if self.machine.vain() > 0 && !in_vain {
            self.feed(Event::Served);
        }
    }

    /// Whether somebody waits whom nobody has taken yet.
    fn is_visited(&self) -> bool {
        let mut interests: Vec<_> = self.sockets.iter().map(|socket| poll::readable(socket.as_raw_fd())).collect();
        poll::wait(&mut interests, Millis::ZERO, Some(Millis::ZERO));
        interests.iter().any(poll::is_ready)
    }

    pub(super) fn span_deadline(&self) -> Option<Millis> {
        self.span.as_ref().map(|span| span.ends)
    }

    /// The kernel says that somebody has come.
    pub(super) fn somebody_came(&mut self) {
        if let Some(span) = &mut self.span {
            span.idle = false;
        }
        if let Some(knock) = &mut self.knock {
            knock.others = true;
        }
        self.signal_visitors(false);
    }

    /// Begins and ends spans.
    pub(super) fn watch_visitors(&mut self) {
        let length = self.settings.on_demand.map_or(Millis::ZERO, |on_demand| on_demand.idle_stop);
        let runs = matches!(self.machine.state(), State::Up { stop: Stop::No, .. });
        if !runs || length == Millis::ZERO || self.sockets.is_empty() {
            if self.span.take().is_some() {
                self.signal_visitors(false);
            }
            return;
        }
        let now = clock::now();
        match &self.span {
            Some(span) if now < span.ends => {}
            Some(Span { idle: true, .. }) if !self.has_visitors() => self.feed(Event::Idle),
            Some(_) | None => {
                // First the signal and then the look: who comes between the two is seen by one of them.
                let told = self.signal_visitors(true);
                let idle = told && !self.has_visitors();
                self.span = Some(Span { ends: now + length, idle });
                if !idle && self.knock.is_none() {
                    self.signal_visitors(false);
                }
            }
        }
    }

    /// Has the kernel tell us when somebody comes, or no more. Whether it does at all sockets.
    fn signal_visitors(&self, on: bool) -> bool {
        let fails = |socket: &&OwnedFd| fd::signal_arrivals(socket.as_fd(), on).is_err();
        self.sockets.iter().filter(fails).count() == 0
    }

    fn has_visitors(&self) -> bool {
        self.is_visited() || self.sockets.iter().any(listen::has_connections)
    }
}
