//! The machine of svc-init: what the first process does about its children, signals and the end.
//!
//! It knows three kinds of children: svc-scan (restarted for ever), svc-log (restarted as long as somebody writes), and
//! everybody else (supervisors, and orphans that came to it), of whom only the number matters here.

use crate::signal::Signal;
use crate::time::Millis;

/// A daemon of ours that died at once is started again after this long, and after twice as long each time it happens again.
const RESPAWN_FIRST: Millis = Millis(100);
/// Never longer than this: control must be back within a second.
const RESPAWN_MOST: Millis = Millis(800);
/// Having lived this long, a daemon of ours is started again without delay.
const LIVED: Millis = Millis::from_secs(1);
/// Kept back from the budget for what the kernel needs to end killed processes, and for the last lines to be written.
const RESERVE: Millis = Millis(400);
/// Kept back for the last lines alone.
const FLUSH: Millis = Millis(100);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Deadline,
    Started(Daemon),
    /// It could not even be forked.
    StartFailed(Daemon),
    /// It ended as it should: svc-log after having read to the end.
    Exited(Daemon),
    /// It ended in another way.
    Crashed(Daemon),
    /// There is no svc-log, and nothing that it could read.
    AllRead,
    /// So many supervisors and orphans are left.
    Others {
        supervisors: usize,
        orphans: usize,
    },
    /// A signal for which no hook stood in.
    Signal(Signal),
    /// svc-scan asks for the end. `named`: somebody wants just this code.
    Shutdown {
        code: u8,
        named: bool,
        force: bool,
    },
    /// s6-svscanctl asks for it: as a signal does, but a second one is no impatience.
    Stop {
        quick: bool,
    },
}

/// A child that is one of the two daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    Scan,
    Log,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start(Daemon),
    Tell(Order),
    /// SIGTERM and SIGCONT to every orphan.
    StopOrphans,
    /// SIGKILL to every supervisor, orphan and descendant of theirs; and say who they were.
    KillEverybody,
    /// Nobody writes any more: svc-log is to read on to the end of every pipe, and to leave.
    FinishLog,
    Kill(Daemon),
    /// The end: run the finish hook, or exit with this code.
    Exit {
        code: u8,
    },
    /// The same without having waited for anybody.
    Abort,
}

