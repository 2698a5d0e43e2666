//! A JSON Schema of service.toml, for editors, from the table of keys.

use std::collections::BTreeMap;

use super::draft::Kind;
use super::keys::{self, Key, Shape};
use super::limits::LIMITS;
use super::probes;
use super::values::{BONDS, CONDITIONS, Check, MOST_INSTANCES};

/// The schema.
pub fn schema() -> String {
    let mut tables: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for key in keys::all() {
        let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
        tables.entry(table).or_default().push((name, property(key)));
    }
    let mut root = tables.remove("").unwrap_or_default();
    root.extend(tables.into_iter().map(|(table, properties)| (table, object(&properties, ""))));
    let more = "\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"service.toml\",";
    object(&root, more) + "\n"
}

fn property(key: &Key) -> String {
    let about = format!("{} Default: {}. Example: {}", key.about, key.default, key.example);
    let shape = shape(&key.shape);
    format!("{{\"description\":{},{}", string(&about), &shape[1..])
}

/// An object with these properties and no others; `more` stands in front.
fn object(properties: &[(&str, String)], more: &str) -> String {
    let list: Vec<String> = properties.iter().map(|(name, schema)| format!("{}:{schema}", string(name))).collect();
    format!("{{{more}\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{{}}}}}", list.join(","))
}

/// A name or a number of a user or group.
const WHO: &str = r#"{"anyOf":[{"type":"string","minLength":1},{"type":"integer","minimum":0}]}"#;
/// In place of numbers and flags: a text with a variable in it.
pub(super) const VARIABLE: &str = r#"{"type":"string","pattern":"\\$\\{"}"#;
pub(super) const TEXT: &str = r#"{"type":"string","minLength":1}"#;
/// The words of a command.
pub(super) const WORDS: &str =
    r#"{"anyOf":[{"type":"string","minLength":1},{"type":"array","items":{"type":"string"},"minItems":1}]}"#;
/// A time that is more than nothing.
pub(super) const PAUSE: &str = r#"{"anyOf":[{"type":"string","pattern":"^(?=.*[1-9])[0-9]+([.][0-9]+)? *(ms|s|m|h|d)$"},{"type":"string","pattern":"\\$\\{"}]}"#;
pub(super) const SIZE: &str = "(?=.*[1-9])[0-9]+([.][0-9]+)? *(B|[KMGT]iB|[kKMGT]B)?";
pub(super) const SIZE_OR_MAX: &str = "[0-9]+([.][0-9]+)? *(B|[KMGT]iB|[kKMGT]B)?|max";

/// A text like this, or with a variable in it.
fn like(pattern: &str) -> String {
    format!(r#"{{"anyOf":[{{"type":"string","pattern":{}}},{VARIABLE}]}}"#, string(&format!("^({pattern})$")))
}

/// One of these names, in letters of any size.
fn any_case<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let both = |letter: char| match letter.to_ascii_lowercase() {
        small if small == letter => letter.to_string(),
        small => format!("[{letter}{small}]"),
    };
    let names: Vec<String> = names.map(|name| name.chars().map(both).collect()).collect();
    names.join("|")
}

/// A signal by its name.
pub(super) fn signal_name() -> String {
    like(&signal_pattern())
}

fn signal_pattern() -> String {
    let names = any_case(svc_core::Signal::names());
    format!("([Ss][Ii][Gg])?({names}|[Rr][Tt]([Mm][Ii][Nn]([+][0-9]+)?|[Mm][Aa][Xx](-[0-9]+)?))")
}

/// One by its name or its number in a text.
pub(super) fn signal() -> String {
    like(&format!("[1-9]|[1-5][0-9]|6[0-4]|{}", signal_pattern()))
}

pub(super) fn capabilities() -> String {
    format!("-?(all|([Cc][Aa][Pp]_)?({}))", any_case(svc_core::capability::NAMES.into_iter()))
}

