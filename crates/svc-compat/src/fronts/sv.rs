//! runit's sv, on services of ours and of s6.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use svc_core::Millis;
use svc_proto::s6::{Stamp, Status};
use svc_sys::{clock, poll};

use super::line;
use super::sv_verbs::{Goal, Verb};
use crate::command::{Call, Command, Failure, Opt, Outcome, number};
use crate::servicedir::fifodir::Listener;
use crate::servicedir::stamp_now;
use crate::servicedir::supervise::{self, SUPERVISE};

pub(super) const COMMAND: Command = Command {
    name: "sv",
    about: "steer and look at services, in the manner of runit",
    operands: "COMMAND SERVICE...",
    options: &[
        Opt::flag('v', "wait up to 7 seconds until the command has had its effect, and say how it is"),
        Opt::with('w', "SECONDS", "the same, with another time than that of SVWAIT or 7"),
    ],
    notes: "\
COMMAND is status, up, down, once, pause, cont, hup, alarm, interrupt, quit, 1, 2, term, kill, exit (the first letter will do); \
or start, stop, restart, try-restart, reload, shutdown, check, which wait; or force-stop, force-restart, force-reload, \
force-shutdown, which send SIGKILL when the time is over.

SERVICE is a name in the directory of SVDIR (/etc/service), or a path, if it begins with a dot or a slash or ends with a slash. \
Where the service has an executable check, it must exit with 0 before start, restart and check are content.

restart sends the down-signal of the service, which is SIGTERM unless it says otherwise. There is no `got TERM` in a status: s6 \
does not keep it.",
    codes: &[(1, "a service was not reached, or not in time (more: so many services, at most 99)")],
    run,
};

const DEFAULT_DIR: &str = "/etc/service";
const DEFAULT_SECONDS: u64 = 7;
/// How long to wait before a check that said no is asked again, where nothing else happens.
const CHECK_AGAIN: Millis = Millis(420);

fn run(call: &Call) -> Outcome {
    let word = call.operand(0, "the command")?.to_string_lossy();
    let verb = Verb::parse(&word).ok_or_else(|| Failure::usage(format!("there is no command {word}")))?;
    let names = &call.operands[1..];
    if names.is_empty() {
        return Err(Failure::usage("no service is given"));
    }
    let wait = verb.waits || call.has('v') || call.has('w');
    let deadline = clock::now() + Millis::from_secs(seconds(call)?);
    let start = stamp_now();
    let mut failures = 0_usize;
    let mut services = Vec::new();
    for name in names {
        let mut service = Service::new(&name.to_string_lossy());
        match service.act(verb, wait && !verb.is_status) {
            Ok(()) => services.push(service),
            Err(Refused::Gone) if verb.goal == Goal::Gone && wait => println!("{}", service.gone()),
            Err(refused) => {
                println!("{}", refused.text(&service.name));
                failures += 1;
            }
        }
    }
    if wait && !verb.is_status {
        failures += wait_for(services, verb, start, deadline);
    }
    Ok(u8::try_from(failures.min(99)).unwrap_or(99))
}

fn seconds(call: &Call) -> Result<u64, Failure> {
    if let Some(seconds) = call.number('w')? {
        return Ok(seconds);
    }
    match std::env::var_os("SVWAIT") {
        Some(text) => number(&text, "SVWAIT"),
        None => Ok(DEFAULT_SECONDS),
    }
}

/// Why nothing could be done with a service.
enum Refused {
    NoDirectory(io::Error),
    Gone,
    Trouble(&'static str, io::Error),
}

impl Refused {
    fn text(&self, name: &str) -> String {
        match self {
            Refused::NoDirectory(error) => {
                format!("fail: {name}: unable to change to service directory: {}", runit_words(error))
            }
            Refused::Gone => format!("fail: {name}: runsv not running"),
            Refused::Trouble(what, error) => format!("warning: {name}: unable to {what}: {}", runit_words(error)),
        }
    }
}

/// The words of runit for the most frequent errors.
fn runit_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "file does not exist".into(),
        ErrorKind::PermissionDenied => "access denied".into(),
        ErrorKind::NotADirectory => "not a directory".into(),
        _ => error.to_string(),
    }
}

struct Service {
    /// As it was typed.
    name: String,
    dir: PathBuf,
    listener: Option<Listener>,
}

impl Service {
    fn new(name: &str) -> Service {
        let is_path = name.starts_with(['.', '/']) || name.ends_with('/');
        let root = std::env::var_os("SVDIR").unwrap_or_else(|| DEFAULT_DIR.into());
        let dir = if is_path { PathBuf::from(name) } else { Path::new(&root).join(name) };
        Service { name: name.to_owned(), dir, listener: None }
    }

    /// Listens, if somebody is going to wait, and does what the command says.
    fn act(&mut self, verb: Verb, listen: bool) -> Result<(), Refused> {
        std::fs::read_dir(&self.dir).map_err(Refused::NoDirectory)?;
        let status = status(&self.dir)?;
        if verb.is_status {
            println!("{}{}", line::runit(&self.name, &self.dir, &status), self.log());
            return Ok(());
        }
        if listen {
            let listener = Listener::new(&supervise::place(&self.dir).join("event"));
            self.listener = Some(listener.map_err(|error| Refused::Trouble("listen to event", error))?);
        }
        if verb.letters.is_empty() { Ok(()) } else { self.send(verb.letters) }
    }

