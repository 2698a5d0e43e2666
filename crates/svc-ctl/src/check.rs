//! `check`: everything that is wrong with the services of directories, without svc.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;
use svc_core::ServiceName;
use svc_core::definition::{Chain, Definition, Program, Script};
use svc_core::graph::{Bond, Condition, Graph, Kind, Node, Problem, Relation};
use svc_core::overlay::SOURCES;
use svc_def::{Entry, Image, Outcome, Reading, Source};

use crate::check_overlay::{self, Overlay};
use crate::exit::{Code, Failure};
use crate::output::Output;

/// Where svc-scan looks, too, where it is not told, and where /init and my_init do.
const DEFAULT_DIR: &str = "/etc/s6";
const OF_INIT: [&str; 3] = [SOURCES, "/etc/services.d", "/etc/service"];

/// What has been found.
struct Found {
    /// Whether svc has a command of this name.
    is_ours: fn(&str) -> bool,
    services: usize,
    /// Whether it must be cured, and what it is.
    problems: Vec<(bool, String)>,
    /// What would run.
    runs: Vec<String>,
    sources: BTreeMap<ServiceName, Source>,
    /// Those of them that stand for their instances, and are nothing by themselves.
    templates: BTreeSet<ServiceName>,
    /// Where they are.
    paths: BTreeMap<String, Vec<PathBuf>>,
    /// Those on whom nobody can depend: what is wrong with them has been told.
    broken: BTreeSet<String>,
    classic: BTreeSet<String>,
    /// Processes that nobody looks after, whose health nobody can wait for.
    unchecked: BTreeSet<String>,
    /// What s6-overlay brings, where this is an image for it.
    overlay: Overlay,
}

