//! The documents: links lead somewhere, and the man pages know every file, option and variable that there is.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use svc_core::files::FILES;
use svc_testkit::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of Markdown: those of the root, and all below docs/.
fn pages() -> Vec<PathBuf> {
    let mut found = pages_in(&root(), false);
    found.extend(pages_in(&root().join("docs"), true));
    found
}

fn pages_in(folder: &Path, below: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() && below {
            found.extend(pages_in(&path, below));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

fn links(page: &str) -> Vec<&str> {
    let targets = prose(page).flat_map(|line| line.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The anchors of a page's headings, as forges make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let content = read(&page);
        for link in links(&content).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().expect("a folder").join(path) };
            let there = target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !there {
                wrong.push(format!("{}: {link}", page.strip_prefix(root()).unwrap_or(&page).display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
}

/// A man page as text, its hyphens plain.
fn manual(name: &str) -> String {
    read(&root().join("docs/man").join(name)).replace("\\-", "-")
}

#[test]
fn the_man_page_of_services_has_every_file() {
    let page = manual("svc-service.5");
    for name in FILES.iter().map(|file| file.name).chain(["run", "finish", "log/", "down", "essential"]) {
        assert!(page.contains(&format!(".TP\n.I {name}\n")), "svc-service.5 has no entry for {name}");
    }
}

#[test]
fn every_state_has_its_row_in_the_page_of_svc_ctl() {
    let (api, page) = (read(&root().join("docs/openapi.yaml")), read(&root().join("docs/svc-ctl.md")));
    let states = api.lines().find_map(|line| line.trim().strip_prefix("enum: [down, ")).expect("the states");
    let missing: Vec<&str> =
        states.trim_end_matches(']').split(", ").filter(|state| !page.contains(&format!("\n| `{state}` | "))).collect();
    assert!(missing.is_empty(), "docs/svc-ctl.md says nothing of {missing:?}");
}

/// What a program prints with these arguments.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).output().expect("svc runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Words of a text that are long options or variables of ours.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.filter(|word| word.len() > 2 && (word.starts_with("--") || word.starts_with("SVC_"))).collect()
}

#[test]
fn man_pages_have_every_option() {
    for (page, arguments) in [
        ("svc-scan.8", &["svc-scan", "--help"][..]),
        ("svc.1", &["--help"]),
        ("svc.1", &["exec", "--help"]),
        ("svc.1", &["probe", "--help"]),
        ("svc.1", &["syslog", "--help"]),
    ] {
        let (manual, help) = (manual(page), help(arguments));
        let missing: Vec<&str> = names(&help).difference(&names(&manual)).copied().collect();
        assert!(missing.is_empty(), "{page} does not have {missing:?} of {arguments:?}");
    }
}

#[test]
fn the_man_page_of_svc_has_every_program() {
    let (page, help) = (manual("svc.1"), help(&["--help"]));
    let (_, list) = help.split_once("Programs:\n").expect("a list of programs");
    for name in list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()) {
        assert!(page.contains(&format!(".TP\n.B {name}\n")), "svc.1 has no entry for {name}");
    }
}

/// What stands behind this line of docs/commands.md comes from the tables of the commands.
const GENERATED: &str = "<!-- written by UPDATE_DOCS=1 cargo test -p svc --test documents -->\n";

/// The commands as a page has them: a table a family.
fn tables() -> String {
    let mut text = String::new();
    for family in svc_compat::FAMILIES {
        let _ = write!(text, "\n## {}\n\n| command | does | call |\n|---|---|---|\n", family.title);
        for command in family.commands {
            let call = command.synopsis().replace('|', "\\|");
            let _ = writeln!(text, "| `{}` | {} | `{call}` |", command.name, command.about.replace('|', "\\|"));
        }
    }
    text + &starters()
}

/// Those that start svc itself, as the program tells of them; without names that are its own.
fn starters() -> String {
    let mut text = String::from("\n## Starting svc\n\n| command | does | call |\n|---|---|---|\n");
    let said = |words: &[&str]| {
        let output = Command::new(program()).args(words).output().expect("svc runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let list = said(&["manual"]);
    for (name, about) in list.lines().filter_map(|line| line.split_once(' ')) {
        if svc_compat::find(name).is_none() && !name.starts_with("svc-") {
            let help = said(&[name, "--help"]);
            let call = help.lines().find_map(|line| line.strip_prefix("Usage: ")).expect("a usage line").replace('|', "\\|");
            let _ = writeln!(text, "| `{name}` | {} | `{call}` |", about.trim());
        }
    }
    text
}

#[test]
fn the_page_of_commands_is_that_of_the_tables() {
    let path = root().join("docs/commands.md");
    let page = read(&path);
    let (by_hand, generated) = page.split_once(GENERATED).expect("the line behind which the tables stand");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{by_hand}{GENERATED}{}", tables())).expect("docs may be written");
        return;
    }
    let command = "UPDATE_DOCS=1 cargo test -p svc --test documents";
    for (is, should) in generated.lines().zip(tables().lines()) {
        assert_eq!(is, should, "docs/commands.md differs from the tables: {command}");
    }
    assert_eq!(generated.len(), tables().len(), "docs/commands.md is longer or shorter than the tables: {command}");
}

#[test]
fn what_the_page_of_commands_misses_is_not_there() {
    let page = read(&root().join("docs/commands.md"));
    let (_, rest) = page.split_once("## What is not there\n").expect("that heading");
    let rows = rest.lines().take_while(|line| !line.starts_with("<!--")).filter(|line| line.starts_with("| `"));
    let names: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let output = Command::new(program()).args(["manual", name]).output().expect("svc runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no such command"), "{name} is said to be missing: {said}");
    }
}

/// The names of all functions marked as tests in Rust files below a folder.
fn tests_in(folder: &Path, names: &mut BTreeSet<String>) {
    for path in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            tests_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path);
            let marked = text.split("#[test]").skip(1);
            names.extend(marked.filter_map(|rest| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned())));
        }
    }
}

