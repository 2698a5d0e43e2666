//! The world of one simulated service: its real processes, the ledger, svc-init as the one who reaps orphans, and chance.
//! It knows nothing of the machine under test; it only refuses what a kernel would not forgive.

use svc_core::definition::{Forking, OnDemand, Settings};
use svc_core::policy::{Errand, Policy, Stopping};
use svc_core::restart::{AtLimit, Restart, When};
use svc_core::service::Role;
use svc_core::snapshot::Words;
use svc_core::{Exit, Millis, Pid, Signal};

use crate::rng::Rng;

/// Why a turn of the supervisor ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// SIGKILL hit the supervisor.
    Killed,
    /// A promise was broken.
    Broken(String),
}

pub type Turn = Result<(), Halt>;

pub fn broken<T>(what: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Broken(what.into()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Run,
    Finish,
    /// A descendant that outlives the process that made it.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Supervisor,
    Init,
}

#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    pub what: What,
    pub owner: Owner,
    /// It runs its program. Before that it waits for its supervisor to write it down.
    pub executed: bool,
    pub stopped: bool,
    /// Somebody other than us stops and continues it.
    pub meddled: bool,
    pub ended: Option<Exit>,
    /// Ignores all that can be ignored.
    pub stubborn: bool,
    /// Signals that wait for SIGCONT.
    pending: Vec<Signal>,
    /// In an uninterruptible sleep: not even SIGKILL ends it before.
    asleep_until: Millis,
    ends: Option<End>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    at: Millis,
    exit: Exit,
    /// By SIGKILL, which ends stopped processes too.
    killed: bool,
}

/// What `svc_proto::ledger::Row` keeps.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub saved: Option<Words>,
    pub spawned: Option<(Pid, u32)>,
    pub relayed: Option<(Pid, Exit)>,
    /// The pipe that svc-init keeps, named by the start that it was made for.
    pub pipe: Option<u32>,
}

