//! The one binary under its many names: help, version, wrong usage, and `svc install`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use svc_testkit::{Said, Tree, program};

use super::assert_said;

fn svc(words: &[&str]) -> Said {
    Said::by(Command::new(program()).args(words))
}

#[test]
fn help_and_version_are_there_and_end_well() {
    let version = svc(&["--version"]);
    assert_said(&version, 0, &["svc 0."]);
    for name in ["svc-scan", "svc-init", "svc-ctl"] {
        assert_said(&svc(&[name, "--help"]), 0, &["Usage", "--version"]);
        assert_said(&svc(&[name, "-h"]), 0, &["Usage"]);
    }
    // Which one it is, by whatever name it is asked.
    for name in ["svc-scan", "svc-init", "svc-ctl", "svc-log", "svc-supervise"] {
        for word in ["--version", "-V"] {
            assert_eq!(svc(&[name, word]).out, version.out.replacen("svc", name, 1), "{name}: version, commit and target");
        }
    }
    assert_said(&svc(&["ctl", "render", "--help"]), 0, &["Usage: svc ctl render "]);
    assert_said(&svc(&["--help"]), 0, &["svc-scan", "svc-ctl", "install"]);
    assert_said(&svc(&["exec", "--help"]), 0, &["Usage: svc exec", "\n      --env-dir DIR "]);
    // It may stand in a run script: a line of the log, and not all options each second.
    for (words, wrong) in [
        (["--uid", "abc"], "--uid is a number, 0 to 4294967294, and not \"abc\""),
        (["--gid", "4294967295"], "--gid is a number, 0 to 4294967294, and not 4294967295"),
        (["--nice", "x"], "--nice is a number, -20 to 19, and not \"x\""),
        (["--nonsense", "x"], "there is no option --nonsense"),
    ] {
        let said = svc(&["exec", words[0], words[1], "--", "true"]);
        assert_eq!(
            (said.code, said.err.as_str()),
            (100, format!("svc exec: {wrong} (svc exec --help has all options)\n").as_str())
        );
    }
    assert_said(&svc(&["install", "--help"]), 0, &["Usage: svc install"]);
    for name in ["svc-supervise", "supervise"] {
        assert_said(&svc(&[name, "--help"]), 0, &["supervise one service directory", "svc-scan"]);
    }
    assert_said(&svc(&["--help"]), 0, &["\n  svc-supervise  supervise one service directory\n"]);
    assert_said(&svc(&["svc-log", "--help"]), 0, &["svc-log"]);
    assert_said(&svc(&["scan", "--help"]), 0, &["Usage: svc-scan"]);
}

#[test]
fn wrong_usage_is_100_and_says_where_help_is() {
    for words in [
        &[][..],
        &["nothing"],
        &["--nope"],
        &["svc-scan", "--nope"],
        &["svc-scan", "--title"],
        &["svc-init", "-x"],
        &["svc-ctl", "--nope"],
        &["svc-ctl", "explode"],
        &["svc-ctl", "wait"],
        &["svc-ctl", "logs", "-n", "many"],
        &["exec"],
        &["exec", "--nope", "true"],
        &["install"],
        &["install", "a", "b"],
        &["install", "--own"],
        &["install", "--mine", "a"],
    ] {
        let said = svc(words);
        assert_eq!(said.code, 100, "{words:?}: {said:?}");
        let helpful = said.err.contains("--help") || said.err.contains("Usage");
        assert!(helpful && said.out.is_empty(), "{words:?}: {said:?}");
    }
}

/// What a name of svc says when it is called by that name.
fn called(path: &Path) -> Said {
    Said::by(Command::new(path).arg("--help"))
}

