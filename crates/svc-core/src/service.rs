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

/// What somebody wants of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want {
    Down,
    Up,
    /// Up, but not again after it ends.
    Once,
}

/// Which program of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Run,
    Finish,
}

/// What is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing of it lives. It is not started by itself before `not_before`.
    Down { not_before: Millis },
    /// Nothing of it lives, and who knocks at its sockets starts it.
    Armed,
    /// A process is being made. Lasts within one turn of the driver.
    Starting { role: Role },
    /// `run` lives.
    Up { pid: Pid, ready: Option<Millis>, paused: bool, stop: Stop },
    /// `finish` lives.
    Finish { pid: Pid, kill_at: Option<Millis> },
    /// Only what the main process left behind lives; it has been signalled. `announced`: others know that there is something.
    Sweep { kill_at: Millis, announced: bool },
    /// The supervisor is leaving; nothing happens any more.
    Gone,
}

/// Whether `run` has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    No,
    Asked { kill_at: Option<Millis> },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The time of [`Service::deadline`] has come (early or spurious calls do no harm).
    Deadline,
    /// The process asked for by [`Action::Spawn`] runs its program.
    Spawned(Pid),
    /// It could not be made; try again after `retry`. For `finish` this also says that there is none.
    SpawnFailed {
        retry: Millis,
        trouble: Trouble,
    },
    /// The main process, or `finish`, ended.
    Exited(Exit),
    /// The main process ended with 0 and left this one behind, which is the service now: the command of a forking daemon, or
    /// what it had put into the background and did the same.
    Forked(Pid),
    /// A newline came on the notification descriptor.
    Ready,
    /// So many processes of the service are left (the answer to [`Action::Sweep`], and whenever one of them ended).
    Swept {
        left: usize,
    },
    /// It asks for so much time from now on, if that is more than it has.
    Extend(Millis),
    /// A connection or datagram waits at one of its sockets.
    Knock,
    /// Nobody has come to its sockets for as long as it is to wait, and nobody is there.
    Idle,
    Command(Command),
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Start,
    /// Start it when somebody knocks; what runs is left alone.
    Arm,
    Stop,
    Once,
    /// Do not start it again; what runs goes on until it ends by itself.
    AtMostOnce,
    /// Stop if it is up, and start again as soon as nothing is left of it.
    Restart,
    /// Take down what a `run` has done that has ended well: a oneshot's `down`, which is its `finish`.
    Undo,
    /// Remember this of who steers the service: how much it is wished. Changes nothing else.
    Wish(Wish),
    /// Send the reload signal.
    Reload,
    /// Send the down signal, and change no wish: a service that is wanted up comes back.
    DownSignal,
    Kill(Signal),
    /// The signal goes to its process group.
    KillGroup(Signal),
    Pause,
    Continue,
    /// Do not start it again, and leave when it has ended by itself (a logger whose input has ended).
    Drain,
    /// Stop it, and leave.
    Terminate,
    /// SIGKILL to everything, and leave.
    Force,
    /// Leave at once, and leave the service alone.
    Abandon,
    /// SIGINT to its process group, and leave at once.
    Interrupt,
}

/// What to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Spawn(Role),
    Signal {
        target: Target,
        signal: Signal,
    },
    /// Signal every process of the service but the main one, and count them.
    Sweep(Signal),
    /// Make the state known, and say what happened.
    Publish(Note),
    /// End the supervisor.
    Quit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Main,
    Group,
}

/// What a publication is about; the words of `svc-ctl events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Note {
    Starting,
    Up,
    Ready,
    Stopping,
    /// The main process ended.
    Exited,
    Finishing,
    /// Processes it left behind are being stopped.
    Draining,
    Down,
    /// Who knocks starts it.
    Armed,
    /// `finish` said 125.
    Failed,
    /// It could not be started.
    Trouble,
    /// Wish or pause changed.
    Changed,
    /// SIGKILL was needed.
    Killed,
}

/// Why a process could not be made: the step, and what the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trouble {
    pub stage: Stage,
    pub errno: i32,
}

/// The steps on the way to a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The service directory could not be entered.
    Directory,
    /// A pipe or socket could not be made.
    Pipe,
    /// The process could not be made.
    Fork,
    /// A PID namespace could not be made.
    Namespace,
    /// The lock file could not be opened.
    Lock,
    /// Somebody else supervises the directory: an s6, or another svc.
    Supervised,
    /// The program could not be executed.
    Exec,
}

