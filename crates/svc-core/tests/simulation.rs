//! Many seeded lives of one service, with every promise asked after every step.
//!
//! The world keeps the real processes (support/world.rs), the supervisor around the machine does what svc-supervise does
//! (support/supervisor.rs), and SIGKILL may hit it between any two things it does; its heir goes on from the ledger.
//!
//! A failure tells the seed's story. `SVC_SEED=n cargo test -p svc-core --test simulation -- --nocapture` plays one again;
//! with SVC_SURVEY=1 it goes through all seeds and lists every broken promise with its first seed.
//!
//! It caught these planted bugs, each within its first few thousand seeds: a restart without the gap, an early deadline that
//! starts, haste that is never used up, a wait although it ran for long, the gap counted from what a dead supervisor wrote; a
//! failed start tried again at once; `run` started beside `finish`, two spawns in a step; `finish` skipped, the sweep skipped,
//! "some left" taken for "none left", a sweep that never kills; a stop without its timer, a timer that is not set again, a
//! `finish` without its timer or its second kill, a stop without SIGCONT, a restart that only wishes; 125 ignored, a stop
//! during `finish` forgotten, once for ever; leaving forgotten when down, or taken back by a start; force that waits for
//! `finish` without end; a signal to the dead; actions after the end; a death not counted; a second newline that counts; a
//! snapshot that forgets the kill time; a heir that forgets the stop signals, the sweep or a pause; a daemon that is taken for what it is
//! after it was to stop, that nobody is told of, or whose heir does not know it; a drain that is signalled, that stays ready, or that
//! its heir forgets; a command that is run twice; a step that is left out, that comes too early, or that a second stop goes back to.

#[path = "support/course.rs"]
mod course;
#[path = "support/promises.rs"]
mod promises;
#[path = "support/rng.rs"]
mod rng;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "support/supervisor.rs"]
mod supervisor;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeSet;

use svc_core::graph::Wish;
use svc_core::service::{Command, Event, Recall, State, Stop, Want};
use svc_core::{Exit, Millis, Pid, Service, Signal};

use promises::Promises;
use seeds::Outcome;
use supervisor::Supervisor;
use world::{Halt, What, World};

const SEEDS: u64 = 150_000;

/// Wake-ups within which every end must be reached: a kill and its repetitions for run, finish and what is left, each with
/// the ends of processes in between.
const ENOUGH: usize = 40;

#[test]
fn every_promise_holds_whatever_happens() {
    seeds::play_all(SEEDS, |seed, told| {
        let mut life = Life::new(seed, told);
        let result = life.play();
        let story = life.world.take_story();
        Outcome { result, story }
    });
}

const STATES: [&str; 10] =
    ["Down", "Armed", "Up", "Up draining", "Up commanded", "Up stopping", "Up killed", "Finish", "Sweep", "Gone"];

/// A simulation that never comes somewhere says nothing about it.
#[test]
fn it_comes_to_every_state_with_every_event() {
    let mut seen = BTreeSet::new();
    for seed in 0..6000 {
        let mut life = Life::new(seed, false);
        life.promises.seen = Some(std::mem::take(&mut seen));
        life.play().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        seen = life.promises.seen.take().unwrap_or_default();
    }
    let mut missing = Vec::new();
    for state in STATES {
        let commands = "Start Arm Stop Once AtMostOnce Restart Reload DownSignal Kill KillGroup Pause Continue Drain Terminate Hurry Force Abandon Interrupt";
        for event in commands.split(' ').chain(["Deadline", "Ready", "Swept", "Exited"]) {
            // Of one that is armed nothing is left that could end.
            let comes = state != "Armed" || !matches!(event, "Swept" | "Exited" | "Ready");
            if comes && !seen.contains(&(state.into(), event.into())) {
                missing.push((state, event));
            }
        }
    }
    let more = [
        ("Up", "Forked"),
        ("Up", "Executed"),
        ("Up", "Main"),
        ("Up draining", "Main"),
        ("Up stopping", "Main"),
        ("Up draining", "Errand"),
        ("Up commanded", "Errand"),
        ("Up", "Idle"),
        ("Up", "Served"),
        ("Up", "Unfit"),
        ("Up draining", "Unfit"),
        ("Up draining", "Hurry"),
        ("Armed", "Knock"),
    ];
    for (state, event) in more {
        if !seen.contains(&(state.into(), event.into())) {
            missing.push((state, event));
        }
    }
    for event in ["Spawned", "SpawnFailed"] {
        for state in ["Starting run", "Starting finish"] {
            if !seen.contains(&(state.into(), event.into())) {
                missing.push((state, event));
            }
        }
    }
    assert_eq!(missing, []);
}