#[test]
fn install_makes_relative_links_again_and_again() {
    let tree = Tree::new();
    let bin = tree.path("usr/bin");
    let bin_text = bin.display().to_string();
    for _ in 0..2 {
        assert_said(&svc(&["install", &bin_text]), 0, &[]);
        for name in ["svc-scan", "svc-ctl", "svc-init", "svc-supervise", "svc-log"] {
            assert_eq!(fs::read_link(bin.join(name)).expect("a link"), Path::new("svc"), "{name}");
        }
        assert!(fs::symlink_metadata(bin.join("svc")).is_ok_and(|data| data.is_file()));
    }
    // From the installed program too, and moved as a whole.
    assert_said(&Said::by(Command::new(bin.join("svc")).args(["install", &bin_text])), 0, &[]);
    let moved = tree.path("moved");
    fs::rename(tree.path("usr"), &moved).expect("ours");
    assert_said(&called(&moved.join("bin/svc-ctl")), 0, &["Usage: svc-ctl"]);
    // Through a chain of links the last of which has another name, argv[0] decides.
    symlink(moved.join("bin/svc-ctl"), tree.path("one")).expect("a link");
    symlink("one", tree.path("svc-ctl")).expect("a link");
    assert_said(&called(&tree.path("svc-ctl")), 0, &["Usage: svc-ctl"]);
    symlink("svc-ctl", tree.path("svc-scan")).expect("a link");
    assert_said(&called(&tree.path("svc-scan")), 0, &["Usage: svc-scan"]);
    // Under a name of nobody's the links behind it decide.
    assert_said(&called(&tree.path("one")), 0, &["Look at and steer"]);
    let said = Said::by(Command::new(moved.join("bin/svc")).args(["ctl", "--version"]));
    assert_said(&said, 0, &["0."]);
}

#[test]
fn install_does_not_overwrite_what_is_not_ours() {
    let tree = Tree::new();
    let bin = tree.path("bin");
    fs::create_dir(&bin).expect("ours");
    fs::write(bin.join("svc-ctl"), "somebody's").expect("ours");
    let said = svc(&["install", &bin.display().to_string()]);
    assert_said(&said, 111, &["bin/svc-ctl: "]);
    assert_eq!(fs::read_to_string(bin.join("svc-ctl")).unwrap_or_default(), "somebody's");
    let said = svc(&["install", "/proc/nowhere"]);
    assert_said(&said, 111, &["/proc/nowhere"]);
}

#[test]
fn a_second_svc_on_the_same_directories_is_refused() {
    let mut tree = Tree::new();
    tree.start();
    let mut command = tree.starter();
    assert_said(&Said::by(&mut command), 100, &["another svc runs", "svc-ctl shutdown"]);
    let other = Tree::new();
    let mut command = other.starter();
    command.env("SVC_RUN_DIR", tree.run_dir());
    assert_said(&Said::by(&mut command), 100, &["another svc runs with", "set SVC_RUN_DIR to a directory of its own"]);
}

/// As a Dockerfile does it. Were there a svc in /command, it would come in the place of what all links lead to.
#[test]
fn links_of_all_commands_can_be_made_elsewhere() {
    let tree = Tree::new();
    let root = tree.path("image");
    assert_said(&svc(&["install", "--s6-overlay", &root.display().to_string()]), 0, &[]);
    let script = format!(
        "set -e; cd {0}; ln -sf {0}/command/* {0}/usr/bin/; usr/bin/s6-echo works; usr/bin/svc-ctl --version",
        root.display()
    );
    assert_said(&Said::by(Command::new("sh").args(["-c", &script])), 0, &["works", "svc-ctl 0."]);
    assert!(root.join("usr/bin/svc").symlink_metadata().is_ok_and(|data| data.is_file()));
    let more = tree.path("more");
    let (more, program) = (more.display().to_string(), root.join("usr/bin/svc").display().to_string());
    assert_said(&svc(&["install", "--own", "--to", &program, &more]), 0, &[]);
    assert_said(&Said::by(Command::new(format!("{more}/svc-ctl")).arg("--version")), 0, &["svc-ctl 0."]);
    assert!(!std::path::Path::new(&more).join("svc").exists());
}

/// `COPY --from=svc:scratch /init /init` follows the link, and copies svc under that name. Then /proc/self/exe, by which svc calls
/// itself, leads to a file called so: taken for that name, each step of /init was another /init.
#[test]
fn a_copy_of_svc_is_svc_whatever_it_is_called() {
    let tree = Tree::new();
    let (copy, link) = (tree.path("s6-echo"), tree.path("other"));
    fs::copy(program(), &copy).expect("copied");
    symlink(&copy, &link).expect("a link");
    let said = |path: &Path| Said::by(Command::new(path).args(["s6-echo", "hello"])).out;
    assert_eq!(said(&copy), "s6-echo hello\n", "called by its name, it is what that stands for");
    assert_eq!(said(&link), "hello\n");
}
