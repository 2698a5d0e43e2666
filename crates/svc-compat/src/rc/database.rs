//! `s6-rc-db`.

use std::path::Path;

use svc_proto::api::{Graph, Node, NodeKind};
use svc_sys::exit;

use super::graph::{atoms, chosen, closure, find, load, next};
use crate::command::{Call, Failure, Outcome};

/// The question makes no sense for this kind of service.
const NO_SENSE: u8 = 1;

pub(super) fn run(call: &Call) -> Outcome {
    let command = call.operand(0, "a command (list, type, contents, dependencies ...)")?.to_string_lossy().into_owned();
    let names = &call.operands[1..];
    let down = call.given.iter().rev().find_map(|given| match given.letter {
        'u' => Some(false),
        'd' => Some(true),
        _ => None,
    });
    let down = down.unwrap_or(false);
    if command == "help" {
        print!("{}", call.command.help());
        return Ok(exit::DONE);
    }
    let graph = load()?;
    let one = || -> Result<&Node, Failure> { find(&graph, &call.operand(1, "the name of a service")?.to_string_lossy()) };
    match command.as_str() {
        "check" => Ok(exit::DONE),
        "list" => list(&graph, &call.operand(1, "what to list")?.to_string_lossy()),
        "type" => print_one(kind(one()?)),
        "timeout" => {
            let node = one()?;
            print_one(&(if down { node.stop_timeout_ms } else { node.start_timeout_ms }).to_string())
        }
        "contents" => match one()? {
            node if node.kind == NodeKind::Bundle => print_all(&next(&graph, node, false)),
            node => Err(Failure::with_code(
                NO_SENSE,
                format!("{} is a {}, and only bundles have contents", node.name, kind(node)),
            )),
        },
        "dependencies" => {
            let mut all: Vec<&Node> = Vec::new();
            for node in chosen(&graph, names)? {
                all.extend(next(&graph, node, down));
            }
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all.dedup_by(|a, b| a.name == b.name);
            print_all(&all)
        }
        "all-dependencies" => print_all(&closure(&graph, &chosen(&graph, names)?, down)),
        "atomics" => print_all(&atoms(&graph, &chosen(&graph, names)?)),
        "pipeline" => pipeline(one()?),
        "script" => script(one()?, down),
        "flags" => print_one(if one()?.essential { "essential" } else { "" }),
        _ => Err(Failure::Usage(format!("{command}: no such command: s6-rc-db help lists them"))),
    }
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::Bundle => "bundle",
        kind if kind.is_oneshot() => "oneshot",
        _ => "longrun",
    }
}

fn list(graph: &Graph, what: &str) -> Outcome {
    let wanted = |node: &&Node| match what {
        "all" => true,
        "services" => node.kind != NodeKind::Bundle,
        "oneshots" => node.kind.is_oneshot(),
        "longruns" => node.kind.is_longrun(),
        "bundles" => node.kind == NodeKind::Bundle,
        _ => false,
    };
    if !["all", "services", "oneshots", "longruns", "bundles"].contains(&what) {
        return Err(Failure::Usage(format!("{what}: list takes all, services, oneshots, longruns or bundles")));
    }
    print_all(&graph.nodes.iter().filter(wanted).collect::<Vec<_>>())
}

fn print_one(line: &str) -> Outcome {
    println!("{line}");
    Ok(exit::DONE)
}

fn print_all(nodes: &[&Node]) -> Outcome {
    for node in nodes {
        println!("{}", node.name);
    }
    Ok(exit::DONE)
}

/// The neighbours in a pipeline: who writes to it, and who reads it.
fn pipeline(node: &Node) -> Outcome {
    let dir = node.dir.as_deref().map(Path::new).filter(|_| node.kind.is_longrun());
    let Some(dir) = dir else {
        return Err(Failure::with_code(
            NO_SENSE,
            format!("{} is a {}, and only longruns have pipelines", node.name, kind(node)),
        ));
    };
    for file in ["consumer-for", "producer-for"] {
        let names = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        println!("{}", names.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(exit::DONE)
}

fn script(node: &Node, down: bool) -> Outcome {
    let dir = node.dir.as_deref().map(Path::new).filter(|_| node.kind.is_oneshot());
    let Some(dir) = dir else {
        return Err(Failure::with_code(
            NO_SENSE,
            format!("{} is a {}, and only oneshots have scripts", node.name, kind(node)),
        ));
    };
    let path = dir.join(if down { "down" } else { "up" });
    match std::fs::read_to_string(&path) {
        Ok(text) => print!("{text}"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::system(format!("{}: {error}", path.display()))),
    }
    Ok(exit::DONE)
}
