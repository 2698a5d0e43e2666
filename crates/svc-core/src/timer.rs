//! When a timer runs: the machine of one, beside that of its supervisor, which only knows single runs.
//!
//! A timer is armed while its node is up. Its schedule has points: on the clock of the wall for a calendar, on the monotonic one
//! for an interval. Each point is acted on once, never before its time (jitter comes on top), and what came of it is either a
//! run or a [`Note`] that says why there was none. At most one run is under way: the supervisor is asked for the next one when it
//! has said that nothing of the last one is left, and its count of starts tells whether it has heard.
//!
//! Points on the way while nobody could look (svc was not there, or the clock was set) are one run at most: see [`Missed`].

use crate::time::Millis;

/// A point that is acted on later than this was missed. What comes sooner was slow, and runs.
pub const LATE: u64 = 60_000;
/// A clock that is set back by less than this does not repeat what it has seen. Further back, it was wrong before.
pub const SET_BACK: u64 = 3 * 3600 * 1000;

/// Both clocks at one moment. `wall` is milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub mono: Millis,
    pub wall: u64,
}

/// The points of a calendar: the first one after this, in milliseconds since 1970; none if there is no other.
pub type Calendar<'a> = &'a dyn Fn(u64) -> Option<u64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Whoever steps the machine knows the points.
    Calendar,
    Every {
        span: Millis,
        from: From,
    },
}

/// What an interval is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// From start to start.
    Start,
    /// From the end of a run to the start of the next.
    End,
}

/// What becomes of a point that comes while a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Nothing.
    Skip,
    /// A run follows that one. There is one of these at most.
    Queue,
    /// That one is stopped, and then a run follows.
    Kill,
}

/// What becomes of points that nobody could act on in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// One run for all of them.
    Run,
    Skip,
}

/// What a definition says of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub schedule: Schedule,
    /// Up to so much is added to each point.
    pub jitter: Millis,
    pub overlap: Overlap,
    pub missed: Missed,
    /// A run is stopped after this long; zero for never.
    pub timeout: Millis,
    /// It also runs when it is armed.
    pub at_start: bool,
}

/// How it comes to be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arming {
    /// For the first time since svc was started: what an earlier svc knew says what was missed.
    First,
    /// Somebody stopped it, and now starts it: nothing was missed.
    Again,
    /// It was armed all the time; only the svc-scan is another one.
    Heir,
}

/// What its supervisor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing of it lives.
    Idle { starts: u64 },
    /// Something of it lives, since then.
    Busy { starts: u64, since: Millis, stopping: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Arm(Arming),
    Disarm,
    /// The time of [`Timer::deadline`] or [`Timer::alarm`] has come (early calls do no harm).
    Deadline,
    /// The clock of the wall was set.
    ClockSet,
    /// Its supervisor was heard.
    Seen(Sight),
    /// Somebody wants a run now.
    Ask,
    /// Its definition says this now.
    Rules(Rules),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have the supervisor start a run.
    Run,
    /// Have it stop the one under way.
    Stop,
    Tell(Note),
}

/// What came of a point, or of an [`Event::Ask`], that was no run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A run was under way.
    Skipped,
    /// It runs when the one under way has ended.
    Queued,
    /// The one under way is stopped for it.
    Overtaken,
    /// Nobody could act on it in time, and [`Missed::Skip`] holds.
    Missed,
    /// Nobody could act on it in time: it runs now.
    Late,
    /// The run took longer than it may, and is stopped.
    TimedOut,
    /// It is not armed.
    NotArmed,
}

/// Where the run is that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    Idle,
    /// The supervisor is asked for one until it has started more often than this (none: it has not been heard yet).
    Asked {
        before: Option<u64>,
    },
    Running {
        since: Millis,
        stopping: bool,
    },
}

/// What a successor must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The last point that was acted on, on both clocks.
    pub point: Option<(Millis, u64)>,
    /// A run that was decided on and has not been seen: what the supervisor had counted then.
    pub asked: Option<u64>,
    pub queued: bool,
}

/// The next point, and when it is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    point: u64,
    at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    rules: Rules,
    seed: u64,
    armed: bool,
    next: Option<Next>,
    run: Run,
    queued: bool,
    /// The last point that was acted on, on the clock of the schedule.
    last: Option<u64>,
    starts: Option<u64>,
    memory: Memory,
}

