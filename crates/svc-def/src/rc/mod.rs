//! The s6-rc form: a directory with `type`, read as it is. Nothing is compiled: what a compiler would refuse about one directory
//! is refused here, what concerns several of them (undefined names, cycles, halves of pipelines) where they come together.

mod files;
pub(crate) mod lists;
mod pipelines;
mod record;
mod script;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use svc_core::definition::Script;
use svc_core::files::ORIGIN;
use svc_core::graph::Dependency;
use svc_core::{Millis, ServiceName};

use crate::classic::{self, Run};
use crate::conditions::{Conditions, Endpoint};
use crate::look::{Folder, Look, look};
use crate::problem::{Problem, quoted};
use crate::servicefile::Socket;

pub use files::Files;
pub use pipelines::{Half, halves, pipelines};

/// What a source directory or a service.toml says, beyond what the classic files in a directory say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub kind: Kind,
    /// Zero: for ever.
    pub timeout_up: Millis,
    pub timeout_down: Millis,
    /// What else it waits for, or has wait: what a service.toml says.
    pub relations: Vec<Dependency>,
    pub start: Start,
    /// What its service.toml says, where it has one.
    pub facts: Option<Box<Facts>>,
    /// None where it is the default.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few services say, or those of s6-rc only: behind one pointer, so the others pay nothing for it. A [`Source`] is read as if
/// this were in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rare {
    /// What must be up before: services and bundles.
    pub dependencies: Vec<ServiceName>,
    /// Stopping it is refused unless that is insisted on.
    pub essential: bool,
    /// The service that reads its output, and those whose output it reads.
    pub producer_for: Option<ServiceName>,
    pub consumer_for: Vec<ServiceName>,
    /// The name of a bundle of the whole pipeline.
    pub pipeline_name: Option<ServiceName>,
    /// When it runs, if it is a timer.
    pub timer: Option<Timer>,
    /// What must hold here, or it is left out.
    pub conditions: Option<Conditions>,
    /// What must answer before it starts, as it is called in messages, and for how long that is waited for.
    pub wait_for: Vec<(String, Endpoint)>,
    pub wait_timeout: Millis,
    /// The files of a source, to compare them with what stands there later.
    pub files: Files,
}

impl Rare {
    pub const NONE: Rare = Rare {
        dependencies: Vec::new(),
        essential: false,
        producer_for: None,
        consumer_for: Vec::new(),
        pipeline_name: None,
        timer: None,
        conditions: None,
        wait_for: Vec::new(),
        wait_timeout: Millis::ZERO,
        files: Files::NONE,
    };
}

impl Source {
    /// Waits for nobody, and for ever.
    pub fn new(kind: Kind, start: Start, rare: Rare) -> Source {
        let rare = (rare != Rare::NONE).then(|| Box::new(rare));
        let (timeout_up, timeout_down) = (Millis::ZERO, Millis::ZERO);
        Source { kind, timeout_up, timeout_down, relations: Vec::new(), start, facts: None, rare }
    }
}

impl Deref for Source {
    type Target = Rare;

    fn deref(&self) -> &Rare {
        static NONE: Rare = Rare::NONE;
        self.rare.as_deref().unwrap_or(&NONE)
    }
}

/// When a timer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    pub rules: svc_core::timer::Rules,
    /// What its calendar is made of; none for an interval.
    pub cron: Option<Cron>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    pub expression: String,
    pub zone: String,
}

/// What is remembered of a service.toml, to compare it with what it says later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Another number where only a restart brings what has changed.
    pub substance: u64,
    pub values: Values,
    /// Another number when its files may have been edited.
    pub stamp: u64,
    /// None where there is nothing of the kind.
    pub outside: Option<Box<Outside>>,
    /// A change in one of those takes a restart, and not a reload.
    pub change_restarts: bool,
    /// Edits count without anybody asking.
    pub applies: bool,
}

