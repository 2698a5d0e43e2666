//! A service directory and its logger, read together: they start together, or not at all.

use std::path::Path;

use svc_core::ServiceName;
use svc_def::{Identity, Instances, Outcome, Problem, Reading, Source};

use crate::held::Held;

/// What both say.
pub(crate) struct Pair {
    /// None for a name without a process.
    pub(crate) definition: Option<Held>,
    pub(crate) logger: Option<(Held, Identity)>,
    /// What it says of others.
    pub(crate) source: Option<Source>,
    pub(crate) warnings: Vec<Problem>,
    /// Of a template.
    pub(crate) instances: Option<Instances>,
}

/// Reads both, or says what keeps them from running.
pub(crate) fn read(name: &ServiceName, path: &Path) -> Result<Pair, String> {
    of(svc_def::read(path, name, None), name, path)
}

/// The same, where the service itself has been read.
pub(crate) fn of(reading: Reading, name: &ServiceName, path: &Path) -> Result<Pair, String> {
    let source = reading.source;
    let instances = match &reading.outcome {
        Outcome::Template(instances) => Some(instances.clone()),
        Outcome::Ready(_) | Outcome::Name | Outcome::Incomplete | Outcome::Broken => None,
    };
    let definition = complete(reading.outcome, &reading.problems, path)?;
    let mut warnings = reading.problems;
    let logger = match reading.logger {
        None => None,
        Some(log) => {
            let reading = svc_def::read(&log, &name.logger(), None);
            let definition = complete(reading.outcome, &reading.problems, &log)?;
            let definition = definition.ok_or_else(|| format!("{}: a logger must run", svc_def::shown(&log)))?;
            warnings.extend(reading.problems);
            let identity = svc_def::identity(&log).ok_or_else(|| format!("{}: vanished", svc_def::shown(&log)))?;
            Some((definition, identity))
        }
    };
    Ok(Pair { definition, logger, source, warnings, instances })
}

/// What keeps one directory from being executed, as it is now.
pub(crate) fn fault(name: &ServiceName, path: &Path) -> Option<String> {
    let reading = svc_def::read(path, name, None);
    complete(reading.outcome, &reading.problems, path).err()
}

fn complete(outcome: Outcome, problems: &[Problem], path: &Path) -> Result<Option<Held>, String> {
    match outcome {
        Outcome::Ready(definition) => Ok(Some(Held::new(&definition))),
        Outcome::Name | Outcome::Template(_) => Ok(None),
        Outcome::Incomplete => Err(svc_def::missing_run(path).to_string()),
        Outcome::Broken => Err(told(problems.iter().filter(|problem| problem.fatal)).unwrap_or_default()),
    }
}

/// All of them in one line, if there are any.
pub(crate) fn told<'a>(problems: impl Iterator<Item = &'a Problem>) -> Option<String> {
    let all: Vec<String> = problems.map(ToString::to_string).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
