//! The one owner of all that svc-scan knows, and its loop.

mod admission;
mod answers;
mod applying;
mod boot;
mod door;
mod ending;
mod fitting;
mod health;
mod looking;
mod main_program;
mod making;
mod manager;
mod members;
mod orders;
mod outcomes;
mod planning;
mod recovery;
mod reports;
mod rereading;
mod sockets;
mod standing;
mod startup;
mod telling;
mod templates;
mod timing;
mod usable;
mod waiting;

use crate::clients::{Ask, Subscriber};
use crate::controls::Controls;
use crate::directories::Directories;
use crate::held::Held;
use crate::links::{self, InitLink, Supervisors};
use crate::logs::Logs;
use crate::matching::Counted;
use crate::units::Units;
use crate::waits::Waiter;
use crate::{Config, http, listener, quiet};
use admission::Admissions;
use ending::Ending;
use outcomes::Told;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use svc_core::graph::{Engine, RequestId, Wish};
use svc_core::init::Order;
use svc_core::roster::{Happened, Roster};
use svc_core::service::Past;
use svc_core::{Command, Millis, Noted, Pid, Service, ServiceName, letters};
use svc_def::Identity;
use svc_proto::api;
use svc_proto::link::{MAX_PACKET, ToInit, ToScan};
use svc_sys::{Errno, clock, fd, say};
use templates::Scales;
use timing::Timers;
use tokio::sync::mpsc;

/// The name of the main program that stands behind `--`.
const COMMAND: &str = "CMD";
/// When nothing has happened for so long, nothing is soon to happen: the code that is in memory is given back.
const QUIET: Millis = Millis::from_secs(1);
/// How many last lines `svc-ctl why` shows.
const WHY_LINES: usize = 10;

/// A service with a slot.
struct Member {
    name: ServiceName,
    identity: Identity,
    scan_dir: u32,
    dir: Rc<Path>,
    definition: Held,
    link: Option<OwnedFd>,
    supervisor: Option<Pid>,
    /// What its supervisor said last.
    machine: Option<Service>,
    /// What it said last of how the service is, where that is looked at.
    health: Option<Box<svc_proto::checks::HealthReport>>,
    deaths: Vec<Past>,
    faults: Option<Box<Faults>>,
    /// Starts that failed in a row.
    failures: u32,
    /// What it was asked while it had no supervisor, or one that has not been heard of since: it may have been killed before
    /// it read that.
    unsaid: Option<Command>,
    /// What it is to be told when its link has room again, and whether that is waited for.
    waiting: telling::Queue,
    waits_for_room: bool,
    /// Commands told on this link, and how many of them its supervisor had heard when it said what we know of it.
    told: u32,
    heard: u32,
    /// Which of them was the last that asks for a start.
    told_start: u32,
    /// A svc-scan before us had launched it, and nothing has been heard of it since.
    recovering: bool,
    /// Since when it is on the way up for somebody who has knocked, as the graph knows it.
    begun: Noted,
    /// What its supervisor was made with, where the graph steers it.
    substance: Option<u64>,
    /// Where its counters stood when the graph last had it started or stopped.
    counted: Counted,
    next: NextStart,
    sockets: Option<Box<sockets::Sockets>>,
    added_ms: u64,
    /// Which kind of service its supervisor was made for, where a service.toml says so.
    kind: u8,
    /// How its first start went.
    first: boot::First,
}

/// What its next start is to be by the one who asked for it.
#[derive(Clone, Copy, Default)]
struct NextStart {
    /// A start, though it starts on demand.
    at_once: bool,
    /// For one run.
    once: bool,
}

/// What is wrong with a service; seldom anything.
#[derive(Default)]
struct Faults {
    /// With its directory, though it runs.
    warning: Option<String>,
    /// It cannot be started.
    trouble: Option<String>,
    /// With what s6's tools read of it.
    files: Option<String>,
}

impl Member {
    fn warning(&self) -> Option<&String> {
        self.faults.as_ref()?.warning.as_ref()
    }

    fn trouble(&self) -> Option<&String> {
        self.faults.as_ref()?.trouble.as_ref()
    }

