//! Clients who wait: looked at when something has happened, and told when it is what they wait for, or too late.

use super::{Hub, Member};
use crate::matching;
use crate::status::{self, Now};
use crate::waits::{Answer, Goal, Item, Waiter};
use svc_core::graph::Progress;
use svc_core::roster::Unlaunched;
use svc_core::service::{Past, State, Stop, Want};
use svc_proto::api;
use svc_sys::clock;

impl Hub {
    pub(super) fn wait_for(&mut self, items: Vec<Item>, any: bool, timeout_ms: Option<u64>, answer: Answer) {
        let began = clock::now();
        let deadline = timeout_ms.map(|timeout| began + svc_core::Millis(timeout));
        self.waiters.retain(|waiter| !waiter.is_abandoned());
        let mut waiter = Waiter { items, any, deadline, began, answer: Some(answer) };
        let has_taken_in = self.has_taken_in();
        waiter.items.retain(|item| !(has_taken_in && item.goal == Goal::Read));
        for item in &mut waiter.items {
            self.check(item, began);
            self.check_request(item, began);
        }
        self.waiters.push(waiter);
        self.answer_waiters();
    }

    /// Where one stands whose supervisor cannot be started: nothing runs of it where it never had one.
    pub(super) fn without_supervisor(&self, slot: u32, member: &Member, goal: Goal) -> Option<(api::Verdict, String)> {
        let unlaunched = self.roster.unlaunched(slot)?;
        let problem = member.trouble()?.clone();
        match (goal, unlaunched) {
            (Goal::Stopped | Goal::Ends | Goal::Until(api::Until::Down | api::Until::Finished), Unlaunched::Nothing) => {
                Some((api::Verdict::Done, "down".into()))
            }
            (Goal::Stopped | Goal::Started { .. } | Goal::Ran { .. } | Goal::Comes | Goal::Request { up: true, .. }, _) => {
                Some((api::Verdict::Failed, problem))
            }
            // It may be as it was, and comes to be known when there is room again.
            (Goal::Until(_) | Goal::Ends | Goal::Request { up: false, .. }, _) => None,
            (Goal::Settled | Goal::Gone | Goal::Read | Goal::Made | Goal::Judged, _) => None,
        }
    }

