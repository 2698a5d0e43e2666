//! s6-instance-maker: the directory of a service whose instances can be made while it runs.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use svc_sys::exit;

use super::instance::{copy_tree, make_folder};
use super::svlink::cannot;
use crate::command::{Call, Command, Failure, Opt, Outcome};

/// How a logger writes; the letters are those of s6-usertree-maker too.
pub(super) const STAMPS: Opt = Opt::with('t', "STAMPS", "0: none, 1: TAI64N (the default), 2: for people, 3: both");
pub(super) const FILES: Opt = Opt::with('n', "FILES", "how many old log files to keep (default 10)");
pub(super) const SIZE: Opt = Opt::with('s', "BYTES", "the size of a log file (default 1000000)");
pub(super) const TOTAL: Opt = Opt::with('S', "BYTES", "the size of all of them (default: no limit)");
pub(super) const PREFIX: Opt = Opt::with('P', "PREFIX", "what to put in front of each line");
pub(super) const LOG_USER: Opt = Opt::with('l', "USER", "who runs the logger");

pub(super) const COMMAND: Command = Command {
    name: "s6-instance-maker",
    about: "make the directory of a service of which instances can be made",
    operands: "TEMPLATE DIR",
    options: &[
        Opt::with('c', "MAX", "how many instances there may be (default 500)"),
        Opt::with('u', "USER", "who runs the instances"),
        LOG_USER,
        Opt::with('L', "LOGDIR", "log to this directory: an absolute path"),
        STAMPS,
        FILES,
        SIZE,
        TOTAL,
        PREFIX,
        Opt::with('r', "NAMES", "make source directories of s6-rc in DIR: SERVICE[/LOGGER[/PIPELINE]]"),
    ],
    notes: "\
TEMPLATE is a service directory; it is copied. The service in DIR is a scanner on its folder instance/, which says that it is \
ready; s6-instance-create copies the template there. Its run file is a shell script that finds its programs in PATH.",
    codes: &[],
    run,
};

fn run(call: &Call) -> Outcome {
    let template = Path::new(call.operand(0, "the template")?);
    let dir = Path::new(call.operand(1, "the directory to make")?);
    let plan = Plan::from(call)?;
    let names = plan.names.as_ref();
    let service = make_pair(dir, &plan.service, plan.logger.as_deref(), names)?;
    if names.is_none() {
        make_folder(&service.join("instance"))?;
        make_folder(&service.join("instances"))?;
    }
    let copy = service.join("template");
    copy_tree(template, &copy).map_err(|error| cannot("copy the template to", &copy, &error))?;
    Ok(exit::DONE)
}

/// A service and its logger: a service directory with `log/`, or, with names, two source directories of s6-rc in `dir`. Returns
/// the directory of the service.
pub(super) fn make_pair(
    dir: &Path,
    service: &str,
    logger: Option<&str>,
    names: Option<&Names<'_>>,
) -> Result<PathBuf, Failure> {
    let Some(names) = names else {
        make(dir, service, true)?;
        if let Some(logger) = logger {
            make(&dir.join("log"), logger, true)?;
        }
        return Ok(dir.to_owned());
    };
    make_folder(dir)?;
    let place = dir.join(names.service);
    make(&place, service, false)?;
    write(&place.join("type"), "longrun\n")?;
    if let (Some(name), Some(logger)) = (names.logger, logger) {
        write(&place.join("producer-for"), &format!("{name}\n"))?;
        let place = dir.join(name);
        make(&place, logger, false)?;
        write(&place.join("type"), "longrun\n")?;
        write(&place.join("consumer-for"), &format!("{}\n", names.service))?;
        if let Some(pipeline) = names.pipeline {
            write(&place.join("pipeline-name"), &format!("{pipeline}\n"))?;
        }
    }
    Ok(place)
}

/// The scripts to write, and where.
struct Plan<'a> {
    service: String,
    logger: Option<String>,
    names: Option<Names<'a>>,
}