struct Life {
    world: World,
    promises: Promises,
    supervisor: Option<Supervisor>,
    /// Whether the service is started by itself.
    up: bool,
}

/// What must come of a life in the end.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Down,
    Gone,
    Up,
}

impl Life {
    fn new(seed: u64, told: bool) -> Life {
        let mut world = World::new(seed, told);
        let up = world.rng.chance(80);
        Life { world, promises: Promises::new(), supervisor: None, up }
    }

    fn play(&mut self) -> Result<(), String> {
        let steps = 5 + self.world.rng.below(80);
        for _ in 0..steps {
            self.happen();
            let signals = self.some_signals();
            let requests = self.some_requests();
            self.turn(&signals, &requests)?;
            if self.is_gone() {
                return self.after_the_end();
            }
        }
        let ending = self.world.rng.pick(&[Ending::Down, Ending::Gone, Ending::Up]);
        self.end(ending)
    }

    // --- what happens

    /// Something in the world, and some time.
    fn happen(&mut self) {
        let world = &mut self.world;
        match world.rng.below(16) {
            0 => world.end(What::Run),
            1 => world.end(What::Finish),
            2 => world.end(What::Left),
            3 | 4 => self.write_newline(),
            5 => world.leave_one(),
            6 => world.change_settings(),
            7 if world.rng.chance(20) => world.meddle(),
            8 => world.has_finish = world.rng.chance(75),
            9 => {
                if let Some(supervisor) = self.supervisor.take() {
                    self.killed(&supervisor);
                }
            }
            _ => {}
        }
        let world = &mut self.world;
        if world.rng.chance(60) {
            world.init_reaps();
        }
        let deadline = self.supervisor.as_ref().and_then(|supervisor| supervisor.machine.deadline());
        let to = match world.rng.below(6) {
            0 => world.now,
            1 => world.now + Millis(world.rng.below(20)),
            2 => world.now + Millis(world.rng.below(3000)),
            // Exactly in time, and a little late.
            3 => deadline.unwrap_or(world.now),
            4 => deadline.unwrap_or(world.now) + Millis(world.rng.below(50)),
            _ => world.next_event().unwrap_or(world.now),
        };
        world.advance(to);
    }

    /// Readiness comes in the pipe of the start that it was made for.
    fn write_newline(&mut self) {
        if self.world.living(What::Run).any(|run| !run.stopped) {
            self.world.newline = self.world.ledger.pipe;
        }
    }

    fn some_signals(&mut self) -> Vec<Command> {
        let rng = &mut self.world.rng;
        let all = [Command::Terminate, Command::Drain, Command::Abandon, Command::Interrupt];
        if rng.chance(2) { vec![rng.pick(&all)] } else { Vec::new() }
    }

    fn some_requests(&mut self) -> Vec<Command> {
        let rng = &mut self.world.rng;
        let signal = rng.pick(&[Signal::TERM, Signal::HUP, Signal::USR1, Signal::KILL, Signal::STOP, Signal::CONT]);
        let common = [
            Command::Start,
            Command::Start,
            Command::Arm,
            Command::Stop,
            Command::Once,
            Command::AtMostOnce,
            Command::Restart,
            Command::Undo,
            Command::Wish(Wish::Explicit),
            Command::Recall(Recall::Order),
            Command::Reload,
            Command::DownSignal,
            Command::Kill(signal),
            Command::KillGroup(signal),
            Command::Pause,
            Command::Continue,
        ];
        let last =
            [Command::Drain, Command::Terminate, Command::Hurry, Command::Force, Command::Abandon, Command::Interrupt];
        let many = rng.pick(&[0, 0, 0, 1, 1, 2]);
        (0..many).map(|_| if rng.chance(4) { rng.pick(&last) } else { rng.pick(&common) }).collect()
    }

