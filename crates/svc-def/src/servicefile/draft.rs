//! A service while its keys are read, and what becomes of them when all are: the words that its supervisor executes.

use svc_core::definition::{Forking, OnDemand, Script};
use svc_core::graph::Dependency;
use svc_core::health::Checks;
use svc_core::policy::Essential;
use svc_core::restart::AtLimit;
use svc_core::timer::{From, Missed, Overlap, Rules, Schedule};
use svc_core::{Millis, Program, ServiceName, Settings};

use super::Instances;
use super::admission::Admission;
use super::computed::Computed;
use super::limits::Limit;
use super::prepared::Prepared;
use super::probes::Probes;
use super::rights::Rights;
use super::sockets::{self, Socket};
use super::stops::Stops;
use crate::rc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Process,
    Forking,
    Oneshot,
    Bundle,
    Milestone,
    Timer,
}

impl Kind {
    pub(super) const NAMES: [(&'static str, Kind); 6] = [
        ("process", Kind::Process),
        ("forking", Kind::Forking),
        ("oneshot", Kind::Oneshot),
        ("bundle", Kind::Bundle),
        ("milestone", Kind::Milestone),
        ("timer", Kind::Timer),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Process => "process",
            Kind::Forking => "forking",
            Kind::Oneshot => "oneshot",
            Kind::Bundle => "bundle",
            Kind::Milestone => "milestone",
            Kind::Timer => "timer",
        }
    }
}

/// What a change in a watched file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnChange {
    Reload,
    Restart,
}

impl OnChange {
    pub(super) const ALL: [OnChange; 2] = [OnChange::Reload, OnChange::Restart];
}

/// Who starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Somebody who asks, or needs it.
    Asked,
    WithSvc,
    /// Whoever comes to its sockets.
    OnDemand,
}

#[derive(Debug)]
pub(super) struct Draft {
    /// The service's.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) command: Option<Vec<String>>,
    pub(super) up: Option<Vec<String>>,
    pub(super) down: Option<Vec<String>>,
    pub(super) members: Option<Vec<ServiceName>>,
    pub(super) sockets: Vec<Socket>,
    pub(super) instances: Option<Instances>,
    pub(super) watch: Vec<String>,
    pub(super) on_change: Option<OnChange>,
    /// It says by which signal it is reloaded.
    pub(super) reloads: bool,
    /// Edits count without anybody asking.
    pub(super) applies: bool,
    pub(super) relations: Vec<Dependency>,
    pub(super) start: Start,
    pub(super) idle_stop: Millis,
    pub(super) start_timeout: Millis,
    pub(super) stop_timeout: Millis,
    pub(super) settings: Settings,
    pub(super) user: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) home: Option<bool>,
    pub(super) env: Vec<(String, String)>,
    pub(super) computed: Vec<Computed>,
    pub(super) env_files: Vec<String>,
    pub(super) unset: Vec<String>,
    pub(super) directory: Option<String>,
    pub(super) umask: Option<String>,
    pub(super) nice: Option<i64>,
    pub(super) limits: Vec<Limit>,
    pub(super) rights: Rights,
    pub(super) admission: Admission,
    pub(super) cron: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) every: Option<Millis>,
    pub(super) every_from: Option<From>,
    pub(super) jitter: Millis,
    pub(super) overlap: Overlap,
    pub(super) missed: Missed,
    pub(super) run_timeout: Millis,
    pub(super) run_at_start: bool,
    pub(super) prepared: Prepared,
    pub(super) probes: Probes,
    pub(super) stops: Stops,
    pub(super) essential: Option<Essential>,
    /// What is run when it has ended too often.
    pub(super) at_limit: Option<Vec<String>>,
}

/// A run that does not end by itself is killed after this long: the next one waits for its end.
const TIMER_KILL: Millis = Millis::from_secs(10);

