//! docs/openapi.yaml describes the types and requests of svc_proto::api: no more and no fewer.
//!
//! Both are read as text, because a missing field is what must be found: types that were linked in here would have to be
//! listed here, and the list would be the third that could miss one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

type Set = BTreeSet<String>;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.yaml");
    serde_norway::from_str(&read(&path)).expect("docs/openapi.yaml is YAML")
}

/// api.rs, with the table of requests, and all that stands in api/.
fn source() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc-proto/src/api");
    let parts = std::fs::read_dir(&folder).expect("a folder api/").map(|entry| entry.expect("a part of api/").path());
    std::iter::once(folder.with_extension("rs")).chain(parts).map(|path| read(&path)).collect()
}

fn keys(object: &Value) -> Set {
    object.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

fn strings(list: &Value) -> Set {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_string)).collect()
}

/// One `pub struct` or `pub enum` of the API.
#[derive(Debug, Default)]
struct Type {
    is_enum: bool,
    snake_case: bool,
    refuses_unknown: bool,
    /// Fields or variants by their names in JSON.
    members: Set,
    /// Fields that are always there in an answer, or must be in a request.
    required: Set,
    optional: Set,
}

/// Reads rustfmt's layout: items at the margin, members four spaces in, ended by a brace at the margin.
fn types(source: &str) -> BTreeMap<String, Type> {
    let mut types = BTreeMap::new();
    let mut current: Option<(String, Type)> = None;
    let (mut attributes, mut has_default) = (String::new(), false);
    for line in source.lines() {
        if let Some((name, item)) = &mut current {
            if line == "}" {
                types.insert(std::mem::take(name), std::mem::take(item));
                current = None;
            } else if let Some(attribute) = line.trim().strip_prefix("#[serde(") {
                has_default = attribute.starts_with("default");
            } else if let Some(member) = member(line, item) {
                item.members.insert(member.clone());
                if line.contains(": Option<") {
                    item.optional.insert(member.clone());
                }
                if !has_default {
                    item.required.insert(member);
                }
                has_default = false;
            }
        } else if line.starts_with("#[serde(") {
            attributes.push_str(line);
        } else if let Some(rest) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) {
            let item = Type {
                is_enum: line.starts_with("pub enum"),
                snake_case: attributes.contains("snake_case"),
                refuses_unknown: attributes.contains("deny_unknown_fields"),
                ..Type::default()
            };
            current = Some((rest.trim_end_matches(" {").to_string(), item));
            attributes.clear();
        }
    }
    types
}

fn member(line: &str, item: &Type) -> Option<String> {
    let text = line.trim();
    if !item.is_enum {
        return Some(text.strip_prefix("pub ")?.split(':').next()?.to_string());
    }
    let variant = text.strip_suffix(',').filter(|variant| variant.chars().all(char::is_alphanumeric))?;
    Some(if item.snake_case { snake(variant) } else { variant.to_lowercase() })
}

fn snake(variant: &str) -> String {
    let mut text = String::new();
    for character in variant.chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(character.to_lowercase());
    }
    text
}

/// The requests of the table at the top of api.rs: path and method, with the types of body and answer.
fn requests(source: &str) -> BTreeMap<(String, String), Set> {
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| {
        let (request, rest) = row.split_once('`').expect("a request in backticks");
        let (method, target) = request.split_once(' ').expect("a method and a path");
        let path = target.split('?').next().expect("a path").replace("NAME", "{NAME}");
        let types = rest.split("[`").skip(1).filter_map(|rest| rest.split('`').next()).map(str::to_string).collect();
        ((path, method.to_lowercase()), types)
    })
    .collect()
}

/// The names of all schemas that a part of the document refers to, through the shared responses as well.
fn schemas_in(part: &Value, document: &Value) -> Set {
    match part {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("$ref", Some(reference)) => match reference.rsplit('/').next() {
                    Some(name) if reference.contains("/responses/") => {
                        schemas_in(&document["components"]["responses"][name], document)
                    }
                    name => name.into_iter().map(str::to_string).collect(),
                },
                _ => schemas_in(value, document),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| schemas_in(item, document)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Set::new(),
    }
}

#[test]
fn every_request_is_described() {
    let (requests, document) = (requests(&source()), document());
    assert!(requests.len() >= 9, "the table of api.rs is still read: {requests:?}");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in keys(item) {
            described.insert((path.clone(), method));
        }
    }
    assert_eq!(described, requests.keys().cloned().collect());
    for ((path, method), mut types) in requests {
        types.insert("ErrorBody".into());
        assert_eq!(schemas_in(&document["paths"][&path][&method], &document), types, "{method} {path}");
    }
}

#[test]
fn every_type_has_its_fields() {
    let (types, document) = (types(&source()), document());
    let schemas = &document["components"]["schemas"];
    assert_eq!(keys(schemas), types.keys().cloned().collect());
    for (name, item) in types {
        let schema = &schemas[&name];
        assert!(!item.members.is_empty(), "{name} is still read");
        if item.is_enum {
            assert_eq!(strings(&schema["enum"]), item.members, "{name}");
            continue;
        }
        assert_eq!(keys(&schema["properties"]), item.members, "{name}");
        assert_eq!(strings(&schema["required"]), item.required, "{name}: required");
        assert_eq!(schema["additionalProperties"] == Value::Bool(false), item.refuses_unknown, "{name}: unknown fields");
        for field in item.optional.intersection(&item.required) {
            let property = &schema["properties"][field];
            let null = strings(&property["type"]).contains("null")
                || property["oneOf"].as_array().is_some_and(|types| types.iter().any(|one| one["type"] == "null"));
            assert!(null, "{name}.{field} may be null");
        }
    }
}

#[test]
fn references_lead_somewhere() {
    let document = document();
    let known = keys(&document["components"]["schemas"]);
    let unknown: Vec<String> = schemas_in(&document, &document).into_iter().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
