//! What may stand where: the edges between crates, `unsafe`, and licences.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may use whom: a crate, those of ours that it may use, and all others. A new crate or edge is written down here, and its
/// reason in docs/decisions.
const EDGES: [(&str, &[&str], &[&str]); 16] = [
    ("svc-core", &[], &[]),
    ("svc-proto", &["svc-core"], &["serde", "serde_json"]),
    ("svc-def", &["svc-core"], &["croner", "jiff", "toml"]),
    ("svc-sys", &["svc-core"], &["libc"]),
    // Every page that these three write to is paid for, once a service in svc-supervise: no libraries there.
    ("svc-init", &["svc-core", "svc-proto", "svc-sys"], &[]),
    ("svc-supervise", &["svc-core", "svc-proto", "svc-sys"], &[]),
    ("svc-log", &["svc-core", "svc-proto", "svc-sys"], &[]),
    (
        "svc-scan",
        &["svc-core", "svc-def", "svc-proto", "svc-sys"],
        &["http-body-util", "hyper", "hyper-util", "lexopt", "notify", "serde", "serde_json", "tokio"],
    ),
    (
        "svc-ctl",
        &["svc-core", "svc-def", "svc-proto"],
        &[
            "clap",
            "clap_complete",
            "clap_mangen",
            "fast-glob",
            "http-body-util",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "strsim",
            "tokio",
        ],
    ),
    (
        "svc-dockerflow",
        &["svc-ctl", "svc-proto", "svc-sys"],
        &["http-body-util", "hyper", "hyper-util", "lexopt", "serde_json", "tokio"],
    ),
    ("svc-prepare", &["svc-core"], &["diff", "fast-glob", "minijinja", "nix", "serde_json"]),
    // It runs before svc-init and between that and the services, and steers by the commands that everybody has.
    ("svc-boot", &["svc-core", "svc-prepare", "svc-sys"], &[]),
    ("svc-compat", &["svc-core", "svc-ctl", "svc-def", "svc-proto", "svc-sys"], &["nix"]),
    (
        "svc",
        &[
            "svc-boot",
            "svc-compat",
            "svc-core",
            "svc-ctl",
            "svc-def",
            "svc-dockerflow",
            "svc-init",
            "svc-log",
            "svc-prepare",
            "svc-proto",
            "svc-scan",
            "svc-supervise",
            "svc-sys",
        ],
        &["lexopt"],
    ),
    // For tests and measurements: nothing that is shipped uses these two.
    ("svc-testkit", &["svc-core", "svc-proto", "svc-sys"], &["serde", "serde_json"]),
    ("xtask", &["svc-core", "svc-proto", "svc-sys", "svc-testkit"], &["libc", "serde", "serde_json"]),
];

/// The only crate with `unsafe`.
const WITH_UNSAFE: &str = "svc-sys";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// What cargo knows of all crates that are built for this machine.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ask = |more: &[&str]| {
        let mut command = Command::new(&cargo);
        command.current_dir(root()).args(["metadata", "--format-version", "1", "--filter-platform", &host()]).args(more);
        command.output().expect("cargo runs")
    };
    let mut output = ask(&["--offline"]);
    if !output.status.success() {
        // Only a part of the workspace was built here, so some crates may not have been fetched.
        output = ask(&[]);
    }
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