    /// What is wrong, though it runs.
    fn odd(&self) -> Option<String> {
        let faults = self.faults.as_ref()?;
        let odd: Vec<&str> = [&faults.warning, &faults.files].into_iter().flatten().map(String::as_str).collect();
        (!odd.is_empty()).then(|| odd.join("; "))
    }

    fn set_files(&mut self, files: Option<String>) {
        if files.is_some() || self.faults.is_some() {
            self.faults.get_or_insert_default().files = files;
        }
    }

    fn set_warning(&mut self, warning: Option<String>) {
        if warning.as_ref() != self.warning() {
            self.faults.get_or_insert_default().warning = warning;
        }
    }

    fn set_trouble(&mut self, trouble: Option<String>) {
        if trouble.as_ref() != self.trouble() {
            self.faults.get_or_insert_default().trouble = trouble;
        }
    }

    /// Whether it is a oneshot, and what it did stands.
    fn is_done(&self, machine: &Service) -> bool {
        self.definition.is_oneshot() && machine.done()
    }
}

struct Hub {
    config: Config,
    init: InitLink,
    door: door::Doorway,
    init_pid: i32,
    supervisors: Supervisors,
    /// Behind a pointer each: the nodes of the map are half empty.
    members: BTreeMap<u32, Box<Member>>,
    names: BTreeMap<ServiceName, u32>,
    roster: Roster,
    directories: Directories,
    controls: Controls,
    /// When all directories are looked at again though nothing has happened there.
    rescan_at: Option<Millis>,
    logs: Logs,
    waiters: Vec<Waiter>,
    /// Whose files are being made again; true: and once more after that.
    making: BTreeMap<String, making::Making>,
    events: Vec<Subscriber>,
    buffer: Vec<u8>,
    started: bool,
    /// An earlier svc-scan has worked here.
    recovered: bool,
    units: Units,
    scales: Scales,
    /// It is only looked what would be done.
    rehearsing: bool,
    timers: Timers,
    admissions: Admissions,
    /// An earlier svc-scan has worked here; of us this is said for ever.
    is_heir: bool,
    /// Units whose supervisors must go before they can be what their directories say now.
    replaced: BTreeSet<ServiceName>,
    /// When those without a process were first wanted.
    names_wanted: BTreeMap<String, Noted>,
    /// What was wanted of units that are out of the graph for a while.
    wishes: BTreeMap<String, Wish>,
    /// What is odd about units that run nothing yet: whoever runs one is told.
    odd: BTreeMap<ServiceName, String>,
    /// Slots whose sockets could not be opened.
    lacking: BTreeSet<u32>,
    /// There may be slots of units that are over.
    slots_to_take: bool,
    engine: Engine,
    /// Requests to the engine so far, and what became of the last of them.
    requests: u64,
    outcomes: BTreeMap<RequestId, Told>,
    /// What the log says of those that have failed.
    told_failures: BTreeMap<String, String>,
    ending: Option<Ending>,
    /// It has been said whose end is the end of everything.
    said_whose_end: bool,
    /// The end was asked for before it was known what depends on what: when, and how much time there was.
    early_end: Option<(Millis, Millis)>,
    /// The graph has been made once.
    composed: bool,
    /// Whether the start has been looked at when it was over, and when it is over at the latest.
    judged: bool,
    /// When svc began, and when the start was over, where that was in our time.
    began: Millis,
    settled: Option<Millis>,
    start_by: Option<Millis>,
    /// When a main program that waits is explained.
    slow_at: Option<Millis>,
    /// The graph's wishes are what is wished, and not what has been heard of so far.
    wishes_known: bool,
    /// Supervisors to launch when the graph is known: one whose row is blank takes for its wish what it is launched with.
    delayed: Option<Vec<u32>>,
    /// Those that svc-init has had no room for, and that nobody waits for there.
    unlaunched: VecDeque<u32>,
    /// Since when directories are being read without a pause.
    reading_since: Option<Millis>,
    /// All that stood there at first has been read.
    has_read: bool,
    /// Whom a rescan has still to look at.
    to_refresh: VecDeque<u32>,
    /// What clients ask of services that are not known, until that is so.
    kept: Vec<Ask>,
    /// What the watch has begun since, and nobody who applied has heard of.
    news: BTreeMap<String, api::Planned>,
}

