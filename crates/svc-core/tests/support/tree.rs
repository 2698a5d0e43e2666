//! The whole tree in a model: svc-init around its machine as crates/svc-init/src/lib.rs has it, svc-scan around the roster
//! and the plan of the end, svc-log, and services that stop soon, late or never.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use svc_core::init::{Action, Daemon, Event, Init, Order};
use svc_core::roster::{Decision, Happened, Roster};
use svc_core::{Command, Millis, Signal};

use crate::rng::Rng;

/// The machine keeps this back for the last lines.
pub const FLUSH: Millis = Millis(100);

/// How a daemon behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Dies this long after each start.
    Dies(u64),
    /// From its start on it does nothing at all.
    Hangs,
    /// Cannot be forked.
    Never,
    /// Dies when it is told that everything ends, once.
    DiesWhenTold,
}

#[derive(Debug)]
pub struct Process {
    manner: Manner,
    dies_at: Option<Millis>,
    told: VecDeque<Told>,
    /// svc-scan alone.
    roster: Roster,
    /// svc-log alone: it reads to the end, and leaves.
    finishing: bool,
}

/// What svc-init tells svc-scan.
#[derive(Debug, Clone, Copy)]
enum Told {
    Slot { id: u32, alive: bool },
    Launched { id: u32 },
    LaunchFailed { id: u32 },
    Begin,
    Died { id: u32, over: bool },
    Removed { id: u32 },
    Order(Order),
}

/// One service and its supervisor.
#[derive(Debug, Clone)]
pub struct Slot {
    pub producer: Option<u32>,
    /// A supervisor lives.
    pub supervised: bool,
    /// The main process, with when it ends.
    run: Option<Run>,
    leaving: Option<Command>,
    /// When the supervisor leaves, because nothing is left.
    gone_at: Option<Millis>,
    pub stop_takes: u64,
    pub stubborn: bool,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    dies_at: Option<Millis>,
}

/// A child of svc-init that belongs to nobody.
#[derive(Debug, Clone, Copy)]
pub struct Stray {
    pub stubborn: bool,
    pub unkillable_until: Millis,
    dies_at: Option<Millis>,
}

#[derive(Debug, Clone, Copy)]
enum Zombie {
    Daemon(Daemon, bool),
    Supervisor { id: u32, over: bool },
    Other,
}

pub struct Tree {
    pub now: Millis,
    pub rng: Rng,
    pub init: Init,
    pub scan: Option<Process>,
    pub log: Option<Process>,
    pub scan_manner: Manner,
    pub log_manner: Manner,
    /// How long svc-log writes after the last producer has ended.
    pub flush_takes: u64,
    pub slots: BTreeMap<u32, Slot>,
    /// Services that svc-scan finds in its directories.
    pub wanted: Vec<(u32, Option<u32>)>,
    pub strays: Vec<Stray>,
    zombies: VecDeque<Zombie>,
    pub signals: VecDeque<Signal>,
    requests: VecDeque<Request>,
    /// What the machine did, with when.
    pub acts: Vec<(Millis, Action)>,
    pub starts: Vec<(Millis, Daemon)>,
    /// When the end was first asked for, when somebody first hurried, and the first code that was named.
    pub asked: Option<Millis>,
    pub forced: Option<Millis>,
    /// SIGTERM, SIGINT or SIGQUIT has come.
    pub signalled: bool,
    pub code: Option<u8>,
    /// How often svc-init has executed itself again: it forgets how often its daemons died, and that somebody hurried.
    pub faults: u64,
    pub broken: Option<String>,
    /// svc-log has read everything to the end.
    pub log_left: bool,
    pub stop_takes: [u64; 4],
    pub stubborn_percent: u64,
    /// How many of those that have no supervisor yet get none when it is tried.
    pub no_room_percent: u64,
    began: BTreeSet<u32>,
    /// Whether there were such services.
    pub stubborn_producers: bool,
    pub stubborn_loggers: bool,
    story: Option<Vec<String>>,
}

/// What svc-scan asks of svc-init.
#[derive(Debug, Clone, Copy)]
enum Request {
    Launch(u32),
    Retire(u32),
    Shutdown { code: u8, force: bool },
    Stop { quick: bool },
}

impl Stray {
    pub fn new(stubborn: bool, unkillable_until: Millis) -> Stray {
        Stray { stubborn, unkillable_until, dies_at: None }
    }
}

