//! Forking daemons, and oneshots.

use svc_core::definition::{Forking, OnDemand, Settings};
use svc_core::service::{Action, Command, Daemon, Event, Note, Role, Stage, Trouble};
use svc_core::{Exit, Millis, Pid, Signal};

use crate::sequence;
use crate::sequence::{down, say, to_main, up, wanted};
use crate::{END, START};

// --- forking daemons

fn launching() -> sequence::Sequence {
    let mut it = wanted();
    it.settings.forking = Some(Forking { pid_file: None });
    it.when(Event::Deadline).when_spawned();
    assert_eq!(it.service.daemon(), Daemon::Launching);
    it
}

#[test]
fn a_forking_daemon_is_ready_when_its_command_has_ended_and_left_it_behind() {
    let mut it = launching();
    let (first, second) = (Pid::new(300).expect("positive"), Pid::new(301).expect("positive"));
    it.after(10).when(Event::Forked(first)).does(&[say(Note::Ready)]).is_up(false);
    assert_eq!((it.service.daemon(), it.service.pid()), (Daemon::Found, Some(first)));
    it.after(10).when(Event::Forked(second)).does(&[say(Note::Changed)]);
    assert_eq!((it.service.pid(), it.service.deaths()), (Some(second), 0));
    it.when(Event::Exited(Exit::Code(3))).does(&END);
    assert_eq!(it.service.last().map(|past| past.exit), Some(Exit::Code(3)));
}

#[test]
fn a_daemon_that_says_when_it_is_ready_is_not_before() {
    let mut it = launching();
    it.settings.notification_fd = Some(3);
    it.when(Event::Forked(Pid::new(300).expect("positive"))).does(&[say(Note::Changed)]);
    it.when(Event::Ready).does(&[say(Note::Ready)]);
}

#[test]
fn a_command_that_was_to_stop_leaves_no_daemon() {
    let mut it = launching();
    it.asked(Command::Stop).is_up(true);
    assert!(!it.service.may_have_forked(Exit::Code(0), &it.settings));
    it.when(Event::Forked(Pid::new(300).expect("positive"))).does(&END);
}

#[test]
fn only_an_exit_with_0_hands_over() {
    let it = launching();
    for exit in [Exit::Code(1), Exit::Signal(Signal::KILL)] {
        assert!(!it.service.may_have_forked(exit, &it.settings), "{exit}");
    }
    assert!(it.service.may_have_forked(Exit::Code(0), &it.settings));
    assert!(!up().service.may_have_forked(Exit::Code(0), &Settings::default()), "it is none");
}

// --- oneshots: what `run` has done stays until it is undone

/// `run` has ended with 0, and nothing else is to be done.
fn done() -> sequence::Sequence {
    let mut it = down();
    it.settings.keep_descendants = true;
    it.asked(Command::Once).when_spawned().when(Event::Exited(Exit::Code(0)));
    it.when_it_has_nothing_to_do().is_down();
    it
}

#[test]
fn what_ended_well_is_done_until_the_next_start() {
    let mut it = done();
    assert!(it.service.done());
    it.asked(Command::Once).does(&START);
    assert!(!it.service.done());
    it.when_spawned().when(Event::Exited(Exit::Code(1)));
    assert!(!it.service.done());
}

#[test]
fn what_is_done_is_undone_by_finish() {
    let mut it = done();
    it.asked(Command::Undo).does(&[say(Note::Stopping), Action::Spawn(Role::Finish)]);
    it.when_spawned().does(&[say(Note::Finishing)]).when(Event::Exited(Exit::Code(0))).is_down();
    assert!(!it.service.done());
    it.asked(Command::Undo).does(&[say(Note::Changed)]).is_down();
}

#[test]
fn what_cannot_be_undone_stays_done_and_says_why() {
    let mut it = done();
    it.asked(Command::Undo).when_spawned().when(Event::Exited(Exit::Code(125))).is_down();
    assert!(it.service.done() && !it.service.failed());
    assert_eq!(it.service.last().map(|past| past.exit), Some(Exit::Code(125)));
    it.asked(Command::Undo).when_it_cannot_start(Millis::ZERO).is_down();
    assert!(it.service.done() && it.service.trouble().is_some());
    it.asked(Command::Undo).when_it_has_nothing_to_do().is_down();
    assert!(!it.service.done());
}

#[test]
fn an_undo_of_what_is_still_being_done_breaks_it_off() {
    up().asked(Command::Undo).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]).is_up(true);
}

#[test]
fn a_start_of_one_that_is_up_does_not_shorten_its_next_delay() {
    up().after(1).asked(Command::Start).when_it_ends_without_a_trace().waits(999);
    up().after(1).asked(Command::Restart).when_it_ends_without_a_trace().waits(0);
}

// --- what is made ready before the program is executed

fn preparing() -> sequence::Sequence {
    let mut it = wanted();
    it.when(Event::Deadline).when(Event::Prepares(Pid::new(300).expect("positive"))).does(&[say(Note::Changed)]);
    assert!(it.service.prepares());
    it
}

#[test]
fn it_is_up_when_its_program_is_executed() {
    let mut it = preparing();
    it.after(50).when(Event::Executed).does(&[say(Note::Up)]).is_up(false);
    assert!(!it.service.prepares());
    it.when(Event::Executed).does_nothing();
}

#[test]
fn an_end_before_that_is_a_start_that_failed_until_one_succeeds() {
    let mut it = preparing();
    it.settings.on_demand = Some(OnDemand { idle_stop: Millis::ZERO });
    // Also with what is a success of the program.
    it.after(5).when(Event::Exited(Exit::Code(0)));
    it.does(&[say(Note::Exited), say(Note::Trouble), Action::Spawn(Role::Finish)]);
    let trouble = Some(Trouble { stage: Stage::Prepare, errno: 0 });
    assert_eq!((it.service.done(), it.service.trouble()), (false, trouble));
    it.when_it_has_nothing_to_do().when(Event::Swept { left: 0 }).waits(995);
    it.after(995).when(Event::Deadline).when(Event::Prepares(Pid::new(301).expect("positive")));
    assert_eq!(it.service.trouble(), trouble, "nobody knows better yet");
    it.when(Event::Executed);
    assert_eq!(it.service.trouble(), None);
}

#[test]
fn a_stop_while_it_prepares_is_no_failure() {
    let mut it = preparing();
    it.asked(Command::Stop).is_up(true).when(Event::Exited(Exit::Signal(Signal::TERM))).does(&END);
    assert_eq!(it.service.trouble(), None);
}

#[test]
fn one_that_prepares_leaves_no_daemon_behind() {
    let mut it = preparing();
    it.settings.forking = Some(Forking { pid_file: None });
    assert!(!it.service.may_have_forked(Exit::Code(0), &it.settings));
    it.when(Event::Executed);
    assert!(it.service.may_have_forked(Exit::Code(0), &it.settings));
}