/// Works until svc-init is gone.
pub(crate) async fn run(config: Config) -> Result<(), Errno> {
    let (asks, mut asked) = mpsc::channel(64);
    let bell = links::bell()?;
    let logs = Logs::new(links::tail()?, config.ring_bytes)?;
    let mut hub = Hub {
        init: InitLink::open()?,
        door: door::Doorway::default(),
        init_pid: 0,
        supervisors: Supervisors::new()?,
        members: BTreeMap::new(),
        names: BTreeMap::new(),
        roster: Roster::default(),
        directories: Directories::new(config.scan_dirs.clone()),
        controls: Controls::new(&config.scan_dirs, config.run_dir.as_deref())?,
        rescan_at: config.rescan.map(|span| clock::now() + span),
        logs,
        waiters: Vec::new(),
        making: BTreeMap::new(),
        events: Vec::new(),
        buffer: vec![0; MAX_PACKET],
        started: false,
        recovered: false,
        units: Units::default(),
        scales: Scales::default(),
        rehearsing: false,
        timers: Timers::new(config.run_dir.as_deref()),
        admissions: Admissions::new(),
        is_heir: false,
        replaced: BTreeSet::new(),
        names_wanted: BTreeMap::new(),
        wishes: BTreeMap::new(),
        odd: BTreeMap::new(),
        lacking: BTreeSet::new(),
        slots_to_take: false,
        engine: Engine::default(),
        requests: 0,
        outcomes: BTreeMap::new(),
        told_failures: BTreeMap::new(),
        ending: None,
        said_whose_end: false,
        early_end: None,
        composed: false,
        judged: false,
        began: Millis::ZERO,
        settled: None,
        slow_at: Some(clock::now() + startup::SLOW),
        start_by: (config.start.limit > Millis::ZERO).then(|| clock::now() + config.start.limit),
        wishes_known: true,
        delayed: None,
        unlaunched: VecDeque::new(),
        reading_since: None,
        has_read: false,
        to_refresh: VecDeque::new(),
        kept: Vec::new(),
        news: BTreeMap::new(),
        config,
    };
    let listener = hub.learn().await?;
    let (listener, others) = hub.open_door(listener)?;
    let mounts = listener::mounts();
    hub.scales = Scales::open(hub.config.run_dir.as_deref(), hub.recovered);
    hub.hear_everybody().await;
    if !hub.is_heir && !hub.config.command.is_empty() {
        hub.directories.watch_later();
    }
    tokio::task::spawn_local(http::serve(listener, others, asks));
    hub.look_at_directories();
    hub.say_if_there_is_nothing();
    hub.notify();
    let mut quiet_at = Some(clock::now() + QUIET);
    let (mut is_more, mut heard) = (true, false);
    loop {
        // Where supervisors speak all the time, everybody else has every other turn.
        let others_first = std::mem::take(&mut heard);
        if hub.may_come() {
            // Of what is due at once nothing waits: clients have their turn between two parts of the directories.
            tokio::task::yield_now().await;
        } else {
            std::mem::take(&mut hub.kept).into_iter().for_each(|ask| hub.serve(ask));
        }
        let deadline = hub.deadline();
        let is_known = hub.is_known();
        let quiet = quiet_at.filter(|&at| deadline.is_none_or(|deadline| at < deadline));
        tokio::select! {
            biased;
            ready = hub.init.socket.readable() => {
                ready?.clear_ready();
                if hub.read_init().is_err() {
                    // svc-init is gone, or has closed its side because everything has ended: the last is told, and no more.
                    hub.read_supervisors();
                    return Ok(());
                }
            }
            ready = hub.init.socket.writable(), if hub.init.is_waiting() || !hub.unlaunched.is_empty() => {
                ready?.clear_ready();
                hub.send_waiting();
            }
            spoken = spoken(&hub.supervisors, is_more), if !others_first => {
                spoken?;
                is_more = !hub.read_supervisors();
                heard = true;
            }
            ready = hub.controls.ready.readable(), if !hub.controls.behind => {
                ready?.clear_ready();
                hub.controls.behind = true;
            }
            Some(ask) = asked.recv(), if is_known => {
                // Whoever has written there and asks then is answered when it has been read: s6-svscanctl does. The same holds
                // for what a supervisor has said before.
                hub.read_controls();
                hub.read_supervisors();
                hub.serve(ask);
            }
            Some(event) = hub.directories.next() => {
                hub.directories.take_in(event);
                hub.look_at_directories();
            }
            () = listener::mounted(mounts.as_ref()) => hub.look_at_door(false),
            ready = bell.readable() => {
                ready?.clear_ready();
                let mut count = [0; 8];
                let _ = fd::read(bell.get_ref().as_fd(), &mut count);
                let slots = hub.slots();
                hub.logs.deliver(&slots);
            }
            Some(news) = hub.admissions.news() => hub.take_news(news),
            ring = hub.timers.ring() => hub.rung(ring),
            () = sleep_until(quiet.or(deadline)) => {
                if quiet.is_some() {
                    quiet_at = None;
                    quiet::come();
                    continue;
                }
                hub.time();
            }
            // Last, and everybody else has had a turn: whoever writes there may write without end.
            () = tokio::task::yield_now(), if hub.controls.behind || others_first || !hub.to_refresh.is_empty() => {
                if !hub.to_refresh.is_empty() {
                    hub.refresh_some();
                }
                if hub.controls.behind {
                    hub.read_controls();
                }
            }
        }
        // Nothing of what an earlier svc-scan has left for us is overwritten before it has been read.
        let all_read = !hub.directories.is_reading() && !hub.units.is_stale();
        if hub.directories.taken.is_behind && all_read && !hub.is_ending() {
            hub.keep_definitions();
        }
        quiet_at = Some(clock::now() + QUIET);
    }
}

