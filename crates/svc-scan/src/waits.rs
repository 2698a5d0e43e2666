//! Clients who wait for something to happen to services. State is looked at before and after each event, so nothing is missed.

use svc_core::graph::RequestId;
use svc_core::health::Verdict as Health;
use svc_core::service::{Rest, State, Stop, Want};
use svc_core::{Exit, Millis, Service};
use svc_proto::api::{self, Until, Verdict};
use tokio::sync::oneshot;

use crate::matching;

/// What one service is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Happened already, or cannot happen.
    Settled,
    Until(Until),
    /// Ready; but one that cannot be started is not waited for.
    Comes,
    /// Nothing left of it; but one that is to stay after all is not waited for.
    Ends,
    /// Started anew, or armed anew: more starts than there were, or an end.
    Started {
        before: u64,
        deaths: u64,
    },
    /// A run more than there were, and its end.
    Ran {
        before: u64,
    },
    /// Nothing left of it, and nobody wants it up.
    Stopped,
    /// Neither it nor its name is left.
    Gone,
    /// What stands on disk has been read and taken in. It is of no service.
    Read,
    /// Its files were made again, and it has been reloaded.
    Made,
    /// The command of its condition has ended.
    Judged,
    /// What was asked of the graph is over. `deaths` is the mark of the order: what has ended since then counts, however soon.
    Request {
        id: RequestId,
        up: bool,
        deaths: u64,
    },
}

impl Goal {
    /// Whether the next service of the name can reach it as well.
    pub(crate) fn is_of_the_next(self) -> bool {
        match self {
            Goal::Until(Until::Up | Until::Ready | Until::Healthy) | Goal::Comes | Goal::Request { up: true, .. } => true,
            Goal::Until(Until::Down | Until::Finished | Until::Gone)
            | Goal::Request { up: false, .. }
            | Goal::Ends
            | Goal::Settled
            | Goal::Started { .. }
            | Goal::Ran { .. }
            | Goal::Stopped
            | Goal::Gone
            | Goal::Read
            | Goal::Made
            | Goal::Judged => false,
        }
    }
}

/// Where a goal stands.
pub(crate) enum Standing {
    Open,
    Reached,
    /// It will not be reached by waiting.
    Missed(String),
}

/// Looks at a service with a goal in mind. `says_ready`: it says when it is. `health`: what is found of it, if it is looked at.
pub(crate) fn look(goal: Goal, machine: &Service, says_ready: bool, health: Option<Health>) -> Standing {
    let (up, ready, stopping) = match machine.state() {
        // What is told to stop is not ready for anybody any more.
        State::Up { stop: Stop::No, .. } if machine.prepares() => (false, false, false),
        State::Up { ready, stop: Stop::No, .. } => (true, ready.is_some() || !says_ready, false),
        State::Up { .. } => (true, false, true),
        // Whoever comes finds its sockets, and they start it.
        State::Armed => (true, true, false),
        State::Down { .. } | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } | State::Gone => {
            (false, false, false)
        }
    };
    let nothing_left = matches!(machine.state(), State::Down { .. } | State::Armed | State::Gone);
    let reached = match goal {
        Goal::Settled => true,
        Goal::Until(Until::Up) => up,
        Goal::Until(Until::Ready) | Goal::Comes => ready,
        Goal::Until(Until::Healthy) if health.is_none() => {
            return Standing::Missed("has no health check: give it one, or wait for ready".into());
        }
        Goal::Until(Until::Healthy) => machine.state() == State::Armed || ready && health == Some(Health::Healthy),
        Goal::Until(Until::Down) => nothing_left || !matches!(machine.state(), State::Up { .. } | State::Starting { .. }),
        Goal::Until(Until::Finished | Until::Gone) | Goal::Ends => nothing_left,
        // One that is started on demand, and that nobody waits for, is armed again.
        Goal::Started { before, deaths } => {
            let again = machine.starts() > before || machine.state() == State::Armed && machine.deaths() > deaths;
            again && ready && !stopping
        }
        Goal::Stopped => nothing_left && machine.want() == Want::Down,
        Goal::Ran { before } => {
            let well = machine.last().is_some_and(|past| past.exit == Exit::Code(0));
            machine.starts() > before && nothing_left && machine.trouble().is_none() && well
        }
        // The graph says when it is.
        Goal::Request { .. } => false,
        Goal::Gone | Goal::Read | Goal::Made | Goal::Judged => return Standing::Open,
    };
    if reached {
        return Standing::Reached;
    }
    match goal {
        Goal::Started { before, deaths } => {
            // The trouble of an earlier try says nothing of the one that was asked for.
            if machine.starts() > before && machine.trouble().is_some() && nothing_left {
                return Standing::Missed("could not be started".into());
            }
            if machine.failed() && nothing_left && machine.deaths() > deaths {
                return Standing::Missed(failed(machine).into());
            }
            let died = machine.starts() > before && machine.deaths() > deaths + u64::from(stopping);
            // That was before somebody asked for the start that is to come.
            let is_earlier = machine.want() != Want::Down && machine.last().is_some_and(|past| !past.counts);
            if died && !is_earlier && !up && nothing_left {
                let how = machine.last().map_or_else(String::new, |past| format!(" ({})", past.exit));
                return Standing::Missed(format!("ended before it was ready{how}"));
            }
            Standing::Open
        }
        Goal::Ran { before } if machine.starts() > before && nothing_left => match (machine.trouble(), machine.last()) {
            (None, Some(past)) => Standing::Missed(format!("{} after {:.1} s", past.exit, past.ran.0 as f64 / 1000.0)),
            (Some(_), _) | (None, None) => Standing::Missed("could not be started".into()),
        },
        Goal::Ran { .. } => Standing::Open,
        Goal::Comes if machine.trouble().is_some() && nothing_left => Standing::Missed("could not be started".into()),
        Goal::Until(Until::Up | Until::Ready | Until::Healthy) | Goal::Comes if machine.failed() && nothing_left => {
            Standing::Missed(failed(machine).into())
        }
        Goal::Until(Until::Up | Until::Ready | Until::Healthy) | Goal::Comes if matching::rests(machine) => {
            let how = machine.last().map_or_else(String::new, |past| format!(" ({})", past.exit));
            Standing::Missed(format!("has ended{how}, after which it is not started again: svc-ctl start starts it"))
        }
        Goal::Settled | Goal::Until(_) | Goal::Comes | Goal::Ends | Goal::Stopped | Goal::Gone => Standing::Open,
        Goal::Read | Goal::Made | Goal::Judged | Goal::Request { .. } => Standing::Open,
    }
}

