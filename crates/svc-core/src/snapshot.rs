//! A [`Service`] as a row of words: what a supervisor leaves in the ledger for its successor, and what it tells svc-scan.
//! Encoding and decoding stand side by side, and a round-trip test goes through every state.

use crate::Pid;
use crate::graph::Wish;
use crate::service::{Daemon, HISTORY, Past, Recall, Rest, Role, Service, Stage, State, Stop, Trouble, Want};
use crate::signal::Exit;
use crate::time::Millis;

/// Words of a snapshot.
pub const WORDS: usize = PAST + 2 * HISTORY;

/// Where the last ends begin.
const PAST: usize = 10;

/// Where the step of a stop stands in the word that has room for it.
const STEP: u32 = 20;

/// Where it stands in the first word how many knocks were in vain.
const VAIN: u32 = 40;

/// In the word of an end, which has how long it ran between these and its status.
const COUNTS: u64 = 1 << 63;
const STARVED: u64 = 1 << 62;
const UNFED: u64 = 1 << 61;
const READY: u64 = 1 << 60;
const STOPPED: u64 = 1 << 59;

/// "No such time".
const NEVER: u64 = u64::MAX;

/// The row of words.
pub type Words = [u64; WORDS];

impl Service {
    pub fn to_words(&self) -> Words {
        let mut words = [0; WORDS];
        let (tag, pid, ready, until, flags) = match self.state {
            State::Down { not_before } => (0, 0, NEVER, not_before.0, 0),
            State::Starting { role: Role::Run } => (1, 0, NEVER, NEVER, 0),
            State::Starting { role: Role::Finish } => (2, 0, NEVER, NEVER, 0),
            State::Up { pid, ready, paused, stop } => {
                let ready = ready.map_or(NEVER, |at| at.0);
                let until = stop.until().map_or(NEVER, |at| at.0);
                (3, pid.raw(), ready, until, u64::from(paused) | stop_number(stop) << 1)
            }
            State::Finish { pid, kill_at } => (4, pid.raw(), NEVER, kill_at.map_or(NEVER, |at| at.0), 0),
            State::Sweep { kill_at, announced } => (5, 0, NEVER, kill_at.0, u64::from(announced)),
            State::Gone => (6, 0, NEVER, NEVER, 0),
            State::Armed => (7, 0, NEVER, NEVER, 0),
        };
        let want = match self.want {
            Want::Down => 0,
            Want::Up => 1,
            Want::Once => 2,
        };
        let marks = u64::from(self.leaving)
            | u64::from(self.failed) << 1
            | u64::from(self.hasten) << 2
            | u64::from(self.forced) << 3
            | u64::from(self.done) << 4
            | u64::from(self.undoing) << 5
            | match self.wished {
                Wish::Down => 0,
                Wish::Dependency => 1 << 6,
                Wish::Explicit => 2 << 6,
            };
        let daemon = match self.daemon {
            Daemon::No => 0,
            Daemon::Launching => 1,
            Daemon::Found => 2,
        };
        let recall = match self.recall {
            Recall::No => 0,
            Recall::Order => 1,
            Recall::Late => 2,
        };
        words[0] = tag
            | want << 8
            | marks << 16
            | flags << 24
            | daemon << 32
            | u64::from(self.unfit) << 34
            | u64::from(self.preparing) << 35
            | recall << 36
            | u64::from(self.vain) << VAIN;
        words[1] = pid as u64;
        words[2] = self.started.map_or(NEVER, |at| at.0);
        words[3] = self.since.0;
        words[4] = ready;
        words[5] = until;
        words[6] = self.starts;
        words[7] = self.deaths;
        words[8] = self.trouble.map_or(0, Trouble::to_word);
        let rest = match self.rest {
            Rest::No => 0,
            Rest::Ended => 1,
            Rest::Limit => 2,
        };
        let step = if let State::Up { stop: Stop::Signal { step, .. }, .. } = self.state { u64::from(step) } else { 0 };
        let called = u64::from(self.called) << 18;
        words[9] = u64::from(self.streak) | rest << 16 | called | step << STEP | u64::from(self.chance) << 32;
        for (place, pair) in words[PAST..].chunks_exact_mut(2).enumerate() {
            pair[0] = NEVER;
            if let Some(past) = self.past.get(place) {
                pair[0] = past.ended.0;
                let counts = if past.counts { COUNTS } else { 0 };
                let starved = if past.starved { STARVED } else { 0 };
                let unfed = if past.unfed { UNFED } else { 0 };
                let ready = if past.ready { READY } else { 0 };
                let stopped = if past.stopped { STOPPED } else { 0 };
                let flags = counts | starved | unfed | ready | stopped;
                pair[1] = flags | past.ran.0 << 21 >> 5 | u64::from(past.exit.wait_status() & 0xffff);
            }
        }
        words
    }