/// Rows of tables, cell by cell.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect())
}

#[test]
fn each_test_that_the_page_of_promises_names_is_there() {
    let page = read(&root().join("docs/promises.md"));
    let mut tests = BTreeSet::new();
    tests_in(&root().join("crates"), &mut tests);
    let (mut numbers, mut named) = (Vec::new(), BTreeSet::new());
    for row in rows(&page) {
        let [number, _, names] = row.as_slice() else { panic!("three cells: {row:?}") };
        numbers.extend(number.parse::<u32>());
        named.extend(names.split(", ").filter(|name| *name != "test"));
    }
    let missing: Vec<&str> = named.iter().copied().filter(|name| !tests.contains(*name)).collect();
    assert_eq!(missing, [""; 0], "tests that are not there");
    // Those about s6-log and s6-rc have pages of their own.
    let promises = (1..=11).chain(14..=26).chain(32..=35);
    assert_eq!(numbers, (1..=10).chain(promises).collect::<Vec<u32>>());
}

#[test]
fn each_test_that_the_page_of_peers_names_is_there() {
    let page = read(&root().join("docs/peers-scenarios.md"));
    let mut tests = BTreeSet::new();
    tests_in(&root().join("crates"), &mut tests);
    let (mut counts, mut section): (BTreeMap<&str, BTreeSet<&str>>, _) = (BTreeMap::new(), "");
    for line in page.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        let Some(row) = line.strip_prefix("| ").filter(|row| !row.starts_with("scenario |")) else { continue };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[scenario, verdict, named, ""] = cells.as_slice() else { panic!("three cells: {row}") };
        let named: Vec<&str> = named.split(", ").filter(|name| !name.is_empty()).collect();
        if !["differs", "does not apply"].iter().any(|word| verdict.starts_with(word)) {
            assert!(verdict.starts_with("holds") && !named.is_empty(), "it holds by a test, or it does not: {row}");
        }
        for name in named {
            assert!(tests.contains(name), "there is no test {name}: {row}");
        }
        // Names of theirs stand in front.
        if scenario.starts_with('`') {
            let front = scenario.split_once(": ").map_or(scenario, |(front, _)| front);
            let theirs = front.strip_prefix('`').and_then(|front| front.strip_suffix('`')).expect(row).split("`, `");
            counts.entry(section).or_default().extend(theirs);
        }
    }
    let counts: Vec<(&str, usize)> = counts.into_iter().map(|(section, theirs)| (section, theirs.len())).collect();
    let all = [
        ("Horust", 36),
        ("dinit, integration tests", 30),
        ("dinit, unit tests", 137),
        ("nitro", 41),
        ("pebble", 15),
        ("supervisord", 27),
    ];
    assert_eq!(counts, all, "none of theirs is left out");
}

/// The rows of a page's tables: the first cell, and the second.
fn figures(page: &str) -> BTreeMap<&str, &str> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    cells.filter_map(|(what, rest)| Some((what, rest.split(" |").next()?))).collect()
}

#[test]
fn the_page_of_images_says_what_was_recorded_last() {
    let [benchmarks, images] = ["docs/benchmarks.md", "docs/images.md"].map(|page| read(&root().join(page)));
    let (recorded, told) = (figures(&benchmarks), figures(&images));
    for what in ["added by /init", "from /init to the main program", "from SIGTERM to the end"] {
        let what = format!("{what}, no service");
        let figure = recorded.get(&*what).unwrap_or_else(|| panic!("{what}: nothing is recorded in docs/benchmarks.md"));
        assert_eq!(told.get(&*what), Some(figure), "{what}: docs/images.md says something else");
    }
}
