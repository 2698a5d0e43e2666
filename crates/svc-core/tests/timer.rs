//! Many seeded lives of timers: slow runs, supervisors that are killed with what they were told, svc-scans that are, whole svcs
//! that are, clocks that are set, and after each step the promises: one run at a time, none early, none lost.
//!
//! `SVC_SEED=n cargo test -p svc-core --test timer -- --nocapture` plays one again.

#[path = "support/rng.rs"]
mod rng;
#[path = "support/seeds.rs"]
mod seeds;

use svc_core::Millis;
use svc_core::timer::{
    Action, Arming, Event, From, LATE, Memory, Missed, Moment, Note, Overlap, Rules, Run, SET_BACK, Schedule, Sight, Timer,
};

use rng::Rng;
use seeds::Outcome;

const SEEDS: u64 = 100_000;

#[test]
fn every_promise_holds_whatever_happens() {
    seeds::play_all(SEEDS, |seed, told| {
        let mut life = Life::new(seed, told);
        let result = life.play();
        Outcome { result, story: life.story }
    });
}

/// A simulation that never comes somewhere says nothing about it.
#[test]
fn it_comes_to_every_end() {
    let mut seen = Seen::default();
    for seed in 0..4000 {
        let mut life = Life::new(seed, false);
        life.play().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        seen.runs += life.seen.runs;
        seen.lost += life.seen.lost;
        for (note, count) in life.seen.notes {
            match seen.notes.iter_mut().find(|(known, _)| *known == note) {
                Some((_, known)) => *known += count,
                None => seen.notes.push((note, count)),
            }
        }
    }
    for note in [Note::Skipped, Note::Queued, Note::Overtaken, Note::Missed, Note::Late, Note::TimedOut, Note::NotArmed] {
        let count = seen.notes.iter().find(|(known, _)| *known == note).map_or(0, |(_, count)| *count);
        assert!(count > 50, "{note:?}: {count}");
    }
    assert!(seen.runs > 20_000 && seen.lost > 1000, "{} runs, {} lost messages", seen.runs, seen.lost);
}

#[derive(Default)]
struct Seen {
    runs: u64,
    lost: u64,
    notes: Vec<(Note, u64)>,
}

/// What the supervisor of the story does.
struct Supervisor {
    starts: u64,
    /// When the run under way began, and when it ends; whether it was told to stop.
    run: Option<(Millis, Millis, bool)>,
}

struct Life {
    rng: Rng,
    told: bool,
    story: Vec<String>,
    seen: Seen,
    mono: u64,
    wall: u64,
    rules: Rules,
    /// Of the calendar.
    period: u64,
    timer: Timer,
    /// What lies on the disk.
    memory: Memory,
    supervisor: Supervisor,
    /// The clock was set, or nobody looked: points may be passed over.
    blurred: bool,
}

impl Life {
    fn new(seed: u64, told: bool) -> Life {
        let mut rng = Rng::new(seed);
        let span = Millis(1000 * (1 + rng.below(300)));
        let schedule = match rng.below(3) {
            0 => Schedule::Calendar,
            1 => Schedule::Every { span, from: From::Start },
            _ => Schedule::Every { span, from: From::End },
        };
        let rules = Rules {
            schedule,
            jitter: Millis(if rng.chance(50) { 0 } else { rng.below(100_000) }),
            overlap: rng.pick(&[Overlap::Skip, Overlap::Queue, Overlap::Kill]),
            missed: rng.pick(&[Missed::Run, Missed::Skip]),
            timeout: Millis(if rng.chance(50) { 0 } else { 1000 + rng.below(60_000) }),
            at_start: rng.chance(30),
        };
        let (mono, wall) = (rng.below(1_000_000), 1_700_000_000_000 + rng.below(1_000_000_000));
        Life {
            told,
            story: Vec::new(),
            seen: Seen::default(),
            mono,
            wall,
            rules,
            period: span.0,
            timer: Timer::new(rules, seed, Memory::default()),
            memory: Memory::default(),
            supervisor: Supervisor { starts: 0, run: None },
            blurred: false,
            rng,
        }
    }

