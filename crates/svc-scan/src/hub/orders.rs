//! What clients want done, and where those stand that they wait for.

use super::{Hub, Member};
use crate::status::{self, Now};
use crate::waits::{self, Answer, Goal, Item, Standing};
use svc_core::graph::{Dependents, Id, Kind, Level, Progress, Request, Wish};
use svc_core::service::{Role, State, Stop, Want};
use svc_core::{Command, Service, ServiceName};
use svc_proto::api;
use svc_sys::clock;

impl Hub {
    pub(super) fn control(
        &mut self,
        mut control: api::Control,
        answer: tokio::sync::oneshot::Sender<Result<api::Outcomes, String>>,
    ) {
        let command = match command_of(&control) {
            Ok(command) => command,
            Err(refusal) => {
                drop(answer.send(Err(refusal)));
                return;
            }
        };
        // What is wrong with a directory may have been cured where nobody watches, such as an interpreter.
        let unready = control.services.iter().any(|service| self.slot_named(service).is_none());
        if unready {
            self.directories.look_again_at(&control.services);
            self.look_at_directories();
        }
        let mut items = Vec::new();
        let (nodes, others): (Vec<String>, Vec<String>) =
            std::mem::take(&mut control.services).into_iter().partition(|service| self.is_steered(service, control.verb));
        if control.verb == api::Verb::Run {
            for name in nodes {
                items.extend(self.order_run(name, &control));
            }
        } else {
            items.extend(self.order_nodes(nodes, &control));
        }
        for service in others {
            let item = match self.slot_named(&service) {
                Some(slot) => self.order(slot, service, control.verb, command, control.wait),
                None => self.item(service, Goal::Settled),
            };
            items.push(item);
        }
        self.wait_for(items, false, control.timeout_ms, Answer::Control(answer));
    }

    /// Whether the graph decides on this.
    fn is_steered(&self, service: &str, verb: api::Verb) -> bool {
        let steers = match verb {
            api::Verb::Start | api::Verb::Stop | api::Verb::Restart | api::Verb::Once | api::Verb::Run => true,
            api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue => false,
        };
        // The graph takes one that is armed to be up: its start is a matter of its supervisor.
        let is_armed = || {
            let machine = self.slot_named(service).and_then(|slot| self.members.get(&slot)?.machine.as_ref());
            machine.is_some_and(|machine| machine.state() == State::Armed)
        };
        let starts = verb != api::Verb::Stop;
        steers && self.engine.graph().id(service).is_some() && !(starts && is_armed())
    }

    /// Asks the graph for all of them at once: what depends on what is not in the way of itself then.
    fn order_nodes(&mut self, names: Vec<String>, control: &api::Control) -> Vec<Item> {
        let Some(nodes) = self.nodes_named(&names).filter(|nodes| !nodes.is_empty()) else { return Vec::new() };
        for name in &names {
            if let Some(member) = self.slot_named(name).and_then(|slot| self.members.get_mut(&slot)) {
                member.at_once = control.verb != api::Verb::Stop;
                member.once = control.verb == api::Verb::Once;
            }
        }
        let is_process = |id: &Id| self.engine.graph().node(*id).kind == Kind::Process;
        let request = match control.verb {
            api::Verb::Stop => {
                let dependents = if control.dependents { Dependents::Take } else { Dependents::Refuse };
                Request::Stop { nodes, dependents, prune: control.prune }
            }
            api::Verb::Restart => Request::Restart(nodes),
            api::Verb::Once if nodes.len() == 1 && !is_process(&nodes[0]) => Request::Run(nodes[0]),
            api::Verb::Run if nodes.len() == 1 => Request::Run(nodes[0]),
            _ => {
                if control.prune {
                    self.prune(&nodes);
                }
                Request::Start(nodes)
            }
        };
        let is_stop = control.verb == api::Verb::Stop;
        let lingering = if is_stop { self.lingering(&names) } else { Vec::new() };
        // To those that run no start comes that would say so.
        let (running, command) = match control.verb {
            api::Verb::Once => (self.running(&names, Want::Up), Command::AtMostOnce),
            api::Verb::Start => (self.running(&names, Want::Down), Command::Start),
            api::Verb::Stop | api::Verb::Restart | api::Verb::Run => (Vec::new(), Command::Start),
            api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue => (Vec::new(), Command::Start),
        };
        let marks: Vec<u64> = names.iter().map(|name| self.deaths_of(name)).collect();
        let request = self.ask(request);
        let refused = self.outcomes.get(&request).is_some_and(|told| told.refused.is_some());
        for slot in lingering.into_iter().filter(|_| !refused) {
            self.tell(slot, Command::Stop);
        }
        for slot in running.into_iter().filter(|_| !refused) {
            self.tell(slot, command);
        }
        let item = |(service, deaths): (String, u64)| {
            let goal = Goal::Request { id: request, up: !is_stop, deaths };
            let outcome = (!control.wait && !refused).then(|| api::Outcome {
                service: service.clone(),
                result: api::Verdict::Done,
                message: "told".into(),
                status: None,
            });
            Item { service, goal, outcome }
        };
        names.into_iter().zip(marks).map(item).collect()
    }

