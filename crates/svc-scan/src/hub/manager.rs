//! Services that depend on others: the graph engine, fed with what is on disk, what supervisors say and what clients ask, and its
//! actions carried out.

use svc_core::graph::{Action, Event, Graph, Id, Progress, Request, RequestId, Wish};
use svc_core::roster::Happened;
use svc_core::{Millis, ServiceName};
use svc_proto::api;
use svc_sys::{clock, say};

use super::applying::applies;
use super::{COMMAND, Hub, Member};
use crate::taken::Known;

impl Hub {
    /// Ties together what is on disk now, once all of it has been read. `recovered`: an earlier svc-scan had done so, and what it
    /// had started is not started again.
    pub(super) fn compose(&mut self) {
        if !self.units.is_stale() || self.is_ending() || self.is_reading() {
            return;
        }
        let skipped = self.units.iter().map(|(name, unit)| (name.clone(), unit.skipped().map(str::to_owned))).collect();
        self.judge(&|_| false);
        self.say_skipped(&skipped);
        let before: Vec<(ServiceName, Option<Box<str>>)> =
            self.units.iter().map(|(name, unit)| (name.clone(), unit.problem.clone())).collect();
        let classic = self.members.values().filter(|member| !member.definition.is_managed());
        let classic = classic.map(|member| member.name.clone()).collect();
        self.units.set_unusable(self.directories.unusable().cloned().collect(), classic);
        let mut graph = self.units.compose(&self.replaced);
        for (name, problem) in before {
            let now = self.units.get(name.as_str()).and_then(|unit| unit.problem.as_ref());
            if let Some(message) = now.filter(|now| Some(*now) != problem.as_ref()) {
                say!("svc-scan: {name}: {message}");
            }
        }
        if std::mem::take(&mut self.recovered) {
            self.directories.taken.forget();
            self.recover(graph.clone());
            if self.units.iter().any(|(_, unit)| unit.is_as_kept() && applies(unit)) {
                self.directories.expect_edited();
            }
        }
        if self.early_end.is_some() {
            return;
        }
        // Nothing of those that are down must go first but their supervisors.
        let (idle, others): (Vec<_>, Vec<_>) = self.others(&graph).into_iter().partition(|name| self.is_idle(name.as_str()));
        if !others.is_empty() {
            for name in &others {
                say!("svc-scan: {name}: its type or its pipe has changed: it stops, with what needs it, and starts again");
            }
            self.replaced.extend(others);
            graph = self.units.compose(&self.replaced);
        }
        self.keep_wishes(&graph);
        self.note_news(&graph);
        self.redefine();
        self.set_timers();
        let mut actions = Vec::new();
        let request = self.next_request();
        self.composed = true;
        self.engine.step(clock::now(), Event::Request(request, Request::Apply(graph.into_nodes())), &mut actions);
        self.give_slots();
        self.perform(actions);
        self.time_nodes();
        self.slots_to_take = true;
        self.take_slots();
        for slot in idle.iter().filter_map(|name| self.slot_named(name.as_str())).collect::<Vec<u32>>() {
            self.happened(Happened::Removed { id: slot });
        }
        self.watch_edits();
        self.keep_definitions();
        // Some have been kept out, which is no news of the graph.
        self.check_nodes();
    }

    /// Leaves what all services are made of to the svc-scan that comes after us.
    pub(super) fn keep_definitions(&mut self) {
        let units = self.units.iter().map(|(name, unit)| {
            let member = self.names.get(name).and_then(|slot| self.members.get(slot));
            let definition = member.map(|member| &member.definition).or(unit.definition.as_ref());
            let definition = definition.filter(|_| !unit.is_one_file());
            Known { name, identity: unit.identity, definition, source: Some(&unit.source) }
        });
        let classic =
            self.members.values().filter(|member| !member.definition.is_managed() && member.name.as_str() != COMMAND);
        let classic = classic.map(|member| {
            let definition = Some(&member.definition);
            Known { name: &member.name, identity: member.identity, definition, source: None }
        });
        self.directories.taken.write(units.chain(classic));
    }

