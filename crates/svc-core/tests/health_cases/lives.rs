//! Services, looks and supervisors that live and die at random, beside a model that counts by itself.

use svc_core::guard::MemoryLimit;
use svc_core::health::{Action, Actions, Checks, Event, Health, Life, Phase, Probe, Remedy, Verdict};
use svc_core::{Millis, Pid};

use crate::rng::Rng;
use crate::seeds::{Outcome, play_all};

const SEEDS: u64 = 20_000;
const TURNS: usize = 400;

struct World {
    rng: Rng,
    health: Health,
    checks: Checks,
    now: Millis,
    life: Life,
    starts: u64,
    /// The one look that may live, and whether it was killed.
    look: Option<(Pid, bool)>,
    next_pid: i32,
    /// What the verdict must be.
    verdict: Verdict,
    failures: u16,
    successes: u16,
    started: Millis,
    /// Since when the watchdog waits for food.
    hungry: Option<Millis>,
    /// It was above its limit when it was weighed last, in this life; and when that was.
    heavy: bool,
    weighed: Millis,
    story: Option<Vec<String>>,
}

fn random_checks(rng: &mut Rng) -> Checks {
    let health = rng.chance(80).then(|| {
        Box::new(Probe {
            words: Vec::new(),
            interval: Millis(rng.pick(&[50, 1000, 10_000])),
            timeout: Millis(rng.pick(&[30, 5000])),
            start_period: Millis(rng.pick(&[0, 0, 700, 20_000])),
            failures: rng.pick(&[1, 2, 3, 10]),
            successes: rng.pick(&[1, 1, 3]),
            remedy: rng.pick(&[Remedy::Report, Remedy::Restart, Remedy::Reload, Remedy::StopContainer]),
        })
    });
    let memory = rng.chance(50).then(|| MemoryLimit {
        bytes: 1000,
        interval: Millis(rng.pick(&[50, 1000, 10_000])),
        remedy: rng.pick(&[Remedy::Report, Remedy::Restart, Remedy::Reload, Remedy::StopContainer]),
    });
    Checks { notify: None, says_ready: rng.chance(50), watchdog: Millis(rng.pick(&[0, 0, 400, 3000])), health, memory }
}

impl World {
    fn new(seed: u64, tell: bool) -> World {
        let mut rng = Rng::new(seed);
        let checks = random_checks(&mut rng);
        World {
            rng,
            health: Health::new(Millis(0)),
            checks,
            now: Millis(0),
            life: Life::Off,
            starts: 0,
            look: None,
            next_pid: 100,
            verdict: Verdict::Unknown,
            failures: 0,
            successes: 0,
            started: Millis(0),
            hungry: None,
            heavy: false,
            weighed: Millis(0),
            story: tell.then(Vec::new),
        }
    }

    fn is_awake(&self) -> bool {
        matches!(self.life, Life::Up { ready: true, paused: false, .. })
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        let mut actions = Actions::default();
        self.health.step(self.now, event, &self.checks, &mut actions);
        let actions: Vec<Action> = actions.drain().collect();
        if let Some(story) = &mut self.story {
            story.push(format!("{:>7} {event:?} -> {actions:?}", self.now.0));
        }
        if Health::from_words(&self.health.to_words()).as_ref() != Some(&self.health) {
            return Err(format!("words do not say what is: {:?}", self.health));
        }
        let asked = actions.contains(&Action::Look);
        if event == Event::Deadline && !asked && self.health.deadline().is_some_and(|at| at <= self.now) {
            return Err(format!("a deadline that does not move: {:?}", self.health));
        }
        let remedy = self.count(event, &actions);
        let done = actions.iter().find_map(|action| match action {
            Action::Remedy(remedy) => Some(*remedy),
            _ => None,
        });
        if done != remedy {
            return Err(format!("{done:?} is done, and {remedy:?} was to be"));
        }
        let relieved = actions.iter().any(|action| matches!(action, Action::Relieve(_)));
        if let (Event::Weighed(bytes), Some(limit)) = (event, self.checks.memory) {
            let was_heavy = std::mem::replace(&mut self.heavy, bytes > limit.bytes);
            if relieved != (self.heavy && !was_heavy) {
                return Err(format!(
                    "{bytes} of {} bytes, before above it: {was_heavy}; and it is relieved: {relieved}",
                    limit.bytes
                ));
            }
        } else if relieved {
            return Err("it is relieved of what was not weighed".into());
        }
        if self.health.verdict() != self.verdict {
            return Err(format!("it is {:?}, and said to be {:?}", self.verdict, self.health.verdict()));
        }
        // What came out together was decided together, whatever the first of it does.
        let awake = self.is_awake();
        actions.into_iter().try_for_each(|action| self.perform(action, awake))
    }

    /// Counts as the documentation says, and says what is to be done about it.
    fn count(&mut self, event: Event, actions: &[Action]) -> Option<Remedy> {
        let killed = |pid| actions.contains(&Action::Kill(pid));
        let well = match (event, self.look) {
            (Event::Ended { well }, Some((_, false))) => well,
            // Its time is up.
            (Event::Deadline, Some((pid, false))) if killed(pid) => false,
            _ => return None,
        };
        if let Event::Ended { .. } = event {
            self.look = None;
        }
        let probe = self.checks.health.as_ref()?;
        if well {
            (self.failures, self.successes) = (0, self.successes + 1);
            if self.successes >= probe.successes {
                self.verdict = Verdict::Healthy;
            }
            return None;
        }
        self.successes = 0;
        if self.verdict == Verdict::Unknown && self.now < self.started + probe.start_period {
            return None;
        }
        self.failures += 1;
        if self.failures != probe.failures || self.verdict == Verdict::Unhealthy {
            return None;
        }
        self.verdict = Verdict::Unhealthy;
        Some(probe.remedy)
    }

