//! Every key of service.toml has three things: prose in the man page, an answer to a wrong value, and a test of what it does in a
//! running system. A key that is new stands in this table, or the test fails.

use std::collections::BTreeSet;
use std::path::Path;

use crate::servicefile::{frame, keys, problems, reading};
use crate::table::TABLE;

#[test]
fn every_key_stands_in_the_table_once() {
    let rows: Vec<&str> = TABLE.iter().map(|(key, ..)| *key).collect();
    let table: BTreeSet<String> = rows.iter().map(|key| (*key).to_owned()).collect();
    let known: BTreeSet<String> = keys().into_iter().collect();
    let missing: Vec<&String> = known.difference(&table).collect();
    assert!(missing.is_empty(), "give these a wrong value and a test of their effect in a running system: {missing:?}");
    assert_eq!((table.len(), table), (rows.len(), known), "a row is there twice, or of no key");
}

#[test]
fn a_wrong_value_of_each_key_is_told_with_its_place_and_what_would_be_right() {
    for (key, line, told, _) in TABLE {
        let found = problems(&format!("{line}\n{}\n", frame(key)));
        assert!(found.iter().any(|said| said.starts_with(told)), "{key}: {line}: {told:?} is not in {found:?}");
        assert!(told.starts_with("1:") && told.contains(key), "{key}: what is told names the place and the key: {told:?}");
    }
}

#[test]
fn no_message_repeats_a_long_value() {
    let long = "/%:".repeat(700);
    let mut whole = Vec::new();
    for (key, ..) in TABLE {
        for value in [
            format!("'{long}'"),
            format!("['{long}']"),
            format!("[['{long}']]"),
            format!("{{ '{long}' = '{long}' }}"),
            format!("[{{ '{long}' = '{long}' }}]"),
            format!("[{{ on = '{long}', until = '{long}', code = '{long}', signal = '{long}' }}]"),
            format!("[{{ listen = '{long}', from = '{long}', to = '{long}', mode = '{long}', path = '{long}' }}]"),
            format!("{{ url = '{long}', status = '{long}', header = {{ '{long}' = '{long}' }}, body = '{long}' }}"),
            format!("{{ soft = '{long}', nofile = '{long}', '{long}' = {{ soft = '{long}' }}, run = ['{long}'] }}"),
            format!("{{ command = '{long}', wait = '{long}', until = '{long}', timeout = '{long}' }}"),
            format!("'${{NOBODY_SETS_THIS:-{long}}}'"),
            format!("'${{{long}}}'"),
            format!("'${{{}}}'", "A".repeat(2_000)),
            format!("9{}", "9".repeat(2_000)),
            format!("9.{}", "9".repeat(2_000)),
        ] {
            let (_scratch, reading) = reading(&format!("{key} = {value}\n{}\n", frame(key)));
            let too_long = reading.problems.into_iter().filter(|problem| problem.message.len() > 1000);
            whole.extend(too_long.map(|problem| (*key, problem.message.chars().take(100).collect::<String>())));
        }
    }
    assert!(whole.is_empty(), "these are too long to be read: {whole:#?}");
}

#[test]
fn every_key_has_prose() {
    let page = include_str!("../../../../docs/man/service.toml.5").replace("\\-", "-");
    for (key, ..) in TABLE {
        assert!(page.contains(&format!("\n.B {key}\n")), "{key} has no entry in docs/man/service.toml.5");
    }
}

#[test]
fn every_key_stands_in_a_page() {
    let pages = [
        include_str!("../../../../docs/service-toml.md"),
        include_str!("../../../../docs/configuration.md"),
        include_str!("../../../../docs/readiness-and-health.md"),
        include_str!("../../../../docs/timers.md"),
    ];
    let words = pages.iter().flat_map(|page| page.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)));
    let words: BTreeSet<&str> = words.collect();
    let missing: Vec<&str> =
        TABLE.iter().map(|(key, ..)| *key).filter(|key| !key.split('.').all(|part| words.contains(part))).collect();
    assert_eq!(missing, [""; 0], "docs/service-toml.md, or the page of their topic, says nothing of these");
}

/// All tests that run a whole svc: the text of each file, with what stands in it.
fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("the tests of crates/svc").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(std::fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn every_key_has_a_test_of_its_effect_in_a_running_system() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc/tests"), &mut all);
    // A test ends with the first brace at the beginning of a line; an escaped newline is no letter of the word behind it.
    let tests: Vec<(&str, String)> = all
        .iter()
        .flat_map(|text| text.split("#[test]\n").skip(1))
        .filter_map(|part| part.trim_start().strip_prefix("fn ")?.split_once('('))
        .map(|(name, rest)| (name, rest.split("\n}\n").next().unwrap_or(rest).replace("\\n", " ")))
        .collect();
    for (key, _, _, test) in TABLE {
        let bodies: Vec<&String> = tests.iter().filter(|(name, _)| name == test).map(|(_, body)| body).collect();
        assert!(!bodies.is_empty(), "{key}: there is no test {test} in crates/svc/tests");
        let last = key.rsplit('.').next().unwrap_or(key);
        let has_it = |body: &&String| {
            body.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c)).any(|word| word.eq_ignore_ascii_case(last))
        };
        assert!(bodies.iter().any(has_it), "{key}: {test} does not name it");
    }
}

/// A kernel that shares its controllers out to nobody says nothing of what a limit does: a machine of its own does (tests/vm).
#[test]
fn every_limit_of_a_cgroup_has_a_check_in_a_kernel_of_its_own() {
    let checks = include_str!("../../../../tests/vm/guest/checks/cgroups");
    for key in TABLE.iter().filter_map(|(key, ..)| key.strip_prefix("cgroup.")) {
        let elsewhere = matches!(key, "own" | "delegate");
        let name = if key == "set" { "cgroup.set" } else { key };
        let told =
            ["in the kernel's file", "nothing is left"].iter().any(|what| checks.contains(&format!("{name}: {what}")));
        assert!(elsewhere || told, "cgroup.{key}: there is no check \"{name}: ...\" in tests/vm/guest/checks/cgroups");
    }
}