    fn now(&self) -> Moment {
        Moment { mono: Millis(self.mono), wall: self.wall }
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.told {
            let line = format!("{:>9} {:>13} {}", self.mono, self.wall, what());
            self.story.push(line);
        }
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        self.say(|| format!("{event:?}"));
        let period = self.period;
        let calendar = move |after: u64| Some((after / period + 1) * period);
        let mut actions = Vec::new();
        let before = self.timer.clone();
        let now = self.now();
        self.timer.step(now, event, &calendar, &mut actions);
        // Written down before it is acted on.
        self.memory = self.timer.memory(now);
        self.check_points(event, &before, &actions)?;
        for action in actions {
            self.say(|| format!("  {action:?}"));
            match action {
                // The supervisor is killed with what it was told.
                Action::Run | Action::Stop if self.rng.chance(15) => self.seen.lost += 1,
                Action::Run => {
                    if self.supervisor.run.is_some() {
                        return Err("a run was started while one was under way".into());
                    }
                    self.supervisor.starts += 1;
                    self.seen.runs += 1;
                    let ends = now.mono + Millis(self.rng.below(3 * self.period) + 1);
                    // Some cannot be started at all.
                    self.supervisor.run = (!self.rng.chance(5)).then_some((now.mono, ends, false));
                }
                Action::Stop => {
                    if let Some((since, ends, _)) = self.supervisor.run {
                        self.supervisor.run = Some((since, ends.min(now.mono + Millis(500)), true));
                    }
                }
                Action::Tell(note) => match self.seen.notes.iter_mut().find(|(known, _)| *known == note) {
                    Some((_, count)) => *count += 1,
                    None => self.seen.notes.push((note, 1)),
                },
            }
        }
        Ok(())
    }

    /// What a step makes of the points of the schedule.
    fn check_points(&mut self, event: Event, before: &Timer, actions: &[Action]) -> Result<(), String> {
        let acted = actions.iter().any(|action| match action {
            Action::Run => true,
            Action::Tell(note) => match note {
                Note::Skipped | Note::Queued | Note::Overtaken | Note::Missed | Note::Late => true,
                Note::TimedOut | Note::NotArmed => false,
            },
            Action::Stop => false,
        }) || self.timer.run() != before.run() && matches!(self.timer.run(), Run::Asked { .. });
        let (was, is) = (before.next_run(self.now()), self.timer.next_run(self.now()));
        match event {
            Event::Deadline => {
                let due = was.is_some_and(|at| at <= self.wall);
                if acted && !due {
                    return Err(format!("a run or a word before its time: next was {was:?}, now is {}", self.wall));
                }
                if due && !acted {
                    return Err("the time of a point has come, and nothing came of it".into());
                }
                let runs = actions.contains(&Action::Run);
                if runs && self.rules.missed == Missed::Skip && was.is_some_and(|at| at + LATE < self.wall) {
                    return Err("what was missed runs, and was to be skipped".into());
                }
                if due && is.is_some_and(|at| at <= self.wall) {
                    return Err("a point that has come is still to come".into());
                }
            }
            Event::Seen(Sight::Idle { starts })
                if matches!(before.run(), Run::Asked { before } if before.is_none_or(|before| before >= starts))
                    && !actions.contains(&Action::Run) =>
            {
                return Err("a run that was decided on is forgotten".into());
            }
            Event::Ask if !acted && before.is_armed() => return Err("somebody asked, and nothing came of it".into()),
            Event::Arm(_) | Event::Seen(_) | Event::Ask | Event::Disarm | Event::ClockSet | Event::Rules(_) => {}
        }
        if self.timer.is_armed() && is.is_none() {
            let waits_for_end =
                matches!(self.rules.schedule, Schedule::Every { from: From::End, .. }) && self.timer.run() != Run::Idle;
            if !waits_for_end {
                return Err("it is armed, and has no next run".into());
            }
        }
        if let (Some(at), false) = (is, self.blurred) {
            let most = self.wall + self.period + self.rules.jitter.0;
            if at > most {
                return Err(format!("the next run is at {at}, which is later than {most}: a point was left out"));
            }
        }
        Ok(())
    }

    fn sight(&self) -> Sight {
        let starts = self.supervisor.starts;
        match self.supervisor.run {
            None => Sight::Idle { starts },
            Some((since, _, stopping)) => Sight::Busy { starts, since, stopping },
        }
    }

    /// Lets time go by, to the next thing that happens and no further than `most`.
    fn pass(&mut self, most: u64) -> Result<(), String> {
        let end = self.mono + most;
        loop {
            let ends = self.supervisor.run.map(|(_, ends, _)| ends.0);
            let alarm = self.timer.alarm().map(|at| self.mono + at.saturating_sub(self.wall));
            let next = [ends, alarm, self.timer.deadline().map(|at| at.0)].into_iter().flatten().min();
            let to = next.unwrap_or(end).clamp(self.mono, end);
            self.wall += to - self.mono;
            self.mono = to;
            if self.supervisor.run.is_some_and(|(_, ends, _)| ends.0 <= to) {
                self.supervisor.run = None;
                self.step(Event::Seen(self.sight()))?;
            }
            self.step(Event::Deadline)?;
            if self.rng.chance(50) {
                self.step(Event::Seen(self.sight()))?;
            }
            if self.mono >= end {
                return Ok(());
            }
        }
    }

