//! What the files of a service say, before anybody asks what it means: service.toml with its drop-ins merged over it, and for
//! each value where it stands.

use std::path::PathBuf;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::layout::Layout;
use super::probes;
use crate::look::{Look, look};
use crate::problem::{Problem, quoted};
use crate::rc::lists::content_of;

/// Where a value stands; lines and columns begin with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) item: Item,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Text(String),
    Integer(i64),
    /// As it is written.
    Float(String),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// The files, and what they say together.
pub(super) struct Tree {
    pub(super) files: Vec<PathBuf>,
    pub(super) root: Vec<Entry>,
}

impl Tree {
    pub(super) fn fatal(&self, place: Place, message: String) -> Problem {
        let problem = Problem::fatal(&self.files[place.file], message);
        Problem { place: Some((place.line, place.column)), ..problem }
    }
}

/// Reads the file, and what is merged over it in the order of the names.
pub(super) fn read(layout: &Layout, problems: &mut Vec<Problem>) -> Tree {
    let mut tree = Tree { files: Vec::new(), root: Vec::new() };
    for path in paths(layout, problems) {
        let Some(bytes) = content_of(&path, problems) else { continue };
        tree.files.push(path);
        let file = tree.files.len() - 1;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
                let place = Text { file, text: &before }.place(before.len());
                problems.push(tree.fatal(place, "is not UTF-8 here, and TOML must be: save the file as UTF-8".into()));
                continue;
            }
        };
        let text = Text { file, text: &text };
        let (table, errors) = DeTable::parse_recoverable(text.text);
        for error in &errors {
            let place = text.place(error.span().map_or(0, |span| span.start));
            let what = match error.message() {
                "duplicate key" => "has the same key or table twice: keep one of the two".to_owned(),
                other => format!("is not TOML: {}", other.replace('\n', ", ")),
            };
            problems.push(tree.fatal(place, what));
        }
        let mut strange = Vec::new();
        let mut entries = text.entries(table.get_ref(), &mut strange);
        // What the parser makes of a line that has no key.
        entries.retain(|entry| errors.is_empty() || !entry.key.is_empty());
        problems.extend(strange.into_iter().map(|(place, message)| tree.fatal(place, message)));
        give_way(&mut tree.root, &entries);
        merge(&mut tree.root, entries);
    }
    tree
}

fn paths(layout: &Layout, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut paths = vec![layout.main.clone()];
    let folder = layout.drop_ins.clone();
    if matches!(look(&folder), Look::Absent) {
        return paths;
    }
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            let entries = entries.flatten().map(|entry| entry.path());
            let mut found: Vec<PathBuf> = entries
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
                .collect();
            found.sort();
            paths.extend(found);
        }
        Err(error) => problems.push(Problem::fatal(folder, format!("cannot be listed: {error}: make it a directory"))),
    }
    paths
}

/// Keys of which a service has one.
const ALTERNATIVES: [&[&str]; 3] = [&probes::READY, &probes::HEALTH, &["cron", "every"]];

/// Where a file chooses another one of several keys than a file before it, that one is gone: nobody could take it out otherwise.
fn give_way(base: &mut Vec<Entry>, over: &[Entry]) {
    let says = |key: &str| match key.split_once('.') {
        None => over.iter().any(|entry| entry.key == key),
        Some((table, key)) => over.iter().filter(|entry| entry.key == table).any(|entry| match &entry.node.item {
            Item::Table(inner) => inner.iter().any(|entry| entry.key == key),
            Item::Text(_) | Item::Integer(_) | Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) => false,
        }),
    };
    for group in ALTERNATIVES.into_iter().filter(|group| group.iter().any(|key| says(key))) {
        for key in group.iter().filter(|key| !says(key)) {
            let Some((table, key)) = key.split_once('.') else {
                base.retain(|entry| entry.key != **key);
                continue;
            };
            for entry in base.iter_mut().filter(|entry| entry.key == table) {
                if let Item::Table(inner) = &mut entry.node.item {
                    inner.retain(|entry| entry.key != key);
                }
            }
        }
    }
}

/// What comes later takes the place of what was there; tables grow together.
fn merge(base: &mut Vec<Entry>, over: Vec<Entry>) {
    for entry in over {
        match base.iter_mut().find(|known| known.key == entry.key) {
            None => base.push(entry),
            Some(known) => match (&mut known.node.item, entry.node.item) {
                (Item::Table(base), Item::Table(over)) => merge(base, over),
                (_, item) => {
                    known.place = entry.place;
                    known.node = Node { place: entry.node.place, item };
                }
            },
        }
    }
}

/// One file while it is read.
struct Text<'a> {
    file: usize,
    text: &'a str,
}

impl Text<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() as u32 + 1;
        Place { file: self.file, line, column: before[start..].chars().count() as u32 + 1 }
    }

    fn entries(&self, table: &DeTable<'_>, strange: &mut Vec<(Place, String)>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .filter_map(|(key, value)| {
                let place = self.place(key.span().start);
                let node = self.node(value, strange)?;
                Some(Entry { key: key.get_ref().to_string(), place, node })
            })
            .collect();
        entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        entries
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, strange: &mut Vec<(Place, String)>) -> Option<Node> {
        let place = self.place(value.span().start);
        let item = match value.get_ref() {
            DeValue::String(text) => Item::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                Ok(number) => Item::Integer(number),
                Err(_) => {
                    strange.push((place, format!("{} is too large a number", quoted(number.as_str().as_bytes()))));
                    return None;
                }
            },
            DeValue::Float(number) => Item::Float(number.as_str().replace('_', "")),
            DeValue::Boolean(flag) => Item::Flag(*flag),
            DeValue::Datetime(date) => Item::Date(date.to_string()),
            DeValue::Array(list) => Item::List(list.iter().filter_map(|value| self.node(value, strange)).collect()),
            DeValue::Table(table) => Item::Table(self.entries(table, strange)),
        };
        Some(Node { place, item })
    }
}

impl Item {
    /// What it is, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Item::Text(text) => quoted(text.as_bytes()),
            Item::Integer(number) => number.to_string(),
            Item::Float(number) => number.clone(),
            Item::Flag(flag) => flag.to_string(),
            Item::Date(date) => format!("the date {date}"),
            Item::List(_) => "a list".into(),
            Item::Table(_) => "a table".into(),
        }
    }
}
