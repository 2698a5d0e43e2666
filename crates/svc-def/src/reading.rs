//! Reads a whole service directory: which form it has, whether it can be started, where its output goes, and everything that is
//! wrong with it, at once. What becomes of the answer is svc-scan's to decide.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svc_core::graph::Wish;
use svc_core::{Definition, Output, Program, ServiceName};

use crate::classic::{self, Run};
use crate::image::Image;
use crate::look::{self, Folder, Look, look};
use crate::problem::{Problem, shown};
use crate::rc::{self, Rare, Source, Start};
use crate::servicefile::layout::{FILE, Layout, TEMPLATE, former, layout};
use crate::servicefile::{self, Instances};

/// What a directory says.
#[derive(Debug)]
pub struct Reading {
    pub outcome: Outcome,
    pub problems: Vec<Problem>,
    /// The `log/` subdirectory, if there is one and this is not a logger itself.
    pub logger: Option<PathBuf>,
    /// What it says about others, if it has the s6-rc form or a service.toml.
    pub source: Option<Source>,
}

#[derive(Debug)]
pub enum Outcome {
    /// Complete; the problems, if any, are warnings.
    Ready(Box<Definition>),
    /// A template: these are its instances, to be read each by its name.
    Template(Instances),
    /// Complete, and nothing that runs: a bundle, or a oneshot with nothing to do.
    Name,
    /// No `run` yet: it may be on its way. [`missing_run`] has the words for when that has gone on for too long.
    Incomplete,
    /// At least one of the problems is fatal.
    Broken,
}

/// Reads `dir`, which is absolute, for the service `name`. `previous` is the last definition that was good: what cannot be read
/// now stays as it was.
pub fn read(dir: &Path, name: &ServiceName, previous: Option<&Definition>) -> Reading {
    read_all(dir, name, previous, None)
}

/// The same of a service in an image: what it needs is looked for there.
pub fn read_in(image: &Image, dir: &Path, name: &ServiceName) -> Reading {
    let mut reading = read_all(dir, name, None, Some(image));
    if let Some(rc::Kind::Oneshot { up, down }) = reading.source.as_ref().map(|source| &source.kind) {
        image.scripts(up.iter().chain(down).map(Box::as_ref), &mut reading.problems);
    }
    reading
}

/// The same where a service.toml or NAME.toml said this, whatever it says now: what [`Source::written`] gave.
pub fn read_kept(dir: &Path, name: &ServiceName, written: &str) -> Reading {
    one_file(&former(dir), name, None, Some(written), Vec::new())
}

/// What keeps a service that runs from being started anew by what stands in its files now, and is no matter of those alone: an account
/// that is not there, or a path that it had not named `before`; none where such paths may be made first. `run_dir`: ours.
pub fn lacks(dir: &Path, name: &ServiceName, before: Option<&Source>, run_dir: Option<&Path>) -> Vec<Problem> {
    let mut image = Image::now(run_dir);
    if let Some(before) = before {
        let known = one_file(&former(dir), name, Some(&image), Some(&before.written()), Vec::new());
        image.know(known.problems);
    }
    let mut reading = read_all(dir, name, None, Some(&image));
    reading.problems.retain(|problem| problem.fatal);
    reading.problems
}

fn read_all(dir: &Path, name: &ServiceName, previous: Option<&Definition>, image: Option<&Image>) -> Reading {
    let mut problems = Vec::new();
    let layout = layout(dir);
    if let Some(layout) = layout.as_ref().filter(|layout| layout.main == dir) {
        return one_file(layout, name, image, None, problems);
    }
    let (outcome, logger) = match (entrance(dir), layout) {
        (Ok(true), Some(layout)) => return one_file(&layout, name, image, None, problems),
        (Ok(true), None) => {
            let dir = Folder::list(dir);
            if dir.has("type") {
                return source(&dir, name, previous, problems);
            }
            inside(&dir, name, previous, &mut problems)
        }
        (Ok(false), _) => (Outcome::Incomplete, None),
        (Err(problem), _) => {
            problems.push(problem);
            (Outcome::Broken, None)
        }
    };
    Reading { outcome, problems, logger, source: None }
}