    fn deaths_of(&self, name: &str) -> u64 {
        let machine = self.slot_named(name).and_then(|slot| self.members.get(&slot)?.machine.as_ref());
        machine.map_or(0, Service::deaths)
    }

    /// Those that run, and what comes of them when they end.
    fn running(&self, names: &[String], then: Want) -> Vec<u32> {
        let slots = names.iter().filter_map(|name| self.slot_named(name));
        let runs = |slot: &u32| {
            let member = self.members.get(slot).filter(|member| !member.definition.is_oneshot());
            let machine = member.and_then(|member| member.machine.as_ref());
            let runs = |machine: &Service| matches!(machine.state(), State::Up { stop: Stop::No, .. });
            machine.is_some_and(|machine| runs(machine) && machine.want() == then)
        };
        slots.filter(runs).collect()
    }

    /// Those that are being stopped and have not been sent a signal yet: who asks once more does not wait for that.
    fn lingering(&self, names: &[String]) -> Vec<u32> {
        let slots = names.iter().filter_map(|name| self.slot_named(name));
        let lingers = |slot: &u32| {
            let machine = self.members.get(slot).and_then(|member| member.machine.as_ref());
            machine.is_some_and(|machine| matches!(machine.state(), State::Up { stop, .. } if stop.lingers()))
        };
        slots.filter(lingers).collect()
    }

    /// Has a timer run now, or a oneshot once more.
    fn order_run(&mut self, service: String, control: &api::Control) -> Vec<Item> {
        let Some(name) = ServiceName::parse(&service).ok().filter(|name| self.is_timer(name.as_str())) else {
            return self.order_nodes(vec![service], control);
        };
        let machine = self.slot_named(&service).and_then(|slot| self.members.get(&slot)?.machine.as_ref());
        let goal = Goal::Ran { before: machine.map_or(0, Service::starts) };
        let told = self.run_timer(&name);
        let (result, message) = match (told, control.wait) {
            (Err(refusal), _) => (api::Verdict::Failed, refusal),
            (Ok(()), true) => return vec![Item { service, goal, outcome: None }],
            (Ok(()), false) => (api::Verdict::Done, "told".into()),
        };
        let status = self.status_named(&service);
        let outcome = Some(api::Outcome { service: service.clone(), result, message, status });
        vec![Item { service, goal, outcome }]
    }