    fn arm(&mut self, arming: Arming) -> Result<(), String> {
        // A clock that was set back does not repeat what it has seen.
        self.blurred = self.memory.point.is_some_and(|(_, wall)| wall > self.wall) && arming != Arming::Again;
        let known = self.memory.point.map(|(_, wall)| wall).filter(|wall| *wall <= self.wall);
        self.step(Event::Arm(arming))?;
        let was_missed = known.is_some_and(|wall| match self.rules.schedule {
            Schedule::Calendar => (wall / self.period + 1) * self.period + self.rules.jitter.0 <= self.wall,
            Schedule::Every { .. } => wall + self.period <= self.wall,
        });
        let is_due = self.timer.next_run(self.now()).is_some_and(|at| at <= self.wall) || self.timer.run() != Run::Idle;
        let runs = self.rules.missed == Missed::Run;
        if arming == Arming::First && was_missed && runs && !is_due {
            let wait = self.timer.next_run(self.now());
            return Err(format!("something was missed since {known:?}, and the next run is {wait:?}"));
        }
        self.step(Event::Deadline)?;
        self.step(Event::Seen(self.sight()))
    }

    fn play(&mut self) -> Result<(), String> {
        let rules = self.rules;
        self.say(|| format!("{rules:?}"));
        self.arm(Arming::First)?;
        for _ in 0..30 {
            match self.rng.below(12) {
                0 => self.step(Event::Ask)?,
                1 => {
                    self.step(Event::Disarm)?;
                    let gap = self.rng.below(self.period);
                    self.pass(gap)?;
                    if self.rng.chance(20) {
                        self.step(Event::Ask)?;
                    }
                    self.arm(Arming::Again)?;
                }
                2 => {
                    self.say(|| "another svc-scan".into());
                    let gap = self.rng.below(if self.rng.clone().chance(20) { 4 * LATE } else { 2000 });
                    self.sleep(gap);
                    self.timer = Timer::new(self.rules, 7, self.memory);
                    self.arm(Arming::Heir)?;
                }
                3 => {
                    self.say(|| "another svc".into());
                    self.supervisor = Supervisor { starts: 0, run: None };
                    let gap = self.rng.below(3 * self.period);
                    self.sleep(gap);
                    if self.rng.chance(30) {
                        self.mono = self.rng.below(10_000);
                    }
                    self.timer = Timer::new(self.rules, 7, self.memory);
                    self.arm(Arming::First)?;
                }
                4 => {
                    let far = self.rng.below(2 * SET_BACK);
                    self.wall = if self.rng.chance(50) { self.wall + far } else { self.wall - far };
                    self.say(|| "the clock is set".into());
                    self.blurred = true;
                    self.step(Event::ClockSet)?;
                    self.step(Event::Deadline)?;
                }
                5 => {
                    // Nobody looks for a while: svc-scan is stopped.
                    let gap = self.rng.below(3 * LATE);
                    self.sleep(gap);
                    self.step(Event::Deadline)?;
                }
                6 => {
                    self.rules.jitter = Millis(self.rng.below(5000));
                    self.step(Event::Rules(self.rules))?;
                }
                _ => {
                    let most = self.rng.below(2 * self.period);
                    self.pass(most)?;
                }
            }
        }
        self.rest()
    }

    /// Time goes by without anybody.
    fn sleep(&mut self, gap: u64) {
        self.mono += gap;
        self.wall += gap;
        if self.supervisor.run.is_some_and(|(_, ends, _)| ends.0 <= self.mono) {
            self.supervisor.run = None;
        }
    }

    /// What was decided comes to be.
    fn rest(&mut self) -> Result<(), String> {
        self.step(Event::Disarm)?;
        for _ in 0..40 {
            self.step(Event::Seen(self.sight()))?;
            if self.timer.run() == Run::Idle {
                return Ok(());
            }
            let ends = self.supervisor.run.map_or(0, |(_, ends, _)| ends.0.saturating_sub(self.mono));
            self.sleep(ends);
        }
        Err(format!("it does not come to rest: {:?}", self.timer.run()))
    }
}
