//! The machine of svc-scan: which supervisors there should be, who is told what, and when a slot is given back.
//!
//! A member is one slot: a service, or the logger of one. Its supervisor may die at any time; it is launched again and goes
//! on with the service, unless the service is over.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::service::Command;
use crate::shutdown::{Member as Part, Plan, Tell};
use crate::time::Millis;

/// A supervisor that died sooner than this after its launch is launched again that long after it.
const RELAUNCH_GAP: Millis = Millis::from_secs(1);
/// A supervisor that could not even be forked is tried again after this long.
const LAUNCH_RETRY: Millis = Millis::from_secs(1);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// A directory is to be a service. `producer`: it is the logger of that one.
    Added {
        id: u32,
        producer: Option<u32>,
    },
    /// A svc-scan before us had launched it; it lives, or not.
    Recovered {
        id: u32,
        producer: Option<u32>,
        alive: bool,
    },
    Launched {
        id: u32,
    },
    LaunchFailed {
        id: u32,
    },
    /// Its supervisor ended. `over`: after having said that nothing of the service is left, as it was told to.
    Died {
        id: u32,
        over: bool,
    },
    /// Its directory is gone.
    Removed {
        id: u32,
    },
    Shutdown {
        left: Millis,
        force: bool,
        quick: bool,
    },
    Deadline,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Launch(u32),
    Tell(u32, Command),
    /// Close its pipes and forget it.
    Retire(u32),
}

/// What there is of a service without a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlaunched {
    /// It has never had one.
    Nothing,
    /// What an earlier one has left.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    producer: Option<u32>,
    /// When its supervisor was last launched.
    launched: Millis,
    life: Life,
    /// Its supervisor could not be launched the last time.
    failed: bool,
    /// It has had a supervisor, or one that had what it reads: something may be left of it.
    begun: bool,
    /// What its supervisor must be told when it comes (back), because it is to leave.
    leaving: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Launching,
    Alive,
    Dead { again_at: Millis },
}

/// The machine.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Roster {
    members: BTreeMap<u32, Member>,
    /// Those of them that are dead: few, as a rule none.
    dead: BTreeSet<u32>,
    /// Those of them whose output another one reads, each with that one.
    read: BTreeSet<(u32, u32)>,
    plan: Option<Plan>,
}

impl Roster {
    /// The lowest slot that nobody uses; `most`: how many there are.
    pub fn free_slot(&self, most: u32) -> Option<u32> {
        // Slots are given out from below, so as a rule all up to the highest are taken.
        let taken = self.members.len() as u32;
        let full = self.members.last_key_value().is_none_or(|(&highest, _)| highest + 1 == taken);
        let free = if full { Some(taken) } else { (0..taken).find(|id| !self.members.contains_key(id)) };
        free.filter(|&id| id < most)
    }

    /// The one whose output this one reads.
    pub fn producer(&self, id: u32) -> Option<u32> {
        self.members.get(&id).and_then(|member| member.producer)
    }

    /// Whether somebody reads the output of this one.
    pub fn is_read(&self, id: u32) -> bool {
        self.loggers(id).next().is_some()
    }

    /// Those that read its output.
    fn loggers(&self, id: u32) -> impl Iterator<Item = u32> {
        self.read.range((id, 0)..=(id, u32::MAX)).map(|&(_, logger)| logger)
    }

