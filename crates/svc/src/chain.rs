//! `svc exec`: changes what a process has, and executes a program in its place.

mod capabilities;
mod cgroup;
mod here;
mod last;
mod lock;
mod paths;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;
use svc_compat::settle::{Limit, User};
use svc_core::definition::Language;
use svc_core::{priority, rights};
use svc_sys::seccomp::{PROFILES, Profile};
use svc_sys::{Errno, exit};

use crate::computed::Computed;
use crate::prepare::{self, Taken};
use crate::said::say;
use crate::{bounded, launch, once, probe, said, script, setup};
use capabilities::List;
use last::Last;

const USAGE: &str = "\
Usage: svc exec [OPTION...] [--] PROGRAM [ARGUMENT...]

Executes PROGRAM with something changed.

Options:
      --bounded        end PROGRAM and all that it has started with standard input (the first of all options)
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
      --home           set HOME, USER, LOGNAME and SHELL as the USER before it has them
      --env-command NAME MS N WORD...
                     set a variable to what the command of N words prints, as USER, within MS milliseconds
      --chroot DIR     make DIR the root; PROGRAM and --directory are then looked for in it
      --ionice CLASS[:LEVEL]
                       input and output as none, idle, best-effort:LEVEL or realtime:LEVEL (0 to 7)
      --scheduler POLICY[:PRIORITY]
                       run as other, batch, idle, fifo:PRIORITY or rr:PRIORITY (1 to 99)
      --cpus LIST      run on these processors only, such as 0-3,5
      --oom-score-adjust N
                       be killed later (down to -1000) or sooner (up to 1000) when memory is out
      --bounding LIST  keep only these capabilities, with commas between them: NAME, all, -NAME
      --ambient LIST   have these capabilities also as a USER who is not root
      --no-new-privileges
                       gain nothing by executing set-user-ID programs, or files with capabilities
      --landlock ACCESS:PATH
                       leave only these paths open: read:PATH, write:PATH, exec:PATH (several times)
      --landlock-version N
                       fail where Landlock of the kernel is older than this
      --seccomp NAME   filter system calls by a profile: default, no-namespaces
      --cgroup NAME    run in a cgroup of version 2 for the service NAME
      --cgroup-set FILE=VALUE
                       write into a file of this cgroup, such as memory.max=64M (several times)
      --cgroup-delegate
                       let the user make others below this cgroup
      --optional LIST  go on where one of these is refused: capabilities, cgroup, cpu-affinity, ionice,
                       landlock, limits, nice, oom-score-adjust, scheduler, seccomp
{prepare}      --script         PROGRAM is a script, run by what its first line names whether or not it is executable
      --execline       PROGRAM is a script in execline
      --once MARKER    do nothing if the file MARKER is there; make it when PROGRAM has ended with 0
      --dry-run        print how files and volumes would change, and execute nothing
      --render         make the files of templates and distributions, print which have changed, and execute nothing
      --here           print which of all this can be done here, and why not; execute nothing
      --try            do all that, and execute nothing
      --setup NAME     run ./setup first, with what /private/NAME/vars and ./vars say, unless PROGRAM
                       calls it itself
      --probe          PROGRAM and its arguments are those of svc probe
      --launch FD      write a byte to FD before PROGRAM is executed, and another one if that fails; the exec closes FD
      --env-pid NAME   set a variable to the number of this process, which PROGRAM keeps
  -h, --help           this text

The options from --lock to --umask are carried out in their order, and then all others, in an order that works.

Exit codes: that of PROGRAM; 100 usage, 111 system, 126 PROGRAM cannot be executed, 127 there is none.
";

fn usage() -> String {
    USAGE.replace("{prepare}", prepare::USAGE)
}

pub fn main(arguments: Vec<OsString>) -> u8 {
    hide_values(&arguments);
    if arguments.get(1).is_some_and(|word| word == "--bounded") {
        return bounded::run(&arguments[2..]);
    }
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
            // In a log, again and again: the whole of it would hide what is wrong.
            say(format_args!("{error} (svc exec --help has all options)"));
            exit::USAGE
        }
        Err(Failure::System(what)) => {
            what.lines().for_each(|line| say(format_args!("{line}")));
            exit::SYSTEM
        }
    }
}