/// Whether the main process is what was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Daemon {
    /// It is.
    No,
    /// It is, and is to leave a daemon behind when it ends.
    Launching,
    /// It is the daemon that was left behind.
    Found,
}

/// How one run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    pub exit: Exit,
    pub ended: Millis,
    pub ran: Millis,
    /// Nobody had asked for it, and nobody has asked for a start since: it counts against the limit.
    pub counts: bool,
}

/// Why a service that ended by itself is not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// Nothing of the kind has happened.
    #[default]
    No,
    /// After an end like its last one it is not to be started.
    Ended,
    /// It has ended too often.
    Limit,
}

/// How many ends the machine itself remembers; what a killed supervisor's successor still knows.
pub const HISTORY: usize = 16;

/// At most this many actions come out of a step.
const MAX_ACTIONS: usize = 6;

/// The actions of one step, without a heap.
#[derive(Debug, Default)]
pub struct Actions {
    list: [Option<Action>; MAX_ACTIONS],
    length: usize,
}

impl Actions {
    fn push(&mut self, action: Action) {
        // A seventh action would be a bug of this file that the simulation sees as a missing action; nothing here may panic.
        if let Some(slot) = self.list.get_mut(self.length) {
            *slot = Some(action);
            self.length += 1;
        }
    }

    /// Takes them out, first first.
    pub fn drain(&mut self) -> impl Iterator<Item = Action> + use<> {
        self.length = 0;
        core::mem::take(&mut self.list).into_iter().flatten()
    }
}

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
            State::Up { stop: Stop::Asked { kill_at }, .. } => kill_at,
            State::Finish { kill_at, .. } => kill_at,
            State::Sweep { kill_at, .. } => Some(kill_at),
            State::Up { stop: Stop::No, .. } | State::Armed | State::Starting { .. } | State::Gone => None,
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
            (State::Up { stop: stop @ Stop::Asked { .. }, .. }, Event::Forked(_)) => {
                self.run_ended(now, Exit::Code(0), stop, settings, out);
            }
            (State::Up { pid, ready, stop: Stop::Asked { kill_at: Some(at) }, .. }, Event::Deadline) if now >= at => {
                let target = if settings.kill_group { Target::Group } else { Target::Main };
                kill(target, out);
                let stop = Stop::Asked { kill_at: Some(now + KILL_AGAIN) };
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Killed));
            }
            (State::Up { pid, ready, paused, stop: Stop::Asked { kill_at: Some(at) } }, Event::Extend(span))
                if !self.forced =>
            {
                let kill_at = Some(at.max(now + span));
                self.state = State::Up { pid, ready, paused, stop: Stop::Asked { kill_at } };
            }
            (State::Up { pid, ready, stop: Stop::No, .. }, Event::Idle) if settings.on_demand.is_some() => {
                self.called = true;
                stop_signals(settings, out);
                let stop = Stop::Asked { kill_at: after(now, settings.timeout_kill) };
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Stopping));
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
                | Event::Ready
                | Event::Swept { .. }
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
            State::Up { stop: Stop::Asked { .. }, paused: false, .. } => stop_signals(settings, out),
            // What the state says of a pause must be so, or a service stays stopped and nobody knows.
            State::Up { paused, .. } => {
                let signal = if paused { Signal::STOP } else { Signal::CONT };
                out.push(Action::Signal { target: Target::Main, signal });
            }
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

    fn command_when_down(&mut self, now: Millis, command: Command, out: &mut Actions) {
        self.wish(command);
        match command {
            Command::Start | Command::Once | Command::Restart => self.spawn_run(now, out),
            Command::Arm | Command::Stop | Command::AtMostOnce => out.push(Action::Publish(Note::Changed)),
            Command::Undo if self.done => {
                self.undoing = true;
                self.started = Some(now);
                self.state = State::Starting { role: Role::Finish };
                out.push(Action::Publish(Note::Stopping));
                out.push(Action::Spawn(Role::Finish));
            }
            // Nothing has been done.
            Command::Undo => out.push(Action::Publish(Note::Changed)),
            Command::Drain | Command::Terminate | Command::Force | Command::Abandon | Command::Interrupt => self.quit(out),
            // Nobody is there to get it; svc-scan says so to the one who asked.
            Command::Wish(_)
            | Command::Reload
            | Command::DownSignal
            | Command::Kill(_)
            | Command::KillGroup(_)
            | Command::Pause
            | Command::Continue => {}
        }
    }

    fn command_when_up(&mut self, now: Millis, running: Running, command: Command, settings: &Settings, out: &mut Actions) {
        self.wish(command);
        let Running { pid, ready, paused, stop } = running;
        match command {
            // It is to read to the end of its input, and a stopped one never does.
            Command::Drain if paused => {
                out.push(Action::Signal { target: Target::Main, signal: Signal::CONT });
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Changed));
            }
            Command::Start | Command::Arm | Command::Once | Command::AtMostOnce | Command::Drain => {
                out.push(Action::Publish(Note::Changed));
            }
            // What is still being done is broken off.
            Command::Stop | Command::Undo | Command::Terminate | Command::Restart => {
                stop_signals(settings, out);
                let stop = Stop::Asked { kill_at: after(now, settings.timeout_kill) };
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Stopping));
            }
            Command::Wish(_) => {}
            Command::Reload => out.push(Action::Signal { target: Target::Main, signal: settings.reload_signal }),
            Command::DownSignal => {
                self.called = true;
                self.send(running, Target::Main, settings.down_signal, out);
            }
            Command::Kill(signal) => self.send(running, Target::Main, signal, out),
            Command::KillGroup(signal) => self.send(running, Target::Group, signal, out),
            Command::Pause => self.send(running, Target::Main, Signal::STOP, out),
            Command::Continue => self.send(running, Target::Main, Signal::CONT, out),
            Command::Force => {
                kill(Target::Group, out);
                out.push(Action::Sweep(Signal::KILL));
                let stop = Stop::Asked { kill_at: Some(now + KILL_AGAIN) };
                self.state = State::Up { pid, ready, paused: false, stop };
                out.push(Action::Publish(Note::Killed));
            }
            Command::Abandon => self.quit(out),
            Command::Interrupt => {
                out.push(Action::Signal { target: Target::Group, signal: Signal::INT });
                self.quit(out);
            }
        }
    }

    /// Sends a signal that changes nothing, unless it is one that stops or continues.
    fn send(&mut self, running: Running, target: Target, signal: Signal, out: &mut Actions) {
        let Running { pid, ready, paused, stop } = running;
        out.push(Action::Signal { target, signal });
        let paused = (paused || signal == Signal::STOP) && signal != Signal::CONT;
        self.state = State::Up { pid, ready, paused, stop };
        out.push(Action::Publish(Note::Changed));
    }

    /// The part of a command that is a wish.
    fn wish(&mut self, command: Command) {
        match command {
            // Somebody who leaves takes no wish back: the end of everything is decided above us.
            Command::Start | Command::Restart if !self.leaving => {
                self.want = Want::Up;
                // A start of one that is up already asks for nothing, and so not for less delay after its death either.
                self.hasten |= command == Command::Restart || !matches!(self.state, State::Up { stop: Stop::No, .. });
                self.forgive();
            }
            Command::Arm if !self.leaving => {
                self.want = Want::Up;
                // What is over, or was told to end, ends for that.
                self.called |= !matches!(self.state, State::Up { stop: Stop::No, .. } | State::Starting { role: Role::Run });
                self.forgive();
            }
            Command::Once if !self.leaving => {
                self.want = Want::Once;
                self.forgive();
            }
            Command::Stop | Command::AtMostOnce | Command::Undo => self.want = Want::Down,
            Command::Wish(wish) => self.wished = wish,
            Command::Drain | Command::Terminate | Command::Force => {
                self.want = Want::Down;
                self.leaving = true;
                self.forced |= command == Command::Force;
            }
            Command::Start
            | Command::Arm
            | Command::Restart
            | Command::Once
            | Command::Reload
            | Command::DownSignal
            | Command::Kill(_)
            | Command::KillGroup(_)
            | Command::Pause
            | Command::Continue
            | Command::Abandon
            | Command::Interrupt => {}
        }
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

/// The fields of [`State::Up`], to hand them on together.
#[derive(Clone, Copy)]
struct Running {
    pid: Pid,
    ready: Option<Millis>,
    paused: bool,
    stop: Stop,
}

/// SIGCONT behind the down signal: a stopped process would not notice it otherwise.
fn stop_signals(settings: &Settings, out: &mut Actions) {
    out.push(Action::Signal { target: Target::Main, signal: settings.down_signal });
    out.push(Action::Signal { target: Target::Main, signal: Signal::CONT });
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
