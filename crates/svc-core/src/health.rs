//! How a running service is: the machine of its health check, and of the watchdog that it feeds.
//!
//! It stands beside [`crate::Service`] and knows of it only its [`Life`]. The driver tells it that, and how each look ended, and
//! does what comes out. A look is a program; there is never more than one of a service, and none while the service is not up.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::Pid;
use crate::actions::List;
use crate::guard::{self, Guard, MemoryLimit};
use crate::service::KILL_AGAIN;
use crate::time::Millis;

/// In the start period it is looked for the first time again after this long; each pause is twice the one before.
const FIRST_PAUSE: Millis = Millis(100);

/// What is looked at, and who is listened to. `Default`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// It has a socket to say how it is (sd_notify), and these may speak for it.
    pub notify: Option<Senders>,
    /// It says there when it is ready.
    pub says_ready: bool,
    /// It must say there that it is alive, at least so often; zero for never.
    pub watchdog: Millis,
    pub health: Option<Box<Probe>>,
    pub memory: Option<MemoryLimit>,
}

/// Whose word counts on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    Main,
    /// The main process, and everything that it has started.
    All,
}

/// How it is looked whether a service is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The words behind `svc exec`.
    pub words: Vec<Vec<u8>>,
    /// From the end of one look to the next.
    pub interval: Millis,
    /// A look that has not ended by then is killed.
    pub timeout: Millis,
    /// So long after the start failures do not count, until it has been well once.
    pub start_period: Millis,
    /// So many in a row change the verdict.
    pub failures: u16,
    pub successes: u16,
    pub remedy: Remedy,
}

/// What is done about a service that has become unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    Report,
    Restart,
    Reload,
    /// Everything ends.
    StopContainer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Unknown,
    Healthy,
    Unhealthy,
}

/// What the service said it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Running,
    Reloading,
    Stopping,
}

/// What is to be known of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Not up, or told to stop.
    Off,
    /// Up for the `start`-th time. `ready`: it has said so, or never says.
    Up { start: u64, ready: bool, paused: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The service is like this now; the same once more does no harm.
    Life(Life),
    /// The time of [`Health::deadline`] has come (early or spurious calls do no harm).
    Deadline,
    /// The answers to [`Action::Look`]: it runs, or could not be made for a reason that says nothing of the service.
    Begun(Pid),
    NotBegun,
    /// The look has ended, well or not.
    Ended {
        well: bool,
    },
    /// The service says that it is alive.
    Fed,
    /// The service wants to be treated as one that is not.
    Starved,
    /// It wants to say so at least so often from now on.
    Span(Millis),
    /// It said what it is doing.
    Said(Phase),
    /// The answer to [`Action::Weigh`]: resident bytes of all its processes.
    Weighed(u64),
}

/// What to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start a look, and answer before anything else.
    Look,
    /// SIGKILL to this look.
    Kill(Pid),
    /// Make the verdict, or the phase, known.
    Publish,
    /// It has become unhealthy: do this.
    Remedy(Remedy),
    /// The watchdog was not fed: SIGABRT to the main process.
    Abort,
    /// It did not die of that: SIGKILL.
    KillMain,
    /// Find out how much memory it uses, and answer before anything else.
    Weigh,
    /// It uses more than it may: do this.
    Relieve(Remedy),
}

/// The actions of one step; the list is as long as the longest that comes out of one.
pub type Actions = List<Action, 5>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Never,
    Due {
        at: Millis,
    },
    /// It is being made. Lasts within one turn of the driver.
    Asked,
    Running {
        pid: Pid,
        until: Millis,
    },
    /// It was killed; what it says no longer counts. Then comes the next one, or none.
    Ending {
        pid: Pid,
        again: Millis,
        then: Option<Millis>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dog {
    Off,
    Waiting { span: Millis, until: Millis },
    Aborted { kill_at: Millis },
}

/// The health of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    life: Life,
    phase: Phase,
    verdict: Verdict,
    /// When the verdict last changed.
    since: Millis,
    /// In a row.
    failures: u16,
    successes: u16,
    look: Look,
    /// The next pause of the start period, and when that ends.
    pause: Millis,
    grace: Millis,
    dog: Dog,
    guard: Guard,
}

