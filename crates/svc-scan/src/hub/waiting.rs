//! Clients who wait: looked at when something has happened, and told when it is what they wait for, or too late.

use super::Hub;
use crate::waits::{Answer, Goal, Item, Waiter};
use svc_proto::api;
use svc_sys::clock;

impl Hub {
    pub(super) fn wait_for(&mut self, items: Vec<Item>, any: bool, timeout_ms: Option<u64>, answer: Answer) {
        let began = clock::now();
        let deadline = timeout_ms.map(|timeout| began + svc_core::Millis(timeout));
        self.waiters.retain(|waiter| !waiter.is_abandoned());
        let mut waiter = Waiter { items, any, deadline, began, answer: Some(answer) };
        for item in &mut waiter.items {
            self.check(item, began);
            self.check_request(item, began);
        }
        self.waiters.push(waiter);
        self.answer_waiters();
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
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let began = waiter.began;
            for item in waiter.items.iter_mut().filter(|item| item.outcome.is_none()) {
                match item.goal {
                    Goal::Until(_) | Goal::Started { .. } if self.engine.graph().id(&item.service).is_some() => {
                        self.check(item, began)
                    }
                    Goal::Settled => item.outcome = self.without_process(&item.service, item.goal),
                    Goal::Until(_)
                    | Goal::Started { .. }
                    | Goal::Ran { .. }
                    | Goal::Stopped
                    | Goal::Made
                    | Goal::Judged
                    | Goal::Request { .. } => {}
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
        for item in waiter.items.iter_mut().filter(|item| item.outcome.is_none()) {
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

    pub(super) fn answer_waiters(&mut self) {
        for waiter in &mut self.waiters {
            if waiter.is_over() {
                if waiter.any {
                    // With one that is there the others need not be.
                    waiter.items.retain(|item| item.outcome.is_some());
                }
                waiter.reply();
            }
        }
        self.waiters.retain(|waiter| !waiter.is_abandoned());
        self.logs.drop_gone();
    }
}

/// What one that is up lacks of what it was waited for.
fn short_of(goal: Goal, status: &api::Status) -> String {
    let health = status.health.as_ref().filter(|health| health.verdict != Some(api::HealthVerdict::Healthy));
    let lacks = match (status.state, goal) {
        (api::State::Up, Goal::Until(api::Until::Down | api::Until::Finished | api::Until::Up)) => None,
        (api::State::Up, _) if status.ready == Some(false) => Some("and not ready".to_owned()),
        (api::State::Up, Goal::Until(api::Until::Healthy)) => health.map(|health| {
            health.probe.as_ref().map_or("and not healthy".into(), |what| format!("and not healthy ({what})"))
        }),
        (_, _) => None,
    };
    lacks.map_or_else(String::new, |lacks| format!(" {lacks}"))
}