    /// Whether it is down, and nobody wants it to be anything else.
    fn is_idle(&self, name: &str) -> bool {
        let id = self.engine.graph().id(name).filter(|&id| self.engine.wish(id) == Wish::Down);
        id.is_some_and(|id| matches!(self.engine.progress(id), Progress::Down | Progress::Failed(_)))
    }

    /// What is left out of the next graph, and still stands on disk, is wanted as before when it comes again.
    fn keep_wishes(&mut self, next: &Graph) {
        let now = self.engine.graph();
        for id in now.living().into_iter().filter(|&id| next.id(now.name(id)).is_none()) {
            self.wishes.insert(now.name(id).to_owned(), self.engine.wish(id));
        }
        self.wishes.retain(|name, _| self.units.get(name).is_some());
        let again = self.wishes.extract_if(.., |name, _| next.id(name).is_some()).collect();
        self.engine.keep_wishes(again);
    }

    /// Those whose supervisors were made for what they no longer are.
    fn others(&mut self, graph: &Graph) -> Vec<ServiceName> {
        let mut others = Vec::new();
        for node in graph.living().into_iter().map(|id| graph.node(id)) {
            let slot = self.slot_named(&node.name);
            let Some(member) = slot.and_then(|slot| self.members.get_mut(&slot)) else { continue };
            // It is told what it is to be, and needs no other supervisor for that.
            if member.definition.is_chain() {
                continue;
            }
            // An earlier svc-scan made the others, of what was here then.
            if *member.substance.get_or_insert(node.substance) != node.substance {
                others.push(member.name.clone());
            }
        }
        others
    }

    /// Everything in the graph that runs has a supervisor.
    pub(super) fn give_slots(&mut self) {
        for id in self.engine.graph().living() {
            let name = self.engine.graph().name(id).to_owned();
            if self.slot_named(&name).is_some() {
                continue;
            }
            let Some((unit, name)) = self.units.get(&name).zip(ServiceName::parse(&name).ok()) else { continue };
            // Nothing runs of what is left out.
            let Some(definition) = unit.definition.clone().filter(|_| unit.skipped().is_none()) else { continue };
            let (identity, scan_dir, dir) = (unit.identity, unit.scan_dir, unit.dir.clone());
            // Those that write into one pipe: it is that of the first of them, which comes before the one that reads it.
            let first = unit.source.consumer_for.first().cloned();
            let producer = first.and_then(|first| self.names.get(&first).copied());
            if !unit.source.consumer_for.is_empty() && producer.is_none() {
                continue;
            }
            let substance = self.engine.graph().node(id).substance;
            let odd = self.odd.remove(&name);
            let slot = self.add(name, identity, scan_dir, dir, definition, producer, odd);
            if let Some(member) = slot.and_then(|slot| self.members.get_mut(&slot)) {
                member.substance = Some(substance);
            }
            if let Some(slot) = slot {
                self.open_sockets(slot);
            }
        }
        let late = |hub: &Hub| {
            let living = hub.engine.graph().living();
            living.into_iter().any(|id| {
                let name = hub.engine.graph().name(id);
                let first = hub.units.get(name).and_then(|unit| unit.source.consumer_for.first());
                hub.slot_named(name).is_none() && first.is_some_and(|first| hub.names.contains_key(first))
            })
        };
        // A consumer may have come before its producer in the list.
        if late(self) && self.members.len() < svc_proto::ledger::MAX_SLOTS as usize {
            self.give_slots();
        }
    }

    /// The slot whose pipe a producer writes into: its own, unless another producer of the same consumer comes first.
    pub(super) fn shared_pipe(&self, name: &ServiceName) -> Option<u32> {
        let consumer = self.units.get(name.as_str())?.source.producer_for.as_ref()?;
        let first = self.units.get(consumer.as_str())?.source.consumer_for.first()?;
        (first != name).then(|| self.names.get(first).copied()).flatten()
    }

