//! svc-ctl show, check and schema.

use svc_testkit::{Said, Tree, program};

use crate::Files;

fn check(tree: &Tree) -> Said {
    Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(tree.services()))
}

#[test]
fn show_prints_what_is_merged_and_where_it_comes_from() {
    let mut tree = Tree::new();
    tree.draft("web")
        .file("service.toml", "nice = 1\ncommand = \"sleep '1000'\"\n[env]\nA = \"${NONE:-x\\\"y}\"\n\"b c\" = 2\n");
    std::fs::create_dir(tree.draft("web").path().join("service.toml.d")).expect("ours");
    tree.draft("web").file("service.toml.d/1.toml", "\nnice = 2\ntimeout.kill = '1s'\n");
    tree.place("web");
    tree.service("old").run("exec sleep 1000");
    tree.start();
    let dir = tree.services().join("web").display().to_string();
    let expected = [
        "# web".to_owned(),
        format!("command = \"sleep '1000'\"  # {dir}/service.toml:2"),
        format!("timeout.kill = \"1s\"  # {dir}/service.toml.d/1.toml:3"),
        format!("env = {{ A = \"${{NONE:-x\\\"y}}\", \"b c\" = 2 }}  # {dir}/service.toml:3"),
        format!("nice = 2  # {dir}/service.toml.d/1.toml:2"),
    ];
    assert_eq!(tree.ctl_ok(&["show", "web"]).lines().collect::<Vec<_>>(), expected);
    let json: serde_json::Value = serde_json::from_str(&tree.ctl_ok(&["--json", "show", "web"])).expect("JSON");
    assert_eq!(json["values"][0]["key"], "command");
    let said = tree.say(&["show", "old"]);
    assert!(said.code == 1 && said.err.contains("has no service.toml"), "{said:?}");
    assert_eq!(tree.say(&["show", "nobody"]).code, 102);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn check_says_everything_without_svc() {
    let tree = Tree::new();
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['db']\nwants = ['cache']");
    tree.toml("db", "command = 'sleep 1000'");
    let said = check(&tree);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        said.out,
        "warning: web names cache, which does not exist, and goes on without\n2 services, 0 things that must be cured\n"
    );
    tree.toml("a", "kind = 'milestone'\nneeds = ['b']");
    tree.toml("b", "kind = 'milestone'\nneeds = ['a']");
    tree.toml("typo", "comand = 'x'\nnice = 'y'");
    tree.toml("lost", "command = 'sleep 1000'\nneeds = ['dbb']");
    tree.service("classic").file("run", "#!/bin/sh\n");
    tree.service("web2").file("down", "");
    tree.draft("rc").file("type", "longrum");
    tree.place("rc");
    let said = check(&tree);
    assert_eq!(said.code, 1);
    for words in [
        "typo/service.toml:1:1: \"comand\" is no key",
        "typo/service.toml:2:8: nice is \"y\"",
        "classic/run: is not executable",
        "web2/run: does not exist",
        "rc/type: is \"longrum\"",
        "error: lost names dbb, which does not exist: did you mean db?",
        "error: a -> b -> a wait for each other",
    ] {
        assert!(said.out.contains(words), "{words} in\n{}", said.out);
    }
    let empty = Said::by(std::process::Command::new(program()).args(["ctl", "check", "/no/such/directory"]));
    assert_eq!(empty.code, 111);
}

#[test]
fn the_schema_is_printed_without_svc() {
    let said = Said::by(std::process::Command::new(program()).args(["ctl", "schema"]));
    assert_eq!((said.code, said.out.as_str()), (0, svc_def::schema().as_str()));
}
