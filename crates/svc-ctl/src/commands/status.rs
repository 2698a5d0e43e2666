//! `svc-ctl status`: one question, one table.

use svc_proto::api::{Services, Status};

use crate::exit::{Code, Failure};
use crate::output::complain;
use crate::{names, table};

use super::{Session, services};

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    names::check(typed)?;
    let mut answer = services(session, typed).await?;
    let code = match typed.is_empty() {
        true => Code::Done,
        false => narrow(&mut answer, typed),
    };
    if session.json {
        session.out.json(&answer)?;
        return Ok(code);
    }
    let services: Vec<&Status> = answer.services.iter().collect();
    if !services.is_empty() {
        let names = if session.out.is_terminal() { table::Names::Shortened } else { table::Names::Whole };
        session.out.text(&table::render(&services, names))?;
    } else if typed.is_empty() {
        session.out.line("no services")?;
    }
    let problems = table::problems(&services, &answer.problems);
    if !problems.is_empty() {
        session.out.text("\n")?;
        session.out.text(&problems)?;
    }
    Ok(code)
}

/// Leaves the services asked for, in the order asked, each template with its instances, and the problems of directories that were asked for by name.
pub fn narrow(answer: &mut Services, typed: &[String]) -> Code {
    let known: Vec<&str> = answer.services.iter().map(|status| status.name.as_str()).collect();
    let expanded = names::expand(typed, &known);
    let entry = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    for typed in &expanded.unmatched {
        match answer.problems.iter().find(|problem| entry(&problem.path) == *typed) {
            Some(problem) => complain(&format!("{typed}: not a service: {}: {}", problem.path, problem.message)),
            None => complain(&names::unknown(typed, &known)),
        }
    }
    // What is wrong is with an instance, and not with the template that stands for all of them.
    let is_of =
        |other: &str, name: &str| other.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
    let mut places = std::collections::HashMap::new();
    for name in &expanded.names {
        for other in known.iter().filter(|other| is_of(other, name)) {
            let next = places.len();
            places.entry((*other).to_owned()).or_insert(next);
        }
    }
    answer.services.retain(|status| places.contains_key(status.name.as_str()));
    answer.services.sort_by_key(|status| places.get(status.name.as_str()).copied());
    answer.problems.clear();
    if expanded.unmatched.is_empty() { Code::Done } else { Code::NoSuchService }
}
