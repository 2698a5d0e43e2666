//! Services with a slot: how they come, change their name, and go.

use super::boot::First;
use super::{COMMAND, Hub, Member, NextStart, main_program, telling};
use crate::held::Held;
use crate::matching::Counted;
use crate::pair;
use crate::taken::Taken;
use crate::units::{Unit, kind};
use crate::waits::Goal;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use svc_core::graph::{Event, Id, Progress, Refusal};
use svc_core::roster::{Decision, Happened};
use svc_core::{Command, Definition, Noted, Output, Pid, Program, ServiceName, Settings};
use svc_def::Identity;
use svc_proto::api;
use svc_proto::label::Label;
use svc_proto::ledger::MAX_SLOTS;
use svc_proto::link::{ToInit, ToSupervisor};
use svc_sys::{clock, message, say};

/// What becomes of one whose directory is no longer there.
pub(super) const GONE: &str = "gone: its directory was removed";

impl Hub {
    /// A supervisor lives, or a slot waits for one.
    pub(super) fn meet(&mut self, slot: u32, supervisor: i32, label: &[u8], link: Option<OwnedFd>) {
        let supervisor = Pid::new(supervisor);
        if !self.members.contains_key(&slot) {
            let Some(member) = self.remembered(label) else {
                say!("svc-scan: slot {slot} has a label that cannot be read: leaving it alone");
                return;
            };
            self.names.insert(member.name.clone(), slot);
            self.members.insert(slot, Box::new(member));
        }
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.supervisor = supervisor;
        if supervisor.is_some() && member.machine.as_ref().is_none_or(|machine| machine.trouble().is_none()) {
            // That it could not be launched is over.
            member.set_trouble(None);
        }
        if let Some(old) = member.link.take() {
            self.supervisors.remove(&old);
        }
        member.set_files(None);
        // Until it has said something, what we know is of the one before it.
        (member.told, member.told_start, member.heard) = (0, 0, u32::MAX);
        member.keep_unsaid();
        member.waits_for_room = false;
        let Some(link) = link.filter(|_| supervisor.is_some()) else { return };
        if let Err(errno) = self.supervisors.add(slot, &link) {
            say!("svc-scan: {}: cannot listen to its supervisor: {errno}", member.name);
        }
        if self.started {
            member.link = Some(link);
            let is_new_command = member.name.as_str() == COMMAND && member.machine.is_none();
            let is_new = self.roster.is_new(slot);
            let unsaid = member.unsaid.take().or(is_new_command.then_some(Command::Once));
            // It is about to be started in any case.
            let unsaid = unsaid.map(|command| if is_new && command == Command::Restart { Command::Start } else { command });
            // It may have been launched before the last change.
            self.define(slot);
            self.happened(Happened::Launched { id: slot });
            if let Some(command) = unsaid {
                self.tell(slot, command);
            }
        } else {
            let _ = message::try_send(link.as_fd(), &ToSupervisor::Query.encode(), &[]);
            member.link = Some(link);
        }
    }

    /// A member as svc-init remembers it; the directory tells the rest later.
    pub(super) fn remembered(&self, label: &[u8]) -> Option<Member> {
        let label = Label::decode(label).ok()?;
        let name = ServiceName::parse(&label.name).ok()?;
        let root = self.config.scan_dirs.get(label.scan_dir as usize).cloned().unwrap_or_default();
        let dir: Rc<Path> = svc_def::find(&root, &label.name).into();
        let definition = Held::new(&Definition {
            name: label.name.clone(),
            dir: dir.as_os_str().as_bytes().to_vec(),
            program: Program::Directory,
            output: Output::Keeper,
            down: false,
            essential: None,
            managed: None,
            settings: Settings::default(),
        });
        let identity = Identity { device: label.device, inode: label.inode };
        Some(Member {
            added_ms: label.added_ms,
            kind: label.kind,
            first: First::inherited(),
            ..member(name, identity, label.scan_dir, dir, definition)
        })
    }