/// Takes the values of variables out of what `ps` shows: everybody may look there, and into an environment only its user.
fn hide_values(arguments: &[OsString]) {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (mut hides, mut words) = (false, vec![b"svc".to_vec(), b"exec".to_vec()]);
    for (at, word) in arguments.iter().enumerate().skip(1) {
        let word = word.as_bytes();
        let is_value = at < end && matches!(arguments[at - 1].as_bytes(), b"--env" | b"-e");
        match word.iter().position(|&byte| byte == b'=').filter(|_| is_value) {
            Some(equals) => {
                hides = true;
                words.push([&word[..=equals], b"..."].concat());
            }
            None => words.push(word.to_vec()),
        }
    }
    if hides {
        svc_sys::title::prepare();
        svc_sys::title::set(&words.iter().map(Vec::as_slice).collect::<Vec<_>>(), b"svc");
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
    /// Only some paths are open.
    closed: bool,
    way: Way,
}

/// What is done in place of executing anything.
enum Only {
    DryRun,
    Try,
    Here,
    Render,
}

/// How it is executed.
enum Way {
    Program,
    Script(Language),
    /// Behind the `setup` of the service of this name.
    Setup(String),
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

/// Changes what can be changed; the program's words are left.
fn prepare(arguments: Vec<OsString>) -> Result<Option<Plan>, Failure> {
    let mut parser = lexopt::Parser::from_args(arguments.into_iter().skip(1));
    let (mut command, mut called, mut way, mut last) = (Vec::new(), None, Way::Program, Last::default());
    let mut only = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("lock") => lock::take(number(&mut parser, "--lock", "an open file")?)?,
            Long("launch") => launch::tell(number(&mut parser, "--launch", "an open file")?),
            Long("script") => way = Way::Script(Language::FirstLine),
            Long("execline") => way = Way::Script(Language::Execline),
            Long("setup") => way = Way::Setup(parser.value()?.string()?),
            Long("probe") => way = Way::Probe,
            Long("env-pid") => {
                let mut variable = parser.value()?;
                variable.push(format!("={}", svc_sys::process::id()));
                svc_sys::environment::change(variable);
            }
            Long("arg0") => called = Some(parser.value()?),
            Short('C') | Long("directory") => {
                let dir: PathBuf = parser.value()?.into();
                if last.root.is_none() {
                    std::env::set_current_dir(&dir).map_err(|error| {
                        Failure::System(format!("cannot go to the directory {}: {error}", dir.display()))
                    })?;
                }
                last.directory = Some(dir);
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
            Long("nice") => last.nice = Some(number(&mut parser, "--nice", "-20 to 19")?),
            Long("limit") => last.limits.push(Limit::parse(&parser.value()?.string()?).map_err(Failure::Usage)?),
            Long("user") => last.user = Some(User::find(&parser.value()?).map_err(Failure::System)?),
            Long("groups") => last.groups = Some(parser.value()?),
            Long("env-command") => last.computed.push(Computed::parse(&mut parser)?),
            Long("home") => {
                let user = last.user.as_ref().ok_or_else(|| Failure::Usage("--home needs --user before it".into()))?;
                user.variables().map_err(Failure::System)?.into_iter().for_each(svc_sys::environment::change);
            }
            Long("chroot") => last.root = Some(parser.value()?.into()),
            Long("ionice") => last.io = Some(read(&mut parser, priority::io, "a class is idle or best-effort:4")?),
            Long("scheduler") => {
                last.policy =
                    Some(read(&mut parser, priority::policy, "a scheduler is other, batch, idle, fifo:N or rr:N")?);
            }
            Long("cpus") => last.cpus = Some(read(&mut parser, priority::cpus, "processors are numbers, such as 0-3,5")?),
            Long("oom-score-adjust") => {
                let score = |text: &str| text.parse().ok().filter(|score| (-1000..=1000).contains(score));
                last.oom_score = Some(read(&mut parser, score, "a score is -1000 to 1000")?);
            }
            Long("bounding") => last.capabilities.bounding = Some(list(&mut parser)?),
            Long("ambient") => last.capabilities.ambient = Some(list(&mut parser)?),
            Long("no-new-privileges") => last.no_new_privileges = true,
            Long("landlock") => last.paths.add(&parser.value()?.string()?).map_err(Failure::Usage)?,
            Long("landlock-version") => last.paths.least = Some(number(&mut parser, "--landlock-version", "such as 4")?),
            Long("seccomp") => {
                let known: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
                let cure = format!("the profiles are {}", known.join(" and "));
                last.profile = Some(read(&mut parser, Profile::find, &cure)?);
            }
            Long("cgroup") => {
                let is_name = |name: &&str| svc_core::ServiceName::parse(name).is_ok() && !name.contains('/');
                let name = |text: &str| Some(text).filter(is_name).map(str::to_owned);
                last.cgroup.name = Some(read(&mut parser, name, "a cgroup has the name of a service")?);
            }
            Long("cgroup-delegate") => last.cgroup.delegate = true,
            Long("cgroup-set") => last.cgroup.set(&parser.value()?.string()?).map_err(Failure::Usage)?,
            Long("optional") => last.optional = optional_steps(&parser.value()?.string()?).map_err(Failure::Usage)?,
            Long("once") => {
                let marker = PathBuf::from(parser.value()?);
                way = Way::Once(std::path::absolute(&marker).unwrap_or(marker));
            }
            Long("uid") => last.uid = Some(id(&mut parser, "--uid")?),
            Long("gid") => last.gid = Some(id(&mut parser, "--gid")?),
            Long("try") => only = Some(Only::Try),
            Long("here") => only = Some(Only::Here),
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
        let text = match only {
            Only::DryRun => last.user().and_then(|user| last.preparations.dry_run(user.as_ref())),
            Only::Render => last.user().and_then(|user| last.preparations.render(user.as_ref())),
            Only::Try => last.carry_out().map(|()| String::new()),
            Only::Here => Ok(here::table()),
        };
        return text.map(|text| Some(Plan::Print(text))).map_err(Failure::System);
    }
    if command.is_empty() {
        return Err(Failure::Usage("what to execute is missing".into()));
    }
    if let Way::Once(marker) = &way
        && marker.exists()
    {
        if marker.is_dir() {
            return Err(Failure::System(format!("{}: is a directory: name a file in it as the marker", marker.display())));
        }
        launch::is_done();
        return Ok(Some(Plan::Print(said::line(format_args!("done before, as {} says", marker.display())))));
    }
    let closed = !last.paths.open.is_empty();
    last.carry_out().map_err(Failure::System)?;
    Ok(Some(Plan::Execute(Command { command, called, closed, way })))
}

/// A value that `read` understands.
fn read<T>(parser: &mut lexopt::Parser, read: impl Fn(&str) -> Option<T>, cure: &str) -> Result<T, Failure> {
    let text = parser.value()?.string()?;
    read(&text).ok_or_else(|| Failure::Usage(format!("{text}: {cure}")))
}

fn number<N: std::str::FromStr>(parser: &mut lexopt::Parser, option: &str, range: &str) -> Result<N, Failure> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|_| Failure::Usage(format!("{option} is a number, {range}, and not \"{text}\"")))
}