impl Health {
    pub fn new(now: Millis) -> Health {
        Health {
            life: Life::Off,
            phase: Phase::Running,
            verdict: Verdict::Unknown,
            since: now,
            failures: 0,
            successes: 0,
            look: Look::Never,
            pause: FIRST_PAUSE,
            grace: now,
            dog: Dog::Off,
            guard: Guard::default(),
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub fn since(&self) -> Millis {
        self.since
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// So many looks in a row have failed.
    pub fn failures(&self) -> u16 {
        self.failures
    }

    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// Whether somebody still asks for what the look finds.
    pub fn is_asked(&self) -> bool {
        !matches!(self.look, Look::Ending { then: None, .. })
    }

    /// The look that runs, or was killed and has not ended.
    pub fn looking(&self) -> Option<Pid> {
        match self.look {
            Look::Running { pid, .. } | Look::Ending { pid, .. } => Some(pid),
            Look::Never | Look::Due { .. } | Look::Asked => None,
        }
    }

    /// When to call `step` with [`Event::Deadline`] if nothing else happens before.
    pub fn deadline(&self) -> Option<Millis> {
        let look = match self.look {
            Look::Due { at } => Some(at),
            Look::Running { until, .. } => Some(until),
            Look::Ending { again, .. } => Some(again),
            Look::Never | Look::Asked => None,
        };
        let dog = match self.dog {
            Dog::Waiting { until, .. } => Some(until),
            Dog::Aborted { kill_at } => Some(kill_at),
            Dog::Off => None,
        };
        look.into_iter().chain(dog).chain(self.guard.deadline()).min()
    }

    /// Goes on where a predecessor was killed: its look died with it.
    pub fn resume(&mut self, now: Millis) {
        match self.look {
            Look::Running { .. } | Look::Asked => self.look = Look::Due { at: now },
            Look::Ending { then, .. } => self.look = then.map_or(Look::Never, |at| Look::Due { at }),
            Look::Never | Look::Due { .. } => {}
        }
    }

    /// Takes in what happened at `now`, and says what to do. `checks` are those of this moment.
    pub fn step(&mut self, now: Millis, event: Event, checks: &Checks, out: &mut Actions) {
        match event {
            Event::Life(life) => self.live(now, life, checks, out),
            Event::Deadline => {
                self.look_deadline(now, checks, out);
                self.dog_deadline(now, out);
                self.guard.time(now, checks.memory.as_ref(), out);
            }
            Event::Begun(pid) => match (self.look, &checks.health) {
                (Look::Asked, Some(probe)) => self.look = Look::Running { pid, until: now + probe.timeout },
                // The check was taken out meanwhile, or nobody asked: it is of no use.
                (Look::Asked, None) | (Look::Never | Look::Due { .. }, _) => self.end_look(now, pid, None, out),
                // There is one: another is never asked for.
                (Look::Running { .. } | Look::Ending { .. }, _) => {}
            },
            Event::NotBegun => match (self.look, &checks.health) {
                (Look::Asked, Some(probe)) => self.look = Look::Due { at: now + probe.interval },
                (Look::Asked, None) => self.look = Look::Never,
                (Look::Never | Look::Due { .. } | Look::Running { .. } | Look::Ending { .. }, _) => {}
            },
            Event::Ended { well } => match (self.look, &checks.health) {
                (Look::Running { .. }, Some(probe)) => {
                    let at = self.next(now, probe, well);
                    self.look = Look::Due { at };
                    self.judge(now, probe, well, out);
                }
                (Look::Running { .. }, None) => self.look = Look::Never,
                (Look::Ending { then, .. }, _) => self.look = then.map_or(Look::Never, |at| Look::Due { at: at.max(now) }),
                // None that we know of.
                (Look::Never | Look::Due { .. } | Look::Asked, _) => {}
            },
            Event::Fed => {
                if let Dog::Waiting { span, .. } = self.dog {
                    self.dog = Dog::Waiting { span, until: now + span };
                }
            }
            Event::Starved => match self.dog {
                Dog::Waiting { .. } => self.abort(now, out),
                // Nobody watches, or it is being killed already.
                Dog::Off | Dog::Aborted { .. } => {}
            },
            Event::Span(span) => match self.dog {
                Dog::Waiting { .. } if span != Millis::ZERO => self.dog = Dog::Waiting { span, until: now + span },
                Dog::Off | Dog::Waiting { .. } | Dog::Aborted { .. } => {}
            },
            Event::Weighed(bytes) => self.guard.weighed(now, bytes, checks.memory.as_ref(), out),
            Event::Said(phase) => {
                if phase != self.phase && self.life != Life::Off {
                    self.phase = phase;
                    out.push(Action::Publish);
                }
            }
        }
    }

    fn live(&mut self, now: Millis, life: Life, checks: &Checks, out: &mut Actions) {
        let before = core::mem::replace(&mut self.life, life);
        let is_new = match (before, life) {
            (Life::Up { start, .. }, Life::Up { start: now, .. }) => start != now,
            (Life::Off, Life::Up { .. }) => true,
            (Life::Off | Life::Up { .. }, Life::Off) => false,
        };
        if is_new || life == Life::Off && before != Life::Off {
            let known = self.verdict != Verdict::Unknown || self.phase != Phase::Running;
            self.forget(now, checks);
            if known {
                out.push(Action::Publish);
            }
            self.stop_looking(now, out);
        }
        let is_awake = matches!(life, Life::Up { paused: false, .. });
        self.guard.live(now, is_awake, is_new, checks.memory.as_ref());
        match life {
            Life::Off => {}
            // Who is stopped can neither answer nor feed anybody, and that is no fault of its own.
            Life::Up { paused: true, .. } => {
                self.stop_looking(now, out);
                self.dog = Dog::Off;
            }
            Life::Up { ready, paused: false, .. } => {
                if let Some(probe) = &checks.health {
                    let at = if self.verdict == Verdict::Unknown { now } else { now + probe.interval };
                    match self.look {
                        Look::Never if ready => self.look = Look::Due { at },
                        Look::Ending { pid, again, then: None } if ready => {
                            self.look = Look::Ending { pid, again, then: Some(at) };
                        }
                        Look::Never | Look::Ending { .. } | Look::Due { .. } | Look::Asked | Look::Running { .. } => {}
                    }
                } else {
                    self.drop_check(now, out);
                }
                if checks.watchdog == Millis::ZERO {
                    if let Dog::Waiting { .. } = self.dog {
                        self.dog = Dog::Off;
                    }
                } else if self.dog == Dog::Off && ready {
                    self.dog = Dog::Waiting { span: checks.watchdog, until: now + checks.watchdog };
                }
            }
        }
    }

    /// What was known was of another run.
    fn forget(&mut self, now: Millis, checks: &Checks) {
        if self.verdict != Verdict::Unknown {
            self.since = now;
        }
        self.verdict = Verdict::Unknown;
        self.phase = Phase::Running;
        (self.failures, self.successes) = (0, 0);
        self.pause = FIRST_PAUSE;
        self.grace = now + checks.health.as_ref().map_or(Millis::ZERO, |probe| probe.start_period);
        self.dog = Dog::Off;
    }

    /// The definition no longer has a check: what it found is nobody's any more.
    fn drop_check(&mut self, now: Millis, out: &mut Actions) {
        self.stop_looking(now, out);
        if self.verdict != Verdict::Unknown {
            self.verdict = Verdict::Unknown;
            self.since = now;
            (self.failures, self.successes) = (0, 0);
            out.push(Action::Publish);
        }
    }

    fn stop_looking(&mut self, now: Millis, out: &mut Actions) {
        match self.look {
            Look::Running { pid, .. } => self.end_look(now, pid, None, out),
            Look::Ending { pid, again, .. } => self.look = Look::Ending { pid, again, then: None },
            Look::Due { .. } | Look::Asked | Look::Never => self.look = Look::Never,
        }
    }

    fn end_look(&mut self, now: Millis, pid: Pid, then: Option<Millis>, out: &mut Actions) {
        self.look = Look::Ending { pid, again: now + KILL_AGAIN, then };
        out.push(Action::Kill(pid));
    }

    fn look_deadline(&mut self, now: Millis, checks: &Checks, out: &mut Actions) {
        match (self.look, &checks.health) {
            (Look::Due { at }, Some(_)) if now >= at => {
                self.look = Look::Asked;
                out.push(Action::Look);
            }
            (Look::Due { at }, None) if now >= at => self.look = Look::Never,
            (Look::Running { pid, until }, Some(probe)) if now >= until => {
                let then = self.next(now, probe, false);
                self.end_look(now, pid, Some(then), out);
                self.judge(now, probe, false, out);
            }
            (Look::Running { pid, until }, None) if now >= until => self.end_look(now, pid, None, out),
            (Look::Ending { pid, again, then }, _) if now >= again => {
                self.look = Look::Ending { pid, again: now + KILL_AGAIN, then };
                out.push(Action::Kill(pid));
            }
            // Not yet.
            (Look::Due { .. } | Look::Running { .. } | Look::Ending { .. } | Look::Never | Look::Asked, _) => {}
        }
    }

    fn dog_deadline(&mut self, now: Millis, out: &mut Actions) {
        match self.dog {
            Dog::Waiting { until, .. } if now >= until => self.abort(now, out),
            Dog::Aborted { kill_at } if now >= kill_at => {
                self.dog = Dog::Aborted { kill_at: now + KILL_AGAIN };
                out.push(Action::KillMain);
            }
            Dog::Off | Dog::Waiting { .. } | Dog::Aborted { .. } => {}
        }
    }

    fn abort(&mut self, now: Millis, out: &mut Actions) {
        self.dog = Dog::Aborted { kill_at: now + KILL_AGAIN };
        out.push(Action::Abort);
    }

    fn in_grace(&self, now: Millis) -> bool {
        self.verdict == Verdict::Unknown && now < self.grace
    }

    /// When to look again.
    fn next(&mut self, now: Millis, probe: &Probe, well: bool) -> Millis {
        if well || !self.in_grace(now) {
            return now + probe.interval;
        }
        let pause = self.pause.min(probe.interval);
        self.pause = self.pause + self.pause;
        now + pause
    }

    fn judge(&mut self, now: Millis, probe: &Probe, well: bool, out: &mut Actions) {
        let verdict = if well {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            if self.successes < probe.successes { self.verdict } else { Verdict::Healthy }
        } else {
            self.successes = 0;
            if self.in_grace(now) {
                return;
            }
            self.failures = self.failures.saturating_add(1);
            if self.failures < probe.failures { self.verdict } else { Verdict::Unhealthy }
        };
        if verdict == self.verdict {
            return;
        }
        self.verdict = verdict;
        self.since = now;
        out.push(Action::Publish);
        if verdict == Verdict::Unhealthy {
            out.push(Action::Remedy(probe.remedy));
        }
    }
}

/// Words of a snapshot.
pub const WORDS: usize = 10 + guard::WORDS;
/// The row of words.
pub type Words = [u64; WORDS];
/// "No such time".
const NEVER: u64 = u64::MAX;

impl Health {
    /// As a row of words: for the successor of a killed supervisor, and for svc-scan.
    pub fn to_words(&self) -> Words {
        let (life, start) = match self.life {
            Life::Off => (0, 0),
            Life::Up { start, ready, paused } => (1 | u64::from(ready) << 1 | u64::from(paused) << 2, start),
        };
        let verdict = match self.verdict {
            Verdict::Unknown => 0,
            Verdict::Healthy => 1,
            Verdict::Unhealthy => 2,
        };
        let phase = match self.phase {
            Phase::Running => 0,
            Phase::Reloading => 1,
            Phase::Stopping => 2,
        };
        let (look, pid, at, then) = match self.look {
            Look::Never => (0, 0, NEVER, NEVER),
            Look::Due { at } => (1, 0, at.0, NEVER),
            Look::Asked => (2, 0, NEVER, NEVER),
            Look::Running { pid, until } => (3, pid.raw(), until.0, NEVER),
            Look::Ending { pid, again, then } => (4, pid.raw(), again.0, then.map_or(NEVER, |at| at.0)),
        };
        let (dog, span, until) = match self.dog {
            Dog::Off => (0, 0, NEVER),
            Dog::Waiting { span, until } => (1, span.0, until.0),
            Dog::Aborted { kill_at } => (2, 0, kill_at.0),
        };
        let tags = verdict | phase << 8 | life << 16 | look << 24 | dog << 32;
        let counts = u64::from(self.failures) | u64::from(self.successes) << 16 | (pid as u64) << 32;
        let [next, above, last, bytes, limit] = self.guard.to_words();
        let since = self.since.0;
        [tags, start, since, counts, at, then, self.grace.0, self.pause.0, span, until, next, above, last, bytes, limit]
    }

    /// `None` for words that no [`Health::to_words`] wrote.
    pub fn from_words(words: &Words) -> Option<Health> {
        let [tags, start, since, counts, at, then, grace, pause, span, until, ref guard @ ..] = *words;
        let pid = i32::try_from(counts >> 32).ok().and_then(Pid::new);
        let life = tags >> 16 & 0xff;
        Some(Health {
            life: match life & 1 {
                0 => Life::Off,
                _ => Life::Up { start, ready: life & 2 != 0, paused: life & 4 != 0 },
            },
            verdict: match tags & 0xff {
                0 => Verdict::Unknown,
                1 => Verdict::Healthy,
                2 => Verdict::Unhealthy,
                _ => return None,
            },
            phase: match tags >> 8 & 0xff {
                0 => Phase::Running,
                1 => Phase::Reloading,
                2 => Phase::Stopping,
                _ => return None,
            },
            since: Millis(since),
            failures: counts as u16,
            successes: (counts >> 16) as u16,
            look: match tags >> 24 & 0xff {
                0 => Look::Never,
                1 => Look::Due { at: Millis(at) },
                2 => Look::Asked,
                3 => Look::Running { pid: pid?, until: Millis(at) },
                4 => Look::Ending { pid: pid?, again: Millis(at), then: (then != NEVER).then_some(Millis(then)) },
                _ => return None,
            },
            pause: Millis(pause),
            grace: Millis(grace),
            dog: match tags >> 32 {
                0 => Dog::Off,
                1 => Dog::Waiting { span: Millis(span), until: Millis(until) },
                2 => Dog::Aborted { kill_at: Millis(until) },
                _ => return None,
            },
            guard: Guard::from_words(*guard),
        })
    }
}