/// What it has to do with beside its own files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// What it listens on.
    pub sockets: Vec<Socket>,
    /// Files that it reads.
    pub watch: Vec<Watched>,
}

/// What one pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub pattern: PathBuf,
    /// Those that there are, each with a number that is another one when its content is.
    pub files: Vec<(PathBuf, u64)>,
}

impl Facts {
    pub fn sockets(&self) -> &[Socket] {
        self.outside.as_ref().map_or(&[], |outside| &outside.sockets)
    }

    pub fn watch(&self) -> &[Watched] {
        self.outside.as_ref().map_or(&[], |outside| &outside.watch)
    }
}

/// Keys and their values, in the order of the lines. In one piece, because svc-scan keeps those of all services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Box<str>);

impl Values {
    /// Each value as TOML on one line, where a tab is an escape; its variables are not put in.
    pub(crate) fn new(list: &[(&'static str, String)]) -> Values {
        Values(list.iter().flat_map(|(key, written)| [key, "\t", written, "\n"]).collect::<String>().into())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.split_terminator('\n').filter_map(|line| line.split_once('\t'))
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, written)| written)
    }
}

/// Who has it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Bundles of certain names, if there are any, as in s6-overlay.
    ByBundles,
    /// It is started without anybody asking.
    Always,
    /// Whoever asks, or needs it.
    Asked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Scripts that bring it up and down; none does nothing and succeeds.
    Oneshot { up: Option<Box<Script>>, down: Option<Box<Script>> },
    /// A `run` as in a classic directory.
    Longrun,
    /// A name for others.
    Bundle { contents: Vec<ServiceName> },
}

/// Names that s6-rc keeps for itself.
const RESERVED: [&str; 2] = ["s6rc-", "s6-rc-"];

/// Reads a source directory, which has a `type`; none if one of the problems is fatal.
pub(crate) fn read(dir: &Folder, name: &ServiceName, problems: &mut Vec<Problem>) -> Option<Source> {
    let before = problems.len();
    if let Some(prefix) = RESERVED.iter().find(|prefix| name.as_str().starts_with(**prefix)) {
        problems.push(Problem::fatal(&**dir, format!("s6-rc keeps names that begin with {prefix} for itself: rename it")));
    }
    let kind = kind(dir, problems);
    let source = kind.map(|kind| {
        let rare = Rare {
            dependencies: lists::names(dir, "dependencies", problems),
            essential: classic::flag(dir, "flag-essential", false, problems),
            producer_for: lists::one(dir, "producer-for", problems),
            consumer_for: lists::file(dir, "consumer-for", problems),
            pipeline_name: lists::one(dir, "pipeline-name", problems),
            files: Files::of_folder(dir),
            ..Rare::NONE
        };
        Source {
            timeout_up: milliseconds(dir, "timeout-up", problems),
            timeout_down: milliseconds(dir, "timeout-down", problems),
            ..Source::new(kind, Start::ByBundles, rare)
        }
    });
    check_place(dir, source.as_ref(), problems);
    source.filter(|_| !problems[before..].iter().any(|problem| problem.fatal))
}

fn kind(dir: &Folder, problems: &mut Vec<Problem>) -> Option<Kind> {
    let path = dir.join("type");
    let bytes = lists::content(dir, "type", problems)?;
    // A file from a Windows checkout, or without its last newline, means the same.
    match bytes.trim_ascii() {
        b"oneshot" => {
            if !dir.has("up") {
                let message = "does not exist, and a oneshot needs one: write the command that brings it up, or an empty \
                               file for nothing to do";
                problems.push(Problem::fatal(dir.join("up"), message.into()));
            }
            let up = script::read(dir, "up", problems);
            let down = script::read(dir, "down", problems);
            Some(Kind::Oneshot { up: up.map(Box::new), down: down.map(Box::new) })
        }
        b"longrun" => {
            check_run(dir, problems);
            Some(Kind::Longrun)
        }
        b"bundle" => Some(Kind::Bundle { contents: lists::names(dir, "contents", problems) }),
        other => {
            let said = if other.is_empty() { "is empty".to_owned() } else { format!("is {}", quoted(other)) };
            problems.push(Problem::fatal(path, format!("{said}: write oneshot, longrun or bundle into it")));
            None
        }
    }
}

