//! `s6-rc-compile`, `s6-rc-init`, `s6-rc-update`: there is nothing to compile, so they check and explain.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use svc_core::ServiceName;
use svc_ctl::ask;
use svc_def::{Entry, Image, Kind, Outcome as Read, Source};
use svc_proto::api::{Done, Version};
use svc_sys::exit;
use svc_sys::signals::told_by_an_error;

use crate::command::{Call, Failure, Outcome};

/// Something is wrong with the sources.
const WRONG: u8 = 1;
/// Where s6-rc-compile leaves the names of the source directories.
const LIST: &str = "sources";
const COMPILED: &str = "/etc/s6-rc/compiled";

pub(super) fn compile(call: &Call) -> Outcome {
    let dest = Path::new(call.operand(0, "the directory to make")?);
    let sources: Vec<PathBuf> = call.operands[1..].iter().map(PathBuf::from).collect();
    if sources.is_empty() {
        return Err(Failure::usage("a source directory is missing"));
    }
    let image = Image::new(Path::new("/"), |name| crate::find(name).is_some());
    let mut found: BTreeMap<ServiceName, Source> = BTreeMap::new();
    let mut wrong = 0;
    for dir in &sources {
        let entries = fs::read_dir(dir).map_err(|error| Failure::system(format!("{}: {error}", dir.display())))?;
        for entry in entries.flatten() {
            let Some(Entry::Service { name, .. }) = svc_def::entry(dir, &entry.file_name()) else { continue };
            let reading = svc_def::read_in(&image, &dir.join(entry.file_name()), &name);
            for problem in &reading.problems {
                wrong += u32::from(problem.fatal);
                call.warn(problem);
            }
            match (reading.outcome, reading.source) {
                (Read::Ready(_) | Read::Name, Some(source)) => {
                    if found.insert(name.clone(), source).is_some() {
                        wrong += 1;
                        call.warn(format!("{name} is defined twice: remove or rename one of the two"));
                    }
                }
                (Read::Incomplete, _) => {
                    wrong += 1;
                    call.warn(svc_def::missing_run(&dir.join(name.as_str())));
                }
                (Read::Ready(_) | Read::Name | Read::Template(_) | Read::Broken, _) => {}
            }
        }
    }
    for (name, source) in &found {
        let contents = if let Kind::Bundle { contents } = &source.kind { contents.as_slice() } else { &[] };
        let named = source.dependencies.iter().chain(contents).chain(&source.producer_for).chain(&source.consumer_for);
        for unknown in named.filter(|other| !found.contains_key(*other)) {
            wrong += 1;
            call.warn(format!("{name} names {unknown}, which does not exist: define it, or remove the name"));
        }
    }
    if wrong > 0 {
        return Err(Failure::with_code(WRONG, format!("{wrong} things are wrong with the sources")));
    }
    let failed = |error: std::io::Error| Failure::system(format!("{}: {error}", dest.display()));
    fs::create_dir(dest).map_err(failed)?;
    let mut list = String::new();
    for dir in &sources {
        list += &format!("{}\n", fs::canonicalize(dir).map_err(failed)?.display());
    }
    fs::write(dest.join(LIST), list).map_err(failed)?;
    Ok(exit::DONE)
}

pub(super) fn init(call: &Call) -> Outcome {
    call.operand(0, "the scan directory")?;
    let compiled = call.value('c').map_or_else(|| PathBuf::from(COMPILED), PathBuf::from);
    let list = compiled.join(LIST);
    let list = fs::read_to_string(&list).map_err(|error| {
        Failure::system(format!("{}: {error}: make it with s6-rc-compile {} SOURCE...", list.display(), compiled.display()))
    })?;
    let version: Version = told_by_an_error(|| ask::get("/v1/version"))
        .map_err(|unanswered| Failure::with_code(unanswered.code, unanswered.message))?;
    let known: Vec<PathBuf> =
        version.scan_dirs.iter().map(|dir| fs::canonicalize(dir).unwrap_or_else(|_| dir.into())).collect();
    let missing: Vec<&str> = list.lines().filter(|dir| !known.iter().any(|known| known == Path::new(dir))).collect();
    if missing.is_empty() {
        return Ok(exit::DONE);
    }
    let message = format!(
        "svc does not look into {0}: start it with them, as in svc-scan {1} {0}",
        missing.join(" "),
        version.scan_dirs.join(" ")
    );
    Err(Failure::system(message))
}

pub(super) fn update(_call: &Call) -> Outcome {
    let done: Result<Done, _> = told_by_an_error(|| ask::post("/v1/rescan", &(), None));
    done.map_err(|unanswered| Failure::with_code(unanswered.code, unanswered.message))?;
    Ok(exit::DONE)
}
