//! Which units fit together, and what is said of those that do not.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use svc_core::ServiceName;
use svc_core::graph::{Graph, Problem};

use super::{Units, is_hard, unused};

/// What is said of one whose conditions have come to hold, and that fits in no more by that.
const UNTIL_THEN: &str = "until then it is left out as if its conditions did not hold";

impl Units {
    /// What fits together, and what does not, with the reason.
    pub(super) fn sort(&self, replaced: &BTreeSet<ServiceName>) -> (Graph, BTreeMap<ServiceName, String>) {
        let mut out: BTreeMap<ServiceName, String> = self.halves();
        let message = "has become another one (type, or pipeline): it is started again when the old one is gone";
        out.extend(replaced.iter().map(|name| (name.clone(), message.to_owned())));
        loop {
            let left_out = out.len();
            for (name, unit) in &self.all {
                let needed = unit.source.dependencies.iter().chain(&unit.source.producer_for).map(ServiceName::as_str);
                let hard = unit.source.relations.iter().filter(|other| is_hard(other)).map(|other| &*other.on);
                let is_out = |name: &&str| out.contains_key(*name);
                let missing = needed.chain(hard).find(is_out).map(str::to_owned);
                if let Some(missing) = missing.filter(|_| !out.contains_key(name)) {
                    out.insert(name.clone(), cannot_be_used(&missing));
                }
            }
            let problems = match Graph::new(self.nodes(&out)) {
                Ok(graph) => return (graph, out),
                Err(problems) => problems,
            };
            for problem in problems {
                let culprits = match &problem {
                    Problem::Twice(name) => vec![name.clone()],
                    Problem::Unknown { node, .. } | Problem::NoHealth { node, .. } => vec![node.clone()],
                    Problem::Cycle(path) => self.culprits(path),
                };
                let told = match &problem {
                    Problem::Unknown { name, .. } if self.is_unusable(name) => cannot_be_used(name),
                    Problem::Unknown { name, .. } if self.is_classic(name) => svc_def::has_no_place(name),
                    Problem::Twice(_) | Problem::Unknown { .. } | Problem::NoHealth { .. } | Problem::Cycle(_) => {
                        svc_def::told(&problem, &|name| {
                            self.get(name).map(|unit| unit.dir.to_path_buf()).into_iter().collect()
                        })
                    }
                };
                for name in culprits.iter().filter_map(|name| ServiceName::parse(name).ok()) {
                    out.entry(name).or_insert_with(|| told.clone());
                }
            }
            if out.len() == left_out {
                // Every problem names at least one that was not left out; were it otherwise, nothing would be lost but order.
                return (Graph::default(), out);
            }
        }
    }

    /// Whom a circle keeps out. Where a service waits for the bundle that it is in, that one: the bundle, with all others in it,
    /// goes on without.
    fn culprits(&self, circle: &[String]) -> Vec<String> {
        let contents = |name: &str| match self.get(name).map(|unit| &unit.source.kind) {
            Some(svc_def::Kind::Bundle { contents }) => Some(contents),
            Some(svc_def::Kind::Oneshot { .. } | svc_def::Kind::Longrun) | None => None,
        };
        let is_in =
            |name: &str| circle.iter().filter_map(|bundle| contents(bundle)).flatten().any(|member| member.as_str() == name);
        let members: Vec<String> = circle.iter().filter(|name| is_in(name)).cloned().collect();
        let services: Vec<String> = members.iter().filter(|name| contents(name).is_none()).cloned().collect();
        [services, members].into_iter().find(|some| !some.is_empty()).unwrap_or_else(|| circle.to_vec())
    }

    /// Edits that keep out what they are made in are left alone: what runs goes on as it was. Whether there were any.
    pub(super) fn take_back(&mut self, out: &BTreeMap<ServiceName, String>) -> bool {
        let mut any = false;
        for (name, problem) in out {
            let Some(unit) = self.all.get_mut(name).filter(|unit| unit.before.is_some()) else { continue };
            let unit = Rc::make_mut(unit);
            if let Some(before) = unit.before.take() {
                let is_edit = unit.source != before.source || unit.definition != before.definition;
                (unit.definition, unit.source, unit.verdict) = (before.definition, before.source, before.verdict);
                let told = if is_edit { unused(problem) } else { format!("{problem}; {UNTIL_THEN}") };
                unit.edit = Some(Box::new(told));
                any = true;
            }
        }
        any
    }

