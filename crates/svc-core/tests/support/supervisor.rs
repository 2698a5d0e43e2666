//! The supervisor around the machine, as crates/svc-supervise/src/driver.rs has it: what it does, in its order, and the
//! points between two of them where SIGKILL may come.

use svc_core::definition::Settings;
use svc_core::service::{
    Action, Actions, Command, Daemon, Event, NOTHING_TO_DO, Role, Service, Stage, State, Stop, Target, Trouble,
};
use svc_core::{Exit, Millis, Pid, Signal};

use crate::promises::{Promises, Step};
use crate::world::{Owner, Turn, World, broken};

const RETRY_SHORTAGE: Millis = Millis::from_secs(1);
const RETRY_EXEC: Millis = Millis::from_secs(10);

pub struct Supervisor {
    pub machine: Service,
    settings: Settings,
    /// The pipe that is watched, by the start that it was made for.
    readiness: Option<u32>,
    /// The main process, where a predecessor started it.
    adopted: Option<Adopted>,
}

struct Adopted {
    pid: Pid,
    /// A handle was opened while the process was there: signals through it reach nobody else.
    handle: bool,
}

impl Supervisor {
    /// A new process for the service: the first one, or the heir of one that was killed.
    pub fn launch(world: &mut World, promises: &mut Promises, up: bool) -> Result<Supervisor, crate::world::Halt> {
        let saved = world.ledger.saved.as_ref().map(|words| Service::from_words(words).expect("written by a predecessor"));
        let heir = saved.is_some();
        let machine = saved.unwrap_or_else(|| Service::new(world.now, up).with_chance(world.rng.below(1 << 32) as u32));
        promises.take_over(&machine);
        world.tell(|| format!("supervisor: begins with {:?}", machine.state()));
        let readiness = world.ledger.pipe.filter(|_| heir);
        let mut supervisor = Supervisor { machine, settings: world.settings.clone(), readiness, adopted: None };
        if heir {
            supervisor.inherit(world, promises)?;
        }
        supervisor.feed(world, promises, Event::Deadline)?;
        Ok(supervisor)
    }

    fn inherit(&mut self, world: &mut World, promises: &mut Promises) -> Turn {
        if let State::Starting { role } = self.machine.state() {
            match world.ledger.spawned.filter(|&(_, mark)| mark == self.machine.start_mark(role)) {
                Some((pid, _)) => self.feed(world, promises, Event::Spawned(pid))?,
                None => self.spawn(world, promises, role)?,
            }
        } else {
            self.feed(world, promises, Event::Executed)?;
        }
        if self.machine.daemon() == Daemon::Found
            && let State::Up { pid, .. } = self.machine.state()
            && world.ledger.spawned.is_none_or(|(spawned, _)| spawned != pid)
        {
            world.ledger.spawned = Some((pid, self.machine.start_mark(Role::Run)));
        }
        if let Some(pid) = self.machine.pid().filter(|_| self.adopted.is_none()) {
            let own = world.process(pid).is_some_and(|process| process.owner == Owner::Supervisor);
            if world.ledger.spawned.is_some_and(|(spawned, _)| spawned == pid) && !own {
                self.adopted = Some(Adopted { pid, handle: world.process(pid).is_some() });
            }
        }
        // First whoever has ended, so that no signal goes to a pid that is somebody else's by now.
        self.look(world, promises)?;
        let main = self.machine.pid();
        let mut actions = Actions::default();
        self.machine.resume(&mut actions, &self.settings);
        let list: Vec<Action> = actions.drain().collect();
        world.tell(|| format!("resume in {:?}: {list:?}", self.machine.state()));
        // A command is run once; what looks whether it is drained ended with the predecessor.
        let drains = matches!(self.machine.state(), State::Up { stop: Stop::Drain { .. }, paused: false, .. });
        let looks = drains && self.settings.drain().is_some_and(|errand| !errand.words.is_empty());
        if list.contains(&Action::Errand) != (looks && !self.machine.forced()) {
            return broken("an heir runs what is not to be run, or does not run what is");
        }
        self.perform_all(world, promises, main, list)
    }

