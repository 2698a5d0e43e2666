//! `with-contenv`, by which most scripts of s6-overlay's images start, and `printcontenv`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use svc_testkit::{NOBODY, Said, is_root, needs};

use super::{Container, executable, said};

/// The variables that `env -0` printed, without the one that names the directory.
fn variables(out: &str) -> BTreeMap<String, String> {
    let all = out.split('\0').filter_map(|line| line.split_once('='));
    all.filter(|(name, _)| *name != "SVC_CONTAINER_ENVIRONMENT").map(|(name, value)| (name.into(), value.into())).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn the_environment_is_replaced_and_path_stays() {
    let container = Container::new();
    container.set("PLAIN", b"one").set("LINE", b"two\n").set("TWO", b"a\n\n").set("INSIDE", b" a\nb ").set("EMPTY", b"\n");
    container.set("GONE", b"").set(".hidden", b"x").set("a=b", b"x").set("NUL", b"a\0b");
    fs::create_dir(container.path("env/FOLDER")).expect("a new folder");
    let mut command = container.command("with-contenv");
    let said = Said::by(command.args(["env", "-0"]).env("X", "1").env("GONE", "before"));
    let expected = [
        ("PATH", "/usr/bin:/bin"),
        ("PLAIN", "one"),
        ("LINE", "two"),
        ("TWO", "a\n"),
        ("INSIDE", " a\nb "),
        ("EMPTY", ""),
        ("NUL", "a\nb"),
    ];
    assert_eq!((said.code, variables(&said.out), said.err.as_str()), (0, map(&expected), ""));
}

#[test]
fn it_is_read_each_time_and_may_set_path() {
    let container = Container::new();
    let printed = || Said::by(container.command("with-contenv").args(["/usr/bin/env", "-0"])).out;
    assert_eq!(variables(&printed()), map(&[("PATH", "/usr/bin:/bin")]));
    container.set("NEW", b"value").set("PATH", b"/nowhere\n");
    assert_eq!(variables(&printed()), map(&[("PATH", "/nowhere"), ("NEW", "value")]));
    container.set("PATH", b"");
    assert_eq!(variables(&printed()), map(&[("NEW", "value")]), "an empty file takes even PATH away");
}

#[test]
fn a_value_may_be_as_long_as_the_kernel_allows() {
    let container = Container::new();
    let long = "x".repeat(120_000);
    container.set("LONG", long.as_bytes());
    let said = Said::by(container.command("with-contenv").args(["env", "-0"]));
    assert_eq!(variables(&said.out).get("LONG"), Some(&long));
}

#[test]
fn it_reads_files_as_s6_envdir_does() {
    if !needs("Debian's s6", Path::new("/usr/bin/s6-envdir").exists()) {
        return;
    }
    let container = Container::new();
    container.set("A", b"a \t\n").set("B", b"\n\n").set("C", b"x\0y\n").set("D", b"").set("E", b"\n").set("F", b"no end");
    let mut theirs = Command::new("/usr/bin/s6-envdir");
    theirs
        .args(["-Lf", "--"])
        .arg(container.path("env"))
        .args(["env", "-0"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("D", "d");
    let ours = Said::by(container.command("with-contenv").args(["env", "-0"]));
    assert_eq!(variables(&ours.out), variables(&Said::by(&mut theirs).out));
}

#[test]
fn s6_keep_env_and_a_missing_directory_leave_it_as_it_is() {
    let container = Container::new();
    container.set("NEW", b"value");
    let kept = |setting: Option<&str>| {
        let mut command = container.command("with-contenv");
        setting.map(|setting| command.env("S6_KEEP_ENV", setting));
        let found = variables(&Said::by(command.args(["env", "-0"]).env("X", "1")).out);
        assert!(found.contains_key("X") != found.contains_key("NEW"), "one or the other: {found:?}");
        found.contains_key("X")
    };
    assert_eq!([Some("1"), Some("yes")].map(kept), [true, true]);
    assert_eq!([None, Some("0"), Some(""), Some("00")].map(kept), [false; 4]);
    fs::remove_dir_all(container.path("env")).expect("ours");
    assert!(Said::by(container.command("with-contenv").args(["env", "-0"]).env("X", "1")).out.contains("X=1"));
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    if !is_root() {
        return;
    }
    let container = Container::new();
    container.set("SECRET", b"x");
    let file = container.path("env/SECRET");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    let mut command = container.command("with-contenv");
    let said = Said::by(std::os::unix::process::CommandExt::uid(command.args(["env"]), NOBODY));
    assert_eq!(said.code, 111);
    assert!(said.err.contains(&file.display().to_string()) && said.out.is_empty(), "{said:?}");
}

#[test]
fn it_is_an_interpreter() {
    let container = Container::new();
    container.set("NEW", b"value\n");
    let run = |interpreter: &str, body: &str| {
        let script = container.script("with-contenv", interpreter, body);
        let mut command = Command::new(&script);
        command.args(["a b", "c"]).env("SVC_CONTAINER_ENVIRONMENT", container.path("env")).env("X", "1");
        (Said::by(&mut command), script.display().to_string())
    };
    let (said, script) = run("sh", "echo \"$0|$*|$#|$NEW|$X\"");
    assert_eq!(said.out, format!("{script}|a b c|2|value|\n"), "{said:?}");
    // Everything behind the interpreter is one word to the kernel.
    let (said, _) = run("sh -e", "echo \"$NEW $#\"; false; echo not here");
    assert_eq!((said.out.as_str(), said.code), ("value 2\n", 1), "{said:?}");
    let (said, _) = run("  sh\t-eu  ", "echo \"$NEW\"; echo $NOT_THERE; echo not here");
    assert_eq!(said.out, "value\n", "{said:?}");
    // What interprets may be a script itself: bashio is.
    executable(&container.path("bashio"), "#!/bin/sh\necho \"bashio $NEW\"\n. \"$1\"\n");
    let (said, _) = run(&container.path("bashio").display().to_string(), "echo \"inside $#\"");
    assert_eq!(said.out, "bashio value\ninside 3\n", "{said:?}");
    let (said, _) = run("no-such-shell -e", "true");
    assert_eq!(said.code, 127, "{said:?}");
    assert!(said.err.contains("no-such-shell"), "{said:?}");
}

#[test]
fn a_program_with_a_blank_in_its_name_is_found_first() {
    let container = Container::new();
    executable(&container.path("odd name"), "#!/bin/sh\necho odd\n");
    let said = Said::by(container.command("with-contenv").arg(container.path("odd name")));
    assert_eq!(said.out, "odd\n", "{said:?}");
}

/// Images put scripts of their own in the place of /usr/bin/with-contenv, which then call /command/with-contenv.
#[test]
fn it_needs_none_of_our_other_links() {
    let container = Container::new();
    container.set("NEW", b"value");
    let _ = container.script("with-contenv", "sh", "");
    let wrapper = container.path("wrapper");
    executable(&wrapper, &format!("#!/bin/sh\numask 027\nexec {} \"$@\"\n", container.path("with-contenv").display()));
    let script = container.path("wrapped");
    executable(&script, &format!("#!{} sh\necho \"$NEW $(umask)\"\n", wrapper.display()));
    let said = Said::by(Command::new(script).env("SVC_CONTAINER_ENVIRONMENT", container.path("env")));
    assert_eq!(said.out, "value 0027\n", "{said:?}");
}

#[test]
fn without_a_program_it_says_what_is_missing() {
    let nothing = said("with-contenv", &[]);
    assert_eq!(nothing.code, 100);
    assert!(nothing.err.contains("the program to execute is missing"), "{nothing:?}");
    assert_eq!(said("with-contenv", &["/"]).code, 126);
}

#[test]
fn printcontenv_prints_a_value_and_one_newline() {
    let container = Container::new();
    container.set("PLAIN", b"one").set("LINE", b"two\n").set("EMPTY", b"\n").set("GONE", b"");
    let print = |name: &str| {
        let said = Said::by(container.command("printcontenv").arg(name).env("OWN", "own").env("GONE", "own"));
        (said.code, said.out)
    };
    assert_eq!(print("PLAIN"), (0, "one\n".into()));
    assert_eq!(print("LINE"), (0, "two\n".into()));
    assert_eq!(print("EMPTY"), (0, "\n".into()));
    for name in ["GONE", "OWN", "nothing", "../env/PLAIN", ""] {
        assert_eq!(print(name), (1, String::new()), "{name}");
    }
    let kept = Said::by(container.command("printcontenv").arg("OWN").env("OWN", "own").env("S6_KEEP_ENV", "1"));
    assert_eq!((kept.code, kept.out.as_str()), (0, "own\n"));
    assert_eq!(said("printcontenv", &[]).code, 100);
}
