//! Many seeded lives of random graphs, with every promise asked after every step.
//!
//! The nodes behave as they please (support/nodes.rs): slow, failing, flapping, deaf to a stop for a while. Requests and new
//! sets of definitions come at random instants. What the engine may know is kept a second time by the checker, from the
//! reports alone (support/rules.rs).
//!
//! A failure tells the seed's story. `SVC_SEED=n cargo test -p svc-core --test graph -- --nocapture` plays one again; with
//! SVC_SURVEY=1 it goes through all seeds and lists every broken promise with its first seed.
//!
//! It caught these planted bugs, each within its first few thousand seeds: a dependency that forgets its first dependent, one
//! that is leaving and still fulfils conditions, ready taken for healthy, a stop that does not supersede a start, a start
//! timeout that does not reach followers, followers of followers forgotten, a failure not noticed while waiting, loggers that do
//! not wait for the last producer, knowledge of old edges after an apply, starts decided before stops, needers that are not
//! asked, a plan that restarts what is the same, a stop without its timeout, one that cannot stop and does not say so.

#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/random_graph.rs"]
mod random_graph;
#[path = "support/rng.rs"]
mod rng;
#[path = "support/rules.rs"]
mod rules;
#[path = "support/seeds.rs"]
mod seeds;

use std::collections::{BTreeMap, BTreeSet};

use svc_core::Millis;
use svc_core::graph::{
    Action, Admission, Dependents, Engine, Event, Id, Node, Outcome, Progress, Refusal, Request, RequestId, Wish,
};

use nodes::Nodes;
use rng::Rng;
use rules::Rules;
use seeds::Outcome as Told;

const SEEDS: u64 = 110_000;

/// Events after the last request within which everything must have come to rest.
const ENOUGH: usize = 20_000;

#[test]
fn every_promise_holds_whatever_happens() {
    seeds::play_all(SEEDS, |seed, told| {
        let mut life = Life::new(seed, told);
        let result = life.play();
        Told { result, story: life.story }
    });
}