    /// All that was left is known: what is on disk is compared with it.
    pub(super) fn begin(&mut self) {
        self.directories.taken = Taken::open(self.config.run_dir.as_deref(), self.recovered);
        let mut reads: BTreeMap<u32, ServiceName> = BTreeMap::new();
        for slot in self.members.keys().copied().collect::<Vec<u32>>() {
            reads.extend(self.refresh(slot).map(|producer| (slot, producer)));
            self.define(slot);
        }
        let producer = |slot: u32, member: &Member| {
            let name = reads.get(&slot).cloned().or_else(|| member.name.producer());
            name.and_then(|name| self.names.get(&name).copied())
        };
        let pairs: Vec<(u32, Option<u32>)> =
            self.members.iter().map(|(&slot, member)| (slot, producer(slot, member))).collect();
        for &(id, producer) in &pairs {
            let alive = self.members.get(&id).is_some_and(|member| member.supervisor.is_some());
            self.happened(Happened::Recovered { id, producer, alive });
            let Some(member) = self.members.get(&id).filter(|member| member.name.as_str() != COMMAND) else { continue };
            // Those with dependencies are read again with all that they depend on, also where there is a mistake in them now.
            let is_classic = !member.definition.is_managed() && !svc_def::is_one_file(&member.dir);
            if member.name.producer().is_none() && is_classic {
                self.directories.knows(member.identity, member.name.clone(), member.scan_dir, member.dir.clone());
            }
        }
        self.directories.taken.forget_classic();
        self.started = true;
        self.happened(Happened::Deadline);
    }

    /// Reads the definition of a service again. The last good one stays where it does not parse.
    /// Whose output it reads, where its directory says so.
    pub(super) fn refresh(&mut self, slot: u32) -> Option<ServiceName> {
        let member = self.members.get_mut(&slot)?;
        if member.name.as_str() == COMMAND {
            member.definition = main_program::definition(&self.config.command);
            return None;
        }
        let taken = self.directories.taken.read(&member.name, member.identity, &member.dir);
        // What a supervisor reads by itself it has read by now.
        let taken =
            taken.filter(|taken| !self.started || taken.source.as_ref().is_some_and(|source| source.facts.is_some()));
        let reading = taken.unwrap_or_else(|| svc_def::read(&member.dir, &member.name, Some(&member.definition.whole())));
        if self.started && reading.source.is_some() != member.definition.is_managed() {
            // It has become another form, which takes another supervisor: a rescan gives it one.
            return None;
        }
        match self.units.get(member.name.as_str()).filter(|unit| unit.is_one_file()).and_then(|unit| unit.definition.clone())
        {
            // What holds is what all that depends on it was told.
            Some(definition) => member.definition = definition,
            None => {
                if let svc_def::Outcome::Ready(definition) = reading.outcome {
                    let definition = Held::new(&definition);
                    let source = reading.source.as_ref().filter(|_| member.kind != 0);
                    if source.is_none_or(|source| kind(source, &Some(definition.clone())) == member.kind) {
                        self.directories.taken.is_behind |= member.definition != definition;
                        member.definition = definition;
                    }
                }
            }
        }
        member.set_warning(pair::told(reading.problems.iter()));
        reading.source.and_then(|source| source.consumer_for.first().cloned())
    }

