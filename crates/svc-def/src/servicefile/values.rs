//! From what stands in a file to values that mean something.

use std::collections::BTreeSet;

use svc_core::expand::{Expanded, Variable, expand};
use svc_core::graph::{Bond, Condition, Dependency, Relation, distance};
use svc_core::health::Senders;
use svc_core::{Millis, ServiceName, Signal};

use super::Instances;
use super::draft::{Draft, Kind, Start};
use super::keys::{Key, Shape};
use super::probes;
use super::text;
use super::tree::{Entry, Item, Node, Place};
use crate::problem::{quoted, short};

/// What is wrong with a value.
pub(super) type Fault = (Place, String);

/// The value of `start` that is no flag.
pub(super) const ON_DEMAND: &str = "on-demand";

const SPAN: &str = "a time with its unit (ms, s, m, h or d)";
const PAUSE: &str = "a time with its unit (ms, s, m, h or d), and more than 0";

/// A thousand years. What reckons with a longer time, or passes it on to others, may come to an end of its numbers.
const LONGEST: Millis = Millis::from_secs(365_000 * 86_400);

/// More is a mistake; each is a process.
pub(super) const MOST_INSTANCES: u32 = 4096;

/// One name of a table of a [`Shape::Records`].
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) check: Check,
}

/// What the text of a field must be.
pub(super) enum Check {
    Text,
    /// Octal digits.
    Mode,
    Choice(&'static [&'static str]),
}

/// Such a table: names of fields with their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record(Vec<(&'static str, String)>);

impl Record {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    /// One that is required.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }
}

pub(super) const CONDITIONS: [(&str, Condition); 4] = [
    ("started", Condition::Started),
    ("ready", Condition::Ready),
    ("healthy", Condition::Healthy),
    ("completed", Condition::Completed),
];

pub(super) const BONDS: [(&str, Bond); 3] = [("start", Bond::Start), ("stay", Bond::Stay), ("follow", Bond::Follow)];

/// One of a few names that looks like this one.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    known.map(|known| (distance(name, known), known)).filter(|&(far, _)| far <= most).min().map(|(_, known)| known)
}

