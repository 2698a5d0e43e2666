//! `graph`: what depends on what.

use svc_proto::api::{Graph, Node, NodeKind, State};

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
        (false, false) => {
            let left_out = graph.left_out.iter().map(|left_out| format!("{} (broken): {}", left_out.name, left_out.problem));
            as_text(&graph.nodes).into_iter().chain(left_out).collect()
        }
    };
    for line in lines {
        session.out.line(&line)?;
    }
    Ok(Code::Done)
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::Longrun => "longrun",
        NodeKind::Process => "process",
        NodeKind::Forking => "forking",
        NodeKind::Milestone => "milestone",
        NodeKind::Oneshot => "oneshot",
        NodeKind::Bundle => "bundle",
        NodeKind::Timer => "timer",
    }
}

/// A line each: `web (longrun, up): db, net, [cache]`. In brackets is what it goes on without.
fn as_text(nodes: &[Node]) -> Vec<String> {
    if nodes.is_empty() {
        return vec!["nothing here depends on anything: s6-rc sources have dependencies, classic directories do not".into()];
    }
    let line = |node: &Node| {
        let needs: Vec<String> =
            node.edges().map(|(on, soft)| if soft { format!("[{on}]") } else { on.to_owned() }).collect();
        let needs = if needs.is_empty() { String::new() } else { format!(": {}", needs.join(", ")) };
        let state = node.reason.as_deref().unwrap_or(if is_up(node) { up(node) } else { down(node.state) });
        format!("{} ({}, {state}){needs}", node.name, kind(node))
    };
    nodes.iter().map(line).collect()
}

/// Whether others count it as up. So is a name that nobody has asked for, where all that it stands for is up.
fn is_up(node: &Node) -> bool {
    node.up || node.kind == NodeKind::Bundle && node.state == State::Up
}

/// How one is that others count as up.
fn up(node: &Node) -> &'static str {
    let is_down = matches!(node.state, State::Down | State::Failed);
    if is_down && node.kind.is_longrun() { "down, and counts as up" } else { "up" }
}

/// How one is that is not up.
fn down(state: State) -> &'static str {
    match state {
        State::Failed => "failed",
        State::Broken => "broken",
        State::Waiting => "waiting",
        State::Starting => "starting",
        State::Stopping => "stopping",
        // It is up in its own way, but not for those who wait for more.
        State::Up | State::Armed | State::Scheduled => "not ready",
        State::Down | State::Done | State::Finishing | State::Draining | State::Skipped => "down",
    }
}

fn as_dot(nodes: &[Node]) -> Vec<String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec!["digraph services {".to_owned()];
    for node in nodes {
        let shape = match node.kind {
            NodeKind::Longrun | NodeKind::Process | NodeKind::Forking => "box",
            NodeKind::Oneshot | NodeKind::Milestone => "ellipse",
            NodeKind::Bundle => "folder",
            NodeKind::Timer => "diamond",
        };
        let style = if is_up(node) { "solid" } else { "dashed" };
        lines.push(format!("  {} [shape={shape}, style={style}];", quoted(&node.name)));
        lines.extend(node.edges().map(|(on, soft)| {
            let style = if soft { " [style=dashed]" } else { "" };
            format!("  {} -> {}{style};", quoted(&node.name), quoted(on))
        }));
    }
    lines.push("}".into());
    lines
}

fn as_mermaid(nodes: &[Node]) -> Vec<String> {
    let number = |name: &str| nodes.iter().position(|node| node.name == name).unwrap_or(nodes.len());
    let mut lines = vec!["flowchart TD".to_owned()];
    for (index, node) in nodes.iter().enumerate() {
        // In its text # begins the name of a character, and < the name of a tag.
        let name = node.name.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;");
        lines.push(match node.kind {
            NodeKind::Longrun | NodeKind::Process | NodeKind::Forking => format!("  n{index}[\"{name}\"]"),
            NodeKind::Oneshot | NodeKind::Milestone => format!("  n{index}([\"{name}\"])"),
            NodeKind::Bundle => format!("  n{index}[[\"{name}\"]]"),
            NodeKind::Timer => format!("  n{index}{{{{\"{name}\"}}}}"),
        });
        lines.extend(node.edges().map(|(on, soft)| {
            let arrow = if soft { "-.->" } else { "-->" };
            format!("  n{index} {arrow} n{}", number(on))
        }));
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
            soft: Vec::new(),
            start_timeout_ms: 0,
            stop_timeout_ms: 0,
            problem: None,
            reason: None,
            dir: None,
        }
    }

    #[test]
    fn every_edge_is_in_every_picture() {
        let nodes = [node("a \"b\" <#1>", NodeKind::Oneshot, &[]), node("web", NodeKind::Longrun, &["a \"b\" <#1>"])];
        assert_eq!(as_text(&nodes), ["a \"b\" <#1> (oneshot, up)", "web (longrun, up): a \"b\" <#1>"]);
        assert!(as_dot(&nodes).contains(&"  \"web\" -> \"a \\\"b\\\" <#1>\";".to_owned()), "{:?}", as_dot(&nodes));
        assert_eq!(as_mermaid(&nodes)[1..], ["  n0([\"a #quot;b#quot; #lt;#35;1>\"])", "  n1[\"web\"]", "  n1 --> n0"]);
    }

    #[test]
    fn a_bundle_that_nobody_has_asked_for_is_up_with_all_its_members() {
        let bundle = |state: State| Node { up: false, state, ..node("all", NodeKind::Bundle, &[]) };
        let (whole, part) = (bundle(State::Up), bundle(State::Down));
        assert_eq!(as_text(&[whole.clone(), part.clone()]), ["all (bundle, up)", "all (bundle, down)"]);
        assert!(as_dot(&[whole])[1].ends_with("style=solid];") && as_dot(&[part])[1].ends_with("style=dashed];"));
    }

    #[test]
    fn what_it_goes_on_without_looks_otherwise() {
        let mut web = node("web", NodeKind::Longrun, &["db", "cache"]);
        web.soft = vec!["cache".into()];
        let nodes = [web, node("db", NodeKind::Longrun, &[]), node("cache", NodeKind::Longrun, &[])];
        assert_eq!(as_text(&nodes)[0], "web (longrun, up): db, [cache]");
        assert_eq!(as_dot(&nodes)[2..4], ["  \"web\" -> \"db\";", "  \"web\" -> \"cache\" [style=dashed];"]);
        assert_eq!(as_mermaid(&nodes)[2..4], ["  n0 --> n1", "  n0 -.-> n2"]);
    }
}
