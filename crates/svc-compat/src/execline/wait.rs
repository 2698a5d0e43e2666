//! wait: waits for children that commands before it have started.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;

use svc_core::{Exit, Millis, Pid, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::signals::Chosen;
use svc_sys::{clock, exit, poll};

use super::block::{Blocks, unquote};
use super::frame::decimal;
use super::program::{Changes, approximation, become_program};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const WAIT: Command = Command {
    name: "wait",
    about: "wait for children, then execute a program",
    operands: "{ PID... } PROG...",
    options: &[
        Opt::flag('I', "go on if they have not ended in time: the default").long("no-insist"),
        Opt::flag('i', "fail if they have not ended in time").long("insist"),
        Opt::flag('a', "wait for all of them: the default").long("all"),
        Opt::flag('o', "wait for one of them").long("one"),
        Opt::flag('r', "do not wait: only look who has ended").long("reap"),
        Opt::with('t', "MS", "wait that many milliseconds at most").long("timeout"),
    ],
    notes: "An empty block means all children. With -o PROG finds in the variable ! which one has ended, and in ? its exit code; \
            both are removed if none has.\n\nWithout a block the words are process ids, and the exit code is that of the last \
            one, as with a shell's wait.",
    codes: &[(99, "they have not ended in time, and -i was given"), (127, "without a block: there is no such child")],
    run: wait,
};

/// What waiting has found.
#[derive(Default)]
struct Found {
    /// With -o the first that ended, otherwise the last that was named.
    one: Option<(Pid, Exit)>,
    in_time: bool,
}

/// Whom to wait for, and how.
struct Plan {
    /// Empty: everybody.
    named: Vec<Pid>,
    just_one: bool,
    deadline: Option<Millis>,
}

fn wait(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let block = blocks.block_if_any()?;
    let words = block.as_deref().unwrap_or(&call.operands);
    let plan = Plan {
        named: words.iter().map(pid).collect::<Result<_, _>>()?,
        just_one: call.last(&['a', 'o']) == Some('o'),
        deadline: timeout(call)?.map(|timeout| clock::now() + timeout),
    };
    let found = plan.execute()?;
    if !found.in_time && call.last(&['i', 'I']) == Some('i') {
        return Err(Failure::with_code(exit::TIMED_OUT, "they have not ended in time"));
    }
    if block.is_none() {
        let nothing_named = plan.named.is_empty() && !plan.just_one && found.in_time;
        return Ok(match found.one {
            Some((_, end)) => approximation(end),
            None if nothing_named => exit::DONE,
            None => exit::NOT_FOUND,
        });
    }
    let mut changes = Changes::default();
    let (code, process) = (OsStr::new("?"), OsStr::new("!"));
    match (plan.just_one, found.one) {
        (false, _) => {}
        (true, Some((pid, end))) => {
            changes.set(code, OsStr::new(&approximation(end).to_string()));
            changes.set(process, OsStr::new(&pid.raw().to_string()));
        }
        (true, None) => {
            changes.unset(code);
            changes.unset(process);
        }
    }
    become_program(blocks.rest(), changes)
}

/// The time of -r and -t, whichever stands last.
fn timeout(call: &Call) -> Result<Option<Millis>, Failure> {
    match call.last(&['r', 't']) {
        Some('r') => Ok(Some(Millis::ZERO)),
        Some(_) => Ok(call.number::<u32>('t')?.map(|timeout| Millis(u64::from(timeout)))),
        None => Ok(None),
    }
}

fn pid(word: &OsString) -> Result<Pid, Failure> {
    let (word, _) = unquote(word);
    let number = decimal(word).and_then(|number| i32::try_from(number).ok()).and_then(Pid::new);
    number.ok_or_else(|| Failure::usage(format!("a process id is a number, not '{}'", word.display())))
}

impl Plan {
    fn execute(&self) -> Result<Found, Failure> {
        let failed = |errno| Failure::system(format!("unable to take SIGCHLD: {errno}"));
        // Before the first look: a child that ends behind it wakes us.
        let signals = self.deadline.map(|_| Chosen::take(&[Signal::CHLD])).transpose().map_err(failed)?;
        let mut found = Found { one: None, in_time: true };
        let mut left = self.named.clone();
        loop {
            let reap = if signals.is_some() { process::reap() } else { process::wait_any() };
            match reap {
                Reap::NoChildren => return Ok(found),
                Reap::One(reaped) => {
                    let is_named = self.named.is_empty() || left.contains(&reaped.pid);
                    left.retain(|&pid| pid != reaped.pid);
                    if is_named && (self.just_one || self.named.last() == Some(&reaped.pid)) {
                        found.one = Some((reaped.pid, reaped.exit));
                    }
                    if is_named && (self.just_one || left.is_empty() && !self.named.is_empty()) {
                        return Ok(found);
                    }
                }
                Reap::AllLive => {
                    let now = clock::now();
                    let (Some(signals), Some(deadline)) = (&signals, self.deadline) else { continue };
                    if now >= deadline {
                        found.in_time = false;
                        return Ok(found);
                    }
                    poll::wait(&mut [poll::readable(signals.as_raw_fd())], now, Some(deadline));
                    while signals.next().is_some() {}
                }
            }
        }
    }
}
