//! What holds services back that nobody else here can do anything about: their conditions, and endpoints outside.

use std::collections::{BTreeMap, BTreeSet};

use super::Hub;
use crate::outside::{self, News, Reporter, Task};
use crate::units::Unit;
use crate::waits::{Goal, Item};
use svc_core::graph::{Event, Id, Progress, Reason, Wish};
use svc_core::service::State;
use svc_core::{Millis, Service, ServiceName};
use svc_proto::api;
use svc_sys::{clock, say};
use tokio::sync::mpsc;

pub(super) struct Admissions {
    reporter: Reporter,
    news: mpsc::UnboundedReceiver<News>,
    /// Those that wait for endpoints.
    waiting: BTreeMap<ServiceName, Waiting>,
    /// So many times something was asked; what an older question brings is of no interest.
    rounds: u64,
    /// The question that counts for each condition.
    asked: BTreeMap<ServiceName, u64>,
}

struct Waiting {
    round: u64,
    since: Millis,
    endpoints: Vec<Tried>,
    _tasks: Vec<Task>,
}

struct Tried {
    name: String,
    /// Why it is not there; none before the first answer.
    answer: Option<Result<(), String>>,
}

impl Admissions {
    pub(super) fn new() -> Admissions {
        let (reporter, news) = mpsc::unbounded_channel();
        Admissions { reporter, news, waiting: BTreeMap::new(), rounds: 0, asked: BTreeMap::new() }
    }

    pub(super) fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    pub(super) async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }
}

/// Whether something runs of it, or what it has done stands.
pub(super) fn stands(machine: &Service) -> bool {
    !matches!(machine.state(), State::Down { .. } | State::Gone) || machine.done()
}

impl Hub {
    /// Looks at conditions: those not looked at yet, and those that are to be looked at `again`.
    pub(super) fn judge(&mut self, again: &dyn Fn(&Unit) -> bool) {
        if self.recovered {
            // What a svc-scan before us let in stays until somebody asks for another look.
            let let_in: Vec<ServiceName> = self
                .members
                .values()
                // Who has said nothing yet may run; if not, it is looked at when that is known.
                .filter(|member| member.machine.as_ref().is_none_or(stands))
                .map(|member| member.name.clone())
                .collect();
            let_in.iter().for_each(|name| self.units.let_in(name));
        }
        for (name, dir, condition) in self.units.judge(again) {
            // It is being found out already; and a plan runs nothing.
            let is_asked = self.admissions.asked.contains_key(&name);
            if self.rehearsing || is_asked && !self.units.get(name.as_str()).is_some_and(again) {
                continue;
            }
            self.admissions.rounds += 1;
            let round = self.admissions.rounds;
            self.admissions.asked.insert(name.clone(), round);
            outside::run_condition(name, round, dir, condition, self.admissions.reporter.clone());
        }
    }

    pub(super) fn take_news(&mut self, news: News) {
        match news {
            News::Judged { name, round, verdict } => {
                if self.admissions.asked.get(&name) != Some(&round) {
                    return;
                }
                self.admissions.asked.remove(&name);
                let (was, blocked) = (self.kept_out(&name), self.blocked_by_others());
                let moved = self.moving(&self.moved_by(&name, &verdict));
                self.units.set_verdict(&name, verdict);
                self.compose();
                self.judged(&name, was.as_deref(), &blocked, moved);
                self.start_command();
            }
            News::Made { name, result } => self.made(&name, &result),
            News::Tried { name, round, index, answer } => {
                let Some(waiting) = self.admissions.waiting.get_mut(&name).filter(|waiting| waiting.round == round) else {
                    return;
                };
                let has_answered = answer.is_ok();
                if let Some(tried) = waiting.endpoints.get_mut(index) {
                    tried.answer = Some(answer);
                }
                let all = waiting.endpoints.iter().all(|tried| tried.answer == Some(Ok(())));
                let Some(id) = self.engine.graph().id(name.as_str()) else { return };
                if all {
                    self.admissions.waiting.remove(&name);
                    self.step_engine(Event::Reachable(id));
                } else if has_answered {
                    self.step_engine(Event::Answered(id, index));
                }
            }
        }
    }

    /// Whose conditions' commands are at work.
    pub(super) fn being_judged(&self) -> impl Iterator<Item = &ServiceName> {
        self.admissions.asked.keys()
    }

    fn kept_out(&self, name: &ServiceName) -> Option<String> {
        self.units.get(name.as_str()).and_then(Unit::kept_out).map(str::to_owned)
    }

    /// Who is wanted, and fails by what it needs.
    fn blocked_by_others(&self) -> BTreeSet<String> {
        let graph = self.engine.graph();
        let is_blocked = |id: &Id| {
            let fails = self.engine.failing(*id).map_or(self.engine.progress(*id), Progress::Failed);
            matches!(fails, Progress::Failed(Reason::Dependency(_)))
        };
        graph.living().into_iter().filter(is_blocked).map(|id| graph.name(id).to_owned()).collect()
    }

