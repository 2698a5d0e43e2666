//! What svc promises about one service, asked after every step of its machine and after every turn of its supervisor.

mod ends;
mod one_step;

use std::collections::{BTreeSet, VecDeque};

use svc_core::definition::Settings;
use svc_core::service::{
    Action, Command, Event, HISTORY, NOTHING_TO_DO, Note, Past, RESTART_GAP, Rest, Role, Service, State, Stop, Want,
};
use svc_core::{Exit, Millis, Pid, Signal};

use crate::world::{Halt, Turn, What, World, broken};
use ends::is_success;
use one_step::asks_for_start;

/// One call of `Service::step`.
pub struct Step<'a> {
    pub now: Millis,
    pub event: Event,
    pub settings: &'a Settings,
    pub before: &'a Service,
    pub after: &'a Service,
    pub actions: &'a [Action],
}

/// Where the publications have got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Down,
    Armed,
    Starting,
    Up { ready: bool },
    Exited,
    Finishing,
    Draining,
}

/// What must be remembered from step to step.
pub struct Promises {
    told: Told,
    /// When `run` last began to run its program, and whether somebody has asked for a start since.
    executed: Option<Millis>,
    hurried: bool,
    /// A `run` ended, and its `finish` has neither run nor been found missing.
    owes_finish: bool,
    /// `finish` said 125, and nobody has asked for a start since.
    permanent: bool,
    starts: u64,
    deaths: u64,
    past: VecDeque<Past>,
    /// The supervisor was told to leave the service alone.
    left_alone: bool,
    /// The last `run` ended well, and was not undone.
    done: bool,
    /// How often it ended by itself, in a row, and when since somebody asked for a start.
    streak: u16,
    own_ends: Vec<Millis>,
    /// The down signal was sent by somebody who wants it back, or it is to be armed when it has ended.
    called: bool,
    /// It was ended because it was not as it is to be.
    unfit: bool,
    /// So many knocks in a row started it, and nobody was taken.
    vain: u8,
    /// Its policy does not start it again after its last end.
    over: bool,
    /// Starts are at least so far apart now.
    gap: Millis,
    /// Which events came in which states, if somebody wants to know.
    pub seen: Option<BTreeSet<(String, String)>>,
}

impl Promises {
    pub fn new() -> Promises {
        Promises {
            told: Told::Down,
            executed: None,
            hurried: false,
            owes_finish: false,
            permanent: false,
            starts: 0,
            deaths: 0,
            past: VecDeque::new(),
            left_alone: false,
            done: false,
            streak: 0,
            own_ends: Vec::new(),
            called: false,
            unfit: false,
            vain: 0,
            over: false,
            gap: RESTART_GAP,
            seen: None,
        }
    }

    /// A supervisor begins, or takes over: publications of its predecessor may have been lost.
    pub fn take_over(&mut self, service: &Service) {
        self.told = match service.state() {
            State::Down { .. } | State::Gone => Told::Down,
            State::Armed => Told::Armed,
            State::Starting { role: Role::Run } => Told::Starting,
            State::Up { .. } if service.prepares() => Told::Starting,
            State::Up { ready, .. } => Told::Up { ready: ready.is_some() },
            State::Starting { role: Role::Finish } => Told::Exited,
            State::Finish { .. } => Told::Finishing,
            State::Sweep { announced: false, .. } => Told::Finishing,
            State::Sweep { announced: true, .. } => Told::Draining,
        };
    }

    // --- after a step

