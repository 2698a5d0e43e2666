//! `check --here`: which of the things that a definition may ask for this container can do.
//!
//! `svc exec` knows how each is done and what helps where it is refused, so it is asked: nothing is found out here.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use svc_core::ServiceName;
use svc_def::Source;

use crate::check;
use crate::exit::{Code, Failure};
use crate::output::Output;

/// With directories: only what their services ask for, and who does.
pub fn run(dirs: &[PathBuf], json: bool, out: &mut Output) -> Result<Code, Failure> {
    let services = check::sources(dirs)?;
    let asked = Command::new("/proc/self/exe").args(["exec", "--here"]).output();
    let asked = asked.map_err(|error| Failure::system(format!("cannot execute svc: {error}: /proc must be mounted")))?;
    let text = String::from_utf8_lossy(&asked.stdout);
    let rows: Vec<[&str; 4]> = text.lines().filter_map(row).collect();
    if !asked.status.success() || rows.is_empty() {
        let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
        return Err(Failure::system(format!("svc exec --here does not work here: {said}")));
    }
    let rows = rows.into_iter().map(|row| (row, askers(row[2], &services)));
    let rows: Vec<([&str; 4], Vec<String>)> = rows.filter(|(_, who)| dirs.is_empty() || !who.is_empty()).collect();
    if json {
        let all = rows.iter().map(|([word, what, keys, detail], who)| {
            let keys: Vec<&str> = keys.split(", ").collect();
            json!({ "what": what, "can": *word == "yes", "keys": keys, "detail": detail, "services": who })
        });
        out.json(&json!({ "here": all.collect::<Vec<_>>() }))?;
        out.flush()?;
        return Ok(Code::Done);
    }
    if rows.is_empty() {
        out.line("no service.toml asks for anything that a container may refuse")?;
    }
    let width = rows.iter().map(|([_, what, ..], _)| what.chars().count()).max().unwrap_or(0);
    for ([word, what, keys, detail], who) in rows {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let who = if who.is_empty() { String::new() } else { format!(": {}", who.join(", ")) };
        out.line(&format!("{what:width$}  {word}{detail}  [{keys}{who}]"))?;
    }
    out.flush()?;
    Ok(Code::Done)
}

/// Which services ask by one of these keys.
fn askers(keys: &str, services: &[(ServiceName, Source)]) -> Vec<String> {
    // Every key of cgroup makes a cgroup.
    let asks = |used: &str| keys.split(", ").any(|key| used == key || key == "cgroup.own" && used.starts_with("cgroup."));
    let mut all = Vec::new();
    for (name, source) in services {
        let values = source.facts.iter().flat_map(|facts| facts.values.iter());
        let mut used = values.clone().map(|(key, _)| key).filter(|key| asks(key));
        let Some(key) = used.next() else { continue };
        let word = format!("\"{}\"", key.split('.').next().unwrap_or(key));
        let optional = values.clone().any(|(key, written)| key == "optional" && written.contains(&word));
        all.push(if optional { format!("{name} (optional)") } else { name.to_string() });
    }
    all
}

fn row(line: &str) -> Option<[&str; 4]> {
    let mut fields = line.splitn(4, '\t');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}
