//! `check`: everything that is wrong with the services of directories, without svc.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use svc_core::ServiceName;
use svc_core::definition::{Chain, Definition, Program, Script};
use svc_core::graph::{Bond, Condition, Graph, Kind, Node, Problem, Relation};
use svc_core::overlay::SOURCES;
use svc_def::{Entry, Outcome, Source};

use crate::check_overlay::{self, Overlay};
use crate::exit::{Code, Failure};
use crate::output::Output;

/// Where svc-scan looks, too, where it is not told, and where /init and my_init do.
const DEFAULT_DIR: &str = "/etc/s6";
const OF_INIT: [&str; 3] = [SOURCES, "/etc/services.d", "/etc/service"];

/// What has been found.
#[derive(Default)]
struct Found {
    services: usize,
    /// Whether it must be cured, and what it is.
    problems: Vec<(bool, String)>,
    /// What would run.
    runs: Vec<String>,
    sources: BTreeMap<ServiceName, Source>,
    /// Those on whom nobody can depend: what is wrong with them has been told.
    broken: BTreeSet<String>,
    classic: BTreeSet<String>,
    /// What s6-overlay brings, where this is an image for it.
    overlay: Overlay,
}

pub fn run(dirs: &[PathBuf], verbose: bool, json: bool, out: &mut Output) -> Result<Code, Failure> {
    let default = default();
    let mut found = Found::default();
    for dir in if dirs.is_empty() { &default } else { dirs } {
        found.scan_dir(dir)?;
        for more in check_overlay::belonging_to(dir) {
            found.scan_dir(&more)?;
        }
    }
    found.together();
    let of = |wanted: bool| found.problems.iter().filter(move |(fatal, _)| *fatal == wanted).map(|(_, what)| what);
    let (count, errors) = (found.services, of(true).count());
    if json {
        let (errors, warnings): (Vec<_>, Vec<_>) = (of(true).collect(), of(false).collect());
        out.json(&json!({ "services": count, "errors": errors, "warnings": warnings, "runs": found.runs }))?;
    } else {
        for (fatal, what) in &found.problems {
            out.line(&format!("{}: {what}", if *fatal { "error" } else { "warning" }))?;
        }
        for line in found.runs.iter().filter(|_| verbose) {
            out.line(line)?;
        }
        let services = if count == 1 { "service" } else { "services" };
        let things = if errors == 1 { "thing" } else { "things" };
        out.line(&format!("{count} {services}, {errors} {things} that must be cured"))?;
    }
    out.flush()?;
    Ok(if errors == 0 { Code::Done } else { Code::Failed })
}

/// Those that the image has; at least one, so that there is something to complain of.
fn default() -> Vec<PathBuf> {
    let of_init = OF_INIT.map(PathBuf::from).into_iter().filter(|dir| dir.is_dir());
    let mut dirs: Vec<PathBuf> =
        Some(PathBuf::from(DEFAULT_DIR)).into_iter().filter(|dir| dir.is_dir()).chain(of_init).collect();
    if dirs.is_empty() {
        dirs.push(DEFAULT_DIR.into());
    }
    dirs
}

/// What the services of these directories say, as far as it can be read.
pub fn sources(dirs: &[PathBuf]) -> Result<Vec<(ServiceName, Source)>, Failure> {
    let mut found = Found::default();
    dirs.iter().try_for_each(|dir| found.scan_dir(dir))?;
    Ok(found.sources.into_iter().collect())
}

