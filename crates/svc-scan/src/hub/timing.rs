//! Timers: the machine of each, fed with clocks and with what supervisors say, and its actions carried out.
//!
//! A timer is a process for the graph, which is up while the timer is armed. Its supervisor knows single runs only, and makes them
//! as it makes those of a oneshot.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::Hub;
use crate::kept::{Keeper, Kept};
use crate::links;
use crate::status::{self, Now};
use svc_core::graph::{Id, Progress};
use svc_core::service::{Role, State, Stop};
use svc_core::timer::{Action, Arming, Event, From, Moment, Note, Schedule, Sight, Timer};
use svc_core::{Command, Millis, Service, ServiceName};
use svc_def::Calendar;
use svc_proto::api;
use svc_sys::alarm::{Alarm, Ring};
use svc_sys::{clock, say};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// All timers there are.
pub(super) struct Timers {
    all: BTreeMap<ServiceName, Clockwork>,
    keeper: Keeper,
    /// For calendars; there is none before there is a calendar.
    alarm: Option<AsyncFd<Alarm>>,
    /// What the alarm is set to.
    set_to: Option<u64>,
    /// This container's own, for as long as it runs.
    seed: u64,
}

struct Clockwork {
    timer: Timer,
    definition: svc_def::Timer,
    calendar: Option<Calendar>,
    kept: Kept,
    /// It has been armed since this svc-scan lives.
    known: bool,
}

impl Clockwork {
    fn new(definition: &svc_def::Timer, seed: u64, kept: Kept) -> Result<Clockwork, String> {
        let calendar = calendar(definition)?;
        let timer = Timer::new(definition.rules, seed, kept.memory());
        Ok(Clockwork { timer, definition: definition.clone(), calendar, kept, known: false })
    }

    fn step(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let calendar = &self.calendar;
        let mut actions = Vec::new();
        self.timer.step(now, event, &|after| calendar.as_ref()?.next_after(after), &mut actions);
        actions
    }
}

fn calendar(definition: &svc_def::Timer) -> Result<Option<Calendar>, String> {
    definition.cron.as_ref().map(|cron| Calendar::new(&cron.expression, &cron.zone)).transpose()
}

fn moment() -> Moment {
    Moment { mono: clock::now(), wall: clock::wall_ms() }
}

impl Timers {
    pub(super) fn new(run_dir: Option<&std::path::Path>) -> Timers {
        let mut hasher = DefaultHasher::new();
        for file in ["/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname"] {
            std::fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
        Timers { all: BTreeMap::new(), keeper: Keeper::new(run_dir), alarm: None, set_to: None, seed: hasher.finish() }
    }

    /// When one of them wants to be looked at.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let spans = self.all.values().filter_map(|clockwork| clockwork.timer.deadline());
        // Where the system has no alarm that notices when the clock is set, the time until then has to do.
        let alarms = self
            .alarms()
            .filter(|_| self.alarm.is_none())
            .map(|at| clock::now() + Millis(at).since(Millis(clock::wall_ms())));
        spans.chain(alarms).min()
    }

    fn alarms(&self) -> impl Iterator<Item = u64> {
        self.all.values().filter_map(|clockwork| clockwork.timer.alarm())
    }

