//! `scale`: another number of instances of a template.

use svc_core::graph::Reason;
use svc_proto::api::{Outcome, Outcomes, Scale, Scaled, Until, Verdict, Wait};

use crate::args::Waiting;
use crate::client::{GRACE, QUESTION};
use crate::exit::{Code, Failure};

use super::Session;
use super::control::{Needed, in_ms, report};

pub async fn run(session: &mut Session, dependents: bool, waiting: &Waiting, scales: Vec<Scale>) -> Result<Code, Failure> {
    let mut code = Code::Done;
    for scale in scales {
        let scale = Scale { dependents, ..scale };
        let scaled: Scaled = session.client.post("/v1/scale", &scale, Some(QUESTION)).await?;
        match session.json {
            true => session.out.json(&scaled)?,
            false => session.out.line(&scaled.message)?,
        }
        let (services, until) = match scaled.new.is_empty() {
            true => (scaled.gone, Until::Gone),
            false => (scaled.new, Until::Ready),
        };
        if waiting.no_wait || services.is_empty() {
            continue;
        }
        let timeout = waiting.timeout.timeout;
        let wait = Wait { services, until, any: false, timeout_ms: timeout.map(in_ms) };
        let answer = session.client.post("/v1/wait", &wait, timeout.map(|timeout| timeout + GRACE)).await;
        let told = if until == Until::Gone { of_one_gone } else { of_one_made };
        let answer = answer.map(|Outcomes { outcomes }| Outcomes { outcomes: outcomes.into_iter().map(told).collect() });
        code = code.max(report(session, answer, &wait.services, Needed::All).await?);
    }
    Ok(code)
}

/// An instance was there when its number was told: who misses it has been contradicted.
fn of_one_made(outcome: Outcome) -> Outcome {
    match outcome.result {
        Verdict::NoSuchService => Outcome { result: Verdict::Failed, message: Reason::SUPERSEDED.into(), ..outcome },
        Verdict::Done | Verdict::Failed | Verdict::TimedOut => outcome,
    }
}

/// Its name goes with it, and its file stays where it is.
fn of_one_gone(outcome: Outcome) -> Outcome {
    match outcome.result {
        Verdict::Done => Outcome { message: "down".into(), ..outcome },
        Verdict::NoSuchService | Verdict::Failed | Verdict::TimedOut => outcome,
    }
}
