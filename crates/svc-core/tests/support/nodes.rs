//! The nodes and their supervisors, as they behave when nobody is looking.

use std::collections::{BTreeMap, BTreeSet};

use svc_core::graph::{Event, Graph, Id, Kind, Reason};
use svc_core::{Exit, Millis};

use crate::random_graph::ends_by_itself;
use crate::rng::Rng;

/// What a supervisor sees next of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Started,
    Ready,
    Healthy,
    Unhealthy,
    Completed,
    Died,
    /// It is started again after that.
    Missed,
    Failed,
    /// The answer to a stop.
    Stopped,
    /// The answer of a oneshot whose `down` failed: what its `up` did stays as it is.
    NotUndone,
    /// Somebody else stops it.
    StoppedOutside,
    Reachable,
}

#[derive(Debug, Clone, Default)]
struct Real {
    /// Changes whenever what was to come no longer does.
    life: u64,
    runs: bool,
    is_process: bool,
    /// A oneshot has run to its end, and was not undone.
    done: bool,
    stopping: bool,
    /// How often it may still die and come back, in all.
    deaths: u64,
    /// Reports keep their order.
    last_report: Millis,
    tries: u64,
}

/// All of them.
pub struct Nodes {
    rng: Rng,
    real: BTreeMap<Id, Real>,
    turns: BTreeSet<(Millis, u64, Id, u64, Turn)>,
    /// On their way to the engine.
    reports: BTreeSet<(Millis, u64, Id, Turn)>,
    sequence: u64,
    /// The one whose `down` has just failed: its supervisor says still that it is done.
    pub not_undone: Option<Id>,
    /// Percentages and times of this world.
    failing: u64,
    flapping: u64,
    deaf: u64,
    slow: u64,
}

impl Nodes {
    pub fn new(seed: u64) -> Nodes {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let failing = rng.pick(&[0, 0, 5, 20]);
        let flapping = rng.pick(&[0, 10, 30]);
        let deaf = rng.pick(&[0, 0, 5, 15]);
        let slow = rng.pick(&[20, 200, 1500]);
        Nodes {
            rng,
            real: BTreeMap::new(),
            turns: BTreeSet::new(),
            reports: BTreeSet::new(),
            sequence: 0,
            not_undone: None,
            failing,
            flapping,
            deaf,
            slow,
        }
    }

    pub fn next(&self) -> Option<Millis> {
        let turn = self.turns.first().map(|turn| turn.0);
        let report = self.reports.first().map(|report| report.0);
        turn.into_iter().chain(report).min()
    }

    /// Lets everything happen that is due; gives the first report that has arrived.
    pub fn report(&mut self, now: Millis) -> Option<Event> {
        while let Some(&turn) = self.turns.first().filter(|turn| turn.0 <= now) {
            self.turns.remove(&turn);
            let (at, _, id, life, what) = turn;
            self.turn(at, id, life, what);
        }
        let &report = self.reports.first().filter(|report| report.0 <= now)?;
        self.reports.remove(&report);
        let (_, _, id, what) = report;
        if what == Turn::NotUndone {
            self.not_undone = Some(id);
        }
        Some(match what {
            Turn::Started => Event::Started(id),
            Turn::Ready => Event::Ready(id),
            Turn::Healthy => Event::Healthy(id),
            Turn::Unhealthy => Event::Unhealthy(id),
            Turn::Completed => Event::Completed(id),
            Turn::Died => Event::Died(id),
            Turn::Missed => Event::Missed(id, Reason::Unready(Exit::Code(1))),
            Turn::Failed => Event::Failed(id, Reason::Exit(Exit::Code(125))),
            Turn::Stopped | Turn::NotUndone | Turn::StoppedOutside => Event::Stopped(id),
            Turn::Reachable => Event::Reachable(id),
        })
    }

