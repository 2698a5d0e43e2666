//! svc-init's machine and the plan of the end, case by case (invariants 2 and 5 of docs/promises.md).

#[path = "support/rng.rs"]
#[allow(dead_code, reason = "the model of the tree needs chance, these cases do not")]
mod rng;
#[path = "support/tree.rs"]
#[allow(dead_code, reason = "init.rs uses what this file does not")]
mod tree;

use svc_core::init::{Action, Daemon, Event, Init, Order};
use svc_core::shutdown::{Member, Plan, Tell};
use svc_core::{Command, Millis, Signal};

use tree::{Manner, Tree};

const BUDGET: Millis = Millis::from_secs(8);
const KILLED: [Action; 1] = [Action::KillEverybody];

struct Case {
    init: Init,
    now: Millis,
    done: Vec<Action>,
}

/// Both daemons were started 5 s ago, and some supervisors live.
fn running(supervisors: usize) -> Case {
    let mut case = Case { init: Init::new(BUDGET), now: Millis::from_secs(5), done: Vec::new() };
    case.when(Event::Deadline).does(&[Action::Start(Daemon::Scan), Action::Start(Daemon::Log)]);
    case.when(Event::Started(Daemon::Scan)).when(Event::Started(Daemon::Log)).does(&[]);
    case.after(5000).left(supervisors, 0).does(&[]);
    case
}

/// Nobody but svc-log lives; it reads to the end.
fn flushing() -> Case {
    let mut case = running(1);
    case.when(Event::Signal(Signal::TERM)).left(0, 0).does(&[Action::FinishLog]);
    case
}

impl Case {
    fn after(&mut self, millis: u64) -> &mut Case {
        self.now = self.now + Millis(millis);
        self
    }

    fn when(&mut self, event: Event) -> &mut Case {
        let mut done = Vec::new();
        self.init.step(self.now, event, &mut |action| done.push(action));
        self.done = done;
        self
    }

    fn left(&mut self, supervisors: usize, orphans: usize) -> &mut Case {
        self.when(Event::Others { supervisors, orphans })
    }

    #[track_caller]
    fn does(&mut self, expected: &[Action]) -> &mut Case {
        assert_eq!(self.done, expected, "in {:?}", self.init);
        self
    }

    #[track_caller]
    fn waits(&mut self, millis: u64) -> &mut Case {
        assert_eq!(self.init.deadline().map(|at| at - self.now), Some(Millis(millis)), "in {:?}", self.init);
        self
    }
}

fn shutdown(left: u64, force: bool, quick: bool) -> Action {
    Action::Tell(Order::Shutdown { left: Millis(left), force, quick })
}

fn exit(code: u8) -> [Action; 2] {
    [Action::Kill(Daemon::Scan), Action::Exit { code }]
}

// --- the daemons

#[test]
fn a_daemon_that_dies_at_once_comes_back_slower_and_slower_but_within_800_ms() {
    for daemon in [Daemon::Scan, Daemon::Log] {
        let mut it = running(0);
        it.when(Event::Crashed(daemon)).does(&[Action::Start(daemon)]).when(Event::Started(daemon));
        for delay in [100, 200, 400, 800, 800, 800] {
            it.after(1).when(Event::Crashed(daemon)).does(&[]).waits(delay);
            it.after(delay).when(Event::Deadline).does(&[Action::Start(daemon)]).when(Event::Started(daemon));
        }
    }
}

#[test]
fn a_daemon_that_lived_for_a_second_comes_back_at_once() {
    let mut it = running(0);
    for _ in 0..3 {
        it.when(Event::Exited(Daemon::Scan)).does(&[Action::Start(Daemon::Scan)]);
        it.when(Event::Started(Daemon::Scan)).after(1000);
    }
}

#[test]
fn a_daemon_that_cannot_be_forked_is_tried_again() {
    let mut it = running(0);
    it.when(Event::Crashed(Daemon::Scan)).when(Event::StartFailed(Daemon::Scan)).waits(800);
    it.after(800).when(Event::Deadline).does(&[Action::Start(Daemon::Scan)]);
}

// --- signals

#[test]
fn hangup_and_alarm_mean_look_again() {
    for signal in [Signal::HUP, Signal::ALRM] {
        running(1).when(Event::Signal(signal)).does(&[Action::Tell(Order::Rescan)]);
    }
}

#[test]
fn signals_for_hooks_alone_mean_nothing() {
    for signal in [Signal::USR1, Signal::USR2, Signal::PWR, Signal::WINCH] {
        running(1).when(Event::Signal(signal)).does(&[]);
    }
}

