//! The end of a run, and of a supervisor.

use svc_core::service::{Action, Command, Event, Note, Want};
use svc_core::{Exit, Millis, Signal};

use crate::sequence::{down, finishing, say, sweeping, to_group, to_main, up};
use crate::{END, START};

// --- the end of a run

#[test]
fn an_end_is_followed_by_finish_and_then_by_the_sweep() {
    let mut it = up();
    it.after(2000).when(Event::Exited(Exit::Code(3))).does(&END).when_spawned().does(&[say(Note::Finishing)]);
    it.when(Event::Exited(Exit::Code(0))).does(&[Action::Sweep(Signal::TERM)]);
    it.when(Event::Swept { left: 1 }).does(&[say(Note::Draining)]).when(Event::Swept { left: 1 }).does_nothing();
    it.when(Event::Swept { left: 0 }).does(&[say(Note::Down)]).is_down();
    let last = it.service.last().expect("it ended once");
    assert_eq!((last.exit, last.ended, last.ran), (Exit::Code(3), Millis(12_000), Millis(2000)));
    assert_eq!((it.service.starts(), it.service.deaths()), (1, 1));
}

#[test]
fn what_is_left_is_killed_after_its_time_and_again_every_five_seconds() {
    for (timeout_kill, grace) in [(0, 5000), (300, 300)] {
        let mut it = finishing();
        it.settings.timeout_kill = Millis(timeout_kill);
        it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 1 }).waits(grace).after(grace);
        for _ in 0..3 {
            it.when(Event::Deadline).does(&[say(Note::Killed), Action::Sweep(Signal::KILL)]).waits(5000).after(5000);
        }
    }
}

#[test]
fn descendants_can_be_kept() {
    let mut it = finishing();
    it.settings.keep_descendants = true;
    it.when(Event::Exited(Exit::Code(0))).does(&[say(Note::Down)]).is_down();
}

#[test]
fn finish_that_exits_125_keeps_it_down() {
    let mut it = finishing();
    it.when(Event::Exited(Exit::Code(125))).does(&[say(Note::Failed), Action::Sweep(Signal::TERM)]);
    it.when(Event::Swept { left: 0 }).is_down().waits_for_nothing();
    assert!(it.service.failed());
    it.asked(Command::Start).does(&START);
    assert!(!it.service.failed());
}

#[test]
fn run_that_exits_125_is_started_again() {
    let mut it = up();
    it.after(2000).when(Event::Exited(Exit::Code(125))).does(&END).when_spawned();
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits(0);
}

#[test]
fn finish_that_exits_125_beats_a_start_that_came_before() {
    let mut it = finishing();
    it.asked(Command::Start).when(Event::Exited(Exit::Code(125))).when(Event::Swept { left: 0 }).waits_for_nothing();
}

// --- leaving

#[test]
fn a_drained_service_ends_by_itself_and_its_supervisor_leaves() {
    let mut it = up();
    it.asked(Command::Drain).does(&[say(Note::Changed)]).is_up(false).after(60_000);
    it.when_it_ends_without_a_trace().does(&[say(Note::Down), Action::Quit]);
}

#[test]
fn a_terminated_service_is_stopped_and_its_supervisor_leaves() {
    let mut it = up();
    it.asked(Command::Terminate).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]);
    it.asked(Command::Start).is_up(true);
    assert_eq!(it.service.want(), Want::Down, "whoever leaves does not start again");
    it.when_it_ends_without_a_trace().does(&[say(Note::Down), Action::Quit]);
    it.asked(Command::Start).does_nothing();
}

#[test]
fn whoever_leaves_gives_up_a_start_that_fails() {
    // The driver hears nobody while it makes a process; a command that comes all the same is not lost.
    let mut it = down();
    it.asked(Command::Start).asked(Command::Terminate).does_nothing();
    it.when_it_cannot_start(Millis(1000)).does(&[say(Note::Trouble), Action::Quit]);
}

