//! What the API's values are called in texts.

use svc_core::Signal;
use svc_proto::api::{Death, EventKind, HealthVerdict, Phase, State, Status};

use crate::span;

/// The state column; a stopped process is up, but does nothing, so that comes first.
pub fn state(status: &Status) -> &'static str {
    match status.state {
        State::Up if status.paused => "paused",
        State::Down => "down",
        State::Waiting => "waiting",
        State::Armed => "armed",
        State::Starting => "starting",
        State::Up => "up",
        State::Stopping => "stopping",
        State::Finishing => "finishing",
        State::Draining => "draining",
        State::Failed => "failed",
        State::Done => "done",
        State::Broken => "broken",
        State::Scheduled => "scheduled",
        State::Skipped => "skipped",
    }
}

/// How a process ended: `exit 1` or `SIGTERM`.
pub fn exit(death: &Death) -> String {
    match (death.code, &death.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => match Signal::parse(signal) {
            Some(signal) => signal.to_string(),
            None => signal.clone(),
        },
        (None, None) => "unknown".into(),
    }
}

/// The same and how long it had run.
pub fn end(death: &Death) -> String {
    let why = match (death.out_of_memory, death.watchdog) {
        (true, _) => ": out of memory, the kernel has killed processes of it",
        (false, true) => ": it did not feed its watchdog",
        (false, false) => "",
    };
    format!("{} after {}{why}", exit(death), span::exact(death.ran_ms))
}

pub fn event(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Subscribed => "subscribed",
        EventKind::Added => "added",
        EventKind::Removed => "removed",
        EventKind::Starting => "starting",
        EventKind::Up => "up",
        EventKind::Ready => "ready",
        EventKind::Healthy => "healthy",
        EventKind::Unhealthy => "unhealthy",
        EventKind::Stopping => "stopping",
        EventKind::Exited => "exited",
        EventKind::Finishing => "finishing",
        EventKind::Draining => "draining",
        EventKind::Down => "down",
        EventKind::Armed => "armed",
        EventKind::Failed => "failed",
        EventKind::Problem => "problem",
        EventKind::Lagged => "lagged",
    }
}

/// Memory: `430 KiB`, `12.5 MiB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

/// When a service that waits will be started, seen from now.
pub fn next_start(at_ms: u64, now_ms: u64) -> String {
    match at_ms.saturating_sub(now_ms) {
        0 => "now".into(),
        ms => format!("in {}", span::exact(ms)),
    }
}

/// What its health check found, if it is up and has one.
pub fn verdict(status: &Status) -> Option<HealthVerdict> {
    status.health.as_ref().and_then(|health| health.verdict).filter(|_| status.state == State::Up)
}