/// Waits for supervisors to say something, unless there is more that was said before.
async fn spoken(supervisors: &Supervisors, is_more: bool) -> std::io::Result<()> {
    if !is_more {
        supervisors.ready.readable().await?.clear_ready();
    }
    Ok(())
}

async fn sleep_until(deadline: Option<svc_core::Millis>) {
    match deadline {
        Some(deadline) => {
            let left = deadline - clock::now();
            tokio::time::sleep(std::time::Duration::from_millis(left.0)).await;
        }
        None => std::future::pending().await,
    }
}

impl Hub {
    /// Somebody who starts svc with nothing to run wonders why nothing happens.
    fn say_if_there_is_nothing(&self) {
        let nothing = self.members.is_empty()
            && self.config.command.is_empty()
            && self.units.is_empty()
            && self.directories.is_empty();
        if nothing {
            let dirs: Vec<String> = self.config.scan_dirs.iter().map(|dir| svc_def::shown(dir)).collect();
            say!("svc-scan: {}: no service yet: a directory with a program 'run' in it becomes one", dirs.join(", "));
        }
    }

    /// Learns from svc-init what an earlier svc-scan left, and gets the socket for clients.
    async fn learn(&mut self) -> Result<UnixListener, Errno> {
        let mut kept = None;
        while !self.started {
            self.init.socket.readable().await?.clear_ready();
            while let Some((length, mut descriptors)) = self.init.receive(&mut self.buffer)? {
                match ToScan::decode(&self.buffer[..length]) {
                    Ok(ToScan::Listener) => {
                        kept = descriptors.pop().map(listener::from_init);
                        self.recovered = true;
                        self.delayed = Some(Vec::new());
                        self.is_heir = true;
                    }
                    Ok(message) => self.hear(message, descriptors),
                    Err(_) => say!("svc-scan: refused a message from svc-init that it does not know"),
                }
            }
        }
        if let Some(listener) = kept {
            return Ok(listener);
        }
        let listener = listener::bind(self.config.run_dir.as_deref()).map_err(|error| {
            say!("svc-scan: cannot make the control socket: {error}");
            Errno::from(error)
        })?;
        self.keep(&listener)?;
        Ok(listener)
    }

