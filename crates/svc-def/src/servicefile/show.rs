//! What the files of a service say together, and where each value comes from: for people, and as it is written.

use std::path::Path;

use svc_core::expand::expand;

use super::layout::{TEMPLATE, layout};
use super::tree::{self, Entry, Item, Node, Place};
use super::{INSTANCE, keys, leaves};
use crate::problem::{Problem, shown};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub key: String,
    /// As TOML.
    pub value: String,
    /// `FILE:LINE`.
    pub place: String,
    /// What earlier files say, and no longer counts because this was chosen instead: keys, each with its place.
    pub replaces: Vec<(String, String)>,
}

/// All values of a service with a service.toml or a NAME.toml, in the order of the table of keys; variables are not put in.
pub fn show(path: &Path, problems: &mut Vec<Problem>) -> Vec<Shown> {
    let Some(layout) = layout(path) else { return Vec::new() };
    let tree = tree::read(&layout, problems);
    let mut found = leaves(&tree.root, &mut |_| {});
    let rank = |key: &str| keys::all().position(|known| known.name == key).unwrap_or(usize::MAX);
    found.sort_by_key(|(key, _)| rank(key));
    let parts = found.into_iter().flat_map(|(key, entry)| parts(key, &entry.node));
    parts
        .map(|(key, node)| {
            let told = |place: Place| format!("{}:{}", shown(&tree.files[place.file]), place.line);
            let gone = tree.gone.iter().filter(|gone| gone.by == node.place);
            let replaces = gone.map(|gone| (gone.key.clone(), told(gone.place))).collect();
            Shown { key, value: written(&node.item), place: told(node.place), replaces }
        })
        .collect()
}

/// Where the files of a service name another one in the list of one of these keys: `FILE:LINE:COLUMN`.
pub(crate) fn place_of(path: &Path, name: &str, keys: &[&str], other: &str) -> Option<String> {
    let tree = tree::read(&layout(path)?, &mut Vec::new());
    let instance = name.split_once(TEMPLATE).map(|(_, instance)| instance);
    let variable = |name: &str| match instance {
        Some(instance) if name == INSTANCE => Some(instance.to_owned()),
        Some(_) | None => std::env::var(name).ok(),
    };
    let is_it =
        |node: &&Node| matches!(&node.item, Item::Text(text) if expand(text, &variable).is_ok_and(|it| it.text == other));
    let entries = tree.root.iter().filter(|entry| keys.contains(&&*entry.key));
    let mut items = entries.flat_map(|entry| if let Item::List(items) = &entry.node.item { &items[..] } else { &[] });
    let found = items.find_map(|item| match &item.item {
        Item::Table(fields) => fields.iter().find(|field| field.key == "on").map(|field| &field.node).filter(is_it),
        Item::Text(_) | Item::Integer(_) | Item::Float(_) | Item::Date(_) | Item::Flag(_) | Item::List(_) => {
            Some(item).filter(is_it)
        }
    })?;
    let Place { file, line, column } = found.place;
    Some(format!("{}:{line}:{column}", shown(&tree.files[file])))
}

/// A table that has grown together from several files is shown value by value.
fn parts(key: String, node: &Node) -> Vec<(String, &Node)> {
    match &node.item {
        Item::Table(entries) if entries.iter().any(|entry| entry.node.place.file != node.place.file) => {
            let inner = |entry: &'_ Entry| format!("{key}.{}", name(&entry.key));
            entries.iter().flat_map(|entry| parts(inner(entry), &entry.node)).collect()
        }
        Item::Text(_)
        | Item::Integer(_)
        | Item::Float(_)
        | Item::Date(_)
        | Item::Flag(_)
        | Item::List(_)
        | Item::Table(_) => {
            vec![(key, node)]
        }
    }
}

/// A key as it is written.
fn name(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { quoted(key) }
}

pub(super) fn written(item: &Item) -> String {
    match item {
        Item::Text(text) => quoted(text),
        Item::Integer(number) => number.to_string(),
        Item::Float(text) | Item::Date(text) => text.clone(),
        Item::Flag(flag) => flag.to_string(),
        Item::List(items) => {
            let items: Vec<String> = items.iter().map(|node| written(&node.item)).collect();
            format!("[{}]", items.join(", "))
        }
        Item::Table(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{} = {}", name(&entry.key), written(&entry.node.item))).collect();
            if entries.is_empty() { "{}".into() } else { format!("{{ {} }}", entries.join(", ")) }
        }
    }
}

/// A text in double quotes on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            control if control.is_control() => quoted += &format!("\\u{:04x}", control as u32),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
