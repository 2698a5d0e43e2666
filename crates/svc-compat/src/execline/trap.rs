//! trap: runs a program, and others when signals come.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;

use svc_core::{Millis, Pid, Signal};
use svc_sys::poll;
use svc_sys::process::{self, Reap};
use svc_sys::signals::Chosen;

use super::block::Blocks;
use super::program::{Changes, approximation, refused, start};
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub const TRAP: Command = Command {
    name: "trap",
    about: "run a program to its end, and others when signals come",
    operands: "{ SIGNAL { HANDLER... } ... } PROG...",
    options: &[Opt::flag('x', "pass signals on to PROG that have no HANDLER")],
    notes: "SIGNAL is a name, a number, or default: all that have no handler of their own. HANDLER finds the process id of PROG in \
            the variable !, and the number of the signal in SIGNAL. A signal that comes while its handler runs does nothing.",
    codes: &[],
    run: trap,
};

/// The highest number of a signal.
const LAST: u8 = 64;

struct Handlers {
    of_signals: BTreeMap<Signal, Vec<OsString>>,
    default: Option<Vec<OsString>>,
}

impl Handlers {
    fn read(call: &Call, block: &[OsString]) -> Result<Handlers, Failure> {
        let mut handlers = Handlers { of_signals: BTreeMap::new(), default: None };
        let mut blocks = Blocks::within(call, block);
        while let Some(name) = blocks.word() {
            let words = blocks.block(&format!("the block behind {}", name.display()))?;
            let twice = if name.eq_ignore_ascii_case("default") {
                handlers.default.replace(words)
            } else {
                handlers.of_signals.insert(signal(name)?, words)
            };
            if twice.is_some() {
                return Err(refused(format!("{} has two handlers", name.display())));
            }
        }
        Ok(handlers)
    }

    fn of(&self, signal: Signal) -> Option<&[OsString]> {
        self.of_signals.get(&signal).or(self.default.as_ref()).map(Vec::as_slice)
    }
}

/// Whether a handler may be asked for; SIGCHLD is how we know that PROG has ended.
fn may_be_trapped(signal: Signal) -> bool {
    ![Signal::KILL, Signal::STOP, Signal::CHLD].contains(&signal)
}

fn signal(name: &OsStr) -> Result<Signal, Failure> {
    let signal = name.to_str().and_then(Signal::parse);
    let signal = signal.ok_or_else(|| refused(format!("'{}' is no signal, and not default", name.display())))?;
    if may_be_trapped(signal) { Ok(signal) } else { Err(refused(format!("{signal} cannot have a handler"))) }
}

fn trap(call: &Call) -> Outcome {
    let mut blocks = Blocks::of(call, 0);
    let block = blocks.full_block("the block of handlers")?;
    let words = blocks.rest();
    if words.is_empty() {
        return Err(Failure::usage("the program to execute is missing"));
    }
    let handlers = Handlers::read(call, &block)?;
    let takes_all = call.has('x') || handlers.default.is_some();
    let wanted = |signal: &Signal| takes_all && may_be_trapped(*signal) || handlers.of(*signal).is_some();
    let mut taken: Vec<Signal> = (1..=LAST).filter_map(Signal::new).filter(wanted).collect();
    taken.push(Signal::CHLD);
    let signals = Chosen::take(&taken).map_err(|errno| Failure::system(format!("unable to take signals: {errno}")))?;
    let main = start(words, Changes::default())?;
    let mut running: BTreeMap<Signal, Pid> = BTreeMap::new();
    loop {
        poll::wait(&mut [poll::readable(signals.as_raw_fd())], Millis::ZERO, None);
        while let Some(signal) = signals.next() {
            if signal != Signal::CHLD {
                handle(signal, main, &handlers, &mut running)?;
                continue;
            }
            while let Reap::One(reaped) = process::reap() {
                if reaped.pid == main {
                    return Ok(approximation(reaped.exit));
                }
                running.retain(|_, pid| *pid != reaped.pid);
            }
        }
    }
}

fn handle(signal: Signal, main: Pid, handlers: &Handlers, running: &mut BTreeMap<Signal, Pid>) -> Result<(), Failure> {
    let Some(words) = handlers.of(signal) else {
        // It may have ended already, and then there is nobody to tell.
        let _ = process::signal_child(main, signal);
        return Ok(());
    };
    if let Entry::Vacant(free) = running.entry(signal) {
        let mut changes = Changes::one(OsStr::new("!"), OsStr::new(&main.raw().to_string()));
        changes.set(OsStr::new("SIGNAL"), OsStr::new(&signal.number().to_string()));
        free.insert(start(words, changes)?);
    }
    Ok(())
}
