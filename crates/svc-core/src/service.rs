//! The machine of one service. `step` is the only thing that writes its state.
//!
//! Wish and fact are two fields: [`Want`] is what somebody asked for, [`State`] is what is. The driver (svc-supervise) feeds
//! what happened into [`Service::step`], performs the actions that come out in their order, and sleeps until
//! [`Service::deadline`] or the next event. A spawn is answered with [`Event::Spawned`] or [`Event::SpawnFailed`] before
//! anything else, a sweep with [`Event::Swept`].
//!
//! The life of a service that is restarted: `Down` → `Starting(run)` → `Up` → `Starting(finish)` → `Finish` → `Sweep` →
//! `Down`. `Sweep` is where "stopped" comes to mean "gone": whatever the main process left behind is signalled and waited for.
//! One that is started on demand is `Armed` in between: somebody knocks at its sockets, and it is started.

mod commands;
mod parts;
mod stop;

pub use parts::{
    Action, Actions, Command, Daemon, Event, HISTORY, Note, Past, Rest, Role, Stage, State, Stop, Target, Trouble, Want,
};

use commands::Running;

use crate::Pid;
use crate::definition::Settings;
use crate::graph::Wish;
use crate::signal::{Exit, Signal};
use crate::time::Millis;

/// Starts of one service are at least this far apart, from start to start. s6 waits one second too, but counts from the
/// death; what runs for longer than this is started again at once.
pub const RESTART_GAP: Millis = Millis::from_secs(1);
/// A process that did not die of SIGKILL gets it again after this long, as in s6: it may have been in an uninterruptible
/// sleep of the kernel.
pub const KILL_AGAIN: Millis = Millis::from_secs(5);
/// What is left of a service gets this long after SIGTERM where timeout-kill does not say otherwise.
pub const SWEEP_GRACE: Millis = Millis::from_secs(5);
/// In the place of an errno: there is no program because there is nothing to do, and that is success.
pub const NOTHING_TO_DO: i32 = 0;
/// `finish` exits with this to say that starting again is of no use.
const PERMANENT_FAILURE: Exit = Exit::Code(125);

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub(crate) want: Want,
    pub(crate) state: State,
    /// The supervisor ends when nothing of the service is left.
    pub(crate) leaving: bool,
    /// It is to leave by force: nothing of the service gets time without end any more.
    pub(crate) forced: bool,
    /// `finish` said 125, and nobody has asked for a start since.
    pub(crate) failed: bool,
    /// Somebody asked for a start since the last one: the restart gap does not hold.
    pub(crate) hasten: bool,
    /// The last `run` ended with 0, and nothing has been started since.
    pub(crate) done: bool,
    /// `finish` runs because somebody asked for [`Command::Undo`].
    pub(crate) undoing: bool,
    /// Where the service is a forking daemon: how far that is.
    pub(crate) daemon: Daemon,
    /// What svc-scan wishes of it, where it decides when it starts; kept here for the svc-scan after a killed one.
    pub(crate) wished: Wish,
    /// When `run` was last started.
    pub(crate) started: Option<Millis>,
    /// When it last went up, or came down.
    pub(crate) since: Millis,
    pub(crate) starts: u64,
    pub(crate) deaths: u64,
    /// Why it could not be started; cleared by a start.
    pub(crate) trouble: Option<Trouble>,
    /// So many ends in a row came by themselves, each too soon after its start.
    pub(crate) streak: u16,
    /// Chance: the last number of a series that begins with [`Service::with_chance`].
    pub(crate) chance: u32,
    pub(crate) rest: Rest,
    /// Its end is not its own: somebody sent the down signal, which is to bring it back, or it is to be armed after it.
    pub(crate) called: bool,
    /// The last ends, newest first.
    pub(crate) past: [Option<Past>; HISTORY],
}

