//! A graph on the bench: nodes by name, reports by hand, actions as text.

use std::collections::BTreeMap;

use svc_core::graph::{
    Action, Bond, Change, Dependents, Engine, Event, Graph, Id, Kind, Node, Outcome, Problem, Progress, Reason, Relation,
    Request, RequestId, Wish,
};
use svc_core::{Exit, Millis};

pub fn process(name: &str) -> Node {
    Node::new(name, Kind::Process)
}

pub fn oneshot(name: &str) -> Node {
    Node::new(name, Kind::Oneshot)
}

pub fn milestone(name: &str) -> Node {
    Node::new(name, Kind::Milestone)
}

pub fn hard() -> Relation {
    Relation::Needs(Bond::Stay)
}

pub fn follows() -> Relation {
    Relation::Needs(Bond::Follow)
}

pub fn soft() -> Relation {
    Relation::Wants
}

pub fn problems(nodes: Vec<Node>) -> Vec<Problem> {
    Graph::new(nodes).err().unwrap_or_default()
}

pub struct Bench {
    engine: Engine,
    now: Millis,
    requests: u64,
    actions: Vec<String>,
    outcomes: BTreeMap<RequestId, Outcome>,
}

impl Bench {
    /// A set that starts.
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Bench {
        let (engine, now) = (Engine::default(), Millis(0));
        let mut bench = Bench { engine, now, requests: 0, actions: Vec::new(), outcomes: BTreeMap::new() };
        bench.apply(nodes);
        bench
    }

    /// A set that waits until somebody asks.
    pub fn down(nodes: impl IntoIterator<Item = Node>) -> Bench {
        Bench::new(nodes.into_iter().map(|node| Node { up: false, ..node }))
    }

    pub fn apply(&mut self, nodes: impl IntoIterator<Item = Node>) -> RequestId {
        self.ask(Request::Apply(nodes.into_iter().collect()))
    }

    pub fn apply_down(&mut self, nodes: impl IntoIterator<Item = Node>) -> RequestId {
        self.apply(nodes.into_iter().map(|node| Node { up: false, ..node }))
    }

    pub fn ask(&mut self, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.step(Event::Request(id, request));
        id
    }

    pub fn start(&mut self, names: &[&str]) -> RequestId {
        self.ask(Request::Start(self.ids(names)))
    }

    pub fn stop(&mut self, names: &[&str], dependents: Dependents, prune: bool) -> RequestId {
        self.ask(Request::Stop { nodes: self.ids(names), dependents, prune })
    }

    /// What becomes of a request when others want something else of these.
    pub fn superseded(&self, names: &[&str]) -> Outcome {
        Outcome::Failed(self.ids(names).into_iter().map(|id| (id, Reason::Superseded)).collect())
    }

    fn step(&mut self, event: Event) {
        let mut out = Vec::new();
        self.engine.step(self.now, event, &mut out);
        for action in out {
            let (what, id) = match action {
                Action::Start(id) => ("start", id),
                Action::Stop(id) => ("stop", id),
                Action::Reload(id) => ("reload", id),
                Action::Examine(id) => ("examine", id),
                Action::Await(id) => ("await", id),
                Action::Forget(id) => ("forget", id),
                Action::Publish(_) => continue,
                Action::Finished(request, outcome) => {
                    assert_eq!(self.outcomes.insert(request, outcome), None, "a request ends once");
                    continue;
                }
            };
            self.actions.push(format!("{what} {}", self.engine.graph().name(id)));
        }
    }

    /// The actions since the last time.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.actions)
    }

    pub fn id(&self, name: &str) -> Id {
        self.engine.graph().id(name).expect("a node of the set")
    }

    pub fn ids(&self, names: &[&str]) -> Vec<Id> {
        names.iter().map(|name| self.id(name)).collect()
    }

    pub fn report_started(&mut self, name: &str) {
        self.step(Event::Started(self.id(name)));
    }

    pub fn ready(&mut self, name: &str) {
        self.step(Event::Ready(self.id(name)));
    }

    pub fn healthy(&mut self, name: &str) {
        self.step(Event::Healthy(self.id(name)));
    }

    pub fn completed(&mut self, name: &str) {
        self.step(Event::Completed(self.id(name)));
    }

    pub fn failed(&mut self, name: &str) {
        self.step(Event::Failed(self.id(name), Reason::Exit(Exit::Code(125))));
    }

    /// Also of one that the new set no longer has.
    pub fn stopped(&mut self, name: &str) {
        let id = self.engine.graph().id(name).unwrap_or_else(|| {
            let known = (0..).map(Id).find(|&id| self.engine.graph().name(id) == name);
            known.expect("a node that was in the set")
        });
        self.step(Event::Stopped(id));
    }

    pub fn deadline(&mut self) {
        self.now = self.engine.deadline().expect("something waits for the time");
        self.step(Event::Deadline);
    }

    pub fn advance(&mut self, millis: u64) {
        self.now = self.now + Millis(millis);
    }

    /// Everything that starts is up at once.
    pub fn bring_up(&mut self) {
        let mut next = 0;
        while next < self.actions.len() {
            if let Some(name) = self.actions[next].strip_prefix("start ").map(String::from) {
                match self.engine.graph().node(self.id(&name)).kind {
                    Kind::Oneshot => self.completed(&name),
                    Kind::Process | Kind::Milestone | Kind::Bundle => self.ready(&name),
                }
            }
            next += 1;
        }
        if self.actions.len() < 100 {
            self.actions.clear();
        }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn died(&mut self, name: &str) {
        self.step(Event::Died(self.id(name)));
    }

    pub fn missed(&mut self, name: &str) {
        self.step(Event::Missed(self.id(name), Reason::Unready(Exit::Code(1))));
    }

    /// It was started for somebody now; or it is ready for him.
    pub fn begun(&mut self, name: &str, begun: bool) {
        let at = begun.then_some(self.now);
        self.step(Event::Begun(self.id(name), at));
    }

    pub fn answered(&mut self, name: &str, index: usize) {
        self.step(Event::Answered(self.id(name), index));
    }

    pub fn reachable(&mut self, name: &str) {
        self.step(Event::Reachable(self.id(name)));
    }

    pub fn names(&self, ids: &[Id]) -> Vec<&str> {
        ids.iter().map(|&id| self.engine.graph().name(id)).collect()
    }

    pub fn progress(&self, name: &str) -> Progress {
        self.engine.progress(self.id(name))
    }

    pub fn wish(&self, name: &str) -> Wish {
        self.engine.wish(self.id(name))
    }

    pub fn outcome(&self, request: RequestId) -> Option<Outcome> {
        self.outcomes.get(&request).cloned()
    }

    pub fn explain(&self, name: &str) -> Option<String> {
        self.engine.explain(self.id(name), self.now)
    }

    pub fn levels(&self) -> Vec<Vec<&str>> {
        let name = |id: &Id| self.engine.graph().name(*id);
        self.engine.graph().levels().iter().map(|level| level.iter().map(name).collect()).collect()
    }

    pub fn plan(&self, nodes: impl IntoIterator<Item = Node>) -> Vec<(String, Change)> {
        let new = Graph::new(nodes.into_iter().collect()).expect("a good set");
        let steps = self.engine.plan(&new, &BTreeMap::new());
        steps.into_iter().map(|step| (step.name, step.change)).collect()
    }
}
