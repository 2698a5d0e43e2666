//! s6-usertree-maker: the directory of a service that is the scanner of a user's own services.

use std::ffi::OsStr;
use std::path::Path;

use svc_sys::exit;

use super::instance_maker::{FILES, LOG_USER, Names, PREFIX, SIZE, STAMPS, TOTAL, logger, make_pair, quote};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const COMMAND: Command = Command {
    name: "s6-usertree-maker",
    about: "make the directory of a service that runs the services of a user",
    operands: "USER LOGDIR DIR",
    options: &[
        Opt::with('d', "SCANDIR", "the user's scan directory (default: ${HOME}/service)"),
        Opt::with('p', "PATH", "the PATH of the services (default: /usr/bin:/bin)"),
        Opt::with('E', "ENVDIR", "set variables as the files of this directory say, as s6-envdir does"),
        Opt::with(
            'e',
            "VARIABLE",
            "of these variables, ${HOME} and its like in the value stand for what they are; may be repeated",
        ),
        LOG_USER,
        STAMPS,
        FILES,
        SIZE,
        TOTAL,
        PREFIX,
        Opt::with('r', "NAMES", "make source directories of s6-rc in DIR: SERVICE/LOGGER[/PIPELINE]"),
    ],
    notes: "\
The service in DIR becomes USER, with no other variables than USER, HOME, UID, GID, GIDLIST, PATH and those of ENVDIR, and scans \
SCANDIR; its logger writes to LOGDIR. SCANDIR, PATH, and the values of the variables that are named with -e, may contain ${USER}, \
${HOME}, ${UID}, ${GID} and ${GIDLIST}. The run file is one of a shell that gives a script to execlineb; both find their programs \
in PATH.",
    codes: &[],
    run,
};

fn run(call: &Call) -> Outcome {
    let text = |letter, or: &'static str| call.value(letter).map_or(or.into(), OsStr::to_string_lossy);
    let user = call.operand(0, "the user")?.to_string_lossy();
    let logs = call.operand(1, "the directory of the logs")?.to_string_lossy();
    let dir = Path::new(call.operand(2, "the directory to make")?);
    let scan_dir = text('d', "${HOME}/service");
    if !logs.starts_with('/') {
        return Err(Failure::usage("the directory of the logs must be an absolute path"));
    }
    if !scan_dir.starts_with('/') && !scan_dir.starts_with("${HOME}/") {
        return Err(Failure::usage("the value of -d must be an absolute path, or begin with ${HOME}/"));
    }
    let names = call.value('r').map(|value| Names::parse(value.to_str().unwrap_or_default())).transpose()?;
    if names.as_ref().is_some_and(|names| names.logger.is_none()) {
        return Err(Failure::usage("-r takes SERVICE/LOGGER or SERVICE/LOGGER/PIPELINE"));
    }
    let named = call.given.iter().filter(|given| given.letter == 'e').map(|given| given.value.to_string_lossy());
    let variables: Vec<String> = named.map(|name| name.into_owned()).collect();
    if let Some(bad) = variables.iter().find(|name| name.is_empty() || name.contains(['=', '{', '}'])) {
        return Err(Failure::usage(format!("'{bad}' is no name for a variable")));
    }
    let env_dir = call.value('E').map(OsStr::to_string_lossy);
    let script = script(&user, &scan_dir, &text('p', "/usr/bin:/bin"), env_dir.as_deref(), &variables);
    let service = format!("#!/bin/sh -e\nexec execlineb -Pc {}\n", quote(&script));
    make_pair(dir, &service, Some(&logger(call, &logs)?), names.as_ref())?;
    Ok(exit::DONE)
}

/// What execlineb is to do. s6-svscan need not be in the user's PATH: a command of ours is found without.
fn script(user: &str, scan_dir: &str, path: &str, env_dir: Option<&str>, variables: &[String]) -> String {
    let user = word(user);
    let mut lines = format!(
        "fdmove -c 2 1\nemptyenv -p\nexport USER {user}\ns6-envuidgid -i -- {user}\ns6-applyuidgid -U --\n\
         backtick -in HOME {{ homeof {user} }}\n"
    );
    if let Some(dir) = env_dir {
        lines += &format!("s6-envdir -i -- {}\n", word(dir));
    }
    // What their values contain is substituted next, with that of the other words.
    if !variables.is_empty() {
        let each = variables.iter().map(|name| format!(" importas -D \"\" -- {0} {0}", word(name)));
        lines += &format!("multisubstitute {{{} }}\n", each.collect::<String>());
    }
    let ids = ["USER", "HOME", "UID", "GID", "GIDLIST"].map(|name| format!(" importas -i {name} {name}"));
    lines += &format!("multisubstitute {{{} }}\n", ids.concat());
    lines.extend(variables.iter().map(|name| format!("export {} \"${{{name}}}\"\n", word(name))));
    lines + &format!("export PATH {}\ns6-svscan -d3 -- {}", word(path), word(scan_dir))
}

/// A word as execline takes it.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