impl Service {
    /// A service that nobody has started. `up`: start it as soon as the first `Deadline` comes.
    pub fn new(now: Millis, up: bool) -> Service {
        Service {
            want: if up { Want::Up } else { Want::Down },
            state: State::Down { not_before: now },
            leaving: false,
            forced: false,
            failed: false,
            hasten: false,
            done: false,
            undoing: false,
            daemon: Daemon::No,
            wished: Wish::Down,
            started: None,
            since: now,
            starts: 0,
            deaths: 0,
            trouble: None,
            streak: 0,
            chance: 0,
            rest: Rest::No,
            called: false,
            past: [None; HISTORY],
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn want(&self) -> Want {
        self.want
    }

    /// The last end of `run`.
    pub fn last(&self) -> Option<Past> {
        self.past.first().copied().flatten()
    }

    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// The process that the state speaks of.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Up { pid, .. } | State::Finish { pid, .. } => Some(pid),
            State::Down { .. } | State::Armed | State::Starting { .. } | State::Sweep { .. } | State::Gone => None,
        }
    }

    /// Whether the end of the main process like this may be that of a command that has put a daemon into the background: then
    /// who is left is looked for, and [`Event::Forked`] takes the place of the exit.
    pub fn may_have_forked(&self, exit: Exit, settings: &Settings) -> bool {
        let runs = matches!(self.state, State::Up { stop: Stop::No, .. });
        runs && settings.forking.is_some() && exit == Exit::Code(0)
    }

    /// When to call `step` with [`Event::Deadline`] if nothing else happens before.
    pub fn deadline(&self) -> Option<Millis> {
        match self.state {
            State::Down { not_before } => match self.want {
                Want::Up | Want::Once => Some(not_before),
                Want::Down => None,
            },
            State::Up { stop, .. } => stop.until(),
            State::Finish { kill_at, .. } => kill_at,
            State::Sweep { kill_at, .. } => Some(kill_at),
            State::Armed | State::Starting { .. } | State::Gone => None,
        }
    }

