//! The keys about readiness and health: what `svc probe` is told.

use svc_core::Millis;
use svc_core::endpoint::{self, Url};
use svc_core::guard::MemoryLimit;
use svc_core::health::{self, Checks, Remedy, Senders};

use super::tree::{Entry, Item, Node, Place};
use super::values::{Fault, Reader};
use crate::problem::quoted;

/// The descriptor that `svc probe` tells that the service is ready. Below those that programs count from (3, as sockets do) and
/// the least limit that anybody sets.
pub(super) const READY_FD: u32 = 63;

/// The keys of which one service may have one.
pub(super) const READY: [&str; 8] =
    ["ready.fd", "ready.notify", "ready.exec", "ready.tcp", "ready.http", "ready.unix", "ready.file", "ready.log"];
/// Those of them that look again and again.
pub(super) const LOOKING: [&str; 5] = ["ready.exec", "ready.tcp", "ready.http", "ready.unix", "ready.file"];
pub(super) const HEALTH: [&str; 5] = ["health.exec", "health.tcp", "health.http", "health.unix", "health.file"];
const RULES: [&str; 6] =
    ["health.interval", "health.timeout", "health.start-period", "health.failures", "health.successes", "health.action"];

pub(super) const SENDERS: [(&str, Senders); 2] = [("main", Senders::Main), ("all", Senders::All)];
pub(super) const REMEDIES: [(&str, Remedy); 4] = [
    ("report", Remedy::Report),
    ("restart", Remedy::Restart),
    ("reload", Remedy::Reload),
    ("stop-container", Remedy::StopContainer),
];

/// What holds for a health check that does not say.
const INTERVAL: Millis = Millis::from_secs(10);
const TIMEOUT: Millis = Millis::from_secs(5);
/// The probe keeps to its time itself, and says what was wrong; it is killed only if it does not.
const GRACE: Millis = Millis::from_secs(1);

/// How they do it.
pub(super) const PACE: [&str; 2] = ["ready.interval", "ready.timeout"];
const GUARD: [&str; 2] = ["memory.interval", "memory.action"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Exec,
    Tcp,
    Http,
    Unix,
    File,
    Log,
}

/// Words for `svc probe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    options: Vec<String>,
    kind: &'static str,
    target: Vec<String>,
}

/// All that a service says of its probes.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    pub(super) ready: Option<Probe>,
    pub(super) ready_interval: Option<Millis>,
    pub(super) ready_timeout: Option<Millis>,
    pub(super) notify: Option<Senders>,
    pub(super) watchdog: Option<Millis>,
    pub(super) health: HealthKeys,
    pub(super) memory: MemoryKeys,
}

#[derive(Debug, Clone, Default)]
pub(super) struct HealthKeys {
    pub(super) probe: Option<Probe>,
    pub(super) interval: Option<Millis>,
    pub(super) timeout: Option<Millis>,
    pub(super) start_period: Option<Millis>,
    pub(super) failures: Option<u16>,
    pub(super) successes: Option<u16>,
    pub(super) remedy: Option<Remedy>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct MemoryKeys {
    pub(super) bytes: Option<u64>,
    pub(super) interval: Option<Millis>,
    pub(super) remedy: Option<Remedy>,
}

impl Probe {
    /// What is executed for it.
    pub(super) fn program(&self) -> Option<&String> {
        self.target.first().filter(|_| self.kind == "exec")
    }
}

impl Probes {
    /// What stands behind `svc exec --probe` for a service that is looked at until it is ready: the probe, and the command that
    /// it goes beside.
    pub(super) fn beside(&self, command: &[String]) -> Option<Vec<String>> {
        let probe = self.ready.as_ref()?;
        let mut words = vec!["--notify".to_owned(), READY_FD.to_string()];
        for (name, span) in [("--interval", self.ready_interval), ("--attempt", self.ready_timeout)] {
            words.extend(span.into_iter().flat_map(|span| [name.to_owned(), format!("{}ms", span.0)]));
        }
        match probe.kind {
            "file" => words.push("--fresh".into()),
            "exec" => words.extend(["--words".into(), probe.target.len().to_string()]),
            _ => {}
        }
        words.extend(probe.options.iter().cloned());
        words.push(probe.kind.into());
        words.extend(probe.target.iter().cloned());
        words.push("--".into());
        words.extend(command.iter().cloned());
        Some(words)
    }

