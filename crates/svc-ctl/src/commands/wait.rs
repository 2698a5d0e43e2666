//! `svc-ctl wait`: one request that svc answers when the services are there.

use std::time::Duration;

use svc_proto::api::{Until, Wait};

use crate::client::GRACE;
use crate::exit::{Code, Failure};

use super::control::{Needed, in_ms, report};
use super::{Session, choose};

pub async fn run(
    session: &mut Session,
    until: Until,
    any: bool,
    timeout: Option<Duration>,
    typed: &[String],
) -> Result<Code, Failure> {
    let chosen = choose(session, typed).await?;
    if chosen.names.is_empty() {
        return Ok(chosen.code);
    }
    let wait = Wait { services: chosen.names, until, any, timeout_ms: timeout.map(in_ms) };
    let answer = session.client.post("/v1/wait", &wait, timeout.map(|timeout| timeout + GRACE)).await;
    let needed = if any { Needed::Any } else { Needed::All };
    let code = report(session, answer, &wait.services, needed).await?;
    Ok(code.max(chosen.code))
}
