//! What a svc-scan finds that comes in the place of a killed one: what is wished, and how far everybody has come.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use svc_core::graph::{
    Action, Admission, Bond, Dependents, Engine, Event, Graph, Id, Kind, Progress, Reason, Request, Strength, Wish,
};
use svc_core::service::{Recall, State, Stop, Want};
use svc_core::{Exit, Service};
use svc_sys::clock;

use super::Hub;
use super::admission::stands;
use crate::matching::{self, Counted, ended};

impl Hub {
    /// Whether it has been read what an earlier svc-scan had read. A client who asks before that waits: an order would be carried out
    /// without what it needs.
    pub(super) fn is_known(&mut self) -> bool {
        !self.recovered || self.is_ending() || self.units.is_empty() && !self.is_reading()
    }

    /// What supervisors said of themselves is so; what they do not run is as it was wished. Those who have said nothing yet,
    /// because they were killed too, are heard when they do: until then they are on the way.
    pub(super) fn recover(&mut self, graph: Graph) {
        self.engine = Engine::new(clock::now(), graph);
        self.wishes_known = false;
        let planned = planned(self.engine.graph());
        let all = self.engine.graph().living();
        let (new, processes): (Vec<Id>, Vec<Id>) = all
            .iter()
            .copied()
            .filter(|&id| self.engine.graph().node(id).kind.has_process())
            .partition(|&id| self.slot_named(self.engine.graph().name(id)).is_none());
        // First those that may run though nobody says so, and those that are not tried once more unasked: nothing is wished yet,
        // so nobody starts because of them.
        for &id in &processes {
            let rested = |machine: &&Service| matching::rests(machine) && machine.wished() != Wish::Down;
            if let Some(machine) = self.heard_of(id).filter(rested) {
                // What it was wished for has been done.
                let was_ready = machine.was_ready();
                self.step_engine(if was_ready { Event::Ready(id) } else { Event::Started(id) });
                self.step_engine(Event::Completed(id));
                continue;
            }
            if self.took_itself_out(id, &planned) {
                self.step_engine(Event::Started(id));
                self.step_engine(Event::Stopped(id));
                continue;
            }
            if self.is_still_there(id) {
                // It is up for all that it needs until nothing of it is left.
                self.step_engine(Event::Started(id));
                continue;
            }
            let failure = match self.heard_of(id) {
                Some(machine) if machine.wished() == Wish::Down => continue,
                // How its last run ended says nothing of a timer.
                Some(_) if self.is_timer(self.engine.graph().name(id)) => continue,
                Some(machine) => match failure(machine) {
                    Some(reason) => Some(reason),
                    None => continue,
                },
                None => None,
            };
            self.step_engine(Event::Started(id));
            self.step_engine(Event::Died(id));
            match failure {
                Some(reason) => self.step_engine(Event::Failed(id, reason)),
                None => {
                    let slot = self.slot_named(self.engine.graph().name(id));
                    if let Some(member) = slot.and_then(|slot| self.members.get_mut(&slot)) {
                        member.recovering = true;
                    }
                }
            }
        }
        for &id in &processes {
            self.fit(id);
            // What it has said of its start was told to the one before us.
            let slot = self.slot_named(self.engine.graph().name(id));
            let health = slot.and_then(|slot| self.members.get(&slot)?.health.as_ref());
            if let Some(extended) = health.map(|report| report.extended) {
                self.extend(id, extended);
            }
        }
        if self.early_end.is_some() {
            self.wishes_known = true;
            return;
        }
        // Nothing is done before all wishes are known, and those who have come since have slots.
        let mut actions = Vec::new();
        let wish = |&id: &Id| {
            let known = self.machine_of(id).map(Service::wished);
            (id, known.unwrap_or_else(|| planned.get(&id).copied().unwrap_or(Wish::Down)))
        };
        let wishes = processes.iter().chain(&new).map(wish).collect();
        let stop = Request::Stop { nodes: self.waited_for(&processes), dependents: Dependents::Leave, prune: false };
        let request = self.next_request();
        self.engine.step(clock::now(), Event::Request(request, stop), &mut actions);
        self.engine.step(clock::now(), Event::Recovered(wishes), &mut actions);
        self.recover_names(&all, &mut actions);
        self.wishes_known = true;
        self.give_slots();
        self.perform(actions);
        for &id in &processes {
            if let Some(slot) = self.slot_named(self.engine.graph().name(id)) {
                self.remind(slot, id);
            }
        }
    }