    /// One turn of the loop: ready before dead, children before requests, and the time last.
    pub fn turn(&mut self, world: &mut World, promises: &mut Promises, signals: &[Command], requests: &[Command]) -> Turn {
        self.read_readiness(world, promises)?;
        for &command in signals {
            self.command(world, promises, command)?;
        }
        self.reap(world, promises)?;
        if let (State::Up { .. }, Some(main)) = (self.machine.state(), world.said_main())
            && self.machine.pid() != Some(main)
        {
            if let State::Up { pid, paused: true, stop: Stop::No, .. } = self.machine.state() {
                self.signal(world, Some(pid), Target::Main, Signal::CONT)?;
            }
            self.feed(world, promises, Event::Main(main))?;
            if self.machine.pid() == Some(main) {
                let own = world.process(main).is_some_and(|process| process.owner == Owner::Supervisor);
                self.adopted = (!own).then(|| Adopted { pid: main, handle: world.process(main).is_some() });
            }
        }
        if let Some(well) = world.ended_errand() {
            self.feed(world, promises, Event::Errand { well })?;
        }
        self.count_left(world, promises)?;
        for &command in requests {
            self.command(world, promises, command)?;
        }
        if std::mem::take(&mut world.look) {
            self.look(world, promises)?;
            self.count_left(world, promises)?;
        }
        self.feed(world, promises, Event::Deadline)
    }