/// Puts a value where it belongs; everything that is wrong with it otherwise.
pub(super) fn apply(key: &Key, node: &Node, draft: &mut Draft, variable: Variable<'_>) -> Result<(), Vec<Fault>> {
    let reader = Reader { name: key.name, example: key.example, variable };
    let one = |fault: Fault| vec![fault];
    match &key.shape {
        Shape::Kind(set) => set(draft, reader.choice(node, &Kind::NAMES).map_err(one)?),
        Shape::Flag(set) => set(draft, reader.flag(node).map_err(one)?),
        Shape::Span(set) => set(draft, reader.span(node, SPAN, Millis::ZERO).map_err(one)?),
        Shape::Pause(set) => set(draft, reader.pause(node).map_err(one)?),
        Shape::Signal(set) => set(draft, reader.read(node, "a signal that kill -l knows", Signal::parse).map_err(one)?),
        Shape::Number { least, most, set } => set(draft, reader.number(node, *least, *most).map_err(one)?),
        Shape::Mask(set) => {
            let mask = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777).map(|_| text.to_owned());
            set(draft, reader.read(node, "octal digits in quotes", mask).map_err(one)?);
        }
        Shape::Text(set) => set(draft, reader.something(node).map_err(one)?),
        Shape::Who(set) => set(draft, reader.who(node).map_err(one)?),
        Shape::Whose(set) => set(draft, reader.list(node, |node| reader.who(node))?),
        Shape::Texts(set) => {
            let texts = match &node.item {
                Item::List(_) => reader.list(node, |node| reader.something(node))?,
                _ => vec![reader.something(node).map_err(one)?],
            };
            set(draft, texts);
        }
        Shape::Variables(set) => {
            set(draft, reader.list(node, |node| reader.variable_name(node.place, &reader.text(node)?))?)
        }
        Shape::Command(set) => set(draft, reader.command(node)?),
        Shape::Names(set) => {
            let mut seen = BTreeSet::new();
            let mut names = reader.list(node, |node| reader.service(node))?;
            names.retain(|name| seen.insert(name.clone()));
            set(draft, names);
        }
        Shape::Relations(relation) => {
            let Item::List(items) = &node.item else { return Err(vec![reader.fault(node, "a list")]) };
            // A name that stands there twice is one.
            for relation in gather(items.iter().map(|item| reader.relation(item, *relation)))? {
                if !draft.relations.contains(&relation) {
                    draft.relations.push(relation);
                }
            }
        }
        Shape::Instances(set) => set(draft, reader.instances(node)?),
        Shape::Sources { check, set } => set(draft, reader.sources(node, *check)?),
        Shape::Form { wanted, pattern: _, read, set } => set(draft, reader.form(node, wanted, *read).map_err(one)?),
        Shape::Words { known, nearest, pattern: _, set } => {
            set(draft, reader.list(node, |node| reader.word(node, *known, *nearest))?)
        }
        Shape::Files(set) => set(draft, reader.files(node)?),
        Shape::Assignments(set) => {
            let (rest, computed) = super::computed::apart(&reader, node)?;
            set(draft, reader.environment(&rest)?, computed);
        }
        Shape::Limits(set) => set(draft, reader.limits(node)?),
        Shape::Sockets(set) => set(draft, super::sockets::read(&reader, node)?),
        Shape::Word { known, set } => {
            let places: Vec<(&str, usize)> = known.iter().enumerate().map(|(at, word)| (*word, at)).collect();
            set(draft, reader.choice(node, &places).map_err(one)?);
        }
        Shape::CheckedTexts { check, set } => {
            let read = |node: &Node| {
                let text = reader.text(node)?;
                check(&text).map_err(|what| (node.place, format!("{} {what}", key.name)))?;
                Ok(text)
            };
            let texts = match &node.item {
                Item::List(_) => reader.list(node, read)?,
                _ => vec![read(node).map_err(one)?],
            };
            set(draft, texts);
        }
        Shape::Checked { check, set } => {
            let text = reader.text(node).map_err(one)?;
            check(&text).map_err(|what| one((node.place, format!("{} {what}", key.name))))?;
            set(draft, text);
        }
        Shape::Records { fields, set } => {
            let Item::List(items) = &node.item else { return Err(vec![reader.fault(node, "a list")]) };
            set(draft, gather(items.iter().map(|item| reader.record(item, fields)))?);
        }
        Shape::Policy(kind) => super::policies::apply(&reader, kind, node, draft)?,
        Shape::Stop(kind) => super::stops::apply(&reader, kind, node, draft)?,
        Shape::Start(set) => set(draft, reader.start(node).map_err(one)?),
        Shape::Senders(set) => set(draft, reader.senders(node).map_err(one)?),
        Shape::Remedy(set) => set(draft, reader.choice(node, &probes::REMEDIES).map_err(one)?),
        Shape::Probe(kind, set) => set(draft, probes::read(&reader, *kind, node)?),
    }
    Ok(())
}

/// What stands between these two in the names of variables that are set and not empty, and may be part of the name of a service.
fn of_variables(before: &str, after: &str) -> Vec<String> {
    let names = std::env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.into_string().ok());
    let inside = names.filter_map(|name| Some(name.strip_prefix(before)?.strip_suffix(after)?.to_owned()));
    let is_part = |name: &String| !name.is_empty() && ServiceName::new(format!("x@{name}").as_bytes()).is_ok();
    let found: BTreeSet<String> = inside.filter(is_part).collect();
    found.into_iter().collect()
}

pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    pub(super) example: &'a str,
    pub(super) variable: Variable<'a>,
}

