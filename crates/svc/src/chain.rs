//! `svc exec`: changes what a process has, and executes a program in its place.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;
use svc_compat::settle::{self, Limit, User};
use svc_core::definition::Language;
use svc_sys::{Errno, exit, fd};

use crate::computed::Computed;
use crate::prepare::{self, Preparations, Taken};
use crate::{once, probe, script};

const USAGE: &str = "\
Usage: svc exec [OPTION...] [--] PROGRAM [ARGUMENT...]

Executes PROGRAM with something changed.

Options:
      --lock FD        wait until this process holds the exclusive lock of the open file FD
      --arg0 NAME      what PROGRAM is told that it is called
  -C, --directory DIR  change to DIR
  -e, --env NAME=VALUE set a variable (several times); NAME alone removes it
      --env-file FILE  set the variables of FILE, NAME=VALUE a line (several times)
  -u, --umask MASK     set the mask for new files (octal)
      --nice N         be nicer by N (-20 to 19), less nice if it is negative
      --limit NAME=SOFT[:HARD]
                       set a limit of setrlimit(2), such as nofile=1024:4096 or core=unlimited
      --user USER      become USER: NAME, UID, NAME:GROUP or UID:GID
      --groups LIST    the other groups of USER, names or numbers with commas between them
      --home           set HOME, USER, LOGNAME and SHELL as USER has them
      --env-command NAME MS N WORD...
                     set a variable to what the command of N words prints, as USER, within MS milliseconds
{prepare}      --script         PROGRAM is a script, run by what its first line names whether or not it is executable
      --execline       PROGRAM is a script in execline
      --once MARKER    do nothing if the file MARKER is there; make it when PROGRAM has ended with 0
      --dry-run        print how files and volumes would change, and execute nothing
      --render         make the files of templates, print which have changed, and execute nothing
      --probe          PROGRAM and its arguments are those of svc probe
      --env-pid NAME   set a variable to the number of this process, which PROGRAM keeps
  -h, --help           this text

Options are carried out in their order, but files, limits and user last.

Exit codes: that of PROGRAM; 100 usage, 111 system, 126 PROGRAM cannot be executed, 127 there is none.
";

fn usage() -> String {
    USAGE.replace("{prepare}", prepare::USAGE)
}

pub fn main(arguments: Vec<OsString>) -> u8 {
    match prepare(arguments) {
        Ok(None) => {
            print!("{}", usage());
            exit::DONE
        }
        Ok(Some(Plan::Execute(command))) => execute(command),
        Ok(Some(Plan::Print(text))) => {
            print!("{text}");
            exit::DONE
        }
        Err(Failure::Usage(error)) => {
            eprintln!("svc exec: {error}\n\n{}", usage());
            exit::USAGE
        }
        Err(Failure::System(what)) => {
            eprintln!("svc exec: {what}");
            exit::SYSTEM
        }
    }
}

enum Plan {
    Execute(Command),
    Print(String),
}

/// What to execute, and under which name.
struct Command {
    command: Vec<OsString>,
    called: Option<OsString>,
    way: Way,
}

/// What is done in place of executing anything.
enum Only {
    DryRun,
    Render,
}

/// How it is executed.
enum Way {
    Program,
    Script(Language),
    /// As `svc probe`, here and now.
    Probe,
    /// As a child, and this file is made when that ends with 0.
    Once(PathBuf),
}

enum Failure {
    Usage(String),
    System(String),
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Failure {
        Failure::Usage(error.to_string())
    }
}

/// What is done when everything else has been: it may take away the means for the rest.
#[derive(Default)]
struct Last {
    limits: Vec<Limit>,
    user: Option<OsString>,
    groups: Option<OsString>,
    home: bool,
    uid: Option<u32>,
    gid: Option<u32>,
    computed: Vec<Computed>,
    preparations: Preparations,
}

impl Last {
    fn user(&self) -> Result<Option<User>, String> {
        let mut user = self.user.as_deref().map(User::find).transpose()?;
        if self.uid.is_some() || self.gid.is_some() {
            user.as_mut().ok_or("--uid and --gid need --user")?.renumber(self.uid, self.gid);
        }
        Ok(user)
    }

    fn carry_out(self) -> Result<(), String> {
        let user = self.user()?;
        let groups = self.groups.as_deref().map(settle::groups).transpose()?;
        if self.home {
            let user = user.as_ref().ok_or("--home needs --user")?;
            user.variables()?.into_iter().for_each(svc_sys::environment::change);
        }
        self.preparations.carry_out(user.as_ref())?;
        self.limits.into_iter().try_for_each(Limit::set)?;
        if user.is_some() || groups.is_some() {
            settle::become_user(user, groups)?;
        }
        self.computed.into_iter().try_for_each(Computed::set)
    }
}

