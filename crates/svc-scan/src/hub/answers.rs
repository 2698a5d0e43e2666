//! Answers to questions, from what supervisors said last: they are not asked again.

use std::collections::BTreeSet;

use super::{Hub, Member, WHY_LINES};
use crate::clients::{self, Ask, STREAM_ROOM, Subscriber, json_line};
use crate::matching;
use crate::status::{self, Known, Now};
use crate::waits::{Answer, Goal};
use svc_core::graph::{Id, Kind, Level, Progress, Strength, Wish};
use svc_core::{Service, ServiceName};
use svc_proto::api;
use svc_proto::link::ToInit;
use svc_sys::clock;
use tokio::sync::mpsc;

impl Hub {
    pub(super) fn serve(&mut self, ask: Ask) {
        match ask {
            Ask::Version(answer) => drop(answer.send(self.version())),
            Ask::Services(answer) => drop(answer.send(self.services())),
            Ask::Graph(answer) => drop(answer.send(self.graph())),
            Ask::Boot(answer) => drop(answer.send(self.boot())),
            Ask::Detail { service, answer } => drop(answer.send(self.detail(&service))),
            Ask::Control { control, answer } => self.control(control, answer),
            Ask::Wait { wait, answer } => {
                let goal = Goal::Until(wait.until);
                let items = wait.services.into_iter().map(|service| self.item(service, goal)).collect();
                self.wait_for(items, wait.any, wait.timeout_ms, Answer::Wait(answer));
            }
            Ask::Events { lines } => {
                let mut subscriber = Subscriber::new(lines);
                let first = api::Change {
                    at_ms: clock::wall_ms(),
                    service: String::new(),
                    event: api::EventKind::Subscribed,
                    pid: None,
                    exit: None,
                    message: None,
                };
                // Those who have hung up since the last change would pile up.
                self.events.retain(|subscriber| !subscriber.is_gone());
                if subscriber.send(json_line(&first), |_| Vec::new()) {
                    self.events.push(subscriber);
                }
            }
            Ask::Logs { services, lines, follow, answer } => drop(answer.send(self.read_logs(services, lines, follow))),
            Ask::Plan(answer) => {
                let plan = self.plan();
                drop(answer.send(plan));
            }
            Ask::Apply { apply, answer } => self.apply(&apply, answer),
            Ask::Scale { scale, answer } => {
                let scaled = self.scale(&scale);
                drop(answer.send(scaled));
            }
            Ask::Rescan(answer) => {
                self.rescan();
                let count = self.members.len();
                let services = if count == 1 { "service" } else { "services" };
                drop(answer.send(api::Done { message: format!("looked at all directories again: {count} {services}") }));
            }
            Ask::Shutdown { shutdown, answer } => {
                self.init.send(ToInit::Shutdown { code: shutdown.code, force: shutdown.force }.encode(), None);
                drop(answer.send(api::Done { message: "stopping everything".into() }));
            }
        }
    }

    pub(super) fn version(&self) -> api::Version {
        api::Version {
            version: self.config.version.to_owned(),
            api: api::VERSION,
            init_pid: self.init_pid,
            scan_pid: svc_sys::process::id(),
            scan_dirs: self.config.scan_dirs.iter().map(|dir| dir.display().to_string()).collect(),
        }
    }

    pub(super) fn status(&self, member: &Member, now: Now) -> api::Status {
        let status = status::of(
            Known {
                name: member.name.as_str(),
                dir: svc_def::shown(&member.dir),
                machine: member.machine.as_ref(),
                oneshot: member.definition.is_oneshot(),
                says_ready: member.definition.says_ready(),
                supervisor: member.supervisor,
                problem: member
                    .trouble()
                    .cloned()
                    .or_else(|| member.missing_sockets().map(|missing| missing.problem.clone()))
                    .or_else(|| self.node_problem(member.name.as_str()))
                    .or_else(|| member.warning().cloned()),
                added_ms: member.added_ms,
            },
            now,
        );
        // What waits for others is wanted all the same: its supervisor does not know.
        let wished = self.engine.graph().id(member.name.as_str()).map(|id| self.engine.wish(id) != Wish::Down);
        let verdict = member.machine.as_ref().and_then(|machine| status::verdict(machine, &member.definition));
        let rests = member.machine.as_ref().is_some_and(matching::rests);
        let wanted_up = wished.unwrap_or(status.wanted_up) && !rests;
        let (health, changed) = (member.vitals(now), self.is_changed(member));
        let status = api::Status { wanted_up, health, verdict, changed, ..status };
        let reason = member.machine.as_ref().and_then(|it| status::stop_reason(it, &member.definition, clock::now()));
        let status = api::Status { reason, ..status };
        let held_back = self.state_held_back(member.name.as_str());
        let idle = matches!(status.state, api::State::Down | api::State::Done | api::State::Failed);
        let status = match held_back.filter(|_| idle) {
            Some(state) => api::Status { state, reason: self.reason_of(member.name.as_str()), ..status },
            None => status,
        };
        match self.timer_status(&member.name) {
            Some(timer) => self.status_of_timer(member, timer, status),
            None => status,
        }
    }