    /// `None` for words that no [`Service::to_words`] wrote.
    pub fn from_words(words: &Words) -> Option<Service> {
        let pid = i32::try_from(words[1]).ok().and_then(Pid::new);
        let until = time(words[5]);
        let flags = words[0] >> 24;
        let state = match words[0] & 0xff {
            0 => State::Down { not_before: until? },
            1 => State::Starting { role: Role::Run },
            2 => State::Starting { role: Role::Finish },
            3 => State::Up {
                pid: pid?,
                ready: time(words[4]),
                paused: flags & 1 != 0,
                stop: match flags >> 1 & 7 {
                    0 => Stop::No,
                    1 => Stop::Signal { step: (words[9] >> STEP) as u8, until },
                    2 => Stop::Drain { until: until? },
                    3 => Stop::Command { until: until? },
                    4 => Stop::Kill { again: until? },
                    _ => return None,
                },
            },
            4 => State::Finish { pid: pid?, kill_at: until },
            5 => State::Sweep { kill_at: until?, announced: flags & 1 != 0 },
            6 => State::Gone,
            7 => State::Armed,
            _ => return None,
        };
        let want = match words[0] >> 8 & 0xff {
            0 => Want::Down,
            1 => Want::Up,
            2 => Want::Once,
            _ => return None,
        };
        let marks = words[0] >> 16;
        let past = words[PAST..].chunks_exact(2).filter_map(|pair| {
            Some(Past {
                ended: time(pair[0])?,
                exit: Exit::from_wait_status((pair[1] & 0xffff) as u32),
                ran: Millis((pair[1] & !(COUNTS | STARVED | UNFED | READY | STOPPED)) >> 16),
                counts: pair[1] & COUNTS != 0,
                starved: pair[1] & STARVED != 0,
                unfed: pair[1] & UNFED != 0,
                ready: pair[1] & READY != 0,
                stopped: pair[1] & STOPPED != 0,
            })
        });
        Some(Service {
            want,
            state,
            leaving: marks & 1 != 0,
            failed: marks & 2 != 0,
            hasten: marks & 4 != 0,
            forced: marks & 8 != 0,
            done: marks & 16 != 0,
            undoing: marks & 32 != 0,
            daemon: match words[0] >> 32 & 3 {
                0 => Daemon::No,
                1 => Daemon::Launching,
                2 => Daemon::Found,
                _ => return None,
            },
            wished: match marks >> 6 & 3 {
                0 => Wish::Down,
                1 => Wish::Dependency,
                2 => Wish::Explicit,
                _ => return None,
            },
            recall: match words[0] >> 36 & 3 {
                0 => Recall::No,
                1 => Recall::Order,
                2 => Recall::Late,
                _ => return None,
            },
            started: time(words[2]),
            since: Millis(words[3]),
            starts: words[6],
            deaths: words[7],
            streak: words[9] as u16,
            chance: (words[9] >> 32) as u32,
            rest: match words[9] >> 16 & 3 {
                0 => Rest::No,
                1 => Rest::Ended,
                2 => Rest::Limit,
                _ => return None,
            },
            called: words[9] >> 18 & 1 != 0,
            unfit: words[0] >> 34 & 1 != 0,
            preparing: words[0] >> 35 & 1 != 0,
            vain: (words[0] >> VAIN) as u8,
            starved: false,
            unfed: false,
            trouble: if words[8] == 0 { None } else { Some(Trouble::from_word(words[8])?) },
            past: past.collect(),
        })
    }

    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the last `run` ended well, and nothing has been started since.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Whether its last run had said that it is ready.
    pub fn was_ready(&self) -> bool {
        self.last().is_some_and(|past| past.ready)
    }