    pub(super) fn is_unusable(&self, name: &str) -> bool {
        self.unusable.contains(name)
    }

    fn is_classic(&self, name: &str) -> bool {
        ServiceName::parse(name).is_ok_and(|name| self.classic.contains(&name))
    }

    pub(super) fn note(&mut self, out: &BTreeMap<ServiceName, String>) {
        let (pipelines, taken) = self.pipelines(out);
        let unknown = |name: &ServiceName| !self.all.contains_key(name) && !pipelines.contains_key(name);
        let is_there = |name: &str| self.get(name).is_some() || self.is_unusable(name);
        let without = |gone: &[String], cure: &str| match gone {
            [only] if self.is_classic(only) => format!("{}; goes on without", svc_def::has_no_place(only)),
            _ => without(gone, &is_there, cure),
        };
        let mut missing: BTreeMap<ServiceName, String> =
            taken.into_iter().map(|(name, problem)| (name.clone(), problem)).collect();
        for (name, unit) in &self.all {
            let gone = |list: Vec<&str>| -> Vec<String> {
                let is_gone =
                    |name: &&str| ServiceName::parse(name).is_ok_and(|name| out.contains_key(&name) || unknown(&name));
                list.into_iter().filter(is_gone).map(str::to_owned).collect()
            };
            let by_file = unit.is_one_file();
            if let svc_def::Kind::Bundle { contents } = &unit.source.kind {
                let gone = gone(contents.iter().map(ServiceName::as_str).collect());
                let list = if by_file { "members" } else { "contents.d" };
                if !gone.is_empty() {
                    missing.insert(name.clone(), without(&gone, &format!("remove the name from {list}")));
                }
            }
            let soft = unit.source.relations.iter().filter(|other| !is_hard(other)).map(|other| &*other.on);
            let gone = gone(soft.collect());
            if !gone.is_empty() {
                missing.insert(name.clone(), without(&gone, "remove the name from service.toml"));
            }
        }
        for (name, unit) in &mut self.all {
            let out = out.get(name).map(String::as_str).or(unit.edit.as_ref().map(|edit| edit.as_str()));
            let problem = out.or_else(|| missing.get(name).map(String::as_str));
            if unit.problem.as_deref() != problem || unit.before.is_some() {
                let problem = problem.map(Into::into);
                let unit = Rc::make_mut(unit);
                (unit.problem, unit.before) = (problem, None);
            }
        }
    }

    /// Producers and consumers that do not name each other.
    pub(super) fn halves(&self) -> BTreeMap<ServiceName, String> {
        let mut out = BTreeMap::new();
        for (name, unit) in &self.all {
            for half in svc_def::halves(name, &unit.source, &|name| self.all.get(name).map(|unit| &unit.source)) {
                out.insert(name.clone(), half.problem);
                // If it was cut loose just now, that is what does not fit.
                if self.all.get(half.other).is_some_and(|other| other.before.is_some()) {
                    out.entry(half.other.clone()).or_insert(half.cut);
                }
            }
        }
        out
    }
}

fn cannot_be_used(name: &str) -> String {
    format!("needs {name}, which cannot be used: see there")
}

/// What is said of names that nobody has, and of those that are there and cannot be used: each has another cure.
fn without(gone: &[String], is_there: &dyn Fn(&str) -> bool, cure: &str) -> String {
    let (there, missing): (Vec<&str>, Vec<&str>) = gone.iter().map(String::as_str).partition(|name| is_there(name));
    let mut parts = Vec::new();
    if !there.is_empty() {
        parts.push(format!("goes on without {}, which cannot be used: see there", there.join(", ")));
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        parts.push(format!("goes on without {names}: define {names}, or {cure}"));
    }
    parts.join("; ")
}