    /// A timer is not down between its runs, and its runs are no restarts.
    fn status_of_timer(&self, member: &Member, timer: Box<api::Timer>, status: api::Status) -> api::Status {
        let state = match status.state {
            api::State::Down | api::State::Done | api::State::Failed if self.is_scheduled(&member.name) => {
                api::State::Scheduled
            }
            api::State::Done | api::State::Failed => api::State::Down,
            other => other,
        };
        let last_exit = status.last_exit.or_else(|| timer.last_exit.clone());
        api::Status { state, restarts: 0, last_exit, timer: Some(timer), ..status }
    }

    /// The status of a name of the graph that no process stands behind.
    fn status_of_name(&self, name: &str, dir: &std::path::Path, now: Now) -> api::Status {
        let problem = self.node_problem(name);
        let since = self.engine.graph().id(name).map(|id| self.engine.times(id).since);
        let known = Known {
            name,
            dir: svc_def::shown(dir),
            machine: None,
            says_ready: false,
            oneshot: false,
            supervisor: None,
            problem,
            added_ms: since.map_or(now.wall_of(clock::now()), |since| now.wall_of(since)),
        };
        let wanted_up = self.wish_of(name).map_or_else(|| self.units.is_missed(name), |wish| wish != Wish::Down);
        let reason = self.reason_of(name);
        api::Status { state: self.state_of_name(name), wanted_up, reason, ..status::of(known, now) }
    }

    pub(super) fn status_named(&self, name: &str) -> Option<api::Status> {
        match self.slot_named(name).and_then(|slot| self.members.get(&slot)) {
            Some(member) => Some(self.status(member, Now::read())),
            None => self.units.get(name).map(|unit| self.status_of_name(name, &unit.dir, Now::read())),
        }
    }

    /// The same, also of a directory that is no service yet.
    pub(super) fn status_of_any(&self, name: &str) -> Option<api::Status> {
        self.status_named(name).or_else(|| {
            let unready = self.directories.unready().find(|unready| unready.name == name)?;
            Some(unready_status(&unready, Now::read()))
        })
    }

    pub(super) fn services(&self) -> api::Services {
        let now = Now::read();
        let mut services: Vec<api::Status> =
            self.names.values().filter_map(|slot| self.members.get(slot)).map(|member| self.status(member, now)).collect();
        services.extend(self.units_without_slot().iter().map(|(name, dir)| self.status_of_name(name, dir, now)));
        let mut problems: Vec<api::Problem> =
            self.directories.odd().map(|(path, message)| api::Problem { path, message }).collect();
        for unready in self.directories.unready() {
            match self.slot_named(unready.name).and_then(|slot| self.members.get(&slot)) {
                None => services.push(unready_status(&unready, now)),
                // The name stands for one service only: the other one is told of among the problems.
                Some(member) if *member.dir != *unready.path => {
                    problems.push(api::Problem { path: svc_def::shown(unready.path), message: unready.problem.to_owned() });
                }
                // It stands where that one stood, which is about to go.
                Some(_) => {}
            }
        }
        services.sort_by(|a, b| a.name.cmp(&b.name));
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        api::Services { services, problems }
    }