/// A service in a sentence: `up (pid 12) for 3m 5s, ready, restarted 2 times`.
pub fn sentence(status: &Status, now_ms: u64) -> String {
    let span = span::human(status.since_seconds);
    let process = match status.pid {
        Some(pid) => format!(" (pid {pid})"),
        None => String::new(),
    };
    let mut text = match status.state {
        State::Down if status.verdict.is_some() => {
            format!("down for {span}: {}", status.verdict.as_deref().unwrap_or_default())
        }
        State::Down if status.wanted_up => format!("down for {span}, though it is wanted up"),
        State::Down => format!("down for {span}, and nobody wants it up"),
        State::Waiting if status.reason.is_some() => "waiting".into(),
        State::Waiting if status.last_exit.is_none() => format!("waiting to be started, down for {span}"),
        State::Waiting => format!("waiting to be started again, down for {span}"),
        State::Armed => format!("armed for {span}: the first connection or datagram starts it"),
        State::Starting => format!("being started{process}"),
        State::Up if status.paused => format!("up{process} for {span}, but paused: svc-ctl continue wakes it"),
        State::Up => format!("up{process} for {span}"),
        State::Stopping => format!("told to stop, and not gone yet{process}, up for {span}"),
        State::Finishing => format!("down for {span}, its finish script is running{process}"),
        State::Draining => format!("down for {span}, and what it left behind is being stopped"),
        // A name without a process.
        State::Failed if status.last_exit.is_none() || is_held(status) => "failed".into(),
        State::Failed => {
            let reason = why_failed(status).unwrap_or("its finish script said 125");
            format!("failed for good {span} ago: {reason}, so only svc-ctl start starts it again")
        }
        State::Done => "done: it ran to its end, and what it did stands".into(),
        State::Broken => "broken: cannot be started as it is".into(),
        State::Scheduled => "scheduled".into(),
        State::Skipped => "skipped".into(),
    };
    match (status.state, status.ready) {
        (State::Up, Some(true)) => text.push_str(", ready"),
        (State::Up, Some(false)) => text.push_str(", not ready yet"),
        _ => {}
    }
    if let (State::Up, Some(health)) = (status.state, &status.health) {
        match health.verdict {
            Some(HealthVerdict::Unknown) => text.push_str(", health not known yet"),
            Some(HealthVerdict::Healthy) => text.push_str(", healthy"),
            Some(HealthVerdict::Unhealthy) => text.push_str(", unhealthy"),
            None => {}
        }
        match health.phase {
            Some(Phase::Reloading) => text.push_str(", reloading"),
            Some(Phase::Stopping) => text.push_str(", stopping by itself"),
            None => {}
        }
    }
    match status.restarts {
        0 => {}
        1 => text.push_str(", restarted once"),
        times => text.push_str(&format!(", restarted {times} times")),
    }
    if let Some(at_ms) = status.next_start_ms {
        text.push_str(&format!(", next start {}", next_start(at_ms, now_ms)));
        if let Some(reason) = &status.verdict {
            text.push_str(&format!(" ({reason})"));
        }
    }
    if let Some(at_ms) = status.timer.as_ref().and_then(|timer| timer.next_run_ms) {
        text.push_str(&format!(", next run {}", next_start(at_ms, now_ms)));
    }
    if status.timer.as_ref().is_some_and(|timer| timer.queued) {
        text.push_str(", another run follows this one");
    }
    text
}

/// Whether it comes back by itself when its conditions hold again, or those of what it needs.
fn is_held(status: &Status) -> bool {
    let problem = status.problem.as_deref().unwrap_or_default();
    problem.starts_with("is not started: ") || problem.starts_with("blocked by ")
}

/// What a problem begins with that the end of a service is; what was odd about it stands behind that.
const END: (&str, &str) = ("it ended (", ", and is not started again");

/// How long that is in a problem, if it is one.
fn end_of(problem: &str) -> Option<usize> {
    problem.find(END.1).filter(|_| problem.starts_with(END.0)).map(|at| at + END.1.len())
}

fn why_failed(status: &Status) -> Option<&str> {
    let problem = || status.problem.as_deref().map(|problem| &problem[..end_of(problem).unwrap_or(problem.len())]);
    status.verdict.as_deref().or_else(problem)
}

/// What is wrong with it, unless its sentence has said so.
pub fn problem(status: &Status) -> Option<&str> {
    let problem = status.problem.as_deref()?;
    let why = why_failed(status).filter(|_| status.state == State::Failed && status.last_exit.is_some() && !is_held(status));
    match (why, end_of(problem)) {
        (Some(_), Some(end)) => problem[end..].strip_prefix(": "),
        (Some(why), None) if problem.starts_with(why) => None,
        (Some(_) | None, _) => Some(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_words() {
        let death = |code, signal: Option<&str>| Death {
            at_ms: 0,
            code,
            signal: signal.map(str::to_string),
            ran_ms: 1500,
            out_of_memory: false,
            watchdog: false,
        };
        assert_eq!(exit(&death(Some(1), None)), "exit 1");
        assert_eq!(exit(&death(None, Some("TERM"))), "SIGTERM");
        assert_eq!(exit(&death(None, Some("34"))), "signal 34");
        assert_eq!(end(&death(Some(0), None)), "exit 0 after 1.5s");
        let starved = Death { out_of_memory: true, ..death(None, Some("KILL")) };
        assert_eq!(end(&starved), "SIGKILL after 1.5s: out of memory, the kernel has killed processes of it");
        let unfed = Death { watchdog: true, ..death(None, Some("ABRT")) };
        assert_eq!(end(&unfed), "SIGABRT after 1.5s: it did not feed its watchdog");
    }
}
