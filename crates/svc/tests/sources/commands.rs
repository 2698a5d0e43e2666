//! `s6-rc` and its family.

use std::process::Command;

use svc_testkit::{Said, Tree, program, until};

use crate::Sources;
use crate::order::await_all;

fn say(tree: &Tree, words: &[&str]) -> Said {
    Said::by(Command::new(program()).env("SVC_RUN_DIR", tree.run_dir()).args(words))
}

#[track_caller]
fn lines(tree: &Tree, words: &[&str]) -> Vec<String> {
    let said = say(tree, words);
    assert_eq!(said.code, 0, "{words:?}: {said:?}");
    said.out.lines().map(str::to_owned).collect()
}

fn sample() -> Tree {
    let mut tree = Tree::new();
    tree.oneshot("net", &[], "true", "true").file("timeout-up", "500000\n");
    tree.longrun("db", &["net"], "");
    tree.longrun("web", &["db"], "");
    tree.longrun("spare", &[], "");
    tree.bundle("user", &["web"]);
    tree.bundle("all", &["user", "spare"]);
    tree.start();
    await_all(&tree, &["web"]);
    tree
}

#[test]
fn lists() {
    let mut tree = sample();
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), ["db", "net", "web"]);
    assert_eq!(lines(&tree, &["s6-rc", "-da", "list"]), ["spare"]);
    assert_eq!(lines(&tree, &["s6-rc", "list", "all"]), ["spare", "web"]);
    assert_eq!(lines(&tree, &["s6-rc", "listall", "user"]), ["db", "net", "web"]);
    assert_eq!(lines(&tree, &["s6-rc", "-d", "listall", "net"]), ["db", "net", "web"]);
    assert_eq!(lines(&tree, &["s6-rc", "diff"]), Vec::<String>::new());
    assert_eq!(lines(&tree, &["s6-rc-db", "list", "bundles"]), ["all", "user"]);
    assert_eq!(lines(&tree, &["s6-rc-db", "type", "net"]), ["oneshot"]);
    assert_eq!(lines(&tree, &["s6-rc-db", "timeout", "net"]), ["500000"]);
    assert_eq!(lines(&tree, &["s6-rc-db", "contents", "all"]), ["spare", "user"]);
    assert_eq!(lines(&tree, &["s6-rc-db", "-d", "dependencies", "net"]), ["db"]);
    assert_eq!(lines(&tree, &["s6-rc-db", "all-dependencies", "web"]), ["db", "net", "web"]);
    let said = say(&tree, &["s6-rc-db", "contents", "web"]);
    assert_eq!(said.code, 1, "{said:?}");
    let said = say(&tree, &["s6-rc", "list", "nobody"]);
    assert!(said.code == 3 && said.err.contains("nobody: no such service"), "{said:?}");
    let said = say(&tree, &["s6-rc", "chagne", "web"]);
    assert!(said.code == 100 && said.err.contains("chagne: no such command"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn changes() {
    let mut tree = sample();
    assert_eq!(
        lines(&tree, &["s6-rc", "-n", "0", "-d", "change", "db"]),
        ["s6-rc-dryrun: stop db", "s6-rc-dryrun: stop web"]
    );
    assert_eq!(lines(&tree, &["s6-rc", "-d", "change", "db"]), Vec::<String>::new());
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), ["net"]);
    tree.assert_order("-web", "-db");
    lines(&tree, &["s6-rc", "-v", "2", "-u", "change", "all"]);
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), ["db", "net", "spare", "web"]);
    lines(&tree, &["s6-rc", "-p", "change", "db"]);
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), ["db", "net"]);
    lines(&tree, &["s6-rc", "-a", "stop"]);
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), Vec::<String>::new());
    assert_eq!(tree.stop(), 0);
}

