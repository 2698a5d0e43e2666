//! `s6-rc`.

use std::ffi::OsString;
use std::time::Duration;

use svc_ctl::ask;
use svc_proto::api::{Control, Graph, Node, NodeKind, Outcomes, Verb, Verdict};
use svc_sys::exit;
use svc_sys::signals::told_by_an_error;

use super::graph::{atoms, chosen, closure, load};
use crate::command::{Call, Failure, Outcome};

const FAILED: u8 = 1;
const TIMED_OUT: u8 = 2;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
    /// Essential services too.
    DownAll,
}

pub(super) fn run(call: &Call) -> Outcome {
    let command = call.operand(0, "a command (change, list, listall, diff, start, stop, reload or help)")?;
    let way = call.given.iter().rev().find_map(|given| match given.letter {
        'u' => Some(Way::Up),
        'd' => Some(Way::Down),
        'D' => Some(Way::DownAll),
        _ => None,
    });
    let names = &call.operands[1..];
    match command.to_str() {
        Some("help") => {
            print!("{}", call.command.help());
            Ok(exit::DONE)
        }
        Some("change") => change(call, way.unwrap_or(Way::Up), names),
        Some("start") => change(call, Way::Up, names),
        Some("stop") => change(call, if way == Some(Way::DownAll) { Way::DownAll } else { Way::Down }, names),
        Some("reload") => reload(names),
        Some("list") => list(call, way, names),
        Some("listall") => list_all(call, way, names),
        Some("diff") => diff(call),
        Some(_) | None => Err(Failure::Usage(format!("{}: no such command: s6-rc help lists them", command.display()))),
    }
}

/// The names, and with -a everything that is up.
fn selection<'a>(call: &Call, graph: &'a Graph, names: &[OsString]) -> Result<Vec<&'a Node>, Failure> {
    let mut nodes = chosen(graph, names)?;
    if call.has('a') {
        nodes.extend(graph.nodes.iter().filter(|node| node.up && node.kind != NodeKind::Bundle));
    }
    Ok(nodes)
}

fn list(call: &Call, way: Option<Way>, names: &[OsString]) -> Outcome {
    let graph = load()?;
    let listed = atoms(&graph, &selection(call, &graph, names)?);
    let nodes = match way {
        Some(Way::Down | Way::DownAll) => {
            let others = graph.nodes.iter().filter(|node| node.kind != NodeKind::Bundle);
            others.filter(|node| !listed.iter().any(|listed| listed.name == node.name)).collect()
        }
        Some(Way::Up) | None => listed,
    };
    print(call, &nodes)
}

fn list_all(call: &Call, way: Option<Way>, names: &[OsString]) -> Outcome {
    let graph = load()?;
    let down = !matches!(way, Some(Way::Up) | None);
    let nodes = closure(&graph, &selection(call, &graph, names)?, down);
    print(call, &nodes)
}

fn print(call: &Call, nodes: &[&Node]) -> Outcome {
    for node in nodes.iter().filter(|node| !(call.has('e') && node.essential)) {
        println!("{}", node.name);
    }
    Ok(exit::DONE)
}

/// What is not where it should be: `+` is up and should not be, `-` the other way.
fn diff(call: &Call) -> Outcome {
    let graph = load()?;
    let mut code = exit::DONE;
    for node in graph.nodes.iter().filter(|node| node.kind != NodeKind::Bundle && !(call.has('e') && node.essential)) {
        if node.wanted != node.up && (node.wanted || !is_needed(&graph, node)) {
            println!("{}{}", if node.up { '+' } else { '-' }, node.name);
            code = FAILED;
        }
    }
    Ok(code)
}

fn is_needed(graph: &Graph, node: &Node) -> bool {
    graph.nodes.iter().any(|other| (other.up || other.wanted) && other.needs.contains(&node.name))
}