/// Whether a supervisor that has heard the order wants something else since.
pub(crate) fn is_contradicted(goal: Goal, machine: &Service) -> bool {
    let down = machine.want() == Want::Down;
    match goal {
        Goal::Stopped => !down,
        // What it came to by itself is told as that, when nothing is left of it.
        Goal::Started { before, .. } if machine.starts() <= before => {
            down && !machine.failed() && machine.rest() == Rest::No
        }
        Goal::Started { .. } => down && matches!(machine.state(), State::Up { stop, .. } if stop != Stop::No),
        Goal::Comes => down && !machine.failed() && machine.rest() == Rest::No,
        Goal::Settled | Goal::Until(_) | Goal::Ends | Goal::Gone | Goal::Read => false,
        Goal::Ran { .. } | Goal::Made | Goal::Judged | Goal::Request { .. } => false,
    }
}

/// One service that a client waits for.
pub(crate) struct Item {
    pub(crate) service: String,
    pub(crate) goal: Goal,
    pub(crate) outcome: Option<api::Outcome>,
}

impl Item {
    /// That of whoever waits for what stands on disk to be taken in.
    pub(crate) fn read() -> Item {
        Item { service: String::new(), goal: Goal::Read, outcome: None }
    }
}

/// One client that waits.
pub(crate) struct Waiter {
    pub(crate) items: Vec<Item>,
    /// One is enough.
    pub(crate) any: bool,
    pub(crate) deadline: Option<Millis>,
    pub(crate) began: Millis,
    pub(crate) answer: Option<Answer>,
}

pub(crate) enum Answer {
    Control(oneshot::Sender<Result<api::Outcomes, String>>),
    Wait(oneshot::Sender<api::Outcomes>),
    Rescan(oneshot::Sender<api::Done>),
}

impl Waiter {
    pub(crate) fn is_over(&self) -> bool {
        let done = |item: &Item| item.outcome.as_ref().is_some_and(|outcome| outcome.result == Verdict::Done);
        self.items.iter().all(|item| item.outcome.is_some()) || self.any && self.items.iter().any(done)
    }

    /// Whether the client has gone away.
    pub(crate) fn is_abandoned(&self) -> bool {
        match &self.answer {
            Some(Answer::Control(answer)) => answer.is_closed(),
            Some(Answer::Wait(answer)) => answer.is_closed(),
            Some(Answer::Rescan(answer)) => answer.is_closed(),
            None => true,
        }
    }

    /// `services`: how many there are.
    pub(crate) fn reply(&mut self, services: usize) {
        let outcomes = self.items.drain(..).filter_map(|item| item.outcome).collect();
        let outcomes = api::Outcomes { outcomes };
        match self.answer.take() {
            Some(Answer::Control(answer)) => drop(answer.send(Ok(outcomes))),
            Some(Answer::Wait(answer)) => drop(answer.send(outcomes)),
            Some(Answer::Rescan(answer)) => {
                let are = if services == 1 { "service" } else { "services" };
                drop(answer.send(api::Done { message: format!("looked at all directories again: {services} {are}") }));
            }
            None => {}
        }
    }
}

fn failed(machine: &Service) -> &'static str {
    match machine.rest() {
        Rest::No => "has failed for good (its finish said 125)",
        Rest::Ended => "has failed for good (after such an end it is not started again)",
        Rest::Limit if machine.ends_in_vain() => {
            "has failed for good (it ends without taking those who wait at its sockets)"
        }
        Rest::Limit => "has failed for good (it has ended too often)",
    }
}