/// Reads a directory of the s6-rc form. Its output goes to svc-log, unless another service is its logger.
fn source(dir: &Folder, name: &ServiceName, previous: Option<&Definition>, mut problems: Vec<Problem>) -> Reading {
    let Some(source) = rc::read(dir, name, &mut problems) else {
        return Reading { outcome: Outcome::Broken, problems, logger: None, source: None };
    };
    let program = match &source.kind {
        rc::Kind::Bundle { .. } | rc::Kind::Oneshot { up: None, down: None } => None,
        rc::Kind::Oneshot { up, down } => {
            Some(Program::Oneshot { up: up.as_deref().cloned(), down: down.as_deref().cloned() })
        }
        rc::Kind::Longrun => Some(Program::Directory),
    };
    let outcome = match program {
        None => Outcome::Name,
        Some(program) => {
            let mut settings = classic::settings(dir, previous.map(|definition| &definition.settings), &mut problems);
            let essential = classic::essential(dir, previous.and_then(|definition| definition.essential), &mut problems);
            settings.essential = essential.is_some();
            classic::check_descriptors(dir, &settings, &mut problems);
            if let Program::Oneshot { .. } = program {
                // What an `up` starts is meant to stay, and `down` has the time that the source gives it.
                settings.keep_descendants = true;
                settings.timeout_finish = source.timeout_down;
            } else {
                rc::check_finish(dir, &mut problems);
            }
            Outcome::Ready(Box::new(Definition {
                name: name.as_str().into(),
                dir: dir.as_os_str().as_bytes().to_vec(),
                program,
                output: if source.producer_for.is_some() { Output::Logger } else { Output::Keeper },
                down: false,
                essential,
                managed: Some(Wish::Down),
                settings,
            }))
        }
    };
    let broken = problems.iter().any(|problem| problem.fatal);
    Reading { outcome: if broken { Outcome::Broken } else { outcome }, problems, logger: None, source: Some(source) }
}

/// Reads a service.toml or a NAME.toml. Its output goes to svc-log.
fn one_file(
    layout: &Layout,
    name: &ServiceName,
    image: Option<&Image>,
    kept: Option<&str>,
    mut problems: Vec<Problem>,
) -> Reading {
    let broken = |problems| Reading { outcome: Outcome::Broken, problems, logger: None, source: None };
    let instance = name.as_str().rsplit_once(TEMPLATE).map(|(_, instance)| instance);
    let instance = instance.filter(|instance| layout.is_template && !instance.is_empty());
    let Some(mut said) = servicefile::read(layout, name, instance, image, kept, &mut problems) else {
        return broken(problems);
    };
    let is_template = layout.is_template && instance.is_none();
    if is_template {
        // Its name without the @ stands for all instances, which have the rest.
        let names = said.instances.names();
        let names = names.iter().map(|instance| ServiceName::new(format!("{}{instance}", layout.name).as_bytes()));
        match names.collect::<Result<Vec<ServiceName>, _>>() {
            Ok(contents) => said.kind = rc::Kind::Bundle { contents },
            Err(error) => {
                problems.push(Problem::fatal(&layout.main, format!("has instances without a name: {error}")));
                return broken(problems);
            }
        }
        said.relations.clear();
        said.conditions = None;
        said.wait_for.clear();
    }
    let (timer, conditions) = (said.timer, said.conditions);
    let rare = Rare { timer, conditions, wait_for: said.wait_for, wait_timeout: said.wait_timeout, ..Rare::NONE };
    let source = Source {
        timeout_up: said.timeout_up,
        timeout_down: said.timeout_down,
        relations: said.relations,
        facts: Some(Box::new(said.facts)),
        ..Source::new(said.kind, if said.start { Start::Always } else { Start::Asked }, rare)
    };
    let outcome = match said.program {
        Some(_) | None if is_template => Outcome::Template(said.instances),
        None => Outcome::Name,
        Some(program) => Outcome::Ready(Box::new(Definition {
            name: name.as_str().into(),
            dir: layout.base.as_os_str().as_bytes().to_vec(),
            program,
            output: Output::Keeper,
            down: false,
            essential: said.essential,
            managed: Some(Wish::Down),
            settings: said.settings,
        })),
    };
    Reading { outcome, problems, logger: None, source: Some(source) }
}