pub(super) fn optional() -> String {
    svc_core::rights::OPTIONAL.join("|")
}

fn shape(shape: &Shape) -> String {
    let text = TEXT.to_owned();
    let service = r#"{"type":"string","pattern":"^[^/]+$|\\$\\{"}"#;
    match shape {
        Shape::Kind(_) => choice(Kind::NAMES.iter().map(|(name, _)| *name)),
        Shape::Flag(_) => format!(r#"{{"anyOf":[{{"type":"boolean"}},{VARIABLE}]}}"#),
        Shape::Span(_) => {
            format!(
                r#"{{"anyOf":[{{"const":0}},{{"type":"string","pattern":"^(0|[0-9]+(\\.[0-9]+)? *(ms|s|m|h|d))$"}},{VARIABLE}]}}"#
            )
        }
        Shape::Pause(_) => PAUSE.to_owned(),
        Shape::Number { least, most, .. } => {
            format!(r#"{{"anyOf":[{{"type":"integer","minimum":{least},"maximum":{most}}},{VARIABLE}]}}"#)
        }
        Shape::Mask(_) => format!(r#"{{"anyOf":[{{"type":"string","pattern":"^[0-7]{{1,4}}$"}},{VARIABLE}]}}"#),
        Shape::Signal(_) => signal(),
        Shape::Text(_) | Shape::Checked { .. } => text,
        Shape::Word { known, .. } => choice(known.iter().copied()),
        Shape::Who(_) => WHO.into(),
        Shape::Whose(_) => format!(r#"{{"type":"array","items":{WHO}}}"#),
        Shape::Texts(_) | Shape::CheckedTexts { .. } => {
            format!(r#"{{"anyOf":[{TEXT},{{"type":"array","items":{TEXT}}}]}}"#)
        }
        Shape::Command(_) => WORDS.into(),
        Shape::Variables(_) => r#"{"type":"array","items":{"type":"string","pattern":"^[^=]+$"}}"#.into(),
        Shape::Names(_) => format!(r#"{{"type":"array","items":{service}}}"#),
        Shape::Relations(relation) => {
            let mut properties =
                vec![("on", service.to_owned()), ("until", choice(CONDITIONS.iter().map(|(name, _)| *name)))];
            if matches!(relation, svc_core::graph::Relation::Needs(_)) {
                properties.push(("bond", choice(BONDS.iter().map(|(name, _)| *name))));
            }
            let table = object(&properties, r#""required":["on"],"#);
            format!(r#"{{"type":"array","items":{{"anyOf":[{service},{table}]}}}}"#)
        }
        Shape::Instances(_) => format!(
            r#"{{"anyOf":[{{"type":"integer","minimum":0,"maximum":{MOST_INSTANCES}}},{{"type":"array","items":{{"type":"string"}}}},{{"type":"string","pattern":"[*]"}},{VARIABLE}]}}"#
        ),
        Shape::Assignments(_) => {
            let parts = [("command", WORDS.to_owned()), ("timeout", PAUSE.to_owned())];
            let computed = object(&parts, r#""required":["command"],"#);
            format!(
                r#"{{"type":"object","propertyNames":{{"pattern":"^[^=]+$"}},"additionalProperties":{{"anyOf":[{{"type":["string","number","boolean"]}},{computed}]}}}}"#
            )
        }
        Shape::Sources { .. } => {
            format!(r#"{{"type":"object","propertyNames":{{"pattern":"^[^=/]+$"}},"additionalProperties":{TEXT}}}"#)
        }
        Shape::Form { pattern, .. } => {
            let number = if pattern.contains("0-9") { r#"{"type":"number","minimum":0},"# } else { "" };
            format!(r#"{{"anyOf":[{number}{}]}}"#, like(pattern))
        }
        Shape::Words { pattern, .. } => format!(r#"{{"type":"array","items":{}}}"#, like(&pattern())),
        Shape::Files(_) => {
            let names = r#"{"pattern":"^(?!cgroup[.])[A-Za-z0-9_]+[.][A-Za-z0-9_.]+$"}"#;
            format!(r#"{{"type":"object","propertyNames":{names},"additionalProperties":{{"type":["string","integer"]}}}}"#)
        }
        Shape::Limits(_) => {
            let amount = r#"{"type":["string","integer"]}"#.to_owned();
            let both = object(&[("soft", amount.clone()), ("hard", amount.clone())], r#""required":["soft","hard"],"#);
            let one = format!(r#"{{"anyOf":[{amount},{both}]}}"#);
            let properties: Vec<(&str, String)> = LIMITS.iter().map(|(name, _)| (*name, one.clone())).collect();
            object(&properties, "")
        }
        Shape::Sockets(_) => {
            let flag = r#"{"type":["boolean","string"]}"#;
            let of = |name: &str| match name {
                "user" | "group" => WHO.to_owned(),
                "reuse-port" | "dual-stack" => flag.to_owned(),
                "backlog" => r#"{"type":["integer","string"]}"#.to_owned(),
                _ => text.clone(),
            };
            let properties: Vec<(&str, String)> = super::sockets::FIELDS.iter().map(|&name| (name, of(name))).collect();
            let table = object(&properties, r#""required":["listen"],"#);
            format!(r#"{{"type":"array","maxItems":{},"items":{{"anyOf":[{text},{table}]}}}}"#, super::sockets::MOST)
        }
        Shape::Records { fields, .. } => {
            let one = |check: &Check| match check {
                Check::Text => text.clone(),
                Check::Mode => r#"{"type":"string","pattern":"^[0-7]{1,4}$"}"#.to_owned(),
                Check::Choice(names) => choice(names.iter().copied()),
            };
            let properties: Vec<(&str, String)> = fields.iter().map(|field| (field.name, one(&field.check))).collect();
            let required: Vec<String> =
                fields.iter().filter(|field| field.required).map(|field| string(field.name)).collect();
            let table = object(&properties, &format!("\"required\":[{}],", required.join(",")));
            let alone = if required.len() == 1 { format!("{text},") } else { String::new() };
            format!(r#"{{"type":"array","items":{{"anyOf":[{alone}{table}]}}}}"#)
        }
        Shape::Policy(kind) => kind.schema(),
        Shape::Stop(kind) => kind.schema(),
        Shape::Start(_) => format!(r#"{{"anyOf":[{{"enum":[true,false,"on-demand"]}},{VARIABLE}]}}"#),
        Shape::Senders(_) => r#"{"enum":[true,false,"main","all"]}"#.into(),
        Shape::Remedy(_) => choice(probes::REMEDIES.iter().map(|(name, _)| *name)),
        Shape::Probe(probes::Kind::Exec, _) => WORDS.into(),
        Shape::Probe(probes::Kind::Http, _) => {
            let status =
                r#"{"type":["string","integer","array"],"minimum":100,"maximum":599,"items":{"type":["string","integer"]}}"#
                    .to_owned();
            let header = r#"{"type":"object","additionalProperties":{"type":"string"}}"#.to_owned();
            let url = r#"{"type":"string","pattern":"^http://|\\$\\{"}"#.to_owned();
            let properties = [("url", url.clone()), ("status", status), ("header", header), ("body", text)];
            format!(r#"{{"anyOf":[{url},{}]}}"#, object(&properties, r#""required":["url"],"#))
        }
        Shape::Probe(probes::Kind::Tcp, _) => like("[^ ]*:[0-9]+"),
        Shape::Probe(probes::Kind::Unix | probes::Kind::File | probes::Kind::Log, _) => text,
    }
}

fn choice<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(string).collect();
    format!(r#"{{"enum":[{}]}}"#, names.join(","))
}

/// A text as JSON.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