    /// Takes in what happened at `now`, and says what to do. `settings` are those of this moment.
    pub fn step(&mut self, now: Millis, event: Event, settings: &Settings, out: &mut Actions) {
        match (self.state, event) {
            (State::Down { not_before }, Event::Deadline) => match self.want {
                Want::Up if now >= not_before && self.is_to_wait(settings) => self.arm(now, out),
                Want::Up | Want::Once if now >= not_before => self.spawn_run(now, out),
                // Too early, or the wish changed while the driver slept.
                Want::Up | Want::Once | Want::Down => {}
            },
            (State::Down { .. }, Event::Command(Command::Arm)) => {
                self.wish(Command::Arm);
                match settings.on_demand {
                    Some(_) => self.arm(now, out),
                    // It was to be so when that was asked.
                    None => self.spawn_run(now, out),
                }
            }
            (State::Down { .. }, Event::Command(command)) => self.command_when_down(now, command, out),

            (State::Armed, Event::Knock) => self.spawn_run(now, out),
            // It is not started on demand any more.
            (State::Armed, Event::Deadline) if settings.on_demand.is_none() => self.spawn_run(now, out),
            (State::Armed, Event::Deadline) => {}
            (State::Armed, Event::Command(command)) => {
                self.command_when_down(now, command, out);
                if self.want == Want::Down && self.state == State::Armed {
                    self.state = State::Down { not_before: now };
                    self.since = now;
                    out.push(Action::Publish(Note::Down));
                }
            }

            (State::Starting { role: Role::Run }, Event::Spawned(pid)) => {
                self.state = State::Up { pid, ready: None, paused: false, stop: Stop::No };
                self.since = now;
                // A killed supervisor's successor may have come to this long after the start was written down.
                self.started = Some(now);
                self.trouble = None;
                self.daemon = if settings.forking.is_some() { Daemon::Launching } else { Daemon::No };
                out.push(Action::Publish(Note::Up));
            }
            (State::Starting { role: Role::Run }, Event::SpawnFailed { retry, trouble }) => {
                if self.want == Want::Once {
                    self.want = Want::Down;
                }
                self.trouble = Some(trouble);
                self.state = State::Down { not_before: self.retry_at(now, retry, settings) };
                out.push(Action::Publish(Note::Trouble));
                self.leave_if_told(out);
            }
            (State::Starting { role: Role::Finish }, Event::Spawned(pid)) => {
                let kill_at = after(now, settings.timeout_finish);
                let kill_at = if self.forced {
                    Some(kill_at.map_or(now + KILL_AGAIN, |at| at.min(now + KILL_AGAIN)))
                } else {
                    kill_at
                };
                self.state = State::Finish { pid, kill_at };
                out.push(Action::Publish(Note::Finishing));
            }
            // No finish, or none that can be executed: it counts as done. But what could not be undone stays.
            (State::Starting { role: Role::Finish }, Event::SpawnFailed { trouble, .. }) => {
                if self.undoing {
                    self.undone(trouble.errno == NOTHING_TO_DO);
                    self.trouble = self.done.then_some(trouble);
                    out.push(Action::Publish(Note::Changed));
                } else {
                    self.ends_once(trouble, settings);
                    self.judge(settings, out);
                }
                self.sweep(now, settings, out);
            }
            // The driver answers a spawn before it hears anybody; a command that comes all the same changes the wish only.
            (State::Starting { .. }, Event::Command(command)) => self.wish(command),

            // Others were told that it is not: it is not again before its next start.
            (State::Up { ready: None, stop, .. }, Event::Ready) if stop.withdraws(settings) => {}
            (State::Up { pid, ready: None, paused, stop }, Event::Ready) => {
                self.state = State::Up { pid, ready: Some(now), paused, stop };
                out.push(Action::Publish(Note::Ready));
            }
            // The first newline counts; a successor finds the pipe open again and may read a second one.
            (State::Up { ready: Some(_), .. }, Event::Ready) => {}
            (State::Up { stop, .. }, Event::Exited(exit)) => self.run_ended(now, exit, stop, settings, out),
            (State::Up { ready, stop: Stop::No, .. }, Event::Forked(pid)) => {
                self.daemon = Daemon::Found;
                // Where it says by itself when it is ready, that counts.
                let is_news = ready.is_none() && settings.notification_fd.is_none();
                let ready = if is_news { Some(now) } else { ready };
                self.state = State::Up { pid, ready, paused: false, stop: Stop::No };
                out.push(Action::Publish(if is_news { Note::Ready } else { Note::Changed }));
            }
            // It was to stop before: what it has left behind is swept.
            (State::Up { stop, .. }, Event::Forked(_)) => {
                self.run_ended(now, Exit::Code(0), stop, settings, out);
            }
            (State::Up { pid, ready, stop: Stop::No, .. }, Event::Main(main)) if main != pid => {
                self.daemon = Daemon::Found;
                self.state = State::Up { pid: main, ready, paused: false, stop: Stop::No };
                out.push(Action::Publish(Note::Changed));
            }
            // A stop is about the process that was told: who is named meanwhile is stopped with what is left.
            (State::Up { .. }, Event::Main(_)) => {}
            (State::Up { pid, ready, paused, stop }, Event::Deadline) if stop.until().is_some_and(|at| now >= at) => {
                let running = Running { pid, ready, paused, stop };
                self.begin(now, running, stop.next(settings), Note::Changed, settings, out);
            }
            (State::Up { pid, ready, paused, stop }, Event::Errand { well }) => {
                self.errand_ended(now, Running { pid, ready, paused, stop }, well, settings, out);
            }
            (State::Up { pid, ready, paused, stop }, Event::Extend(span)) if !self.forced => {
                let longer = match stop {
                    Stop::Command { until } => Stop::Command { until: until.max(now + span) },
                    Stop::Signal { step, until: Some(at) } => Stop::Signal { step, until: Some(at.max(now + span)) },
                    // It has all the time, or none any more; and a drain is as long as its definition says.
                    Stop::No | Stop::Drain { .. } | Stop::Signal { until: None, .. } | Stop::Kill { .. } => stop,
                };
                self.state = State::Up { pid, ready, paused, stop: longer };
            }
            (State::Up { pid, ready, paused, stop: Stop::No }, Event::Idle) if settings.on_demand.is_some() => {
                self.called = true;
                self.stop(now, Running { pid, ready, paused, stop: Stop::No }, settings, out);
            }
            (State::Up { pid, ready, paused, stop }, Event::Command(command)) => {
                self.command_when_up(now, Running { pid, ready, paused, stop }, command, settings, out);
            }

            (State::Finish { .. }, Event::Exited(exit)) if self.undoing => {
                self.undone(exit == Exit::Code(0));
                self.remember(now, exit, false);
                self.sweep(now, settings, out);
            }
            (State::Finish { .. }, Event::Exited(exit)) => {
                if exit == PERMANENT_FAILURE {
                    self.want = Want::Down;
                    self.failed = true;
                    self.hasten = false;
                    out.push(Action::Publish(Note::Failed));
                } else {
                    self.judge(settings, out);
                }
                self.sweep(now, settings, out);
            }
            (State::Finish { pid, kill_at: Some(at) }, Event::Deadline) if now >= at => {
                kill(Target::Main, out);
                self.state = State::Finish { pid, kill_at: Some(now + KILL_AGAIN) };
                out.push(Action::Publish(Note::Killed));
            }
            (State::Finish { pid, .. }, Event::Command(Command::Force)) => {
                self.wish(Command::Force);
                kill(Target::Group, out);
                out.push(Action::Sweep(Signal::KILL));
                self.state = State::Finish { pid, kill_at: Some(now + KILL_AGAIN) };
                out.push(Action::Publish(Note::Killed));
            }
            (State::Finish { .. } | State::Sweep { .. }, Event::Command(Command::Abandon | Command::Interrupt)) => {
                self.quit(out)
            }
            (State::Finish { .. }, Event::Command(command)) => {
                self.wish(command);
                out.push(Action::Publish(Note::Changed));
            }

            (State::Sweep { .. }, Event::Swept { left: 0 }) => self.settle(now, settings, out),
            (State::Sweep { kill_at, announced: false }, Event::Swept { .. }) => {
                self.state = State::Sweep { kill_at, announced: true };
                out.push(Action::Publish(Note::Draining));
            }
            (State::Sweep { announced: true, .. }, Event::Swept { .. }) => {}
            (State::Sweep { kill_at, announced }, Event::Deadline) => {
                if now >= kill_at {
                    self.state = State::Sweep { kill_at: now + KILL_AGAIN, announced };
                    out.push(Action::Publish(Note::Killed));
                    out.push(Action::Sweep(Signal::KILL));
                }
            }
            (State::Sweep { announced, .. }, Event::Command(Command::Force)) => {
                self.wish(Command::Force);
                self.state = State::Sweep { kill_at: now + KILL_AGAIN, announced };
                out.push(Action::Publish(Note::Killed));
                out.push(Action::Sweep(Signal::KILL));
            }
            (State::Sweep { .. }, Event::Command(command)) => {
                self.wish(command);
                out.push(Action::Publish(Note::Changed));
            }

            // Deadlines that have not come, or that belong to a wish that changed.
            (State::Up { .. } | State::Finish { .. } | State::Starting { .. }, Event::Deadline) => {}
            // A newline that was under way when `run` died; s6 reads readiness before deaths, and so does the driver.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Ready,
            ) => {}
            // Nobody counts the time that it takes: its start is counted by who asked for it.
            (
                State::Down { .. }
                | State::Armed
                | State::Starting { .. }
                | State::Up { .. }
                | State::Finish { .. }
                | State::Sweep { .. },
                Event::Extend(_),
            ) => {}
            // It was for a stop that is over.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Errand { .. },
            ) => {}
            // It has been started meanwhile, and looks for itself who is there; or it is not to be started.
            (
                State::Down { .. } | State::Starting { .. } | State::Up { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Knock,
            ) => {}
            // It is on the way down already.
            (
                State::Down { .. }
                | State::Armed
                | State::Starting { .. }
                | State::Up { .. }
                | State::Finish { .. }
                | State::Sweep { .. },
                Event::Idle,
            ) => {}
            // Descendants come and go beside a living main process; they count once it is gone.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Up { .. } | State::Finish { .. },
                Event::Swept { .. },
            ) => {}
            // Answers to questions nobody asked: a late exit of a process that was taken note of before.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Sweep { .. },
                Event::Exited(_) | Event::Forked(_),
            ) => {}
            // finish is the last.
            (State::Finish { .. }, Event::Forked(_)) => {}
            // Nothing runs any more that could have another main process.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Main(_),
            ) => {}
            (
                State::Down { .. } | State::Armed | State::Up { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Spawned(_) | Event::SpawnFailed { .. },
            ) => {}
            (
                State::Gone,
                Event::Deadline
                | Event::Spawned(_)
                | Event::SpawnFailed { .. }
                | Event::Exited(_)
                | Event::Forked(_)
                | Event::Main(_)
                | Event::Ready
                | Event::Swept { .. }
                | Event::Errand { .. }
                | Event::Extend(_)
                | Event::Knock
                | Event::Idle
                | Event::Command(_),
            ) => {}
        }
    }

    /// Goes on where a predecessor was killed: signals that it may not have sent are sent again, which does no harm.
    pub fn resume(&mut self, out: &mut Actions, settings: &Settings) {
        match self.state {
            State::Up { .. } if self.forced => {
                kill(Target::Group, out);
                out.push(Action::Sweep(Signal::KILL));
            }
            State::Up { stop, paused: false, .. } => stop::resume(stop, settings, out),
            // What the state says of a pause must be so, or a service stays stopped and nobody knows.
            State::Up { .. } => out.push(Action::Signal { target: Target::Main, signal: Signal::STOP }),
            State::Sweep { .. } => out.push(Action::Sweep(if self.forced { Signal::KILL } else { Signal::TERM })),
            State::Down { .. } | State::Armed => self.leave_if_told(out),
            State::Starting { .. } | State::Finish { .. } | State::Gone => {}
        }
    }

    fn spawn_run(&mut self, now: Millis, out: &mut Actions) {
        self.state = State::Starting { role: Role::Run };
        self.started = Some(now);
        self.starts += 1;
        self.failed = false;
        self.rest = Rest::No;
        self.called = false;
        self.hasten = false;
        self.done = false;
        out.push(Action::Publish(Note::Starting));
        out.push(Action::Spawn(Role::Run));
    }

    /// Whether it has come to its end in such a way that it waits for the next one who knocks.
    fn is_to_wait(&self, settings: &Settings) -> bool {
        settings.on_demand.is_some() && !self.hasten && (self.done || self.called)
    }

    fn arm(&mut self, now: Millis, out: &mut Actions) {
        self.state = State::Armed;
        self.since = now;
        out.push(Action::Publish(Note::Armed));
    }

    fn run_ended(&mut self, now: Millis, exit: Exit, stop: Stop, settings: &Settings, out: &mut Actions) {
        self.done = settings.is_success(exit);
        // Who is started on demand and ends well has done what was to be done.
        let is_over = settings.on_demand.is_some() && self.done;
        let by_itself = self.want == Want::Up && stop == Stop::No && !self.called && !is_over;
        self.remember(now, exit, by_itself);
        if is_over {
            self.streak = 0;
        }
        if by_itself {
            self.count(settings);
        }
        if self.want == Want::Once {
            self.want = Want::Down;
        }
        self.state = State::Starting { role: Role::Finish };
        out.push(Action::Publish(Note::Exited));
        out.push(Action::Spawn(Role::Finish));
    }

    fn remember(&mut self, now: Millis, exit: Exit, counts: bool) {
        let ran = now - self.started.unwrap_or(now);
        self.past.rotate_right(1);
        self.past[0] = Some(Past { exit, ended: now, ran, counts });
        self.deaths += 1;
        self.since = now;
    }

    /// It ended by itself: how long the series is by now, and whether this was its last end.
    fn count(&mut self, settings: &Settings) {
        let (Some(last), Some(restart)) = (self.last(), settings.restart()) else { return };
        self.streak = if last.ran >= restart.reset_after { 1 } else { self.streak.saturating_add(1) };
        self.draw();
        let recent = |past: &Past| past.counts && last.ended - past.ended < restart.window;
        self.rest = if !restart.again(last.exit, settings.is_success(last.exit)) {
            Rest::Ended
        } else if restart.limit > 0 && self.past().filter(recent).count() >= usize::from(restart.limit) {
            Rest::Limit
        } else {
            Rest::No
        };
    }

    /// There is no `finish` to say what the end of an essential service means.
    fn ends_once(&mut self, trouble: Trouble, settings: &Settings) {
        let by_itself = self.last().is_some_and(|past| past.counts);
        if trouble.errno == NOTHING_TO_DO && by_itself && settings.ends_once() && self.rest == Rest::No {
            self.rest = Rest::Ended;
        }
    }

    /// `finish` is over: here what its last end means becomes so, unless somebody asked for something else meanwhile.
    fn judge(&mut self, settings: &Settings, out: &mut Actions) {
        if self.rest == Rest::No || self.want != Want::Up {
            return;
        }
        self.want = Want::Down;
        self.hasten = false;
        self.failed = self.rest == Rest::Limit || !self.last().is_some_and(|past| settings.is_success(past.exit));
        out.push(Action::Publish(if self.failed { Note::Failed } else { Note::Changed }));
    }

    /// When to try again what could not be started: a policy may want it later than its driver does.
    fn retry_at(&mut self, now: Millis, retry: Millis, settings: &Settings) -> Millis {
        if settings.restart().is_none() || self.want == Want::Down {
            return now + retry;
        }
        self.streak = self.streak.saturating_add(1);
        self.draw();
        let by_policy = self.started.unwrap_or(now) + settings.restart_delay(self.streak, self.chance);
        by_policy.max(now + retry)
    }

    /// The next number of the series (that of Numerical Recipes; its high bits are good enough to spread restarts).
    fn draw(&mut self) {
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }

    /// Somebody asks for a start: what was counted before is forgotten.
    fn forgive(&mut self) {
        self.failed = false;
        self.rest = Rest::No;
        self.streak = 0;
        self.past.iter_mut().flatten().for_each(|past| past.counts = false);
    }

    /// The attempt to undo what was done is over.
    fn undone(&mut self, well: bool) {
        self.undoing = false;
        self.done = !well;
    }

    /// `finish` is done: what is left of the service comes next.
    fn sweep(&mut self, now: Millis, settings: &Settings, out: &mut Actions) {
        if settings.keep_descendants {
            self.settle(now, settings, out);
            return;
        }
        let grace = if settings.timeout_kill == Millis::ZERO { SWEEP_GRACE } else { settings.timeout_kill };
        let (signal, grace) = if self.forced { (Signal::KILL, KILL_AGAIN) } else { (Signal::TERM, grace) };
        self.state = State::Sweep { kill_at: now + grace, announced: false };
        out.push(Action::Sweep(signal));
    }

    /// Nothing of the service is left.
    fn settle(&mut self, now: Millis, settings: &Settings, out: &mut Actions) {
        let delay = settings.restart_delay(self.streak, self.chance);
        let gap_over = self.started.map_or(now, |started| started + delay);
        let not_before = if self.hasten { now } else { gap_over.max(now) };
        self.state = State::Down { not_before };
        out.push(Action::Publish(Note::Down));
        self.leave_if_told(out);
    }

    fn leave_if_told(&mut self, out: &mut Actions) {
        if self.leaving {
            self.quit(out);
        }
    }

    fn quit(&mut self, out: &mut Actions) {
        self.state = State::Gone;
        out.push(Action::Quit);
    }
}

/// SIGCONT behind SIGKILL too: a stopped process in a PID namespace of its own needs it.
fn kill(target: Target, out: &mut Actions) {
    out.push(Action::Signal { target, signal: Signal::KILL });
    out.push(Action::Signal { target, signal: Signal::CONT });
}

/// A point in time after `span`, where zero means never.
fn after(now: Millis, span: Millis) -> Option<Millis> {
    (span != Millis::ZERO).then(|| now + span)
}
