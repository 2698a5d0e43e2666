//! Values that a command prints when the service is started.

use svc_core::Millis;

use super::tree::{Entry, Item, Node};
use super::values::{Fault, Reader};
use crate::problem::short;

/// How long such a command may take where nothing is said of that.
const TIMEOUT: Millis = Millis::from_secs(10);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Computed {
    pub(super) name: String,
    timeout: Millis,
    pub(super) command: Vec<String>,
}

impl Computed {
    /// As `svc exec` takes it.
    pub(super) fn words(&self) -> Vec<String> {
        let count = self.command.len().to_string();
        let mut words = vec!["--env-command".into(), self.name.clone(), self.timeout.0.to_string(), count];
        words.extend(self.command.iter().cloned());
        words
    }
}

/// `{ command = "..." , timeout = "5s" }`, of the variable of this name.
pub(super) fn read(reader: &Reader<'_>, name: &str, node: &Node, parts: &[Entry]) -> Result<Computed, Vec<Fault>> {
    let variable = format!("{}.{}", reader.name, short(name.as_bytes()));
    let key = |part: &str| format!("{variable}: {}", short(part.as_bytes()));
    let (mut command, mut timeout, mut faults) = (None, TIMEOUT, Vec::new());
    for part in parts {
        let name = key(&part.key);
        match part.key.as_str() {
            "command" => match (Reader { name: &name, example: "\"cat /run/token\"", ..*reader }).command(&part.node) {
                Ok(words) => command = Some(words),
                Err(more) => faults.extend(more),
            },
            "timeout" => {
                let inner = Reader { name: &name, example: "\"5s\"", ..*reader };
                match inner.pause(&part.node) {
                    Ok(span) => timeout = span,
                    Err(fault) => faults.push(fault),
                }
            }
            other => faults.push((part.place, format!("{} is unknown: there are command and timeout", key(other)))),
        }
    }
    if !parts.iter().any(|part| part.key == "command") {
        let what = format!("{variable} has no command: write {{ command = \"PROGRAM ARGUMENT...\" }}");
        faults.push((node.place, what));
    }
    match command.filter(|_| faults.is_empty()) {
        Some(command) => Ok(Computed { name: name.to_owned(), timeout, command }),
        None => Err(faults),
    }
}

/// Those of a table, and the table without them.
pub(super) fn apart(reader: &Reader<'_>, node: &Node) -> Result<(Node, Vec<Computed>), Vec<Fault>> {
    let Item::Table(entries) = &node.item else { return Ok((node.clone(), Vec::new())) };
    let (mut rest, mut computed, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let Item::Table(parts) = &entry.node.item else {
            rest.push(entry.clone());
            continue;
        };
        let name = reader.variable_name(entry.place, &entry.key).map_err(|fault| vec![fault]);
        match name.and_then(|name| read(reader, &name, &entry.node, parts)) {
            Ok(one) => computed.push(one),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok((Node { place: node.place, item: Item::Table(rest) }, computed)) } else { Err(faults) }
}
