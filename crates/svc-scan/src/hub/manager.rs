//! Services that depend on others: the graph engine, fed with what is on disk, what supervisors say and what clients ask, and its
//! actions carried out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use svc_core::graph::{Action, Engine, Event, Graph, Id, Kind, Node, Outcome, Progress, Reason, Request, RequestId, Wish};
use svc_core::roster::Happened;
use svc_core::service::{State, Want};
use svc_core::{Command, Exit, Millis, Program, Service, ServiceName};
use svc_def::Source;
use svc_proto::api;
use svc_sys::{clock, say};

use super::telling::is_chain;
use super::{Hub, Member};
use crate::directories::Found;
use crate::matching::{self, Counted, Match, ended};
use crate::pair::{self, Pair};
use crate::units::Unit;

/// Of the time for the end, the orderly part may take this share: the rest is for those who did not stop.
const ORDERLY_SHARE: (u64, u64) = (3, 4);

/// The end of everything that has others depend on it, in order; then comes the end of the rest.
pub(super) struct Ending {
    request: RequestId,
    /// When the rest must begin.
    by: Millis,
    /// All there is, counted from `began`.
    left: Millis,
    began: Millis,
}

/// Who is wished without anybody asking: those that are to be up, and what they need.
fn planned(graph: &Graph) -> BTreeMap<Id, Wish> {
    let up = graph.living().into_iter().filter(|&id| graph.node(id).up);
    let mut wishes: BTreeMap<Id, Wish> = up.map(|id| (id, Wish::Explicit)).collect();
    let mut walk: Vec<Id> = wishes.keys().copied().collect();
    while let Some(id) = walk.pop() {
        for edge in graph.edges(id) {
            if let Entry::Vacant(place) = wishes.entry(edge.to) {
                place.insert(Wish::Dependency);
                walk.push(edge.to);
            }
        }
    }
    wishes
}

/// Whether its last start came to nothing, and its supervisor does not try again.
fn has_failed(machine: &Service) -> bool {
    let is_down = matches!(machine.state(), State::Down { .. }) && machine.want() == Want::Down && !machine.done();
    let badly = machine.last().is_some_and(|past| past.exit != Exit::Code(0));
    is_down && (machine.failed() || machine.trouble().is_some() || badly)
}

impl Hub {
    pub(super) fn add_unit(&mut self, found: Found) {
        let Found { name, identity, scan_dir, path, definition, source, warnings, instances, .. } = found;
        let Some(source) = source else { return };
        for warning in &warnings {
            say!("svc-scan: {name}: {warning}");
        }
        self.replaced.remove(&name);
        let is_template = instances.is_some();
        let mut unit = Unit::new(identity, scan_dir, path, definition, source);
        unit.instances = instances;
        self.units.insert(name.clone(), unit);
        if is_template {
            self.make_instances(&name);
        }
    }

    /// A directory of a unit is gone: what runs of it is stopped in order.
    pub(super) fn remove_unit(&mut self, name: &ServiceName) {
        for made in self.units.made_by(name) {
            self.units.remove(&made);
        }
        self.units.remove(name);
        // Its name may be another one's now.
        self.directories.unblock();
    }

    /// A directory is no longer this unit, but something else: it is read anew when nothing of the unit is left.
    pub(super) fn turn_unit(&mut self, name: &ServiceName) {
        let made = self.units.made_by(name);
        let lives = made.iter().chain([name]).any(|name| self.names.contains_key(name));
        for made in made {
            self.units.remove(&made);
        }
        let Some(unit) = self.units.remove(name) else { return };
        if !lives && !self.rehearsing {
            self.directories.forget(unit.identity);
        }
    }