#[test]
fn abort_waits_for_nobody() {
    for mut it in [running(3), flushing()] {
        it.when(Event::Signal(Signal::ABRT)).does(&[Action::Abort]);
        it.when(Event::Signal(Signal::TERM)).does(&[]).when(Event::Exited(Daemon::Log)).does(&[]);
        assert_eq!(it.init.deadline(), None);
    }
}

#[test]
fn terminate_and_interrupt_bring_everything_down() {
    for signal in [Signal::TERM, Signal::INT] {
        running(1).when(Event::Signal(signal)).does(&[shutdown(7600, false, false)]).waits(7600);
    }
}

#[test]
fn quit_lets_loggers_not_read_to_the_end() {
    running(1).when(Event::Signal(Signal::QUIT)).does(&[shutdown(7600, false, true)]);
}

#[test]
fn what_is_left_may_have_a_limit_of_its_own() {
    let mut it = running(1);
    it.init = it.init.clone().with_rest(Some(Millis(1000)));
    it.when(Event::Signal(Signal::TERM)).waits(7600);
    it.after(100).left(0, 1).does(&[Action::StopOrphans]).waits(1000);
    it.after(1000).when(Event::Deadline).does(&KILLED);
}

#[test]
fn a_second_terminate_forces() {
    let mut it = running(1);
    it.when(Event::Signal(Signal::TERM)).after(1000).when(Event::Signal(Signal::TERM)).does(&[shutdown(400, true, false)]);
    it.waits(400).after(400).when(Event::Deadline).does(&KILLED);
}

#[test]
fn whoever_asks_after_force_gives_no_time_back() {
    let mut it = running(1);
    it.when(Event::Signal(Signal::TERM)).when(Event::Signal(Signal::TERM)).after(100);
    it.when(Event::Signal(Signal::QUIT)).does(&[shutdown(300, true, true)]).waits(300);
    it.when(Event::Shutdown { code: 1, named: false, force: false }).does(&[shutdown(300, true, true)]).waits(300);
}

#[test]
fn a_terminate_while_lines_are_written_leaves_400_ms() {
    let mut it = flushing();
    it.waits(8000).when(Event::Signal(Signal::TERM)).does(&[]).waits(400);
    it.after(400).when(Event::Deadline).does(&[Action::Kill(Daemon::Log), exit(0)[0], exit(0)[1]]);
}

#[test]
fn a_stop_by_the_control_fifo_is_no_impatience() {
    let mut it = running(1);
    it.when(Event::Stop { quick: false }).does(&[shutdown(7600, false, false)]);
    it.when(Event::Stop { quick: true }).does(&[shutdown(7600, false, true)]);
    it.when(Event::Signal(Signal::TERM)).does(&[shutdown(7600, false, true)]);
    it.when(Event::Signal(Signal::TERM)).does(&[shutdown(400, true, true)]);
}

// --- the end

#[test]
fn the_first_code_that_was_named_is_the_exit_code() {
    let mut it = running(1);
    it.when(Event::Signal(Signal::TERM));
    it.when(Event::Shutdown { code: 7, named: false, force: false }).when(Event::Shutdown {
        code: 9,
        named: false,
        force: false,
    });
    it.left(0, 0).when(Event::Exited(Daemon::Log)).does(&exit(7));
}

#[test]
fn a_code_that_somebody_names_takes_the_place_of_every_other() {
    let mut it = running(1);
    it.when(Event::Shutdown { code: 0, named: false, force: false });
    it.when(Event::Shutdown { code: 7, named: true, force: false }).when(Event::Shutdown {
        code: 5,
        named: true,
        force: true,
    });
    it.when(Event::Shutdown { code: 0, named: false, force: false });
    it.left(0, 0).when(Event::Exited(Daemon::Log)).does(&exit(5));
}

#[test]
fn with_nobody_left_only_the_last_lines_are_waited_for() {
    let mut it = running(0);
    it.when(Event::Signal(Signal::TERM)).does(&[shutdown(7600, false, false), Action::FinishLog]);
    it.after(3).when(Event::Exited(Daemon::Log)).does(&exit(0));
}

#[test]
fn supervisors_are_waited_for_and_then_orphans_are_told_once() {
    let mut it = running(2);
    it.when(Event::Signal(Signal::TERM)).left(1, 0).does(&[]);
    it.left(0, 2).does(&[Action::StopOrphans]).left(0, 1).does(&[]).left(0, 0).does(&[Action::FinishLog]);
}

#[test]
fn whoever_is_late_is_killed_before_the_time_is_up() {
    let mut it = running(2);
    it.when(Event::Signal(Signal::TERM)).after(7599).when(Event::Deadline).does(&[]);
    it.after(1).when(Event::Deadline).does(&KILLED).left(0, 0).does(&[Action::FinishLog]);
}

