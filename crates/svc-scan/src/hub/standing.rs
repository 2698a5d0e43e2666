//! Where services stand for those who wait for them: who is there, who has failed, and what is told of each.

use super::members::GONE;
use super::outcomes::Told;
use super::waiting::ended_since;
use super::{Hub, Member};
use crate::status::{self, Now};
use crate::waits::{self, Goal, Item, Standing};
use svc_core::Service;
use svc_core::graph::{Id, Kind, Level, Progress, Reason, Refusal, Wish};
use svc_core::service::State;
use svc_proto::api;
use svc_sys::clock;

impl Hub {
    /// Clients whose requests to the graph are over hear of it.
    pub(super) fn answer_requests(&mut self) {
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let began = waiter.began;
            for item in &mut waiter.items {
                self.check_request(item, began);
            }
        }
        self.waiters = waiters;
        self.answer_waiters();
    }

    pub(super) fn check_request(&self, item: &mut Item, began: svc_core::Millis) {
        let Goal::Request { id, up, deaths } = item.goal else { return };
        let Some(told) = self.outcomes.get(&id).filter(|_| item.outcome.is_none()) else { return };
        let failed = told.failed.iter().find(|(name, _)| *name == item.service).map(|(_, reason)| reason.clone());
        let failed = failed.or_else(|| self.failed_within(&item.service, told));
        let since = || if up { self.not_up_any_more(&item.service) } else { self.not_down_any_more(&item.service, deaths) };
        let refused = told.refused.as_ref().map(|refusal| self.refused(refusal, &item.service));
        let (result, message) = match refused.or(failed).or_else(since) {
            Some(message) => (api::Verdict::Failed, message),
            None => (api::Verdict::Done, self.told_of(&item.service, began)),
        };
        let status = self.status_named(&item.service);
        item.outcome = Some(api::Outcome { service: item.service.clone(), result, message, status });
    }

    /// What is to be said of a bundle by which its members stand and fall.
    fn failed_within(&self, name: &str, told: &Told) -> Option<String> {
        let graph = self.engine.graph();
        let id = graph.id(name).filter(|&id| graph.node(id).kind == Kind::Bundle)?;
        let is_within = |name: &str| graph.edges(id).iter().any(|edge| graph.name(edge.to) == name);
        told.failed.iter().find(|(name, _)| is_within(name)).map(|(name, why)| format!("{name}: {why}"))
    }

    /// What is to be said of one that was started, and has ended while others were waited for.
    fn not_up_any_more(&self, name: &str) -> Option<String> {
        let id = self.engine.graph().id(name).filter(|&id| self.engine.graph().node(id).kind == Kind::Process)?;
        match self.engine.progress(id) {
            Progress::Starting => Some(ended_since(self.machine_of(id)?.last()?)),
            Progress::Failed(_) => match self.stand(id) {
                Stand::Failed(why) => Some(format!("was up, and is not any more: {why}")),
                Stand::Up | Stand::Down | Stand::Between => None,
            },
            Progress::Stopping { .. } => (self.engine.wish(id) == Wish::Down).then(|| self.otherwise()),
            // One that was to run once, and has ended by itself, did what was asked.
            Progress::Down => {
                let stopped = self.is_timer(name) || self.machine_of(id)?.last()?.stopped;
                stopped.then(|| self.otherwise())
            }
            Progress::Waiting | Progress::Awaiting | Progress::Up(_) | Progress::Completed => None,
        }
    }

    /// What is to be said of one that was stopped, and was asked for while others were waited for.
    fn not_down_any_more(&self, name: &str, deaths: u64) -> Option<String> {
        let wanted = || self.wish_of(name).is_some_and(|wish| wish != Wish::Down).then(|| self.otherwise());
        self.not_undone(name, deaths).or_else(wanted)
    }

    /// What is to be said of a oneshot that was to be taken down, and is not. The graph takes it to be wanted again by then.
    fn not_undone(&self, name: &str, deaths: u64) -> Option<String> {
        let member = self.slot_named(name).and_then(|slot| self.members.get(&slot))?;
        let machine = member.machine.as_ref().filter(|machine| member.is_done(machine) && machine.deaths() > deaths)?;
        let failed = machine.last().filter(|past| !member.definition.settings().is_success(past.exit))?;
        Some(format!("its down failed ({}): what its up did stays as it is", failed.exit))
    }

    /// What has become of a service of the graph, in words.
    pub(super) fn told_of(&self, name: &str, began: svc_core::Millis) -> String {
        let member = self.slot_named(name).and_then(|slot| self.members.get(&slot));
        match member.and_then(|member| Some((member, member.machine.as_ref()?))) {
            Some((member, machine)) if self.is_scheduled(&member.name) => self.told_of_run(member, machine),
            Some((member, machine)) if member.is_done(machine) && !self.is_timer(name) => "done".into(),
            // What waits for it goes on as if it were there.
            _ if self.units.get(name).is_some_and(|unit| unit.skipped().is_some()) => {
                self.reason_of(name).unwrap_or_else(|| "skipped".into())
            }
            Some((member, machine)) => self.told(member, machine, began),
            None => match self.state_of_name(name) {
                api::State::Up => "up".into(),
                _ => "down".into(),
            },
        }
    }

    /// What a timer does, in words.
    fn told_of_run(&self, member: &Member, machine: &Service) -> String {
        match (machine.pid(), machine.last()) {
            (Some(pid), _) => format!("runs (pid {pid})"),
            (None, _) => {
                let next = self.timer_status(&member.name).and_then(|timer| timer.next_run_ms);
                let left = next.map(|at| status::rough(at.saturating_sub(clock::wall_ms())));
                left.map_or("scheduled".into(), |left| format!("scheduled, next run in {left}"))
            }
        }
    }

    /// Where a node stands that somebody waits for: a process by what its supervisor says, the others by what the graph says.
    fn check_node(&self, item: &mut Item, until: api::Until, id: Id, began: svc_core::Millis) {
        let up = matches!(until, api::Until::Up | api::Until::Ready | api::Until::Healthy);
        let (result, message) = match self.stand(id) {
            Stand::Up if up => (api::Verdict::Done, self.told_of(&item.service, began)),
            Stand::Failed(why) if up => (api::Verdict::Failed, why),
            Stand::Down | Stand::Failed(_) if !up => (api::Verdict::Done, "down".into()),
            // Nothing runs of what is left out, and others find it passed.
            Stand::Up if self.units.get(&item.service).is_some_and(|unit| unit.skipped().is_some()) => {
                (api::Verdict::Done, "down".into())
            }
            Stand::Up | Stand::Down | Stand::Failed(_) | Stand::Between => return,
        };
        let status = self.status_named(&item.service);
        item.outcome = Some(api::Outcome { service: item.service.clone(), result, message, status });
    }

    /// Whether everything that is to be up is, or has failed, or was stopped by somebody.
    pub(super) fn has_settled(&self) -> bool {
        let graph = self.engine.graph();
        graph.living().into_iter().filter(|&id| graph.node(id).up).all(|id| self.is_settled(id))
    }

    pub(super) fn is_settled(&self, id: Id) -> bool {
        let graph = self.engine.graph();
        if graph.node(id).kind == Kind::Bundle {
            return graph.edges(id).iter().all(|edge| self.is_settled(edge.to));
        }
        self.engine.wish(id) == Wish::Down || matches!(self.stand(id), Stand::Up | Stand::Failed(_))
    }

    /// Whether it is a bundle all of whose members are there.
    pub(super) fn is_whole(&self, id: Id) -> bool {
        let graph = self.engine.graph();
        graph.node(id).kind == Kind::Bundle && !graph.edges(id).is_empty() && self.stand(id) == Stand::Up
    }

    pub(super) fn is_there(&self, id: Id) -> bool {
        self.stand(id) == Stand::Up
    }

    /// A bundle stands where all in it do.
    fn stand(&self, id: Id) -> Stand {
        if self.engine.graph().node(id).kind == Kind::Bundle {
            let members: Vec<Stand> = self.engine.graph().edges(id).iter().map(|edge| self.stand(edge.to)).collect();
            let edges = self.engine.graph().edges(id).iter();
            let failed = members.iter().zip(edges).find(|(stand, _)| matches!(stand, Stand::Failed(_)));
            return match failed {
                Some((Stand::Failed(why), edge)) => Stand::Failed(format!("{}: {why}", self.engine.graph().name(edge.to))),
                _ if members.iter().all(|stand| *stand == Stand::Up) => Stand::Up,
                _ if members.iter().all(|stand| *stand == Stand::Down) => Stand::Down,
                _ => Stand::Between,
            };
        }
        match self.engine.progress(id) {
            Progress::Completed => Stand::Up,
            Progress::Up(level) if self.is_level(id, level) => Stand::Up,
            Progress::Down => Stand::Down,
            Progress::Failed(reason) => {
                let name = self.engine.graph().name(id);
                Stand::Failed(self.node_problem(name).unwrap_or_else(|| self.reason(id, reason)))
            }
            Progress::Waiting | Progress::Awaiting | Progress::Starting | Progress::Up(_) | Progress::Stopping { .. } => {
                Stand::Between
            }
        }
    }

    /// Whether a process that runs is up by that; a oneshot that runs is not.
    fn is_level(&self, id: Id, level: Level) -> bool {
        let node = self.engine.graph().node(id);
        node.kind == Kind::Process && (level >= Level::Ready || !node.readiness)
    }

    /// Whether what has this name is about to go, and another one is to have it.
    pub(super) fn is_giving_way(&self, name: &str) -> bool {
        let Some(slot) = self.slot_named(name) else { return false };
        let is_managed = self.members.get(&slot).is_some_and(|member| member.definition.is_managed());
        let is_over = self.replaced.contains(name) || is_managed && self.units.get(name).is_none();
        is_over || !self.roster.is_to_stay(slot)
    }

    pub(super) fn check(&self, item: &mut Item, began: svc_core::Millis) {
        if item.goal == Goal::Gone && self.slot_named(&item.service).is_none() && self.node_of(&item.service).is_none() {
            let (service, message) = (item.service.clone(), GONE.to_owned());
            item.outcome = Some(api::Outcome { service, result: api::Verdict::Done, message, status: None });
            return;
        }
        if item.goal.is_of_the_next() && self.is_giving_way(&item.service) {
            return;
        }
        if item.outcome.is_none() && self.is_taken_back(item.goal, &item.service) {
            let (service, message) = (item.service.clone(), self.otherwise());
            let status = self.status_named(&service);
            item.outcome = Some(api::Outcome { service, result: api::Verdict::Failed, message, status });
            return;
        }
        // It is up still, and comes when it has stopped.
        if let (Goal::Comes, Some(id)) = (item.goal, self.node_of(&item.service))
            && self.engine.is_leaving(id)
        {
            return;
        }
        // One that was to be started anew, and may not or cannot, is known to the graph alone.
        let (until, anew) = match item.goal {
            Goal::Until(until) => (Some(until), false),
            Goal::Comes => (Some(api::Until::Ready), false),
            Goal::Ends => (Some(api::Until::Finished), false),
            Goal::Started { .. } => (Some(api::Until::Ready), true),
            Goal::Settled | Goal::Ran { .. } | Goal::Stopped | Goal::Gone | Goal::Read => (None, false),
            Goal::Made | Goal::Judged | Goal::Request { .. } => (None, false),
        };
        if let (Some(until), Some(id), None) = (until, self.engine.graph().id(&item.service), &item.outcome) {
            let failed = matches!(self.engine.progress(id), Progress::Failed(_));
            let is_timer = !anew && self.is_timer(&item.service);
            if failed || self.engine.graph().node(id).kind != Kind::Process || is_timer {
                return self.check_node(item, until, id, began);
            }
        }
        let Some(slot) = self.slot_named(&item.service).filter(|_| item.outcome.is_none()) else { return };
        let Some(member) = self.members.get(&slot) else { return };
        let says_ready = member.definition.says_ready();
        let standing = |machine| waits::look(item.goal, machine, says_ready, member.verdict());
        let standing = member.machine.as_ref().map_or(Standing::Open, standing);
        let (result, message) = match (standing, &member.machine) {
            (Standing::Open, machine) => match self.without_supervisor(slot, member, item.goal) {
                Some(told) => told,
                None if machine.as_ref().is_some_and(|machine| self.is_contradicted(item.goal, member, machine)) => {
                    (api::Verdict::Failed, self.otherwise())
                }
                None => return,
            },
            (Standing::Reached, None) => return,
            (Standing::Reached, Some(machine)) => match item.goal {
                Goal::Ran { .. } => (api::Verdict::Done, ran(machine)),
                _ => (api::Verdict::Done, self.told(member, machine, began)),
            },
            // It is of an earlier run.
            (Standing::Missed(_), _) if matches!(item.goal, Goal::Started { .. }) && !member.has_heard_start() => return,
            (Standing::Missed(why), _) => {
                let problem = self.explained(member).map_or_else(String::new, |problem| format!(": {problem}"));
                (api::Verdict::Failed, format!("{why}{problem}"))
            }
        };
        let status = Some(self.status(member, Now::read()));
        item.outcome = Some(api::Outcome { service: item.service.clone(), result, message, status });
    }

    /// What is said of an order when somebody wants it otherwise by now.
    pub(super) fn otherwise(&self) -> String {
        let by_end = self.is_ending().then(|| Refusal::ShuttingDown.describe(|_| ""));
        by_end.unwrap_or_else(|| Reason::SUPERSEDED.into())
    }

    /// Whether what was to come or to go when the definitions are taken in is to do otherwise by now.
    fn is_taken_back(&self, goal: Goal, name: &str) -> bool {
        if !self.has_taken_in() {
            return false;
        }
        let node = self.engine.graph().id(name);
        let is_let_in = || self.units.get(name).is_some_and(|unit| unit.kept_out().is_none());
        match goal {
            Goal::Comes => node.is_some_and(|id| self.engine.wish(id) == Wish::Down),
            Goal::Ends => is_let_in() && node.is_some_and(|id| self.engine.is_to_stay(id)),
            Goal::Gone => self.units.get(name).is_some() || self.slot_named(name).is_some() && !self.is_giving_way(name),
            Goal::Settled
            | Goal::Until(_)
            | Goal::Started { .. }
            | Goal::Ran { .. }
            | Goal::Stopped
            | Goal::Read
            | Goal::Made
            | Goal::Judged
            | Goal::Request { .. } => false,
        }
    }

    /// Whether somebody wants it otherwise by now than this order did.
    fn is_contradicted(&self, goal: Goal, member: &Member, machine: &Service) -> bool {
        // A supervisor is told of a restart by the graph in two steps, and some leave the graph and come again.
        match member.definition.is_managed() {
            true => self.wish_of(member.name.as_str()) == Some(Wish::Down) && matches!(goal, Goal::Started { .. }),
            false => member.has_heard() && waits::is_contradicted(goal, machine),
        }
    }

    /// What happened, in words.
    pub(super) fn told(&self, member: &Member, machine: &Service, began: svc_core::Millis) -> String {
        let after = |at: svc_core::Millis| {
            let took = at - began;
            // What feels immediate needs no number.
            if took.0 < 50 { String::new() } else { format!(" after {:.1} s", took.0 as f64 / 1000.0) }
        };
        match machine.state() {
            State::Up { pid, ready: Some(at), .. } if member.definition.says_ready() => {
                format!("up (pid {pid}), ready{}", after(at))
            }
            State::Up { pid, .. } => format!("up (pid {pid})"),
            State::Down { .. } | State::Gone => {
                // What waited to be started had ended for another reason.
                let last = machine.last().filter(|past| !member.definition.is_on_demand() || past.ended >= began);
                let how = last.map_or_else(String::new, |past| format!(" ({})", past.exit));
                // One that was down before took no time.
                format!("down{how}{}", after(machine.since().max(began)))
            }
            State::Armed => "armed: the first connection or datagram starts it".into(),
            State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } => "down, and still finishing".into(),
        }
    }
}

/// Where a node of the graph stands, for somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    Up,
    Down,
    Failed(String),
    Between,
}

/// How the last run went, in words.
fn ran(machine: &Service) -> String {
    machine.last().map_or_else(String::new, |past| format!("ran for {:.1} s ({})", past.ran.0 as f64 / 1000.0, past.exit))
}