    /// The command of a condition has ended: who waits for that now waits for what comes of it, for those too who need that one,
    /// and those who are `moved` with it.
    fn judged(
        &mut self,
        name: &ServiceName,
        was: Option<&str>,
        were_blocked: &BTreeSet<String>,
        moved: Vec<(String, Goal)>,
    ) {
        let is = self.kept_out(name);
        let are_blocked = self.blocked_by_others();
        let up = were_blocked.difference(&are_blocked).map(|name| (name.clone(), Goal::Comes));
        let down = are_blocked.difference(were_blocked).map(|name| (name.clone(), Goal::Ends));
        let others: Vec<(String, Goal)> = up.chain(down).chain(moved).collect();
        let is_wished = self.engine.graph().id(name.as_str()).is_some_and(|id| self.engine.wish(id) != Wish::Down);
        let is_it = |item: &Item| item.goal == Goal::Judged && item.service == name.as_str();
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.items.iter().any(is_it)) {
            for (service, goal) in &others {
                if waiter.items.iter().all(|item| item.service != *service) {
                    waiter.items.push(Item { service: service.clone(), goal: *goal, outcome: None });
                }
            }
            match &is {
                None if was.is_some() && is_wished => {
                    let items = waiter.items.iter_mut().filter(|item| is_it(item));
                    items.for_each(|item| item.goal = Goal::Comes);
                }
                Some(why) if was.is_none() => {
                    let message = format!("its conditions no longer hold: {why}");
                    let (service, result, status) = (name.to_string(), api::Verdict::Done, None);
                    let outcome = api::Outcome { service, result, message, status };
                    let items = waiter.items.iter_mut().filter(|item| is_it(item));
                    items.for_each(|item| item.outcome = Some(outcome.clone()));
                    let (service, goal) = (name.to_string(), Goal::Ends);
                    waiter.items.push(Item { service, goal, outcome: None });
                }
                // Nothing comes of it.
                None | Some(_) => waiter.items.retain(|item| !is_it(item)),
            }
        }
        self.check_nodes();
        self.answer_waiters();
    }

    /// Tries the endpoints of a node until all have answered.
    pub(super) fn await_endpoints(&mut self, id: Id) {
        let Ok(name) = ServiceName::parse(self.engine.graph().name(id)) else { return };
        let list = self.units.get(name.as_str()).map(|unit| unit.source.wait_for.clone()).unwrap_or_default();
        self.admissions.rounds += 1;
        let round = self.admissions.rounds;
        let reporter = &self.admissions.reporter;
        let tasks = list.iter().enumerate().map(|(index, (_, endpoint))| {
            outside::try_endpoint(name.clone(), round, index, endpoint.clone(), reporter.clone())
        });
        let tasks = tasks.collect();
        let endpoints = list.iter().map(|(name, _)| Tried { name: name.clone(), answer: None }).collect();
        self.admissions.waiting.insert(name, Waiting { round, since: clock::now(), endpoints, _tasks: tasks });
        if list.is_empty() {
            // An edit took them away.
            self.step_engine(Event::Reachable(id));
        }
    }

    pub(super) fn forget_endpoints(&mut self, id: Id) {
        if let Ok(name) = ServiceName::parse(self.engine.graph().name(id)) {
            self.admissions.waiting.remove(&name);
        }
    }

    /// Why a service is as it is though nothing is wrong: left out by a condition, or waiting for somebody outside.
    pub(super) fn reason_of(&self, name: &str) -> Option<String> {
        if let Some(why) = self.units.get(name).and_then(|unit| unit.skipped()) {
            return Some(format!("skipped: {why}"));
        }
        let waiting = self.admissions.waiting.get(&ServiceName::parse(name).ok()?)?;
        let missing = waiting.endpoints.iter().filter(|tried| tried.answer != Some(Ok(())));
        let list: Vec<String> = missing
            .map(|tried| match &tried.answer {
                Some(Err(why)) => format!("{} ({why})", tried.name),
                Some(Ok(())) | None => tried.name.clone(),
            })
            .collect();
        let seconds = (clock::now() - waiting.since).0 / 1000;
        Some(format!("waiting for {}, {seconds} s", list.join(", ")))
    }

    /// The state of what is held back, and of which nothing runs.
    pub(super) fn state_held_back(&self, name: &str) -> Option<api::State> {
        let state = self.state_of_name(name);
        match state {
            api::State::Skipped | api::State::Waiting | api::State::Failed => Some(state),
            // It no longer fits in with the others. Who depends on nobody has no place among them.
            api::State::Broken => self.units.get(name).map(|_| state),
            api::State::Down
            | api::State::Armed
            | api::State::Starting
            | api::State::Up
            | api::State::Stopping
            | api::State::Finishing
            | api::State::Draining
            | api::State::Done
            | api::State::Scheduled => None,
        }
    }

    /// Says what has been left out, or is no longer.
    pub(super) fn say_skipped(&self, before: &BTreeMap<ServiceName, Option<String>>) {
        if self.rehearsing {
            return;
        }
        for (name, unit) in self.units.iter() {
            let (was, is) = (before.get(name).and_then(Option::as_ref), unit.skipped());
            match is {
                Some(why) if was.map(String::as_str) != Some(why) => say!("svc-scan: {name}: skipped: {why}"),
                Some(_) => {}
                None if was.is_some() => say!("svc-scan: {name}: its conditions hold now"),
                None => {}
            }
        }
    }
}
