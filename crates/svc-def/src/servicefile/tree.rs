//! What the files of a service say, before anybody asks what it means: service.toml with its drop-ins merged over it, and for
//! each value where it stands.

use std::path::PathBuf;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::layout::Layout;
use super::{probes, values};
use crate::look::{Look, look};
use crate::problem::{Problem, quoted, short};
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
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<PathBuf>,
    pub(super) root: Vec<Entry>,
    /// What is not in it any more.
    pub(super) gone: Vec<Gone>,
    /// From where to where no sense is made of a file: what it seems to say there is not what was meant.
    broken: Vec<(Place, Place)>,
}

/// A key that has gone because a later file has chosen another one.
pub(super) struct Gone {
    pub(super) key: String,
    pub(super) place: Place,
    /// The value that has been chosen.
    pub(super) by: Place,
}

impl Tree {
    /// Whether this is only said because something else there is no TOML.
    pub(super) fn is_consequence(&self, problem: &Problem) -> bool {
        self.broken.iter().any(|(first, last)| {
            let lines = first.line..=last.line;
            problem.path == self.files[first.file] && problem.place.is_some_and(|(line, _)| lines.contains(&line))
        })
    }

    fn take_out(&mut self, key: &str, by: Place) {
        if let Some(entry) = take_out(&mut self.root, key) {
            self.gone.push(Gone { key: key.to_owned(), place: entry.place, by });
        }
    }

    pub(super) fn fatal(&self, place: Place, message: String) -> Problem {
        let problem = Problem::fatal(&self.files[place.file], message);
        Problem { place: Some((place.line, place.column)), ..problem }
    }
}

/// Reads the file, and what is merged over it in the order of the names.
pub(super) fn read(layout: &Layout, problems: &mut Vec<Problem>) -> Tree {
    let mut tree = Tree::default();
    for path in paths(layout, problems) {
        if let Some(bytes) = content_of(&path, problems) {
            tree.files.push(path);
            take_in(&mut tree, bytes, problems);
        }
    }
    tree
}

/// What the files said together when they had these values, as [`Values`](crate::rc::Values) has them.
pub(super) fn of_values(layout: &Layout, values: &str, problems: &mut Vec<Problem>) -> Tree {
    let mut tree = Tree { files: vec![layout.main.clone()], ..Tree::default() };
    let lines = values.lines().filter_map(|line| line.split_once('\t'));
    let text: String = lines.map(|(key, value)| format!("{key} = {value}\n")).collect();
    take_in(&mut tree, text.into_bytes(), problems);
    tree
}

/// Merges what the last of its files says over the others.
fn take_in(tree: &mut Tree, bytes: Vec<u8>, problems: &mut Vec<Problem>) {
    let file = tree.files.len() - 1;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let place = Text { file, text: &before }.place(before.len());
            problems.push(tree.fatal(place, "is not UTF-8 here, and TOML must be: save the file as UTF-8".into()));
            return;
        }
    };
    let text = Text { file, text: &text };
    let (table, errors) = DeTable::parse_recoverable(text.text);
    let mut strange = Vec::new();
    let mut entries = text.entries(table.get_ref(), &mut strange);
    for error in &errors {
        let start = error.span().map_or(0, |span| span.start);
        let place = text.place(start);
        let what = match error.message() {
            "duplicate key" => "has the same key or table twice: keep one of the two".to_owned(),
            other => {
                let begins = if other.starts_with("unclosed") { last_before(&entries, place) } else { None };
                tree.broken.push((begins.unwrap_or(place), place));
                // What the parser has been looking for there says nothing.
                let why =
                    if text.lacks_value(start) { "no value behind the =: write one, or remove the line" } else { other };
                format!("is not TOML: {}", why.replace('\n', ", "))
            }
        };
        problems.push(tree.fatal(place, what));
    }
    // What the parser makes of a line that has no key.
    entries.retain(|entry| errors.is_empty() || !entry.key.is_empty());
    problems.extend(strange.into_iter().map(|(place, message)| tree.fatal(place, message)));
    give_way(tree, &entries);
    merge(&mut tree.root, entries);
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

