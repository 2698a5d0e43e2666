//! `halt` and `service`: what scripts ask of the svc that runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use svc_testkit::{Said, State, Tree, program};

use super::said;

/// A link of this name to svc, called with the run directory of a tree.
fn called(tree: &Tree, name: &str, words: &[&str]) -> Said {
    let link = tree.path(name);
    if !link.exists() {
        symlink(program(), &link).expect("a link");
    }
    let mut command = Command::new(&link);
    Said::by(command.args(words).env("SVC_RUN_DIR", tree.path("run")).env("SVC_CONTAINER_EXIT_CODE", tree.path("exitcode")))
}

#[test]
fn halt_ends_svc_with_the_code_that_was_written_down() {
    for (name, written, code) in
        [("halt", Some("7\n"), 7), ("poweroff", None, 0), ("reboot", Some("143"), 143), ("halt", Some("nonsense"), 1)]
    {
        let mut tree = Tree::new();
        tree.service("web").run("exec sleep 1000");
        tree.start();
        tree.await_up("web");
        if let Some(written) = written {
            fs::write(tree.path("exitcode"), written).expect("ours");
        }
        let said = called(&tree, name, &[]);
        assert_eq!(said.code, 0, "{name}: {said:?}");
        assert_eq!(tree.wait(), code, "{name} {written:?}: {}", tree.log());
    }
}

/// More than half of all finish scripts do this: if it waited for the end, the end would wait for it.
#[test]
fn a_finish_script_may_call_halt() {
    let mut tree = Tree::new();
    let link = tree.path("halt");
    symlink(program(), &link).expect("a link");
    let (code, run) = (tree.path("exitcode"), tree.path("run"));
    let finish = format!(
        "echo 5 > {0}; SVC_CONTAINER_EXIT_CODE={0} SVC_RUN_DIR={1} exec {2}",
        code.display(),
        run.display(),
        link.display()
    );
    tree.service("web").run("exit 1").finish(&finish);
    tree.start();
    assert_eq!(tree.wait(), 5, "{}", tree.log());
}

#[test]
fn shutdown_is_now_or_not_at_all() {
    let mut tree = Tree::new();
    tree.start();
    let later = called(&tree, "shutdown", &["-h", "+5"]);
    assert!(later.code == 100 && later.err.contains("'+5'"), "{later:?}");
    assert_eq!(called(&tree, "shutdown", &["-h", "now"]).code, 0);
    assert_eq!(tree.wait(), 0, "{}", tree.log());
}

#[test]
fn service_does_what_svc_ctl_does() {
    let mut tree = Tree::new();
    tree.service("web").run("exec sleep 1000");
    tree.start();
    let first = tree.await_up("web");
    assert_eq!(called(&tree, "service", &["web", "restart"]).code, 0);
    assert_ne!(tree.await_up("web"), first);
    assert_eq!(called(&tree, "service", &["web", "stop"]).code, 0);
    assert_eq!(tree.status("web").map(|status| status.state), Some(State::Down));
    assert_eq!(called(&tree, "service", &["web", "start"]).code, 0);
    assert!(called(&tree, "service", &["web", "status"]).out.contains("web"));
    assert!(called(&tree, "service", &["--status-all"]).out.contains("web"));
    assert_eq!(called(&tree, "service", &["nothing", "start"]).code, 102);
    assert_eq!(called(&tree, "service", &["web", "explode"]).code, 100);
    assert_eq!(called(&tree, "service", &["web"]).code, 100);
    assert_eq!(tree.stop(), 0);
}

#[test]
fn svc_install_own_makes_no_link_that_would_hide_the_systems() {
    let tree = Tree::new();
    let (all, own) = (tree.path("command"), tree.path("bin"));
    assert_eq!(said("install", &[&all.display().to_string()]).code, 0);
    assert_eq!(said("install", &["--own", &own.display().to_string()]).code, 0);
    for name in ["with-contenv", "s6-overlay-suexec", "halt", "poweroff", "reboot", "shutdown", "service"] {
        assert!(all.join(name).exists(), "{name} has no link");
        assert!(!own.join(name).exists(), "{name} has a link");
    }
    let mut names: Vec<String> = std::fs::read_dir(&own)
        .expect("made")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["svc", "svc-ctl", "svc-init", "svc-log", "svc-scan", "svc-supervise"]);
}

#[test]
fn svc_install_replaces_the_programs_of_docker_ubuntu_stack_and_no_others() {
    let tree = Tree::new();
    let root = tree.path("root");
    for file in ["usr/bin/s6-svc", "usr/bin/s6-svscan", "usr/bin/chpst", "opt/execline/bin/if", "opt/execline/bin/other"] {
        std::fs::create_dir_all(root.join(file).parent().expect("one")).expect("ours");
        std::fs::write(root.join(file), "of the image").expect("ours");
    }
    assert_eq!(said("install", &["--ubuntu-stack", &root.display().to_string()]).code, 0);
    let is_link = |name: &str| root.join(name).is_symlink();
    for name in
        ["usr/bin/s6-svc", "usr/bin/s6-svscan", "usr/bin/svc-ctl", "usr/bin/s6-log", "opt/execline/bin/if", "command/chpst"]
    {
        assert!(is_link(name), "{name} is no link");
    }
    for name in ["usr/bin/chpst", "opt/execline/bin/other"] {
        assert!(root.join(name).exists() && !is_link(name), "{name} is not ours");
    }
    assert!(!root.join("usr/bin/halt").exists() && !root.join("opt/execline/bin/foreground").exists());
}