    /// Names without a process are wished as long as nobody has stopped one of those behind them.
    pub(super) fn recover_names(&mut self, all: &[Id], actions: &mut Vec<Action>) {
        let wished = |hub: &Hub, id: Id| hub.engine.wish(id) != Wish::Down;
        loop {
            let next = all.iter().copied().find(|&id| {
                let graph = self.engine.graph();
                let wanted = graph.node(id).up || graph.dependents(id).any(|(from, _)| wished(self, from));
                let is_name = !graph.node(id).kind.has_process() && !wished(self, id);
                is_name && wanted && self.processes_behind(id).all(|id| wished(self, id) || self.engine.lasts(id))
            });
            let Some(id) = next else { return };
            let wish = if self.engine.graph().node(id).up { Wish::Explicit } else { Wish::Dependency };
            self.engine.step(clock::now(), Event::Recovered(vec![(id, wish)]), actions);
        }
    }

    /// Whether something is left of one that is to be down, or will be there again.
    fn is_still_there(&self, id: Id) -> bool {
        let node = self.engine.graph().node(id);
        let (is_oneshot, is_timer) = (node.kind == Kind::Oneshot, self.is_timer(&node.name));
        let Some(machine) = self.heard_of(id) else { return false };
        let is_left = match machine.state() {
            // The others are up without further words.
            State::Up { stop, .. } => stop != Stop::No || is_oneshot,
            State::Finish { .. } | State::Sweep { .. } => true,
            State::Starting { .. } => !is_timer,
            State::Down { .. } => machine.want() != Want::Down && !is_oneshot && !is_timer,
            State::Armed | State::Gone => false,
        };
        is_left && (machine.wished() == Wish::Down || self.early_end.is_some())
    }

    /// Whether one that others count as up has stopped itself. Had somebody else stopped it, those would have been stopped before.
    fn took_itself_out(&self, id: Id, planned: &BTreeMap<Id, Wish>) -> bool {
        let graph = self.engine.graph();
        let node = graph.node(id);
        let is_out = |machine: &Service| {
            let is_down = matches!(machine.state(), State::Down { .. }) && machine.want() == Want::Down;
            is_down && machine.wished() == Wish::Down && machine.starts() > 0
        };
        if !node.lasting || node.readiness || !self.heard_of(id).is_some_and(is_out) {
            return false;
        }
        let is_wished = |id: Id| match self.machine_of(id) {
            Some(machine) => machine.wished() != Wish::Down,
            None => graph.node(id).kind.has_process() && planned.contains_key(&id),
        };
        iter::once(id).chain(self.engine.reverse_dependencies(id)).any(is_wished)
    }

    /// Those that go before one that is up, and is to be down: they were to go too, which nobody could tell them who have no supervisor.
    fn waited_for(&self, processes: &[Id]) -> Vec<Id> {
        let graph = self.engine.graph();
        let waits = |machine: &Service| {
            let is_up = machine.done() || matches!(machine.state(), State::Up { stop: Stop::No, .. });
            is_up && machine.wished() == Wish::Down
        };
        let mut walk: Vec<Id> = processes.to_vec();
        walk.retain(|&id| self.heard_of(id).is_some_and(waits));
        let mut above = BTreeSet::new();
        while let Some(id) = walk.pop() {
            let backs = graph.dependents(id);
            let needers = backs.filter(|(_, edge)| matches!(edge.strength, Strength::Hard(Bond::Stay | Bond::Follow)));
            walk.extend(needers.map(|(from, _)| from).filter(|&from| above.insert(from)));
        }
        above.into_iter().filter(|&id| graph.node(id).kind.has_process() && self.heard_of(id).is_none()).collect()
    }