    /// The step is written down: from here on it has happened, whoever is killed.
    pub fn commit(&mut self, step: &Step, world: &World) -> Turn {
        let Step { now, event, before, after, actions, settings } = *step;
        if let Some(seen) = &mut self.seen {
            seen.insert((state_name(before.state()), event_name(event)));
        }
        if asks_for_start(event) && !before.leaving() && before.state() != State::Gone {
            // Who has it armed asks for a start by whoever knocks, be that at once.
            let is_down = matches!(before.state(), State::Down { .. } | State::Armed);
            self.hurried |= event != Event::Command(Command::Arm) || is_down;
            self.permanent = false;
            self.over = false;
            self.unfit = false;
            self.vain = 0;
            self.streak = 0;
            self.own_ends.clear();
            self.past.iter_mut().for_each(|past| past.counts = false);
        }
        match (before.state(), event) {
            (State::Up { pid, .. }, Event::Exited(exit)) => {
                self.owes_finish = true;
                self.done = is_success(settings, exit) && !self.unfit;
                let by_itself = self.is_by_itself(before);
                let is_over = settings.on_demand.is_some() && self.done;
                let limit = settings.policy.as_ref().map_or(0, |policy| policy.restart.limit);
                let is_vain = self.vain >= if limit > 0 { limit } else { 10 };
                self.over |= is_over && by_itself && is_vain;
                let by_itself = by_itself && !is_over;
                self.died(now, exit, before, by_itself);
                if is_over {
                    self.streak = 0;
                }
                if by_itself {
                    self.count(step, exit);
                }
                check_exit(world, pid, exit)?;
            }
            (State::Up { pid, .. }, Event::Forked(main)) => {
                if world.end_of(pid) != Some(Exit::Code(0)) {
                    return broken(format!("{pid} has not handed over to {main}"));
                }
                if after.pid() != Some(main) || world.process(main).is_none_or(|process| process.what != What::Left) {
                    return broken(format!("{main} is not what was left behind"));
                }
            }
            (State::Up { stop: Stop::No, .. }, Event::Main(main)) if after.pid() != Some(main) => {
                return broken(format!("{main} is not the main process"));
            }
            (State::Up { stop, .. }, Event::Main(main)) if !matches!(stop, Stop::No) && after != before => {
                return broken(format!("{main} became the main process of a service that is being stopped"));
            }
            (State::Finish { pid, .. }, Event::Exited(exit)) => {
                self.permanent |= exit == Exit::Code(125) && !before.undoing();
                if before.undoing() {
                    self.done = exit != Exit::Code(0);
                    self.died(now, exit, before, false);
                }
                // Where a supervisor is killed in the instant between writing `finish` down and letting it go, it ends
                // without having run.
                self.owes_finish &= world.process(pid).is_some_and(|process| process.executed);
                check_exit(world, pid, exit)?;
            }
            (State::Starting { role: Role::Finish }, Event::SpawnFailed { trouble, .. }) => {
                self.owes_finish = false;
                self.done &= !(before.undoing() && trouble.errno == NOTHING_TO_DO);
            }
            (State::Starting { role: Role::Run }, Event::SpawnFailed { .. }) => {
                self.streak += u16::from(settings.policy.is_some() && after.want() != Want::Down);
            }
            (State::Armed, Event::Knock) => self.vain = self.vain.saturating_add(1),
            (State::Up { .. }, Event::Served) => self.vain = 0,
            (State::Up { stop: Stop::No, .. }, Event::Unfit) => self.unfit = true,
            (State::Up { .. }, Event::Command(Command::DownSignal)) => self.called = true,
            (State::Up { stop: Stop::No, .. }, Event::Idle) => self.called |= settings.on_demand.is_some(),
            (State::Up { stop: Stop::No, .. } | State::Starting { role: Role::Run }, Event::Command(Command::Arm)) => {}
            (_, Event::Command(Command::Arm)) => self.called |= !before.leaving(),
            (_, Event::Command(Command::Abandon | Command::Interrupt)) => self.left_alone = true,
            _ => {}
        }
        if let (State::Up { stop: Stop::Drain { .. }, ready: None, .. }, Told::Up { .. }) = (after.state(), self.told) {
            self.told = Told::Up { ready: false };
        }
        self.over = self.is_over(step);
        if after.rest() != Rest::No && !self.over {
            return broken(format!("rests ({:?}) though its policy starts it again", after.rest()));
        }
        let starts = actions.contains(&Action::Spawn(Role::Run));
        self.starts += u64::from(starts);
        self.done &= !starts;
        if starts {
            self.called = false;
            self.unfit = false;
            self.over = false;
        }
        if matches!(after.state(), State::Down { .. }) && !matches!(before.state(), State::Down { .. }) {
            self.gap = self.delays(settings).0;
        }
        if after.done() != self.done {
            return broken("what it says of whether it is done is not so");
        }
        let is_settled = |state| matches!(state, State::Down { .. } | State::Armed | State::Gone);
        let settled = is_settled(after.state()) && !is_settled(before.state());
        let left = world.living(What::Left).count();
        if settled && !self.left_alone && !settings.keep_descendants && self.owes_sweep(before) && left > 0 {
            return broken(format!("stopped, but {left} of it live"));
        }
        if (after.starts(), after.deaths()) != (self.starts, self.deaths) || !after.past().eq(self.past.iter().copied()) {
            return broken("the counters do not tell what happened");
        }
        Ok(())
    }

    fn died(&mut self, now: Millis, exit: Exit, before: &Service, counts: bool) {
        self.deaths += 1;
        let ran = now - before.started().unwrap_or(now);
        let ready = matches!(before.state(), State::Up { ready: Some(_), .. });
        let stopped = matches!(before.state(), State::Up { stop, .. } if stop != Stop::No);
        self.past.push_front(Past { exit, ended: now, ran, counts, starved: false, unfed: false, ready, stopped });
        self.past.truncate(HISTORY);
    }

    /// A start that failed leaves nothing behind to be swept.
    fn owes_sweep(&self, before: &Service) -> bool {
        before.state() != State::Starting { role: Role::Run }
    }

    // --- what is performed

    /// A program begins to run.
    pub fn executed(&mut self, world: &World, pid: Pid, role: Role) -> Turn {
        let others = |what| world.living(what).any(|process| process.pid != pid);
        if others(What::Run) || others(What::Finish) {
            return broken(format!("{role:?} {pid} runs beside another of the same service"));
        }
        match role {
            Role::Finish => self.owes_finish = false,
            Role::Run => {
                if self.owes_finish {
                    return broken("run starts before finish has run");
                }
                if self.executed.is_some_and(|last| world.now - last < self.gap) && !self.hurried {
                    return broken("started again too soon");
                }
                self.executed = Some(world.now);
                self.hurried = false;
            }
        }
        Ok(())
    }

