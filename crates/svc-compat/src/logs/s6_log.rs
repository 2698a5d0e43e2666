//! s6-log: what its options and its script mean.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use svc_core::Millis;

use crate::command::{Call, Command, Failure, Opt, Outcome};

use super::archives::Most;
use super::engine::{self, Engine, OnHangup, Plan};
use super::input::Input;
use super::logdir::{Family, Logdir, Settings};
use super::pattern::Pattern;
use super::processor::Processor;
use super::script::{Action, Changes, Kind, Script, Selection, Step, Target};
use super::sinks::{Sinks, Status};
use super::stamp::{Scale, Stamps, Style};

pub(super) const COMMAND: Command = Command {
    name: "s6-log",
    about: "write lines to rotated files, or pass them on",
    operands: "DIRECTIVE...",
    options: &[
        Opt::flag('q', "say fatal errors only"),
        Opt::flag('v', "say more"),
        Opt::flag('b', "read nothing while something waits to be written: the service waits too"),
        Opt::flag('p', "do not end at SIGTERM"),
        Opt::with('l', "BYTES", "longer lines become several; 0: never (default 8192, at least 48)"),
        Opt::with('d', "FD", "write a newline to this descriptor when ready"),
        Opt::with('t', "MS", "wait so long for the end of the last line; 0: for ever (default 2000)"),
    ],
    notes: NOTES,
    codes: &[],
    run,
};

const NOTES: &str = "\
The script is a row of directives. Selections: +REGEX and -REGEX (POSIX extended), f (lines with which nothing was done yet).
Actions: DIR (begins with . or /), 1 (standard output), 2 (an alert on standard error), =FILE (holds the last line). For the
actions behind them: nN finished files are kept, sN bytes a file has at most, SN bytes all finished files have at most, lN bytes
before the limit a file is full, rN ms between tries, RN seconds after which a file is full, EN bytes of an alert, ^N bytes of a
status file, pPREFIX, !EXECLINE or ?SHELL to process finished files; t and T (stamps) for the next action only.

A line that stands in a pipe is taken out when it has been written: a logger that is killed loses none. Without stamps,
prefixes or selections into one directory, none is written twice either; otherwise those of one read may be. No file is larger
than sN unless one line is. Without -b at most 64 MiB wait in memory, then the service waits.

SIGALRM finishes all current files. SIGTERM and SIGHUP end it after the line that has begun.";

/// The shortest limit on lines.
const LEAST_LIMIT: usize = 48;
const SIZES: (u64, u64) = (4096, 268_435_455);

fn run(call: &Call) -> Outcome {
    if call.operands.is_empty() {
        return Err(Failure::usage("the logging script is missing"));
    }
    let limit = match call.number::<usize>('l')?.unwrap_or(8192) {
        0 => usize::MAX,
        limit => limit.max(LEAST_LIMIT),
    };
    let notify = call.number::<i32>('d')?;
    if let Some(fd) = notify {
        if fd < 3 {
            return Err(Failure::usage("the notification descriptor must be 3 or more"));
        }
        if !svc_sys::fd::is_open(fd) {
            return Err(Failure::usage(format!("the notification descriptor {fd} is not open")));
        }
    }
    let patience = match call.number::<u64>('t')?.unwrap_or(2000) {
        0 => None,
        milliseconds => Some(Millis(milliseconds)),
    };
    let quiet = call.count('q') > call.count('v');
    let parsed = parse(&call.operands, quiet)?;
    if parsed.ignored && !quiet {
        call.warn("directives behind the last action do nothing");
    }
    let plan = Plan {
        program: COMMAND.name,
        quiet,
        script: parsed.script,
        changes: Changes::default(),
        stamps: Stamps::new(Scale::S6, Style::Local),
        line_limit: limit,
        nul_ends: true,
        blocking: call.has('b'),
        protected: call.has('p'),
        on_hangup: OnHangup::End,
        patience,
        notify,
    };
    start(plan, parsed.dirs, parsed.statuses)
}

/// Opens everything, and logs until the end.
pub(super) fn start(plan: Plan, dirs: Vec<Settings>, statuses: Vec<Status>) -> Outcome {
    let signals = engine::take_signals().map_err(|error| Failure::system(format!("unable to take signals: {error}")))?;
    let now = svc_sys::clock::now();
    let open = |settings| Logdir::open(settings, now).map_err(Failure::system);
    let dirs = dirs.into_iter().map(open).collect::<Result<Vec<Logdir>, Failure>>()?;
    let sinks = Sinks { dirs, stdout: None, alerts: Vec::new(), statuses, remotes: Vec::new() };
    let unable = |error| Failure::system(format!("unable to read standard input: {error}"));
    let input = Input::open().map_err(unable)?;
    Engine::new(plan, sinks, input, signals).map_err(unable)?.run();
    Ok(0)
}

/// A script that has been understood.
pub(super) struct Parsed {
    pub(super) script: Script,
    pub(super) dirs: Vec<Settings>,
    pub(super) statuses: Vec<Status>,
    /// Something stands behind the last action.
    pub(super) ignored: bool,
}

/// What holds for the actions that follow.
struct Scope {
    settings: Settings,
    status_size: usize,
    alert_size: usize,
    prefix: Vec<u8>,
    stamp: bool,
    human: bool,
}