    /// Whether the main process is what was executed, or a daemon that this has left behind.
    pub fn daemon(&self) -> Daemon {
        self.daemon
    }

    /// Whether its process makes ready what its program needs, and has not executed that yet.
    pub fn prepares(&self) -> bool {
        self.preparing
    }

    /// What svc-scan wished of it last.
    pub fn wished(&self) -> Wish {
        self.wished
    }

    /// Why it was stopped though it is wished.
    pub fn recall(&self) -> Recall {
        self.recall
    }

    /// The same service, wished like this from the beginning.
    #[must_use]
    pub fn with_wish(self, wished: Wish) -> Service {
        Service { wished, ..self }
    }

    /// The same service, wanted down from the beginning. What runs of it is stopped when its supervisor is told to.
    #[must_use]
    pub fn stopped(self, now: Millis) -> Service {
        let state = if self.state == State::Armed { State::Down { not_before: now } } else { self.state };
        Service { want: Want::Down, state, ..self }
    }

    /// The same service, with a series of chance of its own.
    #[must_use]
    pub fn with_chance(self, chance: u32) -> Service {
        Service { chance, ..self }
    }

    /// Why it is not started again after it ended by itself.
    pub fn rest(&self) -> Rest {
        self.rest
    }

    /// How many knocks in a row have started it for nothing.
    pub fn vain(&self) -> u8 {
        self.vain
    }

    /// Whether its last end was a good one that left those waiting who had it started.
    pub fn ends_in_vain(&self) -> bool {
        self.done && self.vain > 0
    }

    /// How many ends in a row came by themselves; a service without a policy does not count.
    pub fn streak(&self) -> u16 {
        self.streak
    }

    /// Whether `finish` runs, or is about to, to undo what was done.
    pub fn undoing(&self) -> bool {
        self.undoing
    }

    /// Whether it leaves by force.
    pub fn forced(&self) -> bool {
        self.forced
    }

    pub fn leaving(&self) -> bool {
        self.leaving
    }

    pub fn since(&self) -> Millis {
        self.since
    }

    pub fn started(&self) -> Option<Millis> {
        self.started
    }

    pub fn deaths(&self) -> u64 {
        self.deaths
    }

    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// The last ends, newest first.
    pub fn past(&self) -> impl Iterator<Item = Past> {
        self.past.iter().copied()
    }
}

fn stop_number(stop: Stop) -> u64 {
    match stop {
        Stop::No => 0,
        Stop::Signal { .. } => 1,
        Stop::Drain { .. } => 2,
        Stop::Command { .. } => 3,
        Stop::Kill { .. } => 4,
    }
}

fn time(word: u64) -> Option<Millis> {
    (word != NEVER).then_some(Millis(word))
}

const STAGES: [Stage; 8] = [
    Stage::Directory,
    Stage::Pipe,
    Stage::Fork,
    Stage::Namespace,
    Stage::Lock,
    Stage::Exec,
    Stage::Supervised,
    Stage::Prepare,
];

impl Trouble {
    fn to_word(self) -> u64 {
        (self.stage.number() + 1) << 32 | u64::from(self.errno as u32)
    }

    fn from_word(word: u64) -> Option<Trouble> {
        let stage = Stage::from_number((word >> 32).checked_sub(1)?)?;
        Some(Trouble { stage, errno: word as u32 as i32 })
    }
}

