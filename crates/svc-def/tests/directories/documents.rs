//! The manual's table of small files is the table in `svc_core::files`, and nothing else.

use std::path::Path;

use svc_core::files::{FILES, File, Kind};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/service-directories.md");
const BEGIN: &str = "<!-- begin of the table of small files: written by UPDATE_DOCS=1 cargo test -p svc-def documents -->\n";
const END: &str = "<!-- end of the table of small files -->\n";

fn row(file: &File) -> String {
    let content = match file.kind {
        Kind::Number { max: u32::MAX } => "a number".into(),
        Kind::Number { max } => format!("a number, at most {max}"),
        Kind::Milliseconds => "milliseconds".into(),
        Kind::Signal => "a signal: `TERM`, `SIGTERM`, `RTMIN+3` or `15`".into(),
        Kind::Flag => "anything or nothing: being there is all it says".to_string(),
        Kind::FlagWithPath => "nothing, or a path on the first line".to_string(),
        Kind::Word(known) => {
            format!("one of {}", known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
        }
        Kind::Count { max } => format!("a number from 1 to {max}, maybe with milliseconds behind it"),
    };
    format!("| `{}` | {content} | {} |\n", file.name, file.about)
}

#[test]
fn the_manual_has_every_small_file() {
    let table =
        format!("| File | What is in it | What it does |\n|---|---|---|\n{}", FILES.iter().map(row).collect::<String>());
    let page = std::fs::read_to_string(PAGE).expect("docs/service-directories.md");
    let (before, rest) = page.split_once(BEGIN).expect("the beginning of the table");
    let (there, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = format!("{before}{BEGIN}\n{table}\n{END}{after}");
        std::fs::write(Path::new(PAGE), page).expect("a writable page");
        return;
    }
    assert_eq!(there.trim(), table.trim(), "the page and the table differ: UPDATE_DOCS=1 cargo test -p svc-def documents");
}