/// Keys that mean something beside one of these alone.
const BESIDE: [(&[&str], &[&str]); 3] =
    [(&probes::PACE, &probes::LOOKING), (&["zone"], &["cron"]), (&["every-from"], &["every"])];

/// Where a file chooses another one of several keys than a file before it, that one is gone, with what means something beside it
/// alone: nobody could take them out otherwise.
fn give_way(tree: &mut Tree, over: &[Entry]) {
    for group in ALTERNATIVES {
        let Some(by) = group.iter().find_map(|key| find(over, key)).map(|entry| entry.node.place) else { continue };
        let goes = |key: &&&str| find(over, key).is_none() && find(&tree.root, key).is_some();
        let going: Vec<&str> = group.iter().filter(goes).copied().collect();
        let is_alone = |owners: &[&str]| {
            owners.iter().any(|key| going.contains(key)) && owners.iter().all(|key| find(over, key).is_none())
        };
        let beside: Vec<&str> =
            BESIDE.into_iter().filter(|(_, owners)| is_alone(owners)).flat_map(|(keys, _)| keys).copied().collect();
        going.into_iter().chain(beside).for_each(|key| tree.take_out(key, by));
    }
    let was_on_demand = find(&tree.root, "start").is_some_and(may_be_on_demand);
    if let Some(start) = find(over, "start").filter(|start| was_on_demand && !may_be_on_demand(start)) {
        tree.take_out("idle-stop", start.node.place);
    }
}

/// A variable may say that it is.
fn may_be_on_demand(start: &Entry) -> bool {
    match &start.node.item {
        Item::Text(text) => text == values::ON_DEMAND || text.contains("${"),
        Item::Integer(_) | Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) | Item::Table(_) => false,
    }
}

/// What stands under a key, which may be one in a table.
fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(table, rest)| (table, Some(rest)));
    let entry = entries.iter().find(|entry| entry.key == first)?;
    let Some(rest) = rest else { return Some(entry) };
    match &entry.node.item {
        Item::Table(inner) => find(inner, rest),
        Item::Text(_) | Item::Integer(_) | Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) => None,
    }
}

/// The same, which is no longer there then.
fn take_out(entries: &mut Vec<Entry>, key: &str) -> Option<Entry> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(table, rest)| (table, Some(rest)));
    let at = entries.iter().position(|entry| entry.key == first)?;
    let Some(rest) = rest else { return Some(entries.remove(at)) };
    match &mut entries[at].node.item {
        Item::Table(inner) => take_out(inner, rest),
        Item::Text(_) | Item::Integer(_) | Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) => None,
    }
}

/// Where the key stands that is the last one before a place.
fn last_before(entries: &[Entry], place: Place) -> Option<Place> {
    let is_before = |entry: &&Entry| (entry.place.line, entry.place.column) <= (place.line, place.column);
    let last = entries.iter().filter(is_before).max_by_key(|entry| (entry.place.line, entry.place.column))?;
    match &last.node.item {
        Item::Table(inner) => last_before(inner, place).or(Some(last.place)),
        Item::Text(_) | Item::Integer(_) | Item::Float(_) | Item::Flag(_) | Item::Date(_) | Item::List(_) => {
            Some(last.place)
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

    /// Whether a line ends here behind the = of its key.
    fn lacks_value(&self, offset: usize) -> bool {
        let (Some(before), Some(after)) = (self.text.get(..offset), self.text.get(offset..)) else { return false };
        let rest = after.lines().next().unwrap_or_default().trim_start();
        before.trim_end_matches([' ', '\t']).ends_with('=') && (rest.is_empty() || rest.starts_with('#'))
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
                    let number = quoted(number.as_str().as_bytes());
                    strange.push((place, format!("{number} is too large a number: the largest is {}", i64::MAX)));
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
            Item::Float(number) => short(number.as_bytes()),
            Item::Flag(flag) => flag.to_string(),
            Item::Date(date) => format!("the date {date}"),
            Item::List(_) => "a list".into(),
            Item::Table(_) => "a table".into(),
        }
    }
}
