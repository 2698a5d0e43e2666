//! What clients are told of a service.

use svc_core::service::{Daemon, Past, Rest, Role, Stage, State, Stop, Trouble, Want};
use svc_core::{Exit, Millis, Pid, Service};
use svc_proto::api;
use svc_sys::{Errno, clock};

use crate::held::Held;

/// The two clocks at one moment, to tell times of the monotonic one as times of day.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    monotonic: Millis,
    ahead_ms: i64,
}

impl Now {
    pub(crate) fn read() -> Now {
        Now { monotonic: clock::now(), ahead_ms: clock::wall_ahead_ms() }
    }

    pub(crate) fn wall_of(self, at: Millis) -> u64 {
        at.0.saturating_add_signed(self.ahead_ms)
    }

    fn seconds_since(self, at: Millis) -> f64 {
        (self.monotonic - at).0 as f64 / 1000.0
    }
}

/// The word for a state.
pub(crate) fn word(machine: &Service, oneshot: bool) -> api::State {
    match machine.state() {
        State::Down { .. } if oneshot && machine.done() => api::State::Done,
        State::Down { .. } if machine.failed() => api::State::Failed,
        State::Down { .. } => match machine.want() {
            Want::Up | Want::Once => api::State::Waiting,
            Want::Down => api::State::Down,
        },
        State::Armed => api::State::Armed,
        State::Starting { role: Role::Run } => api::State::Starting,
        // A oneshot is up when it has ended.
        State::Up { stop: Stop::No, .. } if machine.prepares() || oneshot => api::State::Starting,
        State::Up { stop: Stop::No, .. } => api::State::Up,
        State::Up { .. } => api::State::Stopping,
        State::Starting { role: Role::Finish } | State::Finish { .. } => api::State::Finishing,
        State::Sweep { .. } => api::State::Draining,
        State::Gone => api::State::Down,
    }
}

pub(crate) struct Known<'a> {
    pub(crate) name: &'a str,
    pub(crate) dir: String,
    pub(crate) machine: Option<&'a Service>,
    pub(crate) says_ready: bool,
    pub(crate) oneshot: bool,
    pub(crate) supervisor: Option<Pid>,
    pub(crate) problem: Option<String>,
    pub(crate) added_ms: u64,
}

pub(crate) fn of(known: Known<'_>, now: Now) -> api::Status {
    let Known { name, dir, machine, says_ready, oneshot, supervisor, problem, added_ms } = known;
    let Some(machine) = machine else {
        return api::Status {
            name: name.to_owned(),
            state: if problem.is_some() { api::State::Broken } else { api::State::Starting },
            pid: None,
            since_ms: added_ms,
            since_seconds: now.wall_of(now.monotonic).saturating_sub(added_ms) as f64 / 1000.0,
            ready: None,
            ready_since_ms: None,
            health: None,
            wanted_up: true,
            paused: false,
            restarts: 0,
            last_exit: None,
            next_start_ms: None,
            verdict: None,
            problem,
            changed: false,
            supervisor_pid: supervisor.map(Pid::raw),
            dir,
            timer: None,
            reason: None,
        };
    };
    let (ready_at, paused) = match machine.state() {
        State::Up { ready, paused, .. } => (ready, paused),
        State::Down { .. }
        | State::Armed
        | State::Starting { .. }
        | State::Finish { .. }
        | State::Sweep { .. }
        | State::Gone => (None, false),
    };
    let next_start = match machine.state() {
        // Who has its directory is waited for, whenever that is.
        State::Down { .. } if machine.trouble().is_some_and(|trouble| trouble.stage == Stage::Supervised) => None,
        State::Down { not_before } if machine.want() != Want::Down => Some(not_before),
        _ => None,
    };
    api::Status {
        name: name.to_owned(),
        state: word(machine, oneshot),
        pid: machine.pid().map(Pid::raw),
        since_ms: now.wall_of(machine.since()),
        since_seconds: now.seconds_since(machine.since()),
        ready: (says_ready || drains(machine)).then_some(ready_at.is_some()),
        ready_since_ms: ready_at.filter(|_| says_ready).map(|at| now.wall_of(at)),
        health: None,
        wanted_up: machine.want() != Want::Down,
        paused,
        restarts: restarts(machine, known.oneshot),
        last_exit: machine.last().map(|past| death(past, now)),
        next_start_ms: next_start.map(|at| now.wall_of(at)),
        verdict: None,
        problem,
        changed: false,
        supervisor_pid: supervisor.map(Pid::raw),
        dir,
        timer: None,
        reason: None,
    }
}