pub struct World {
    pub now: Millis,
    pub rng: Rng,
    pub ledger: Ledger,
    /// What the small files say at the moment.
    pub settings: Settings,
    pub has_finish: bool,
    pub processes: Vec<Process>,
    /// A newline that nobody has read, and in which pipe.
    pub newline: Option<u32>,
    /// svc-init told the supervisor to look into the ledger.
    pub look: bool,
    /// A descendant ended since somebody last counted.
    pub left_ended: bool,
    /// What a stop waits for, if that runs: when it ends, if it does, and whether well. It ends with the supervisor.
    pub errand: Option<(Option<Millis>, bool)>,
    /// How often starting a program fails, in percent.
    pub trouble: u64,
    /// How likely SIGKILL hits the supervisor between two things that it does, in thousandths; and how often at most.
    pub danger: u64,
    pub lives: u32,
    graves: Vec<(Pid, Exit)>,
    next_pid: i32,
    story: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, told: bool) -> World {
        let mut rng = Rng::new(seed);
        let mut world = World {
            now: Millis(1_000 + rng.below(1000)),
            ledger: Ledger::default(),
            settings: Settings::default(),
            has_finish: rng.chance(75),
            processes: Vec::new(),
            newline: None,
            look: false,
            left_ended: false,
            errand: None,
            trouble: rng.pick(&[0, 0, 5, 40]),
            danger: rng.pick(&[0, 0, 5, 30, 150]),
            lives: 40,
            graves: Vec::new(),
            next_pid: 100,
            story: told.then(Vec::new),
            rng,
        };
        world.change_settings();
        world
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(story) = &mut self.story {
            story.push(format!("{:>6}  {}", now.0, line()));
        }
    }

    pub fn take_story(&mut self) -> Vec<String> {
        self.story.take().unwrap_or_default()
    }

    /// A point between two things that the supervisor does: SIGKILL may come here.
    pub fn instant(&mut self) -> Turn {
        if self.lives > 0 && self.rng.below(1000) < self.danger {
            self.lives -= 1;
            return Err(Halt::Killed);
        }
        Ok(())
    }

    pub fn change_settings(&mut self) {
        let settings = &mut self.settings;
        let rng = &mut self.rng;
        settings.timeout_kill = Millis(rng.pick(&[0, 0, 1, 50, 3000]));
        settings.timeout_finish = Millis(rng.pick(&[0, 20, 5000, 5000]));
        settings.kill_group = rng.chance(30);
        settings.forking = rng.chance(25).then_some(Forking { pid_file: None });
        // What is left behind is the service.
        settings.keep_descendants = rng.chance(20) && settings.forking.is_none();
        settings.notification_fd = rng.chance(60).then_some(3);
        settings.down_signal = rng.pick(&[Signal::TERM, Signal::TERM, Signal::INT, Signal::KILL]);
        settings.essential = rng.chance(20);
        settings.on_demand = rng.chance(30).then_some(OnDemand { idle_stop: Millis(100) });
        settings.policy = rng.chance(50).then(|| Box::new(any_policy(rng)));
        settings.stopping = rng.chance(50).then(|| Box::new(any_stopping(rng)));
    }

    // --- processes

    pub fn process(&self, pid: Pid) -> Option<&Process> {
        self.processes.iter().find(|process| process.pid == pid)
    }

    /// Programs of this kind that run.
    pub fn living(&self, what: What) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.what == what && process.executed && process.ended.is_none())
    }

    /// How this process really ended.
    pub fn end_of(&self, pid: Pid) -> Option<Exit> {
        let grave = self.graves.iter().rev().find(|grave| grave.0 == pid).map(|grave| grave.1);
        grave.or_else(|| self.process(pid).and_then(|process| process.ended))
    }

    /// A child that waits to be let go.
    pub fn fork(&mut self, role: Role) -> Pid {
        let what = match role {
            Role::Run => What::Run,
            Role::Finish => What::Finish,
        };
        self.add(what, Owner::Supervisor)
    }

    fn add(&mut self, what: What, owner: Owner) -> Pid {
        let pid = Pid::new(self.next_pid).expect("counted up from 100");
        self.next_pid += 1;
        self.processes.push(Process {
            pid,
            what,
            owner,
            executed: false,
            stopped: false,
            meddled: false,
            ended: None,
            stubborn: self.rng.chance(25),
            pending: Vec::new(),
            asleep_until: if self.rng.chance(4) { self.now + Millis(self.rng.below(13_000)) } else { Millis::ZERO },
            ends: None,
        });
        pid
    }

    /// The program starts; most of its life is decided here.
    pub fn execute(&mut self, pid: Pid) {
        let (now, rng) = (self.now, &mut self.rng);
        let Some(process) = self.processes.iter_mut().find(|process| process.pid == pid) else { return };
        process.executed = true;
        let (lasts, exit) = match process.what {
            What::Run => (rng.pick(&[Some(0), Some(1), Some(300), Some(1000), Some(1500), None, None, None]), any_exit(rng)),
            What::Finish => (rng.pick(&[Some(0), Some(0), Some(2), Some(900), Some(7000), None]), finish_exit(rng)),
            What::Left => (rng.pick(&[Some(10), Some(2000), None, None]), Exit::Code(0)),
        };
        let (what, owner) = (process.what, process.owner);
        process.ends = lasts.map(|lasts| End { at: now + Millis(lasts), exit, killed: false });
        if what == What::Run && self.settings.forking.is_some() && self.rng.chance(80) {
            // A command that puts something into the background, and ends; that may do the same.
            process.ends = Some(End { at: now + Millis(self.rng.pick(&[0, 1, 300])), exit: Exit::Code(0), killed: false });
            for _ in 0..self.rng.pick(&[1, 1, 2]) {
                let pid = self.add(What::Left, owner);
                self.execute(pid);
            }
        }
    }

    /// Whom the supervisor takes for the daemon: the oldest that lives.
    pub fn oldest_left(&self) -> Option<Pid> {
        self.living(What::Left).map(|process| process.pid).min()
    }

    /// One that was left behind is the service now.
    pub fn becomes_main(&mut self, pid: Pid) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.pid == pid) {
            process.what = What::Run;
        }
    }

    /// A living process of the service makes another, which stays when its maker ends.
    pub fn leave_one(&mut self) {
        let Some(owner) =
            self.processes.iter().find(|process| process.executed && process.ended.is_none()).map(|maker| maker.owner)
        else {
            return;
        };
        if self.living(What::Left).count() < 4 {
            let pid = self.add(What::Left, owner);
            self.execute(pid);
            self.tell(|| format!("world: descendant {pid} appears"));
        }
    }

    /// Ends a program by its own doing.
    pub fn end(&mut self, what: What) {
        let exit = if what == What::Finish { finish_exit(&mut self.rng) } else { any_exit(&mut self.rng) };
        let now = self.now;
        let can_end = |process: &&mut Process| {
            process.what == what
                && process.executed
                && process.ended.is_none()
                && !process.stopped
                && process.asleep_until <= now
        };
        if let Some(process) = self.processes.iter_mut().find(can_end) {
            process.ends = Some(End { at: now, exit, killed: false });
            self.let_end();
        }
    }

    /// Somebody outside stops or continues `run`.
    pub fn meddle(&mut self) {
        let signal = self.rng.pick(&[Signal::STOP, Signal::CONT]);
        let now = self.now;
        if let Some(process) = self.processes.iter_mut().find(|process| process.what == What::Run && process.ended.is_none())
        {
            process.meddled = true;
            process.take(signal, now, 0);
            self.tell(|| format!("world: somebody else sends {signal} to run"));
        }
    }

    /// A signal from the supervisor. It is an error to send one to a pid that was reaped: it may be somebody else's now.
    pub fn signal(&mut self, pid: Pid, signal: Signal) -> Turn {
        let (now, reaction) = (self.now, self.rng.pick(&[0, 0, 5, 800]));
        match self.processes.iter_mut().find(|process| process.pid == pid) {
            Some(process) => process.take(signal, now, reaction),
            None => return broken(format!("{signal} to {pid}, which was reaped and given away")),
        }
        self.let_end();
        Ok(())
    }

    /// To every descendant that was left behind.
    pub fn signal_left(&mut self, signal: Signal) {
        for index in 0..self.processes.len() {
            if self.processes[index].what == What::Left {
                let reaction = self.rng.pick(&[0, 5, 800]);
                self.processes[index].take(signal, self.now, reaction);
                self.processes[index].take(Signal::CONT, self.now, reaction);
            }
        }
        self.let_end();
    }

    // --- time

    /// When something happens by itself.
    pub fn next_event(&self) -> Option<Millis> {
        let ends = self.processes.iter().filter_map(Process::will_end).map(|end| end.at);
        ends.chain(self.errand.and_then(|(at, _)| at)).min()
    }

    /// What a stop waits for begins; it may fail, or never end.
    pub fn run_errand(&mut self) {
        let lasts = self.rng.pick(&[Some(0), Some(3), Some(700), None]);
        self.errand = Some((lasts.map(|lasts| self.now + Millis(lasts)), self.rng.chance(60)));
    }

    /// How it ended, if it has by now.
    pub fn ended_errand(&mut self) -> Option<bool> {
        let (_, well) = self.errand.filter(|&(at, _)| at.is_some_and(|at| at <= self.now))?;
        self.errand = None;
        Some(well)
    }

    /// Something has happened that nobody has taken note of.
    pub fn is_restless(&self) -> bool {
        self.look || self.left_ended || self.processes.iter().any(|process| process.ended.is_some())
    }

    pub fn advance(&mut self, to: Millis) {
        self.now = to.max(self.now);
        self.let_end();
    }

    fn let_end(&mut self) {
        let now = self.now;
        for index in 0..self.processes.len() {
            let process = &mut self.processes[index];
            if let Some(end) = process.will_end().filter(|end| end.at <= now) {
                process.ended = Some(end.exit);
                let (pid, what) = (process.pid, process.what);
                self.left_ended |= what == What::Left;
                self.tell(|| format!("world: {what:?} {pid} ended: {}", end.exit));
            }
        }
    }

    /// Takes a dead process away: its pid may be anybody's now.
    pub fn bury(&mut self, pid: Pid) {
        if let Some(index) = self.processes.iter().position(|process| process.pid == pid) {
            let process = self.processes.swap_remove(index);
            self.graves.push((pid, process.ended.unwrap_or(Exit::Code(0))));
        }
    }

    /// A child that was never let go, or whose exec failed, ends.
    pub fn end_now(&mut self, pid: Pid, exit: Exit) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.pid == pid) {
            process.ended = Some(exit);
        }
    }

    /// The supervisor is dead: its children are svc-init's, and those that it held back end without having run anything.
    pub fn orphan_all(&mut self) {
        for process in &mut self.processes {
            process.owner = Owner::Init;
            if !process.executed && process.ended.is_none() {
                process.ended = Some(Exit::Code(111));
            }
        }
        self.look = false;
        self.errand = None;
    }

    /// svc-init takes its dead children, and relays what belongs to the service.
    pub fn init_reaps(&mut self) {
        while let Some(index) =
            self.processes.iter().position(|process| process.owner == Owner::Init && process.ended.is_some())
        {
            let (pid, exit) = (self.processes[index].pid, self.processes[index].ended.unwrap_or(Exit::Code(0)));
            self.bury(pid);
            if self.ledger.spawned.is_some_and(|(spawned, _)| spawned == pid) {
                self.ledger.relayed = Some((pid, exit));
                self.tell(|| format!("svc-init: relays the end of {pid}: {exit}"));
            }
            self.look = true;
        }
    }
}

