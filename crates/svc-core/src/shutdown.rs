//! The order of the end: producers first, then their loggers, which read to the end of their pipes.

use alloc::vec::Vec;

use crate::service::Command;
use crate::time::Millis;

/// Of what is left, loggers may take this share (one part in so many) after the last producer was killed.
const LOGGER_SHARE: u64 = 4;
/// In this share of it, the last one, those who have read to the end and go on all the same are told to end.
const LAST_SHARE: u64 = 8;

/// One service, as far as the end cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub id: u32,
    pub logger: bool,
}

/// The plan of one shutdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    members: Vec<Member>,
    phase: Phase,
    quick: bool,
    forced: bool,
    /// Producers that still live are killed then. None once they were.
    producers_until: Option<Millis>,
    /// Loggers that still live are told to end then, and killed at `end`. None once they were told.
    loggers_until: Option<Millis>,
    end: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Producers,
    Loggers,
    Over,
}

/// What to tell whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tell {
    pub id: u32,
    pub command: Command,
}

impl Plan {
    /// Starts the end: tells the producers. `left` is how long everything may take.
    pub fn new(now: Millis, left: Millis, members: Vec<Member>, force: bool, quick: bool, out: &mut Vec<Tell>) -> Plan {
        let end = now + left;
        let producers_until = Some(end - Millis(left.0 / LOGGER_SHARE));
        let loggers_until = (!quick).then(|| end - Millis(left.0 / LAST_SHARE));
        let phase = Phase::Producers;
        let mut plan = Plan { members, phase, quick, forced: false, producers_until, loggers_until, end };
        if force {
            plan.force(out);
        } else {
            plan.tell(false, Command::Hurry, out);
            if quick {
                plan.tell(true, Command::Terminate, out);
            }
        }
        plan.advance(out);
        plan
    }

    /// Hurry: kills everybody.
    pub fn force(&mut self, out: &mut Vec<Tell>) {
        if !self.forced {
            self.forced = true;
            self.tell(false, Command::Force, out);
            self.tell(true, Command::Force, out);
        }
    }

    /// A supervisor that came (back) while everything ends is told what its kind was told.
    pub fn joined(&mut self, member: Member, out: &mut Vec<Tell>) {
        if !self.members.contains(&member) {
            self.members.push(member);
        }
        let command = match (member.logger, self.forced, self.quick, self.phase) {
            (_, true, _, _) => Command::Force,
            // Its kind was killed while it was away.
            (false, false, _, Phase::Producers) if self.producers_until.is_none() => Command::Force,
            (false, false, _, Phase::Producers | Phase::Loggers | Phase::Over) => Command::Hurry,
            (true, false, true, Phase::Producers | Phase::Loggers | Phase::Over) => Command::Terminate,
            (true, false, false, Phase::Loggers | Phase::Over) if self.loggers_until.is_none() => Command::Hurry,
            (true, false, false, Phase::Loggers | Phase::Over) => Command::Drain,
            // Its turn has not come.
            (true, false, false, Phase::Producers) => return,
        };
        out.push(Tell { id: member.id, command });
    }

    /// Nothing is left of this service or of its supervisor.
    pub fn gone(&mut self, id: u32, out: &mut Vec<Tell>) {
        self.members.retain(|member| member.id != id);
        self.advance(out);
    }

    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    pub fn deadline(&self) -> Option<Millis> {
        match (self.phase, self.forced) {
            (Phase::Producers, false) => self.producers_until,
            (Phase::Loggers, false) => self.loggers_until.or(Some(self.end)),
            (Phase::Producers | Phase::Loggers, true) | (Phase::Over, _) => None,
        }
    }

    /// Time is up for somebody: kills who should have ended by now.
    pub fn time(&mut self, now: Millis, out: &mut Vec<Tell>) {
        match self.phase {
            Phase::Producers if self.producers_until.is_some_and(|until| now >= until) => {
                // Asked for once: from here on the supervisors go on killing by themselves.
                self.producers_until = None;
                self.tell(false, Command::Force, out);
            }
            Phase::Loggers if now >= self.end => {
                self.forced = true;
                self.tell(true, Command::Force, out);
            }
            Phase::Loggers if self.loggers_until.is_some_and(|until| now >= until) => {
                self.loggers_until = None;
                self.tell(true, Command::Hurry, out);
            }
            Phase::Producers | Phase::Loggers | Phase::Over => {}
        }
        self.advance(out);
    }

    fn tell(&self, logger: bool, command: Command, out: &mut Vec<Tell>) {
        let those = self.members.iter().filter(|member| member.logger == logger);
        out.extend(those.map(|member| Tell { id: member.id, command }));
    }

    fn advance(&mut self, out: &mut Vec<Tell>) {
        if self.phase == Phase::Producers && self.members.iter().all(|member| member.logger) {
            self.phase = Phase::Loggers;
            if !self.forced && !self.quick {
                self.tell(true, Command::Drain, out);
            }
        }
        if self.phase == Phase::Loggers && self.members.is_empty() {
            self.phase = Phase::Over;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<Member> {
        vec![Member { id: 1, logger: false }, Member { id: 2, logger: true }, Member { id: 3, logger: false }]
    }

    #[test]
    fn loggers_come_last_and_drain() {
        let mut out = Vec::new();
        let mut plan = Plan::new(Millis(0), Millis(8000), members(), false, false, &mut out);
        let hurry = |id| Tell { id, command: Command::Hurry };
        assert_eq!(out, [hurry(1), hurry(3)]);
        out.clear();
        plan.gone(1, &mut out);
        assert!(out.is_empty());
        plan.gone(3, &mut out);
        assert_eq!(out, [Tell { id: 2, command: Command::Drain }]);
        plan.gone(2, &mut out);
        assert!(plan.is_over());
    }

    #[test]
    fn who_is_late_is_killed() {
        let mut out = Vec::new();
        let mut plan = Plan::new(Millis(0), Millis(8000), members(), false, false, &mut out);
        plan.gone(3, &mut out);
        out.clear();
        assert_eq!(plan.deadline(), Some(Millis(6000)));
        plan.time(Millis(6000), &mut out);
        assert_eq!(out, [Tell { id: 1, command: Command::Force }]);
        plan.gone(1, &mut out);
        assert_eq!(plan.deadline(), Some(Millis(7000)));
        out.clear();
        plan.time(Millis(7000), &mut out);
        assert_eq!(out, [Tell { id: 2, command: Command::Hurry }], "what it was to read is over long since");
        assert_eq!(plan.deadline(), Some(Millis(8000)));
        out.clear();
        plan.time(Millis(8000), &mut out);
        assert_eq!(out, [Tell { id: 2, command: Command::Force }]);
    }
}