#[test]
fn who_cannot_be_killed_is_not_waited_for() {
    let mut it = running(2);
    it.when(Event::Signal(Signal::TERM)).after(7600).when(Event::Deadline).does(&KILLED).waits(400);
    it.after(400).when(Event::Deadline).does(&[Action::KillEverybody, Action::FinishLog]).waits(100);
    it.after(100).when(Event::Deadline).does(&[Action::Kill(Daemon::Log), exit(0)[0], exit(0)[1]]);
}

#[test]
fn svc_scan_that_comes_back_is_told_what_time_is_left() {
    let mut it = running(1);
    it.when(Event::Signal(Signal::QUIT)).after(600).when(Event::Crashed(Daemon::Scan)).does(&[Action::Start(Daemon::Scan)]);
    it.after(10).when(Event::Started(Daemon::Scan)).does(&[shutdown(6990, false, true)]);
}

#[test]
fn svc_scan_is_not_started_again_for_the_last_lines() {
    let mut it = running(1);
    it.when(Event::Crashed(Daemon::Scan)).when(Event::Started(Daemon::Scan)).after(1).when(Event::Crashed(Daemon::Scan));
    it.waits(100).when(Event::Signal(Signal::TERM)).left(0, 0).does(&[Action::FinishLog]);
    it.waits(8000).after(100).when(Event::Deadline).does(&[]);
    let mut it = flushing();
    it.when(Event::Crashed(Daemon::Scan)).does(&[]).waits(8000);
}

#[test]
fn svc_log_that_crashes_over_the_last_lines_comes_once_more() {
    let mut it = flushing();
    it.after(1).when(Event::Crashed(Daemon::Log)).does(&[Action::Start(Daemon::Log)]);
    it.when(Event::Started(Daemon::Log)).does(&[Action::FinishLog]);
    it.after(1).when(Event::Exited(Daemon::Log)).does(&exit(0));
}

#[test]
fn svc_log_that_is_dead_when_only_lines_are_left_comes_at_once() {
    let mut it = running(1);
    it.when(Event::Crashed(Daemon::Log)).when(Event::StartFailed(Daemon::Log)).waits(800);
    it.when(Event::Signal(Signal::TERM)).left(0, 0).does(&[Action::FinishLog, Action::Start(Daemon::Log)]);
}

#[test]
fn svc_log_that_cannot_come_is_waited_for_while_there_is_something_to_read() {
    let mut it = running(1);
    it.when(Event::Crashed(Daemon::Log)).when(Event::StartFailed(Daemon::Log));
    it.when(Event::AllRead).does(&[]).when(Event::Signal(Signal::TERM)).when(Event::AllRead).does(&[]);
    it.left(0, 0).does(&[Action::FinishLog, Action::Start(Daemon::Log)]);
    it.when(Event::StartFailed(Daemon::Log)).does(&[]).waits(800).when(Event::AllRead).does(&exit(0));
    // One that lives reads by itself.
    flushing().when(Event::AllRead).does(&[]).when(Event::Exited(Daemon::Log)).does(&exit(0));
}

#[test]
fn svc_log_that_hangs_is_killed_when_the_time_is_up() {
    let mut it = flushing();
    it.after(7999).when(Event::Deadline).does(&[]).after(1).when(Event::Deadline);
    it.does(&[Action::Kill(Daemon::Log), exit(0)[0], exit(0)[1]]);
}

#[test]
fn the_last_lines_get_a_moment_even_after_the_time_is_up() {
    let mut it = running(1);
    it.when(Event::Signal(Signal::TERM)).after(7990).left(0, 0).does(&[Action::FinishLog]).waits(100);
}

#[test]
fn after_a_fault_the_end_goes_on_where_it_was() {
    let now = Millis::from_secs(5);
    let init = Init::recovered(BUDGET, now, false, true, Some(now + Millis(3000)), Some(3));
    let mut it = Case { init, now, done: Vec::new() };
    it.when(Event::Deadline).does(&[Action::Start(Daemon::Scan)]);
    it.when(Event::Started(Daemon::Scan)).does(&[shutdown(2600, false, false)]).waits(2600);
    it.left(1, 0).left(0, 0).does(&[Action::FinishLog]).when(Event::Exited(Daemon::Log)).does(&exit(3));
}

#[test]
fn without_a_budget_everybody_is_killed_at_once() {
    let mut it = running(1);
    it.init = Init::recovered(Millis::ZERO, it.now, true, true, None, None);
    it.left(1, 0).when(Event::Signal(Signal::TERM)).waits(0);
    it.when(Event::Deadline).does(&[Action::KillEverybody, Action::FinishLog]).waits(100);
}

// --- the whole tree