    fn read_init(&mut self) -> Result<(), Errno> {
        while let Some((length, descriptors)) = self.init.receive(&mut self.buffer)? {
            match ToScan::decode(&self.buffer[..length]) {
                Ok(message) => self.hear(message, descriptors),
                Err(_) => say!("svc-scan: refused a message from svc-init that it does not know"),
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: ToScan, mut descriptors: Vec<OwnedFd>) {
        match message {
            ToScan::Slot { slot, supervisor, label } => self.meet(slot, supervisor, &label, descriptors.pop()),
            ToScan::Sockets { slot, prints } => {
                if let Some(member) = self.members.get_mut(&slot) {
                    member.sockets = Some(sockets::Sockets::recovered(prints, descriptors).into());
                }
            }
            ToScan::Listener => {}
            ToScan::Begin { init_pid, began } => {
                (self.init_pid, self.began) = (init_pid, began);
                self.begin();
            }
            ToScan::Died { slot } => self.supervisor_died(slot),
            // The end came before it: it never was.
            ToScan::LaunchFailed { slot, errno } if errno == Errno::CANCELED.0 => {
                self.happened(Happened::Died { id: slot, over: true });
            }
            ToScan::LaunchFailed { slot, errno } => {
                if let Some(member) = self.members.get_mut(&slot) {
                    let problem = format!("cannot start its supervisor: {}", svc_def::explain_exec(&member.dir, errno));
                    // It is tried once a second, and said once.
                    if member.trouble() != Some(&problem) {
                        say!("svc-scan: {}: {problem}", member.name);
                    }
                    member.set_trouble(Some(problem));
                }
                self.happened(Happened::LaunchFailed { id: slot });
                if let Some(id) = self.members.get(&slot).and_then(|member| self.node_of(member.name.as_str())) {
                    self.fit(id);
                }
                self.check_waiters(slot);
            }
            ToScan::Order(Order::Rescan) => self.rescan(true),
            ToScan::Order(Order::Shutdown { left, force, quick }) => {
                self.end(left, force, quick);
            }
        }
    }

    /// Whoever started svc may write into the control FIFOs now.
    fn notify(&mut self) {
        if let Some(notify) = self.config.notify.take().and_then(fd::adopt) {
            let _ = fd::write(notify.as_fd(), b"\n");
        }
    }

    /// Takes what s6-svscanctl wrote.
    fn read_controls(&mut self) {
        let letters = self.controls.read();
        self.controls.behind = !letters.is_empty();
        for (dir, letter) in letters {
            let shown = || format!("{}: s6-svscanctl: '{}'", svc_def::shown(&dir), letter.escape_ascii());
            match letters::scan(letter) {
                letters::Scan::Look => self.rescan(true),
                letters::Scan::Done => {}
                letters::Scan::Stop { quick } => {
                    self.keep_down();
                    self.init.send(ToInit::Stop { quick }.encode(), None);
                }
                letters::Scan::Abort => self.init.send(ToInit::Abort.encode(), None),
                letters::Scan::Old(instead) => say!("svc-scan: {} is gone since s6 2.10: use {instead}", shown()),
                letters::Scan::Unknown => say!("svc-scan: {} means nothing", shown()),
            }
        }
    }

    fn deadline(&self) -> Option<svc_core::Millis> {
        let waits = self.waiters.iter().filter_map(|waiter| waiter.deadline);
        // Directories are read no faster than svc-init launches: what waits for it takes memory.
        let directories = self.directories.deadline().filter(|_| !self.is_ending() && !self.init.is_waiting());
        let others = [
            self.sockets_deadline(),
            self.manager_deadline(),
            directories,
            self.rescan_at,
            self.timers.deadline(),
            self.start_deadline(),
        ];
        waits.chain(self.roster.deadline()).chain(others.into_iter().flatten()).min()
    }

    fn time(&mut self) {
        self.happened(Happened::Deadline);
        self.explain_slow_start();
        self.sockets_time();
        self.manager_time();
        self.time_timers(svc_core::timer::Event::Deadline);
        if self.rescan_at.is_some_and(|at| at <= clock::now()) {
            self.rescan(false);
            self.rescan_at = self.config.rescan.map(|span| clock::now() + span);
        } else {
            self.look_at_directories();
        }
        let now = clock::now();
        for index in 0..self.waiters.len() {
            if self.waiters[index].deadline.is_some_and(|deadline| now >= deadline) {
                self.time_out(index);
            }
        }
        self.answer_waiters();
    }
}
