//! The contract of the supervisor, case by case: s6's table of commands and its timing rules (s6-contract 2.4 and 1.3), and
//! where svc differs from s6 on purpose.

#[path = "support/sequence.rs"]
#[allow(dead_code, reason = "states.rs uses what this file does not")]
mod sequence;

use svc_core::definition::{Forking, Settings};
use svc_core::service::{Action, Command, Daemon, Event, Note, Role, State, Want};
use svc_core::{Exit, Millis, Pid, Signal};

use sequence::{down, finishing, say, sweeping, to_group, to_main, up, wanted};

const START: [Action; 2] = [Action::Publish(Note::Starting), Action::Spawn(Role::Run)];
const END: [Action; 2] = [Action::Publish(Note::Exited), Action::Spawn(Role::Finish)];

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
    let leaving = [Command::Drain, Command::Terminate, Command::Force, Command::Abandon, Command::Interrupt];
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
    for command in [Command::Drain, Command::Terminate] {
        let mut it = finishing();
        it.asked(command).does(&[say(Note::Changed)]);
        it.when(Event::Exited(Exit::Code(0))).does(&[Action::Sweep(Signal::TERM)]);
        it.when(Event::Swept { left: 0 }).does(&[say(Note::Down), Action::Quit]);
    }
}

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
