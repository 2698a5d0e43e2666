//! What it does when it is told something.

use svc_core::service::{Action, Command, Event, Note, State, Want};
use svc_core::{Exit, Millis, Signal};

use crate::START;
use crate::sequence::{down, finishing, say, to_group, to_main, up, wanted};

// --- commands while it is down

#[test]
fn a_start_when_down_starts_now() {
    down().asked(Command::Start).does(&START).when_spawned().does(&[say(Note::Up)]).is_up(false);
}

#[test]
fn a_service_that_is_to_be_up_starts_with_the_first_deadline() {
    wanted().waits(0).when(Event::Deadline).does(&START);
}

#[test]
fn a_stop_when_down_only_says_so() {
    down().asked(Command::Stop).does(&[say(Note::Changed)]).waits_for_nothing();
}

#[test]
fn signals_when_down_have_nobody_to_go_to() {
    let signals = [
        Command::Kill(Signal::USR1),
        Command::KillGroup(Signal::KILL),
        Command::Reload,
        Command::DownSignal,
        Command::Pause,
        Command::Continue,
    ];
    for command in signals {
        down().asked(command).does_nothing().is_down();
    }
}

#[test]
fn at_most_once_changes_the_wish_and_nothing_else() {
    let mut it = down();
    it.asked(Command::AtMostOnce).does(&[say(Note::Changed)]).waits_for_nothing();
    let mut it = wanted();
    it.asked(Command::AtMostOnce).does(&[say(Note::Changed)]).waits_for_nothing();
    let mut it = up();
    it.asked(Command::AtMostOnce).does(&[say(Note::Changed)]).is_up(false);
    it.when(Event::Exited(Exit::Code(0))).when_spawned().when(Event::Exited(Exit::Code(0)));
    it.when(Event::Swept { left: 0 }).does(&[say(Note::Down)]).waits_for_nothing();
    let mut it = finishing();
    it.asked(Command::AtMostOnce).does(&[say(Note::Changed)]);
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits_for_nothing();
}

#[test]
fn the_down_signal_alone_is_no_stop() {
    let mut it = up();
    it.settings.down_signal = Signal::QUIT;
    it.settings.timeout_kill = Millis(100);
    it.asked(Command::DownSignal).does(&[to_main(Signal::QUIT), say(Note::Changed)]).is_up(false).waits_for_nothing();
    assert_eq!(it.service.want(), Want::Up);
}

#[test]
fn whoever_is_told_to_leave_when_down_leaves() {
    let leaving = [Command::Drain, Command::Terminate, Command::Hurry, Command::Force, Command::Abandon, Command::Interrupt];
    for command in leaving {
        down().asked(command).does(&[Action::Quit]);
    }
}

#[test]
fn a_restart_when_down_is_a_start() {
    let mut it = down();
    it.asked(Command::Restart).does(&START);
    assert_eq!(it.service.want(), Want::Up);
}

// --- commands while it is up

#[test]
fn a_stop_sends_the_down_signal_then_continue() {
    let mut it = up();
    it.asked(Command::Stop).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]);
    it.is_up(true).waits_for_nothing();
}

#[test]
fn the_down_signal_and_the_reload_signal_can_be_chosen() {
    let mut it = up();
    it.settings.down_signal = Signal::QUIT;
    it.settings.reload_signal = Signal::USR2;
    it.asked(Command::Reload).does(&[to_main(Signal::USR2)]);
    it.asked(Command::Stop).does(&[to_main(Signal::QUIT), to_main(Signal::CONT), say(Note::Stopping)]);
}

#[test]
fn a_signal_to_the_group_pauses_too() {
    let mut it = up();
    it.asked(Command::KillGroup(Signal::STOP)).does(&[to_group(Signal::STOP), say(Note::Changed)]);
    assert!(matches!(it.service.state(), State::Up { paused: true, .. }));
    it.asked(Command::KillGroup(Signal::CONT)).does(&[to_group(Signal::CONT), say(Note::Changed)]);
    assert!(matches!(it.service.state(), State::Up { paused: false, .. }));
    it.asked(Command::KillGroup(Signal::KILL)).does(&[to_group(Signal::KILL), say(Note::Changed)]).is_up(false);
}

#[test]
fn a_signal_goes_to_the_main_process() {
    up().asked(Command::Kill(Signal::USR1)).does(&[to_main(Signal::USR1), say(Note::Changed)]).is_up(false);
}

#[test]
fn a_paused_service_is_continued_when_it_is_to_stop() {
    let mut it = up();
    it.asked(Command::Pause).does(&[to_main(Signal::STOP), say(Note::Changed)]);
    assert!(matches!(it.service.state(), State::Up { paused: true, .. }));
    it.asked(Command::Stop).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]);
    assert!(matches!(it.service.state(), State::Up { paused: false, .. }));
}

