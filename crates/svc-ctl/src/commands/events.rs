//! `svc-ctl events`: changes as they happen, from the moment of the request on.

use svc_proto::api::{Change, EventKind};

use crate::client::parse;
use crate::exit::{Code, Failure};
use crate::{names, span, words};

use super::Session;

/// Names are not looked up: an event may be of a service that is added later.
pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    names::check(typed)?;
    let mut stream = session.client.stream("/v1/events").await?;
    while let Some(lines) = stream.next().await? {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let change: Change = parse("events", line)?;
            if !concerns(&change, typed) {
                continue;
            }
            if session.json {
                session.out.bytes(line)?;
                session.out.text("\n")?;
            } else if change.event != EventKind::Subscribed {
                session.out.line(&sentence(&change))?;
            }
        }
        session.out.flush()?;
    }
    Ok(Code::Done)
}

/// What is said of the stream itself concerns everybody.
fn concerns(change: &Change, typed: &[String]) -> bool {
    match change.event {
        EventKind::Subscribed | EventKind::Lagged => true,
        _ => typed.is_empty() || typed.iter().any(|typed| names::matches(typed, &change.service)),
    }
}

fn sentence(change: &Change) -> String {
    let mut text = span::stamp(change.at_ms);
    for word in [change.service.as_str(), words::event(change.event)] {
        if !word.is_empty() {
            text.push(' ');
            text.push_str(word);
        }
    }
    if let Some(pid) = change.pid {
        text.push_str(&format!(" pid {pid}"));
    }
    if let Some(death) = &change.exit {
        text.push_str(&format!(", {}", words::end(death)));
    }
    if let Some(message) = &change.message {
        text.push_str(&format!(": {message}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_proto::api::Death;

    #[test]
    fn an_event_is_a_line() {
        let death = Death { at_ms: 0, code: Some(1), signal: None, ran_ms: 125_000, out_of_memory: false, watchdog: false };
        let mut change = Change {
            at_ms: 0,
            service: "web".into(),
            event: EventKind::Exited,
            pid: Some(12),
            exit: Some(death),
            message: None,
        };
        assert_eq!(sentence(&change), "1970-01-01T00:00:00.000Z web exited pid 12, exit 1 after 2m 5s");
        assert!(concerns(&change, &["w*".into()]));
        assert!(!concerns(&change, &["db".into()]));
        change.event = EventKind::Lagged;
        assert!(concerns(&change, &["db".into()]));
    }
}