#[test]
fn crates_use_each_other_as_written_down() {
    let metadata = metadata();
    let ours: Vec<&Value> = list(&metadata, "packages").iter().filter(|package| is_ours(package)).collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| text(package, "name")).collect();
    let mut wrong = Vec::new();
    for package in &ours {
        let name = text(package, "name");
        let Some((_, own, others)) = EDGES.iter().find(|(known, ..)| *known == name) else {
            wrong.push(format!("{name} is not in the table of this test"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let (to, kind) = (text(dependency, "name"), text(dependency, "kind"));
            // Tests may use what they like.
            let allowed = kind == "dev" || if names.contains(to) { own.contains(&to) } else { others.contains(&to) };
            if !allowed {
                wrong.push(format!("{name} must not use {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_one_crate() {
    let mut wrong = Vec::new();
    let crates = root().join("crates");
    for file in sources(&crates).into_iter().filter(|file| !file.starts_with(crates.join(WITH_UNSAFE))) {
        let source = std::fs::read_to_string(&file).expect("a source file");
        for (number, line) in source.lines().enumerate() {
            if has_unsafe(line) {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
        let is_root = file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
        if is_root && !source.contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("{}: does not say #![forbid(unsafe_code)]", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the keyword stands in a line of code. In a comment or a string it is a word like any other.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let outside_strings: String = code.split('"').step_by(2).collect();
    outside_strings.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
}

#[test]
fn the_machines_have_no_standard_library() {
    let source = std::fs::read_to_string(root().join("crates/svc-core/src/lib.rs")).expect("svc-core");
    assert!(source.contains("#![cfg_attr(not(test), no_std)]"), "svc-core must be no_std outside its tests");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_licence_is_permissive() {
    let allowed = allowed_licences();
    let mut wrong = Vec::new();
    for package in list(&metadata(), "packages") {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        if is_ours(package) {
            assert_eq!(licence, "MIT OR Apache-2.0", "{name} is ours");
        }
        if !permits(licence, &allowed) {
            wrong.push(format!("{name} {}: {licence:?}", text(package, "version")));
        }
    }
    assert!(wrong.is_empty(), "not in the list of deny.toml:\n{}", wrong.join("\n"));
}

/// The list that images bring along has nothing that svc does not need, and with each crate those that it cannot do without; with
/// none that only the compiler runs.
#[test]
fn the_list_of_what_svc_is_made_of_is_whole() {
    let output = Command::new(root().join("deploy/sbom")).arg(host()).output().expect("deploy/sbom runs");
    assert!(output.status.success(), "deploy/sbom: {}", String::from_utf8_lossy(&output.stderr));
    let bill: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let parts = list(&bill, "components");
    assert!(parts.iter().all(|part| !text(&part["licenses"][0], "expression").is_empty()), "{bill}");
    let identity = |part: &Value| format!("{} {}", text(part, "name"), text(part, "version"));
    let listed: BTreeSet<String> = parts.iter().map(identity).filter(|name| !name.starts_with("rust-std ")).collect();

    let metadata = metadata();
    let by_id = |value: &Value, key: &str| -> BTreeMap<String, Value> {
        list(value, key).iter().map(|node| (text(node, "id").to_owned(), node.clone())).collect()
    };
    let (packages, nodes) = (by_id(&metadata, "packages"), by_id(&metadata["resolve"], "nodes"));
    let svc = packages.iter().find(|(_, package)| text(package, "name") == "svc").map(|(id, _)| id.as_str()).expect("svc");
    let only_compiles = |package: &Value| {
        list(package, "targets").iter().any(|target| list(target, "kind").contains(&Value::from("proc-macro")))
    };
    let (mut needed, mut possible, mut walk) = (BTreeSet::new(), BTreeSet::new(), vec![svc]);
    while let Some(id) = walk.pop() {
        for need in list(&nodes[id], "deps") {
            let package = &packages[text(need, "pkg")];
            let normal = list(need, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
            if !normal || only_compiles(package) {
                continue;
            }
            // Whether an optional one is in depends on features, which others of the workspace may ask for.
            let of_it = |entry: &&Value| text(entry, "name") == text(package, "name") && entry["kind"].is_null();
            let must = list(&packages[id], "dependencies").iter().filter(of_it).all(|entry| entry["optional"] == false);
            if must && (id == svc || listed.contains(&identity(&packages[id]))) {
                needed.insert(identity(package));
            }
            if possible.insert(identity(package)) {
                walk.push(text(need, "pkg"));
            }
        }
    }
    assert_eq!(needed.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "needed, and not listed");
    assert_eq!(listed.difference(&possible).collect::<Vec<_>>(), Vec::<&String>::new(), "listed, and not needed");
}

/// The list `allow` of deny.toml.
fn allowed_licences() -> Vec<String> {
    let config = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let (_, rest) = config.split_once("\nallow = [").expect("allow = [");
    let (inside, _) = rest.split_once(']').expect("its end");
    inside.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met with the allowed licences: `OR` (crates of long ago write `/`), `AND` and brackets.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut result = all(words, allowed);
    while let Some(rest) = words.strip_prefix(&["OR"]) {
        *words = rest;
        // Both sides are always read: what stands there must be taken off the words.
        result |= all(words, allowed);
    }
    result
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut result = one(words, allowed);
    while let Some(rest) = words.strip_prefix(&["AND"]) {
        *words = rest;
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    *words = rest;
    if *first == "(" {
        let result = any(words, allowed);
        let Some(rest) = words.strip_prefix(&[")"]) else { return false };
        *words = rest;
        return result;
    }
    match *rest {
        ["WITH", exception, ref rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{first} WITH {exception}"))
        }
        _ => allowed.iter().any(|licence| licence == first),
    }
}

#[test]
fn expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for good in
        ["MIT", "GPL-3.0 OR MIT", "Unlicense/MIT", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception OR GPL-3.0"]
    {
        assert!(permits(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT OR ISC) AND GPL-3.0", "(MIT", "MIT ISC"] {
        assert!(!permits(bad, &allowed), "{bad}");
    }
    assert!(has_unsafe("    unsafe { call() }") && !has_unsafe("// unsafe") && !has_unsafe("x(\"unsafe {\")"));
    assert!(!has_unsafe("#![forbid(unsafe_code)]"));
}
