//! What a stop goes through, worked out from the settings by other means than the machine's.

use svc_core::definition::Settings;
use svc_core::policy::Errand;
use svc_core::service::{Action, Command, Event, KILL_AGAIN, State, Stop};
use svc_core::{Millis, Signal};

use crate::promises::Step;
use crate::world::{Turn, broken};

/// How far a stop has come, in numbers that grow. Signals begin with `SIGNALS`.
fn rank(stop: Stop) -> usize {
    match stop {
        Stop::No => 0,
        Stop::Drain { .. } => 1,
        Stop::Command { .. } => 2,
        Stop::Signal { step, .. } => SIGNALS + usize::from(step),
        Stop::Kill { .. } => KILL,
    }
}

const SIGNALS: usize = 3;
const KILL: usize = 1000;

/// What these settings have a stop go through, with the time of each step and whether something is run.
fn course(settings: &Settings) -> Vec<(usize, Option<Millis>, bool)> {
    let stopping = settings.stopping.as_deref().cloned().unwrap_or_default();
    let errand =
        |rank, errand: &Option<Errand>| errand.as_ref().map(|errand| (rank, Some(errand.most), !errand.words.is_empty()));
    let mut course: Vec<(usize, Option<Millis>, bool)> =
        errand(1, &stopping.drain).into_iter().chain(errand(2, &stopping.command)).collect();
    let signals: Vec<Signal> = stopping.steps.iter().map(|&(_, signal)| signal).collect();
    let before_kill = signals.iter().position(|&signal| signal == Signal::KILL).unwrap_or(signals.len());
    for at in 0..=before_kill {
        let wait = stopping.steps.get(at).map_or(settings.timeout_kill, |&(wait, _)| wait);
        course.push((SIGNALS + at, Some(wait).filter(|&wait| wait > Millis::ZERO), false));
    }
    course.push((KILL, Some(KILL_AGAIN), false));
    course
}

/// A stop goes forward, one step at a time; each is told, and has its time from now on.
pub fn check(step: &Step, before: Stop) -> Turn {
    let Step { now, event, settings, actions, after, .. } = *step;
    let State::Up { stop, paused, .. } = after.state() else { return Ok(()) };
    let course = course(settings);
    let asked = [Command::Stop, Command::Undo, Command::Restart, Command::Terminate].map(Event::Command).contains(&event);
    let later = |least: usize| course.iter().find(|(rank, ..)| *rank >= least).copied();
    let expected = match event {
        Event::Command(Command::Force) => course.last().copied(),
        Event::Command(Command::Hurry) if rank(before) < SIGNALS => later(SIGNALS),
        Event::Unfit if rank(before) == 0 => later(1),
        Event::Command(Command::Restart) if [1, 2].contains(&rank(before)) => None,
        _ if asked && rank(before) == 0 => later(1),
        Event::Idle if rank(before) == 0 && settings.on_demand.is_some() => later(1),
        _ if asked && rank(before) < SIGNALS => later(SIGNALS),
        _ if asked && rank(before) < KILL => {
            let same = later(rank(before)).filter(|found| found.0 == rank(before));
            // The definition has become shorter meanwhile.
            same.or(Some((rank(before), Some(settings.timeout_kill).filter(|&wait| wait > Millis::ZERO), false)))
        }
        Event::Deadline if before.until().is_some_and(|at| at <= now) => later(rank(before) + 1).or(course.last().copied()),
        Event::Errand { well } if rank(before) == 1 && well || rank(before) == 2 && !well => later(rank(before) + 1),
        _ => None,
    };
    let Some((expected, wait, runs)) = expected else {
        let longer = matches!(event, Event::Extend(_)) && stop.until() >= before.until();
        return if rank(stop) == rank(before) && (longer || stop.until() == before.until()) {
            Ok(())
        } else {
            broken(format!("{event:?} makes {stop:?} of {before:?}"))
        };
    };
    if rank(stop) != expected || stop.until() != wait.map(|wait| now + wait) {
        return broken(format!("{event:?} makes {stop:?} of {before:?}, and not step {expected} for {wait:?}"));
    }
    let told: Vec<Signal> = actions
        .iter()
        .filter_map(|action| if let Action::Signal { signal, .. } = action { Some(*signal) } else { None })
        .collect();
    let stopping = settings.stopping.as_deref().cloned().unwrap_or_default();
    let signal = match expected {
        KILL => Some(Signal::KILL),
        SIGNALS => Some(settings.down_signal),
        later if later > SIGNALS => {
            stopping.steps.get(later - SIGNALS - 1).map_or(Some(settings.down_signal), |step| Some(step.1))
        }
        _ => None,
    };
    let woken: Vec<Signal> = told.iter().copied().filter(|&signal| signal == Signal::CONT).collect();
    let is_told = match signal {
        Some(signal) => told == [signal, Signal::CONT],
        // Nobody says anything to it yet.
        None => told == woken,
    };
    let others = signal.filter(|_| stopping.tree || event == Event::Command(Command::Force)).map(Action::Sweep);
    let swept: Vec<&Action> = actions.iter().filter(|action| matches!(action, Action::Sweep(_))).collect();
    if !is_told || swept != others.iter().collect::<Vec<_>>() || paused {
        return broken(format!("{actions:?} on the way to {stop:?}"));
    }
    if actions.contains(&Action::Errand) != runs {
        return broken(format!("what {stop:?} waits for is not run, or something is run for nothing"));
    }
    Ok(())
}
