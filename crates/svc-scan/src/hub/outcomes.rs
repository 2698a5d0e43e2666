//! What became of requests, and why a unit is not where it should be, in words.

use std::collections::BTreeSet;
use std::path::PathBuf;

use svc_core::graph::{Event, Hindrance, Id, Kind, Outcome, Progress, Reason, Refusal, Request, RequestId};
use svc_core::service::Rest;
use svc_proto::api;
use svc_sys::{clock, say};

use super::Hub;
use crate::status;
use crate::units::Unit;

/// So many answers wait for their clients.
const KEPT_OUTCOMES: u64 = 1024;

/// What became of a request.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Nothing was done, because of this.
    pub(super) refused: Option<Refusal>,
    /// Who did not get there, and why.
    pub(super) failed: Vec<(String, String)>,
}

impl Hub {
    /// The nodes of these names, if all of them are.
    pub(super) fn nodes_named(&self, names: &[String]) -> Option<Vec<Id>> {
        names.iter().map(|name| self.engine.graph().id(name)).collect()
    }

    /// Asks for something; the outcome may come at once.
    pub(super) fn ask(&mut self, request: Request) -> RequestId {
        let id = self.next_request();
        self.step_engine(Event::Request(id, request));
        id
    }

    pub(super) fn finished(&mut self, request: RequestId, outcome: &Outcome) {
        if self.ending.as_ref().is_some_and(|ending| ending.request == request) {
            return self.end_rest();
        }
        self.outcomes.insert(request, self.words(outcome));
        // Nobody waits for what was asked for by the definitions themselves.
        let oldest = self.requests.saturating_sub(KEPT_OUTCOMES);
        self.outcomes.retain(|id, _| id.0 > oldest);
        self.answer_requests();
    }

    pub(super) fn words(&self, outcome: &Outcome) -> Told {
        match outcome {
            Outcome::Done => Told { refused: None, failed: Vec::new() },
            Outcome::Failed(list) => {
                let is_tried_again =
                    |id: Id| matches!(self.engine.progress(id), Progress::Starting | Progress::Up(_) | Progress::Waiting);
                let missed = |id: Id| list.iter().find(|&&(other, _)| other == id && is_tried_again(id));
                let why = |id: Id, reason: Reason| match reason {
                    Reason::Trouble(_) if is_tried_again(id) => format!("could not be started: {}", self.reason(id, reason)),
                    Reason::Dependency(on) => match missed(on) {
                        Some(&(on, reason)) => {
                            format!("blocked by {}: {}", self.engine.graph().name(on), self.reason(on, reason))
                        }
                        None => self.blocked(id).unwrap_or_else(|| self.reason(id, reason)),
                    },
                    _ => self.reason(id, reason),
                };
                let named = |&(id, reason): &(Id, Reason)| (self.engine.graph().name(id).to_owned(), why(id, reason));
                Told { refused: None, failed: list.iter().map(named).collect() }
            }
            Outcome::Refused(refusal) => Told { refused: Some(refusal.clone()), failed: Vec::new() },
        }
    }

    /// Why nothing was done, as far as it is about this one of those that were asked for.
    pub(super) fn refused(&self, refusal: &Refusal, name: &str) -> String {
        let graph = self.engine.graph();
        let (Refusal::NeededBy(needers), Some(id)) = (refusal, graph.id(name)) else {
            return refusal.describe(|id| graph.name(id));
        };
        let is_bundle = graph.node(id).kind == Kind::Bundle;
        let parts: Vec<Id> = if is_bundle { self.processes_behind(id).collect() } else { vec![id] };
        let above: BTreeSet<Id> = parts.into_iter().flat_map(|part| self.engine.reverse_dependencies(part)).collect();
        let own: Vec<Id> = needers.iter().copied().filter(|needer| above.contains(needer)).collect();
        match own.is_empty() {
            true => "not stopped, because another one that was to be stopped with it is needed".into(),
            false => Refusal::NeededBy(own).describe(|id| graph.name(id)),
        }
    }

    /// Why a node is not where it should be: as its directory explains it, where it can.
    pub(super) fn reason(&self, id: Id, reason: Reason) -> String {
        let member = self.slot_named(self.engine.graph().name(id)).and_then(|slot| self.members.get(&slot));
        let explained = member.and_then(|member| match reason {
            Reason::Trouble(_) => self.explained(member),
            Reason::Exit(_) => {
                let machine = member.machine.as_ref().filter(|machine| machine.rest() == Rest::Limit)?;
                let verdict = status::verdict(machine, &member.definition)?;
                Some(format!("{verdict}, and is not started again: {}", machine.last()?.exit))
            }
            Reason::Unready(_)
            | Reason::Dependency(_)
            | Reason::StartTimeout
            | Reason::ExternalTimeout
            | Reason::StopTimeout
            | Reason::Held
            | Reason::StoppedOutside
            | Reason::Superseded
            | Reason::Condition => None,
        });
        explained.unwrap_or_else(|| self.engine.reason(id, reason))
    }