impl Tree {
    pub fn new(seed: u64, budget: Millis, told: bool) -> Tree {
        Tree {
            now: Millis(5000),
            rng: Rng::new(seed),
            init: Init::new(budget),
            scan: None,
            log: None,
            scan_manner: Manner::Good,
            log_manner: Manner::Good,
            flush_takes: 1,
            slots: BTreeMap::new(),
            wanted: Vec::new(),
            strays: Vec::new(),
            zombies: VecDeque::new(),
            signals: VecDeque::new(),
            requests: VecDeque::new(),
            acts: Vec::new(),
            starts: Vec::new(),
            asked: None,
            forced: None,
            signalled: false,
            code: None,
            faults: 0,
            broken: None,
            log_left: false,
            stop_takes: [0, 10, 10, 300],
            stubborn_percent: 0,
            no_room_percent: 0,
            began: BTreeSet::new(),
            stubborn_producers: false,
            stubborn_loggers: false,
            story: told.then(Vec::new),
        }
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>6}  {}", self.now.0, line()));
        }
    }

    pub fn take_story(&mut self) -> Vec<String> {
        self.story.take().unwrap_or_default()
    }

    pub fn is_over(&self) -> bool {
        self.acts.iter().any(|(_, act)| matches!(act, Action::Exit { .. } | Action::Abort))
    }

    /// Somebody besides svc-init and its daemons lives, or is not reaped.
    pub fn others(&self) -> (usize, usize) {
        let dead = |what: fn(&Zombie) -> bool| self.zombies.iter().filter(|zombie| what(zombie)).count();
        let supervisors = self.slots.values().filter(|slot| slot.supervised).count()
            + dead(|zombie| matches!(zombie, Zombie::Supervisor { .. }));
        let orphans = self.slots.values().filter(|slot| !slot.supervised && slot.run.is_some()).count()
            + self.strays.len()
            + dead(|zombie| matches!(zombie, Zombie::Other));
        (supervisors, orphans)
    }

    // --- svc-init

    /// One turn of its loop.
    pub fn turn(&mut self) {
        while let Some(signal) = self.signals.pop_front() {
            self.count();
            self.step(Event::Signal(signal));
        }
        if !self.zombies.is_empty() {
            self.reap();
        }
        while let Some(request) = self.requests.pop_front() {
            self.serve(request);
        }
        self.step(Event::Deadline);
        if self.init.deadline().is_some_and(|at| at <= self.now) && !self.is_over() {
            self.broken.get_or_insert("the deadline does not move forward".into());
        }
    }

    /// svc-init has executed itself again after a fault, and goes on with what the ledger says.
    pub fn recover(&mut self, budget: Millis) {
        self.tell(|| "init: executes itself again".into());
        self.faults += 1;
        let (until, code) = self.init.ending().map_or((None, None), |(end, code)| (Some(end), code));
        self.init = Init::recovered(budget, self.now, self.scan.is_some(), self.log.is_some(), until, code);
        self.step(Event::Deadline);
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        let before = self.init.clone();
        self.note_request(event);
        self.init.step(self.now, event, &mut |action| actions.push(action));
        if self.is_over() {
            if !actions.is_empty() || before != self.init {
                self.broken.get_or_insert(format!("{actions:?} after the end"));
            }
            return;
        }
        if !actions.is_empty() {
            self.tell(|| format!("init: {event:?} -> {actions:?}"));
        }
        for action in actions {
            self.acts.push((self.now, action));
            self.perform(action);
        }
    }

    /// What svc-init was asked for, and when.
    fn note_request(&mut self, event: Event) {
        let (code, force) = match event {
            Event::Shutdown { code, force, .. } => (Some(code), force),
            Event::Stop { .. } => (None, false),
            // Only the second signal is impatience; an end that svc-scan asked for was nobody's signal.
            Event::Signal(Signal::TERM | Signal::INT) => (None, self.signalled),
            Event::Signal(Signal::QUIT) => (None, false),
            _ => return,
        };
        self.signalled |= matches!(event, Event::Signal(_));
        if !self.is_over() {
            self.code = self.code.or(code);
            self.asked.get_or_insert(self.now);
            if force {
                self.forced.get_or_insert(self.now);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(daemon) => self.start(daemon),
            Action::Tell(order) => self.tell_scan(Told::Order(order)),
            Action::StopOrphans => {
                for slot in self.slots.values_mut().filter(|slot| !slot.supervised && !slot.stubborn) {
                    let takes = slot.stop_takes;
                    end_by(slot.run.as_mut(), self.now + Millis(takes));
                }
                for stray in self.strays.iter_mut().filter(|stray| !stray.stubborn) {
                    stray.dies_at = Some(self.now + Millis(20));
                }
            }
            Action::KillEverybody => {
                let ids: Vec<u32> = self.slots.keys().copied().collect();
                for id in ids {
                    self.kill_supervisor(id);
                    let soon = self.now + Millis(self.rng.below(3));
                    if let Some(slot) = self.slots.get_mut(&id) {
                        end_by(slot.run.as_mut(), soon);
                    }
                }
                for stray in &mut self.strays {
                    stray.dies_at = Some(stray.unkillable_until.max(self.now));
                }
                self.reap();
            }
            Action::FinishLog => {
                let (supervisors, orphans) = self.others();
                let first = self.acts.iter().filter(|(_, act)| *act == Action::FinishLog).count() == 1;
                let in_time = self.init.ending().is_some_and(|(end, _)| self.now + FLUSH < end);
                if first && in_time && self.faults == 0 && supervisors + orphans > 0 {
                    self.broken.get_or_insert(format!("output is closed while {supervisors} + {orphans} live"));
                }
                if let Some(log) = &mut self.log {
                    log.finishing = true;
                }
            }
            Action::Kill(daemon) => match daemon {
                Daemon::Scan => self.scan = None,
                Daemon::Log => self.log = None,
            },
            Action::Exit { .. } | Action::Abort => {}
        }
    }

    fn start(&mut self, daemon: Daemon) {
        let manner = match daemon {
            Daemon::Scan => self.scan_manner,
            Daemon::Log => self.log_manner,
        };
        self.starts.push((self.now, daemon));
        if manner == Manner::Never {
            self.step(Event::StartFailed(daemon));
            if daemon == Daemon::Log {
                self.look_whether_all_is_read();
            }
            return;
        }
        let dies_at = if let Manner::Dies(after) = manner { Some(self.now + Millis(after)) } else { None };
        let process = Process { manner, dies_at, told: VecDeque::new(), roster: Roster::default(), finishing: false };
        match daemon {
            Daemon::Scan => {
                self.scan = Some(process);
                let slots: Vec<(u32, bool)> = self.slots.iter().map(|(&id, slot)| (id, slot.supervised)).collect();
                for (id, alive) in slots {
                    self.tell_scan(Told::Slot { id, alive });
                }
                self.tell_scan(Told::Begin);
            }
            Daemon::Log => self.log = Some(process),
        }
        self.step(Event::Started(daemon));
    }

    fn look_whether_all_is_read(&mut self) {
        if self.flush_takes == 0 && self.init.ending().is_some() {
            self.step(Event::AllRead);
        }
    }

    fn reap(&mut self) {
        while let Some(zombie) = self.zombies.pop_front() {
            match zombie {
                Zombie::Daemon(daemon, clean) => {
                    self.tell(|| format!("{daemon:?} ended, {}", if clean { "as it was told" } else { "by accident" }));
                    self.log_left |= clean && daemon == Daemon::Log;
                    self.step(if clean { Event::Exited(daemon) } else { Event::Crashed(daemon) });
                    if daemon == Daemon::Log {
                        self.look_whether_all_is_read();
                    }
                }
                Zombie::Supervisor { id, over } => self.tell_scan(Told::Died { id, over }),
                Zombie::Other => {}
            }
        }
        if self.init.ending().is_some() {
            self.count();
        }
    }

    fn count(&mut self) {
        let (supervisors, orphans) = self.others();
        self.step(Event::Others { supervisors, orphans: if supervisors > 0 { 0 } else { orphans } });
    }

    fn serve(&mut self, request: Request) {
        self.tell(|| format!("scan asks: {request:?}"));
        match request {
            Request::Launch(id) => {
                let producer = self.wanted.iter().find(|wanted| wanted.0 == id).and_then(|wanted| wanted.1);
                let (takes, stubborn) = (self.rng.pick(&self.stop_takes), self.rng.chance(self.stubborn_percent));
                let no_room = !self.began.contains(&id) && self.rng.chance(self.no_room_percent);
                if !no_room {
                    self.began.insert(id);
                }
                self.stubborn_loggers |= stubborn && producer.is_some() && !self.slots.contains_key(&id);
                self.stubborn_producers |= stubborn && producer.is_none() && !self.slots.contains_key(&id);
                let slot = self.slots.entry(id).or_insert(Slot {
                    producer,
                    supervised: false,
                    run: None,
                    leaving: None,
                    gone_at: None,
                    stop_takes: takes,
                    stubborn,
                });
                if no_room && !slot.supervised {
                    return self.tell_scan(Told::LaunchFailed { id });
                }
                if !slot.supervised {
                    slot.supervised = true;
                    match slot.leaving {
                        None => slot.run = slot.run.or(Some(Run { dies_at: None })),
                        Some(command) => self.command(id, command),
                    }
                }
                self.tell_scan(Told::Launched { id });
            }
            Request::Retire(id) => {
                self.slots.remove(&id);
            }
            Request::Shutdown { code, force } => {
                self.count();
                self.step(Event::Shutdown { code, named: false, force });
            }
            Request::Stop { quick } => {
                self.count();
                self.step(Event::Stop { quick });
            }
        }
    }

    // --- the others

    fn tell_scan(&mut self, told: Told) {
        if let Some(scan) = &mut self.scan {
            scan.told.push_back(told);
        }
    }

    /// The directory of a service is removed.
    pub fn remove(&mut self, id: u32) {
        self.wanted.retain(|wanted| wanted.0 != id && wanted.1 != Some(id));
        self.tell_scan(Told::Removed { id });
    }

    /// A client of svc-scan asks for the end.
    pub fn ask_for_shutdown(&mut self, code: u8, force: bool) {
        if self.scan.as_ref().is_some_and(|scan| scan.manner != Manner::Hangs) {
            self.requests.push_back(Request::Shutdown { code, force });
        }
    }

    pub fn ask_for_stop(&mut self, quick: bool) {
        if self.scan.as_ref().is_some_and(|scan| scan.manner != Manner::Hangs) {
            self.requests.push_back(Request::Stop { quick });
        }
    }

    pub fn kill(&mut self, daemon: Daemon) {
        let process = match daemon {
            Daemon::Scan => self.scan.take(),
            Daemon::Log => self.log.take(),
        };
        if process.is_some() {
            self.zombies.push_back(Zombie::Daemon(daemon, false));
        }
    }

    pub fn kill_supervisor(&mut self, id: u32) {
        if let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.supervised) {
            slot.supervised = false;
            slot.gone_at = None;
            self.zombies.push_back(Zombie::Supervisor { id, over: false });
        }
    }

    /// A supervisor is told something.
    fn command(&mut self, id: u32, command: Command) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.supervised) else { return };
        slot.leaving = Some(command);
        match command {
            Command::Force => end_by(slot.run.as_mut(), now + Millis(1)),
            Command::Terminate | Command::Hurry | Command::Drain if !slot.stubborn => {
                let takes = slot.stop_takes;
                end_by(slot.run.as_mut(), now + Millis(takes));
            }
            _ => {}
        }
        if slot.run.is_none() {
            slot.gone_at = slot.gone_at.or(Some(now + Millis(1)));
        }
    }

    fn scan_works(&mut self) {
        let Some(mut scan) = self.scan.take() else { return };
        if scan.manner == Manner::Hangs {
            scan.told.clear();
            self.scan = Some(scan);
            return;
        }
        let mut out = Vec::new();
        let mut dies = false;
        while let Some(told) = scan.told.pop_front() {
            let happened = match told {
                Told::Slot { id, alive } => {
                    let producer = self.slots.get(&id).and_then(|slot| slot.producer);
                    Happened::Recovered { id, producer, alive }
                }
                Told::Launched { id } => Happened::Launched { id },
                Told::LaunchFailed { id } => Happened::LaunchFailed { id },
                Told::Begin => {
                    for &(id, producer) in &self.wanted {
                        if !self.slots.contains_key(&id) {
                            scan.roster.step(self.now, Happened::Added { id, producer }, &mut out);
                        }
                    }
                    Happened::Deadline
                }
                Told::Died { id, over } => Happened::Died { id, over },
                Told::Removed { id } => Happened::Removed { id },
                Told::Order(Order::Rescan) => continue,
                Told::Order(Order::Shutdown { left, force, quick }) => {
                    dies |= scan.manner == Manner::DiesWhenTold;
                    Happened::Shutdown { left, force, quick }
                }
            };
            scan.roster.step(self.now, happened, &mut out);
        }
        scan.roster.step(self.now, Happened::Deadline, &mut out);
        self.scan = Some(scan);
        for decision in out {
            match decision {
                Decision::Launch(id) => self.requests.push_back(Request::Launch(id)),
                Decision::Retire(id) => self.requests.push_back(Request::Retire(id)),
                Decision::Tell(id, command) => {
                    self.tell(|| format!("scan tells {id}: {command:?}"));
                    self.command(id, command);
                }
            }
        }
        if dies {
            self.scan_manner = Manner::Good;
            self.kill(Daemon::Scan);
        }
    }

    // --- time

    /// When something happens by itself, to svc-init or to anybody else.
    pub fn next_event(&self) -> Option<Millis> {
        let scan = self.scan.as_ref();
        let roster = scan.filter(|scan| scan.manner != Manner::Hangs).and_then(|scan| scan.roster.deadline());
        let slots = self.slots.values().flat_map(|slot| [slot.run.and_then(|run| run.dies_at), slot.gone_at]);
        let daemons = [&self.scan, &self.log].into_iter().flatten().filter_map(|process| process.dies_at);
        let waiting = !self.zombies.is_empty() || !self.requests.is_empty() || !self.signals.is_empty();
        let talk = waiting || self.log_is_at_the_end() || scan.is_some_and(|scan| !scan.told.is_empty());
        slots
            .flatten()
            .chain(self.strays.iter().filter_map(|stray| stray.dies_at))
            .chain(daemons)
            .chain([self.init.deadline(), roster, talk.then_some(self.now)].into_iter().flatten())
            .min()
    }

    /// svc-log has found the end of every pipe, and has not begun to leave.
    fn log_is_at_the_end(&self) -> bool {
        let writers = self.slots.values().any(|slot| slot.run.is_some());
        let leaves = |log: &Process| matches!(log.manner, Manner::Good | Manner::DiesWhenTold) && log.dies_at.is_none();
        !writers && self.log.as_ref().is_some_and(|log| log.finishing && leaves(log))
    }

    /// Lets happen what is due by `to`.
    pub fn advance(&mut self, to: Millis) {
        self.now = to.max(self.now);
        let now = self.now;
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        self.scan_works();
        let at_end = self.log_is_at_the_end();
        for (&id, slot) in &mut self.slots {
            if slot.run.is_some_and(|run| due(run.dies_at)) {
                slot.run = None;
                if !slot.supervised {
                    self.zombies.push_back(Zombie::Other);
                } else if slot.leaving.is_some() {
                    slot.gone_at = Some(now + Millis(1));
                } else {
                    slot.run = Some(Run { dies_at: None });
                }
            }
            if due(slot.gone_at) {
                slot.gone_at = None;
                slot.supervised = false;
                self.zombies.push_back(Zombie::Supervisor { id, over: true });
            }
        }
        let before = self.strays.len();
        self.strays.retain(|stray| !due(stray.dies_at));
        self.zombies.extend((self.strays.len()..before).map(|_| Zombie::Other));
        for daemon in [Daemon::Scan, Daemon::Log] {
            let process = if daemon == Daemon::Scan { &self.scan } else { &self.log };
            if process.as_ref().is_some_and(|process| due(process.dies_at)) {
                let clean =
                    process.as_ref().is_some_and(|process| process.finishing && !matches!(process.manner, Manner::Dies(_)));
                self.kill(daemon);
                if clean {
                    self.zombies.pop_back();
                    self.zombies.push_back(Zombie::Daemon(daemon, true));
                }
            }
        }
        if let Some(log) = self.log.as_mut().filter(|_| at_end) {
            match log.manner {
                Manner::DiesWhenTold => {
                    self.log_manner = Manner::Good;
                    self.kill(Daemon::Log);
                }
                Manner::Good => log.dies_at = Some(now + Millis(self.flush_takes)),
                Manner::Dies(_) | Manner::Hangs | Manner::Never => {}
            }
        }
    }
}

fn end_by(run: Option<&mut Run>, at: Millis) {
    if let Some(run) = run {
        run.dies_at = Some(run.dies_at.map_or(at, |before| before.min(at)));
    }
}