    /// What no driver says at this point, and what must do no harm.
    fn spurious(&mut self, state: State) -> Option<Event> {
        let rng = &mut self.world.rng;
        let (exit, main) = (Exit::Code(125), Pid::new(99).expect("positive"));
        let candidates: &[Event] = match state {
            State::Down { .. } => {
                &[Event::Main(main), Event::Ready, Event::Swept { left: 1 }, Event::Swept { left: 0 }, Event::Exited(exit)]
            }
            State::Armed => {
                &[Event::Knock, Event::Knock, Event::Knock, Event::Idle, Event::Unfit, Event::Served, Event::Exited(exit)]
            }
            State::Up { .. } => &[
                Event::Idle,
                Event::Knock,
                Event::Unfit,
                Event::Swept { left: 0 },
                Event::Deadline,
                Event::Extend(Millis(1)),
            ],
            State::Finish { .. } => {
                &[Event::Forked(main), Event::Errand { well: true }, Event::Swept { left: 0 }, Event::Deadline]
            }
            State::Sweep { .. } => {
                &[Event::Main(main), Event::Ready, Event::Exited(exit), Event::Deadline, Event::Extend(Millis(9000))]
            }
            State::Starting { .. } | State::Gone => &[Event::Ready, Event::Swept { left: 0 }, Event::Exited(exit)],
        };
        rng.chance(10).then(|| rng.pick(candidates))
    }

    // --- how it goes on

    fn turn(&mut self, signals: &[Command], requests: &[Command]) -> Result<(), String> {
        let (world, promises) = (&mut self.world, &mut self.promises);
        for request in signals.iter().chain(requests) {
            world.tell(|| format!("asked: {request:?}"));
        }
        let result = match &mut self.supervisor {
            Some(supervisor) => supervisor.turn(world, promises, signals, requests),
            // svc-scan has another one launched; what was asked meanwhile was refused.
            None => Supervisor::launch(world, promises, self.up).map(|supervisor| self.supervisor = Some(supervisor)),
        };
        self.outcome(result)?;
        if let Some(state) = self.supervisor.as_ref().map(|supervisor| supervisor.machine.state())
            && let Some(event) = self.spurious(state)
            && let Some(supervisor) = &mut self.supervisor
        {
            let result = supervisor.feed(&mut self.world, &mut self.promises, event);
            self.outcome(result)?;
        }
        match &self.supervisor {
            Some(supervisor) => self.outcome_of_check(supervisor),
            None => Ok(()),
        }
    }

    fn outcome_of_check(&self, supervisor: &Supervisor) -> Result<(), String> {
        match self.promises.at_rest(&self.world, &supervisor.machine) {
            Err(Halt::Broken(what)) => Err(what),
            Ok(()) | Err(Halt::Killed) => Ok(()),
        }
    }

    fn outcome(&mut self, result: Result<(), Halt>) -> Result<(), String> {
        match result {
            Ok(()) => Ok(()),
            Err(Halt::Broken(what)) => Err(what),
            Err(Halt::Killed) => {
                self.supervisor = None;
                self.world.tell(|| "supervisor: killed between two things".into());
                self.world.orphan_all();
                Ok(())
            }
        }
    }

    fn killed(&mut self, supervisor: &Supervisor) {
        self.world.tell(|| format!("supervisor: killed in {:?}", supervisor.machine.state()));
        self.world.orphan_all();
    }

    fn is_gone(&self) -> bool {
        self.supervisor.as_ref().is_some_and(|supervisor| supervisor.machine.state() == State::Gone)
    }

    /// Nothing that still comes makes anything happen.
    fn after_the_end(&mut self) -> Result<(), String> {
        let requests = self.some_requests();
        self.world.init_reaps();
        self.turn(&[Command::Terminate], &requests)
    }

    // --- how it ends

