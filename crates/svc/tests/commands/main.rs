//! Every command of others as a stranger meets it: asked for help, called wrongly, called with nothing.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use svc_compat::Command as Table;
use svc_testkit::{Said, Tree, needs, program};

/// Those that are not to be called with nothing, and why.
const NOT_ALONE: &[(&str, &str)] = &[
    ("s6-pause", "waits for a signal, that is what it is for"),
    ("s6-sync", "writes all disks of the machine"),
    ("s6-socklog", "takes /dev/log of the machine, and waits for messages"),
    ("halt", "ends a svc that runs on this machine"),
    ("poweroff", "ends a svc that runs on this machine"),
    ("reboot", "ends a svc that runs on this machine"),
    ("shutdown", "ends a svc that runs on this machine"),
    ("s6-rc-update", "makes a svc that runs on this machine look at its directories"),
    ("s6-fdholderd", "is a server: what standard input is, is its socket"),
];

/// The command as a link of its name would start it, in an empty directory and with no svc to be found.
fn called(tree: &Tree, name: &str) -> Command {
    let mut command = Command::new(program());
    command.arg0(name).current_dir(tree.path("empty")).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("SVC_RUN_DIR", tree.path("nowhere")).env("SVDIR", tree.path("nowhere"));
    command
}

fn tree() -> Tree {
    let tree = Tree::new();
    std::fs::create_dir(tree.path("empty")).expect("ours");
    tree
}

/// What is wrong with how a command answered, if anything is.
fn bad_manners(said: &Said) -> Option<&'static str> {
    let panics = said.err.contains("panicked at") || said.code == 101 || said.code == -1;
    panics.then_some("it panicked, or was killed")
}

/// Asks all commands the same, and fails with all that answer badly.
fn each(question: impl Fn(&Table) -> Option<String>) {
    let wrong: Vec<String> =
        svc_compat::commands().filter_map(|table| question(table).map(|why| format!("{}: {why}", table.name))).collect();
    assert!(wrong.is_empty(), "{} commands answer badly:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn help_names_the_command_and_succeeds() {
    let tree = tree();
    each(|table| {
        let said = Said::by(called(&tree, table.name).arg("--help"));
        let begin = format!("{}: {}\n\nUsage: {}", table.name, table.about, table.name);
        (said.code != 0 || !said.out.starts_with(&begin) || !said.err.is_empty()).then(|| format!("{said:?}"))
    });
}

#[test]
fn an_option_that_is_not_there_is_named() {
    let tree = tree();
    each(|table| {
        let takes_all_words = matches!(table.options, [option] if option.letter == ' ');
        if takes_all_words {
            return None;
        }
        let letter = ['Z', '~', '%'].into_iter().find(|letter| table.options.iter().all(|option| option.letter != *letter));
        for option in [format!("-{}", letter.expect("nobody has all of them")), "--no-such-option".into()] {
            let said = Said::by(called(&tree, table.name).arg(&option));
            let is_good = said.out.is_empty()
                && said.err.contains(&format!("{}: fatal: there is no option {option}", table.name))
                && said.err.contains(&format!("usage: {}", table.name));
            if said.code != 100 || !is_good {
                return Some(format!("{option}: {said:?}"));
            }
        }
        None
    });
}

#[test]
fn a_value_that_is_missing_is_named() {
    let tree = tree();
    each(|table| {
        let option = table.listed().iter().find(|option| option.value.is_some())?;
        let said = Said::by(called(&tree, table.name).arg(format!("-{}", option.letter)));
        let is_good = said.code == 100 && said.err.contains(&format!("-{} needs a value: ", option.letter));
        (!is_good).then(|| format!("-{}: {said:?}", option.letter))
    });
}

#[test]
fn with_nothing_it_says_what_is_missing_and_ends() {
    let tree = tree();
    each(|table| {
        if NOT_ALONE.iter().any(|(name, _)| *name == table.name) {
            return None;
        }
        let said = Said::by(&mut called(&tree, table.name));
        if let Some(why) = bad_manners(&said) {
            return Some(format!("{why}: {said:?}"));
        }
        // Whoever fails says why.
        let is_silent = said.err.is_empty() && said.code >= 100;
        let is_lost = said.code == 100 && !said.err.contains(table.name);
        (is_silent || is_lost).then(|| format!("{said:?}"))
    });
}

#[test]
fn the_ones_that_are_left_out_are_there() {
    for (name, why) in NOT_ALONE {
        assert!(svc_compat::find(name).is_some() && !why.is_empty(), "{name}");
    }
}

#[test]
fn man_pages_have_no_mistakes() {
    let mandoc = ["/usr/bin/mandoc", "/bin/mandoc"].map(PathBuf::from).into_iter().find(|path| path.exists());
    if !needs("mandoc", mandoc.is_some()) {
        return;
    }
    let tree = tree();
    each(|table| {
        let page = tree.path("page.1");
        std::fs::write(&page, svc_compat::page(table)).expect("ours");
        let mut command = Command::new(mandoc.as_ref()?);
        let output = command.args(["-T", "lint", "-W", "style"]).arg(&page).stdin(Stdio::null()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (!said.is_empty()).then_some(said)
    });
}
