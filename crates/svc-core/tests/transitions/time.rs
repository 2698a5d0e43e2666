//! How long it waits, and for what; when it is ready.

use svc_core::policy::{Errand, Stopping};
use svc_core::service::{Action, Command, Event, Note, State};
use svc_core::{Exit, Millis, Signal};

use crate::START;
use crate::sequence::{down, finishing, say, sweeping, to_group, to_main, up};

// --- time

#[test]
fn starts_are_a_second_apart_from_start_to_start() {
    let mut it = up();
    it.after(300).when_it_ends_without_a_trace().does(&[say(Note::Down)]).waits(700);
    it.after(699).when(Event::Deadline).does_nothing();
    it.after(1).when(Event::Deadline).does(&START);
}

#[test]
fn what_ran_longer_than_the_gap_starts_again_at_once() {
    up().after(1000).when_it_ends_without_a_trace().waits(0).when(Event::Deadline).does(&START);
}

#[test]
fn the_time_that_finish_takes_counts_too() {
    let mut it = up();
    it.after(300).when(Event::Exited(Exit::Code(1))).when_spawned();
    it.after(600).when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits(100);
}

#[test]
fn a_start_does_not_wait_for_the_gap() {
    let mut it = up();
    it.after(1).when_it_ends_without_a_trace().waits(999).asked(Command::Start).does(&START);
}

#[test]
fn a_restart_lets_one_gap_be_skipped_and_no_second() {
    let mut it = up();
    it.asked(Command::Restart).after(1).when_it_ends_without_a_trace().waits(0);
    it.when(Event::Deadline).when_spawned().after(1).when_it_ends_without_a_trace().waits(999);
}

#[test]
fn what_cannot_start_is_tried_again_later() {
    let mut it = down();
    it.asked(Command::Start).when_it_cannot_start(Millis(10_000)).does(&[say(Note::Trouble)]).waits(10_000);
    assert!(it.service.trouble().is_some());
    it.after(9_999).when(Event::Deadline).does_nothing();
    it.after(1).when(Event::Deadline).does(&START).when_spawned();
    assert_eq!(it.service.trouble(), None);
}

#[test]
fn a_start_does_not_wait_for_the_retry() {
    down().asked(Command::Start).when_it_cannot_start(Millis(10_000)).asked(Command::Start).does(&START);
}

#[test]
fn the_kill_timer_kills_and_kills_again_every_five_seconds() {
    let mut it = up();
    it.settings.timeout_kill = Millis(3000);
    it.asked(Command::Stop).waits(3000).after(2999).when(Event::Deadline).does_nothing();
    it.after(1);
    for _ in 0..3 {
        it.when(Event::Deadline).does(&[to_main(Signal::KILL), to_main(Signal::CONT), say(Note::Killed)]);
        it.waits(5000).after(5000);
    }
}

#[test]
fn the_kill_timer_can_mean_the_group() {
    let mut it = up();
    it.settings.timeout_kill = Millis(1);
    it.asked(Command::Stop).after(1);
    // Read when it matters, which is now.
    it.settings.kill_group = true;
    it.when(Event::Deadline).does(&[to_group(Signal::KILL), to_group(Signal::CONT), say(Note::Killed)]);
}

#[test]
fn who_asks_for_time_has_it_before_the_kill_and_nobody_has_less_by_asking() {
    let mut it = up();
    it.settings.timeout_kill = Millis(3000);
    it.when(Event::Extend(Millis(9000))).does_nothing().asked(Command::Stop).waits(3000).after(1000);
    it.when(Event::Extend(Millis(10))).does_nothing().waits(2000).when(Event::Extend(Millis(9000))).waits(9000);
    let mut it = up();
    it.asked(Command::Stop).when(Event::Extend(Millis(9000))).waits_for_nothing();
    let mut it = up();
    it.asked(Command::Force).when(Event::Extend(Millis(9000))).waits(5000);
}

#[test]
fn finish_is_killed_when_it_takes_too_long_and_again_every_five_seconds() {
    let mut it = finishing();
    it.waits(5000).after(5000);
    for _ in 0..3 {
        it.when(Event::Deadline).does(&[to_main(Signal::KILL), to_main(Signal::CONT), say(Note::Killed)]);
        it.waits(5000).after(5000);
    }
    it.when(Event::Exited(Exit::Signal(Signal::KILL))).does(&[Action::Sweep(Signal::TERM)]);
}

#[test]
fn timeouts_of_zero_mean_never() {
    let mut it = up();
    it.settings.timeout_finish = Millis::ZERO;
    it.settings.timeout_kill = Millis::ZERO;
    it.asked(Command::Stop).waits_for_nothing();
    it.when(Event::Exited(Exit::Code(0))).when_spawned().waits_for_nothing();
}

// --- readiness

#[test]
fn the_first_newline_makes_it_ready_and_a_second_one_changes_nothing() {
    let mut it = up();
    it.after(70).when(Event::Ready).does(&[say(Note::Ready)]);
    let ready = it.service.state();
    assert!(matches!(ready, State::Up { ready: Some(Millis(10_070)), .. }));
    it.after(70).when(Event::Ready).does_nothing();
    assert_eq!(it.service.state(), ready);
}

#[test]
fn readiness_outlasts_a_stop_and_ends_with_the_run() {
    let mut it = up();
    it.when(Event::Ready).asked(Command::Stop);
    assert!(matches!(it.service.state(), State::Up { ready: Some(_), .. }));
    it.asked(Command::Start).when_it_ends_without_a_trace().when(Event::Deadline).when_spawned();
    assert!(matches!(it.service.state(), State::Up { ready: None, .. }));
}

#[test]
fn a_newline_of_the_dead_makes_nobody_ready() {
    finishing().when(Event::Ready).does_nothing();
    sweeping().when(Event::Ready).does_nothing();
    down().when(Event::Ready).does_nothing();
}

/// The end of everything has no time for what only waits, and a signal that was sent is not sent twice.
#[test]
fn at_the_end_of_everything_no_drain_and_no_command_is_waited_for() {
    let errand = || Some(Errand { most: Millis::from_secs(30), words: vec![b"words".to_vec()] });
    let told = [to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)];
    for asked in [None, Some(Command::Stop), Some(Command::Terminate)] {
        for drains in [true, false] {
            let mut it = up();
            it.settings.timeout_kill = Millis::from_secs(3);
            *it.settings.stopping_mut() =
                Stopping { drain: errand().filter(|_| drains), command: errand(), ..Stopping::default() };
            asked.map(|command| it.asked(command).is_up(true).waits(30_000).after(10));
            it.asked(Command::Hurry).does(&told).waits(3000).asked(Command::Hurry).does(&[say(Note::Changed)]).waits(3000);
            assert!(it.service.leaving());
        }
    }
}
