//! svc-init's machine together with svc-scan's roster and the plan of the end: whatever svc-scan, svc-log and the services do,
//! and whenever SIGTERM comes, the end comes within its budget, once, and with the code that was asked for.
//!
//! It caught these planted bugs: an end that waits for nobody, or for the unkillable; svc-log not waited for, or not started
//! again after a crash; svc-scan started when only lines are left, or told nothing when it comes back; force that hurries
//! nobody, a later request that sets the budget again, the last code instead of the first; daemons that come back without a
//! pause, or later and later; orphans and late producers told nothing; killing once and then waiting; actions after the end; a
//! driver that does not count who is left before it passes a signal on.
//!
//! `SVC_SEED=n cargo test -p svc-core --test init -- --nocapture` plays one seed again.

#[path = "support/rng.rs"]
mod rng;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "support/tree.rs"]
mod tree;

use svc_core::init::{Action, Daemon};
use svc_core::{Millis, Signal};

use seeds::Outcome;
use tree::{FLUSH, Manner, Stray, Tree};

const SEEDS: u64 = 60_000;
/// What the machine keeps back of the budget for killing.
const RESERVE: Millis = Millis(400);
/// A daemon that died is back after this long at most.
const RESPAWN_MOST: Millis = Millis(800);
/// For answers between processes, which take their turns in the model too.
const TALK: Millis = Millis(20);

#[test]
fn the_end_comes_in_time_whatever_anybody_does() {
    seeds::play_all(SEEDS, |seed, told| {
        let mut story = Story::new(seed, told);
        let result = story.play();
        Outcome { result, story: story.tree.take_story() }
    });
}

/// One seed: some services, some trouble, and the end.
struct Story {
    tree: Tree,
    budget: Millis,
    scan_manner: Manner,
    stubborn_strays: bool,
    /// How likely somebody of ours is killed at each event, in percent.
    danger: u64,
    aborted: bool,
}

impl Story {
    fn new(seed: u64, told: bool) -> Story {
        let mut rng = rng::Rng::new(!seed);
        let budget = Millis(rng.pick(&[8000, 8000, 8000, 1000, 100, 0]));
        let mut tree = Tree::new(seed, budget, told);
        let manners =
            [Manner::Good, Manner::Good, Manner::Good, Manner::Dies(0), Manner::Dies(40), Manner::Dies(1200), Manner::Hangs];
        tree.scan_manner = rng.pick(&[&manners[..], &[Manner::Never, Manner::DiesWhenTold]].concat());
        tree.log_manner = rng.pick(&[&manners[..], &[Manner::Never, Manner::DiesWhenTold]].concat());
        tree.flush_takes = rng.pick(&[0, 1, 50, 2000]);
        tree.stubborn_percent = rng.pick(&[0, 0, 30]);
        tree.no_room_percent = rng.pick(&[0, 0, 50, 100]);
        for id in 0..rng.below(5) as u32 {
            let producer = (id > 0 && rng.chance(30)).then(|| id - 1);
            tree.wanted.push((id, producer));
        }
        let scan_manner = tree.scan_manner;
        Story { tree, budget, scan_manner, stubborn_strays: false, danger: rng.pick(&[0, 0, 5, 20]), aborted: false }
    }

    fn play(&mut self) -> Result<(), String> {
        let running = Millis(self.tree.rng.pick(&[0, 1, 50, 900, 4000]));
        let begin = self.tree.now;
        self.tree.turn();
        self.until(begin + running, 400)?;
        for _ in 0..self.tree.rng.below(3) {
            let stray = Stray::new(self.tree.rng.chance(30), Millis(self.tree.rng.pick(&[0, 0, 0, 30_000])));
            self.stubborn_strays |= stray.stubborn;
            self.tree.strays.push(stray);
        }
        if self.tree.rng.chance(30) {
            self.remove()?;
        }
        let many = 1 + self.tree.rng.below(3);
        for _ in 0..many {
            self.ask();
            let pause = self.tree.rng.pick(&[0, 1, 100, 500, 3000]);
            self.until(self.tree.now + Millis(pause), 400)?;
        }
        if self.tree.asked.is_none() && !self.aborted {
            // svc-scan did not hear it.
            self.signal(Signal::TERM);
        }
        self.until(self.tree.now + self.budget + Millis(2000), 4000)?;
        self.judge()
    }