    /// Stops everything that these do not depend on.
    fn prune(&mut self, keep: &[Id]) {
        let graph = self.engine.graph();
        let mut kept: Vec<Id> = keep.to_vec();
        let mut index = 0;
        while let Some(&id) = kept.get(index) {
            let more: Vec<Id> = graph.edges(id).iter().map(|edge| edge.to).filter(|to| !kept.contains(to)).collect();
            kept.extend(more);
            index += 1;
        }
        let nodes: Vec<Id> = graph
            .living()
            .into_iter()
            .filter(|id| !kept.contains(id) && graph.node(*id).kind != Kind::Bundle)
            .filter(|&id| self.engine.wish(id) != Wish::Down)
            .collect();
        if !nodes.is_empty() {
            self.ask(Request::Stop { nodes, dependents: Dependents::Take, prune: false });
        }
    }

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
        let since = || if up { self.not_up_any_more(&item.service) } else { self.not_undone(&item.service, deaths) };
        let (result, message) = match told.refused.clone().or(failed).or_else(since) {
            Some(message) => (api::Verdict::Failed, message),
            None => (api::Verdict::Done, self.told_of(&item.service, began)),
        };
        let status = self.status_named(&item.service);
        item.outcome = Some(api::Outcome { service: item.service.clone(), result, message, status });
    }

    /// What is to be said of one that was started, and has ended while others were waited for.
    fn not_up_any_more(&self, name: &str) -> Option<String> {
        let id = self.engine.graph().id(name).filter(|&id| self.engine.graph().node(id).kind == Kind::Process)?;
        match self.engine.progress(id) {
            Progress::Starting => {
                let last = self.machine_of(id)?.last()?;
                Some(format!("was up, and has ended since ({})", last.exit))
            }
            Progress::Failed(_) => match self.stand(id) {
                Stand::Failed(why) => Some(format!("was up, and is not any more: {why}")),
                Stand::Up | Stand::Down | Stand::Between => None,
            },
            Progress::Down | Progress::Waiting | Progress::Awaiting => None,
            Progress::Up(_) | Progress::Completed | Progress::Stopping { .. } => None,
        }
    }

    /// What is to be said of a oneshot that was to be taken down, and is not. The graph takes it to be wanted again by then.
    fn not_undone(&self, name: &str, deaths: u64) -> Option<String> {
        let member = self.slot_named(name).and_then(|slot| self.members.get(&slot))?;
        let machine = member.machine.as_ref().filter(|machine| member.is_done(machine) && machine.deaths() > deaths)?;
        let failed = machine.last().filter(|past| !member.definition.settings().is_success(past.exit))?;
        Some(format!("its down failed ({}): what its up did stays as it is", failed.exit))
    }

    /// What has become of a service of the graph, in words.
    fn told_of(&self, name: &str, began: svc_core::Millis) -> String {
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

    /// Tells one service what was asked, and what to wait for then.
    pub(super) fn order(&mut self, slot: u32, service: String, verb: api::Verb, command: Command, wait: bool) -> Item {
        let Some(member) = self.members.get(&slot) else { return self.item(service, Goal::Settled) };
        let machine = member.machine.as_ref();
        let up = machine.and_then(|machine| match machine.state() {
            State::Up { pid, stop: svc_core::service::Stop::No, .. } => Some(pid),
            _ => None,
        });
        let (before, deaths) = machine.map_or((0, 0), |machine| (machine.starts(), machine.deaths()));
        // A start that is under way is the one that was asked for: there will be no other.
        let under_way = machine.is_some_and(|machine| matches!(machine.state(), State::Starting { role: Role::Run }));
        let asked = if under_way && verb != api::Verb::Restart { before.saturating_sub(1) } else { before };
        let started = Goal::Started { before: asked, deaths };
        let settled = |result, message: String| {
            let status = Some(self.status(member, Now::read()));
            Item {
                service: service.clone(),
                goal: Goal::Settled,
                outcome: Some(api::Outcome { service: service.clone(), result, message, status }),
            }
        };
        let signals = matches!(verb, api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue);
        if member.link.is_none() && signals {
            return settled(api::Verdict::Failed, "its supervisor is being started again: try again in a second".into());
        }
        if member.is_deaf() {
            return settled(
                api::Verdict::Failed,
                "its supervisor does not listen: thousands of commands wait for it".into(),
            );
        }
        let item = match verb {
            api::Verb::Start | api::Verb::Once => match up {
                Some(_) => Item { service: service.clone(), goal: Goal::Until(api::Until::Ready), outcome: None },
                None => Item { service: service.clone(), goal: started, outcome: None },
            },
            api::Verb::Restart => Item { service: service.clone(), goal: started, outcome: None },
            api::Verb::Run => {
                return settled(api::Verdict::Failed, "does not run to an end: restart it instead".into());
            }
            api::Verb::Stop => Item { service: service.clone(), goal: Goal::Stopped, outcome: None },
            api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue => {
                match machine.and_then(Service::pid) {
                    None => settled(api::Verdict::Failed, "is not running".into()),
                    Some(pid) => {
                        let what = match command {
                            Command::Reload => member.definition.settings().reload_signal.to_string(),
                            Command::Kill(signal) => signal.to_string(),
                            Command::Pause => "SIGSTOP".into(),
                            _ => "SIGCONT".into(),
                        };
                        settled(api::Verdict::Done, format!("sent {what} to pid {pid}"))
                    }
                }
            }
        };
        let item = if wait || item.outcome.is_some() { item } else { settled(api::Verdict::Done, "told".into()) };
        let failed = item.outcome.as_ref().is_some_and(|outcome| outcome.result != api::Verdict::Done);
        if !failed {
            self.tell(slot, command);
            // A stop is waited for from here on: what the service was before does not count.
            if verb == api::Verb::Stop && machine_is_stopped(self.members.get(&slot).map(Box::as_ref)) {
                return item;
            }
        }
        item
    }

    /// What a client waits for, looked at once now.
    pub(super) fn item(&mut self, service: String, goal: Goal) -> Item {
        let outcome = self.without_process(&service, goal);
        Item { service, goal, outcome }
    }

    /// What there is to say of a name without a supervisor: it may become one, so a wait goes on, but a command cannot be given.
    pub(super) fn without_process(&self, service: &str, goal: Goal) -> Option<api::Outcome> {
        if self.slot_named(service).is_some() {
            return None;
        }
        let in_graph = self.engine.graph().id(service).is_some();
        let status = self.status_of_any(service);
        let (result, message) = match &status {
            None if !in_graph => (api::Verdict::NoSuchService, "no such service".to_owned()),
            Some(_) | None if goal != Goal::Settled => return None,
            Some(api::Status { problem: Some(problem), .. }) => (api::Verdict::Failed, problem.clone()),
            Some(api::Status { reason: Some(reason), .. }) => (api::Verdict::Failed, reason.clone()),
            Some(_) | None if in_graph => (api::Verdict::Failed, "has no process: name one that has".to_owned()),
            // Its directory has just been read, and others are still to be.
            Some(_) | None => return None,
        };
        Some(api::Outcome { service: service.to_owned(), result, message, status })
    }

    /// Where a node stands that somebody waits for: a process by what its supervisor says, the others by what the graph says.
    fn check_node(&self, item: &mut Item, until: api::Until, id: Id, began: svc_core::Millis) {
        let up = matches!(until, api::Until::Up | api::Until::Ready | api::Until::Healthy);
        let (result, message) = match self.stand(id) {
            Stand::Up if up => (api::Verdict::Done, self.told_of(&item.service, began)),
            Stand::Failed(why) if up => (api::Verdict::Failed, why),
            Stand::Down | Stand::Failed(_) if !up => (api::Verdict::Done, "down".into()),
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

    pub(super) fn check(&self, item: &mut Item, began: svc_core::Millis) {
        // One that was to be started anew, and may not or cannot, is known to the graph alone.
        let (until, anew) = match item.goal {
            Goal::Until(until) => (Some(until), false),
            Goal::Started { .. } => (Some(api::Until::Ready), true),
            Goal::Settled | Goal::Ran { .. } | Goal::Stopped | Goal::Made | Goal::Judged | Goal::Request { .. } => {
                (None, false)
            }
        };
        if let (Some(until), Some(id), None) = (until, self.engine.graph().id(&item.service), &item.outcome) {
            let failed = matches!(self.engine.progress(id), Progress::Failed(_));
            let is_timer = !anew && self.is_timer(&item.service);
            if failed || self.engine.graph().node(id).kind != Kind::Process || is_timer {
                return self.check_node(item, until, id, began);
            }
        }
        let Some(member) = self.slot_named(&item.service).and_then(|slot| self.members.get(&slot)) else { return };
        let Some(machine) = member.machine.as_ref().filter(|_| item.outcome.is_none()) else { return };
        let says_ready = member.definition.says_ready();
        let (result, message) = match waits::look(item.goal, machine, says_ready, member.verdict()) {
            Standing::Open => return,
            Standing::Reached => match item.goal {
                Goal::Ran { .. } => (api::Verdict::Done, ran(machine)),
                _ => (api::Verdict::Done, self.told(member, machine, began)),
            },
            Standing::Missed(why) => {
                let problem = member.trouble().map_or_else(String::new, |problem| format!(": {problem}"));
                (api::Verdict::Failed, format!("{why}{problem}"))
            }
        };
        let status = Some(self.status(member, Now::read()));
        item.outcome = Some(api::Outcome { service: item.service.clone(), result, message, status });
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
                let how = machine.last().map_or_else(String::new, |past| format!(" ({})", past.exit));
                format!("down{how}{}", after(clock::now()))
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

fn machine_is_stopped(member: Option<&Member>) -> bool {
    let machine = member.and_then(|member| member.machine.as_ref());
    machine.is_some_and(|machine| matches!(machine.state(), State::Down { .. }) && machine.want() == Want::Down)
}

fn command_of(control: &api::Control) -> Result<Command, String> {
    let signal = control.signal.as_deref();
    match (control.verb, signal) {
        (api::Verb::Kill, None) => Err("kill needs a signal, such as \"signal\": \"TERM\"".into()),
        (api::Verb::Kill, Some(text)) => match svc_core::Signal::parse(text) {
            Some(signal) => Ok(Command::Kill(signal)),
            None => Err(format!("{text}: no such signal: write a name or number, such as TERM, SIGTERM, RTMIN+3 or 15")),
        },
        (_, Some(_)) => Err("only kill takes a signal".into()),
        (api::Verb::Start, None) => Ok(Command::Start),
        (api::Verb::Stop, None) => Ok(Command::Stop),
        (api::Verb::Restart, None) => Ok(Command::Restart),
        (api::Verb::Reload, None) => Ok(Command::Reload),
        (api::Verb::Once | api::Verb::Run, None) => Ok(Command::Once),
        (api::Verb::Pause, None) => Ok(Command::Pause),
        (api::Verb::Continue, None) => Ok(Command::Continue),
    }
}