/// Names of s6-rc.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a> {
    service: &'a str,
    pub(super) logger: Option<&'a str>,
    pipeline: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Names<'a>, Failure> {
        let words: Vec<&str> = text.split('/').collect();
        if words.len() > 3 || words.iter().any(|word| word.is_empty() || word.contains('\n')) {
            return Err(Failure::usage("-r takes SERVICE, SERVICE/LOGGER or SERVICE/LOGGER/PIPELINE"));
        }
        let word = |index: usize| words.get(index).copied();
        Ok(Names { service: words[0], logger: word(1), pipeline: word(2) })
    }
}

impl Plan<'_> {
    fn from(call: &Call) -> Result<Plan<'_>, Failure> {
        let text = |letter: char| call.value(letter).map(OsStr::to_string_lossy);
        let names = call.value('r').map(|value| Names::parse(value.to_str().unwrap_or_default())).transpose()?;
        let log_dir = text('L');
        if log_dir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
            return Err(Failure::usage("the directory of -L must be an absolute path"));
        }
        if let Some(names) = &names {
            match (names.logger, &log_dir) {
                (Some(_), None) => return Err(Failure::usage("-r names a logger, but there is no -L")),
                (None, Some(_)) => return Err(Failure::usage("there is -L, but -r names no logger")),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let mut most = call.number::<u32>('c')?.unwrap_or(500).clamp(1, 90_000);
        if log_dir.is_some() && names.is_none() {
            // The scanner counts loggers too.
            most *= 2;
        }
        let user = text('u').filter(|user| !user.is_empty());
        let service =
            format!("#!/bin/sh -e\nexec 2>&1\nexec {}s6-svscan -d3 -C{most} -- instance\n", as_user(user.as_deref()));
        let logger = match log_dir {
            None => None,
            Some(dir) => Some(logger(call, &dir)?),
        };
        Ok(Plan { service, logger, names })
    }
}

fn as_user(user: Option<&str>) -> String {
    user.map_or_else(String::new, |user| format!("s6-setuidgid {} ", quote(user)))
}

/// The script of a logger.
pub(super) fn logger(call: &Call, dir: &str) -> Result<String, Failure> {
    let user = call.value('l').map(OsStr::to_string_lossy);
    Ok(format!("#!/bin/sh -e\nexec {}s6-log -bd3 -- {}{}\n", as_user(user.as_deref()), log_words(call)?, quote(dir)))
}

/// The script of s6-log up to its directory.
fn log_words(call: &Call) -> Result<String, Failure> {
    let stamps: u8 = call.number('t')?.unwrap_or(1);
    let mut words = match stamps {
        0 => String::new(),
        1 => "t ".into(),
        2 => "T ".into(),
        3 => "t T ".into(),
        _ => return Err(Failure::usage("-t takes 0, 1, 2 or 3")),
    };
    let files: u32 = call.number('n')?.unwrap_or(10);
    let size: u64 = call.number('s')?.unwrap_or(1_000_000);
    words += &format!("n{files} s{size} ");
    if let Some(all) = call.number::<u64>('S')?.filter(|&all| all > 0) {
        words += &format!("S{all} ");
    }
    if let Some(prefix) = call.value('P') {
        words += &quote(&format!("p{}", prefix.to_string_lossy()));
        words.push(' ');
    }
    Ok(words)
}

/// A word as a shell takes it.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A new directory with a run file, and readiness on descriptor 3.
fn make(dir: &Path, script: &str, executable: bool) -> Result<(), Failure> {
    if dir.exists() {
        return Err(Failure::system(format!("{} exists already", dir.display())));
    }
    make_folder(dir)?;
    write(&dir.join("notification-fd"), "3\n")?;
    let run = dir.join("run");
    write(&run, script)?;
    if executable {
        fs::set_permissions(&run, Permissions::from_mode(0o755)).map_err(|error| cannot("make", &run, &error))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| cannot("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_s6_rc() {
        assert_eq!(Names::parse("a").ok(), Some(Names { service: "a", logger: None, pipeline: None }));
        assert_eq!(Names::parse("a/b/c").ok(), Some(Names { service: "a", logger: Some("b"), pipeline: Some("c") }));
        for bad in ["", "/b", "a/", "a//c", "a/b/c/d"] {
            assert!(Names::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quote("it's $HOME"), "'it'\\''s $HOME'");
    }
}