    /// A publication. They come in the order of the service's life.
    pub fn note(&mut self, note: Note) -> Turn {
        self.told = match (self.told, note) {
            (Told::Down | Told::Armed, Note::Starting) => Told::Starting,
            (Told::Down, Note::Armed) => Told::Armed,
            (Told::Armed, Note::Down) => Told::Down,
            (Told::Starting, Note::Up) => Told::Up { ready: false },
            (Told::Starting, Note::Trouble) => Told::Down,
            (Told::Up { ready: false }, Note::Ready) => Told::Up { ready: true },
            (told @ (Told::Up { .. } | Told::Starting), Note::Stopping | Note::Killed) => told,
            // What is undone has been down all the time.
            (Told::Down | Told::Armed, Note::Stopping) | (Told::Up { .. } | Told::Starting, Note::Exited) => Told::Exited,
            (told @ Told::Exited, Note::Trouble) => told,
            (Told::Exited, Note::Finishing) => Told::Finishing,
            (told @ Told::Finishing, Note::Failed | Note::Killed) => told,
            (told @ Told::Exited, Note::Failed) => told,
            (Told::Exited | Told::Finishing, Note::Draining) => Told::Draining,
            (told @ Told::Draining, Note::Killed) => told,
            (Told::Exited | Told::Finishing | Told::Draining, Note::Down) => Told::Down,
            (told, Note::Changed) => told,
            (told, note) => return broken(format!("{note:?} is published after {told:?}")),
        };
        Ok(())
    }

    // --- between turns

    /// The supervisor sleeps: what it says must be what is.
    pub fn at_rest(&self, world: &World, service: &Service) -> Turn {
        let alive = |what| world.living(what).map(|process| process.pid).next();
        let (run, finish) = (alive(What::Run), alive(What::Finish));
        if service.state() == State::Gone {
            if !self.left_alone && (run.is_some() || finish.is_some()) {
                return broken("the supervisor left, and the service lives");
            }
            return Ok(());
        }
        let (is_up, is_finishing) = match service.state() {
            State::Up { pid, .. } => (Some(pid), None),
            State::Finish { pid, .. } => (None, Some(pid)),
            State::Down { .. } | State::Armed | State::Starting { .. } | State::Sweep { .. } | State::Gone => (None, None),
        };
        if run.is_some() && is_up != run || finish.is_some() && is_finishing != finish {
            return broken(format!("run {run:?}, finish {finish:?}, and state {:?}", service.state()));
        }
        // Whoever is said to live does, or its end is under way from svc-init.
        if let Some(pid) = service.pid()
            && world.process(pid).is_none()
            && world.ledger.relayed.is_none_or(|(relayed, _)| relayed != pid)
        {
            return broken(format!("{pid} is said to live, and is nobody"));
        }
        if let State::Starting { .. } = service.state() {
            return broken("starting outlives a turn");
        }
        if let (State::Up { paused, .. }, Some(process)) = (service.state(), world.living(What::Run).next())
            && process.stopped != paused
            && !process.meddled
            && !process.is_doomed()
        {
            return broken(format!("paused is {paused}, and the process says {}", process.stopped));
        }
        let told = match service.state() {
            State::Down { .. } => self.told == Told::Down,
            State::Armed => self.told == Told::Armed,
            State::Up { .. } if service.prepares() => self.told == Told::Starting,
            State::Up { ready, .. } => self.told == Told::Up { ready: ready.is_some() },
            State::Finish { .. } => self.told == Told::Finishing,
            State::Sweep { .. } => self.told == Told::Draining,
            State::Starting { .. } | State::Gone => true,
        };
        if !told {
            return broken(format!("state {:?}, and the last publication left {:?}", service.state(), self.told));
        }
        Ok(())
    }
}

/// The end that is told is the end that was; where nobody can know it, SIGKILL is assumed.
fn check_exit(world: &World, pid: Pid, exit: Exit) -> Turn {
    match world.end_of(pid) {
        Some(real) if real == exit || exit == Exit::Signal(Signal::KILL) => Ok(()),
        Some(real) => Err(Halt::Broken(format!("{pid} ended with {real}, not {exit}"))),
        None => broken(format!("{pid} has not ended")),
    }
}

fn state_name(state: State) -> String {
    match state {
        State::Starting { role: Role::Run } => "Starting run".into(),
        State::Starting { role: Role::Finish } => "Starting finish".into(),
        State::Up { stop: Stop::Drain { .. }, .. } => "Up draining".into(),
        State::Up { stop: Stop::Command { .. }, .. } => "Up commanded".into(),
        State::Up { stop: Stop::Signal { .. }, .. } => "Up stopping".into(),
        State::Up { stop: Stop::Kill { .. }, .. } => "Up killed".into(),
        _ => first_word(&format!("{state:?}")),
    }
}

fn event_name(event: Event) -> String {
    match event {
        Event::Command(command) => first_word(&format!("{command:?}")),
        _ => first_word(&format!("{event:?}")),
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric()).collect()
}
