//! `plan` and `apply`: what an edit on disk would do, and having it done.

use svc_proto::api::{Apply, Difference, Plan, Planned, Step};

use crate::args::Waiting;
use crate::client::GRACE;
use crate::exit::{Code, Failure};

use super::Session;
use super::control::{Needed, in_ms, report};

pub async fn run(session: &mut Session) -> Result<Code, Failure> {
    let plan: Plan = session.client.get("/v1/plan").await?;
    match session.json {
        true => session.out.json(&plan)?,
        false => tell(session, &plan)?,
    }
    Ok(Code::Done)
}

pub async fn apply(session: &mut Session, waiting: &Waiting) -> Result<Code, Failure> {
    let plan: Plan = session.client.get("/v1/plan").await?;
    if !session.json {
        tell(session, &plan)?;
    }
    let timeout = waiting.timeout.timeout;
    let moved = |step: &&Step| matches!(step.change, Planned::Start | Planned::Restart | Planned::Stop);
    let names: Vec<String> = plan.steps.iter().filter(moved).map(|step| step.service.clone()).collect();
    let apply = Apply { wait: !waiting.no_wait, timeout_ms: timeout.map(in_ms), services: names.clone() };
    let patience = timeout.map(|timeout| timeout + GRACE);
    let answer = session.client.post("/v1/apply", &apply, patience).await;
    let code = report(session, answer, &names, Needed::All).await?;
    // What could be done was, and something was not.
    let broken = plan.steps.iter().any(|step| step.broken);
    Ok(if broken && code == Code::Done { Code::Failed } else { code })
}

fn tell(session: &mut Session, plan: &Plan) -> Result<(), Failure> {
    if plan.steps.is_empty() {
        return session.out.line("nothing has changed");
    }
    for step in &plan.steps {
        session.out.line(&format!("{}: {}: {}", step.service, word(step.change), step.why))?;
        for difference in &step.differences {
            session.out.line(&format!("    {}", line(difference)))?;
        }
    }
    Ok(())
}

fn word(change: Planned) -> &'static str {
    match change {
        Planned::Start => "start",
        Planned::Stop => "stop",
        Planned::Restart => "restart",
        Planned::Reload => "reload",
        Planned::Nothing => "nothing",
    }
}

fn line(Difference { key, before, after }: &Difference) -> String {
    match (before, after) {
        (Some(before), Some(after)) => format!("{key}: {before} -> {after}"),
        (None, Some(after)) => format!("{key}: {after} is new"),
        (Some(before), None) => format!("{key}: {before} is gone"),
        // A file, whose content is not told.
        (None, None) => format!("{key} has changed"),
    }
}