/// Lets a tree run for a second, sends SIGTERM, and says how long the end took.
fn time_of_the_end(tree: &mut Tree) -> u64 {
    tree.turn();
    let asked = tree.now + Millis(1000);
    while tree.next_event().is_some_and(|at| at < asked) {
        tree.advance(tree.next_event().unwrap_or(asked));
        tree.turn();
    }
    tree.advance(asked);
    tree.signals.push_back(Signal::TERM);
    tree.turn();
    for _ in 0..1000 {
        if tree.is_over() {
            break;
        }
        let next = tree.next_event().expect("it goes on until the end");
        tree.advance(next);
        tree.turn();
    }
    assert_eq!(tree.broken, None);
    assert!(matches!(tree.acts.last(), Some((_, Action::Exit { code: 0 }))), "it is over");
    (tree.now - asked).0
}

#[test]
fn a_tree_without_services_ends_at_once() {
    let took = time_of_the_end(&mut Tree::new(1, BUDGET, false));
    assert!(took <= 5, "took {took} ms");
}

#[test]
fn the_end_takes_as_long_as_the_slowest_pair_and_no_longer() {
    let mut tree = Tree::new(1, BUDGET, false);
    tree.stop_takes = [300; 4];
    tree.wanted = vec![(0, None), (1, Some(0)), (2, None), (3, Some(2))];
    let took = time_of_the_end(&mut tree);
    // Producers together, then loggers together.
    assert!((600..620).contains(&took), "took {took} ms");
    assert!(tree.log_left);
}

#[test]
fn an_svc_scan_that_hangs_costs_the_budget_and_nothing_else() {
    let mut tree = Tree::new(1, BUDGET, false);
    tree.wanted = vec![(0, None), (1, None)];
    tree.turn();
    tree.advance(tree.now);
    tree.turn();
    tree.scan_manner = Manner::Hangs;
    tree.kill(Daemon::Scan);
    let took = time_of_the_end(&mut tree);
    assert!((7600..7700).contains(&took), "took {took} ms: {:?}", tree.acts);
    assert!(tree.log_left, "the lines of the killed are written");
}

// --- the plan of the end

fn plan(producers: u32, loggers: u32, force: bool, quick: bool) -> (Plan, Vec<Tell>) {
    let producers = (0..producers).map(|id| Member { id, logger: false });
    let members = producers.chain((0..loggers).map(|id| Member { id: 100 + id, logger: true })).collect();
    let mut out = Vec::new();
    (Plan::new(Millis(0), Millis(8000), members, force, quick, &mut out), out)
}

fn told(id: u32, command: Command) -> Tell {
    Tell { id, command }
}

#[test]
fn a_plan_for_nobody_is_over_at_once() {
    for (force, quick) in [(false, false), (true, false), (false, true)] {
        let (plan, out) = plan(0, 0, force, quick);
        assert!(plan.is_over() && out.is_empty(), "force {force}, quick {quick}");
        assert_eq!(plan.deadline(), None);
    }
}

#[test]
fn loggers_without_producers_drain_at_once() {
    assert_eq!(plan(0, 1, false, false).1, [told(100, Command::Drain)]);
}

#[test]
fn a_quick_end_asks_loggers_with_everybody_else() {
    let (mut plan, mut out) = plan(1, 1, false, true);
    assert_eq!(out, [told(0, Command::Hurry), told(100, Command::Terminate)]);
    out.clear();
    plan.gone(0, &mut out);
    assert_eq!(out, []);
}

#[test]
fn force_is_used_once_and_on_everybody() {
    let (mut plan, mut out) = plan(1, 1, true, false);
    assert_eq!(out, [told(0, Command::Force), told(100, Command::Force)]);
    out.clear();
    plan.force(&mut out);
    assert_eq!((out, plan.deadline()), (vec![], None));
}

#[test]
fn a_supervisor_that_comes_back_is_told_what_its_kind_was_told() {
    let (producer, logger) = (Member { id: 0, logger: false }, Member { id: 100, logger: true });
    let (mut plan, mut out) = plan(1, 1, false, false);
    let mut joins = |plan: &mut Plan, member| {
        out.clear();
        plan.joined(member, &mut out);
        out.iter().map(|tell| tell.command).collect::<Vec<_>>()
    };
    assert_eq!(joins(&mut plan, producer), [Command::Hurry]);
    assert_eq!(joins(&mut plan, logger), []);
    plan.time(Millis(6000), &mut Vec::new());
    assert_eq!(plan.deadline(), None);
    assert_eq!(joins(&mut plan, producer), [Command::Force], "its kind was killed while it was away");
    plan.gone(0, &mut Vec::new());
    assert_eq!(joins(&mut plan, logger), [Command::Drain]);
    plan.time(Millis(7000), &mut Vec::new());
    assert_eq!(joins(&mut plan, logger), [Command::Hurry]);
    plan.time(Millis(8000), &mut Vec::new());
    assert_eq!(joins(&mut plan, logger), [Command::Force]);
}
