//! The keys about how a service is stopped.

use svc_core::policy::{Errand, Stopping};
use svc_core::{Millis, Settings, Signal};

use super::draft::Draft;
use super::tree::{Entry, Item, Node};
use super::values::{Fault, Reader, gather, unknown};

/// What a value must be.
pub(super) enum Kind {
    Steps,
    Command,
    Drain,
}

/// All that a service says of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stops {
    steps: Vec<Step>,
    command: Option<Call>,
    drain: Option<Call>,
    pub(super) tree: bool,
}

#[derive(Debug, Clone)]
struct Step {
    signal: Signal,
    wait: Option<Millis>,
}

/// Something to be run, and how long it counts.
#[derive(Debug, Clone)]
struct Call {
    wait: Millis,
    words: Vec<String>,
}

/// More is no plan.
const MOST_STEPS: usize = 16;
/// How long a stop command has where nothing is said of that.
const COMMAND_WAIT: Millis = Millis::from_secs(10);

impl Kind {
    pub(super) fn about(&self) -> &'static str {
        match self {
            Kind::Steps => "a list of signals, and of tables with signal and wait; all but the last must have a wait",
            Kind::Command => "a list of words, or one text, or a table with command and wait",
            Kind::Drain => "a time, or a table with wait and until (a list of words, or one text)",
        }
    }

    pub(super) fn schema(&self) -> String {
        use super::schema::{PAUSE, WORDS, signal};
        let table = |required: &str, first: &str, second: &str| {
            format!(
                r#"{{"type":"object","additionalProperties":false,"required":["{required}"],"properties":{{{first},{second}}}}}"#
            )
        };
        let wait = format!(r#""wait":{PAUSE}"#);
        match self {
            Kind::Steps => {
                let table = table("signal", &format!(r#""signal":{}"#, signal()), &wait);
                format!(
                    r#"{{"type":"array","minItems":1,"maxItems":{MOST_STEPS},"items":{{"anyOf":[{},{table}]}}}}"#,
                    signal()
                )
            }
            Kind::Command => {
                let table = table("command", &format!(r#""command":{WORDS}"#), &wait);
                format!(r#"{{"anyOf":[{WORDS},{table}]}}"#)
            }
            Kind::Drain => {
                let table = table("wait", &wait, &format!(r#""until":{WORDS}"#));
                format!(r#"{{"anyOf":[{PAUSE},{table}]}}"#)
            }
        }
    }
}

impl Stops {
    /// What is executed for it, each under its key.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let calls = [("stop.command", &self.command), ("stop.drain", &self.drain)];
        calls.into_iter().filter_map(|(key, call)| Some((key, call.as_ref()?.words.first()?)))
    }

    /// Puts it into the settings. `chain` makes the words behind `svc exec` of those of a command.
    pub(super) fn settle(&self, settings: &mut Settings, chain: impl Fn(&[String]) -> Vec<Vec<u8>>) {
        if let Some(first) = self.steps.first() {
            settings.down_signal = first.signal;
        }
        if let Some(wait) = self.steps.last().and_then(|last| last.wait) {
            settings.timeout_kill = wait;
        }
        let waits = self.steps.iter().map(|step| step.wait.unwrap_or_default());
        let looks = |words: &Vec<String>| {
            let probe = ["--child", "--wait", "exec"].map(str::to_owned).into_iter().chain(words.iter().cloned());
            [vec![b"--probe".to_vec()], chain(&probe.collect::<Vec<String>>())].concat()
        };
        let stopping = Stopping {
            drain: self.drain.as_ref().map(|drain| Errand {
                most: drain.wait,
                words: if drain.words.is_empty() { Vec::new() } else { looks(&drain.words) },
            }),
            command: self.command.as_ref().map(|call| Errand { most: call.wait, words: chain(&call.words) }),
            steps: waits.zip(self.steps.iter().skip(1).map(|step| step.signal)).collect(),
            tree: self.tree,
        };
        if stopping != Stopping::default() {
            *settings.stopping_mut() = stopping;
        }
    }
}

pub(super) fn apply(reader: &Reader<'_>, kind: &Kind, node: &Node, draft: &mut Draft) -> Result<(), Vec<Fault>> {
    match kind {
        Kind::Steps => draft.stops.steps = steps(reader, node)?,
        Kind::Command => {
            let call = call(reader, node, "command", "wait")?;
            draft.stops.command = Some(Call { wait: call.0.unwrap_or(COMMAND_WAIT), words: call.1 });
        }
        Kind::Drain => {
            let (wait, words) = match &node.item {
                Item::Table(_) => call(reader, node, "until", "wait")?,
                _ => (Some(span(reader, node)?), Vec::new()),
            };
            let wait = wait.ok_or_else(|| {
                vec![(
                    node.place,
                    format!("{} has no wait, the most that it may take: write {}", reader.name, reader.example),
                )]
            })?;
            draft.stops.drain = Some(Call { wait, words });
        }
    }
    Ok(())
}

fn span(reader: &Reader<'_>, node: &Node) -> Result<Millis, Vec<Fault>> {
    reader.pause(node).map_err(|fault| vec![fault])
}

/// A command under this name, and a time under that one; or the command alone.
fn call(reader: &Reader<'_>, node: &Node, command: &str, wait: &str) -> Result<(Option<Millis>, Vec<String>), Vec<Fault>> {
    let Item::Table(entries) = &node.item else { return Ok((None, reader.command(node)?)) };
    let one = |entry: &Entry| {
        let name = format!("{}: {}", reader.name, entry.key);
        if entry.key == command {
            let inner = Reader { name: &name, example: "\"program argument\"", ..*reader };
            inner.command(&entry.node).map(|words| (None, words))
        } else if entry.key == wait {
            let inner = Reader { name: &name, example: "\"10s\"", ..*reader };
            span(&inner, &entry.node).map(|span| (Some(span), Vec::new()))
        } else {
            Err(vec![(entry.place, unknown(&format!("{} has", reader.name), &entry.key, &[command, wait]))])
        }
    };
    let parts = gather(entries.iter().map(one))?;
    let words: Vec<String> = parts.iter().flat_map(|(_, words)| words.iter().cloned()).collect();
    if command == "command" && words.is_empty() {
        return Err(vec![(node.place, format!("{} has no command: write {}", reader.name, reader.example))]);
    }
    Ok((parts.iter().find_map(|(wait, _)| *wait), words))
}

fn steps(reader: &Reader<'_>, node: &Node) -> Result<Vec<Step>, Vec<Fault>> {
    let Item::List(items) = &node.item else { return Err(vec![reader.fault(node, "a list")]) };
    let fault = |node: &Node, what: String| vec![(node.place, what)];
    if items.is_empty() || items.len() > MOST_STEPS {
        let what = format!("{} has {} steps, and must have 1 to {MOST_STEPS}", reader.name, items.len());
        return Err(fault(node, what));
    }
    let numbered = items.iter().enumerate().map(|(at, item)| {
        let name = format!("{}: step {}", reader.name, at + 1);
        let step = step(&Reader { name: &name, example: "{ signal = \"TERM\", wait = \"5s\" }", ..*reader }, item)?;
        let is_last = at + 1 == items.len();
        match (step.signal == Signal::KILL, step.wait) {
            (true, _) if !is_last => Err(fault(item, format!("{name} is KILL, and nothing comes after that: put it last"))),
            (true, Some(_)) => Err(fault(item, format!("{name} is KILL, and nothing comes after that: remove its wait"))),
            (false, None) if !is_last => Err(fault(
                item,
                format!(
                    "{name} has no wait, after which the next one comes: write {{ signal = \"{}\", wait = \"5s\" }}",
                    step.signal.name().map_or_else(|| step.signal.number().to_string(), str::to_owned)
                ),
            )),
            _ => Ok(step),
        }
    });
    gather(numbered)
}

fn step(reader: &Reader<'_>, node: &Node) -> Result<Step, Vec<Fault>> {
    let signal = |reader: &Reader<'_>, node: &Node| {
        reader.read(node, "a signal that kill -l knows", Signal::parse).map_err(|fault| vec![fault])
    };
    let Item::Table(entries) = &node.item else {
        let inner = Reader { example: "\"TERM\"", ..*reader };
        return Ok(Step { signal: signal(&inner, node)?, wait: None });
    };
    let one = |entry: &Entry| {
        let name = format!("{}: {}", reader.name, entry.key);
        let inner = |example| Reader { name: &name, example, ..*reader };
        match entry.key.as_str() {
            "signal" => signal(&inner("\"TERM\""), &entry.node).map(|signal| (Some(signal), None)),
            "wait" => span(&inner("\"5s\""), &entry.node).map(|wait| (None, Some(wait))),
            other => Err(vec![(entry.place, unknown(&format!("{} has", reader.name), other, &["signal", "wait"]))]),
        }
    };
    let parts = gather(entries.iter().map(one))?;
    match parts.iter().find_map(|(signal, _)| *signal) {
        Some(signal) => Ok(Step { signal, wait: parts.iter().find_map(|(_, wait)| *wait) }),
        None => Err(vec![(node.place, format!("{} has no signal: write {}", reader.name, reader.example))]),
    }
}

/// What is wrong with the keys together.
pub(super) fn faults(leaves: &[(String, &Entry)], draft: &Draft) -> Vec<Fault> {
    let place = |name: &str| leaves.iter().find(|(key, _)| key == name).map(|(_, entry)| entry.place);
    let last_waits = draft.stops.steps.last().is_some_and(|last| last.wait.is_some());
    let pairs = [
        ("stop.signal", "stop.steps", true, "both say which signal stops it: keep one of them"),
        (
            "timeout.kill",
            "stop.steps",
            last_waits,
            "(the wait of its last step) both say when SIGKILL comes: keep one of them",
        ),
        (
            "keep-descendants",
            "stop.tree",
            draft.stops.tree && draft.settings.keep_descendants,
            "contradict each other: remove one of them",
        ),
    ];
    let wrong = pairs.into_iter().filter_map(|(one, other, holds, what)| {
        let (place, _) = (place(one)?, place(other)?);
        holds.then(|| (place, format!("{one} and {other} {what}")))
    });
    wrong.collect()
}
