//! What each command does. A command asks through the session's client, prints to its output, and returns the worst of its
//! services' codes.

mod analyze;
mod control;
mod deps;
mod events;
mod graph;
mod health;
mod logs;
mod plan;
mod render;
mod scale;
mod show;
mod shutdown;
mod status;
mod tree;
mod wait;
mod why;

use std::time::Duration;

use svc_proto::api::{Detail, Done, Services, State, Status, Verb};

use crate::args::Command;
use crate::client::{Client, encode};
use crate::exit::{Code, Failure};
use crate::names;
use crate::output::{Output, complain};

pub use health::verdict;

/// Who presses TAB waits no longer than this.
const COMPLETION: Duration = Duration::from_secs(1);

/// What every command needs.
pub struct Session {
    pub client: Client,
    pub out: Output,
    /// `--json`
    pub json: bool,
}

pub async fn run(command: Command, session: &mut Session) -> Result<Code, Failure> {
    let result = dispatch(command, session).await;
    // Also after a failure: what was printed before it happened.
    let flushed = session.out.flush();
    let code = result?;
    flushed.map(|()| code)
}

async fn dispatch(command: Command, session: &mut Session) -> Result<Code, Failure> {
    match command {
        Command::Status(names) => status::run(session, &names.names).await,
        Command::Start(change) => control::change(session, Verb::Start, change).await,
        Command::Stop { dependents, change } => control::stop(session, dependents, change).await,
        Command::Restart(change) => control::change(session, Verb::Restart, change).await,
        Command::Once(change) => control::change(session, Verb::Once, change).await,
        Command::Run(change) => control::change(session, Verb::Run, change).await,
        Command::Reload(names) => control::signal(session, Verb::Reload, None, &names.names).await,
        Command::Pause(names) => control::signal(session, Verb::Pause, None, &names.names).await,
        Command::Continue(names) => control::signal(session, Verb::Continue, None, &names.names).await,
        Command::Kill { signal, names } => control::signal(session, Verb::Kill, Some(signal), &names.names).await,
        Command::Wait { until, any, timeout, names } => {
            wait::run(session, until.until(), any, timeout.timeout, &names.names).await
        }
        Command::Logs { follow, lines, names } => logs::run(session, follow, lines, &names.names).await,
        Command::Events(names) => events::run(session, &names.names).await,
        Command::Why(names) => why::run(session, &names.names).await,
        Command::Health { quiet, names } => health::run(session, quiet, &names.names).await,
        Command::Graph { dot, mermaid, format } => {
            let is = |name: &str| format.as_deref() == Some(name);
            graph::run(session, dot || is("dot"), mermaid || is("mermaid")).await
        }
        Command::Show(names) => show::run(session, &names.names).await,
        Command::Plan => plan::run(session).await,
        Command::Apply { waiting } => plan::apply(session, &waiting).await,
        Command::Deps(names) => deps::run(session, &names.names).await,
        Command::Analyze => analyze::run(session).await,
        Command::Tree(names) => tree::run(session, &names.names).await,
        Command::Scale { dependents, waiting, scales } => scale::run(session, dependents, &waiting, scales).await,
        Command::Render { diff, names } => render::run(session, diff, &names.names).await,
        Command::Rescan => rescan(session).await,
        Command::Shutdown { code, force, waiting } => shutdown::run(session, code, force, &waiting).await,
        Command::CompleteNames { beginning } => complete(session, &beginning).await,
        Command::Completions { .. } | Command::Man | Command::Schema | Command::Check { .. } => {
            unreachable!("svc_ctl::run does these without a connection")
        }
    }
}

async fn rescan(session: &mut Session) -> Result<Code, Failure> {
    // No patience: looking through 10,000 directories on a slow disk takes what it takes.
    let done: Done = session.client.post("/v1/rescan", &serde_json::json!({}), None).await?;
    match session.json {
        true => session.out.json(&done)?,
        false => session.out.line(&done.message)?,
    }
    Ok(Code::Done)
}

/// Names for the shell. Silent when svc cannot be reached: a message in the middle of a command line helps nobody.
async fn complete(session: &mut Session, beginning: &str) -> Result<Code, Failure> {
    let answer = tokio::time::timeout(COMPLETION, session.client.services()).await;
    let Ok(Ok(services)) = answer else { return Ok(Code::System) };
    for status in services.services.iter().filter(|status| status.name.starts_with(beginning)) {
        session.out.line(&status.name)?;
    }
    Ok(Code::Done)
}

/// What the user's names stand for: the services to ask about, and the code of what could not be found.
struct Chosen {
    names: Vec<String>,
    /// Those that a glob stands for and of which nothing is there to be stopped: they cannot run as they are.
    idle: Vec<String>,
    code: Code,
}

/// All services. svc says at once what it knows, but of a name that is not among them only when it has read all its directories.
async fn services(session: &mut Session, typed: &[String]) -> Result<Services, Failure> {
    let services = session.client.services().await?;
    let known: Vec<&str> = services.services.iter().map(|status| status.name.as_str()).collect();
    let Some(unknown) = names::expand(typed, &known).unmatched.into_iter().next() else { return Ok(services) };
    match session.client.get::<Detail>(&format!("/v1/services/{}", encode(&unknown))).await {
        Ok(_) | Err(Failure::Told { code: Code::NoSuchService, .. }) => session.client.services().await,
        Err(failure) => Err(failure),
    }
}

/// Turns what was typed into names. Only globs need a question to svc: plain names are checked by the request itself.
async fn choose(session: &mut Session, typed: &[String]) -> Result<Chosen, Failure> {
    names::check(typed)?;
    let mut chosen = Chosen { names: Vec::new(), idle: Vec::new(), code: Code::Done };
    if !typed.iter().any(|typed| names::is_glob(typed)) {
        for name in typed {
            if !chosen.names.contains(name) {
                chosen.names.push(name.clone());
            }
        }
        return Ok(chosen);
    }
    let services = services(session, typed).await?;
    let known: Vec<&str> = services.services.iter().map(|status| status.name.as_str()).collect();
    let expanded = names::expand(typed, &known);
    if !expanded.unmatched.is_empty() {
        chosen.code = Code::NoSuchService;
        for typed in &expanded.unmatched {
            complain(&names::unknown(typed, &known));
        }
    }
    let is_idle = |status: &&Status| status.state == State::Broken && status.pid.is_none() && !typed.contains(&status.name);
    chosen.idle = services.services.iter().filter(is_idle).map(|status| status.name.clone()).collect();
    chosen.names = expanded.names;
    Ok(chosen)
}

/// Tells which of the names nobody has, with the ones that were probably meant. `message` is what svc said of it.
async fn complain_of_unknown(session: &mut Session, asked: &[&str], message: &str) {
    let services = session.client.services().await.map(|answer| answer.services).unwrap_or_default();
    let known: Vec<&str> = services.iter().map(|status| status.name.as_str()).collect();
    let unknown: Vec<&str> = asked.iter().copied().filter(|name| !known.contains(name)).collect();
    if known.is_empty() || unknown.is_empty() {
        complain(message);
        return;
    }
    for name in unknown {
        complain(&names::unknown(name, &known));
    }
}
