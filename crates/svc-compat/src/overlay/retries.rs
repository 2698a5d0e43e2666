//! `with-retries`: a program that may fail a few times.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use svc_core::{Millis, Pid, Signal};
use svc_sys::{Errno, clock, exit, poll, process};

use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const WITH_RETRIES: Command = Command {
    name: "with-retries",
    about: "run a program until it succeeds, a few times at most",
    operands: "PROG...",
    options: &[
        Opt::with('n', "TIMES", "how often to try; default: 3"),
        Opt::with('t', "MS", "how long each try may take, 0 for as long as it wants; default: 500"),
    ],
    notes: "A try that takes too long gets SIGTERM, and SIGKILL if it then needs that long once more.",
    codes: &[(exit::FAILED, "It did not succeed.")],
    run: with_retries,
};

fn with_retries(call: &Call) -> Outcome {
    let tries = call.number('n')?.unwrap_or(3_u32);
    let limit = call.number('t')?.map_or(Some(Millis(500)), |limit: u32| (limit > 0).then_some(Millis(limit.into())));
    let words = call.program(0)?;
    let (program, arguments) = (&words[0], &words[1..]);
    let mut last = "it was not tried".to_owned();
    for number in 1..=tries {
        let spawned = std::process::Command::new(program).args(arguments).spawn();
        let ended = spawned
            .map_err(|error| error.to_string())
            .and_then(|child| run(child, limit).map_err(|errno| format!("unable to wait for it: {errno}")));
        last = match ended {
            Ok(Some(status)) if status.success() => return Ok(exit::DONE),
            Ok(Some(status)) => described(status),
            Ok(None) => "it took too long".to_owned(),
            Err(error) => error,
        };
        if number < tries {
            call.warn(format!("{}: {last}; try {} of {tries} follows", shown(program), number + 1));
        }
    }
    Err(Failure::with_code(exit::FAILED, format!("{} failed {tries} times: {last}", shown(program))))
}

/// Waits for it to end, and ends it when its time is over: then there is no status.
fn run(mut child: Child, limit: Option<Millis>) -> Result<Option<ExitStatus>, Errno> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::new).ok_or(Errno::NO_SUCH_PROCESS)?;
    let handle = process::PidFd::open(pid)?;
    if has_ended_within(handle.as_raw_fd(), limit) {
        return Ok(Some(child.wait()?));
    }
    handle.signal(Signal::TERM)?;
    if !has_ended_within(handle.as_raw_fd(), limit) {
        handle.signal(Signal::KILL)?;
    }
    child.wait()?;
    Ok(None)
}

fn has_ended_within(handle: RawFd, limit: Option<Millis>) -> bool {
    let deadline = limit.map(|limit| clock::now() + limit);
    let mut interests = [poll::readable(handle)];
    loop {
        let now = clock::now();
        poll::wait(&mut interests, now, deadline);
        if poll::is_ready(&interests[0]) {
            return true;
        }
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return false;
        }
    }
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => format!("killed by signal {number}"),
        (None, None) => "its end is not known".to_owned(),
    }
}

fn shown(word: &OsStr) -> std::path::Display<'_> {
    std::path::Path::new(word).display()
}