impl Scope {
    fn new(quiet: bool) -> Scope {
        let settings = Settings {
            path: PathBuf::new(),
            family: Family::S6,
            size: 99_999,
            tolerance: 2000,
            most: Most { files: 10, bytes: u64::MAX },
            least: None,
            period: None,
            retry: Millis(2000),
            processor: None,
            program: COMMAND.name,
            quiet,
        };
        Scope { settings, status_size: 1001, alert_size: 200, prefix: Vec::new(), stamp: false, human: false }
    }

    /// An action, with the stamps that were asked for this one only.
    fn action(&mut self, target: Target) -> Action {
        Action {
            stamp: std::mem::take(&mut self.stamp),
            human: std::mem::take(&mut self.human),
            prefix: self.prefix.clone(),
            target,
        }
    }
}

fn parse(words: &[OsString], quiet: bool) -> Result<Parsed, Failure> {
    let mut scope = Scope::new(quiet);
    let mut parsed = Parsed { script: Script { steps: Vec::new() }, dirs: Vec::new(), statuses: Vec::new(), ignored: false };
    let (mut selections, mut actions) = (Vec::new(), Vec::new());
    for word in words {
        let bytes = word.as_bytes();
        let Some((first, rest)) = bytes.split_first() else { return Err(syntax(word)) };
        let bare = || if rest.is_empty() { Ok(()) } else { Err(syntax(word)) };
        if let b'+' | b'-' | b'f' = first {
            if !actions.is_empty() {
                let step = Step { selections: std::mem::take(&mut selections), actions: std::mem::take(&mut actions) };
                parsed.script.steps.push(step);
            }
            let kind = match first {
                b'f' => bare().map(|()| Kind::Rest)?,
                b'+' => Kind::Select(pattern(word, rest)?),
                _ => Kind::Deselect(pattern(word, rest)?),
            };
            selections.push(Selection { kind, looks_at: usize::MAX, with_stamp: false });
            continue;
        }
        let target = match first {
            b'1' => bare().map(|()| Target::Stdout)?,
            b'2' => {
                bare()?;
                let most = (scope.alert_size > 0).then_some(scope.alert_size);
                Target::Alert { before: b"s6-log: alert: ", most, cut_from: 3 }
            }
            b'=' if !rest.is_empty() => {
                let path = OsString::from_vec(rest.to_vec()).into();
                parsed.statuses.push(Status { path, size: scope.status_size, line: None });
                Target::Status { index: parsed.statuses.len() - 1, most: usize::MAX }
            }
            b'.' | b'/' => {
                parsed.dirs.push(Settings { path: word.into(), ..scope.settings.clone() });
                Target::Dir(parsed.dirs.len() - 1)
            }
            _ => {
                control(&mut scope, word, *first, rest)?;
                continue;
            }
        };
        actions.push(scope.action(target));
    }
    if !actions.is_empty() {
        parsed.script.steps.push(Step { selections, actions });
    } else if parsed.script.steps.is_empty() {
        return Err(Failure::usage("the script has no action: name a directory, 1, 2 or =FILE"));
    } else {
        parsed.ignored = true;
    }
    Ok(parsed)
}

/// A directive that holds for what follows.
fn control(scope: &mut Scope, word: &OsStr, first: u8, rest: &[u8]) -> Result<(), Failure> {
    let settings = &mut scope.settings;
    match first {
        b'n' => settings.most.files = number(word, rest)?,
        b's' => settings.size = number::<u64>(word, rest)?.clamp(SIZES.0, SIZES.1),
        b'S' => {
            settings.most.bytes = match number(word, rest)? {
                0 => u64::MAX,
                bytes => bytes,
            }
        }
        b'l' => {
            settings.tolerance = number(word, rest)?;
            if settings.tolerance > settings.size / 2 {
                let size = settings.size;
                return Err(Failure::usage(format!("{}: more than half of the size of a file (s{size})", word.display())));
            }
        }
        b'r' => settings.retry = Millis(number(word, rest)?),
        b'R' => {
            settings.period = match number(word, rest)? {
                0 => None,
                seconds => Some(Millis::from_secs(seconds)),
            }
        }
        b'E' => scope.alert_size = number(word, rest)?,
        b'^' => scope.status_size = number(word, rest)?,
        b'p' if rest.is_empty() => scope.prefix.clear(),
        b'p' => scope.prefix = [rest, b" "].concat(),
        b'!' => settings.processor = (!rest.is_empty()).then(|| Processor::Execline(OsString::from_vec(rest.to_vec()))),
        b'?' => settings.processor = (!rest.is_empty()).then(|| Processor::Shell(OsString::from_vec(rest.to_vec()))),
        b't' if rest.is_empty() => scope.stamp = true,
        b'T' if rest.is_empty() => scope.human = true,
        _ => return Err(syntax(word)),
    }
    Ok(())
}

fn pattern(word: &OsStr, text: &[u8]) -> Result<Pattern, Failure> {
    Pattern::expression(text).map_err(|error| Failure::usage(format!("{}: no regular expression: {error}", word.display())))
}

fn number<T: FromStr>(word: &OsStr, digits: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Failure::usage(format!("{}: a number must follow the letter", word.display())))
}

fn syntax(word: &OsStr) -> Failure {
    Failure::usage(format!("unrecognized directive: {}: `s6-log --help` lists them", word.display()))
}