impl Timer {
    /// A timer that is not armed. `memory`: what is left of an earlier one.
    pub fn new(rules: Rules, seed: u64, memory: Memory) -> Timer {
        Timer { rules, seed, armed: false, next: None, run: Run::Idle, queued: false, last: None, starts: None, memory }
    }

    pub fn is_armed(&self) -> bool {
        self.armed
    }

    pub fn rules(&self) -> Rules {
        self.rules
    }

    pub fn run(&self) -> Run {
        self.run
    }

    pub fn is_queued(&self) -> bool {
        self.queued
    }

    /// When it runs next, jitter included, on the clock of the wall.
    pub fn next_run(&self, now: Moment) -> Option<u64> {
        let at = self.next?.at;
        match self.rules.schedule {
            Schedule::Calendar => Some(at),
            Schedule::Every { .. } => Some((now.wall + at).saturating_sub(now.mono.0)),
        }
    }

    /// When to call `step` with [`Event::Deadline`], on the monotonic clock.
    pub fn deadline(&self) -> Option<Millis> {
        let next = match self.rules.schedule {
            Schedule::Calendar => None,
            Schedule::Every { .. } => self.next.map(|next| Millis(next.at)),
        };
        let limit = match self.run {
            Run::Running { since, stopping: false } if self.rules.timeout > Millis::ZERO => Some(since + self.rules.timeout),
            Run::Running { .. } | Run::Idle | Run::Asked { .. } => None,
        };
        [next, limit].into_iter().flatten().min()
    }

    /// The same on the clock of the wall.
    pub fn alarm(&self) -> Option<u64> {
        match self.rules.schedule {
            Schedule::Calendar => self.next.map(|next| next.at),
            Schedule::Every { .. } => None,
        }
    }

    /// What a successor must know of it at this moment.
    pub fn memory(&self, now: Moment) -> Memory {
        let asked = match self.run {
            Run::Asked { before } => before,
            Run::Idle | Run::Running { .. } => None,
        };
        let point = self.last.map(|last| match self.rules.schedule {
            Schedule::Calendar => (Millis::ZERO, last),
            Schedule::Every { .. } => (Millis(last), (now.wall + last).saturating_sub(now.mono.0)),
        });
        Memory { point: point.or(self.memory.point), asked, queued: self.queued }
    }

    /// Takes in what happened; adds to `out` what is to be done.
    pub fn step(&mut self, now: Moment, event: Event, calendar: Calendar<'_>, out: &mut alloc::vec::Vec<Action>) {
        match event {
            Event::Arm(arming) if !self.armed => self.arm(now, arming, calendar, out),
            Event::Arm(_) => {}
            Event::Disarm => self.disarm(now, out),
            Event::Deadline => self.time(now, calendar, out),
            Event::ClockSet => self.clock_set(now, calendar),
            Event::Seen(sight) => self.seen(now, sight, out),
            Event::Ask if self.armed => self.begin(out),
            Event::Ask => out.push(Action::Tell(Note::NotArmed)),
            Event::Rules(rules) => self.change(now, rules, calendar),
        }
    }

    fn arm(&mut self, now: Moment, arming: Arming, calendar: Calendar<'_>, out: &mut alloc::vec::Vec<Action>) {
        self.armed = true;
        let here = self.here(now);
        let known = match (arming, self.memory.point, self.rules.schedule) {
            (Arming::Again, _, _) | (_, None, _) => None,
            (_, Some((_, wall)), Schedule::Calendar) => Some(wall),
            (Arming::Heir, Some((mono, _)), Schedule::Every { .. }) => Some(mono.0),
            // The monotonic clock may have begun anew since: see below.
            (Arming::First, Some(_), Schedule::Every { .. }) => None,
        };
        // One that lies ahead was written by a clock that was wrong.
        let known = known.filter(|&point| point <= here + SET_BACK);
        let elapsed = self.memory.point.map(|(_, wall)| now.wall.saturating_sub(wall));
        let memory = core::mem::take(&mut self.memory);
        if arming == Arming::Heir {
            self.queued = memory.queued;
            if memory.asked.is_some() && self.run == Run::Idle {
                self.run = Run::Asked { before: memory.asked };
            }
        }
        let follow = match arming {
            Arming::Heir => true,
            Arming::First => self.rules.missed == Missed::Run,
            Arming::Again => false,
        };
        self.last = Some(known.filter(|_| follow).unwrap_or(here));
        self.next = match known.filter(|_| follow) {
            Some(point) => self.following(point, point, calendar).map(|next| self.not_before(next, here, arming)),
            None => self.following(here, here, calendar),
        };
        if let (Arming::First, true, Some(elapsed), Schedule::Every { span, .. }) =
            (arming, follow, elapsed, self.rules.schedule)
        {
            let next = self.with_jitter(here + span.0.saturating_sub(elapsed));
            self.next = Some(if elapsed >= span.0 { Next { at: here, ..next } } else { next });
        }
        let undone = memory.asked.is_some() || memory.queued;
        let interrupted = arming == Arming::First && undone && self.rules.missed == Missed::Run;
        if arming != Arming::Heir && (self.rules.at_start || interrupted) {
            match self.run {
                // That of the time before, which was stopped with it.
                Run::Running { stopping: true, .. } => self.queued = true,
                Run::Idle | Run::Asked { .. } | Run::Running { .. } => self.begin(out),
            }
        }
        self.rest();
    }