    /// What a name stands for in the end: names behind it say nothing themselves.
    pub(super) fn processes_behind(&self, id: Id) -> impl Iterator<Item = Id> {
        let graph = self.engine.graph();
        let mut seen = BTreeSet::from([id]);
        let mut walk = vec![id];
        while let Some(name) = walk.pop() {
            for edge in graph.edges(name) {
                if seen.insert(edge.to) && !graph.node(edge.to).kind.has_process() {
                    walk.push(edge.to);
                }
            }
        }
        seen.into_iter().filter(|&id| graph.node(id).kind.has_process())
    }

    /// One that a svc-scan before us had launched says what it knows, for the first time.
    pub(super) fn recover_late(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot).filter(|member| member.recovering) else { return };
        member.recovering = false;
        if member.machine.as_ref().is_some_and(|machine| !stands(machine)) {
            let name = member.name.clone();
            self.units.judge_anew(&name);
            self.compose();
        }
        let Some(member) = self.members.get(&slot) else { return };
        let name = member.name.to_string();
        let Some(id) = self.engine.graph().id(&name) else { return };
        let Some(machine) = self.machine_of(id) else { return };
        let is_down = matches!(machine.state(), State::Down { .. } | State::Gone) && machine.want() == Want::Down;
        let is_timer = self.is_timer(&name);
        let (wish, asked) = (machine.wished(), self.engine.is_asked(id));
        // How one ended that was stopped, or is asked for anew, says nothing.
        let is_told = wish == Wish::Down || asked;
        let nothing = is_down && (is_timer || !machine.done() && (is_told || failure(machine).is_none()));
        let counted = Counted::of(machine);
        if matches!(self.engine.progress(id), Progress::Stopping { .. })
            && let Some(member) = self.members.get_mut(&slot)
        {
            // It was to stop before it was known what there was to stop.
            member.counted = counted;
        }
        // Both at once: a supervisor that were told of the wish between them would tell a third svc-scan.
        let (now, mut actions) = (clock::now(), Vec::new());
        if nothing {
            // It was never on the way: it waits for what it needs.
            self.engine.step(now, if asked { Event::Absent(id) } else { Event::Stopped(id) }, &mut actions);
        }
        if !self.is_ending() {
            self.engine.step(now, Event::Recovered(vec![(id, wish)]), &mut actions);
        }
        self.perform(actions);
        self.fit(id);
    }
}

/// Who is wished without anybody asking: those that are to be up, and what they need.
fn planned(graph: &Graph) -> BTreeMap<Id, Wish> {
    let up = graph.living().into_iter().filter(|&id| graph.node(id).up);
    let mut wishes: BTreeMap<Id, Wish> = up.map(|id| (id, Wish::Explicit)).collect();
    let mut walk: Vec<Id> = wishes.keys().copied().collect();
    while let Some(id) = walk.pop() {
        for edge in graph.edges(id).iter().filter(|_| graph.node(id).admission == Admission::Open) {
            if let Entry::Vacant(place) = wishes.entry(edge.to) {
                place.insert(Wish::Dependency);
                walk.push(edge.to);
            }
        }
    }
    wishes
}

/// Why its last start came to nothing, where its supervisor does not try again.
fn failure(machine: &Service) -> Option<Reason> {
    if !matches!(machine.state(), State::Down { .. }) || machine.want() != Want::Down {
        return None;
    }
    let badly = machine.last().is_some_and(|past| past.exit != Exit::Code(0));
    match machine.recall() {
        Recall::No if machine.failed() => Some(ended(machine)),
        Recall::No if !machine.done() && (machine.trouble().is_some() || badly) => Some(ended(machine)),
        Recall::No | Recall::Order => None,
        Recall::Late => Some(Reason::StartTimeout),
    }
}
