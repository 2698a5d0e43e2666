//! In which PATH a program is looked for whose PATH is changed on the way: in that of before, as upstream's do.

use std::fs;
use std::path::{Path, PathBuf};

use svc_testkit::{Said, Tree};

use super::{assert_same_with, ours};

/// Two directories with a program of the same name, and a third with a file that sets PATH to the second.
struct Places {
    old: PathBuf,
    new: PathBuf,
    variables: PathBuf,
}

impl Places {
    fn make(tree: &Tree) -> Places {
        let places = Places { old: tree.path("old"), new: tree.path("new"), variables: tree.path("variables") };
        for dir in [&places.old, &places.new, &places.variables] {
            fs::create_dir(dir).expect("ours");
        }
        script(&places.old.join("thing"), "echo old, $PATH");
        script(&places.new.join("thing"), "echo new, $PATH");
        fs::write(places.variables.join("PATH"), places.new.as_os_str().as_encoded_bytes()).expect("ours");
        places
    }
}

fn script(path: &Path, body: &str) {
    svc_testkit::executable(path, format!("#!/bin/sh\n{body}\n"));
}

#[test]
fn a_loader_looks_in_the_path_of_before() {
    let tree = Tree::new();
    let places = Places::make(&tree);
    let variables = places.variables.display().to_string();
    for (name, words) in [
        ("s6-envdir", vec![variables.as_str(), "thing"]),
        ("envdir", vec![&variables, "thing"]),
        ("chpst", vec!["-e", &variables, "thing"]),
    ] {
        assert_same_with(name, &words, |command| {
            command.env("PATH", &places.old);
        });
        let said = Said::by(ours(name).args(&words).env("PATH", &places.old));
        assert_eq!(said.out, format!("old, {}\n", places.new.display()), "{name}: {}", said.err);
    }
    // Upstream's are in no package.
    let assignment = format!("PATH={}", places.new.display());
    for (name, words) in [("s6-env", [assignment.as_str(), "thing"]), ("justc-envdir", [&variables, "thing"])] {
        let said = Said::by(ours(name).args(words).env("PATH", &places.old));
        assert_eq!(said.out, format!("old, {}\n", places.new.display()), "{name}: {}", said.err);
    }
}

#[test]
fn with_contenv_looks_in_the_path_of_the_container() {
    let tree = Tree::new();
    let places = Places::make(&tree);
    let mut command = ours("with-contenv");
    command.arg("thing").env("PATH", &places.old).env("SVC_CONTAINER_ENVIRONMENT", &places.variables);
    let said = Said::by(&mut command);
    assert_eq!(said.out, format!("new, {}\n", places.new.display()), "{}", said.err);
}
