//! `svc-ctl logs`: what services wrote, whichever of their streams it was on.

use svc_proto::api::LogLine;

use crate::client::{encode, parse};
use crate::exit::{Code, Failure};
use crate::output::complain;

use super::{Session, choose, complain_of_unknown};

pub async fn run(session: &mut Session, follow: bool, lines: Option<u64>, typed: &[String]) -> Result<Code, Failure> {
    let chosen = choose(session, typed).await?;
    if chosen.names.is_empty() && !typed.is_empty() {
        return Ok(chosen.code);
    }
    say_who_reads(session, typed).await;
    // Who asked for one service knows whose lines they are.
    let named = chosen.names.len() != 1;
    let mut stream = match session.client.stream(&path(&chosen.names, follow, lines)).await {
        Ok(stream) => stream,
        Err(Failure::Told { code: Code::NoSuchService, message }) => {
            let asked: Vec<&str> = chosen.names.iter().map(String::as_str).collect();
            complain_of_unknown(session, &asked, &message).await;
            return Ok(Code::NoSuchService);
        }
        Err(failure) => return Err(failure),
    };
    while let Some(lines) = stream.next().await? {
        if session.json {
            session.out.bytes(&lines)?;
        } else {
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: LogLine = parse("logs", line)?;
                if named {
                    session.out.text(&line.service)?;
                    session.out.text(": ")?;
                }
                session.out.line(&line.line)?;
            }
        }
        session.out.flush()?;
    }
    Ok(chosen.code)
}

/// Of those that were named and have a logger of their own, only standard error comes here.
async fn say_who_reads(session: &mut Session, typed: &[String]) {
    if typed.is_empty() {
        return;
    }
    let services = session.client.services().await.map(|answer| answer.services).unwrap_or_default();
    for name in typed {
        let logger = format!("{name}/log");
        if services.iter().any(|status| status.name == logger) {
            complain(&format!("{name}: its standard output goes to its logger, {logger}, and not here"));
        }
    }
}

fn path(names: &[String], follow: bool, lines: Option<u64>) -> String {
    let mut query: Vec<String> = names.iter().map(|name| format!("service={}", encode(name))).collect();
    if let Some(lines) = lines {
        query.push(format!("lines={lines}"));
    }
    if follow {
        query.push("follow=1".into());
    }
    match query.is_empty() {
        true => "/v1/logs".into(),
        false => format!("/v1/logs?{}", query.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_what_was_asked() {
        assert_eq!(path(&[], false, None), "/v1/logs");
        assert_eq!(
            path(&["web".into(), "a/log".into()], true, Some(5)),
            "/v1/logs?service=web&service=a%2Flog&lines=5&follow=1"
        );
    }
}