    fn send(&self, letters: &[u8]) -> Result<(), Refused> {
        supervise::send(&self.dir, SUPERVISE, letters).map_err(|refusal| match refusal {
            supervise::Refusal::NotListening => Refused::Gone,
            supervise::Refusal::Odd(error) => Refused::Trouble("use supervise/control", error),
            supervise::Refusal::System(error) => Refused::Trouble("open supervise/control", error),
        })
    }

    /// What is said of its logger, if it has one.
    fn log(&self) -> String {
        let log = self.dir.join("log");
        if !log.is_dir() {
            return String::new();
        }
        match status(&log) {
            Ok(status) => format!("; {}", line::runit("log", &log, &status)),
            Err(refused) => format!("; {}", refused.text("log")),
        }
    }

    /// Whether its check agrees; so does one that is missing.
    fn check(&self) -> bool {
        let path = self.dir.join("check");
        if !path.exists() {
            return true;
        }
        let status = Process::new("./check").current_dir(&self.dir).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// What is said once its supervisor has gone, as was asked for.
    fn gone(&self) -> String {
        format!("ok: {}: runsv not running", self.name)
    }

    /// What became of the goal.
    fn look(&mut self, goal: Goal, start: Stamp) -> Look {
        // What happened is in the status as well; but who restarts a supervisor may be faster than we are.
        let events = self.listener.as_mut().map_or(Ok(Vec::new()), Listener::read).unwrap_or_default();
        if goal == Goal::Gone && events.contains(&b'x') {
            return Look::Over(Ok(self.gone()));
        }
        let status = match (status(&self.dir), goal) {
            (Ok(status), _) => status,
            (Err(Refused::Gone), Goal::Gone) => return Look::Over(Ok(self.gone())),
            (Err(refused), _) => return Look::Over(Err(refused.text(&self.name))),
        };
        let runs = status.pid != 0;
        let reached = match goal {
            Goal::Told => true,
            Goal::Down => !runs,
            Goal::Gone => false,
            Goal::Up if !status.is_up() => false,
            Goal::Checked if !runs => true,
            Goal::Renewed if !runs && !status.wanted_up => true,
            Goal::Renewed if !status.is_up() || status.changed < start => false,
            Goal::Once if runs => !status.wanted_up,
            Goal::Once => status.changed >= start,
            Goal::Up | Goal::Checked | Goal::Renewed => {
                if !self.check() {
                    return Look::Refused;
                }
                true
            }
        };
        if reached { Look::Over(Ok(format!("ok: {}", line::runit(&self.name, &self.dir, &status)))) } else { Look::NotYet }
    }
}

/// What was seen.
enum Look {
    /// It is as it shall be, or cannot be: this is what to print.
    Over(Result<String, String>),
    NotYet,
    /// Only its check does not agree.
    Refused,
}

/// Waits for all of them, and returns how many failed.
fn wait_for(mut services: Vec<Service>, verb: Verb, start: Stamp, deadline: Millis) -> usize {
    let mut failures = 0;
    loop {
        let (mut open, mut refused) = (Vec::new(), false);
        for mut service in services {
            match service.look(verb.goal, start) {
                Look::Over(Ok(text)) => println!("{text}"),
                Look::Over(Err(text)) => {
                    println!("{text}");
                    failures += 1;
                }
                Look::NotYet => open.push(service),
                Look::Refused => {
                    refused = true;
                    open.push(service);
                }
            }
        }
        let now = clock::now();
        if open.is_empty() {
            return failures;
        }
        if deadline <= now {
            open.iter().for_each(|service| give_up(service, verb));
            return failures + open.len();
        }
        let again = if refused { deadline.min(now + CHECK_AGAIN) } else { deadline };
        let listeners = open.iter().filter_map(|service| service.listener.as_ref());
        let mut interests: Vec<_> = listeners.map(|listener| poll::readable(listener.as_raw_fd())).collect();
        poll::wait(&mut interests, now, Some(again));
        services = open;
    }
}

/// The time is over.
fn give_up(service: &Service, verb: Verb) {
    if let Ok(status) = status(&service.dir) {
        let word = if verb.kills { "kill" } else { "timeout" };
        println!("{word}: {}", line::runit(&service.name, &service.dir, &status));
    }
    if verb.kills
        && let Err(refused) = service.send(b"k")
    {
        println!("{}", refused.text(&service.name));
    }
}

/// The status of a service that has a supervisor.
fn status(dir: &Path) -> Result<Status, Refused> {
    let supervised = supervise::is_supervised(dir).map_err(|error| Refused::Trouble("open supervise/lock", error))?;
    if !supervised {
        return Err(Refused::Gone);
    }
    supervise::status(dir).map_err(|error| Refused::Trouble("read supervise/status", error))
}
