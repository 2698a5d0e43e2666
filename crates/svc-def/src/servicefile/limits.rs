//! The key `limits`: what each limit of setrlimit(2) counts, and how its values are read.

use super::text;
use super::tree::{Entry, Item, Node};
use super::values::{Fault, Reader, gather, unknown};
use crate::problem::quoted;

/// A limit as `svc exec` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) soft: String,
    pub(super) hard: String,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Bytes,
    Seconds,
    Microseconds,
    Things,
}

pub(super) const LIMITS: [(&str, Counts); 16] = [
    ("as", Counts::Bytes),
    ("core", Counts::Bytes),
    ("cpu", Counts::Seconds),
    ("data", Counts::Bytes),
    ("fsize", Counts::Bytes),
    ("locks", Counts::Things),
    ("memlock", Counts::Bytes),
    ("msgqueue", Counts::Bytes),
    ("nice", Counts::Things),
    ("nofile", Counts::Things),
    ("nproc", Counts::Things),
    ("rss", Counts::Bytes),
    ("rtprio", Counts::Things),
    ("rttime", Counts::Microseconds),
    ("sigpending", Counts::Things),
    ("stack", Counts::Bytes),
];

/// Of an amount as it is written for `svc exec`; without a limit nothing is above it.
fn size(amount: &str) -> u64 {
    amount.parse().unwrap_or(u64::MAX)
}

impl Reader<'_> {
    pub(super) fn limits(&self, node: &Node) -> Result<Vec<Limit>, Vec<Fault>> {
        let Item::Table(entries) = &node.item else { return Err(vec![self.fault(node, "a table")]) };
        let one = |entry: &Entry| {
            let Some(&(name, counts)) = LIMITS.iter().find(|(name, _)| *name == entry.key) else {
                let known: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
                return Err(vec![(entry.place, unknown("limits has", &entry.key, &known))]);
            };
            let Item::Table(parts) = &entry.node.item else {
                let amount = self.amount(name, counts, &entry.node).map_err(|fault| vec![fault])?;
                return Ok(Limit { name, soft: amount.clone(), hard: amount });
            };
            let (mut soft, mut hard, mut faults) = (None, None, Vec::new());
            for part in parts {
                let amount = self.amount(name, counts, &part.node);
                match part.key.as_str() {
                    "soft" => amount.map(|amount| soft = Some(amount)).unwrap_or_else(|fault| faults.push(fault)),
                    "hard" => amount.map(|amount| hard = Some(amount)).unwrap_or_else(|fault| faults.push(fault)),
                    other => faults.push((part.place, unknown(&format!("limits.{name} has"), other, &["soft", "hard"]))),
                }
            }
            match (soft, hard) {
                (Some(soft), Some(hard)) if faults.is_empty() && size(&soft) > size(&hard) => Err(vec![(
                    entry.node.place,
                    format!("limits.{name} has {soft} as soft, which is above its hard {hard}: lower soft, or raise hard"),
                )]),
                (Some(soft), Some(hard)) if faults.is_empty() => Ok(Limit { name, soft, hard }),
                _ if faults.is_empty() => Err(vec![(
                    entry.node.place,
                    format!("limits.{name} needs both, soft and hard, or is one value for both"),
                )]),
                _ => Err(faults),
            }
        };
        gather(entries.iter().map(one))
    }

    fn amount(&self, name: &str, counts: Counts, node: &Node) -> Result<String, Fault> {
        let wanted = match counts {
            Counts::Bytes => "a size such as \"64MiB\", a number of bytes, or \"unlimited\"",
            Counts::Seconds => "a time in whole seconds such as \"90s\", a number of seconds, or \"unlimited\"",
            Counts::Microseconds => "a time such as \"50ms\", a number of microseconds, or \"unlimited\"",
            Counts::Things => "a number or \"unlimited\"",
        };
        let wrong = |what: String| (node.place, format!("limits.{name} is {what}, and must be {wanted}"));
        let text = match &node.item {
            Item::Integer(number) if *number >= 0 => return Ok(number.to_string()),
            Item::Text(text) => self.expanded(node, text)?.text,
            other => return Err(wrong(other.described())),
        };
        let number = match (text.as_str(), counts) {
            ("unlimited", _) => return Ok(text),
            (text, Counts::Bytes) => text.parse().ok().or_else(|| text::size(text)),
            (text, Counts::Seconds) => {
                let seconds = text::span(text).filter(|span| span.0 % 1000 == 0).map(|span| span.0 / 1000);
                text.parse().ok().or(seconds)
            }
            (text, Counts::Microseconds) => text.parse().ok().or_else(|| text::span(text)?.0.checked_mul(1000)),
            (text, Counts::Things) => text.parse().ok(),
        };
        number.map(|number: u64| number.to_string()).ok_or_else(|| wrong(quoted(text.as_bytes())))
    }
}
