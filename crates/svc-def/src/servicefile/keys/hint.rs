//! What is said of a key that there is not: which one is likely to have been meant, and where it stands.

use super::super::tree::{Entry, Item};
use super::super::values;
use super::{all, elsewhere, find, is_table, table_of};

/// The cure, with what stands in front of it; nothing for a word that is like no key.
pub(in super::super) fn hint(name: &str, entry: &Entry) -> String {
    let (table, last) = name.rsplit_once('.').unwrap_or(("", name));
    let meant = meant(name, table, last);
    if let Item::Table(inner) = &entry.node.item
        && meant.is_empty()
        && inner.iter().any(|inner| find(&inner.key).is_some())
    {
        return format!(": its keys stand at the top of the file: remove [{name}]");
    }
    if !table.is_empty() && elsewhere::meant(name).is_none() && (find(last).is_some() || is_table(last)) {
        return format!(": {last} is no key of {table}: put it above [{table}]");
    }
    match meant.as_slice() {
        [] if is_table(table) => format!(": {table} has {}", listed(&below(table), "and")),
        [] => String::new(),
        some => format!(": did you mean {}?", listed(some, "or")),
    }
}

/// The best first.
fn meant(name: &str, table: &str, last: &str) -> Vec<&'static str> {
    let turned = format!("{last}.{table}");
    let near = elsewhere::meant(name)
        .or_else(|| find(&turned).map(|key| key.name))
        .or_else(|| values::nearest(name, all().flat_map(|key| [key.name, table_of(key.name)])));
    // A key of a table whose table was forgotten.
    let within =
        all().map(|key| key.name).filter(|key| table.is_empty() && key.rsplit_once('.').is_some_and(|it| it.1 == last));
    let mut found: Vec<&str> = near.into_iter().collect();
    found.extend(within.filter(|key| near != Some(*key)));
    found
}

/// The keys of a table.
fn below(table: &str) -> Vec<&'static str> {
    all().filter_map(|key| key.name.strip_prefix(table)?.strip_prefix('.')).collect()
}

/// `a, b or c`.
fn listed(names: &[&str], word: &str) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} {word} {last}", before.join(", ")),
        names => names.concat(),
    }
}
