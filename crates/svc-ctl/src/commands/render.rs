//! `render`: the files that services make of templates, made or compared while the services run.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use svc_core::run::said_by_exec;
use svc_proto::api::{Detail, Verb};

use crate::client::encode;
use crate::exit::{Code, Failure};
use crate::output::complain;

use super::{Session, choose, control};

pub async fn run(session: &mut Session, diff: bool, typed: &[String]) -> Result<Code, Failure> {
    // No name is all of them.
    let all = ["*".to_owned()];
    let chosen = choose(session, if typed.is_empty() { &all } else { typed }).await?;
    let mut code = chosen.code;
    for name in &chosen.names {
        let detail: Detail = session.client.get(&format!("/v1/services/{}", encode(name))).await?;
        let words = match options(name, Path::new(&detail.status.dir)) {
            Ok(Some(words)) => words,
            Ok(None) if typed.contains(name) && !session.json => {
                session.out.line(&format!("{name}: has no templates and no distributions"))?;
                continue;
            }
            Ok(None) => continue,
            Err(problems) => {
                problems.iter().for_each(|problem| complain(&format!("{name}: {problem}")));
                if problems.is_empty() {
                    let why = detail.status.problem.as_deref().unwrap_or("cannot be read as it is");
                    complain(&format!("{name}: {why}"));
                }
                code = code.max(Code::Failed);
                continue;
            }
        };
        let mode = if diff { "--dry-run" } else { "--render" };
        let output = execute(mode, words, Path::new(&detail.status.dir))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // It does not know who asks.
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            complain(&format!("{name}: {}", said_by_exec(line, name).unwrap_or(line)));
        }
        if !output.status.success() {
            code = code.max(Code::Failed);
            continue;
        }
        let changed: Vec<&str> = text.lines().collect();
        if session.json && diff {
            session.out.json(&json!({ "service": name, "diff": text }))?;
        } else if session.json {
            session.out.json(&json!({ "service": name, "made": changed }))?;
        } else if diff {
            changed.iter().try_for_each(|line| session.out.line(line))?;
        } else if !changed.is_empty() {
            session.out.line(&format!("{name}: made {}, and reload", changed.join(", ")))?;
        }
        if !diff && !changed.is_empty() {
            code = code.max(control::signal(session, Verb::Reload, None, std::slice::from_ref(name)).await?);
        }
    }
    session.out.flush()?;
    Ok(code)
}

/// What `svc exec` is told for this service, without its program, or that there is nothing to make; or why that cannot be known, as
/// far as its directory says that.
fn options(name: &str, dir: &Path) -> Result<Option<Vec<Vec<u8>>>, Vec<svc_def::Problem>> {
    let name = svc_core::ServiceName::new(name.as_bytes()).map_err(|_| Vec::new())?;
    let mut reading = svc_def::read(dir, &name, None);
    match reading.outcome {
        svc_def::Outcome::Ready(definition) => Ok(definition.program.made_by().map(<[_]>::to_vec)),
        svc_def::Outcome::Template(_) | svc_def::Outcome::Name => Ok(None),
        svc_def::Outcome::Incomplete => Err(vec![svc_def::missing_run(dir)]),
        svc_def::Outcome::Broken => {
            reading.problems.retain(|problem| problem.fatal);
            Err(reading.problems)
        }
    }
}

/// Our own program makes the files, as it does before a start.
fn execute(mode: &str, options: Vec<Vec<u8>>, dir: &Path) -> Result<Output, Failure> {
    use std::os::unix::ffi::OsStringExt;
    let words = options.into_iter().map(std::ffi::OsString::from_vec);
    // A service in one file has the directory that it is in.
    let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
    let mut command = Command::new("/proc/self/exe");
    command.args(["exec", mode]).args(words).current_dir(dir);
    command.output().map_err(|error| Failure::system(format!("cannot execute svc: {error}")))
}