    /// Who is in the way, to the root of it, and what is wrong with that.
    pub(super) fn blocked(&self, id: Id) -> Option<String> {
        let told = self.engine.explain(id, clock::now())?;
        let root = self.engine.blocked_by(id).pop()?;
        let slot = self.slot_named(self.engine.graph().name(root.node));
        let trouble = slot.and_then(|slot| self.members.get(&slot)).and_then(|member| self.explained(member));
        let trouble = trouble.or_else(|| self.keeps_ending(root.node));
        Some(match (root.hindrance, trouble) {
            (Hindrance::NotYet(_), Some(trouble)) => format!("{told}: {trouble}"),
            _ => told,
        })
    }

    /// What is to be said of a unit beside its state.
    pub(super) fn node_problem(&self, name: &str) -> Option<String> {
        match (self.units.get(name)?.problem.as_deref(), self.progress_problem(name)) {
            (Some(definition), Some(progress)) => Some(format!("{definition}; {progress}")),
            (definition, progress) => definition.map(str::to_owned).or(progress),
        }
    }

    /// What keeps it from being where it should be.
    fn progress_problem(&self, name: &str) -> Option<String> {
        let unit = self.units.get(name)?;
        let id = self.engine.graph().id(name)?;
        match self.engine.progress(id) {
            // It is where it should be.
            Progress::Awaiting => None,
            Progress::Failed(Reason::Condition) => {
                let otherwise = "(condition.otherwise = \"fail\"): svc-ctl apply starts it when that is over";
                unit.refused().map(|why| format!("is not started: {why} {otherwise}"))
            }
            Progress::Failed(Reason::Dependency(_)) | Progress::Waiting => self.blocked(id),
            Progress::Failed(reason) => Some(self.reason(id, reason)),
            Progress::Down | Progress::Starting | Progress::Up(_) | Progress::Completed | Progress::Stopping { .. } => None,
        }
    }

    /// Says in the log what has failed, once for each failure: the console of a container that does not come up is all that many
    /// look at. What cannot be executed has been told already.
    pub(super) fn say_failure(&mut self, id: Id) {
        let name = self.engine.graph().name(id).to_owned();
        let progress = self.engine.progress(id);
        // Who waits once more for what has failed may fail as before, and that is no news.
        if matches!(progress, Progress::Waiting) {
            return;
        }
        let problem = match progress {
            Progress::Failed(Reason::Trouble(_) | Reason::StoppedOutside) => None,
            Progress::Failed(_) if !self.rehearsing && !self.is_ending() => self.progress_problem(&name),
            Progress::Failed(_)
            | Progress::Down
            | Progress::Waiting
            | Progress::Awaiting
            | Progress::Starting
            | Progress::Up(_)
            | Progress::Completed
            | Progress::Stopping { .. } => None,
        };
        match problem {
            None => drop(self.told_failures.remove(&name)),
            Some(problem) if self.told_failures.get(&name) == Some(&problem) => {}
            Some(problem) => {
                say!("svc-scan: {name}: {problem}");
                self.told_failures.insert(name, problem);
            }
        }
    }

    /// Units that have no slot: names for others, and those that do not fit together.
    pub(super) fn units_without_slot(&self) -> Vec<(String, PathBuf)> {
        let without = self.units.iter().filter(|(name, _)| !self.names.contains_key(*name));
        let without = without.map(|(name, unit)| (name.to_string(), unit.dir.to_path_buf()));
        let pipelines = self.units.iter().filter_map(|(_, unit)| {
            let name = unit.source.pipeline_name.as_ref()?;
            let is_named = self.pipeline(name.as_str()).is_some_and(|first| std::ptr::eq(first, unit));
            is_named.then(|| (name.to_string(), unit.dir.to_path_buf()))
        });
        without.chain(pipelines).collect()
    }

    /// Who gives a pipeline its name, where this is one: no directory has it.
    pub(super) fn pipeline(&self, name: &str) -> Option<&Unit> {
        let is_known = self.units.get(name).is_none() && self.engine.graph().id(name).is_some();
        let names = |unit: &Unit| unit.source.pipeline_name.as_ref().is_some_and(|given| given.as_str() == name);
        self.units.iter().map(|(_, unit)| unit).find(|unit| is_known && names(unit))
    }

    /// The word for the state of one of them.
    pub(super) fn state_of_name(&self, name: &str) -> api::State {
        if self.units.get(name).is_some_and(|unit| unit.skipped().is_some()) {
            return api::State::Skipped;
        }
        let Some(id) = self.engine.graph().id(name) else { return api::State::Broken };
        match self.engine.progress(id) {
            // A name that nobody asked for, where all that it stands for is there.
            Progress::Down if self.is_whole(id) => api::State::Up,
            Progress::Down => api::State::Down,
            Progress::Waiting | Progress::Awaiting => api::State::Waiting,
            Progress::Starting => api::State::Starting,
            Progress::Up(_) | Progress::Completed => api::State::Up,
            Progress::Failed(_) => api::State::Failed,
            Progress::Stopping { .. } => api::State::Stopping,
        }
    }
}