    pub fn is_stopping(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether it is (still) to be there.
    pub fn is_to_stay(&self, id: u32) -> bool {
        self.plan.is_none() && self.members.get(&id).is_some_and(|member| member.leaving.is_none())
    }

    /// What there is of one whose supervisor cannot be launched; none where it has one, or is getting it.
    pub fn unlaunched(&self, id: u32) -> Option<Unlaunched> {
        let member = self.members.get(&id).filter(|member| member.failed)?;
        Some(if member.begun { Unlaunched::Left } else { Unlaunched::Nothing })
    }

    /// Whether it has had no supervisor yet.
    pub fn is_new(&self, id: u32) -> bool {
        self.members.get(&id).is_some_and(|member| !member.begun)
    }

    pub fn deadline(&self) -> Option<Millis> {
        let relaunch = self.dead.iter().filter_map(|id| match self.members.get(id)?.life {
            Life::Dead { again_at } => Some(again_at),
            Life::Launching | Life::Alive => None,
        });
        relaunch.chain(self.plan.as_ref().and_then(Plan::deadline)).min()
    }

    pub fn step(&mut self, now: Millis, happened: Happened, out: &mut Vec<Decision>) {
        match happened {
            Happened::Added { id, producer } => {
                // Nothing begins while everything ends.
                if self.plan.is_none() {
                    self.insert(id, producer, now, Life::Launching, false);
                    out.push(Decision::Launch(id));
                }
            }
            Happened::Recovered { id, producer, alive } => {
                let life = if alive { Life::Alive } else { Life::Dead { again_at: now } };
                self.insert(id, producer, now, life, true);
            }
            Happened::Launched { id } => {
                let Some(member) = self.members.get_mut(&id) else { return };
                (member.life, member.failed, member.begun) = (Life::Alive, false, true);
                self.dead.remove(&id);
                out.extend(member.leaving.map(|command| Decision::Tell(id, command)));
                let part = Part { id, logger: member.producer.is_some() };
                self.with_plan(out, |plan, tells| plan.joined(part, tells));
            }
            Happened::LaunchFailed { id } => self.launch_failed(now, id, out),
            Happened::Died { id, over } => self.died(now, id, over, out),
            Happened::Removed { id } => self.leave(id, Command::Terminate, out),
            Happened::Shutdown { left, force, quick } => self.shutdown(now, left, force, quick, out),
            Happened::Deadline => self.time(now, out),
        }
    }

    fn insert(&mut self, id: u32, producer: Option<u32>, launched: Millis, life: Life, begun: bool) {
        let member = Member { producer, launched, life, failed: false, begun, leaving: None };
        let before = self.members.insert(id, member);
        self.forget_producer(id, before);
        self.read.extend(producer.map(|producer| (producer, id)));
        match life {
            Life::Dead { .. } => self.dead.insert(id),
            Life::Launching | Life::Alive => self.dead.remove(&id),
        };
    }

    fn forget_producer(&mut self, id: u32, before: Option<Member>) {
        if let Some(producer) = before.and_then(|member| member.producer) {
            self.read.remove(&(producer, id));
        }
    }

    fn dead(&mut self, id: u32, again_at: Millis) {
        if let Some(member) = self.members.get_mut(&id) {
            member.life = Life::Dead { again_at };
            self.dead.insert(id);
        }
    }

    fn launch_failed(&mut self, now: Millis, id: u32, out: &mut Vec<Decision>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.failed = true;
        self.dead(id, now + LAUNCH_RETRY);
        self.end_nothing(id, out);
    }

    /// One that is to leave, and has had no supervisor: there is nothing to stop, and nobody to say so.
    fn end_nothing(&mut self, id: u32, out: &mut Vec<Decision>) {
        let is_leaving = !self.is_to_stay(id);
        let is_nothing = |member: &Member| !member.begun && matches!(member.life, Life::Dead { .. });
        if is_leaving && self.members.get(&id).is_some_and(is_nothing) {
            self.over(id, out);
        }
    }

    /// Nothing is left of it.
    fn over(&mut self, id: u32, out: &mut Vec<Decision>) {
        let Some(before) = self.members.remove(&id) else { return };
        self.forget_producer(id, Some(before));
        self.dead.remove(&id);
        // With the producer's pipe closed its logger reads to the end. It is told before, or it would be started again
        // once more when it has.
        for logger in self.loggers(id).collect::<Vec<u32>>() {
            if let Some(logger) = self.members.get_mut(&logger) {
                logger.begun |= before.begun;
            }
            self.leave(logger, Command::Drain, out);
        }
        self.with_plan(out, |plan, tells| plan.gone(id, tells));
        out.push(Decision::Retire(id));
    }

    fn died(&mut self, now: Millis, id: u32, over: bool, out: &mut Vec<Decision>) {
        if over {
            return self.over(id, out);
        }
        let Some(member) = self.members.get(&id) else { return };
        let again_at =
            if now - member.launched >= RELAUNCH_GAP || self.plan.is_some() { now } else { member.launched + RELAUNCH_GAP };
        self.dead(id, again_at);
        self.relaunch(now, out);
    }

    fn leave(&mut self, id: u32, command: Command, out: &mut Vec<Decision>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.leaving = Some(command);
        if member.life == Life::Alive {
            out.push(Decision::Tell(id, command));
        }
        self.end_nothing(id, out);
    }

    fn shutdown(&mut self, now: Millis, left: Millis, force: bool, quick: bool, out: &mut Vec<Decision>) {
        let mut tells = Vec::new();
        match &mut self.plan {
            None => {
                let parts =
                    self.members.iter().map(|(&id, member)| Part { id, logger: member.producer.is_some() }).collect();
                self.plan = Some(Plan::new(now, left, parts, force, quick, &mut tells));
            }
            Some(plan) => {
                if force {
                    plan.force(&mut tells);
                }
            }
        }
        self.tell(tells, out);
        for id in self.dead.iter().copied().collect::<Vec<u32>>() {
            self.end_nothing(id, out);
        }
        // Whoever has no supervisor gets one now: the end does not wait for the gap.
        for id in &self.dead {
            if let Some(Member { life: Life::Dead { again_at }, .. }) = self.members.get_mut(id) {
                *again_at = now;
            }
        }
        self.relaunch(now, out);
    }

    fn time(&mut self, now: Millis, out: &mut Vec<Decision>) {
        self.with_plan(out, |plan, tells| plan.time(now, tells));
        self.relaunch(now, out);
    }

    /// Launches who is due. Supervisors are wanted even while everything ends: what a killed one left must be stopped too.
    fn relaunch(&mut self, now: Millis, out: &mut Vec<Decision>) {
        let members = &mut self.members;
        self.dead.retain(|id| match members.get_mut(id) {
            Some(member) if matches!(member.life, Life::Dead { again_at } if now >= again_at) => {
                member.life = Life::Launching;
                member.launched = now;
                out.push(Decision::Launch(*id));
                false
            }
            Some(_) => true,
            None => false,
        });
    }

    fn with_plan(&mut self, out: &mut Vec<Decision>, ask: impl FnOnce(&mut Plan, &mut Vec<Tell>)) {
        let mut tells = Vec::new();
        if let Some(plan) = &mut self.plan {
            ask(plan, &mut tells);
        }
        self.tell(tells, out);
    }

    /// Whoever is not there to be told hears it when its supervisor comes; whoever was told already does not hear it twice.
    fn tell(&self, tells: Vec<Tell>, out: &mut Vec<Decision>) {
        let there = tells.into_iter().filter(|tell| {
            let member = self.members.get(&tell.id);
            member.is_some_and(|member| member.life == Life::Alive && member.leaving != Some(tell.command))
        });
        out.extend(there.map(|tell| Decision::Tell(tell.id, tell.command)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(roster: &mut Roster, now: u64, happened: Happened) -> Vec<Decision> {
        let mut out = Vec::new();
        roster.step(Millis(now), happened, &mut out);
        out
    }

    fn pair() -> Roster {
        let mut roster = Roster::default();
        assert_eq!(step(&mut roster, 0, Happened::Added { id: 0, producer: None }), [Decision::Launch(0)]);
        assert_eq!(step(&mut roster, 0, Happened::Added { id: 1, producer: Some(0) }), [Decision::Launch(1)]);
        for id in [0, 1] {
            assert_eq!(step(&mut roster, 0, Happened::Launched { id }), []);
        }
        roster
    }

    #[test]
    fn a_killed_supervisor_comes_back_but_not_more_than_once_a_second() {
        let mut roster = pair();
        assert_eq!(step(&mut roster, 5000, Happened::Died { id: 0, over: false }), [Decision::Launch(0)]);
        step(&mut roster, 5000, Happened::Launched { id: 0 });
        assert_eq!(step(&mut roster, 5010, Happened::Died { id: 0, over: false }), []);
        assert_eq!(roster.deadline(), Some(Millis(6000)));
        assert_eq!(step(&mut roster, 6000, Happened::Deadline), [Decision::Launch(0)]);
    }

    #[test]
    fn a_removed_pair_goes_producer_first() {
        let mut roster = pair();
        assert_eq!(step(&mut roster, 1, Happened::Removed { id: 0 }), [Decision::Tell(0, Command::Terminate)]);
        let after = step(&mut roster, 2, Happened::Died { id: 0, over: true });
        assert_eq!(after, [Decision::Tell(1, Command::Drain), Decision::Retire(0)]);
        assert_eq!(step(&mut roster, 3, Happened::Died { id: 1, over: true }), [Decision::Retire(1)]);
    }

    #[test]
    fn a_supervisor_killed_while_its_service_is_removed_is_told_again() {
        let mut roster = pair();
        step(&mut roster, 5000, Happened::Removed { id: 0 });
        assert_eq!(step(&mut roster, 5001, Happened::Died { id: 0, over: false }), [Decision::Launch(0)]);
        assert_eq!(step(&mut roster, 5002, Happened::Launched { id: 0 }), [Decision::Tell(0, Command::Terminate)]);
    }

    #[test]
    fn the_end_waits_for_a_service_whose_supervisor_is_dead() {
        let mut roster = pair();
        step(&mut roster, 5000, Happened::Died { id: 0, over: false });
        step(&mut roster, 5000, Happened::Launched { id: 0 });
        step(&mut roster, 5001, Happened::Died { id: 0, over: false });
        let left = Millis(8000);
        let out = step(&mut roster, 5002, Happened::Shutdown { left, force: false, quick: false });
        assert_eq!(out, [Decision::Launch(0)], "it is told when it is back");
        assert_eq!(step(&mut roster, 5003, Happened::Launched { id: 0 }), [Decision::Tell(0, Command::Hurry)]);
        let out = step(&mut roster, 6002, Happened::Died { id: 0, over: true });
        assert_eq!(out, [Decision::Tell(1, Command::Drain), Decision::Retire(0)]);
        assert_eq!(step(&mut roster, 6003, Happened::Added { id: 9, producer: None }), [], "nothing begins any more");
    }

    #[test]
    fn what_never_had_a_supervisor_leaves_without_one() {
        let mut roster = Roster::default();
        step(&mut roster, 0, Happened::Added { id: 0, producer: None });
        step(&mut roster, 0, Happened::Added { id: 1, producer: Some(0) });
        assert_eq!(step(&mut roster, 1, Happened::Removed { id: 0 }), [], "it may be launched this moment");
        assert_eq!(step(&mut roster, 2, Happened::LaunchFailed { id: 1 }), []);
        assert_eq!(roster.unlaunched(1), Some(Unlaunched::Nothing));
        let out = step(&mut roster, 3, Happened::LaunchFailed { id: 0 });
        assert_eq!(out, [Decision::Retire(1), Decision::Retire(0)], "nothing was written that could be read");
        assert_eq!(roster, Roster::default());
    }

    #[test]
    fn what_an_earlier_supervisor_has_left_needs_another_one() {
        let mut roster = pair();
        step(&mut roster, 5000, Happened::Died { id: 0, over: false });
        step(&mut roster, 5000, Happened::LaunchFailed { id: 0 });
        assert_eq!(roster.unlaunched(0), Some(Unlaunched::Left));
        assert_eq!(step(&mut roster, 5001, Happened::Removed { id: 0 }), []);
        assert_eq!(step(&mut roster, 6000, Happened::Deadline), [Decision::Launch(0)]);
        assert_eq!(step(&mut roster, 6000, Happened::Launched { id: 0 }), [Decision::Tell(0, Command::Terminate)]);
        assert_eq!(roster.unlaunched(0), None);
    }

    #[test]
    fn a_logger_that_cannot_be_launched_has_what_was_written() {
        let mut roster = Roster::default();
        step(&mut roster, 0, Happened::Added { id: 0, producer: None });
        step(&mut roster, 0, Happened::Added { id: 1, producer: Some(0) });
        step(&mut roster, 0, Happened::Launched { id: 0 });
        step(&mut roster, 0, Happened::LaunchFailed { id: 1 });
        step(&mut roster, 1, Happened::Removed { id: 0 });
        assert_eq!(step(&mut roster, 2, Happened::Died { id: 0, over: true }), [Decision::Retire(0)]);
        assert_eq!(step(&mut roster, 1000, Happened::Deadline), [Decision::Launch(1)]);
        assert_eq!(step(&mut roster, 1000, Happened::Launched { id: 1 }), [Decision::Tell(1, Command::Drain)]);
    }

    #[test]
    fn the_end_does_not_wait_for_what_never_had_a_supervisor() {
        let mut roster = pair();
        step(&mut roster, 5000, Happened::Added { id: 2, producer: None });
        step(&mut roster, 5000, Happened::LaunchFailed { id: 2 });
        step(&mut roster, 5000, Happened::Added { id: 3, producer: None });
        let out = step(&mut roster, 5001, Happened::Shutdown { left: Millis(8000), force: false, quick: false });
        assert_eq!(out, [Decision::Tell(0, Command::Hurry), Decision::Retire(2)]);
        assert_eq!(step(&mut roster, 5002, Happened::LaunchFailed { id: 3 }), [Decision::Retire(3)]);
        let out = step(&mut roster, 5003, Happened::Died { id: 0, over: true });
        assert_eq!(out, [Decision::Tell(1, Command::Drain), Decision::Retire(0)]);
    }
}