    /// What an earlier svc missed is due when this one arms it, and is not late by that.
    fn not_before(&self, next: Next, here: u64, arming: Arming) -> Next {
        match arming {
            Arming::First => Next { at: next.at.max(here), ..next },
            Arming::Again | Arming::Heir => next,
        }
    }

    fn disarm(&mut self, now: Moment, out: &mut alloc::vec::Vec<Action>) {
        self.armed = false;
        self.next = None;
        self.queued = false;
        match self.run {
            Run::Running { since, stopping: false } => {
                self.run = Run::Running { since, stopping: true };
                out.push(Action::Stop);
            }
            // It may have begun, and not been seen yet.
            Run::Asked { before: Some(_) } => {
                self.run = Run::Running { since: now.mono, stopping: true };
                out.push(Action::Stop);
            }
            Run::Asked { before: None } => self.run = Run::Idle,
            Run::Idle | Run::Running { .. } => {}
        }
    }

    fn time(&mut self, now: Moment, calendar: Calendar<'_>, out: &mut alloc::vec::Vec<Action>) {
        if let Run::Running { since, stopping: false } = self.run
            && self.rules.timeout > Millis::ZERO
            && now.mono >= since + self.rules.timeout
        {
            self.run = Run::Running { since, stopping: true };
            out.push(Action::Tell(Note::TimedOut));
            out.push(Action::Stop);
        }
        let here = self.here(now);
        let Some(next) = self.next.filter(|next| here >= next.at) else { return };
        // Points that have come meanwhile are one with this: the search begins with the first that may still be to come.
        let mut newest = next.point;
        let from = newest.max(here.saturating_sub(self.rules.jitter.0 + 1));
        let mut following = self.following(newest, from, calendar);
        while let Some(passed) = following.filter(|following| following.at <= here) {
            newest = passed.point;
            following = self.following(newest, newest, calendar);
        }
        // What was passed over is done with, too; an interval stays on its grid.
        self.last = match (self.rules.schedule, following) {
            (Schedule::Calendar, _) => Some(newest.max(from)),
            (Schedule::Every { span, .. }, Some(following)) => Some(following.point.saturating_sub(span.0)),
            (Schedule::Every { .. }, None) => Some(newest),
        };
        self.next = following;
        let is_late = here - next.at > LATE;
        match (is_late, self.rules.missed) {
            (true, Missed::Skip) => out.push(Action::Tell(Note::Missed)),
            (true, Missed::Run) => {
                out.push(Action::Tell(Note::Late));
                self.begin(out);
            }
            (false, Missed::Run | Missed::Skip) => self.begin(out),
        }
        self.rest();
    }

    /// An interval that is counted from the end of a run has no point before that.
    fn rest(&mut self) {
        let from_end = matches!(self.rules.schedule, Schedule::Every { from: From::End, .. });
        if from_end && self.run != Run::Idle {
            self.next = None;
        }
    }

    fn clock_set(&mut self, now: Moment, calendar: Calendar<'_>) {
        match (self.rules.schedule, self.last) {
            (Schedule::Calendar, Some(last)) if self.armed && last > now.wall + SET_BACK => {
                self.last = Some(now.wall);
                self.next = self.following(now.wall, now.wall, calendar);
            }
            // Set forward: what was passed over is late. Set back a little: the next point comes when it comes.
            (Schedule::Calendar, _) => {}
            (Schedule::Every { .. }, _) => {}
        }
    }