impl Stage {
    /// A number for the wire; never reused.
    pub fn number(self) -> u64 {
        match self {
            Stage::Directory => 0,
            Stage::Pipe => 1,
            Stage::Fork => 2,
            Stage::Namespace => 3,
            Stage::Lock => 4,
            Stage::Exec => 5,
            Stage::Supervised => 6,
            Stage::Prepare => 7,
        }
    }

    pub fn from_number(number: u64) -> Option<Stage> {
        STAGES.into_iter().find(|stage| stage.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    #[test]
    fn every_state_survives_the_round_trip() {
        let pid = Pid::new(4711).expect("positive");
        let at = Millis(u64::MAX >> 20);
        let states = [
            State::Down { not_before: at },
            State::Starting { role: Role::Run },
            State::Starting { role: Role::Finish },
            State::Up { pid, ready: None, paused: true, stop: Stop::No },
            State::Up { pid, ready: Some(at), paused: false, stop: Stop::Signal { step: 0, until: None } },
            State::Up { pid, ready: Some(Millis(0)), paused: false, stop: Stop::Signal { step: 255, until: Some(at) } },
            State::Up { pid, ready: None, paused: true, stop: Stop::Drain { until: at } },
            State::Up { pid, ready: None, paused: false, stop: Stop::Command { until: Millis(0) } },
            State::Up { pid, ready: None, paused: false, stop: Stop::Kill { again: at } },
            State::Finish { pid, kill_at: None },
            State::Finish { pid, kill_at: Some(at) },
            State::Sweep { kill_at: at, announced: true },
            State::Gone,
            State::Armed,
        ];
        for state in states {
            for (leaving, failed, hasten) in [(false, false, true), (true, false, false), (false, true, false)] {
                let mut service = Service::new(Millis(5), leaving);
                service.state = state;
                service.leaving = leaving;
                service.failed = failed;
                service.hasten = hasten;
                service.forced = leaving && !hasten;
                service.done = hasten;
                service.undoing = failed;
                service.wished = if hasten { Wish::Explicit } else { Wish::Dependency };
                service.daemon = if leaving { Daemon::Launching } else { Daemon::Found };
                service.starts = 9;
                service.deaths = 8;
                service.trouble = failed.then_some(Trouble { stage: Stage::Exec, errno: 13 });
                service.streak = u16::MAX;
                service.chance = 0xdead_beef;
                service.rest = if hasten { Rest::Limit } else { Rest::Ended };
                service.called = leaving;
                service.unfit = failed;
                service.preparing = leaving;
                service.recall = if hasten { Recall::Late } else { Recall::Order };
                service.vain = if hasten { u8::MAX } else { 3 };
                let past = |exit, ended, ran, counts| Past {
                    exit,
                    ended,
                    ran,
                    counts,
                    starved: !counts,
                    unfed: counts,
                    ready: counts,
                    stopped: !counts,
                };
                service.past.push(past(Exit::Signal(Signal::KILL), at, Millis(77), true));
                service.past.push(past(Exit::Code(255), Millis(0), Millis(u64::MAX >> 21), hasten));
                assert_eq!(Service::from_words(&service.to_words()), Some(service));
            }
        }
    }

    #[test]
    fn words_that_nobody_wrote_are_refused() {
        let good = Service::new(Millis(5), true).to_words();
        for (word, value) in [(0, 8), (0, 3 << 8), (8, 9 << 32), (9, 3 << 16), (0, 3 << 32), (0, 3 << 36)] {
            let mut words = good;
            words[word] = value;
            assert_eq!(Service::from_words(&words), None, "word {word} = {value}");
        }
        let mut up = good;
        up[0] = 3;
        assert_eq!(Service::from_words(&up), None, "up without a process");
        up[1] = 7;
        assert!(Service::from_words(&up).is_some());
        up[0] |= 5 << 25;
        assert_eq!(Service::from_words(&up), None, "a stop that nobody knows");
        up[0] = 3 | 2 << 25;
        up[5] = NEVER;
        assert_eq!(Service::from_words(&up), None, "a drain without an end");
    }
}
