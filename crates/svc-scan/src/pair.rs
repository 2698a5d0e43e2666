//! A service directory and its logger, read together: they start together, or not at all.

use std::path::Path;

use svc_core::{Definition, ServiceName};
use svc_def::{Identity, Outcome, Problem};

/// What both say.
pub(crate) struct Pair {
    pub(crate) definition: Definition,
    pub(crate) logger: Option<(Definition, Identity)>,
    pub(crate) warnings: Vec<Problem>,
}

/// Reads both, or says what keeps them from running.
pub(crate) fn read(name: &ServiceName, path: &Path) -> Result<Pair, String> {
    let reading = svc_def::read(path, name, None);
    let definition = complete(reading.outcome, &reading.problems, path)?;
    let mut warnings = reading.problems;
    let logger = match reading.logger {
        None => None,
        Some(log) => {
            let reading = svc_def::read(&log, &name.logger(), None);
            let definition = complete(reading.outcome, &reading.problems, &log)?;
            warnings.extend(reading.problems);
            let identity = svc_def::identity(&log).ok_or_else(|| format!("{}: vanished", svc_def::shown(&log)))?;
            Some((definition, identity))
        }
    };
    Ok(Pair { definition, logger, warnings })
}

/// What keeps one directory from being executed, as it is now.
pub(crate) fn fault(name: &ServiceName, path: &Path) -> Option<String> {
    let reading = svc_def::read(path, name, None);
    complete(reading.outcome, &reading.problems, path).err()
}

fn complete(outcome: Outcome, problems: &[Problem], path: &Path) -> Result<Definition, String> {
    match outcome {
        Outcome::Ready(definition) => Ok(*definition),
        Outcome::Incomplete => Err(svc_def::missing_run(path).to_string()),
        Outcome::Broken => {
            let fatal: Vec<String> = problems.iter().filter(|problem| problem.fatal).map(ToString::to_string).collect();
            Err(fatal.join("; "))
        }
    }
}