/// What svc-scan is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Rescan,
    /// Bring everything down. `left`: how much of the budget is left. `quick`: loggers need not read to the end.
    Shutdown {
        left: Millis,
        force: bool,
        quick: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Child {
    /// Asked to be started.
    Starting,
    Alive {
        since: Millis,
    },
    Dead {
        again_at: Millis,
    },
    /// Not needed any more.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// svc-scan brings the services down.
    Stopping {
        kill_at: Millis,
        end: Millis,
        force: bool,
        quick: bool,
        orphans_told: bool,
    },
    /// Nothing but svc-log is needed any more.
    Flushing {
        end: Millis,
    },
    Over,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    phase: Phase,
    scan: Child,
    log: Child,
    /// The next delay for a daemon that dies at once.
    scan_delay: Millis,
    log_delay: Millis,
    supervisors: usize,
    orphans: usize,
    /// The first exit code that anybody asked for; after a signal that is the main program's.
    code: Option<u8>,
    budget: Millis,
    /// How much of that what is left may have when no supervisor is.
    rest: Option<Millis>,
    /// SIGTERM or SIGINT has come before.
    signalled: bool,
}

impl Init {
    /// `budget`: how long a stop may take in all.
    pub fn new(budget: Millis) -> Init {
        let dead = Child::Dead { again_at: Millis::ZERO };
        Init {
            phase: Phase::Running,
            scan: dead,
            log: dead,
            scan_delay: Millis::ZERO,
            log_delay: Millis::ZERO,
            supervisors: 0,
            orphans: 0,
            code: None,
            budget,
            rest: None,
            signalled: false,
        }
    }

    /// The same, with a limit for what is left when no supervisor is.
    pub fn with_rest(self, rest: Option<Millis>) -> Init {
        Init { rest, ..self }
    }

    /// After re-executing itself: the daemons in `alive` live, and the end was already under way if `stopping_until` says so.
    pub fn recovered(
        budget: Millis,
        now: Millis,
        scan: bool,
        log: bool,
        stopping_until: Option<Millis>,
        code: Option<u8>,
    ) -> Init {
        let child = |lives: bool| if lives { Child::Alive { since: now } } else { Child::Dead { again_at: now } };
        let phase = match stopping_until {
            None => Phase::Running,
            Some(end) => Phase::Stopping {
                kill_at: end - RESERVE.min(Millis(budget.0 / 4)),
                end,
                force: false,
                quick: false,
                orphans_told: false,
            },
        };
        Init { phase, scan: child(scan), log: child(log), code, ..Init::new(budget) }
    }

    /// When the end must have come, once it has been asked for; and the exit code, if somebody has named one.
    pub fn ending(&self) -> Option<(Millis, Option<u8>)> {
        match self.phase {
            Phase::Running => None,
            Phase::Stopping { end, .. } | Phase::Flushing { end } => Some((end, self.code)),
            Phase::Over => Some((Millis::ZERO, self.code)),
        }
    }

    /// Whether a supervisor may still be forked: at the end only one that takes over a service that has been there before, and
    /// none once nobody is waited for any more.
    pub fn takes_launch(&self, is_new: bool) -> bool {
        match self.phase {
            Phase::Running => true,
            Phase::Stopping { .. } => !is_new,
            Phase::Flushing { .. } | Phase::Over => false,
        }
    }

    pub fn deadline(&self) -> Option<Millis> {
        let phase = match self.phase {
            Phase::Running | Phase::Over => None,
            Phase::Stopping { kill_at, .. } => Some(kill_at),
            Phase::Flushing { end } => Some(end),
        };
        [self.scan, self.log]
            .iter()
            .filter_map(|child| match child {
                Child::Dead { again_at } => Some(*again_at),
                Child::Starting | Child::Alive { .. } | Child::Done => None,
            })
            .chain(phase)
            .min()
    }

    /// Takes in what happened; calls `act` for each thing to do, in order.
    pub fn step(&mut self, now: Millis, event: Event, act: &mut dyn FnMut(Action)) {
        if self.phase == Phase::Over {
            return;
        }
        match event {
            Event::Deadline => self.time(now, act),
            Event::Started(daemon) => self.started(now, daemon, act),
            Event::StartFailed(daemon) => self.dead(now, daemon, RESPAWN_MOST),
            Event::Exited(daemon) => self.exited(now, daemon, true, act),
            Event::Crashed(daemon) => self.exited(now, daemon, false, act),
            Event::AllRead => self.all_read(act),
            Event::Others { supervisors, orphans } => {
                self.supervisors = supervisors;
                self.orphans = orphans;
                self.progress(now, act);
            }
            Event::Signal(signal) => self.signal(now, signal, act),
            Event::Stop { quick } => self.shutdown(now, false, quick, act),
            Event::Shutdown { code, named, force } => {
                // What a client asked for stands, though the main program ends by it, until one names another.
                self.code = self.code.filter(|_| !named).or(Some(code));
                self.shutdown(now, force, false, act);
            }
        }
    }

    fn signal(&mut self, now: Millis, signal: Signal, act: &mut dyn FnMut(Action)) {
        match signal {
            Signal::TERM | Signal::INT | Signal::HALT => {
                // The second one is somebody who has no patience. An end that svc-scan asked for was nobody's signal.
                let again = self.signalled && self.phase != Phase::Running;
                self.signalled = true;
                self.shutdown(now, again, false, act);
            }
            Signal::QUIT => {
                self.signalled = true;
                self.shutdown(now, false, true, act);
            }
            Signal::HUP | Signal::ALRM => act(Action::Tell(Order::Rescan)),
            Signal::ABRT => {
                self.phase = Phase::Over;
                act(Action::Abort);
            }
            // USR1, USR2, PWR, WINCH: nothing unless a hook says so. Others are not given to us.
            _ => {}
        }
    }

    fn shutdown(&mut self, now: Millis, force: bool, quick: bool, act: &mut dyn FnMut(Action)) {
        let end = now + self.budget;
        let reserve = RESERVE.min(Millis(self.budget.0 / 4));
        let (end, latest, quick, orphans_told) = match self.phase {
            Phase::Running => (end, end - reserve, quick, false),
            // The first request set the budget; later ones may only hurry.
            Phase::Stopping { end, kill_at, quick: before, orphans_told, .. } => {
                (end, kill_at, quick || before, orphans_told)
            }
            Phase::Flushing { end } => {
                let end = if force { end.min(now + RESERVE) } else { end };
                self.phase = Phase::Flushing { end };
                return;
            }
            Phase::Over => return,
        };
        let kill_at = if force { latest.min(now + reserve) } else { latest };
        let was_forced = matches!(self.phase, Phase::Stopping { force: true, .. });
        self.phase = Phase::Stopping { kill_at, end, force: force || was_forced, quick, orphans_told };
        act(Action::Tell(Order::Shutdown { left: kill_at - now, force: force || was_forced, quick }));
        self.progress(now, act);
    }

    /// Goes on with the end if what it waited for has come.
    fn progress(&mut self, now: Millis, act: &mut dyn FnMut(Action)) {
        let Phase::Stopping { kill_at, end, force, quick, orphans_told } = self.phase else { return };
        if self.supervisors > 0 {
            return;
        }
        if self.orphans > 0 {
            if !orphans_told {
                let kill_at = self.rest.map_or(kill_at, |rest| kill_at.min(now + rest));
                self.phase = Phase::Stopping { kill_at, end, force, quick, orphans_told: true };
                act(Action::StopOrphans);
            }
            return;
        }
        self.flush(now, if force { end.min(now + RESERVE) } else { end }, act);
    }

    /// Nothing but svc-log is needed any more.
    fn flush(&mut self, now: Millis, end: Millis, act: &mut dyn FnMut(Action)) {
        self.phase = Phase::Flushing { end: end.max(now + FLUSH) };
        // A svc-scan that came now would know of no end, and start everything again.
        if let Child::Dead { .. } = self.scan {
            self.scan = Child::Done;
        }
        act(Action::FinishLog);
        match self.log {
            Child::Alive { .. } | Child::Starting => {}
            Child::Done => self.over(act),
            // It must come once more: lines may be left in the pipes.
            Child::Dead { .. } => self.start(Daemon::Log, act),
        }
    }

    /// Where svc-log cannot be started nobody waits for it without a reason.
    fn all_read(&mut self, act: &mut dyn FnMut(Action)) {
        if let (Phase::Flushing { .. }, Child::Dead { .. }) = (self.phase, self.log) {
            self.log = Child::Done;
            self.over(act);
        }
    }

    fn over(&mut self, act: &mut dyn FnMut(Action)) {
        self.phase = Phase::Over;
        act(Action::Kill(Daemon::Scan));
        act(Action::Exit { code: self.code.unwrap_or(0) });
    }

    fn time(&mut self, now: Millis, act: &mut dyn FnMut(Action)) {
        match self.phase {
            Phase::Stopping { kill_at, end, force, quick, orphans_told } if now >= kill_at => {
                act(Action::KillEverybody);
                if now >= end {
                    // Who lives now cannot be killed; nobody waits for it.
                    self.flush(now, end, act);
                } else {
                    self.phase = Phase::Stopping { kill_at: end.min(now + RESERVE), end, force, quick, orphans_told };
                    self.progress(now, act);
                }
            }
            Phase::Flushing { end } if now >= end => {
                act(Action::Kill(Daemon::Log));
                self.over(act);
                return;
            }
            Phase::Running | Phase::Stopping { .. } | Phase::Flushing { .. } | Phase::Over => {}
        }
        for daemon in [Daemon::Scan, Daemon::Log] {
            match self.child(daemon) {
                Child::Dead { again_at } if now >= *again_at => self.start(daemon, act),
                Child::Dead { .. } | Child::Starting | Child::Alive { .. } | Child::Done => {}
            }
        }
    }

    fn start(&mut self, daemon: Daemon, act: &mut dyn FnMut(Action)) {
        *self.child(daemon) = Child::Starting;
        act(Action::Start(daemon));
    }

    fn started(&mut self, now: Millis, daemon: Daemon, act: &mut dyn FnMut(Action)) {
        *self.child(daemon) = Child::Alive { since: now };
        match (daemon, self.phase) {
            // A svc-scan that comes back in the middle of the end goes on with it.
            (Daemon::Scan, Phase::Stopping { kill_at, force, quick, .. }) => {
                act(Action::Tell(Order::Shutdown { left: kill_at - now, force, quick }));
            }
            (Daemon::Log, Phase::Flushing { .. }) => act(Action::FinishLog),
            (Daemon::Scan | Daemon::Log, Phase::Running | Phase::Stopping { .. } | Phase::Flushing { .. } | Phase::Over) => {
            }
        }
    }

    fn exited(&mut self, now: Millis, daemon: Daemon, clean: bool, act: &mut dyn FnMut(Action)) {
        let lived = match self.child(daemon) {
            Child::Alive { since } => now - *since,
            Child::Starting | Child::Dead { .. } | Child::Done => Millis::ZERO,
        };
        match (daemon, self.phase) {
            (Daemon::Log, Phase::Flushing { .. }) if clean => {
                self.log = Child::Done;
                self.over(act);
            }
            (Daemon::Scan, Phase::Flushing { .. }) => self.scan = Child::Done,
            // A svc-log that crashes at the end must come once more too: lines are left in the pipes.
            (Daemon::Scan | Daemon::Log, Phase::Running | Phase::Stopping { .. } | Phase::Flushing { .. } | Phase::Over) => {
                let delay = match daemon {
                    Daemon::Scan => &mut self.scan_delay,
                    Daemon::Log => &mut self.log_delay,
                };
                *delay =
                    if lived >= LIVED { Millis::ZERO } else { Millis(delay.0 * 2).max(RESPAWN_FIRST).min(RESPAWN_MOST) };
                let delay = *delay;
                self.dead(now, daemon, delay);
                self.time(now, act);
            }
        }
    }

    fn dead(&mut self, now: Millis, daemon: Daemon, delay: Millis) {
        *self.child(daemon) = Child::Dead { again_at: now + delay };
    }

    fn child(&mut self, daemon: Daemon) -> &mut Child {
        match daemon {
            Daemon::Scan => &mut self.scan,
            Daemon::Log => &mut self.log,
        }
    }
}
