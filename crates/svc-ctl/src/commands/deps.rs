//! `deps`: what a service needs, and who needs it.

use std::collections::BTreeSet;

use svc_proto::api::{Graph, Node};

use crate::exit::{Code, Failure};
use crate::names;
use crate::output::complain;

use super::Session;

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    let Graph { nodes } = session.client.get("/v1/graph").await?;
    let known: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let expanded = names::expand(typed, &known);
    for typed in &expanded.unmatched {
        complain(&names::unknown(typed, &known));
    }
    for name in &expanded.names {
        let (needs, needed) = (below(&nodes, name), above(&nodes, name));
        if session.json {
            session.out.json(&serde_json::json!({ "service": name, "needs": needs, "needed_by": needed }))?;
            continue;
        }
        session.out.line(name)?;
        for (what, direct, all) in
            [("needs", direct_below(&nodes, name), &needs), ("needed by", direct_above(&nodes, name), &needed)]
        {
            session.out.line(&format!("  {what}: {}", told(&direct, all)))?;
        }
    }
    Ok(if expanded.unmatched.is_empty() { Code::Done } else { Code::NoSuchService })
}

/// `db, net (and through them: disk)`.
fn told(direct: &BTreeSet<String>, all: &BTreeSet<String>) -> String {
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let rest: Vec<&String> = all.difference(direct).collect();
    match (direct.is_empty(), rest.is_empty()) {
        (true, _) => "nothing".into(),
        (false, true) => list(direct.iter().collect()),
        (false, false) => format!("{} (and through them: {})", list(direct.iter().collect()), list(rest)),
    }
}

fn direct_below(nodes: &[Node], name: &str) -> BTreeSet<String> {
    nodes.iter().filter(|node| node.name == name).flat_map(|node| node.needs.clone()).collect()
}

fn direct_above(nodes: &[Node], name: &str) -> BTreeSet<String> {
    nodes.iter().filter(|node| node.needs.iter().any(|on| on == name)).map(|node| node.name.clone()).collect()
}

fn below(nodes: &[Node], name: &str) -> BTreeSet<String> {
    closure(name, |name| direct_below(nodes, name))
}

fn above(nodes: &[Node], name: &str) -> BTreeSet<String> {
    closure(name, |name| direct_above(nodes, name))
}

fn closure(name: &str, next: impl Fn(&str) -> BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut walk = vec![name.to_owned()];
    while let Some(name) = walk.pop() {
        walk.extend(next(&name).into_iter().filter(|name| found.insert(name.clone())));
    }
    found
}