    pub fn feed(&mut self, world: &mut World, promises: &mut Promises, event: Event) -> Turn {
        let mut event = event;
        loop {
            let now = world.now;
            let before = self.machine.clone();
            let mut actions = Actions::default();
            self.machine.step(now, event, &self.settings, &mut actions);
            let list: Vec<Action> = actions.drain().collect();
            let settings = &self.settings;
            if !list.is_empty() || before != self.machine {
                world.tell(|| format!("{event:?} -> {:?} {list:?}", self.machine.state()));
            }
            let step = Step { now, event, settings, before: &before, after: &self.machine, actions: &list };
            promises.check(&step)?;
            world.instant()?;
            promises.commit(&step, world)?;
            world.ledger.saved = Some(self.machine.to_words());
            if let Event::Forked(pid) | Event::Main(pid) = event
                && self.machine.pid() == Some(pid)
            {
                world.becomes_main(pid);
                world.instant()?;
                world.ledger.spawned = Some((pid, self.machine.start_mark(Role::Run)));
            }
            self.perform_all(world, promises, before.pid().or(self.machine.pid()), list)?;
            match (self.machine.state(), self.machine.deadline()) {
                (State::Down { .. }, Some(at)) if at <= now && event != Event::Deadline => event = Event::Deadline,
                _ => {
                    if !matches!(self.machine.state(), State::Up { stop: Stop::Drain { .. } | Stop::Command { .. }, .. }) {
                        world.errand = None;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// `main`: the process that signals are for, which the state may not speak of any more.
    fn perform_all(&mut self, world: &mut World, promises: &mut Promises, main: Option<Pid>, list: Vec<Action>) -> Turn {
        for action in list {
            world.instant()?;
            self.perform(world, promises, main, action)?;
        }
        world.instant()
    }

    fn perform(&mut self, world: &mut World, promises: &mut Promises, main: Option<Pid>, action: Action) -> Turn {
        match action {
            Action::Spawn(role) => self.spawn(world, promises, role),
            Action::Signal { target, signal } => self.signal(world, main, target, signal),
            Action::Sweep(signal) => {
                world.signal_left(signal);
                world.left_ended = true;
                self.count_left(world, promises)
            }
            Action::Errand => {
                if world.rng.below(200) < world.trouble {
                    return self.feed(world, promises, Event::Errand { well: false });
                }
                world.run_errand();
                Ok(())
            }
            Action::Publish(note) => promises.note(note),
            Action::Quit => Ok(()),
        }
    }

    fn spawn(&mut self, world: &mut World, promises: &mut Promises, role: Role) -> Turn {
        if role == Role::Finish && !world.has_finish {
            let trouble = Trouble { stage: Stage::Exec, errno: NOTHING_TO_DO };
            return self.feed(world, promises, Event::SpawnFailed { retry: Millis::ZERO, trouble });
        }
        self.settings = world.settings.clone();
        let mark = self.machine.start_mark(role);
        world.ledger.relayed = None;
        world.ledger.spawned = None;
        world.instant()?;
        if role == Role::Run {
            self.readiness = None;
            self.adopted = None;
            if self.settings.notification_fd.is_some() {
                world.ledger.pipe = Some(mark);
            }
        }
        if world.rng.below(200) < world.trouble {
            return self.feed(world, promises, failed(RETRY_SHORTAGE, Stage::Fork));
        }
        let pid = world.fork(role);
        world.instant()?;
        world.ledger.spawned = Some((pid, mark));
        world.instant()?;
        let prepares = role == Role::Run && world.rng.chance(30);
        if prepares {
            self.feed(world, promises, Event::Prepares(pid))?;
            world.instant()?;
        }
        if prepares && world.rng.below(200) < world.trouble {
            // It ends before its program is executed: the next turn finds it.
            world.end_now(pid, Exit::Code(111));
            return Ok(());
        }
        if world.rng.below(200) < world.trouble && !prepares {
            world.end_now(pid, Exit::Code(127));
            world.instant()?;
            world.bury(pid);
            world.instant()?;
            return self.feed(world, promises, failed(RETRY_EXEC, Stage::Exec));
        }
        world.execute(pid);
        world.tell(|| format!("world: {role:?} {pid} runs"));
        promises.executed(world, pid, role)?;
        world.instant()?;
        if role == Role::Run {
            self.readiness = self.settings.notification_fd.map(|_| mark);
        }
        self.feed(world, promises, if prepares { Event::Executed } else { Event::Spawned(pid) })
    }

    fn signal(&mut self, world: &mut World, main: Option<Pid>, target: Target, signal: Signal) -> Turn {
        let Some(pid) = main else { return broken(format!("{signal} for nobody")) };
        world.tell(|| format!("supervisor: {signal} to {target:?} {pid}"));
        match &self.adopted {
            Some(Adopted { handle: true, .. }) if world.process(pid).is_none() => Ok(()),
            _ => world.signal(pid, signal),
        }
    }

    fn count_left(&mut self, world: &mut World, promises: &mut Promises) -> Turn {
        if !std::mem::take(&mut world.left_ended) || !matches!(self.machine.state(), State::Sweep { .. }) {
            return Ok(());
        }
        self.reap(world, promises)?;
        let left = world.living(crate::world::What::Left).count();
        self.feed(world, promises, Event::Swept { left })
    }

    fn read_readiness(&mut self, world: &mut World, promises: &mut Promises) -> Turn {
        if self.readiness.is_none() || world.newline != self.readiness {
            return Ok(());
        }
        world.newline = None;
        self.readiness = None;
        world.instant()?;
        self.feed(world, promises, Event::Ready)
    }

    fn reap(&mut self, world: &mut World, promises: &mut Promises) -> Turn {
        let dead = |world: &World| {
            let own = world.processes.iter().find(|process| process.owner == Owner::Supervisor && process.ended.is_some());
            own.and_then(|process| Some((process.pid, process.ended?)))
        };
        while let Some((pid, exit)) = dead(world) {
            if Some(pid) == self.machine.pid() {
                self.ended(world, promises, exit)?;
            }
            world.instant()?;
            world.bury(pid);
        }
        Ok(())
    }

    fn ended(&mut self, world: &mut World, promises: &mut Promises, exit: Exit) -> Turn {
        self.read_readiness(world, promises)?;
        match world.oldest_left().filter(|_| self.machine.may_have_forked(exit, &self.settings)) {
            Some(main) => {
                self.feed(world, promises, Event::Forked(main))?;
                let own = world.process(main).is_some_and(|process| process.owner == Owner::Supervisor);
                self.adopted = (!own).then(|| Adopted { pid: main, handle: world.process(main).is_some() });
                Ok(())
            }
            None => {
                self.adopted = None;
                if self.settings.on_demand.is_some() && world.rng.chance(30) {
                    self.feed(world, promises, Event::Served)?;
                }
                self.feed(world, promises, Event::Exited(exit))
            }
        }
    }

    fn look(&mut self, world: &mut World, promises: &mut Promises) -> Turn {
        let Some(pid) = self.adopted.as_ref().map(|adopted| adopted.pid) else { return Ok(()) };
        let exit = match world.ledger.relayed.filter(|&(relayed, _)| relayed == pid) {
            Some((_, exit)) => exit,
            None if world.process(pid).is_none() => Exit::Signal(Signal::KILL),
            None => return Ok(()),
        };
        world.tell(|| format!("supervisor: {pid} has ended: {exit}"));
        self.ended(world, promises, exit)
    }

    fn command(&mut self, world: &mut World, promises: &mut Promises, command: Command) -> Turn {
        self.settings = world.settings.clone();
        self.feed(world, promises, Event::Command(command))
    }
}

fn failed(retry: Millis, stage: Stage) -> Event {
    Event::SpawnFailed { retry, trouble: Trouble { stage, errno: 2 } }
}