impl Draft {
    pub(super) fn new(kind: Kind) -> Draft {
        let mut settings = Settings::default();
        if kind == Kind::Oneshot {
            // What an `up` starts is meant to stay.
            settings.keep_descendants = true;
        }
        if kind == Kind::Forking {
            settings.forking = Some(Forking { pid_file: None });
        }
        if kind == Kind::Timer {
            settings.timeout_kill = TIMER_KILL;
        }
        Draft {
            name: String::new(),
            kind,
            command: None,
            up: None,
            down: None,
            members: None,
            sockets: Vec::new(),
            instances: None,
            watch: Vec::new(),
            on_change: None,
            reloads: false,
            applies: false,
            relations: Vec::new(),
            start: Start::WithSvc,
            idle_stop: Millis::ZERO,
            start_timeout: Millis::ZERO,
            stop_timeout: Millis::ZERO,
            settings,
            user: None,
            groups: None,
            home: None,
            env: Vec::new(),
            computed: Vec::new(),
            env_files: Vec::new(),
            unset: Vec::new(),
            directory: None,
            umask: None,
            nice: None,
            limits: Vec::new(),
            rights: Rights::default(),
            admission: Admission::default(),
            cron: None,
            zone: None,
            every: None,
            every_from: None,
            jitter: Millis::ZERO,
            overlap: Overlap::Skip,
            missed: Missed::Skip,
            run_timeout: Millis::ZERO,
            run_at_start: false,
            prepared: Prepared::default(),
            probes: Probes::default(),
            stops: Stops::default(),
            essential: None,
            at_limit: None,
        }
    }

