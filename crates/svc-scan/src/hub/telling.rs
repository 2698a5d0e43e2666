//! What supervisors are told. Nobody is waited for: what a supervisor that does not read has no room for stays here.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use svc_core::Command;
use svc_core::service::Want;
use svc_proto::link::ToSupervisor;
use svc_sys::{Errno, message, say};

use super::{Hub, Member};

/// So much waits for one supervisor, a few bytes each. Its socket has room for hundreds before, so that only one that was stopped gets
/// so far behind.
const MOST_WAITING: usize = 16 * 1024;

/// What waits to be told, the oldest first. As a rule nothing does, and takes no room.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "as a rule there is none, and then it is a pointer")]
pub(super) struct Queue(Option<Box<VecDeque<Told>>>);

impl Queue {
    fn push(&mut self, told: Told) {
        self.0.get_or_insert_default().push_back(told);
    }

    fn first(&self) -> Option<&Told> {
        self.0.as_ref()?.front()
    }

    fn drop_first(&mut self) {
        if let Some(queue) = &mut self.0 {
            queue.pop_front();
        }
        self.0 = self.0.take().filter(|queue| !queue.is_empty());
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }
}

/// What is to be told.
pub(super) enum Told {
    Command(Command),
    /// What its service.toml says when it is told.
    Definition,
}

impl Hub {
    pub(super) fn tell(&mut self, slot: u32, command: Command) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        if !member.is_deaf() {
            member.waiting.push(Told::Command(command));
            // Without one, it is told when there is one again.
            if member.link.is_none() { member.keep_unsaid() } else { self.tell_waiting(slot) }
        } else {
            say!("svc-scan: {}: its supervisor does not listen, and is not told to {command:?}", member.name);
        }
    }

    /// Tells a supervisor what its service.toml says. Others have files that they read themselves.
    pub(super) fn define(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        if member.link.is_some() && member.definition.is_chain() {
            member.waiting.push(Told::Definition);
            self.tell_waiting(slot);
        }
    }

    /// Tells a supervisor what waits for it, as far as there is room.
    pub(super) fn tell_waiting(&mut self, slot: u32) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        let was_waiting = member.waits_for_room;
        member.waits_for_room = !member.tell_waiting();
        if let Some(link) = member.link.as_ref().filter(|_| member.waits_for_room != was_waiting) {
            self.supervisors.await_room(slot, link, member.waits_for_room);
        }
    }
}

impl Member {
    /// Whether so much waits for its supervisor that nothing more is taken for it.
    pub(super) fn is_deaf(&self) -> bool {
        self.waiting.len() >= MOST_WAITING
    }

    /// Whether what its supervisor says is said after it had heard all that it was told.
    pub(super) fn has_heard(&self) -> bool {
        self.link.is_some() && self.told == self.heard
    }

    /// The same of the last start that it was told.
    pub(super) fn has_heard_start(&self) -> bool {
        self.link.is_some() && self.told.wrapping_sub(self.heard) <= self.told.wrapping_sub(self.told_start)
    }

    /// Whether nothing is left that has no room.
    fn tell_waiting(&mut self) -> bool {
        while let (Some(next), Some(link)) = (self.waiting.first(), &self.link) {
            let sent = match next {
                Told::Command(command) => message::try_send(link.as_fd(), &ToSupervisor::Command(*command).encode(), &[]),
                Told::Definition => {
                    let packet = ToSupervisor::Define(self.definition.bytes().to_vec()).encode();
                    message::try_send(
                        link.as_fd(),
                        &packet,
                        &self.sockets.as_ref().map_or_else(Vec::new, |sockets| sockets.numbers()),
                    )
                }
            };
            match (sent, next) {
                (Err(Errno::AGAIN), _) => return false,
                // A wish stays one until it is answered. A signal that came twice would be two.
                (Ok(()), &Told::Command(command)) => {
                    self.told = self.told.wrapping_add(1);
                    if wish_of(command).is_some_and(|want| want != Want::Down) {
                        self.told_start = self.told;
                    }
                    // What the graph wants is found again by looking.
                    self.unsaid = (is_wish(command) && !self.definition.is_managed()).then_some(command);
                }
                (Ok(()), Told::Definition) => {}
                // It has just died, and svc-init is about to say so.
                (Err(Errno::BROKEN_PIPE), _) => {
                    self.keep_unsaid();
                    return true;
                }
                (Err(errno), Told::Command(command)) => {
                    say!("svc-scan: {}: its supervisor cannot be told to {command:?}: {errno}", self.name);
                }
                (Err(errno), Told::Definition) => {
                    say!("svc-scan: {}: its supervisor cannot be told its definition: {errno}", self.name);
                }
            }
            self.waiting.drop_first();
        }
        true
    }

    /// Its supervisor is dead. The next one is told what was asked last, and does not start before that what is to be down.
    pub(super) fn keep_unsaid(&mut self) {
        for told in self.waiting.0.take().into_iter().flat_map(|queue| *queue) {
            if let Told::Command(command) = told
                && (!self.definition.is_managed() || !is_steering(command))
            {
                self.unsaid = Some(command);
            }
        }
    }
}

/// Whether a command is the graph's to give, who gives it again where it was not heard.
fn is_steering(command: Command) -> bool {
    match command {
        Command::Start
        | Command::Arm
        | Command::Stop
        | Command::Once
        | Command::Undo
        | Command::Wish(_)
        | Command::Recall(_) => true,
        Command::Restart
        | Command::AtMostOnce
        | Command::Reload
        | Command::DownSignal
        | Command::Kill(_)
        | Command::KillGroup(_)
        | Command::Pause
        | Command::Continue
        | Command::Drain
        | Command::Terminate
        | Command::Hurry
        | Command::Force
        | Command::Abandon
        | Command::Interrupt => false,
    }
}

/// Whether a command says what is to be, and not what is to be sent.
fn is_wish(command: Command) -> bool {
    wish_of(command).is_some()
}

/// Whether a service that has been told this is not to be started any more.
pub(super) fn is_stop(command: Command) -> bool {
    wish_of(command) == Some(Want::Down)
}

/// What is to be by a command; none if it says only what is to be sent.
fn wish_of(command: Command) -> Option<Want> {
    match command {
        Command::Start | Command::Arm | Command::Restart => Some(Want::Up),
        Command::Once => Some(Want::Once),
        Command::Stop
        | Command::AtMostOnce
        | Command::Undo
        | Command::Drain
        | Command::Terminate
        | Command::Hurry
        | Command::Force => Some(Want::Down),
        Command::Wish(_)
        | Command::Recall(_)
        | Command::Reload
        | Command::DownSignal
        | Command::Kill(_)
        | Command::KillGroup(_)
        | Command::Pause
        | Command::Continue
        | Command::Abandon
        | Command::Interrupt => None,
    }
}
