//! s6-permafailon: no more starts of a service that dies too often.

use std::path::Path;

use svc_core::Signal;
use svc_proto::s6::{Death, Stamp};

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome, number};
use crate::servicedir::{stamp_now, supervise};

pub(super) const COMMAND: Command = Command {
    name: "s6-permafailon",
    about: "in a finish: fail for good if the service died too often, otherwise execute a program",
    operands: "SECONDS COUNT EVENTS PROG...",
    options: &[Opt::NONE],
    notes: "\
It looks at the deaths that the supervisor of the current directory remembers (its number: the file max-death-tally). If in \
the last SECONDS at least COUNT of them were among EVENTS, it exits with 125, and the service is not started again.

EVENTS is a list with commas, semicolons or spaces: exit codes (3), ranges of them (1-5), signals (SIGSEGV, TERM). A death by a \
signal counts also as the exit code 128 and its number: 143 is SIGTERM too.",
    codes: &[(125, "the service has failed for good")],
    run,
};

/// What 125 means to a supervisor.
const FAILED_FOR_GOOD: u8 = 125;

fn run(call: &Call) -> Outcome {
    let seconds: u32 = number(call.operand(0, "the seconds")?, "the seconds")?;
    let count: usize = number(call.operand(1, "the count")?, "the count")?;
    if count == 0 {
        return Err(Failure::usage("the count must not be 0: that would be always"));
    }
    let events = Events::parse(&call.operand(2, "the list of events")?.to_string_lossy())?;
    let program = call.program(3)?;
    let deaths = supervise::deaths(Path::new(".")).unwrap_or_else(|error| {
        call.warn(format!("unable to read the deaths of this service, so it may go on: {error}"));
        Vec::new()
    });
    let matching = events.count(&deaths, stamp_now(), seconds);
    if matching >= count {
        eprintln!(
            "{}: info: {matching} of the events it must not have in {seconds} s: it fails for good",
            call.command.name
        );
        return Ok(FAILED_FOR_GOOD);
    }
    chain::execute(program)
}

/// Ways to die.
struct Events {
    codes: Vec<(u8, u8)>,
    signals: Vec<Signal>,
}

impl Events {
    fn parse(text: &str) -> Result<Events, Failure> {
        let mut events = Events { codes: Vec::new(), signals: Vec::new() };
        for word in text.split([',', ';', ' ', '\n', '\r', '\t']).filter(|word| !word.is_empty()) {
            if word.starts_with(|letter: char| letter.is_ascii_digit()) {
                let (from, to) = word.split_once('-').unwrap_or((word, word));
                let code = |text: &str| number(text.as_ref(), "an exit code (0 to 255)");
                let (from, to) = (code(from)?, code(to)?);
                if from > to {
                    return Err(Failure::usage(format!("the range {word} ends before it begins")));
                }
                events.codes.push((from, to));
            } else {
                let signal = match word.strip_prefix("sig").or(word.strip_prefix("SIG")) {
                    // Those without a name.
                    Some(digits) if digits.starts_with(|letter: char| letter.is_ascii_digit()) => Signal::parse(digits),
                    Some(_) | None => Signal::parse(word),
                };
                let signal = signal.ok_or_else(|| {
                    Failure::usage(format!("'{word}' is neither an exit code, nor a range of them, nor a signal"))
                })?;
                events.signals.push(signal);
            }
        }
        Ok(events)
    }

    fn has(&self, death: &Death) -> bool {
        let by_signal = Signal::new(death.signal).is_some_and(|signal| self.signals.contains(&signal));
        by_signal || self.codes.iter().any(|&(from, to)| (from..=to).contains(&death.code))
    }

    /// How many of them there were in the last `seconds`.
    fn count(&self, deaths: &[Death], now: Stamp, seconds: u32) -> usize {
        let is_recent = |death: &&Death| now.nanos_since(death.at) <= u64::from(seconds) * 1_000_000_000;
        deaths.iter().filter(is_recent).filter(|death| self.has(death)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(second: u64, code: u8, signal: u8) -> Death {
        Death { at: Stamp::from_unix_nanos(second * 1_000_000_000), code, signal }
    }

    #[test]
    fn codes_ranges_and_signals() {
        let events = Events::parse("1-3, 7;SIGSEGV\tterm sig35").expect("good");
        for (code, signal, expected) in [
            (1, 0, true),
            (3, 0, true),
            (4, 0, false),
            (7, 0, true),
            (139, 11, true),
            (143, 15, true),
            (137, 9, false),
            (163, 35, true),
        ] {
            assert_eq!(events.has(&death(0, code, signal)), expected, "{code} {signal}");
        }
        assert!(Events::parse("143").expect("good").has(&death(0, 143, 15)), "a signal has a code too");
        for bad in ["256", "3-1", "1-", "SIGFOO", "-3"] {
            assert!(Events::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_last_seconds_count() {
        let events = Events::parse("1").expect("good");
        let deaths = [death(10, 1, 0), death(20, 2, 0), death(90, 1, 0), death(99, 1, 0)];
        let now = Stamp::from_unix_nanos(100_000_000_000);
        assert_eq!(events.count(&deaths, now, 10), 2);
        assert_eq!(events.count(&deaths, now, 9), 1);
        assert_eq!(events.count(&deaths, now, 1000), 3);
    }
}