/// A number of a user or group. The highest one means nobody, to the kernel too.
fn id(parser: &mut lexopt::Parser, option: &str) -> Result<u32, Failure> {
    let range = "0 to 4294967294";
    let id = number(parser, option, range)?;
    if id == u32::MAX { Err(Failure::Usage(format!("{option} is a number, {range}, and not {id}"))) } else { Ok(id) }
}

fn list(parser: &mut lexopt::Parser) -> Result<List, Failure> {
    List::parse(parser.value()?.string()?).map_err(Failure::Usage)
}

fn optional_steps(text: &str) -> Result<Vec<&'static str>, String> {
    let known = |word: &str| rights::OPTIONAL.into_iter().find(|known| *known == word);
    let words = text.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| known(word).ok_or_else(|| format!("{word}: what may be optional is {}", rights::OPTIONAL.join(", "))))
        .collect()
}

/// Sets the variables of a file: `NAME=VALUE` a line; empty lines and those that begin with # are nobody's. What a shell would read
/// too is the same here, as far as nothing is expanded: `export` in front, and quotes around the whole value.
fn variables(file: &Path) -> Result<(), String> {
    // Relative to the service directory, and no reader of a log knows which.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let bytes = svc_prepare::variables::of_file(&file)?;
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let name_ends = line.iter().position(|&byte| byte == b'=');
        let name = line.get(..name_ends.unwrap_or(0)).filter(|name| !name.is_empty() && !name.contains(&b' '));
        let (Some(name), false) = (name, line.contains(&0)) else {
            return Err(format!(
                "{}:{}: a line is NAME=VALUE, with no space before the =, and # begins a comment only at its start",
                file.display(),
                number + 1
            ));
        };
        let value = match &line[name.len() + 1..] {
            [quote @ (b'"' | b'\''), inner @ .., end] if quote == end => inner,
            value => value,
        };
        svc_sys::environment::change(OsStr::from_bytes(&[name, b"=", value].concat()).to_owned());
    }
    Ok(())
}

fn execute(mut plan: Command) -> u8 {
    if let Way::Setup(service) = &plan.way {
        plan.command = setup::in_front(service, plan.command);
        plan.way = Way::Program;
    }
    if let Way::Once(marker) = &plan.way {
        return once::run(marker, &plan.command);
    }
    let mut words = plan.command.into_iter();
    let program = words.next().unwrap_or_default();
    let called = plan.called.unwrap_or_else(|| program.clone());
    match plan.way {
        Way::Program | Way::Once(_) | Way::Setup(_) => launch::executes(),
        Way::Script(language) => {
            svc_sys::signals::reset();
            return script::run(language, program, words.collect());
        }
        Way::Probe => return probe::main(["svc".into(), program].into_iter().chain(words).collect()),
    }
    svc_sys::signals::reset();
    let words: Vec<OsString> = [called].into_iter().chain(words).collect();
    let errno = svc_sys::exe::find_and_replace(&program, std::env::var_os("PATH").as_deref(), &words);
    let why = if errno == Errno::NOT_ALLOWED && plan.closed {
        let shown = Path::new(&program).display();
        format!(
            "{shown}: {errno}: landlock leaves it open only if it is below a path of exec, and what it needs to begin (its \
             interpreter, libraries) too"
        )
    } else {
        svc_def::explain_exec(Path::new(&program), errno.0)
    };
    say(format_args!("{why}"));
    launch::failed();
    if errno == Errno::NOT_FOUND { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE }
}
