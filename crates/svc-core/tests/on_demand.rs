//! A service that is started on demand: what arms it, what starts it, and what becomes of its ends.

#[path = "support/sequence.rs"]
#[allow(dead_code, reason = "others use what this file does not")]
mod sequence;

use svc_core::policy::Policy;
use svc_core::restart::{Restart, When};
use svc_core::service::{Action, Command, Event, Note, Rest, Role, State, Want};
use svc_core::{Exit, Millis, Signal};

use sequence::{Sequence, down, on_demand, say, to_main, up};

const START: [Action; 2] = [Action::Publish(Note::Starting), Action::Spawn(Role::Run)];

fn armed() -> Sequence {
    let mut it = on_demand(down());
    it.asked(Command::Arm).does(&[say(Note::Armed)]).waits_for_nothing();
    it
}

/// It was started at 10 s by somebody who knocked.
fn serving() -> Sequence {
    let mut it = armed();
    it.when(Event::Knock).does(&START).when_spawned();
    it
}

/// `run` ends like this, and nothing else is to be done.
fn ended(mut it: Sequence, exit: Exit) -> Sequence {
    it.when(Event::Exited(exit)).when_it_has_nothing_to_do().when(Event::Swept { left: 0 });
    it
}

#[test]
fn who_knocks_starts_it_and_so_does_who_asks() {
    serving().is_up(false);
    armed().asked(Command::Start).does(&START);
    armed().asked(Command::Restart).does(&START);
    let mut it = armed();
    it.asked(Command::Once).does(&START).when_spawned();
    let mut it = ended(it, Exit::Code(0));
    it.when(Event::Deadline).does_nothing().is_down();
    assert_eq!(it.service.want(), Want::Down);
}

#[test]
fn a_stop_disarms_it() {
    let mut it = armed();
    it.asked(Command::Stop).is_down().when(Event::Knock).does_nothing().waits_for_nothing();
}

#[test]
fn an_end_with_success_arms_it_again_when_the_delay_is_over() {
    let mut it = serving();
    it.after(300);
    let mut it = ended(it, Exit::Code(0));
    it.is_down().waits(700).when(Event::Knock).does_nothing();
    it.after(700).when(Event::Deadline).does(&[say(Note::Armed)]).when(Event::Knock).does(&START);
}

#[test]
fn successes_are_no_failures_whatever_the_policy() {
    for when in [When::Always, When::OnFailure, When::Never] {
        let restart = Restart { when, limit: 2, factor: 3000, delay: Millis(100), ..Restart::default() };
        let mut it = serving();
        it.settings.policy = Some(Box::new(Policy { restart, success: None }));
        it.settings.essential = true;
        for _ in 0..5 {
            it.when(Event::Served);
            it = ended(it, Exit::Code(0));
            it.waits(100).after(100).when(Event::Deadline);
            assert_eq!((it.service.state(), it.service.failed()), (State::Armed, false));
            it.when(Event::Knock).when_spawned();
        }
    }
}

#[test]
fn a_failure_is_restarted_with_its_back_off_up_to_its_limit() {
    let restart = Restart { limit: 3, factor: 2000, delay: Millis(100), ..Restart::default() };
    let mut it = serving();
    it.settings.policy = Some(Box::new(Policy { restart, success: None }));
    for delay in [100, 200] {
        it = ended(it, Exit::Code(1));
        it.when(Event::Knock).does_nothing().waits(delay).after(delay).when(Event::Deadline).does(&START).when_spawned();
    }
    let mut it = ended(it, Exit::Code(1));
    it.is_down().waits_for_nothing().when(Event::Knock).does_nothing();
    assert!(it.service.failed());
}

#[test]
fn one_that_is_idle_is_stopped_and_armed_however_it_ends() {
    for exit in [Exit::Code(0), Exit::Code(3), Exit::Signal(Signal::TERM), Exit::Signal(Signal::KILL)] {
        let mut it = serving();
        it.after(90_000).when(Event::Idle);
        it.does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]).is_up(true);
        let mut it = ended(it, exit);
        it.waits(0).when(Event::Deadline).does(&[say(Note::Armed)]);
        assert_eq!(it.service.last().map(|past| (past.exit, past.counts)), Some((exit, false)));
    }
}

#[test]
fn one_that_is_told_to_be_armed_while_it_stops_is() {
    let mut it = serving();
    it.after(5000).asked(Command::Stop).asked(Command::Arm);
    let mut it = ended(it, Exit::Signal(Signal::TERM));
    it.when(Event::Deadline).does(&[say(Note::Armed)]);
}

#[test]
fn a_restart_of_one_that_runs_starts_it_again_at_once() {
    let mut it = serving();
    it.after(10).asked(Command::Restart);
    ended(it, Exit::Code(0)).waits(0).when(Event::Deadline).does(&START);
}

#[test]
fn an_heir_is_armed_as_the_one_before_was() {
    let mut it = armed();
    it.when_resumed().does_nothing().when(Event::Deadline).does_nothing().when(Event::Knock).does(&START);
}

#[test]
fn one_that_is_not_started_on_demand_any_more_is_started() {
    let mut it = armed();
    it.settings.on_demand = None;
    it.when(Event::Deadline).does(&START);
    up().when(Event::Idle).does_nothing().when(Event::Knock).does_nothing();
}

fn limited(mut it: Sequence, limit: u8) -> Sequence {
    let restart = Restart { limit, delay: Millis(100), ..Restart::default() };
    it.settings.policy = Some(Box::new(Policy { restart, success: None }));
    it
}

#[test]
fn who_knocks_in_vain_too_often_is_left_waiting() {
    for (limit, most) in [(0, 10), (3, 3)] {
        let mut it = limited(armed(), limit);
        for _ in 1..most {
            it.when(Event::Knock).does(&START).when_spawned();
            it = ended(it, Exit::Code(0));
            it.after(100).when(Event::Deadline).does(&[say(Note::Armed)]);
        }
        // A killed supervisor's heir counts on.
        it.when(Event::Knock).when_spawned().when_resumed().when(Event::Exited(Exit::Code(0)));
        it.when_it_has_nothing_to_do()
            .does(&[say(Note::Failed), Action::Sweep(Signal::TERM)])
            .when(Event::Swept { left: 0 });
        it.is_down().waits_for_nothing().when(Event::Knock).does_nothing();
        assert_eq!((it.service.failed(), it.service.rest(), u64::from(it.service.vain())), (true, Rest::Limit, most));
        it.asked(Command::Arm).does(&[say(Note::Armed)]).when(Event::Knock).does(&START);
    }
}

#[test]
fn one_who_is_taken_makes_up_for_all_before() {
    let mut it = limited(armed(), 3);
    for round in 0..9 {
        it.when(Event::Knock).does(&START).when_spawned();
        if round % 2 == 1 {
            it.when(Event::Served).does_nothing();
        }
        it = ended(it, Exit::Code(0));
        it.after(100).when(Event::Deadline).does(&[say(Note::Armed)]);
    }
}