    /// Reads all units again. What is wrong with one leaves it as it was.
    pub(super) fn reread_units(&mut self, which: impl Fn(&Unit) -> bool) {
        // What a template has made is read with it.
        let all: Vec<(ServiceName, PathBuf)> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.of.is_none() && which(unit))
            .map(|(name, unit)| (name.clone(), unit.dir.clone()))
            .collect();
        for (name, dir) in all {
            // Gone: that is told by the directories.
            if !dir.exists() {
                continue;
            }
            let Some(unit) = self.units.get(name.as_str()) else { continue };
            match pair::read(&name, &dir) {
                Ok(Pair { source: Some(source), definition, .. })
                    if unit.is_one_file()
                        && !(is_same_kind(&unit.source, &source) && forks(&unit.definition) == forks(&definition)) =>
                {
                    let shown = svc_def::shown(&dir);
                    let problem = format!(
                        "{shown}: it is of another kind now: take the directory out and put it back (mv it aside, and again here)"
                    );
                    self.units.keep(&name, &problem);
                }
                Ok(Pair { source: Some(source), instances: Some(instances), .. }) => {
                    self.units.read_again(&name, None, source);
                    if let Some(unit) = self.units.get_mut(&name) {
                        unit.instances = Some(instances);
                    }
                    self.make_instances(&name);
                }
                Ok(Pair { source: Some(source), definition, .. }) => self.units.read_again(&name, definition, source),
                Ok(Pair { source: None, .. }) => self.turn_unit(&name),
                Err(problem) => self.units.keep(&name, &problem),
            }
        }
        let skipped = self.units.iter().map(|(name, unit)| (name.clone(), unit.skipped().map(str::to_owned))).collect();
        self.judge(&which);
        self.say_skipped(&skipped);
    }

    /// Services with a service.toml are what it says now.
    fn redefine(&mut self) {
        let changed: Vec<(u32, svc_core::Definition)> = self
            .units
            .iter()
            .filter(|(_, unit)| unit.is_one_file())
            .filter_map(|(name, unit)| {
                let (slot, definition) = (self.names.get(name).copied()?, unit.definition.clone()?);
                (self.members.get(&slot)?.definition != definition).then_some((slot, definition))
            })
            .collect();
        // What they listen on comes with it, and may be all that has changed.
        let with_sockets: Vec<u32> = self.members.keys().copied().collect();
        for slot in with_sockets {
            self.open_sockets(slot);
        }
        for (slot, definition) in changed {
            if let Some(member) = self.members.get_mut(&slot) {
                member.definition = definition;
            }
            self.define(slot);
        }
    }

    /// Ties together what is on disk now, once all of it has been read. `recovered`: an earlier svc-scan had done so, and what it
    /// had started is not started again.
    pub(super) fn compose(&mut self) {
        if !self.units.is_stale() || self.is_ending() || self.is_reading() {
            return;
        }
        let skipped = self.units.iter().map(|(name, unit)| (name.clone(), unit.skipped().map(str::to_owned))).collect();
        self.judge(&|_| false);
        self.say_skipped(&skipped);
        let before: Vec<(ServiceName, Option<String>)> =
            self.units.iter().map(|(name, unit)| (name.clone(), unit.problem.clone())).collect();
        self.units.set_unusable(self.directories.unusable().cloned().collect());
        let mut nodes = self.units.compose(&self.replaced);
        for (name, problem) in before {
            let now = self.units.get(name.as_str()).and_then(|unit| unit.problem.as_ref());
            if let Some(message) = now.filter(|now| Some(*now) != problem.as_ref()) {
                say!("svc-scan: {name}: {message}");
            }
        }
        if std::mem::take(&mut self.recovered) {
            self.recover(&nodes);
        }
        if self.early_end.is_some() {
            return;
        }
        let others = self.others(&nodes);
        if !others.is_empty() {
            for name in &others {
                say!("svc-scan: {name}: its type or its pipe has changed: it stops, with what needs it, and starts again");
            }
            self.replaced.extend(others);
            nodes = self.units.compose(&self.replaced);
        }
        self.redefine();
        self.set_timers();
        let mut actions = Vec::new();
        let request = self.next_request();
        self.composed = true;
        self.engine.step(clock::now(), Event::Request(request, Request::Apply(nodes)), &mut actions);
        self.give_slots();
        self.perform(actions);
        self.time_nodes();
        self.slots_to_take = true;
        self.take_slots();
        self.watch_edits();
    }

    /// Those whose supervisors were made for what they no longer are.
    fn others(&mut self, nodes: &[Node]) -> Vec<ServiceName> {
        let mut others = Vec::new();
        for node in nodes {
            let slot = self.slot_named(&node.name);
            let Some(member) = slot.and_then(|slot| self.members.get_mut(&slot)) else { continue };
            // It is told what it is to be, and needs no other supervisor for that.
            if is_chain(&member.definition.program) {
                continue;
            }
            // An earlier svc-scan made the others, of what was here then.
            if *member.substance.get_or_insert(node.substance) != node.substance {
                others.push(member.name.clone());
            }
        }
        others
    }

    /// What supervisors said of themselves is so; what they do not run is as it was wished. Those who have said nothing yet,
    /// because they were killed too, are heard when they do: until then they are on the way.
    fn recover(&mut self, nodes: &[Node]) {
        let Ok(graph) = Graph::new(nodes.to_vec()) else { return };
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
            if self.heard_of(id).is_some_and(|machine| matching::rests(machine) && machine.wished() != Wish::Down) {
                // What it was wished for has been done.
                self.step_engine(Event::Started(id));
                self.step_engine(Event::Completed(id));
                continue;
            }
            let failure = match self.heard_of(id) {
                Some(machine) if !has_failed(machine) || machine.wished() == Wish::Down => continue,
                // How its last run ended says nothing of a timer.
                Some(_) if self.is_timer(self.engine.graph().name(id)) => continue,
                Some(machine) => Some(ended(machine)),
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
        }
        if self.early_end.is_some() {
            self.wishes_known = true;
            return;
        }
        // Nothing is done before all wishes are known, and those who have come since have slots.
        let mut actions = Vec::new();
        for &id in processes.iter().chain(&new) {
            let known = self.machine_of(id).map(Service::wished);
            let wish = known.unwrap_or_else(|| planned.get(&id).copied().unwrap_or(Wish::Down));
            self.engine.step(clock::now(), Event::Recovered(id, wish), &mut actions);
        }
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
    fn recover_names(&mut self, all: &[Id], actions: &mut Vec<Action>) {
        let wished = |hub: &Hub, id: Id| hub.engine.wish(id) != Wish::Down;
        loop {
            let next = all.iter().copied().find(|&id| {
                let graph = self.engine.graph();
                let wanted = graph.node(id).up || graph.dependents(id).any(|(from, _)| wished(self, from));
                let is_name = !graph.node(id).kind.has_process() && !wished(self, id);
                is_name && wanted && graph.edges(id).iter().all(|edge| wished(self, edge.to))
            });
            let Some(id) = next else { return };
            let wish = if self.engine.graph().node(id).up { Wish::Explicit } else { Wish::Dependency };
            self.engine.step(clock::now(), Event::Recovered(id, wish), actions);
        }
    }

    /// One that a svc-scan before us had launched says what it knows, for the first time.
    pub(super) fn recover_late(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot).filter(|member| member.recovering) else { return };
        member.recovering = false;
        let name = member.name.to_string();
        let Some(id) = self.engine.graph().id(&name) else { return };
        let Some(machine) = self.machine_of(id) else { return };
        let is_down = matches!(machine.state(), State::Down { .. } | State::Gone) && machine.want() == Want::Down;
        let is_timer = self.is_timer(&name);
        let nothing = is_down && (is_timer || !machine.done() && !has_failed(machine));
        let wish = machine.wished();
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
            self.engine.step(now, Event::Stopped(id), &mut actions);
        }
        if !self.is_ending() {
            self.engine.step(now, Event::Recovered(id, wish), &mut actions);
        }
        self.perform(actions);
        self.fit(id);
    }

    /// What its supervisor says. One that has died since it said so, as the svc-scan before us has, leaves a service of which nothing
    /// can be taken to be so until its heir speaks: it would be left alone by an end that comes before.
    fn heard_of(&self, id: Id) -> Option<&Service> {
        let slot = self.slot_named(self.engine.graph().name(id))?;
        let member = self.members.get(&slot).filter(|member| member.link.is_some() && member.told == member.heard)?;
        member.machine.as_ref()
    }

    fn machine_of(&self, id: Id) -> Option<&Service> {
        let slot = self.slot_named(self.engine.graph().name(id))?;
        self.members.get(&slot)?.machine.as_ref()
    }

    /// Everything in the graph that runs has a supervisor.
    fn give_slots(&mut self) {
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
            let slot = self.add(name, identity, scan_dir, dir, definition, producer, None);
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
    fn take_slots(&mut self) {
        if !self.slots_to_take {
            return;
        }
        let is_over = |member: &Member| {
            let unwanted = self.units.get(member.name.as_str()).is_none() || self.replaced.contains(&member.name);
            member.definition.managed.is_some() && unwanted
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

    fn perform(&mut self, actions: Vec<Action>) {
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

    /// Has its supervisor start or stop it. What must be told now is found by looking, as it is ever after.
    fn steer(&mut self, id: Id, up: bool) {
        let name = self.engine.graph().name(id).to_owned();
        let is_logger = self.engine.graph().node(id).logger;
        let Some(slot) = self.slot_named(&name) else {
            let event = if up { Event::Failed(id, Reason::StoppedOutside) } else { Event::Stopped(id) };
            return self.step_engine(event);
        };
        if !up && is_logger && self.is_ending() {
            // It reads to the end of what there is to read, which comes with the end of the rest.
            return self.step_engine(Event::Stopped(id));
        }
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.counted = member.machine.as_ref().map_or(Counted::default(), Counted::of);
        self.fit(id);
    }

    /// Compares what a supervisor says with what the graph takes to be so, until they agree.
    pub(super) fn fit(&mut self, id: Id) {
        // Each round tells one of them one thing more; a supervisor that has been told something answers before the next.
        loop {
            let graph = self.engine.graph();
            let (name, kind) = (graph.name(id), graph.node(id).kind);
            let Some(slot) = self.slot_named(name) else { return };
            let Some(member) = self.members.get(&slot) else { return };
            let Some(machine) = self.heard_of(id) else { return };
            let progress = self.engine.progress(id);
            // Left out: it is to be gone, and it was what its supervisor was made for.
            let skipped = self.units.get(name).is_some_and(|unit| unit.skipped().is_some());
            let kind = match (&member.definition.program, skipped, progress) {
                (Program::Oneshot { .. }, true, Progress::Stopping { .. }) if !self.is_timer(name) => Kind::Oneshot,
                (_, true, Progress::Stopping { .. }) => Kind::Process,
                (_, true, _) => return,
                (_, false, _) => kind,
            };
            let verdict = match kind {
                Kind::Process if self.is_timer(name) => matching::timer(id, progress, machine),
                Kind::Process if member.definition.settings.on_demand.is_some() => {
                    matching::on_demand(id, progress, machine, member.counted, member.at_once)
                }
                Kind::Process => matching::process(id, progress, machine, member.counted),
                Kind::Oneshot => matching::oneshot(id, progress, machine, member.counted),
                Kind::Milestone | Kind::Bundle => return,
            };
            match verdict {
                Match::Fits => return,
                // It starts when all that it is to listen on is open.
                Match::Tell(Command::Start | Command::Arm) if self.lacks_sockets(slot) => return,
                Match::Tell(command) => {
                    if let (Command::Start, Some(member)) = (command, self.members.get_mut(&slot)) {
                        member.at_once = false;
                    }
                    return self.tell(slot, command);
                }
                Match::Hear(event) => {
                    if let (Event::Stopped(_), Kind::Oneshot, true) = (&event, kind, machine.done()) {
                        say!("svc-scan: {name}: its down failed: what its up did stays as it is");
                    }
                    self.step_engine(event);
                    if self.engine.progress(id) == progress {
                        return;
                    }
                }
            }
        }
    }

    /// A supervisor has said something.
    pub(super) fn fit_slot(&mut self, slot: u32) {
        let Some(member) = self.members.get(&slot).filter(|member| member.definition.managed.is_some()) else { return };
        if let Some(id) = self.node_of(member.name.as_str()) {
            self.fit(id);
            self.fit_health(slot, id);
            self.remind(slot, id);
        }
        if let Some(name) =
            self.members.get(&slot).map(|member| member.name.clone()).filter(|name| self.is_timer(name.as_str()))
        {
            self.see_timer(&name);
        }
        self.take_slots();
    }

    /// A supervisor that was launched, or killed, while the wish changed has not heard of that.
    fn remind(&mut self, slot: u32, id: Id) {
        let Some(member) = self.members.get(&slot).filter(|member| member.link.is_some()) else { return };
        let (heard, wish) = (member.told == member.heard, self.engine.wish(id));
        if heard && !member.recovering && member.machine.as_ref().is_some_and(|machine| machine.wished() != wish) {
            self.tell(slot, Command::Wish(wish));
        }
    }

    fn publish_node(&mut self, id: Id) {
        let (name, wish) = (self.engine.graph().name(id).to_owned(), self.engine.wish(id));
        self.time_node(id);
        match self.slot_named(&name) {
            Some(slot) => {
                if let Some(member) = self.members.get_mut(&slot).filter(|_| wish != Wish::Down) {
                    member.first.want();
                }
                let known = self.members.get(&slot).and_then(|member| member.machine.as_ref()).map(Service::wished);
                // What a svc-scan before us wished is with the supervisors only, until it has been heard of all.
                if self.wishes_known && known.is_some_and(|known| known != wish) {
                    self.tell(slot, Command::Wish(wish));
                }
            }
            None => {
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

    // --- the end

    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some() || self.roster.is_stopping()
    }

    /// The end was asked for: first those that others depend on, in order.
    pub(super) fn end(&mut self, left: Millis, force: bool, quick: bool) {
        let is_known = self.composed || !self.recovered;
        if !is_known && !force && !quick && self.members.values().any(|member| member.definition.managed.is_some()) {
            self.early_end.get_or_insert((clock::now(), left));
            return;
        }
        self.early_end = None;
        self.launch_delayed();
        let nothing_up = self.engine.graph().living().into_iter().all(|id| self.engine.progress(id) == Progress::Down);
        if self.ending.is_some() && !force {
            return;
        }
        if force || quick || nothing_up || self.roster.is_stopping() {
            self.ending = None;
            return self.happened(Happened::Shutdown { left, force, quick });
        }
        let request = self.next_request();
        let now = clock::now();
        self.ending =
            Some(Ending { request, by: now + Millis(left.0 * ORDERLY_SHARE.0 / ORDERLY_SHARE.1), left, began: now });
        self.step_engine(Event::Request(request, Request::Shutdown));
    }

    /// The end that was asked for early comes when everything has been read.
    pub(super) fn end_early(&mut self) {
        if self.early_end.is_none() || self.is_reading() {
            return;
        }
        if let Some((asked, left)) = self.early_end.take() {
            self.composed = true;
            self.end(left - (clock::now() - asked), false, false);
        }
    }

    /// Everything that could be stopped in order has been, or the time for that is over.
    fn end_rest(&mut self) {
        let Some(Ending { left, began, .. }) = self.ending.take() else { return };
        let left = left - (clock::now() - began);
        self.happened(Happened::Shutdown { left, force: false, quick: false });
    }

    pub(super) fn manager_deadline(&self) -> Option<Millis> {
        let ending = self.ending.as_ref().map(|ending| ending.by);
        [self.engine.deadline(), ending].into_iter().flatten().min()
    }

    pub(super) fn manager_time(&mut self) {
        let now = clock::now();
        if self.engine.deadline().is_some_and(|at| now >= at) {
            self.step_engine(Event::Deadline);
        }
        if self.ending.as_ref().is_some_and(|ending| now >= ending.by) {
            say!("svc-scan: not everything stopped in order in time: stopping the rest");
            self.end_rest();
        }
    }

    // --- what clients ask

    /// The nodes of these names, if all of them are.
    pub(super) fn nodes_named(&self, names: &[String]) -> Option<Vec<Id>> {
        names.iter().map(|name| self.engine.graph().id(name)).collect()
    }

    /// Asks for something; the outcome may come at once.
    pub(super) fn ask(&mut self, request: Request) -> RequestId {
        let id = self.next_request();
        self.step_engine(Event::Request(id, request));
        id
    }

    fn finished(&mut self, request: RequestId, outcome: &Outcome) {
        if self.ending.as_ref().is_some_and(|ending| ending.request == request) {
            return self.end_rest();
        }
        self.outcomes.insert(request, self.words(outcome));
        // Nobody waits for what was asked for by the definitions themselves.
        let oldest = self.requests.saturating_sub(KEPT_OUTCOMES);
        self.outcomes.retain(|id, _| id.0 > oldest);
        self.answer_requests();
    }

    fn words(&self, outcome: &Outcome) -> Told {
        match outcome {
            Outcome::Done => Told { refused: None, failed: Vec::new() },
            Outcome::Failed(list) => {
                let named =
                    |&(id, reason): &(Id, Reason)| (self.engine.graph().name(id).to_owned(), self.reason(id, reason));
                Told { refused: None, failed: list.iter().map(named).collect() }
            }
            Outcome::Refused(refusal) => {
                let message = refusal.describe(|id| self.engine.graph().name(id));
                Told { refused: Some(message), failed: Vec::new() }
            }
            Outcome::Superseded(_) => {
                Told { refused: Some("somebody asked for something else meanwhile".into()), failed: Vec::new() }
            }
        }
    }

    /// Why a node is not where it should be: as its directory explains it, where it can.
    fn reason(&self, id: Id, reason: Reason) -> String {
        let member = self.slot_named(self.engine.graph().name(id)).and_then(|slot| self.members.get(&slot));
        match (reason, member.and_then(|member| member.trouble.clone())) {
            (Reason::Trouble(_), Some(problem)) => problem,
            (reason, _) => self.engine.reason(reason),
        }
    }

    /// What is to be said of a unit beside its state.
    pub(super) fn node_problem(&self, name: &str) -> Option<String> {
        let unit = self.units.get(name)?;
        if let Some(problem) = &unit.problem {
            return Some(problem.clone());
        }
        let id = self.engine.graph().id(name)?;
        match self.engine.progress(id) {
            // It is where it should be.
            Progress::Awaiting => None,
            Progress::Failed(Reason::Condition) => {
                unit.refused().map(|why| format!("is not started: {why} (condition.otherwise = \"fail\")"))
            }
            Progress::Failed(Reason::Dependency(_)) | Progress::Waiting => self.engine.explain(id, clock::now()),
            Progress::Failed(reason) => Some(self.reason(id, reason)),
            Progress::Down | Progress::Starting | Progress::Up(_) | Progress::Completed | Progress::Stopping { .. } => None,
        }
    }

    /// Units that have no slot: names for others, and those that do not fit together.
    pub(super) fn units_without_slot(&self) -> Vec<(String, PathBuf)> {
        let without = self.units.iter().filter(|(name, _)| !self.names.contains_key(name));
        without.map(|(name, unit)| (name.to_string(), unit.dir.clone())).collect()
    }

    /// The word for the state of one of them.
    pub(super) fn state_of_name(&self, name: &str) -> api::State {
        if let Some(state) = self.state_held_back(name) {
            return state;
        }
        let Some(id) = self.engine.graph().id(name) else { return api::State::Broken };
        match self.engine.progress(id) {
            Progress::Down => api::State::Down,
            Progress::Waiting | Progress::Awaiting => api::State::Waiting,
            Progress::Starting => api::State::Starting,
            Progress::Up(_) | Progress::Completed => api::State::Up,
            Progress::Failed(_) => api::State::Failed,
            Progress::Stopping { .. } => api::State::Stopping,
        }
    }
}

/// Whether the same supervisor can go on with it.
pub(super) fn is_same_kind(before: &Source, now: &Source) -> bool {
    let number = |source: &Source| match &source.kind {
        svc_def::Kind::Longrun if source.timer.is_some() => 4,
        svc_def::Kind::Longrun => 0,
        svc_def::Kind::Oneshot { up: None, down: None } => 1,
        svc_def::Kind::Oneshot { .. } => 2,
        svc_def::Kind::Bundle { .. } => 3,
    };
    now.facts.is_some() && number(before) == number(now)
}

/// Whether it is a forking daemon, which is of a kind of its own.
pub(super) fn forks(definition: &Option<svc_core::Definition>) -> bool {
    definition.as_ref().is_some_and(|definition| definition.settings.forking.is_some())
}

/// Whether a definition holds the words that are executed.
/// So many answers wait for their clients.
const KEPT_OUTCOMES: u64 = 1024;

/// What became of a request.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Nothing was done, because of this.
    pub(super) refused: Option<String>,
    /// Who did not get there, and why.
    pub(super) failed: Vec<(String, String)>,
}
