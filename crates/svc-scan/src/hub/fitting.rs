//! What the graph wants and what supervisors say, compared until they agree.

use svc_core::graph::{Event, Id, Kind, Progress, Reason, Wish};
use svc_core::roster::Unlaunched;
use svc_core::service::{Recall, Role, State, Stop};
use svc_core::{Command, Noted, Service, ServiceName};
use svc_sys::say;

use super::{Hub, NextStart};
use crate::held::Runs;
use crate::matching::{self, Counted, Match};

impl Hub {
    /// What its supervisor says. One that has died since it said so, as the svc-scan before us has, leaves a service of which nothing
    /// can be taken to be so until its heir speaks: it would be left alone by an end that comes before.
    pub(super) fn heard_of(&self, id: Id) -> Option<&Service> {
        let slot = self.slot_named(self.engine.graph().name(id))?;
        let member = self.members.get(&slot).filter(|member| member.has_heard())?;
        member.machine.as_ref()
    }

    pub(super) fn machine_of(&self, id: Id) -> Option<&Service> {
        let slot = self.slot_named(self.engine.graph().name(id))?;
        self.members.get(&slot)?.machine.as_ref()
    }

    /// Has its supervisor start or stop it. What must be told now is found by looking, as it is ever after.
    pub(super) fn steer(&mut self, id: Id, up: bool) {
        let name = self.engine.graph().name(id).to_owned();
        let is_logger = self.engine.graph().node(id).logger;
        let Some(slot) = self.slot_named(&name) else {
            let event = if up { Event::Failed(id, Reason::StoppedOutside) } else { Event::Stopped(id) };
            return self.step_engine(event);
        };
        if let (false, Ok(name)) = (up, ServiceName::parse(&name)) {
            // Stopped and started in one step is a start all the same.
            self.disarm_timer(&name);
        }
        if !up && is_logger && self.is_ending() {
            // It reads to the end of what there is to read, which comes with the end of the rest.
            return self.step_engine(Event::Stopped(id));
        }
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.counted = member.machine.as_ref().map_or(Counted::default(), Counted::of);
        // What it was to run once for is over.
        member.next.once &= up;
        self.fit(id);
    }

    /// Compares what a supervisor says with what the graph takes to be so, until they agree. All that it has said counts, whenever
    /// that was: it may have come before there was a graph.
    pub(super) fn fit(&mut self, id: Id) {
        self.fit_progress(id);
        if let Some(slot) = self.slot_named(self.engine.graph().name(id)) {
            self.fit_start(slot, id);
            self.fit_health(slot, id);
        }
    }

    fn fit_progress(&mut self, id: Id) {
        // Each round tells one of them one thing more; a supervisor that has been told something answers before the next.
        loop {
            let graph = self.engine.graph();
            let (name, kind) = (graph.name(id), graph.node(id).kind);
            let Some(slot) = self.slot_named(name) else { return };
            let Some(member) = self.members.get(&slot) else { return };
            // It was on the way out before the graph had one of its name again: the next one is meant.
            if !self.roster.is_stopping() && !self.roster.is_to_stay(slot) {
                return;
            }
            let progress = self.engine.progress(id);
            if matches!(progress, Progress::Stopping { .. }) && self.roster.unlaunched(slot) == Some(Unlaunched::Nothing) {
                return self.step_engine(Event::Stopped(id));
            }
            let Some(machine) = self.heard_of(id) else { return };
            // Left out: it is to be gone, and it was what its supervisor was made for.
            let skipped = self.units.get(name).is_some_and(|unit| unit.skipped().is_some());
            let kind = match (member.definition.runs(), skipped, progress) {
                (Runs::Oneshot { .. }, true, Progress::Stopping { .. }) if !self.is_timer(name) => Kind::Oneshot,
                (_, true, Progress::Stopping { .. }) => Kind::Process,
                (_, true, _) => return,
                (_, false, _) => kind,
            };
            // Who is wished for others alone since then is started for them.
            let is_asked = self.engine.wish(id) == Wish::Explicit;
            let next = if is_asked { member.next } else { NextStart::default() };
            let verdict = match kind {
                Kind::Process if self.is_timer(name) => matching::timer(id, progress, machine),
                Kind::Process if member.definition.is_on_demand() => {
                    matching::on_demand(id, progress, machine, member.counted, next.at_once)
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
                        member.next = NextStart::default();
                    }
                    let is_once = command == Command::Start && next.once;
                    return self.tell(slot, if is_once { Command::Once } else { command });
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
        let Some(member) = self.members.get(&slot).filter(|member| member.definition.is_managed()) else { return };
        if let Some(id) = self.node_of(member.name.as_str()) {
            self.fit(id);
            self.remind(slot, id);
        }
        if let Some(name) =
            self.members.get(&slot).map(|member| member.name.clone()).filter(|name| self.is_timer(name.as_str()))
        {
            self.see_timer(&name);
        }
        self.take_slots();
    }

    /// One that somebody's knock has started is there for others all the time; but to become ready it has no more time than others.
    fn fit_start(&mut self, slot: u32, id: Id) {
        let Some(member) = self.members.get_mut(&slot).filter(|member| member.definition.is_on_demand()) else {
            return;
        };
        let says_ready = member.definition.says_ready();
        let Some(machine) = &member.machine else { return };
        let begun = match machine.state() {
            State::Starting { role: Role::Run } | State::Up { ready: None, stop: Stop::No, .. } if says_ready => {
                machine.started()
            }
            State::Starting { role: Role::Run } | State::Up { .. } | State::Armed | State::Gone => None,
            // A start that failed, and is tried again, has the time of the first one.
            State::Starting { role: Role::Finish } | State::Finish { .. } | State::Sweep { .. } | State::Down { .. } => {
                return;
            }
        };
        if begun.is_some() != member.begun.get().is_some() {
            member.begun = begun.map_or(Noted::NONE, Noted::at);
            self.step_engine(Event::Begun(id, begun));
        }
    }

    /// A supervisor that was launched, or killed, while the wish changed has not heard of that.
    pub(super) fn remind(&mut self, slot: u32, id: Id) {
        if self.members.get(&slot).is_some_and(|member| member.has_heard() && !member.recovering) {
            self.leave_word(slot, id);
        }
    }

    /// Has its supervisor keep for the next svc-scan what it does not know yet of what is wished here.
    pub(super) fn leave_word(&mut self, slot: u32, id: Id) {
        let Some(machine) = self.members.get(&slot).and_then(|member| member.machine.as_ref()) else { return };
        let wish = self.engine.wish(id);
        let recall = if wish == Wish::Down || !matches!(self.engine.progress(id), Progress::Stopping { .. }) {
            machine.recall()
        } else if self.engine.failing(id) == Some(Reason::StartTimeout) {
            Recall::Late
        } else {
            Recall::Order
        };
        let (is_wish_new, is_recall_new) = (machine.wished() != wish, machine.recall() != recall);
        if is_wish_new {
            self.tell(slot, Command::Wish(wish));
        }
        if is_recall_new {
            self.tell(slot, Command::Recall(recall));
        }
    }
}
