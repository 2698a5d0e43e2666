//! S6_STAGE2_HOOK: a command that may change what is started, and so runs before anything is read. svc-init is not there yet, so
//! signals and orphans are looked after here.

use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;

use svc_core::{Exit, Millis, Pid, Signal};
use svc_sys::process::{self, Reap};
use svc_sys::signals::{self, Signals};
use svc_sys::{clock, poll, say};

use super::mistakes;
use super::settings::{Failure, Settings};

/// Runs it, if there is one. An exit code if that is the end of everything.
pub(super) fn run(settings: &Settings) -> Option<u8> {
    let (program, arguments) = settings.hook.split_first()?;
    let shown = program.display();
    let signals = match Signals::take_all() {
        Ok(signals) => signals,
        Err(errno) => {
            say!("init: cannot take signals: {errno}");
            return Some(svc_sys::exit::SYSTEM);
        }
    };
    let mut command = mistakes::command(std::path::Path::new(program));
    let ended = match command.args(arguments).process_group(0).spawn() {
        Ok(child) => watch(&signals, child.id() as i32, settings.kill_grace),
        Err(error) => {
            say!("init: S6_STAGE2_HOOK: {shown}: {error}");
            Ended::By(Exit::Code(svc_sys::exit::NOT_FOUND))
        }
    };
    drop(signals);
    signals::reset();
    let code = match ended {
        // Somebody stopped the container: that is no failure.
        Ended::Stopped => return Some(svc_sys::exit::DONE),
        Ended::By(exit) => exit.shell_code(),
    };
    match (code, settings.failure) {
        (0, _) => None,
        (code, Failure::Stop) => {
            say!("init: S6_STAGE2_HOOK: {shown} failed ({code}): ending, as S6_BEHAVIOUR_IF_STAGE2_FAILS says");
            Some(code)
        }
        (code, Failure::Warn | Failure::Continue) => {
            say!("init: S6_STAGE2_HOOK: {shown} failed ({code}): going on");
            None
        }
    }
}

enum Ended {
    By(Exit),
    Stopped,
}

/// Waits for its end, and reaps whoever else ends. A signal that stops the container stops it.
fn watch(signals: &Signals, hook: i32, grace: Millis) -> Ended {
    let group = Pid::new(hook);
    let (mut stopped, mut deadline) = (false, None);
    loop {
        while let Reap::One(reaped) = process::reap() {
            if reaped.pid.raw() == hook {
                return if stopped { Ended::Stopped } else { Ended::By(reaped.exit) };
            }
        }
        poll::wait(&mut [poll::readable(signals.as_raw_fd())], clock::now(), deadline);
        while let Some(signal) = signals.next() {
            if [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal) {
                stopped = true;
                deadline = deadline.or(Some(clock::now() + grace));
                let _ = group.map(|group| process::signal_group(group, Signal::TERM));
            }
        }
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            let _ = group.map(|group| process::signal_group(group, Signal::KILL));
            deadline = None;
        }
    }
}
