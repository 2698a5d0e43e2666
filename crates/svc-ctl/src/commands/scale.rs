//! `scale`: another number of instances of a template.

use svc_proto::api::{Scale, Scaled, Until, Wait};

use crate::args::Waiting;
use crate::client::{GRACE, QUESTION};
use crate::exit::{Code, Failure};

use super::Session;
use super::control::{Needed, in_ms, report};

pub async fn run(session: &mut Session, waiting: &Waiting, scales: Vec<Scale>) -> Result<Code, Failure> {
    let mut code = Code::Done;
    for scale in scales {
        let scaled: Scaled = session.client.post("/v1/scale", &scale, Some(QUESTION)).await?;
        match session.json {
            true => session.out.json(&scaled)?,
            false => session.out.line(&scaled.message)?,
        }
        if waiting.no_wait || scaled.new.is_empty() {
            continue;
        }
        let timeout = waiting.timeout.timeout;
        let wait = Wait { services: scaled.new, until: Until::Ready, any: false, timeout_ms: timeout.map(in_ms) };
        let answer = session.client.post("/v1/wait", &wait, timeout.map(|timeout| timeout + GRACE)).await;
        code = code.max(report(session, answer, &wait.services, Needed::All).await?);
    }
    Ok(code)
}
