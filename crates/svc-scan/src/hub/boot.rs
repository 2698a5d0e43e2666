//! How the start of everything went: when each service was wanted, began and was there for the first time, and what that waited for.
//!
//! Three times a service are kept here, and nothing else; a supervisor's own clock says when. A svc-scan that comes after one that was
//! killed learns from the supervisors what they remember, and what was before that it does not invent.

use std::collections::BTreeMap;

use svc_core::graph::{Condition, Edge, Id, Kind};
use svc_core::service::State;
use svc_core::{Millis, Noted, Service};
use svc_proto::api;
use svc_sys::clock;

use super::{COMMAND, Hub, Member};
use crate::held::Runs;
use crate::status::Now;

/// The first start of one service.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct First {
    wanted: Noted,
    began: Noted,
    /// Up, and ready if it says so; done, if it is a oneshot.
    there: Noted,
    healthy: Noted,
    /// It was there before we were.
    inherited: bool,
}

impl First {
    pub(super) fn inherited() -> First {
        First { inherited: true, ..First::default() }
    }

    pub(super) fn is_inherited(self) -> bool {
        self.inherited
    }

    pub(super) fn want(&mut self) {
        if !self.inherited {
            self.wanted.fill(Some(clock::now()));
        }
    }

    /// Takes from what its supervisor says what is of the first start.
    pub(super) fn see(&mut self, machine: &Service, says_ready: bool, oneshot: bool) {
        // One that was started again before we came has forgotten how its first start went.
        let is_first = machine.deaths() == 0 || machine.deaths() == 1 && oneshot && machine.done();
        if self.inherited && !is_first {
            return;
        }
        if machine.want() != svc_core::service::Want::Down {
            self.want();
        }
        let (began, there) = match machine.state() {
            State::Up { .. } if oneshot || machine.prepares() => (machine.started(), None),
            State::Up { ready, .. } if says_ready => (machine.started(), ready),
            State::Up { .. } => (machine.started(), Some(machine.since())),
            // For others its sockets are what it is.
            State::Armed => (None, Some(machine.since())),
            State::Down { .. } | State::Starting { .. } | State::Finish { .. } | State::Sweep { .. } | State::Gone => {
                let last = machine.last();
                let done = last.filter(|_| oneshot && machine.done());
                (last.map(|past| past.ended - past.ran), done.map(|past| past.ended))
            }
        };
        // Who is there from its sockets on begins when somebody comes, which is no part of its start.
        if self.there.get().is_none() {
            self.began.fill(began);
        }
        self.there.fill(there);
    }

    pub(super) fn see_healthy(&mut self, since: Millis, machine: Option<&Service>) {
        if !self.inherited || machine.is_some_and(|machine| machine.deaths() == 0) {
            self.healthy.fill(Some(since));
        }
    }

    fn reached(self, until: Condition) -> Option<Millis> {
        match until {
            Condition::Started => self.began,
            Condition::Ready | Condition::Completed => self.there,
            Condition::Healthy => self.healthy,
        }
        .get()
    }
}

impl Hub {
    pub(super) fn boot(&self) -> api::Boot {
        let (graph, now) = (self.engine.graph(), Now::read());
        let mut known: BTreeMap<Id, First> = BTreeMap::new();
        let mut waited: BTreeMap<Id, Id> = BTreeMap::new();
        // Names without a process are there when all they stand for is: from the bottom up.
        for id in graph.levels().into_iter().flatten() {
            let own = self.slot_named(graph.name(id)).and_then(|slot| self.members.get(&slot));
            let edges = graph.edges(id).iter();
            // Nobody checks the health of the others: they have it when they are there.
            let until = |edge: &Edge| match graph.node(edge.to).kind {
                Kind::Process => edge.until,
                Kind::Oneshot | Kind::Milestone | Kind::Bundle if edge.until == Condition::Healthy => Condition::Ready,
                Kind::Oneshot | Kind::Milestone | Kind::Bundle => edge.until,
            };
            let reached = edges.map(|edge| (known.get(&edge.to).and_then(|first| first.reached(until(edge))), edge.to));
            let wanted = || self.names_wanted.get(graph.name(id)).copied().unwrap_or_default();
            let mut first = own.map_or_else(|| First { wanted: wanted(), ..First::default() }, |member| member.first);
            let is_name = !graph.node(id).kind.has_process();
            let limit = if is_name { Millis(u64::MAX) } else { first.began.get().unwrap_or(Millis::ZERO) };
            let mut last = None;
            for (at, to) in reached {
                match at {
                    Some(at) if at <= limit => last = last.max(Some((at, to))),
                    // It went on without this one.
                    Some(_) => {}
                    None if is_name => {
                        last = None;
                        break;
                    }
                    None => {}
                }
            }
            if let Some((at, to)) = last {
                waited.insert(id, to);
                if is_name {
                    (first.began, first.there, first.healthy) = (Noted::at(at), Noted::at(at), Noted::at(at));
                }
            }
            known.insert(id, first);
        }
        let name_of = |id: &Id| graph.name(*id).to_owned();
        let mut services: Vec<api::FirstStart> = Vec::new();
        for (id, first) in &known {
            let node = graph.node(*id);
            if self.is_timer(&node.name) {
                continue;
            }
            let kind = self.kind_of(node);
            services.push(self.first_start(&node.name, kind, *first, waited.get(id).map(name_of)));
        }
        let alone = self.members.values().filter(|member| graph.id(member.name.as_str()).is_none());
        services.extend(alone.map(|member| self.first_start(member.name.as_str(), kind_of(member), member.first, None)));
        services.sort_by(|a, b| a.name.cmp(&b.name));
        let has_process = |id: &Id| graph.node(*id).kind.has_process() && !self.is_timer(graph.name(*id));
        let ends = known.iter().filter(|(id, first)| has_process(id) && !self.is_later(**first));
        let mut at = ends.filter_map(|(id, first)| Some((first.there.get()?, *id))).max().map(|(_, id)| id);
        let mut chain = Vec::new();
        while let Some(id) = at {
            chain.push(name_of(&id));
            at = waited.get(&id).copied();
        }
        api::Boot {
            began_ms: now.wall_of(self.began),
            settled_after_ms: self.settled.map(|at| (at - self.began).0),
            incomplete: self.is_heir,
            chain,
            services,
        }
    }

    fn first_start(&self, name: &str, kind: api::NodeKind, first: First, waited_for: Option<String>) -> api::FirstStart {
        let after = |at: Noted| at.get().map(|at| (at - self.began).0);
        api::FirstStart {
            name: name.to_owned(),
            kind,
            wanted_after_ms: after(first.wanted),
            began_after_ms: after(first.began),
            there_after_ms: after(first.there),
            healthy_after_ms: after(first.healthy),
            waited_for,
            later: name != COMMAND && self.is_later(first),
            recovered: first.inherited,
        }
    }

    /// Whether it is no part of the start.
    fn is_later(&self, first: First) -> bool {
        match self.settled {
            Some(settled) => first.wanted.get().is_some_and(|wanted| wanted > settled),
            None => self.is_heir && first.wanted.get().is_some(),
        }
    }
}

fn kind_of(member: &Member) -> api::NodeKind {
    match member.definition.runs() {
        Runs::Oneshot { .. } => api::NodeKind::Oneshot,
        Runs::Directory | Runs::Chain | Runs::Command => api::NodeKind::Longrun,
    }
}