/// What to say of a directory that has had no `run` for too long.
pub fn missing_run(dir: &Path) -> Problem {
    if let Some(problem) = rc::missing_type(dir) {
        return problem;
    }
    if dir.join(servicefile::DROP_INS).is_dir() {
        let message = format!("does not exist, and {} is merged over it: write it", servicefile::DROP_INS);
        return Problem::fatal(dir.join(FILE), message);
    }
    let message = "does not exist: write a script that begins with #!/bin/sh and make it executable (chmod +x), \
                   or a service.toml, or remove the directory";
    Problem::fatal(dir.join("run"), message.into())
}

/// Whether the directory is there and can be looked into. Asked first, so that one closed door is one problem.
fn entrance(dir: &Path) -> Result<bool, Problem> {
    match look(dir) {
        Look::Absent => Ok(false),
        Look::Trouble(trouble) => Err(Problem::fatal(dir, trouble.message())),
        Look::Here(metadata) if !metadata.is_dir() => {
            let message = format!("is {}, and a service is a directory: put a directory there", look::kind(&metadata));
            Err(Problem::fatal(dir, message))
        }
        // Naming the directory's own dot needs the right to search it.
        Look::Here(_) => match std::fs::metadata(dir.join(".")) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let (what, cure) = look::closed_door(&crate::user::who(), dir, "read");
                Err(Problem::fatal(dir, format!("{what}: {cure}")))
            }
            Ok(_) | Err(_) => Ok(true),
        },
    }
}

fn inside(
    dir: &Folder,
    name: &ServiceName,
    previous: Option<&Definition>,
    problems: &mut Vec<Problem>,
) -> (Outcome, Option<PathBuf>) {
    let logger = logger(dir, name, problems);
    let run = classic::check_run(dir, problems);
    if run == Run::Absent {
        return (Outcome::Incomplete, logger);
    }
    classic::check_finish(dir, problems);
    let mut settings = classic::settings(dir, previous.map(|definition| &definition.settings), problems);
    let essential = classic::essential(dir, previous.and_then(|definition| definition.essential), problems);
    settings.essential = essential.is_some();
    classic::check_descriptors(dir, &settings, problems);
    let mut flag = |file: &str, before: Option<bool>| classic::flag(dir, file, before.unwrap_or(false), problems);
    let definition = Definition {
        name: name.as_str().into(),
        dir: dir.as_os_str().as_bytes().to_vec(),
        program: Program::Directory,
        output: if logger.is_some() { Output::Logger } else { Output::Keeper },
        down: flag("down", previous.map(|definition| definition.down)),
        managed: None,
        essential,
        settings,
    };
    let broken = problems.iter().any(|problem| problem.fatal);
    (if broken { Outcome::Broken } else { Outcome::Ready(Box::new(definition)) }, logger)
}

/// The logger's directory. A logger has no logger: what is in `log/log` is nobody's service, as in s6.
fn logger(dir: &Folder, name: &ServiceName, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    if name.producer().is_some() {
        return None;
    }
    let path = dir.join("log");
    match dir.look("log") {
        Look::Absent => None,
        Look::Here(metadata) if metadata.is_dir() => Some(path),
        Look::Here(metadata) => {
            let kind = look::kind(&metadata);
            let message = format!(
                "is {kind}, and a logger is a directory with a run script: \
                 the output goes to svc-log; make it a directory, or remove {}",
                shown(&path)
            );
            problems.push(Problem::warning(&path, message));
            None
        }
        Look::Trouble(trouble) => {
            problems.push(Problem::warning(&path, format!("{} (until then the output goes to svc-log)", trouble.message())));
            None
        }
    }
}