    /// Until the alarm rings; for ever where there is none.
    pub(super) async fn ring(&self) -> Ring {
        let Some(alarm) = &self.alarm else { return std::future::pending().await };
        match alarm.readable().await {
            Ok(mut ready) => {
                ready.clear_ready();
                alarm.get_ref().ring()
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// Sets the alarm to the next time of day that matters.
    fn wind(&mut self) {
        let next = self.alarms().min();
        if next.is_some() && self.alarm.is_none() {
            self.alarm = Alarm::new().and_then(|alarm| links::watch(alarm, Interest::READABLE)).ok();
        }
        let Some(at) = next.filter(|_| self.set_to != next) else { return };
        let Some(alarm) = &self.alarm else { return };
        match alarm.get_ref().set(at) {
            Ok(()) => self.set_to = next,
            Err(_) => self.alarm = None,
        }
    }
}

impl Hub {
    pub(super) fn is_timer(&self, name: &str) -> bool {
        self.units.get(name).is_some_and(|unit| unit.source.timer.is_some())
            || ServiceName::parse(name).is_ok_and(|name| self.timers.all.contains_key(&name))
    }

    /// There are as many timers as are defined, and they are as they are defined.
    pub(super) fn set_timers(&mut self) {
        let defined: Vec<(ServiceName, svc_def::Timer)> =
            self.units.iter().filter_map(|(name, unit)| Some((name.clone(), unit.source.timer.clone()?))).collect();
        let in_graph: Vec<ServiceName> =
            self.timers.all.keys().filter(|name| self.node_of(name.as_str()).is_some()).cloned().collect();
        self.timers.all.retain(|name, _| in_graph.contains(name) || defined.iter().any(|(other, _)| other == name));
        for (name, definition) in defined {
            match self.timers.all.get_mut(&name) {
                Some(clockwork) if clockwork.definition == definition => {}
                Some(clockwork) => match calendar(&definition) {
                    Ok(calendar) => {
                        clockwork.calendar = calendar;
                        clockwork.definition = definition;
                        let rules = clockwork.definition.rules;
                        self.step_timer(&name, Event::Rules(rules));
                    }
                    Err(why) => say!("svc-scan: {name}: {why}: its times stay as they were"),
                },
                None => {
                    let mut hasher = DefaultHasher::new();
                    (self.timers.seed, name.as_str()).hash(&mut hasher);
                    let kept = self.timers.keeper.read(name.as_str());
                    match Clockwork::new(&definition, hasher.finish(), kept) {
                        Ok(clockwork) => _ = self.timers.all.insert(name, clockwork),
                        // It was read just now, and its zone has gone since.
                        Err(why) => say!("svc-scan: {name}: {why}"),
                    }
                }
            }
        }
    }

    /// Looks at all of them: one may have been up before it was a timer here.
    pub(super) fn time_nodes(&mut self) {
        let names: Vec<ServiceName> = self.timers.all.keys().cloned().collect();
        for id in names.iter().filter_map(|name| self.engine.graph().id(name.as_str())).collect::<Vec<Id>>() {
            self.time_node(id);
        }
    }

    /// The progress of its node has changed.
    pub(super) fn time_node(&mut self, id: Id) {
        let Ok(name) = ServiceName::parse(self.engine.graph().name(id)) else { return };
        let is_up = matches!(self.engine.progress(id), Progress::Up(_));
        let heir = self.is_heir;
        let Some(clockwork) = self.timers.all.get_mut(&name) else { return };
        if clockwork.timer.is_armed() == is_up {
            return;
        }
        let event = match (is_up, std::mem::replace(&mut clockwork.known, true)) {
            (false, _) => Event::Disarm,
            (true, true) => Event::Arm(Arming::Again),
            (true, false) if heir => Event::Arm(Arming::Heir),
            (true, false) => Event::Arm(Arming::First),
        };
        self.step_timer(&name, event);
        self.see_timer(&name);
    }

    /// Its node is told to stop.
    pub(super) fn disarm_timer(&mut self, name: &ServiceName) {
        if self.is_scheduled(name) {
            self.step_timer(name, Event::Disarm);
        }
    }

    /// Its supervisor has said something, or may have: what it says now.
    pub(super) fn see_timer(&mut self, name: &ServiceName) {
        let member = self.names.get(name).and_then(|slot| self.members.get(slot));
        // Before it has heard all that it was told, what it says is of the past.
        let Some(member) = member.filter(|member| member.has_heard()) else { return };
        let Some(machine) = &member.machine else { return };
        let now = Now::read();
        let started = machine.started().map(|at| now.wall_of(at));
        let exit = machine.last().map(|past| status::death(past, now));
        let sight = sight(machine);
        let Some(clockwork) = self.timers.all.get_mut(name) else { return };
        let before = clockwork.kept.clone();
        // The clocks are not read at the same moment each time.
        let is_new =
            |known: Option<u64>, at: Option<u64>| at.is_some_and(|at| known.is_none_or(|known| known.abs_diff(at) > 50));
        if is_new(before.last_run_ms, started) {
            clockwork.kept.last_run_ms = started;
        }
        if is_new(before.last_exit.as_ref().map(|exit| exit.at_ms), exit.as_ref().map(|exit| exit.at_ms)) {
            clockwork.kept.last_exit = exit;
        }
        if clockwork.kept != before {
            let kept = clockwork.kept.clone();
            self.timers.keeper.write(name.as_str(), &kept);
        }
        self.step_timer(name, Event::Seen(sight));
    }

    /// Has one run now; what is in the way of that.
    pub(super) fn run_timer(&mut self, name: &ServiceName) -> Result<(), String> {
        let notes = self.step_timer(name, Event::Ask);
        let pid = self.names.get(name).and_then(|slot| self.members.get(slot)?.machine.as_ref()?.pid());
        let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        let refusal = notes.iter().find_map(|note| match note {
            Note::Skipped => Some(format!("a run is under way{pid}, and overlap has no other: wait for its end")),
            Note::NotArmed => Some(format!("is not up: start it first (svc-ctl start {name})")),
            Note::Queued | Note::Overtaken | Note::Missed | Note::Late | Note::TimedOut => None,
        });
        refusal.map_or(Ok(()), Err)
    }

    pub(super) fn time_timers(&mut self, event: Event) {
        let now = moment();
        let is_due = |timer: &Timer| {
            let by_span = timer.deadline().is_some_and(|at| now.mono >= at);
            by_span || timer.alarm().is_some_and(|at| now.wall >= at)
        };
        let all = self.timers.all.iter();
        let due: Vec<ServiceName> = all
            .filter(|(_, clockwork)| event != Event::Deadline || is_due(&clockwork.timer))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.step_timer(&name, event);
        }
    }

    /// The alarm has rung.
    pub(super) fn rung(&mut self, ring: Ring) {
        match ring {
            Ring::Time => self.time_timers(Event::Deadline),
            Ring::ClockSet => {
                say!("svc-scan: the clock was set: looking at all timers again");
                self.time_timers(Event::ClockSet);
                self.time_timers(Event::Deadline);
            }
            Ring::Nothing => {}
        }
        self.timers.set_to = None;
        self.timers.wind();
    }

    fn step_timer(&mut self, name: &ServiceName, event: Event) -> Vec<Note> {
        let Some(clockwork) = self.timers.all.get_mut(name) else { return Vec::new() };
        let now = moment();
        let actions = clockwork.step(now, event);
        let before = clockwork.kept.clone();
        clockwork.kept.remember(clockwork.timer.memory(now));
        // A point that is told in both clocks anew is no other point.
        if clockwork.kept.memory() != before.memory() && is_worth_it(event, &actions) {
            let kept = clockwork.kept.clone();
            self.timers.keeper.write(name.as_str(), &kept);
        }
        let slot = self.names.get(name).copied();
        let mut notes = Vec::new();
        for action in actions {
            match (action, slot) {
                (Action::Run, Some(slot)) => self.tell(slot, Command::Once),
                (Action::Stop, Some(slot)) => self.tell(slot, Command::Stop),
                // Its supervisor is on the way, and is asked when it is there.
                (Action::Run | Action::Stop, None) => {}
                (Action::Tell(note), _) => {
                    notes.push(note);
                    if event != Event::Ask {
                        say_note(name, note);
                    }
                }
            }
        }
        self.timers.wind();
        notes
    }

    /// What is told of a timer.
    pub(super) fn timer_status(&self, name: &ServiceName) -> Option<Box<api::Timer>> {
        let Clockwork { timer, definition, kept, .. } = self.timers.all.get(name)?;
        let schedule = match (&definition.cron, definition.rules.schedule) {
            (Some(cron), _) => format!("{} ({})", cron.expression, cron.zone),
            (None, Schedule::Every { span, from }) => {
                let from = if from == From::End { ", from end to start" } else { "" };
                format!("every {} s{from}", span.0 as f64 / 1000.0)
            }
            (None, Schedule::Calendar) => String::new(),
        };
        Some(Box::new(api::Timer {
            schedule,
            next_run_ms: timer.next_run(moment()),
            last_run_ms: kept.last_run_ms,
            last_exit: kept.last_exit.clone(),
            queued: timer.is_queued(),
        }))
    }

    /// Whether it waits for its time.
    pub(super) fn is_scheduled(&self, name: &ServiceName) -> bool {
        self.timers.all.get(name).is_some_and(|clockwork| clockwork.timer.is_armed())
    }
}

/// Whether what a step changed must survive us: reports come often, and most of them change nothing.
fn is_worth_it(event: Event, actions: &[Action]) -> bool {
    match event {
        Event::Seen(_) => !actions.is_empty(),
        Event::Arm(_) | Event::Disarm | Event::Deadline | Event::ClockSet | Event::Ask | Event::Rules(_) => true,
    }
}

fn sight(machine: &Service) -> Sight {
    let starts = machine.starts();
    let since = machine.started().unwrap_or(machine.since());
    match machine.state() {
        State::Down { .. } | State::Armed | State::Gone => Sight::Idle { starts },
        State::Up { stop, .. } => Sight::Busy { starts, since, stopping: stop != Stop::No },
        State::Starting { role: Role::Run } => Sight::Busy { starts, since, stopping: false },
        // Nothing can be told to stop any more.
        State::Starting { role: Role::Finish } | State::Finish { .. } | State::Sweep { .. } => {
            Sight::Busy { starts, since, stopping: true }
        }
    }
}

fn say_note(name: &ServiceName, note: Note) {
    match note {
        Note::Skipped => say!("svc-scan: {name}: its time has come, and a run is under way: skipped"),
        Note::Queued => say!("svc-scan: {name}: its time has come, and a run is under way: another one follows it"),
        Note::Overtaken => say!("svc-scan: {name}: its time has come, and a run is under way: stopping that one"),
        Note::Missed => say!("svc-scan: {name}: its time came while nobody could run it: skipped"),
        Note::Late => say!("svc-scan: {name}: its time came while nobody could run it: running it now"),
        Note::TimedOut => say!("svc-scan: {name}: its run takes longer than timeout.run: stopping it"),
        Note::NotArmed => {}
    }
}