impl Found {
    fn scan_dir(&mut self, dir: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::system(format!("{}: {error}: name a directory with services in it", dir.display()))
        };
        // What is said of a service names its whole path.
        let dir = std::fs::canonicalize(dir).map_err(failed)?;
        let mut names: Vec<_> = std::fs::read_dir(&dir).map_err(failed)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        if check_overlay::is_one(&dir) {
            names.retain(|name| !self.overlay.takes(&dir, name));
            // What layers add to a service of another is no second one.
            let known =
                |name: &OsString| name.to_str().is_some_and(|name| self.sources.keys().any(|known| known.as_str() == name));
            names.retain(|name| !known(name));
        }
        let mut places: BTreeMap<ServiceName, PathBuf> = BTreeMap::new();
        for file_name in names {
            match svc_def::entry(&dir, &file_name) {
                Some(Entry::Service { name, .. }) => {
                    let path = dir.join(&file_name);
                    if let Some(other) = places.insert(name.clone(), path.clone()) {
                        self.say(true, &format!("{}: {}", svc_def::shown(&path), svc_def::two_forms(&other)));
                        continue;
                    }
                    self.service(&path, &name);
                }
                Some(Entry::Problem(problem)) => self.problem(&problem),
                Some(Entry::Skip) | None => {}
            }
        }
        Ok(())
    }

    fn service(&mut self, dir: &Path, name: &ServiceName) {
        self.services += 1;
        let reading = svc_def::read(dir, name, None);
        if let Outcome::Template(instances) = &reading.outcome {
            self.template(dir, &svc_def::bundle_of(name), instances);
        }
        reading.problems.iter().for_each(|problem| self.problem(problem));
        if let Outcome::Ready(definition) = &reading.outcome {
            self.runs.push(would_run(definition));
            // One that has conditions may be for another image.
            let is_asked = |source: &&Source| source.facts.is_some() && source.conditions.is_none();
            let missing = reading.source.as_ref().filter(is_asked).and_then(|_| missing_program(definition));
            let templates = reading.source.as_ref().filter(is_asked).map(|_| missing_templates(definition));
            missing.into_iter().chain(templates.into_iter().flatten()).for_each(|line| self.say(false, &line));
        }
        if let Outcome::Incomplete = reading.outcome {
            self.problem(&svc_def::missing_run(dir));
        }
        match (reading.source, &reading.outcome) {
            (Some(source), _) => drop(self.sources.insert(svc_def::bundle_of(name), source)),
            (None, Outcome::Ready(_)) => drop(self.classic.insert(name.to_string())),
            (None, _) => drop(self.broken.insert(svc_def::bundle_of(name).to_string())),
        }
        if let Some(log) = reading.logger {
            self.service(&log, &name.logger());
        }
    }

    /// Each instance is a service; what is wrong with the file is told once.
    fn template(&mut self, path: &Path, name: &ServiceName, instances: &svc_def::Instances) {
        for instance in instances.names() {
            let Ok(made) = ServiceName::parse(&format!("{name}@{instance}")) else { continue };
            self.services += 1;
            let reading = svc_def::read(path, &made, None);
            if let Outcome::Ready(definition) = &reading.outcome {
                self.runs.push(would_run(definition));
            }
            if let Some(source) = reading.source {
                self.sources.insert(made, source);
            }
        }
        self.services -= 1;
    }

    fn problem(&mut self, problem: &svc_def::Problem) {
        self.say(problem.fatal, &problem.to_string());
    }

    fn say(&mut self, fatal: bool, what: &str) {
        self.problems.push((fatal, what.to_owned()));
    }

    /// Names that nobody has, or two; halves of pipelines, and circles.
    fn together(&mut self) {
        let (mut nodes, mut told) = (Vec::new(), Vec::new());
        let (pipelines, taken) = svc_def::pipelines(self.sources.iter(), &|name| self.sources.contains_key(name));
        told.extend(taken.into_iter().map(|(name, problem)| (true, format!("{name}: {problem}"))));
        // Who is in the pipeline does not matter here.
        nodes.extend(pipelines.keys().map(|pipeline| Node::new(pipeline.as_str(), Kind::Milestone)));
        for (name, source) in &self.sources {
            let halves = svc_def::halves(name, source, &|name| self.sources.get(name));
            let halves = halves.into_iter().filter(|half| self.sources.contains_key(half.other));
            told.extend(halves.map(|half| (true, format!("{name}: {}", half.problem))));
            let members: &[ServiceName] = match &source.kind {
                svc_def::Kind::Bundle { contents } => contents,
                svc_def::Kind::Oneshot { .. } | svc_def::Kind::Longrun => &[],
            };
            let needed = source.dependencies.iter().chain(&source.producer_for).chain(&source.consumer_for).chain(members);
            // Who reads from another waits for nobody: the other waits for him. That both exist is all that matters here.
            let relation = |on: &ServiceName| match source.consumer_for.contains(on) {
                true => Relation::Before,
                false => Relation::Needs(Bond::Stay),
            };
            let node = Node::new(name.as_str(), Kind::Milestone);
            let mut node = needed.fold(node, |node, on| node.with(on.as_str(), relation(on), Condition::Ready));
            for other in &source.relations {
                let known = ServiceName::parse(&other.on)
                    .is_ok_and(|on| self.sources.contains_key(&on) || pipelines.contains_key(&on))
                    || self.overlay.has(&other.on);
                if known || matches!(other.relation, Relation::Needs(_)) {
                    node.dependencies.push(other.clone());
                } else if self.classic.contains(&*other.on) {
                    told.push((false, format!("{name} {}, and goes on without", svc_def::has_no_place(&other.on))));
                } else if !self.broken.contains(&*other.on) {
                    told.push((false, format!("{name} names {}, which does not exist, and goes on without", other.on)));
                }
            }
            nodes.push(node);
        }
        told.iter().for_each(|(fatal, line)| self.say(*fatal, line));
        nodes.extend(self.overlay.nodes());
        let problems = Graph::new(nodes).err().unwrap_or_default();
        for problem in problems {
            match &problem {
                Problem::Unknown { name, .. } if self.broken.contains(name) => {}
                Problem::Unknown { node, name, .. } if self.classic.contains(name) => {
                    self.say(true, &format!("{node} {}", svc_def::has_no_place(name)));
                }
                Problem::Twice(_) | Problem::Unknown { .. } | Problem::Cycle(_) | Problem::NoHealth { .. } => {
                    self.say(true, &problem.to_string());
                }
            }
        }
    }
}

