//! What svc promises about one service, asked after every step of its machine and after every turn of its supervisor.

use std::collections::{BTreeSet, VecDeque};

use svc_core::definition::Settings;
use svc_core::policy::Policy;
use svc_core::restart::When;
use svc_core::service::{
    Action, Command, Event, HISTORY, NOTHING_TO_DO, Note, Past, RESTART_GAP, Rest, Role, Service, State, Stop, Want,
};
use svc_core::{Exit, Millis, Pid, Signal};

use crate::course;
use crate::world::{Halt, Turn, What, World, broken};

/// `Actions` has room for six. One that stays free proves that none was dropped.
const ROOM: usize = 6;

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

    // --- one step

    /// What can be seen from the step alone.
    pub fn check(&self, step: &Step) -> Turn {
        let Step { now, event, before, after, actions, .. } = *step;
        if actions.len() >= ROOM {
            return broken("more actions than fit");
        }
        if Service::from_words(&after.to_words()).as_ref() != Some(after) {
            return broken("what was written down is not what was");
        }
        if before.state() == State::Gone {
            return if actions.is_empty() && before == after { Ok(()) } else { broken("something happens after the end") };
        }
        if (after.state() == State::Gone) != (actions.last() == Some(&Action::Quit)) {
            return broken("the end and `Quit` do not go together");
        }
        if before.leaving() && !after.leaving() {
            return broken("somebody who leaves has changed his mind");
        }
        if after.leaving() && matches!(after.state(), State::Down { .. }) {
            return broken("down, leaving, and still there");
        }
        if after.state() == State::Armed && after.want() != Want::Up {
            return broken("armed, and nobody wants it");
        }
        if (before.state(), event) == (State::Armed, Event::Knock) && after.state() != (State::Starting { role: Role::Run })
        {
            return broken("somebody knocks, and it is not started");
        }
        self.check_wish(step)?;
        check_signals(step)?;
        self.check_spawns(step)?;
        check_published(step)?;
        if event == Event::Deadline
            && same_kind(before.state(), after.state())
            && after.deadline().is_some_and(|at| at <= now)
        {
            return broken("the deadline does not move forward");
        }
        self.check_waits(step)
    }

    fn check_spawns(&self, step: &Step) -> Turn {
        let Step { before, after, actions, event, settings, .. } = *step;
        let spawns: Vec<Role> =
            actions.iter().filter_map(|action| if let Action::Spawn(role) = action { Some(*role) } else { None }).collect();
        let expected = match after.state() {
            State::Starting { role } if before.state() != after.state() => Some(role),
            _ => None,
        };
        if spawns != expected.as_slice() {
            return broken(format!("spawns {spawns:?} on the way to {:?}", after.state()));
        }
        if let (State::Up { .. }, Event::Exited(_)) = (before.state(), event)
            && expected != Some(Role::Finish)
        {
            return broken("run ended and finish does not follow");
        }
        if expected == Some(Role::Run) {
            if !matches!(before.state(), State::Down { .. } | State::Armed) {
                return broken("run is started while something of it may live");
            }
            if after.want() == Want::Down {
                return broken("nobody wants a start");
            }
            if self.over && !asks_for_start(event) {
                return broken("started again against its policy");
            }
            let waits = settings.on_demand.is_some() && (self.done || self.called) && !self.hurried;
            if waits && event == Event::Deadline {
                return broken("started though nobody has knocked");
            }
            if self.permanent && !asks_for_start(event) {
                return broken("started again after 125");
            }
            if actions.first() != Some(&Action::Publish(Note::Starting)) {
                return broken("a start that is not announced");
            }
        }
        Ok(())
    }

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

    fn is_by_itself(&self, before: &Service) -> bool {
        let not_told = matches!(before.state(), State::Up { stop: Stop::No, .. });
        before.want() == Want::Up && (not_told || self.unfit) && !self.called
    }

    /// An end that nobody asked for: what the policy of this moment makes of it, by other means than the machine's.
    fn count(&mut self, step: &Step, exit: Exit) {
        self.own_ends.push(step.now);
        let Some(policy) = &step.settings.policy else { return };
        let restart = &policy.restart;
        let ran = step.now - step.before.started().unwrap_or(step.now);
        self.streak = if ran < restart.reset_after { self.streak.saturating_add(1) } else { 1 };
        let by_rule = match restart.when {
            When::Unsaid | When::Always => true,
            When::OnFailure => !self.done,
            When::Never => false,
        };
        let again = !restart.never_on.contains(&exit) && (by_rule || restart.always_on.contains(&exit));
        let in_window = self.own_ends.iter().filter(|&&end| end + restart.window > step.now).count();
        self.over = !again || restart.limit > 0 && in_window >= usize::from(restart.limit);
    }

    /// Whether its last end is to stay its last one; the end of an essential service without `finish` is.
    fn is_over(&self, step: &Step) -> bool {
        let Step { event, before, settings, .. } = *step;
        let no_finish = matches!(event, Event::SpawnFailed { trouble, .. } if trouble.errno == NOTHING_TO_DO)
            && before.state() == State::Starting { role: Role::Finish }
            && !before.undoing();
        let says_nothing = |policy: &Policy| policy.restart.when == When::Unsaid && policy.restart.limit == 0;
        let says_nothing = settings.policy.as_deref().is_none_or(says_nothing);
        let own = self.past.front().is_some_and(|past| past.counts);
        self.over || no_finish && settings.essential && says_nothing && own && !self.unfit
    }

    /// The shortest and the longest time from start to start that the policy of this moment allows.
    fn delays(&self, settings: &Settings) -> (Millis, Millis) {
        let Some(policy) = &settings.policy else { return (RESTART_GAP, RESTART_GAP) };
        let restart = &policy.restart;
        let mut delay = restart.delay.0 as f64;
        for _ in 1..self.streak {
            delay *= f64::from(restart.factor) / 1000.0;
        }
        let delay = delay.min(restart.max_delay.0.max(restart.delay.0) as f64);
        let jitter = delay * f64::from(restart.jitter) / 1000.0;
        // The machine rounds down, once for each step.
        let rounding = f64::from(self.streak.min(64)) * f64::from(restart.factor) / 1000.0;
        let least = (delay - jitter - rounding).max(0.0);
        (Millis(least as u64), Millis((delay + jitter).ceil() as u64))
    }

    /// The wish is what was asked for last; one start is one, and 125 takes it back.
    fn check_wish(&self, step: &Step) -> Turn {
        let Step { event, before, after, .. } = *step;
        let stays = before.want();
        let used_up = if stays == Want::Once { Want::Down } else { stays };
        let expected = match (before.state(), event) {
            (_, Event::Command(Command::Start | Command::Arm | Command::Restart)) if !before.leaving() => Want::Up,
            (_, Event::Command(Command::Once)) if !before.leaving() => Want::Once,
            (
                _,
                Event::Command(
                    Command::Stop
                    | Command::AtMostOnce
                    | Command::Undo
                    | Command::Drain
                    | Command::Terminate
                    | Command::Hurry
                    | Command::Force,
                ),
            ) => Want::Down,
            (State::Up { .. }, Event::Exited(_)) | (State::Starting { role: Role::Run }, Event::SpawnFailed { .. }) => {
                used_up
            }
            (State::Finish { .. }, Event::Exited(Exit::Code(125))) if !before.undoing() => Want::Down,
            // What its policy made of its end becomes so when its finish is over.
            (State::Finish { .. }, Event::Exited(_))
            | (State::Starting { role: Role::Finish }, Event::SpawnFailed { .. })
                if stays == Want::Up && self.is_over(step) && !before.undoing() =>
            {
                Want::Down
            }
            _ => stays,
        };
        if after.want() == expected { Ok(()) } else { broken(format!("wants {:?}, not {expected:?}", after.want())) }
    }

    /// Whoever waits knows how long.
    fn check_waits(&self, step: &Step) -> Turn {
        let Step { now, event, before, after, settings, .. } = *step;
        let deadline = after.deadline();
        match after.state() {
            State::Down { .. } if after.want() != Want::Down && deadline.is_none() => broken("a start that never comes"),
            State::Down { not_before }
                if matches!(event, Event::SpawnFailed { retry, .. }
                if before.state() == (State::Starting { role: Role::Run }) && not_before < now + retry) =>
            {
                broken("tried again too soon")
            }
            State::Down { not_before }
                if !matches!(before.state(), State::Down { .. } | State::Armed | State::Starting { role: Role::Run }) =>
            {
                let soonest = after.started().map_or(now, |started| now.max(started + self.delays(settings).1));
                if not_before > soonest { broken("it could start sooner") } else { Ok(()) }
            }
            State::Sweep { .. } if deadline.is_none() => broken("a sweep without an end"),
            _ => Ok(()),
        }
    }

    fn died(&mut self, now: Millis, exit: Exit, before: &Service, counts: bool) {
        self.deaths += 1;
        let ran = now - before.started().unwrap_or(now);
        self.past.push_front(Past { exit, ended: now, ran, counts, starved: false, unfed: false });
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

/// Signals go to the main process, and never after its end was told: its pid may be somebody else's.
fn check_signals(step: &Step) -> Turn {
    let signals = step.actions.iter().any(|action| matches!(action, Action::Signal { .. }));
    let ended = matches!(step.event, Event::Exited(_));
    if let State::Up { stop, .. } = step.before.state() {
        course::check(step, stop)?;
    }
    if let State::Up { stop: Stop::Drain { .. }, ready: Some(_), .. } = step.after.state() {
        return broken("drained, and told to be ready");
    }
    if signals && (step.before.pid().is_none() || ended) { broken("a signal to nobody") } else { Ok(()) }
}

/// What others can see does not change in silence. A sweep is announced when its first count says that somebody is left.
fn check_published(step: &Step) -> Turn {
    let Step { before, after, actions, .. } = *step;
    let published = actions.iter().any(|action| matches!(action, Action::Publish(_)));
    let silent_by_design = matches!(after.state(), State::Sweep { .. } | State::Gone);
    let ready = |service: &Service| matches!(service.state(), State::Up { ready: Some(_), .. });
    let seen = |service: &Service| (service.want(), service.failed(), service.leaving(), service.trouble(), ready(service));
    let is_other = before.pid() != after.pid() && !silent_by_design;
    let changed = is_other
        || (!same_kind(before.state(), after.state()) && !silent_by_design)
        || (seen(before) != seen(after) && after.state() != State::Gone);
    if changed && !published { broken("a change that nobody is told") } else { Ok(()) }
}

/// The end that is told is the end that was; where nobody can know it, SIGKILL is assumed.
fn check_exit(world: &World, pid: Pid, exit: Exit) -> Turn {
    match world.end_of(pid) {
        Some(real) if real == exit || exit == Exit::Signal(Signal::KILL) => Ok(()),
        Some(real) => Err(Halt::Broken(format!("{pid} ended with {real}, not {exit}"))),
        None => broken(format!("{pid} has not ended")),
    }
}

fn is_success(settings: &Settings, exit: Exit) -> bool {
    let list = settings.policy.as_ref().and_then(|policy| policy.success.as_ref());
    list.map_or(exit == Exit::Code(0), |list| list.contains(&exit))
}

fn asks_for_start(event: Event) -> bool {
    matches!(event, Event::Command(Command::Start | Command::Arm | Command::Restart | Command::Once))
}

fn same_kind(one: State, other: State) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
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
