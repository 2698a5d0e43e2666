//! What supervisors say of the health of their services, and who is told of it.

use svc_core::Millis;
use svc_core::graph::{Event, Id, Level, Progress};
use svc_core::health::{Phase, Remedy, Verdict};
use svc_proto::api;
use svc_proto::checks::HealthReport;
use svc_proto::link::ToInit;
use svc_sys::say;

use super::{Hub, Member};
use crate::status::Now;

impl Member {
    /// None: its health is not looked at.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let known = self.health.as_ref().map_or(Verdict::Unknown, |report| report.health.verdict());
        self.definition.has_health().then_some(known)
    }

    /// As clients are told.
    pub(super) fn vitals(&self, now: Now) -> Option<api::Health> {
        let report = self.health.as_ref();
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
        if !self.definition.has_checks() {
            return None;
        }
        Some(api::Health {
            verdict: self.verdict().map(verdict),
            since_ms: report.map(|report| now.wall_of(report.health.since())),
            probe: report.and_then(|report| text(&report.said)),
            says: report.and_then(|report| text(&report.status)),
            excess: report.and_then(|report| report.health.guard().last()).map(|excess| api::Excess {
                at_ms: now.wall_of(excess.at),
                used_bytes: excess.bytes,
                limit_bytes: excess.limit,
            }),
            phase: report.and_then(|report| match report.health.phase() {
                Phase::Running => None,
                Phase::Reloading => Some(api::Phase::Reloading),
                Phase::Stopping => Some(api::Phase::Stopping),
            }),
        })
    }
}

fn verdict(verdict: Verdict) -> api::HealthVerdict {
    match verdict {
        Verdict::Unknown => api::HealthVerdict::Unknown,
        Verdict::Healthy => api::HealthVerdict::Healthy,
        Verdict::Unhealthy => api::HealthVerdict::Unhealthy,
    }
}

impl Hub {
    pub(super) fn health_reported(&mut self, slot: u32, report: HealthReport) {
        let Some(member) = self.members.get_mut(&slot) else { return };
        let before = member.health.as_ref().map_or(Verdict::Unknown, |report| report.health.verdict());
        let (now, said) = (report.health.verdict(), String::from_utf8_lossy(&report.said).into_owned());
        let checks = member.definition.settings().checks;
        let remedy = checks.as_ref().and_then(|checks| Some(checks.health.as_ref()?.remedy));
        let (name, extended) = (member.name.to_string(), report.extended);
        let excess = report.health.guard().last();
        let is_news = excess.is_some() && excess != member.health.as_ref().and_then(|known| known.health.guard().last());
        let limit = checks.and_then(|checks| checks.memory);
        if now == Verdict::Healthy {
            member.first.see_healthy(report.health.since(), member.machine.as_ref());
        }
        member.health = Some(Box::new(report));
        if now != before {
            let kind = match now {
                // It has been stopped, which is told by itself.
                Verdict::Unknown => None,
                Verdict::Healthy => Some(api::EventKind::Healthy),
                Verdict::Unhealthy => Some(api::EventKind::Unhealthy),
            };
            if let Some(kind) = kind {
                self.publish(&name, kind, None, None, (!said.is_empty()).then(|| said.clone()));
            }
            if now == Verdict::Unhealthy && remedy == Some(Remedy::StopContainer) {
                if !self.roster.is_stopping() {
                    say!("svc-scan: {name} is unhealthy ({said}): stopping everything");
                }
                self.init.send(ToInit::Shutdown { code: svc_sys::exit::FAILED, named: false, force: false }.encode(), None);
            }
        }
        if let Some(excess) = excess.filter(|_| is_news) {
            let message = format!("uses {} bytes of memory, and memory.limit is {}", excess.bytes, excess.limit);
            if limit.is_some_and(|limit| limit.remedy == Remedy::StopContainer) {
                say!("svc-scan: {name} {message}: stopping everything");
                self.init.send(ToInit::Shutdown { code: svc_sys::exit::FAILED, named: false, force: false }.encode(), None);
            }
            self.publish(&name, api::EventKind::Problem, None, None, Some(message));
        }
        if let Some(id) = self.node_of(&name) {
            self.extend(id, extended);
            self.fit_health(slot, id);
        }
        self.check_waiters(slot);
    }

    /// Its start may take until then, it has said.
    pub(super) fn extend(&mut self, id: Id, until: Millis) {
        if until > Millis::ZERO {
            self.step_engine(Event::Extend(id, until));
        }
    }

    /// What the graph takes to be the health of a service is what is known of it.
    pub(super) fn fit_health(&mut self, slot: u32, id: Id) {
        // One that is armed is there for whoever comes, as if it were well.
        let is_armed = |member: &super::Member| {
            let armed = member.machine.as_ref().is_some_and(|machine| machine.state() == svc_core::State::Armed);
            armed && member.definition.has_health()
        };
        let verdict = self
            .members
            .get(&slot)
            .and_then(|member| if is_armed(member) { Some(Verdict::Healthy) } else { member.verdict() });
        match (self.engine.progress(id), verdict) {
            (Progress::Up(level), Some(Verdict::Healthy)) if level != Level::Healthy => self.step_engine(Event::Healthy(id)),
            (Progress::Up(level), Some(Verdict::Unhealthy)) if level != Level::Unhealthy => {
                self.step_engine(Event::Unhealthy(id));
            }
            // Nothing is known, or nothing else, or it is not up: then nothing is known of it in a moment.
            (
                Progress::Up(_)
                | Progress::Down
                | Progress::Waiting
                | Progress::Awaiting
                | Progress::Starting
                | Progress::Completed
                | Progress::Failed(_)
                | Progress::Stopping { .. },
                _,
            ) => {}
        }
    }
}