    pub(super) fn check_waiters(&mut self, slot: u32) {
        let Some(name) = self.members.get(&slot).map(|member| member.name.to_string()) else { return };
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let began = waiter.began;
            for item in waiter.items.iter_mut().filter(|item| item.service == name) {
                self.check(item, began);
            }
        }
        self.waiters = waiters;
        self.answer_waiters();
    }

    /// Looks at what clients wait for once more, where the graph knows it.
    pub(super) fn check_nodes(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let has_taken_in = self.has_taken_in();
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let began = waiter.began;
            waiter.items.retain(|item| !(has_taken_in && item.goal == Goal::Read));
            for item in waiter.items.iter_mut().filter(|item| item.outcome.is_none()) {
                match item.goal {
                    Goal::Until(_) | Goal::Comes | Goal::Ends | Goal::Started { .. }
                        if self.engine.graph().id(&item.service).is_some() =>
                    {
                        self.check(item, began)
                    }
                    Goal::Gone => self.check(item, began),
                    Goal::Settled | Goal::Until(_) | Goal::Comes | Goal::Ends | Goal::Started { .. } => {
                        item.outcome = self.without_process(&item.service, item.goal)
                    }
                    Goal::Read | Goal::Ran { .. } | Goal::Stopped | Goal::Made | Goal::Judged | Goal::Request { .. } => {}
                }
            }
        }
        self.waiters = waiters;
        self.answer_waiters();
    }

    pub(super) fn time_out(&mut self, index: usize) {
        let Some(mut waiter) = self.waiters.get_mut(index).map(|waiter| Waiter {
            items: std::mem::take(&mut waiter.items),
            any: waiter.any,
            deadline: None,
            began: waiter.began,
            answer: waiter.answer.take(),
        }) else {
            return;
        };
        let now = clock::now();
        waiter.items.retain(|item| item.goal != Goal::Read);
        for item in waiter.items.iter_mut().filter(|item| item.outcome.is_none()) {
            if let Some(outcome) = self.reached_alone(item, waiter.began) {
                item.outcome = Some(outcome);
                continue;
            }
            let status = self.status_of_any(&item.service);
            let state = status
                .as_ref()
                .map_or_else(|| "not there".to_owned(), |status| format!("{:?}", status.state).to_lowercase());
            let seconds = (now - waiter.began).0 as f64 / 1000.0;
            let why = status.as_ref().and_then(|status| status.problem.as_ref().or(status.reason.as_ref()));
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            let but = status.as_ref().map_or_else(String::new, |status| short_of(item.goal, status));
            let message = format!("still {state}{but} after {seconds:.1} s{why}");
            item.outcome =
                Some(api::Outcome { service: item.service.clone(), result: api::Verdict::TimedOut, message, status });
        }
        self.waiters[index] = waiter;
    }

    /// One that is where it was to be, while others of the same order are not.
    fn reached_alone(&self, item: &Item, began: svc_core::Millis) -> Option<api::Outcome> {
        let Goal::Request { up, .. } = item.goal else { return None };
        let id = self.engine.graph().id(&item.service)?;
        // It may be there still, and to be restarted when the others are gone.
        let stays = self.engine.blockers(id).is_empty();
        let is_there = if up { stays && self.is_there(id) } else { self.engine.progress(id) == Progress::Down };
        is_there.then(|| api::Outcome {
            service: item.service.clone(),
            result: api::Verdict::Done,
            message: self.told_of(&item.service, began),
            status: self.status_named(&item.service),
        })
    }

    pub(super) fn answer_waiters(&mut self) {
        let services = self.members.len();
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            if waiter.is_over() {
                if waiter.items.len() > 1 && matches!(waiter.answer, Some(Answer::Control(_))) {
                    waiter.items.iter_mut().for_each(|item| self.look_again(item, waiter.began));
                }
                if waiter.any {
                    // With one that is there the others need not be.
                    waiter.items.retain(|item| item.outcome.is_some());
                }
                waiter.reply(services);
            }
        }
        waiters.retain(|waiter| !waiter.is_abandoned());
        self.waiters = waiters;
        self.logs.drop_gone();
    }

    /// What was up when it was found so, and has ended while others were waited for, is told as that. A single run that has ended well
    /// did what was asked.
    fn look_again(&self, item: &mut Item, began: svc_core::Millis) {
        let Some(outcome) = item.outcome.as_mut().filter(|_| item.goal != Goal::Settled) else { return };
        let up = |status: &&api::Status| status.state == api::State::Up && status.timer.is_none();
        let Some(was) = outcome.status.as_ref().filter(up).filter(|_| outcome.result == api::Verdict::Done) else { return };
        let member = self.slot_named(&item.service).and_then(|slot| self.members.get(&slot));
        let Some((member, machine)) = member.and_then(|member| Some((member, member.machine.as_ref()?))) else { return };
        let (lasts, stopped) = match machine.state() {
            State::Up { stop, .. } => {
                (status::restarts(machine, member.definition.is_oneshot()) == was.restarts, stop != Stop::No)
            }
            State::Armed => (true, false),
            State::Down { .. } | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } | State::Gone => {
                (false, machine.last().is_some_and(|last| last.stopped))
            }
        };
        let is_over = machine.want() == Want::Down;
        match machine.last() {
            _ if is_over && stopped => {
                outcome.result = api::Verdict::Failed;
                outcome.message = self.otherwise();
            }
            Some(_) if lasts => return,
            None => return,
            Some(last) if is_over && matching::is_well(machine, last, &member.definition.settings()) => {
                outcome.message = self.told(member, machine, began);
            }
            Some(last) => {
                outcome.result = api::Verdict::Failed;
                outcome.message = ended_since(last);
            }
        }
        outcome.status = Some(self.status(member, Now::read()));
    }
}

/// What is to be said of one that was started, and has ended while others were waited for.
pub(super) fn ended_since(last: Past) -> String {
    format!("was up, and has ended since ({})", last.exit)
}

/// What one that is up lacks of what it was waited for.
fn short_of(goal: Goal, status: &api::Status) -> String {
    let health = status.health.as_ref().filter(|health| health.verdict != Some(api::HealthVerdict::Healthy));
    let lacks = match (status.state, goal) {
        (api::State::Up, Goal::Ends | Goal::Until(api::Until::Down | api::Until::Finished | api::Until::Up)) => None,
        (api::State::Up, _) if status.ready == Some(false) => Some("and not ready".to_owned()),
        (api::State::Up, Goal::Until(api::Until::Healthy)) => health.map(|health| {
            health.probe.as_ref().map_or("and not healthy".into(), |what| format!("and not healthy ({what})"))
        }),
        (_, _) => None,
    };
    lacks.map_or_else(String::new, |lacks| format!(" {lacks}"))
}