    /// Everything that stands in the graph.
    fn graph(&self) -> api::Graph {
        let graph = self.engine.graph();
        let node = |id: Id| {
            let (node, unit) = (graph.node(id), self.units.get(graph.name(id)));
            let progress = self.engine.progress(id);
            let (mut seen, edges) = (BTreeSet::new(), graph.edges(id).iter());
            // Whom it cannot do without, it does not go on without, whatever else it says of him.
            let hard: BTreeSet<Id> =
                edges.clone().filter(|edge| matches!(edge.strength, Strength::Hard(_))).map(|edge| edge.to).collect();
            let needs: Vec<Id> = edges.map(|edge| edge.to).filter(|&on| seen.insert(on)).collect();
            let named = |on: &Id| graph.name(*on).to_owned();
            let slot = self.slot_named(&node.name).and_then(|slot| self.members.get(&slot));
            let rests = slot.and_then(|member| member.machine.as_ref()).is_some_and(matching::rests);
            let up = match progress {
                Progress::Completed => !rests,
                Progress::Up(level) => !node.readiness || level >= Level::Ready,
                _ => false,
            };
            // So do those that need it: a service that took itself out was up.
            let up = up || self.engine.lasts(id);
            let state = match slot {
                Some(member) => self.status(member, Now::read()).state,
                None => self.state_of_name(&node.name),
            };
            api::Node {
                name: node.name.to_string(),
                kind: match self.kind_of(&node.name).unwrap_or(node.kind) {
                    Kind::Process if self.is_timer(&node.name) => api::NodeKind::Timer,
                    Kind::Process => api::NodeKind::Longrun,
                    Kind::Oneshot | Kind::Milestone => api::NodeKind::Oneshot,
                    Kind::Bundle => api::NodeKind::Bundle,
                },
                up,
                state,
                wanted: self.engine.wish(id) == Wish::Explicit,
                essential: unit.is_some_and(|unit| unit.source.essential),
                needs: needs.iter().map(named).collect(),
                soft: needs.iter().filter(|on| !hard.contains(on)).map(named).collect(),
                start_timeout_ms: node.start_timeout.0,
                stop_timeout_ms: node.stop_timeout.0,
                problem: self.node_problem(&node.name),
                reason: self.reason_of(&node.name),
                dir: unit.map(|unit| svc_def::shown(&unit.dir)),
            }
        };
        let mut nodes: Vec<api::Node> = graph.living().into_iter().map(node).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let left_out = self.units.iter().filter(|(name, _)| graph.id(name.as_str()).is_none());
        let left_out = left_out
            .filter_map(|(name, unit)| Some(api::LeftOut { name: name.to_string(), problem: unit.problem.clone()?.into() }));
        api::Graph { nodes, left_out: left_out.collect() }
    }

    /// What kind it would be if its conditions held.
    fn kind_of(&self, name: &str) -> Option<Kind> {
        let unit = self.units.get(name).filter(|unit| unit.skipped().is_some())?;
        Some(match unit.source.kind {
            svc_def::Kind::Longrun => Kind::Process,
            svc_def::Kind::Oneshot { .. } => Kind::Oneshot,
            svc_def::Kind::Bundle { .. } => Kind::Bundle,
        })
    }

    pub(super) fn slot_named(&self, name: &str) -> Option<u32> {
        self.names.get(&ServiceName::parse(name).ok()?).copied()
    }

    pub(super) fn detail(&mut self, name: &str) -> Option<api::Detail> {
        let now = Now::read();
        let Some(slot) = self.slot_named(name) else {
            let unready = self.directories.unready().find(|unready| unready.name == name);
            let status = match unready {
                Some(unready) => unready_status(&unready, now),
                None => self.status_named(name)?,
            };
            return Some(api::Detail {
                status,
                deaths: Vec::new(),
                death_count: 0,
                memory_kills: 0,
                last_lines: Vec::new(),
            });
        };
        self.check_logger(slot);
        let mut last_lines = self.logs.last(slot, name, Some(WHY_LINES), true);
        if last_lines.is_empty() {
            last_lines = self.logs.last(slot, name, Some(WHY_LINES), false);
        }
        let member = self.members.get(&slot)?;
        Some(api::Detail {
            status: self.status(member, now),
            deaths: member.deaths.iter().map(|&past| status::death(past, now)).collect(),
            death_count: member.machine.as_ref().map_or(0, Service::deaths),
            // The kernel counts; nobody has to be woken for it.
            memory_kills: svc_sys::cgroup::Tree::of(self.init_pid).map_or(0, |tree| tree.starved(name)),
            last_lines,
        })
    }

    pub(super) fn slots(&self) -> Vec<(u32, String)> {
        self.members.iter().map(|(&slot, member)| (slot, member.name.to_string())).collect()
    }

    pub(super) fn read_logs(
        &mut self,
        services: Vec<String>,
        lines: Option<usize>,
        follow: bool,
    ) -> Result<clients::Logs, String> {
        for name in &services {
            let is_unready = || self.directories.unready().any(|unready| unready.name == name);
            if self.slot_named(name).is_none() && self.units.get(name).is_none() && !is_unready() {
                return Err(format!("{name}: no such service"));
            }
        }
        let slots = self.slots();
        let wanted = slots.iter().filter(|(_, name)| services.is_empty() || services.contains(name));
        let mut first: Vec<api::LogLine> =
            wanted.flat_map(|(slot, name)| self.logs.last(*slot, name, lines, false)).collect();
        first.sort_by_key(|line| line.at_ms);
        let rest = follow.then(|| {
            let (sender, receiver) = mpsc::channel(STREAM_ROOM);
            self.logs.follow(services, &slots, sender);
            receiver
        });
        Ok(clients::Logs { first, rest })
    }
}

fn unready_status(unready: &crate::directories::Unready<'_>, now: Now) -> api::Status {
    status::of(
        Known {
            name: unready.name,
            dir: svc_def::shown(unready.path),
            machine: None,
            says_ready: false,
            oneshot: false,
            supervisor: None,
            problem: Some(unready.problem.to_owned()),
            added_ms: unready.found_ms,
        },
        now,
    )
}
