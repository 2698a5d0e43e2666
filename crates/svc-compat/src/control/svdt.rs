//! s6-svdt and s6-svdt-clear: the deaths of a service.

use std::path::Path;

use svc_core::Signal;
use svc_proto::s6::Death;
use svc_sys::exit;

use super::svstat::{signal_name, stamp_text};
use crate::command::{Call, Command, Failure, Opt, Outcome};
use crate::servicedir::supervise;

pub(super) const SHOW: Command = Command {
    name: "s6-svdt",
    about: "print when and how a service died",
    operands: "SERVICEDIR",
    options: &[
        Opt::flag('S', "signals by name (the default)"),
        Opt::flag('s', "signals by number"),
        Opt::with('n', "COUNT", "only the last so many"),
    ],
    notes: "A line for each death, the oldest first: a TAI64N stamp, and `exitcode CODE` or `signal NAME`.",
    codes: &[],
    run: show,
};

pub(super) const CLEAR: Command = Command {
    name: "s6-svdt-clear",
    about: "forget the deaths of a service",
    operands: "SERVICEDIR",
    options: &[],
    notes: "",
    codes: &[],
    run: clear,
};

fn show(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the service directory")?);
    let most: usize = call.number('n')?.unwrap_or(usize::MAX);
    let numbers = call.last(&['s', 'S']) == Some('s');
    // No tally in it is one without deaths; no such folder is no service, or one that nobody has ever supervised.
    let deaths = dir.join(supervise::SUPERVISE).metadata().and_then(|_| supervise::deaths(dir));
    let deaths =
        deaths.map_err(|error| Failure::system(format!("unable to read the deaths of {}: {error}", dir.display())))?;
    for death in &deaths[deaths.len().saturating_sub(most)..] {
        println!("{}", line(death, numbers));
    }
    Ok(exit::DONE)
}

fn line(death: &Death, numbers: bool) -> String {
    let how = match Signal::new(death.signal) {
        None => format!("exitcode {}", death.code),
        Some(signal) if numbers => format!("signal {}", signal.number()),
        Some(signal) => format!("signal {}", signal_name(signal)),
    };
    format!("{} {how}", stamp_text(death.at))
}

fn clear(call: &Call) -> Outcome {
    let dir = Path::new(call.operand(0, "the service directory")?);
    let done = supervise::forget_deaths(dir);
    done.map_err(|error| Failure::system(format!("unable to clear the deaths of {}: {error}", dir.display())))?;
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use svc_proto::s6::Stamp;

    use super::*;

    #[test]
    fn a_line_for_each_death() {
        let at = Stamp::from_unix_nanos(1_000_000_000_123_456_789);
        let killed = Death { at, code: 143, signal: 15 };
        assert_eq!(line(&killed, false), "@400000003b9aca25075bcd15 signal SIGTERM");
        assert_eq!(line(&killed, true), "@400000003b9aca25075bcd15 signal 15");
        assert_eq!(line(&Death { at, code: 3, signal: 0 }, false), "@400000003b9aca25075bcd15 exitcode 3");
    }
}
