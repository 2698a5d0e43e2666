//! `deps`: what a service needs, and who needs it.

use std::collections::BTreeSet;

use svc_proto::api::{Graph, Node, NodeKind};

use crate::exit::{Code, Failure};
use crate::names;
use crate::output::complain;

use super::Session;

pub async fn run(session: &mut Session, typed: &[String]) -> Result<Code, Failure> {
    let Graph { nodes, left_out } = session.client.get("/v1/graph").await?;
    // Classic directories depend on nothing, and so are not in the graph.
    let services = session.client.services().await?.services;
    let known: BTreeSet<&str> =
        nodes.iter().map(|node| node.name.as_str()).chain(services.iter().map(|status| status.name.as_str())).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let expanded = names::expand(typed, &known);
    for typed in &expanded.unmatched {
        complain(&names::unknown(typed, &known));
    }
    for name in &expanded.names {
        let (needs, needed) = (below(&nodes, name), above(&nodes, name));
        if session.json {
            let without: Vec<&str> = soft(&nodes, name).collect();
            let answer = serde_json::json!({ "service": name, "needs": needs, "needed_by": needed, "soft": without });
            session.out.json(&answer)?;
            continue;
        }
        session.out.line(name)?;
        if let Some(left_out) = left_out.iter().find(|left_out| left_out.name == *name) {
            session.out.line(&format!("  has no place in the order: {}", left_out.problem))?;
            continue;
        }
        for (what, direct, all) in
            [("needs", direct_below(&nodes, name), &needs), ("needed by", direct_above(&nodes, name), &needed)]
        {
            session.out.line(&format!("  {what}: {}", told(&direct, all)))?;
        }
        let bundles: Vec<&str> = part_of(&nodes, name).collect();
        if !bundles.is_empty() {
            session.out.line(&format!("  part of: {}", bundles.join(", ")))?;
        }
        let without: Vec<&str> = soft(&nodes, name).collect();
        if !without.is_empty() {
            session.out.line(&format!("  waits for, and goes on without: {}", without.join(", ")))?;
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
    nodes.iter().filter(|node| node.name == name).flat_map(|node| hard(node).map(str::to_owned)).collect()
}

fn direct_above(nodes: &[Node], name: &str) -> BTreeSet<String> {
    nodes.iter().filter(|node| hard(node).any(|on| on == name)).map(|node| node.name.clone()).collect()
}

/// Bundles, and pipelines, in which it is.
pub(super) fn part_of<'a>(nodes: &'a [Node], name: &str) -> impl Iterator<Item = &'a str> {
    let holds = move |node: &&Node| node.kind == NodeKind::Bundle && node.needs.iter().any(|on| on == name);
    nodes.iter().filter(holds).map(|node| node.name.as_str())
}

fn hard(node: &Node) -> impl Iterator<Item = &str> {
    node.edges().filter(|(_, soft)| !soft).map(|(on, _)| on)
}

fn soft<'a>(nodes: &'a [Node], name: &str) -> impl Iterator<Item = &'a str> {
    let edges = nodes.iter().find(|node| node.name == name).into_iter().flat_map(Node::edges);
    edges.filter(|(_, soft)| *soft).map(|(on, _)| on)
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