impl Process {
    /// SIGKILL is under way: nothing else matters to it any more.
    pub fn is_doomed(&self) -> bool {
        self.ends.is_some_and(|end| end.killed)
    }

    fn will_end(&self) -> Option<End> {
        let end = self.ends.filter(|end| self.ended.is_none() && (end.killed || !self.stopped))?;
        Some(End { at: end.at.max(self.asleep_until), ..end })
    }

    fn take(&mut self, signal: Signal, now: Millis, reaction: u64) {
        let lethal = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::ABRT].contains(&signal);
        match signal {
            Signal::KILL => self.end_by(End { at: now, exit: Exit::Signal(signal), killed: true }),
            Signal::STOP => self.stopped = true,
            Signal::CONT => {
                self.stopped = false;
                for signal in std::mem::take(&mut self.pending) {
                    self.take(signal, now, reaction);
                }
            }
            _ if self.stopped => self.pending.push(signal),
            _ if lethal && !self.stubborn => {
                self.end_by(End { at: now + Millis(reaction), exit: Exit::Signal(signal), killed: false });
            }
            _ => {}
        }
    }

    fn end_by(&mut self, end: End) {
        if self.ends.is_none_or(|before| end.killed || end.at < before.at) {
            self.ends = Some(end);
        }
    }
}