/// `web: runs nginx -g "daemon off;" as www-data in /srv/web`.
fn would_run(definition: &Definition) -> String {
    let name = &definition.name;
    let dir = String::from_utf8_lossy(&definition.dir);
    let (what, chain): (&str, &[Vec<u8>]) = match &definition.program {
        Program::Directory => return format!("{name}: runs {dir}/run as the user of svc in {dir}"),
        Program::Oneshot { up: Some(Script::File { path, .. }), .. } => {
            return format!("{name}: runs {} once as the user of svc in {dir}", String::from_utf8_lossy(path));
        }
        Program::Oneshot { up: None, .. } => return format!("{name}: runs nothing before it is taken down"),
        Program::Oneshot { up: Some(Script::Chain(words)), .. } => ("runs once", words),
        Program::Chain(words) | Program::Command(words) => ("runs", words),
    };
    let chain = Chain::of(chain);
    let value = |option: &str| chain.value(option).map(String::from_utf8_lossy);
    let command: Vec<String> = chain.command.iter().map(|word| quoted(&String::from_utf8_lossy(word))).collect();
    let user = value("--user").unwrap_or("the user of svc".into());
    let place =
        value("--directory").map_or_else(|| dir.to_string(), |own| Path::new(&*dir).join(&*own).display().to_string());
    format!("{name}: {what} {} as {user} in {place}", command.join(" "))
}

/// A program of a service.toml that is not there: known at its start, and on an image before that.
fn missing_program(definition: &Definition) -> Option<String> {
    let (Program::Chain(chain) | Program::Oneshot { up: Some(Script::Chain(chain)), .. }) = &definition.program else {
        return None;
    };
    let chain = Chain::of(chain);
    // It is looked for elsewhere, or what is found out at the start says where.
    let elsewhere = chain.options.iter().any(|word| {
        word.starts_with(b"PATH=") || [&b"--chroot"[..], b"--env-file", b"--env-dir", b"--env-command"].contains(&&**word)
    });
    let program = Path::new(OsStr::from_bytes(chain.command.first().filter(|_| !elsewhere)?));
    let own = Path::new(OsStr::from_bytes(&definition.dir))
        .join(OsStr::from_bytes(chain.value("--directory").unwrap_or_default()));
    let missing = if program.components().count() == 1 && !program.is_absolute() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = std::env::split_paths(&path).any(|dir| own.join(dir).join(program).is_file());
        (!is_there).then(|| program.to_owned())
    } else {
        Some(own.join(program)).filter(|program| !program.is_file())
    };
    missing.map(|program| format!("{}: {}", definition.name, svc_def::explain_missing(&program)))
}

/// Templates that are not there; one that may be missing is none.
fn missing_templates(definition: &Definition) -> Vec<String> {
    let made_by = definition.program.made_by().unwrap_or_default();
    let dir = Path::new(OsStr::from_bytes(&definition.dir));
    let mut missing = Vec::new();
    for (at, _) in made_by.iter().enumerate().filter(|(_, word)| *word == b"--template") {
        let from = made_by.get(at + 1).and_then(|pair| pair.split(|&byte| byte == b'=').next()).unwrap_or_default();
        let from = dir.join(OsStr::from_bytes(from));
        let may_be_missing = made_by.get(at + 3).is_some_and(|language| language == b"copy-if-there");
        if !may_be_missing && !from.exists() {
            let from = from.display();
            missing.push(format!("{}: there is no template {from}: put it there, or mount it", definition.name));
        }
    }
    missing
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}