/// Interpreters that svc is itself, where the image has no link of that name.
const OURS: [&str; 2] = ["execlineb", "with-contenv"];

/// `run` need not be executable in a source: then it is run by what its first line names.
fn check_run(dir: &Folder, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    if classic::check_run(dir, &mut found) == Run::Absent {
        let message = "does not exist, and a longrun needs one: write a script that begins with #!/bin/sh";
        problems.push(Problem::fatal(dir.join("run"), message.into()));
    }
    problems.extend(found.into_iter().filter(|problem| !is_helped(&problem.message)));
}

/// The same for `finish`.
pub(crate) fn check_finish(dir: &Folder, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    classic::check_finish(dir, &mut found);
    problems.extend(found.into_iter().filter(|problem| !is_helped(&problem.message)));
}

/// Whether a script runs all the same, by its first line.
pub fn is_helped(message: &str) -> bool {
    let missing = OURS.iter().any(|name| message.contains(&format!("/{name}, which is not in this image")));
    missing || message.starts_with("is not executable")
}

/// Files that mean nothing for this type: somebody hoped for more.
fn check_place(dir: &Folder, source: Option<&Source>, problems: &mut Vec<Problem>) {
    let Some(source) = source else { return };
    let (kind, strange): (&str, &[&str]) = match source.kind {
        Kind::Oneshot { .. } => ("oneshot", &["producer-for", "consumer-for", "pipeline-name", "contents.d", "contents"]),
        Kind::Longrun => ("longrun", &["up", "contents.d", "contents"]),
        Kind::Bundle { .. } => ("bundle", &["up", "down", "run", "timeout-up", "timeout-down"]),
    };
    for file in strange.iter().filter(|file| dir.has(file)) {
        problems.push(Problem::warning(dir.join(file), format!("has no meaning in a {kind}: remove it, or change type")));
    }
    if source.pipeline_name.is_some() && source.consumer_for.is_empty() {
        let message = "belongs into the last consumer of a pipeline, which has a file consumer-for".to_owned();
        problems.push(Problem::warning(dir.join("pipeline-name"), message));
    }
}

fn milliseconds(dir: &Folder, file: &str, problems: &mut Vec<Problem>) -> Millis {
    let Some(bytes) = lists::content(dir, file, problems) else { return Millis::ZERO };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    let number = std::str::from_utf8(line).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match number.and_then(|text| text.parse().ok()) {
        Some(number) => Millis(number),
        None => {
            let message =
                format!("must be milliseconds, and is {}: using 0 (never); write a number such as 5000", quoted(line));
            problems.push(Problem::warning(dir.join(file), message));
            Millis::ZERO
        }
    }
}

/// What to say of a directory that has parts of a source and no `type`: layers of an image may bring the rest.
pub(crate) fn missing_type(dir: &Path) -> Option<Problem> {
    // Where /init has laid it out, some of that is its own.
    let origin = std::fs::read_link(dir.join(ORIGIN)).ok();
    let there = origin.as_deref().unwrap_or(dir);
    let part = ["dependencies.d", "contents.d", "up", "producer-for", "consumer-for"];
    let part = part.into_iter().find(|name| !matches!(look(&there.join(name)), Look::Absent));
    let why = match part {
        Some(part) => format!("{part} is part of an s6-rc source"),
        None if origin.is_some() => "each source in s6-rc.d has one".to_owned(),
        None => return None,
    };
    let message = format!("does not exist, and {why}: write oneshot, longrun or bundle into it");
    Some(Problem::fatal(dir.join("type"), message))
}
