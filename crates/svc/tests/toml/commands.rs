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

/// A table may have values of several files.
#[test]
fn show_says_of_each_value_where_it_comes_from() {
    let mut tree = Tree::new();
    tree.draft("web").file("service.toml", "command = 'sleep 1000'\nenv = { A = 1, B = 2 }\n");
    std::fs::create_dir(tree.draft("web").path().join("service.toml.d")).expect("ours");
    tree.draft("web").file("service.toml.d/1.toml", "\n\nenv.B = 3\nenv.'b c' = 4\n");
    tree.place("web");
    tree.start();
    let dir = tree.services().join("web").display().to_string();
    let expected = [
        "# web".to_owned(),
        format!("command = \"sleep 1000\"  # {dir}/service.toml:1"),
        format!("env.A = 1  # {dir}/service.toml:2"),
        format!("env.B = 3  # {dir}/service.toml.d/1.toml:3"),
        format!("env.\"b c\" = 4  # {dir}/service.toml.d/1.toml:4"),
    ];
    assert_eq!(tree.ctl_ok(&["show", "web"]).lines().collect::<Vec<_>>(), expected);
    assert_eq!(tree.stop(), 0);
}

/// What is wrong with one is told once, and not of those that name it; and svc says the same.
#[test]
fn who_names_a_classic_directory_is_told_that_it_has_no_place() {
    let mut tree = Tree::new();
    tree.service("old").run("exec sleep 1000");
    tree.toml("web", "command = 'sleep 1000'\nneeds = ['old']");
    tree.toml("lax", "command = 'sleep 1000'\nafter = ['old']");
    tree.toml("old2", "command = 'sleep 1000'\nneeds = ['old3']");
    tree.toml("typo", "comand = 'sleep 1000'");
    tree.toml("more", "command = 'sleep 1000'\nneeds = ['typo']\nafter = ['typo']");
    let place = "names old, a classic directory, which has no place in the order: give it a service.toml";
    let said = check(&tree);
    let errors: Vec<&str> = said.out.lines().filter(|line| line.starts_with("error: ") && !line.contains("typo/")).collect();
    assert_eq!(
        errors,
        [
            "error: old2 names old3, which does not exist: define it, or remove the dependency".to_owned(),
            format!("error: web {place}"),
        ]
    );
    assert!(said.out.contains(&format!("warning: lax {place}, and goes on without\n")), "{said:?}");
    tree.start();
    tree.await_problem("web", &[place]);
    tree.await_problem("lax", &[place, "goes on without"]);
    tree.await_up("lax");
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
    let json = std::process::Command::new(program()).args(["ctl", "--json", "check"]).arg(tree.services()).output();
    let json: serde_json::Value = serde_json::from_slice(&json.expect("it runs").stdout).expect("JSON");
    assert_eq!((&json["services"], &json["errors"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(json["warnings"][0], "web names cache, which does not exist, and goes on without");
    tree.toml("a", "kind = 'milestone'\nneeds = ['b']");
    tree.toml("b", "kind = 'milestone'\nneeds = ['a']");
    tree.toml("typo", "comand = 'x'\nnice = 'y'");
    tree.toml("lost", "command = 'sleep 1000'\nneeds = ['dbb']");
    tree.service("classic").file("run", "#!/bin/sh\n");
    tree.service("web2").file("down", "");
    tree.draft("rc").file("type", "longrum");
    tree.place("rc");
    tree.toml("absent", "command = 'no-such-program -x'\nready.exec = ['test', '--', 'x']");
    tree.toml("elsewhere", "command = 'bin/none'\ndirectory = '/srv'\nuser = 'nobody'");
    let copy = "{ from = '/private/none.pem', to = '/x', language = 'copy-if-there' }";
    tree.toml("unmade", &format!("command = 'sleep 1000'\ntemplates = [{copy}, {{ from = 'none.tmpl', to = '/y' }}]"));
    for (name, keys) in
        [("asked", "condition.env = 'NOBODY'"), ("path", "env.PATH = '/opt/bin'"), ("root", "chroot = '/srv'")]
    {
        tree.toml(name, &format!("command = 'no-such-program'\n{keys}"));
    }
    tree.draft("reader").file("type", "longrun").run("exec cat").file("consumer-for", "nobody");
    tree.place("reader");
    tree.draft("writer").file("type", "longrun").run("exec sleep 1000").file("producer-for", "nobody");
    tree.place("writer");
    for (producer, consumer, pipeline) in
        [("one", "one-log", "pipe"), ("two", "two-log", "pipe"), ("three", "three-log", "one")]
    {
        tree.draft(producer).file("type", "longrun").run("exec sleep 1000").file("producer-for", consumer);
        tree.place(producer);
        let log = tree.draft(consumer);
        log.file("type", "longrun").run("exec cat").file("consumer-for", producer).file("pipeline-name", pipeline);
        tree.place(consumer);
    }
    tree.toml("pipes", "kind = 'bundle'\nmembers = ['pipe']");
    tree.draft("cut").file("type", "longrun").run("exec sleep 1000").file("producer-for", "one");
    tree.place("cut");
    let said = check(&tree);
    assert_eq!(said.code, 1);
    for words in [
        "typo/service.toml:1:1: \"comand\" is no key",
        "typo/service.toml:2:8: nice is \"y\"",
        "classic/run: is not executable",
        "web2/run: does not exist",
        "rc/type: is \"longrum\"",
        "error: lost names dbb, which does not exist: did you mean db?",
        "warning: absent: no-such-program: no program of this name is in PATH: install it, or give its whole path",
        "warning: elsewhere: /srv/bin/none: ",
        "/unmade/none.tmpl: put it there, or mount it",
        "error: reader names nobody, which does not exist",
        "error: writer names nobody, which does not exist",
        "error: two-log: its pipeline-name pipe is also the pipeline-name of one-log: write another one",
        "error: three-log: its pipeline-name one is also the name of a service: write another one",
        "error: cut: is producer-for one, which is not consumer-for cut: add the name to its consumer-for",
        "error: a -> b -> a wait for each other",
    ] {
        assert!(said.out.contains(words), "{words} in\n{}", said.out);
    }
    assert!(!said.out.contains("names pipe"), "a bundle may have a pipeline in it: {}", said.out);
    assert_eq!(said.out.matches("there is no template").count(), 1, "one that may be missing is no mistake: {}", said.out);
    assert_eq!(said.out.matches("no-such-program").count(), 1, "the others may find it where they look: {}", said.out);
    let said = tree.say(&["check", "-v", &tree.services().display().to_string()]);
    for line in ["absent: runs no-such-program -x as the user of svc in", "elsewhere: runs bin/none as nobody in /srv\n"] {
        assert!(said.out.contains(line), "{line} in\n{}", said.out);
    }
    let empty = Said::by(std::process::Command::new(program()).args(["ctl", "check", "/no/such/directory"]));
    assert_eq!(empty.code, 111);
}

#[test]
fn the_schema_is_printed_without_svc() {
    let said = Said::by(std::process::Command::new(program()).args(["ctl", "schema"]));
    assert_eq!((said.code, said.out.as_str()), (0, svc_def::schema().as_str()));
}

/// s6-overlay brings units of its own, and layers add to them.
#[test]
fn check_knows_what_s6_overlay_brings() {
    let trees = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/trees");
    let check = |root: &std::path::Path| {
        let dir = root.join("etc/s6-overlay/s6-rc.d");
        Said::by(std::process::Command::new(program()).args(["ctl", "check"]).arg(dir))
    };
    for right in ["v3_spine", "v3_bundles", "v3_addon", "v3_pipeline", "v3_optional"] {
        let said = check(&trees.join(right).join("rootfs"));
        assert!(said.code == 0 && said.out.ends_with("services, 0 things that must be cured\n"), "{right}: {said:?}");
    }
    // What is wrong is told all the same.
    let tree = Tree::new();
    let sources = tree.root().join("etc/s6-overlay/s6-rc.d");
    for (name, content) in [
        ("user/contents.d/web", ""),
        ("user/contents.d/gone", ""),
        ("web/type", "longrun"),
        ("web/run", "#!/bin/sh\nexec sleep 1000\n"),
        ("web/dependencies.d/base", ""),
        ("web/dependencies.d/bas", ""),
        ("circle/type", "oneshot"),
        ("circle/up", "true"),
        ("circle/dependencies.d/legacy-services", ""),
        ("base/contents.d/circle", ""),
    ] {
        let path = sources.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("ours");
        std::fs::write(&path, content).expect("ours");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    }
    let said = check(tree.root());
    assert_eq!(said.code, 1, "{said:?}");
    for words in ["user names gone, which does not exist", "web names bas, which does not exist", "circle"] {
        assert!(said.out.contains(words), "{words}: {said:?}");
    }
    assert!(!said.out.contains("names base,") && said.out.contains("2 services, 3 things"), "{said:?}");
}