/// A simulation that never comes somewhere says nothing about it.
#[test]
fn it_comes_to_every_state_and_outcome() {
    let mut seen = BTreeSet::new();
    for seed in 0..4000 {
        let mut life = Life::new(seed, false);
        life.seen = Some(BTreeSet::new());
        life.play().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        seen.extend(life.seen.take().unwrap_or_default());
    }
    let progress = "Down Waiting Awaiting Starting Up Completed Failed Stopping overdue Dependency StartTimeout \
                    ExternalTimeout StopTimeout Held StoppedOutside Exit Condition";
    let outcomes = "Done Failed Superseded NeededBy ShuttingDown NotAOneshot Problems";
    let actions = "Start Stop Reload Await Forget Publish Finished";
    let missing: Vec<&str> = [progress, outcomes, actions]
        .iter()
        .flat_map(|words| words.split_whitespace())
        .filter(|word| !seen.contains(*word))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

struct Life {
    rng: Rng,
    now: Millis,
    engine: Engine,
    nodes: Nodes,
    rules: Rules,
    /// The set that was last applied.
    set: Vec<Node>,
    asked: BTreeMap<RequestId, Request>,
    ended: BTreeSet<RequestId>,
    requests: u64,
    told: bool,
    story: Vec<String>,
    seen: Option<BTreeSet<String>>,
}

impl Life {
    fn new(seed: u64, told: bool) -> Life {
        let rng = Rng::new(seed);
        Life {
            nodes: Nodes::new(seed),
            rng,
            now: Millis(1000),
            engine: Engine::default(),
            rules: Rules::default(),
            set: Vec::new(),
            asked: BTreeMap::new(),
            ended: BTreeSet::new(),
            requests: 0,
            told,
            story: Vec::new(),
            seen: None,
        }
    }

    fn play(&mut self) -> Result<(), String> {
        let many = match self.rng.below(400) {
            0 => 100 + self.rng.below(200),
            1..40 => 20 + self.rng.below(20),
            _ => 2 + self.rng.below(19),
        };
        let set = random_graph::set(&mut self.rng, many as usize);
        self.apply(set)?;
        let requests = self.rng.below(9);
        for _ in 0..requests {
            let events = self.rng.pick(&[0, 0, 1, 2, 5, 20, 60]);
            for _ in 0..events {
                if !self.happen()? {
                    break;
                }
            }
            self.ask()?;
        }
        if !self.engine.is_ending() {
            // What was still to be found out comes out one way or the other.
            let mut set = self.set.clone();
            for node in set.iter_mut().filter(|node| node.admission == Admission::Pending) {
                node.admission = self.rng.pick(&[Admission::Open, Admission::Refused]);
            }
            self.apply(set)?;
        }
        for _ in 0..ENOUGH {
            if !self.happen()? {
                return self.rest();
            }
        }
        Err("it never comes to rest".into())
    }

    /// Lets the next thing happen; whether there was one.
    fn happen(&mut self) -> Result<bool, String> {
        let times = [self.nodes.next(), self.engine.deadline()];
        let Some(next) = times.into_iter().flatten().min() else { return Ok(false) };
        let late = if self.rng.chance(10) { self.rng.below(30) } else { 0 };
        self.now = self.now.max(next + Millis(late));
        if self.engine.deadline().is_some_and(|at| at <= self.now) {
            self.step(Event::Deadline)?;
        }
        if let Some(report) = self.nodes.report(self.now) {
            self.step(report)?;
        }
        if let Some(id) = self.nodes.not_undone.take()
            && self.engine.progress(id) == Progress::Down
        {
            self.step(Event::Completed(id))?;
        }
        if self.rng.chance(2)
            && let [id, ..] = self.some_nodes()[..]
        {
            let at = self.rng.chance(70).then_some(self.now);
            self.step(Event::Begun(id, at))?;
        }
        Ok(true)
    }

    fn some_nodes(&mut self) -> Vec<Id> {
        let living = self.engine.graph().living();
        if living.is_empty() {
            return Vec::new();
        }
        let many = self.rng.pick(&[1, 1, 1, 2, 3]);
        (0..many).map(|_| self.rng.pick(&living)).collect()
    }

    fn ask(&mut self) -> Result<(), String> {
        let nodes = self.some_nodes();
        if nodes.is_empty() {
            return Ok(());
        }
        let request = match self.rng.below(24) {
            0..6 => Request::Start(nodes),
            6..12 => {
                let dependents = self.rng.pick(&[Dependents::Refuse, Dependents::Take, Dependents::Take, Dependents::Leave]);
                Request::Stop { nodes, dependents, prune: self.rng.chance(40) }
            }
            12..16 => Request::Restart(nodes),
            16 | 17 => Request::Run(nodes[0]),
            18 if self.rng.chance(50) => Request::Shutdown,
            18 | 19 => {
                // Somebody stops it behind the engine's back.
                self.nodes.stop_outside(nodes[0], self.now);
                return Ok(());
            }
            20 => {
                let wrong = random_graph::spoilt(&mut self.rng, &self.set);
                return self.apply_wrong(wrong);
            }
            _ => {
                let set = random_graph::changed(&mut self.rng, &self.set);
                return self.apply(set);
            }
        };
        let before = self.engine.clone();
        let (id, actions) = self.request(request.clone())?;
        if let (Request::Stop { .. }, [Action::Finished(_, Outcome::Refused(Refusal::NeededBy(list)))]) =
            (&request, actions.as_slice())
        {
            self.same(&before, "a refused stop")?;
            if list.is_empty() || list.iter().any(|&id| self.engine.wish(id) == Wish::Down) {
                return Err(format!("request {id} was refused for {list:?}"));
            }
        }
        Ok(())
    }

    fn apply(&mut self, set: Vec<Node>) -> Result<(), String> {
        if self.engine.is_ending() {
            return Ok(());
        }
        self.rules.turn_away(&self.engine, &set);
        self.request(Request::Apply(set.clone()))?;
        self.set = set.clone();
        // Once more: nothing may happen.
        let mut again = self.engine.clone();
        let mut out = Vec::new();
        let id = RequestId(u64::MAX);
        again.step(self.now, Event::Request(id, Request::Apply(set)), &mut out);
        if out != [Action::Finished(id, Outcome::Done)] {
            return Err(format!("applied twice: {out:?}"));
        }
        self.same(&again, "applied twice")
    }

    fn apply_wrong(&mut self, set: Vec<Node>) -> Result<(), String> {
        let before = self.engine.clone();
        let (_, actions) = self.request(Request::Apply(set))?;
        let refused = matches!(actions.as_slice(), [Action::Finished(_, Outcome::Refused(_))]);
        if !refused {
            return Err(format!("a wrong set was taken: {actions:?}"));
        }
        self.same(&before, "a wrong set")
    }

    /// Both engines say the same of every node.
    fn same(&self, other: &Engine, what: &str) -> Result<(), String> {
        let state = |engine: &Engine, id: Id| (engine.wish(id), engine.progress(id));
        for id in self.engine.graph().living() {
            if state(&self.engine, id) != state(other, id) || other.graph().node(id) != self.engine.graph().node(id) {
                return Err(format!("{what} changed {}", self.engine.graph().name(id)));
            }
        }
        if self.engine.deadline() != other.deadline() { Err(format!("{what} changed a deadline")) } else { Ok(()) }
    }

    fn request(&mut self, request: Request) -> Result<(RequestId, Vec<Action>), String> {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, request.clone());
        self.rules.asked(&self.engine, &request);
        self.step(Event::Request(id, request)).map(|actions| (id, actions))
    }

    fn step(&mut self, event: Event) -> Result<Vec<Action>, String> {
        if self.told {
            self.story.push(format!("{} {event:?}", self.now.0));
        }
        let is_apply = matches!(event, Event::Request(_, Request::Apply(_)));
        self.rules.reported(&self.engine, &event);
        let mut out = Vec::new();
        self.engine.step(self.now, event, &mut out);
        if self.told {
            for action in &out {
                let about = match action {
                    Action::Publish(id) => format!(
                        "{} {:?} {:?}",
                        self.engine.graph().name(*id),
                        self.engine.wish(*id),
                        self.engine.progress(*id)
                    ),
                    _ => String::new(),
                };
                self.story.push(format!("    {action:?} {about}"));
            }
        }
        if is_apply {
            self.rules.renumber(&self.engine);
        }
        for action in &out {
            self.note(action);
            self.rules.action(&self.engine, action)?;
            match action {
                Action::Finished(id, outcome) => self.finished(*id, outcome)?,
                Action::Start(id) => self.nodes.start(self.engine.graph(), *id, self.now),
                Action::Stop(id) => self.nodes.stop(*id, self.now),
                Action::Await(id) => self.nodes.try_endpoints(self.engine.graph(), *id, self.now),
                Action::Forget(id) => self.nodes.forget(*id),
                Action::Reload(_) | Action::Examine(_) | Action::Publish(_) => {}
            }
        }
        self.rules.state(&self.engine, self.now)?;
        Ok(out)
    }

    fn note(&mut self, action: &Action) {
        let Some(seen) = &mut self.seen else { return };
        let state = match action {
            Action::Publish(id) => format!("{:?}", self.engine.progress(*id)),
            _ => String::new(),
        };
        let text = format!("{action:?} {state}");
        let text = text.replace("overdue: false", "");
        seen.extend(text.split(|character: char| !character.is_ascii_alphabetic()).map(String::from));
    }

    fn finished(&mut self, id: RequestId, outcome: &Outcome) -> Result<(), String> {
        if !self.ended.insert(id) {
            return Err(format!("request {id} ended twice"));
        }
        match outcome {
            Outcome::Done => {
                self.rules.done(&self.engine, id.0, &self.asked[&id]).map_err(|broken| format!("request {id}: {broken}"))
            }
            Outcome::Failed(list) if list.is_empty() => Err(format!("request {id} failed for no reason")),
            Outcome::Failed(_) | Outcome::Refused(_) => Ok(()),
        }
    }

    /// Nothing happens any more.
    fn rest(&mut self) -> Result<(), String> {
        if let Some(open) = self.asked.keys().find(|id| !self.ended.contains(id)) {
            return Err(format!("request {open} never ends: {:?}", self.asked[open]));
        }
        self.rules.rest(&self.engine)
    }
}