    fn turn(&mut self, at: Millis, id: Id, life: u64, what: Turn) {
        let real = self.real.entry(id).or_default();
        if real.life != life {
            return;
        }
        match what {
            Turn::Started | Turn::Ready | Turn::Healthy | Turn::Unhealthy | Turn::Reachable => {}
            Turn::Completed => {
                real.life += 1;
                real.done = !real.is_process;
            }
            Turn::Failed => real.life += 1,
            Turn::Died | Turn::Missed => {}
            Turn::NotUndone => {
                real.life += 1;
                real.stopping = false;
            }
            Turn::Stopped => {
                real.life += 1;
                real.runs = false;
                real.done = false;
                real.stopping = false;
            }
            Turn::StoppedOutside => {
                if real.stopping || !real.runs {
                    return;
                }
                real.life += 1;
                real.runs = false;
            }
        }
        if what == Turn::Failed || (what == Turn::Completed && real.is_process) {
            real.runs = false;
        }
        self.sequence += 1;
        let latency = Millis(self.rng.below(5));
        let real = self.real.entry(id).or_default();
        real.last_report = real.last_report.max(at + latency);
        self.reports.insert((real.last_report, self.sequence, id, what));
    }

    fn plan(&mut self, id: Id, at: Millis, what: Turn) {
        self.sequence += 1;
        let life = self.real.entry(id).or_default().life;
        self.turns.insert((at, self.sequence, id, life, what));
    }

    fn soon(&mut self) -> Millis {
        Millis(1 + self.rng.below(self.slow))
    }

    pub fn start(&mut self, graph: &Graph, id: Id, now: Millis) {
        let real = self.real.entry(id).or_default();
        real.runs = true;
        real.done = false;
        real.is_process = graph.node(id).kind == Kind::Process;
        real.life += 1;
        let first = real.tries == 0;
        real.tries += 1;
        if first {
            real.deaths = self.rng.below(4);
        }
        let node = graph.node(id);
        let mut at = now + self.soon();
        if ends_by_itself(node) && self.rng.chance(30) {
            // Before anybody has seen that it runs.
            return self.plan(id, at, Turn::Completed);
        }
        let mut flaps =
            if self.rng.chance(self.flapping) { core::mem::take(&mut self.real.entry(id).or_default().deaths) } else { 0 };
        loop {
            let fails = self.rng.chance(self.failing);
            if fails && self.rng.chance(30) {
                return self.plan(id, at, Turn::Failed);
            }
            self.plan(id, at, Turn::Started);
            at = at + self.soon();
            if fails && self.rng.chance(50) {
                return self.plan(id, at, Turn::Failed);
            }
            let mute = fails && self.rng.chance(50);
            if node.kind == Kind::Oneshot {
                if !mute {
                    self.plan(id, at, Turn::Completed);
                }
                return;
            }
            if node.readiness && !mute {
                self.plan(id, at, Turn::Ready);
                at = at + self.soon();
            }
            if node.health {
                if self.rng.chance(30) {
                    self.plan(id, at, Turn::Unhealthy);
                    at = at + self.soon();
                }
                self.plan(id, at, Turn::Healthy);
                at = at + self.soon();
            }
            if flaps == 0 {
                break;
            }
            flaps -= 1;
            self.plan(id, at, Turn::Died);
            self.plan(id, at, Turn::Missed);
            at = at + self.soon();
        }
        if ends_by_itself(node) {
            self.plan(id, at, Turn::Completed);
        } else if self.rng.chance(self.failing) {
            at = at + self.soon();
            self.plan(id, at, Turn::Failed);
        }
    }

    pub fn stop(&mut self, id: Id, now: Millis) {
        let for_ever = self.rng.chance(self.deaf / 2);
        let takes = if self.rng.chance(self.deaf) { Millis(8000 + self.rng.below(5000)) } else { self.soon() };
        let fails = self.rng.chance(self.failing);
        let real = self.real.entry(id).or_default();
        real.life += 1;
        real.stopping = true;
        let answer = if fails && real.done { Turn::NotUndone } else { Turn::Stopped };
        if !for_ever {
            self.plan(id, now + takes, answer);
        }
    }

    pub fn stop_outside(&mut self, id: Id, now: Millis) {
        if self.real.get(&id).is_some_and(|real| real.runs && !real.stopping) {
            self.plan(id, now + Millis(1), Turn::StoppedOutside);
        }
    }

    pub fn try_endpoints(&mut self, graph: &Graph, id: Id, now: Millis) {
        self.real.entry(id).or_default().life += 1;
        assert!(!graph.node(id).external.is_empty());
        if !self.rng.chance(self.failing) {
            let at = now + self.soon();
            self.plan(id, at, Turn::Reachable);
        }
    }

    pub fn forget(&mut self, id: Id) {
        self.real.entry(id).or_default().life += 1;
    }
}