    /// Those who are gone from the disk, or another one there, lose theirs when nothing of them runs.
    pub(super) fn take_slots(&mut self) {
        if !self.slots_to_take {
            return;
        }
        let is_over = |member: &Member| {
            let unwanted = self.units.get(member.name.as_str()).is_none() || self.replaced.contains(&member.name);
            member.definition.is_managed() && unwanted
        };
        let over: Vec<u32> = self.members.iter().filter(|(_, member)| is_over(member)).map(|(&slot, _)| slot).collect();
        self.slots_to_take = false;
        for slot in over {
            let Some(member) = self.members.get(&slot) else { continue };
            if self.node_of(member.name.as_str()).is_some() {
                // Whoever needs it is on the way down still.
                self.slots_to_take = true;
            } else if self.roster.is_to_stay(slot) {
                self.happened(Happened::Removed { id: slot });
            }
        }
    }

    /// The node of this name, which may be on its way out.
    pub(super) fn node_of(&self, name: &str) -> Option<Id> {
        let graph = self.engine.graph();
        graph.id(name).or_else(|| self.engine.outgoing().find(|&id| graph.name(id) == name))
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    pub(super) fn step_engine(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.engine.step(clock::now(), event, &mut actions);
        self.perform(actions);
    }

    pub(super) fn perform(&mut self, actions: Vec<Action>) {
        let news = actions.iter().any(|action| matches!(action, Action::Publish(_)));
        for action in actions {
            match action {
                Action::Start(id) => self.steer(id, true),
                Action::Stop(id) => self.steer(id, false),
                Action::Reload(id) => {
                    if let Some(slot) = self.slot_named(self.engine.graph().name(id)) {
                        self.reload(slot);
                    }
                }
                Action::Examine(id) => self.examine(id),
                Action::Await(id) => self.await_endpoints(id),
                Action::Forget(id) => self.forget_endpoints(id),
                Action::Publish(id) => self.publish_node(id),
                Action::Finished(request, outcome) => self.finished(request, &outcome),
            }
        }
        if news {
            self.check_nodes();
            self.start_command();
        }
    }

    fn publish_node(&mut self, id: Id) {
        let (name, wish) = (self.engine.graph().name(id).to_owned(), self.engine.wish(id));
        self.time_node(id);
        self.say_failure(id);
        match self.slot_named(&name) {
            Some(slot) => {
                if let Some(member) = self.members.get_mut(&slot).filter(|_| wish != Wish::Down) {
                    member.first.want();
                }
                // What a svc-scan before us wished is with the supervisors only, until it has been heard of all.
                if self.wishes_known {
                    self.leave_word(slot, id);
                }
            }
            None => {
                // What a svc-scan before us wished is known when the first graph has been taken in: since when is not.
                if wish != Wish::Down && (self.composed || !self.is_heir) {
                    self.names_wanted.entry(name.clone()).or_default().fill(Some(clock::now()));
                }
                let kind = match self.engine.progress(id) {
                    Progress::Completed | Progress::Up(_) => api::EventKind::Up,
                    Progress::Down => api::EventKind::Down,
                    Progress::Failed(_) => api::EventKind::Failed,
                    Progress::Waiting | Progress::Awaiting | Progress::Starting | Progress::Stopping { .. } => return,
                };
                self.publish(&name, kind, None, None, self.engine.explain(id, clock::now()));
            }
        }
    }

    /// How much a unit is wished, for its supervisor to remember from the beginning.
    pub(super) fn wish_of(&self, name: &str) -> Option<Wish> {
        self.engine.graph().id(name).map(|id| self.engine.wish(id))
    }

    pub(super) fn manager_deadline(&self) -> Option<Millis> {
        let ending = self.ending.as_ref().map(|ending| ending.by);
        [self.engine.deadline(), ending].into_iter().flatten().min()
    }

    /// Who is on the way down.
    fn stopping(&self) -> Vec<&str> {
        let graph = self.engine.graph();
        let is_stopping = |id: &Id| matches!(self.engine.progress(*id), Progress::Stopping { .. });
        graph.living().into_iter().filter(is_stopping).map(|id| graph.name(id)).collect()
    }

    pub(super) fn manager_time(&mut self) {
        let now = clock::now();
        if self.engine.deadline().is_some_and(|at| now >= at) {
            self.step_engine(Event::Deadline);
        }
        if self.ending.as_ref().is_some_and(|ending| now >= ending.by) {
            say!("svc-scan: not everything stopped in order in time ({}): stopping the rest", self.stopping().join(", "));
            self.end_rest();
        }
    }
}
