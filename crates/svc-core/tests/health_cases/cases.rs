//! Sequences of events, and what is done.

use svc_core::guard::{Excess, MemoryLimit};
use svc_core::health::{Action, Actions, Checks, Event, Health, Life, Phase, Probe, Remedy, Verdict};
use svc_core::{Millis, Pid};

const UP: Life = Life::Up { start: 1, ready: true, paused: false };
const UNREADY: Life = Life::Up { start: 1, ready: false, paused: false };

fn pid(number: i32) -> Pid {
    Pid::new(number).expect("positive")
}

fn probe() -> Probe {
    Probe {
        words: Vec::new(),
        interval: Millis(1000),
        timeout: Millis(500),
        start_period: Millis::ZERO,
        failures: 3,
        successes: 1,
        remedy: Remedy::Restart,
    }
}

struct Case {
    health: Health,
    checks: Checks,
    now: Millis,
    looks: i32,
    done: Vec<Action>,
}

impl Case {
    fn of(probe: Option<Probe>) -> Case {
        let checks = Checks { health: probe.map(Box::new), ..Checks::default() };
        Case { health: Health::new(Millis(0)), checks, now: Millis(0), looks: 0, done: Vec::new() }
    }

    fn watched(span: u64) -> Case {
        let mut case = Case::of(None);
        case.checks.watchdog = Millis(span);
        case
    }

    fn when(&mut self, event: Event) -> &mut Case {
        let mut actions = Actions::default();
        self.health.step(self.now, event, &self.checks, &mut actions);
        let actions: Vec<Action> = actions.drain().collect();
        for action in actions {
            self.done.push(action);
            if action == Action::Look {
                self.looks += 1;
                let begun = Event::Begun(pid(self.looks));
                self.when(begun);
            }
        }
        self
    }

    /// Time passes up to the next deadline, which must be this.
    #[track_caller]
    fn at(&mut self, now: u64) -> &mut Case {
        assert_eq!(self.health.deadline(), Some(Millis(now)));
        self.now = Millis(now);
        self.when(Event::Deadline)
    }

    /// Time passes, and nothing is due.
    #[track_caller]
    fn later(&mut self, now: u64) -> &mut Case {
        assert!(self.health.deadline().is_none_or(|at| at > Millis(now)), "{:?} is before", self.health.deadline());
        self.now = Millis(now);
        self
    }

    fn ends(&mut self, well: bool) -> &mut Case {
        self.when(Event::Ended { well })
    }

    #[track_caller]
    fn does(&mut self, actions: &[Action]) -> &mut Case {
        assert_eq!(std::mem::take(&mut self.done), actions);
        self
    }

    #[track_caller]
    fn is(&mut self, verdict: Verdict) -> &mut Case {
        assert_eq!(self.health.verdict(), verdict);
        self
    }
}

#[test]
fn without_a_check_nothing_is_ever_due() {
    let mut case = Case::of(None);
    case.when(Event::Life(UP)).does(&[]);
    assert_eq!(case.health.deadline(), None);
    case.when(Event::Fed).when(Event::Starved).when(Event::Span(Millis(5))).when(Event::Deadline).does(&[]);
    assert_eq!(case.health.deadline(), None);
}

#[test]
fn so_many_failures_in_a_row_and_no_fewer() {
    let mut case = Case::of(Some(probe()));
    case.when(Event::Life(UP)).at(0).does(&[Action::Look]);
    case.later(10).ends(true).does(&[Action::Publish]).is(Verdict::Healthy);
    // From the end of one to the next.
    case.at(1010).does(&[Action::Look]).ends(false).at(2010).ends(false).is(Verdict::Healthy);
    case.at(3010).ends(true).at(4010).ends(false).at(5010).ends(false).is(Verdict::Healthy).does(&[Action::Look; 4]);
    case.at(6010).ends(false).is(Verdict::Unhealthy);
    case.does(&[Action::Look, Action::Publish, Action::Remedy(Remedy::Restart)]);
    // It stays so, and nothing is done a second time.
    for turn in 7..20 {
        case.at(turn * 1000 + 10).ends(false).does(&[Action::Look]);
    }
    case.at(20_010).ends(true).is(Verdict::Healthy).does(&[Action::Look, Action::Publish]);
}

