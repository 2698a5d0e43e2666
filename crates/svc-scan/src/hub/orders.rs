//! What clients want done.

use std::collections::HashMap;

use super::{Hub, Member, NextStart};
use crate::matching::comes_back;
use crate::status::Now;
use crate::waits::{Answer, Goal, Item};
use svc_core::graph::{Dependents, Id, Kind, Progress, Request, Wish};
use svc_core::service::{Role, State, Stop, Want};
use svc_core::{Command, Service, ServiceName};
use svc_proto::api;

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
        let places: HashMap<String, usize> = control.services.iter().cloned().zip(0..).collect();
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
        // In the order asked; who was taken along comes last.
        items.sort_by_key(|item| places.get(&item.service).copied().unwrap_or(usize::MAX));
        self.wait_for(items, false, control.timeout_ms, Answer::Control(answer));
    }

    /// Whether the graph decides on this.
    fn is_steered(&self, service: &str, verb: api::Verb) -> bool {
        let steers = match verb {
            api::Verb::Start | api::Verb::Stop | api::Verb::Restart | api::Verb::Once | api::Verb::Run => true,
            api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue => false,
        };
        // The graph takes one that is armed, or is started on demand and has ended, to be up: its start is a matter of its supervisor.
        let is_there_for_others = || {
            let member = self.slot_named(service).and_then(|slot| self.members.get(&slot));
            let machine = member.and_then(|member| Some((member, member.machine.as_ref()?)));
            machine.is_some_and(|(member, machine)| {
                machine.state() == State::Armed || member.definition.is_on_demand() && comes_back(machine)
            })
        };
        let starts = verb != api::Verb::Stop;
        steers && self.engine.graph().id(service).is_some() && !(starts && is_there_for_others())
    }

    /// Asks the graph for all of them at once: what depends on what is not in the way of itself then.
    fn order_nodes(&mut self, names: Vec<String>, control: &api::Control) -> Vec<Item> {
        let Some(nodes) = self.nodes_named(&names).filter(|nodes| !nodes.is_empty()) else { return Vec::new() };
        let unmoved = self.unmoved(&names, control.verb);
        let mut next = self.next_starts(&names, control.verb, &unmoved);
        self.exchange_next(&mut next);
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
        let mut marked: Vec<(String, u64)> = names.iter().map(|name| (name.clone(), self.deaths_of(name))).collect();
        let others = if is_stop { self.wished_beside(&names) } else { Vec::new() };
        let request = self.ask(request);
        // Who was taken along is told of too.
        marked.extend(others.into_iter().filter(|(name, _)| self.wish_of(name) == Some(Wish::Down)));
        let refused = self.outcomes.get(&request).is_some_and(|told| told.refused.is_some());
        if refused {
            self.exchange_next(&mut next);
        }
        for slot in lingering.into_iter().filter(|_| !refused) {
            self.tell(slot, Command::Stop);
        }
        for (slot, command) in unmoved.into_iter().filter(|_| !refused) {
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
        marked.into_iter().map(item).collect()
    }

    /// What the next starts of these are to be by an order. Those that run, or are told themselves, have none to come.
    fn next_starts(&self, names: &[String], verb: api::Verb, unmoved: &[(u32, Command)]) -> Vec<(u32, NextStart)> {
        let next = |name: &String| {
            let slot = self.slot_named(name)?;
            let machine = self.members.get(&slot)?.machine.as_ref();
            let runs = machine.is_some_and(|machine| matches!(machine.state(), State::Up { stop: Stop::No, .. }));
            let comes = verb == api::Verb::Restart || !runs && !unmoved.iter().any(|&(told, _)| told == slot);
            Some((slot, NextStart { at_once: comes && verb != api::Verb::Stop, once: comes && verb == api::Verb::Once }))
        };
        names.iter().filter_map(next).collect()
    }

    fn exchange_next(&mut self, next: &mut [(u32, NextStart)]) {
        for (slot, next) in next {
            if let Some(member) = self.members.get_mut(slot) {
                std::mem::swap(&mut member.next, next);
            }
        }
    }

    /// The others that are to be up, with their marks.
    fn wished_beside(&self, names: &[String]) -> Vec<(String, u64)> {
        let graph = self.engine.graph();
        let is_other = |id: &Id| self.engine.wish(*id) != Wish::Down && graph.node(*id).kind != Kind::Bundle;
        let others = graph.living().into_iter().filter(is_other).map(|id| graph.name(id).to_owned());
        let mut others: Vec<(String, u64)> =
            others.filter(|name| !names.contains(name)).map(|name| (name.clone(), self.deaths_of(&name))).collect();
        others.sort();
        others
    }

    fn deaths_of(&self, name: &str) -> u64 {
        let machine = self.slot_named(name).and_then(|slot| self.members.get(&slot)?.machine.as_ref());
        machine.map_or(0, Service::deaths)
    }

    /// Those that run, or are started again when they have ended, and what they are told: no start comes to them that would say so.
    fn unmoved(&self, names: &[String], verb: api::Verb) -> Vec<(u32, Command)> {
        let told = |name: &String| {
            let slot = self.slot_named(name)?;
            let member = self.members.get(&slot).filter(|member| !member.definition.is_oneshot())?;
            let machine = member.machine.as_ref()?;
            let runs = matches!(machine.state(), State::Up { stop: Stop::No, .. });
            let is_starting = || self.node_of(name).is_some_and(|id| self.engine.progress(id) == Progress::Starting);
            let comes_back = comes_back(machine) && is_starting();
            let command = match verb {
                api::Verb::Once if runs && machine.want() == Want::Up => Command::AtMostOnce,
                api::Verb::Once if comes_back => Command::Once,
                api::Verb::Start if comes_back || runs && machine.want() == Want::Down => Command::Start,
                api::Verb::Start | api::Verb::Once | api::Verb::Stop | api::Verb::Restart | api::Verb::Run => return None,
                api::Verb::Reload | api::Verb::Kill | api::Verb::Pause | api::Verb::Continue => return None,
            };
            Some((slot, command))
        };
        names.iter().filter_map(told).collect()
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

    /// Tells one service what was asked, and what to wait for then.
    pub(super) fn order(&mut self, slot: u32, service: String, verb: api::Verb, command: Command, wait: bool) -> Item {
        let Some(member) = self.members.get(&slot) else { return self.item(service, Goal::Settled) };
        let machine = member.machine.as_ref();
        let (before, deaths) = machine.map_or((0, 0), |machine| (machine.starts(), machine.deaths()));
        // A start that is under way, or done, is the one that was asked for: there will be no other.
        let is_started = |state| matches!(state, State::Starting { role: Role::Run } | State::Up { stop: Stop::No, .. });
        let under_way = machine.is_some_and(|machine| is_started(machine.state()));
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
        if verb != api::Verb::Stop && !signals && member.definition.is_managed() && self.units.get(&service).is_none() {
            return settled(api::Verdict::Failed, "its definition is gone: put it back, and start it then".into());
        }
        if let Some(problem) = member.trouble().filter(|_| signals && self.roster.unlaunched(slot).is_some()) {
            return settled(api::Verdict::Failed, problem.clone());
        }
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
            api::Verb::Start | api::Verb::Once | api::Verb::Restart => {
                Item { service: service.clone(), goal: started, outcome: None }
            }
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
        let is_down = |goal| matches!(goal, Goal::Until(api::Until::Down | api::Until::Finished));
        let status = self.status_of_any(service);
        let (result, message) = match &status {
            None if self.may_come() => return None,
            None if !in_graph => (api::Verdict::NoSuchService, "no such service".to_owned()),
            // It has left the graph, for what is wrong with it.
            Some(_) if is_down(goal) && self.node_of(service).is_none() => (api::Verdict::Done, "down".to_owned()),
            Some(_) | None if goal != Goal::Settled => return None,
            Some(api::Status { problem: Some(problem), .. }) => (api::Verdict::Failed, problem.clone()),
            Some(api::Status { reason: Some(reason), .. }) => (api::Verdict::Failed, reason.clone()),
            Some(_) | None if in_graph => (api::Verdict::Failed, "has no process: name one that has".to_owned()),
            // Its directory has just been read, and others are still to be.
            Some(_) | None => return None,
        };
        Some(api::Outcome { service: service.to_owned(), result, message, status })
    }
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