    fn perform(&mut self, action: Action, awake: bool) -> Result<(), String> {
        match action {
            Action::Look => {
                if let Some(look) = self.look {
                    return Err(format!("a look beside {look:?}"));
                }
                if !awake || self.checks.health.is_none() {
                    return Err("a look at one that is not up and ready, or has no check".into());
                }
                if self.rng.chance(5) {
                    return self.step(Event::NotBegun);
                }
                self.next_pid += 1;
                let pid = Pid::new(self.next_pid).expect("positive");
                self.look = Some((pid, false));
                self.step(Event::Begun(pid))
            }
            Action::Kill(pid) => match &mut self.look {
                Some((known, killed)) if *known == pid => {
                    *killed = true;
                    Ok(())
                }
                Some(_) | None => Err(format!("{pid:?} is killed, which is not there")),
            },
            Action::Publish => Ok(()),
            Action::Weigh => {
                let Some(limit) = self.checks.memory else { return Err("it is weighed, and has no limit".into()) };
                // In one step with what ended it.
                if !matches!(self.life, Life::Up { paused: false, .. }) {
                    return Ok(());
                }
                if self.now < self.weighed + limit.interval {
                    return Err(format!("it is weighed again after {:?}", self.now - self.weighed));
                }
                self.weighed = self.now;
                let bytes = self.rng.pick(&[0, 999, 1000, 1001, 5000]);
                self.step(Event::Weighed(bytes))
            }
            Action::Relieve(Remedy::Restart) => self.live(Life::Off),
            Action::Relieve(Remedy::Report | Remedy::Reload | Remedy::StopContainer) => Ok(()),
            Action::Remedy(Remedy::Restart) => self.live(Life::Off),
            Action::Remedy(Remedy::Report | Remedy::Reload | Remedy::StopContainer) => Ok(()),
            Action::Abort | Action::KillMain => {
                if !awake || self.checks.watchdog == Millis::ZERO {
                    return Err("the watchdog bites one who has none, or cannot feed it".into());
                }
                let fed = self.hungry.is_some_and(|since| self.now < since + self.checks.watchdog);
                if action == Action::Abort && fed {
                    return Err("the watchdog bites one who has fed it".into());
                }
                if self.rng.chance(60) { self.live(Life::Off) } else { Ok(()) }
            }
        }
    }

    fn live(&mut self, life: Life) -> Result<(), String> {
        let was_awake = self.is_awake();
        self.life = life;
        if life == Life::Off {
            (self.verdict, self.failures, self.successes) = (Verdict::Unknown, 0, 0);
        }
        match (was_awake, self.is_awake()) {
            (false, true) => self.hungry = Some(self.now),
            (_, false) => self.hungry = None,
            (true, true) => {}
        }
        self.step(Event::Life(life))
    }

    fn turn(&mut self) -> Result<(), String> {
        let jump = self.now + Millis(self.rng.pick(&[0, 1, 20, 300, 4000]));
        // Time does not pass a deadline unseen.
        match self.health.deadline().filter(|&at| at <= jump) {
            Some(at) => {
                self.now = at.max(self.now);
                self.step(Event::Deadline)?;
            }
            None => self.now = jump,
        }
        match self.rng.below(12) {
            0 | 1 if self.life == Life::Off => {
                self.starts += 1;
                (self.started, self.weighed, self.heavy) = (self.now, self.now, false);
                let ready = self.rng.chance(60);
                self.live(Life::Up { start: self.starts, ready, paused: false })
            }
            2 => match self.life {
                Life::Up { start, paused, .. } => self.live(Life::Up { start, ready: true, paused }),
                Life::Off => Ok(()),
            },
            3 if self.rng.chance(20) => match self.life {
                Life::Up { start, ready, paused } => self.live(Life::Up { start, ready, paused: !paused }),
                Life::Off => Ok(()),
            },
            4 if self.rng.chance(20) => self.live(Life::Off),
            5..=8 => match self.look {
                Some((_, killed)) => {
                    let well = self.rng.chance(50);
                    if killed {
                        self.look = None;
                    }
                    self.step(Event::Ended { well })
                }
                None => Ok(()),
            },
            9 => {
                self.hungry = self.is_awake().then_some(self.now);
                self.step(Event::Fed)
            }
            10 if self.rng.chance(30) => {
                // The supervisor is killed, and its look with it.
                self.look = None;
                self.health = Health::from_words(&self.health.to_words()).ok_or("its own words are refused")?;
                self.health.resume(self.now);
                self.live(self.life)
            }
            11 => {
                let phase = self.rng.pick(&[Phase::Running, Phase::Reloading, Phase::Stopping]);
                self.step(Event::Said(phase))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn whatever_happens_looks_do_not_overlap_and_verdicts_are_counted_right() {
    play_all(SEEDS, |seed, tell| {
        let mut world = World::new(seed, tell);
        let result = (0..TURNS).try_for_each(|_| world.turn());
        Outcome { result, story: world.story.take().unwrap_or_default() }
    });
}
