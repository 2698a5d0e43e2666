//! Random sets of definitions, changes to them, and wrong ones.

use svc_core::Millis;
use svc_core::graph::{Admission, Bond, Condition, Dependency, Kind, Node, Relation};

use crate::rng::Rng;

/// A set of so many nodes, without cycles: each node waits for earlier ones only.
pub fn set(rng: &mut Rng, many: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..many {
        let node = node(rng, number, &nodes);
        nodes.push(node);
    }
    for number in 1..many {
        if rng.chance(8) {
            // "Before" points the other way.
            let earlier = rng.below(number as u64) as usize;
            let until = condition(rng, &nodes[earlier]);
            let on = nodes[number].name.clone();
            nodes[earlier].dependencies.push(Dependency { on, relation: Relation::Before, until });
        }
    }
    // Their order in the set says nothing.
    for index in (1..nodes.len()).rev() {
        nodes.swap(index, rng.below(index as u64 + 1) as usize);
    }
    nodes
}

/// Names carry the number by which edges are allowed.
fn number(node: &Node) -> usize {
    node.name[1..].parse().expect("names are made here")
}

/// And what a node is when it is not left out.
fn kind(node: &Node) -> Kind {
    match node.name.as_bytes()[0] {
        b'p' => Kind::Process,
        b'o' => Kind::Oneshot,
        b'm' => Kind::Milestone,
        _ => Kind::Bundle,
    }
}

fn node(rng: &mut Rng, number: usize, earlier: &[Node]) -> Node {
    let kind = rng.pick(&[
        Kind::Process,
        Kind::Process,
        Kind::Process,
        Kind::Oneshot,
        Kind::Oneshot,
        Kind::Milestone,
        Kind::Bundle,
    ]);
    let letter = match kind {
        Kind::Process => 'p',
        Kind::Oneshot => 'o',
        Kind::Milestone => 'm',
        Kind::Bundle => 'b',
    };
    let mut node = Node::new(format!("{letter}{number}"), kind);
    let process = kind == Kind::Process;
    node.up = rng.chance(70);
    node.readiness = process && rng.chance(60);
    node.health = process && rng.chance(30);
    node.logger = process && rng.chance(10);
    node.start_timeout = Millis(300 + rng.below(3000));
    node.stop_timeout = Millis(300 + rng.below(3000));
    node.wait_timeout = Millis(300 + rng.below(3000));
    node.admission = admission(rng);
    node.substance = rng.below(3);
    node.reads = vec![(0, rng.below(3))];
    node.change_restarts = number % 3 == 2;
    node.examined = rng.below(4) == 0;
    if kind.has_process() && rng.chance(8) {
        node.external = vec!["tcp:db:5432".into()];
    }
    let edges = rng.pick(&[0, 1, 1, 2, 2, 3, 5]);
    for _ in 0..edges {
        if let Some(dependency) = dependency(rng, &node, earlier) {
            node.dependencies.push(dependency);
        }
    }
    node
}

/// Most may start.
fn admission(rng: &mut Rng) -> Admission {
    match rng.below(20) {
        0 => Admission::Refused,
        1 => Admission::Pending,
        _ => Admission::Open,
    }
}

fn dependency(rng: &mut Rng, node: &Node, earlier: &[Node]) -> Option<Dependency> {
    let before: Vec<&Node> = earlier.iter().filter(|other| number(other) < number(node)).collect();
    if before.is_empty() {
        return None;
    }
    // Near ones as a rule: that makes chains.
    let span = if rng.chance(60) { before.len().min(4) } else { before.len() };
    let on = before[before.len() - 1 - rng.below(span as u64) as usize];
    let needs = [Bond::Start, Bond::Stay, Bond::Stay, Bond::Follow].map(Relation::Needs);
    let relation = match (node.kind, rng.below(10)) {
        (Kind::Bundle, _) => Relation::Needs(Bond::Follow),
        (_, 0..6) => rng.pick(&needs),
        (_, 6 | 7) => Relation::Wants,
        (_, _) => Relation::After,
    };
    Some(Dependency { on: on.name.clone(), relation, until: condition(rng, on) })
}