    fn end(&mut self, ending: Ending) -> Result<(), String> {
        self.world.lives = self.world.lives.min(2);
        self.world.trouble = 0;
        while self.supervisor.is_none() {
            self.turn(&[], &[])?;
        }
        if self.is_gone() {
            return self.after_the_end();
        }
        match ending {
            Ending::Down if self.stop_is_bounded() => {
                self.world.tell(|| "the end: stop".into());
                self.reach(Command::Stop, "down", |machine| matches!(machine.state(), State::Down { .. }))?;
            }
            Ending::Up if self.start_is_bounded() => {
                self.world.tell(|| "the end: start".into());
                self.reach(Command::Start, "up", |machine| {
                    machine.want() == Want::Down || matches!(machine.state(), State::Up { .. } | State::Armed)
                })?;
            }
            Ending::Down | Ending::Up | Ending::Gone => {}
        }
        if self.is_gone() {
            return Ok(());
        }
        self.world.tell(|| "the end: terminate".into());
        if self.world.rng.chance(50) {
            match self.reach(Command::Terminate, "gone", |machine| machine.state() == State::Gone) {
                Ok(()) => return self.after_the_end(),
                Err(stuck) if !self.may_ignore_terminate() => return Err(stuck),
                Err(_) => self.world.tell(|| "the end: it ignores that".into()),
            }
        }
        self.reach(Command::Force, "gone", |machine| machine.state() == State::Gone)?;
        self.after_the_end()
    }

    /// A stop ends within its timers if there are timers: those of the settings for what begins now, and those that run.
    fn stop_is_bounded(&mut self) -> bool {
        let settings = &mut self.world.settings;
        settings.timeout_kill = Millis(50).max(settings.timeout_kill);
        settings.timeout_finish = Millis(20).max(settings.timeout_finish);
        self.supervisor.as_ref().is_some_and(|supervisor| {
            let endless = matches!(supervisor.machine.state(), State::Finish { kill_at: None, .. });
            !endless && !supervisor.machine.leaving()
        })
    }

    fn start_is_bounded(&mut self) -> bool {
        let endless_stop = self.supervisor.as_ref().is_none_or(|supervisor| {
            matches!(supervisor.machine.state(), State::Up { stop: Stop::Signal { until: None, .. }, .. })
        });
        self.stop_is_bounded() && !endless_stop
    }

    /// Without timers only force ends what does not listen.
    fn may_ignore_terminate(&self) -> bool {
        let Some(supervisor) = &self.supervisor else { return false };
        match supervisor.machine.state() {
            State::Up { stop: Stop::Signal { until: None, .. }, .. } => {
                self.world.living(What::Run).any(|run| run.stubborn || run.stopped)
            }
            State::Finish { kill_at: None, .. } => true,
            _ => false,
        }
    }

    /// From this command on only time passes, and what was asked for must come.
    fn reach(&mut self, command: Command, goal: &str, reached: impl Fn(&Service) -> bool) -> Result<(), String> {
        let mut asked = false;
        for _ in 0..ENOUGH {
            let requests = if asked || self.supervisor.is_none() { Vec::new() } else { vec![command] };
            asked = self.is_told(&requests, asked)?;
            self.world.init_reaps();
            if let Some(supervisor) = self.supervisor.as_ref().filter(|_| asked) {
                if reached(&supervisor.machine) {
                    return Ok(());
                }
                let next = [supervisor.machine.deadline(), self.world.next_event()].into_iter().flatten().min();
                match next {
                    Some(next) => self.world.advance(next),
                    None if self.world.is_restless() => {}
                    None => {
                        return Err(format!(
                            "{command:?} does not lead to {goal}: stuck in {:?}",
                            supervisor.machine.state()
                        ));
                    }
                }
            }
        }
        Err(format!("{command:?} does not lead to {goal} in {ENOUGH} wake-ups"))
    }

    /// A turn in which a request is made; whether it was heard. What a killed supervisor wrote down was, and its heir is not
    /// asked again.
    fn is_told(&mut self, requests: &[Command], asked: bool) -> Result<bool, String> {
        let lived = self.supervisor.is_some();
        self.turn(&[], requests)?;
        let Some(&request) = requests.first().filter(|_| lived && !asked) else { return Ok(asked) };
        Ok(self.supervisor.is_some() || self.is_written_down(request))
    }

    fn is_written_down(&self, request: Command) -> bool {
        let Some(service) = self.world.ledger.saved.as_ref().and_then(Service::from_words) else { return false };
        let stopping = !matches!(service.state(), State::Up { stop: Stop::No, .. });
        match request {
            Command::Start => service.want() == Want::Up,
            // An earlier one may have had no timer, and this one has.
            Command::Stop => service.want() == Want::Down && stopping && service.deadline().is_some(),
            Command::Terminate => service.leaving() && stopping,
            // Nothing that can be read tells it from Terminate.
            _ => false,
        }
    }
}
