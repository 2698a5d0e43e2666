//! `check`: everything that is wrong with the services of directories, without svc.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use svc_core::ServiceName;
use svc_core::definition::{Definition, Program, Script};
use svc_core::graph::{Bond, Condition, Graph, Kind, Node, Problem, Relation};
use svc_def::{Entry, Outcome, Source};

use crate::exit::{Code, Failure};
use crate::output::Output;

/// Where svc-scan looks, too, where it is not told.
const DEFAULT_DIR: &str = "/etc/s6";

/// What has been found.
#[derive(Default)]
struct Found {
    lines: Vec<String>,
    services: usize,
    fatal: usize,
    /// What would run.
    runs: Vec<String>,
    sources: BTreeMap<ServiceName, Source>,
}

pub fn run(dirs: &[PathBuf], verbose: bool, out: &mut Output) -> Result<Code, Failure> {
    let default = [PathBuf::from(DEFAULT_DIR)];
    let mut found = Found::default();
    for dir in if dirs.is_empty() { &default } else { dirs } {
        found.scan_dir(dir)?;
    }
    found.together();
    for line in &found.lines {
        out.line(line)?;
    }
    for line in found.runs.iter().filter(|_| verbose) {
        out.line(line)?;
    }
    out.line(&format!("{} services, {} things that must be cured", found.services, found.fatal))?;
    out.flush()?;
    Ok(if found.fatal == 0 { Code::Done } else { Code::Failed })
}

impl Found {
    fn scan_dir(&mut self, dir: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::system(format!("{}: {error}", dir.display()));
        // What is said of a service names its whole path.
        let dir = std::fs::canonicalize(dir).map_err(failed)?;
        let mut names: Vec<_> = std::fs::read_dir(&dir).map_err(failed)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
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
        }
        if let Outcome::Incomplete = reading.outcome {
            self.problem(&svc_def::missing_run(dir));
        }
        if let Some(source) = reading.source {
            self.sources.insert(svc_def::bundle_of(name), source);
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
        self.fatal += usize::from(fatal);
        self.lines.push(format!("{}: {what}", if fatal { "error" } else { "warning" }));
    }

    /// Names that nobody has, and circles.
    fn together(&mut self) {
        let (mut nodes, mut soft) = (Vec::new(), Vec::new());
        for (name, source) in &self.sources {
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
                let known = ServiceName::parse(&other.on).is_ok_and(|on| self.sources.contains_key(&on));
                if known || matches!(other.relation, Relation::Needs(_)) {
                    node.dependencies.push(other.clone());
                } else {
                    soft.push(format!("{name} names {}, which does not exist, and goes on without", other.on));
                }
            }
            nodes.push(node);
        }
        soft.iter().for_each(|line| self.say(false, line));
        let problems = Graph::new(nodes).err().unwrap_or_default();
        problems.iter().map(Problem::to_string).for_each(|line| self.say(true, &line));
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
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let behind = chain.iter().position(|word| word == b"--").map_or(0, |end| end + 1);
    let option =
        |name: &[u8]| chain[..behind].iter().position(|word| word == name).and_then(|at| chain.get(at + 1)).map(text);
    let command: Vec<String> = chain[behind..].iter().map(text).map(|word| quoted(&word)).collect();
    let user = option(b"--user").unwrap_or_else(|| "the user of svc".into());
    let place =
        option(b"--directory").map_or_else(|| dir.to_string(), |own| Path::new(&*dir).join(own).display().to_string());
    format!("{name}: {what} {} as {user} in {place}", command.join(" "))
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}