#[test]
fn pause_is_known_however_it_was_asked_for() {
    let pauses = [Command::Pause, Command::Kill(Signal::STOP)];
    let continues = [Command::Continue, Command::Kill(Signal::CONT)];
    for (pause, unpause) in pauses.into_iter().zip(continues) {
        let mut it = up();
        it.asked(pause);
        assert!(matches!(it.service.state(), State::Up { paused: true, .. }));
        it.asked(Command::Kill(Signal::USR1));
        assert!(matches!(it.service.state(), State::Up { paused: true, .. }), "another signal continues nobody");
        it.asked(unpause);
        assert!(matches!(it.service.state(), State::Up { paused: false, .. }));
    }
}

#[test]
fn a_start_while_stopping_lets_the_stop_go_on_and_starts_again() {
    let mut it = up();
    it.settings.timeout_kill = Millis(3000);
    it.asked(Command::Stop).waits(3000).after(100);
    it.asked(Command::Start).does(&[say(Note::Changed)]).is_up(true).waits(2900);
    it.when_it_ends_without_a_trace().does(&[say(Note::Down)]).waits(0);
    it.when(Event::Deadline).does(&START);
}

#[test]
fn a_second_stop_signals_again_and_sets_the_timer_again() {
    let mut it = up();
    it.settings.timeout_kill = Millis(3000);
    it.asked(Command::Stop).waits(3000).after(2000);
    it.asked(Command::Stop).does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]).waits(3000);
}

#[test]
fn once_while_up_lets_it_run_and_does_not_start_it_again() {
    let mut it = up();
    it.asked(Command::Once).does(&[say(Note::Changed)]).is_up(false).after(5000);
    it.when_it_ends_without_a_trace().does(&[say(Note::Down)]).waits_for_nothing();
    assert_eq!(it.service.want(), Want::Down);
}

#[test]
fn once_when_down_starts_it_once() {
    let mut it = down();
    it.asked(Command::Once).does(&START).when_spawned();
    it.when_it_ends_without_a_trace().waits_for_nothing();
}

#[test]
fn once_that_cannot_start_is_not_tried_again() {
    down().asked(Command::Once).when_it_cannot_start(Millis(1000)).does(&[say(Note::Trouble)]).waits_for_nothing();
}

#[test]
fn a_restart_stops_it_and_starts_it_as_soon_as_nothing_is_left() {
    let mut it = up();
    it.after(10).asked(Command::Restart);
    it.does(&[to_main(Signal::TERM), to_main(Signal::CONT), say(Note::Stopping)]).is_up(true);
    // Long before the restart gap is over: somebody asked.
    it.when_it_ends_without_a_trace().waits(0).when(Event::Deadline).does(&START);
}

#[test]
fn a_restart_while_stopping_starts_it_again() {
    let mut it = up();
    it.asked(Command::Stop).asked(Command::Restart).is_up(true);
    it.when_it_ends_without_a_trace().waits(0);
}

#[test]
fn a_stop_after_a_restart_leaves_it_down() {
    let mut it = up();
    it.asked(Command::Restart).asked(Command::Stop);
    it.when_it_ends_without_a_trace().is_down().waits_for_nothing();
}

// --- commands while finish runs

#[test]
fn a_start_during_finish_waits_for_finish() {
    let mut it = finishing();
    it.asked(Command::Stop).asked(Command::Start).does(&[say(Note::Changed)]);
    it.when(Event::Exited(Exit::Code(0))).does(&[Action::Sweep(Signal::TERM)]);
    it.when(Event::Swept { left: 0 }).does(&[say(Note::Down)]).waits(0);
}

#[test]
fn down_during_finish_stays_down() {
    let mut it = finishing();
    it.asked(Command::Stop).does(&[say(Note::Changed)]);
    it.when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).is_down().waits_for_nothing();
}

#[test]
fn once_during_finish_starts_it_once_more() {
    let mut it = finishing();
    it.asked(Command::Once).when(Event::Exited(Exit::Code(0))).when(Event::Swept { left: 0 }).waits(0);
    it.when(Event::Deadline).does(&START).when_spawned().after(2000);
    it.when_it_ends_without_a_trace().waits_for_nothing();
}

#[test]
fn signals_during_finish_do_not_reach_it() {
    for command in [Command::Kill(Signal::TERM), Command::Pause, Command::Continue, Command::Reload] {
        finishing().asked(command).does(&[say(Note::Changed)]);
    }
}

#[test]
fn told_to_leave_during_finish_it_leaves_when_all_is_done() {
    for command in [Command::Drain, Command::Terminate, Command::Hurry] {
        let mut it = finishing();
        it.asked(command).does(&[say(Note::Changed)]);
        it.when(Event::Exited(Exit::Code(0))).does(&[Action::Sweep(Signal::TERM)]);
        it.when(Event::Swept { left: 0 }).does(&[say(Note::Down), Action::Quit]);
    }
}
