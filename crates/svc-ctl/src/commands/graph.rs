//! `graph`: what depends on what.

use svc_proto::api::{Graph, Node, NodeKind};

use crate::exit::{Code, Failure};

use super::Session;

pub async fn run(session: &mut Session, dot: bool, mermaid: bool) -> Result<Code, Failure> {
    let graph: Graph = session.client.get("/v1/graph").await?;
    if session.json {
        session.out.json(&graph)?;
        return Ok(Code::Done);
    }
    let lines = match (dot, mermaid) {
        (true, _) => as_dot(&graph.nodes),
        (false, true) => as_mermaid(&graph.nodes),
        (false, false) => as_text(&graph.nodes),
    };
    for line in lines {
        session.out.line(&line)?;
    }
    Ok(Code::Done)
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::Longrun => "longrun",
        NodeKind::Oneshot => "oneshot",
        NodeKind::Bundle => "bundle",
        NodeKind::Timer => "timer",
    }
}

/// A line each: `web (longrun, up): db, net`.
fn as_text(nodes: &[Node]) -> Vec<String> {
    if nodes.is_empty() {
        return vec!["nothing here depends on anything: s6-rc sources have dependencies, classic directories do not".into()];
    }
    let line = |node: &Node| {
        let needs = if node.needs.is_empty() { String::new() } else { format!(": {}", node.needs.join(", ")) };
        let state = node.reason.as_deref().unwrap_or(if node.up { "up" } else { "down" });
        format!("{} ({}, {state}){needs}", node.name, kind(node))
    };
    nodes.iter().map(line).collect()
}

fn as_dot(nodes: &[Node]) -> Vec<String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec!["digraph services {".to_owned()];
    for node in nodes {
        let shape = match node.kind {
            NodeKind::Longrun => "box",
            NodeKind::Oneshot => "ellipse",
            NodeKind::Bundle => "folder",
            NodeKind::Timer => "diamond",
        };
        let style = if node.up { "solid" } else { "dashed" };
        lines.push(format!("  {} [shape={shape}, style={style}];", quoted(&node.name)));
        lines.extend(node.needs.iter().map(|on| format!("  {} -> {};", quoted(&node.name), quoted(on))));
    }
    lines.push("}".into());
    lines
}

fn as_mermaid(nodes: &[Node]) -> Vec<String> {
    let number = |name: &str| nodes.iter().position(|node| node.name == name).unwrap_or(nodes.len());
    let mut lines = vec!["flowchart TD".to_owned()];
    for (index, node) in nodes.iter().enumerate() {
        let name = node.name.replace('"', "#quot;");
        lines.push(match node.kind {
            NodeKind::Longrun => format!("  n{index}[\"{name}\"]"),
            NodeKind::Oneshot => format!("  n{index}([\"{name}\"])"),
            NodeKind::Bundle => format!("  n{index}[[\"{name}\"]]"),
            NodeKind::Timer => format!("  n{index}{{{{\"{name}\"}}}}"),
        });
        lines.extend(node.needs.iter().map(|on| format!("  n{index} --> n{}", number(on))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_proto::api::State;

    fn node(name: &str, kind: NodeKind, needs: &[&str]) -> Node {
        Node {
            name: name.into(),
            kind,
            up: true,
            state: State::Up,
            wanted: true,
            essential: false,
            needs: needs.iter().map(|&on| on.to_owned()).collect(),
            start_timeout_ms: 0,
            stop_timeout_ms: 0,
            problem: None,
            reason: None,
            dir: None,
        }
    }

    #[test]
    fn every_edge_is_in_every_picture() {
        let nodes = [node("a \"b\"", NodeKind::Oneshot, &[]), node("web", NodeKind::Longrun, &["a \"b\""])];
        assert_eq!(as_text(&nodes), ["a \"b\" (oneshot, up)", "web (longrun, up): a \"b\""]);
        assert!(as_dot(&nodes).contains(&"  \"web\" -> \"a \\\"b\\\"\";".to_owned()), "{:?}", as_dot(&nodes));
        assert_eq!(as_mermaid(&nodes)[1..], ["  n0([\"a #quot;b#quot;\"])", "  n1[\"web\"]", "  n1 --> n0"]);
    }
}