#[test]
fn so_many_successes_in_a_row() {
    let mut case = Case::of(Some(Probe { successes: 2, failures: 1, ..probe() }));
    case.when(Event::Life(UP)).at(0).ends(true).is(Verdict::Unknown).at(1000).ends(false).is(Verdict::Unhealthy);
    case.at(2000).ends(true).is(Verdict::Unhealthy).at(3000).ends(true).is(Verdict::Healthy);
}

#[test]
fn a_look_that_does_not_end_is_killed_counts_once_and_none_comes_beside_it() {
    let mut case = Case::of(Some(Probe { failures: 1, ..probe() }));
    case.when(Event::Life(UP)).at(0).does(&[Action::Look]).at(500);
    case.does(&[Action::Kill(pid(1)), Action::Publish, Action::Remedy(Remedy::Restart)]).is(Verdict::Unhealthy);
    // It does not die. The next one waits, however long that takes.
    case.at(5500).does(&[Action::Kill(pid(1))]).at(10_500).does(&[Action::Kill(pid(1))]);
    case.later(11_000).ends(true).is(Verdict::Unhealthy).does(&[]);
    case.at(11_000).does(&[Action::Look]).ends(true).is(Verdict::Healthy);
}

#[test]
fn failures_of_the_start_do_not_count_and_looks_come_sooner_then() {
    let mut case = Case::of(Some(Probe { start_period: Millis(800), failures: 1, ..probe() }));
    case.when(Event::Life(UP))
        .at(0)
        .ends(false)
        .at(100)
        .ends(false)
        .at(300)
        .ends(false)
        .at(700)
        .ends(false)
        .is(Verdict::Unknown);
    case.at(1500).ends(false).is(Verdict::Unhealthy);
    // One success ends it.
    let mut case = Case::of(Some(Probe { start_period: Millis(60_000), failures: 1, ..probe() }));
    case.when(Event::Life(UP)).at(0).ends(true).is(Verdict::Healthy).at(1000).ends(false).is(Verdict::Unhealthy);
}

#[test]
fn who_is_not_ready_is_not_looked_at() {
    let mut case = Case::of(Some(probe()));
    case.when(Event::Life(UNREADY));
    assert_eq!(case.health.deadline(), None);
    case.later(700).when(Event::Life(UP)).at(700).does(&[Action::Look]);
}

#[test]
fn a_stop_ends_the_look_and_what_was_known() {
    let mut case = Case::of(Some(probe()));
    case.when(Event::Life(UP)).at(0).ends(true).at(1000).does(&[Action::Look, Action::Publish, Action::Look]);
    case.when(Event::Life(Life::Off)).does(&[Action::Publish, Action::Kill(pid(2))]).is(Verdict::Unknown);
    // It starts again before that look has ended.
    case.later(1100).when(Event::Life(Life::Up { start: 2, ready: true, paused: false })).does(&[]);
    case.later(1200).ends(false).does(&[]).at(1200).does(&[Action::Look]).is(Verdict::Unknown);
}

#[test]
fn a_paused_service_is_left_alone() {
    let mut case = Case::of(Some(probe()));
    case.checks.watchdog = Millis(300);
    case.when(Event::Life(UP)).at(0).when(Event::Life(Life::Up { start: 1, ready: true, paused: true }));
    case.does(&[Action::Look, Action::Kill(pid(1))]).ends(false).does(&[]);
    assert_eq!(case.health.deadline(), None);
    case.later(90_000).when(Event::Life(UP)).at(90_000).does(&[Action::Look]);
    assert_eq!(case.health.deadline(), Some(Millis(90_300)));
}

#[test]
fn a_watchdog_that_is_not_fed_aborts_and_then_kills() {
    let mut case = Case::watched(1000);
    case.when(Event::Life(UNREADY));
    assert_eq!(case.health.deadline(), None, "it begins when the service is ready");
    case.later(50).when(Event::Life(UP)).later(900).when(Event::Fed).later(1800).when(Event::Fed).does(&[]);
    case.at(2800).does(&[Action::Abort]).later(2900).when(Event::Fed).at(7800).does(&[Action::KillMain]);
    case.at(12_800).does(&[Action::KillMain]).when(Event::Life(Life::Off)).does(&[]);
    assert_eq!(case.health.deadline(), None);
}

