//! Values about restarts and ends: which ends there are, and what becomes of one.

use svc_core::policy::{Ends, Essential};
use svc_core::restart::{AtLimit, ONE};
use svc_core::{Exit, Signal};

use super::draft::Draft;
use super::schema::{self, VARIABLE};
use super::tree::{Entry, Item, Node};
use super::values::{Fault, Reader, gather, unknown};

/// What a value must be, and where it goes.
pub(super) enum Kind {
    /// Exit codes and names of signals.
    Exits(fn(&mut Draft, Vec<Exit>)),
    /// A number with a fraction, in thousandths, from the first to the second.
    Share {
        least: u32,
        most: u32,
        set: fn(&mut Draft, u32),
    },
    AtLimit,
    Essential,
}

/// What may stand in the place of a table for [`Kind::AtLimit`].
pub(super) const AT_LIMIT: [&str; 2] = ["fail", "stop-container"];
/// Which ends of an essential service count.
pub(super) const ENDS: [(&str, Ends); 2] = [("end", Ends::All), ("failure", Ends::Failures)];

impl Kind {
    pub(super) fn about(&self) -> String {
        match self {
            Kind::Exits(_) => "a list of exit codes and names of signals",
            Kind::Share { least, most, .. } => {
                let [least, most] = [least, most].map(|share| f64::from(*share) / f64::from(ONE));
                return format!("a number from {least} to {most}, with a fraction if need be");
            }
            Kind::AtLimit => {
                "fail, stop-container, or a table with stop-container (the code to end with) or run (a list of words, or one text)"
            }
            Kind::Essential => {
                "true, false, own-code, or a table with code (to end with, instead of its own) and on (end or failure; end if not \
                 given)"
            }
        }
        .to_owned()
    }

