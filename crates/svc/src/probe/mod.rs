//! `svc probe`: whether something answers, as a program. It says so once, or waits until it does, or goes beside a program that
//! it executes and tells on a descriptor when that is ready.
//!
//! It is what a readiness or health check of a service is: a child of the service's supervisor, behind `svc exec` with the user
//! and the environment of the service. Nothing of it runs in a supervisor.

mod beside;
mod command;
mod http;
mod relay;
mod target;
mod waiting;

use std::ffi::OsString;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use svc_sys::{exit, process};

use target::Target;
use waiting::Patience;

const USAGE: &str = "\
Usage: svc probe [OPTION...] KIND TARGET
       svc probe [OPTION...] --notify FD KIND TARGET -- PROGRAM [ARGUMENT...]

Looks whether something answers. It prints one line, on standard error if it does not.

Kinds:
  tcp HOST:PORT     a connection can be made (:PORT is on this machine)
  http URL          a GET is answered with the right status; http://HOST:PORT/PATH
  unix PATH         a connection can be made to this Unix socket
  file PATH         it exists
  dns NAME          the name has an address
  exec PROGRAM [ARGUMENT...]
                    it ends with 0
  log REGEX         a line of PROGRAM's output matches (extended regular expression; with --notify only)

Options:
      --wait           wait until it answers
      --timeout SPAN   give up after SPAN, such as 5s or 500ms (default 10s; with --wait or --notify for ever)
      --interval SPAN  with --wait or --notify: try again after SPAN at the latest, sooner in the beginning (default 1s)
      --attempt SPAN   so long may one attempt last (default 5s)
      --status LIST    http: these are right, such as 200,204,300-399 (default 200-399)
      --header NAME:VALUE
                       http: send this header (several times)
      --body REGEX     http: the body must match
      --fresh          file: it is made or changed from now on
      --words N        exec: the first N words behind it are the command
      --notify FD      execute PROGRAM at once, and write a newline to the descriptor FD when the probe succeeds
      --child          end when the parent ends
  -h, --help           this text

Exit codes: 0 it answers, 1 it does not, 99 not in time, 100 usage, 111 system; with --notify that of PROGRAM.
";

const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(5);

pub fn main(arguments: Vec<OsString>) -> u8 {
    match Plan::parse(arguments) {
        Ok(None) => {
            print!("{USAGE}");
            exit::DONE
        }
        Ok(Some(plan)) => plan.carry_out(),
        Err(error) => {
            eprintln!("svc probe: {error}\n\n{USAGE}");
            exit::USAGE
        }
    }
}

/// What is asked, and how.
struct Plan {
    target: Target,
    wait: bool,
    child: bool,
    timeout: Option<Duration>,
    interval: Duration,
    attempt: Duration,
    /// The descriptor to tell, and the program to execute.
    notify: Option<(i32, Vec<OsString>)>,
}

impl Plan {
    fn parse(arguments: Vec<OsString>) -> Result<Option<Plan>, lexopt::Error> {
        let mut parser = lexopt::Parser::from_args(arguments.into_iter().skip(1));
        let mut plan = Plan {
            target: Target::Nothing,
            wait: false,
            child: false,
            timeout: None,
            interval: INTERVAL,
            attempt: ATTEMPT,
            notify: None,
        };
        let mut details = target::Details::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("wait") => plan.wait = true,
                Long("child") => plan.child = true,
                Long("timeout") => plan.timeout = Some(span(parser.value()?)?),
                Long("interval") => plan.interval = span(parser.value()?)?,
                Long("attempt") => plan.attempt = span(parser.value()?)?,
                Long("status") => details.question.set_status(&parser.value()?.string()?)?,
                Long("header") => details.question.add_header(&parser.value()?.string()?)?,
                Long("body") => details.question.set_body(&parser.value()?.string()?)?,
                Long("fresh") => details.fresh = true,
                Long("words") => details.words = Some(parser.value()?.parse()?),
                Long("notify") => plan.notify = Some((parser.value()?.parse()?, Vec::new())),
                Value(kind) => {
                    let rest: Vec<OsString> = parser.raw_args()?.collect();
                    let (target, program) = details.target(&kind.string()?, rest, plan.notify.is_some())?;
                    plan.target = target;
                    if let Some((_, place)) = &mut plan.notify {
                        *place = program;
                    }
                    return Ok(Some(plan));
                }
                Short(_) | Long(_) => return Err(argument.unexpected()),
            }
        }
        Err("what to look for is missing: svc probe tcp HOST:PORT, for example".into())
    }

    fn carry_out(self) -> u8 {
        let Plan { target, wait, child, timeout, interval, attempt, notify } = self;
        if let Some((number, program)) = notify {
            return beside::run(number, target, Patience { interval, attempt, until: None, beside: None }, program);
        }
        if child {
            process::die_with_parent();
            // Whoever reads what we write has ended before we could be told.
            if svc_sys::fd::has_no_reader(1) {
                return exit::SYSTEM;
            }
        }
        let timeout = timeout.or((!wait).then_some(TIMEOUT));
        let until = timeout.map(|span| Instant::now() + span);
        // The attempts keep to the time themselves; the look-up of a name is beyond their reach. Beside a command no thread may live:
        // it could be the one that is sent the signal of its end.
        let guarded = timeout.filter(|_| !matches!(target, Target::Command(_)));
        let _guard = guarded.map(|span| Guard::new(span + Duration::from_millis(100), target.to_string()));
        let attempt = timeout.map_or(attempt, |span| span.min(if wait { attempt } else { span }));
        let result = if wait {
            let patience = Patience { interval, attempt, until, beside: None };
            waiting::wait(&target, &patience)
        } else {
            target.attempt(attempt).map_err(waiting::Missed::No)
        };
        match result {
            Ok(said) => {
                println!("{said}");
                exit::DONE
            }
            Err(waiting::Missed::No(why)) => {
                eprintln!("{why}");
                exit::FAILED
            }
            Err(waiting::Missed::TimedOut(why)) => {
                eprintln!("{why}");
                exit::TIMED_OUT
            }
        }
    }
}

fn span(text: OsString) -> Result<Duration, lexopt::Error> {
    Ok(svc_ctl::span::parse(&text.string()?)?)
}

/// Ends this process when time is up, unless it is dropped before.
struct Guard {
    _end: mpsc::Sender<()>,
}

impl Guard {
    fn new(span: Duration, what: String) -> Guard {
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(span) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{what}: no answer in time");
                process::exit_now(exit::TIMED_OUT);
            }
        });
        Guard { _end: end }
    }
}