    /// A logger that came or went since the service was added: its pipe is laid when the service is added.
    pub(super) fn check_logger(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        if member.name.producer().is_some() || member.name.as_str() == COMMAND || !member.dir.is_dir() {
            return;
        }
        let log = member.dir.join("log");
        let (has, had) = (log.is_dir(), self.names.contains_key(&member.name.logger()));
        if has == had {
            return;
        }
        let what = if has {
            "came later than the service, whose output goes to svc-log"
        } else {
            "is gone, and the logger that was started from it goes on"
        };
        let problem = format!(
            "{}: {what}: for a change, take the service out and put it back, which restarts it (mv {1} aside, and again to {1})",
            svc_def::shown(&log),
            svc_def::shown(&member.dir)
        );
        if member.warning() != Some(&problem) {
            say!("svc-scan: {}: {problem}", member.name);
            member.set_warning(Some(problem));
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn add(
        &mut self,
        name: ServiceName,
        identity: Identity,
        scan_dir: u32,
        dir: Rc<Path>,
        definition: Held,
        producer: Option<u32>,
        warning: Option<String>,
    ) -> Option<u32> {
        let slot = self.roster.free_slot(MAX_SLOTS)?;
        self.names.insert(name.clone(), slot);
        let added_ms = clock::wall_ms();
        let named = name.to_string();
        let kind = self.units.get(name.as_str()).map_or(0, Unit::kind);
        // The others come with the graph.
        self.directories.taken.is_behind |= !definition.is_managed();
        let mut member = Member { added_ms, kind, ..member(name, identity, scan_dir, dir, definition) };
        member.set_warning(warning);
        // The graph knows when it wants the others.
        if !member.definition.is_managed() && (!member.definition.is_down() || named == COMMAND) {
            member.first.want();
        }
        self.members.insert(slot, Box::new(member));
        self.publish(&named, api::EventKind::Added, None, None, None);
        self.happened(Happened::Added { id: slot, producer });
        Some(slot)
    }

    pub(super) fn slot_of(&self, identity: Identity) -> Option<u32> {
        self.members
            .iter()
            .find(|(_, member)| member.identity == identity && member.name.producer().is_none())
            .map(|(&slot, _)| slot)
    }

    /// Those that were made of this directory or file, as an earlier svc-scan had read it maybe.
    pub(super) fn made_of(&self, identity: Identity) -> Vec<(u32, ServiceName)> {
        let is_made = |member: &Member| {
            let is_own =
                member.identity == identity || member.kind != 0 && member.identity == identity.instance(&member.name);
            is_own && member.name.producer().is_none()
        };
        let made = self.members.iter().filter(|(_, member)| is_made(member));
        made.map(|(&slot, member)| (slot, member.name.clone())).collect()
    }

    pub(super) fn happened(&mut self, happened: Happened) {
        let mut decisions = Vec::new();
        self.roster.step(clock::now(), happened, &mut decisions);
        for decision in decisions {
            match decision {
                Decision::Launch(slot) => self.launch(slot),
                Decision::Tell(slot, command) => self.tell(slot, command),
                Decision::Retire(slot) => self.retire(slot),
                // Its supervisor, which kills it, says so.
            }
        }
    }

    pub(super) fn launch(&mut self, slot: u32) {
        let Some(member) = self.members.get(&slot) else { return };
        if let Some(delayed) = self.delayed.as_mut().filter(|_| member.definition.is_managed()) {
            return delayed.push(slot);
        }
        if self.init.is_waiting() && self.is_alone(slot) {
            return self.unlaunched.push_back(slot);
        }
        let Some(member) = self.members.get(&slot) else { return };
        let label = Label {
            name: member.name.to_string(),
            device: member.identity.device,
            inode: member.identity.inode,
            scan_dir: member.scan_dir,
            added_ms: member.added_ms,
            kind: member.kind,
        };
        let stopped = self.is_to_be_down(slot, member);
        let definition = member.definition.whole();
        let managed = definition.managed.map(|wish| self.wish_of(member.name.as_str()).unwrap_or(wish));
        let definition = Definition { managed, ..definition };
        let message = ToInit::Launch {
            slot,
            output: definition.output,
            stdin_of: self.roster.producer(slot),
            stdout_of: self.shared_pipe(&member.name),
            stopped,
            label: label.encode(),
            definition: svc_proto::definition::encode(&definition),
        };
        self.init.send(message.encode(), None);
    }

    /// Whether a supervisor that is launched now must not start it before it is told anything.
    fn is_to_be_down(&self, slot: u32, member: &Member) -> bool {
        let is_leaving = self.started && !self.roster.is_to_stay(slot);
        // A logger that leaves reads to the end first.
        let is_over = is_leaving && self.roster.producer(slot).is_none();
        let stopping = |id: Id| matches!(self.engine.progress(id), Progress::Stopping { .. });
        let is_stopping = member.definition.is_managed() && self.node_of(member.name.as_str()).is_some_and(stopping);
        is_over || is_stopping || member.unsaid.is_some_and(telling::is_stop)
    }

    /// Whether nothing is to be said of it to svc-init after its launch, nor of another one that must be launched after it.
    fn is_alone(&self, slot: u32) -> bool {
        let unit = self.members.get(&slot).and_then(|member| self.units.get(member.name.as_str()));
        let facts = unit.and_then(|unit| unit.source.facts.as_ref());
        facts.is_some_and(|facts| facts.sockets().is_empty())
    }

    /// There is room in the socket to svc-init. What it is to launch waits as a number until then, and not as a whole message.
    pub(super) fn send_waiting(&mut self) {
        self.init.flush();
        while !self.init.is_waiting()
            && let Some(slot) = self.unlaunched.pop_front()
        {
            self.launch(slot);
        }
    }

    /// The graph is known, or will not be any more.
    pub(super) fn launch_delayed(&mut self) {
        for slot in self.delayed.take().into_iter().flatten() {
            self.launch(slot);
        }
    }

    pub(super) fn retire(&mut self, slot: u32) {
        let Some(member) = self.members.remove(&slot) else { return };
        Hub::forget_sockets(&member);
        self.names.remove(&member.name);
        self.replaced.remove(&member.name);
        if let Some(link) = &member.link {
            self.supervisors.remove(link);
        }
        // At the end svc-init lets go of everything at once; only a logger waits for its producer's pipe to close.
        if self.roster.is_read(slot) || !self.roster.is_stopping() {
            self.init.send(ToInit::Retire { slot }.encode(), None);
        }
        self.directories.expect_no_repair(slot);
        if member.name.producer().is_none() {
            self.directories.forget(member.identity);
            // One of a template that has another name by now, or is something else: that is read again.
            let made = Some(&member.name).filter(|name| name.as_str().contains('@') && !self.is_ending());
            let template = made.and_then(|name| self.directories.template_of(member.identity, name));
            if let Some(template) = template.filter(|&template| self.units.with_identity(template).is_none()) {
                self.directories.forget(template);
            }
        } else {
            self.directories.unblock();
        }
        let name = member.name.to_string();
        self.publish(&name, api::EventKind::Removed, None, None, None);
        // Where it is to be there again, who wants it up waits for the next one.
        let again = self.units.get(&name).is_some() || member.dir.exists() || self.directories.is_blocked(&name);
        let gone = if self.is_ending() { Refusal::ShuttingDown.describe(|_| "") } else { GONE.to_owned() };
        for item in self.waiters.iter_mut().flat_map(|waiter| &mut waiter.items) {
            if item.service == name && item.outcome.is_none() && !(again && item.goal.is_of_the_next()) {
                let is_down =
                    matches!(item.goal, Goal::Stopped | Goal::Ends | Goal::Until(api::Until::Down | api::Until::Finished));
                let is_done = is_down || item.goal == Goal::Gone;
                let result = if is_done { api::Verdict::Done } else { api::Verdict::Failed };
                let message = if again && is_done { "down".to_owned() } else { gone.clone() };
                item.outcome = Some(api::Outcome { service: name.clone(), result, message, status: None });
            }
        }
        self.answer_waiters();
        self.replace_logger(*member);
        if again && !self.is_ending() {
            self.give_slots();
        }
        // One that came and went while this one left waits for the end of it.
        let waits = |id: &Id| matches!(self.engine.progress(*id), Progress::Stopping { .. });
        if let Some(id) = self.node_of(&name).filter(waits) {
            self.step_engine(Event::Stopped(id));
        }
    }

    /// A logger that was told to leave, and whose service stays, comes again: s6-svc -x asks for a new supervisor.
    fn replace_logger(&mut self, logger: Member) {
        let producer = logger.name.producer().and_then(|name| self.names.get(&name).copied());
        if let Some(producer) = producer.filter(|&producer| self.roster.is_to_stay(producer)) {
            let Member { name, identity, scan_dir, dir, definition, .. } = logger;
            self.add(name, identity, scan_dir, dir, definition, Some(producer), None);
        }
    }
}

fn member(name: ServiceName, identity: Identity, scan_dir: u32, dir: Rc<Path>, definition: Held) -> Member {
    Member {
        name,
        identity,
        scan_dir,
        dir,
        definition,
        link: None,
        supervisor: None,
        machine: None,
        health: None,
        deaths: Vec::new(),
        faults: None,
        failures: 0,
        unsaid: None,
        waiting: telling::Queue::default(),
        waits_for_room: false,
        told: 0,
        told_start: 0,
        heard: u32::MAX,
        recovering: false,
        begun: Noted::NONE,
        substance: None,
        counted: Counted::default(),
        next: NextStart::default(),
        sockets: None,
        added_ms: 0,
        kind: 0,
        first: First::default(),
    }
}