pub fn run(
    dirs: &[PathBuf],
    verbose: bool,
    json: bool,
    is_ours: fn(&str) -> bool,
    out: &mut Output,
) -> Result<Code, Failure> {
    let default = default();
    let mut found = Found::new(is_ours);
    for dir in if dirs.is_empty() { &default } else { dirs } {
        let root = root(dir);
        found.scan_dir(dir, &root)?;
        for more in check_overlay::belonging_to(dir) {
            found.scan_dir(&more, &root)?;
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
    let mut found = Found::new(|_| true);
    dirs.iter().try_for_each(|dir| found.scan_dir(dir, Path::new("/")))?;
    Ok(found.sources.into_iter().collect())
}

/// Where the image begins that the directory is in.
fn root(dir: &Path) -> PathBuf {
    let dir = std::fs::canonicalize(dir).unwrap_or_default();
    let known = [DEFAULT_DIR].into_iter().chain(OF_INIT).find_map(|known| dir.to_str()?.strip_suffix(known));
    Path::new("/").join(known.unwrap_or_default())
}

impl Found {
    fn new(is_ours: fn(&str) -> bool) -> Found {
        Found {
            is_ours,
            services: 0,
            problems: Vec::new(),
            runs: Vec::new(),
            sources: BTreeMap::new(),
            templates: BTreeSet::new(),
            paths: BTreeMap::new(),
            broken: BTreeSet::new(),
            classic: BTreeSet::new(),
            unchecked: BTreeSet::new(),
            overlay: Overlay::default(),
        }
    }

    fn scan_dir(&mut self, dir: &Path, root: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::system(format!("{}: {error}: name a directory with services in it", dir.display()))
        };
        // What is said of a service names its whole path.
        let dir = std::fs::canonicalize(dir).map_err(failed)?;
        let image = Image::new(root, self.is_ours);
        let mut names: Vec<_> = std::fs::read_dir(&dir).map_err(failed)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        if check_overlay::is_one(&dir) {
            names.retain(|name| {
                let misplaced = check_overlay::misplaced(&dir, name);
                misplaced.iter().for_each(|what| self.say(true, what));
                misplaced.is_none()
            });
            names.retain(|name| {
                let takes = self.overlay.takes(&dir, name);
                if takes {
                    self.paths.entry(name.to_string_lossy().into_owned()).or_default().push(dir.join(name));
                }
                !takes
            });
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
                    self.service(&image, &path, &name);
                }
                Some(Entry::Problem(problem)) => self.problem(&problem),
                Some(Entry::Skip) | None => {}
            }
        }
        Ok(())
    }

    fn service(&mut self, image: &Image, dir: &Path, name: &ServiceName) {
        self.services += 1;
        let reading = svc_def::read_in(image, dir, name);
        if let Outcome::Template(instances) = &reading.outcome {
            self.template(dir, &svc_def::bundle_of(name), instances);
        }
        // What is run by its first line there needs no bit, nor links to our commands.
        let helps = dir.ancestors().any(|dir| dir.ends_with("etc/services.d"));
        let is_source = dir.parent().is_some_and(check_overlay::is_one);
        if is_source && reading.source.is_none() && dir.join("run").exists() {
            let what = "does not exist, and each source in s6-rc.d has one: write oneshot, longrun or bundle into it";
            self.say(true, &format!("{}: {what}", svc_def::shown(&dir.join("type"))));
            self.broken.insert(name.to_string());
            return;
        }
        // What `up` or `down` names.
        let is_named = |message: &str| message.contains(": is not executable (");
        let (helped, others): (Vec<_>, Vec<_>) = reading
            .problems
            .iter()
            .partition(|problem| helps && svc_def::is_helped(&problem.message) || is_source && is_named(&problem.message));
        others.into_iter().for_each(|problem| self.problem(problem));
        for problem in helped.iter().filter(|problem| problem.message.contains("chmod")) {
            self.say(false, &format!("{problem}; /init runs it all the same"));
        }
        self.runs_as(&reading);
        if let Outcome::Incomplete = reading.outcome {
            self.problem(&svc_def::missing_run(dir));
        }
        match (reading.source, &reading.outcome) {
            (Some(source), _) => {
                let name = svc_def::bundle_of(name);
                self.paths.entry(name.to_string()).or_default().push(dir.to_owned());
                self.sources.insert(name, source);
            }
            (None, outcome) if !helped.is_empty() || matches!(outcome, Outcome::Ready(_)) => {
                self.classic.insert(name.to_string());
            }
            (None, _) => drop(self.broken.insert(svc_def::bundle_of(name).to_string())),
        }
        if let Some(log) = reading.logger {
            self.service(image, &log, &name.logger());
        }
    }

    /// Each instance is a service; what is wrong with the file is told once.
    fn template(&mut self, path: &Path, name: &ServiceName, instances: &svc_def::Instances) {
        for instance in instances.names() {
            let Ok(made) = ServiceName::parse(&format!("{name}@{instance}")) else { continue };
            self.services += 1;
            let reading = svc_def::read(path, &made, None);
            self.runs_as(&reading);
            if let Some(source) = reading.source {
                self.sources.insert(made, source);
            }
        }
        self.services -= 1;
        self.templates.insert(name.clone());
    }

    fn runs_as(&mut self, reading: &Reading) {
        let Outcome::Ready(definition) = &reading.outcome else { return };
        self.runs.push(would_run(definition));
        let is_process = reading.source.as_ref().is_some_and(|source| source.kind == svc_def::Kind::Longrun);
        if is_process && !definition.settings.has_health() {
            self.unchecked.insert(definition.name.clone());
        }
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
        let find = |name: &str| self.paths.get(name).cloned().unwrap_or_default();
        let at = |name: &str, other: &str| svc_def::named(name, other, &find).map_or_else(String::new, |place| place + ": ");
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
            // Of the others it is known what they are, or does not matter here.
            let kind = if self.unchecked.contains(name.as_str()) { Kind::Process } else { Kind::Milestone };
            let node = Node::new(name.as_str(), kind);
            let mut node = needed.fold(node, |node, on| node.with(on.as_str(), relation(on), Condition::Ready));
            for other in &source.relations {
                let known = ServiceName::parse(&other.on)
                    .is_ok_and(|on| self.sources.contains_key(&on) || pipelines.contains_key(&on))
                    || self.overlay.has(&other.on);
                if known || matches!(other.relation, Relation::Needs(_)) {
                    node.dependencies.push(other.clone());
                } else if self.classic.contains(&*other.on) {
                    let what = svc_def::has_no_place(&other.on);
                    told.push((false, format!("{}{name} {what}, and goes on without", at(name.as_str(), &other.on))));
                } else if !self.broken.contains(&*other.on) {
                    let what = format!("names {}, which does not exist", other.on);
                    told.push((false, format!("{}{name} {what}, and goes on without", at(name.as_str(), &other.on))));
                }
            }
            nodes.push(node);
        }
        told.extend(self.one_address().into_iter().map(|line| (true, line)));
        nodes.extend(self.overlay.nodes());
        for problem in Graph::new(nodes).err().unwrap_or_default() {
            let line = match &problem {
                Problem::Unknown { name, .. } if self.broken.contains(name) => continue,
                Problem::Unknown { node, name, .. } if self.classic.contains(name) => {
                    format!("{}{node} {}", at(node, name), svc_def::has_no_place(name))
                }
                Problem::Twice(_) | Problem::Unknown { .. } | Problem::Cycle(_) | Problem::NoHealth { .. } => {
                    svc_def::told(&problem, &find)
                }
            };
            told.push((true, line));
        }
        told.iter().for_each(|(fatal, line)| self.say(*fatal, line));
    }
}

impl Found {
    /// Who listens where another one does, which only one can. Those with conditions may be there in turn.
    fn one_address(&self) -> Vec<String> {
        let all = self.sources.iter().filter(|(_, source)| source.conditions.is_none());
        let all = all.filter(|(name, _)| !self.templates.contains(*name));
        let all = all.flat_map(|(name, source)| Some((name, source.facts.as_ref()?.sockets())));
        let all: Vec<_> = all.flat_map(|(name, sockets)| sockets.iter().map(move |socket| (name, socket))).collect();
        let same = |(at, (name, socket)): (usize, &(&ServiceName, &svc_def::Socket))| {
            let is_other = |(_, other): &&(&ServiceName, &svc_def::Socket)| {
                (&other.address, other.flow) == (&socket.address, socket.flow) && !(other.reuse_port && socket.reuse_port)
            };
            let (other, _) = all[..at].iter().find(is_other)?;
            let listen = &socket.listen;
            Some(format!("{name} and {other} both listen on {listen}: choose another address for one of the two"))
        };
        all.iter().enumerate().filter_map(same).collect()
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

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    if plain { word.to_owned() } else { format!("{word:?}") }
}
