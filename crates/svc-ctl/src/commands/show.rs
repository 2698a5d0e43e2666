//! `show`: what the service.toml of services says with its drop-ins, and where each value comes from.

use std::path::Path;

use svc_proto::api::Detail;

use crate::client::encode;
use crate::exit::{Code, Failure};
use crate::output::complain;

use super::{Session, choose, complain_of_unknown};

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    let chosen = choose(session, typed).await?;
    let mut code = chosen.code;
    for name in &chosen.names {
        match session.client.get::<Detail>(&format!("/v1/services/{}", encode(name))).await {
            Ok(detail) => code = code.max(one(session, name, Path::new(&detail.status.dir))?),
            Err(Failure::Told { code: Code::NoSuchService, message }) => {
                complain_of_unknown(session, &[name], &message).await;
                code = code.max(Code::NoSuchService);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}

fn one(session: &mut Session, name: &str, dir: &Path) -> Result<Code, Failure> {
    if !svc_def::is_one_file(dir) {
        complain(&format!("{name}: {} has no service.toml: its files say what it is", dir.display()));
        return Ok(Code::Failed);
    }
    let mut problems = Vec::new();
    let values = svc_def::show(dir, &mut problems);
    if session.json {
        let replaced = |(key, place): &(String, String)| serde_json::json!({ "key": key, "place": place });
        let object = |shown: &svc_def::Shown| {
            let replaces: Vec<serde_json::Value> = shown.replaces.iter().map(replaced).collect();
            serde_json::json!({ "key": shown.key, "value": shown.value, "place": shown.place, "replaces": replaces })
        };
        let values: Vec<serde_json::Value> = values.iter().map(object).collect();
        session.out.json(&serde_json::json!({ "service": name, "values": values }))?;
    } else {
        session.out.line(&format!("# {name}"))?;
        for shown in &values {
            let replaced: Vec<String> = shown.replaces.iter().map(|(key, place)| format!("{key} ({place})")).collect();
            let instead = if replaced.is_empty() { String::new() } else { format!(", in place of {}", replaced.join(", ")) };
            session.out.line(&format!("{} = {}  # {}{instead}", shown.key, shown.value, shown.place))?;
        }
    }
    problems.iter().for_each(|problem| complain(&problem.to_string()));
    Ok(if problems.is_empty() { Code::Done } else { Code::Failed })
}