#[test]
fn failures_have_s6_rcs_codes() {
    let mut tree = Tree::new();
    tree.oneshot("bad", &[], "exit 1", "true");
    tree.longrun("slow", &[], "sleep 1000 & wait $!");
    tree.longrun("web", &["bad"], "");
    tree.bundle("user", &[]);
    tree.start();
    tree.await_status("user", "there", |_| true);
    let said = say(&tree, &["s6-rc", "change", "web"]);
    assert!(
        said.code == 1 && said.err.contains("web: blocked by bad: it ended (exit 1), and is not started again"),
        "{said:?}"
    );
    let said = say(&tree, &["s6-rc", "-t", "300", "change", "slow"]);
    assert!(said.code == 2 && said.err.contains("slow: still"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}

#[test]
fn essential_services_must_be_insisted_on() {
    let mut tree = Tree::new();
    tree.longrun("core", &[], "").file("flag-essential", "");
    tree.longrun("web", &["core"], "");
    tree.longrun("other", &[], "");
    // A bundle is so for all that is in it.
    tree.longrun("inner", &[], "");
    tree.bundle("some", &["inner"]);
    tree.bundle("base", &["some"]).file("flag-essential", "");
    tree.start();
    await_all(&tree, &["web", "other", "inner"]);
    let said = say(&tree, &["s6-rc", "-da", "change"]);
    assert!(said.code == 0 && said.err.contains("core, inner: essential, not stopped"), "{said:?}");
    let left = lines(&tree, &["s6-rc", "-a", "list"]);
    assert!(["core", "inner"].iter().all(|&name| left.contains(&name.to_owned())), "{left:?}");
    let said = say(&tree, &["s6-rc", "-d", "change", "some"]);
    assert!(said.code == 0 && said.err.contains("inner: essential, not stopped"), "{said:?}");
    lines(&tree, &["s6-rc", "-Da", "change"]);
    assert_eq!(lines(&tree, &["s6-rc", "-a", "list"]), Vec::<String>::new());
    assert_eq!(tree.stop(), 0);
}

/// The program that execline does not find is not what its author got wrong.
#[test]
fn an_up_that_is_a_shell_script_is_told_where_one_looks() {
    let mut tree = Tree::new();
    tree.draft("shell").file("type", "oneshot\n").file("up", "set -e\necho x\n");
    tree.place("shell");
    tree.start();
    let hint = "/shell/up: is execline, where the end of a line ends no command, so the next lines are arguments of set: begin the \
                file with #!/bin/sh";
    for verb in ["status", "why"] {
        until(&format!("{hint} in {verb}; log:\n{}", tree.log()), || {
            let said = tree.ctl_ok(&[verb, "shell"]);
            (said.contains("failed") && said.contains(hint)).then_some(())
        });
    }
    assert_eq!(tree.stop(), 0);
}

/// s6-rc lexes `up` and `down` when it compiles.
#[test]
fn what_cannot_be_lexed_or_found_is_no_source() {
    let tree = sample();
    let (dest, source) = (tree.path("compiled"), tree.path("elsewhere"));
    let cases = [
        ("open", "up", "foreground { echo\n", "/open/up: line 1: unmatched {: its } is missing"),
        ("close", "down", "\necho }\n", "/close/down: "),
        ("quote", "up", "echo \"a\n", "/quote/up: line 1: syntax error"),
        ("absent", "up", "nosuchprogram x\n", "/absent/up: nosuchprogram: no program of this name is in PATH"),
        ("shell", "up", "#!/no/such/shell\ntrue\n", "/shell/up: needs the interpreter /no/such/shell"),
        ("ends", "up", "#!/no/such/shell\r\ntrue\r\n", "/ends/up: needs the interpreter /no/such/shell, which"),
    ];
    // A script is run by its first line as svc reads it, which does not mind a carriage return.
    let good = [("good", "up", "foreground { true } s6-true\n", ""), ("windows", "up", "#!/bin/sh\r\necho x\r\n", "")];
    for (name, file, text, _) in cases.iter().chain(&good) {
        std::fs::create_dir_all(source.join(name)).expect("ours");
        for (file, text) in [("type", "oneshot\n"), ("up", ""), (file, text)] {
            std::fs::write(source.join(name).join(file), text).expect("ours");
        }
    }
    let source = source.display().to_string();
    let compiled = say(&tree, &["s6-rc-compile", &dest.display().to_string(), &source]);
    let checked = tree.say(&["check", &source]);
    assert_eq!((compiled.code, checked.code), (1, 1), "{compiled:?} {checked:?}");
    for (.., words) in cases {
        assert!(compiled.err.contains(words) && checked.out.contains(words), "{words} in {compiled:?} {checked:?}");
    }
    assert!(compiled.err.contains("6 things are wrong"), "{compiled:?}");
    for good in ["/good/", "/windows/"] {
        assert!(!checked.out.contains(good), "{checked:?}");
    }
}

#[test]
fn what_compiles_elsewhere_is_checked_here() {
    let mut tree = sample();
    let (good, bad) = (tree.path("compiled"), tree.path("bad"));
    let text = |path: &std::path::Path| path.display().to_string();
    let source = text(&tree.services());
    assert_eq!(lines(&tree, &["s6-rc-compile", &text(&good), &source]), Vec::<String>::new());
    assert_eq!(lines(&tree, &["s6-rc-init", "-c", &text(&good), &source]), Vec::<String>::new());
    let said = say(&tree, &["s6-rc-init", "-c", &text(&bad), &source]);
    assert!(said.code == 111 && said.err.contains("make it with s6-rc-compile"), "{said:?}");
    let other = tree.path("elsewhere");
    std::fs::create_dir_all(other.join("odd")).expect("ours");
    std::fs::write(other.join("odd/type"), "oneshoot\n").expect("ours");
    let said = say(&tree, &["s6-rc-compile", &text(&bad), &text(&other)]);
    assert!(said.code == 1 && said.err.contains("is \"oneshoot\""), "{said:?}");
    assert!(!bad.exists());
    std::fs::write(other.join("odd/type"), "oneshot\n").expect("ours");
    std::fs::write(other.join("odd/up"), "").expect("ours");
    std::fs::write(other.join("odd/dependencies"), "nobody\n").expect("ours");
    let said = say(&tree, &["s6-rc-compile", &text(&bad), &text(&other)]);
    assert!(said.code == 1 && said.err.contains("odd names nobody, which does not exist"), "{said:?}");
    std::fs::write(other.join("odd/dependencies"), "").expect("ours");
    assert_eq!(lines(&tree, &["s6-rc-compile", &text(&bad), &text(&other)]), Vec::<String>::new());
    let said = say(&tree, &["s6-rc-init", "-c", &text(&bad), &source]);
    assert!(said.code == 111 && said.err.contains("svc does not look into"), "{said:?}");
    assert_eq!(tree.stop(), 0);
}
