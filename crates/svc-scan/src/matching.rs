//! What a supervisor says, compared with what the graph takes to be so: what the graph must hear, or the supervisor be told once
//! more. It looks at states and not at messages, so nothing is lost with a message, a supervisor or a svc-scan.

use svc_core::graph::{Event, Id, Level, Progress, Reason};
use svc_core::service::{Past, Rest, Role, State, Stop, Want};
use svc_core::{Command, Exit, Service, Settings};

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Fits,
    Hear(Event),
    Tell(Command),
}

/// What its supervisor had counted when it was last told to start or to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) starts: u64,
    pub(crate) undone: u64,
}

impl Counted {
    pub(crate) fn of(machine: &Service) -> Counted {
        Counted { starts: machine.starts(), undone: undone(machine) }
    }
}

/// How often it was tried to take down what it had done: ends that are not those of its starts. One that runs will end.
fn undone(machine: &Service) -> u64 {
    let runs = match machine.state() {
        State::Up { .. } | State::Starting { role: Role::Run } => 1,
        State::Starting { role: Role::Finish } | State::Finish { .. } | State::Sweep { .. } => 0,
        State::Down { .. } | State::Armed | State::Gone => 0,
    };
    (machine.deaths() + runs).saturating_sub(machine.starts())
}

/// Whether it has ended, and is started again when its delay is over.
pub(crate) fn is_delayed(machine: &Service) -> bool {
    matches!(machine.state(), State::Down { .. }) && machine.want() == Want::Up
}

/// Whether it has ended, and is started again when nothing is left of it and its delay is over.
pub(crate) fn comes_back(machine: &Service) -> bool {
    let has_ended = match machine.state() {
        State::Down { .. } | State::Starting { role: Role::Finish } | State::Finish { .. } | State::Sweep { .. } => true,
        State::Armed | State::Starting { role: Role::Run } | State::Up { .. } | State::Gone => false,
    };
    has_ended && machine.want() == Want::Up
}

/// Whether its last end was a success, and all that was asked of it: it was to run once, or is not started again after such an end.
pub(crate) fn is_well(machine: &Service, last: Past, settings: &Settings) -> bool {
    settings.is_success(last.exit) && (!last.counts || machine.rest() == Rest::Ended)
}

/// Whether it has ended by itself and well, and its policy does not start it again.
pub(crate) fn rests(machine: &Service) -> bool {
    let is_down = matches!(machine.state(), State::Down { .. } | State::Gone) && machine.want() == Want::Down;
    is_down && machine.rest() == Rest::Ended && !machine.failed()
}

/// A service that runs until it is stopped.
pub(crate) fn process(id: Id, progress: Progress, machine: &Service, counted: Counted) -> Match {
    let wanted = machine.want() != Want::Down;
    match (progress, machine.state()) {
        (Progress::Stopping { .. }, State::Up { stop: Stop::No, .. }) => Match::Tell(Command::Stop),
        (Progress::Stopping { .. }, State::Down { .. } | State::Armed) if wanted => Match::Tell(Command::Stop),
        (Progress::Stopping { .. }, State::Down { .. } | State::Gone) => Match::Hear(Event::Stopped(id)),
        (Progress::Stopping { .. }, _) => Match::Fits,

        // Whoever is stopping it already will say so when it is down.
        (_, State::Up { stop, .. }) if stop != Stop::No => Match::Fits,
        // Its program is not executed yet, and maybe never.
        (Progress::Up(_), State::Up { .. }) if machine.prepares() => Match::Hear(Event::Died(id)),
        (_, State::Up { .. }) if machine.prepares() => Match::Fits,
        (Progress::Up(Level::Started), State::Up { ready: Some(_), .. }) => Match::Hear(Event::Ready(id)),
        (Progress::Up(_), State::Up { .. }) => Match::Fits,
        (_, State::Up { ready: Some(_), .. }) => Match::Hear(Event::Ready(id)),
        (_, State::Up { ready: None, .. }) => Match::Hear(Event::Started(id)),

        // Its sockets are there for whoever comes, and that is all that others need of it.
        (Progress::Up(Level::Ready | Level::Unhealthy | Level::Healthy), State::Armed) => Match::Fits,
        (_, State::Armed) => Match::Hear(Event::Ready(id)),

        (Progress::Starting, State::Down { .. }) if !wanted && machine.starts() == counted.starts => {
            Match::Tell(Command::Start)
        }
        (Progress::Completed, State::Down { .. } | State::Gone) if rests(machine) => Match::Fits,
        // It may have come and gone between two reports: what it was counts as if it had been seen.
        (Progress::Starting | Progress::Up(Level::Started), State::Down { .. } | State::Gone)
            if rests(machine) && machine.was_ready() =>
        {
            Match::Hear(Event::Ready(id))
        }
        (Progress::Starting | Progress::Up(_), State::Down { .. } | State::Gone) if rests(machine) => {
            Match::Hear(Event::Completed(id))
        }
        (Progress::Starting | Progress::Up(_) | Progress::Completed, State::Down { .. } | State::Gone) if !wanted => {
            Match::Hear(if machine.failed() { Event::Failed(id, ended(machine)) } else { Event::Stopped(id) })
        }
        (Progress::Up(_), State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } | State::Down { .. })
            if wanted =>
        {
            Match::Hear(Event::Died(id))
        }
        (_, State::Down { .. } | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } | State::Gone) => {
            Match::Fits
        }
    }
}