#[test]
fn force_kills_what_is_up_with_everything_below_it() {
    let mut it = up();
    let kills = [to_group(Signal::KILL), to_group(Signal::CONT), Action::Sweep(Signal::KILL), say(Note::Killed)];
    it.asked(Command::Force).does(&kills).waits(5000);
}

#[test]
fn force_gives_finish_five_seconds_at_most() {
    for (timeout, gets) in [(0, 5000), (60_000, 5000), (300, 300)] {
        let mut it = up();
        it.settings.timeout_finish = Millis(timeout);
        it.asked(Command::Force).when(Event::Exited(Exit::Signal(Signal::KILL))).does(&END);
        it.when_spawned().waits(gets);
    }
}

#[test]
fn after_force_what_is_left_is_not_asked_to_stop() {
    let mut it = up();
    it.settings.timeout_kill = Millis(60_000);
    it.asked(Command::Force).when(Event::Exited(Exit::Signal(Signal::KILL)));
    it.when_it_cannot_start(Millis::ZERO).does(&[Action::Sweep(Signal::KILL)]).waits(5000);
    it.when(Event::Swept { left: 0 }).does(&[say(Note::Down), Action::Quit]);
}

#[test]
fn force_kills_finish() {
    let mut it = finishing();
    let kills = [to_group(Signal::KILL), to_group(Signal::CONT), Action::Sweep(Signal::KILL), say(Note::Killed)];
    it.asked(Command::Force).does(&kills).waits(5000);
    it.when(Event::Exited(Exit::Signal(Signal::KILL))).does(&[Action::Sweep(Signal::KILL)]);
}

#[test]
fn force_kills_what_is_left() {
    sweeping().asked(Command::Force).does(&[say(Note::Killed), Action::Sweep(Signal::KILL)]).waits(5000);
}

#[test]
fn an_abandoned_service_is_left_alone_whatever_it_does() {
    for mut it in [up(), finishing(), sweeping()] {
        it.asked(Command::Abandon).does(&[Action::Quit]);
        it.when(Event::Exited(Exit::Code(0))).does_nothing().when(Event::Deadline).does_nothing();
    }
}

#[test]
fn an_interrupted_service_gets_the_signal_in_its_group() {
    up().asked(Command::Interrupt).does(&[to_group(Signal::INT), Action::Quit]);
    finishing().asked(Command::Interrupt).does(&[Action::Quit]);
}

// --- after the death of a supervisor

#[test]
fn a_stop_that_may_not_have_been_told_is_told_again() {
    let mut it = up();
    it.settings.timeout_kill = Millis(3000);
    it.asked(Command::Stop).when_resumed().does(&[to_main(Signal::TERM), to_main(Signal::CONT)]).waits(3000);
}

#[test]
fn what_is_said_of_a_pause_is_made_so() {
    up().asked(Command::Pause).when_resumed().does(&[to_main(Signal::STOP)]);
    up().asked(Command::Pause).asked(Command::Continue).when_resumed().does(&[to_main(Signal::CONT)]);
}

#[test]
fn force_that_may_not_have_been_used_is_used_again() {
    let kills = [to_group(Signal::KILL), to_group(Signal::CONT), Action::Sweep(Signal::KILL)];
    up().asked(Command::Force).when_resumed().does(&kills);
    sweeping().asked(Command::Force).when_resumed().does(&[Action::Sweep(Signal::KILL)]);
}

#[test]
fn a_sweep_goes_on() {
    sweeping().when_resumed().does(&[Action::Sweep(Signal::TERM)]).waits(5000);
}

#[test]
fn nothing_else_needs_to_be_done_again() {
    down().when_resumed().does_nothing();
    finishing().when_resumed().does_nothing().waits(5000);
}

#[test]
fn the_gap_counts_from_when_an_heir_found_it_started() {
    let mut it = down();
    it.asked(Command::Start).after(900).when_resumed().when_spawned();
    it.after(200).when_it_ends_without_a_trace().waits(800);
}