/// Why one that was to put a daemon into the background is not there: nobody went on in its place.
pub(crate) fn unforked(machine: &Service, definition: &Held) -> Option<String> {
    let is_down = machine.pid().is_none() && machine.daemon() == Daemon::Launching;
    machine.last().filter(|last| is_down && last.counts && last.exit == Exit::Code(0))?;
    let settings = definition.settings();
    let or = match settings.forking.as_ref()?.pid_file {
        Some(_) => ", or does its pid-file name the command itself?",
        None => "?",
    };
    Some(format!(
        "forking, and its command ended with 0 and nobody went on in its place: does it stay in the foreground{or}"
    ))
}

/// What its policy has made of its last end, in words.
pub(crate) fn verdict(machine: &Service, definition: &Held) -> Option<String> {
    if !matches!(machine.state(), State::Down { .. }) {
        return None;
    }
    let last = machine.last()?;
    let settings = definition.settings();
    let restart = settings.restart();
    match (machine.rest(), restart) {
        (Rest::Limit, _) if machine.ends_in_vain() => {
            Some(format!("started {} times in a row by somebody who waits, and ended without taking him", machine.vain()))
        }
        (Rest::Limit, Some(restart)) => Some(format!("{} ends within {}", restart.limit, span(restart.window))),
        (Rest::Limit, None) => Some("too many ends".into()),
        (Rest::Ended, _) => Some(format!("{}, after which it is not started again", last.exit)),
        (Rest::No, _) if machine.failed() => Some("its finish script said 125".into()),
        (Rest::No, Some(restart)) if machine.want() == Want::Up && machine.streak() > 0 => {
            let delay = restart.base_delay(machine.streak());
            let back_off = if delay > restart.delay { ", back-off" } else { "" };
            let kind = if settings.is_success(last.exit) { "end" } else { "failure" };
            Some(format!("{} {kind}{back_off}", ordinal(machine.streak())))
        }
        (Rest::No, Some(_) | None) => None,
    }
}

/// Whether it is taken for not ready, whatever it says, because it is about to be stopped.
fn drains(machine: &Service) -> bool {
    matches!(machine.state(), State::Up { stop: Stop::Drain { .. }, .. })
}

/// What a stop waits for, where it is more than a signal.
pub(crate) fn stop_reason(machine: &Service, definition: &Held, now: Millis) -> Option<String> {
    let State::Up { stop, .. } = machine.state() else { return None };
    let steps = || definition.settings().stopping.map_or(0, |stopping| stopping.steps.len());
    let left = |until: Millis| format!("{} s", (until - now).0.div_ceil(1000));
    match stop {
        Stop::No if machine.prepares() && definition.settings().lock_fd.is_some() => {
            Some("waits for its lock (lock-fd), which another instance may hold: its last lines say who".into())
        }
        Stop::No | Stop::Kill { .. } => None,
        Stop::Drain { until } => Some(format!("draining, for {} at most", left(until))),
        Stop::Command { until } => Some(format!("told to stop by its command, which has {}", left(until))),
        Stop::Signal { step, until: Some(until) } => match steps() {
            0 => None,
            steps => Some(format!("sent signal {} of {}, the next one in {}", step + 1, steps + 1, left(until))),
        },
        Stop::Signal { until: None, .. } => None,
    }
}

fn ordinal(number: u16) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{number}{ending}")
}