    pub(super) fn schema(&self) -> String {
        let code = r#"{"type":"integer","minimum":0,"maximum":255}"#;
        match self {
            Kind::Exits(_) => format!(r#"{{"type":"array","items":{{"anyOf":[{code},{}]}}}}"#, schema::signal_name()),
            Kind::Share { least, most, .. } => {
                let (least, most) = (f64::from(*least) / f64::from(ONE), f64::from(*most) / f64::from(ONE));
                format!(r#"{{"type":["number","string"],"minimum":{least},"maximum":{most}}}"#)
            }
            Kind::AtLimit => format!(
                r#"{{"anyOf":[{{"enum":["fail","stop-container"]}},{{"type":"object","additionalProperties":false,"maxProperties":1,"minProperties":1,"properties":{{"stop-container":{code},"run":{}}}}}]}}"#,
                schema::WORDS
            ),
            Kind::Essential => format!(
                r#"{{"anyOf":[{{"type":"boolean"}},{{"enum":["own-code"]}},{VARIABLE},{{"type":"object","additionalProperties":false,"properties":{{"code":{code},"on":{{"enum":["end","failure"]}}}}}}]}}"#
            ),
        }
    }
}

pub(super) fn apply(reader: &Reader<'_>, kind: &Kind, node: &Node, draft: &mut Draft) -> Result<(), Vec<Fault>> {
    match kind {
        Kind::Exits(set) => set(draft, reader.list(node, |node| exit(reader, node))?),
        Kind::Share { least, most, set } => set(draft, share(reader, node, *least, *most).map_err(|fault| vec![fault])?),
        Kind::AtLimit => at_limit(reader, node, draft)?,
        Kind::Essential => draft.essential = essential(reader, node)?,
    }
    Ok(())
}

/// `0` or `"TERM"`.
fn exit(reader: &Reader<'_>, node: &Node) -> Result<Exit, Fault> {
    let wanted = "an exit code from 0 to 255, or a signal that kill -l knows in quotes";
    match &node.item {
        Item::Integer(code) => u8::try_from(*code).map(Exit::Code).map_err(|_| reader.fault(node, wanted)),
        Item::Text(_) => {
            let text = reader.text(node)?;
            // A number in quotes could be either.
            let signal = Signal::parse(&text).filter(|_| !text.starts_with(|c: char| c.is_ascii_digit()));
            signal.map(Exit::Signal).ok_or_else(|| reader.fault(node, wanted))
        }
        Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) | Item::Table(_) => Err(reader.fault(node, wanted)),
    }
}

/// `1.5`, in thousandths.
fn share(reader: &Reader<'_>, node: &Node, least: u32, most: u32) -> Result<u32, Fault> {
    let in_words = |share: u32| f64::from(share) / f64::from(ONE);
    let wanted = format!("a number from {} to {}", in_words(least), in_words(most));
    let text = match &node.item {
        Item::Integer(number) => number.to_string(),
        Item::Float(number) => number.clone(),
        Item::Text(_) => reader.text(node)?,
        Item::Flag(_) | Item::Date(_) | Item::List(_) | Item::Table(_) => return Err(reader.fault(node, &wanted)),
    };
    let number = text.parse::<f64>().ok().filter(|number| (in_words(least)..=in_words(most)).contains(number));
    number.map(|number| (number * f64::from(ONE)).round() as u32).ok_or_else(|| reader.fault(node, &wanted))
}

fn code(reader: &Reader<'_>, entry: &Entry) -> Result<u8, Vec<Fault>> {
    let name = format!("{}: {}", reader.name, entry.key);
    let inner = Reader { name: &name, example: "3", ..*reader };
    inner.number(&entry.node, 0, 255).map(|code| code as u8).map_err(|fault| vec![fault])
}

fn at_limit(reader: &Reader<'_>, node: &Node, draft: &mut Draft) -> Result<(), Vec<Fault>> {
    let known = ["stop-container", "run"];
    let at_limit = match &node.item {
        Item::Table(entries) => match entries.as_slice() {
            [entry] if entry.key == "stop-container" => AtLimit::StopContainer { code: Some(code(reader, entry)?) },
            [entry] if entry.key == "run" => {
                let name = format!("{}: run", reader.name);
                let inner = Reader { name: &name, example: "\"alert web\"", ..*reader };
                draft.at_limit = Some(inner.command(&entry.node)?);
                return Ok(());
            }
            [entry] => return Err(vec![(entry.place, unknown(&format!("{} has", reader.name), &entry.key, &known))]),
            [] | [_, ..] => return Err(vec![reader.fault(node, "a table with stop-container or run")]),
        },
        _ => {
            let choices = [(AT_LIMIT[0], AtLimit::Fail), (AT_LIMIT[1], AtLimit::StopContainer { code: None })];
            // What is no choice may be a command, which must be in a table.
            let is_choice =
                matches!(&node.item, Item::Text(text) if AT_LIMIT.contains(&text.as_str()) || text.contains('$'));
            if !is_choice {
                return Err(vec![reader.fault(node, "fail, stop-container, or a table with stop-container or run")]);
            }
            let places = [(AT_LIMIT[0], 0), (AT_LIMIT[1], 1)];
            let place: usize = reader.choice(node, &places).map_err(|fault| vec![fault])?;
            choices.into_iter().nth(place).map_or(AtLimit::Fail, |(_, at_limit)| at_limit)
        }
    };
    draft.settings.policy_mut().restart.at_limit = at_limit;
    Ok(())
}

fn essential(reader: &Reader<'_>, node: &Node) -> Result<Option<Essential>, Vec<Fault>> {
    let plain = Essential { code: None, ends: Ends::All };
    match &node.item {
        Item::Flag(flag) => Ok(flag.then_some(plain)),
        Item::Table(entries) => {
            let one = |entry: &Entry| match entry.key.as_str() {
                "code" => code(reader, entry).map(|code| (Some(code), None)),
                "on" => {
                    let name = format!("{}: on", reader.name);
                    let inner = Reader { name: &name, example: "\"failure\"", ..*reader };
                    inner.choice(&entry.node, &ENDS).map(|ends| (None, Some(ends))).map_err(|fault| vec![fault])
                }
                other => Err(vec![(entry.place, unknown(&format!("{} has", reader.name), other, &["code", "on"]))]),
            };
            let parts = gather(entries.iter().map(one))?;
            let mut essential = plain;
            for (code, ends) in parts {
                essential = Essential { code: code.or(essential.code), ends: ends.unwrap_or(essential.ends) };
            }
            Ok(Some(essential))
        }
        _ => {
            let text = reader.text(node).map_err(|_| vec![reader.fault(node, "true, false, \"own-code\" or a table")])?;
            let has_variables = matches!(&node.item, Item::Text(written) if *written != text);
            match text.as_str() {
                "own-code" => Ok(Some(plain)),
                "true" if has_variables => Ok(Some(plain)),
                "false" if has_variables => Ok(None),
                _ => Err(vec![reader.fault(node, "true, false, \"own-code\" or a table")]),
            }
        }
    }
}

/// Keys that mean nothing without another one.
const NEED: [(&str, &[&str]); 5] = [
    ("restart.max-delay", &["restart.factor"]),
    ("restart.window", &["restart.limit"]),
    ("restart.at-limit", &["restart.limit"]),
    ("wait-timeout", &["wait-for"]),
    ("on-change", &["watch", "templates", "distributions"]),
];

pub(super) fn faults(leaves: &[(String, &Entry)]) -> Vec<Fault> {
    let there = |name: &str| leaves.iter().any(|(known, _)| known == name);
    let lonely = leaves.iter().filter_map(|(name, entry)| {
        let (_, others) = NEED.iter().find(|(key, others)| key == name && !others.iter().any(|other| there(other)))?;
        Some((entry.place, format!("{name} means nothing without {}: write that too, or remove it", others.join(" or "))))
    });
    lonely.collect()
}
