//! Images whose services are programs in a directory, chosen and configured by the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use svc_testkit::{State, Tree, until};

/// As docs/examples/plugins has it.
const TEMPLATE: &str = r#"
instances = "*_PLUGIN"
command = ["${${INSTANCE}_PLUGIN}"]
json = ["${INSTANCE}_CONFIG"]
watch = ["${${INSTANCE}_PLUGIN}"]
on-change = "restart"
apply = "auto"
condition.env = ["${INSTANCE}_CONFIG"]
"#;

const RUNS: &str = "#!/bin/sh\necho $$ >>\"$0.seen\"\nexec sleep 1000\n";

/// Puts a program there, whole, as a deployment does.
fn program(tree: &Tree, name: &str, content: &[u8], mode: u32) -> String {
    let path = tree.path(name);
    if mode == 0o755 {
        svc_testkit::executable(&path, content);
        return path.display().to_string();
    }
    let new = path.with_extension("new");
    fs::write(&new, content).expect("ours");
    fs::set_permissions(&new, fs::Permissions::from_mode(mode)).expect("ours");
    fs::rename(new, &path).expect("ours");
    path.display().to_string()
}

/// A program of another machine: the header of one for 32-bit SPARC.
fn foreign() -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x01\x02\x01");
    (header[17], header[19]) = (2, 2);
    header
}

#[test]
fn the_environment_says_which_plugins_run() {
    let mut tree = Tree::new();
    let (one, two) = (program(&tree, "one", RUNS.as_bytes(), 0o755), program(&tree, "two", RUNS.as_bytes(), 0o755));
    let config = program(&tree, "config.json", b"{\"url\": \"http://x\"}", 0o644);
    tree.set("LOG_PLUGIN", &one).set("LOG_CONFIG", "{\"level\": 3}");
    tree.set("TEAM_CHAT_PLUGIN", &two).set("TEAM_CHAT_CONFIG", &config);
    tree.set("AN_OFF_PLUGIN", &two).set("EMPTY_PLUGIN", "").set("EMPTY_CONFIG", "{}");
    tree.one_file("plugin@", TEMPLATE);
    tree.start();
    let (log, chat) = (tree.await_up("plugin@LOG"), tree.await_up("plugin@TEAM_CHAT"));
    tree.await_status("plugin@AN_OFF", "skipped", |status| status.state == State::Skipped);
    assert!(tree.ctl_ok(&["why", "plugin@AN_OFF"]).contains("AN_OFF_CONFIG is not set"));
    assert!(tree.status("plugin@EMPTY").is_none());
    tree.await_status("plugin", "a name for all of them, also where the first is left out", |status| {
        status.state == State::Up
    });
    assert!(!tree.log().contains("plugin: skipped"), "{}", tree.log());
    // A new binary in the place of one restarts that one, and no other.
    tree.await_lines("../one.seen", 1);
    program(&tree, "one", format!("{RUNS}# new\n").as_bytes(), 0o755);
    tree.await_status("plugin@LOG", "restarted", |status| status.pid.is_some_and(|pid| pid != log));
    program(&tree, "two", format!("{RUNS}# new\n").as_bytes(), 0o755);
    tree.await_status("plugin@TEAM_CHAT", "restarted", |status| status.pid.is_some_and(|pid| pid != chat));
    assert_eq!(tree.await_lines("../one.seen", 2).len(), 2);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn each_mistake_is_told_by_name_and_cured_by_what_comes_in_its_place() {
    let mut tree = Tree::new();
    let missing = tree.path("missing").display().to_string();
    let mode = program(&tree, "mode", RUNS.as_bytes(), 0o644);
    let arch = program(&tree, "arch", &foreign(), 0o755);
    let crash = program(&tree, "crash", b"#!/bin/sh\necho no such host >&2\nexit 3\n", 0o755);
    let good = program(&tree, "good", RUNS.as_bytes(), 0o755);
    for (name, path, config) in [
        ("MISSING", &missing, "{}"),
        ("MODE", &mode, "{}"),
        ("ARCH", &arch, "{}"),
        ("CRASH", &crash, "{}"),
        ("JSON", &good, "{\"token\": \"hidden\",}"),
    ] {
        tree.set(&format!("{name}_PLUGIN"), path).set(&format!("{name}_CONFIG"), config);
    }
    tree.one_file("plugin@", TEMPLATE);
    tree.start();
    let never = |exit| ("cannot be started: ", format!("its program was not executed (exit code {exit})"));
    for (name, (what, exit), words) in [
        ("MISSING", never(127), format!("{missing}: does not exist")),
        ("MODE", never(126), format!("{mode}: is not executable (mode 0644")),
        ("ARCH", never(126), format!("{arch}: is built for")),
        ("CRASH", ("ended at its start (", "exit 3 after ".to_owned()), "no such host".to_owned()),
        ("JSON", never(111), "JSON_CONFIG is no JSON: trailing comma at line 1 column 20".to_owned()),
    ] {
        let service = format!("plugin@{name}");
        let line = format!("svc-scan: {service}: {what}");
        let is_told = |log: &str| log.lines().any(|told| told.contains(&line) && told.contains(&exit));
        until(&format!("{line} and {words} in\n{}", tree.log()), || {
            (is_told(&tree.log()) && tree.log().contains(&words)).then_some(())
        });
        until(&words, || tree.ctl_ok(&["why", &service]).contains(&words).then_some(()));
        let more = tree.log().matches(&line).count();
        assert_eq!(more, 1, "once, and not for each try");
    }
    assert!(!tree.log().contains("hidden"), "what is wrong is told, not what it says");
    let (all, rows) = (tree.ctl_ok(&["status", "plugin"]), ["plugin ", "plugin@ARCH ", "plugin@JSON ", "plugin@MODE "]);
    let begins = |row: &&str| all.lines().any(|line| line.starts_with(*row));
    assert!(
        rows.iter().all(begins) && all.contains(&format!("{mode}: is not executable")),
        "each with what is wrong: {all}"
    );
    for name in ["missing", "mode", "arch", "crash"] {
        program(&tree, name, RUNS.as_bytes(), 0o755);
        tree.await_up(&format!("plugin@{}", name.to_uppercase()));
    }
    assert_eq!(tree.stop(), 0);
}

#[test]
fn a_template_that_nobody_asks_for_is_no_mistake() {
    let mut tree = Tree::new();
    tree.one_file("plugin@", TEMPLATE);
    tree.toml("other", "command = 'sleep 1000'");
    tree.start();
    tree.await_up("other");
    assert_eq!(tree.status("plugin").and_then(|status| status.problem), None, "{}", tree.log());
    let said = tree.say(&["check", &tree.services().display().to_string()]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(tree.stop(), 0);
}