fn change(call: &Call, way: Way, names: &[OsString]) -> Outcome {
    let graph = load()?;
    let mut nodes = selection(call, &graph, names)?;
    if way == Way::Down {
        let parts = atoms(&graph, &nodes);
        let essential: Vec<&str> = closure(&graph, &parts, true)
            .iter()
            .filter(|node| node.essential && node.up)
            .map(|node| node.name.as_str())
            .collect();
        if !essential.is_empty() {
            call.warn(format!("{}: essential, not stopped: s6-rc -D change stops it too", essential.join(", ")));
            let holds =
                |node: &Node| closure(&graph, &[node], true).iter().any(|node| essential.contains(&node.name.as_str()));
            nodes = parts.into_iter().filter(|node| !holds(node)).collect();
        }
    }
    if call.has('n') {
        return would_do(&graph, &nodes, way, call.has('p'));
    }
    let timeout = call.number::<u64>('t')?.filter(|&ms| ms > 0);
    let mut code = exit::DONE;
    if call.has('p') && way != Way::Up {
        let kept = closure(&graph, &nodes, true);
        let others: Vec<&Node> = graph
            .nodes
            .iter()
            .filter(|node| node.kind != NodeKind::Bundle && !kept.iter().any(|kept| kept.name == node.name))
            .collect();
        code = order(call, Control::new(Verb::Start, vec![]), &others, timeout)?;
    }
    let control = match way {
        Way::Up => Control { prune: call.has('p'), ..Control::new(Verb::Start, vec![]) },
        Way::Down | Way::DownAll => Control { dependents: true, ..Control::new(Verb::Stop, vec![]) },
    };
    Ok(code.max(order(call, control, &nodes, timeout)?))
}

fn order(call: &Call, control: Control, nodes: &[&Node], timeout: Option<u64>) -> Outcome {
    if nodes.is_empty() {
        return Ok(exit::DONE);
    }
    let services = nodes.iter().map(|node| node.name.clone()).collect();
    let control = Control { services, timeout_ms: timeout, ..control };
    let answer: Result<Outcomes, _> =
        told_by_an_error(|| ask::post("/v1/control", &control, timeout.map(Duration::from_millis)));
    let answer = answer.map_err(|unanswered| Failure::with_code(unanswered.code, unanswered.message))?;
    let mut code = exit::DONE;
    for outcome in answer.outcomes.iter().filter(|outcome| outcome.result != Verdict::Done) {
        call.warn(format!("{}: {}", outcome.service, outcome.message));
        code = code.max(if outcome.result == Verdict::TimedOut { TIMED_OUT } else { FAILED });
    }
    Ok(code)
}

fn would_do(graph: &Graph, nodes: &[&Node], way: Way, prune: bool) -> Outcome {
    let up = way == Way::Up;
    let affected = closure(graph, nodes, !up);
    for node in graph.nodes.iter().filter(|node| node.kind != NodeKind::Bundle) {
        let is_affected = affected.iter().any(|affected| affected.name == node.name);
        let wanted = if is_affected {
            up
        } else if prune {
            !up
        } else {
            node.up
        };
        if wanted != node.up {
            println!("s6-rc-dryrun: {} {}", if wanted { "start" } else { "stop" }, node.name);
        }
    }
    Ok(exit::DONE)
}

fn reload(names: &[OsString]) -> Outcome {
    let graph = load()?;
    let nodes = atoms(&graph, &chosen(&graph, names)?);
    let running: Vec<String> =
        nodes.iter().filter(|node| node.kind.is_longrun() && node.up).map(|node| node.name.clone()).collect();
    if running.is_empty() {
        return Ok(exit::DONE);
    }
    let answer: Result<Outcomes, _> =
        told_by_an_error(|| ask::post("/v1/control", &Control::new(Verb::Reload, running), None));
    let answer = answer.map_err(|unanswered| Failure::with_code(unanswered.code, unanswered.message))?;
    let failed = answer.outcomes.iter().any(|outcome| outcome.result != Verdict::Done);
    Ok(if failed { FAILED } else { exit::DONE })
}
