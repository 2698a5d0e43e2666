//! `check --here`: which of the things that a definition may ask for this container can do.
//!
//! `svc exec` knows how each is done and what helps where it is refused, so it is asked: nothing is found out here.

use std::process::Command;

use serde_json::json;

use crate::exit::{Code, Failure};
use crate::output::Output;

pub fn run(json: bool, out: &mut Output) -> Result<Code, Failure> {
    let asked = Command::new("/proc/self/exe").args(["exec", "--here"]).output();
    let asked = asked.map_err(|error| Failure::system(format!("cannot execute svc: {error}: /proc must be mounted")))?;
    let text = String::from_utf8_lossy(&asked.stdout);
    let rows: Vec<[&str; 4]> = text.lines().filter_map(row).collect();
    if !asked.status.success() || rows.is_empty() {
        let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
        return Err(Failure::system(format!("svc exec --here does not work here: {said}")));
    }
    if json {
        let all = rows.iter().map(|[word, what, keys, detail]| {
            let keys: Vec<&str> = keys.split(", ").collect();
            json!({ "what": what, "can": *word == "yes", "keys": keys, "detail": detail })
        });
        out.json(&json!({ "here": all.collect::<Vec<_>>() }))?;
        out.flush()?;
        return Ok(Code::Done);
    }
    let width = rows.iter().map(|[_, what, ..]| what.chars().count()).max().unwrap_or(0);
    for [word, what, keys, detail] in rows {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        out.line(&format!("{what:width$}  {word}{detail}  [{keys}]"))?;
    }
    out.flush()?;
    Ok(Code::Done)
}

fn row(line: &str) -> Option<[&str; 4]> {
    let mut fields = line.splitn(4, '\t');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}
