//! The graph of the running svc, and walks through it.

use std::collections::BTreeSet;
use std::ffi::OsString;

use svc_ctl::ask;
use svc_proto::api::{Graph, Node, NodeKind};
use svc_sys::signals::told_by_an_error;

use crate::command::Failure;

/// s6-rc's exit code for a name that nobody has.
pub(super) const UNKNOWN: u8 = 3;

pub(super) fn load() -> Result<Graph, Failure> {
    told_by_an_error(|| ask::get("/v1/graph")).map_err(|unanswered| Failure::with_code(unanswered.code, unanswered.message))
}

/// The node of this name.
pub(super) fn find<'a>(graph: &'a Graph, name: &str) -> Result<&'a Node, Failure> {
    let found = graph.nodes.iter().find(|node| node.name == name);
    found.ok_or_else(|| Failure::with_code(UNKNOWN, format!("{name}: no such service: s6-rc-db list all lists them")))
}

/// The nodes that were asked for, each checked.
pub(super) fn chosen<'a>(graph: &'a Graph, words: &[OsString]) -> Result<Vec<&'a Node>, Failure> {
    words.iter().map(|word| find(graph, &word.to_string_lossy())).collect()
}

/// Bundles replaced by what is in them, in the order of names.
pub(super) fn atoms<'a>(graph: &'a Graph, nodes: &[&'a Node]) -> Vec<&'a Node> {
    let mut seen = BTreeSet::new();
    let mut walk: Vec<&Node> = nodes.to_vec();
    while let Some(node) = walk.pop() {
        if seen.insert(node.name.as_str()) && node.kind == NodeKind::Bundle {
            walk.extend(node.needs.iter().filter_map(|name| find(graph, name).ok()));
        }
    }
    named(graph, &seen).into_iter().filter(|node| node.kind != NodeKind::Bundle).collect()
}

/// These and everything that they depend on; or, `down`, that depends on them. Without bundles.
pub(super) fn closure<'a>(graph: &'a Graph, nodes: &[&'a Node], down: bool) -> Vec<&'a Node> {
    let mut seen = BTreeSet::new();
    let mut walk: Vec<&Node> = nodes.to_vec();
    while let Some(node) = walk.pop() {
        if !seen.insert(node.name.as_str()) {
            continue;
        }
        walk.extend(next(graph, node, down));
    }
    named(graph, &seen).into_iter().filter(|node| node.kind != NodeKind::Bundle).collect()
}

/// What a node depends on itself, or, `down`, what depends on it.
pub(super) fn next<'a>(graph: &'a Graph, node: &'a Node, down: bool) -> Vec<&'a Node> {
    if down {
        graph.nodes.iter().filter(|other| other.needs.contains(&node.name)).collect()
    } else {
        node.needs.iter().filter_map(|name| find(graph, name).ok()).collect()
    }
}

fn named<'a>(graph: &'a Graph, names: &BTreeSet<&str>) -> Vec<&'a Node> {
    graph.nodes.iter().filter(|node| names.contains(node.name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_proto::api::State;

    fn graph() -> Graph {
        let node = |name: &str, kind, needs: &[&str]| Node {
            name: name.into(),
            kind,
            up: false,
            state: State::Down,
            wanted: false,
            essential: false,
            needs: needs.iter().map(|&on| on.to_owned()).collect(),
            soft: Vec::new(),
            start_timeout_ms: 0,
            stop_timeout_ms: 0,
            problem: None,
            reason: None,
            dir: None,
        };
        Graph {
            nodes: vec![
                node("all", NodeKind::Bundle, &["web", "some"]),
                node("db", NodeKind::Longrun, &["net"]),
                node("net", NodeKind::Oneshot, &[]),
                node("some", NodeKind::Bundle, &["db"]),
                node("web", NodeKind::Longrun, &["some"]),
            ],
            left_out: Vec::new(),
        }
    }

    fn names(nodes: &[&Node]) -> Vec<String> {
        nodes.iter().map(|node| node.name.clone()).collect()
    }

    #[test]
    fn bundles_are_what_is_in_them() {
        let graph = graph();
        let of = |name: &str| chosen(&graph, &[name.into()]).expect("known");
        assert_eq!(names(&atoms(&graph, &of("all"))), ["db", "web"]);
        assert_eq!(names(&closure(&graph, &of("web"), false)), ["db", "net", "web"]);
        assert_eq!(names(&closure(&graph, &of("net"), true)), ["db", "net", "web"]);
        let Err(Failure::Fatal { code, .. }) = chosen(&graph, &["nobody".into()]) else { panic!("found") };
        assert_eq!(code, UNKNOWN);
    }
}