    /// A service is removed, which takes no longer than to stop it, also where it never had a supervisor.
    fn remove(&mut self) -> Result<(), String> {
        let tree = &mut self.tree;
        let Some(&(id, _)) = tree.wanted.iter().find(|wanted| wanted.1.is_none()) else { return Ok(()) };
        tree.tell(|| format!("{id} is removed"));
        tree.remove(id);
        self.until(self.tree.now + Millis(1500), 400)?;
        let is_stubborn = self.tree.slots.get(&id).is_some_and(|slot| slot.stubborn);
        let is_quiet = self.danger == 0 && self.scan_manner == Manner::Good && !is_stubborn;
        if is_quiet && self.tree.slots.contains_key(&id) { Err(format!("{id} was removed, and stays")) } else { Ok(()) }
    }

    fn ask(&mut self) {
        if self.tree.is_over() {
            return;
        }
        let (code, force) = (self.tree.rng.below(200) as u8, self.tree.rng.chance(10));
        match self.tree.rng.below(12) {
            0..=3 => self.signal(Signal::TERM),
            4 => self.signal(Signal::INT),
            5 => self.signal(Signal::QUIT),
            6 => self.signal(Signal::HUP),
            8 => {
                let quick = self.tree.rng.chance(30);
                self.tree.ask_for_stop(quick);
            }
            7 if self.tree.rng.chance(20) => self.signal(Signal::ABRT),
            _ => self.tree.ask_for_shutdown(code, force),
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.tree.tell(|| format!("{signal}"));
        self.tree.signals.push_back(signal);
        self.aborted |= signal == Signal::ABRT;
    }

    /// Lets everything happen until then, and looks after each turn.
    fn until(&mut self, end: Millis, turns: usize) -> Result<(), String> {
        for _ in 0..turns {
            if self.tree.is_over() {
                return Ok(());
            }
            let Some(next) = self.tree.next_event().filter(|&at| at <= end) else { break };
            self.tree.advance(next);
            self.trouble();
            self.tree.turn();
            self.look()?;
        }
        if !self.tree.is_over() {
            self.tree.advance(end);
            self.tree.turn();
            self.look()?;
        }
        Ok(())
    }

    /// Somebody of ours is killed.
    fn trouble(&mut self) {
        let tree = &mut self.tree;
        if tree.rng.chance(self.danger) {
            let ids: Vec<u32> = tree.slots.keys().copied().collect();
            match tree.rng.below(4) {
                0 => tree.kill(Daemon::Scan),
                1 => tree.kill(Daemon::Log),
                // More often within a minute, and it gives up (crates/svc-init/src/rescue.rs).
                2 if !tree.is_over() && tree.faults < 3 => tree.recover(self.budget),
                _ if !ids.is_empty() => {
                    let id = tree.rng.pick(&ids);
                    tree.kill_supervisor(id);
                }
                _ => {}
            }
        }
    }

    /// What must hold after every turn.
    fn look(&self) -> Result<(), String> {
        let tree = &self.tree;
        if let Some(broken) = &tree.broken {
            return Err(broken.clone());
        }
        let flushing = tree.acts.iter().any(|(_, act)| *act == Action::FinishLog);
        if !tree.is_over() {
            if tree.init.ending().is_some() && tree.others() == (0, 0) && !flushing {
                return Err("nobody is left, and it waits".into());
            }
            let back = tree.init.deadline().is_some_and(|at| at <= tree.now + RESPAWN_MOST);
            let scan_comes = tree.scan.is_some() || flushing || back;
            let log_comes = tree.log.is_some() || tree.log_left || back || tree.init.ending().is_some();
            if !scan_comes || !log_comes {
                return Err("a daemon is dead, and nobody brings it back".into());
            }
        }
        for daemon in [Daemon::Scan, Daemon::Log].into_iter().filter(|_| tree.faults == 0) {
            let starts: Vec<Millis> = tree.starts.iter().filter(|start| start.1 == daemon).map(|start| start.0).collect();
            // Chaos adds deaths of those that lived for more than a second, which are started again at once.
            if starts.len() > 6 && *starts.last().expect("many") - starts[starts.len() - 7] < Millis(1000) {
                return Err(format!("{daemon:?} is started without a pause"));
            }
        }
        Ok(())
    }

    /// Everybody does what svc-scan says, and svc-scan is there to say it.
    fn is_gentle(&self) -> bool {
        let tree = &self.tree;
        let stubborn = tree.stubborn_loggers || self.stubborn_strays;
        let told = match self.scan_manner {
            // The plan kills producers that are late, and leaves their loggers time.
            Manner::Good | Manner::DiesWhenTold => true,
            // Each svc-scan begins a new plan: nobody is late.
            Manner::Dies(after) => after >= 40 && !tree.stubborn_producers,
            Manner::Hangs | Manner::Never => false,
        };
        self.danger == 0 && self.budget >= Millis(8000) && told && !stubborn
    }

    /// How it ended.
    fn judge(&self) -> Result<(), String> {
        let acts = &self.tree.acts;
        let ends: Vec<(Millis, Action)> =
            acts.iter().filter(|(_, act)| matches!(act, Action::Exit { .. } | Action::Abort)).copied().collect();
        let [(at, how)] = ends[..] else {
            return Err(format!("it ended {} times, of all times", ends.len()));
        };
        if how == Action::Abort {
            return if self.aborted { Ok(()) } else { Err("nobody asked for an abort".into()) };
        }
        let Tree { asked, forced, code, .. } = self.tree;
        if how != (Action::Exit { code: code.unwrap_or(0) }) {
            return Err(format!("{how:?}, and {code:?} was asked for"));
        }
        let asked = asked.ok_or("it ended without a reason")?;
        let end = asked + self.budget;
        let faults = self.tree.faults;
        if at > end + FLUSH + Millis(FLUSH.0 * faults) + TALK {
            return Err(format!("it took {} ms of {}", (at - asked).0, self.budget.0));
        }
        let killable = faults == 0 && self.tree.strays.iter().all(|stray| stray.unkillable_until <= at);
        if let Some(forced) = forced.filter(|_| killable)
            // A svc-scan that brings supervisors back costs a second round of killing.
            && at > forced + RESERVE + RESERVE + RESERVE + TALK
        {
            return Err(format!("forced, and it took {} ms", (at - forced).0));
        }
        let early = |act: &(Millis, Action)| act.1 == Action::KillEverybody && act.0 + RESERVE + TALK < end;
        if forced.is_none() && self.budget >= Millis(1600) && acts.iter().any(early) {
            return Err("killed before the time was up".into());
        }
        if forced.is_none() && self.is_gentle() && acts.iter().any(|act| act.1 == Action::KillEverybody) {
            return Err("killed though everybody would have stopped in time".into());
        }
        if at < end && forced.is_none() && !self.tree.log_left && self.tree.flush_takes > 0 {
            return Err("left before svc-log had written everything".into());
        }
        let closed = acts.iter().find(|act| act.1 == Action::FinishLog).map_or(at, |act| act.0);
        if faults == 0 && self.tree.starts.iter().any(|start| start.1 == Daemon::Scan && start.0 > closed) {
            return Err("svc-scan is started when only lines are left".into());
        }
        Ok(())
    }
}
