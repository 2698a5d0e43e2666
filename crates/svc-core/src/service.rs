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
mod ends;
mod parts;
mod stop;

pub use parts::{
    Action, Actions, Command, Daemon, Event, HISTORY, Note, Past, Recall, Rest, Role, Stage, State, Stop, Target, Trouble,
    Want,
};

use commands::Running;

use alloc::vec::Vec;

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
/// So often in a row somebody may knock and not be taken by a service that ends well; a limit of its policy takes the place of this.
/// The one who knocks still waits then, and would start it for ever.
pub const KNOCKS_IN_VAIN: u8 = 10;
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
    /// Its process has not executed its program yet.
    pub(crate) preparing: bool,
    /// What svc-scan wishes of it, where it decides when it starts; kept here for the svc-scan after a killed one.
    pub(crate) wished: Wish,
    /// Why it was stopped all the same, if nothing was started since.
    pub(crate) recall: Recall,
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
    /// It was stopped because it was not as it is to be: its end is its own, and no success.
    pub(crate) unfit: bool,
    /// So many knocks in a row have started it, and it has taken nobody since.
    pub(crate) vain: u8,
    /// What [`Service::starve`] said of the run that is about to end; nobody asks for it in between.
    pub(crate) starved: bool,
    /// It is being killed for not having fed its watchdog.
    pub(crate) unfed: bool,
    /// The last ends, newest first, at most [`HISTORY`]. Most services have none, and svc-scan has a thousand of those.
    pub(crate) past: Vec<Past>,
}

impl Service {
    /// Nothing of it runs, and it has nothing to do before something happens.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Down { .. } | State::Armed | State::Gone)
    }

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
            preparing: false,
            wished: Wish::Down,
            recall: Recall::No,
            started: None,
            since: now,
            starts: 0,
            deaths: 0,
            trouble: None,
            streak: 0,
            chance: 0,
            rest: Rest::No,
            called: false,
            unfit: false,
            vain: 0,
            starved: false,
            unfed: false,
            past: Vec::new(),
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
        self.past.first().copied()
    }

    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Which start of which program this is, as the ledger notes it beside the pid.
    pub fn start_mark(&self, role: Role) -> u32 {
        let role = match role {
            Role::Run => 0,
            Role::Finish => 1,
        };
        (self.starts as u32) << 1 | role
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
        let runs = matches!(self.state, State::Up { stop: Stop::No, .. }) && !self.preparing;
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

    /// The kernel has killed processes of it because memory was out: its end, which is told next, says so.
    pub fn starve(&mut self) {
        self.starved = true;
    }

    /// It is killed because it has not fed its watchdog: its end, which comes now, says so.
    pub fn unfeed(&mut self) {
        self.unfed = true;
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

            (State::Armed, Event::Knock) => {
                self.vain = self.vain.saturating_add(1);
                self.spawn_run(now, out);
            }
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
                self.begin_run(now, pid, settings);
                self.trouble = None;
                out.push(Action::Publish(Note::Up));
            }
            // What was in the way before may be so still.
            (State::Starting { role: Role::Run }, Event::Prepares(pid)) => {
                self.begin_run(now, pid, settings);
                self.preparing = true;
                out.push(Action::Publish(Note::Changed));
            }
            (State::Up { .. }, Event::Executed) if self.preparing => {
                self.preparing = false;
                self.since = now;
                self.trouble = None;
                out.push(Action::Publish(Note::Up));
            }
            // An heir may not know better.
            (State::Up { .. }, Event::Executed) => {}
            (State::Starting { role: Role::Run }, Event::SpawnFailed { retry, trouble }) => {
                // Who has it will have ended sometime.
                if self.want == Want::Once && trouble.stage != Stage::Supervised {
                    self.want = Want::Down;
                }
                self.trouble = Some(trouble);
                self.state = State::Down { not_before: self.retry_at(now, retry, settings) };
                out.push(Action::Publish(Note::Trouble));
                self.leave_if_told(out);
            }
            (State::Starting { role: Role::Finish }, Event::Spawned(pid) | Event::Prepares(pid)) => {
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
                    self.judge(out);
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
            (State::Up { .. }, Event::Served) => self.vain = 0,
            (State::Up { pid, ready, paused, stop: Stop::No }, Event::Unfit) => {
                self.unfit = true;
                self.stop(now, Running { pid, ready, paused, stop: Stop::No }, settings, out);
            }
            // It is being stopped already.
            (State::Up { .. }, Event::Unfit) => {}
            (State::Up { pid, ready, paused, stop }, Event::Command(command)) => {
                self.command_when_up(now, Running { pid, ready, paused, stop }, command, settings, out);
            }

            (State::Finish { .. }, Event::Exited(exit)) if self.undoing => {
                self.undone(exit == Exit::Code(0));
                self.remember(now, exit, false);
                self.sweep(now, settings, out);
            }
            (State::Finish { .. }, Event::Exited(exit)) => {
                // Who was stopped is not to start again in any case.
                if exit == PERMANENT_FAILURE && self.want != Want::Down {
                    self.want = Want::Down;
                    self.failed = true;
                    self.hasten = false;
                    out.push(Action::Publish(Note::Failed));
                } else {
                    self.judge(out);
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
                self.abandon(out)
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
            // Nobody can be taken by what does not run, nor can that be ill.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Served | Event::Unfit,
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
                Event::Spawned(_) | Event::Prepares(_) | Event::SpawnFailed { .. },
            ) => {}
            // What it is about has ended.
            (
                State::Down { .. } | State::Armed | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. },
                Event::Executed,
            ) => {}
            (
                State::Gone,
                Event::Deadline
                | Event::Spawned(_)
                | Event::Prepares(_)
                | Event::Executed
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
                | Event::Served
                | Event::Unfit
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
        self.recall = Recall::No;
        self.called = false;
        self.unfit = false;
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

    fn begin_run(&mut self, now: Millis, pid: Pid, settings: &Settings) {
        self.state = State::Up { pid, ready: None, paused: false, stop: Stop::No };
        self.since = now;
        // A killed supervisor's successor may have come to this long after the start was written down.
        self.started = Some(now);
        self.daemon = if settings.forking.is_some() { Daemon::Launching } else { Daemon::No };
        self.preparing = false;
    }

    fn leave_if_told(&mut self, out: &mut Actions) {
        if self.leaving {
            self.quit(out);
        }
    }

    /// Leaves a service alone of which something is left: whoever goes on with it leaves when that has ended, if this one was to.
    fn abandon(&mut self, out: &mut Actions) {
        self.leaving = false;
        self.quit(out);
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