/// Changes what can be changed; the program's words are left.
fn prepare(arguments: Vec<OsString>) -> Result<Option<Plan>, Failure> {
    let mut parser = lexopt::Parser::from_args(arguments.into_iter().skip(1));
    let (mut command, mut called, mut way, mut last) = (Vec::new(), None, Way::Program, Last::default());
    let mut only = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("lock") => lock(parser.value()?.parse()?)?,
            Long("script") => way = Way::Script(Language::FirstLine),
            Long("execline") => way = Way::Script(Language::Execline),
            Long("probe") => way = Way::Probe,
            Long("env-pid") => {
                let mut variable = parser.value()?;
                variable.push(format!("={}", svc_sys::process::id()));
                svc_sys::environment::change(variable);
            }
            Long("arg0") => called = Some(parser.value()?),
            Short('C') | Long("directory") => {
                let dir: PathBuf = parser.value()?.into();
                std::env::set_current_dir(&dir).map_err(|error| Failure::System(format!("{}: {error}", dir.display())))?;
            }
            Short('e') | Long("env") => svc_sys::environment::change(parser.value()?),
            Short('u') | Long("umask") => {
                let text = parser.value()?.string()?;
                let mask = u32::from_str_radix(&text, 8).ok().filter(|mask| *mask <= 0o777);
                svc_sys::user::set_umask(
                    mask.ok_or_else(|| Failure::Usage(format!("{text}: a mask is octal, such as 022")))?,
                );
            }
            Long("env-file") => variables(Path::new(&parser.value()?)).map_err(Failure::System)?,
            Long("nice") => {
                let increment: i32 = parser.value()?.parse()?;
                let failed = |errno| Failure::System(format!("cannot be nicer by {increment}: {errno}{}", nice_cure(errno)));
                svc_sys::process::renice(increment).map_err(failed)?;
            }
            Long("limit") => last.limits.push(Limit::parse(&parser.value()?.string()?).map_err(Failure::Usage)?),
            Long("user") => last.user = Some(parser.value()?),
            Long("groups") => last.groups = Some(parser.value()?),
            Long("env-command") => last.computed.push(Computed::parse(&mut parser)?),
            Long("home") => last.home = true,
            Long("once") => {
                let marker = PathBuf::from(parser.value()?);
                way = Way::Once(std::path::absolute(&marker).unwrap_or(marker));
            }
            Long("uid") => last.uid = Some(parser.value()?.parse()?),
            Long("gid") => last.gid = Some(parser.value()?.parse()?),
            Long("dry-run") => only = Some(Only::DryRun),
            Long("render") => only = Some(Only::Render),
            Value(program) => {
                command.push(program);
                command.extend(parser.raw_args()?);
            }
            Long(name) => {
                let name = name.to_owned();
                let value = || parser.value().and_then(|value| value.string()).map_err(|error| error.to_string());
                match last.preparations.take(&name, value).map_err(Failure::System)? {
                    Taken::Done => {}
                    Taken::Unknown => return Err(Failure::Usage(format!("there is no option --{name}"))),
                }
            }
            Short(_) => return Err(argument.unexpected().into()),
        }
    }
    if let Some(only) = only {
        let user = last.user().map_err(Failure::System)?;
        let text = match only {
            Only::DryRun => last.preparations.dry_run(user.as_ref()),
            Only::Render => last.preparations.render(),
        };
        return text.map(|text| Some(Plan::Print(text))).map_err(Failure::System);
    }
    if command.is_empty() {
        return Err(Failure::Usage("what to execute is missing".into()));
    }
    if let Way::Once(marker) = &way
        && marker.exists()
    {
        return Ok(Some(Plan::Print(format!("svc exec: done before, as {} says\n", marker.display()))));
    }
    last.carry_out().map_err(Failure::System)?;
    Ok(Some(Plan::Execute(Command { command, called, way })))
}

fn nice_cure(errno: Errno) -> &'static str {
    if errno == Errno::NOT_ALLOWED { ": only root with CAP_SYS_NICE may be less nice" } else { "" }
}

/// Sets the variables of a file: `NAME=VALUE` a line, taken as it is; empty lines and those that begin with # are nobody's.
fn variables(file: &Path) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        let name_ends = line.iter().position(|&byte| byte == b'=').filter(|&end| end > 0);
        if name_ends.is_none() || line.contains(&0) {
            return Err(format!("{}:{}: a line is NAME=VALUE", file.display(), number + 1));
        }
        svc_sys::environment::change(OsStr::from_bytes(line).to_owned());
    }
    Ok(())
}

/// Waits for the lock. It belongs to the open file, so everybody who inherits the descriptor holds it.
fn lock(number: i32) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure::System(format!("cannot lock descriptor {number}: {errno}"));
    if fd::try_lock(number).map_err(failed)? {
        return Ok(());
    }
    eprintln!("svc exec: another instance holds the lock: waiting until it has ended");
    fd::lock(number).map_err(failed)
}

fn execute(plan: Command) -> u8 {
    if let Way::Once(marker) = &plan.way {
        return once::run(marker, &plan.command);
    }
    let mut words = plan.command.into_iter();
    let program = words.next().unwrap_or_default();
    let called = plan.called.unwrap_or_else(|| program.clone());
    let name = program.clone();
    svc_sys::signals::reset();
    match plan.way {
        Way::Program | Way::Once(_) => {}
        Way::Script(language) => return script::run(language, program, words.collect()),
        Way::Probe => return probe::main(["svc".into(), program].into_iter().chain(words).collect()),
    }
    let error = std::process::Command::new(program).arg0(called).args(words).exec();
    let shown = CString::new(name.into_vec()).unwrap_or_default();
    eprintln!("svc exec: {}: {error}", shown.to_string_lossy());
    if error.kind() == std::io::ErrorKind::NotFound { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE }
}