/// A condition that the node can fulfil.
fn condition(rng: &mut Rng, on: &Node) -> Condition {
    match kind(on) {
        Kind::Process if on.health => rng.pick(&[Condition::Started, Condition::Ready, Condition::Healthy]),
        Kind::Process if ends_by_itself(on) => rng.pick(&[Condition::Started, Condition::Ready, Condition::Completed]),
        Kind::Process => rng.pick(&[Condition::Started, Condition::Ready]),
        Kind::Oneshot => rng.pick(&[Condition::Started, Condition::Completed, Condition::Completed, Condition::Healthy]),
        Kind::Milestone | Kind::Bundle => rng.pick(&[Condition::Ready, Condition::Completed]),
    }
}

/// Processes that run to an end with success: declared by chance, without readiness and health.
pub fn ends_by_itself(node: &Node) -> bool {
    node.kind == Kind::Process && !node.health && node.start_timeout.0.is_multiple_of(4)
}

/// The set with some changes.
pub fn changed(rng: &mut Rng, set: &[Node]) -> Vec<Node> {
    let mut nodes = set.to_vec();
    for _ in 0..1 + rng.below(4) {
        if nodes.is_empty() {
            return nodes;
        }
        let index = rng.below(nodes.len() as u64) as usize;
        match rng.below(10) {
            8 => otherwise(rng, &mut nodes[index]),
            // Conditions hold no longer, or again, under those that run.
            7 => {
                nodes[index].admission =
                    rng.pick(&[Admission::Open, Admission::Open, Admission::Refused, Admission::Pending])
            }
            0 => nodes[index].substance += 1,
            1 => nodes[index].reads.iter_mut().for_each(|(_, content)| *content += 1),
            2 => {
                // Gone, and nobody names it any more.
                let gone = nodes.remove(index).name;
                for node in &mut nodes {
                    node.dependencies.retain(|dependency| dependency.on != gone);
                }
            }
            3 | 4 => {
                // New, or again; later ones may name it.
                let number = rng.below(nodes.len() as u64 * 2) as usize;
                if nodes.iter().all(|other| self::number(other) != number) {
                    // Whatever of its name was there before is another one.
                    let substance = 3 + rng.below(1 << 32);
                    let new = node(rng, number, &nodes);
                    nodes.push(Node { substance, ..new });
                }
            }
            5 => {
                let others = nodes.clone();
                let node = &mut nodes[index];
                if let Some(dependency) = dependency(rng, node, &others) {
                    node.dependencies.push(dependency);
                }
            }
            6 => _ = nodes[index].dependencies.pop(),
            _ => nodes[index].up ^= true,
        }
    }
    nodes
}

/// Its conditions do not hold: now it is left out for that, now it fails by it, or they hold after all.
fn otherwise(rng: &mut Rng, node: &mut Node) {
    let kind = kind(node);
    if !kind.has_process() {
        return;
    }
    let is_left_out = node.kind != kind;
    (node.kind, node.admission) = match is_left_out {
        true => (kind, rng.pick(&[Admission::Open, Admission::Refused, Admission::Refused])),
        false => (Kind::Milestone, Admission::Open),
    };
    node.dependencies.retain(|_| is_left_out);
    node.external.clear();
}

/// The set with something wrong in it.
pub fn spoilt(rng: &mut Rng, set: &[Node]) -> Vec<Node> {
    let mut nodes = changed(rng, set);
    let relation = rng.pick(&[Relation::Needs(Bond::Stay), Relation::Wants, Relation::After, Relation::Before]);
    let (on, until) = (String::from("nobody"), Condition::Ready);
    let Some(first) = nodes.first_mut() else { return vec![Node::new("n0", Kind::Process).with("nobody", relation, until)] };
    let name = first.name.clone();
    match rng.below(3) {
        0 => first.dependencies.push(Dependency { on: on.into(), relation, until }),
        1 => first.dependencies.push(Dependency { on: name, relation, until }),
        _ => {
            let twice = first.clone();
            nodes.push(twice);
        }
    }
    nodes
}