    fn change(&mut self, now: Moment, rules: Rules, calendar: Calendar<'_>) {
        let is_same = self.rules.schedule == rules.schedule;
        self.rules = rules;
        if !self.armed {
            return;
        }
        let here = self.here(now);
        if !is_same || rules.schedule == Schedule::Calendar {
            // The last point may have been one of the other clock.
            let last = self.last.filter(|_| is_same).unwrap_or(here);
            self.last = Some(last);
            self.next = self.following(last, here.max(last), calendar);
        } else {
            self.next = self.next.map(|next| self.with_jitter(next.point));
        }
        self.rest();
    }

    /// A point has come, or somebody asks.
    fn begin(&mut self, out: &mut alloc::vec::Vec<Action>) {
        match (self.run, self.rules.overlap) {
            (Run::Idle, _) => {
                self.run = Run::Asked { before: self.starts };
                if self.starts.is_some() {
                    out.push(Action::Run);
                }
            }
            (Run::Asked { .. } | Run::Running { .. }, Overlap::Skip) => out.push(Action::Tell(Note::Skipped)),
            (Run::Asked { .. } | Run::Running { .. }, Overlap::Queue) => {
                let note = if self.queued { Note::Skipped } else { Note::Queued };
                self.queued = true;
                out.push(Action::Tell(note));
            }
            // What has not begun needs no other.
            (Run::Asked { .. }, Overlap::Kill) => out.push(Action::Tell(Note::Skipped)),
            (Run::Running { since, stopping }, Overlap::Kill) => {
                let note = if self.queued { Note::Skipped } else { Note::Overtaken };
                self.queued = true;
                out.push(Action::Tell(note));
                if !stopping {
                    self.run = Run::Running { since, stopping: true };
                    out.push(Action::Stop);
                }
            }
        }
    }

    fn seen(&mut self, now: Moment, sight: Sight, out: &mut alloc::vec::Vec<Action>) {
        match sight {
            Sight::Idle { starts } => {
                self.starts = Some(starts);
                match self.run {
                    Run::Idle => {}
                    // It has not heard, or the one that had is gone.
                    Run::Asked { before } if before.is_none_or(|before| before >= starts) => {
                        self.run = Run::Asked { before: Some(starts) };
                        out.push(Action::Run);
                    }
                    Run::Asked { .. } | Run::Running { .. } => self.over(now, out),
                }
            }
            Sight::Busy { starts, since, stopping } => {
                self.starts = Some(starts);
                match self.run {
                    Run::Asked { before: None } => {
                        // Somebody else was faster: a run is under way when the point comes.
                        self.run = Run::Running { since, stopping };
                        self.begin(out);
                    }
                    Run::Running { stopping: true, .. } if !stopping => out.push(Action::Stop),
                    Run::Idle | Run::Asked { .. } | Run::Running { .. } => self.run = Run::Running { since, stopping },
                }
                self.rest();
            }
        }
    }

    fn over(&mut self, now: Moment, out: &mut alloc::vec::Vec<Action>) {
        self.run = Run::Idle;
        if core::mem::take(&mut self.queued) && self.armed {
            self.begin(out);
        } else if let Schedule::Every { span, from: From::End } = self.rules.schedule
            && self.armed
        {
            let point = now.mono.0 + span.0;
            self.last = Some(now.mono.0);
            self.next = Some(self.with_jitter(point));
        }
    }

    /// The clock of the schedule.
    fn here(&self, now: Moment) -> u64 {
        match self.rules.schedule {
            Schedule::Calendar => now.wall,
            Schedule::Every { .. } => now.mono.0,
        }
    }

    /// The first point after `after`, which is not before `last`, the last one.
    fn following(&self, last: u64, after: u64, calendar: Calendar<'_>) -> Option<Next> {
        let point = match self.rules.schedule {
            Schedule::Calendar => calendar(after)?,
            Schedule::Every { span, .. } => {
                let span = span.0.max(1);
                last + span * (after.saturating_sub(last) / span + 1)
            }
        };
        Some(self.with_jitter(point))
    }

    /// The same delay for the same point, whoever asks.
    fn with_jitter(&self, point: u64) -> Next {
        let delay = mix(self.seed ^ point) % (self.rules.jitter.0 + 1);
        Next { point, at: point + delay }
    }
}

/// A number that looks like any other: the last step of splitmix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
