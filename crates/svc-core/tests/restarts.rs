//! Restart policies as sequences: what the machine of a service makes of its ends.

#[path = "support/sequence.rs"]
#[allow(dead_code, reason = "transitions and states.rs use what this file does not")]
mod sequence;

use svc_core::restart::{Restart, When};
use svc_core::service::{Action, Command, Event, Note, Rest, Role, Want};
use svc_core::{Exit, Millis, Signal};

use sequence::{Sequence, say, to_main, up};

/// A service that is up under this policy.
fn under(restart: Restart) -> Sequence {
    let mut it = up();
    it.settings.policy_mut().restart = restart;
    it
}

/// It ends after `ran`, has no `finish`, and leaves nothing.
fn ends(it: &mut Sequence, ran: u64, exit: Exit) {
    it.after(ran).when(Event::Exited(exit)).does(&[say(Note::Exited), Action::Spawn(Role::Finish)]);
    it.when_it_has_nothing_to_do().when(Event::Swept { left: 0 }).is_down();
}

/// The next start comes after exactly this time.
fn starts_after(it: &mut Sequence, millis: u64) {
    it.waits(millis).after(millis).when(Event::Deadline).when_spawned().is_up(false);
}

const FAILURE: Exit = Exit::Code(1);

#[test]
fn pebble_back_off_sequence_and_its_reset_after_a_stable_run() {
    let mut it = under(Restart {
        delay: Millis(500),
        factor: 2000,
        max_delay: Millis(3000),
        reset_after: Millis(10_000),
        ..Restart::default()
    });
    for delay in [500, 1000, 2000, 3000, 3000] {
        ends(&mut it, 100, FAILURE);
        starts_after(&mut it, delay - 100);
    }
    // Longer than its delay, but not stable: at once, and the row goes on.
    ends(&mut it, 5000, FAILURE);
    starts_after(&mut it, 0);
    ends(&mut it, 10_000, FAILURE);
    starts_after(&mut it, 0);
    ends(&mut it, 100, FAILURE);
    starts_after(&mut it, 900);
}

#[test]
fn the_heir_of_a_killed_supervisor_counts_on() {
    let mut it = under(Restart { delay: Millis(500), factor: 2000, limit: 3, ..Restart::default() });
    ends(&mut it, 0, FAILURE);
    starts_after(&mut it, 500);
    it.when_resumed();
    ends(&mut it, 0, FAILURE);
    it.when_resumed();
    starts_after(&mut it, 1000);
    it.when_resumed();
    ends(&mut it, 0, FAILURE);
    it.waits_for_nothing();
    it.when_resumed();
    it.waits_for_nothing();
    assert_eq!((it.service.rest(), it.service.failed()), (Rest::Limit, true));
}

#[test]
fn a_limit_looks_back_over_its_window_only() {
    let mut it = under(Restart { limit: 2, window: Millis(10_000), ..Restart::default() });
    ends(&mut it, 2000, FAILURE);
    starts_after(&mut it, 0);
    // Exactly the window later the first end is out of it.
    ends(&mut it, 10_000, FAILURE);
    starts_after(&mut it, 0);
    ends(&mut it, 9_999, FAILURE);
    it.waits_for_nothing();
}

#[test]
fn ends_that_somebody_asked_for_do_not_count() {
    let mut it = under(Restart { when: When::Never, limit: 1, ..Restart::default() });
    it.asked(Command::Restart);
    ends(&mut it, 10, Exit::Code(0));
    starts_after(&mut it, 0);
    it.asked(Command::DownSignal);
    ends(&mut it, 10, Exit::Code(0));
    assert_eq!((it.service.rest(), it.service.want()), (Rest::No, Want::Up));
    starts_after(&mut it, 990);
    ends(&mut it, 10, Exit::Code(0));
    it.waits_for_nothing();
    assert_eq!((it.service.rest(), it.service.failed()), (Rest::Ended, false));
}

#[test]
fn a_start_during_finish_takes_the_verdict_back() {
    let mut it = under(Restart { when: When::Never, ..Restart::default() });
    it.after(10).when(Event::Exited(FAILURE)).when_spawned().asked(Command::Start);
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits(0);
    assert!(!it.service.failed());
}

#[test]
fn a_stop_during_finish_is_a_stop_and_no_failure() {
    let mut it = under(Restart { when: When::Never, ..Restart::default() });
    it.after(10).when(Event::Exited(FAILURE)).when_spawned().asked(Command::Stop);
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits_for_nothing();
    assert!(!it.service.failed());
}

#[test]
fn what_cannot_be_started_waits_as_long_as_its_policy_says() {
    let mut it = under(Restart { delay: Millis(60_000), ..Restart::default() });
    ends(&mut it, 60_000, FAILURE);
    it.when(Event::Deadline).when_it_cannot_start(Millis(1000)).waits(60_000);
    let mut it = under(Restart { delay: Millis(1), ..Restart::default() });
    ends(&mut it, 60_000, FAILURE);
    it.when(Event::Deadline).when_it_cannot_start(Millis(1000)).waits(1000);
}

#[test]
fn an_essential_service_ends_with_its_first_end_unless_finish_is_there_to_say() {
    let mut it = up();
    it.settings.essential = true;
    ends(&mut it, 10, FAILURE);
    it.waits_for_nothing();
    assert_eq!((it.service.rest(), it.service.failed()), (Rest::Ended, true));
    let mut it = up();
    it.settings.essential = true;
    it.after(10).when(Event::Exited(FAILURE)).when_spawned().when(Event::Exited(Exit::Code(0)));
    it.when(Event::Swept { left: 0 }).waits(990);
}

/// It is stopped for being unfit, ends like this, and leaves nothing.
fn found_unfit(it: &mut Sequence, exit: Exit) {
    it.when(Event::Unfit).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]);
    it.when(Event::Unfit).does_nothing();
    ends(it, 0, exit);
}

#[test]
fn one_that_is_unfit_ends_as_a_failure_of_its_own() {
    let mut it = under(Restart { when: When::OnFailure, delay: Millis(500), factor: 2000, ..Restart::default() });
    for delay in [500, 1000, 2000] {
        found_unfit(&mut it, Exit::Code(0));
        starts_after(&mut it, delay);
    }
    let mut it = under(Restart { when: When::Never, ..Restart::default() });
    found_unfit(&mut it, Exit::Code(0));
    it.waits_for_nothing();
    assert_eq!((it.service.want(), it.service.failed(), it.service.rest()), (Want::Down, true, Rest::Ended));
    let mut it = under(Restart { limit: 2, ..Restart::default() });
    found_unfit(&mut it, Exit::Code(0));
    starts_after(&mut it, 1000);
    found_unfit(&mut it, Exit::Signal(Signal::TERM));
    it.waits_for_nothing();
    assert_eq!((it.service.failed(), it.service.rest()), (true, Rest::Limit));
}

/// That is what it was stopped for.
#[test]
fn an_essential_one_that_is_unfit_is_started_again_where_its_policy_says_nothing() {
    let mut it = up();
    it.settings.essential = true;
    found_unfit(&mut it, Exit::Code(0));
    starts_after(&mut it, 1000);
    assert_eq!(it.service.rest(), Rest::No);
}

#[test]
fn somebody_who_asks_for_a_start_meanwhile_has_it_at_once() {
    let mut it = under(Restart { delay: Millis(5000), ..Restart::default() });
    it.when(Event::Unfit).asked(Command::Restart);
    ends(&mut it, 100, FAILURE);
    starts_after(&mut it, 0);
    assert_eq!(it.service.streak(), 0);
}
