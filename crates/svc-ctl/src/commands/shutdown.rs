//! `svc-ctl shutdown`: asks for the end, and sees it come.

use svc_proto::api::{Done, Shutdown, Version};

use crate::args::Waiting;
use crate::client::QUESTION;
use crate::exit::{Code, Failure};
use crate::span;

use super::Session;

pub async fn run(session: &mut Session, code: Option<u8>, force: bool, waiting: &Waiting) -> Result<Code, Failure> {
    // It would wait for its own end.
    let version = session.client.get::<Version>("/v1/version").await;
    let waits = !waiting.no_wait && !version.is_ok_and(|version| is_within(version.init_pid));
    let done: Done = match session.client.post("/v1/shutdown", &Shutdown { code, force }, Some(QUESTION)).await {
        Ok(done) => done,
        // It ended faster than it could say so, unless it still answers.
        Err(Failure::Lost(cause)) => {
            return match session.client.get::<Version>("/v1/version").await {
                Ok(_) => Err(Failure::Lost(cause)),
                Err(_) => Ok(Code::Done),
            };
        }
        Err(failure) => return Err(failure),
    };
    match session.json {
        true => session.out.json(&done)?,
        false => session.out.line(&done.message)?,
    }
    session.out.flush()?;
    if !waits {
        return Ok(Code::Done);
    }
    let gone = session.client.gone();
    match waiting.timeout.timeout {
        None => gone.await,
        Some(timeout) => {
            if tokio::time::timeout(timeout, gone).await.is_err() {
                let span = span::exact(super::control::in_ms(timeout));
                return Err(Failure::timed_out(format!("svc is still stopping its services after {span}")));
            }
        }
    }
    Ok(Code::Done)
}

/// Whether we are a process of one of the services that we end.
fn is_within(init: i32) -> bool {
    let mut pid = std::process::id().to_string();
    while let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap_or_default().trim();
        if parent == init.to_string() {
            return true;
        }
        pid = parent.to_owned();
    }
    false
}