fn span(span: Millis) -> String {
    match span.0 {
        ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

/// A time until something happens, as exact as somebody wants to know.
pub(crate) fn rough(ms: u64) -> String {
    match (ms / 1000, ms / 60_000, ms / 3_600_000) {
        (0..120, ..) => format!("{:.1} s", ms as f64 / 1000.0),
        (_, minutes @ 0..120, _) => format!("{minutes} min"),
        (_, minutes, hours @ 0..48) => format!("{hours} h {} min", minutes % 60),
        (.., hours) => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// Starts after the first one. One that could not be executed is none, so ends are counted; but those of a oneshot may be of `down`.
pub(crate) fn restarts(machine: &Service, oneshot: bool) -> u64 {
    if oneshot {
        return machine.starts().saturating_sub(1);
    }
    let runs = matches!(machine.state(), State::Up { .. });
    (machine.deaths() + u64::from(runs)).saturating_sub(1)
}

pub(crate) fn death(past: Past, now: Now) -> api::Death {
    let (code, signal) = match past.exit {
        Exit::Code(code) => (Some(code), None),
        Exit::Signal(signal) => (None, Some(signal.name().map_or_else(|| signal.number().to_string(), str::to_owned))),
    };
    let (at_ms, ran_ms) = (now.wall_of(past.ended), past.ran.0);
    api::Death { at_ms, code, signal, ran_ms, out_of_memory: past.starved, watchdog: past.unfed }
}

/// Whether its directory was not there any more when its supervisor came: it has another name, or will be forgotten in a moment.
pub(crate) fn has_moved(trouble: Trouble) -> bool {
    let gone = [Errno::NOT_FOUND, Errno::NOT_A_DIRECTORY];
    trouble.stage == Stage::Directory && gone.contains(&Errno(trouble.errno))
}

/// Stands for what `svc exec` has said, which may come later than how it ended.
pub(crate) const IN_ITS_LINES: &str = "the last of its own lines says why (svc-ctl why)";

/// Why it could not be started, with the cure where the directory tells.
pub(crate) fn explain(trouble: Trouble, dir: &std::path::Path, program: &std::path::Path) -> String {
    let reason = Errno(trouble.errno);
    match trouble.stage {
        Stage::Exec => svc_def::explain_exec(program, trouble.errno),
        Stage::Pipe if reason == Errno::INVALID => {
            let limit =
                svc_sys::fd::limit_of_descriptors().map_or_else(|_| String::new(), |limit| format!(" ({})", limit.hard));
            format!(
                "{}: notification-fd or lock-fd is too near the limit of descriptors{limit}: write a smaller number, such as 3",
                dir.display()
            )
        }
        Stage::Fork | Stage::Pipe => {
            let what = svc_def::explain_exec(program, trouble.errno);
            if trouble.stage == Stage::Fork { what } else { format!("cannot make a pipe for {}: {reason}", dir.display()) }
        }
        Stage::Directory if has_moved(trouble) => {
            format!("{}: is not there any more: a directory that was renamed starts under its new name", dir.display())
        }
        Stage::Directory => {
            format!("{}: cannot be entered: {reason}: give its owner the right to search it (chmod +x)", dir.display())
        }
        Stage::Namespace => format!(
            "{}: cannot make a PID namespace: {reason}: remove flag-newpidns, or run the container with CAP_SYS_ADMIN",
            dir.display()
        ),
        Stage::Supervised => format!(
            "{}: another supervisor runs it, and this one as soon as that has ended: s6-svscanctl -t or \
             svc-ctl shutdown end it; without its svc it ends by itself, within SVC_STOP_TIMEOUT",
            dir.display()
        ),
        Stage::Prepare => {
            format!("{}: its program was not executed (exit code {}): {IN_ITS_LINES}", program.display(), trouble.errno)
        }
        Stage::Lock => format!("{}: cannot open the directory to lock it (lock-fd): {reason}", dir.display()),
    }
}