fn any_policy(rng: &mut Rng) -> Policy {
    let exits = |rng: &mut Rng| (0..rng.below(3)).map(|_| any_exit(rng)).collect::<Vec<Exit>>();
    let restart = Restart {
        when: rng.pick(&[When::Unsaid, When::Always, When::Always, When::OnFailure, When::Never]),
        never_on: if rng.chance(30) { exits(rng) } else { Vec::new() },
        always_on: if rng.chance(30) { exits(rng) } else { Vec::new() },
        delay: Millis(rng.pick(&[1, 200, 1000, 5000])),
        factor: rng.pick(&[1000, 1500, 2000, 10_000]),
        max_delay: Millis(rng.pick(&[10, 4000, 60_000])),
        jitter: rng.pick(&[0, 0, 100, 500, 1000]),
        reset_after: Millis(rng.pick(&[1, 500, 60_000])),
        limit: rng.pick(&[0, 1, 2, 3, 16]),
        window: Millis(rng.pick(&[1, 500, 10_000, 3_600_000])),
        at_limit: AtLimit::Fail,
    };
    Policy { restart, success: rng.chance(30).then(|| exits(rng)) }
}

fn any_stopping(rng: &mut Rng) -> Stopping {
    let errand = |rng: &mut Rng| {
        let words = if rng.chance(70) { vec![b"drained".to_vec()] } else { Vec::new() };
        Errand { most: Millis(rng.pick(&[1, 40, 2500])), words }
    };
    let mut steps: Vec<(Millis, Signal)> = (0..rng.below(4))
        .map(|_| (Millis(rng.pick(&[1, 60, 900])), rng.pick(&[Signal::INT, Signal::QUIT, Signal::USR1])))
        .collect();
    if rng.chance(30) {
        steps.push((Millis(30), Signal::KILL));
    }
    Stopping {
        drain: rng.chance(40).then(|| errand(rng)),
        command: rng.chance(40).then(|| errand(rng)),
        steps,
        tree: rng.chance(40),
    }
}

fn any_exit(rng: &mut Rng) -> Exit {
    rng.pick(&[
        Exit::Code(0),
        Exit::Code(1),
        Exit::Code(125),
        Exit::Code(255),
        Exit::Signal(Signal::KILL),
        Exit::Signal(Signal::TERM),
        Exit::Signal(Signal::ABRT),
    ])
}

fn finish_exit(rng: &mut Rng) -> Exit {
    rng.pick(&[Exit::Code(0), Exit::Code(0), Exit::Code(0), Exit::Code(1), Exit::Code(125), Exit::Signal(Signal::TERM)])
}
