//! What the machine of a service speaks of: what is wished, what is, what happens, and what is to be done.

use crate::Pid;
use crate::actions::List;
use crate::graph::Wish;
use crate::signal::{Exit, Signal};
use crate::time::Millis;

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

/// How far the stop of a `run` that lives has come; `service/stop.rs` has what comes after what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    No,
    /// Others are told that it is not ready; itself it has been told nothing yet.
    Drain {
        until: Millis,
    },
    /// Its command was called, and it is to end of that.
    Command {
        until: Millis,
    },
    /// It was sent the signal of this step; that of the first is the down signal.
    Signal {
        step: u8,
        until: Option<Millis>,
    },
    /// SIGKILL was sent.
    Kill {
        again: Millis,
    },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The time of [`Service::deadline`] has come (early or spurious calls do no harm).
    Deadline,
    /// The process asked for by [`Action::Spawn`] runs its program.
    Spawned(Pid),
    /// It is made, and makes ready what its program needs: it is not up before that is executed.
    Prepares(Pid),
    /// What was made ready is executed.
    Executed,
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
    /// The service says that this other process of it is its main one. The one before may live on, or end, like any other.
    Main(Pid),
    /// A newline came on the notification descriptor.
    Ready,
    /// So many processes of the service are left (the answer to [`Action::Sweep`], and whenever one of them ended).
    Swept {
        left: usize,
    },
    /// What [`Action::Errand`] asked for has ended, or could not be run.
    Errand {
        well: bool,
    },
    /// It asks for so much time from now on, if that is more than it has.
    Extend(Millis),
    /// A connection or datagram waits at one of its sockets.
    Knock,
    /// Nobody has come to its sockets for as long as it is to wait, and nobody is there.
    Idle,
    /// It has taken somebody who had knocked, or may have. Comes before its end.
    Served,
    /// It is not as it is to be, ill or too heavy: it is to end, and that is a failure of its own.
    Unfit,
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
    /// Remember why one that is wished is stopped. Changes nothing else.
    Recall(Recall),
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
    /// The same where everything ends: a stop that waits for a drain or a command goes on with the signal.
    Hurry,
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
    /// Run what the stop waits for: what looks whether it is drained, or the command that stops it.
    Errand,
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
    /// What makes ready what the program needs has ended without executing it; in the place of an errno stands its exit code.
    Prepare,
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
    /// The kernel had killed processes of it because memory was out.
    pub starved: bool,
    /// It had not fed its watchdog.
    pub unfed: bool,
    /// It had said that it is ready.
    pub ready: bool,
    /// It had been told to stop.
    pub stopped: bool,
}

/// Why who steers a service stops one that is wished; kept here for the svc-scan after a killed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Recall {
    /// It does not.
    #[default]
    No,
    /// Because of others, or to start it again: it comes back as soon as they let it.
    Order,
    /// It was not ready in time, and is not started again.
    Late,
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

/// The actions of one step; the list is as long as the longest that comes out of one.
pub type Actions = List<Action, 6>;
