//! Answers to questions, from what supervisors said last: they are not asked again.

use std::collections::BTreeSet;

use super::{COMMAND, Hub, Member, WHY_LINES, telling};
use crate::clients::{self, Ask, STREAM_ROOM, Subscriber};
use crate::held::Held;
use crate::matching;
use crate::status::{self, Known, Now};
use crate::waits::{Answer, Goal, Item};
use svc_core::graph::{Id, Kind, Level, Node, Progress, Strength, Wish};
use svc_core::run::said_by_exec;
use svc_core::service::State;
use svc_core::{Service, ServiceName};
use svc_proto::link::ToInit;
use svc_proto::{api, json};
use svc_sys::clock;
use tokio::sync::mpsc;

impl Hub {
    /// Answers, or keeps what names a service that is not known as long as there may be one in a directory that has not been read.
    pub(super) fn serve(&mut self, ask: Ask) {
        let is_unknown = |name: &String| self.status_of_any(name).is_none() && self.engine.graph().id(name).is_none();
        if self.may_come() && ask.names().iter().any(is_unknown) {
            self.kept.push(ask);
            return;
        }
        match ask {
            Ask::Version(answer) => drop(answer.send(self.version())),
            Ask::Services(answer) => drop(answer.send(self.services())),
            Ask::Graph(answer) => drop(answer.send(self.graph())),
            Ask::Boot(answer) => drop(answer.send(self.boot())),
            Ask::Detail { service, answer } => drop(answer.send(self.detail(&service))),
            Ask::Control { control, answer } => self.control(control, answer),
            Ask::Wait { wait, answer } => {
                let goal = if wait.until == api::Until::Gone { Goal::Gone } else { Goal::Until(wait.until) };
                let items = wait.services.into_iter().map(|service| self.awaited(service, goal)).collect();
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
                if subscriber.send(json::line(&first), |_| Vec::new()) {
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
                self.rescan(true);
                self.wait_for(vec![Item::read()], false, None, Answer::Rescan(answer));
            }
            Ask::Shutdown { shutdown, answer } => {
                // Before the answer: a finish script that waits for nothing else ends by it.
                self.keep_down();
                let (code, named) = (shutdown.code.unwrap_or(0), shutdown.code.is_some());
                self.init.send(ToInit::Shutdown { code, named, force: shutdown.force }.encode(), None);
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
        let mut status = status::of(
            Known {
                name: member.name.as_str(),
                dir: svc_def::shown(&member.dir),
                machine: member.machine.as_ref(),
                oneshot: member.definition.is_oneshot(),
                says_ready: member.definition.says_ready(),
                supervisor: member.supervisor,
                problem: self
                    .explained(member)
                    .or_else(|| member.missing_sockets().map(|missing| missing.problem.clone()))
                    .or_else(|| status::unforked(member.machine.as_ref()?, &member.definition))
                    .or_else(|| self.node_problem(member.name.as_str()).map(|problem| with_warning(problem, member)))
                    .or_else(|| member.odd()),
                added_ms: member.added_ms,
            },
            now,
        );
        // What waits for others is wanted all the same: its supervisor does not know.
        let wished = self.engine.graph().id(member.name.as_str()).map(|id| self.engine.wish(id) != Wish::Down);
        let verdict = member.machine.as_ref().and_then(|machine| status::verdict(machine, &member.definition));
        let rests = member.machine.as_ref().is_some_and(matching::rests);
        let is_stopped = member.unsaid.is_some_and(telling::is_stop);
        status.wanted_up = wished.unwrap_or(status.wanted_up && !is_stopped) && !rests;
        let is_new = member.machine.is_none() && !member.first.is_inherited();
        if status.state == api::State::Starting && is_new && !status.wanted_up {
            // Its supervisor has not begun yet, and will not start it.
            status.state = api::State::Down;
        }
        status.health = member.vitals(now);
        status.verdict = verdict;
        status.changed = self.is_changed(member);
        status.reason = member.machine.as_ref().and_then(|it| status::stop_reason(it, &member.definition, clock::now()));
        let idle = matches!(status.state, api::State::Down | api::State::Done | api::State::Failed);
        if let Some(state) = self.state_held_back(member.name.as_str()).filter(|_| idle) {
            status.state = state;
            status.reason = self.reason_of(member.name.as_str());
        }
        // Its sockets are tried again, and it with them.
        let missing = member.missing_sockets();
        if let Some(missing) = missing.filter(|_| status.wanted_up && status.state == api::State::Down) {
            status.state = api::State::Waiting;
            status.next_start_ms = Some(now.wall_of(missing.again_at));
        }
        match self.timer_status(&member.name) {
            Some(timer) => self.status_of_timer(member, timer, status),
            None => status,
        }
    }

    /// Why it could not be started; in the words of `svc exec`, if that has said why.
    pub(super) fn explained(&self, member: &Member) -> Option<String> {
        let trouble = member.trouble()?;
        let (name, slot) = (member.name.as_str(), self.names.get(&member.name)?);
        let (front, said) = match trouble.strip_suffix(status::IN_ITS_LINES) {
            Some(front) => (front, self.logs.last(*slot, name, None, false)),
            None => (trouble.as_str(), Vec::new()),
        };
        let said = said.iter().rev().find_map(|line| said_by_exec(&line.line, name));
        Some(said.map_or_else(|| trouble.clone(), |said| format!("{front}{said}")))
    }

    /// A timer is not down between its runs, and its runs are no restarts.
    fn status_of_timer(&self, member: &Member, timer: Box<api::Timer>, status: api::Status) -> api::Status {
        let runs = |machine: &Service| matches!(machine.state(), State::Up { .. }) && !machine.prepares();
        let state = match status.state {
            // Its runs begin and end, and it comes nowhere by that.
            api::State::Starting if member.machine.as_ref().is_some_and(runs) => api::State::Up,
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
        let since = self.engine.graph().id(name).map(|id| self.engine.since(id));
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
        let (state, changed) = (self.state_of_name(name), self.is_edited(name));
        api::Status { state, wanted_up, reason, changed, ..status::of(known, now) }
    }

    pub(super) fn status_named(&self, name: &str) -> Option<api::Status> {
        match self.slot_named(name).and_then(|slot| self.members.get(&slot)) {
            Some(member) => Some(self.status(member, Now::read())),
            None => match self.units.get(name).or_else(|| self.pipeline(name)) {
                Some(unit) => Some(self.status_of_name(name, &unit.dir, Now::read())),
                None if name == COMMAND => self.waiting_command(Now::read()),
                None => None,
            },
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
        services.extend(self.waiting_command(now));
        services.sort_by(|a, b| a.name.cmp(&b.name));
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        api::Services { services, problems }
    }

    /// Everything that stands in the graph.
    fn graph(&self) -> api::Graph {
        let graph = self.engine.graph();
        let essential = self.essential();
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
                kind: self.kind_of(node),
                up,
                state,
                wanted: self.engine.wish(id) == Wish::Explicit,
                essential: essential.contains(&id),
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

    /// Those that are essential to s6-rc, by themselves or by a bundle that they are in.
    fn essential(&self) -> BTreeSet<Id> {
        let graph = self.engine.graph();
        let is_marked = |id: &Id| self.units.get(graph.name(*id)).is_some_and(|unit| unit.source.essential);
        let mut walk: Vec<Id> = graph.living().into_iter().filter(is_marked).collect();
        let mut essential = BTreeSet::new();
        while let Some(id) = walk.pop() {
            if essential.insert(id) && graph.node(id).kind == Kind::Bundle {
                walk.extend(graph.edges(id).iter().map(|edge| edge.to));
            }
        }
        essential
    }

    /// The kind by the word that its definition has for it, whether or not its conditions hold.
    pub(super) fn kind_of(&self, node: &Node) -> api::NodeKind {
        let Some(unit) = self.units.get(&node.name) else {
            // The name of a pipeline, or one that is about to go.
            return match node.kind {
                Kind::Process => api::NodeKind::Longrun,
                Kind::Oneshot | Kind::Milestone => api::NodeKind::Oneshot,
                Kind::Bundle => api::NodeKind::Bundle,
            };
        };
        match &unit.source.kind {
            svc_def::Kind::Longrun if unit.source.timer.is_some() => api::NodeKind::Timer,
            svc_def::Kind::Longrun if !unit.is_one_file() => api::NodeKind::Longrun,
            svc_def::Kind::Longrun if unit.definition.as_ref().is_some_and(Held::forks) => api::NodeKind::Forking,
            svc_def::Kind::Longrun => api::NodeKind::Process,
            svc_def::Kind::Oneshot { up: None, down: None } if unit.is_one_file() => api::NodeKind::Milestone,
            svc_def::Kind::Oneshot { .. } => api::NodeKind::Oneshot,
            svc_def::Kind::Bundle { .. } => api::NodeKind::Bundle,
        }
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

/// What was odd about one before it failed may be why.
fn with_warning(problem: String, member: &Member) -> String {
    let failed = member.machine.as_ref().is_some_and(|machine| machine.last().is_some() && !machine.done());
    match member.warning().filter(|_| failed) {
        Some(warning) => format!("{problem}: {warning}"),
        None => problem,
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