    /// Why a key means nothing without a user, if it does.
    pub(super) fn needs_user(&self, key: &str) -> Option<&'static str> {
        let wants = [
            ("home", self.home == Some(true), "home needs user, whose home it is"),
            ("uid", self.prepared.uid.is_some(), "uid needs user, whose number it is"),
            ("gid", self.prepared.gid.is_some(), "gid needs user, whose group it is"),
            (
                "volumes",
                self.prepared.volumes.iter().any(|volume| volume.get("mode").is_none()),
                "volumes need user, to whom they are given, or a mode",
            ),
        ];
        wants.into_iter().find(|(name, given, _)| *name == key && *given).map(|(_, _, why)| why)
    }

    /// What is wrong with a start on demand: the key, and the words.
    pub(super) fn demand_fault(&self) -> Option<(&'static str, &'static str)> {
        let serves = matches!(self.kind, Kind::Process | Kind::Forking);
        match self.start {
            Start::OnDemand if !serves => Some((
                "start",
                "start = \"on-demand\" means something for a process or a forking one, which may have sockets: write true or false",
            )),
            Start::OnDemand if self.sockets.is_empty() => Some((
                "start",
                "start = \"on-demand\" needs sockets, whose first connection or datagram starts it: write sockets = [\"0.0.0.0:80\"]",
            )),
            Start::Asked | Start::WithSvc if self.idle_stop != Millis::ZERO => {
                Some(("idle-stop", "idle-stop needs start = \"on-demand\": nobody would start it again"))
            }
            Start::OnDemand | Start::Asked | Start::WithSvc => None,
        }
    }

    /// What it cannot be without.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Process if self.command.is_none() => Some(
                "has no command: write command = \"PROGRAM ARGUMENT...\", or kind = \"oneshot\" for what runs to its end",
            ),
            Kind::Forking if self.command.is_none() => {
                Some("has no command: write command = \"PROGRAM ARGUMENT...\", which puts a daemon into the background")
            }
            Kind::Oneshot if self.up.is_none() && self.down.is_none() => Some(
                "has neither up nor down: write up = \"PROGRAM ARGUMENT...\", or kind = \"milestone\" for what does nothing",
            ),
            Kind::Bundle if self.members.as_ref().is_none_or(Vec::is_empty) => {
                Some("has no members: write members = [\"NAME\"], or kind = \"milestone\" for what does nothing")
            }
            Kind::Timer => self.missing_of_timer(),
            Kind::Process | Kind::Forking | Kind::Oneshot | Kind::Bundle | Kind::Milestone => None,
        }
    }

    fn missing_of_timer(&self) -> Option<&'static str> {
        if self.command.is_none() {
            return Some("has no command: write command = \"PROGRAM ARGUMENT...\"");
        }
        (self.cron.is_none() && self.every.is_none())
            .then_some("has neither cron nor every: write cron = \"30 3 * * *\", or every = \"5m\", or kind = \"oneshot\"")
    }

    /// What is wrong with when a timer runs: the key, and the words.
    pub(super) fn schedule_fault(&self) -> Option<(&'static str, &'static str)> {
        match (&self.cron, self.every) {
            (Some(_), Some(_)) => Some(("every", "cron and every both say when it runs: keep one of them")),
            (None, Some(_)) if self.zone.is_some() => {
                Some(("zone", "zone means nothing without cron: remove it, or write cron in place of every"))
            }
            (Some(_), None) if self.every_from.is_some() => {
                Some(("every-from", "every-from means nothing without every: remove it, or write every in place of cron"))
            }
            (None, Some(span)) if span < Millis::from_secs(1) => {
                Some(("every", "every is less than a second: write every = \"1s\" or more"))
            }
            (None, None) | (Some(_), None) | (None, Some(_)) => None,
        }
    }

    /// When it runs, if it is a timer with nothing missing.
    pub(super) fn timer(&self) -> Option<rc::Timer> {
        let schedule = match (self.kind, &self.cron, self.every) {
            (Kind::Timer, Some(_), _) => Schedule::Calendar,
            (Kind::Timer, None, Some(span)) => Schedule::Every { span, from: self.every_from.unwrap_or(From::Start) },
            (Kind::Timer, None, None) => return None,
            (Kind::Process | Kind::Forking | Kind::Oneshot | Kind::Bundle | Kind::Milestone, _, _) => return None,
        };
        let cron = self.cron.clone().map(|expression| {
            let zone = self.zone.clone().unwrap_or_else(|| "UTC".into());
            rc::Cron { expression, zone }
        });
        let rules = Rules {
            schedule,
            jitter: self.jitter,
            overlap: self.overlap,
            missed: self.missed,
            timeout: self.run_timeout,
            at_start: self.run_at_start,
        };
        Some(rc::Timer { rules, cron })
    }

    /// Files that it reads, as patterns, and what its own are made from.
    pub(super) fn watched(&self) -> Vec<String> {
        let sources = match self.kind {
            Kind::Process | Kind::Forking => self.prepared.sources(&self.env_files),
            Kind::Oneshot | Kind::Bundle | Kind::Milestone | Kind::Timer => Vec::new(),
        };
        self.watch.iter().cloned().chain(sources).collect()
    }

    /// Whether a change in those takes a restart: a signal that it does not expect may be its end.
    pub(super) fn change_restarts(&self) -> bool {
        self.on_change.map_or(self.watch.is_empty() && !self.reloads, |what| what == OnChange::Restart)
    }

    /// As the graph sees it.
    pub(super) fn graph_kind(&self) -> rc::Kind {
        match self.kind {
            Kind::Process | Kind::Forking | Kind::Timer => rc::Kind::Longrun,
            Kind::Oneshot => rc::Kind::Oneshot { up: self.up().map(Box::new), down: self.script(&self.down).map(Box::new) },
            Kind::Bundle => rc::Kind::Bundle { contents: self.members.clone().unwrap_or_default() },
            Kind::Milestone => rc::Kind::Oneshot { up: None, down: None },
        }
    }

    /// What is executed for it; none for what has no process.
    pub(super) fn program(&self) -> Option<Program> {
        match self.kind {
            Kind::Timer => Some(Program::Oneshot { up: self.script(&self.command), down: None }),
            Kind::Process | Kind::Forking => self.command.as_ref().map(|words| Program::Chain(self.process(words))),
            Kind::Oneshot => Some(Program::Oneshot { up: self.up(), down: self.script(&self.down) }),
            Kind::Bundle | Kind::Milestone => None,
        }
    }

    /// The settings, with the commands in them.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        settings.essential = self.essential.is_some();
        settings.on_demand = (self.start == Start::OnDemand).then_some(OnDemand { idle_stop: self.idle_stop });
        if let Some(words) = &self.at_limit {
            settings.policy_mut().restart.at_limit = AtLimit::Run(self.chain(words));
        }
        self.stops.settle(&mut settings, |words| self.words(words, false));
        settings
    }

    /// What brings a oneshot up; only once, if there is a marker.
    fn up(&self) -> Option<Script> {
        let once = self.prepared.marker.iter().flat_map(|marker| ["--once".to_owned(), marker.clone()]);
        let words = once.map(String::into_bytes).chain(self.chain(self.up.as_ref()?));
        Some(Script::Chain(words.collect()))
    }

    /// The words of a process, with the probe in front that looks until it is ready.
    fn process(&self, command: &[String]) -> Vec<Vec<u8>> {
        match self.probes.beside(command) {
            Some(words) => [vec![b"--probe".to_vec()], self.chain(&words)].concat(),
            None => self.chain(command),
        }
    }

    /// What is looked at while it runs, as the same user and in the same environment; the files of the start are left alone.
    pub(super) fn checks(&self) -> Option<Checks> {
        self.probes.checks(|words| self.words(words, false))
    }

    fn script(&self, words: &Option<Vec<String>>) -> Option<Script> {
        words.as_ref().map(|words| Script::Chain(self.chain(words)))
    }

    /// The words behind `svc exec` for a condition: as the service's user and in its environment, and with nothing made ready.
    pub(super) fn check_chain(&self, command: &[String]) -> Vec<Vec<u8>> {
        let mut words = self.whose();
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        self.env_files.iter().for_each(|file| option("env-file", file));
        self.unset.iter().for_each(|name| option("env", name));
        self.env.iter().for_each(|(name, value)| option("env", &format!("{name}={value}")));
        self.groups.iter().for_each(|groups| option("groups", &groups.join(",")));
        self.directory.iter().for_each(|dir| option("directory", dir));
        words.push("--".into());
        words.extend(command.iter().cloned());
        words.into_iter().map(String::into_bytes).collect()
    }

    /// Who it is, in front of the variables that it says itself: those win over what its account has.
    fn whose(&self) -> Vec<String> {
        let Some(user) = &self.user else { return Vec::new() };
        // Numbers for both may be nobody's account, and have no home then.
        let has_account = || user.split_once(':').is_none_or(|(uid, _)| uid.parse::<u32>().is_err());
        let home = self.home.unwrap_or_else(has_account).then(|| "--home".to_owned());
        ["--user".to_owned(), user.clone()].into_iter().chain(home).collect()
    }

    /// The words behind `svc exec`: what it is to change, in an order in which each finds what it needs, and the command.
    fn chain(&self, command: &[String]) -> Vec<Vec<u8>> {
        self.words(command, true)
    }

    /// The same. `files`: those that are made for each start are made.
    fn words(&self, command: &[String], files: bool) -> Vec<Vec<u8>> {
        let mut words: Vec<String> = Vec::new();
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        self.prepared.choice().iter().for_each(|(name, value)| option(name, value));
        words.extend(self.whose());
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        self.prepared.env_dirs.iter().for_each(|dir| option("env-dir", dir));
        self.env_files.iter().for_each(|file| option("env-file", file));
        self.prepared.found_out().iter().for_each(|(name, value)| option(name, value));
        self.unset.iter().for_each(|name| option("env", name));
        self.env.iter().for_each(|(name, value)| option("env", &format!("{name}={value}")));
        words.extend(sockets::words(&self.sockets));
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        self.umask.iter().for_each(|mask| option("umask", mask));
        if let Some(nice) = self.nice {
            option("nice", &nice.to_string());
        }
        self.limits.iter().for_each(|limit| option("limit", &format!("{}={}:{}", limit.name, limit.soft, limit.hard)));
        let made = if files { self.prepared.files(&self.name) } else { Vec::new() };
        made.iter().for_each(|(name, value)| option(name, value));
        words.extend(self.rights.options(&self.name));
        let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
        self.prepared.numbers().iter().for_each(|(name, value)| option(name, value));
        self.groups.iter().for_each(|groups| option("groups", &groups.join(",")));
        self.directory.iter().for_each(|dir| option("directory", dir));
        words.extend(self.computed.iter().flat_map(Computed::words));
        words.push("--".into());
        words.extend(command.iter().cloned());
        words.into_iter().map(String::into_bytes).collect()
    }
}
