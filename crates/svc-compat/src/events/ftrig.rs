//! s6-ftrig-wait, s6-ftrig-listen1 and s6-ftrig-listen: until the events of a fifodir are as a regular expression says.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use svc_core::Millis;
use svc_sys::regex::Regex;
use svc_sys::{clock, exit, poll};

use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::process::spawn;
use crate::servicedir::fifodir::Listener;
use crate::servicedir::{block, deadline};

const TIMEOUT: Opt = Opt::with('t', "MS", "give up after so many milliseconds").long("timeout");

const NOTES: &str = "\
REGEX is an extended regular expression of POSIX. It is looked for in all events that came since the beginning, one byte each.

What is printed is this whole row, as in s6 2.15 (2.11 prints its last byte only).";

pub(super) const WAIT: Command = Command {
    name: "s6-ftrig-wait",
    about: "wait until the events of a fifodir match, and print them",
    operands: "FIFODIR REGEX",
    options: &[TIMEOUT],
    notes: NOTES,
    codes: &[(99, "the time is over")],
    run: wait,
};

pub(super) const LISTEN1: Command = Command {
    name: "s6-ftrig-listen1",
    about: "run a program, wait until the events of a fifodir match, and print them",
    operands: "FIFODIR REGEX PROG...",
    options: &[TIMEOUT],
    notes: NOTES,
    codes: &[(1, "the time is over")],
    run: listen1,
};

pub(super) const LISTEN: Command = Command {
    name: "s6-ftrig-listen",
    about: "run a program, and wait until the events of fifodirs match",
    operands: "FIFODIR REGEX... \"\" PROG...",
    options: &[Opt::flag('a', "all of them (the default)").long("and"), Opt::flag('o', "one of them").long("or"), TIMEOUT],
    notes: "REGEX is an extended regular expression of POSIX, looked for in all events of its fifodir since the beginning.",
    codes: &[(1, "the time is over")],
    run: listen,
};

fn wait(call: &Call) -> Outcome {
    let deadline = deadline(call, 't')?;
    let mut expected = Expected::new(call.operand(0, "the fifodir")?, call.operand(1, "the regular expression")?)?;
    while !expected.look()? {
        pause([&expected], deadline, exit::TIMED_OUT)?;
    }
    print(&expected)
}

fn listen1(call: &Call) -> Outcome {
    let (deadline, program) = (deadline(call, 't')?, call.program(2)?);
    let mut expected = Expected::new(call.operand(0, "the fifodir")?, call.operand(1, "the regular expression")?)?;
    spawn::start(program)?;
    while !expected.look()? {
        pause([&expected], deadline, exit::FAILED)?;
    }
    print(&expected)
}

fn listen(call: &Call) -> Outcome {
    let deadline = deadline(call, 't')?;
    let (words, program) = block::split(&call.operands)?;
    if words.is_empty() || words.len() % 2 != 0 {
        return Err(Failure::usage("there must be a regular expression for each fifodir"));
    }
    let one_will_do = call.last(&['a', 'o']) == Some('o');
    let mut open: Vec<Expected> =
        words.chunks_exact(2).map(|pair| Expected::new(&pair[0], &pair[1])).collect::<Result<_, _>>()?;
    spawn::start(program)?;
    loop {
        let before = open.len();
        let mut rest = Vec::new();
        for mut expected in open {
            if !expected.look()? {
                rest.push(expected);
            }
        }
        if rest.is_empty() || (one_will_do && rest.len() < before) {
            return Ok(exit::DONE);
        }
        pause(&rest, deadline, exit::FAILED)?;
        open = rest;
    }
}

/// Events that somebody waits for.
struct Expected {
    name: String,
    listener: Listener,
    regex: Regex,
    /// All that came.
    events: Vec<u8>,
}

impl Expected {
    fn new(fifodir: &OsStr, regex: &OsStr) -> Result<Expected, Failure> {
        let regex = Regex::new(regex.as_bytes())
            .map_err(|why| Failure::usage(format!("'{}' is no regular expression: {why}", regex.display())))?;
        let name = fifodir.display().to_string();
        let listener = Listener::new(Path::new(fifodir))
            .map_err(|error| Failure::system(format!("unable to listen to the events of {name}: {error}")))?;
        Ok(Expected { name, listener, regex, events: Vec::new() })
    }

    /// Takes in what has come, and says whether it is what was waited for.
    fn look(&mut self) -> Result<bool, Failure> {
        let events = self.listener.read();
        let events =
            events.map_err(|error| Failure::system(format!("unable to read the events of {}: {error}", self.name)))?;
        if events.is_empty() {
            return Ok(false);
        }
        self.events.extend(events);
        Ok(self.regex.is_match(&self.events))
    }
}

/// Waits until something comes.
fn pause<'a>(
    expected: impl IntoIterator<Item = &'a Expected>,
    deadline: Option<Millis>,
    too_late: u8,
) -> Result<(), Failure> {
    let now = clock::now();
    if deadline.is_some_and(|deadline| deadline <= now) {
        return Err(Failure::with_code(too_late, "timed out waiting for the expected events"));
    }
    let interests = expected.into_iter().map(|expected| poll::readable(expected.listener.as_raw_fd()));
    poll::wait(&mut interests.collect::<Vec<_>>(), now, deadline);
    Ok(())
}

fn print(expected: &Expected) -> Outcome {
    println!("{}", OsStr::from_bytes(&expected.events).display());
    Ok(exit::DONE)
}