impl Reader<'_> {
    /// A flag, or `on-demand`.
    fn start(&self, node: &Node) -> Result<Start, Fault> {
        match &node.item {
            Item::Text(text) if self.expanded(node, text)?.text == ON_DEMAND => Ok(Start::OnDemand),
            _ => match self.flag(node) {
                Ok(true) => Ok(Start::WithSvc),
                Ok(false) => Ok(Start::Asked),
                Err(_) => Err(self.fault(node, "true or false, without quotes, or \"on-demand\"")),
            },
        }
    }

    /// `true`, or who.
    fn senders(&self, node: &Node) -> Result<Option<Senders>, Fault> {
        match &node.item {
            Item::Flag(true) => Ok(Some(Senders::Main)),
            Item::Flag(false) => Ok(None),
            Item::Text(text) if text.parse::<bool>().is_err() => self.choice(node, &probes::SENDERS).map(Some),
            _ => Err(self.fault(node, "true or false, without quotes, or one of main and all")),
        }
    }

    pub(super) fn fault(&self, node: &Node, wanted: &str) -> Fault {
        let mut what = node.item.described();
        if let Item::Text(text) = &node.item
            && let Ok(expanded) = expand(text, self.variable)
            && expanded.has_variables
        {
            what = format!("{}, by {what}", quoted(expanded.text.as_bytes()));
        }
        (node.place, format!("{} is {what}, and must be {wanted}, such as {}", self.name, self.example))
    }

    /// A text with its variables put in, and whether there were any.
    pub(super) fn expanded(&self, node: &Node, text: &str) -> Result<Expanded, Fault> {
        let expanded = expand(text, self.variable).map_err(|faults| {
            let what: Vec<String> = faults.into_iter().map(|fault| fault.what).collect();
            (node.place, format!("{}: {}", self.name, what.join("; ")))
        })?;
        if expanded.text.contains('\0') {
            return Err((node.place, format!("{} has a NUL byte in it, which no program can be given", self.name)));
        }
        Ok(expanded)
    }

    pub(super) fn text(&self, node: &Node) -> Result<String, Fault> {
        match &node.item {
            Item::Text(text) => self.expanded(node, text).map(|expanded| expanded.text),
            _ => Err(self.fault(node, "a text in quotes")),
        }
    }

    /// One that is not empty.
    fn something(&self, node: &Node) -> Result<String, Fault> {
        let text = self.text(node)?;
        if text.is_empty() { Err(self.fault(node, "a text with something in it")) } else { Ok(text) }
    }

    /// A text that is read by `read`.
    pub(super) fn read<T>(&self, node: &Node, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
        let text = match &node.item {
            Item::Text(text) => self.expanded(node, text)?.text,
            // Nothing has the same length in every unit.
            Item::Integer(0) => "0".to_owned(),
            _ => return Err(self.fault(node, wanted)),
        };
        read(&text).ok_or_else(|| self.fault(&Node { item: Item::Text(text), ..*node }, wanted))
    }

    /// A time that is not zero.
    pub(super) fn pause(&self, node: &Node) -> Result<Millis, Fault> {
        self.span(node, PAUSE, Millis(1))
    }

    fn span(&self, node: &Node, wanted: &str, least: Millis) -> Result<Millis, Fault> {
        let span = self.read(node, wanted, |text| text::span(text).filter(|span| *span >= least))?;
        if span > LONGEST { Err(self.fault(node, "at most 365000d")) } else { Ok(span) }
    }

    pub(super) fn choice<T: Copy>(&self, node: &Node, known: &[(&str, T)]) -> Result<T, Fault> {
        let text = self.text(node)?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let meant = nearest(&text, names.iter().copied()).map_or(String::new(), |meant| format!(": did you mean {meant}?"));
        Err((
            node.place,
            format!("{} must be one of {}, and is {}{meant}", self.name, names.join(", "), quoted(text.as_bytes())),
        ))
    }

    pub(super) fn flag(&self, node: &Node) -> Result<bool, Fault> {
        match &node.item {
            Item::Flag(flag) => Ok(*flag),
            Item::Text(text) => {
                let expanded = self.expanded(node, text)?;
                let flag = expanded.text.parse().ok().filter(|_| expanded.has_variables);
                flag.ok_or_else(|| self.fault(node, "true or false, without quotes"))
            }
            _ => Err(self.fault(node, "true or false, without quotes")),
        }
    }

    pub(super) fn number(&self, node: &Node, least: i64, most: i64) -> Result<i64, Fault> {
        let wanted = format!("a number from {least} to {most}, without quotes");
        let number = match &node.item {
            Item::Integer(number) => Some(*number),
            Item::Text(text) => {
                let expanded = self.expanded(node, text)?;
                expanded.text.parse().ok().filter(|_| expanded.has_variables)
            }
            _ => None,
        };
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| self.fault(node, &wanted))
    }

    pub(super) fn who(&self, node: &Node) -> Result<String, Fault> {
        let text = match &node.item {
            Item::Integer(number) if *number >= 0 => number.to_string(),
            _ => self.read(node, "a name or a number", |text| Some(text.to_owned()))?,
        };
        let good = !text.is_empty() && !text.contains([',', '\n']);
        if good { Ok(text) } else { Err(self.fault(node, "a name or a number")) }
    }

    /// Every element by itself, and all that is wrong with any of them.
    pub(super) fn list<T>(&self, node: &Node, read: impl Fn(&Node) -> Result<T, Fault>) -> Result<Vec<T>, Vec<Fault>> {
        let Item::List(items) = &node.item else { return Err(vec![self.fault(node, "a list")]) };
        gather(items.iter().map(|item| read(item).map_err(|fault| vec![fault])))
    }

    pub(super) fn command(&self, node: &Node) -> Result<Vec<String>, Vec<Fault>> {
        let words = match &node.item {
            Item::Text(line) => {
                let words = text::split(line).map_err(|what| vec![(node.place, format!("{} {what}", self.name))])?;
                // A variable with blanks in it stays one word.
                let expanded = words.iter().map(|word| self.expanded(node, word).map(|expanded| expanded.text));
                expanded.collect::<Result<Vec<String>, Fault>>().map_err(|fault| vec![fault])?
            }
            Item::List(_) => self.list(node, |node| self.text(node))?,
            _ => return Err(vec![self.fault(node, "a list of words, or one text")]),
        };
        match words.first() {
            Some(program) if !program.is_empty() => Ok(words),
            Some(_) | None => Err(vec![(node.place, format!("{} names no program: write {}", self.name, self.example))]),
        }
    }

    fn service(&self, node: &Node) -> Result<ServiceName, Fault> {
        let text = self.text(node)?;
        ServiceName::new(text.as_bytes()).map_err(|error| {
            let (named, what) = (quoted(text.as_bytes()), error.what());
            (node.place, format!("{} names {named}: {what}: write the name of a service", self.name))
        })
    }

    /// `"db"`, or `{ on = "db", until = "ready", bond = "stay" }`.
    fn relation(&self, node: &Node, relation: Relation) -> Result<Dependency, Vec<Fault>> {
        let Item::Table(entries) = &node.item else {
            let on = self.service(node).map_err(|fault| vec![fault])?.to_string();
            return Ok(Dependency { on: on.into(), relation, until: Condition::Ready });
        };
        let is_hard = matches!(relation, Relation::Needs(_));
        let (mut on, mut until, mut relation, mut faults) = (None, Condition::Ready, relation, Vec::new());
        for entry in entries {
            let inner = Reader { name: &format!("{}: {}", self.name, entry.key), ..*self };
            let read = match entry.key.as_str() {
                "on" => inner.service(&entry.node).map(|name| on = Some(name)),
                "until" => inner.choice(&entry.node, &CONDITIONS).map(|condition| until = condition),
                "bond" if is_hard => inner.choice(&entry.node, &BONDS).map(|bond| relation = Relation::Needs(bond)),
                other => {
                    let known: &[&str] = if is_hard { &["on", "until", "bond"] } else { &["on", "until"] };
                    Err((entry.place, unknown(&format!("{} has", self.name), other, known)))
                }
            };
            faults.extend(read.err());
        }
        if !entries.iter().any(|entry| entry.key == "on") {
            faults.push((node.place, format!("{} has an entry without on: write {}", self.name, self.example)));
        }
        match on.filter(|_| faults.is_empty()) {
            Some(on) => Ok(Dependency { on: on.as_str().into(), relation, until }),
            None => Err(faults),
        }
    }

    fn instances(&self, node: &Node) -> Result<Instances, Vec<Fault>> {
        if let Item::Text(pattern) = &node.item
            && let Some((before, after)) = pattern.split_once('*')
        {
            return Ok(Instances::Named(of_variables(before, after)));
        }
        let Item::List(_) = &node.item else {
            let count = self.number(node, 0, i64::from(MOST_INSTANCES)).map_err(|(place, what)| {
                vec![(place, what.replace(", without quotes", ", a list of names, or a text with a *"))]
            })?;
            return Ok(Instances::Counted(count as u32));
        };
        let mut seen = BTreeSet::new();
        let one = |node: &Node| {
            let name = self.text(node)?;
            let wrong = |what: &str| (node.place, format!("instances has {}, {what}", quoted(name.as_bytes())));
            // Behind a name and its @, it must be one of a service.
            match ServiceName::new(format!("x@{name}").as_bytes()) {
                Ok(_) if name.is_empty() => Err(wrong("which is no name")),
                Ok(_) => Ok(name),
                Err(_) => Err(wrong("which cannot be part of the name of a service")),
            }
        };
        let names = self.list(node, one)?;
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(vec![(node.place, format!("instances has {} twice", quoted(twice.as_bytes())))]),
            None => Ok(Instances::Named(names)),
        }
    }

    pub(super) fn variable_name(&self, place: Place, name: &str) -> Result<String, Fault> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err((place, format!("{} has {}, which is no name of a variable", self.name, quoted(name.as_bytes()))));
        }
        Ok(name.to_owned())
    }

    fn environment(&self, node: &Node) -> Result<Vec<(String, String)>, Vec<Fault>> {
        let Item::Table(entries) = &node.item else { return Err(vec![self.fault(node, "a table")]) };
        let one = |entry: &Entry| {
            self.variable_name(entry.place, &entry.key)?;
            let value = match &entry.node.item {
                Item::Integer(number) => number.to_string(),
                Item::Float(number) => number.clone(),
                Item::Flag(flag) => flag.to_string(),
                Item::Text(_) => self.text(&entry.node)?,
                Item::Date(_) | Item::List(_) | Item::Table(_) => {
                    let what = entry.node.item.described();
                    return Err((
                        entry.node.place,
                        format!("{} is {what}, and must be a text, a number, true or false", self.within(entry)),
                    ));
                }
            };
            Ok((entry.key.clone(), value))
        };
        gather(entries.iter().map(|entry| one(entry).map_err(|fault| vec![fault])))
    }

    fn within(&self, entry: &Entry) -> String {
        format!("{}.{}", self.name, short(entry.key.as_bytes()))
    }

    /// Names that `check` lets through, each with the path of a file.
    fn sources(&self, node: &Node, check: fn(&str) -> Result<(), String>) -> Result<Vec<(String, String)>, Vec<Fault>> {
        let Item::Table(entries) = &node.item else { return Err(vec![self.fault(node, "a table")]) };
        let one = |entry: &Entry| {
            let named = quoted(entry.key.as_bytes());
            check(&entry.key).map_err(|what| (entry.place, format!("{} has {named}, {what}", self.name)))?;
            let inner = Reader { name: &self.within(entry), ..*self };
            let file = inner.read(&entry.node, "the path of a file in quotes", |text| Some(text.to_owned()))?;
            let wrong = matches!(entry.node.item, Item::Integer(_)) || file.is_empty();
            if wrong { Err(inner.fault(&entry.node, "the path of a file in quotes")) } else { Ok((entry.key.clone(), file)) }
        };
        gather(entries.iter().map(|entry| one(entry).map_err(|fault| vec![fault])))
    }

    /// A number means what it does as a text.
    fn form(&self, node: &Node, wanted: &str, read: fn(&str) -> Option<String>) -> Result<String, Fault> {
        let number = match &node.item {
            Item::Integer(number) => number.to_string(),
            Item::Float(number) => number.clone(),
            _ => return self.read(node, wanted, read),
        };
        read(&number).ok_or_else(|| self.fault(node, wanted))
    }

    fn word(
        &self,
        node: &Node,
        known: fn(&str) -> bool,
        nearest: fn(&str) -> Option<&'static str>,
    ) -> Result<String, Fault> {
        let text = self.text(node)?;
        if known(&text) {
            return Ok(text);
        }
        let cure = match nearest(&text) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("write names, such as {}", self.example),
        };
        Err((node.place, format!("{} has {}, which is unknown: {cure}", self.name, quoted(text.as_bytes()))))
    }

    fn files(&self, node: &Node) -> Result<Vec<(String, String)>, Vec<Fault>> {
        let Item::Table(entries) = &node.item else { return Err(vec![self.fault(node, "a table")]) };
        let one = |entry: &Entry| {
            let name = &entry.key;
            if !svc_core::rights::is_controller_file(name) {
                let name = quoted(name.as_bytes());
                return Err((
                    entry.place,
                    format!("{} has {name}, which is no file of a controller, as memory.max is", self.name),
                ));
            }
            let value = match &entry.node.item {
                Item::Integer(number) => number.to_string(),
                _ => self.text(&entry.node)?,
            };
            Ok((name.clone(), value))
        };
        gather(entries.iter().map(|entry| one(entry).map_err(|fault| vec![fault])))
    }

    /// `"/data"`, or `{ path = "/data", mode = "0750" }`.
    fn record(&self, node: &Node, fields: &'static [Field]) -> Result<Record, Vec<Fault>> {
        let Item::Table(entries) = &node.item else {
            let first = fields.first().filter(|_| fields.iter().filter(|field| field.required).count() == 1);
            let first = first.ok_or_else(|| vec![self.fault(node, "a list of tables")])?;
            return Ok(Record(vec![(first.name, self.field(node, first)?)]));
        };
        let (mut record, mut faults) = (Vec::new(), Vec::new());
        for entry in entries {
            let Some(field) = fields.iter().find(|field| field.name == entry.key) else {
                let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
                faults.push((entry.place, unknown(&format!("{} has", self.name), &entry.key, &known)));
                continue;
            };
            let inner = Reader { name: &format!("{}: {}", self.name, field.name), ..*self };
            match inner.field(&entry.node, field) {
                Ok(text) => record.push((field.name, text)),
                Err(more) => faults.extend(more),
            }
        }
        for field in fields.iter().filter(|field| field.required && !entries.iter().any(|entry| entry.key == field.name)) {
            let message = format!("{} has an entry without {}: write {}", self.name, field.name, self.example);
            faults.push((node.place, message));
        }
        if faults.is_empty() { Ok(Record(record)) } else { Err(faults) }
    }

    fn field(&self, node: &Node, field: &Field) -> Result<String, Vec<Fault>> {
        let text = match field.check {
            Check::Text => self.text(node),
            Check::Mode => {
                let mode = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
                self.read(node, "octal digits in quotes", |text| mode(text).map(|_| text.to_owned()))
            }
            Check::Choice(names) => {
                let known: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
                self.choice(node, &known).map(String::from)
            }
        };
        match text {
            Ok(text) if text.is_empty() => Err(vec![self.fault(node, "something")]),
            text => text.map_err(|fault| vec![fault]),
        }
    }
}

/// All values, or all faults.
pub(super) fn gather<T>(results: impl Iterator<Item = Result<T, Vec<Fault>>>) -> Result<Vec<T>, Vec<Fault>> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

pub(super) fn unknown(what: &str, key: &str, known: &[&str]) -> String {
    let known: BTreeSet<&str> = known.iter().copied().collect();
    let list: Vec<&str> = known.iter().copied().collect();
    let meant = nearest(key, known.into_iter()).map_or(String::new(), |meant| format!(": did you mean {meant}?"));
    let cure = if meant.is_empty() { format!(": there are {}", list.join(", ")) } else { meant };
    format!("{what} {}, which is unknown{cure}", quoted(key.as_bytes()))
}