#[test]
fn a_service_may_change_its_watchdog_and_set_it_off() {
    let mut case = Case::watched(1000);
    case.when(Event::Life(UP)).when(Event::Span(Millis(5000))).later(1500).when(Event::Span(Millis::ZERO));
    assert_eq!(case.health.deadline(), Some(Millis(5000)));
    case.when(Event::Starved).does(&[Action::Abort]).when(Event::Starved).does(&[]);
}

#[test]
fn what_a_service_says_it_does_is_published() {
    let mut case = Case::of(None);
    case.when(Event::Said(Phase::Reloading)).does(&[]);
    case.when(Event::Life(UP))
        .when(Event::Said(Phase::Reloading))
        .when(Event::Said(Phase::Reloading))
        .does(&[Action::Publish]);
    case.when(Event::Said(Phase::Running)).does(&[Action::Publish]).when(Event::Said(Phase::Stopping));
    case.when(Event::Life(Life::Off)).does(&[Action::Publish, Action::Publish]);
    assert_eq!(case.health.phase(), Phase::Running);
}

#[test]
fn a_successor_goes_on_where_the_look_died_with_the_one_before() {
    let mut case = Case::of(Some(probe()));
    case.when(Event::Life(UP)).at(0).ends(false).at(1000).ends(false).at(2000).does(&[Action::Look; 3]);
    case.health = Health::from_words(&case.health.to_words()).expect("its own words");
    case.health.resume(Millis(2100));
    case.later(2099).at(2100).ends(false).is(Verdict::Unhealthy);
    case.does(&[Action::Look, Action::Publish, Action::Remedy(Remedy::Restart)]);
}

#[test]
fn a_check_that_is_taken_out_takes_its_verdict_along() {
    let mut case = Case::of(Some(Probe { failures: 1, ..probe() }));
    case.when(Event::Life(UP)).at(0).ends(false).at(1000).is(Verdict::Unhealthy).done.clear();
    case.checks.health = None;
    case.when(Event::Life(UP)).does(&[Action::Kill(pid(2)), Action::Publish]).is(Verdict::Unknown);
    case.checks.health = Some(Box::new(probe()));
    case.when(Event::Life(UP)).ends(true).at(1000).does(&[Action::Look]);
}

#[test]
fn words_that_nobody_wrote_are_refused() {
    let good = Health::new(Millis(5)).to_words();
    for (word, value) in [(0, 3), (0, 3 << 8), (0, 5 << 24), (0, 3 << 24), (0, 3 << 32)] {
        let mut words = good;
        words[word] = value;
        assert_eq!(Health::from_words(&words), None, "{value:x}");
    }
}

#[test]
fn a_service_is_weighed_only_if_it_has_a_limit_and_relieved_once_each_time_it_becomes_too_heavy() {
    let mut case = Case::of(None);
    case.when(Event::Life(UNREADY));
    assert_eq!(case.health.deadline(), None, "who has no limit wakes nobody");
    case.checks.memory = Some(MemoryLimit { bytes: 100, interval: Millis(1000), remedy: Remedy::Reload });
    case.when(Event::Life(UNREADY));
    let relieved = |case: &mut Case, bytes: u64| {
        let at = case.health.deadline().expect("it is weighed again");
        assert_eq!(at, case.now + Millis(1000));
        case.now = at;
        case.done.clear();
        case.when(Event::Deadline);
        assert_eq!(case.done, [Action::Weigh]);
        case.when(Event::Weighed(bytes));
        case.done.contains(&Action::Relieve(Remedy::Reload))
    };
    let found = [100, 101, 500, 100, 101].map(|bytes| relieved(&mut case, bytes));
    assert_eq!(found, [false, true, false, false, true]);
    assert_eq!(case.health.guard().last(), Some(Excess { at: Millis(5000), bytes: 101, limit: 100 }));
    case.when(Event::Life(Life::Off));
    assert_eq!(case.health.deadline(), None);
    case.when(Event::Life(Life::Up { start: 2, ready: true, paused: false }));
    assert!(relieved(&mut case, 101), "a new run begins anew");
}