    /// What is looked at while it runs. `chain` makes the words behind `svc exec` of those of a probe.
    pub(super) fn checks(&self, chain: impl Fn(&[String]) -> Vec<Vec<u8>>) -> Option<Checks> {
        let health = self.health.probe.as_ref().map(|probe| {
            let timeout = self.health.timeout.unwrap_or(TIMEOUT);
            let mut words = vec!["--child".to_owned(), "--timeout".into(), format!("{}ms", timeout.0)];
            words.extend(probe.options.iter().cloned());
            words.push(probe.kind.into());
            words.extend(probe.target.iter().cloned());
            Box::new(health::Probe {
                words: [vec![b"--probe".to_vec()], chain(&words)].concat(),
                interval: self.health.interval.unwrap_or(INTERVAL),
                timeout: timeout + GRACE,
                start_period: self.health.start_period.unwrap_or(Millis::ZERO),
                failures: self.health.failures.unwrap_or(3),
                successes: self.health.successes.unwrap_or(1),
                remedy: self.health.remedy.unwrap_or(Remedy::Report),
            })
        });
        let MemoryKeys { bytes, interval, remedy } = self.memory;
        let memory = bytes.map(|bytes| MemoryLimit {
            bytes,
            interval: interval.unwrap_or(INTERVAL),
            remedy: remedy.unwrap_or(Remedy::Restart),
        });
        let says_ready = self.notify.is_some();
        // A watchdog is fed on the same socket.
        let notify = self.notify.or(self.watchdog.map(|_| Senders::Main));
        let watchdog = self.watchdog.unwrap_or(Millis::ZERO);
        let any = health.is_some() || notify.is_some() || memory.is_some();
        any.then_some(Checks { notify, says_ready, watchdog, health, memory })
    }
}

/// What is wrong with the keys together.
pub(super) fn faults(leaves: &[(String, &Entry)]) -> Vec<Fault> {
    let place = |name: &str| leaves.iter().find(|(key, _)| key == name).map(|(_, entry)| entry.place);
    let mut faults: Vec<Fault> = Vec::new();
    let mut only_one = |keys: &[&str], what: &str| {
        let given: Vec<(&str, Place)> = keys.iter().filter_map(|&key| Some((key, place(key)?))).collect();
        if let [(first, _), rest @ ..] = given.as_slice() {
            let message = |key: &str| format!("{first} and {key} both say {what}: keep one of them");
            faults.extend(rest.iter().map(|&(key, place)| (place, message(key))));
        }
    };
    only_one(&READY, "when it is ready");
    only_one(&HEALTH, "whether it is well");
    if let Some(watchdog) = place("watchdog") {
        let other = READY.into_iter().find(|&key| key != "ready.notify" && place(key).is_some());
        let message = |other| {
            format!(
                "watchdog and {other} do not go together: one that feeds it says READY=1 as well: write ready.notify = true"
            )
        };
        faults.extend(other.map(|other| (watchdog, message(other))));
    }
    for (keys, others) in [(&RULES[..], &HEALTH[..]), (&PACE[..], &LOOKING[..]), (&GUARD[..], &["memory.limit"][..])] {
        let list = if others.len() == 1 { others[0].to_owned() } else { format!("one of {}", others.join(", ")) };
        let without = others.iter().all(|key| place(key).is_none());
        let given = keys.iter().filter(|_| without).filter_map(|&key| Some((place(key)?, key)));
        faults
            .extend(given.map(|(place, key)| (place, format!("{key} means nothing without {list}: add one, or remove it"))));
    }
    faults
}

/// The value of a probe of this kind.
pub(super) fn read(reader: &Reader<'_>, kind: Kind, node: &Node) -> Result<Probe, Vec<Fault>> {
    let one = |fault: Fault| vec![fault];
    let plain = |kind, target| Probe { options: Vec::new(), kind, target };
    let path = || match reader.text(node) {
        Ok(text) if text.is_empty() => Err(vec![reader.fault(node, "a path")]),
        Ok(text) => Ok(text),
        Err(fault) => Err(vec![fault]),
    };
    Ok(match kind {
        Kind::Exec => plain("exec", reader.command(node)?),
        Kind::Tcp => {
            let text = reader.text(node).map_err(one)?;
            let checked = endpoint::place(&text);
            plain("tcp", vec![checked.map_err(|what| vec![(node.place, told(reader, &text, &what))])?])
        }
        Kind::Http => http(reader, node)?,
        Kind::Unix => plain("unix", vec![path()?]),
        Kind::File => plain("file", vec![path()?]),
        Kind::Log => match regex(reader, node).map_err(one)? {
            text if text.is_empty() => return Err(vec![reader.fault(node, "a regular expression")]),
            text => plain("log", vec![text]),
        },
    })
}

fn told(reader: &Reader<'_>, text: &str, what: &str) -> String {
    format!("{}: {}: {what}", reader.name, quoted(text.as_bytes()))
}

fn regex(reader: &Reader<'_>, node: &Node) -> Result<String, Fault> {
    let text = reader.text(node)?;
    endpoint::check_regex(&text).map_err(|what| (node.place, format!("{} {what}", reader.name)))?;
    Ok(text)
}

/// `"http://localhost:8080/health"`, or `{ url = "...", status = 200, header = { Host = "x" }, body = "ok" }`.
fn http(reader: &Reader<'_>, node: &Node) -> Result<Probe, Vec<Fault>> {
    let url = |reader: &Reader<'_>, node: &Node| {
        let text = reader.text(node)?;
        Url::parse(&text).map(|_| text.clone()).map_err(|what| (node.place, told(reader, &text, &what)))
    };
    let Item::Table(entries) = &node.item else {
        let url = url(reader, node).map_err(|fault| vec![fault])?;
        return Ok(Probe { options: Vec::new(), kind: "http", target: vec![url] });
    };
    let (mut target, mut options, mut faults) = (None, Vec::new(), Vec::new());
    for entry in entries {
        let name = format!("{}: {}", reader.name, entry.key);
        let inner = Reader { name: &name, ..*reader };
        match entry.key.as_str() {
            "url" => match url(&inner, &entry.node) {
                Ok(url) => target = Some(url),
                Err(fault) => faults.push(fault),
            },
            "status" => match statuses(&inner, &entry.node) {
                Ok(list) => options.extend(["--status".into(), list]),
                Err(more) => faults.extend(more),
            },
            "header" => match headers(&inner, &entry.node) {
                Ok(list) => options.extend(list.into_iter().flat_map(|header| ["--header".into(), header])),
                Err(more) => faults.extend(more),
            },
            "body" => match regex(&inner, &entry.node) {
                Ok(regex) => options.extend(["--body".into(), regex]),
                Err(fault) => faults.push(fault),
            },
            other => {
                let known = ["url", "status", "header", "body"];
                faults.push((entry.place, super::values::unknown(&format!("{} has", reader.name), other, &known)));
            }
        }
    }
    if !entries.iter().any(|entry| entry.key == "url") {
        faults.push((node.place, format!("{} has no url: write {}", reader.name, reader.example)));
    }
    match target.filter(|_| faults.is_empty()) {
        Some(url) => Ok(Probe { options, kind: "http", target: vec![url] }),
        None => Err(faults),
    }
}

/// `200`, `"200-299"`, or a list of these.
fn statuses(reader: &Reader<'_>, node: &Node) -> Result<String, Vec<Fault>> {
    let one = |node: &Node| {
        let text = match &node.item {
            Item::Integer(number) => number.to_string(),
            _ => reader.text(node)?,
        };
        endpoint::statuses(&text).map_err(|what| (node.place, told(reader, &text, &what))).map(|_| text)
    };
    match &node.item {
        Item::List(_) => reader.list(node, one).map(|list| list.join(",")),
        _ => one(node).map_err(|fault| vec![fault]),
    }
}

fn headers(reader: &Reader<'_>, node: &Node) -> Result<Vec<String>, Vec<Fault>> {
    let Item::Table(entries) = &node.item else { return Err(vec![reader.fault(node, "a table of texts")]) };
    let one = |entry: &Entry| {
        let text = format!("{}: {}", entry.key, reader.text(&entry.node)?);
        endpoint::header(&text).map_err(|what| (entry.place, told(reader, &text, &what))).map(|_| text)
    };
    super::values::gather(entries.iter().map(|entry| one(entry).map_err(|fault| vec![fault])))
}
