//! `start`, `stop`, `restart`, `once`, `reload`, `kill`, `pause` and `continue`: one request, one line for each service.

use std::time::Duration;

use svc_proto::api::{Control, Outcome, Outcomes, Verb, Verdict};

use crate::args::Change;
use crate::client::{GRACE, QUESTION};
use crate::exit::{Code, Failure};
use crate::output::complain;

use super::{Session, choose, complain_of_unknown};

/// The verbs with a result to wait for.
pub async fn change(session: &mut Session, verb: Verb, change: Change) -> Result<Code, Failure> {
    order(session, Control::new(verb, Vec::new()), change).await
}

/// A stop, which others may stand in the way of.
pub async fn stop(session: &mut Session, dependents: bool, change: Change) -> Result<Code, Failure> {
    order(session, Control { dependents, ..Control::new(Verb::Stop, Vec::new()) }, change).await
}

async fn order(session: &mut Session, control: Control, change: Change) -> Result<Code, Failure> {
    let timeout = change.waiting.timeout.timeout;
    let patience = if change.waiting.no_wait { Some(QUESTION) } else { timeout.map(|timeout| timeout + GRACE) };
    let control = Control { wait: !change.waiting.no_wait, timeout_ms: timeout.map(in_ms), ..control };
    send(session, control, patience, &change.names.names).await
}

/// The verbs that send a signal, which is done when it is sent.
pub async fn signal(session: &mut Session, verb: Verb, signal: Option<String>, typed: &[String]) -> Result<Code, Failure> {
    let control = Control { signal, ..Control::new(verb, Vec::new()) };
    send(session, control, Some(QUESTION), typed).await
}

async fn send(
    session: &mut Session,
    mut control: Control,
    patience: Option<Duration>,
    typed: &[String],
) -> Result<Code, Failure> {
    let mut chosen = choose(session, typed).await?;
    if control.verb == Verb::Stop {
        chosen.names.retain(|name| !chosen.idle.contains(name));
    }
    if chosen.names.is_empty() {
        return Ok(chosen.code);
    }
    control.services = chosen.names;
    let answer = session.client.post("/v1/control", &control, patience).await;
    let code = report(session, answer, &control.services, Needed::All).await?;
    Ok(code.max(chosen.code))
}

/// The span as the API takes it.
pub fn in_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How many of the services must have got there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    All,
    Any,
}

/// Prints what happened: successes on standard output, the rest on standard error.
pub async fn report(
    session: &mut Session,
    answer: Result<Outcomes, Failure>,
    asked: &[String],
    needed: Needed,
) -> Result<Code, Failure> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failure::Told { code: Code::NoSuchService, message }) => {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            complain_of_unknown(session, &asked, &message).await;
            return Ok(Code::NoSuchService);
        }
        Err(failure) => return Err(failure),
    };
    if session.json {
        session.out.json(&answer)?;
    } else {
        let done = answer.outcomes.iter().filter(|outcome| outcome.result == Verdict::Done);
        done.map(|outcome| format!("{}: {}", outcome.service, outcome.message))
            .try_for_each(|line| session.out.line(&line))?;
    }
    complain_of_missing(&answer.outcomes, needed);
    let unknown: Vec<&Outcome> = answer.outcomes.iter().filter(|outcome| outcome.result == Verdict::NoSuchService).collect();
    if let [first, ..] = unknown[..] {
        let names: Vec<&str> = unknown.iter().map(|outcome| outcome.service.as_str()).collect();
        complain_of_unknown(session, &names, &format!("{}: {}", first.service, first.message)).await;
    }
    Ok(verdict(&answer.outcomes, needed))
}

/// Says of whom it is not so. With `--any` those that are not there yet are no news; unknown names are told with a suggestion.
fn complain_of_missing(outcomes: &[Outcome], needed: Needed) {
    if enough(outcomes, needed) {
        return;
    }
    for outcome in outcomes {
        match outcome.result {
            Verdict::Failed | Verdict::TimedOut => complain(&format!("{}: {}", outcome.service, outcome.message)),
            Verdict::Done | Verdict::NoSuchService => {}
        }
    }
}

/// Whether those that are there are all that was needed.
fn enough(outcomes: &[Outcome], needed: Needed) -> bool {
    needed == Needed::Any && outcomes.iter().any(|outcome| outcome.result == Verdict::Done)
}

/// The worst code; with `--any` a name that does not exist still counts, because it is a mistake and not a delay.
fn verdict(outcomes: &[Outcome], needed: Needed) -> Code {
    let enough = enough(outcomes, needed);
    let code = |outcome: &Outcome| match outcome.result {
        Verdict::Done => Code::Done,
        Verdict::NoSuchService => Code::NoSuchService,
        Verdict::Failed | Verdict::TimedOut if enough => Code::Done,
        Verdict::Failed => Code::Failed,
        Verdict::TimedOut => Code::TimedOut,
    };
    outcomes.iter().map(code).max().unwrap_or(Code::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_enough_for_any_but_a_wrong_name_is_not_forgiven() {
        let outcome = |result| Outcome { service: "web".into(), result, message: String::new(), status: None };
        let late = [outcome(Verdict::Done), outcome(Verdict::TimedOut)];
        assert_eq!(verdict(&late, Needed::All), Code::TimedOut);
        assert_eq!(verdict(&late, Needed::Any), Code::Done);
        let wrong = [outcome(Verdict::Done), outcome(Verdict::NoSuchService)];
        assert_eq!(verdict(&wrong, Needed::Any), Code::NoSuchService);
        let none = [outcome(Verdict::TimedOut), outcome(Verdict::Failed)];
        assert_eq!(verdict(&none, Needed::Any), Code::TimedOut);
    }
}