/// One that is started on demand, or `at_once` where somebody has asked for that: it comes and goes as it is needed, and is there for
/// others all the time.
pub(crate) fn on_demand(id: Id, progress: Progress, machine: &Service, counted: Counted, at_once: bool) -> Match {
    match process(id, progress, machine, counted) {
        Match::Tell(Command::Start) if !at_once => Match::Tell(Command::Arm),
        Match::Hear(Event::Died(_)) => Match::Fits,
        other @ (Match::Fits | Match::Hear(_) | Match::Tell(_)) => other,
    }
}

/// A timer, which is up by itself: only the end of the run that is under way must be waited for.
pub(crate) fn timer(id: Id, progress: Progress, machine: &Service) -> Match {
    match (progress, machine.state()) {
        (Progress::Stopping { .. }, State::Up { stop: Stop::No, .. }) => Match::Tell(Command::Stop),
        (Progress::Stopping { .. }, State::Down { .. }) if machine.want() != Want::Down => Match::Tell(Command::Stop),
        (Progress::Stopping { .. }, State::Down { .. } | State::Gone) => Match::Hear(Event::Stopped(id)),
        (Progress::Stopping { .. }, _) => Match::Fits,
        (Progress::Starting, _) => Match::Hear(Event::Started(id)),
        (
            Progress::Down
            | Progress::Waiting
            | Progress::Awaiting
            | Progress::Up(_)
            | Progress::Completed
            | Progress::Failed(_),
            _,
        ) => Match::Fits,
    }
}

/// One that runs to its end.
pub(crate) fn oneshot(id: Id, progress: Progress, machine: &Service, counted: Counted) -> Match {
    match (progress, machine.state()) {
        (Progress::Stopping { .. }, State::Up { stop: Stop::No, .. }) => Match::Tell(Command::Undo),
        (Progress::Stopping { .. }, State::Down { .. })
            if machine.done() && machine.trouble().is_none() && undone(machine) <= counted.undone =>
        {
            Match::Tell(Command::Undo)
        }
        // It waits for somebody who has it.
        (Progress::Stopping { .. }, State::Down { .. }) if machine.want() != Want::Down => Match::Tell(Command::Undo),
        // What could not be undone is told elsewhere; the others need not wait for it.
        (Progress::Stopping { .. }, State::Down { .. } | State::Gone) => Match::Hear(Event::Stopped(id)),
        (Progress::Stopping { .. }, _) => Match::Fits,

        (Progress::Starting, State::Up { .. }) if !machine.prepares() => Match::Hear(Event::Started(id)),
        (Progress::Starting, State::Down { .. }) if machine.starts() == counted.starts => Match::Tell(Command::Once),
        (Progress::Starting | Progress::Up(_), State::Down { .. }) if machine.done() => Match::Hear(Event::Completed(id)),
        // Somebody else has it, and is waited for.
        (Progress::Starting, State::Down { .. }) if machine.want() == Want::Once => Match::Fits,
        (Progress::Starting | Progress::Up(_), State::Down { .. } | State::Gone) => {
            Match::Hear(Event::Failed(id, ended(machine)))
        }
        (Progress::Completed, State::Down { .. } | State::Gone) if !machine.done() => Match::Hear(Event::Stopped(id)),
        (Progress::Down, State::Down { .. }) if machine.done() => Match::Hear(Event::Completed(id)),
        (
            Progress::Down
            | Progress::Waiting
            | Progress::Awaiting
            | Progress::Starting
            | Progress::Up(_)
            | Progress::Completed
            | Progress::Failed(_),
            _,
        ) => Match::Fits,
    }
}

/// Why it is not there.
pub(crate) fn ended(machine: &Service) -> Reason {
    match (machine.trouble(), machine.last()) {
        (Some(trouble), _) => Reason::Trouble(trouble),
        (None, Some(past)) => Reason::Exit(past.exit),
        (None, None) => Reason::Exit(Exit::Code(svc_sys::exit::SYSTEM)),
    }
}
