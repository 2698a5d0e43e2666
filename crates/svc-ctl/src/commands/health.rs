//! `svc-ctl health`: the question of a container's HEALTHCHECK.

use svc_proto::api::{HealthVerdict, State, Status};

use crate::exit::{Code, Failure};
use crate::{names, span, words};

use super::{Session, services, status};

pub async fn run(session: &mut Session, quiet: bool, typed: &[String]) -> Result<Code, Failure> {
    names::check(typed)?;
    let mut answer = services(session, typed).await?;
    let known = match typed.is_empty() {
        true => Code::Done,
        false => status::narrow(&mut answer, typed),
    };
    let wanted = answer.services.iter().filter(|status| status.wanted_up).count();
    // What has failed for good was wanted once, and nobody has stopped it.
    answer.services.retain(|status| matches!(verdict(status), Some(Err(_))));
    // What is no service is wanted by nobody.
    answer.problems.clear();
    let code = if answer.services.is_empty() { Code::Done } else { Code::Failed };
    if session.json {
        session.out.json(&answer)?;
    } else if !quiet {
        for status in &answer.services {
            session.out.line(&complaint(status))?;
        }
        if code == Code::Done && known == Code::Done {
            let services = if wanted == 1 { "service is" } else { "services are" };
            session.out.line(&format!("{wanted} {services} up as wanted"))?;
        }
    }
    Ok(code.max(known))
}

/// Whether a service is as it should be, or what is wrong with it; none where nobody wants anything of it. One that is being
/// drained is not wanted any more, and whoever sends it work is to see that.
pub fn verdict(status: &Status) -> Option<Result<(), String>> {
    let drains = status.state == State::Stopping && status.ready == Some(false);
    if !status.wanted_up && status.state != State::Failed && !drains {
        return None;
    }
    Some(if healthy(status) { Ok(()) } else { Err(complaint(status)) })
}

/// A service that does not say when it is ready is as well as it is up; a oneshot is well when it is done, and what waits for its
/// time or for visitors is too.
fn healthy(status: &Status) -> bool {
    let well = words::verdict(status).is_none_or(|verdict| verdict == HealthVerdict::Healthy);
    matches!(status.state, State::Armed | State::Done | State::Scheduled | State::Skipped)
        || status.state == State::Up && status.ready != Some(false) && well
}

fn complaint(status: &Status) -> String {
    let mut text = format!("{}: {}", status.name, words::sentence(status, span::now_ms()));
    if let Some(probe) = status.health.as_ref().and_then(|health| health.probe.as_ref())
        && words::verdict(status) == Some(HealthVerdict::Unhealthy)
    {
        text.push_str(&format!(": {probe}"));
        return text;
    }
    match (words::problem(status).or(status.reason.as_deref()), &status.last_exit) {
        // The reason says the same in more words.
        (Some(why), _) if why.starts_with(words::state(status)) => text = format!("{}: {why}", status.name),
        (Some(why), _) => text.push_str(&format!(": {why}")),
        (None, Some(death)) => text.push_str(&format!("; last {}", words::end(death))),
        (None, None) => {}
    }
    text
}
